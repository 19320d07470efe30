LIBS += orchestrator/runtime
SRC_orchestrator/runtime := $(addprefix orchestrator/runtime/,caps.c cgroup.c child.c container.c \
	container_spec.c container_start.c container_view.c devices.c exec.c fsutil.c launch.c launch_mounts.c \
	log_format.c log_reader.c logs.c pack.c port.c recover.c runtime.c sandbox.c seccomp.c \
	seccomp_default.c state.c stream.c syscalls_x86_64.c user.c image/auth.c image/blob.c \
	image/extract.c image/fetch.c image/import.c image/inflate.c image/layer.c image/manifest.c \
	image/pull.c image/ref.c image/store.c image/tar.c)
DEPS_orchestrator/runtime := netstack/http base
UNIT_orchestrator/runtime := $(addprefix tests/unit/orchestrator/runtime/,seccomp_test.c \
	spec_test.c logs_test.c runtime_test.c exec_test.c recover_test.c image/inflate_test.c image/ref_test.c \
	image/tar_test.c image/pull_test.c)
FUZZ_orchestrator/runtime := tests/fuzz/image_manifest_fuzz.c tests/fuzz/tar_fuzz.c \
	tests/fuzz/image_ref_fuzz.c
BENCH_orchestrator/runtime := tests/bench/runtime_bench.c
