/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * format: names of the formats as kind files write them (also linked into the schema compiler). */
#include "orchestrator/schema/schema_value.h"

static const char *const names[FORMAT__COUNT] = {
	[FORMAT_NONE] = "none",
	[FORMAT_DNS_LABEL] = "dns-label",
	[FORMAT_DNS_SUBDOMAIN] = "dns-subdomain",
	[FORMAT_DNS1035_LABEL] = "dns1035-label",
	[FORMAT_QUALIFIED_NAME] = "qualified-name",
	[FORMAT_LABEL_VALUE] = "label-value",
	[FORMAT_PATH_SEGMENT] = "path-segment",
	[FORMAT_CONFIG_KEY] = "config-key",
	[FORMAT_PORT] = "port",
	[FORMAT_PORT_NAME] = "port-name",
	[FORMAT_IP] = "ip",
	[FORMAT_CIDR] = "cidr",
	[FORMAT_PERCENT] = "percent",
	[FORMAT_ENV_NAME] = "env-name",
	[FORMAT_C_IDENTIFIER] = "c-identifier",
	[FORMAT_UUID] = "uuid",
};

const char *
format_name(enum schema_format f)
{
	return names[f];
}

int
format_find(struct str name)
{
	for (int i = 0; i < FORMAT__COUNT; i++)
		if (str_eq_c(name, names[i]))
			return i;
	return -1;
}
