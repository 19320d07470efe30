# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# proxy: Services as data in nf_tables maps.
LIBS += netstack/proxy
SRC_netstack/proxy := netstack/proxy/proxy.c netstack/proxy/service.c netstack/proxy/fronts.c \
	netstack/proxy/slots.c netstack/proxy/chains.c netstack/proxy/sync.c
DEPS_netstack/proxy := netstack/netlink base
UNIT_netstack/proxy := tests/unit/netstack/proxy/slots_test.c \
	tests/unit/netstack/proxy/proxy_test.c tests/unit/netstack/proxy/policy_test.c
BENCH_netstack/proxy := tests/bench/proxy_bench.c
DEPS_OF_tests/unit/netstack/proxy/proxy_test.c := netstack/podnet
DEPS_OF_tests/unit/netstack/proxy/policy_test.c := netstack/podnet
