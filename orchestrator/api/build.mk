# The Kubernetes API server: one ordered table of stages, a file each; and `keelson server`.
LIBS += orchestrator/api
SRC_orchestrator/api := orchestrator/api/admit.c orchestrator/api/aggregate.c \
	$(addprefix orchestrator/api/apiservice,.c _check.c _control.c _direct.c _docs.c _fetch.c \
		_local.c _proxy.c) orchestrator/api/apply.c \
	orchestrator/api/authenticate.c orchestrator/api/authz.c orchestrator/api/bootstrap.c \
	orchestrator/api/cache.c orchestrator/api/client_direct.c orchestrator/api/commit.c \
	orchestrator/api/control_role.c orchestrator/api/convert.c \
	orchestrator/api/convert_review.c orchestrator/api/crd_control.c \
	orchestrator/api/crd_status.c orchestrator/api/custom.c \
	orchestrator/api/custom_make.c orchestrator/api/decode.c orchestrator/api/delete.c \
	orchestrator/api/docs.c orchestrator/api/escalate.c orchestrator/api/flow.c \
	orchestrator/api/get.c $(addprefix orchestrator/api/hook_,admit.c call.c config.c match.c post.c review.c turns.c) \
	orchestrator/api/http_sink.c orchestrator/api/impersonate.c \
	orchestrator/api/list.c orchestrator/api/managed.c orchestrator/api/meta.c orchestrator/api/negotiate.c \
	orchestrator/api/node_authz.c orchestrator/api/object.c orchestrator/api/options.c \
	orchestrator/api/paths.c orchestrator/api/pipeline.c orchestrator/api/pki.c \
	$(addprefix orchestrator/api/policy_,code.c config.c control.c mutate.c params.c patch.c types.c validate.c world.c) \
	orchestrator/api/eviction.c orchestrator/api/pod_subs.c orchestrator/api/proxy.c orchestrator/api/proxy_html.c orchestrator/api/proxy_target.c \
	orchestrator/api/rbac.c orchestrator/api/rbac_bootstrap.c orchestrator/api/rbac_defaults.c \
	orchestrator/api/resources.c orchestrator/api/reviews.c orchestrator/api/route.c \
	orchestrator/api/scale.c orchestrator/api/server.c orchestrator/api/server_main.c \
	orchestrator/api/server_parts.c orchestrator/api/status.c orchestrator/api/token.c \
	orchestrator/api/token_request.c orchestrator/api/watch.c
DEPS_orchestrator/api := orchestrator/cel orchestrator/fields orchestrator/kinds orchestrator/machine orchestrator/client \
	orchestrator/schema storage/store netstack/http netstack/tls base
UNIT_orchestrator/api := $(addprefix tests/unit/orchestrator/api/,api_test.c apiservice_test.c authenticate_test.c convert_test.c custom_test.c docs_test.c \
	hook_admit_test.c hook_review_test.c http_sink_test.c managed_test.c policy_mutate_test.c policy_types_test.c policy_validate_test.c \
	proxy_html_test.c proxy_test.c reviews_test.c route_test.c)
DEPS_OF_tests/unit/orchestrator/api/custom_test.c := orchestrator/control orchestrator/kinds orchestrator/schedule
DEPS_OF_tests/unit/orchestrator/api/api_test.c := orchestrator/control orchestrator/kinds orchestrator/schedule
DEPS_OF_tests/unit/orchestrator/api/apiservice_test.c := orchestrator/control orchestrator/kinds orchestrator/schedule
DEPS_OF_tests/unit/orchestrator/api/convert_test.c := orchestrator/control orchestrator/kinds orchestrator/schedule
DEPS_OF_tests/unit/orchestrator/api/hook_admit_test.c := orchestrator/control orchestrator/kinds orchestrator/schedule
DEPS_OF_tests/unit/orchestrator/api/policy_mutate_test.c := orchestrator/control orchestrator/kinds orchestrator/schedule
DEPS_OF_tests/unit/orchestrator/api/policy_types_test.c := orchestrator/control orchestrator/kinds orchestrator/schedule
DEPS_OF_tests/unit/orchestrator/api/policy_validate_test.c := orchestrator/control orchestrator/kinds orchestrator/schedule
FUZZ_orchestrator/api := tests/fuzz/admission_fuzz.c tests/fuzz/apiservice_fuzz.c tests/fuzz/convert_fuzz.c tests/fuzz/proxy_html_fuzz.c tests/fuzz/request_fuzz.c

# Real clients against the program.
SUITES += api
.PHONY: suite-api
suite-api: $(O)/bin/keelson $(O)/musl/api/webhook $(O)/musl/api/apiserver
	@WEBHOOK=$(O)/musl/api/webhook APISERVER=$(O)/musl/api/apiserver tests/api/kubectl.sh $(O)/bin/keelson server
