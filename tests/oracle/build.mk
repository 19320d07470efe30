# Keelson against upstream's API server, request by request (docs/building.md).
LIBS += tests/oracle
SRC_tests/oracle := tests/oracle/corpus.c tests/oracle/normal.c tests/oracle/replay.c \
	tests/oracle/compare.c tests/oracle/report.c
DEPS_tests/oracle := netstack/http netstack/tls base
UNIT_tests/oracle := tests/unit/tests/oracle/compare_test.c tests/unit/tests/oracle/replay_test.c
PROGS += oracle
MAIN_oracle := tests/oracle/oracle.c
DEPS_oracle := tests/oracle

SUITES += oracle
.PHONY: oracle oracle-record oracle-hold suite-oracle
SHOW ?=
oracle: $(O)/bin/oracle $(O)/bin/keelson
	@O=$(O) tests/oracle/run.sh $(if $(SHOW),show $(SHOW),ask)
oracle-record oracle-hold: oracle-%: $(O)/bin/oracle $(O)/bin/keelson
	@O=$(O) tests/oracle/run.sh $*
suite-oracle: $(O)/bin/oracle $(O)/bin/keelson
	@O=$(O) tests/oracle/run.sh suite
