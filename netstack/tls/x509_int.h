/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * x509_int: what the files of x509 share; private to this folder. */
#ifndef NETSTACK_TLS_X509_INT_H
#define NETSTACK_TLS_X509_INT_H

#include "netstack/tls/crypto.h"
#include "netstack/tls/der.h"
#include "netstack/tls/oid.h"

/* Signature algorithms: index + 1 is x509_cert.sig_alg; 0 = unknown. */
struct sig_alg {
	struct str oid;
	int hash; /* 0: Ed25519 */
	bool rsa;
};
const struct sig_alg *sig_alg_get(int id); /* NULL for 0 */
/* sig_alg_read: an AlgorithmIdentifier off *in. False: malformed. */
bool sig_alg_read(struct str *in, int *ret_id, struct str *ret_whole);
/* sig_check: signature by pub over data. */
bool sig_check(const struct tls_pub *pub, int alg, struct str data, struct str sig);
/* sig_write: appends AlgorithmIdentifier and BIT STRING for data signed by k. */
int sig_write(const struct tls_key *k, struct str data, struct buf *b);
void sig_alg_write(const struct tls_key *k, struct buf *b);

/* pub_read: a SubjectPublicKeyInfo off *in. 1 = good, 0 = well-formed but not usable, -1 malformed. */
int pub_read(struct str *in, struct tls_pub *ret);
/* name_read: a Name off *in. */
bool name_read(struct arena *a, struct str *in, struct x509_name *ret);
/* Extensions of a certificate or of a request. */
struct x509_ext {
	struct x509_san san;
	bool has_basic, is_ca, has_ku, has_eku, unknown_critical;
	int path_len;
	unsigned ku, eku;
	struct str ski, aki;
};
/* ext_read: the content of a SEQUENCE OF Extension. */
bool ext_read(struct arena *a, struct str in, struct x509_ext *ret);

#endif
