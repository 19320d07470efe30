/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Containers for real: as root on this machine's kernel, with tiny images made here. */
#include "tests/unit/orchestrator/runtime/scene.h"

/* ---- life ---- */

static void
life(void)
{
	struct str log = STR_NONE;

	up();
	log = run_script("echo hello; echo oops >&2; exit 3");
	CHECK(str_find(log, STR("hello\n")) >= 0);
	CHECK(str_find(log, STR("oops\n")) >= 0);
	CHECK_INT(view().exit_code, 3);
	CHECK_STR(view().reason, "Error");
	CHECK(view().started_ns > 0 && view().finished_ns >= view().started_ns);
	CHECK_STR(host_exited, CT);
	CHECK_INT(run_script("exit 0").n, 0);
	CHECK_STR(view().reason, "Completed");
	down();
}

TEST(container_runs_and_reports_exit_and_log)
{
	HOST_NEEDED();
	HOST_RUN(life);
}

static void
inside(void)
{
	struct str log = STR_NONE;

	up();
	log = run_script(
		"hostname; echo $$; pwd; id; echo $FROM $HOSTNAME $HOME; readlink /dev/fd; "
		"ls -d /dev/shm /dev/mqueue /dev/pts; cat /proc/sys/kernel/hostname; "
		"grep NoNewPrivs /proc/self/status; grep Seccomp: /proc/self/status; "
		"grep CapBnd /proc/self/status");
	CHECK(str_starts(log, STR("web-1\n1\n/\nuid=0(root) gid=0(root)")));
	CHECK(str_find(log, STR("image web-1 /root\n")) >= 0);
	CHECK(str_find(log, STR("/proc/self/fd\n")) >= 0);
	CHECK(str_find(log, STR("/dev/mqueue\n/dev/pts\n/dev/shm\n")) >= 0);
	CHECK(str_find(log, STR("NoNewPrivs:\t0")) >= 0);
	CHECK(str_find(log, STR("Seccomp:\t2")) >= 0);
	CHECK(str_find(log, STR("CapBnd:\t00000000a80425fb")) >= 0);
	log = run_script(
		"cat /proc/kcore; ls /sys/firmware /proc/scsi 2>&1; echo 1 >/proc/sys/kernel/domainname; "
		"touch /sys/x; mount -t tmpfs x /tmp; ls /proc/1/root/; echo end");
	CHECK(str_find(log, STR("Read-only file system")) >= 0);
	CHECK(str_find(log, STR("mount: ")) >= 0);
	CHECK(str_find(log, STR("end\n")) >= 0);
	CHECK(str_find(log, STR("busybox.tar")) < 0);
	/* Devices: what is allowed opens, the rest can be made and not opened. */
	log = run_script(
		"mknod /tmp/n c 1 3 && echo x >/tmp/n && echo null ok; mknod /tmp/m c 1 1 && "
		"cat /tmp/m; mknod /tmp/k b 254 0; dd if=/tmp/k of=/dev/null count=1; echo end");
	CHECK(str_find(log, STR("null ok\n")) >= 0);
	CHECK(str_find(log, STR("/tmp/m': Operation not permitted")) >= 0 ||
		str_find(log, STR("/tmp/m: Operation not permitted")) >= 0);
	CHECK(str_find(log, STR("/tmp/k': Operation not permitted")) >= 0 ||
		str_find(log, STR("/tmp/k: Operation not permitted")) >= 0);
	down();
}

TEST(container_sees_its_own_world_only)
{
	HOST_NEEDED();
	HOST_RUN(inside);
}

static void
errors(void)
{
	struct str argv[3];
	struct runtime_container_spec s = {0};
	struct result r = {0};
	struct err e = {0};
	static const struct {
		const char *command, *text;
	} rows[] = {
		{"foo", "exec: \"foo\": executable file not found in $PATH"},
		{"/bin/nope", "exec: \"/bin/nope\": stat /bin/nope: no such file or directory"},
		{"/etc/passwd", "exec: \"/etc/passwd\": permission denied"},
		{"/bin", "exec: \"/bin\": is a directory"},
	};

	up();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		s = shell_spec("", argv);
		argv[0] = str_c(rows[i].command);
		s.n_command = 1;
		create(&s);
		r = (struct result){0};
		CHECK_INT(runtime_container_start(RT, str_c(CT), on_result, &r), 0);
		AWAIT(r.done);
		CHECK(str_find(str_c(r.e.msg), str_c(rows[i].text)) >= 0 ||
			strcasecmp(r.e.msg, rows[i].text) == 0);
		CHECK_INT(view().state, RUNTIME_CONTAINER_EXITED);
		CHECK_STR(view().reason, "StartError");
		CHECK_INT(view().exit_code, 128);
		CHECK_STR(view().message, r.e.msg);
	}
	s = shell_spec("true", argv);
	s.cwd = STR("/etc/passwd/x");
	create(&s);
	r = (struct result){0};
	CHECK_INT(runtime_container_start(RT, str_c(CT), on_result, &r), 0);
	AWAIT(r.done);
	CHECK(r.e.code != 0 && strstr(r.e.msg, "working directory"));
	s = shell_spec("true", argv);
	s.image = STR("nothing:here");
	CHECK_INT(runtime_container_create(RT, &s, CT, on_result, &r, &e), -ENOENT);
	down();
}

TEST(container_start_errors_have_the_known_words)
{
	HOST_NEEDED();
	HOST_RUN(errors);
}

static void
users(void)
{
	struct str argv[3];
	struct runtime_container_spec s = {0};
	uint32_t groups[] = {3000};
	struct str drop[] = {STR("ALL")};
	struct result r = {0};
	struct err e = {0};

	up();
	s = shell_spec(
		"id; echo $HOME; grep CapEff /proc/self/status; echo x >/dev/stdout; grep NoNew /proc/self/status",
		argv);
	s.has_uid = true;
	s.uid = 1000;
	s.groups = groups;
	s.n_groups = 1;
	s.no_new_privs = true;
	s.caps_drop = drop;
	s.n_caps_drop = 1;
	run(&s);
	CHECK(str_starts(log_all(),
		STR("uid=1000(app) gid=1000(app) groups=1000(app),2000(extra),3000\n/home/app\n"
		    "CapEff:\t0000000000000000\nx\nNoNewPrivs:\t1\n")));
	s = shell_spec("id", argv);
	s.has_uid = s.has_gid = true;
	s.uid = 4242;
	s.gid = 7;
	run(&s);
	CHECK(str_starts(log_all(), STR("uid=4242 gid=7")));
	(void)r;
	(void)e;
	down();
}

TEST(container_runs_as_the_user_asked_for)
{
	HOST_NEEDED();
	HOST_RUN(users);
}

static void
mounts(void)
{
	struct str argv[3];
	struct runtime_container_spec s = {0};
	char vol[160], file[200], hosts[160], term[160];
	struct stat st;
	struct runtime_mount m[5] = {0};
	struct buf b = BUF_INIT;
	struct result r = {0};

	up();
	snprintf(vol, sizeof(vol), "%s/vol", TEST_TMP);
	snprintf(file, sizeof(file), "%s/vol/config", TEST_TMP);
	snprintf(hosts, sizeof(hosts), "%s/hosts", TEST_TMP);
	snprintf(term, sizeof(term), "%s/term", TEST_TMP);
	CHECK_INT(disk_mkdirs(vol, 0755), 0);
	CHECK(chmod(vol, 0777) == 0);
	disk_write_file(file, STR("from volume\n"), 0644);
	disk_write_file(hosts, STR("127.0.0.1 localhost\n"), 0644);
	disk_write_file(term, STR(""), 0666);
	CHECK_INT(symlinkat("/etc", AT_FDCWD,
			  (snprintf(file, sizeof(file), "%s/vol/evil", TEST_TMP), file)),
		0);
	m[0] = (struct runtime_mount){
		.source = str_c(vol), .target = STR("/data/deep/sub"), .read_only = true};
	m[1] = (struct runtime_mount){.source = str_c(vol), .target = STR("/data")};
	m[2] = (struct runtime_mount){
		.source = str_c(vol), .sub = STR("config"), .target = STR("/etc/app.conf")};
	m[3] = (struct runtime_mount){.source = str_c(vol),
		.sub = STR("new/dir"),
		.sub_create = true,
		.target = STR("/new")};
	m[4] = (struct runtime_mount){.image = STR("busybox:test"), .target = STR("/img")};
	s = shell_spec(
		"cat /data/config /etc/app.conf /etc/hosts; echo w >/data/written && echo rw; "
		"echo w 2>&1 >/data/deep/sub/no; ls -d /new /img/bin/sh; touch /new/x; touch /img/x; "
		"echo -n bye >/dev/termination-log; touch /root/x; echo end",
		argv);
	s.mounts = m;
	s.n_mounts = 5;
	s.hosts_path = str_c(hosts);
	s.termination_path = STR("/dev/termination-log");
	s.termination_source = str_c(term);
	s.read_only_rootfs = false;
	run(&s);
	CHECK(str_starts(log_all(), STR("from volume\nfrom volume\n127.0.0.1 localhost\nrw\n")));
	CHECK(str_find(log_all(), STR("/data/deep/sub/no: Read-only file system")) >= 0);
	CHECK(str_find(log_all(), STR("/img/x: Read-only file system")) >= 0);
	CHECK(str_find(log_all(), STR("/img/bin/sh\n/new\n")) >= 0);
	CHECK_INT(disk_read_file(term, 100, &b), 0);
	CHECK_STR(buf_view(&b), "bye");
	buf_release(&b);
	snprintf(file, sizeof(file), "%s/vol/new/dir/x", TEST_TMP);
	CHECK(access(file, F_OK) == 0);
	/* What is made for a subPath is as open as its volume: others than root use it too. */
	snprintf(file, sizeof(file), "%s/vol/new/dir", TEST_TMP);
	CHECK(stat(file, &st) == 0);
	CHECK_INT(st.st_mode & 07777, 0777);
	/* A path that leaves its volume through a link is refused. */
	m[0] = (struct runtime_mount){
		.source = str_c(vol), .sub = STR("evil/passwd"), .target = STR("/x")};
	s = shell_spec("cat /x", argv);
	s.mounts = m;
	s.n_mounts = 1;
	create(&s);
	CHECK_INT(runtime_container_start(RT, str_c(CT), on_result, &r), 0);
	AWAIT(r.done);
	CHECK(strstr(r.e.msg, "failed to prepare subPath") != NULL);
	/* Read-only root. */
	s = shell_spec("echo x >/etc/y; touch /tmp/y; echo end", argv);
	s.read_only_rootfs = true;
	run(&s);
	CHECK(str_find(log_all(), STR("/etc/y: Read-only file system")) >= 0);
	CHECK(str_find(log_all(), STR("/tmp/y: Read-only file system")) >= 0);
	down();
}

TEST(container_volumes_subpaths_and_pod_files)
{
	HOST_NEEDED();
	HOST_RUN(mounts);
}

static void
stopping(void)
{
	struct str argv[3];
	struct runtime_container_spec s = {0};
	struct result r = {0};
	int64_t from = 0;

	up();
	s = shell_spec(
		"trap 'echo term; exit 5' TERM; echo up; while :; do sleep 1 & wait; done", argv);
	create(&s);
	start();
	AWAIT(str_find(log_all(), STR("up\n")) >= 0);
	CHECK_INT(runtime_container_remove(RT, str_c(CT), on_result, &r), -EBUSY);
	CHECK_INT(runtime_container_stop(RT, str_c(CT), 10 * NS_PER_SEC, on_result, &r), 0);
	OK(r);
	CHECK_INT(view().exit_code, 5);
	CHECK_STR(log_all(), "up\nterm\n");
	/* Deaf to SIGTERM: killed after its grace. */
	s = shell_spec("trap '' TERM; echo up; sleep 1000", argv);
	create(&s);
	start();
	AWAIT(log_all().n > 0);
	from = clock_mono_ns();
	r = (struct result){0};
	CHECK_INT(runtime_container_stop(RT, str_c(CT), 300 * NS_PER_MS, on_result, &r), 0);
	OK(r);
	CHECK(clock_mono_ns() - from >= 300 * NS_PER_MS);
	CHECK_INT(view().exit_code, 137);
	CHECK_INT(view().signal, 9);
	r = (struct result){0};
	CHECK_INT(runtime_container_remove(RT, str_c(CT), on_result, &r), 0);
	OK(r);
	CHECK_INT(runtime_container_get(RT, str_c(CT), &(struct runtime_container){0}), -ENOENT);
	down();
}

TEST(container_stop_sends_its_signal_then_kills)
{
	HOST_NEEDED();
	HOST_RUN(stopping);
}

/* ---- pods ---- */

static void
pods(void)
{
	struct str argv[3];
	struct runtime_container_spec s = {0};
	struct runtime_pair sysctl = {STR("net.ipv4.ip_unprivileged_port_start"), STR("99")};
	struct runtime_sandbox_spec p = {.sysctls = &sysctl, .n_sysctls = 1};
	struct runtime_pair bad = {STR("kernel.panic"), STR("1")};
	struct err e = {0};
	char id[RUNTIME_ID_LEN + 1];
	char first[RUNTIME_ID_LEN + 1];

	host_runtime();
	host_image();
	sandbox_up(&p);
	s = shell_spec(
		"echo shared >/dev/shm/x; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; "
		"ping -c1 -W1 127.0.0.1 >/dev/null && echo lo up; readlink /proc/self/ns/net; sleep 1000",
		argv);
	create(&s);
	start();
	AWAIT(str_find(log_all(), STR("net:[")) >= 0);
	CHECK(str_starts(log_all(), STR("99\nlo up\n")));
	memcpy(first, CT, sizeof(first));
	CHECK_STR(run_script("cat /dev/shm/x"), "shared\n");
	p = (struct runtime_sandbox_spec){.pod_uid = STR("x"), .sysctls = &bad, .n_sysctls = 1};
	CHECK_INT(runtime_sandbox_create(RT, &p, id, on_result, NULL, &e), -EINVAL);
	/* Removal takes all with it, running or not. */
	sandbox_down();
	CHECK_INT(runtime_container_get(RT, str_c(first), &(struct runtime_container){0}), -ENOENT);
	pod_uid = "pid-pod";
	p = (struct runtime_sandbox_spec){.share_pid = true};
	sandbox_up(&p);
	s = shell_spec("sleep 1234 & sleep 1000", argv);
	create(&s);
	start();
	{
		struct str log = run_script("ps; echo pid $$");

		CHECK(str_find(log, STR("sleep 1234")) >= 0);
		CHECK(str_find(log, STR("pid 1\n")) < 0);
	}
	sandbox_down();
	runtime_free(RT);
}

static void
lookers_on(void)
{
	struct str argv[3];
	struct runtime_container_spec s = {0};
	struct result r = {0};
	char first[RUNTIME_ID_LEN + 1];

	up();
	s = shell_spec("sleep 1234 & sleep 1000", argv);
	create(&s);
	start();
	memcpy(first, CT, sizeof(first));
	s = shell_spec("ps; echo pid $$; ls /proc/1/root/tmp && echo files; sleep 1000", argv);
	s.pids_of = str_c(first);
	create(&s);
	start();
	AWAIT(str_find(log_all(), STR("files\n")) >= 0);
	CHECK(str_find(log_all(), STR("sleep 1234")) >= 0);
	CHECK(str_find(log_all(), STR("pid 1\n")) < 0);
	/* It ends with the processes it looks at. */
	CHECK_INT(runtime_container_stop(RT, str_c(first), 0, on_result, &r), 0);
	OK(r);
	AWAIT(view().state == RUNTIME_CONTAINER_EXITED);
	down();
	/* Nobody to look at: it does not start. */
	up();
	s = shell_spec("echo here", argv);
	s.pids_of = STR("0123456789abcdef");
	create(&s);
	CHECK_INT(runtime_container_start(RT, str_c(CT), on_result, &r), -ESRCH);
	down();
}

TEST(a_container_for_looking_into_another_does_not_see_its_processes)
{
	HOST_NEEDED();
	HOST_RUN(lookers_on);
}

TEST(pod_shares_what_it_should)
{
	HOST_NEEDED();
#if defined(__SANITIZE_ADDRESS__)
	SKIP("the pod's init must be a static program");
#endif
	HOST_RUN(pods);
}

/* ---- logs of a running container ---- */

static void
following(void)
{
	struct str argv[3];
	struct runtime_container_spec s = {0};
	struct runtime_log *r = NULL;
	struct runtime_log_spec spec = {.tail_lines = -1, .follow = true};
	struct err e = {0};
	struct str log = STR_NONE;
	size_t n = 0;

	up();
	s = shell_spec(
		"i=0; while [ $i -lt 3000 ]; do echo line number $i; i=$((i+1)); done; echo -n no newline",
		argv);
	s.log_max_bytes = 20000;
	create(&s);
	start();
	spec.path = str_c(LOG);
	spec.container_id = str_c(CT);
	buf_clear(&LOGTEXT);
	log_done = false;
	CHECK_INT(runtime_log_open(RT, &spec, &log_ops, NULL, &r, &e), 0);
	AWAIT(log_done);
	/* Rotated several times on the way; a follower that cannot keep up misses what lies between. */
	log = buf_view(&LOGTEXT);
	CHECK_STR(str_sub(log, log.n > 27 ? log.n - 27 : 0, SIZE_MAX),
		"line number 2999\nno newline");
	for (size_t i = 0; i < log.n; i++)
		n += log.p[i] == '\n';
	CHECK(n >= 1);
	log = log_read((struct runtime_log_spec){.tail_lines = 2});
	CHECK_STR(log, "line number 2999\nno newline");
	log = log_read((struct runtime_log_spec){.tail_lines = 2, .limit_bytes = 4});
	CHECK_STR(log, "line");
	log = log_read((struct runtime_log_spec){.tail_lines = 2, .timestamps = true});
	CHECK(log.n > 60 && log.p[4] == '-' && str_find(log, STR("Z line number 2999\n")) == 29);
	log = log_read((struct runtime_log_spec){.tail_lines = -1, .since_ns = clock_wall_ns()});
	CHECK_INT(log.n, 0);
	/* What is written after it was opened is not among the last lines. */
	static const char late[] = "2030-01-01T00:00:00.000000000Z stdout F late\n";
	spec = (struct runtime_log_spec){.tail_lines = 2, .path = str_c(LOG)};
	buf_clear(&LOGTEXT);
	log_done = false;
	CHECK_INT(runtime_log_open(RT, &spec, &log_ops, NULL, &r, &e), 0);
	int fd = open(LOG, O_WRONLY | O_APPEND | O_CLOEXEC);
	CHECK_INT(write(fd, late, sizeof(late) - 1), sizeof(late) - 1);
	close(fd);
	AWAIT(log_done);
	CHECK_STR(buf_view(&LOGTEXT), "line number 2999\nno newline");
	down();
}

TEST(log_follow_tail_since_and_rotation)
{
	HOST_NEEDED();
	HOST_RUN(following);
}

/* ---- images ---- */

static void
layers(void)
{
	struct buf l[3] = {BUF_INIT, BUF_INIT, BUF_INIT};
	struct imported r = {0};
	struct str argv[3];
	struct runtime_container_spec s = {0};
	char path[160];
	struct result res = {0};
	struct runtime_image img = {0};
	struct arena *a = arena_new(0);

	up();
	busybox_layer(&l[0]);
	tar_entry_add(&l[1], "opt/", '5', NULL, 0755, 5, 6, STR(""));
	tar_entry_add(&l[1], "opt/gone", '0', NULL, 0644, 0, 0, STR("x"));
	tar_entry_add(&l[1], "opt/dir/old", '0', NULL, 0644, 0, 0, STR("x"));
	tar_entry_add(&l[1], "opt/suid", '0', NULL, 04755, 1, 2, STR("x"));
	tar_entry_add(&l[1], "opt/hard", '1', "opt/suid", 0644, 0, 0, STR(""));
	tar_end(&l[1]);
	tar_entry_add(&l[2], "opt/.wh.gone", '0', NULL, 0644, 0, 0, STR(""));
	tar_entry_add(&l[2], "opt/dir/.wh..wh..opq", '0', NULL, 0644, 0, 0, STR(""));
	tar_entry_add(&l[2], "opt/dir/new", '0', NULL, 0644, 0, 0, STR("new"));
	tar_entry_add(&l[2], "tmp/implicit", '0', NULL, 0644, 0, 0, STR("x"));
	tar_entry_add(&l[2], "opt/link", '1', "etc/passwd", 0644, 0, 0, STR(""));
	tar_end(&l[2]);
	snprintf(path, sizeof(path), "%s/layers.tar", TEST_TMP);
	image_archive(path, "registry.test:5000/team/app:v1",
		"\"User\":\"app:extra\",\"WorkingDir\":\"/opt\"", l, 3);
	CHECK_INT(runtime_image_import(RT, str_c(path), on_imported, &r), 0);
	OK(r);
	CHECK(r.bytes > 0);
	s = shell_spec(
		"id; pwd; ls /opt /opt/dir; stat -c '%a %u %g %h' /opt /opt/suid /opt/hard /tmp; head -1 /opt/link",
		argv);
	s.image = STR("registry.test:5000/team/app:v1");
	run(&s);
	CHECK_STR(log_all(),
		"uid=1000(app) gid=2000(extra) groups=2000(extra)\n/opt\n/opt:\ndir\nhard\nlink\nsuid\n\n"
		"/opt/dir:\nnew\n755 5 6 1\n4755 1 2 2\n4755 1 2 2\n1777 0 0 1\nroot:x:0:0:root:/root:/bin/sh\n");
	CHECK_INT(runtime_image_find(RT, s.image, a, &img), 0);
	CHECK(img.in_use);
	CHECK_INT(runtime_image_remove(RT, s.image, on_result, &res), 0);
	AWAIT(res.done);
	CHECK_INT(res.e.code, -EBUSY);
	sandbox_down();
	res = (struct result){0};
	CHECK_INT(runtime_image_remove(RT, s.image, on_result, &res), 0);
	OK(res);
	CHECK_INT(runtime_image_find(RT, s.image, a, &img), -ENOENT);
	CHECK_INT(runtime_image_find(RT, STR("docker.io/library/busybox:test"), a, &img), 0);
	arena_free(a);
	runtime_free(RT);
	for (size_t i = 0; i < 3; i++)
		buf_release(&l[i]);
}

TEST(image_layers_whiteouts_links_and_owners)
{
	HOST_NEEDED();
	HOST_RUN(layers);
}

/* ---- limits: only where the controllers are ---- */

static void
limited(void)
{
	struct str argv[3];
	struct runtime_container_spec s = {0};
	struct runtime_stats st = {0};

	up();
	if (!runtime_info(RT).memory || !runtime_info(RT).pids) {
		down();
		_exit(77);
	}
	s = shell_spec("x=a; while :; do x=$x$x; done", argv);
	s.limits.memory_bytes = 8 << 20;
	run(&s);
	CHECK(view().oom_killed);
	CHECK_STR(view().reason, "OOMKilled");
	CHECK_INT(view().exit_code, 137);
	s = shell_spec(
		"cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu.weight; sleep 100",
		argv);
	s.limits = (struct runtime_limits){.pids = 20, .cpu_quota_us = 50000, .cpu_shares = 1024};
	create(&s);
	start();
	AWAIT(log_all().n > 10);
	CHECK_STR(log_all(), "20\n50000 100000\n39\n");
	CHECK_INT(runtime_container_stats(RT, str_c(CT), &st), 0);
	CHECK(st.memory_usage_bytes > 0 && st.pids >= 1);
	down();
}

TEST(limits_oom_and_statistics)
{
	struct cgroups c = {0};
	struct runtime_config cfg = {.cgroup_mount = STR("/sys/fs/cgroup"),
		.cgroup_parent = STR("keelson-probe"),
		.allow_missing_controllers = true};
	char path[300];

	HOST_NEEDED();
	cfg.cgroup_mount = str_c(host_cgroup_mount);
	CHECK_INT(cgroups_open(&c, &cfg, NULL), 0);
	cgroup_remove(&c, "keelson-probe");
	snprintf(path, sizeof(path), "%s/cgroup.controllers", host_cgroup_mount);
	if (!(c.have >> CGROUP_MEMORY & 1)) {
		cgroups_close(&c);
		SKIP("no memory controller in cgroup v2 here");
	}
	cgroups_close(&c);
	HOST_RUN(limited);
}
