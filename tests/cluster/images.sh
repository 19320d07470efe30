# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Cluster suite, area images: what nodes pull from a real registry: every kind of manifest and layer, names by
# tag and digest, policies, credentials, what a pod and its events say when it fails, and that what is wrong is
# never run.
n() { k -n images "$@"; }

# sleeper NAME IMAGE NODE [MEMBER]: a pod that does nothing; MEMBER: more of its spec, in flow style.
sleeper() {
	cat <<-P
		---
		apiVersion: v1
		kind: Pod
		metadata: {name: $1, labels: {of: "${GROUP:-one}"}}
		spec: {nodeName: $3, terminationGracePeriodSeconds: 0, ${4:-}${4:+, }containers: [
		  {name: c, image: "$2", command: [/bin/busybox, tail, -f, /dev/null], imagePullPolicy: ${POLICY:-IfNotPresent}}]}
	P
}
# fresh NAME:TAG MIB: pushes an image no node has: busybox and random bytes. Prints the layer's hex digest.
fresh() {
	mkdir -p "$tmp/fresh/bin"
	layer=$(sed 's/.*sha256://' "$images/tags/busybox/latest")
	layer=$(grep -o 'sha256:[0-9a-f]*' "$images/blobs/$layer" | tail -1)
	tar -xzf "$images/blobs/${layer#*:}" -C "$tmp/fresh" ./bin/busybox
	head -c $(($2 << 20)) /dev/urandom >"$tmp/fresh/payload"
	(
		images=$tmp/fresh-images
		rm -rf "$images"
		. "$top/tests/images/image.sh"
		layer=$(layer gzip "$tmp/fresh" --owner=0 --group=0)
		image oci "$1" '{"Env":["PATH=/bin"]}' "$layer" >/dev/null
		registry_push "https://localhost:${registry#*:}/v2" || exit 1
		echo "$layer" | cut -d' ' -f2 | cut -d: -f2
	)
}
waiting() { n get pod "$1" -o 'jsonpath={.status.containerStatuses[0].state.waiting.reason}: {.status.containerStatuses[0].state.waiting.message}'; }
events() { n get events --field-selector "involvedObject.name=$1,reason=$2" -o 'jsonpath={range .items[*]}{.message}{"\n"}{end}'; }
running() { n wait --for=condition=Ready "$@" --timeout=55s; }
asked() { registry_log | grep "\"GET /v2/$1" | wc -l; }
as() {
	pod=$1
	shift
	n exec "$pod" -- "$@"
}
kept_of() { known node-3 | grep "$1" || echo none; }
known() { k get node "$1" -o 'jsonpath={range .status.images[*]}{.names} {.sizeBytes}{"\n"}{end}'; }

check 'a namespace' 'created' k create namespace images
check 'its account' '' eventually 20 n get serviceaccount default

# ---- kinds of manifests and layers
for t in latest zstd docker index list; do
	GROUP=kinds sleeper "of-$t" "$(image busybox:$t)" node-2
done | n apply -f - >"$tmp/out" 2>&1
check 'OCI, Docker, gzip, zstd, index, list: all run' 'of-zstd condition met' running pod -l of=kinds
check 'a pull is told' "^Pulling image \"$(image busybox:zstd)\" *\$" events of-zstd Pulling
check 'with its time and size' \
	"^Successfully pulled image \"$(image busybox:zstd)\" in [0-9.]+m?s \([0-9.]+m?s including waiting\)\. Image size: [0-9]{6,} bytes\. *\$" \
	events of-zstd Pulled
check 'an index gives the image of this machine' 'x86_64' as of-index uname -m

# ---- two layers, Docker manifest, an entry point of the image's own
n apply -f - >"$tmp/out" 2>&1 <<-P
	apiVersion: v1
	kind: Pod
	metadata: {name: web}
	spec: {nodeName: node-2, containers: [{name: c, image: "$(image nginx:1)"}]}
P
check 'nginx runs as its image says' 'met' running pod/web
check 'and serves' 'nginx 1' eventually 20 as of-latest wget -qO- "http://$(n get pod web -o 'jsonpath={.status.podIP}')/"

# ---- what layers do to each other
n apply -f - >"$tmp/out" 2>&1 <<-P
	apiVersion: v1
	kind: Pod
	metadata: {name: layers}
	spec:
	  nodeName: node-2
	  terminationGracePeriodSeconds: 0
	  securityContext: {sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: "1024"}]}
	  containers: [{name: c, image: "$(image layers:latest)", args: [exec tail -f /dev/null]}]
P
check 'an image of four layers runs' 'met' running pod/layers
check 'as the user it names, with the groups the image knows' \
	'^uid=1000\(user\) gid=1000\(user\) groups=1000\(user\),2000\(extra\) *$' as layers id
check 'in its folder' '^/data *$' as layers pwd
check 'a whiteout takes away a file and a folder' '^emptied file hard kept removed replaced soft *$' as layers ls
check 'an opaque folder hides what is below' '^above *$' as layers ls emptied
check 'a name comes back' '^back *$' as layers cat removed
check 'a file becomes a folder' '^in *$' as layers cat replaced/in
check 'a hard link is one file' '^2 4755 0:0 2 4755 0:0 *$' as layers stat -c '%h %a %u:%g' file hard
check 'with one number' 'same' as layers sh -c '[ file -ef hard ] && echo same'
check 'a soft link is one' '^file *$' as layers readlink soft
if [ "$(id -u)" -eq 0 ]; then
	refuse 'a port below 1024 is not for users' 'Permission denied' as layers \
		sh -c 'ln -s /bin/busybox /tmp/httpd && /tmp/httpd -p 80 -h /data'
	check 'but for a program with the capability on its file' '^back *$' as layers \
		sh -c 'mkdir /tmp/x && ln -s /bin/capable /tmp/x/httpd && /tmp/x/httpd -p 80 -h /data && wget -qO- http://127.0.0.1/removed'
else
	skip 'a file capability' 'the images were not made by root'
fi

# ---- an image as a volume
sleeper volume "$(image busybox:latest)" node-1 "volumes: [{name: v, image: {reference: \"$(image nginx:2)\"}}]" |
	sed 's/imagePullPolicy/volumeMounts: [{name: v, mountPath: \/img}], imagePullPolicy/' | n apply -f - >"$tmp/out" 2>&1
check 'a pod with another image in a folder' 'met' running pod/volume
check 'sees its files' 'nginx 2' as volume cat /img/usr/share/nginx/html/index.html
refuse 'to read only' 'Read-only file system' as volume touch /img/x
check 'both were pulled' "\"$(image busybox:latest)\" in .*\"$(image nginx:2)\" in " events volume Pulled

# ---- names
digest=$(cut -d' ' -f2 "$images/tags/busybox/latest")
list=$(cut -d' ' -f2 "$images/tags/busybox/list")
{
	GROUP=names sleeper by-digest "$(image "busybox@$digest")" node-3
	GROUP=names sleeper by-list "$(image "busybox@$list")" node-3
} | n apply -f - >"$tmp/out" 2>&1
{
	sleeper no-tag "$(image busybox:none)" node-3
	sleeper no-name 'lower/UPPER' node-3
} | n apply -f - >>"$tmp/out" 2>&1
check 'by digest, of a manifest and of a list' 'by-list condition met' running pod -l of=names
check 'the status says which' "@$digest\$" n get pod by-digest -o 'jsonpath={.status.containerStatuses[0].imageID}'
check 'a tag that is not there' "^(ErrImagePull|ImagePullBackOff): .*failed to pull and unpack image \"$(image busybox:none)\": failed to resolve reference \"$(image busybox:none)\": $(image busybox:none): not found" \
	eventually 30 matches 'not found' waiting no-tag
check 'its events' "^Failed to pull image \"$(image busybox:none)\": .*not found.* Error: ErrImagePull" \
	eventually 10 matches 'ErrImagePull' events no-tag Failed
check 'waits longer each time' "^ImagePullBackOff: Back-off pulling image \"$(image busybox:none)\": ErrImagePull: failed to pull" \
	eventually 20 matches '^ImagePullBackOff' waiting no-tag
check 'a name that is none' 'InvalidImageName: Failed to apply default image tag "lower/UPPER"' \
	eventually 20 matches 'InvalidImageName' waiting no-name
check 'what is wrong is put right' 'patched' n patch pod no-tag -p \
	"{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"$(image busybox:latest)\"}]}}"
check 'and runs at once, not at the end of the wait' 'met' running pod/no-tag

# ---- policies
before=$(asked busybox/manifests/latest)
POLICY=IfNotPresent sleeper if-not-present "$(image busybox:latest)" node-2 | n apply -f - >"$tmp/out" 2>&1
check 'IfNotPresent takes what is there' 'met' running pod/if-not-present
check 'and says so' "^Container image \"$(image busybox:latest)\" already present on machine and can be accessed by the pod" \
	events if-not-present Pulled
check 'without a question to the registry' "^$before *\$" asked busybox/manifests/latest
{
	POLICY=Always sleeper always "$(image busybox:latest)" node-2
	POLICY=Never sleeper never-here "$(image busybox:latest)" node-2
	POLICY=Never sleeper never-gone "$(image busybox:never)" node-2
} | n apply -f - >"$tmp/out" 2>&1
check 'Always asks again' 'met' running pod/always
check 'the registry' "^$((before + 1)) *\$" asked busybox/manifests/latest
check 'Never runs what is there' 'met' running pod/never-here
check 'Never does not pull' \
	"^ErrImageNeverPull: Container image \"$(image busybox:never)\" is not present with pull policy of Never *\$" \
	eventually 20 matches 'ErrImageNeverPull' waiting never-gone
check 'the registry was not asked' '^0 *$' asked busybox/manifests/never

# ---- credentials
private=$registry_private/busybox:latest
n create secret docker-registry right --docker-server="$registry_private" --docker-username=puller \
	--docker-password='open sesame' >"$tmp/out" 2>&1
n create secret docker-registry wrong --docker-server="$registry_private" --docker-username=puller \
	--docker-password=sesame >>"$tmp/out" 2>&1
n create serviceaccount keyed >>"$tmp/out" 2>&1
check 'a secret on an account' 'patched' n patch serviceaccount keyed -p '{"imagePullSecrets":[{"name":"right"}]}'
{
	sleeper secret "$private" node-3 'imagePullSecrets: [{name: right}]'
	sleeper account "$private" node-2 'serviceAccountName: keyed'
	sleeper no-secret "$private" node-1
	sleeper wrong-secret "$private" node-1 'imagePullSecrets: [{name: wrong}]'
	sleeper lost-secret "$private" node-1 'imagePullSecrets: [{name: nowhere}]'
} | n apply -f - >"$tmp/out" 2>&1
check 'a private image, by the secret of the pod' 'met' running pod/secret
check 'and by that of its account' 'met' running pod/account
for p in no-secret wrong-secret lost-secret; do
	check "not with $p" "^(ErrImagePull|ImagePullBackOff): .*failed to resolve reference \"$private\": pull access denied, repository does not exist or may require authorization: authorization failed" \
		eventually 30 matches 'authorization failed' waiting $p
done
check 'a secret that is missing is told' \
	'^Unable to retrieve some image pull secrets \(nowhere\); attempting to pull the image may not succeed\.' \
	events lost-secret FailedToRetrieveImagePullSecret
{
	sleeper uninvited "$private" node-3
	POLICY=Never sleeper never-uninvited "$private" node-3
	POLICY=Never sleeper invited "$private" node-3 'imagePullSecrets: [{name: right}]'
} | n apply -f - >"$tmp/out" 2>&1
check 'an image that is here is for those who may pull it' 'authorization failed' \
	eventually 30 matches 'authorization failed' waiting uninvited
check 'whatever the policy' '^ErrImageNeverPull' eventually 30 matches '^ErrImageNeverPull' waiting never-uninvited
check 'and for them without a question' 'met' running pod/invited

# ---- at once
layer=$(fresh once:1 8)
{
	GROUP=once sleeper once-a "$(image once:1)" node-3
	GROUP=once sleeper once-b "$(image once:1)" node-3
} | n apply -f - >"$tmp/out" 2>&1
check 'two pods want one image' 'once-b condition met' running pod -l of=once
check 'its layer came over the network once' '^1 *$' asked "once/blobs/sha256:$layer"
check 'both say that they pulled it' 'Successfully pulled' events once-b Pulled

# ---- a registry that lies
layer=$(fresh broken:1 1)
at=$registry_dir/storage/docker/registry/v2/blobs/sha256/$(echo "$layer" | cut -c1-2)/$layer/data
cp "$at" "$tmp/good"
dd if=/dev/zero of="$at" bs=1 seek=4096 count=64 conv=notrunc 2>/dev/null
sleeper broken "$(image broken:1)" node-3 | n apply -f - >"$tmp/out" 2>&1
check 'a layer that is not what its digest says' \
	"^(ErrImagePull|ImagePullBackOff): .*failed to pull and unpack image \"$(image broken:1)\": .*unexpected commit digest sha256:[0-9a-f]{64}, expected sha256:$layer: failed precondition" \
	eventually 30 matches 'unexpected commit digest' waiting broken
check 'is not run' '^false *$' n get pod broken -o \
	'jsonpath={.status.containerStatuses[0].started}{.status.containerStatuses[0].containerID}'
check 'and not kept' '^none *$' kept_of broken
cp "$tmp/good" "$at"
check 'until it is what it should be' 'met' running pod/broken

# ---- what a node has
check 'a node says which images it has' "\"$(image nginx)@sha256:[0-9a-f]{64}\",\"$(image nginx):1\"\] [0-9]{6,}" known node-2
check 'all is taken away' 'deleted' k delete namespace images --timeout=55s
