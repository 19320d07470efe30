/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * volumes: the volumes of a pod, from its description to calls of storage/volume: contents are gathered on
 * the loop, files and mounts are made by a helper thread, tokens are asked for first. Run again when an
 * object changed: then only files are rewritten (atomically). All of a pod's volumes lie below its folder
 * but for hostPath and local ones, which are used where they are.
 * Source: kubelet volume plugins; KEP-1205 (projected tokens: renewed at 80 % of their life). */
#include "orchestrator/node/node_int.h"

#include "orchestrator/schema/volume_fit.h"
#include "storage/volume/volume.h"

#include <sys/stat.h>

enum step_kind { STEP_FILES, STEP_EMPTY, STEP_HOST, STEP_NFS, STEP_LOCAL };
struct step {
	enum step_kind kind;
	const char *dir;
	struct volume_file *files;
	size_t n_files;
	bool memory, root_only, create;
	int64_t size_bytes, group;
	struct str type;
	struct volume_nfs nfs;
	struct str name; /* as events call it: the persistent volume's own where there is one */
};

struct job {
	struct pod *p;
	struct arena *a;
	struct step *steps;
	size_t n;
	struct err e;
};

/* A service account token of a projected volume. */
struct token {
	struct token *next;
	struct pod *p;
	struct client_call *call;
	char *audience, *volume, *value;
	int64_t seconds, renew_ns; /* renew: wall */
};

/* claim_name: of the claim behind a volume; "" = there is none. arena. */
static struct str
claim_name(struct pod *p, const struct core_v1_volume *v, struct arena *a)
{
	if (v->persistent_volume_claim)
		return v->persistent_volume_claim->claim_name;
	if (v->ephemeral)
		return arena_fmt(a, "%s-" STR_FMT, p->name, STR_ARG(v->name));
	return STR("");
}

/* claim_volume: the volume bound to a claim; NULL = none (yet). */
static const struct core_v1_persistent_volume *
claim_volume(struct pod *p, struct str claim)
{
	bool synced = false;
	const struct core_v1_persistent_volume_claim *c = object_get(
		p, OBJECT_CLAIM, claim, &synced);
	return c && c->spec.volume_name.n
		? object_get(p, OBJECT_VOLUME, c->spec.volume_name, &synced)
		: NULL;
}

bool
pod_volume_at(struct pod *p, struct str name, struct volume_at *ret)
{
	const struct core_v1_pod_spec *s = &p->o->spec;
	const struct core_v1_volume *v = NULL;
	for (size_t i = 0; i < s->n_volumes && !v; i++)
		if (str_eq(s->volumes[i].name, name))
			v = &s->volumes[i];
	if (!v)
		return false;
	*ret = (struct volume_at){.read_only = v->config_map || v->secret || v->projected ||
			v->downward_api || v->image || (v->nfs && v->nfs->read_only)};
	snprintf(ret->dir, sizeof(ret->dir), "%s/pods/%s/volumes/" STR_FMT, p->node->dir, p->uid,
		STR_ARG(name));
	if (v->host_path)
		return str_copy_c(v->host_path->path, ret->dir, sizeof(ret->dir));
	if (v->image)
		ret->image = v->image->reference;
	struct arena *a = arena_new(1 << 16);
	struct str claim = a ? claim_name(p, v, a) : STR("");
	const struct core_v1_persistent_volume *pv = claim.n ? claim_volume(p, claim) : NULL;
	arena_free(a);
	if (!pv)
		return !claim.n;
	ret->read_only = v->persistent_volume_claim && v->persistent_volume_claim->read_only;
	if (pv->spec.nfs)
		ret->read_only = ret->read_only || pv->spec.nfs->read_only;
	if (pv->spec.local)
		return str_copy_c(pv->spec.local->path, ret->dir, sizeof(ret->dir));
	if (pv->spec.host_path)
		return str_copy_c(pv->spec.host_path->path, ret->dir, sizeof(ret->dir));
	return true;
}

/* ---- tokens ---- */

/* token_timer_set: when the first of them is to be renewed. */
static void
token_timer_set(struct pod *p, int64_t now_ns)
{
	int64_t first_ns = INT64_MAX;
	for (const struct token *t = p->tokens; t; t = t->next)
		if (t->value && t->renew_ns < first_ns)
			first_ns = t->renew_ns;
	if (first_ns != INT64_MAX)
		loop_timer_after(p->node->loop, &p->token_timer, first_ns - now_ns + NS_PER_SEC);
}

static void
on_token(void *arg, const struct client_result *r)
{
	struct token *t = arg;
	struct pod *p = t->p;
	struct arena *a = arena_new(1 << 20);
	struct doc *d = NULL;
	int64_t until_ns = 0, now_ns = clock_wall_ns();
	t->call = NULL;
	if (a && r->http == 201 && doc_parse_json(a, r->body, NULL, &d, NULL) == 0) {
		struct doc *st = doc_get(d, STR("status"));
		struct str v = doc_get_str(st, STR("token"));
		free(t->value);
		t->value = v.n ? strndup(v.p, v.n) : NULL;
		if (rfc3339_parse(doc_get_str(st, STR("expirationTimestamp")), &until_ns) < 0)
			until_ns = now_ns + t->seconds * NS_PER_SEC;
		t->renew_ns = token_renew_at(now_ns, until_ns);
		token_timer_set(p, now_ns);
		p->volumes_stale = true;
	} else {
		pod_event(p, NULL, "Warning", "FailedMount",
			"MountVolume.SetUp failed for volume \"%s\" : failed to fetch token: %s",
			t->volume, r->e.msg);
		backoff_fail(&p->setup, clock_mono_ns());
		p->setup.until_ns = clock_mono_ns() + NS_PER_SEC;
	}
	arena_free(a);
	pod_op_end(p);
}

static void
token_ask(struct token *t)
{
	struct pod *p = t->p;
	_cleanup_buf_ struct buf b = BUF_INIT;
	buf_cstr(&b,
		"{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenRequest\",\"spec\":{"
		"\"audiences\":[");
	if (t->audience[0])
		doc_json_string(&b, str_c(t->audience));
	buf_fmt(&b,
		"],\"expirationSeconds\":%lld,\"boundObjectRef\":{\"apiVersion\":\"v1\",\"kind\":\"Pod\","
		"\"name\":\"%s\",\"uid\":\"%s\"}}}",
		(long long)t->seconds, p->name, p->uid);
	struct str sa = p->o->spec.service_account_name;
	struct client_req q = {.verb = CLIENT_CREATE,
		.version = STR("v1"),
		.resource = STR("serviceaccounts"),
		.ns = str_c(p->ns),
		.name = sa.n ? sa : STR("default"),
		.subresource = STR("token"),
		.body = buf_view(&b)};
	if (client_call_start(p->node->api, &q, on_token, t, &t->call) == 0)
		pod_op_begin(p);
}

/* token_of: the token wanted; NULL while it is not here. */
static const char *
token_of(struct pod *p, const struct core_v1_service_account_token_projection *s, struct str volume)
{
	int64_t seconds = s->has_expiration_seconds ? s->expiration_seconds : 3600;
	struct token *t = p->tokens;
	while (t && (!str_eq_c(s->audience, t->audience) || t->seconds != seconds))
		t = t->next;
	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t)
			return NULL;
		*t = (struct token){.next = p->tokens,
			.p = p,
			.seconds = seconds,
			.audience = strndup(s->audience.p ? s->audience.p : "", s->audience.n),
			.volume = strndup(volume.p, volume.n)};
		p->tokens = t;
	}
	if (!t->call && t->audience && t->volume && (!t->value || clock_wall_ns() >= t->renew_ns))
		token_ask(t);
	return t->value;
}

void
pod_volumes_free(struct pod *p)
{
	while (p->tokens) {
		struct token *t = p->tokens;
		p->tokens = t->next;
		if (t->call)
			client_call_cancel(t->call);
		free(t->audience);
		free(t->volume);
		free(t->value);
		free(t);
	}
}

/* ---- gathering ---- */

/* add_file: the last source of a path wins. */
static struct volume_file *
add_file(struct job *j, struct step *s, struct str path, struct str content, mode_t mode)
{
	struct volume_file *f = NULL;
	for (size_t i = 0; i < s->n_files && !f; i++)
		if (str_eq(s->files[i].path, path))
			f = &s->files[i];
	if (!f)
		f = ARENA_PUSH(j->a, s->files, s->n_files);
	if (f)
		*f = (struct volume_file){arena_str(j->a, path), arena_str(j->a, content), mode, 0};
	return f;
}

/* add_pairs: entries of a ConfigMap or Secret, all or those of items; missing: text for an item that is not
 * there. */
static int
add_pairs(struct job *j, struct step *s, const struct str_pair *v, size_t n,
	const struct core_v1_key_to_path *items, size_t n_items, mode_t mode, const char *missing)
{
	for (size_t i = 0; n_items == 0 && i < n; i++)
		add_file(j, s, v[i].key, v[i].value, mode);
	for (size_t k = 0; k < n_items; k++) {
		bool found = false;
		for (size_t i = 0; i < n; i++)
			if (str_eq(v[i].key, items[k].key)) {
				add_file(j, s, items[k].path, v[i].value,
					items[k].has_mode ? (mode_t)items[k].mode : mode);
				found = true;
			}
		if (!found && missing)
			return err_set(&j->e, -ENOENT, R_UNKNOWN, "%s: " STR_FMT, missing,
				STR_ARG(items[k].key));
	}
	return 0;
}

static int
missing(struct job *j, const char *what, struct str name, bool optional)
{
	if (optional)
		return 0;
	return err_set(
		&j->e, -ENOENT, R_UNKNOWN, "%s \"" STR_FMT "\" not found", what, STR_ARG(name));
}

static int
add_config_map(struct job *j, struct step *s, struct str name,
	const struct core_v1_key_to_path *items, size_t n_items, mode_t mode, bool optional)
{
	bool synced = false;
	const struct core_v1_config_map *m = object_get(j->p, OBJECT_CONFIGMAP, name, &synced);
	if (!m)
		return missing(j, "configmap", name, optional);
	size_t n = m->n_data + m->n_binary_data;
	struct str_pair *all = ARENA_ARRAY(j->a, struct str_pair, n);
	if (!all)
		return -ENOMEM;
	if (m->n_data)
		memcpy(all, m->data, m->n_data * sizeof(*all));
	if (m->n_binary_data)
		memcpy(all + m->n_data, m->binary_data, m->n_binary_data * sizeof(*all));
	return add_pairs(j, s, all, n, items, n_items, mode,
		optional ? NULL : "configmap references non-existent config key");
}

static int
add_secret(struct job *j, struct step *s, struct str name, const struct core_v1_key_to_path *items,
	size_t n_items, mode_t mode, bool optional)
{
	bool synced = false;
	const struct core_v1_secret *m = object_get(j->p, OBJECT_SECRET, name, &synced);
	if (!m)
		return missing(j, "secret", name, optional);
	return add_pairs(j, s, m->data, m->n_data, items, n_items, mode,
		optional ? NULL : "references non-existent secret key");
}

static int
add_downward(struct job *j, struct step *s, const struct core_v1_downward_api_volume_file *v,
	size_t n, mode_t mode)
{
	for (size_t i = 0; i < n; i++) {
		struct str value = STR("");
		int rc = 0;
		if (v[i].field_ref)
			rc = field_value(j->p, v[i].field_ref->field_path, j->a, &value, &j->e);
		else if (v[i].resource_field_ref)
			rc = resource_value(
				j->p, v[i].resource_field_ref, STR(""), j->a, &value, &j->e);
		if (rc < 0)
			return rc;
		add_file(j, s, v[i].path, value, v[i].has_mode ? (mode_t)v[i].mode : mode);
	}
	return 0;
}

/* add_own: readable for the pod's user or group where it has one, else as the volume's mode says. */
static void
add_own(struct job *j, struct step *s, struct str path, struct str content, mode_t mode)
{
	int64_t user = pod_fs_user(&j->p->o->spec);
	struct volume_file *f = add_file(
		j, s, path, content, user >= 0 || s->group != VOLUME_NO_GROUP ? 0600 : mode);
	if (f && user > 0)
		f->uid = (uid_t)user;
}

static int
add_token(struct job *j, struct step *s, const struct core_v1_service_account_token_projection *v,
	mode_t mode)
{
	const char *t = token_of(j->p, v, s->name);
	if (!t)
		return -EAGAIN;
	add_own(j, s, v->path, str_c(t), mode);
	return 0;
}

static int
add_trust_bundle(struct job *j, struct step *s,
	const struct core_v1_cluster_trust_bundle_projection *v, mode_t mode)
{
	struct str pem = STR("");
	int rc = bundle_read(j->p, v, j->a, &pem, &j->e);
	if (rc == 0)
		add_own(j, s, v->path, pem, mode);
	return rc;
}

static int
add_certificate(struct job *j, struct step *s, const struct core_v1_pod_certificate_projection *v,
	size_t source, mode_t mode)
{
	struct str key = STR_NONE, chain = STR_NONE;
	struct buf both = BUF_INIT;
	int rc = pod_certificate_get(j->p, s->name, source, &key, &chain, &j->e);
	if (rc < 0)
		return rc;
	if (v->credential_bundle_path.n && buf_reserve(&both, key.n + chain.n + 1)) {
		buf_str(&both, key);
		buf_str(&both, chain);
		add_own(j, s, v->credential_bundle_path, buf_view(&both), mode);
		explicit_bzero(both.data, both.cap);
	}
	if (v->key_path.n)
		add_own(j, s, v->key_path, key, mode);
	if (v->certificate_chain_path.n)
		add_own(j, s, v->certificate_chain_path, chain, mode);
	bool failed = both.failed;
	buf_release(&both);
	return failed ? -ENOMEM : 0;
}

/* add_projected: 0, -EAGAIN a token or a certificate is on its way, or an error. */
static int
add_projected(struct job *j, struct step *s, const struct core_v1_projected_volume_source *v)
{
	mode_t mode = v->has_default_mode ? (mode_t)v->default_mode : 0644;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < v->n_sources; i++) {
		const struct core_v1_volume_projection *x = &v->sources[i];
		if (x->config_map)
			rc = add_config_map(j, s, x->config_map->name, x->config_map->items,
				x->config_map->n_items, mode, x->config_map->optional);
		else if (x->secret)
			rc = add_secret(j, s, x->secret->name, x->secret->items, x->secret->n_items,
				mode, x->secret->optional);
		else if (x->downward_api)
			rc = add_downward(
				j, s, x->downward_api->items, x->downward_api->n_items, mode);
		else if (x->service_account_token)
			rc = add_token(j, s, x->service_account_token, mode);
		else if (x->cluster_trust_bundle)
			rc = add_trust_bundle(j, s, x->cluster_trust_bundle, mode);
		else if (x->pod_certificate)
			rc = add_certificate(j, s, x->pod_certificate, i, mode);
		else
			rc = err_set(
				&j->e, -ENOTSUP, R_UNKNOWN, "projected source is not supported");
	}
	return rc;
}

/* made_here: by this cluster's own provisioner, whose directories are made when they are first used. */
static bool
made_here(const struct core_v1_persistent_volume *v)
{
	const struct meta_v1_object_meta *m = &v->metadata;
	for (size_t i = 0; i < m->n_annotations; i++)
		if (str_eq(m->annotations[i].key, STR("pv.kubernetes.io/provisioned-by")))
			return str_eq(m->annotations[i].value, STR("keelson.dev/local"));
	return false;
}

static void
add_nfs(struct job *j, struct step *s, const struct core_v1_nfs_volume_source *v, bool read_only)
{
	s->kind = STEP_NFS;
	s->nfs = (struct volume_nfs){.server = arena_str(j->a, v->server),
		.path = arena_str(j->a, v->path),
		.read_only = v->read_only || read_only};
}

static void
add_host_path(struct job *j, struct step *s, const struct core_v1_host_path_volume_source *v)
{
	s->kind = STEP_HOST;
	s->dir = arena_cstr(j->a, v->path);
	s->type = arena_str(j->a, v->type);
}

static int
add_claim(struct job *j, struct step *s, struct str claim, const struct core_v1_volume *x)
{
	bool synced = false;
	bool read_only = x->persistent_volume_claim && x->persistent_volume_claim->read_only;
	const struct core_v1_persistent_volume_claim *c = object_get(
		j->p, OBJECT_CLAIM, claim, &synced);
	if (!c)
		return missing(j, "persistentvolumeclaim", claim, false);
	if (x->ephemeral && !claim_is_of_pod(c, j->p->o))
		return err_set(&j->e, -EACCES, R_FORBIDDEN,
			"PVC %s/" STR_FMT " was not created for pod %s/%s (pod is not owner)",
			j->p->ns, STR_ARG(claim), j->p->ns, j->p->name);
	const struct core_v1_persistent_volume *v = claim_volume(j->p, claim);
	if (!v)
		return err_set(&j->e, -EAGAIN, R_UNKNOWN,
			"persistentvolumeclaim \"" STR_FMT "\" is not bound", STR_ARG(claim));
	s->name = arena_str(j->a, v->metadata.name);
	if (v->spec.nfs) {
		struct str *opts = ARENA_ARRAY(j->a, struct str, v->spec.n_mount_options);
		add_nfs(j, s, v->spec.nfs, read_only);
		for (size_t i = 0; opts && i < v->spec.n_mount_options; i++)
			opts[i] = arena_str(j->a, v->spec.mount_options[i]);
		s->nfs.options = opts;
		s->nfs.n_options = opts ? v->spec.n_mount_options : 0;
		return 0;
	}
	if (v->spec.host_path) {
		add_host_path(j, s, v->spec.host_path);
		return 0;
	}
	if (v->spec.local) {
		s->kind = STEP_LOCAL;
		s->dir = arena_cstr(j->a, v->spec.local->path);
		s->create = made_here(v);
		if (read_only)
			s->group = VOLUME_NO_GROUP;
		return 0;
	}
	return err_set(&j->e, -ENOTSUP, R_UNKNOWN, "no volume plugin matched");
}

static int
add_volume(struct job *j, const struct core_v1_volume *v)
{
	struct pod *p = j->p;
	const struct core_v1_pod_security_context *sc = p->o->spec.security_context;
	bool files = v->config_map || v->secret || v->projected || v->downward_api;
	/* Images are mounted by the runtime; once all is there only files follow their objects. */
	if (v->image || (j->p->volumes_ready && !files))
		return 0;
	struct step *s = ARENA_PUSH(j->a, j->steps, j->n);
	if (!s)
		return -ENOMEM;
	struct str dir = arena_fmt(
		j->a, "%s/pods/%s/volumes/" STR_FMT, p->node->dir, p->uid, STR_ARG(v->name));
	*s = (struct step){.kind = STEP_FILES,
		.dir = dir.p,
		.memory = true,
		.name = arena_str(j->a, v->name),
		.group = sc && sc->has_fs_group ? sc->fs_group : VOLUME_NO_GROUP,
		.root_only = sc && str_eq(sc->fs_group_change_policy, STR("OnRootMismatch"))};
	if (v->config_map) {
		s->memory = false;
		return add_config_map(j, s, v->config_map->name, v->config_map->items,
			v->config_map->n_items,
			v->config_map->has_default_mode ? (mode_t)v->config_map->default_mode
							: 0644,
			v->config_map->optional);
	}
	if (v->secret)
		return add_secret(j, s, v->secret->secret_name, v->secret->items,
			v->secret->n_items,
			v->secret->has_default_mode ? (mode_t)v->secret->default_mode : 0644,
			v->secret->optional);
	if (v->projected)
		return add_projected(j, s, v->projected);
	if (v->downward_api)
		return add_downward(j, s, v->downward_api->items, v->downward_api->n_items,
			v->downward_api->has_default_mode ? (mode_t)v->downward_api->default_mode
							  : 0644);
	if (v->host_path) {
		add_host_path(j, s, v->host_path);
		return 0;
	}
	if (v->nfs) {
		add_nfs(j, s, v->nfs, false);
		return 0;
	}
	struct str claim = claim_name(p, v, j->a);
	if (claim.n)
		return add_claim(j, s, claim, v);
	if (v->empty_dir) {
		s->kind = STEP_EMPTY;
		s->memory = str_eq(v->empty_dir->medium, STR("Memory"));
		s->size_bytes = memory_volume_bytes(&p->o->spec,
			quantity_value_of(v->empty_dir->size_limit, 0),
			p->node->facts.memory_bytes);
		return 0;
	}
	return err_set(&j->e, -ENOTSUP, R_UNKNOWN, "no volume plugin matched");
}

/* ---- the helper thread ---- */

/* nfs_run: the kernel wants an address. */
static int
nfs_run(const struct step *s, struct err *e)
{
	struct volume_nfs n = s->nfs;
	struct ip_addr ip;
	char host[256], text[IP_TEXT_MAX];
	if (ip_parse(n.server, &ip) < 0) {
		int rc = str_copy_c(n.server, host, sizeof(host)) ? host_lookup(host, &ip, 1)
								  : -ENAMETOOLONG;
		if (rc <= 0)
			return err_set(e, rc ? rc : -ENOENT, R_UNKNOWN,
				"failed to resolve server " STR_FMT, STR_ARG(n.server));
		n.server = str_from(text, ip_format(&ip, text));
	}
	return volume_nfs_mount(s->dir, &n, e);
}

static int
local_run(const struct step *s, struct err *e)
{
	int rc = volume_local_dir(s->dir, s->create, e);
	return rc < 0 ? rc : volume_set_group(s->dir, s->group, s->root_only, e);
}

static int
step_run(const struct step *s, struct err *e)
{
	switch (s->kind) {
	case STEP_FILES:
		return volume_files_write(
			s->dir, s->files, s->n_files, s->memory, s->group, NULL, e);
	case STEP_EMPTY:
		return volume_empty_dir(s->dir, s->memory, s->size_bytes, s->group, e);
	case STEP_HOST:
		return volume_host_path(s->dir, s->type, e);
	case STEP_NFS:
		return nfs_run(s, e);
	case STEP_LOCAL:
		return local_run(s, e);
	}
	return -EINVAL;
}

static void
job_run(void *arg)
{
	struct job *j = arg;
	for (size_t i = 0; i < j->n; i++) {
		int rc = step_run(&j->steps[i], &j->e);
		if (rc < 0) {
			if (!j->e.code)
				err_errno(&j->e, rc, "volume");
			/* That a local volume's path is not there is noticed before it is set up. */
			err_wrap(&j->e, "MountVolume.%s failed for volume \"" STR_FMT "\" ",
				j->steps[i].kind == STEP_LOCAL && rc == -ENOENT
					? "NewMounter initialization"
					: "SetUp",
				STR_ARG(j->steps[i].name));
			return;
		}
	}
}

/* job_free: what was a secret is wiped. */
static void
job_free(struct job *j)
{
	for (size_t i = 0; i < j->n; i++)
		for (size_t k = 0; j->steps[i].memory && k < j->steps[i].n_files; k++) {
			struct str c = j->steps[i].files[k].content;
			if (c.n)
				explicit_bzero((void *)(uintptr_t)c.p, c.n);
		}
	arena_free(j->a);
}

static void
job_failed(struct pod *p, const char *text)
{
	pod_event(p, NULL, "Warning", "FailedMount", "%s", text);
	p->volumes_stale = true; /* once more, also where it is about files alone */
	backoff_fail(&p->setup, clock_mono_ns());
	/* Upstream's volume manager begins at half a second. */
	p->setup.until_ns = clock_mono_ns() + p->setup.delay_ns / 20;
}

static void
job_done(void *arg)
{
	struct job *j = arg;
	struct pod *p = j->p;
	p->volumes_busy = false;
	if (j->e.code)
		job_failed(p, j->e.msg);
	else
		p->volumes_ready = true;
	pod_mark(p, MARK_VOLUMES);
	job_free(j);
	pod_op_end(p);
}

void
pod_volumes_setup(struct pod *p)
{
	const struct core_v1_pod_spec *s = &p->o->spec;
	struct arena *a = arena_new(64 << 20);
	struct job *j = a ? ARENA_NEW(a, struct job) : NULL;
	int rc = 0;
	if (!j) {
		arena_free(a);
		return;
	}
	j->p = p;
	j->a = a;
	p->volumes_stale = false;
	for (size_t i = 0; rc == 0 && i < s->n_volumes; i++) {
		rc = add_volume(j, &s->volumes[i]);
		if (rc < 0 && rc != -EAGAIN)
			err_wrap(&j->e, "MountVolume.SetUp failed for volume \"" STR_FMT "\" ",
				STR_ARG(s->volumes[i].name));
	}
	if (rc == 0 && arena_failed(a))
		rc = err_set(&j->e, -ENOMEM, R_UNKNOWN, "volumes: too large");
	if (rc == 0)
		rc = loop_blocking(p->node->loop, job_run, job_done, j);
	if (rc < 0) {
		if (rc != -EAGAIN || j->e.code)
			job_failed(p, j->e.msg);
		if (p->setup.until_ns > clock_mono_ns())
			pod_wake_in(p, p->setup.until_ns - clock_mono_ns());
		job_free(j);
		return;
	}
	p->volumes_busy = true;
	pod_op_begin(p);
}
