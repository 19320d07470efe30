/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * env: the environment of a container: services of the namespace, envFrom, env with references and
 * $(VAR), in upstream's order; and the downward API's values.
 * Source: Kubernetes "Define environment variables", downward API; kubelet's makeEnvironmentVariables. */
#include "orchestrator/node/node_int.h"

struct str
env_lookup(void *env_out, struct str name)
{
	struct env_out *o = env_out;
	struct str *v = map_get(o->by_name, name);
	return v ? *v : STR_NONE;
}

/* ---- downward API ---- */

/* subscript: metadata.labels['x'] -> x. */
static bool
subscript(struct str path, const char *map, struct str *ret)
{
	size_t n = strlen(map);
	if (!str_starts(path, str_c(map)) || path.n < n + 4 || !str_ends(path, STR("']")) ||
		path.p[n] != '[' || path.p[n + 1] != '\'')
		return false;
	*ret = str_sub(path, n + 2, path.n - 2);
	return true;
}

static struct str
pair_get(const struct str_pair *v, size_t n, struct str key)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(v[i].key, key))
			return v[i].value;
	return STR("");
}

static struct str
pairs_text(const struct str_pair *v, size_t n, struct arena *a)
{
	struct buf b;
	buf_init_arena(&b, a);
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_char(&b, '\n');
		buf_fmt(&b, STR_FMT "=", STR_ARG(v[i].key));
		doc_json_string(&b, v[i].value);
	}
	return buf_view(&b);
}

static struct str
ips_text(const struct ip_addr *v, size_t n, bool all, struct arena *a)
{
	struct buf b;
	buf_init_arena(&b, a);
	for (size_t i = 0; i < n && (all || i == 0); i++) {
		char text[IP_TEXT_MAX];
		ip_format(&v[i], text);
		buf_cstr(&b, i ? "," : "");
		buf_cstr(&b, text);
	}
	return buf_view(&b);
}

int
field_value(struct pod *p, struct str path, struct arena *a, struct str *ret, struct err *e)
{
	const struct meta_v1_object_meta *m = &p->o->metadata;
	const struct core_v1_pod_spec *s = &p->o->spec;
	const struct node_facts *f = &p->node->facts;
	const struct {
		const char *path;
		struct str value;
	} plain[] = {
		{"metadata.name", m->name},
		{"metadata.namespace", m->namespace},
		{"metadata.uid", m->uid},
		{"spec.nodeName", s->node_name},
		{"spec.serviceAccountName", s->service_account_name},
	};
	struct str key;
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		if (str_eq_c(path, plain[i].path)) {
			*ret = plain[i].value;
			return 0;
		}
	if (subscript(path, "metadata.labels", &key))
		*ret = pair_get(m->labels, m->n_labels, key);
	else if (subscript(path, "metadata.annotations", &key))
		*ret = pair_get(m->annotations, m->n_annotations, key);
	else if (str_eq(path, STR("metadata.labels")))
		*ret = pairs_text(m->labels, m->n_labels, a);
	else if (str_eq(path, STR("metadata.annotations")))
		*ret = pairs_text(m->annotations, m->n_annotations, a);
	else if (str_eq(path, STR("status.podIP")))
		*ret = ips_text(p->ips, p->n_ips, false, a);
	else if (str_eq(path, STR("status.podIPs")))
		*ret = ips_text(p->ips, p->n_ips, true, a);
	else if (str_eq(path, STR("status.hostIP")))
		*ret = ips_text(f->ips, f->n_ips, false, a);
	else if (str_eq(path, STR("status.hostIPs")))
		*ret = ips_text(f->ips, f->n_ips, true, a);
	else
		return err_set(
			e, -EINVAL, R_UNKNOWN, "unsupported fieldPath: " STR_FMT, STR_ARG(path));
	return 0;
}

static const struct core_v1_container *
container_named(const struct core_v1_pod_spec *s, struct str name)
{
	for (size_t i = 0; i < s->n_containers; i++)
		if (str_eq(s->containers[i].name, name))
			return &s->containers[i];
	for (size_t i = 0; i < s->n_init_containers; i++)
		if (str_eq(s->init_containers[i].name, name))
			return &s->init_containers[i];
	return NULL;
}

int
resource_value(struct pod *p, const struct core_v1_resource_field_selector *f, struct str own,
	struct arena *a, struct str *ret, struct err *e)
{
	const struct core_v1_container *c = container_named(
		&p->o->spec, f->container_name.n ? f->container_name : own);
	struct str what, name, divisor = f->divisor.n ? f->divisor : STR("1");
	char res[64];
	if (!c)
		return err_set(e, -EINVAL, R_UNKNOWN, "container '" STR_FMT "' not found",
			STR_ARG(f->container_name));
	bool ok = str_cut(f->resource, '.', &what, &name) && str_copy_c(name, res, sizeof(res));
	bool limits = str_eq(what, STR("limits"));
	if (!ok || (!limits && !str_eq(what, STR("requests"))))
		return err_set(e, -EINVAL, R_UNKNOWN, "unsupported container resource: " STR_FMT,
			STR_ARG(f->resource));
	const struct core_v1_resource_requirements *r = &c->resources;
	int64_t milli = limits ? resource_milli(r->limits, r->n_limits, res)
			       : resource_milli(r->requests, r->n_requests, res);
	/* No limit: what the node has. */
	if (milli < 0 && limits && strcmp(res, "cpu") == 0)
		milli = p->node->facts.cpus * 1000;
	else if (milli < 0 && limits && strcmp(res, "memory") == 0)
		milli = p->node->facts.memory_bytes * 1000;
	else if (milli < 0)
		milli = 0;
	int64_t div = quantity_milli_of(divisor, 1000);
	if (div <= 0)
		div = 1000;
	*ret = arena_fmt(a, "%lld", (long long)((milli + div - 1) / div));
	return ret->p ? 0 : -ENOMEM;
}

/* ---- the list ---- */

struct building {
	struct arena *a;
	struct map names; /* name -> struct str * (value) */
	struct str *order;
	size_t n;
	bool failed;
};

static void
put(struct building *b, struct str name, struct str value)
{
	struct str *v = ARENA_NEW(b->a, struct str);
	bool fresh = map_get(&b->names, name) == NULL;
	if (!v) {
		b->failed = true;
		return;
	}
	*v = value.p ? value : STR("");
	if (map_put(&b->names, name, v, NULL) < 0)
		b->failed = true;
	if (!fresh)
		return;
	struct str *slot = ARENA_PUSH(b->a, b->order, b->n);
	if (slot)
		*slot = name;
	else
		b->failed = true;
}

static void
put_port_var(struct building *b, struct str prefix, const char *suffix, struct str value)
{
	put(b, arena_fmt(b->a, STR_FMT "%s", STR_ARG(prefix), suffix), value);
}

static void
put_service(struct building *b, const struct core_v1_service *s)
{
	struct arena *a = b->a;
	struct str up = service_env_name(a, s->metadata.name), ip = s->spec.cluster_ip;
	if (ip.n == 0 || str_eq(ip, STR("None")) || s->spec.n_ports == 0)
		return;
	struct str host = str_find_char(ip, ':') >= 0 ? arena_fmt(a, "[" STR_FMT "]", STR_ARG(ip))
						      : ip;
	put(b, arena_fmt(a, STR_FMT "_SERVICE_HOST", STR_ARG(up)), ip);
	put(b, arena_fmt(a, STR_FMT "_SERVICE_PORT", STR_ARG(up)),
		arena_fmt(a, "%d", s->spec.ports[0].port));
	for (size_t i = 0; i < s->spec.n_ports; i++)
		if (s->spec.ports[i].name.n)
			put(b,
				arena_fmt(a, STR_FMT "_SERVICE_PORT_" STR_FMT, STR_ARG(up),
					STR_ARG(service_env_name(a, s->spec.ports[i].name))),
				arena_fmt(a, "%d", s->spec.ports[i].port));
	for (size_t i = 0; i < s->spec.n_ports; i++) {
		const struct core_v1_service_port *sp = &s->spec.ports[i];
		struct str proto = sp->protocol.n ? sp->protocol : STR("TCP");
		char low[16] = "";
		str_copy_c(proto, low, sizeof(low));
		for (char *c = low; *c; c++)
			*c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
		struct str url = arena_fmt(a, "%s://" STR_FMT ":%d", low, STR_ARG(host), sp->port);
		struct str pre = arena_fmt(
			a, STR_FMT "_PORT_%d_" STR_FMT, STR_ARG(up), sp->port, STR_ARG(proto));
		if (i == 0)
			put(b, arena_fmt(a, STR_FMT "_PORT", STR_ARG(up)), url);
		put_port_var(b, pre, "", url);
		put_port_var(b, pre, "_PROTO", arena_fmt(a, "%s", low));
		put_port_var(b, pre, "_PORT", arena_fmt(a, "%d", sp->port));
		put_port_var(b, pre, "_ADDR", ip);
	}
}

static void
put_services(struct building *b, struct pod *p)
{
	const struct core_v1_pod_spec *s = &p->o->spec;
	bool links = !s->has_enable_service_links || s->enable_service_links;
	size_t pos = 0;
	const struct informer_obj *o;
	while ((o = informer_next(p->node->services, &pos)) != NULL) {
		bool api = str_eq(o->ns, STR("default")) && str_eq(o->name, STR("kubernetes"));
		if (api || (links && str_eq_c(o->ns, p->ns)))
			put_service(b, o->obj);
	}
}

static int
put_from(struct building *b, struct pod *p, const struct core_v1_env_from_source *f, struct err *e)
{
	bool synced = false, optional = false;
	const struct str_pair *v = NULL;
	size_t n = 0;
	bool found = false;
	struct str name = STR("");
	if (f->config_map_ref) {
		name = f->config_map_ref->name;
		optional = f->config_map_ref->optional;
		const struct core_v1_config_map *m = object_get(p, OBJECT_CONFIGMAP, name, &synced);
		found = m != NULL;
		v = m ? m->data : NULL;
		n = m ? m->n_data : 0;
	} else if (f->secret_ref) {
		name = f->secret_ref->name;
		optional = f->secret_ref->optional;
		const struct core_v1_secret *m = object_get(p, OBJECT_SECRET, name, &synced);
		found = m != NULL;
		v = m ? m->data : NULL;
		n = m ? m->n_data : 0;
	}
	if (!found && !optional)
		return err_set(e, -ENOENT, R_UNKNOWN, "%s \"" STR_FMT "\" not found",
			f->config_map_ref ? "configmap" : "secret", STR_ARG(name));
	for (size_t i = 0; i < n; i++)
		put(b, arena_fmt(b->a, STR_FMT STR_FMT, STR_ARG(f->prefix), STR_ARG(v[i].key)),
			arena_str(b->a, v[i].value));
	return 0;
}

/* key_value: 1 found, 0 absent and optional, -ENOENT. */
static int
key_value(struct pod *p, const struct core_v1_env_var_source *f, struct arena *a, struct str *ret,
	struct err *e)
{
	bool synced = false, found = false;
	const struct str_pair *v = NULL;
	size_t n = 0;
	bool secret = f->secret_key_ref != NULL;
	struct str name = secret ? f->secret_key_ref->name : f->config_map_key_ref->name;
	struct str key = secret ? f->secret_key_ref->key : f->config_map_key_ref->key;
	bool optional = secret ? f->secret_key_ref->optional : f->config_map_key_ref->optional;
	if (secret) {
		const struct core_v1_secret *m = object_get(p, OBJECT_SECRET, name, &synced);
		found = m != NULL;
		v = m ? m->data : NULL;
		n = m ? m->n_data : 0;
	} else {
		const struct core_v1_config_map *m = object_get(p, OBJECT_CONFIGMAP, name, &synced);
		found = m != NULL;
		v = m ? m->data : NULL;
		n = m ? m->n_data : 0;
	}
	for (size_t i = 0; i < n; i++)
		if (str_eq(v[i].key, key)) {
			*ret = arena_str(a, v[i].value);
			return 1;
		}
	if (optional)
		return 0;
	if (!found)
		return err_set(e, -ENOENT, R_UNKNOWN, "%s \"" STR_FMT "\" not found",
			secret ? "secret" : "configmap", STR_ARG(name));
	return err_set(e, -ENOENT, R_UNKNOWN, "couldn't find key " STR_FMT " in %s %s/" STR_FMT,
		STR_ARG(key), secret ? "Secret" : "ConfigMap", p->ns, STR_ARG(name));
}

static int
put_var(struct building *b, struct ctr *c, const struct core_v1_env_var *v, struct err *e)
{
	struct env_out look = {.by_name = &b->names};
	const struct core_v1_env_var_source *f = v->value_from;
	struct str value = STR("");
	int rc = 1;
	if (!f)
		value = var_expand(b->a, v->value, env_lookup, &look);
	else if (f->field_ref)
		rc = field_value(c->pod, f->field_ref->field_path, b->a, &value, e);
	else if (f->resource_field_ref)
		rc = resource_value(c->pod, f->resource_field_ref, str_c(c->name), b->a, &value, e);
	else if (f->config_map_key_ref || f->secret_key_ref) {
		rc = key_value(c->pod, f, b->a, &value, e);
		if (rc == 0)
			return 0;
	}
	if (rc < 0)
		return rc;
	put(b, v->name, value);
	return 0;
}

int
env_build(struct ctr *c, const struct core_v1_container *s, struct arena *a, struct env_out *ret,
	struct err *e)
{
	struct building *b = ARENA_NEW(a, struct building);
	int rc = 0;
	if (!b)
		return -ENOMEM;
	b->a = a;
	map_init(&b->names);
	if (arena_on_clear(a, (void (*)(void *))map_release, &b->names) < 0)
		return -ENOMEM;
	put_services(b, c->pod);
	for (size_t i = 0; rc == 0 && i < s->n_env_from; i++)
		rc = put_from(b, c->pod, &s->env_from[i], e);
	for (size_t i = 0; rc == 0 && i < s->n_env; i++)
		rc = put_var(b, c, &s->env[i], e);
	if (rc < 0)
		return rc;
	ret->by_name = &b->names;
	ret->v = ARENA_ARRAY(a, struct str, b->n);
	ret->n = 0;
	for (size_t i = 0; ret->v && i < b->n; i++) {
		struct str *value = map_get(&b->names, b->order[i]);
		ret->v[ret->n++] = arena_fmt(
			a, STR_FMT "=" STR_FMT, STR_ARG(b->order[i]), STR_ARG(*value));
	}
	return b->failed || arena_failed(a) ? err_set(e, -ENOMEM, R_UNKNOWN, "no memory") : 0;
}
