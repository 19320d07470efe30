# The kubelet: joins the cluster, runs pods, serves the node API.
LIBS += orchestrator/node
SRC_orchestrator/node := $(addprefix orchestrator/node/,rules.c admit.c node.c join.c facts.c register.c objects.c \
	env.c volumes.c pods.c pod_sync.c pod_spec.c pod_stop.c pod_status.c action.c probe.c pull.c serve.c stream.c forward.c)
DEPS_orchestrator/node := orchestrator/nodenet orchestrator/client orchestrator/runtime orchestrator/machine \
	orchestrator/schema storage/volume netstack/podnet netstack/http netstack/tls base
UNIT_orchestrator/node := tests/unit/orchestrator/node/rules_test.c tests/unit/orchestrator/node/admit_test.c tests/unit/orchestrator/node/register_test.c
