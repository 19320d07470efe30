/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * value_test: quantities, int-or-percent and formats against what upstream does with them. */
#include "tests/unit/test.h"

#include "orchestrator/schema/schema.h"

static struct arena *a;

static struct str
canonical(const char *s)
{
	if (a == NULL)
		a = arena_new(0);
	return quantity_canonical(a, str_c(s));
}

TEST(quantities_are_written_canonically)
{
	static const char *const rows[][2] = {{"0", "0"}, {"0Ki", "0"}, {"1000m", "1"},
		{"0.5", "500m"}, {"1.5", "1500m"}, {"1024Mi", "1Gi"}, {"1536Mi", "1536Mi"},
		{"0.5Gi", "512Mi"}, {"100Ki", "100Ki"}, {"1e3", "1e3"}, {"1E3", "1e3"},
		{"12345e2", "1234500"}, {"1000k", "1M"}, {"1000Ki", "1000Ki"}, {"-5m", "-5m"},
		{"+7", "7"}, {"0.1Ki", "102400m"}, {"1.0001Ki", "1024102400u"}, {"1n", "1n"},
		{"0.1n", "1n"}, {".5", "500m"}, {"5.", "5"}, {"1E", "1E"},
		{"9223372036854775807", "9223372036854775807"},
		{"99999999999999999999", "9223372036854775807"}, {"1Ei", "1Ei"},
		{"8Ei", "9223372036854775807"}, {"512", "512"}, {"2048", "2048"}, {"4Ki", "4Ki"},
		{"0.000001", "1u"}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_STR(canonical(rows[i][0]), rows[i][1]);
}

TEST(what_is_no_quantity_is_refused)
{
	static const char *const rows[] = {"", "x", "1x", "1 ", "1Kii", "--1", "1.2.3", ".", "+",
		"1e", "1ki", "1mi", "e3", "1e3k", "1 Gi", "0x10"};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK(!str_is_set(canonical(rows[i])));
}

TEST(quantities_add_compare_and_round_up)
{
	struct quantity x = {0}, y = {0};
	char out[64];

	CHECK_INT(quantity_parse(STR("1500m"), &x), 0);
	CHECK_INT(quantity_value(&x), 2);
	CHECK_INT(quantity_milli(&x), 1500);
	CHECK_INT(quantity_parse(STR("1Gi"), &y), 0);
	CHECK_INT(quantity_cmp(&x, &y), -1);
	quantity_add(&x, &y);
	quantity_write(&x, out);
	CHECK_STR(str_c(out), "1073741825500m");
	x = quantity_of(0, QUANTITY_SI);
	quantity_add(&x, &y);
	quantity_write(&x, out);
	CHECK_STR(str_c(out), "1Gi");
	quantity_sub(&x, &y);
	CHECK(quantity_is_zero(&x));
	CHECK_INT(quantity_milli_of(STR("100m"), -1), 100);
	CHECK_INT(quantity_milli_of(STR("z"), -1), -1);
}

TEST(percentages_scale)
{
	struct int_or_str v = {.has = true, .is_str = true, .s = STR_INIT("25%")};
	int32_t got = 0;

	CHECK_INT(intstr_scaled(&v, 3, true, &got), 0);
	CHECK_INT(got, 1);
	CHECK_INT(intstr_scaled(&v, 3, false, &got), 0);
	CHECK_INT(got, 0);
	v.s = STR("x");
	CHECK_INT(intstr_scaled(&v, 3, false, &got), -EINVAL);
	v = (struct int_or_str){.has = true, .i = 7};
	CHECK_INT(intstr_scaled(&v, 3, false, &got), 0);
	CHECK_INT(got, 7);
}

TEST(formats_say_what_is_wrong)
{
	static const struct {
		enum schema_format f;
		const char *s, *text;
	} rows[] = {
		{FORMAT_DNS_LABEL, "abc-1", NULL},
		{FORMAT_DNS_LABEL, "a.b", "must not contain dots"},
		{FORMAT_DNS_SUBDOMAIN, "a.b-c", NULL},
		{FORMAT_QUALIFIED_NAME, "kubernetes.io/name", NULL},
		{FORMAT_QUALIFIED_NAME, "/name", "prefix part must be non-empty"},
		{FORMAT_LABEL_VALUE, "", NULL},
		{FORMAT_LABEL_VALUE, "a_b.C-1", NULL},
		{FORMAT_PATH_SEGMENT, "system:node", NULL},
		{FORMAT_PATH_SEGMENT, "a/b", "may not contain '/'"},
		{FORMAT_CONFIG_KEY, "..data", "must not start with '..'"},
		{FORMAT_PORT_NAME, "http", NULL},
		{FORMAT_PORT_NAME, "12", "must contain at least one letter (a-z)"},
		{FORMAT_IP, "10.0.0.1", NULL},
		{FORMAT_IP, "10.0.0.256",
			"must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"},
		{FORMAT_IP, "FD00::1", "must be in canonical form (\"fd00::1\")"},
		{FORMAT_CIDR, "10.0.0.0/8", NULL},
		{FORMAT_IP, "010.0.0.1", "must not have leading 0s"},
		{FORMAT_IP, "::ffff:10.0.0.1", "must not be an IPv4-mapped IPv6 address"},
		{FORMAT_CIDR, "10.0.0.1/8", "must not have bits set beyond the prefix length"},
		{FORMAT_CIDR, "10.0.0.00/8", "must not have leading 0s in IP or prefix length"},
		{FORMAT_CIDR, "FD00::/8", "must be in canonical form (\"fd00::/8\")"},
		{FORMAT_UUID, "01234567-89ab-cdef-0123-456789abcdef", NULL},
		{FORMAT_ENV_NAME, "A=B",
			"a valid environment variable name must consist only of printable ASCII characters other "
			"than '='"},
	};

	if (a == NULL)
		a = arena_new(0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *got = format_check(a, rows[i].f, str_c(rows[i].s));

		CHECK_STR(got ? got : "good", rows[i].text ? rows[i].text : "good");
	}
	for (int f = 0; f < FORMAT__COUNT; f++)
		CHECK_INT(format_find(str_c(format_name((enum schema_format)f))), f);
}
