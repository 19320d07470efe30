# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/images/registry.sh: a real registry (Debian's docker-registry) on loopback, over TLS, filled with the
# images of make.sh. To be sourced.
#
#   registry_start DIR [IMAGE [IMAGES]]     starts two on free ports, one that anybody may read and one with a password
#                          (user "puller", password "open sesame"), both of one storage below DIR; with all
#                          images or with all tags of one ("" = all), of the folder IMAGES [that of make.sh]
#   registry_stop          ends them
#   $registry, $registry_private     host:port as machines name them (host registry.test)
#   $registry_ca           the authority of their certificate, a file
#   registry_log           what was asked of them
#
# Machines reach them through the fabric's gateway: keelctl cluster up --host registry.test=10.77.0.1
# --registry $registry=$registry_ca --registry $registry_private=$registry_ca.
registry_pids=

# registry_port LOG: the port it listens on, awaited for 20 s.
registry_port() {
	n=0
	until port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$1" | head -1); [ -n "$port" ]; do
		n=$((n + 1))
		[ $n -gt 200 ] && { cat "$1" >&2; return 1; }
		sleep 0.1
	done
	echo "$port"
}

# registry_config NAME: its configuration; more of it on standard input.
registry_config() {
	cat >"$registry_dir/$1.yml" <<-E
		version: 0.1
		log: {level: info, accesslog: {disabled: false}}
		storage:
		  filesystem: {rootdirectory: $registry_dir/storage}
		  delete: {enabled: true}
		http:
		  addr: 127.0.0.1:0
		  tls: {certificate: $registry_dir/server.crt, key: $registry_dir/server.key}
	E
	cat >>"$registry_dir/$1.yml"
	: >"$registry_dir/$1.log"
	docker-registry serve "$registry_dir/$1.yml" >"$registry_dir/$1.log" 2>&1 &
	registry_pids="$registry_pids $!"
}

registry_start() {
	registry_dir=$1
	images=${3:-$("$top/tests/images/make.sh")} || return 1
	mkdir -p "$registry_dir"
	registry_ca=$registry_dir/ca.crt
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=registry-ca \
		-keyout "$registry_dir/ca.key" -out "$registry_ca" 2>/dev/null
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=registry.test \
		-keyout "$registry_dir/server.key" -out "$registry_dir/server.csr" 2>/dev/null
	printf 'subjectAltName=DNS:registry.test,DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' \
		>"$registry_dir/ext"
	openssl x509 -req -in "$registry_dir/server.csr" -CA "$registry_ca" -CAkey "$registry_dir/ca.key" \
		-CAcreateserial -days 30 -extfile "$registry_dir/ext" -out "$registry_dir/server.crt" 2>/dev/null
	htpasswd -Bbn puller 'open sesame' >"$registry_dir/htpasswd"
	registry_config open </dev/null
	registry_config private <<-E
		auth: {htpasswd: {realm: private, path: $registry_dir/htpasswd}}
	E
	port=$(registry_port "$registry_dir/open.log") || return 1
	registry_private=registry.test:$(registry_port "$registry_dir/private.log") || return 1
	registry=registry.test:$port
	registry_push "https://localhost:$port/v2" "${2:-}"
}

# registry_push URL [IMAGE]: of $images, blobs first.
registry_push() {
	for list in $(cd "$images/tags/${2:-.}" && find . -type f | sort); do
		list=${2:-.}/${list#./}
		read -r type digest <"$images/tags/$list"
		name=$(dirname "${list#./}")
		registry_push_manifest "$1/$name" "$type" "$digest" "$(basename "$list")" || return 1
	done
}

registry_push_manifest() {
	file=$images/blobs/${3#sha256:}
	for d in $(grep -o 'sha256:[0-9a-f]*' "$file"); do
		b=$images/blobs/${d#sha256:}
		if grep -q '"manifests":' "$file"; then
			t=$(grep -o '"mediaType":"[^"]*manifest[^"]*","digest":"'"$d" "$file" | cut -d'"' -f4)
			(registry_push_manifest "$1" "$t" "$d" "$d") || return 1
			continue
		fi
		curl -sf --cacert "$registry_ca" -o /dev/null -I "$1/blobs/$d" && continue
		at=$(curl -sf --cacert "$registry_ca" -D - -o /dev/null -X POST "$1/blobs/uploads/" |
			tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
		curl -sf --cacert "$registry_ca" -o /dev/null -X PUT -H 'Content-Type: application/octet-stream' \
			--data-binary "@$b" "$at&digest=$d" || return 1
	done
	curl -sf --cacert "$registry_ca" -o /dev/null -X PUT -H "Content-Type: $2" --data-binary "@$file" \
		"$1/manifests/$4"
}

registry_log() { cat "$registry_dir"/open.log "$registry_dir"/private.log; }

registry_stop() {
	for p in $registry_pids; do
		kill "$p" 2>/dev/null && wait "$p" 2>/dev/null
	done
	registry_pids=
}
