/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * rules: see rules.h. */
#include "orchestrator/node/rules.h"

#include <errno.h>
#include <stdio.h>

/* ---- resources ---- */

const char *
qos_name(enum runtime_qos q)
{
	static const char *const names[] = {[RUNTIME_QOS_GUARANTEED] = "Guaranteed",
		[RUNTIME_QOS_BURSTABLE] = "Burstable",
		[RUNTIME_QOS_BEST_EFFORT] = "BestEffort"};
	return names[q];
}

static struct str
resource_text(const struct str_pair *v, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq_c(v[i].key, name))
			return v[i].value;
	return STR_NONE;
}

int64_t
resource_milli(const struct str_pair *v, size_t n, const char *name)
{
	return quantity_milli_of(resource_text(v, n, name), -1);
}

int64_t
resource_units(const struct str_pair *v, size_t n, const char *name)
{
	return quantity_value_of(resource_text(v, n, name), -1);
}

struct qos_seen {
	bool any, all_limited;
};

static void
qos_look(struct qos_seen *q, const struct core_v1_resource_requirements *r)
{
	static const char *const names[] = {"cpu", "memory"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		int64_t lim = resource_milli(r->limits, r->n_limits, names[i]);
		int64_t req = resource_milli(r->requests, r->n_requests, names[i]);
		if (lim > 0 || req > 0)
			q->any = true;
		if (lim <= 0 || (req > 0 && req != lim))
			q->all_limited = false;
	}
}

enum runtime_qos
pod_qos(const struct core_v1_pod_spec *s)
{
	struct qos_seen q = {.all_limited = true};
	for (size_t i = 0; i < s->n_init_containers; i++)
		qos_look(&q, &s->init_containers[i].resources);
	for (size_t i = 0; i < s->n_containers; i++)
		qos_look(&q, &s->containers[i].resources);
	if (!q.any)
		return RUNTIME_QOS_BEST_EFFORT;
	return q.all_limited ? RUNTIME_QOS_GUARANTEED : RUNTIME_QOS_BURSTABLE;
}

static int64_t
cpu_shares(int64_t milli)
{
	int64_t shares = milli * 1024 / 1000;
	return shares < 2 ? 2 : shares > 262144 ? 262144 : shares;
}

static int64_t
cpu_quota_us(int64_t milli)
{
	int64_t quota = milli * 100;
	return quota < 1000 ? 1000 : quota;
}

struct runtime_limits
container_limits(const struct core_v1_container *c)
{
	const struct core_v1_resource_requirements *r = &c->resources;
	int64_t cpu = resource_milli(r->limits, r->n_limits, "cpu");
	int64_t mem = resource_units(r->limits, r->n_limits, "memory");
	int64_t want = resource_milli(r->requests, r->n_requests, "cpu");
	if (want < 0)
		want = cpu;
	struct runtime_limits l = {.cpu_shares = cpu_shares(want < 0 ? 0 : want)};
	if (mem > 0)
		l.memory_bytes = mem;
	if (cpu > 0)
		l.cpu_quota_us = cpu_quota_us(cpu);
	return l;
}

/* A pod's amount: the sum of its containers and sidecars, or an init container if that is larger; -1 when one of
 * them has no limit. */
static int64_t
pod_amount(const struct core_v1_pod_spec *s, bool limits, const char *name)
{
	int64_t sum = 0, sidecars = 0, most = 0;
	bool open = false;
	for (size_t k = 0; k < 2; k++) {
		size_t n = k ? s->n_containers : s->n_init_containers;
		for (size_t i = 0; i < n; i++) {
			const struct core_v1_container *c = k ? &s->containers[i]
							      : &s->init_containers[i];
			const struct core_v1_resource_requirements *r = &c->resources;
			int64_t v = limits ? resource_milli(r->limits, r->n_limits, name)
					   : resource_milli(r->requests, r->n_requests, name);
			if (v < 0 && !limits)
				v = resource_milli(r->limits, r->n_limits, name);
			if (v <= 0) {
				open = open || limits;
				continue;
			}
			if (k)
				sum += v;
			else if (str_eq(c->restart_policy, STR("Always")))
				sidecars += v;
			else if (v + sidecars > most)
				most = v + sidecars;
		}
	}
	sum += sidecars;
	return open ? -1 : sum > most ? sum : most;
}

int64_t
pod_request(const struct core_v1_pod_spec *s, const char *name)
{
	return pod_amount(s, false, name);
}

struct runtime_limits
pod_limits(const struct core_v1_pod_spec *s)
{
	struct runtime_limits l = {0};
	int64_t want = pod_request(s, "cpu");
	int64_t cpu = pod_amount(s, true, "cpu"), mem = pod_amount(s, true, "memory");
	l.cpu_shares = cpu_shares(want);
	if (cpu > 0)
		l.cpu_quota_us = cpu_quota_us(cpu);
	if (mem > 0)
		l.memory_bytes = mem / 1000;
	return l;
}

int64_t
memory_volume_bytes(const struct core_v1_pod_spec *s, int64_t limit_bytes, int64_t node_bytes)
{
	int64_t pod_bytes = pod_limits(s).memory_bytes, bytes = node_bytes;
	if (pod_bytes > 0 && pod_bytes < bytes)
		bytes = pod_bytes;
	return limit_bytes > 0 && limit_bytes < bytes ? limit_bytes : bytes;
}

static bool
runs_as(const struct core_v1_pod_spec *s, const struct core_v1_container *c, int64_t *user)
{
	const struct core_v1_pod_security_context *ps = s->security_context;
	const struct core_v1_security_context *cs = c->security_context;
	int64_t own = cs && cs->has_run_as_user ? cs->run_as_user
		: ps && ps->has_run_as_user     ? ps->run_as_user
						: -1;
	if (own < 0 || (*user >= 0 && *user != own))
		return false;
	*user = own;
	return true;
}

int64_t
pod_fs_user(const struct core_v1_pod_spec *s)
{
	int64_t user = -1;
	for (size_t i = 0; i < s->n_init_containers; i++)
		if (!runs_as(s, &s->init_containers[i], &user))
			return -1;
	for (size_t i = 0; i < s->n_containers; i++)
		if (!runs_as(s, &s->containers[i], &user))
			return -1;
	return user;
}

int64_t
token_renew_at(int64_t now_ns, int64_t until_ns)
{
	const int64_t day_ns = 24 * 3600 * NS_PER_SEC;
	int64_t wait_ns = (until_ns - now_ns) / 10 * 8;
	return now_ns + (wait_ns < day_ns ? wait_ns : day_ns);
}

int64_t
empty_dir_limit(const struct core_v1_volume *v)
{
	if (!v->empty_dir || str_eq(v->empty_dir->medium, STR("Memory")))
		return 0;
	return quantity_value_of(v->empty_dir->size_limit, 0);
}

bool
pod_is_critical(const struct core_v1_pod_spec *s)
{
	return s->has_priority && s->priority >= 2000000000;
}

int
oom_score(const struct core_v1_pod_spec *s, const struct core_v1_container *c, int64_t node_bytes)
{
	if (pod_is_critical(s))
		return -997;
	switch (pod_qos(s)) {
	case RUNTIME_QOS_GUARANTEED:
		return -997;
	case RUNTIME_QOS_BEST_EFFORT:
		return 1000;
	case RUNTIME_QOS_BURSTABLE:
		break;
	}
	int64_t want = resource_units(c->resources.requests, c->resources.n_requests, "memory");
	if (want < 0 || node_bytes <= 0)
		want = 0;
	int64_t score = 1000 - (node_bytes > 0 ? (int64_t)((__int128)1000 * want / node_bytes) : 0);
	return (int)(score < 3 ? 3 : score > 999 ? 999 : score);
}

/* ---- back-off ---- */

void
backoff_fail(struct backoff *b, int64_t now_ns)
{
	if (b->delay_ns && now_ns - b->until_ns > BACKOFF_RESET_NS)
		b->delay_ns = 0;
	b->delay_ns = b->delay_ns ? b->delay_ns * 2 : BACKOFF_BASE_NS;
	if (b->delay_ns > BACKOFF_MAX_NS)
		b->delay_ns = BACKOFF_MAX_NS;
	b->until_ns = now_ns + b->delay_ns;
}

int64_t
backoff_left(const struct backoff *b, int64_t now_ns)
{
	return b->delay_ns && b->until_ns > now_ns ? b->until_ns - now_ns : 0;
}

/* ---- probes ---- */

void
probe_count_init(struct probe_count *p, enum probe_kind k)
{
	*p = (struct probe_count){.value = k == PROBE_LIVENESS};
}

enum probe_verdict
probe_count_add(
	struct probe_count *p, bool ok, int32_t success_threshold, int32_t failure_threshold)
{
	if (p->run > 0 && p->last == ok)
		p->run++;
	else
		p->run = 1;
	p->last = ok;
	int32_t need = ok ? success_threshold : failure_threshold;
	if (p->run < (need > 0 ? need : 1))
		return PROBE_SAME;
	if (ok) {
		bool was = p->value;
		p->value = true;
		return was ? PROBE_SAME : PROBE_UP;
	}
	p->value = false;
	return PROBE_DOWN;
}

void
probe_text(char *out, size_t size, const char *url, const struct ip_addr *ip, uint16_t port,
	const struct err *e)
{
	static const struct {
		int code;
		bool dial;
		const char *tcp, *http;
	} rows[] = {
		{-ECONNREFUSED, true, "connect: connection refused", "connect: connection refused"},
		{-EHOSTUNREACH, true, "connect: no route to host", "connect: no route to host"},
		{-ENETUNREACH, true, "connect: network is unreachable",
			"connect: network is unreachable"},
		{-ETIMEDOUT, false, "i/o timeout",
			"context deadline exceeded (Client.Timeout exceeded while awaiting headers)"},
		{-ECONNRESET, false, "read: connection reset by peer", "EOF"},
	};
	char addr[IP_TEXT_MAX], dial[IP_TEXT_MAX + 24] = "";
	const char *text = e->msg;
	bool dialling = !url;
	ip_format(ip, addr);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (e->code == rows[i].code) {
			text = url ? rows[i].http : rows[i].tcp;
			dialling = dialling || rows[i].dial;
		}
	if (dialling)
		snprintf(dial, sizeof(dial),
			ip->family == 6 ? "dial tcp [%s]:%u: " : "dial tcp %s:%u: ", addr, port);
	snprintf(out, size, "%s%s%s%s%s", url ? "Get \"" : "", url ? url : "", url ? "\": " : "",
		dial, text);
}

/* ---- variables ---- */

struct str
var_expand(struct arena *a, struct str s, var_lookup_fn *lookup, void *arg)
{
	struct buf b;
	if (str_find_char(s, '$') < 0)
		return s;
	buf_init_arena(&b, a);
	for (size_t i = 0; i < s.n;) {
		char next = i + 1 < s.n ? s.p[i + 1] : 0;
		if (s.p[i] == '$' && next == '$') {
			buf_char(&b, '$');
			i += 2;
			continue;
		}
		struct str rest = str_sub(s, i + 2, SIZE_MAX);
		ptrdiff_t end = s.p[i] == '$' && next == '(' ? str_find_char(rest, ')') : -1;
		if (end < 0) {
			buf_char(&b, s.p[i++]);
			continue;
		}
		struct str value = lookup(arg, str_sub(rest, 0, (size_t)end));
		buf_str(&b, str_is_set(value) ? value : str_sub(s, i, i + 3 + (size_t)end));
		i += 3 + (size_t)end;
	}
	return b.failed ? STR_NONE : buf_view(&b);
}

int
sub_path_check(struct str sub, struct err *e)
{
	struct str rest = sub, part;
	if (sub.n && sub.p[0] == '/')
		return err_set(e, -EINVAL, R_UNKNOWN,
			"error SubPath `" STR_FMT "` must not be an absolute path", STR_ARG(sub));
	while (str_next(&rest, '/', &part))
		if (str_eq(part, STR("..")))
			return err_set(e, -EINVAL, R_UNKNOWN,
				"unable to provision SubPath `" STR_FMT "`: must not contain '..'",
				STR_ARG(sub));
	return 0;
}

struct str
service_env_name(struct arena *a, struct str name)
{
	char *p = arena_cstr(a, name);
	if (!p)
		return STR_NONE;
	for (size_t i = 0; i < name.n; i++) {
		if (p[i] >= 'a' && p[i] <= 'z')
			p[i] = (char)(p[i] - 'a' + 'A');
		else if (p[i] == '-' || p[i] == '.')
			p[i] = '_';
	}
	return str_from(p, name.n);
}

/* ---- files ---- */

static void
put_aliases(struct buf *b, const struct core_v1_pod_spec *s)
{
	if (s->n_host_aliases)
		buf_cstr(b, "\n# Entries added by HostAliases.\n");
	for (size_t i = 0; i < s->n_host_aliases; i++) {
		buf_str(b, s->host_aliases[i].ip);
		for (size_t k = 0; k < s->host_aliases[i].n_hostnames; k++)
			buf_fmt(b, "\t" STR_FMT, STR_ARG(s->host_aliases[i].hostnames[k]));
		buf_char(b, '\n');
	}
}

void
hosts_write(struct buf *b, const struct core_v1_pod_spec *s, struct str hostname, struct str fqdn,
	const struct ip_addr *ips, size_t n_ips)
{
	buf_cstr(b,
		"# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"
		"::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n"
		"fe00::\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n");
	for (size_t i = 0; i < n_ips; i++) {
		char text[IP_TEXT_MAX];
		ip_format(&ips[i], text);
		buf_fmt(b, "%s\t", text);
		if (fqdn.n)
			buf_fmt(b, STR_FMT "\t", STR_ARG(fqdn));
		buf_fmt(b, STR_FMT "\n", STR_ARG(hostname));
	}
	put_aliases(b, s);
}

void
hosts_write_node(struct buf *b, const struct core_v1_pod_spec *s, struct str host)
{
	buf_cstr(b, "# Kubernetes-managed hosts file (host network).\n");
	buf_str(b, host);
	put_aliases(b, s);
}

enum { RESOLV_SEARCH_MAX = 32, RESOLV_SERVERS_MAX = 3 };

struct resolv {
	struct buf servers, search, options;
	size_t n_servers, n_search;
};

static void
resolv_server(struct resolv *r, struct str addr)
{
	if (r->n_servers++ < RESOLV_SERVERS_MAX)
		buf_fmt(&r->servers, "nameserver " STR_FMT "\n", STR_ARG(addr));
}

static void
resolv_search(struct resolv *r, struct str name)
{
	if (name.n && r->n_search++ < RESOLV_SEARCH_MAX)
		buf_fmt(&r->search, " " STR_FMT, STR_ARG(name));
}

static void
resolv_host(struct resolv *r, struct str host, bool servers, bool options)
{
	struct str line, rest = host;
	while (str_next(&rest, '\n', &line)) {
		struct str word, tail;
		str_cut(str_trim(line), ' ', &word, &tail);
		tail = str_trim(tail);
		if (servers && str_eq(word, STR("nameserver")))
			resolv_server(r, tail);
		else if (str_eq(word, STR("search"))) {
			struct str name;
			while (str_next(&tail, ' ', &name))
				resolv_search(r, name);
		} else if (options && str_eq(word, STR("options")))
			buf_fmt(&r->options, " " STR_FMT, STR_ARG(tail));
	}
}

void
resolv_write(struct buf *b, const struct core_v1_pod_spec *s, struct str ns, struct str domain,
	const struct ip_addr *dns, size_t n_dns, struct str host)
{
	struct resolv r = {.servers = BUF_INIT};
	bool cluster = str_eq(s->dns_policy, STR("ClusterFirstWithHostNet")) ||
		(str_eq(s->dns_policy, STR("ClusterFirst")) && !s->host_network);
	if (cluster && n_dns) {
		char text[IP_TEXT_MAX + 300];
		for (size_t i = 0; i < n_dns; i++) {
			size_t n = ip_format(&dns[i], text);
			resolv_server(&r, str_from(text, n));
		}
		int n = snprintf(
			text, sizeof(text), STR_FMT ".svc." STR_FMT, STR_ARG(ns), STR_ARG(domain));
		if (n > 0 && (size_t)n < sizeof(text)) {
			resolv_search(&r, str_from(text, (size_t)n));
			resolv_search(&r, str_sub(str_from(text, (size_t)n), ns.n + 1, SIZE_MAX));
		}
		resolv_search(&r, domain);
		resolv_host(&r, host, false, false);
		buf_cstr(&r.options, " ndots:5");
	} else if (!str_eq(s->dns_policy, STR("None"))) {
		resolv_host(&r, host, true, true);
	}
	const struct core_v1_pod_dns_config *c = s->dns_config;
	for (size_t i = 0; c && i < c->n_nameservers; i++)
		resolv_server(&r, c->nameservers[i]);
	for (size_t i = 0; c && i < c->n_searches; i++)
		resolv_search(&r, c->searches[i]);
	for (size_t i = 0; c && i < c->n_options; i++) {
		/* The pod's own value stands last: resolvers take the last one. */
		buf_fmt(&r.options, " " STR_FMT, STR_ARG(c->options[i].name));
		if (c->options[i].value.n)
			buf_fmt(&r.options, ":" STR_FMT, STR_ARG(c->options[i].value));
	}
	if (r.search.len)
		buf_fmt(b, "search" STR_FMT "\n", STR_ARG(buf_view(&r.search)));
	buf_str(b, buf_view(&r.servers));
	if (r.options.len)
		buf_fmt(b, "options" STR_FMT "\n", STR_ARG(buf_view(&r.options)));
	b->failed = b->failed || r.servers.failed || r.search.failed || r.options.failed;
	buf_release(&r.servers);
	buf_release(&r.search);
	buf_release(&r.options);
}

bool
pairs_same(const struct str_pair *a, size_t n_a, const struct str_pair *b, size_t n_b)
{
	for (size_t i = 0; i < n_a && n_a == n_b; i++)
		if (!str_eq(a[i].key, b[i].key) || !str_eq(a[i].value, b[i].value))
			return false;
	return n_a == n_b;
}

/* ---- phase ---- */

bool
condition_lost(const struct core_v1_pod_status *s, struct str type, bool is)
{
	for (size_t i = 0; i < s->n_conditions; i++)
		if (str_eq(s->conditions[i].type, type))
			return str_eq(s->conditions[i].status, STR("True")) != is;
	return true;
}

bool
kill_restarts(struct str policy, bool sidecar)
{
	return sidecar || !str_eq(policy, STR("Never"));
}

bool
restart_wanted(struct str policy, bool sidecar, bool init, int exit_code)
{
	if (sidecar)
		return true;
	if (exit_code == 0)
		return !init && str_eq(policy, STR("Always"));
	return !str_eq(policy, STR("Never"));
}

const char *
pod_phase(const struct phase_in *v, size_t n, struct str restart_policy, bool terminating)
{
	size_t pending = 0, running = 0, waiting = 0, bad = 0;
	for (size_t i = 0; i < n; i++) {
		if (v[i].init) {
			if (v[i].restarts)
				continue;
			bool again = !terminating && !str_eq(restart_policy, STR("Never"));
			if (v[i].exited && v[i].exit_code && !again)
				return "Failed";
			pending += v[i].exited && v[i].exit_code == 0 ? 0 : 1;
		} else if (v[i].running) {
			running++;
		} else if (v[i].exited) {
			bool again = !terminating &&
				(v[i].again ||
					restart_wanted(
						restart_policy, false, false, v[i].exit_code));
			waiting += again;
			bad += !again && v[i].exit_code != 0;
		} else if (v[i].created) { /* made anew */
			waiting += !terminating;
			bad += terminating;
		} else {
			pending++;
		}
	}
	if (pending && !terminating) /* all have been started when a pod is said to run */
		return "Pending";
	if (running || waiting)
		return "Running";
	if (pending)
		return "Pending";
	return bad ? "Failed" : "Succeeded";
}
