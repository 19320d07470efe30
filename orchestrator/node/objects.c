/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * objects: the ConfigMaps, Secrets, claims and volumes that pods of this node name, shared by the pods that
 * name one. ConfigMaps and Secrets are kept by a watch of that one object. Claims and volumes a node may only
 * get: they are asked for until the claim is bound and its volume is there; what pods need of them does
 * not change any more then.
 * Source: kubelet's watch-based configMap and secret managers, volume manager; Node authorization. */
#include "orchestrator/node/node_int.h"

#define AGAIN_MIN_NS (NS_PER_SEC / 4)
#define AGAIN_MAX_NS (10 * NS_PER_SEC)

static bool
claim_settled(const void *obj)
{
	return ((const struct core_v1_persistent_volume_claim *)obj)->spec.volume_name.n > 0;
}

static bool
volume_settled(const void *obj)
{
	(void)obj;
	return true;
}

static const struct {
	const char *resource;
	const struct schema_type *type;
	bool cluster;
	/* settled: this will do. NULL: it is watched. */
	bool (*settled)(const void *obj);
} kinds[] = {
	[OBJECT_CONFIGMAP] = {"configmaps", SCHEMA_TYPE_OF(core_v1_config_map), false, NULL},
	[OBJECT_SECRET] = {"secrets", SCHEMA_TYPE_OF(core_v1_secret), false, NULL},
	[OBJECT_CLAIM] = {"persistentvolumeclaims", SCHEMA_TYPE_OF(core_v1_persistent_volume_claim),
		false, claim_settled},
	[OBJECT_VOLUME] = {"persistentvolumes", SCHEMA_TYPE_OF(core_v1_persistent_volume), true,
		volume_settled},
};

struct object_watch {
	struct node *n;
	enum object_kind kind;
	char *key;           /* "secrets/ns/name" */
	struct str ns, name; /* of key */
	size_t refs;
	bool synced; /* obj, or that there is none, is known */
	struct informer *inf;
	/* without one: what the last answer brought */
	struct arena *a;
	void *obj;
	struct client_call *call;
	struct loop_timer again;
	int64_t delay_ns;
};

static void
watch_notify(struct object_watch *w)
{
	size_t pos = 0;
	void *v = NULL;
	while (map_next(&w->n->pods, &pos, NULL, &v)) {
		struct pod *p = v;
		for (size_t i = 0; i < p->n_objects; i++)
			if (p->objects[i] == w) {
				p->volumes_stale = true;
				p->setup = (struct backoff){
					0}; /* what was missing may be here now */
				pod_sync_later(p);
			}
	}
}

static void
on_change(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	(void)old, (void)new_;
	watch_notify(arg);
}

static void
on_synced(void *arg)
{
	struct object_watch *w = arg;
	w->synced = true;
	watch_notify(w);
}

/* ---- those that are asked for ---- */

static void get_start(struct object_watch *w);

static void
get_later(struct object_watch *w)
{
	w->delay_ns = w->delay_ns ? w->delay_ns * 2 : AGAIN_MIN_NS;
	if (w->delay_ns > AGAIN_MAX_NS)
		w->delay_ns = AGAIN_MAX_NS;
	loop_timer_after(w->n->loop, &w->again, w->delay_ns);
}

static void
on_again(struct loop_timer *t)
{
	get_start(t->arg);
}

static void
on_got(void *arg, const struct client_result *r)
{
	struct object_watch *w = arg;
	struct arena *a = arena_new(1 << 20);
	void *obj = NULL;
	w->call = NULL;
	bool known = r->http == 404 ||
		(r->http == 200 && a &&
			schema_parse_struct(
				a, kinds[w->kind].type, arena_str(a, r->body), &obj, NULL) == 0);
	if (!known || !obj || !kinds[w->kind].settled(obj))
		get_later(w);
	if (!known) {
		log_warn("%s: %s", w->key, r->e.msg);
		arena_free(a);
		return;
	}
	bool news = !w->synced || obj || w->obj;
	arena_free(w->a);
	w->a = a;
	w->obj = obj;
	w->synced = true;
	if (news)
		watch_notify(w);
}

static void
get_start(struct object_watch *w)
{
	struct client_req q = {.verb = CLIENT_GET,
		.version = STR("v1"),
		.resource = str_c(kinds[w->kind].resource),
		.ns = w->ns,
		.name = w->name};
	if (client_call_start(w->n->api, &q, on_got, w, &w->call) < 0)
		get_later(w);
}

/* ---- all ---- */

static void
watch_free(struct object_watch *w)
{
	informer_free(w->inf);
	if (w->call)
		client_call_cancel(w->call);
	loop_timer_cancel(&w->again);
	arena_free(w->a);
	free(w->key);
	free(w);
}

static void
key_write(struct buf *b, const struct pod *p, enum object_kind k, struct str name)
{
	buf_fmt(b, "%s/%s/" STR_FMT, kinds[k].resource, kinds[k].cluster ? "" : p->ns,
		STR_ARG(name));
}

static int
watch_new(struct node *n, enum object_kind k, struct str key, struct object_watch **ret)
{
	_cleanup_buf_ struct buf sel = BUF_INIT;
	struct object_watch *w = calloc(1, sizeof(*w));
	struct str head, rest;
	if (!w)
		return -ENOMEM;
	*w = (struct object_watch){.n = n, .kind = k, .key = strndup(key.p, key.n)};
	w->again = (struct loop_timer){.fn = on_again, .arg = w};
	if (w->key) {
		str_cut(str_c(w->key), '/', &head, &rest);
		str_cut(rest, '/', &w->ns, &w->name);
	}
	buf_fmt(&sel, "metadata.name=" STR_FMT, STR_ARG(w->name));
	struct informer_spec spec = {.version = STR("v1"),
		.resource = str_c(kinds[k].resource),
		.ns = w->ns,
		.field_selector = buf_view(&sel),
		.type = kinds[k].type,
		.on_change = on_change,
		.on_synced = on_synced,
		.arg = w};
	int rc = w->key ? map_put(&n->objects, key, w, NULL) : -ENOMEM;
	if (rc == 0 && kinds[k].settled)
		get_start(w);
	else if (rc == 0)
		rc = informer_new(n->api, &spec, &w->inf);
	if (rc < 0) {
		map_del(&n->objects, key);
		watch_free(w);
		return rc;
	}
	*ret = w;
	return 0;
}

int
object_want(struct pod *p, enum object_kind k, struct str name)
{
	_cleanup_buf_ struct buf key = BUF_INIT;
	if (name.n == 0)
		return 0;
	key_write(&key, p, k, name);
	struct object_watch *w = map_get(&p->node->objects, buf_view(&key));
	for (size_t i = 0; w && i < p->n_objects; i++)
		if (p->objects[i] == w)
			return 0;
	struct object_watch **more = realloc(p->objects, (p->n_objects + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	p->objects = more;
	int rc = w ? 0 : watch_new(p->node, k, buf_view(&key), &w);
	if (rc < 0)
		return rc;
	w->refs++;
	p->objects[p->n_objects++] = w;
	return 0;
}

const void *
object_get(struct pod *p, enum object_kind k, struct str name, bool *ret_synced)
{
	_cleanup_buf_ struct buf key = BUF_INIT, in = BUF_INIT;
	key_write(&key, p, k, name);
	struct object_watch *w = map_get(&p->node->objects, buf_view(&key));
	*ret_synced = w && w->synced;
	if (!w || !w->inf)
		return w ? w->obj : NULL;
	if (!kinds[k].cluster)
		buf_fmt(&in, "%s/", p->ns);
	buf_str(&in, name);
	const struct informer_obj *o = informer_get(w->inf, buf_view(&in));
	return o ? o->obj : NULL;
}

void
objects_release(struct pod *p)
{
	for (size_t i = 0; i < p->n_objects; i++) {
		struct object_watch *w = p->objects[i];
		if (--w->refs)
			continue;
		map_del(&p->node->objects, str_c(w->key));
		watch_free(w);
	}
	free(p->objects);
	p->objects = NULL;
	p->n_objects = 0;
}

bool
pod_objects_synced(struct pod *p)
{
	for (size_t i = 0; i < p->n_objects; i++)
		if (!p->objects[i]->synced)
			return false;
	return true;
}

static void
want_of_container(struct pod *p, const struct core_v1_container *c)
{
	for (size_t i = 0; i < c->n_env_from; i++) {
		if (c->env_from[i].config_map_ref)
			object_want(p, OBJECT_CONFIGMAP, c->env_from[i].config_map_ref->name);
		if (c->env_from[i].secret_ref)
			object_want(p, OBJECT_SECRET, c->env_from[i].secret_ref->name);
	}
	for (size_t i = 0; i < c->n_env; i++) {
		const struct core_v1_env_var_source *f = c->env[i].value_from;
		if (f && f->config_map_key_ref)
			object_want(p, OBJECT_CONFIGMAP, f->config_map_key_ref->name);
		if (f && f->secret_key_ref)
			object_want(p, OBJECT_SECRET, f->secret_key_ref->name);
	}
}

static void
want_of_volume(struct pod *p, const struct core_v1_volume *v)
{
	bool synced = false;
	if (v->config_map)
		object_want(p, OBJECT_CONFIGMAP, v->config_map->name);
	if (v->secret)
		object_want(p, OBJECT_SECRET, v->secret->secret_name);
	for (size_t i = 0; v->projected && i < v->projected->n_sources; i++) {
		const struct core_v1_volume_projection *s = &v->projected->sources[i];
		if (s->config_map)
			object_want(p, OBJECT_CONFIGMAP, s->config_map->name);
		if (s->secret)
			object_want(p, OBJECT_SECRET, s->secret->name);
	}
	struct str claim = STR("");
	char made[320];
	if (v->persistent_volume_claim)
		claim = v->persistent_volume_claim->claim_name;
	if (v->ephemeral) {
		int n = snprintf(made, sizeof(made), "%s-" STR_FMT, p->name, STR_ARG(v->name));
		claim = str_from(made, (size_t)n < sizeof(made) ? (size_t)n : 0);
	}
	if (!claim.n)
		return;
	object_want(p, OBJECT_CLAIM, claim);
	const struct core_v1_persistent_volume_claim *c = object_get(
		p, OBJECT_CLAIM, claim, &synced);
	if (c)
		object_want(p, OBJECT_VOLUME, c->spec.volume_name);
}

void
pod_objects_want(struct pod *p)
{
	const struct core_v1_pod_spec *s = &p->o->spec;
	for (size_t i = 0; i < s->n_init_containers; i++)
		want_of_container(p, &s->init_containers[i]);
	for (size_t i = 0; i < s->n_containers; i++)
		want_of_container(p, &s->containers[i]);
	for (size_t i = 0; i < s->n_ephemeral_containers; i++)
		want_of_container(p, ephemeral_spec(s, i));
	for (size_t i = 0; i < s->n_volumes; i++)
		want_of_volume(p, &s->volumes[i]);
	for (size_t i = 0; i < s->n_image_pull_secrets; i++)
		object_want(p, OBJECT_SECRET, s->image_pull_secrets[i].name);
}
