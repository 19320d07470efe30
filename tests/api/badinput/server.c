/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * server: the process under test: started, asked for its descriptors, ended. Its log is kept in the data
 * directory's neighbour "log" and printed when it dies or does not start. */
#include "tests/api/badinput/badinput.h"

#include "base/disk.h"
#include "base/hash.h"
#include "netstack/tls/tls.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_MS 30000
#define END_MS 20000

void
poll_wait(int ms)
{
	poll(NULL, 0, ms);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

void
remove_tree(const char *dir)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
print_log(const char *path)
{
	struct buf b = BUF_INIT;
	struct str rest = STR_NONE, line = STR_NONE;

	disk_read_file(path, 1 << 20, &b);
	rest = buf_view(&b);
	if (rest.n > 4000)
		rest = str_sub(rest, rest.n - 4000, SIZE_MAX);
	while (str_next(&rest, '\n', &line))
		printf("     | " STR_FMT "\n", STR_ARG(line));
	buf_release(&b);
}

/* ready_port: of "ready on https://127.0.0.1:PORT"; 0 = not there yet. */
static int
ready_port(const char *log)
{
	struct buf b = BUF_INIT;
	struct str text = STR_NONE, port = STR_NONE;
	ptrdiff_t at = -1;
	int64_t n = 0;

	if (disk_read_file(log, 1 << 20, &b) == 0) {
		text = buf_view(&b);
		at = str_find(text, STR("ready on https://127.0.0.1:"));
	}
	if (at >= 0) {
		port = str_sub(text, (size_t)at + strlen("ready on https://127.0.0.1:"), SIZE_MAX);
		for (size_t i = 0; i < port.n && port.p[i] >= '0' && port.p[i] <= '9'; i++)
			n = n * 10 + port.p[i] - '0';
		if (str_find_char(port, '\n') < 0)
			n = 0;
	}
	buf_release(&b);
	return (int)n;
}

static struct str
decoded(struct arena *a, const struct doc *d, const char *path)
{
	struct buf b;

	buf_init_arena(&b, a);
	if (base64_decode(&b, doc_as_str(doc_at(d, path))) != 0)
		return STR_NONE;
	return buf_view(&b);
}

static bool
read_credentials(struct server *s)
{
	struct buf b = BUF_INIT;
	char path[320];
	struct doc *d = NULL;
	struct str rest = STR_NONE;
	struct err e = {0};
	struct tls_pair pair = {0};
	bool ok = false;

	snprintf(path, sizeof(path), "%s/kubeconfig", s->dir);
	if (disk_read_file(path, 1 << 20, &b) == 0) {
		rest = arena_str(s->a, buf_view(&b));
		ok = doc_parse_yaml(s->a, &rest, NULL, &d, &e) == 0;
	}
	buf_release(&b);
	if (!ok)
		return false;
	s->ca = decoded(s->a, d, "clusters[0].cluster.certificate-authority-data");
	pair.cert_pem = s->cert = decoded(s->a, d, "users[0].user.client-certificate-data");
	pair.key_pem = s->key = decoded(s->a, d, "users[0].user.client-key-data");
	return tls_ctx_new(&(struct tls_config){.pairs = &pair, .n_pairs = 1, .ca_pem = s->ca},
		       &s->tls, &e) == 0;
}

bool
server_start(struct server *s, const char *program, const char *dir, int port)
{
	char log[320], listen[32];
	int64_t deadline = now_ms() + START_MS;

	*s = (struct server){.program = program, .a = arena_new(0)};
	snprintf(s->dir, sizeof(s->dir), "%s", dir);
	snprintf(log, sizeof(log), "%s.log", dir);
	snprintf(listen, sizeof(listen), "127.0.0.1:%d", port);
	unlink(log);
	s->pid = fork();
	if (s->pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		dup2(fd, 1);
		dup2(fd, 2);
		execl(program, program, "server", "--data-dir", dir, "--listen", listen,
			(char *)NULL);
		_exit(127);
	}
	while (s->pid > 0 && now_ms() < deadline && server_alive(s)) {
		s->port = ready_port(log);
		if (s->port && read_credentials(s))
			return true;
		poll_wait(10);
	}
	print_log(log);
	return false;
}

bool
server_alive(const struct server *s)
{
	return s->pid > 0 && waitpid(s->pid, NULL, WNOHANG) == 0;
}

bool
server_end(struct server *s, int sig)
{
	int64_t deadline = now_ms() + END_MS;
	int pid = s->pid, status = 0, r = 0;

	conn_free(s->conn);
	s->conn = NULL;
	tls_ctx_unref(s->tls);
	arena_free(s->a);
	s->tls = NULL;
	s->a = NULL;
	s->pid = 0;
	if (pid <= 0)
		return true;
	kill(pid, sig);
	do {
		r = waitpid(pid, &status, WNOHANG);
		if (r == 0)
			poll_wait(10);
	} while (r == 0 && now_ms() < deadline);
	if (r == 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return r == pid && (sig == SIGKILL || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
}

int
server_fds(const struct server *s)
{
	char path[64];
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", s->pid);
	DIR *d = opendir(path);

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n - 2;
}
