/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * main: the fabric as a process: `keelctl fabric`. It is started by `keelctl cluster up`, by tests, or
 * by hand; it ends on SIGTERM, on SIGINT, or by the command `stop`. */
#include "qemu/fabric/fabric.h"

#include "base/log.h"

#include <arpa/inet.h>

static const char usage[] =
	"usage: keelctl fabric --dir DIR --machine NAME=MAC=ADDR [--machine ...]\n"
	"                      [--host NAME=ADDR] [--forward HOSTPORT=ADDR:PORT]\n"
	"\n"
	"The network of a test cluster: a switch on unix sockets DIR/NAME.sock (QEMU's -netdev stream),\n"
	"and a gateway 10.77.0.1 / fd77::1 with DHCP, router advertisements, a DNS relay, and NAT to the\n"
	"host. The gateway's own address stands for the host's loopback. Prints 'ready' when it serves.\n"
	"\n"
	"  --machine NAME=MAC=ADDR     a port, and the address it gets by DHCP\n"
	"  --host NAME=ADDR            a name answered by the DNS relay\n"
	"  --forward HP=ADDR:PORT      127.0.0.1:HP of the host goes to ADDR:PORT (HP 0: any free port)\n"
	"\n"
	"Commands, one message each, on the SOCK_SEQPACKET socket DIR/fabric.ctl:\n"
	"  cut A B | heal A B | drop A B PERCENT | delay A B MS | forward HOSTPORT ADDR PORT\n"
	"  host NAME ADDR | status | stop\n";

static bool
parse_mac(struct str s, uint8_t mac[6])
{
	struct str part, rest = s;
	for (int i = 0; i < 6; i++) {
		uint64_t v;
		if (!str_next(&rest, ':', &part) || part.n != 2 || str_to_u64_hex(part, &v) < 0)
			return false;
		mac[i] = (uint8_t)v;
	}
	return !str_is_set(rest);
}

static int
add_machine(struct fabric *f, struct str arg)
{
	struct str name, rest, mac, addr;
	char text[32];
	if (f->n_leases >= ARRAY_LEN(f->leases) || !str_cut(arg, '=', &name, &rest) ||
		!str_cut(rest, '=', &mac, &addr))
		return -EINVAL;
	struct fabric_lease *l = &f->leases[f->n_leases];
	if (!str_copy_c(name, l->name, sizeof(l->name)) || !parse_mac(mac, l->mac) ||
		!str_copy_c(addr, text, sizeof(text)) || inet_pton(AF_INET, text, l->v4) != 1)
		return -EINVAL;
	f->n_leases++;
	int rc = switch_port_add(f, l->name);
	return rc < 0 ? rc : 0;
}

static int
add_host(struct fabric *f, struct str arg)
{
	char line[256];
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct str name, addr;
	if (!str_cut(arg, '=', &name, &addr))
		return -EINVAL;
	snprintf(line, sizeof(line), "host " STR_FMT " " STR_FMT, STR_ARG(name), STR_ARG(addr));
	control_run(f, str_c(line), &out);
	return str_eq_c(buf_view(&out), "ok\n") ? 0 : -EINVAL;
}

static int
add_forward(struct fabric *f, struct str arg)
{
	struct str host_port, rest, addr, port;
	uint64_t hp, p;
	if (!str_cut(arg, '=', &host_port, &rest) || !str_rcut(rest, ':', &addr, &port) ||
		str_to_u64(host_port, &hp) < 0 || hp > 65535 || str_to_u64(port, &p) < 0 ||
		p > 65535)
		return -EINVAL;
	int rc = gateway_forward(f, (uint16_t)hp, addr, (uint16_t)p);
	return rc < 0 ? rc : 0;
}

static const struct option_row {
	const char *name;
	int (*add)(struct fabric *f, struct str arg);
} options[] = {
	{"--machine", add_machine},
	{"--host", add_host},
	{"--forward", add_forward},
};

static int
apply_options(struct fabric *f, int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2)
		for (size_t k = 0; k < ARRAY_LEN(options); k++) {
			if (strcmp(argv[i], options[k].name))
				continue;
			int rc = options[k].add(f, str_c(argv[i + 1]));
			if (rc < 0) {
				fprintf(stderr, "keelctl fabric: %s %s: %s\n", argv[i], argv[i + 1],
					strerror(-rc));
				return rc;
			}
		}
	return 0;
}

/* options_known: every word is an option of ours with a value; finds --dir. */
static const char *
options_check(int argc, char **argv)
{
	const char *dir = NULL;
	for (int i = 1; i < argc; i += 2) {
		bool known = !strcmp(argv[i], "--dir");
		for (size_t k = 0; k < ARRAY_LEN(options); k++)
			known = known || !strcmp(argv[i], options[k].name);
		if (!known || i + 1 >= argc)
			return NULL;
		if (!strcmp(argv[i], "--dir"))
			dir = argv[i + 1];
	}
	return dir;
}

int
fabric_main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--help")) {
		fputs(usage, stdout);
		return 0;
	}
	const char *dir = options_check(argc, argv);
	if (!dir) {
		fputs(usage, stderr);
		return 2;
	}
	log_setup("fabric", LOG_INFO);
	struct fabric *f = calloc(1, sizeof(*f));
	struct loop *l = loop_new(NULL, "fabric");
	if (!f || !l)
		return 1;
	f->loop = l;
	str_copy_c(str_c(dir), f->dir, sizeof(f->dir));
	struct loop_fd signals = {0};
	int rc = loop_signals_take(l, &signals);
	if (rc == 0)
		rc = switch_port_add(f, "gateway");
	if (rc >= 0)
		rc = gateway_new(f);
	if (rc >= 0)
		rc = apply_options(f, argc, argv);
	if (rc >= 0)
		rc = control_open(f);
	if (rc < 0) {
		log_error("starting: %s", strerror(-rc));
		return 1;
	}
	puts("ready");
	fflush(stdout);
	rc = loop_run(l);
	gateway_free(f);
	switch_release(f);
	return rc;
}
