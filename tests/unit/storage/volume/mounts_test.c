/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Volumes that are mounts; needs root and a mount namespace of its own, else it is skipped. */
#include "storage/volume/mounts.c"

#include "tests/unit/test.h"

#include <sched.h>

static char dir[64];

static bool
fresh(void)
{
	static bool own;
	if (!own &&
		(geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
			mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0))
		return false;
	own = true;
	str_copy_c(STR("/tmp/keelson-mounts-XXXXXX"), dir, sizeof(dir));
	return mkdtemp(dir) != NULL;
}

static const char *
below(const char *name)
{
	static char path[2][200];
	static int turn;
	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
	return path[turn];
}

TEST(memory_volume_has_its_size_and_goes)
{
	struct statfs fs;
	struct stat st;
	if (!fresh())
		SKIP("needs root");
	CHECK_INT(volume_empty_dir(below("m"), true, 1 << 20, 2000, NULL), 0);
	CHECK_INT(volume_empty_dir(below("m"), true, 1 << 20, 2000, NULL), 0);
	CHECK(statfs(below("m"), &fs) == 0);
	CHECK_INT(fs.f_blocks * (uint64_t)fs.f_bsize, 1 << 20);
	CHECK(volume_is_mount(below("m")));
	CHECK(stat(below("m"), &st) == 0);
	CHECK_INT(st.st_mode & 07777, 03777);
	CHECK_INT(st.st_gid, 2000);
	CHECK_INT(volume_teardown(dir, NULL), 0);
	CHECK(access(dir, F_OK) < 0);
}

/* A database that takes its folder for itself alone finds it so after the pod's other volumes changed. */
TEST(an_empty_dir_stays_as_its_users_made_it)
{
	struct stat st;
	if (!fresh())
		SKIP("needs root");
	CHECK_INT(volume_empty_dir(below("v/d"), false, 0, 2000, NULL), 0);
	CHECK(stat(below("v/d"), &st) == 0);
	CHECK_INT(st.st_mode & 07777, 02777);
	CHECK_INT(st.st_gid, 2000);
	CHECK(chmod(below("v/d"), 0700) == 0);
	CHECK_INT(volume_empty_dir(below("v/d"), false, 0, 2000, NULL), 0);
	CHECK(stat(below("v/d"), &st) == 0);
	CHECK_INT(st.st_mode & 07777, 0700);
	CHECK_INT(volume_teardown(dir, NULL), 0);
}

TEST(a_local_path_that_is_not_there_is_made_only_when_it_is_ours)
{
	struct err e = {0};
	struct stat st;
	if (!fresh())
		SKIP("needs root");
	CHECK_INT(volume_local_dir(below("l"), false, &e), -ENOENT);
	CHECK(str_ends(str_c(e.msg), STR("/l\" does not exist")));
	CHECK_INT(volume_local_dir(below("l"), true, NULL), 0);
	CHECK(stat(below("l"), &st) == 0);
	CHECK_INT(st.st_mode & 07777, 0777);
	CHECK_INT(volume_teardown(dir, NULL), 0);
}

TEST(teardown_follows_no_link)
{
	if (!fresh())
		SKIP("needs root");
	char outside[200];
	snprintf(outside, sizeof(outside), "%s-outside", dir);
	CHECK_INT(disk_mkdirs(outside, 0755), 0);
	CHECK(symlink(outside, below("link")) == 0);
	CHECK_INT(volume_teardown(dir, NULL), 0);
	CHECK(access(outside, F_OK) == 0);
	CHECK(rmdir(outside) == 0);
}

TEST(host_path_types)
{
	struct err e = {0};
	if (!fresh())
		SKIP("needs root");
	CHECK_INT(volume_host_path(below("d"), STR("Directory"), &e), -ENOENT);
	CHECK_INT(volume_host_path(below("d"), STR("DirectoryOrCreate"), NULL), 0);
	CHECK_INT(volume_host_path(below("f"), STR("FileOrCreate"), NULL), 0);
	CHECK_INT(volume_host_path(below("f"), STR("Directory"), &e), -EINVAL);
	CHECK(str_ends(str_c(e.msg), STR("/f is not a directory")));
	CHECK(access(below("none"), F_OK) < 0);
	CHECK_INT(volume_host_path(below("none"), STR(""), NULL), 0);
	CHECK_INT(volume_host_path(below("none"), STR("Directory"), NULL), 0);
	CHECK_INT(volume_teardown(dir, NULL), 0);
}

TEST(group_of_a_volume)
{
	struct stat st;
	if (!fresh())
		SKIP("needs root");
	CHECK_INT(disk_mkdirs(below("v/sub"), 0755), 0);
	CHECK_INT(disk_write_file(below("v/sub/f"), STR("x"), 0600), 0);
	CHECK_INT(volume_set_group(below("v"), 3000, false, NULL), 0);
	CHECK(stat(below("v/sub/f"), &st) == 0);
	CHECK_INT(st.st_gid, 3000);
	CHECK_INT(st.st_mode & 0777, 0660);
	CHECK(stat(below("v/sub"), &st) == 0);
	CHECK_INT(st.st_mode & 07777, 02775);
	CHECK(volume_usage(below("v")) > 0);
	CHECK_INT(volume_teardown(dir, NULL), 0);
}
