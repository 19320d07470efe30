LIBS += base
SRC_base := base/arena.c base/buf.c base/clock.c base/disk.c base/disk_sim.c base/doc.c base/doc_json.c base/doc_json_err.c \
	base/doc_proto.c base/doc_yaml.c base/doc_yaml_write.c base/err.c base/hash.c base/init_client.c base/ip.c base/log.c \
	base/loop.c base/loop_sim.c base/loop_task.c base/queue.c base/rand.c base/str.c
DEPS_base :=
UNIT_base := tests/unit/base/doc_test.c tests/unit/base/ip_test.c tests/unit/base/loop_test.c \
	tests/unit/base/yaml_test.c
