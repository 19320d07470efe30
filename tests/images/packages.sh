# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/images/packages.sh: folders that become layers, out of Debian packages of the release the machine itself
# runs. To be sourced; $work is a folder that goes when all is done.
: "${work:?}"
mkdir -p "$work/deb"
apt-cache show busybox-static >/dev/null 2>&1 || apt-get update -q >&2

# fetch PACKAGE...: those that are not there yet, all at once: apt reads its lists anew each time.
fetch() {
	missing=
	for p in "$@"; do
		ls "$work/deb/${p}_"*.deb >/dev/null 2>&1 || missing="$missing $p"
	done
	# shellcheck disable=SC2086
	[ -z "$missing" ] || (cd "$work/deb" && apt-get download -qq -o APT::Sandbox::User=root $missing >&2)
}
# unpack INTO PACKAGE...: packages without their scripts.
unpack() {
	into=$1
	shift
	fetch "$@"
	for p in "$@"; do dpkg-deb -x "$work/deb/${p}_"*.deb "$into"; done
}
# libraries PACKAGE...: the library packages they need, and those that these need (not what their scripts want).
libraries() {
	all= more=$(needed "$@")
	while [ -n "$more" ]; do
		all="$all $more"
		# shellcheck disable=SC2086
		more=$(needed $more | grep -vxF "$(printf '%s\n' $all)" || :)
	done
	# shellcheck disable=SC2086
	printf '%s\n' $all | sort -u
}
# one_usr TREE: what a package puts below /lib, /bin belongs to /usr: one tree, as on a merged system.
one_usr() {
	for d in bin sbin lib lib64; do
		mkdir -p "$1/usr/$d"
		[ -d "$1/$d" ] && [ ! -L "$1/$d" ] && cp -a "$1/$d/." "$1/usr/$d/" && rm -rf "${1:?}/$d"
		[ -L "$1/$d" ] || ln -s "usr/$d" "$1/$d"
	done
	rm -rf "$1/usr/share/doc" "$1/usr/share/man" "$1/usr/share/lintian" "$1/etc/init.d"
}
needed() { apt-cache depends "$@" | sed -n 's/^ *Depends: \(lib[a-z0-9.+-]*\|zlib1g\)$/\1/p' | sort -u; }
# names_of BUSYBOX DIR: links in DIR for all that it can be called, where nothing else has the name.
names_of() {
	for name in $("$1" --list); do
		[ "$name" = busybox ] || [ -e "$2/$name" ] || ln -s busybox "$2/$name"
	done
}
