#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# deps/fetch.sh: brings the source archive of one row of deps/lock into the cache and prints its path.
#
# Place in the flow: called by deps/build.sh and kernel-config/build.sh, never by hand but for
# `--update`. The system's package manager does the work in an apt root of its own (no file of the
# system is touched, no privilege is needed); the mirror is the one of the system's configuration.
# Invariants: what is printed has the sha256 of the lock, whatever the mirror said; the cache is
# addressed by that sha256, so that several trees and users of one machine share it.
# Must not: name a host, take a file whose checksum differs, fall back to another version.
#
#   deps/fetch.sh NAME            prints the path of the tarball
#   deps/fetch.sh --update NAME   writes the newest version of the row's suite into the lock
#   deps/fetch.sh --cache         prints the cache's directory
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
lock=$top/deps/lock
cache=${KEELSON_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/keelson}
root=$cache/apt

say() { echo "deps: $*" >&2; }
die() { say "$*"; exit 1; }

# apt TOOL ARGS...: a tool of apt in the private root; proxies and the like stay the system's. An index
# that is signed but old is as good as a new one: the lock's checksums decide what is taken.
apt() {
	tool=$1
	shift
	"$tool" -q -o Dir::Etc::sourcelist="$root/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
		-o Dir::State="$root" -o Dir::State::lists="$root/lists" \
		-o Dir::State::status="$root/status" -o Dir::Cache="$root/cache" \
		-o Dir::Log="$root/log" -o APT::Sandbox::User= -o Acquire::Languages=none \
		-o Acquire::Retries=3 -o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false \
		-o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}

# The mirror: the first source of the system that is Debian's main archive (not security).
mirror() {
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		awk '$3 == "main" && $2 !~ /-(security|updates|backports)|\// && $1 ~ /debian\/?$/ {
			print $1; exit }'
}

# apt_update: makes the root and reads the indexes of every suite the lock names.
apt_update() {
	uri=$(mirror)
	[ -n "$uri" ] || die "no source of Debian's main archive in the system's apt configuration"
	key=
	for k in pgp gpg; do
		[ -e /usr/share/keyrings/debian-archive-keyring.$k ] &&
			key="[signed-by=/usr/share/keyrings/debian-archive-keyring.$k]" && break
	done
	mkdir -p "$root/lists/partial" "$root/cache/archives/partial" "$root/log"
	: >>"$root/status"
	awk -v at="$key $uri" '!/^#/ && NF { print $4 ~ /^deb:/ ? "deb" : "deb-src", at, $3, "main" }' \
		"$lock" | sort -u >"$root/sources.list"
	say "reading the package indexes ($(awk '{ print $(NF - 1) }' "$root/sources.list" |
		sort -u | paste -sd' '))"
	apt apt-get update >"$root/update.log" 2>&1 || { cat "$root/update.log" >&2; return 1; }
	cksum "$root/sources.list" >"$root/updated"
}

# served: lines "version sha256 file" that the indexes know for the row: orig tarballs of a source
# package, or the binary package of a row "deb:PACKAGE" (for what is served only as such).
served() {
	case $source in deb:*)
		apt apt-cache show "${source#deb:}" 2>/dev/null | awk '
			/^Version:/ { version = $2 }
			/^Filename:/ { file = $2; sub(/.*\//, "", file) }
			/^SHA256:/ { print version, $2, file }' | sort -u
		return ;;
	esac
	apt apt-cache showsrc --only-source "$source" 2>/dev/null | awk '
		/^Version:/ { version = $2 }
		/^[A-Z]/ { sums = /^Checksums-Sha256:/ }
		sums && $3 ~ /\.orig\.tar\.[a-z0-9]+$/ { print version, $1, $3 }' | sort -u
}

fetch() {
	file=$cache/src/$sha
	[ -e "$file" ] && { echo "$file"; return; }
	mkdir -p "$cache/src" "$root"
	exec 8>"$root/lock"
	flock 8
	[ -e "$file" ] && { echo "$file"; return; }
	[ -e "$root/updated" ] || apt_update
	row=$(served | awk -v s="$sha" '$2 == s' | tail -1)
	if [ -z "$row" ]; then
		apt_update
		row=$(served | awk -v s="$sha" '$2 == s' | tail -1)
	fi
	[ -n "$row" ] || not_served
	tmp=$(mktemp -d "$cache/src/.tmp.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	deb=${row%% *}
	say "fetching $name $version (${row##* })"
	case $source in
	deb:*) set -- download "${source#deb:}=$deb" ;;
	*) set -- source --download-only --tar-only "$source=$deb" ;;
	esac
	if ! (cd "$tmp" && apt apt-get "$@") >"$root/source.log" 2>&1; then
		cat "$root/source.log" >&2
		not_served
	fi
	got=$(find "$tmp" \( -name '*.orig.tar.*' ! -name '*.asc' \) -o -name '*.deb' | head -1)
	echo "$sha  $got" | sha256sum --check --status || die "$name: $got is not what deps/lock says"
	mv "$got" "$file"
	echo "$file"
}

not_served() {
	say "$name $version, as pinned in deps/lock, is not served any more (source package $source)."
	say "The mirror's indexes name these versions:"
	served | awk '{ print "deps:   " $1 }' | sort -u >&2
	say "'make deps-update NAME=$name' takes the newest of $suite into the lock."
	exit 1
}

update() {
	apt_update
	row=$(apt apt-cache madison "${source#deb:}" 2>/dev/null | awk -F'|' -v s=" $suite/" \
		'index($3, s) { gsub(/ /, "", $2); print $2 }' |
		while read -r v; do served | awk -v v="$v" '$1 == v'; done |
		sort -V | tail -1)
	[ -n "$row" ] || die "no version of $source in $suite"
	# The upstream part of a Debian version: no epoch, no revision.
	new=$(echo "${row%% *}" | sed 's/^[0-9]*://; s/-[^-]*$//')
	old="$version $sha"
	version=$new
	sha=$(echo "$row" | awk '{ print $2 }')
	[ "$old" = "$version $sha" ] && { say "$name: $version is the newest in $suite"; return; }
	fetch >/dev/null
	awk -v n="$name" -v v="$version" -v s="$sha" '$1 == n && !/^#/ {
		$2 = v; $5 = s
		printf "%-11s %-20s %-9s %-16s %s %s\n", $1, $2, $3, $4, $5, $6
		next } { print }' "$lock" >"$lock.new"
	mv "$lock.new" "$lock"
	say "$name: ${old%% *} -> $version; build and test before committing deps/lock"
}

[ "${1:-}" = --cache ] && { echo "$cache"; exit; }
mode=fetch
[ "${1:-}" = --update ] && mode=update && shift
name=${1:?usage: deps/fetch.sh [--update] NAME}
set -- $(awk -v n="$name" '!/^#/ && $1 == n' "$lock")
[ $# -eq 6 ] || die "no row '$name' in deps/lock"
version=$2 suite=$3 source=$4 sha=$5
$mode
