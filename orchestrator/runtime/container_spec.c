/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * container_spec: see container_spec.h. */
#include "orchestrator/runtime/container_spec.h"

#include <errno.h>
#include <signal.h>

#include "orchestrator/runtime/caps.h"

static const struct {
	const char *name;
	int nr;
} signals[] = {
	{"HUP", SIGHUP},
	{"INT", SIGINT},
	{"QUIT", SIGQUIT},
	{"ILL", SIGILL},
	{"TRAP", SIGTRAP},
	{"ABRT", SIGABRT},
	{"IOT", SIGABRT},
	{"BUS", SIGBUS},
	{"FPE", SIGFPE},
	{"KILL", SIGKILL},
	{"USR1", SIGUSR1},
	{"SEGV", SIGSEGV},
	{"USR2", SIGUSR2},
	{"PIPE", SIGPIPE},
	{"ALRM", SIGALRM},
	{"TERM", SIGTERM},
	{"STKFLT", SIGSTKFLT},
	{"CHLD", SIGCHLD},
	{"CONT", SIGCONT},
	{"STOP", SIGSTOP},
	{"TSTP", SIGTSTP},
	{"TTIN", SIGTTIN},
	{"TTOU", SIGTTOU},
	{"URG", SIGURG},
	{"XCPU", SIGXCPU},
	{"XFSZ", SIGXFSZ},
	{"VTALRM", SIGVTALRM},
	{"PROF", SIGPROF},
	{"WINCH", SIGWINCH},
	{"IO", SIGIO},
	{"POLL", SIGIO},
	{"PWR", SIGPWR},
	{"SYS", SIGSYS},
};

/* The kernel's numbers, which images mean; libraries keep the first two or three for themselves. */
#define KERNEL_RTMIN 34
#define KERNEL_RTMAX 64

int
container_signal(struct str name)
{
	struct str n = name;
	struct str head = STR_NONE;
	struct str tail = STR_NONE;
	uint64_t v = 0;

	if (str_to_u64(n, &v) == 0)
		return v > 0 && v <= 64 ? (int)v : -EINVAL;
	if (n.n > 3 && str_eq_nocase(str_sub(n, 0, 3), STR("SIG")))
		n = str_sub(n, 3, SIZE_MAX);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		if (str_eq_nocase(n, str_c(signals[i].name)))
			return signals[i].nr;
	if (!str_cut(n, '+', &head, &tail) && !str_cut(n, '-', &head, &tail))
		tail = STR("0");
	if (str_to_u64(tail, &v) || v > 30)
		return -EINVAL;
	if (str_eq_nocase(head, STR("RTMIN")))
		return KERNEL_RTMIN + (int)v;
	if (str_eq_nocase(head, STR("RTMAX")))
		return KERNEL_RTMAX - (int)v;
	return -EINVAL;
}

/* ---- checks ---- */

static int
bad(struct err *e, const char *what, struct str value)
{
	return err_set(e, -EINVAL, R_INVALID, "%s '" STR_FMT "'", what, STR_ARG(value));
}

static bool
has_nul(const struct str *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_find_char(list[i], '\0') >= 0)
			return true;
	return false;
}

static bool
has_dots(struct str path)
{
	struct str rest = path;
	struct str part = STR_NONE;

	while (str_next(&rest, '/', &part))
		if (str_eq(part, STR("..")))
			return true;
	return false;
}

static int
mounts_check(const struct runtime_container_spec *s, struct err *e)
{
	if (s->n_mounts > RUNTIME_MAX_MOUNTS)
		return err_set(e, -EINVAL, R_INVALID, "too many mounts");
	for (size_t i = 0; i < s->n_mounts; i++) {
		const struct runtime_mount *m = &s->mounts[i];

		if (m->target.n < 2 || m->target.p[0] != '/' || m->target.n > 4000 ||
			has_dots(m->target) || str_find_char(m->target, '\0') >= 0)
			return bad(e, "invalid mount path", m->target);
		if (!m->image.n && (m->source.n == 0 || m->source.p[0] != '/'))
			return bad(e, "invalid mount source", m->source);
		if (m->sub.n && (m->sub.p[0] == '/' || has_dots(m->sub) || m->sub.n > 4000))
			return bad(e, "invalid subPath", m->sub);
		if (m->propagation > RUNTIME_PROPAGATION_BIDIRECTIONAL)
			return bad(e, "invalid propagation of", m->target);
	}
	return 0;
}

int
container_spec_check(const struct runtime_container_spec *s, struct err *e)
{
	size_t bytes = 0;
	int rc = mounts_check(s, e);

	if (rc)
		return rc;
	for (size_t i = 0; i < s->n_command; i++)
		bytes += s->command[i].n + 9;
	for (size_t i = 0; i < s->n_args; i++)
		bytes += s->args[i].n + 9;
	for (size_t i = 0; i < s->n_env; i++)
		bytes += s->env[i].n + 9;
	if (bytes > RUNTIME_MAX_ARGS_BYTES)
		return err_set(e, -EINVAL, R_INVALID, "argument list too long");
	if (has_nul(s->command, s->n_command) || has_nul(s->args, s->n_args) ||
		has_nul(s->env, s->n_env))
		return err_set(e, -EINVAL, R_INVALID, "arguments hold a zero byte");
	if (s->data.n > RUNTIME_DATA_MAX)
		return err_set(e, -EINVAL, R_INVALID, "too much data");
	if (s->seccomp == RUNTIME_SECCOMP_LOCALHOST &&
		(s->seccomp_profile.n == 0 || s->seccomp_profile.p[0] == '/' ||
			has_dots(s->seccomp_profile)))
		return bad(e, "invalid seccomp profile", s->seccomp_profile);
	if (s->oom_score_adj < -1000 || s->oom_score_adj > 1000)
		return err_set(e, -EINVAL, R_INVALID, "oom_score_adj out of range");
	if (s->stop_signal.n && container_signal(s->stop_signal) < 0)
		return bad(e, "invalid stop signal", s->stop_signal);
	if (s->log_path.n && s->log_path.p[0] != '/')
		return bad(e, "invalid log path", s->log_path);
	return 0;
}

/* ---- what runs ---- */

static int
append(struct arena *a, struct str **list, size_t *n, const struct str *from, size_t n_from)
{
	for (size_t i = 0; i < n_from; i++) {
		struct str *to = ARENA_PUSH(a, *list, *n);

		if (!to)
			return -ENOMEM;
		*to = arena_str(a, from[i]);
	}
	return 0;
}

static struct str
key_of(struct str pair)
{
	struct str key = STR_NONE;
	struct str value = STR_NONE;

	str_cut(pair, '=', &key, &value);
	return key;
}

/* A variable set again takes the place of the first. */
static int
env_set(struct arena *a, struct str **list, size_t *n, struct str pair)
{
	struct str *to = NULL;

	if (str_find_char(pair, '=') <= 0)
		return 0;
	for (size_t i = 0; i < *n; i++) {
		if (str_eq(key_of((*list)[i]), key_of(pair))) {
			(*list)[i] = arena_str(a, pair);
			return 0;
		}
	}
	to = ARENA_PUSH(a, *list, *n);
	if (!to)
		return -ENOMEM;
	*to = arena_str(a, pair);
	return 0;
}

int
container_env_add(struct arena *a, struct container_rec *rec, const char *name, struct str value)
{
	struct str *list = ARENA_ARRAY(a, struct str, rec->n_env + 1);

	for (size_t i = 0; list && i < rec->n_env; i++) {
		if (str_eq_c(key_of(rec->env[i]), name))
			return 0;
		list[i] = rec->env[i];
	}
	if (!list)
		return -ENOMEM;
	list[rec->n_env] = arena_cat(a, (struct str[]){str_c(name), STR("="), value}, 3);
	rec->env = list;
	rec->n_env++;
	return arena_failed(a) ? -ENOMEM : 0;
}

static int
resolve_env(struct arena *a, struct container_rec *rec, const struct image_config *img,
	struct str hostname)
{
	const struct runtime_container_spec *s = &rec->spec;
	struct str *list = NULL;
	size_t n = 0;
	int rc = env_set(a, &list, &n,
		STR("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));

	if (!rc && s->tty)
		rc = env_set(a, &list, &n, STR("TERM=xterm"));
	if (!rc && hostname.n)
		rc = env_set(
			a, &list, &n, arena_cat(a, (struct str[]){STR("HOSTNAME="), hostname}, 2));
	for (size_t i = 0; !rc && i < img->n_env; i++)
		rc = env_set(a, &list, &n, img->env[i]);
	for (size_t i = 0; !rc && i < s->n_env; i++)
		rc = env_set(a, &list, &n, s->env[i]);
	rec->env = list;
	rec->n_env = n;
	return rc;
}

int
container_spec_resolve(struct arena *a, struct container_rec *rec, const struct image_config *img,
	struct str hostname, struct err *e)
{
	const struct runtime_container_spec *s = &rec->spec;
	struct str *argv = NULL;
	size_t n = 0;
	struct str sig = s->stop_signal.n ? s->stop_signal : img->stop_signal;
	int rc = 0;

	if (s->n_command) {
		rc = append(a, &argv, &n, s->command, s->n_command);
		if (!rc)
			rc = append(a, &argv, &n, s->args, s->n_args);
	} else {
		rc = append(a, &argv, &n, img->entrypoint, img->n_entrypoint);
		if (!rc)
			rc = s->n_args ? append(a, &argv, &n, s->args, s->n_args)
				       : append(a, &argv, &n, img->cmd, img->n_cmd);
	}
	if (!rc)
		rc = resolve_env(a, rec, img, hostname);
	if (rc)
		return err_set(e, rc, R_INTERNAL_ERROR, "no memory");
	if (n == 0)
		return err_set(e, -EINVAL, R_INVALID, "no command specified");
	/* An image may hold what no kernel call takes. */
	if (has_nul(argv, n) || has_nul(rec->env, rec->n_env))
		return err_set(e, -EINVAL, R_INVALID, "arguments hold a zero byte");
	rec->argv = argv;
	rec->n_argv = n;
	rec->cwd = arena_str(a, s->cwd.n ? s->cwd : img->workdir.n ? img->workdir : STR("/"));
	if (rec->cwd.p && (rec->cwd.p[0] != '/' || str_find_char(rec->cwd, '\0') >= 0))
		return err_set(e, -EINVAL, R_INVALID,
			"working directory '" STR_FMT "' is not an absolute path",
			STR_ARG(rec->cwd));
	rec->stop_signal = sig.n ? container_signal(sig) : SIGTERM;
	if (rec->stop_signal < 0)
		rec->stop_signal = SIGTERM; /* the image's mistake does not make it unusable */
	rc = caps_resolve(s->privileged, s->caps_add, s->n_caps_add, s->caps_drop, s->n_caps_drop,
		&rec->caps, e);
	if (!rc && arena_failed(a))
		rc = err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	return rc;
}
