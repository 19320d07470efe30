/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * main: the one program. As the kernel's first process it is PID 1; otherwise its first argument says
 * what it is: a role of a machine (started by PID 1 with fd 3), or a command for an ordinary Linux.
 *
 *   /init                  boot, then supervise the roles of the machine configuration
 *   keelson <role>         one role, found by name in roles[]
 *   keelson node --config  the same supervision as a child subreaper, on an ordinary Linux
 *   keelson server ...     a real API server as one ordinary process
 *   keelson hollow ...     nodes that only pretend to run pods
 *
 * PID 1 must not: end, allocate once its loop runs, parse anything but the machine's own configuration. */
#include "init/boot.h"
#include "init/commands.h"
#include "init/role.h"
#include "init/supervise.h"

#include "base/log.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef KEELSON_VERSION
#define KEELSON_VERSION "v1.37.0-keelson"
#endif

/* Kept for ever: PID 1's tables are made once. */
static struct keeper keeper;
static struct supervisor supervisor;

/* ---- PID 1 ---- */

/* boot_failed: nothing can run without what failed; the machine stays up for whoever reads the console
 * (ending PID 1 would only be a kernel panic), reaps, and obeys the power button. */
_Noreturn static void
boot_failed(const struct err *e)
{
	log_error("cannot boot: %s", e->msg);
	log_error("this machine does nothing now; correct its configuration and start it again");
	for (;;) {
		siginfo_t si;
		sigset_t wanted;
		sigemptyset(&wanted);
		sigaddset(&wanted, SIGINT);
		sigaddset(&wanted, SIGTERM);
		if (sigwaitinfo(&wanted, &si) > 0)
			boot_end(si.si_signo == SIGINT ? STOP_REBOOT : STOP_POWEROFF);
	}
}

static int
pid1_main(void)
{
	static struct machine_config c;
	struct err e = {0};
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	log_setup("init", LOG_INFO);
	int rc = boot_mounts(&e);
	boot_console();
	struct arena *a = arena_new(4 << 20);
	if (rc == 0 && !a)
		rc = err_set(&e, -ENOMEM, R_UNKNOWN, "no memory");
	if (rc == 0)
		rc = machine_config_load(a, MACHINE_CONFIG_PATH, &c, &e);
	if (rc == 0) {
		boot_settings(c.name);
		rc = boot_data(c.data_disk, &e);
	}
	struct loop *l = rc == 0 ? loop_new(NULL, "init") : NULL;
	if (rc == 0 && !l)
		rc = err_set(&e, -ENOMEM, R_UNKNOWN, "no memory");
	keeper_init(&keeper);
	if (rc == 0)
		rc = supervise_init(&supervisor, l, &keeper, true, &c, BOOT_CGROUP_ROOT, &e);
	if (rc < 0)
		boot_failed(&e);
	boot_power_button(&supervisor);
	log_info("keelson %s: '" STR_FMT "' booted in %lld ms", KEELSON_VERSION, STR_ARG(c.name),
		(long long)(clock_mono_ns() / NS_PER_MS));
	supervise_start(&supervisor);
	boot_end((enum stop_kind)loop_run(l));
	boot_failed(&e);
}

/* ---- a role ---- */

/* The configuration is where PID 1 found it, or where `keelson node` was told. */
static const char *
config_path(void)
{
	const char *path = getenv("KEELSON_CONFIG");
	return path ? path : MACHINE_CONFIG_PATH;
}

static int
role_run(const struct role *r)
{
	static struct machine_config c;
	struct err e = {0};
	log_setup(r->name, LOG_INFO);
	prctl(PR_SET_NAME, r->name); /* what the kernel calls it, say when memory is full */
	struct arena *a = arena_new(4 << 20);
	int rc = a ? machine_config_load(a, config_path(), &c, &e)
		   : err_set(&e, -ENOMEM, R_UNKNOWN, "no memory");
	if (rc < 0) {
		log_error("%s", e.msg);
		return 1;
	}
	return r->main(&c);
}

/* ---- commands ---- */

static int cmd_help(int argc, char **argv);

static int
cmd_version(int argc, char **argv)
{
	(void)argc, (void)argv;
	puts(KEELSON_VERSION);
	return 0;
}

static int
cmd_node(int argc, char **argv)
{
	static struct machine_config c;
	struct err e = {0};
	struct stat st;
	/* Started by PID 1 or by the subreaper below: the role itself. */
	if (argc == 1 && fstat(INIT_FD, &st) == 0 && S_ISSOCK(st.st_mode))
		return role_run(&roles[ROLE_NODE]);
	if (argc != 3 || strcmp(argv[1], "--config") != 0) {
		fputs("usage: keelson node --config FILE\n\n"
		      "Runs the machine's roles on an ordinary Linux, as root, until SIGTERM. FILE is a\n"
		      "machine configuration (docs/machine-config.md); its network and disks parts are not\n"
		      "used: the system's own network and /var/lib/keelson are.\n",
			argc > 1 && strcmp(argv[1], "--help") == 0 ? stdout : stderr);
		return argc > 1 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
	}
	log_setup("init", LOG_INFO);
	setenv("KEELSON_CONFIG", argv[2], 1);
	struct arena *a = arena_new(4 << 20);
	struct loop *l = loop_new(NULL, "init");
	int rc = a && l ? machine_config_load(a, argv[2], &c, &e) : -ENOMEM;
	keeper_init(&keeper);
	if (rc == 0)
		rc = supervise_init(&supervisor, l, &keeper, false, &c, NULL, &e);
	if (rc < 0) {
		log_error("%s", e.msg);
		return 1;
	}
	supervise_start(&supervisor);
	loop_run(l);
	return 0;
}

struct command {
	const char *name, *usage, *does;
	int (*main)(int argc, char **argv);
};

static const struct command commands[] = {
	{"server", "[--data-dir DIR] [--listen ADDR:PORT]",
		"an API server with its controllers and scheduler, as one ordinary process",
		cmd_server},
	{"hollow", "--kubeconfig FILE [--nodes N]",
		"nodes that only pretend to run pods, against any API server", cmd_hollow},
	{"node", "--config FILE", "the roles of a machine, on an ordinary Linux", cmd_node},
	{"pod-init", "", "first process of a pod with a shared process namespace", cmd_pod_init},
	{"version", "", "prints the version", cmd_version},
	{"help", "", "prints this", cmd_help},
};

static int
cmd_help(int argc, char **argv)
{
	(void)argc, (void)argv;
	puts("keelson: Kubernetes as the operating system, one program\n");
	puts("usage: keelson COMMAND [--help]\n\ncommands:");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		printf("  %-10s %s\n             %s\n", commands[i].name, commands[i].usage,
			commands[i].does);
	puts("\nroles (started by PID 1 of a machine, with fd 3 to it):");
	for (size_t i = 0; i < ROLE__COUNT; i++)
		printf("  %-10s %s\n", roles[i].name, roles[i].does);
	puts("\nAs the kernel's first process (/init) it boots the machine of " MACHINE_CONFIG_PATH
	     ".");
	return 0;
}

int
main(int argc, char **argv)
{
	if (getpid() == 1 && strcmp(argv[0], "/init") == 0)
		return pid1_main();
	const char *name = argc > 1 ? argv[1] : "help";
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return commands[i].main(argc - 1, argv + 1);
	const struct role *r = role_find(name);
	if (r)
		return role_run(r);
	fprintf(stderr, "keelson: no command or role '%s'; see keelson help\n", name);
	return 2;
}
