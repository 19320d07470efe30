/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hollow_main: `keelson hollow`: pretending nodes against any Kubernetes API server, until SIGTERM or SIGINT. */
#include "orchestrator/hollow/hollow_int.h"

#include "base/options.h"

struct hollow_options {
	const char *kubeconfig;
	struct str server;
	struct hollow_config cfg;
};

#define O(field) offsetof(struct hollow_options, field)
static const struct option_row options[] = {
	{"--kubeconfig", "FILE", "server and credentials: its current context", OPTION_CSTR,
		O(kubeconfig), 0},
	{"--server", "URL", "the server [that of the kubeconfig]", OPTION_TEXT, O(server), 0},
	{"--nodes", "N", "how many [2]", OPTION_UINT, O(cfg.nodes), HOLLOW_NODES_MAX},
	{"--name", "NAME", "they are NAME-1, NAME-2 ... [hollow]", OPTION_CSTR, O(cfg.name), 0},
	{"--cpus", "N", "processors of each [4]", OPTION_UINT, O(cfg.cpus), 4096},
	{"--memory", "MIB", "memory of each [8192]", OPTION_UINT, O(cfg.memory_mib), 64u << 20},
	{"--disk", "GIB", "disk of each [64]", OPTION_UINT, O(cfg.disk_gib), 1u << 20},
	{"--pods", "N", "pods each takes [110]", OPTION_UINT, O(cfg.pods), 252},
};

static void
usage(FILE *to)
{
	fprintf(to,
		"usage: keelson hollow --kubeconfig FILE [options]\n\n"
		"Nodes that only pretend to run pods: they join the cluster, stay ready, and say of the pods\n"
		"bound to them that they run, are ready, and are gone when deleted. No process runs, no\n"
		"address answers, probes and commands are not looked at. Runs until SIGTERM; logs one line\n"
		"when all nodes are ready.\n\n");
	options_help(options, ARRAY_LEN(options), to);
	fprintf(to,
		"\nAnnotations of a pod whose restart policy lets it end (Never, or OnFailure and code 0):\n"
		"  hollow.keelson.dev/exit-code     its containers end by themselves, with this code\n"
		"  hollow.keelson.dev/run-seconds   that long after the pod came to its node [0]\n");
}

/* ---- the command ---- */

static int
run(const struct hollow_options *o, struct err *e)
{
	struct loop *l = loop_new(NULL, "hollow");
	struct loop_fd signals = {0};
	struct client *c = NULL;
	struct hollow *h = NULL;
	if (!l)
		return err_errno(e, -ENOMEM, "starting");
	int rc = loop_signals_take(l, &signals);
	if (rc < 0)
		err_errno(e, rc, "taking signals");
	if (rc == 0)
		rc = client_kubeconfig_new(l, o->kubeconfig, o->server, "hollow", &c, e);
	if (rc == 0 && (rc = hollow_new(l, c, &o->cfg, &h)) < 0)
		err_errno(e, rc, "starting");
	if (rc == 0)
		loop_run(l);
	hollow_free(h);
	client_free(c);
	loop_signals_release(&signals);
	loop_turn(l, 0);
	loop_free(l);
	return rc;
}

int
hollow_main(int argc, char **argv)
{
	struct hollow_options o = {.cfg = {.name = "hollow",
					   .nodes = 2,
					   .cpus = 4,
					   .memory_mib = 8192,
					   .disk_gib = 64,
					   .pods = 110}};
	struct err e = {0};
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		usage(stdout);
		return 0;
	}
	if (options_parse(options, ARRAY_LEN(options), argc, argv, &o, &e) == 0 && !o.kubeconfig)
		err_set(&e, -EINVAL, R_BAD_REQUEST, "--kubeconfig is needed");
	if (e.code) {
		fprintf(stderr, "keelson hollow: %s\n", e.msg);
		usage(stderr);
		return 2;
	}
	log_setup("hollow", LOG_INFO);
	if (run(&o, &e) < 0) {
		log_error("%s", e.msg);
		return 1;
	}
	return 0;
}
