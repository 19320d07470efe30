/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * tar_test: the tar parser on archives made by tar(1) in every format, cut into pieces of every size;
 * extraction that stays inside; manifests. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/disk.h"
#include "orchestrator/runtime/image/extract.h"
#include "orchestrator/runtime/image/manifest.h"
#include "orchestrator/runtime/image/tar.c"
#include "tests/unit/test.h"

static struct buf seen;

static int
see_entry(void *arg, const struct tar_entry *t)
{
	(void)arg;
	buf_fmt(&seen, "%d " STR_FMT " " STR_FMT " %o %u %u %llu %lld", t->type, STR_ARG(t->name),
		STR_ARG(t->link), t->mode, t->uid, t->gid, (unsigned long long)t->size,
		(long long)t->mtime_ns);
	for (size_t i = 0; i < t->n_xattrs; i++)
		buf_fmt(&seen, " " STR_FMT "=" STR_FMT, STR_ARG(t->xattrs[i].name),
			STR_ARG(t->xattrs[i].value));
	buf_char(&seen, '\n');
	return 0;
}

static uint64_t data_sum, data_bytes;

static int
see_data(void *arg, uint64_t at, struct str bytes)
{
	(void)arg;
	for (size_t i = 0; i < bytes.n; i++)
		data_sum += (at + i + 1) * (uint8_t)bytes.p[i];
	data_bytes += bytes.n;
	return 0;
}

static int
see_end(void *arg)
{
	(void)arg;
	return 0;
}

static const struct tar_ops see = {see_entry, see_data, see_end};

static int
parse(struct str tar, size_t piece, struct err *e)
{
	struct tar *t = tar_new(&see, NULL);
	int rc = 0;

	buf_clear(&seen);
	data_sum = data_bytes = 0;
	while (!rc && tar.n) {
		struct str part = str_sub(tar, 0, piece);

		rc = tar_push(t, part, e);
		tar = str_sub(tar, part.n, SIZE_MAX);
	}
	if (!rc)
		rc = tar_finish(t, e);
	tar_free(t);
	return rc;
}

static int
run(const char *cmd)
{
	int status = 0;
	int pid = fork();

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return status;
}

TEST(archives_of_every_format_read_alike_in_pieces_of_any_size)
{
	static const char *const formats[] = {"gnu", "pax", "ustar", "v7", "gnu -S",
		"pax -S --sparse-version=0.0", "pax -S --sparse-version=0.1",
		"pax -S --sparse-version=1.0"};
	static const size_t pieces[] = {1, 7, 512, 513, 100000};
	char cmd[1024];
	char path[160];

	snprintf(cmd, sizeof(cmd),
		"cd %s && mkdir -p t/sub && echo hello >t/file && ln -sf file t/link && "
		"ln -f t/file t/hard && truncate -s 300000 t/sub/sparse && printf end >>t/sub/sparse && "
		"printf x | dd of=t/sub/sparse bs=1 seek=100000 conv=notrunc 2>/dev/null && chmod 4750 t/file && "
		"touch -d @1700000000 t/file t/sub/sparse t/sub t",
		TEST_TMP);
	CHECK_INT(run(cmd), 0);
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		struct buf tar = BUF_INIT;
		uint64_t sum = 0;
		struct str first = STR_NONE;
		struct buf keep = BUF_INIT;

		snprintf(cmd, sizeof(cmd),
			"cd %s && tar --format=%s --owner=12 --group=34 --numeric-owner "
			"-cf out.tar t",
			TEST_TMP, formats[i]);
		CHECK_INT(run(cmd), 0);
		snprintf(path, sizeof(path), "%s/out.tar", TEST_TMP);
		CHECK_INT(disk_read_file(path, 4 << 20, &tar), 0);
		for (size_t k = 0; k < ARRAY_LEN(pieces); k++) {
			struct err e = {0};

			if (parse(buf_view(&tar), pieces[k], &e))
				TEST_FAIL_("%s in pieces of %zu: %s", formats[i], pieces[k], e.msg);
			CHECK(str_find(buf_view(&seen),
				      STR("0 t/file  4750 12 34 6 1700000000000000000\n")) >= 0 ||
				str_find(buf_view(&seen),
					STR("0 t/hard  4750 12 34 6 1700000000000000000\n")) >= 0);
			CHECK(str_find(buf_view(&seen), STR("0 t/sub/sparse  644 12 34 300003 ")) >=
				0);
			CHECK(str_find(buf_view(&seen), STR("2 t/link file ")) >= 0);
			if (k == 0) {
				sum = data_sum;
				buf_str(&keep, buf_view(&seen));
				first = buf_view(&keep);
			}
			CHECK_STR(buf_view(&seen), first);
			CHECK(data_sum == sum);
		}
		/* Holes are not in the archive, and 'x', 'end' and "hello\n" are where they belong. */
		if (strstr(formats[i], "-S"))
			CHECK(data_bytes < 100000);
		CHECK(sum ==
			100001ull * 'x' + 300001ull * 'e' + 300002ull * 'n' + 300003ull * 'd' +
				1 * 'h' + 2 * 'e' + 3 * 'l' + 4 * 'l' + 5 * 'o' + 6 * '\n');
		/* Cut anywhere it is an error or a shorter list, never a crash. */
		for (size_t n = 0; n < tar.len && n < 6000; n += 97)
			parse(str_sub(buf_view(&tar), 0, n), 4096, NULL);
		buf_release(&tar);
		buf_release(&keep);
	}
}

TEST(long_names_and_xattrs)
{
	char cmd[1024];
	char path[160];
	struct buf tar = BUF_INIT;
	static const char *const formats[] = {"gnu", "pax"};

	for (size_t i = 0; i < 2; i++) {
		snprintf(cmd, sizeof(cmd),
			"cd %s && rm -rf l && d=l/$(printf 'x%%.0s' $(seq 200)) && mkdir -p $d && "
			"touch $d/$(printf 'y%%.0s' $(seq 150)) && tar --format=%s -cf out.tar l",
			TEST_TMP, formats[i]);
		CHECK_INT(run(cmd), 0);
		snprintf(path, sizeof(path), "%s/out.tar", TEST_TMP);
		buf_clear(&tar);
		CHECK_INT(disk_read_file(path, 4 << 20, &tar), 0);
		CHECK_INT(parse(buf_view(&tar), 100, NULL), 0);
		CHECK(str_find(buf_view(&seen), STR("xxxxxxxxx/yyyyyyyyyyy")) >= 0);
	}
	buf_release(&tar);
}

static void
header_add(struct buf *b, const char *name, char type, const char *link, struct str data)
{
	char h[512] = {0};
	unsigned sum = 0;

	snprintf(h, 100, "%s", name);
	snprintf(h + 100, 8, "%07o", 0644);
	snprintf(h + 108, 8, "%07o", (unsigned)getuid());
	snprintf(h + 116, 8, "%07o", (unsigned)getgid());
	snprintf(h + 124, 12, "%011llo", (unsigned long long)data.n);
	memset(h + 148, ' ', 8);
	h[156] = type;
	snprintf(h + 157, 100, "%s", link);
	for (size_t i = 0; i < 512; i++)
		sum += (uint8_t)h[i];
	snprintf(h + 148, 8, "%06o", sum);
	buf_add(b, h, 512);
	buf_str(b, data);
	memset(h, 0, sizeof(h));
	buf_add(b, h, (512 - data.n % 512) % 512);
}

static int
extract(const struct buf *tar, const char *dir, uint64_t max, struct err *e)
{
	char path[200];
	int root = -1;
	struct extract *x = NULL;
	struct tar *t = NULL;
	int rc = 0;

	snprintf(path, sizeof(path), "%s/%s", TEST_TMP, dir);
	mkdir(path, 0755);
	root = open(path, O_RDONLY | O_DIRECTORY);
	x = extract_new(root, NULL, 0, max, 1000);
	t = tar_new(&extract_tar_ops, x);
	rc = tar_push(t, buf_view(tar), e);
	if (rc)
		*e = *extract_err(x);
	if (!rc)
		rc = extract_finish(x, e);
	tar_free(t);
	extract_free(x);
	close(root);
	return rc;
}

TEST(nothing_leaves_the_folder)
{
	struct buf tar = BUF_INIT;
	struct err e = {0};
	struct stat st = {0};
	char path[200];

	if (geteuid() != 0)
		SKIP("changing owners needs root");
	header_add(&tar, "../up", '0', "", STR("x"));
	CHECK_INT(extract(&tar, "x1", 1 << 20, &e), -EBADMSG);
	buf_clear(&tar);
	/* A link to outside as a folder: what is written through it lands inside. */
	snprintf(path, sizeof(path), "%s/outside", TEST_TMP);
	mkdir(path, 0755);
	header_add(&tar, "evil", '2', path, STR(""));
	header_add(&tar, "evil/file", '0', "", STR("x"));
	header_add(&tar, "abs", '2', "/etc", STR(""));
	header_add(&tar, "abs/file", '0', "", STR("x"));
	header_add(&tar, "/rooted", '0', "", STR("x"));
	extract(&tar, "x2", 1 << 20, &e);
	snprintf(path, sizeof(path), "%s/outside/file", TEST_TMP);
	CHECK(lstat(path, &st) != 0);
	CHECK(lstat("/etc/file", &st) != 0);
	/* A file that stands where a link was replaces the link, not its target. */
	buf_clear(&tar);
	snprintf(path, sizeof(path), "%s/target", TEST_TMP);
	CHECK_INT(disk_write_file(path, STR("keep"), 0644), 0);
	header_add(&tar, "f", '2', path, STR(""));
	header_add(&tar, "f", '0', "", STR("new"));
	CHECK_INT(extract(&tar, "x3", 1 << 20, &e), 0);
	CHECK(lstat(path, &st) == 0 && st.st_size == 4);
	buf_clear(&tar);
	header_add(&tar, "h", '1', "../../target", STR(""));
	CHECK_INT(extract(&tar, "x4", 1 << 20, &e), -EBADMSG);
	buf_clear(&tar);
	header_add(&tar, "big", '0', "", STR("0123456789"));
	CHECK_INT(extract(&tar, "x5", 4100, &e), -ENOSPC);
	buf_release(&tar);
}

#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"

TEST(manifests)
{
	struct arena *a = arena_new(0);
	struct image_manifest m = {0};
	struct image_config c = {0};
	struct err e = {0};

	CHECK_INT(
		image_manifest_parse(a,
			STR("{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"" D1
			    "\",\"size\":3,\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\"}},{\"digest\":\"" D2
			    "\",\"size\":4,\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}]}"),
			STR_NONE, STR("amd64"), &m, &e),
		0);
	CHECK(m.is_index);
	CHECK_STR(m.chosen.digest, D2);
	CHECK_INT(image_manifest_parse(a, STR("{\"schemaVersion\":2,\"manifests\":[]}"), STR_NONE,
			  STR("amd64"), &m, &e),
		-ENOENT);
	CHECK(strstr(e.msg, "no match for platform"));
	CHECK_INT(
		image_manifest_parse(a,
			STR("{\"config\":{\"digest\":\"" D1 "\",\"size\":3},\"layers\":[{"
			    "\"mediaType\":\"application/vnd.docker.image.rootfs.diff.tar.gzip\",\"digest\":\"" D2
			    "\",\"size\":9}]}"),
			STR("application/vnd.docker.distribution.manifest.v2+json; charset=utf-8"),
			STR("amd64"), &m, &e),
		0);
	CHECK_INT(m.n_layers, 1);
	CHECK_INT(m.layers[0].compression, IMAGE_GZIP);
	CHECK_INT(image_manifest_parse(
			  a, STR("{\"schemaVersion\":1}"), STR_NONE, STR("amd64"), &m, &e),
		-EPROTONOSUPPORT);
	CHECK_INT(image_manifest_parse(a,
			  STR("{\"schemaVersion\":2,\"config\":{\"digest\":\"sha256:../../x\","
			      "\"size\":3}}"),
			  STR_NONE, STR("amd64"), &m, &e),
		-EINVAL);
	CHECK_INT(
		image_manifest_parse(a,
			STR("{\"schemaVersion\":2,\"config\":{\"digest\":\"" D1 "\",\"size\":-1}}"),
			STR_NONE, STR("amd64"), &m, &e),
		-EINVAL);
	CHECK_INT(
		image_config_parse(a,
			STR("{\"architecture\":\"amd64\",\"config\":{\"Env\":[\"A=1\"],"
			    "\"Volumes\":{\"/data\":{}},\"User\":\"nginx\"},\"rootfs\":{\"diff_ids\":[\"" D1
			    "\"]}}"),
			&c, &e),
		0);
	CHECK_STR(c.env[0], "A=1");
	CHECK_STR(c.volumes[0], "/data");
	CHECK_INT(c.n_diff_ids, 1);
	CHECK_INT(
		image_config_parse(a, STR("{\"rootfs\":{\"diff_ids\":[\"x\"]}}"), &c, &e), -EINVAL);
	arena_free(a);
}
