LIBS += storage/store
SRC_storage/store := storage/store/backup.c storage/store/count.c storage/store/engine_local.c storage/store/event.c \
	storage/store/expire.c storage/store/history.c storage/store/history_read.c \
	storage/store/hub.c storage/store/hub_wake.c storage/store/key.c storage/store/list.c \
	storage/store/store.c storage/store/table.c storage/store/value.c storage/store/watch.c \
	storage/store/writer.c
DEPS_storage/store := base
UNIT_storage/store := tests/unit/storage/store/count_test.c \
	tests/unit/storage/store/key_test.c tests/unit/storage/store/value_test.c \
	tests/unit/storage/store/store_test.c tests/unit/storage/store/watch_test.c \
	tests/unit/storage/store/fault_test.c tests/unit/storage/store/sim_test.c
BENCH_storage/store := tests/bench/store_bench.c
FUZZ_storage/store := tests/fuzz/store_fuzz.c
