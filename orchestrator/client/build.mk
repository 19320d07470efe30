# The one interface by which components meet the API: https transport, informers, events.
LIBS += orchestrator/client
SRC_orchestrator/client := orchestrator/client/client.c orchestrator/client/client_https.c \
	orchestrator/client/client_kubeconfig.c orchestrator/client/client_path.c \
	orchestrator/client/informer.c orchestrator/client/events.c orchestrator/client/watch_list.c
DEPS_orchestrator/client := orchestrator/schema netstack/http netstack/tls base
UNIT_orchestrator/client := $(addprefix tests/unit/orchestrator/client/,client_https_test.c client_kubeconfig_test.c client_path_test.c \
	events_test.c informer_test.c watch_list_test.c)
FUZZ_orchestrator/client := tests/fuzz/watch_fuzz.c
