/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * volume_fit_test: which volumes a claim may have. */
#include "orchestrator/schema/volume_fit.c"

#include "tests/unit/test.h"

static struct str rwo[] = {STR_INIT("ReadWriteOnce")}, rwx[] = {STR_INIT("ReadWriteMany")};
static struct str_pair size[] = {{STR_INIT("storage"), STR_INIT("1Gi")}},
		       small[] = {{STR_INIT("storage"), STR_INIT("1Mi")}},
		       labels[] = {{STR_INIT("disk"), STR_INIT("fast")}};

static struct core_v1_persistent_volume
volume(void)
{
	struct core_v1_persistent_volume v = {.spec = {.storage_class_name = STR("slow"),
						      .access_modes = rwo,
						      .n_access_modes = 1,
						      .capacity = size,
						      .n_capacity = 1}};
	return v;
}

static struct core_v1_persistent_volume_claim
claim(void)
{
	struct core_v1_persistent_volume_claim c = {
		.metadata = {.name = STR("c"), .namespace = STR("n"), .uid = STR("1")},
		.spec = {.storage_class_name = STR("slow"),
			.access_modes = rwo,
			.n_access_modes = 1,
			.resources = {.requests = size, .n_requests = 1}}};
	return c;
}

TEST(class_mode_access_and_size_count)
{
	struct core_v1_persistent_volume v = volume();
	struct core_v1_persistent_volume_claim c = claim();
	struct selector any = {0};
	CHECK(volume_fits(&v, &c, &any));
	v.spec.storage_class_name = STR("fast");
	CHECK(!volume_fits(&v, &c, &any));
	v = volume();
	v.spec.volume_mode = STR("Block");
	CHECK(!volume_fits(&v, &c, &any));
	v = volume();
	v.spec.access_modes = rwx;
	CHECK(!volume_fits(&v, &c, &any));
	v = volume();
	v.spec.capacity = small;
	CHECK(!volume_fits(&v, &c, &any));
	v = volume();
	v.metadata.deletion_timestamp = 1;
	CHECK(!volume_fits(&v, &c, &any));
}

TEST(labels_count_where_the_claim_selects)
{
	struct arena *a = arena_new(1 << 16);
	struct meta_v1_label_selector want = {.match_labels = labels, .n_match_labels = 1};
	struct core_v1_persistent_volume v = volume();
	struct core_v1_persistent_volume_claim c = claim();
	struct selector sel;
	CHECK_INT(claim_selector(a, &c, &sel), 0);
	CHECK(volume_fits(&v, &c, &sel));
	c.spec.selector = &want;
	CHECK_INT(claim_selector(a, &c, &sel), 0);
	CHECK(!volume_fits(&v, &c, &sel));
	v.metadata.labels = labels;
	v.metadata.n_labels = 1;
	CHECK(volume_fits(&v, &c, &sel));
	arena_free(a);
}

TEST(a_volume_kept_for_a_claim_is_its_own)
{
	struct core_v1_object_reference r = {.name = STR("c"), .namespace = STR("n")};
	struct core_v1_persistent_volume v = volume();
	struct core_v1_persistent_volume_claim c = claim();
	struct selector any = {0};
	v.spec.claim_ref = &r;
	v.spec.storage_class_name = STR("");
	CHECK(volume_fits(&v, &c, &any));
	r.uid = STR("2"); /* of a claim of that name that is no more */
	CHECK(!volume_fits(&v, &c, &any));
	r.uid = STR("");
	r.name = STR("other");
	CHECK(!volume_fits(&v, &c, &any));
	r.name = STR("c");
	v.spec.capacity = small;
	CHECK(!volume_fits(&v, &c, &any));
}

TEST(a_claim_that_only_has_the_name_is_not_the_pods)
{
	struct meta_v1_owner_reference r = {.uid = STR("7"), .controller = true};
	struct core_v1_persistent_volume_claim c = claim();
	struct core_v1_pod p = {.metadata = {.uid = STR("7")}};
	CHECK(!claim_is_of_pod(&c, &p));
	c.metadata.owner_references = &r;
	c.metadata.n_owner_references = 1;
	CHECK(claim_is_of_pod(&c, &p));
	r.controller = false;
	CHECK(!claim_is_of_pod(&c, &p));
}

TEST(the_smallest_is_taken)
{
	struct core_v1_persistent_volume v = volume(), w = volume();
	w.spec.capacity = small;
	CHECK(volume_smaller(&v, NULL));
	CHECK(volume_smaller(&w, &v));
	CHECK(!volume_smaller(&v, &w));
}
