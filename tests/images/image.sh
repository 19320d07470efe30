# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/images/image.sh: what tests/images/make.sh and push.sh are written in: OCI and Docker images as
# files, and the registry protocol by curl. To be sourced. Source: OCI image-spec 1.1, distribution-spec 1.1,
# Docker image manifest v2 schema 2.
#
#   $images/blobs/<hex>                 layers, configurations, manifests by their sha256
#   $images/tags/<name>/<tag>           "<media type> <digest>" of what the tag names
#
# Must not: name a registry of the outside.

: "${images:?}"
mkdir -p "$images/blobs" "$images/tags"

oci=application/vnd.oci.image
docker=application/vnd.docker

# blob FILE: takes the file into the store; prints "sha256:<hex> <size>".
blob() {
	sum=$(sha256sum "$1" | cut -c1-64)
	size=$(stat -c %s "$1")
	mv "$1" "$images/blobs/$sum"
	echo "sha256:$sum $size"
}

# layer FORMAT DIR [TAR-OPTION...]: a folder's content as a layer; prints "<diff id> <digest> <size> <format>".
# FORMAT: gzip, zstd, none. The same content gives the same bytes.
layer() {
	format=$1 from=$2
	shift 2
	tar --create --file "$images/layer" --directory "$from" --sort=name --mtime=@1000000000 \
		--numeric-owner --format=pax --pax-option=delete=atime,delete=ctime "$@" .
	layer_of "$format" "$images/layer"
}

# layer_of FORMAT TAR: the same of a tar that is there already; takes it.
layer_of() {
	diff=sha256:$(sha256sum "$2" | cut -c1-64)
	case $1 in
	gzip) gzip -n -6 <"$2" >"$images/packed" && rm "$2" ;;
	zstd) zstd -q -6 <"$2" >"$images/packed" && rm "$2" ;;
	*) mv "$2" "$images/packed" ;;
	esac
	echo "$diff $(blob "$images/packed") $1"
}

# image KIND NAME:TAG CONFIG LAYER...: KIND oci or docker; CONFIG the "config" object (JSON); each LAYER
# as layer() printed it. Prints "<media type> <digest> <size>" of the manifest. ARCH= another architecture.
image() {
	kind=$1 name=$2 config=$3
	shift 3
	diffs= rows=
	for l in "$@"; do
		# shellcheck disable=SC2086
		set -- $l
		diffs="$diffs${diffs:+,}\"$1\""
		case $kind-$4 in
		oci-none) type=$oci.layer.v1.tar ;;
		oci-*) type=$oci.layer.v1.tar+$4 ;;
		docker-none) type=$docker.image.rootfs.diff.tar ;;
		docker-*) type=$docker.image.rootfs.diff.tar.$4 ;;
		esac
		rows="$rows${rows:+,}{\"mediaType\":\"$type\",\"digest\":\"$2\",\"size\":$3}"
	done
	if [ "$kind" = oci ]; then
		manifest=$oci.manifest.v1+json config_type=$oci.config.v1+json
	else
		manifest=$docker.distribution.manifest.v2+json config_type=$docker.container.image.v1+json
	fi
	printf '{"architecture":"%s","os":"linux","created":"2001-09-09T01:46:40Z","config":%s,"rootfs":{"type":"layers","diff_ids":[%s]}}' \
		"${ARCH:-amd64}" "$config" "$diffs" >"$images/config"
	# shellcheck disable=SC2046
	set -- $(blob "$images/config")
	printf '{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"%s","digest":"%s","size":%s},"layers":[%s]}' \
		"$manifest" "$config_type" "$1" "$2" "$rows" >"$images/manifest"
	tag "$name" "$manifest" "$(blob "$images/manifest")"
}

# index KIND NAME:TAG "ARCH MANIFEST"...: an image index (oci) or manifest list (docker) over manifests
# as image() printed them.
index() {
	kind=$1 name=$2 rows=
	shift 2
	for m in "$@"; do
		# shellcheck disable=SC2086
		set -- $m
		rows="$rows${rows:+,}{\"mediaType\":\"$2\",\"digest\":\"$3\",\"size\":$4,\"platform\":{\"architecture\":\"$1\",\"os\":\"linux\"}}"
	done
	type=$oci.index.v1+json
	[ "$kind" = oci ] || type=$docker.distribution.manifest.list.v2+json
	printf '{"schemaVersion":2,"mediaType":"%s","manifests":[%s]}' "$type" "$rows" >"$images/manifest"
	tag "$name" "$type" "$(blob "$images/manifest")"
}

# tag NAME:TAG TYPE "DIGEST SIZE"
tag() {
	mkdir -p "$images/tags/${1%:*}"
	echo "$2 ${3% *}" >"$images/tags/${1%:*}/${1##*:}"
	echo "$2 $3"
}
