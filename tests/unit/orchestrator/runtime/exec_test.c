/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Sessions with a container: exec, attach, port-forward; for real, as root on this machine's kernel. */
#include "tests/unit/orchestrator/runtime/scene.h"

static void
execs(void)
{
	struct str argv[3];
	struct runtime_container_spec s = {0};
	struct runtime_exec *x = NULL;
	struct session ses = {0};
	struct str cat[] = {STR("cat")};
	struct str sh[] = {STR("sh"), STR("-c"), STR("echo out; echo err >&2; echo $FROM; exit 7")};
	struct str nope[] = {STR("nope")};
	struct str tty[] = {STR("sh"), STR("-c"), STR("tty; stty size; echo $$")};
	struct runtime_exec_spec spec = {
		.argv = sh, .n_argv = 3, .use_stdout = true, .use_stderr = true};
	struct err e = {0};

	up();
	s = shell_spec("sleep 1000", argv);
	create(&s);
	spec.container_id = str_c(CT);
	CHECK_INT(runtime_exec_start(RT, &spec, &session_ops, &ses, &x, &e), -ESRCH);
	start();
	CHECK_INT(runtime_exec_start(RT, &spec, &session_ops, &ses, &x, &e), 0);
	AWAIT(ses.ended);
	CHECK_INT(ses.e.code, 0);
	CHECK_STR(buf_view(&ses.out), "out\nimage\n");
	CHECK_STR(buf_view(&ses.err), "err\n");
	CHECK_INT(ses.code, 7);
	session_clear(&ses);
	spec = (struct runtime_exec_spec){.container_id = str_c(CT),
		.argv = cat,
		.n_argv = 1,
		.use_stdin = true,
		.use_stdout = true};
	CHECK_INT(runtime_exec_start(RT, &spec, &session_ops, &ses, &x, &e), 0);
	CHECK_INT(runtime_exec_write(x, STR("one ")), 4);
	AWAIT(ses.out.len == 4);
	CHECK_INT(runtime_exec_write(x, STR("two\n")), 4);
	runtime_exec_close_stdin(x);
	AWAIT(ses.ended);
	CHECK_STR(buf_view(&ses.out), "one two\n");
	CHECK_INT(ses.code, 0);
	session_clear(&ses);
	spec = (struct runtime_exec_spec){
		.container_id = str_c(CT), .argv = nope, .n_argv = 1, .use_stdout = true};
	CHECK_INT(runtime_exec_start(RT, &spec, &session_ops, &ses, &x, &e), 0);
	AWAIT(ses.ended);
	CHECK_STR(ses.e.msg, "exec: \"nope\": executable file not found in $PATH");
	CHECK_INT(ses.code, 127);
	session_clear(&ses);
	spec = (struct runtime_exec_spec){.container_id = str_c(CT),
		.argv = tty,
		.n_argv = 3,
		.use_stdin = true,
		.use_stdout = true,
		.tty = true,
		.cols = 132,
		.rows = 43};
	CHECK_INT(runtime_exec_start(RT, &spec, &session_ops, &ses, &x, &e), 0);
	AWAIT(ses.ended);
	CHECK(str_starts(buf_view(&ses.out), STR("/dev/pts/0\r\n43 132\r\n")));
	CHECK_INT(ses.code, 0);
	session_clear(&ses);
	/* A client that goes away takes its process along. */
	spec = (struct runtime_exec_spec){
		.container_id = str_c(CT), .argv = argv, .n_argv = 3, .use_stdout = true};
	argv[2] = STR("sleep 777");
	CHECK_INT(runtime_exec_start(RT, &spec, &session_ops, &ses, &x, &e), 0);
	runtime_exec_close(x, true);
	down();
	CHECK(!ses.ended);
}

TEST(exec_streams_codes_and_terminal)
{
	HOST_NEEDED();
	HOST_RUN(execs);
}

/* The process has ended, another holds its output open, and the client has not taken all of it. */
static void
slow_client(void)
{
	struct str argv[3];
	struct runtime_container_spec s = {0};
	struct runtime_exec *x = NULL;
	struct runtime_exec *clock = NULL;
	struct session ses = {.pause_at = 7};
	struct session later = {0};
	struct str much[] = {STR("sh"), STR("-c"),
		STR("(sleep 0.3; head -c 50000 /dev/zero; exec sleep 1000) & echo first")};
	struct str nap[] = {STR("sleep"), STR("3")}; /* longer than the output is waited for */
	struct runtime_exec_spec spec = {.argv = much, .n_argv = 3, .use_stdout = true};
	struct err e = {0};

	up();
	s = shell_spec("sleep 1000", argv);
	create(&s);
	start();
	spec.container_id = str_c(CT);
	CHECK_INT(runtime_exec_start(RT, &spec, &session_ops, &ses, &x, &e), 0);
	AWAIT(ses.out.len >= 7);
	spec.argv = nap;
	spec.n_argv = 2;
	CHECK_INT(runtime_exec_start(RT, &spec, &session_ops, &later, &clock, &e), 0);
	AWAIT(later.ended);
	CHECK(!ses.ended);
	ses.pause_at = 0;
	runtime_exec_resume(x);
	AWAIT(ses.ended);
	CHECK_INT((int)ses.out.len, 50006);
	CHECK_INT(ses.code, 0);
	session_clear(&ses);
	session_clear(&later);
	down();
}

TEST(output_of_an_ended_process_is_lost_on_a_slow_client)
{
	HOST_NEEDED();
	HOST_RUN(slow_client);
}

static void
attaches(void)
{
	struct str argv[3];
	struct runtime_container_spec s = {0};
	struct runtime_attach *x = NULL;
	struct runtime_attach *y = NULL;
	struct session a = {0};
	struct session b = {0};
	struct runtime_attach_spec spec = {
		.use_stdin = true, .use_stdout = true, .use_stderr = true};
	struct err e = {0};

	up();
	s = shell_spec("cat; echo over", argv);
	s.open_stdin = s.stdin_once = true;
	create(&s);
	start();
	spec.container_id = str_c(CT);
	CHECK_INT(runtime_attach_start(RT, &spec, &session_ops, &a, &x, &e), 0);
	spec.use_stdin = false;
	CHECK_INT(runtime_attach_start(RT, &spec, &session_ops, &b, &y, &e), 0);
	CHECK_INT(runtime_attach_write(x, STR("hello\n")), 6);
	AWAIT(a.out.len >= 6 && b.out.len >= 6);
	CHECK_STR(buf_view(&b.out), "hello\n");
	runtime_attach_close_stdin(x);
	AWAIT(a.ended && b.ended);
	CHECK_STR(buf_view(&a.out), "hello\nover\n");
	CHECK_INT(a.code, 0);
	CHECK_STR(log_all(), "hello\nover\n");
	session_clear(&a);
	session_clear(&b);
	/* A terminal. */
	s = shell_spec("tty; read x; echo got $x", argv);
	s.tty = s.open_stdin = true;
	create(&s);
	start();
	spec = (struct runtime_attach_spec){
		.container_id = str_c(CT), .use_stdin = true, .use_stdout = true};
	CHECK_INT(runtime_attach_start(RT, &spec, &session_ops, &a, &x, &e), 0);
	AWAIT(str_find(log_all(), STR("/dev/pts/0")) >= 0);
	runtime_attach_resize(x, 100, 30);
	CHECK_INT(runtime_attach_write(x, STR("line\n")), 5);
	AWAIT(a.ended);
	CHECK(str_find(buf_view(&a.out), STR("got line\r\n")) >= 0);
	session_clear(&a);
	down();
}

TEST(attach_fans_out_and_feeds_stdin)
{
	HOST_NEEDED();
	HOST_RUN(attaches);
}

struct connected {
	bool done;
	int fd;
	struct err e;
};

static void
on_connected(void *arg, int fd, const struct err *e)
{
	struct connected *c = arg;

	c->done = true;
	c->fd = fd;
	if (e)
		c->e = *e;
}

static void
ports(void)
{
	struct str argv[3];
	struct runtime_container_spec s = {0};
	struct connected c = {0};
	char buf[64] = "";
	ssize_t n = -1;

	up();
	s = shell_spec("echo up; echo from pod | nc -l -p 8080", argv);
	create(&s);
	start();
	AWAIT(log_all().n > 0);
	do {
		c = (struct connected){0};
		CHECK_INT(runtime_port_connect(RT, str_c(SB), 8080, on_connected, &c), 0);
		AWAIT(c.done);
	} while (c.fd < 0 && view().state == RUNTIME_CONTAINER_RUNNING);
	CHECK(c.fd >= 0);
	fcntl(c.fd, F_SETFL, 0);
	n = read(c.fd, buf, sizeof(buf) - 1);
	CHECK_INT(n, 9);
	CHECK_STR(buf, "from pod\n");
	close(c.fd);
	c = (struct connected){0};
	CHECK_INT(runtime_port_connect(RT, str_c(SB), 81, on_connected, &c), 0);
	AWAIT(c.done);
	CHECK_INT(c.e.code, -ECONNREFUSED);
	down();
}

TEST(port_connect_reaches_into_the_pod)
{
	HOST_NEEDED();
	HOST_RUN(ports);
}
