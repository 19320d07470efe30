#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/conformance/images.sh: makes the images that the pods of upstream's conformance suite run, with its names and
# tags, out of its own Go programs (tests/peers) and Debian packages, and prints the folder they are in (below
# the cache; made once for each content). tests/images/image.sh says how the folder is laid out.
#
#   e2e/agnhost:2.66.1, :2.55     /agnhost and the tools that tests call in its shell; a user with a group of the image
#   e2e/busybox:1.37.0-2          static busybox, all its names; sh: see sh.c
#   e2e/nginx:1.27.0-2, :1.28.0-2 nginx that answers on port 80
#   e2e/kitten:1.8, e2e/nautilus:1.8     agnhost that serves /data.json
#   e2e/nonewprivs:1.4            a setuid program that prints its effective user
#   e2e/glibc-dns-testing:2.1.1   dig and getent, which ask by glibc
#   e2e/sample-apiserver:1.29.2, etcd:3.7.0-0     an aggregated API and its store
#   pause:3.10.2                  nothing
#
# The tags are those of test/utils/image/manifest.go of the release; what is in them is what its specs look at
# (for kitten that is also a line of /etc/os-release).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$here/../..
cache=$("$top/deps/fetch.sh" --cache)
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
# shellcheck disable=SC2046
set -- $("$top/tests/peers/build.sh" agnhost nonewprivs sample-apiserver etcd)
agnhost=$1 nnp=$2 sample=$3 etcd=$4
key=$({ cat "$here/images.sh" "$here/pause.c" "$here/sh.c" "$top/tests/images/image.sh" "$top/tests/images/packages.sh" && echo "$@"; } |
	sha256sum | cut -c1-16)
done=$cache/images/conformance-$key-$release-$(id -u)
[ -d "$done" ] && { echo "$done"; exit 0; }

mkdir -p "$cache/images"
work=$(mktemp -d "$cache/images/making.XXXXXX")
trap 'rm -rf "$work"' EXIT
images=$work/images
. "$top/tests/images/image.sh"
. "$top/tests/images/packages.sh"
own='--owner=0 --group=0'

# made NAME:TAG CONFIG DIR [LAYER...]: an image of the folder on top of layers that are there.
made() {
	name=$1 config=$2 dir=$3
	shift 3
	# shellcheck disable=SC2086
	image docker "$name" "$config" "$@" "$(layer gzip "$dir" $own)" >/dev/null
}

# ---- busybox
fetch busybox-static bash-static
bb=$work/busybox
mkdir -p "$bb/bin" "$bb/tmp" "$bb/etc" "$bb/root" "$bb/home" "$bb/usr/bin" "$bb/var/www"
chmod 1777 "$bb/tmp"
unpack "$work/bb" busybox-static bash-static
cp "$(find "$work/bb" -path '*bin/busybox' -type f)" "$bb/bin/busybox"
cp "$(find "$work/bb" -path '*bin/bash-static' -type f)" "$bb/bin/bash"
musl-gcc -O2 -static -o "$bb/bin/sh" "$here/sh.c"
names_of "$bb/bin/busybox" "$bb/bin"
ln -s ../../bin/env "$bb/usr/bin/env"
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n' >"$bb/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$bb/etc/group"
# shellcheck disable=SC2086
below=$(layer gzip "$bb" $own)
path='"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]'
image docker e2e/busybox:1.37.0-2 "{$path,\"Cmd\":[\"sh\"],\"WorkingDir\":\"/\"}" "$below" >/dev/null

# tools DIR PACKAGE...: programs with their libraries, and busybox's names for what they do not have.
tools() {
	to=$1
	shift
	# shellcheck disable=SC2046
	unpack "$to" "$@" $(libraries "$@")
	one_usr "$to"
	rm -rf "$to/usr/share/locale" "$to/usr/lib/x86_64-linux-gnu/gconv"
	cp "$bb/bin/busybox" "$to/usr/bin/"
	names_of "$to/usr/bin/busybox" "$to/usr/bin"
	mkdir -p "$to/etc" "$to/tmp" "$to/root"
	chmod 1777 "$to/tmp"
	echo 'hosts: files dns' >"$to/etc/nsswitch.conf"
	cp "$bb/etc/passwd" "$bb/etc/group" "$to/etc/"
}

# ---- agnhost
ag=$work/agnhost
mkdir -p "$ag/uploads"
tools "$ag" bash curl libc-bin netcat-openbsd bind9-dnsutils bind9-libs bind9-host iproute2 socat
ln -sf nc.openbsd "$ag/usr/bin/nc"
ln -sf bash "$ag/usr/bin/sh" # busybox's shell takes its own nc before all others, which knows no UDP
echo 'user-defined-in-image:x:1000:1000::/home/user-defined-in-image:/bin/sh' >>"$ag/etc/passwd"
printf 'user-defined-in-image:x:1000:\ngroup-defined-in-image:x:50000:user-defined-in-image\n' >>"$ag/etc/group"
cp "$agnhost" "$ag/agnhost"
ln -s agnhost "$ag/agnhost-2"
openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
	-keyout "$ag/localhost.key" -out "$ag/localhost.crt" 2>/dev/null
chmod 644 "$ag/localhost.key"
ports='"ExposedPorts":{"80/tcp":{},"8080/tcp":{},"8081/tcp":{},"9376/tcp":{},"5000/tcp":{}}'
# shellcheck disable=SC2086
agnhost_layer=$(layer gzip "$ag" $own)
# agnhost_image NAME:TAG COMMAND LAYER...
agnhost_image() {
	name=$1 command=$2
	shift 2
	image docker "$name" "{$path,$ports,\"Entrypoint\":[\"/agnhost\"],\"Cmd\":[\"$command\"],\"WorkingDir\":\"/\"}" \
		"$@" >/dev/null
}
agnhost_image e2e/agnhost:2.66.1 pause "$agnhost_layer"
# The one before is another image, with the same program.
mkdir "$work/previous"
echo 2.55 >"$work/previous/previous"
# shellcheck disable=SC2086
agnhost_image e2e/agnhost:2.55 pause "$agnhost_layer" "$(layer gzip "$work/previous" $own)"
for animal in kitten nautilus; do
	mkdir -p "$work/$animal/etc"
	printf '{\n  "image": "%s.jpg"\n}\n' $animal >"$work/$animal/data.json"
	head -c 1000 /dev/zero >"$work/$animal/$animal.jpg"
	printf 'NAME="Alpine Linux"\nID=alpine\n' >"$work/$animal/etc/os-release"
	# shellcheck disable=SC2086
	agnhost_image e2e/$animal:1.8 test-webserver "$agnhost_layer" "$(layer gzip "$work/$animal" $own)"
done

# ---- nginx
ng=$work/nginx
tools "$ng" nginx nginx-common
printf 'www-data:x:33:33::/:/bin/false\n' >>"$ng/etc/passwd"
printf 'www-data:x:33:\n' >>"$ng/etc/group"
mkdir -p "$ng/usr/share/nginx/html" "$ng/var/log/nginx" "$ng/var/lib/nginx" "$ng/run" "$ng/etc/nginx"
echo '<title>Welcome to nginx!</title>' >"$ng/usr/share/nginx/html/index.html"
cat >"$ng/etc/nginx/nginx.conf" <<-E
	user www-data;
	worker_processes 1;
	pid /run/nginx.pid;
	error_log /dev/stderr;
	events { worker_connections 512; }
	http {
		access_log /dev/stdout;
		server {
			listen 80;
			listen [::]:80;
			root /usr/share/nginx/html;
		}
	}
E
serve='"Entrypoint":["/usr/sbin/nginx","-g","daemon off;"],"ExposedPorts":{"80/tcp":{}},"StopSignal":"SIGQUIT"'
made e2e/nginx:1.27.0-2 "{$path,$serve}" "$ng"
echo 1.28 >"$ng/etc/nginx/release"
made e2e/nginx:1.28.0-2 "{$path,$serve}" "$ng"

# ---- small ones
mkdir -p "$work/nnp/usr/local/bin" "$work/sample" "$work/etcd/usr/local/bin" "$work/pause"
cp "$nnp" "$work/nnp/usr/local/bin/nnp"
chmod 6755 "$work/nnp/usr/local/bin/nnp"
made e2e/nonewprivs:1.4 "{$path,\"Cmd\":[\"nnp\"]}" "$work/nnp" "$below"
cp "$sample" "$work/sample/sample-apiserver"
made e2e/sample-apiserver:1.29.2 "{$path,\"Entrypoint\":[\"/sample-apiserver\"]}" "$work/sample"
cp "$etcd" "$work/etcd/usr/local/bin/etcd"
made etcd:3.7.0-0 "{$path}" "$work/etcd"
musl-gcc -O2 -static -o "$work/pause/pause" "$here/pause.c"
made pause:3.10.2 '{"Entrypoint":["/pause"]}' "$work/pause"
tools "$work/dns" bind9-dnsutils bind9-libs bind9-host hostname libc-bin
made e2e/glibc-dns-testing:2.1.1 "{$path,\"Cmd\":[\"sh\"]}" "$work/dns"

mv "$images" "$done" 2>/dev/null || [ -d "$done" ]
echo "$done"
