/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * main: the schema compiler, a program of the build host.
 *   schemac OUTDIR FILE.schema...    writes OUTDIR/<group>_<version>.h for each and OUTDIR/tables.c
 * The order of the files does not matter, except that projections come last. */
#include "orchestrator/schema/compile/model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct str
read_all(struct arena *a, const char *path)
{
	struct buf b;
	FILE *f = fopen(path, "rb");

	buf_init_arena(&b, a);
	if (f == NULL)
		die(str_c(path), 0, "%s", strerror(errno));
	for (;;) {
		char *p = buf_reserve(&b, 65536);
		size_t n = p ? fread(p, 1, 65536, f) : 0;

		if (n == 0)
			break;
		buf_commit(&b, n);
	}
	fclose(f);
	return buf_view(&b);
}

/* write_file: only when it differs, so that nothing is built again for nothing. */
static void
write_file(struct arena *a, const char *dir, const char *name, struct buf *b)
{
	struct str path = arena_fmt(a, "%s/%s", dir, name);
	FILE *f = fopen(path.p, "rb");

	if (f) {
		fclose(f);
		if (str_eq(read_all(a, path.p), buf_view(b)))
			return;
	}
	f = fopen(path.p, "wb");
	if (f == NULL || fwrite(b->data, 1, b->len, f) != b->len || fclose(f) != 0)
		die(path, 0, "cannot write: %s", strerror(errno));
}

int
main(int argc, char **argv)
{
	struct model m = {.a = arena_new(1u << 30)};
	struct buf b;

	if (argc < 3 || m.a == NULL) {
		fprintf(stderr, "usage: schemac OUTDIR FILE.schema...\n");
		return 2;
	}
	for (int i = 2; i < argc; i++)
		model_parse(&m, str_c(argv[i]), read_all(m.a, argv[i]));
	model_link(&m);
	for (size_t i = 0; i <= m.n_groups; i++) {
		struct str label = i < m.n_groups ? m.groups[i].label : STR("projections");
		struct str version = i < m.n_groups ? m.groups[i].version : STR("v1");

		buf_init_arena(&b, m.a);
		emit_structs(&m, label, version, &b);
		write_file(m.a, argv[1],
			arena_fmt(m.a, STR_FMT "_" STR_FMT ".h", STR_ARG(label), STR_ARG(version))
				.p,
			&b);
	}
	buf_init_arena(&b, m.a);
	emit_tables(&m, &b);
	write_file(m.a, argv[1], "tables.c", &b);
	if (arena_failed(m.a)) {
		fprintf(stderr, "schemac: out of memory\n");
		return 1;
	}
	return 0;
}
