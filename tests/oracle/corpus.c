/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * corpus: the text of a corpus read and written; see oracle.h. Lines it does not know are an error. */
#include "base/disk.h"
#include "tests/oracle/oracle.h"

#define FILE_MAX ((size_t)1 << 30)

static struct str
line_value(struct str line)
{
	return str_sub(line, 2, SIZE_MAX);
}

static int
list_push(struct arena *a, const struct str **list, size_t *n, struct str s)
{
	struct str *all = NULL;
	memcpy(&all, list, sizeof(all)); /* the list is ours; its readers see it const */
	struct str *at = ARENA_PUSH(a, all, *n);
	*list = all;
	if (!at)
		return -ENOMEM;
	*at = s;
	return 0;
}

static int
number(struct str s, uint32_t max, uint32_t *ret)
{
	uint64_t n = 0;
	if (str_to_u64(s, &n) < 0 || n > max)
		return -EINVAL;
	*ret = (uint32_t)n;
	return 0;
}

static int
step_line(struct arena *a, struct oracle_step *s, char letter, struct str v)
{
	uint32_t n = 0;
	int rc = 0;
	switch (letter) {
	case 'M':
		s->method = v;
		return 0;
	case 'T':
		s->target = v;
		return 0;
	case 'B':
		s->body = v;
		return 0;
	case 'P':
		s->parts = v;
		return 0;
	case 'H':
		return list_push(a, &s->headers, &s->n_headers, v);
	case 'V':
		return list_push(a, &s->captures, &s->n_captures, v);
	case 'R':
		return list_push(a, &s->answer_headers, &s->n_answer_headers, v);
	case 'D':
		return list_push(a, &s->data, &s->n_data, v);
	case 'W':
		return number(v, 1000, &s->events);
	case 'A':
		rc = number(v, 999, &n);
		s->status = (int)n;
		return rc;
	default:
		return -EINVAL;
	}
}

static int
corpus_line(struct arena *a, struct oracle_corpus *c, struct str line)
{
	struct str v = line_value(line);
	struct oracle_case *k = c->n_cases ? &c->cases[c->n_cases - 1] : NULL;
	if (line.p[0] == 'C') {
		k = ARENA_PUSH(a, c->cases, c->n_cases);
		if (!k)
			return -ENOMEM;
		k->name = v;
		return 0;
	}
	if (!k)
		return -EINVAL;
	if (line.p[0] == 'S') {
		struct oracle_step *s = ARENA_PUSH(a, k->steps, k->n_steps);
		if (!s)
			return -ENOMEM;
		*s = (struct oracle_step){.name = v, .method = STR("GET"), .status = -1};
		return 0;
	}
	return k->n_steps ? step_line(a, &k->steps[k->n_steps - 1], line.p[0], v) : -EINVAL;
}

int
oracle_read(struct arena *a, const char *path, struct oracle_corpus *ret, struct err *e)
{
	struct buf b;
	buf_init_arena(&b, a);
	int rc = disk_read_file(path, FILE_MAX, &b);
	if (rc < 0)
		return err_errno(e, rc, "reading '%s'", path);
	*ret = (struct oracle_corpus){0};
	struct str rest = buf_view(&b), line;
	for (size_t n = 1; str_next(&rest, '\n', &line); n++) {
		if (line.n == 0 || line.p[0] == '#')
			continue;
		rc = line.n < 2 || line.p[1] != ' ' ? -EINVAL : corpus_line(a, ret, line);
		if (rc < 0)
			return err_set(
				e, rc, R_UNKNOWN, "%s: line %zu is no line of a corpus", path, n);
	}
	return 0;
}

static void
put(struct buf *b, char letter, struct str v)
{
	if (!str_is_set(v))
		return;
	buf_char(b, letter);
	buf_char(b, ' ');
	buf_str(b, v);
	buf_char(b, '\n');
}

static void
put_all(struct buf *b, char letter, const struct str *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put(b, letter, v[i]);
}

static void
put_step(struct buf *b, const struct oracle_step *s)
{
	put(b, 'S', s->name);
	put(b, 'M', s->method);
	put(b, 'T', s->target);
	put_all(b, 'H', s->headers, s->n_headers);
	put(b, 'B', s->body);
	if (s->events)
		buf_fmt(b, "W %u\n", s->events);
	put(b, 'P', s->parts);
	put_all(b, 'V', s->captures, s->n_captures);
	if (s->status < 0)
		return;
	buf_fmt(b, "A %d\n", s->status);
	put_all(b, 'R', s->answer_headers, s->n_answer_headers);
	put_all(b, 'D', s->data, s->n_data);
}

int
oracle_write(const char *path, const struct oracle_corpus *c)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	for (size_t i = 0; i < c->n_cases; i++) {
		put(&b, 'C', c->cases[i].name);
		for (size_t k = 0; k < c->cases[i].n_steps; k++)
			put_step(&b, &c->cases[i].steps[k]);
	}
	return b.failed ? -ENOMEM : disk_write_file(path, buf_view(&b), 0644);
}

struct str
oracle_unescape(struct arena *a, struct str s)
{
	if (str_find_char(s, '\\') < 0)
		return s;
	struct buf b;
	buf_init_arena(&b, a);
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c == '\\' && i + 1 < s.n)
			c = s.p[++i] == 'n' ? '\n' : s.p[i];
		buf_char(&b, c);
	}
	return buf_view(&b);
}

struct str
oracle_escape(struct arena *a, struct str s)
{
	if (str_find_char(s, '\\') < 0 && str_find_char(s, '\n') < 0)
		return s;
	struct buf b;
	buf_init_arena(&b, a);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\n' || s.p[i] == '\\')
			buf_char(&b, '\\');
		buf_char(&b, s.p[i] == '\n' ? 'n' : s.p[i]);
	}
	return buf_view(&b);
}
