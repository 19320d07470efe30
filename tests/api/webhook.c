/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * webhook: an admission webhook for tests with real clients: HTTPS on a free port of loopback, with a certificate of its
 * own. Prints "webhook PORT CA", CA being its authority as clientConfig.caBundle wants it; serves until it is killed. */
#include "tests/unit/netstack/tls/pki.h"
#include "tests/unit/orchestrator/api/hook_server.h"

#include <stdio.h>

static void
on_body(struct http_req *r, int error, struct str body)
{
	if (error)
		http_drop(r);
	else
		hook_reply(r, body);
}

static void
on_request(void *arg, struct http_req *r)
{
	(void)arg;
	http_collect(r, 4 << 20, on_body);
}

int
main(void)
{
	struct pki_party ca = pki_make(&(struct pki_want){.cn = "webhooks", .ca = true}, NULL);
	struct pki_party key = pki_make(
		&(struct pki_want){.cn = "webhook", .ips = {"127.0.0.1"}, .eku = X509_EKU_SERVER},
		&ca);
	struct tls_pair pair = pki_pair(&key);
	struct http_addr any = {.ip = ip_v4(0x7f000001)}, bound = {0};
	struct http_server_config hc = {
		.loop = loop_new(NULL, "webhook"), .on_request = on_request};
	struct http_server *server = NULL;
	struct buf ca64 = BUF_INIT;
	struct err e = {0};
	if (!hc.loop || !key.x ||
		tls_ctx_new(&(struct tls_config){.server = true, .pairs = &pair, .n_pairs = 1},
			&hc.tls, &e) < 0 ||
		http_listen(&any, false, &hc.listen_fd, &bound, &e) < 0 ||
		http_server_new(&hc, &server) < 0) {
		fprintf(stderr, "webhook: %s\n", e.msg);
		return 1;
	}
	base64_encode(&ca64, buf_view(&ca.cert));
	printf("webhook %u " STR_FMT "\n", bound.port, STR_ARG(buf_view(&ca64)));
	fflush(stdout);
	while (loop_turn(hc.loop, -1) >= 0)
		;
	return 0;
}
