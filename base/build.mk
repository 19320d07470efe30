LIBS += base
SRC_base := base/arena.c base/buf.c base/clock.c base/disk.c base/disk_sim.c base/doc.c \
	base/doc_json.c base/doc_json_err.c base/doc_proto.c base/doc_yaml.c base/doc_yaml_write.c \
	base/err.c base/hash.c base/init_client.c base/ip.c base/log.c base/loop.c base/loop_signals.c \
	base/loop_sim.c base/loop_task.c base/options.c base/queue.c base/rand.c base/regex.c base/regex_parse.c base/str.c
DEPS_base :=
UNIT_base := tests/unit/base/arena_test.c tests/unit/base/buf_test.c tests/unit/base/clock_test.c \
	tests/unit/base/disk_test.c tests/unit/base/doc_test.c tests/unit/base/err_test.c \
	tests/unit/base/hash_test.c tests/unit/base/init_client_test.c tests/unit/base/ip_test.c \
	tests/unit/base/log_test.c tests/unit/base/loop_test.c tests/unit/base/options_test.c \
	tests/unit/base/loop_signals_test.c tests/unit/base/queue_test.c \
	tests/unit/base/rand_test.c tests/unit/base/regex_test.c tests/unit/base/str_test.c tests/unit/base/yaml_test.c
FUZZ_base := tests/fuzz/json_fuzz.c tests/fuzz/proto_fuzz.c tests/fuzz/yaml_fuzz.c \
	tests/fuzz/text_fuzz.c tests/fuzz/regex_fuzz.c
BENCH_base := tests/bench/json_bench.c
