/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cluster_files: the folder of a test cluster: cluster.yaml, and for each machine its configuration,
 * its initrd (the image's initramfs with a cpio archive behind it that holds the configuration) and its
 * disk. Sources: docs/machine-config.md; Linux early-userspace/buffer-format.rst (newc). */
#include "qemu/cluster.h"

#include "base/disk.h"
#include "base/doc.h"
#include "base/hash.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void
cluster_layout(struct cluster *c)
{
	uint32_t h = hash_fnv32a(str_c(c->dir));
	snprintf(c->run_dir, sizeof(c->run_dir), "/tmp/keelson-%u-%08x", (unsigned)getuid(), h);
	for (unsigned i = 0; i < c->n_nodes; i++) {
		struct cluster_node *n = &c->nodes[i];
		static const uint8_t prefix[4] = {0x52, 0x54, 0x00, 0x77};
		char path[sizeof(n->dir)];
		snprintf(n->name, sizeof(n->name), "node-%u", i + 1);
		snprintf(path, sizeof(path), "%s/node-%u", c->dir, i + 1);
		memcpy(n->dir, path, sizeof(path));
		memcpy(n->mac, prefix, sizeof(prefix));
		n->mac[4] = 1;
		n->mac[5] = (uint8_t)(11 + i);
		snprintf(n->v4, sizeof(n->v4), "10.77.0.%u", 11 + i);
		n->control = i < c->n_control;
	}
}

const struct cluster_node *
cluster_node_find(const struct cluster *c, const char *name)
{
	for (unsigned i = 0; i < c->n_nodes; i++)
		if (!strcmp(c->nodes[i].name, name))
			return &c->nodes[i];
	return NULL;
}

static const char *const backend_names[] = {
	[BACKEND_AUTO] = "auto", [BACKEND_KVM] = "kvm", [BACKEND_TCG] = "tcg"};

int
cluster_save(const struct cluster *c, struct err *e)
{
	char path[600];
	_cleanup_buf_ struct buf b = BUF_INIT;
	snprintf(path, sizeof(path), "%s/cluster.yaml", c->dir);
	buf_fmt(&b, "nodes: %u\ncontrol: %u\nmemMiB: %u\ncpus: %u\ndiskGiB: %u\n", c->n_nodes,
		c->n_control, c->mem_mib, c->cpus, c->disk_gib);
	buf_fmt(&b, "backend: %s\napiPort: %u\n", backend_names[c->backend], c->api_port);
	buf_cstr(&b, "registries: [");
	for (size_t i = 0; i < ARRAY_LEN(c->registries) && c->registries[i][0]; i++) {
		buf_cstr(&b, i ? ", " : "");
		doc_json_string(&b, str_c(c->registries[i]));
	}
	buf_cstr(&b, "]\nhost: ");
	doc_json_string(&b, str_c(c->host));
	buf_char(&b, '\n');
	int rc = b.failed ? -ENOMEM : disk_write_file(path, buf_view(&b), 0644);
	return rc < 0 ? err_errno(e, rc, "writing '%s'", path) : 0;
}

static unsigned
field(const struct doc *d, const char *name, unsigned absent)
{
	int64_t v = doc_get_int(d, str_c(name), absent);
	return v < 0 || v > 1 << 20 ? absent : (unsigned)v;
}

static void
registries_read(struct doc *list, struct cluster *ret)
{
	size_t n = 0;
	DOC_EACH (d, list)
		if (n < ARRAY_LEN(ret->registries))
			str_copy_c(doc_as_str(d), ret->registries[n++], sizeof(ret->registries[0]));
}

int
cluster_load(const char *dir, struct cluster *ret, struct err *e)
{
	char path[600];
	_cleanup_buf_ struct buf b = BUF_INIT;
	snprintf(path, sizeof(path), "%s/cluster.yaml", dir);
	int rc = disk_read_file(path, 1 << 16, &b);
	if (rc < 0)
		return rc == -ENOENT ? err_set(e, rc, R_NOT_FOUND, "no cluster in '%s'", dir)
				     : err_errno(e, rc, "reading '%s'", path);
	struct arena *a = arena_new(1 << 20);
	struct str rest = buf_view(&b);
	struct doc *d = NULL;
	rc = a ? doc_parse_yaml(a, &rest, NULL, &d, e) : -ENOMEM;
	if (rc == 0) {
		memset(ret, 0, sizeof(*ret));
		str_copy_c(str_c(dir), ret->dir, sizeof(ret->dir));
		ret->n_nodes = field(d, "nodes", 3);
		ret->n_control = field(d, "control", 1);
		ret->mem_mib = field(d, "memMiB", 512);
		ret->cpus = field(d, "cpus", 1);
		ret->disk_gib = field(d, "diskGiB", 8);
		ret->api_port = field(d, "apiPort", 0);
		for (size_t i = 0; i < ARRAY_LEN(backend_names); i++)
			if (str_eq_c(doc_get_str(d, STR("backend")), backend_names[i]))
				ret->backend = (enum backend)i;
		registries_read(doc_get(d, STR("registries")), ret);
		str_copy_c(doc_get_str(d, STR("host")), ret->host, sizeof(ret->host));
		if (ret->n_nodes == 0 || ret->n_nodes > CLUSTER_NODES_MAX)
			rc = err_set(e, -EINVAL, R_INVALID, "'%s': nodes must be 1 to %d", path,
				CLUSTER_NODES_MAX);
		cluster_layout(ret);
	}
	arena_free(a);
	return rc;
}

/* block: a YAML block scalar, indented. */
static void
block(struct buf *b, const char *indent, struct str text)
{
	struct str rest = text, line;
	buf_cstr(b, "|\n");
	while (str_next(&rest, '\n', &line))
		if (line.n)
			buf_fmt(b, "%s" STR_FMT "\n", indent, STR_ARG(line));
}

static int
read_pki(const struct cluster *c, const char *name, struct buf *b, struct err *e)
{
	char path[600];
	snprintf(path, sizeof(path), "%s/pki/%s", c->dir, name);
	int rc = disk_read_file(path, 1 << 16, b);
	return rc < 0 ? err_errno(e, rc, "reading '%s'", path) : 0;
}

static int
put_registry(const char *registry, struct buf *b, struct err *e)
{
	struct str prefix, ca_path;
	if (!str_cut(str_c(registry), '=', &prefix, &ca_path))
		return err_set(
			e, -EINVAL, R_INVALID, "registry '%s': want HOST[:PORT]=CA-FILE", registry);
	char path[600];
	_cleanup_buf_ struct buf ca = BUF_INIT;
	str_copy_c(ca_path, path, sizeof(path));
	int rc = disk_read_file(path, 1 << 16, &ca);
	if (rc < 0)
		return err_errno(e, rc, "reading the registry's authority '%s'", path);
	buf_fmt(b, "- prefix: \"" STR_FMT "\"\n  ca: ", STR_ARG(prefix));
	block(b, "    ", buf_view(&ca));
	return 0;
}

/* machine_yaml: see docs/machine-config.md. */
static int
machine_yaml(const struct cluster *c, const struct cluster_node *n, struct buf *b, struct err *e)
{
	_cleanup_buf_ struct buf ca = BUF_INIT, key = BUF_INIT, token = BUF_INIT;
	int rc = read_pki(c, "ca.crt", &ca, e);
	if (rc == 0 && n->control)
		rc = read_pki(c, "ca.key", &key, e);
	if (rc == 0)
		rc = read_pki(c, "token", &token, e);
	if (rc < 0)
		return rc;
	buf_fmt(b, "apiVersion: os.keelson.dev/v1alpha1\nkind: MachineConfig\nname: %s\n", n->name);
	buf_fmt(b, "roles: [%snode]\n", n->control ? "control, " : "");
	buf_cstr(b, "network:\n  dhcp: true\ndisks:\n  data: /dev/vda\n");
	buf_fmt(b, "cluster:\n  name: keelson\n  endpoint: https://%s:6443\n", c->nodes[0].v4);
	buf_cstr(b, "  ca: ");
	block(b, "    ", buf_view(&ca));
	if (n->control) {
		buf_cstr(b, "  caKey: ");
		block(b, "    ", buf_view(&key));
	}
	buf_fmt(b, "  bootstrapToken: " STR_FMT "\n", STR_ARG(str_trim(buf_view(&token))));
	buf_cstr(b,
		"  dnsDomain: cluster.local\n"
		"  dnsAddresses: [10.96.0.10, \"fd00:10:96::a\"]\n"
		"  podCIDRs: [10.244.0.0/16, \"fd00:10:244::/48\"]\n"
		"  serviceCIDRs: [10.96.0.0/16, \"fd00:10:96::/112\"]\n");
	if (c->registries[0][0])
		buf_cstr(b, "registries:\n");
	for (size_t i = 0; i < ARRAY_LEN(c->registries) && c->registries[i][0] && rc == 0; i++)
		rc = put_registry(c->registries[i], b, e);
	return rc;
}

static void
cpio_pad(struct buf *b)
{
	while (b->len & 3)
		buf_char(b, 0);
}

static void
cpio_entry(struct buf *b, unsigned ino, const char *name, unsigned mode, struct str data)
{
	buf_fmt(b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", ino, mode, 0u, 0u,
		1u, 0u, (unsigned)data.n, 0u, 0u, 0u, 0u, (unsigned)strlen(name) + 1, 0u);
	buf_add(b, name, strlen(name) + 1);
	cpio_pad(b);
	buf_str(b, data);
	cpio_pad(b);
}

/* initrd_write: the image's archive, padded, then one of our own with the configuration. */
static int
initrd_write(const char *path, const char *initramfs, struct str config)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int rc = disk_read_file(initramfs, 512u << 20, &b);
	if (rc < 0)
		return rc;
	cpio_pad(&b);
	cpio_entry(&b, 1, "etc", 040755, STR(""));
	cpio_entry(&b, 2, "etc/keelson", 040700, STR(""));
	cpio_entry(&b, 3, "etc/keelson/machine.yaml", 0100600, config);
	cpio_entry(&b, 4, "TRAILER!!!", 0, STR(""));
	return b.failed ? -ENOMEM : disk_write_file(path, buf_view(&b), 0600);
}

/* disk_make: a sparse file with an ext4 file system, left as it is when it exists. */
static int
disk_make(const char *path, unsigned gib, struct err *e)
{
	if (disk_exists(path))
		return 0;
	char tmp[800];
	snprintf(tmp, sizeof(tmp), "%s.new", path);
	_cleanup_fd_ int fd = open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)gib << 30) < 0)
		return err_errno(e, -errno, "making the disk '%s'", path);
	char log[800];
	snprintf(log, sizeof(log), "%s.log", path);
	const char *argv[] = {"mke2fs", "-q", "-F", "-t", "ext4", "-L", "keelson-data", "-E",
		"lazy_itable_init=1,lazy_journal_init=1", tmp, NULL};
	pid_t pid = process_start(argv, log, -1, NULL);
	int status = -1;
	if (pid < 0)
		return err_errno(e, (int)pid, "starting mke2fs");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(e, -EIO, R_UNKNOWN, "mke2fs failed on '%s', see '%s'", tmp, log);
	if (rename(tmp, path) < 0)
		return err_errno(e, -errno, "renaming '%s'", tmp);
	return 0;
}

int
cluster_node_files(
	const struct cluster *c, const struct cluster_node *n, const char *initramfs, struct err *e)
{
	char path[700];
	_cleanup_buf_ struct buf config = BUF_INIT;
	int rc = disk_mkdirs(n->dir, 0700);
	if (rc < 0)
		return err_errno(e, rc, "making '%s'", n->dir);
	rc = machine_yaml(c, n, &config, e);
	if (rc < 0)
		return rc;
	snprintf(path, sizeof(path), "%s/machine.yaml", n->dir);
	rc = config.failed ? -ENOMEM : disk_write_file(path, buf_view(&config), 0600);
	if (rc < 0)
		return err_errno(e, rc, "writing '%s'", path);
	snprintf(path, sizeof(path), "%s/initrd", n->dir);
	rc = initrd_write(path, initramfs, buf_view(&config));
	if (rc < 0)
		return err_errno(e, rc, "writing '%s' from '%s'", path, initramfs);
	snprintf(path, sizeof(path), "%s/data.img", n->dir);
	return disk_make(path, c->disk_gib, e);
}
