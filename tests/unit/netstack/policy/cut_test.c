/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Overlapping permissions as parts that do not overlap: compared with asking every rule, for every address. */
#include "netstack/policy/cut.c"

#include <netinet/in.h>

#include "base/rand.h"
#include "tests/unit/test.h"

static struct ip_addr
v4(uint32_t last)
{
	return ip_v4(0x0a000000u + last);
}

static struct policy_rule
rule(uint32_t from, uint32_t to, uint8_t proto, uint16_t low, uint16_t high)
{
	return (struct policy_rule){v4(from), v4(to), proto, low, high};
}

static bool
rules_permit(const struct policy_group *g, struct ip_addr a, uint8_t proto, uint16_t port)
{
	for (size_t i = 0; i < g->n; i++) {
		const struct policy_rule *r = &g->rules[i];
		if (r->from.family == a.family && addr_cmp(&r->from, &a) <= 0 &&
			addr_cmp(&a, &r->to) <= 0 &&
			(!r->proto ||
				(r->proto == proto && r->port_from <= port && port <= r->port_to)))
			return true;
	}
	return false;
}

static size_t
cuts_permit(const struct cut *c, size_t n, struct ip_addr a, uint8_t proto, uint16_t port)
{
	size_t hits = 0;
	for (size_t i = 0; i < n; i++)
		hits += addr_cmp(&c[i].from, &a) <= 0 && addr_cmp(&a, &c[i].to) <= 0 &&
			c[i].proto_from <= proto && proto <= c[i].proto_to &&
			c[i].port_from <= port && port <= c[i].port_to;
	return hits;
}

TEST(parts_say_what_the_rules_say_and_never_overlap)
{
	static const uint8_t protos[] = {0, IPPROTO_TCP, IPPROTO_UDP};
	struct arena *a = arena_new(0);
	for (int round = 0; round < 300; round++) {
		struct policy_rule rules[8];
		struct policy_group g = {rules, rand_below(9)};
		for (size_t i = 0; i < g.n; i++) {
			uint32_t from = (uint32_t)rand_below(16), port = (uint32_t)rand_below(12);
			rules[i] = rule(from, from + (uint32_t)rand_below(6), protos[rand_below(3)],
				(uint16_t)(port + 1), (uint16_t)(port + 1 + rand_below(5)));
		}
		struct cut *c = NULL;
		size_t n = 0;
		CHECK_INT(policy_cut(a, &g, 4, &c, &n), 0);
		for (uint32_t x = 0; x < 24; x++)
			for (uint32_t k = 0; k < 3 * 18; k++) {
				uint8_t proto = k % 3 == 0 ? IPPROTO_ICMP : protos[k % 3];
				uint16_t port = (uint16_t)(k / 3);
				CHECK_INT(cuts_permit(c, n, v4(x), proto, port),
					rules_permit(&g, v4(x), proto, port));
			}
		arena_clear(a);
	}
	arena_free(a);
}

TEST(neighbours_with_the_same_ports_are_one_part)
{
	struct policy_rule rules[] = {rule(4, 4, IPPROTO_TCP, 80, 80),
		rule(2, 2, IPPROTO_TCP, 80, 80), rule(3, 3, IPPROTO_TCP, 80, 80),
		rule(3, 3, IPPROTO_TCP, 80, 80)};
	struct arena *a = arena_new(0);
	struct cut *c = NULL;
	size_t n = 0;
	CHECK_INT(policy_cut(a, &(struct policy_group){rules, 4}, 4, &c, &n), 0);
	CHECK_INT(n, 1);
	CHECK(ip_eq(&c->from, &(struct ip_addr){4, {10, 0, 0, 2}}));
	CHECK(ip_eq(&c->to, &(struct ip_addr){4, {10, 0, 0, 4}}));
	arena_free(a);
}

TEST(everything_is_one_part_to_the_end_of_each_family)
{
	struct policy_rule rules[] = {{.from = {4, {0}}, .to = {4, {255, 255, 255, 255}}},
		{.from = {6, {0}}, .to = {6, {0}}}, rule(1, 9, IPPROTO_UDP, 53, 53)};
	struct arena *a = arena_new(0);
	struct cut *c = NULL;
	size_t n = 0;
	memset(rules[1].to.b, 255, 16);
	for (int family = 4; family <= 6; family += 2) {
		CHECK_INT(policy_cut(a, &(struct policy_group){rules, 3}, family, &c, &n), 0);
		CHECK_INT(n, 1);
		CHECK_INT(c->proto_to, 255);
		CHECK_INT(c->port_to, 65535);
		CHECK(is_last(&c->to));
	}
	arena_free(a);
}

TEST(what_makes_no_sense_permits_nothing)
{
	struct policy_rule rules[] = {
		rule(9, 1, 0, 0, 0), rule(1, 9, IPPROTO_TCP, 90, 80), {.proto = 0}};
	struct arena *a = arena_new(0);
	struct cut *c = NULL;
	size_t n = 7;
	CHECK_INT(policy_cut(a, &(struct policy_group){rules, 3}, 4, &c, &n), 0);
	CHECK_INT(n, 0);
	arena_free(a);
}
