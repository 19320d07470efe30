/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * serve: runs `keelson server`, kills it with SIGKILL at random times, starts it again on the same folder,
 * and tells how long it took each time from the start of the process to the first answered request. After
 * the last kill it goes on serving until SIGTERM, which ends the server in good order.
 *
 *   serving               printed when it serves the first time: DIR/kubeconfig is there
 *   serves again ...      printed after the last kill */
#include "tests/fault/access.h"

#include "base/disk.h"
#include "base/rand.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KILLS_MAX = 1000 };
#define PROBE_NS NS_PER_MS

struct serve {
	struct loop *loop;
	struct client *client;
	const char *program, *dir;
	char listen[32], kubeconfig[512];
	uint64_t kills, from_ms, to_ms;
	pid_t pid;
	int64_t started_ns, times[KILLS_MAX];
	size_t n_times;
	bool served;
	struct loop_timer probe, kill;
	struct loop_fd signals;
};

static void
start(struct serve *s)
{
	char log[512];
	snprintf(log, sizeof(log), "%s/log", s->dir);
	s->started_ns = clock_mono_ns();
	s->pid = fork();
	if (s->pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		dup2(fd, 1);
		dup2(fd, 2);
		execl(s->program, s->program, "server", "--data-dir", s->dir, "--listen", s->listen,
			(char *)NULL);
		_exit(127);
	}
	loop_timer_after(s->loop, &s->probe, PROBE_NS);
}

static void
on_kill(struct loop_timer *t)
{
	struct serve *s = t->arg;
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	start(s);
}

static void
on_answer(void *arg, const struct client_result *r)
{
	struct serve *s = arg;
	if (r->http == 0) {
		loop_timer_after(s->loop, &s->probe, PROBE_NS);
		return;
	}
	int64_t took_ns = clock_mono_ns() - s->started_ns;
	if (r->http != 200) {
		fprintf(stderr, "serve: the first answer is %d %s\n", r->http, r->e.msg);
		loop_stop(s->loop, 1);
		return;
	}
	if (!s->served)
		puts("serving");
	else
		s->times[s->n_times++] = took_ns;
	s->served = true;
	if (s->n_times < s->kills) {
		uint64_t ms = s->from_ms + rand_below(s->to_ms - s->from_ms + 1);
		loop_timer_after(s->loop, &s->kill, (int64_t)ms * NS_PER_MS);
		return;
	}
	char times[80];
	access_times(s->times, s->n_times, times, sizeof(times));
	printf("serves again after %zu kills: %s\n", s->n_times, times);
}

/* on_probe: a client of its own each time: the first answer includes connection and handshake. */
static void
on_probe(struct loop_timer *t)
{
	struct serve *s = t->arg;
	struct err e = {0};
	const struct client_req q = {.verb = CLIENT_LIST,
		.version = STR("v1"),
		.resource = STR("namespaces"),
		.limit = 1};
	if (waitpid(s->pid, NULL, WNOHANG) == s->pid) {
		fprintf(stderr, "serve: the server ended by itself, see %s/log\n", s->dir);
		loop_stop(s->loop, 1);
		return;
	}
	client_free(s->client);
	s->client = NULL;
	if (!disk_exists(s->kubeconfig) ||
		client_kubeconfig_new(s->loop, s->kubeconfig, STR(""), "fault", &s->client, &e) <
			0 ||
		client_call_start(s->client, &q, on_answer, s, NULL) < 0)
		loop_timer_after(s->loop, &s->probe, PROBE_NS);
}

static void
on_signal(struct loop_fd *w, uint32_t events)
{
	struct serve *s = w->arg;
	int status = 0;
	(void)events;
	kill(s->pid, SIGTERM);
	waitpid(s->pid, &status, 0);
	loop_stop(s->loop, status != 0);
}

/* free_port: one nobody listens on now. */
static unsigned
free_port(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(sa);
	_cleanup_fd_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, n) < 0 ||
		getsockname(fd, (struct sockaddr *)&sa, &n) < 0)
		return 0;
	return ntohs(sa.sin_port);
}

static const char usage[] =
	"usage: serve KEELSON DIR KILLS SEED FROM_MS TO_MS\n\n"
	"Kills `KEELSON server --data-dir DIR` KILLS times, each FROM_MS to TO_MS after it served.\n";

int
main(int argc, char **argv)
{
	static struct serve s;
	uint64_t seed = 0;
	if (argc != 7 || str_to_u64(str_c(argv[3]), &s.kills) < 0 ||
		str_to_u64(str_c(argv[4]), &seed) < 0 ||
		str_to_u64(str_c(argv[5]), &s.from_ms) < 0 ||
		str_to_u64(str_c(argv[6]), &s.to_ms) < 0 || s.kills > KILLS_MAX ||
		s.to_ms < s.from_ms) {
		fputs(usage, stderr);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	s.program = argv[1];
	s.dir = argv[2];
	rand_set_seed(seed);
	snprintf(s.listen, sizeof(s.listen), "127.0.0.1:%u", free_port());
	snprintf(s.kubeconfig, sizeof(s.kubeconfig), "%s/kubeconfig", s.dir);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s.loop = loop_new(NULL, "serve");
	s.probe = (struct loop_timer){.fn = on_probe, .arg = &s};
	s.kill = (struct loop_timer){.fn = on_kill, .arg = &s};
	s.signals = (struct loop_fd){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
		.events = EPOLLIN,
		.prio = LOOP_PRIO_SIGNAL,
		.fn = on_signal,
		.arg = &s};
	if (!s.loop || disk_mkdirs(s.dir, 0700) < 0 || loop_fd_add(s.loop, &s.signals) < 0) {
		perror("serve");
		return 2;
	}
	start(&s);
	return loop_run(s.loop);
}
