/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pull: the images a container needs, its own and those of image volumes, each by its policy: present, or
 * pulled with the pod's secrets, with back-off.
 * Source: Kubernetes images documentation; kubelet image manager (texts of events and reasons). */
#include "orchestrator/node/node_int.h"

#define RETRY_NS (10 * NS_PER_SEC)

struct pulling {
	struct ctr *c;
	int64_t began_ns;
	char image[600];
};

static bool image_at(const struct ctr *c, size_t i, struct str *ret_ref, struct str *ret_policy);

static void
on_pulled(void *arg, struct str image_id, uint64_t size_bytes, const struct err *e)
{
	struct pulling *x = arg;
	struct ctr *c = x->c;
	struct pod *p = c->pod;
	char took[40];
	c->op = CTR_IDLE;
	c->pulling = NULL;
	c->pulling_arg = NULL;
	if (!e || !e->code) {
		duration_format((clock_mono_ns() - x->began_ns) / NS_PER_MS * NS_PER_MS, took);
		pod_event(p, c, "Normal", "Pulled",
			"Successfully pulled image \"%s\" in %s (%s including waiting). Image size: %llu bytes.",
			x->image, took, took, (unsigned long long)size_bytes);
		if (!c->pull_at)
			str_copy_c(image_id, c->image_id, sizeof(c->image_id));
		c->pull = (struct backoff){0};
		register_status_later(p->node);
		/* Another image may be wanted by now: then the next look begins anew. */
		struct str ref, policy;
		bool same = image_at(c, c->pull_at, &ref, &policy) && str_eq_c(ref, x->image);
		c->pull_at = same ? c->pull_at + 1 : 0;
	} else {
		pod_event(p, c, "Warning", "Failed", "Failed to pull image \"%s\": %s", x->image,
			e->msg);
		pod_event(p, c, "Warning", "Failed", "Error: ErrImagePull");
		backoff_fail(&c->pull, clock_mono_ns());
		ctr_wait(c, "ErrImagePull", "%s", e->msg);
		snprintf(c->pull_failed, sizeof(c->pull_failed), "%s", e->msg);
	}
	free(x);
	pod_op_end(p);
}

/* secrets_gather: the docker configurations of imagePullSecrets that are here; names of the others. */
static size_t
secrets_gather(struct pod *p, struct str *out, size_t max, struct buf *missing)
{
	const struct core_v1_pod_spec *s = &p->o->spec;
	size_t n = 0;
	for (size_t i = 0; i < s->n_image_pull_secrets && n < max; i++) {
		bool synced = false;
		const struct core_v1_secret *x = object_get(
			p, OBJECT_SECRET, s->image_pull_secrets[i].name, &synced);
		if (!x)
			buf_fmt(missing, "%s" STR_FMT, missing->len ? ", " : "",
				STR_ARG(s->image_pull_secrets[i].name));
		for (size_t k = 0; x && k < x->n_data && n < max; k++)
			if (str_eq(x->data[k].key, STR(".dockerconfigjson")) ||
				str_eq(x->data[k].key, STR(".dockercfg")))
				out[n++] = x->data[k].value;
	}
	return n;
}

/* look_again: what is wrong is not the registry's: looked at as often as the kubelet looks at its pods. */
static void
look_again(struct ctr *c)
{
	c->retry_ns = clock_mono_ns() + RETRY_NS;
	pod_wake_in(c->pod, RETRY_NS);
}

static void
pull_start(struct ctr *c, const struct runtime_pull_spec *spec, struct str missing)
{
	struct pod *p = c->pod;
	struct err e = {0};
	struct pulling *x = calloc(1, sizeof(*x));
	struct runtime_pull *handle = NULL;
	if (!x)
		return;
	x->c = c;
	x->began_ns = clock_mono_ns();
	str_copy_c(spec->ref, x->image, sizeof(x->image));
	if (missing.n)
		pod_event(p, NULL, "Warning", "FailedToRetrieveImagePullSecret",
			"Unable to retrieve some image pull secrets (" STR_FMT
			"); attempting to pull the image may not succeed.",
			STR_ARG(missing));
	int rc = runtime_image_pull(p->node->rt, spec, on_pulled, x, &handle, &e);
	if (rc == -EINVAL) {
		ctr_wait(c, "InvalidImageName",
			"Failed to apply default image tag \"%s\": couldn't parse image name \"%s\": %s",
			x->image, x->image, e.msg);
		pod_event(p, c, "Warning", "InspectFailed", "%s", c->detail);
		pod_event(p, c, "Warning", "Failed", "Error: InvalidImageName");
	} else if (rc < 0) {
		ctr_wait(c, "ErrImagePull", "%s", e.msg);
	}
	if (rc < 0) {
		free(x);
		look_again(c);
		return;
	}
	pod_event(p, c, "Normal", "Pulling", "Pulling image \"%s\"", x->image);
	c->op = CTR_PULLING;
	c->pulling = handle;
	c->pulling_arg = x;
	pod_op_begin(p);
}

/* image_at: the i-th image a run of c needs: its own, then those of the volumes it mounts. */
static bool
image_at(const struct ctr *c, size_t i, struct str *ret_ref, struct str *ret_policy)
{
	const struct core_v1_container *s = ctr_spec(c);
	const struct core_v1_pod_spec *ps = &c->pod->o->spec;
	if (s && i == 0) {
		*ret_ref = s->image;
		*ret_policy = s->image_pull_policy;
		return true;
	}
	for (size_t k = 0; s && k < s->n_volume_mounts; k++)
		for (size_t v = 0; v < ps->n_volumes; v++) {
			const struct core_v1_image_volume_source *x = ps->volumes[v].image;
			if (!x || !str_eq(ps->volumes[v].name, s->volume_mounts[k].name) || --i)
				continue;
			*ret_ref = x->reference;
			*ret_policy = x->pull_policy;
			return true;
		}
	return false;
}

/* image_ensure: true = it is here; else it is being pulled, or c says why not. */
static bool
image_ensure(struct ctr *c, struct str ref, struct str policy)
{
	struct pod *p = c->pod;
	struct arena *a = arena_new(1 << 20);
	struct runtime_image img = {0};
	struct str secrets[16];
	_cleanup_buf_ struct buf missing = BUF_INIT;
	struct runtime_pull_spec spec = {.ref = ref,
		.docker_configs = secrets,
		.n_docker_configs = secrets_gather(p, secrets, ARRAY_LEN(secrets), &missing)};
	/* An image that is here is there for those who could pull it. */
	bool here = a && runtime_image_find(p->node->rt, ref, a, &img) == 0 &&
		runtime_image_open_to(p->node->rt, &spec);
	if (here && !c->pull_at)
		str_copy_c(img.id, c->image_id, sizeof(c->image_id));
	arena_free(a);
	bool always = str_eq(policy, STR("Always"));
	if (here && !always) {
		pod_event(p, c, "Normal", "Pulled",
			"Container image \"" STR_FMT
			"\" already present on machine and can be accessed by the pod",
			STR_ARG(ref));
		return true;
	}
	if (!here && str_eq(policy, STR("Never"))) {
		bool told = strcmp(c->reason, "ErrImageNeverPull") == 0;
		ctr_wait(c, "ErrImageNeverPull",
			"Container image \"" STR_FMT "\" is not present with pull policy of Never",
			STR_ARG(ref));
		if (!told) {
			pod_event(p, c, "Warning", "ErrImageNeverPull", "%s", c->detail);
			pod_event(p, c, "Warning", "Failed", "Error: ErrImageNeverPull");
		}
		look_again(c);
		return false;
	}
	/* What failed was another image's pull. */
	if (!str_eq_c(ref, c->pull_image))
		c->pull = (struct backoff){0};
	str_copy_c(ref, c->pull_image, sizeof(c->pull_image));
	int64_t left_ns = backoff_left(&c->pull, clock_mono_ns());
	if (left_ns) {
		if (strcmp(c->reason, "ImagePullBackOff") != 0) {
			pod_event(p, c, "Normal", "BackOff",
				"Back-off pulling image \"" STR_FMT "\"", STR_ARG(ref));
			pod_event(p, c, "Warning", "Failed", "Error: ImagePullBackOff");
		}
		ctr_wait(c, "ImagePullBackOff",
			"Back-off pulling image \"" STR_FMT "\": ErrImagePull: %s", STR_ARG(ref),
			c->pull_failed);
		pod_wake_in(p, left_ns);
		return false;
	}
	pull_start(c, &spec, buf_view(&missing));
	return false;
}

void
ctr_pull(struct ctr *c)
{
	struct str ref, policy;
	while (image_at(c, c->pull_at, &ref, &policy)) {
		if (!image_ensure(c, ref, policy))
			return;
		c->pull_at++;
	}
	c->pull_at = 0;
	ctr_image_ready(c);
}

void
ctr_pull_cancel(struct ctr *c)
{
	if (c->op != CTR_PULLING)
		return;
	runtime_image_pull_cancel(TAKE_PTR(c->pulling));
	free(TAKE_PTR(c->pulling_arg));
	c->op = CTR_IDLE;
	pod_op_end(c->pod);
}
