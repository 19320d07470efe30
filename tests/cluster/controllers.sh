# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Cluster suite, area controllers: workloads besides Deployments with containers that really run and end: a DaemonSet on
# all machines, a StatefulSet whose pods keep names and data, Jobs by what their containers exit with, a CronJob.
m() { k -n many "$@"; }
many() { apply <"$top/tests/cluster/controllers.yaml"; }
is() { m get "$1" -o "jsonpath=$2"; }
conditions() { is "job/$1" '{range .status.conditions[?(@.status=="True")]}{.type}={.reason} {end}'; }
agents() { m get pods -l app=agent -o 'jsonpath={range .items[*]}{.spec.nodeName}{" "}{.status.phase}{"\n"}{end}' | sort | tr '\n' ' '; }
gone() { ! m get "$@"; }
lives() { m exec "store-$1" -- cat /data/lives; }

check 'work to do' 'daemonset.apps/agent created.*statefulset.apps/store created.*job.batch/count created.*cronjob.batch/tick created' many

# ---- a DaemonSet
check 'a pod on every machine' 'successfully rolled out' m rollout status ds/agent --timeout=110s
check 'one on each' '^node-1 Running node-2 Running node-3 Running *$' agents
check 'what it says' 'agent +3 +3 +3 +3 +3' m get ds agent
check 'an update' 'env updated' m set env ds/agent COLOUR=blue
check 'goes from machine to machine' 'successfully rolled out' m rollout status ds/agent --timeout=110s
check 'it is there' '^blue' m exec ds/agent -- sh -c 'echo $COLOUR'
check 'rollout history' 'REVISION +CHANGE-CAUSE 1 +<none> 2 +<none>' m rollout history ds/agent
check 'rollout undo' 'rolled back' m rollout undo ds/agent
check 'goes back' 'successfully rolled out' m rollout status ds/agent --timeout=110s
check 'no colour any more' '^none' m exec ds/agent -- sh -c 'echo ${COLOUR:-none}'
check 'node-3 is not for it' 'tainted' k taint node node-3 own=use:NoExecute
check 'its pod leaves' '^node-1 Running node-2 Running *$' eventually 60 matches '^node-1 Running node-2 Running *$' agents
check 'node-3 is free again' 'untainted' k taint node node-3 own-
check 'its pod comes' '^node-1 Running node-2 Running node-3 Running *$' eventually 60 matches 'node-3 Running' agents

# ---- a StatefulSet
check 'pods with names' '(rolled out|roll out) complete' m rollout status sts/store --timeout=110s
check 'their hostnames' '^store-1 ' lives 1
check 'their names in the DNS' 'Address.*10\.244\.' m exec store-0 -- nslookup store-1.peers.many.svc.cluster.local
check 'their claims' 'data-store-0 +Bound .*data-store-1 +Bound' m get pvc
first=$(lives 0)
check 'one is deleted' 'deleted' m delete pod store-0
check 'it comes again' 'condition met' eventually 60 m wait --for=condition=Ready pod/store-0 --timeout=55s
check 'with what it had' "^$first store-0 " lives 0
before=$(lives 0 | wc -l)
check 'an update begins with the last' 'env updated' m set env sts/store COLOUR=blue
check 'and comes to all' '(rolled out|roll out) complete' m rollout status sts/store --timeout=110s
check 'one more life' "^(store-0 [0-9a-f-]+ ){$((before + 1))}\$" lives 0
check 'fewer' 'scaled' m scale sts/store --replicas=1
check 'the last goes, and its claim with it' '^persistentvolumeclaim/data-store-0 *$' \
	eventually 60 matches '^persistentvolumeclaim/data-store-0 *$' m get pvc -o name
check 'more' 'scaled' m scale sts/store --replicas=2
check 'a new one, with nothing' '^store-1 [0-9a-f-]+ *$' eventually 90 matches '^store-1' lives 1

# ---- Jobs
check 'a Job completes' 'condition met' m wait --for=condition=Complete job/count --timeout=110s
check 'five succeeded' 'count +Complete +5/5' m get job count
check 'logs of a Job' 'one of five' m logs job/count
check 'an odd index fails' 'Failed=FailedIndexes' eventually 90 matches 'Failed=' conditions index
check 'which did and did not' '^0,2 1,3 *$' is job/index '{.status.completedIndexes} {.status.failedIndexes}'
check 'each knows its own' 'I am 2 on index-2' m logs -l batch.kubernetes.io/job-completion-index=2
check 'again in place' 'condition met' m wait --for=condition=Complete job/again --timeout=110s
check 'by one pod' '^1 2 *$' sh -c "echo \$('$kubectl' -n many get job again -o 'jsonpath={.status.succeeded}') \
	\$('$kubectl' -n many get pod -l job-name=again -o 'jsonpath={.items[*].status.containerStatuses[0].restartCount}')"
check 'one exit code ends a Job' 'Failed=PodFailurePolicy' eventually 90 matches 'Failed=' conditions stop
check 'it says which' 'Container c for pod many/stop-[^ ]+ failed with exit code 42 matching FailJob rule at index 0' m describe job stop
check 'the pod that ran is gone' '^1 *$' m get pods -l job-name=stop -o 'jsonpath={.items[*].metadata.labels.batch\.kubernetes\.io/job-completion-index}'
check 'no pod keeps a finalizer' '^ *$' m get pods -l 'batch.kubernetes.io/job-name' \
	--field-selector=status.phase!=Running,status.phase!=Pending -o 'jsonpath={.items[*].metadata.finalizers}'
check 'create job' 'created' m create job short --image="$(image busybox:latest)" -- sh -c 'exit 3'
check 'to live a while' 'patched' m patch job short -p '{"spec":{"ttlSecondsAfterFinished":1,"backoffLimit":0}}'
check 'it is gone with its pods' '' eventually 90 gone job short

# ---- a CronJob
check 'its minute comes' '[1-9]' eventually 100 matches '^[0-9]' is cronjob/tick '{.status.lastSuccessfulTime}'
check 'it said' 'tick' m logs -l batch.kubernetes.io/job-name --tail=1 --prefix=false
check 'create job --from' 'created' m create job now --from=cronjob/tick
check 'it runs' 'condition met' m wait --for=condition=Complete job/now --timeout=60s
check 'suspended' 'patched' m patch cronjob tick -p '{"spec":{"suspend":true}}'

check 'delete the namespace' 'deleted' k delete ns many --timeout=110s
check 'nothing is left of its volumes' '' eventually 60 matches '^ *$' \
	k get pv -o 'jsonpath={range .items[?(@.spec.claimRef.namespace=="many")]}{.metadata.name} {end}'
