# Nodes that only pretend to run pods.
LIBS += orchestrator/hollow
SRC_orchestrator/hollow := orchestrator/hollow/hollow.c orchestrator/hollow/hollow_main.c orchestrator/hollow/pod.c
DEPS_orchestrator/hollow := orchestrator/client orchestrator/schema base
UNIT_orchestrator/hollow := tests/unit/orchestrator/hollow/pod_test.c tests/sim/hollow_test.c
DEPS_OF_tests/sim/hollow_test.c := orchestrator/api orchestrator/control orchestrator/kinds orchestrator/schedule \
	storage/store
