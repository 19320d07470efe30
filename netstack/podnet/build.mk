# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# podnet: the pods' veth pairs, addresses and routes.
LIBS += netstack/podnet
SRC_netstack/podnet := netstack/podnet/podnet.c netstack/podnet/pod.c netstack/podnet/nodes.c \
	netstack/podnet/rules.c netstack/podnet/sysctl.c
DEPS_netstack/podnet := netstack/netlink base
UNIT_netstack/podnet := tests/unit/netstack/podnet/podnet_test.c
