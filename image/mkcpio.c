/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * mkcpio LIST: writes an initramfs archive to standard output from a list, so that nobody needs to be
 * root to make device nodes and the same input gives the same bytes: no time, no owner, no inode of
 * the machine it is made on goes in. Host program of the build; see image/initramfs.list.
 *
 *   dir NAME MODE                  nod NAME MODE c|b MAJOR MINOR
 *   file NAME PATH MODE            slink NAME TARGET
 *
 * One entry a line, '#' begins a comment; parents come before children (the kernel makes none).
 * Source: Linux Documentation/driver-api/early-userspace/buffer-format.rst ("newc"). */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct entry {
	const char *name;
	uint32_t mode, major, minor;
	const char *data;
	size_t n;
};

static uint32_t next_inode = 1;
static uint64_t written;

static void
die(const char *what, const char *about)
{
	fprintf(stderr, "mkcpio: %s '%s'%s%s\n", what, about, errno ? ": " : "",
		errno ? strerror(errno) : "");
	exit(1);
}

static void
put(const void *p, size_t n)
{
	if (fwrite(p, 1, n, stdout) != n)
		die("writing", "standard output");
	written += n;
}

static void
pad(void)
{
	static const char zeros[4];
	put(zeros, (4 - (written & 3)) & 3);
}

static void
entry_put(const struct entry *e)
{
	char head[111];
	const char *name = e->name[0] == '/' && e->name[1] ? e->name + 1 : e->name;
	bool device = S_ISCHR(e->mode) || S_ISBLK(e->mode);
	uint32_t links = S_ISDIR(e->mode) ? 2 : 1;
	if (e->n > UINT32_MAX)
		die("too large", e->name);
	snprintf(head, sizeof(head), "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		next_inode++, e->mode, 0u, 0u, links, 0u, (uint32_t)e->n, 0u, 0u,
		device ? e->major : 0u, device ? e->minor : 0u, (uint32_t)strlen(name) + 1, 0u);
	put(head, 110);
	put(name, strlen(name) + 1);
	pad();
	put(e->data, e->n);
	pad();
}

static void
file_put(struct entry *e, const char *path)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	if (!f || fstat(fileno(f), &st) < 0)
		die("opening", path);
	size_t n = (size_t)st.st_size;
	char *data = malloc(n + 1);
	if (!data || fread(data, 1, n, f) != n)
		die("reading", path);
	fclose(f);
	e->data = data;
	e->n = n;
	entry_put(e);
	free(data);
}

/* number: octal or decimal as `base` says; the whole word. */
static uint32_t
number(const char *word, int base, const char *line)
{
	char *end = NULL;
	unsigned long v = word ? strtoul(word, &end, base) : 0;
	if (!word || !*word || *end || v > UINT32_MAX)
		die("a number is wrong in", line);
	return (uint32_t)v;
}

static void
line_put(char *line)
{
	char copy[1024], *w[6] = {0};
	size_t n = 0;
	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word; (word = strsep(&line, " \t\n")) && n < 6;)
		if (*word)
			w[n++] = word;
	if (n == 0 || w[0][0] == '#')
		return;
	struct entry e = {.name = w[1], .data = ""};
	errno = 0;
	if (!strcmp(w[0], "dir") && n == 3) {
		e.mode = S_IFDIR | number(w[2], 8, copy);
		entry_put(&e);
	} else if (!strcmp(w[0], "nod") && n == 6) {
		e.mode = (w[3][0] == 'b' ? S_IFBLK : S_IFCHR) | number(w[2], 8, copy);
		e.major = number(w[4], 10, copy);
		e.minor = number(w[5], 10, copy);
		entry_put(&e);
	} else if (!strcmp(w[0], "file") && n == 4) {
		e.mode = S_IFREG | number(w[3], 8, copy);
		file_put(&e, w[2]);
	} else if (!strcmp(w[0], "slink") && n == 3) {
		e.mode = S_IFLNK | 0777;
		e.data = w[2];
		e.n = strlen(w[2]);
		entry_put(&e);
	} else {
		die("do not understand", copy);
	}
}

int
main(int argc, char **argv)
{
	char line[1024];
	FILE *f = argc == 2 ? fopen(argv[1], "r") : NULL;
	if (!f)
		die("usage: mkcpio LIST; cannot open", argc == 2 ? argv[1] : "");
	while (fgets(line, sizeof(line), f))
		line_put(line);
	fclose(f);
	next_inode = 0;
	entry_put(&(struct entry){.name = "TRAILER!!!", .data = ""});
	if (fflush(stdout) != 0)
		die("writing", "standard output");
	return 0;
}
