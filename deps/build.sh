#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# deps/build.sh: builds one library of deps/lock for one C library and lays it below a prefix.
#
#   deps/build.sh NAME musl|glibc PREFIX     -> PREFIX/include, PREFIX/lib
#   deps/build.sh headers musl PREFIX        -> PREFIX/kinc: the kernel's headers, and only they
#
# Place in the flow: called by the Makefile, once a library and C library. The result is kept in the
# cache under a key: the lock's row, the recipe below, its files in deps/ and the compiler; a second
# tree, or a cleaned one, copies it in milliseconds.
# Invariants: no patch to any source; nothing outside PREFIX and the cache is written.
set -eu

name=$1 libc=$2 prefix=$3
top=$(cd "$(dirname "$0")/.." && pwd)
cache=$("$top/deps/fetch.sh" --cache)
case $libc in
musl) gcc=musl-gcc host=--host=x86_64-linux-musl ;;
glibc) gcc=gcc host= ;;
esac
cc="$(command -v ccache || :) $gcc"
flags="-O2 -g0 -ffunction-sections -fdata-sections -fno-strict-aliasing -fPIC -w"
[ "$libc" = musl ] && flags="-O2 -g0 -ffunction-sections -fdata-sections -fno-strict-aliasing -w"
jobs=${DEPS_JOBS:-2}

# lib NAME FLAGS FILES...: compiles and archives. The recipes run in the unpacked source.
lib() {
	archive=$1 own=$2
	shift 2
	printf '%s\n' "$@" | xargs -P "$jobs" -I@ sh -c '
		o=obj/$(echo "$1" | tr "/" "_").o
		exec $2 $3 $4 -c "$1" -o "$o"' - @ "$cc" "$flags -ffile-prefix-map=$PWD=." "$own"
	ar rcsD "$out/lib/lib$archive.a" obj/*.o
	rm -f obj/*.o
}

headers_of() { cp -R "$@" "$out/include/"; }

build_bearssl() {
	lib bearssl "-O3 -Iinc -Isrc" $(find src -name '*.c' | sort)
	headers_of inc/*.h
}

# P-256, X25519 and Ed25519, and of the rest what they call; the plain variants want BMI2 and ADX, _alt do not
# (Ed25519: only these, it is rare).
build_s2n_bignum() {
	s=$(find * -type d -name s2n-bignum-imported | head -1)
	mkdir -p stub/openssl
	: >stub/openssl/boringssl_prefix_symbols_asm.h
	lib s2n-bignum "-Istub -I$s/include" $(find $s/x86_att/p256 $s/x86_att/generic -name '*.S' | sort) \
		$s/x86_att/curve25519/curve25519_x25519*.S $s/x86_att/curve25519/bignum_m*_n25519*.S \
		$s/x86_att/curve25519/bignum_neg_p25519.S $s/x86_att/curve25519/edwards25519_encode.S \
		$s/x86_att/curve25519/edwards25519_decode_alt.S \
		$s/x86_att/curve25519/edwards25519_scalarmuldouble_alt.S
	headers_of $s/include/s2n-bignum.h
	# Upstream's header asks for array bounds as "static": right in C, and kept.
}

build_lwip() {
	s=src
	lib lwip "-I$top/deps/lwip -Isrc/include" src/core/*.c src/core/ipv4/*.c src/core/ipv6/*.c \
		src/netif/ethernet.c src/apps/sntp/sntp.c src/apps/tftp/tftp.c
	headers_of src/include/* "$top/deps/lwip/lwipopts.h" "$top/deps/lwip/arch"
	rm -rf "$out/include/compat"
}

build_lmdb() {
	cd libraries/liblmdb
	mkdir -p obj
	lib lmdb "-pthread -DMDB_MAXKEYSIZE=0 -include $top/deps/lmdb-disk.h" mdb.c midl.c
	headers_of lmdb.h
}

build_libyaml() {
	lib yaml '-Iinclude -Isrc -DYAML_VERSION_MAJOR=0 -DYAML_VERSION_MINOR=2 -DYAML_VERSION_PATCH=5
		-DYAML_VERSION_STRING="0.2.5"' src/*.c
	headers_of include/yaml.h
}

build_yyjson() {
	lib yyjson "" src/yyjson.c
	headers_of src/yyjson.h
}

build_zlib() {
	lib z "-DHAVE_UNISTD_H -DHAVE_STDARG_H -D_LARGEFILE64_SOURCE=1 -DHAVE_HIDDEN" *.c
	headers_of zlib.h zconf.h
}

build_zstd() {
	lib zstd "-DZSTD_DISABLE_ASM -DXXH_NAMESPACE=ZSTD_" lib/common/*.c lib/compress/*.c \
		lib/decompress/*.c
	headers_of lib/zstd.h lib/zstd_errors.h
}

build_libseccomp() {
	./configure CC="$cc" CFLAGS="$flags $kinc" $host --enable-static --disable-shared \
		--disable-python
	make -C src -j"$jobs" libseccomp.la
	cp src/.libs/libseccomp.a "$out/lib/"
	headers_of include/seccomp.h include/seccomp-syscalls.h
}

build_pcre2() {
	cp src/config.h.generic src/config.h
	cp src/pcre2.h.generic src/pcre2.h
	cp src/pcre2_chartables.c.dist src/pcre2_chartables.c
	set --
	for f in auto_possess chartables chkdint compile compile_class config context convert dfa_match \
		error extuni find_bracket jit_compile maketables match match_data newline ord2utf \
		pattern_info script_run serialize string_utils study substitute substring tables ucd \
		valid_utf xclass; do
		set -- "$@" src/pcre2_$f.c
	done
	lib pcre2-8 "-DHAVE_CONFIG_H -DPCRE2_CODE_UNIT_WIDTH=8 -DPCRE2_STATIC -DSUPPORT_PCRE2_8
		-DSUPPORT_UNICODE -Isrc" "$@"
	headers_of src/pcre2.h
}

# One object, not an archive: it takes malloc's place, so it must be linked before the C library. The
# sanitizers bring an allocator of their own: nothing for glibc.
build_mimalloc() {
	[ "$libc" = musl ] || return 0
	$cc $flags -DMI_MALLOC_OVERRIDE=1 -ftls-model=initial-exec -DNDEBUG -Iinclude -Isrc $kinc \
		-c src/static.c -o "$out/lib/mimalloc.o"
	headers_of include/mimalloc.h
}

build_nghttp2() {
	sed 's/@PACKAGE_VERSION@/'"$version"'/; s/@PACKAGE_VERSION_NUM@/0x014000/' \
		lib/includes/nghttp2/nghttp2ver.h.in >lib/includes/nghttp2/nghttp2ver.h
	lib nghttp2 "-Ilib/includes -Ilib -DNGHTTP2_STATICLIB -DBUILDING_NGHTTP2 -DHAVE_ARPA_INET_H
		-DHAVE_NETINET_IN_H -DHAVE_TIME_H -DHAVE_CLOCK_GETTIME
		-DHAVE_DECL_CLOCK_MONOTONIC=1" lib/*.c
	mkdir -p "$out/include/nghttp2"
	cp lib/includes/nghttp2/*.h "$out/include/nghttp2/"
}

# The kernel's own headers alone in a folder (-isystem): a path to all of /usr/include would let
# glibc's headers fill gaps of musl's in silence.
if [ "$name" = headers ]; then
	mkdir -p "$prefix/kinc"
	for d in linux asm-generic mtd rdma sound video xen misc; do
		[ -d /usr/include/$d ] && ln -sfn /usr/include/$d "$prefix/kinc/$d"
	done
	ln -sfn "/usr/include/$(gcc -print-multiarch)/asm" "$prefix/kinc/asm"
	exit
fi

row=$(awk -v n="$name" '!/^#/ && $1 == n' "$top/deps/lock")
version=$(echo "$row" | awk '{ print $2 }')
recipe=build_$(echo "$name" | tr - _)
key=$({
	echo "$row $libc $flags"
	sed -n "/^$recipe() {/,/^}/p; /^lib() {/,/^}/p" "$0"
	cat "$top/deps/$name"* "$top/deps/$name"/* "$top/deps/$name"/*/* 2>/dev/null || :
	$gcc --version
	dpkg-query -W -f '${Version}' musl-dev libc6-dev 2>/dev/null || :
} | sha256sum | cut -c1-32)
kept=$cache/lib/$name-$libc-$key

if [ ! -d "$kept" ]; then
	tarball=$("$top/deps/fetch.sh" "$name")
	mkdir -p "$cache/lib"
	work=$(mktemp -d "$cache/lib/.tmp.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$work/src" "$work/out/include" "$work/out/lib"
	tar -C "$work/src" --strip-components=1 -xf "$tarball"
	out=$work/out
	kinc=
	if [ "$libc" = musl ]; then
		"$0" headers musl "$work"
		kinc="-isystem $work/kinc"
	fi
	# Not "if ! (...)": within a condition the shell would go on after a failed command.
	set +e
	(set -e; cd "$work/src"; mkdir -p obj; $recipe) >"$work/log" 2>&1
	failed=$?
	set -e
	if [ $failed -ne 0 ]; then
		tail -40 "$work/log" >&2
		cp "$work/log" "$cache/lib/$name-$libc.log"
		echo "deps: building $name for $libc failed; whole log: $cache/lib/$name-$libc.log" >&2
		exit 1
	fi
	mv -T "$out" "$kept" 2>/dev/null || [ -d "$kept" ]
fi
mkdir -p "$prefix/include" "$prefix/lib"
cp -R "$kept/." "$prefix/"
