#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/images/make.sh: makes the images that tests on machines run, from Debian packages of the release
# the machine itself runs, and prints the folder they are in (below the cache; made once for each content of
# this folder). See image.sh for its layout, registry.sh for serving it.
#
#   busybox:latest   static busybox, all its names; OCI, gzip
#   busybox:zstd, :docker, :index, :list      the same as a zstd layer, Docker manifest, index, manifest list
#   nginx:1, :2, :latest     nginx with its libraries below it; page in /usr/share/nginx/html; Docker manifest
#   curl:latest      clients that speak as users' programs do: curl (OpenSSL), getent (glibc's resolver), drill
#                    (any DNS question), socat, busybox
#   nft:latest       nft, and busybox under its names
#   layers:latest    whiteouts, opaque directory, hard links, links, user 1000, file capability when made by root
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=$("$here/../../deps/fetch.sh" --cache)
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
key=$(cat "$here/make.sh" "$here/image.sh" "$here/packages.sh" | sha256sum | cut -c1-16)
done=$cache/images/$key-$release-$(id -u)
[ -d "$done" ] && { echo "$done"; exit 0; }

mkdir -p "$cache/images"
work=$(mktemp -d "$cache/images/making.XXXXXX")
trap 'rm -rf "$work"' EXIT
images=$work/images
. "$here/image.sh"

. "$here/packages.sh"

# shellcheck disable=SC2046
fetch busybox-static nginx nginx-common base-passwd curl libc-bin ldnsutils socat $(libraries nginx curl ldnsutils socat)

# ---- busybox
bb=$work/busybox
mkdir -p "$bb/bin" "$bb/tmp" "$bb/etc" "$bb/root" "$bb/home/user" "$bb/var/www"
chmod 1777 "$bb/tmp"
unpack "$work/bb" busybox-static
cp "$(find "$work/bb" -path '*bin/busybox' -type f)" "$bb/bin/busybox"
names_of "$bb/bin/busybox" "$bb/bin"
printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n' >"$bb/etc/passwd"
printf 'root:x:0:\nuser:x:1000:\nextra:x:2000:user\n' >"$bb/etc/group"
run='{"Env":["PATH=/bin"],"Cmd":["sh"],"WorkingDir":"/"}'
own='--owner=0 --group=0'
# shellcheck disable=SC2086
gz=$(layer gzip "$bb" $own)
# shellcheck disable=SC2086
zst=$(layer zstd "$bb" $own)
amd=$(image oci busybox:latest "$run" "$gz")
image oci busybox:zstd "$run" "$zst" >/dev/null
dock=$(image docker busybox:docker "$run" "$gz")
mkdir "$work/other"
echo 'not for this machine' >"$work/other/README"
# shellcheck disable=SC2086
other=$(layer gzip "$work/other" $own)
arm=$(ARCH=arm64 image oci busybox:arm64 "$run" "$other")
armd=$(ARCH=arm64 image docker busybox:docker-arm64 "$run" "$other")
index oci busybox:index "arm64 $arm" "amd64 $amd" >/dev/null
index docker busybox:list "arm64 $armd" "amd64 $dock" >/dev/null

# ---- nginx
libs=$work/libs
ng=$work/nginx
# shellcheck disable=SC2046
unpack "$libs" $(libraries nginx)
unpack "$ng" nginx nginx-common base-passwd 2>/dev/null
one_usr "$libs"
one_usr "$ng"
cp "$bb/bin/busybox" "$libs/usr/bin/busybox"
for name in sh cat ls sleep wget hostname ip nslookup; do ln -s busybox "$libs/usr/bin/$name"; done
mkdir -p "$ng/usr/share/nginx/html" "$ng/var/log/nginx" "$ng/var/lib/nginx" "$ng/run" "$ng/etc/nginx" "$ng/tmp"
printf 'root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/:/bin/false\n' >"$ng/etc/passwd"
printf 'root:x:0:\nwww-data:x:33:\n' >"$ng/etc/group"
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
			location = /hostname { default_type text/plain; return 200 "\$hostname\n"; }
		}
	}
E
serve='"Entrypoint":["/usr/sbin/nginx","-g","daemon off;"],"ExposedPorts":{"80/tcp":{}},"StopSignal":"SIGQUIT"'
# shellcheck disable=SC2086
below=$(layer gzip "$libs" $own)
for tag in 1 2; do
	echo "nginx $tag" >"$ng/usr/share/nginx/html/index.html"
	# shellcheck disable=SC2086
	image docker nginx:$tag "{\"Env\":[\"PATH=/usr/sbin:/usr/bin\",\"RELEASE=$tag\"],$serve}" "$below" \
		"$(layer gzip "$ng" $own)" >/dev/null
done
cp "$images/tags/nginx/1" "$images/tags/nginx/latest"

# ---- curl
cl=$work/curl
# shellcheck disable=SC2046
unpack "$cl" curl socat $(libraries curl ldnsutils socat)
mkdir "$work/parts"
unpack "$work/parts" libc-bin ldnsutils
one_usr "$cl"
cp "$work/parts/usr/bin/getent" "$work/parts/usr/bin/drill" "$bb/bin/busybox" "$cl/usr/bin/"
names_of "$bb/bin/busybox" "$cl/usr/bin"
rm -rf "$cl/usr/lib/x86_64-linux-gnu/gconv" "$cl/usr/share/locale"
mkdir -p "$cl/etc" "$cl/tmp"
echo 'hosts: files dns' >"$cl/etc/nsswitch.conf"
printf 'root:x:0:0:root:/root:/bin/sh\n' >"$cl/etc/passwd"
# shellcheck disable=SC2086
image oci curl:latest '{"Env":["PATH=/usr/bin:/usr/sbin"],"Cmd":["sh"],"WorkingDir":"/"}' \
	"$(layer gzip "$cl" $own)" >/dev/null

# ---- nft
nf=$work/nft
# shellcheck disable=SC2046
unpack "$nf" nftables $(libraries nftables)
one_usr "$nf"
cp "$bb/bin/busybox" "$nf/usr/bin/"
names_of "$bb/bin/busybox" "$nf/usr/bin"
# shellcheck disable=SC2086
image oci nft:latest '{"Env":["PATH=/usr/bin:/usr/sbin"],"Cmd":["sh"],"WorkingDir":"/"}' \
	"$(layer gzip "$nf" $own)" >/dev/null

# ---- layers
one=$work/one two=$work/two three=$work/three
mkdir -p "$one/data/kept" "$one/data/emptied" "$one/data/gone" "$two/data/emptied" "$three/data"
echo one >"$one/data/file"
ln "$one/data/file" "$one/data/hard"
ln -s file "$one/data/soft"
echo below >"$one/data/emptied/below"
echo gone >"$one/data/gone/file"
echo removed >"$one/data/removed"
echo old >"$one/data/replaced"
: >"$two/data/.wh.removed"
: >"$two/data/.wh.gone"
: >"$two/data/emptied/.wh..wh..opq"
echo above >"$two/data/emptied/above"
echo new >"$two/data/replaced"
# in its third layer a file becomes a directory, and a removed name comes back
mkdir "$three/data/replaced"
echo in >"$three/data/replaced/in"
echo back >"$three/data/removed"
chmod 4755 "$one/data/file"
mkdir -p "$two/bin"
cp "$bb/bin/busybox" "$two/bin/capable"
xattrs=
if [ "$(id -u)" -eq 0 ] && command -v setcap >/dev/null; then
	setcap cap_net_bind_service+ep "$two/bin/capable" && xattrs='--xattrs --xattrs-include=security.capability'
fi
# shellcheck disable=SC2086
image oci layers:latest '{"User":"1000:1000","WorkingDir":"/data","Env":["PATH=/bin"],"Entrypoint":["sh","-c"],"Cmd":["ls -l"]}' \
	"$gz" "$(layer gzip "$one" $own)" "$(layer zstd "$two" $own $xattrs)" "$(layer none "$three" $own)" >/dev/null

mv "$images" "$done" 2>/dev/null || [ -d "$done" ]
echo "$done"
