# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# The one Makefile. Each folder names its own parts in <folder>/build.mk (the words it may use are in
# docs/building.md and in short below); what others wrote comes through deps/, the kernel through
# kernel-config/. Everything is built below $(O); nothing else of the tree is written.
#
#   LIBS += netstack/http                              one static archive a folder
#   SRC_netstack/http := netstack/http/server.c ...    its sources ($(O)/gen/... when generated)
#   DEPS_netstack/http := netstack/tls base            folders it needs (closure is computed)
#   GEN_netstack/http := $(O)/gen/netstack/http/x.h    generated headers that users of it include
#   UNIT_netstack/http := tests/unit/netstack/http/server_test.c ...   one program each
#   FUZZ_netstack/http := tests/fuzz/http1.c           libFuzzer targets; corpus in tests/fuzz/corpus/<name>
#   BENCH_netstack/http := tests/bench/http.c          programs that print figures
#   TOOL_tests/fault := tests/fault/load.c             programs that a suite runs: $(O)/musl/fault/load
#   PROGS += keelctl; MAIN_keelctl := qemu/keelctl.c; DEPS_keelctl := qemu; WHOLE_keelctl := ...
#   SUITES += api                                      `make suite-api` is part of `make test`
#   DATA_x/test.c := build/bin/y                       what a test program wants to be there when it runs

MAKEFLAGS += -rR --no-print-directory
# As many jobs as cores, unless the command line says otherwise.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
SHELL := /bin/sh

O ?= build
V ?=
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' '$1' '$2')

# ---- compilers and flags ----------------------------------------------------------------------

CCACHE := $(shell command -v ccache 2>/dev/null)
HOSTCC := $(CCACHE) gcc
ifneq ($(filter default undefined,$(origin CC)),)
CC := $(CCACHE) musl-gcc
endif
LIBC_musl := musl
LIBC_asan := glibc
LIBC_fuzz := glibc
VARIANTS := musl asan fuzz

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wvla -Walloca -Wundef -Wpointer-arith -Wwrite-strings -Wcast-qual \
	-Wformat=2 -Wimplicit-fallthrough
WARN_GCC := -Wduplicated-cond -Wduplicated-branches -Wlogical-op
COMMON := -std=gnu17 -D_GNU_SOURCE -g -fno-common -fno-strict-aliasing -fno-omit-frame-pointer \
	-ffunction-sections -fdata-sections -ftrivial-auto-var-init=zero -pthread \
	-ffile-prefix-map=$(CURDIR)=. -ffile-prefix-map=$(abspath $(O))=build
INC = -I. -I$(O)/gen -isystem deps/shim -isystem $(O)/deps/$(LIBC_$1)/include
SAN := -fsanitize=address,undefined -fno-sanitize-recover=all

CC_musl := $(CC)
CFLAGS_musl := -O2 $(COMMON) $(WARN) $(WARN_GCC) -Wnull-dereference -Wframe-larger-than=8192 \
	-fstack-protector-strong $(call INC,musl) -isystem $(O)/deps/kinc/kinc
LDFLAGS_musl := -static -pthread -Wl,--gc-sections -Wl,--build-id=none -Wl,-z,noexecstack
CC_asan := $(CCACHE) gcc
CFLAGS_asan := -O1 $(COMMON) $(WARN) $(WARN_GCC) $(SAN) -DKEELSON_ASAN $(call INC,asan)
LDFLAGS_asan := $(SAN) -pthread -Wl,--gc-sections
CC_fuzz := $(CCACHE) clang
CFLAGS_fuzz := -O1 $(filter-out -ftrivial-auto-var-init=zero,$(COMMON)) $(WARN) $(SAN) -fsanitize=fuzzer-no-link -DKEELSON_ASAN \
	-Wno-unknown-warning-option $(call INC,fuzz)
LDFLAGS_fuzz := $(SAN) -fsanitize=fuzzer -pthread
HOSTCFLAGS := -O1 $(COMMON) $(WARN) $(WARN_GCC) -I. -I$(O)/gen

# ---- what others wrote ------------------------------------------------------------------------

DEPS := s2n-bignum bearssl lwip lmdb libyaml yyjson zlib zstd libseccomp pcre2 mimalloc nghttp2
DEPLIBS := -lnghttp2 -lbearssl -ls2n-bignum -llwip -llmdb -lyaml -lyyjson -lzstd -lz -lseccomp \
	-lpcre2-8
depstamps = $(DEPS:%=$(O)/deps/$1/.%) $(if $(filter musl,$1),$(O)/deps/kinc/.done)

$(O)/deps/kinc/.done: deps/build.sh | host-packages
	$(Q)deps/build.sh headers musl $(@D) && touch $@
define dep_rule
$(O)/deps/$1/.$2: deps/lock deps/build.sh $(wildcard deps/$2 deps/$2-* deps/$2/* deps/$2/*/*) \
		| host-packages
	$$(call say,DEP,$2 ($1))
	$(Q)deps/build.sh $2 $1 $(O)/deps/$1 && touch $$@
endef
$(foreach l,musl glibc,$(foreach d,$(DEPS),$(eval $(call dep_rule,$l,$d))))

.PHONY: deps deps-update deps-clean host-packages
deps: $(call depstamps,musl) $(call depstamps,glibc)
deps-update:
	@test -n "$(NAME)" || { echo "make deps-update NAME=<row of deps/lock>"; exit 1; }
	@deps/fetch.sh --update $(NAME)
host-packages:
	@deps/host-packages.sh build

# ---- folders ----------------------------------------------------------------------------------

LIBS :=
PROGS :=
SUITES := lint unit asan fuzz
include $(wildcard */build.mk */*/build.mk)

comma := ,
flat = $(subst /,-,$1)
# closure: the folders and all they need, in any order (a cycle does no harm), of those that exist.
closure = $(if $(filter-out $1,$(foreach d,$1,$(DEPS_$d))),$(call closure,$(sort $1 $(foreach d,$1,$(DEPS_$d)))),$(filter $(LIBS),$1))
objs = $(patsubst %.c,$(O)/$1/obj/%.o,$(patsubst $(O)/gen/%,gen/%,$2))
archives = $(foreach d,$2,$(O)/$1/lib/$(call flat,$d).a)
progname = $(basename $(patsubst tests/%,%,$1))

# Command lines are kept beside the objects: other flags, another compiler build everything anew.
define variant_rules
$(O)/$1/.flags: FORCE
	@mkdir -p $$(@D); echo '$$(CC_$1) $$(CFLAGS_$1)' | cmp -s - $$@ || \
		echo '$$(CC_$1) $$(CFLAGS_$1)' >$$@
$(O)/$1/obj/%.o: %.c $(O)/$1/.flags | $$(call depstamps,$(LIBC_$1))
	$$(call say,CC,$$< ($1))
	$(Q)mkdir -p $$(@D) && $$(CC_$1) $$(CFLAGS_$1) $$(CFLAGS_OF_$$<) -MMD -MP -c $$< -o $$@
$(O)/$1/obj/gen/%.o: $(O)/gen/%.c $(O)/$1/.flags | $$(call depstamps,$(LIBC_$1))
	$$(call say,CC,$$< ($1))
	$(Q)mkdir -p $$(@D) && $$(CC_$1) $$(CFLAGS_$1) $$(CFLAGS_OF_$$(patsubst $(O)/gen/%,gen/%,$$<)) -MMD -MP -c $$< -o $$@
endef
$(foreach v,$(VARIANTS),$(eval $(call variant_rules,$v)))

# 1 variant, 2 folder
define lib_rules
$(call objs,$1,$(SRC_$2)): | $(foreach d,$(call closure,$2),$(GEN_$d))
$(call archives,$1,$2): $(call objs,$1,$(SRC_$2))
	$$(call say,AR,$$@)
	$(Q)mkdir -p $$(@D) && rm -f $$@ && ar rcsD $$@ $$^
-include $(patsubst %.o,%.d,$(call objs,$1,$(SRC_$2)))
endef
$(foreach v,$(VARIANTS),$(foreach l,$(LIBS),$(eval $(call lib_rules,$v,$l))))

# 1 variant, 2 program's file, 3 main source, 4 folders, 5 objects before all else, 6 folders to link whole
define link_rules
$(call objs,$1,$3): | $(foreach d,$(call closure,$4),$(GEN_$d))
$2: $(call objs,$1,$3) $(call archives,$1,$(call closure,$4)) | $(call depstamps,$(LIBC_$1))
	$$(call say,LINK,$$@)
	$(Q)mkdir -p $$(@D) && $$(CC_$1) $(call objs,$1,$3) $5 \
		$(if $6,-Wl$(comma)--whole-archive $(call archives,$1,$(filter $(LIBS),$6)) -Wl$(comma)--no-whole-archive) \
		-Wl,--start-group $(call archives,$1,$(call closure,$4)) -L$(O)/deps/$(LIBC_$1)/lib \
		$(DEPLIBS) -Wl,--end-group $(LDFLAGS_$1) -lm -o $$@
-include $(patsubst %.o,%.d,$(call objs,$1,$3))
endef

# ---- programs ---------------------------------------------------------------------------------

MIMALLOC := $(O)/deps/musl/lib/mimalloc.o
$(foreach p,$(PROGS),$(eval $(call link_rules,musl,$(O)/bin/$p,$(MAIN_$p),$(DEPS_$p),$(MIMALLOC),$(WHOLE_$p))))
$(foreach p,$(PROGS),$(eval $(call link_rules,asan,$(O)/asan/bin/$p,$(MAIN_$p),$(DEPS_$p),,$(WHOLE_$p))))
.PHONY: all programs asan-programs libs FORCE
libs: $(foreach l,$(LIBS),$(call archives,musl,$l))
programs: $(PROGS:%=$(O)/bin/%)
asan-programs: $(PROGS:%=$(O)/asan/bin/%)
all: libs programs image kernel

# ---- unit tests, fuzzing, figures -------------------------------------------------------------

unitprogs = $(foreach s,$(UNIT_$2),$(O)/$1/$(call progname,$s))
# 1 variant, 2 folder, 3 kind (UNIT, FUZZ, BENCH, TOOL)
define test_rules
$(foreach s,$($3_$2),$(eval $(call link_rules,$1,$(O)/$1/$(call progname,$s),$s,$2 $(DEPS_OF_$s),$(if $(filter BENCH,$3),$(MIMALLOC)))))
endef
$(foreach l,$(LIBS),$(eval $(call test_rules,musl,$l,UNIT))$(eval $(call test_rules,asan,$l,UNIT)))
$(foreach l,$(LIBS),$(eval $(call test_rules,fuzz,$l,FUZZ))$(eval $(call test_rules,musl,$l,BENCH)))
$(foreach l,$(LIBS),$(eval $(call test_rules,musl,$l,TOOL)))

define unit_targets
.PHONY: unit-$(call flat,$1) asan-$(call flat,$1)
unit-$(call flat,$1): $(call unitprogs,musl,$1) $(foreach s,$(UNIT_$1),$(DATA_$s))
	@V=1 tests/unit/run.sh $(call unitprogs,musl,$1)
asan-$(call flat,$1): $(call unitprogs,asan,$1) $(foreach s,$(UNIT_$1),$(DATA_$s))
	@V=1 tests/unit/run.sh $(call unitprogs,asan,$1)
endef
$(foreach l,$(LIBS),$(eval $(call unit_targets,$l)))

data := $(foreach l,$(LIBS),$(foreach s,$(UNIT_$l),$(DATA_$s)))
units = $(foreach l,$(LIBS),$(call unitprogs,$1,$l))
fuzzers = $(foreach l,$(LIBS),$(foreach s,$(FUZZ_$l),$(O)/fuzz/$(call progname,$s)))
benches = $(foreach l,$(LIBS),$(foreach s,$(BENCH_$l),$(O)/musl/$(call progname,$s)))
.PHONY: unit asan unit-programs fuzz bench lint test
unit-programs: $(call units,musl)
unit: $(call units,musl) $(data)
	@tests/unit/run.sh $(call units,musl)
asan: $(call units,asan) $(data)
	@tests/unit/run.sh $(call units,asan)
SECONDS := 60
FUZZ ?=
BENCH ?=
.PHONY: suite-fuzz
suite-fuzz: SECONDS := 2
fuzz suite-fuzz: $(filter $(if $(FUZZ),%/$(FUZZ) %/$(FUZZ)_fuzz,%),$(fuzzers))
	@tests/fuzz/run.sh $(SECONDS) $(O)/fuzz/found $^
PEER ?=
bench_parts = $(if $(PEER),peer,$(filter $(or $(BENCH),%),$(BENCH_PARTS)))
bench: $(foreach p,$(bench_parts),$(filter %/$p_bench,$(benches)) $(BENCH_NEEDS_$p))
	@deps/host-packages.sh run test
	@tests/bench/run.sh $(O) $(bench_parts)
lint: $(foreach l,$(LIBS),$(call archives,musl,$l))
	@O=$(O) CC='$(CC)' CFLAGS='$(CFLAGS_musl)' tests/lint/run.sh

.PHONY: $(SUITES:%=suite-%)
suite-lint: lint
suite-unit: unit
suite-asan: asan
test:
	@deps/host-packages.sh build run test
	+@MAKE='$(MAKE)' O=$(O) tests/run.sh $(SUITES)

# ---- kernel, image, test clusters -------------------------------------------------------------

.PHONY: format
format:
	@clang-format -i $$(git ls-files -co --exclude-standard '*.c' '*.h')

.PHONY: kernel image initramfs up down clean-cluster clean help
kernel: $(O)/image/vmlinuz
$(O)/image/vmlinuz: deps/lock kernel-config/build.sh $(wildcard kernel-config/*.config) | host-packages
	$(call say,KERNEL,$@)
	$(Q)mkdir -p $(@D) && kernel-config/build.sh $@
image: $(if $(filter keelson,$(PROGS)),$(O)/image/initramfs)
$(O)/bin/mkcpio: image/mkcpio.c
	$(call say,HOSTCC,$@)
	$(Q)mkdir -p $(@D) && $(HOSTCC) $(HOSTCFLAGS) $< -o $@
$(O)/image/initramfs: $(O)/bin/keelson $(O)/bin/mkcpio image/initramfs.list image/hosts image/build.sh
	$(call say,IMAGE,$@)
	$(Q)mkdir -p $(@D) && image/build.sh $(O) $@

CLUSTER = --dir $(O)/cluster
UP = $(CLUSTER) --kernel $(O)/image/vmlinuz --initramfs $(O)/image/initramfs --kubeconfig $(O)/kubeconfig \
	$(if $(NODES),--nodes $(NODES)) $(if $(CONTROL),--control $(CONTROL)) $(if $(MEM),--mem $(MEM)) \
	$(if $(BACKEND),--backend $(BACKEND))
up: all
	@deps/host-packages.sh run
	@$(O)/bin/keelctl cluster up $(UP)
down:
	@test ! -x $(O)/bin/keelctl || $(O)/bin/keelctl cluster down $(CLUSTER)
clean-cluster:
	@test ! -x $(O)/bin/keelctl || $(O)/bin/keelctl cluster down $(CLUSTER) --grace 0 --forget
	rm -rf $(O)/cluster
clean:
	rm -rf $(O)/musl $(O)/asan $(O)/fuzz $(O)/gen $(O)/bin $(O)/image

help:
	@echo 'make up            build all, boot a cluster of NODES=3 in QEMU (CONTROL= MEM= BACKEND=auto|kvm|tcg)'
	@echo 'make down          end it (its disks stay); make clean-cluster forgets the disks'
	@echo 'make all           libraries, programs, kernel, image'
	@echo 'make kernel|image  one of them: $(O)/image/vmlinuz, $(O)/image/initramfs'
	@echo 'make test          all tests: $(SUITES)'
	@echo 'make unit          unit tests, static against musl; unit-<folder>: one folder (/ as -), say unit-netstack-http'
	@echo 'make asan          unit tests under address and undefined sanitizers; asan-<folder>: one folder'
	@echo 'make fault         kills, cuts, power cuts under load, half an hour (a short round is part of make test);'
	@echo '                   SEED= repeats its choices, AREAS= some of tests/fault/areas'
	@echo 'make oracle        upstream'"'"'s API server and Keelson answer the same; SHOW=<kind> shows differences'
	@echo 'make conformance   upstream'"'"'s conformance suite, resumable; ON=server|qemu, MINUTES= FOCUS= AREA= FAILED=1 SHARD= JOBS='
	@echo 'make lint          format, layers, headers, banned calls, sizes'
	@echo 'make format        lays out all C as .clang-format says'
	@echo 'make fuzz          every fuzz target for SECONDS=60, JOBS= at a time; FUZZ=<name> one of them'
	@echo 'make bench         figures with their floors and targets; BENCH=<part>: $(BENCH_PARTS)'
	@echo '                   PEER=1: beside kube-apiserver and etcd, in one run'
	@echo 'make soak          three machines under churn and kills for MINUTES=60: what leaks or grows'
	@echo 'make deps          only what others wrote; deps-update NAME=<row>: its newest version into deps/lock'
	@echo 'make clean         forget what was compiled (the cache outside the tree stays)'
	@echo 'O=<dir> builds elsewhere (build), V=1 shows commands, CC= chooses the compiler for the product,'
	@echo 'KEELSON_CACHE= the cache (~/.cache/keelson)'
	@echo 'folders: $(LIBS)'
