# The fault suite: programs that load, kill, cut and check; run.sh ties them together.
LIBS += tests/fault
SRC_tests/fault := $(addprefix tests/fault/,access.c checker.c checker_read.c)
DEPS_tests/fault := base orchestrator/client storage/store
UNIT_tests/fault := tests/unit/fault/checker_test.c tests/unit/fault/replay_test.c
TOOL_tests/fault := $(addprefix tests/fault/,check.c load.c objects.c replay.c serve.c)
SUITES += fault
.PHONY: suite-fault fault
FAULT_TOOLS := $(patsubst tests/%.c,$(O)/musl/%,$(TOOL_tests/fault))
suite-fault: kernel image programs $(FAULT_TOOLS)
	@tests/fault/run.sh $(abspath $(O)) short $(AREAS)
fault: kernel image programs $(FAULT_TOOLS)
	@deps/host-packages.sh run test
	@tests/fault/run.sh $(abspath $(O)) full $(AREAS)
.PHONY: soak
soak: kernel image programs
	@deps/host-packages.sh run test
	@MINUTES=$(or $(MINUTES),60) tests/fault/run.sh $(abspath $(O)) full soak
