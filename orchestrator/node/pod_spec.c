/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pod_spec: from the description of a container to the runtime's: command, variables, mounts, rights,
 * limits, files; then created, started, and its postStart hook run.
 * Source: kubelet generateContainerConfig; OCI runtime semantics by orchestrator/runtime. */
#include "orchestrator/node/node_int.h"

#include "base/disk.h"

#include <unistd.h>

#define RETRY_NS (10 * NS_PER_SEC)

/* ---- files of the pod: on tmpfs, so writing them does not wait ---- */

static void
run_path(const struct pod *p, const char *name, char out[NODE_PATH])
{
	snprintf(out, NODE_PATH, "%s/pods/%s/%s", p->node->run, p->uid, name);
}

void
ctr_termination_path(const struct ctr *c, uint32_t attempt, char out[NODE_PATH])
{
	snprintf(out, NODE_PATH, "%s/pods/%s/end-%s-%u", c->pod->node->run, c->pod->uid, c->name,
		attempt);
}

/* Each file is replaced whole, and only when it says something else: a node role that starts anew comes by here
 * while the pod's containers read them. */
int
pod_files_write(struct pod *p)
{
	const struct core_v1_pod_spec *s = &p->o->spec;
	const struct machine_config *cfg = p->node->cfg;
	_cleanup_buf_ struct buf b = BUF_INIT, host = BUF_INIT, fqdn = BUF_INIT;
	struct ip_addr dns[2];
	size_t n_dns = 0;
	char path[NODE_PATH];
	run_path(p, "", path);
	int rc = disk_mkdirs(path, 0755);
	struct str name = pod_hostname(p);
	if (s->subdomain.n)
		buf_fmt(&fqdn, STR_FMT "." STR_FMT ".%s.svc." STR_FMT, STR_ARG(name),
			STR_ARG(s->subdomain), p->ns, STR_ARG(cfg->cluster.dns_domain));
	if (s->host_network) {
		disk_read_file("/etc/hosts", 65536, &host);
		hosts_write_node(&b, s, buf_view(&host));
		buf_clear(&host);
	} else {
		hosts_write(&b, s, name, buf_view(&fqdn), p->ips, p->n_ips);
	}
	run_path(p, "hosts", path);
	if (rc == 0)
		rc = disk_keep_file(path, buf_view(&b), 0644);
	if (cfg->cluster.dns4.family)
		dns[n_dns++] = cfg->cluster.dns4;
	if (cfg->cluster.dns6.family)
		dns[n_dns++] = cfg->cluster.dns6;
	if (disk_read_file("/run/resolv.conf", 65536, &host) < 0) {
		buf_clear(&host);
		disk_read_file("/etc/resolv.conf", 65536, &host);
	}
	buf_clear(&b);
	resolv_write(&b, s, str_c(p->ns), cfg->cluster.dns_domain, dns, n_dns, buf_view(&host));
	run_path(p, "resolv.conf", path);
	if (rc == 0)
		rc = disk_keep_file(path, buf_view(&b), 0644);
	buf_clear(&b);
	buf_fmt(&b, STR_FMT "\n", STR_ARG(name));
	run_path(p, "hostname", path);
	return rc == 0 ? disk_keep_file(path, buf_view(&b), 0644) : rc;
}

/* ---- parts of the description ---- */

struct making {
	struct ctr *c;
	const struct core_v1_container *s;
	struct arena *a;
	struct runtime_container_spec r;
	struct env_out env;
	struct err e;
};

static struct str *
expand_all(struct making *m, const struct str *v, size_t n)
{
	struct str *out = ARENA_ARRAY(m->a, struct str, n);
	for (size_t i = 0; out && i < n; i++)
		out[i] = var_expand(m->a, v[i], env_lookup, &m->env);
	return out;
}

/* user_fill: container over pod; and the runAsNonRoot check. */
static int
user_fill(struct making *m)
{
	const struct core_v1_pod_security_context *ps = m->c->pod->o->spec.security_context;
	const struct core_v1_security_context *cs = m->s->security_context;
	struct runtime_container_spec *r = &m->r;
	bool non_root = false;
	if (cs && cs->has_run_as_user) {
		r->has_uid = true;
		r->uid = (uint32_t)cs->run_as_user;
	} else if (ps && ps->has_run_as_user) {
		r->has_uid = true;
		r->uid = (uint32_t)ps->run_as_user;
	}
	if (cs && cs->has_run_as_group) {
		r->has_gid = true;
		r->gid = (uint32_t)cs->run_as_group;
	} else if (ps && ps->has_run_as_group) {
		r->has_gid = true;
		r->gid = (uint32_t)ps->run_as_group;
	}
	if (cs && cs->has_run_as_non_root)
		non_root = cs->run_as_non_root;
	else if (ps && ps->has_run_as_non_root)
		non_root = ps->run_as_non_root;
	size_t n = ps ? ps->n_supplemental_groups + 1 : 0;
	uint32_t *groups = ARENA_ARRAY(m->a, uint32_t, n);
	for (size_t i = 0; groups && ps && i < ps->n_supplemental_groups; i++)
		groups[r->n_groups++] = (uint32_t)ps->supplemental_groups[i];
	if (groups && ps && ps->has_fs_group)
		groups[r->n_groups++] = (uint32_t)ps->fs_group;
	r->groups = groups;
	r->groups_strict = ps && str_eq(ps->supplemental_groups_policy, STR("Strict"));
	if (!non_root)
		return 0;
	struct runtime_image img = {0};
	struct str user = STR("");
	if (runtime_image_find(m->c->pod->node->rt, m->s->image, m->a, &img) == 0)
		str_cut(img.user, ':', &user, &(struct str){0});
	uint64_t uid = 0;
	bool numeric = str_to_u64(user, &uid) == 0;
	if (r->has_uid ? r->uid != 0 : numeric && uid != 0)
		return 0;
	const struct pod *p = m->c->pod;
	if (!r->has_uid && user.n && !numeric)
		return err_set(&m->e, -EINVAL, R_UNKNOWN,
			"container has runAsNonRoot and image has non-numeric user (" STR_FMT
			"), cannot verify user is non-root (pod: \"%s_%s(%s)\", container: %s)",
			STR_ARG(user), p->name, p->ns, p->uid, m->c->name);
	return err_set(&m->e, -EINVAL, R_UNKNOWN, "container%s (pod: \"%s_%s(%s)\", container: %s)",
		r->has_uid ? "'s runAsUser breaks non-root policy"
			   : " has runAsNonRoot and image will run as root",
		p->name, p->ns, p->uid, m->c->name);
}

static void
rights_fill(struct making *m)
{
	const struct core_v1_pod_security_context *ps = m->c->pod->o->spec.security_context;
	const struct core_v1_security_context *cs = m->s->security_context;
	struct runtime_container_spec *r = &m->r;
	const struct core_v1_seccomp_profile *sp = cs && cs->seccomp_profile ? cs->seccomp_profile
		: ps                                                         ? ps->seccomp_profile
									     : NULL;
	/* As kubelet's SeccompDefault (KEP-2413): whoever wants no filter says so. */
	r->seccomp = RUNTIME_SECCOMP_DEFAULT;
	if (sp && str_eq(sp->type, STR("Unconfined")))
		r->seccomp = RUNTIME_SECCOMP_UNCONFINED;
	if (sp && str_eq(sp->type, STR("Localhost"))) {
		r->seccomp = RUNTIME_SECCOMP_LOCALHOST;
		r->seccomp_profile = sp->localhost_profile;
	}
	if (!cs)
		return;
	r->privileged = cs->privileged;
	if (r->privileged)
		r->seccomp = RUNTIME_SECCOMP_UNCONFINED;
	r->read_only_rootfs = cs->read_only_root_filesystem;
	r->no_new_privs = cs->has_allow_privilege_escalation && !cs->allow_privilege_escalation;
	r->unmasked_proc = str_eq(cs->proc_mount, STR("Unmasked"));
	if (cs->capabilities) {
		r->caps_add = cs->capabilities->add;
		r->n_caps_add = cs->capabilities->n_add;
		r->caps_drop = cs->capabilities->drop;
		r->n_caps_drop = cs->capabilities->n_drop;
	}
}

static int
mounts_fill(struct making *m)
{
	const struct core_v1_container *s = m->s;
	struct runtime_mount *v = ARENA_ARRAY(m->a, struct runtime_mount, s->n_volume_mounts);
	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_volume_mounts; i++) {
		const struct core_v1_volume_mount *x = &s->volume_mounts[i];
		struct volume_at at;
		if (!pod_volume_at(m->c->pod, x->name, &at))
			return err_set(&m->e, -EINVAL, R_UNKNOWN, "volume '" STR_FMT "' not found",
				STR_ARG(x->name));
		struct str sub = x->sub_path_expr.n
			? var_expand(m->a, x->sub_path_expr, env_lookup, &m->env)
			: x->sub_path;
		if (sub_path_check(sub, &m->e) < 0)
			return -EINVAL;
		v[i] = (struct runtime_mount){.sub = sub,
			.sub_create = true,
			.target = x->mount_path,
			.read_only = x->read_only || at.read_only,
			.recursive_read_only = str_eq(x->recursive_read_only, STR("Enabled"))};
		if (at.image.n && sub.n)
			return err_set(&m->e, -ENOTSUP, R_UNKNOWN,
				"subPath of volume \"" STR_FMT "\": not supported for images",
				STR_ARG(x->name));
		if (at.image.n)
			v[i].image = at.image;
		else
			v[i].source = arena_str(m->a, str_c(at.dir));
		if (str_eq(x->mount_propagation, STR("HostToContainer")))
			v[i].propagation = RUNTIME_PROPAGATION_HOST_TO_CONTAINER;
		if (str_eq(x->mount_propagation, STR("Bidirectional")))
			v[i].propagation = RUNTIME_PROPAGATION_BIDIRECTIONAL;
	}
	m->r.mounts = v;
	m->r.n_mounts = s->n_volume_mounts;
	return 0;
}

static int
files_fill(struct making *m)
{
	struct pod *p = m->c->pod;
	char path[NODE_PATH];
	struct runtime_container_spec *r = &m->r;
	run_path(p, "hosts", path);
	r->hosts_path = arena_str(m->a, str_c(path));
	run_path(p, "resolv.conf", path);
	r->resolv_conf_path = arena_str(m->a, str_c(path));
	run_path(p, "hostname", path);
	r->hostname_path = arena_str(m->a, str_c(path));
	ctr_termination_path(m->c, m->c->attempt, path);
	r->termination_source = arena_str(m->a, str_c(path));
	r->termination_path = m->s->termination_message_path;
	int rc = disk_write_file(path, STR(""), 0666);
	if (rc < 0)
		return err_errno(&m->e, rc, "making '%s'", path);
	pod_log_dir(p, path);
	r->log_path = arena_fmt(m->a, "%s/%s/%u.log", path, m->c->name, m->c->attempt);
	return 0;
}

/* ---- created, started ---- */

static void
create_failed(struct ctr *c, const char *reason, const char *text)
{
	ctr_wait(c, reason, "%s", text);
	pod_event(c->pod, c, "Warning", "Failed", "Error: %s", text);
	c->retry_ns = clock_mono_ns() + RETRY_NS;
	pod_wake_in(c->pod, RETRY_NS);
}

static void
begun(struct ctr *c)
{
	probes_start(c);
	pod_sync_later(c->pod);
}

static void
on_post_start(void *arg, bool ok, const char *text)
{
	struct ctr *c = arg;
	c->action = NULL;
	c->op = CTR_IDLE;
	if (ok) {
		begun(c);
	} else {
		/* Not why: what the command printed may be secret. */
		(void)text;
		pod_event(c->pod, c, "Warning", "FailedPostStartHook", "PostStartHook failed");
		c->kill = true;
		c->kill_grace_ns = c->pod->o->spec.termination_grace_period_seconds * NS_PER_SEC;
		snprintf(c->kill_why, sizeof(c->kill_why), "FailedPostStartHook");
	}
	pod_op_end(c->pod);
}

static void
on_started(void *arg, const struct err *e)
{
	struct ctr *c = arg;
	struct pod *p = c->pod;
	const struct core_v1_container *s = ctr_spec(c);
	c->op = CTR_IDLE;
	/* The first restart comes at once, the next after 10 s, 20 s ... */
	if (c->attempt > 1)
		c->restart_delay_ns = c->restart_delay_ns ? c->restart_delay_ns * 2
							  : BACKOFF_BASE_NS;
	if (c->restart_delay_ns > BACKOFF_MAX_NS)
		c->restart_delay_ns = BACKOFF_MAX_NS;
	c->backoff_told = false;
	if (e && e->code) {
		ctr_wait(c, "RunContainerError", "%s", e->msg);
		pod_event(p, c, "Warning", "Failed", "Error: %s", e->msg);
		pod_op_end(p);
		return;
	}
	pod_event(p, c, "Normal", "Started", "Container started");
	pod_mark(p, MARK_STARTED);
	const struct core_v1_lifecycle_handler *h = s && s->lifecycle ? s->lifecycle->post_start
								      : NULL;
	if (h) {
		struct action_spec a = {
			h->exec, h->http_get, h->tcp_socket, h->sleep, 0, .hook = true};
		if (action_start(c, &a, on_post_start, c, &c->action) == 0) {
			c->op = CTR_HOOK;
			return; /* the operation goes on */
		}
	}
	begun(c);
	pod_op_end(p);
}

static void
on_old_gone(void *arg, const struct err *e)
{
	(void)e;
	pod_op_end(arg);
}

static void
on_created(void *arg, const struct err *e)
{
	struct ctr *c = arg;
	struct pod *p = c->pod;
	if (e && e->code) {
		c->op = CTR_IDLE;
		c->id[0] = 0;
		create_failed(c, "CreateContainerError", e->msg);
		pod_op_end(p);
		return;
	}
	pod_event(p, c, "Normal", "Created", "Container created");
	pod_mark(p, MARK_CREATED);
	c->op = CTR_STARTING;
	int rc = runtime_container_start(p->node->rt, str_c(c->id), on_started, c);
	if (rc < 0) {
		c->op = CTR_IDLE;
		create_failed(c, "RunContainerError", strerror(-rc));
		pod_op_end(p);
	}
}

/* history_turn: the newest run becomes the last one; the one before that goes. */
static void
history_turn(struct ctr *c)
{
	struct pod *p = c->pod;
	struct runtime_container rc;
	if (!ctr_state(c, &rc))
		return;
	ctr_last_set(&c->last, &rc, c->message);
	if (c->old[0] && runtime_container_remove(p->node->rt, str_c(c->old), on_old_gone, p) == 0)
		pod_op_begin(p);
	memcpy(c->old, c->id, sizeof(c->old));
	c->id[0] = 0;
	c->message[0] = 0;
	c->message_read = false;
}

static int
spec_fill(struct making *m)
{
	struct ctr *c = m->c;
	const struct core_v1_container *s = m->s;
	int rc = env_build(c, s, m->a, &m->env, &m->e);
	if (rc == 0)
		rc = user_fill(m);
	if (rc == 0)
		rc = mounts_fill(m);
	if (rc == 0)
		rc = ephemeral_target(c, &m->r.pids_of, &m->e);
	if (rc == 0)
		rc = files_fill(m);
	if (rc < 0)
		return rc;
	struct runtime_container_spec *r = &m->r;
	rights_fill(m);
	r->sandbox_id = str_c(c->pod->sandbox);
	r->name = str_c(c->name);
	r->attempt = c->attempt;
	r->image = s->image;
	r->command = expand_all(m, s->command, s->n_command);
	r->n_command = s->n_command;
	r->args = expand_all(m, s->args, s->n_args);
	r->n_args = s->n_args;
	r->env = m->env.v;
	r->n_env = m->env.n;
	r->cwd = s->working_dir;
	struct core_v1_container given = *s;
	given.resources = *ctr_resources(c);
	r->limits = container_limits(&given);
	r->oom_score_adj = oom_score(&c->pod->o->spec, &given, c->pod->node->facts.memory_bytes);
	r->tty = s->tty;
	r->open_stdin = s->stdin_;
	r->stdin_once = s->stdin_once;
	r->stop_signal = s->lifecycle ? s->lifecycle->stop_signal : STR("");
	return arena_failed(m->a) ? -ENOMEM : 0;
}

void
ctr_create(struct ctr *c)
{
	struct pod *p = c->pod;
	struct making m = {.c = c, .s = ctr_spec(c), .a = arena_new(16 << 20)};
	if (!m.a || !m.s) {
		arena_free(m.a);
		return;
	}
	c->kill = c->again = false;
	int rc = spec_fill(&m);
	if (rc < 0) {
		create_failed(c, "CreateContainerConfigError", m.e.code ? m.e.msg : strerror(-rc));
		arena_free(m.a);
		return;
	}
	history_turn(c);
	rc = runtime_container_create(p->node->rt, &m.r, c->id, on_created, c, &m.e);
	arena_free(m.a);
	if (rc < 0) {
		c->id[0] = 0;
		create_failed(c, "CreateContainerError", m.e.msg);
		return;
	}
	ctr_applied(c, ctr_resources(c));
	c->resize_restart = false;
	c->attempt++;
	c->reason[0] = c->detail[0] = 0;
	c->op = CTR_CREATING;
	pod_op_begin(p);
}
