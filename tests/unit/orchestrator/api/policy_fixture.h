/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * policy_fixture: policies, bindings and the objects they are about, against an API server in a simulated world. Texts
 * are JSON with ` for ", since expressions have quotes of their own. */
#ifndef TEST_POLICY_FIXTURE_H
#define TEST_POLICY_FIXTURE_H

#include "orchestrator/kinds/kinds.h"
#include "tests/unit/orchestrator/api/fixture.h"

#define ADMISSION .group = STR("admissionregistration.k8s.io"), .version = STR("v1")
#define CM_RULE(ops)                                                                               \
	"{`apiGroups`:[``],`apiVersions`:[`v1`],`resources`:[`configmaps`],`operations`:[" ops "]}"
#define ON_CM "`matchConstraints`:{`resourceRules`:[" CM_RULE("`CREATE`,`UPDATE`") "]}"
#define RULE(expression) "`validations`:[{`expression`:`" expression "`}]"

/* json: ` is ". static, until the next but seven. */
static inline struct str
json(const char *text)
{
	static char bufs[8][4096];
	static unsigned nth;
	char *b = bufs[nth++ % 8];
	size_t n = strlen(text);
	CHECK(n < sizeof(bufs[0]));
	for (size_t i = 0; i <= n && i < sizeof(bufs[0]); i++)
		b[i] = text[i] == '`' ? '"' : text[i];
	return str_c(b);
}

static inline int
make(struct fixture *f, const char *resource, const char *name, const char *spec)
{
	struct buf b = BUF_INIT;
	buf_fmt(&b, "{\"metadata\":{\"name\":\"%s\"},\"spec\":{" STR_FMT "}}", name,
		STR_ARG(json(spec)));
	int http = call(f, f->admin,
		&(struct client_req){ADMISSION, .verb = CLIENT_CREATE, .resource = str_c(resource),
			.body = buf_view(&b)});
	buf_release(&b);
	return http;
}

/* policy: named p, a validating one; bind: binds it, what fails is denied. */
static inline int
policy(struct fixture *f, const char *spec)
{
	return make(f, "validatingadmissionpolicies", "p", spec);
}
static inline int
bind_more(struct fixture *f, const char *more)
{
	char spec[1024];
	snprintf(spec, sizeof(spec), "`policyName`:`p`,`validationActions`:[`Deny`]%s", more);
	return make(f, "validatingadmissionpolicybindings", "b", spec);
}
static inline int
bind(struct fixture *f)
{
	return bind_more(f, "");
}
static inline int
policy_bound(struct fixture *f, const char *spec)
{
	int http = policy(f, spec);
	return http == 201 ? bind(f) : http;
}

static inline int
forget(struct fixture *f, const char *resource, const char *name)
{
	return call(f, f->admin,
		&(struct client_req){ADMISSION, .verb = CLIENT_DELETE, .resource = str_c(resource),
			.name = str_c(name)});
}
static inline void
forget_policy(struct fixture *f)
{
	CHECK_INT(forget(f, "validatingadmissionpolicies", "p"), 200);
	CHECK_INT(forget(f, "validatingadmissionpolicybindings", "b"), 200);
}

/* config_map: made as somebody; its data and the rest of its metadata. */
static inline int
config_map_as(
	struct fixture *f, struct client *who, const char *name, const char *meta, const char *data)
{
	struct buf b = BUF_INIT;
	buf_fmt(&b, "{\"metadata\":{\"name\":\"%s\"" STR_FMT "},\"data\":{" STR_FMT "}}", name,
		STR_ARG(json(meta)), STR_ARG(json(data)));
	int http = call(
		f, who, &(struct client_req){CM, .verb = CLIENT_CREATE, .body = buf_view(&b)});
	buf_release(&b);
	return http;
}
static inline int
config_map(struct fixture *f, const char *name, const char *data)
{
	return config_map_as(f, f->admin, name, "", data);
}

#endif
