/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Which node-local volumes have their directory removed, and when. */
#include "orchestrator/node/local_volumes.c"

#include "tests/unit/test.h"

static struct str both[] = {
	STR_INIT("kubernetes.io/pv-protection"), STR_INIT(LOCAL_VOLUME_FINALIZER)};

static struct core_v1_local_volume_source local;
static struct core_v1_object_reference claim = {
	.namespace = STR_INIT("ns"), .name = STR_INIT("data"), .uid = STR_INIT("u1")};

static struct core_v1_persistent_volume
volume(const char *name, const char *path)
{
	local.path = str_c(path);
	return (struct core_v1_persistent_volume){.metadata = {.name = str_c(name),
							  .deletion_timestamp = NS_PER_SEC,
							  .finalizers = both,
							  .n_finalizers = 2},
		.spec = {.local = &local,
			.claim_ref = &claim,
			.persistent_volume_reclaim_policy = STR("Delete")}};
}

TEST(only_a_deleted_volumes_own_directory_is_removed)
{
	struct core_v1_persistent_volume v = volume("pvc-1", "/data/volumes/pvc-1");
	char dir[NODE_PATH];
	CHECK(dir_of(&v, dir));
	CHECK_STR(dir, "/data/volumes/pvc-1");
	v.spec.persistent_volume_reclaim_policy = STR("Retain");
	CHECK(!dir_of(&v, dir));
	v = volume("pvc-1", "/data/volumes/pvc-1");
	v.metadata.deletion_timestamp = 0;
	CHECK(!dir_of(&v, dir));
	v = volume("pvc-1", "/data/volumes/pvc-1");
	v.metadata.n_finalizers = 1;
	CHECK(!dir_of(&v, dir));
	/* whatever an object says, nothing else is ever touched */
	static const char *const others[][2] = {{"pvc-1", "/data/volumes/pvc-2"},
		{"pvc-1", "/data/volumes"}, {"pvc-1", "/"}, {"pvc-1", "/data/volumes/pvc-1/x"},
		{"..", "/data/volumes/.."}, {"", "/data/volumes/"}, {"a/b", "/data/volumes/a/b"}};
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		v = volume(others[i][0], others[i][1]);
		CHECK(!dir_of(&v, dir));
	}
}

TEST(a_volume_stays_while_a_pod_that_has_it_is_not_gone)
{
	struct core_v1_persistent_volume v = volume("pvc-1", "/data/volumes/pvc-1");
	struct core_v1_persistent_volume_claim_volume_source source = {.claim_name = STR("data")};
	struct core_v1_volume of_pod = {.name = STR("v"), .persistent_volume_claim = &source};
	struct core_v1_pod o = {.spec = {.volumes = &of_pod, .n_volumes = 1}};
	struct node n = {0};
	struct pod p = {.node = &n, .o = &o, .ns = (char[]){"ns"}, .name = (char[]){"p"}};
	map_init(&n.pods);
	map_init(&n.objects);
	CHECK(!in_use(&n, &v));
	CHECK_INT(map_put(&n.pods, STR("u"), &p, NULL), 0);
	CHECK(in_use(&n, &v));
	p.gone = true; /* deleted by force: its containers may still run */
	CHECK(in_use(&n, &v));
	p.cleaned = true;
	CHECK(!in_use(&n, &v));
	p.cleaned = false;
	p.finished = true;
	CHECK(in_use(&n, &v));
	p.sandbox_down = true;
	CHECK(!in_use(&n, &v));
	p.finished = false;
	p.ns = (char[]){"ns2"};
	CHECK(!in_use(&n, &v));
	/* a pod that was left over, of which nothing is known */
	p.o = NULL;
	CHECK(in_use(&n, &v));
	/* the claim of a generic ephemeral volume */
	struct core_v1_ephemeral_volume_source ephemeral = {0};
	p.o = &o;
	p.ns = (char[]){"ns"};
	claim.name = STR("p-v");
	of_pod.persistent_volume_claim = NULL;
	CHECK(!in_use(&n, &v));
	of_pod.ephemeral = &ephemeral;
	CHECK(in_use(&n, &v));
	claim.name = STR("data");
	map_release(&n.pods);
	map_release(&n.objects);
}
