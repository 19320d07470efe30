# The fault suite: programs that load, kill, cut and check; run.sh ties them together.
LIBS += tests/fault
SRC_tests/fault := tests/fault/checker.c tests/fault/checker_read.c
DEPS_tests/fault := base orchestrator/client storage/store
UNIT_tests/fault := tests/unit/fault/checker_test.c
TOOL_tests/fault := tests/fault/check.c
