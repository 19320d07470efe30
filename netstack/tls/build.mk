# netstack/tls: TLS engines without I/O, certificates.
LIBS += netstack/tls
SRC_netstack/tls := netstack/tls/crypto.c netstack/tls/p256.c netstack/tls/ed25519.c netstack/tls/der.c netstack/tls/pem.c \
	netstack/tls/key.c netstack/tls/x509_parse.c netstack/tls/x509_verify.c \
	netstack/tls/x509_issue.c netstack/tls/ctx.c netstack/tls/handshake.c netstack/tls/tls.c
DEPS_netstack/tls := base
GEN_netstack/tls := $(O)/gen/netstack/tls/p256_table.h
UNIT_netstack/tls := tests/unit/netstack/tls/p256_test.c tests/unit/netstack/tls/ed25519_test.c \
	tests/unit/netstack/tls/key_test.c tests/unit/netstack/tls/x509_test.c \
	tests/unit/netstack/tls/tls_test.c
FUZZ_netstack/tls := tests/fuzz/x509_fuzz.c tests/fuzz/tls_fuzz.c
BENCH_netstack/tls := tests/bench/tls_bench.c

# The table of the base point's multiples is computed on the build machine.
$(O)/gen/netstack/tls/p256_table.h: netstack/tls/p256_gen.c | $(O)/deps/glibc/.s2n-bignum
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D) && $(HOSTCC) $(HOSTCFLAGS) -isystem $(O)/deps/glibc/include $< \
		-L$(O)/deps/glibc/lib -ls2n-bignum -o $(@D)/p256_gen && $(@D)/p256_gen >$@.tmp && mv $@.tmp $@
