# The kubelet: joins the cluster, runs pods, serves the node API.
LIBS += orchestrator/node
SRC_orchestrator/node := $(addprefix orchestrator/node/, \
	action.c \
	addresses.c \
	admit.c \
	bundles.c \
	env.c \
	ephemeral.c \
	evict.c \
	facts.c \
	forward.c \
	grpc.c \
	image_gc.c \
	join.c \
	local_volumes.c \
	node.c \
	objects.c \
	pod_certificates.c \
	pod_spec.c \
	pod_status.c \
	pod_start.c \
	pod_stop.c \
	pod_sync.c \
	pods.c \
	probe.c \
	pull.c \
	register.c \
	resize.c \
	rules.c \
	serve.c \
	stream.c \
	volumes.c)
DEPS_orchestrator/node := orchestrator/nodenet orchestrator/schedule orchestrator/client orchestrator/runtime orchestrator/machine \
	orchestrator/schema storage/volume netstack/podnet netstack/http netstack/tls base
UNIT_orchestrator/node := $(addprefix tests/unit/orchestrator/node/, \
	addresses_test.c \
	admit_test.c \
	bundles_test.c \
	ephemeral_test.c \
	grpc_test.c \
	image_gc_test.c \
	join_test.c \
	local_volumes_test.c \
	objects_test.c \
	pod_certificates_test.c \
	pod_start_test.c \
	pod_status_test.c \
	pod_stop_test.c \
	register_test.c \
	resize_test.c \
	rules_test.c \
	stream_test.c)
FUZZ_orchestrator/node := tests/fuzz/grpc_fuzz.c
DEPS_OF_tests/unit/orchestrator/node/bundles_test.c := orchestrator/kinds orchestrator/api orchestrator/control \
	orchestrator/schedule storage/store
DEPS_OF_tests/unit/orchestrator/node/pod_certificates_test.c := $(DEPS_OF_tests/unit/orchestrator/node/bundles_test.c)
