#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# kernel-config/build.sh FILE: builds the kernel of deps/lock with the fragments beside this script,
# all drivers built in, no modules, and puts the bzImage at FILE.
#
# Place in the flow: called by the Makefile. The kernel is kept in the cache under a key (lock's row,
# fragments, this recipe, compiler): the 10 to 20 minutes of two cores are spent once a machine.
# Invariants: everything not named by a fragment (or selected by what is) is off; every option named
# holds in the end, or nothing is built; same sources, same bytes.
#
#   kernel-config/build.sh --config     only makes the configuration and prints it
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
cache=$("$top/deps/fetch.sh" --cache)/kernel
fragments=$(for f in base virt metal net storage hardening; do echo "$top/kernel-config/$f.config"; done)
jobs=${KERNEL_JOBS:-$(nproc)}
row=$(awk '!/^#/ && $1 == "linux"' "$top/deps/lock")
key=$({
	echo "$row"
	cat $fragments
	sed -n '/^build() {/,/^}/p; /^configure() {/,/^}/p' "$0"
	gcc --version
} | sha256sum | cut -c1-32)

say() { echo "kernel: $*" >&2; }

# configure: in the source tree; a fragment's options against what came of them.
configure() {
	cat $fragments >.fragments
	make -s KCONFIG_ALLCONFIG=.fragments allnoconfig >.config.log 2>&1 || { cat .config.log >&2; return 1; }
	sort -u .config >.have
	sed -n 's/^\(# CONFIG_.* is not set\|CONFIG_.*\)$/\1/p' .fragments | sort -u >.want
	# An option that is off may also not be there at all.
	comm -23 .want .have | while read -r line; do
		case $line in '# '*)
			option=${line#'# '}
			grep -q "^${option%% *}=" .config || continue ;;
		esac
		echo "$line"
	done >.lacking
	[ -s .lacking ] || return 0
	say "these options of the fragments do not hold (a dependency is off, or the name is gone):"
	cat .lacking >&2
	return 1
}

build() {
	export KBUILD_BUILD_USER=keelson KBUILD_BUILD_HOST=keelson KBUILD_BUILD_VERSION=1
	export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970'
	export CCACHE_DEPEND=1 CCACHE_SLOPPINESS=time_macros
	set -- CC="$(command -v ccache || :) gcc" HOSTCC="$(command -v ccache || :) gcc"
	nice make -j"$jobs" "$@" bzImage 2>.errors |
		awk -v began="$(date +%s)" '/^  (CC|AS|LD|AR) / { n++
			if (n % 200 == 0) { "date +%s" | getline now; close("date +%s")
				printf "kernel: %d steps of about 2700, %d s\n", n, now - began; fflush() } }' >&2
	[ -s arch/x86/boot/bzImage ] || { cat .errors >&2; return 1; }
}

unpack() {
	deb=$("$top/deps/fetch.sh" linux)
	say "unpacking $(echo "$row" | awk '{ print $1, $2 }')"
	dpkg-deb --fsys-tarfile "$deb" | tar -xO --wildcards '*/linux-source-*.tar.xz' |
		xz -dc -T0 | tar -x --strip-components=1 --anchored \
			--exclude='linux-source-*[0-9]/arch/[!xK]*.[chS]' \
			--exclude='linux-source-*[0-9]/Documentation/*.rst'
}

out=${1:-}
case $out in /* | --*) ;; *) out=$PWD/$out ;; esac
if [ "$out" = --config ] || [ ! -e "$cache/$key/bzImage" ]; then
	# One place for one build at a time: the compiler cache looks at the path as well.
	mkdir -p "$cache"
	exec 9>"$cache/.lock"
	flock 9
fi
if [ "$out" = --config ] || [ ! -e "$cache/$key/bzImage" ]; then
	work=$cache/.tree
	rm -rf "$work"
	mkdir "$work"
	trap 'rm -rf "$work"' EXIT
	cd "$work"
	unpack
	configure
	[ "$out" = --config ] && { cat .config; exit; }
	say "building with $jobs jobs; kept for later in $cache"
	build
	mkdir -p "$cache/.new.$$"
	cp arch/x86/boot/bzImage .config System.map "$cache/.new.$$/"
	mv -T "$cache/.new.$$" "$cache/$key" 2>/dev/null || rm -rf "$cache/.new.$$"
fi
cp "$cache/$key/bzImage" "$out.new"
mv "$out.new" "$out"
