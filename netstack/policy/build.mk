# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# policy: who may speak with a node's pods, as data in nf_tables sets.
LIBS += netstack/policy
SRC_netstack/policy := netstack/policy/policy.c netstack/policy/cut.c netstack/policy/rules.c
DEPS_netstack/policy := netstack/netlink base
UNIT_netstack/policy := tests/unit/netstack/policy/cut_test.c tests/unit/netstack/policy/policy_test.c
DEPS_OF_tests/unit/netstack/policy/policy_test.c := netstack/podnet netstack/proxy
