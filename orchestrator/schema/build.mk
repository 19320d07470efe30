# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# schema: the kind files are compiled on the build host into gen/kinds (headers and tables.c), which
# every folder that speaks of objects includes as "kinds/<group>_<version>.h".

LIBS += orchestrator/schema
KINDS := admissionregistration_v1 apiextensions_v1 apiregistration_v1 apps_v1 authentication_v1 \
	authorization_v1 autoscaling_v1 autoscaling_v2 batch_v1 certificates_v1 coordination_v1 core_v1 \
	discovery_v1 events_v1 flowcontrol_v1 meta_v1 networking_v1 node_v1 policy_v1 rbac_v1 \
	resource_v1 scheduling_v1 scheduling_v1alpha3 storage_v1 storagemigration_v1
KIND_FILES := $(KINDS:%=orchestrator/schema/kinds/%.schema) orchestrator/schema/projections.schema
GEN_orchestrator/schema := $(KINDS:%=$(O)/gen/kinds/%.h) $(O)/gen/kinds/projections_v1.h
SRC_orchestrator/schema := $(O)/gen/kinds/tables.c orchestrator/schema/cells_core.c \
	orchestrator/schema/cells_groups.c orchestrator/schema/cells_pod.c orchestrator/schema/checks.c \
	orchestrator/schema/checks_admission.c orchestrator/schema/checks_apiservice.c orchestrator/schema/checks_apps.c orchestrator/schema/checks_batch.c \
	orchestrator/schema/checks_certificates.c orchestrator/schema/checks_container.c orchestrator/schema/checks_core.c \
	orchestrator/schema/checks_crd.c orchestrator/schema/checks_crd_schema.c \
	orchestrator/schema/checks_device.c orchestrator/schema/checks_device_slice.c orchestrator/schema/checks_flow.c \
	orchestrator/schema/checks_groups.c orchestrator/schema/checks_pod.c \
	orchestrator/schema/checks_pod_status.c orchestrator/schema/checks_policy.c \
	orchestrator/schema/checks_service.c orchestrator/schema/checks_sources.c \
	orchestrator/schema/checks_storage.c orchestrator/schema/checks_volume.c orchestrator/schema/checks_windows.c \
	orchestrator/schema/conform.c orchestrator/schema/cron.c \
	orchestrator/schema/decode.c orchestrator/schema/default.c orchestrator/schema/defaults_core.c \
	orchestrator/schema/defaults_groups.c orchestrator/schema/discovery.c \
	orchestrator/schema/errors.c orchestrator/schema/fields.c orchestrator/schema/format.c \
	orchestrator/schema/formats.c orchestrator/schema/json_out.c orchestrator/schema/json_path.c orchestrator/schema/members.c \
	orchestrator/schema/openapi.c orchestrator/schema/openapi_custom.c orchestrator/schema/openapi_paths.c \
	orchestrator/schema/openapi_v2.c orchestrator/schema/openapi_v2_custom.c \
	orchestrator/schema/openapi_v2_schema.c orchestrator/schema/order.c orchestrator/schema/patch.c \
	orchestrator/schema/path.c orchestrator/schema/proto.c orchestrator/schema/quantity.c orchestrator/schema/quota.c orchestrator/schema/resource_list.c \
	orchestrator/schema/schema.c orchestrator/schema/select.c orchestrator/schema/strategic.c \
	orchestrator/schema/structs.c orchestrator/schema/structural.c \
	orchestrator/schema/structural_formats.c orchestrator/schema/structural_lists.c \
	orchestrator/schema/structural_prune.c orchestrator/schema/structural_values.c orchestrator/schema/table.c orchestrator/schema/validate.c \
	orchestrator/schema/validate_meta.c orchestrator/schema/volume_fit.c
DEPS_orchestrator/schema := storage/store base

SCHEMAC := orchestrator/schema/compile/main.c orchestrator/schema/compile/parse.c \
	orchestrator/schema/compile/link.c orchestrator/schema/compile/emit_structs.c \
	orchestrator/schema/compile/emit_tables.c orchestrator/schema/format.c base/arena.c base/buf.c \
	base/str.c base/err.c
$(O)/host/schemac: $(SCHEMAC) orchestrator/schema/compile/model.h orchestrator/schema/schema.h \
		orchestrator/schema/schema_value.h base/arena.h base/buf.h base/str.h
	$(call say,HOSTCC,$@)
	$(Q)mkdir -p $(@D) && $(HOSTCC) $(HOSTCFLAGS) $(SCHEMAC) -o $@
$(O)/gen/kinds/.made: $(O)/host/schemac $(KIND_FILES)
	$(call say,SCHEMA,$(@D))
	$(Q)mkdir -p $(@D) && $(O)/host/schemac $(@D) $(KIND_FILES) && touch $@
$(GEN_orchestrator/schema) $(O)/gen/kinds/tables.c: $(O)/gen/kinds/.made ;

UNIT_orchestrator/schema := tests/unit/orchestrator/schema/checks_test.c tests/unit/orchestrator/schema/cron_test.c \
	tests/unit/orchestrator/schema/facts_test.c tests/unit/orchestrator/schema/object_test.c \
	tests/unit/orchestrator/schema/patch_test.c tests/unit/orchestrator/schema/publish_test.c \
	tests/unit/orchestrator/schema/select_test.c tests/unit/orchestrator/schema/structural_test.c \
	tests/unit/orchestrator/schema/table_test.c \
	tests/unit/orchestrator/schema/value_test.c tests/unit/orchestrator/schema/volume_fit_test.c
FUZZ_orchestrator/schema := tests/fuzz/cron_fuzz.c tests/fuzz/patch_fuzz.c tests/fuzz/protobuf_body_fuzz.c \
	tests/fuzz/quantity_fuzz.c tests/fuzz/selector_fuzz.c tests/fuzz/structural_fuzz.c
BENCH_orchestrator/schema := tests/bench/checks_bench.c
