# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# dns: the cluster's name server.
LIBS += netstack/dns
SRC_netstack/dns := netstack/dns/name.c netstack/dns/msg.c netstack/dns/zone.c netstack/dns/zone_save.c \
	netstack/dns/answer.c netstack/dns/cache.c netstack/dns/forward.c netstack/dns/server.c
DEPS_netstack/dns := base
UNIT_netstack/dns := tests/unit/netstack/dns/msg_test.c tests/unit/netstack/dns/zone_test.c \
	tests/unit/netstack/dns/zone_save_test.c tests/unit/netstack/dns/server_test.c
FUZZ_netstack/dns := tests/fuzz/dns_fuzz.c tests/fuzz/zone_fuzz.c
BENCH_netstack/dns := tests/bench/dns_bench.c
