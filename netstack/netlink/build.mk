# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# netlink: encoders and decoders of rtnetlink, nf_tables and ctnetlink, and the socket they go through.
LIBS += netstack/netlink
SRC_netstack/netlink := netstack/netlink/message.c netstack/netlink/socket.c netstack/netlink/rtnl.c \
	netstack/netlink/nft.c netstack/netlink/nft_expr.c netstack/netlink/conntrack.c
DEPS_netstack/netlink := base
UNIT_netstack/netlink := tests/unit/netstack/netlink/message_test.c \
	tests/unit/netstack/netlink/rtnl_test.c tests/unit/netstack/netlink/nft_test.c
FUZZ_netstack/netlink := tests/fuzz/netlink_fuzz.c
