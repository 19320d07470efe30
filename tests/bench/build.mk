# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Figures: the parts of `make bench` in their order. A part is tests/bench/<part>.sh, or a program alone
# (BENCH_ of its folder); what it needs to be built stands in BENCH_NEEDS_<part>.
BENCH_PARTS := size boot server api dns proxy runtime store tls json checks
LOAD := $(O)/musl/bench/api_load
LIBS += tests/bench
SRC_tests/bench := tests/bench/load_loop.c tests/bench/load_watch.c
DEPS_tests/bench := netstack/http netstack/tls base
BENCH_tests/bench := tests/bench/api_load.c
BENCH_NEEDS_peer := $(O)/bin/keelson $(O)/bin/oracle $(LOAD)
BENCH_NEEDS_size := image kernel
BENCH_NEEDS_boot := image kernel programs $(LOAD)
BENCH_NEEDS_server := $(O)/bin/keelson $(LOAD)
BENCH_NEEDS_api := $(O)/bin/keelson $(LOAD)
