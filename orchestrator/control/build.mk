# The controllers.
LIBS += orchestrator/control
SRC_orchestrator/control := $(addprefix orchestrator/control/,control.c control_table.c custom_kinds.c part.c \
	workload.c workload_pods.c replicaset.c deployment.c deployment_rollout.c deployment_status.c \
	history.c daemonset.c daemonset_pods.c \
	statefulset.c statefulset_walk.c statefulset_pod.c statefulset_claims.c \
	job.c job_status.c job_pods.c job_index.c job_policy.c ttl_after_finished.c cronjob.c cronjob_jobs.c cronjob_time.c \
	service_pods.c endpointslice.c endpoints.c \
	namespace.c per_namespace.c gc.c node_lifecycle.c taint_eviction.c node_ipam.c \
	volume_binder.c volume_protection.c ephemeral_volume.c certificates.c pod_certificates.c addons.c \
	resourcequota.c disruption.c endpointslice_mirroring.c \
	hpa.c hpa_metric.c hpa_samples.c hpa_replicas.c hpa_limits.c)
DEPS_orchestrator/control := orchestrator/client orchestrator/schedule orchestrator/schema netstack/http netstack/tls base
SIM_control := $(addprefix tests/sim/,deployment_test.c deletion_test.c replication_test.c job_test.c cronjob_test.c \
	daemonset_test.c statefulset_test.c resourcequota_test.c disruption_test.c preemption_test.c hpa_test.c \
	mirroring_test.c)
UNIT_orchestrator/control := tests/unit/orchestrator/control/deployment_rollout_test.c \
	tests/unit/orchestrator/control/certificates_test.c \
	tests/unit/orchestrator/control/pod_certificates_test.c \
	tests/unit/orchestrator/control/job_index_test.c \
	tests/unit/orchestrator/control/hpa_limits_test.c \
	tests/unit/orchestrator/control/hpa_replicas_test.c \
	tests/unit/orchestrator/control/hpa_metric_test.c \
	tests/unit/orchestrator/control/cronjob_time_test.c $(SIM_control)
$(foreach t,$(SIM_control),$(eval DEPS_OF_$t := orchestrator/api orchestrator/hollow orchestrator/kinds \
	orchestrator/schedule storage/store))
FUZZ_orchestrator/control := tests/fuzz/hpa_metric_fuzz.c
DEPS_OF_tests/unit/orchestrator/control/pod_certificates_test.c := orchestrator/api orchestrator/kinds \
	orchestrator/schedule storage/store
