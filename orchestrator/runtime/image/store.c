/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * store: see store.h. */
#include "orchestrator/runtime/image/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/disk.h"
#include "base/doc.h"
#include "base/rand.h"
#include "orchestrator/runtime/fsutil.h"
#include "orchestrator/runtime/image/layer.h"
#include "orchestrator/runtime/image/ref.h"

#define INDEX_MAX (64u << 20)
#define KEYS_MAX 64
#define INDEX_VERSION 1

struct save_wait {
	struct save_wait *next;
	runtime_done_fn *done;
	void *arg;
};

struct save_job {
	struct image_store *s;
	struct buf text;
	char path[4096];
	int rc;
};

static void
image_free(struct image *i)
{
	if (i)
		arena_free(i->a);
}

static void
store_free(struct image_store *s)
{
	size_t pos = 0;
	void *v = NULL;

	while (map_next(&s->images, &pos, NULL, &v))
		image_free(v);
	pos = 0;
	while (map_next(&s->layers, &pos, NULL, &v))
		free(v);
	map_release(&s->images);
	map_release(&s->layers);
	cleanup_fd(&s->dir);
	free(s->path);
	free(s);
}

void
image_store_close(struct image_store *s)
{
	if (!s)
		return;
	s->dead = true;
	if (!s->busy)
		store_free(s);
}

bool
image_store_idle(struct image_store *s)
{
	bool dead = s->dead;

	s->busy--;
	if (dead && !s->busy)
		store_free(s);
	return !dead;
}

struct image_layer *
image_layer_ensure(struct image_store *s, struct str chain)
{
	struct image_layer *l = map_get(&s->layers, chain);

	if (l)
		return l;
	l = calloc(1, sizeof(*l));
	if (l && map_put(&s->layers, chain, l, NULL)) {
		free(l);
		l = NULL;
	}
	return l;
}

struct str
image_layer_path(struct image_store *s, struct arena *a, struct str chain)
{
	return arena_fmt(a, "%s/layers/" STR_FMT, s->path, STR_ARG(chain));
}

/* ---- finding ---- */

struct image *
image_store_get(struct image_store *s, struct str id)
{
	return map_get(&s->images, id);
}

static bool
has(const struct str *list, size_t n, struct str x)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(list[i], x))
			return true;
	return false;
}

static struct image *
find_by_hex(struct image_store *s, struct str hex)
{
	char id[80];

	snprintf(id, sizeof(id), "sha256:" STR_FMT, STR_ARG(hex));
	return map_get(&s->images, str_c(id));
}

struct image *
image_store_find(struct image_store *s, struct str ref)
{
	struct arena *a = NULL;
	struct image_ref r = {0};
	struct image *found = NULL;
	struct image *i = NULL;
	size_t pos = 0;

	if (image_digest_ok(ref))
		return map_get(&s->images, ref);
	if (ref.n == LAYER_HEX && str_find_char(ref, '/') < 0) {
		found = find_by_hex(s, ref);
		if (found)
			return found;
	}
	a = arena_new(0);
	if (a && image_ref_parse(a, ref, &r, NULL) == 0) {
		bool digest = r.digest.n > 0;
		struct str name = image_ref_name(a, &r);
		struct str want = digest ? arena_cat(a, (struct str[]){name, STR("@"), r.digest}, 3)
					 : arena_cat(a, (struct str[]){name, STR(":"), r.tag}, 3);

		while (!found && map_next(&s->images, &pos, NULL, (void **)&i))
			if (digest ? has(i->digests, i->n_digests, want)
				   : has(i->names, i->n_names, want))
				found = i;
	}
	arena_free(a);
	return found;
}

uint64_t
image_bytes(struct image_store *s, const struct image *i)
{
	uint64_t sum = 0;

	for (size_t k = 0; k < i->n_layers; k++) {
		const struct image_layer *l = map_get(&s->layers, i->layers[k]);

		sum += l ? l->bytes : 0;
	}
	return sum;
}

int
image_view(struct image_store *s, const struct image *i, struct arena *a, struct runtime_image *ret)
{
	struct runtime_image v = {
		.id = i->id,
		.n_repo_tags = i->n_names,
		.n_repo_digests = i->n_digests,
		.size_bytes = image_bytes(s, i),
		.pulled_ns = i->pulled_ns,
		.used_ns = i->used_ns,
		.in_use = i->containers > 0,
		.pinned = i->pinned,
		.user = i->config.user,
		.entrypoint = i->config.entrypoint,
		.n_entrypoint = i->config.n_entrypoint,
		.cmd = i->config.cmd,
		.n_cmd = i->config.n_cmd,
		.env = i->config.env,
		.n_env = i->config.n_env,
		.workdir = i->config.workdir,
		.stop_signal = i->config.stop_signal,
		.volumes = i->config.volumes,
		.n_volumes = i->config.n_volumes,
	};
	struct str *names = ARENA_ARRAY(a, struct str, i->n_names + 1);
	struct str *digests = ARENA_ARRAY(a, struct str, i->n_digests + 1);

	if (!names || !digests)
		return -ENOMEM;
	for (size_t k = 0; k < i->n_names; k++)
		names[k] = arena_str(a, i->names[k]);
	for (size_t k = 0; k < i->n_digests; k++)
		digests[k] = arena_str(a, i->digests[k]);
	v.repo_tags = names;
	v.repo_digests = digests;
	*ret = v;
	return arena_failed(a) ? -ENOMEM : 0;
}

/* ---- the index on disk ---- */

static void
strings_write(struct arena *a, struct doc *m, struct str key, const struct str *list, size_t n)
{
	struct doc *l = doc_list(a);

	for (size_t i = 0; l && i < n; i++)
		doc_append(l, doc_str(a, list[i]));
	doc_set(m, key, l);
}

static int
index_text(struct image_store *s, struct buf *b)
{
	struct arena *a = arena_new(0);
	struct doc *root = a ? doc_map(a) : NULL;
	struct doc *images = root ? doc_list(a) : NULL;
	struct doc *layers = images ? doc_map(a) : NULL;
	struct image *i = NULL;
	struct image_layer *l = NULL;
	struct str key = STR_NONE;
	size_t pos = 0;
	int rc = 0;

	while (layers && map_next(&s->images, &pos, NULL, (void **)&i)) {
		struct doc *d = doc_map(a);

		if (!d)
			break;
		doc_set_str(a, d, STR("id"), i->id);
		strings_write(a, d, STR("names"), i->names, i->n_names);
		strings_write(a, d, STR("digests"), i->digests, i->n_digests);
		strings_write(a, d, STR("keys"), i->keys, i->n_keys);
		strings_write(a, d, STR("layers"), i->layers, i->n_layers);
		doc_set_int(a, d, STR("pulled"), i->pulled_ns);
		doc_set_int(a, d, STR("used"), i->used_ns);
		doc_set_bool(a, d, STR("pinned"), i->pinned);
		doc_append(images, d);
	}
	pos = 0;
	while (layers && map_next(&s->layers, &pos, &key, (void **)&l))
		if (l->images)
			doc_set_int(a, layers, key, (int64_t)l->bytes);
	if (layers) {
		doc_set_int(a, root, STR("version"), INDEX_VERSION);
		doc_set(root, STR("images"), images);
		doc_set(root, STR("layers"), layers);
		doc_write_json(b, root);
	}
	rc = !layers || arena_failed(a) || b->failed ? -ENOMEM : 0;
	arena_free(a);
	return rc;
}

static void
save_work(void *arg)
{
	struct save_job *j = arg;

	j->rc = disk_write_file(j->path, buf_view(&j->text), 0600);
}

static void
waiters_call(struct save_wait *w, const struct err *e)
{
	while (w) {
		struct save_wait *next = w->next;

		if (w->done)
			w->done(w->arg, e);
		free(w);
		w = next;
	}
}

static void save_begin(struct image_store *s);

static void
save_done(void *arg)
{
	struct save_job *j = arg;
	struct image_store *s = j->s;
	struct save_wait *w = TAKE_PTR(s->in_flight);
	struct err e = {0};

	if (j->rc)
		err_errno(&e, j->rc, "writing the image index");
	buf_release(&j->text);
	free(j);
	s->saving = false;
	if (!image_store_idle(s)) {
		while (w) {
			struct save_wait *next = w->next;

			free(w);
			w = next;
		}
		return;
	}
	if (s->dirty)
		save_begin(s);
	waiters_call(w, e.code ? &e : NULL);
}

static void
save_begin(struct image_store *s)
{
	struct save_job *j = calloc(1, sizeof(*j));
	struct err e = {0};

	s->dirty = false;
	s->in_flight = TAKE_PTR(s->waiting);
	if (j) {
		j->s = s;
		snprintf(j->path, sizeof(j->path), "%s/images.json", s->path);
		if (index_text(s, &j->text) == 0 &&
			loop_blocking(s->loop, save_work, save_done, j) == 0) {
			s->saving = true;
			s->busy++;
			return;
		}
		buf_release(&j->text);
		free(j);
	}
	err_set(&e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	waiters_call(TAKE_PTR(s->in_flight), &e);
}

void
image_store_save(struct image_store *s, runtime_done_fn *done, void *arg)
{
	struct save_wait *w = calloc(1, sizeof(*w));
	struct save_wait **at = &s->waiting;

	if (w) {
		w->done = done;
		w->arg = arg;
		while (*at)
			at = &(*at)->next;
		*at = w;
	} else if (done) {
		struct err e = {0};

		err_set(&e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
		done(arg, &e);
	}
	s->dirty = true;
	if (!s->saving)
		save_begin(s);
}

/* ---- adding and removing ---- */

static int
copy_list(struct arena *a, const struct str *from, size_t n, struct str **to, size_t *to_n)
{
	for (size_t i = 0; i < n; i++) {
		struct str *p = NULL;

		if (has(*to, *to_n, from[i]))
			continue;
		p = ARENA_PUSH(a, *to, *to_n);
		if (!p)
			return -ENOMEM;
		*p = arena_str(a, from[i]);
	}
	return 0;
}

static void
layers_count(struct image_store *s, const struct image *i, int by)
{
	for (size_t k = 0; k < i->n_layers; k++) {
		struct image_layer *l = image_layer_ensure(s, i->layers[k]);

		if (l)
			l->images = by > 0 ? l->images + 1 : l->images - (l->images > 0);
	}
}

static struct image *
image_make(struct image_store *s, struct str id, struct str config_text, const struct str *layers,
	size_t n_layers, struct err *e)
{
	struct arena *a = arena_new(64u << 20);
	struct image *i = a ? ARENA_NEW(a, struct image) : NULL;
	int rc = i ? 0 : -ENOMEM;

	if (i) {
		i->a = a;
		i->id = arena_str(a, id);
		rc = image_config_parse(a, arena_str(a, config_text), &i->config, e);
	}
	if (!rc)
		rc = copy_list(a, layers, n_layers, &i->layers, &i->n_layers);
	if (!rc)
		rc = map_put(&s->images, id, i, NULL);
	if (rc) {
		if (rc == -ENOMEM)
			err_set(e, rc, R_INTERNAL_ERROR, "no memory");
		arena_free(a);
		return NULL;
	}
	layers_count(s, i, 1);
	return i;
}

static void
name_drop(struct image *i, struct str name)
{
	for (size_t k = 0; k < i->n_names; k++) {
		if (!str_eq(i->names[k], name))
			continue;
		/* The slots' room stays: a push after this finds the count's power of two smaller and copies. */
		memmove(&i->names[k], &i->names[k + 1], (i->n_names - k - 1) * sizeof(*i->names));
		i->n_names--;
		return;
	}
}

struct add_job {
	struct image_store *s;
	struct arena *a;
	struct image_new n;
	char *path;
	runtime_done_fn *done;
	void *arg;
	int rc;
};

static int
names_add(struct image_store *s, struct image *i, const struct image_new *n)
{
	struct image *other = NULL;

	for (size_t k = 0; k < n->n_names; k++) {
		size_t pos = 0;

		while (map_next(&s->images, &pos, NULL, (void **)&other))
			if (other != i)
				name_drop(other, n->names[k]);
	}
	/* Credentials that are renewed again and again are not all remembered. */
	if (i->n_keys >= KEYS_MAX)
		i->n_keys = 0;
	return copy_list(i->a, n->names, n->n_names, &i->names, &i->n_names) ||
			copy_list(i->a, n->digests, n->n_digests, &i->digests, &i->n_digests) ||
			copy_list(i->a, n->keys, n->n_keys, &i->keys, &i->n_keys)
		? -ENOMEM
		: 0;
}

bool
image_store_open_to(const struct image *i, const struct str *keys, size_t n)
{
	for (size_t k = 0; k < n; k++)
		if (has(i->keys, i->n_keys, keys[k]))
			return true;
	return i->n_keys == 0;
}

static void
add_work(void *arg)
{
	struct add_job *j = arg;
	char tmp[40];
	_cleanup_fd_ int fd = -1;
	_cleanup_fd_ int dir = openat(j->s->dir, "configs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* Two pulls of one image may stand here at once: each writes a file of its own. */
	snprintf(tmp, sizeof(tmp), "tmp/%016llx", (unsigned long long)rand_u64());
	fd = openat(j->s->dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (dir < 0 || fd < 0 || fs_write_all(fd, j->n.config_text.p, j->n.config_text.n) ||
		fsync(fd) || renameat(j->s->dir, tmp, j->s->dir, j->path) || fsync(dir))
		j->rc = -errno;
}

static void
add_done(void *arg)
{
	struct add_job *j = arg;
	struct image_store *s = j->s;
	struct image *i = NULL;
	struct err e = {0};

	if (!image_store_idle(s)) {
		arena_free(j->a);
		return;
	}
	i = map_get(&s->images, j->n.id);
	if (j->rc) {
		err_errno(&e, j->rc, "keeping the image configuration");
	} else if (!i) {
		i = image_make(s, j->n.id, j->n.config_text, j->n.layers, j->n.n_layers, &e);
		if (i)
			i->pulled_ns = clock_wall_ns();
	}
	if (!e.code && i && names_add(s, i, &j->n))
		err_set(&e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	if (e.code)
		j->done(j->arg, &e);
	else
		image_store_save(s, j->done, j->arg);
	arena_free(j->a);
}

int
image_store_add(struct image_store *s, const struct image_new *n, runtime_done_fn *done, void *arg)
{
	struct arena *a = arena_new(64u << 20);
	struct add_job *j = a ? ARENA_NEW(a, struct add_job) : NULL;
	struct str *list = NULL;
	size_t n_list = 0;

	if (!j)
		goto oom;
	*j = (struct add_job){.s = s, .a = a, .done = done, .arg = arg};
	j->n.id = arena_str(a, n->id);
	j->n.config_text = arena_str(a, n->config_text);
	if (copy_list(a, n->names, n->n_names, &list, &n_list))
		goto oom;
	j->n.names = list;
	j->n.n_names = n_list;
	list = NULL;
	n_list = 0;
	if (copy_list(a, n->digests, n->n_digests, &list, &n_list))
		goto oom;
	j->n.digests = list;
	j->n.n_digests = n_list;
	list = NULL;
	n_list = 0;
	if (copy_list(a, n->keys, n->n_keys, &list, &n_list))
		goto oom;
	j->n.keys = list;
	j->n.n_keys = n_list;
	list = NULL;
	n_list = 0;
	if (copy_list(a, n->layers, n->n_layers, &list, &n_list))
		goto oom;
	j->n.layers = list;
	j->n.n_layers = n_list;
	j->path = arena_cstr(
		a, arena_fmt(a, "configs/" STR_FMT, STR_ARG(str_sub(n->id, 7, SIZE_MAX))));
	if (arena_failed(a) || loop_blocking(s->loop, add_work, add_done, j))
		goto oom;
	s->busy++;
	return 0;
oom:
	arena_free(a);
	return -ENOMEM;
}

struct remove_job {
	struct image_store *s;
	runtime_done_fn *done;
	void *arg;
	int dir;
	int rc;
};

static void
remove_work(void *arg)
{
	struct remove_job *j = arg;
	_cleanup_fd_ int trash = openat(j->dir, "trash", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = trash < 0 ? NULL : fdopendir(trash);
	struct dirent *de = NULL;

	if (!d) {
		j->rc = -errno;
		return;
	}
	trash = -1;
	while ((de = readdir(d)))
		if (de->d_name[0] != '.' && fs_remove_tree(dirfd(d), de->d_name))
			j->rc = -errno;
	closedir(d);
}

static void
remove_done(void *arg)
{
	struct remove_job *j = arg;
	struct err e = {0};

	if (j->rc)
		err_errno(&e, j->rc, "removing layers");
	if (image_store_idle(j->s) && j->done)
		j->done(j->arg, j->rc ? &e : NULL);
	close(j->dir);
	free(j);
}

/* Layers nobody needs go to trash/ at once (rename) and from the disk in a helper thread. */
static void
sweep(void *arg, const struct err *e)
{
	struct remove_job *j = arg;
	struct image_store *s = j->s;
	struct image_layer *l = NULL;
	struct str chain = STR_NONE;
	size_t pos = 0;

	if (e) {
		if (j->done)
			j->done(j->arg, e);
		close(j->dir);
		free(j);
		return;
	}
	while (map_next(&s->layers, &pos, &chain, (void **)&l)) {
		char from[LAYER_HEX + 16];
		char to[LAYER_HEX + 16];

		if (l->images || l->holds)
			continue;
		snprintf(from, sizeof(from), "layers/" STR_FMT, STR_ARG(chain));
		snprintf(to, sizeof(to), "trash/" STR_FMT, STR_ARG(chain));
		if (renameat(s->dir, from, s->dir, to) && errno != ENOENT)
			continue;
		map_del(&s->layers, chain);
		free(l);
	}
	s->busy++;
	if (loop_blocking(s->loop, remove_work, remove_done, j)) {
		struct err oom = {0};

		s->busy--;
		err_set(&oom, -ENOMEM, R_INTERNAL_ERROR, "no memory");
		if (j->done)
			j->done(j->arg, &oom);
		close(j->dir);
		free(j);
	}
}

struct late {
	runtime_done_fn *done;
	void *arg;
	struct err e;
};

static void
late_call(void *arg)
{
	struct late *l = arg;

	l->done(l->arg, l->e.code ? &l->e : NULL);
	free(l);
}

int
image_store_remove(struct image_store *s, struct str ref, runtime_done_fn *done, void *arg)
{
	struct image *i = image_store_find(s, ref);
	bool by_id = image_digest_ok(ref) || (ref.n == LAYER_HEX && i && find_by_hex(s, ref) == i);
	struct remove_job *j = NULL;
	struct late *late = NULL;
	struct arena *a = NULL;
	struct str norm = STR_NONE;

	if (!i || (i->containers && (by_id || i->n_names <= 1))) {
		late = calloc(1, sizeof(*late));
		if (!late)
			return -ENOMEM;
		late->done = done;
		late->arg = arg;
		if (!i)
			err_set(&late->e, -ENOENT, R_NOT_FOUND, "image '" STR_FMT "' not found",
				STR_ARG(ref));
		else
			err_set(&late->e, -EBUSY, R_CONFLICT, "image '" STR_FMT "' is in use",
				STR_ARG(ref));
		if (loop_post(s->loop, late_call, late)) {
			free(late);
			return -ENOMEM;
		}
		return 0;
	}
	j = calloc(1, sizeof(*j));
	a = arena_new(0);
	if (!j || !a) {
		free(j);
		arena_free(a);
		return -ENOMEM;
	}
	*j = (struct remove_job){
		.s = s, .done = done, .arg = arg, .dir = fcntl(s->dir, F_DUPFD_CLOEXEC, 0)};
	if (!by_id && runtime_image_ref_normalize(a, ref, &norm, NULL) == 0)
		name_drop(i, norm);
	if (by_id || i->n_names == 0) {
		char path[96];

		snprintf(path, sizeof(path), "configs/" STR_FMT,
			STR_ARG(str_sub(i->id, 7, SIZE_MAX)));
		unlinkat(s->dir, path, 0);
		layers_count(s, i, -1);
		map_del(&s->images, i->id);
		image_free(i);
	}
	arena_free(a);
	/* The index first: after a power cut an image is whole or not named. */
	image_store_save(s, sweep, j);
	return 0;
}

/* ---- start ---- */

static int
strings_read(struct arena *a, const struct doc *l, struct str **to, size_t *n)
{
	DOC_EACH (item, l) {
		struct str *p = ARENA_PUSH(a, *to, *n);

		if (!p)
			return -ENOMEM;
		*p = doc_as_str(item);
	}
	return 0;
}

static int
image_load(struct image_store *s, struct arena *tmp, const struct doc *d)
{
	struct str id = doc_get_str(d, STR("id"));
	struct str *layers = NULL;
	struct str *names = NULL;
	struct str *digests = NULL;
	struct str *keys = NULL;
	size_t n_layers = 0;
	size_t n_names = 0;
	size_t n_digests = 0;
	size_t n_keys = 0;
	struct buf text;
	struct image *i = NULL;
	struct str path = STR_NONE;

	if (!image_digest_ok(id) ||
		strings_read(tmp, doc_get(d, STR("layers")), &layers, &n_layers) ||
		strings_read(tmp, doc_get(d, STR("names")), &names, &n_names) ||
		strings_read(tmp, doc_get(d, STR("digests")), &digests, &n_digests) ||
		strings_read(tmp, doc_get(d, STR("keys")), &keys, &n_keys))
		return -EINVAL;
	for (size_t k = 0; k < n_layers; k++)
		if (layers[k].n != LAYER_HEX || !layer_present(s->dir, layers[k]))
			return -ENOENT;
	buf_init_arena(&text, tmp);
	path = arena_fmt(tmp, "%s/configs/" STR_FMT, s->path, STR_ARG(str_sub(id, 7, SIZE_MAX)));
	if (!str_is_set(path) || disk_read_file(path.p, IMAGE_CONFIG_MAX, &text))
		return -ENOENT;
	i = image_make(s, id, buf_view(&text), layers, n_layers, NULL);
	if (!i)
		return -EINVAL;
	i->pulled_ns = doc_get_int(d, STR("pulled"), 0);
	i->used_ns = doc_get_int(d, STR("used"), 0);
	i->pinned = doc_get_bool(d, STR("pinned"), false);
	return copy_list(i->a, names, n_names, &i->names, &i->n_names) ||
			copy_list(i->a, digests, n_digests, &i->digests, &i->n_digests) ||
			copy_list(i->a, keys, n_keys, &i->keys, &i->n_keys)
		? -ENOMEM
		: 0;
}

static int
index_load(struct image_store *s, struct err *e)
{
	struct arena *a = arena_new(0);
	struct buf text = BUF_INIT;
	struct doc *d = NULL;
	char path[4200];
	int rc = a ? 0 : -ENOMEM;

	snprintf(path, sizeof(path), "%s/images.json", s->path);
	if (!rc)
		rc = disk_read_file(path, INDEX_MAX, &text);
	if (!rc)
		rc = doc_parse_json(a, buf_view(&text), NULL, &d, e);
	DOC_EACH (item, rc ? NULL : doc_get(d, STR("images")))
		image_load(s, a, item); /* what is not whole is pulled again when it is wanted */
	DOC_EACH (item, rc ? NULL : doc_get(d, STR("layers"))) {
		struct image_layer *l = map_get(&s->layers, item->key);

		if (l)
			l->bytes = (uint64_t)doc_as_int(item, 0);
	}
	buf_release(&text);
	arena_free(a);
	if (rc == -ENOENT)
		return 0;
	if (rc)
		err_wrap(e, "reading the image index");
	return rc;
}

/* What the last process left half made is moved away at once and removed in a helper thread. */
static int
scratch_clean(struct image_store *s)
{
	struct remove_job *j = calloc(1, sizeof(*j));
	char to[64];
	int rc = 0;

	if (!j)
		return -ENOMEM;
	*j = (struct remove_job){.s = s, .dir = fcntl(s->dir, F_DUPFD_CLOEXEC, 0)};
	snprintf(to, sizeof(to), "trash/%016llx", (unsigned long long)rand_u64());
	if ((mkdirat(s->dir, "trash", 0700) && errno != EEXIST) ||
		(renameat(s->dir, "tmp", s->dir, to) && errno != ENOENT) ||
		mkdirat(s->dir, "tmp", 0700))
		rc = -errno;
	if (!rc)
		rc = loop_blocking(s->loop, remove_work, remove_done, j);
	if (!rc)
		s->busy++;
	if (rc) {
		cleanup_fd(&j->dir);
		free(j);
	}
	return rc;
}

/* Layers no image names, left by an interrupted pull: known, so that they serve or go. */
static void
layers_scan(struct image_store *s)
{
	int fd = openat(s->dir, "layers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de = NULL;

	if (!d) {
		cleanup_fd(&fd);
		return;
	}
	while ((de = readdir(d)))
		if (strlen(de->d_name) == LAYER_HEX)
			image_layer_ensure(s, str_c(de->d_name));
	closedir(d);
}

int
image_store_open(struct loop *l, struct str data_dir, struct image_store **ret, struct err *e)
{
	static const char *const keep[] = {"layers", "configs", "ingest"};
	struct image_store *s = calloc(1, sizeof(*s));
	int rc = 0;

	if (!s)
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	s->loop = l;
	s->dir = -1;
	map_init(&s->images);
	map_init(&s->layers);
	s->path = strndup(data_dir.p, data_dir.n);
	rc = s->path ? disk_mkdirs(s->path, 0700) : -ENOMEM;
	if (!rc) {
		s->dir = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = s->dir < 0 ? -errno : 0;
	}
	for (size_t i = 0; !rc && i < ARRAY_LEN(keep); i++)
		if (mkdirat(s->dir, keep[i], 0700) && errno != EEXIST)
			rc = -errno;
	if (!rc)
		rc = scratch_clean(s);
	if (rc)
		err_errno(e, rc, "opening the image store '" STR_FMT "'", STR_ARG(data_dir));
	else
		rc = index_load(s, e);
	if (rc) {
		image_store_close(s);
		return rc;
	}
	layers_scan(s);
	*ret = s;
	return 0;
}
