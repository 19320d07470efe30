# What no table can say about a kind; built-in admission.
LIBS += orchestrator/kinds
SRC_orchestrator/kinds := $(addprefix orchestrator/kinds/,tables.c helpers.c admission.c admission_pod.c pod.c \
	service.c core.c workloads.c certificates.c)
DEPS_orchestrator/kinds := orchestrator/api orchestrator/schema netstack/tls base
UNIT_orchestrator/kinds := tests/unit/orchestrator/kinds/pod_test.c tests/unit/orchestrator/kinds/admission_test.c \
	tests/unit/orchestrator/kinds/service_test.c
DEPS_OF_tests/unit/orchestrator/kinds/admission_test.c := orchestrator/control orchestrator/schedule
DEPS_OF_tests/unit/orchestrator/kinds/service_test.c := orchestrator/control orchestrator/schedule
