/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Volumes from API objects: names, atomic updates, modes, what goes when a key goes. */
#include "storage/volume/files.c"

#include "tests/unit/test.h"

static char dir[64];

static void
fresh(void)
{
	str_copy_c(STR("/tmp/keelson-volume-XXXXXX"), dir, sizeof(dir));
	CHECK(mkdtemp(dir) != NULL);
}

static void
done(void)
{
	CHECK_INT(volume_remove_at(AT_FDCWD, dir), 0);
	CHECK(access(dir, F_OK) < 0);
}

static struct str
content(const char *name, struct buf *b)
{
	char path[200];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	buf_clear(b);
	return disk_read_file(path, 4096, b) < 0 ? STR_NONE : buf_view(b);
}

TEST(paths_that_lead_out_are_refused)
{
	CHECK(volume_files_path_ok(STR("a")));
	CHECK(volume_files_path_ok(STR("a/b.c")));
	CHECK(!volume_files_path_ok(STR("")));
	CHECK(!volume_files_path_ok(STR("/a")));
	CHECK(!volume_files_path_ok(STR("../a")));
	CHECK(!volume_files_path_ok(STR("a/../b")));
	CHECK(!volume_files_path_ok(STR("..data")));
	CHECK(!volume_files_path_ok(STR("a//b")));
	CHECK(!volume_files_path_ok(STR("a/.")));
}

TEST(files_appear_change_and_go)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	const struct volume_file one[] = {
		{STR("key"), STR("value"), 0644, 0}, {STR("deep/er/file"), STR("x"), 0400, 0}};
	const struct volume_file two[] = {{STR("key"), STR("other"), 0600, 0}};
	bool changed = false;
	struct stat st;
	char path[200];
	fresh();
	CHECK_INT(volume_files_write(dir, one, 2, false, VOLUME_NO_GROUP, &changed, NULL), 0);
	CHECK(changed);
	CHECK_STR(content("key", &b), "value");
	CHECK_STR(content("deep/er/file", &b), "x");
	CHECK_INT(volume_files_write(dir, one, 2, false, VOLUME_NO_GROUP, &changed, NULL), 0);
	CHECK(!changed);
	CHECK_INT(volume_files_write(dir, two, 1, false, VOLUME_NO_GROUP, &changed, NULL), 0);
	CHECK(changed);
	CHECK_STR(content("key", &b), "other");
	CHECK(!str_is_set(content("deep/er/file", &b)));
	snprintf(path, sizeof(path), "%s/key", dir);
	CHECK(stat(path, &st) == 0);
	CHECK_INT(st.st_mode & 0777, 0600);
	done();
}

/* A reader that opened the folder before an update goes on seeing the old files whole. */
TEST(an_open_version_stays_whole)
{
	const struct volume_file one[] = {
		{STR("a"), STR("1"), 0644, 0}, {STR("b"), STR("1"), 0644, 0}};
	const struct volume_file two[] = {
		{STR("a"), STR("2"), 0644, 0}, {STR("b"), STR("2"), 0644, 0}};
	char path[200], got[4] = "";
	fresh();
	CHECK_INT(volume_files_write(dir, one, 2, false, VOLUME_NO_GROUP, NULL, NULL), 0);
	snprintf(path, sizeof(path), "%s/a", dir);
	int fd = open(path, O_RDONLY);
	CHECK_INT(volume_files_write(dir, two, 2, false, VOLUME_NO_GROUP, NULL, NULL), 0);
	CHECK(read(fd, got, sizeof(got)) == 1);
	CHECK_INT(got[0], '1');
	close(fd);
	done();
}

TEST(bad_names_change_nothing)
{
	const struct volume_file bad[] = {
		{STR("ok"), STR("1"), 0644, 0}, {STR("../up"), STR("1"), 0644, 0}};
	struct err e = {0};
	fresh();
	CHECK_INT(volume_files_write(dir, bad, 2, false, VOLUME_NO_GROUP, NULL, &e), -EINVAL);
	CHECK_STR(str_c(e.msg), "invalid path '../up' in a volume");
	done();
}

/* Every look at the volume wrote it anew. */
TEST(a_group_that_may_read_is_no_change)
{
	const struct volume_file one[] = {{STR("key"), STR("value"), 0400, 1000}};
	bool changed = false;
	struct stat st;
	char path[200];
	if (geteuid() != 0)
		SKIP("needs root");
	fresh();
	CHECK_INT(volume_files_write(dir, one, 1, false, 2000, &changed, NULL), 0);
	CHECK(changed);
	snprintf(path, sizeof(path), "%s/key", dir);
	CHECK(stat(path, &st) == 0);
	CHECK_INT(st.st_mode & 0777, 0440);
	CHECK_INT(st.st_uid, 1000);
	CHECK_INT(st.st_gid, 2000);
	CHECK_INT(volume_files_write(dir, one, 1, false, 2000, &changed, NULL), 0);
	CHECK(!changed);
	done();
}
