# Who set which fields: sets of paths, managedFields, server-side apply.
LIBS += orchestrator/fields
SRC_orchestrator/fields := orchestrator/fields/set.c orchestrator/fields/text.c \
	orchestrator/fields/place.c orchestrator/fields/typed.c orchestrator/fields/merge.c \
	orchestrator/fields/managed.c orchestrator/fields/track.c
DEPS_orchestrator/fields := orchestrator/schema base
UNIT_orchestrator/fields := tests/unit/orchestrator/fields/set_test.c \
	tests/unit/orchestrator/fields/typed_test.c tests/unit/orchestrator/fields/track_test.c
FUZZ_orchestrator/fields := tests/fuzz/fields_fuzz.c tests/fuzz/apply_fuzz.c
