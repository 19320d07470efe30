# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Cluster suite, area storage: what pods' volumes are: claims and their volumes over the lives of pods and
# machines, a real NFS server, emptyDir, hostPath, and files of ConfigMaps, Secrets, tokens and the downward
# API, with their modes, owners and changes.
n() { k -n storage "$@"; }

# sleeper NAME NODE CONTAINER-MEMBERS SPEC-MEMBERS: a busybox pod that does nothing, members in flow style.
# NODE "": wherever its volumes let it run.
sleeper() {
	cat <<-P
		---
		apiVersion: v1
		kind: Pod
		metadata: {name: $1, labels: {of: "${GROUP:-one}", tier: "${TIER:-front}"}, annotations: {note: "a b"}}
		spec: {${2:+nodeSelector: {kubernetes.io/hostname: $2\}, }terminationGracePeriodSeconds: 1, ${4:-}${4:+, }containers: [
		  {name: c, image: "$(image busybox:latest)", command: [tail, -f, /dev/null]${3:+, }${3:-}}]}
	P
}
# claim NAME CLASS SIZE MODE MORE
claim() {
	cat <<-P
		---
		apiVersion: v1
		kind: PersistentVolumeClaim
		metadata: {name: $1}
		spec: {${2:+storageClassName: $2, }accessModes: [${4:-ReadWriteOnce}], resources: {requests: {storage: $3}}${5:+, }${5:-}}
	P
}
as() {
	pod=$1
	shift
	n exec "$pod" -- "$@"
}
put() { n apply -f - >"$tmp/out" 2>&1; }
running() { n wait --for=condition=Ready "$@" --timeout=55s; }
gone() { n delete "$@" --timeout=55s; }
events() { n get events --field-selector "involvedObject.name=$1,reason=$2" -o 'jsonpath={range .items[*]}{.message}{"\n"}{end}'; }
is() { n get "$1" -o "jsonpath=$2"; }
absent() { n get "$1" 2>&1 | grep NotFound; }
volume_of() { is "pvc/$1" '{.spec.volumeName}'; }
claims_of_token() { as "$1" cat "$2" | cut -d. -f2 | tr '_-' '/+' | awk '{ while (length($0) % 4) $0 = $0 "="; print }' | base64 -d; }
lives() { claims_of_token "$@" | sed 's/.*"exp":\([0-9]*\).*"iat":\([0-9]*\).*/\1 \2/' | awk '{ print $1 - $2 }'; }
whoami() { timeout 20 "$kubectl" --kubeconfig=/dev/null --server="$(k config view --raw -o 'jsonpath={.clusters[0].cluster.server}')" \
	--insecure-skip-tls-verify --token="$(as "$1" cat "$2")" auth whoami; }
review() {
	printf '{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"%s","audiences":["%s"]}}' \
		"$(as "$1" cat "$2")" "$3" | k create --validate=false -f - -o 'jsonpath={.status.authenticated} {.status.audiences} {.status.error}'
}

check 'a namespace' 'created' k create namespace storage
check 'its account' '' eventually 20 n get serviceaccount default

# ---- claims of the default class
claim data '' 64Mi | put
check 'one class is the default' 'local \(default\) +keelson.dev/local +Delete +WaitForFirstConsumer +false' k get sc
check 'a claim waits for its first pod' 'waiting for first consumer to be created before binding' \
	eventually 20 matches 'waiting' events data WaitForFirstConsumer
check 'and is pending' 'data +Pending +local' n get pvc
data='volumeMounts: [{name: v, mountPath: /data}, {name: v, mountPath: /sub, subPath: deep/er}]'
sleeper first node-2 "$data" 'volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]' | put
check 'a pod on it runs' 'met' running pod/first
pv=$(volume_of data)
check 'get pvc' "data +Bound +$pv +64Mi +RWO +local" n get pvc
check 'get pv' "$pv +64Mi +RWO +Delete +Bound +storage/data +local" k get pv
check 'describe pvc' "StorageClass: +local .*Status: +Bound .*Volume: +$pv .*Finalizers: +\[kubernetes.io/pvc-protection\].*Capacity: +64Mi .*Access Modes: +RWO .*VolumeMode: +Filesystem .*Used By: +first .*ProvisioningSucceeded" \
	n describe pvc data
check 'describe pv' "Annotations: +pv.kubernetes.io/provisioned-by: keelson.dev/local.*Finalizers: +\[.*kubernetes.io/pv-protection\].*StorageClass: +local .*Status: +Bound .*Claim: +storage/data .*Reclaim Policy: +Delete .*Required Terms:.*kubernetes.io/hostname in \[node-2\].*Type: +LocalVolume" \
	k describe pv "$pv"
check 'data is written' '' as first sh -c 'echo kept >/data/file && echo below >/sub/file && sync'
check 'a subPath is below it' 'below' as first cat /data/deep/er/file
check 'the pod goes' 'deleted' gone pod/first
sleeper second '' "$data" 'volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]' | put
check 'another one comes' 'met' running pod/second
check 'to where the data is' 'node-2' node_of second storage
check 'and has it' 'kept below' as second cat /data/file /sub/file

# ---- the same over a power cut: the machine is away while the next sections run
check 'its machine loses its power' '' ctl kill node-2

# ---- files of objects
n create configmap conf --from-literal=a=1 --from-literal=b=2 >"$tmp/out" 2>&1
n create secret generic keys --from-literal=user=ann --from-literal=pass=x >>"$tmp/out" 2>&1
GROUP=files sleeper files node-3 'env: [{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}],
	resources: {limits: {memory: 64Mi}}, volumeMounts: [
	{name: conf, mountPath: /conf}, {name: conf, mountPath: /one, subPath: a}, {name: some, mountPath: /some}, {name: keys, mountPath: /keys},
	{name: down, mountPath: /down}, {name: all, mountPath: /all}, {name: none, mountPath: /none},
	{name: dir, mountPath: /expr, subPathExpr: of-$(POD)}, {name: dir, mountPath: /dir}, {name: dir, mountPath: /dir-ro, readOnly: true}]' \
	'volumes: [
	{name: conf, configMap: {name: conf}},
	{name: some, configMap: {name: conf, defaultMode: 0440, items: [{key: a, path: deep/A}, {key: b, path: B, mode: 0400}]}},
	{name: keys, secret: {secretName: keys, defaultMode: 0400}},
	{name: none, secret: {secretName: nowhere, optional: true}},
	{name: down, downwardAPI: {items: [
	  {path: labels, fieldRef: {fieldPath: metadata.labels}}, {path: note, fieldRef: {fieldPath: "metadata.annotations['"'note'"']"}, mode: 0600},
	  {path: memory, resourceFieldRef: {containerName: c, resource: limits.memory, divisor: 1Mi}}]}},
	{name: all, projected: {defaultMode: 0444, sources: [
	  {configMap: {name: conf, items: [{key: a, path: conf/a}]}}, {secret: {name: keys}},
	  {downwardAPI: {items: [{path: uid, fieldRef: {fieldPath: metadata.uid}}]}},
	  {serviceAccountToken: {path: token, audience: vault, expirationSeconds: 600}}]}},
	{name: dir, emptyDir: {}}]' | put
GROUP=files sleeper user node-3 'volumeMounts: [{name: keys, mountPath: /keys}, {name: disk, mountPath: /disk}, {name: mem, mountPath: /mem},
	{name: disk, mountPath: /sub, subPath: made}, {name: token, mountPath: /token}, {name: own, mountPath: /own}]' \
	'securityContext: {runAsUser: 1000, runAsGroup: 3000, fsGroup: 2000}, volumes: [
	{name: keys, secret: {secretName: keys, defaultMode: 0400}}, {name: disk, emptyDir: {}}, {name: own, persistentVolumeClaim: {claimName: own}},
	{name: mem, emptyDir: {medium: Memory, sizeLimit: 2Mi}},
	{name: token, projected: {sources: [{serviceAccountToken: {path: token}}]}}]' | put
claim own '' 1Mi | put
check 'pods with files of all kinds run' 'user condition met' running pod -l of=files
check 'a ConfigMap' '^1 2 1 *$' as files sh -c 'echo $(cat /conf/a) $(cat /conf/b) $(cat /one)'
check 'its items, with their modes' '^1 440 2 400 *$' as files sh -c 'echo $(cat /some/deep/A) $(stat -Lc %a /some/deep/A) $(cat /some/B) $(stat -Lc %a /some/B)'
check 'and no others' '^B deep *$' as files ls /some
check 'a Secret, in memory' 'ann 400 tmpfs' as files sh -c 'echo $(cat /keys/user) $(stat -Lc %a /keys/user) $(stat -fc %T /keys)'
check 'an optional one that is not there is empty' '^0 *$' as files sh -c 'ls /none | wc -l'
check 'the downward API' '^of="files" tier="front" a b 600 64 *$' as files sh -c 'echo $(cat /down/labels) $(cat /down/note) $(stat -Lc %a /down/note) $(cat /down/memory)'
check 'all in one' "^1 ann $(is pod/files '{.metadata.uid}') 444 *\$" as files sh -c 'echo $(cat /all/conf/a) $(cat /all/user) $(cat /all/uid) $(stat -Lc %a /all/uid)'
refuse 'nobody writes to them' 'Read-only file system' as files sh -c 'touch /conf/x'
refuse 'nor where the mount says so' 'Read-only file system' as files sh -c 'touch /dir-ro/x'
check 'a subPath of a variable' '^of-files x *$' as files sh -c 'touch /expr/x && echo $(ls /dir) $(ls /dir/of-files)'
before=$(as files readlink /conf/..data)
check 'names lead over one link' '^\.\.data/a 20[0-9_]*\.[0-9]+ *$' as files sh -c 'echo $(readlink /conf/a) ${0#..}' "$before"
n patch configmap conf -p '{"data":{"a":"3","b":"4","c":"5"}}' >"$tmp/out" 2>&1
n patch secret keys -p '{"stringData":{"user":"bob"}}' >>"$tmp/out" 2>&1
n label --overwrite pod files tier=back >>"$tmp/out" 2>&1
check 'they change' '3 4 5' eventually 20 matches '3 4 5' as files sh -c 'echo $(cat /conf/a) $(cat /conf/b) $(cat /conf/c)'
check 'by that link, in one step' '^1 new *$' as files sh -c '[ $(readlink /conf/..data) != $0 ] && echo $(ls -d /conf/..2* | wc -l) new' "$before"
check 'also as items, in a projection, a Secret, a label' '^3 3 bob tier="back" *$' eventually 20 matches '3 3 bob tier="back"' \
	as files sh -c 'echo $(cat /some/deep/A) $(cat /all/conf/a) $(cat /keys/user) $(tail -1 /down/labels)'
check 'but not under a subPath' '^1 *$' as files cat /one
check 'files belong to the fsGroup' '^0:2000 440 ann *$' as user sh -c 'echo $(stat -Lc "%u:%g %a" /keys/user) ann'
check 'and so do folders' '^0:2000 2777 0:2000 3777 0:2000 2777 *$' as user sh -c 'stat -c "%u:%g %a" /disk /mem /own'
check 'a user writes to them all' '^1000:2000 1000:2000 1000:2000 1000:2000 *$' as user sh -c 'for d in disk mem own sub; do touch /$d/x && stat -c %u:%g /$d/x; done'
check 'a token is for the user alone' '^1000:2000 640 *$' as user stat -Lc '%u:%g %a' /token/token
check 'its audience and life' '^600 *$' lives files /all/token
check 'for that audience only' 'true \["vault"\]' review files /all/token vault
check 'and no other' '^(false)? .*' review files /all/token other
check 'the account of the pod at the API' 'system:serviceaccount:storage:default' whoami files /var/run/secrets/kubernetes.io/serviceaccount/token
refuse 'not with the token for another' 'Unauthorized' whoami files /all/token
check 'its namespace and authority are beside it' '^storage -----BEGIN' as files sh -c 'cd /var/run/secrets/kubernetes.io/serviceaccount; echo $(cat namespace) $(head -1 ca.crt)'

# ---- what is missing
{
	sleeper no-config node-3 '' 'volumes: [{name: v, configMap: {name: nowhere}}]'
	sleeper no-key node-3 '' 'volumes: [{name: v, configMap: {name: conf, items: [{key: z, path: z}]}}]'
	sleeper no-secret-key node-3 '' 'volumes: [{name: v, secret: {secretName: keys, items: [{key: z, path: z}]}}]'
	sleeper no-dir node-3 '' 'volumes: [{name: v, hostPath: {path: /var/nowhere, type: Directory}}]'
	sleeper no-file node-3 '' 'volumes: [{name: v, hostPath: {path: /var/lib, type: File}}]'
	GROUP=host sleeper host node-3 'volumeMounts: [{name: made, mountPath: /made}, {name: file, mountPath: /file}, {name: any, mountPath: /any}, {name: lib, mountPath: /lib}]' \
		'volumes: [{name: made, hostPath: {path: /var/lib/storage-test/made, type: DirectoryOrCreate}}, {name: file, hostPath: {path: /var/lib/storage-test/file, type: FileOrCreate}},
		{name: any, hostPath: {path: /var/lib/storage-test/any}}, {name: lib, hostPath: {path: /var/lib/storage-test, type: Directory}}]'
} | put
check 'hostPath makes what it may' 'met' running pod/host
check 'folders and files' '^any file made 755 644 755 *$' as host sh -c 'echo $(ls /lib) $(stat -c %a /made /file /any)'
check 'one file is that of the machine' '^x *$' as host sh -c 'echo x >/file && cat /lib/file'
failed() { check "$1" "^MountVolume.SetUp failed for volume \"v\" : $3" eventually 20 matches 'MountVolume' events "$2" FailedMount; }
failed 'a ConfigMap' no-config 'configmap "nowhere" not found'
failed 'a key of it' no-key 'configmap references non-existent config key: z'
failed 'a key of a Secret' no-secret-key 'references non-existent secret key: z'
failed 'a folder of the machine' no-dir 'hostPath type check failed: /var/nowhere is not a directory'
failed 'what is not a file' no-file 'hostPath type check failed: /var/lib is not a file'
check 'a pod that waits for a ConfigMap starts with it' 'created' n create configmap nowhere --from-literal=z=1
check 'soon' 'met' running pod/no-config

# ---- volumes of the machines that somebody else made
cat <<-P | k apply -f - >"$tmp/out" 2>&1
	apiVersion: storage.k8s.io/v1
	kind: StorageClass
	metadata: {name: fixed}
	provisioner: kubernetes.io/no-provisioner
	volumeBindingMode: WaitForFirstConsumer
	$(for row in 'small node-1 5Mi nowhere' 'large node-3 10Mi made'; do
		# shellcheck disable=SC2086
		set -- $row
		printf '\n---\napiVersion: v1\nkind: PersistentVolume\nmetadata: {name: fixed-%s}\nspec: {storageClassName: fixed, capacity: {storage: %s}, ' $1 $3
		printf 'accessModes: [ReadWriteOnce], local: {path: /var/lib/storage-test/%s}, nodeAffinity: {required: {nodeSelectorTerms: [' $4
		printf '{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [%s]}]}]}}}\n' $2
	done)
P
for c in one two three; do claim $c fixed 5Mi; done | put
fixed() { sleeper "$1" "$2" 'volumeMounts: [{name: v, mountPath: /data}]' "volumes: [{name: v, persistentVolumeClaim: {claimName: $3}}]" | put; }
fixed fits node-3 one
check 'the volume is taken that is where the pod may run' 'met' running pod/fits
check 'not the smallest of all' 'one +Bound +fixed-large' n get pvc one
fixed lost '' two
check 'the other one is where nobody made its folder' \
	'^MountVolume.NewMounter initialization failed for volume "fixed-small" : path "/var/lib/storage-test/nowhere" does not exist' \
	eventually 30 matches 'NewMounter' events lost FailedMount
fixed left '' three
check 'then none is left' "node\(s\) didn't find available persistent volumes to bind" eventually 20 matches "didn't find" events left FailedScheduling
check 'a released volume is for nobody' 'deleted' gone pod/fits pod/lost pod/left pvc/one pvc/two pvc/three
check 'until somebody deletes it' 'fixed-large" deleted' k delete pv fixed-small fixed-large --timeout=30s
k delete storageclass fixed >"$tmp/out" 2>&1

# ---- claims that live as long as their pod
once='ephemeral: {volumeClaimTemplate: {metadata: {labels: {of: once}}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}}'
claim thief-v '' 1Mi | put
sleeper short node-3 'volumeMounts: [{name: v, mountPath: /data}]' "volumes: [{name: v, $once}]" | put
sleeper thief node-3 '' "volumes: [{name: v, $once}]" | put
check 'a pod with a claim of its own' 'met' running pod/short
check 'made from its template' '^Pod/short once Bound *$' is pvc/short-v '{.metadata.ownerReferences[0].kind}/{.metadata.ownerReferences[0].name} {.metadata.labels.of} {.status.phase}'
check 'a claim that only has the name is not taken' 'PVC storage/thief-v was not created for pod storage/thief \(pod is not owner\)' \
	eventually 20 matches 'not owner' events thief FailedScheduling
check 'it goes with the pod' 'deleted' gone pod/short pod/thief
check 'as a whole' 'NotFound' eventually 20 absent pvc/short-v

# ---- emptyDir
GROUP=full sleeper full node-3 'volumeMounts: [{name: small, mountPath: /small}]' 'volumes: [{name: small, emptyDir: {sizeLimit: 1Mi}}]' | put
check 'memory ends at its limit' 'No space left on device.* 2097152' as user sh -c 'dd if=/dev/zero of=/mem/all bs=64k count=64 2>&1; stat -c %s /mem/all'
check 'a pod with a limit on the disk' 'met' running pod/full
check 'writes more than it' '' as full dd if=/dev/zero of=/small/all bs=1M count=3
check 'and is evicted' 'Failed Evicted Usage of EmptyDir volume "small" exceeds the limit "1Mi"' \
	eventually 40 matches 'Evicted' is pod/full '{.status.phase} {.status.reason} {.status.message}'
check 'as its event says' 'Usage of EmptyDir volume "small" exceeds the limit "1Mi"' events full Evicted

# ---- a real NFS server
if [ "$(id -u)" -ne 0 ]; then
	skip 'NFS' 'nfs-ganesha serves files as root only'
else
	nfs=$tmp/nfs
	mkdir -p "$nfs/export/dir" "$nfs/state"
	nfs_port=$((20000 + $$ % 10000))
	cat >"$nfs/conf" <<-G
		NFS_CORE_PARAM { NFS_Port = $nfs_port; Protocols = 4; Bind_addr = 127.0.0.1; Enable_NLM = false; Enable_RQUOTA = false; }
		NFSv4 { Graceless = true; RecoveryBackend = fs; }
		EXPORT { Export_Id = 1; Path = $nfs/export; Pseudo = /export; Access_Type = RW; Squash = No_Root_Squash;
			Protocols = 4; Transports = TCP; SecType = sys; FSAL { Name = VFS; } }
	G
	ganesha.nfsd -F -f "$nfs/conf" -L "$nfs/log" -p "$nfs/pid" >"$nfs/out" 2>&1 &
	nfs_pid=$!
	listens() { grep -q ":$(printf %04X "$nfs_port") [0-9A-F]*:0000 0A" /proc/net/tcp /proc/net/tcp6; }
	check 'an NFS server of the world outside' '' eventually 30 listens
	cat <<-P | k apply -f - >"$tmp/out" 2>&1
		apiVersion: v1
		kind: PersistentVolume
		metadata: {name: far}
		spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteMany], persistentVolumeReclaimPolicy: Retain, storageClassName: "",
		  mountOptions: [nfsvers=4.2, "port=$nfs_port"], nfs: {server: 10.77.0.1, path: /export}}
	P
	claim shared '""' 1Gi ReadWriteMany 'volumeName: far' | put
	many='volumes: [{name: v, persistentVolumeClaim: {claimName: shared}}]'
	GROUP=nfs sleeper near node-1 'volumeMounts: [{name: v, mountPath: /far}]' "$many" | put
	GROUP=nfs sleeper away node-3 'volumeMounts: [{name: v, mountPath: /far}, {name: v, mountPath: /dir, subPath: dir}]' "$many" | put
	check 'two machines mount it at once' 'near condition met' running pod -l of=nfs
	check 'by the kernel alone' '10\.77\.0\.1:/export /far nfs4 .*vers=4\.2' as near grep /far /proc/mounts
	check 'get pvc' 'shared +Bound +far +1Gi +RWX' n get pvc shared
	check 'get pv' 'far +1Gi +RWX +Retain +Bound +storage/shared' k get pv far
	check 'one writes' '' as near sh -c 'echo over the sea >/far/file && echo below >/far/dir/file'
	check 'the other reads' '^over the sea below *$' eventually 20 as away cat /far/file /dir/file
	check 'it is on the server' 'over the sea' cat "$nfs/export/file"
	check 'the pod goes' 'deleted' gone pod/near
	GROUP=nfs sleeper near node-3 'volumeMounts: [{name: v, mountPath: /far}]' \
		'volumes: [{name: v, persistentVolumeClaim: {claimName: shared, readOnly: true}}]' | put
	check 'and comes elsewhere' 'met' running pod/near
	check 'its data with it' 'over the sea' as near cat /far/file
	refuse 'to read only' 'Read-only file system' as near touch /far/x
	sleeper refused node-1 '' 'volumes: [{name: v, nfs: {server: 10.77.0.1, path: /export}}]' | put
	check 'a server that is not there' 'MountVolume.SetUp failed for volume "v" : mounting 10\.77\.0\.1:/export: Connection refused' \
		eventually 50 matches 'MountVolume' events refused FailedMount
	check 'pods go from it' 'deleted' gone pod/near pod/away pod/refused
	check 'a volume to be kept' 'deleted' gone pvc/shared
	check 'is released, not deleted' 'Released' eventually 20 matches 'Released' k get pv far
	check 'its data stays' 'over the sea' cat "$nfs/export/file"
	check 'until somebody deletes it' 'deleted' k delete pv far --timeout=30s
	kill "$nfs_pid"
	wait "$nfs_pid" 2>/dev/null
fi

# ---- the machine is back
check 'the machine comes back' '' ctl start node-2
check 'and with it the pod, in another run' '^[1-9][0-9]* true' eventually 120 matches '^[1-9][0-9]* true' \
	is pod/second '{.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].ready}'
check 'and its data' 'kept' as second cat /data/file

# ---- the end of a claim
check 'a claim in use is deleted' 'deleted' n delete pvc data --wait=false
check 'but stays' 'data +Terminating +pvc-' n get pvc data
check 'and serves' 'kept' as second cat /data/file
sleeper third '' "$data" 'volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]' | put
check 'though not a new pod' 'persistentvolumeclaim "data" is being deleted' eventually 20 matches 'being deleted' events third FailedScheduling
check 'its pod goes' 'deleted' gone pod/second pod/third
check 'and then the claim' 'NotFound' eventually 20 absent pvc/data
check 'and its volume' 'NotFound' eventually 20 absent "pv/$pv"
check 'all is taken away' 'deleted' k delete namespace storage --timeout=55s
