LIBS += orchestrator/machine
SRC_orchestrator/machine := orchestrator/machine/config.c
DEPS_orchestrator/machine := base
UNIT_orchestrator/machine := tests/unit/orchestrator/machine/config_test.c
FUZZ_orchestrator/machine := tests/fuzz/machine_config.c
