# The controllers.
LIBS += orchestrator/control
SRC_orchestrator/control := $(addprefix orchestrator/control/,control.c control_table.c part.c \
	replicaset.c deployment.c deployment_rollout.c deployment_status.c \
	service_pods.c endpointslice.c endpoints.c \
	namespace.c per_namespace.c gc.c node_lifecycle.c taint_eviction.c node_ipam.c \
	volume_binder.c volume_protection.c ephemeral_volume.c certificates.c addons.c \
	resourcequota.c disruption.c)
DEPS_orchestrator/control := orchestrator/client orchestrator/schema netstack/tls base
UNIT_orchestrator/control := tests/unit/orchestrator/control/deployment_rollout_test.c \
	tests/unit/orchestrator/control/certificates_test.c \
	tests/sim/deployment_test.c tests/sim/deletion_test.c tests/sim/resourcequota_test.c \
	tests/sim/disruption_test.c
DEPS_OF_tests/sim/deployment_test.c := orchestrator/api orchestrator/kinds orchestrator/schedule storage/store
DEPS_OF_tests/sim/deletion_test.c := $(DEPS_OF_tests/sim/deployment_test.c)
DEPS_OF_tests/sim/resourcequota_test.c := $(DEPS_OF_tests/sim/deployment_test.c)
DEPS_OF_tests/sim/disruption_test.c := $(DEPS_OF_tests/sim/deployment_test.c)
