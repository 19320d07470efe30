# What no table can say about a kind; built-in admission.
LIBS += orchestrator/kinds
SRC_orchestrator/kinds := $(addprefix orchestrator/kinds/,tables.c helpers.c admission.c admission_pod.c \
	admission_class.c admission_limits.c admission_quota.c pod.c service.c core.c crd.c hpa.c workloads.c certificates.c \
	admission_certificates.c pod_certificates.c webhooks.c policies.c apiservices.c \
	warnings.c)
DEPS_orchestrator/kinds := orchestrator/api orchestrator/schema netstack/tls base
UNIT_orchestrator/kinds := $(addprefix tests/unit/orchestrator/kinds/,hpa_test.c admission_test.c admission_class_test.c \
	admission_limits_test.c admission_quota_test.c pod_certificates_test.c pod_test.c service_test.c warnings_test.c)
DEPS_OF_tests/unit/orchestrator/kinds/admission_test.c := orchestrator/control orchestrator/schedule
DEPS_OF_tests/unit/orchestrator/kinds/service_test.c := orchestrator/control orchestrator/schedule
FUZZ_orchestrator/kinds := tests/fuzz/hpa_fuzz.c
DEPS_OF_tests/fuzz/hpa_fuzz.c := orchestrator/control orchestrator/schedule
