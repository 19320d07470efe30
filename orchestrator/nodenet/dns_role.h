/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * dns_role: the role `dns`: the cluster's name server on this machine, on the cluster's DNS addresses.
 *
 *   dns_role_prepare   as root: the dummy link with the addresses, sockets on port 53 (those PID 1 kept, so that no
 *                      query is lost over a restart, or new ones), the folder the credentials come to
 *   the fence          init/dns.c: user, Landlock, system calls
 *   dns_role_main      credentials -> Services and EndpointSlices -> zone -> serve
 *
 * It acts with the node's own client certificate, which the node role lays into DNS_ROLE_DIR, readable for
 * DNS_ROLE_UID only; what it may do with it is `keelson:node-proxier`'s read access and a node's own.
 * At a machine's first start it answers once the zone is complete: until then queries wait in the sockets, none gets
 * a wrong no. A later process answers at once with the names that the one before left with PID 1 (a memfd), whether an API
 * server is there or not; what is not among them waits for the API, at most a second.
 * Source: Kubernetes DNS specification 1.1.0; architecture.md sections 3 and 8. */
#ifndef ORCHESTRATOR_NODENET_DNS_ROLE_H
#define ORCHESTRATOR_NODENET_DNS_ROLE_H

#include "base/err.h"
#include "orchestrator/machine/machine.h"

#define DNS_ROLE_UID 901
#define DNS_ROLE_DIR "/run/keelson/dns"
#define DNS_ROLE_CREDENTIALS DNS_ROLE_DIR "/client.pem"
#define DNS_ROLE_LINK "keelson-dns"

/* dns_role_prepare: all that needs privileges, once per process, before dns_role_main. Errors: -errno, e says
 * what. */
int dns_role_prepare(const struct machine_config *c, struct err *e);
/* dns_role_main: serves until the process is ended. System calls besides the common ones: socket, bind,
 * connect, memfd_create.
 * Reads DNS_ROLE_DIR, /run/resolv.conf and /etc/resolv.conf. Returns the exit status. */
int dns_role_main(const struct machine_config *c);

#endif
