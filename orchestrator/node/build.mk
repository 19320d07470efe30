# The kubelet: joins the cluster, runs pods, serves the node API.
LIBS += orchestrator/node
SRC_orchestrator/node := $(addprefix orchestrator/node/,rules.c node.c join.c facts.c addresses.c local_volumes.c register.c objects.c \
	env.c volumes.c pods.c pod_sync.c pod_spec.c pod_stop.c pod_status.c action.c probe.c pull.c serve.c stream.c forward.c)
DEPS_orchestrator/node := orchestrator/nodenet orchestrator/client orchestrator/runtime orchestrator/machine \
	orchestrator/schema storage/volume netstack/podnet netstack/http netstack/tls base
UNIT_orchestrator/node := $(addprefix tests/unit/orchestrator/node/, \
	addresses_test.c \
	join_test.c \
	local_volumes_test.c \
	objects_test.c \
	pod_status_test.c \
	register_test.c \
	rules_test.c)
