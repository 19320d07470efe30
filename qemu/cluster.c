/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cluster: bringing a test cluster up and down: see cluster.h. */
#include "qemu/cluster.h"

#include "base/clock.h"
#include "base/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void
say(int64_t start_ns, const char *fmt, ...)
{
	va_list ap;
	printf("%7.2f s  ", (double)(clock_mono_ns() - start_ns) / NS_PER_SEC);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

/* ---- the fabric ---- */

static void
fabric_pid_path(const struct cluster *c, char *out, size_t size)
{
	snprintf(out, size, "%s/fabric.pid", c->dir);
}

int
cluster_fabric(const struct cluster *c, const char *command, struct buf *out, struct err *e)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/fabric.ctl", c->run_dir);
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_errno(
			e, -errno, "connecting to the fabric of '%s' (is the cluster up?)", c->dir);
	struct timeval tv = {.tv_sec = 5};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	char *at = buf_reserve(out, 1 << 16);
	if (!at || send(fd, command, strlen(command), MSG_NOSIGNAL) < 0)
		return err_errno(e, -errno, "asking the fabric");
	ssize_t n = recv(fd, at, 1 << 16, 0);
	if (n < 0)
		return err_errno(e, -errno, "the fabric's answer");
	buf_commit(out, (size_t)n);
	ptrdiff_t bad = str_find(buf_view(out), STR("error: "));
	if (bad >= 0) {
		struct str text = str_trim(str_sub(buf_view(out), (size_t)bad + 7, SIZE_MAX));
		return err_set(e, -EINVAL, R_INVALID, "fabric: " STR_FMT, STR_ARG(text));
	}
	return 0;
}

struct argv {
	struct arena *a;
	const char *v[CLUSTER_NODES_MAX * 2 + 32];
	size_t n;
};

static void
put_option(struct argv *x, const char *name, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	x->v[x->n++] = name;
	x->v[x->n++] = arena_vfmt(x->a, fmt, ap).p;
	va_end(ap);
}

/* ready_wait: until the child's pipe says "ready" or closes. */
static int
ready_wait(int fd)
{
	char line[16];
	struct pollfd p = {.fd = fd, .events = POLLIN};
	if (poll(&p, 1, 10000) <= 0)
		return -ETIMEDOUT;
	ssize_t n = read(fd, line, sizeof(line));
	return n >= 5 && !memcmp(line, "ready", 5) ? 0 : -EIO;
}

/* fabric_port: which port of the host was given to the API (the first forward of the status). */
static int
fabric_port(struct cluster *c, struct err *e)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	int rc = cluster_fabric(c, "status", &out, e);
	struct str rest = buf_view(&out), line, head, port;
	while (rc == 0 && str_next(&rest, '\n', &line)) {
		uint64_t v;
		if (!str_starts(line, STR("forward 127.0.0.1:")) || !str_ends(line, STR(" 6443")))
			continue;
		line = str_sub(line, sizeof("forward 127.0.0.1:") - 1, SIZE_MAX);
		str_cut(line, ' ', &port, &head);
		if (str_to_u64(port, &v) == 0 && v < 65536)
			c->api_port = (unsigned)v;
		return 0;
	}
	return rc < 0 ? rc : err_set(e, -EIO, R_UNKNOWN, "the fabric has no forward to the API");
}

static int
fabric_start(struct cluster *c, struct err *e)
{
	char pid_path[600], log_path[600];
	fabric_pid_path(c, pid_path, sizeof(pid_path));
	snprintf(log_path, sizeof(log_path), "%s/fabric.log", c->dir);
	if (process_pid(pid_path) > 0)
		return fabric_port(c, e);
	int rc = disk_mkdirs(c->run_dir, 0700);
	if (rc < 0)
		return err_errno(e, rc, "making '%s'", c->run_dir);
	struct argv x = {.a = arena_new(1 << 20)};
	int ready[2];
	if (!x.a || pipe2(ready, O_CLOEXEC) < 0)
		return err_errno(e, -errno, "starting the fabric");
	x.v[x.n++] = "/proc/self/exe";
	x.v[x.n++] = "fabric";
	put_option(&x, "--dir", "%s", c->run_dir);
	for (unsigned i = 0; i < c->n_nodes; i++) {
		const struct cluster_node *n = &c->nodes[i];
		put_option(&x, "--machine", "%s=%02x:%02x:%02x:%02x:%02x:%02x=%s", n->name,
			n->mac[0], n->mac[1], n->mac[2], n->mac[3], n->mac[4], n->mac[5], n->v4);
	}
	put_option(&x, "--forward", "%u=%s:6443", c->api_port, c->nodes[0].v4);
	if (c->host[0])
		put_option(&x, "--host", "%s", c->host);
	pid_t pid = process_start(x.v, log_path, ready[1], pid_path);
	close(ready[1]);
	rc = pid < 0 ? (int)pid : ready_wait(ready[0]);
	close(ready[0]);
	arena_free(x.a);
	if (rc < 0)
		return err_errno(e, rc, "starting the fabric (see '%s')", log_path);
	return fabric_port(c, e);
}

/* ---- up ---- */

static void
defaults(struct cluster *c, const struct cluster_options *o, bool found)
{
	if (!found) {
		*c = (struct cluster){.n_nodes = 3,
			.n_control = 1,
			.mem_mib = 512,
			.cpus = 1,
			.disk_gib = 8,
			.backend = BACKEND_AUTO};
		char *full = realpath(o->dir, NULL);
		str_copy_c(str_c(full ? full : o->dir), c->dir, sizeof(c->dir));
		free(full);
	}
	const unsigned given[] = {o->nodes, o->control, o->mem_mib, o->cpus, o->disk_gib};
	unsigned *const kept[] = {&c->n_nodes, &c->n_control, &c->mem_mib, &c->cpus, &c->disk_gib};
	for (size_t i = 0; i < ARRAY_LEN(given); i++)
		if (given[i])
			*kept[i] = given[i];
	if (o->backend != BACKEND_AUTO)
		c->backend = o->backend;
	if (o->registries[0])
		memset(c->registries, 0, sizeof(c->registries));
	for (size_t i = 0; i < ARRAY_LEN(o->registries) && o->registries[i]; i++)
		str_copy_c(str_c(o->registries[i]), c->registries[i], sizeof(c->registries[i]));
	if (o->host)
		str_copy_c(str_c(o->host), c->host, sizeof(c->host));
}

static int
node_start(const struct cluster *c, const struct cluster_node *n, const struct cluster_options *o,
	const char *record, enum backend backend, struct err *e)
{
	char initrd[700], disk[700];
	snprintf(initrd, sizeof(initrd), "%s/initrd", n->dir);
	snprintf(disk, sizeof(disk), "%s/data.img", n->dir);
	struct machine_spec m = {.name = n->name,
		.dir = n->dir,
		.run_dir = c->run_dir,
		.kernel = o->kernel,
		.initrd = initrd,
		.disk = disk,
		.record = record,
		.mem_mib = c->mem_mib,
		.cpus = c->cpus,
		.backend = backend};
	memcpy(m.mac, n->mac, sizeof(m.mac));
	if (access(o->kernel, R_OK) < 0)
		return err_errno(e, -errno, "kernel '%s'", o->kernel);
	int rc = machine_start(&m, e);
	return rc == -EALREADY ? 0 : rc;
}

static int
prepare(struct cluster *c, const struct cluster_options *o, struct err *e)
{
	int rc = disk_mkdirs(o->dir, 0755);
	if (rc < 0)
		return err_errno(e, rc, "making '%s'", o->dir);
	rc = cluster_load(o->dir, c, e);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	defaults(c, o, rc == 0);
	if (c->n_nodes == 0 || c->n_nodes > CLUSTER_NODES_MAX || c->n_control != 1)
		return err_set(e, -EINVAL, R_INVALID,
			"nodes must be 1 to %d, control must be 1 (several control nodes need etcd)",
			CLUSTER_NODES_MAX);
	cluster_layout(c);
	rc = cluster_pki_ensure(c, e);
	for (unsigned i = 0; rc == 0 && i < c->n_nodes; i++)
		if (machine_pid(c->nodes[i].dir) < 0)
			rc = cluster_node_files(c, &c->nodes[i], o->initramfs, e);
	return rc;
}

int
cluster_up(const struct cluster_options *o, struct err *e)
{
	int64_t start = clock_mono_ns();
	struct cluster *c = calloc(1, sizeof(*c));
	if (!c)
		return err_errno(e, -ENOMEM, "cluster");
	const char *why = "";
	int rc = prepare(c, o, e);
	if (rc == 0)
		rc = fabric_start(c, e);
	if (rc == 0)
		rc = cluster_save(c, e);
	if (rc == 0)
		rc = cluster_kubeconfig_write(c, o->kubeconfig, e);
	if (rc == 0) {
		say(start, "files, keys and fabric are there (API at https://127.0.0.1:%u)",
			c->api_port);
		enum backend b = machine_backend(c->backend, o->kernel, c->dir, &why);
		say(start, "backend: %s (%s)", b == BACKEND_KVM ? "KVM" : "TCG", why);
		for (unsigned i = 0; rc == 0 && i < c->n_nodes; i++)
			rc = node_start(c, &c->nodes[i], o, NULL, b, e);
	}
	if (rc == 0) {
		say(start, "%u machines started", c->n_nodes);
		if (o->wait)
			rc = cluster_wait_ready(c, o->timeout_s ? o->timeout_s : 300, start, e);
	}
	free(c);
	return rc;
}

int
cluster_node_start(
	const struct cluster *c, const char *node, const struct cluster_options *o, struct err *e)
{
	const char *why;
	const struct cluster_node *n = cluster_node_find(c, node);
	if (!n)
		return err_set(e, -ENOENT, R_NOT_FOUND, "no machine '%s'", node);
	return node_start(
		c, n, o, o->record_disk, machine_backend(c->backend, o->kernel, c->dir, &why), e);
}

int
cluster_node_kill(const struct cluster *c, const char *node, struct err *e)
{
	const struct cluster_node *n = cluster_node_find(c, node);
	if (!n)
		return err_set(e, -ENOENT, R_NOT_FOUND, "no machine '%s'", node);
	int rc = machine_kill(n->dir);
	return rc < 0 ? err_errno(e, rc, "ending machine '%s'", node) : 0;
}

/* ---- down ---- */

/* folder_remove: a folder of ours and what is in it, two levels deep at most (its whole layout). */
static void
folder_remove(const char *path, int depth)
{
	DIR *d = opendir(path);
	struct dirent *ent;
	char child[1400];
	while (d && (ent = readdir(d))) {
		if (!strcmp(ent->d_name, ".") || !strcmp(ent->d_name, ".."))
			continue;
		snprintf(child, sizeof(child), "%s/%s", path, ent->d_name);
		if (unlink(child) < 0 && depth > 0)
			folder_remove(child, depth - 1);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

int
cluster_down(const char *dir, int grace_ms, bool forget, struct err *e)
{
	struct cluster *c = calloc(1, sizeof(*c));
	if (!c)
		return err_errno(e, -ENOMEM, "cluster");
	int rc = cluster_load(dir, c, e);
	if (rc == -ENOENT) {
		err_clear(e);
		free(c);
		return 0;
	}
	for (unsigned i = 0; rc == 0 && i < c->n_nodes && grace_ms > 0; i++)
		if (machine_pid(c->nodes[i].dir) > 0)
			machine_powerdown(c->run_dir, c->nodes[i].name, NULL);
	int64_t until = clock_mono_ns() + grace_ms * NS_PER_MS;
	for (unsigned i = 0; rc == 0 && i < c->n_nodes; i++) {
		int64_t left = (until - clock_mono_ns()) / NS_PER_MS;
		if (machine_wait_end(c->nodes[i].dir, left > 0 ? (int)left : 0) < 0)
			rc = machine_kill(c->nodes[i].dir);
		if (rc < 0)
			err_errno(e, rc, "ending machine '%s'", c->nodes[i].name);
	}
	if (rc == 0) {
		char pid_path[600];
		fabric_pid_path(c, pid_path, sizeof(pid_path));
		rc = process_kill(pid_path, SIGTERM, 3000);
		folder_remove(c->run_dir, 0);
		if (forget)
			folder_remove(c->dir, 1);
	}
	free(c);
	return rc;
}

int
cluster_status(const char *dir, struct err *e)
{
	struct cluster *c = calloc(1, sizeof(*c));
	int rc = c ? cluster_load(dir, c, e) : err_errno(e, -ENOMEM, "cluster");
	for (unsigned i = 0; rc == 0 && i < c->n_nodes; i++) {
		const struct cluster_node *n = &c->nodes[i];
		pid_t pid = machine_pid(n->dir);
		printf("%-10s %-8s %-12s %s", n->name, n->control ? "control" : "node", n->v4,
			pid > 0 ? "running" : "off");
		if (pid > 0)
			printf(" (pid %d)", (int)pid);
		putchar('\n');
	}
	if (rc == 0) {
		_cleanup_buf_ struct buf out = BUF_INIT;
		if (cluster_fabric(c, "status", &out, NULL) == 0)
			printf(STR_FMT, STR_ARG(buf_view(&out)));
		else
			puts("fabric     off");
	}
	free(c);
	return rc;
}

/* ---- console ---- */

static int
console_pump(int sock)
{
	struct pollfd p[2] = {{.fd = 0, .events = POLLIN}, {.fd = sock, .events = POLLIN}};
	char data[4096];
	while (poll(p, 2, -1) > 0) {
		for (int i = 0; i < 2; i++) {
			if (!(p[i].revents & (POLLIN | POLLHUP)))
				continue;
			ssize_t n = read(p[i].fd, data, sizeof(data));
			if (n <= 0 || (i == 0 && memchr(data, 0x1d, (size_t)n)))
				return 0;
			if (write(i == 0 ? sock : 1, data, (size_t)n) < 0)
				return -errno;
		}
	}
	return -errno;
}

int
cluster_console(const struct cluster *c, const char *node, struct err *e)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	if (!cluster_node_find(c, node))
		return err_set(e, -ENOENT, R_NOT_FOUND, "no machine '%s'", node);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s.console", c->run_dir, node);
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_errno(e, -errno, "connecting to the console of '%s'", node);
	struct termios before, raw;
	bool tty = tcgetattr(0, &before) == 0;
	if (tty) {
		raw = before;
		cfmakeraw(&raw);
		tcsetattr(0, TCSANOW, &raw);
		fputs("console of the machine; Ctrl-] leaves\r\n", stderr);
	}
	int rc = console_pump(fd);
	if (tty)
		tcsetattr(0, TCSANOW, &before);
	return rc < 0 ? err_errno(e, rc, "console of '%s'", node) : 0;
}
