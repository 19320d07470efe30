#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# deps/host-packages.sh GROUP...: installs what deps/host-packages lists for the groups and the
# machine lacks. Says what and why before it does; asks for sudo only when there is something to do
# and the user is not root. Changes nothing when all are there (the usual case: 30 ms).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
missing=
for group in "$@"; do
	for package in $(awk -v g="$group" '$1 == g { print $2 }' "$here/host-packages"); do
		[ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null)" = "ii " ] && continue
		case " $missing " in *" $package "*) continue ;; esac
		missing="$missing $package"
	done
done
[ -n "$missing" ] || exit 0

echo "These Debian packages are needed and not installed:"
for package in $missing; do
	awk -v p="$package" '$2 == p { $1 = $2 = ""; printf "  %-18s%s\n", p, $0; exit }' "$here/host-packages"
done
sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo
export DEBIAN_FRONTEND=noninteractive
echo "+ $sudo apt-get update && $sudo apt-get install --no-install-recommends$missing"
$sudo apt-get update -q
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
