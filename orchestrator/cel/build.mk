# The Common Expression Language as Kubernetes uses it.
LIBS += orchestrator/cel
SRC_orchestrator/cel := $(addprefix orchestrator/cel/,check.c compile.c cost.c cost_rules.c cost_run.c eval.c fns.c fold.c lex.c \
	lib_authz.c lib_format.c lib_lists.c lib_names.c lib_net.c lib_optional.c lib_patch.c lib_quantity.c lib_regex.c \
	lib_semver.c lib_strings.c lib_url.c macro.c parse.c rules.c rules_run.c std.c std_compare.c text.c time.c types.c value.c \
	value_doc.c)
DEPS_orchestrator/cel := orchestrator/schema base
UNIT_orchestrator/cel := $(addprefix tests/unit/orchestrator/cel/,cel_test.c rules_test.c)
FUZZ_orchestrator/cel := tests/fuzz/cel_fuzz.c
