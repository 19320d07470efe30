/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * keelctl: what is needed before an API exists: test clusters in QEMU and their network. A table of
 * commands; each prints its own --help. */
#include "qemu/cluster.h"
#include "qemu/fabric/fabric.h"

#include <stdio.h>
#include <stdlib.h>

#define DIR_DEFAULT "build/cluster"

static const char usage[] =
	"usage: keelctl COMMAND [...]\n"
	"\n"
	"  cluster up       boot a test cluster in QEMU and wait until its nodes are Ready\n"
	"  cluster down     end it; its disks stay\n"
	"  cluster status   machines, links and forwarded ports\n"
	"  cluster console  the terminal becomes a machine's console\n"
	"  cluster kill     cut a machine's power\n"
	"  cluster start    power a machine up\n"
	"  cluster cut      cut the link between two machines (or a machine and 'gateway')\n"
	"  cluster heal     undo cut, drop and delay between two machines\n"
	"  cluster drop     lose a share of the packets between two machines\n"
	"  cluster delay    delay the packets between two machines\n"
	"  cluster forward  forward a port of this host to a machine\n"
	"  fabric           the network of a test cluster alone\n"
	"\n"
	"'keelctl COMMAND --help' tells more of each.\n";

static const char up_help[] =
	"usage: keelctl cluster up [options]\n"
	"\n"
	"Boots a cluster in QEMU without root and waits until all nodes are Ready. What was asked for the\n"
	"first time is kept in the cluster's folder; 'up' again continues with the same disks.\n"
	"\n"
	"  --dir DIR            the cluster's folder (" DIR_DEFAULT ")\n"
	"  --nodes N            machines (3)\n"
	"  --control N          of these, control nodes (1)\n"
	"  --mem MIB            memory of each (512)\n"
	"  --cpus N             processors of each (1)\n"
	"  --disk GIB           size of each data disk, a sparse file (8)\n"
	"  --backend B          auto | kvm | tcg (auto: a trial boot decides)\n"
	"  --kernel FILE        build/image/vmlinuz\n"
	"  --initramfs FILE     build/image/initramfs\n"
	"  --kubeconfig FILE    written for kubectl (build/kubeconfig)\n"
	"  --registry H=FILE    trust the authority in FILE for the image registry H (host[:port]);\n"
	"                       up to four of them\n"
	"  --host NAME=ADDR     a name that the machines' resolver knows (10.77.0.1 is this host)\n"
	"  --timeout SECONDS    how long to wait for Ready (300)\n"
	"  --no-wait            return when the machines are started\n";

static const char down_help[] =
	"usage: keelctl cluster down [--dir DIR] [--grace SECONDS] [--forget]\n"
	"\n"
	"Presses each machine's power button, cuts the power after the grace (10 s), and ends the\n"
	"network. --forget removes the cluster's folder with its disks and keys.\n";
static const char status_help[] = "usage: keelctl cluster status [--dir DIR]\n";
static const char console_help[] =
	"usage: keelctl cluster console NODE [--dir DIR]\n\nCtrl-] leaves.\n";
static const char kill_help[] =
	"usage: keelctl cluster kill NODE [--dir DIR]\n\nAs when the power is cut.\n";
static const char start_help[] =
	"usage: keelctl cluster start NODE [--dir DIR] [--kernel FILE] [--record-disk LOG]\n"
	"\n"
	"--record-disk writes each write and flush of the machine's disk into LOG (format of the kernel's\n"
	"dm-log-writes), so that every state a power cut could have left can be made from a copy of the disk.\n";
static const char cut_help[] =
	"usage: keelctl cluster cut A B [--dir DIR]\n\nA and B: machines or 'gateway'.\n";
static const char heal_help[] = "usage: keelctl cluster heal A B [--dir DIR]\n";
static const char drop_help[] = "usage: keelctl cluster drop A B PERCENT [--dir DIR]\n";
static const char delay_help[] = "usage: keelctl cluster delay A B MILLISECONDS [--dir DIR]\n";
static const char forward_help[] =
	"usage: keelctl cluster forward PORT NODE:PORT [--dir DIR]\n"
	"\n"
	"127.0.0.1:PORT of this host reaches the machine's port; PORT 0 takes any free one and prints it.\n";

/* What the options of all cluster commands are read into. */
struct options {
	struct cluster_options up;
	const char *words[3]; /* arguments that are no options */
	unsigned n_words;
	unsigned grace_s;
	bool forget;
};

enum option_type { OPT_STRING, OPT_LIST, OPT_NUMBER, OPT_BACKEND, OPT_ON, OPT_OFF };
static const struct option_row {
	const char *name;
	enum option_type type;
	size_t at;
} option_rows[] = {
	{"--dir", OPT_STRING, offsetof(struct options, up.dir)},
	{"--nodes", OPT_NUMBER, offsetof(struct options, up.nodes)},
	{"--control", OPT_NUMBER, offsetof(struct options, up.control)},
	{"--mem", OPT_NUMBER, offsetof(struct options, up.mem_mib)},
	{"--cpus", OPT_NUMBER, offsetof(struct options, up.cpus)},
	{"--disk", OPT_NUMBER, offsetof(struct options, up.disk_gib)},
	{"--backend", OPT_BACKEND, offsetof(struct options, up.backend)},
	{"--kernel", OPT_STRING, offsetof(struct options, up.kernel)},
	{"--initramfs", OPT_STRING, offsetof(struct options, up.initramfs)},
	{"--kubeconfig", OPT_STRING, offsetof(struct options, up.kubeconfig)},
	{"--registry", OPT_LIST, offsetof(struct options, up.registries)},
	{"--record-disk", OPT_STRING, offsetof(struct options, up.record_disk)},
	{"--host", OPT_STRING, offsetof(struct options, up.host)},
	{"--timeout", OPT_NUMBER, offsetof(struct options, up.timeout_s)},
	{"--no-wait", OPT_OFF, offsetof(struct options, up.wait)},
	{"--grace", OPT_NUMBER, offsetof(struct options, grace_s)},
	{"--forget", OPT_ON, offsetof(struct options, forget)},
};

static bool
option_value(const struct option_row *row, void *at, const char *value)
{
	static const char *const backends[] = {"auto", "kvm", "tcg"};
	uint64_t number;
	if (row->type == OPT_STRING) {
		*(const char **)at = value;
		return true;
	}
	if (row->type == OPT_LIST) {
		const char **list = at;
		for (size_t i = 0; i < CLUSTER_REGISTRIES_MAX; i++)
			if (!list[i]) {
				list[i] = value;
				return true;
			}
		return false;
	}
	if (row->type == OPT_NUMBER) {
		if (str_to_u64(str_c(value), &number) < 0 || number > 1 << 20)
			return false;
		*(unsigned *)at = (unsigned)number;
		return true;
	}
	for (unsigned i = 0; i < ARRAY_LEN(backends); i++)
		if (!strcmp(value, backends[i])) {
			*(enum backend *)at = (enum backend)i;
			return true;
		}
	return false;
}

static bool
options_parse(struct options *o, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		const struct option_row *row = NULL;
		for (size_t k = 0; k < ARRAY_LEN(option_rows); k++)
			if (!strcmp(argv[i], option_rows[k].name))
				row = &option_rows[k];
		if (!row) {
			if (argv[i][0] == '-' || o->n_words == ARRAY_LEN(o->words))
				return false;
			o->words[o->n_words++] = argv[i];
			continue;
		}
		void *at = (char *)o + row->at;
		if (row->type == OPT_ON || row->type == OPT_OFF)
			*(bool *)at = row->type == OPT_ON;
		else if (++i >= argc || !option_value(row, at, argv[i]))
			return false;
	}
	return true;
}

static int
run_up(const struct options *o, struct err *e)
{
	int rc = cluster_up(&o->up, e);
	if (rc == 0)
		printf("\nexport KUBECONFIG=%s\n", o->up.kubeconfig);
	return rc;
}

static int
run_down(const struct options *o, struct err *e)
{
	return cluster_down(o->up.dir, (int)o->grace_s * 1000, o->forget, e);
}

static int
run_status(const struct options *o, struct err *e)
{
	return cluster_status(o->up.dir, e);
}

/* with_cluster: the commands that work on a loaded cluster. */
static int
with_cluster(const struct options *o, struct err *e,
	int (*fn)(const struct cluster *c, const struct options *o, struct err *e))
{
	struct cluster *c = calloc(1, sizeof(*c));
	int rc = c ? cluster_load(o->up.dir, c, e) : err_errno(e, -ENOMEM, "cluster");
	if (rc == 0)
		rc = fn(c, o, e);
	free(c);
	return rc;
}

static int
on_console(const struct cluster *c, const struct options *o, struct err *e)
{
	return cluster_console(c, o->words[0], e);
}

static int
on_kill(const struct cluster *c, const struct options *o, struct err *e)
{
	return cluster_node_kill(c, o->words[0], e);
}

static int
on_start(const struct cluster *c, const struct options *o, struct err *e)
{
	return cluster_node_start(c, o->words[0], &o->up, e);
}

static int
fabric_command(const struct cluster *c, struct err *e, const char *command)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	int rc = cluster_fabric(c, command, &out, e);
	if (rc == 0 && str_starts(buf_view(&out), STR("port ")))
		printf("127.0.0.1:" STR_FMT "\n",
			STR_ARG(str_trim(str_sub(buf_view(&out), 5, out.len - 4))));
	return rc;
}

static int
on_link(const struct cluster *c, const struct options *o, struct err *e, const char *verb)
{
	char command[300];
	snprintf(command, sizeof(command), "%s %s %s %s", verb, o->words[0], o->words[1],
		o->n_words > 2 ? o->words[2] : "");
	return fabric_command(c, e, command);
}

static int
on_cut(const struct cluster *c, const struct options *o, struct err *e)
{
	return on_link(c, o, e, "cut");
}

static int
on_heal(const struct cluster *c, const struct options *o, struct err *e)
{
	return on_link(c, o, e, "heal");
}

static int
on_drop(const struct cluster *c, const struct options *o, struct err *e)
{
	return on_link(c, o, e, "drop");
}

static int
on_delay(const struct cluster *c, const struct options *o, struct err *e)
{
	return on_link(c, o, e, "delay");
}

static int
on_forward(const struct cluster *c, const struct options *o, struct err *e)
{
	struct str node, port;
	char name[64], command[200];
	if (!str_rcut(str_c(o->words[1]), ':', &node, &port) ||
		!str_copy_c(node, name, sizeof(name)))
		return err_set(e, -EINVAL, R_INVALID, "'%s': want NODE:PORT", o->words[1]);
	const struct cluster_node *n = cluster_node_find(c, name);
	if (!n)
		return err_set(e, -ENOENT, R_NOT_FOUND, "no machine '%s'", name);
	snprintf(command, sizeof(command), "forward %s %s " STR_FMT, o->words[0], n->v4,
		STR_ARG(port));
	return fabric_command(c, e, command);
}

static const struct command {
	const char *name;
	const char *help;
	unsigned n_words;
	int (*run)(const struct options *o, struct err *e);
	int (*on)(const struct cluster *c, const struct options *o, struct err *e);
} commands[] = {
	{"up", up_help, 0, run_up, NULL},
	{"down", down_help, 0, run_down, NULL},
	{"status", status_help, 0, run_status, NULL},
	{"console", console_help, 1, NULL, on_console},
	{"kill", kill_help, 1, NULL, on_kill},
	{"start", start_help, 1, NULL, on_start},
	{"cut", cut_help, 2, NULL, on_cut},
	{"heal", heal_help, 2, NULL, on_heal},
	{"drop", drop_help, 3, NULL, on_drop},
	{"delay", delay_help, 3, NULL, on_delay},
	{"forward", forward_help, 2, NULL, on_forward},
};

static int
cluster_main(int argc, char **argv)
{
	const struct command *c = NULL;
	for (size_t i = 0; argc > 0 && i < ARRAY_LEN(commands); i++)
		if (!strcmp(argv[0], commands[i].name))
			c = &commands[i];
	if (!c) {
		bool help = argc > 0 && !strcmp(argv[0], "--help");
		fputs(usage, help ? stdout : stderr);
		return help ? 0 : 2;
	}
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--help")) {
			fputs(c->help, stdout);
			return 0;
		}
	struct options o = {.up = {.dir = DIR_DEFAULT,
				    .kernel = "build/image/vmlinuz",
				    .initramfs = "build/image/initramfs",
				    .kubeconfig = "build/kubeconfig",
				    .wait = true},
		.grace_s = 10};
	if (!options_parse(&o, argc - 1, argv + 1) || o.n_words != c->n_words) {
		fputs(c->help, stderr);
		return 2;
	}
	struct err e = {0};
	int rc = c->run ? c->run(&o, &e) : with_cluster(&o, &e, c->on);
	if (rc < 0)
		fprintf(stderr, "keelctl: %s\n", e.msg);
	return rc < 0;
}

int
main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "cluster"))
		return cluster_main(argc - 2, argv + 2);
	if (argc > 1 && !strcmp(argv[1], "fabric"))
		return fabric_main(argc - 1, argv + 1);
	bool help = argc > 1 && !strcmp(argv[1], "--help");
	fputs(usage, help ? stdout : stderr);
	return help ? 0 : 2;
}
