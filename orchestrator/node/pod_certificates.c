/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pod_certificates: a key and a certificate for each podCertificate source of a pod's volumes.
 *
 *   key made (helper thread) -> service account asked for its uid -> PodCertificateRequest created -> a signer
 *   issues, denies or fails it -> files; from beginRefreshAt on the same again beside the one in use
 *
 * Denied and failed are for good. What goes wrong otherwise is tried again after a back-off. Nothing outlives this
 * process: the next one asks for a certificate anew, and what is in the volume stays there until it has one.
 * Invariants: private keys are in this process's memory and in the pod's tmpfs only, are never written to a
 * log, and are wiped when they are dropped.
 * Source: kubelet pkg/kubelet/podcertificate; KEP-4317; PodCertificateRequest of certificates.k8s.io/v1. */
#include "orchestrator/node/node_int.h"

#include "base/rand.h"
#include "netstack/tls/x509.h"

#include "kinds/certificates_v1.h"

#define JITTER_NS (300 * NS_PER_SEC)
/* A request that was created and is not seen: it was deleted. */
#define GONE_NS (600 * NS_PER_SEC)
/* A refresh that takes longer is told. */
#define OVERDUE_NS (600 * NS_PER_SEC)
/* How often the clock is looked at: it may be set. */
#define LOOK_NS (60 * NS_PER_SEC)
#define RETRY_MIN_NS (NS_PER_SEC / 4)
#define RETRY_MAX_NS (300 * NS_PER_SEC)
/* How long a start is quiet about a certificate that is on its way. */
#define QUIET_NS (2 * NS_PER_SEC)

typedef const struct certificates_v1_pod_certificate_request request_t;
typedef const struct core_v1_pod_certificate_projection source_t;

/* What is under way. */
enum cert_phase { CERT_IDLE, CERT_KEY, CERT_ACCOUNT, CERT_CREATE, CERT_WAIT };

struct pod_cert {
	struct pod_cert *next;
	struct pod *p;
	char *volume;
	size_t source; /* its place in the volume */
	enum cert_phase phase;
	/* in use */
	bool has;
	struct buf key, chain;
	int64_t refresh_ns, until_ns; /* wall */
	bool overdue_told, expired_told;
	/* for good */
	const char *final; /* "denied", "failed"; NULL = no */
	char why[512];
	/* under way */
	struct buf new_key, csr;
	int made; /* of the helper thread: 0 or -errno */
	enum tls_key_type type;
	unsigned bits;
	struct client_call *call;
	char account_uid[64], name[256];
	int64_t gone_ns; /* wall */
	struct loop_timer timer;
	int64_t retry_ns, began_ns; /* began: monotonic, of the first request */
};

static void cert_sync(struct pod_cert *c);

/* wipe: releases a buffer that held a secret. */
static void
wipe(struct buf *b)
{
	if (b->cap)
		explicit_bzero(b->data, b->cap);
	buf_release(b);
}

/* source_of: NULL when the pod has none such (any more). */
static source_t *
source_of(const struct pod_cert *c)
{
	const struct core_v1_pod_spec *s = &c->p->o->spec;
	for (size_t i = 0; i < s->n_volumes; i++) {
		const struct core_v1_projected_volume_source *v = s->volumes[i].projected;
		if (v && str_eq_c(s->volumes[i].name, c->volume) && c->source < v->n_sources)
			return v->sources[c->source].pod_certificate;
	}
	return NULL;
}

static int64_t
jitter(void)
{
	return (int64_t)rand_below(JITTER_NS);
}

/* cert_again: something failed; text for the log, which never holds a key. */
static void
cert_again(struct pod_cert *c, const char *what, const char *text)
{
	log_warn("certificate of pod %s/%s, volume %s: %s: %s", c->p->ns, c->p->name, c->volume,
		what, text);
	wipe(&c->new_key);
	c->phase = CERT_IDLE;
	c->retry_ns = c->retry_ns ? c->retry_ns * 2 : RETRY_MIN_NS;
	if (c->retry_ns > RETRY_MAX_NS)
		c->retry_ns = RETRY_MAX_NS;
	loop_timer_after(c->p->node->loop, &c->timer,
		c->retry_ns + (int64_t)rand_below((uint64_t)c->retry_ns / 4));
}

/* look_at: wakes at this wall time, or sooner. */
static void
look_at(struct pod_cert *c, int64_t at_ns)
{
	int64_t left_ns = at_ns - clock_wall_ns();
	if (left_ns < NS_PER_SEC)
		left_ns = NS_PER_SEC;
	loop_timer_after(c->p->node->loop, &c->timer, left_ns < LOOK_NS ? left_ns : LOOK_NS);
}

/* ---- asking ---- */

static const struct {
	const char *name;
	enum tls_key_type type;
	unsigned bits;
} key_types[] = {
	{"RSA3072", TLS_KEY_RSA, 3072},
	{"RSA4096", TLS_KEY_RSA, 4096},
	{"ECDSAP256", TLS_KEY_EC_P256, 0},
	{"ECDSAP384", TLS_KEY_EC_P384, 0},
	{"ECDSAP521", TLS_KEY_EC_P521, 0},
	{"ED25519", TLS_KEY_ED25519, 0},
};

static void
key_run(void *arg)
{
	struct pod_cert *c = arg;
	struct x509_spec none = {0};
	_cleanup_buf_ struct buf pem = BUF_INIT;
	struct str rest, label = STR_NONE;
	struct tls_key *k = NULL;
	c->made = tls_key_generate_of(c->type, c->bits, &k);
	if (c->made == 0)
		c->made = tls_key_write(k, true, &c->new_key);
	if (c->made == 0)
		c->made = x509_csr_write(k, &none, &pem);
	rest = buf_view(&pem);
	buf_clear(&c->csr);
	if (c->made == 0 && !pem_next(&rest, &label, &c->csr))
		c->made = -ENOMEM;
	tls_key_free(k);
}

static void
on_created(void *arg, const struct client_result *r)
{
	struct pod_cert *c = arg;
	struct pod *p = c->p;
	struct arena *a = arena_new(1 << 20);
	struct doc *d = NULL;
	int64_t made_ns = 0;
	c->call = NULL;
	bool good = r->http == 201 && a && doc_parse_json(a, r->body, NULL, &d, NULL) == 0;
	const struct doc *meta = doc_get(d, STR("metadata"));
	if (good && str_copy_c(doc_get_str(meta, STR("name")), c->name, sizeof(c->name)) &&
		c->name[0]) {
		if (rfc3339_parse(doc_get_str(meta, STR("creationTimestamp")), &made_ns) < 0)
			made_ns = clock_wall_ns();
		c->gone_ns = made_ns + GONE_NS + jitter();
		c->phase = CERT_WAIT;
		cert_sync(c);
	} else {
		cert_again(c,
			c->has ? "while creating refresh PodCertificateRequest"
			       : "while creating initial PodCertificateRequest",
			r->e.msg);
	}
	arena_free(a);
	pod_op_end(p);
}

static void
put_member(struct buf *b, const char *name, struct str value)
{
	buf_fmt(b, "\"%s\":", name);
	doc_json_string(b, value);
	buf_char(b, ',');
}

static void
request_write(struct pod_cert *c, source_t *s, struct buf *b)
{
	struct pod *p = c->p;
	buf_fmt(b,
		"{\"apiVersion\":\"certificates.k8s.io/v1\",\"kind\":\"PodCertificateRequest\","
		"\"metadata\":{\"generateName\":\"req-\",\"namespace\":\"%s\",\"ownerReferences\":[{"
		"\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"%s\",\"uid\":\"%s\"}]},\"spec\":{",
		p->ns, p->name, p->uid);
	put_member(b, "signerName", s->signer_name);
	put_member(b, "podName", str_c(p->name));
	put_member(b, "podUID", str_c(p->uid));
	put_member(b, "serviceAccountName", p->o->spec.service_account_name);
	put_member(b, "serviceAccountUID", str_c(c->account_uid));
	put_member(b, "nodeName", p->node->name);
	put_member(b, "nodeUID", str_c(p->node->uid));
	if (s->has_max_expiration_seconds)
		buf_fmt(b, "\"maxExpirationSeconds\":%d,", (int)s->max_expiration_seconds);
	if (s->n_user_annotations)
		buf_cstr(b, "\"unverifiedUserAnnotations\":{");
	for (size_t i = 0; i < s->n_user_annotations; i++) {
		doc_json_string(b, s->user_annotations[i].key);
		buf_char(b, ':');
		doc_json_string(b, s->user_annotations[i].value);
		buf_cstr(b, i + 1 < s->n_user_annotations ? "," : "},");
	}
	buf_cstr(b, "\"stubPKCS10Request\":\"");
	base64_encode(b, buf_view(&c->csr));
	buf_cstr(b, "\"}}");
}

/* ask: one call of the API. */
static void
ask(struct pod_cert *c, enum cert_phase phase, const struct client_req *q, client_done_fn *done)
{
	c->phase = phase;
	int rc = client_call_start(c->p->node->api, q, done, c, &c->call);
	if (rc == 0)
		pod_op_begin(c->p);
	else
		cert_again(c, "asking the API", strerror(-rc));
}

static void
on_account(void *arg, const struct client_result *r)
{
	struct pod_cert *c = arg;
	struct pod *p = c->p;
	struct arena *a = arena_new(1 << 20);
	struct doc *d = NULL;
	_cleanup_buf_ struct buf body = BUF_INIT;
	source_t *s = p->o ? source_of(c) : NULL;
	c->call = NULL;
	bool good = r->http == 200 && a && doc_parse_json(a, r->body, NULL, &d, NULL) == 0 &&
		str_copy_c(doc_get_str(doc_get(d, STR("metadata")), STR("uid")), c->account_uid,
			sizeof(c->account_uid));
	if (!good || !s) {
		cert_again(c, "while fetching service account", r->e.msg);
	} else {
		request_write(c, s, &body);
		struct client_req q = {.verb = CLIENT_CREATE,
			.group = STR("certificates.k8s.io"),
			.version = STR("v1"),
			.resource = STR("podcertificaterequests"),
			.ns = str_c(p->ns),
			.body = buf_view(&body)};
		ask(c, CERT_CREATE, &q, on_created);
	}
	arena_free(a);
	pod_op_end(p);
}

static void
key_done(void *arg)
{
	struct pod_cert *c = arg;
	struct pod *p = c->p;
	if (c->made < 0) {
		cert_again(c, "while generating keypair", strerror(-c->made));
	} else {
		struct client_req q = {.verb = CLIENT_GET,
			.version = STR("v1"),
			.resource = STR("serviceaccounts"),
			.ns = str_c(p->ns),
			.name = p->o ? p->o->spec.service_account_name : STR("")};
		ask(c, CERT_ACCOUNT, &q, on_account);
	}
	pod_op_end(p);
}

static void
cert_ask(struct pod_cert *c, source_t *s)
{
	for (size_t i = 0; i < ARRAY_LEN(key_types); i++)
		if (str_eq_c(s->key_type, key_types[i].name)) {
			c->type = key_types[i].type;
			c->bits = key_types[i].bits;
		}
	wipe(&c->new_key);
	c->phase = CERT_KEY;
	if (!c->began_ns)
		c->began_ns = clock_mono_ns();
	if (loop_blocking(c->p->node->loop, key_run, key_done, c) < 0)
		cert_again(c, "while generating keypair", strerror(ENOMEM));
	else
		pod_op_begin(c->p);
}

/* ---- the answer ---- */

static void
stale(struct pod *p)
{
	p->volumes_stale = true;
	p->setup = (struct backoff){0};
	pod_sync_later(p);
}

static void
cert_final(struct pod_cert *c, const char *what, const char *type, struct str reason,
	struct str message)
{
	struct pod *p = c->p;
	bool denied = str_eq_c(str_c(what), "denied");
	c->final = what;
	c->phase = CERT_IDLE;
	snprintf(c->why, sizeof(c->why),
		"PodCertificateRequest was permanently %s: reason=\"" STR_FMT
		"\" message=\"" STR_FMT "\"",
		what, STR_ARG(reason), STR_ARG(message));
	pod_event(p, NULL, "Warning", type,
		"PodCertificateRequest %s/%s %s, reason=\"" STR_FMT "\", message=\"" STR_FMT "\"",
		p->ns, c->name, denied ? "was denied" : "failed", STR_ARG(reason),
		STR_ARG(message));
	wipe(&c->key);
	wipe(&c->new_key);
	c->has = false;
	loop_timer_cancel(&c->timer);
	stale(p);
}

/* chain_clean: the certificates and nothing else. */
static void
chain_clean(struct buf *out, struct str pem)
{
	_cleanup_buf_ struct buf der = BUF_INIT;
	struct str label = STR_NONE;
	for (buf_clear(out); pem_next(&pem, &label, &der); buf_clear(&der))
		pem_write(STR("CERTIFICATE"), buf_view(&der), out);
}

static void
cert_issued(struct pod_cert *c, request_t *r)
{
	wipe(&c->key);
	c->key = c->new_key;
	c->new_key = (struct buf)BUF_INIT;
	chain_clean(&c->chain, r->status.certificate_chain);
	c->has = true;
	c->phase = CERT_IDLE;
	c->retry_ns = 0;
	c->refresh_ns = r->status.begin_refresh_at + jitter();
	c->until_ns = r->status.not_after;
	c->overdue_told = c->expired_told = false;
	look_at(c, c->refresh_ns);
	stale(c->p);
}

/* cert_look: what became of the request. */
static void
cert_look(struct pod_cert *c)
{
	_cleanup_buf_ struct buf key = BUF_INIT;
	buf_fmt(&key, "%s/%s", c->p->ns, c->name);
	const struct informer_obj *o = informer_get(c->p->node->requests, buf_view(&key));
	request_t *r = o ? o->obj : NULL;
	if (!r && clock_wall_ns() > c->gone_ns) {
		cert_again(c, c->name, "appears to have been deleted");
		return;
	}
	look_at(c, INT64_MAX / 2);
	for (size_t i = 0; r && i < r->status.n_conditions; i++) {
		const struct meta_v1_condition *x = &r->status.conditions[i];
		if (str_eq(x->type, STR("Denied")))
			cert_final(c, "denied", "Denied", x->reason, x->message);
		else if (str_eq(x->type, STR("Failed")))
			cert_final(c, "failed", "Failed", x->reason, x->message);
		else if (str_eq(x->type, STR("Issued")))
			cert_issued(c, r);
		else
			continue;
		return;
	}
}

/* cert_times: events of a certificate that should have been refreshed. */
static void
cert_times(struct pod_cert *c, int64_t now_ns)
{
	if (now_ns > c->refresh_ns + OVERDUE_NS && !c->overdue_told) {
		c->overdue_told = true;
		pod_event(c->p, NULL, "Warning", "CertificateOverdueForRefresh",
			"PodCertificate refresh overdue");
	}
	if (now_ns > c->until_ns && !c->expired_told) {
		c->expired_told = true;
		pod_event(c->p, NULL, "Warning", "CertificateExpired", "PodCertificate expired");
	}
}

static void
cert_sync(struct pod_cert *c)
{
	struct pod *p = c->p;
	int64_t now_ns = clock_wall_ns();
	source_t *s = p->o ? source_of(c) : NULL;
	if (p->stopping && c->phase != CERT_KEY) {
		wipe(&c->key);
		wipe(&c->new_key);
		c->has = false;
	}
	if (c->final || p->stopping || !s)
		return;
	if (c->phase == CERT_WAIT) {
		cert_look(c);
		if (c->phase != CERT_WAIT)
			return;
	}
	if (c->has)
		cert_times(c, now_ns);
	if (c->phase != CERT_IDLE)
		return;
	if (c->has && now_ns < c->refresh_ns)
		look_at(c, c->refresh_ns);
	else if (!informer_synced(p->node->requests) || !p->node->uid[0])
		loop_timer_after(p->node->loop, &c->timer, RETRY_MIN_NS);
	else
		cert_ask(c, s);
}

static void
on_timer(struct loop_timer *t)
{
	cert_sync(t->arg);
}

/* ---- pods ---- */

static void
on_request(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct node *n = arg;
	request_t *r = (new_ ? new_ : old)->obj;
	struct pod *p = map_get(&n->pods, r->spec.pod_uid);
	for (struct pod_cert *c = p ? p->certs : NULL; c; c = c->next)
		if (c->phase == CERT_WAIT)
			cert_sync(c);
}

static struct pod_cert *
cert_find(struct pod *p, struct str volume, size_t source)
{
	for (struct pod_cert *c = p->certs; c; c = c->next)
		if (c->source == source && str_eq_c(volume, c->volume))
			return c;
	return NULL;
}

static int
requests_watch(struct node *n)
{
	_cleanup_buf_ struct buf sel = BUF_INIT;
	buf_fmt(&sel, "spec.nodeName=" STR_FMT, STR_ARG(n->name));
	struct informer_spec spec = {.group = STR("certificates.k8s.io"),
		.version = STR("v1"),
		.resource = STR("podcertificaterequests"),
		.field_selector = buf_view(&sel),
		.type = SCHEMA_TYPE_OF(certificates_v1_pod_certificate_request),
		.on_change = on_request,
		.arg = n};
	return n->requests ? 0 : informer_new(n->api, &spec, &n->requests);
}

static void
cert_want(struct pod *p, struct str volume, size_t source)
{
	if (cert_find(p, volume, source))
		return;
	struct pod_cert *c = requests_watch(p->node) == 0 ? calloc(1, sizeof(*c)) : NULL;
	if (!c)
		return; /* the next sync tries again */
	*c = (struct pod_cert){
		.next = p->certs, .p = p, .source = source, .volume = strndup(volume.p, volume.n)};
	c->timer = (struct loop_timer){.fn = on_timer, .arg = c};
	if (!c->volume) {
		free(c);
		return;
	}
	p->certs = c;
	cert_sync(c);
}

void
pod_certificates_want(struct pod *p)
{
	const struct core_v1_pod_spec *s = &p->o->spec;
	for (size_t i = 0; i < s->n_volumes; i++) {
		const struct core_v1_projected_volume_source *v = s->volumes[i].projected;
		for (size_t k = 0; v && k < v->n_sources; k++)
			if (v->sources[k].pod_certificate)
				cert_want(p, s->volumes[i].name, k);
	}
}

int
pod_certificate_get(struct pod *p, struct str volume, size_t source, struct str *ret_key,
	struct str *ret_chain, struct err *e)
{
	struct pod_cert *c = cert_find(p, volume, source);
	if (c && c->final)
		return err_set(e, -EACCES, R_UNKNOWN, "%s", c->why);
	if (c && c->has) {
		*ret_key = buf_view(&c->key);
		*ret_chain = buf_view(&c->chain);
		return 0;
	}
	/* A signer that is there needs a moment: not each start is worth an event. */
	int64_t since_ns = c && c->began_ns ? clock_mono_ns() - c->began_ns : 0;
	if (since_ns < QUIET_NS) {
		pod_wake_in(p, QUIET_NS - since_ns + NS_PER_MS);
		return -EAGAIN;
	}
	return err_set(e, -EBUSY, R_UNKNOWN, "credential bundle is not issued yet");
}

void
pod_certificates_free(struct pod *p)
{
	while (p->certs) {
		struct pod_cert *c = p->certs;
		p->certs = c->next;
		if (c->call)
			client_call_cancel(c->call);
		loop_timer_cancel(&c->timer);
		wipe(&c->key);
		wipe(&c->new_key);
		buf_release(&c->chain);
		buf_release(&c->csr);
		free(c->volume);
		free(c);
	}
}
