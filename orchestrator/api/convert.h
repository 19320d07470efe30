/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * convert: objects of custom resources between the versions of their definition. Private to the folder.
 *
 * Objects are stored in the storage version of the time of their write; an attribute beside the value says which.
 * Conversion None is done in place (object_convert, value_body). Conversion by webhook is asked for here: any number of
 * objects in one ConversionReview, while the request waits and nothing else does.
 *
 *   convert.c         what must be converted, one question, and a stage that waits for it
 *   convert_review.c  the review as bytes, and what is taken of the answer
 *
 * Invariants: of metadata only labels and annotations change; what comes back is pruned by the schema of its version;
 * an object that is in the version asked for is not sent.
 * Source: apiextensions-apiserver pkg/apiserver/conversion (behaviour, texts); KEP-598. */
#ifndef ORCHESTRATOR_API_CONVERT_H
#define ORCHESTRATOR_API_CONVERT_H

#include "orchestrator/api/custom.h"
#include "orchestrator/api/hook_int.h"

/* How a definition converts; NULL in struct custom = None. */
struct custom_hook {
	struct hook_target to;
	struct tls_ctx *tls; /* NULL: tls_error says why not */
	struct err tls_error;
	const char *
		review; /* version of ConversionReview: "v1", "v1beta1"; NULL: none that is known */
};

struct convert_item {
	const struct api_resource
		*from;   /* whose form doc has; NULL: a version nobody knows, see apiVersion */
	struct doc *doc; /* becomes the object in the form asked for */
};

/* ---- what is stored ---- */

/* convert_asks: is a webhook to be asked before v is an object of res? */
bool convert_asks(const struct api_resource *res, const struct store_value *v);
/* convert_hooked: its definition has a webhook. */
static inline bool
convert_hooked(const struct api_resource *res)
{
	return res->custom && res->custom->hook;
}
/* convert_stored: an object of res that is to be converted before it is stored, or after. */
static inline bool
convert_stored(const struct api_resource *res)
{
	return convert_hooked(res) && res->stored != res;
}
/* convert_written: the row of the version a value was written in; the storage row for those without the attribute.
 * NULL: the definition has no such version any more. */
const struct api_resource *convert_written(const struct api_resource *res, struct str attrs);
/* convert_attr: the attribute that says so. */
void convert_attr(struct buf *attrs, const struct api_resource *stored);
/* convert_item_of: a stored value as it was written: kind and apiVersion of its version, pruned and defaulted by it.
 * The tree borrows v->body. doc NULL = damaged or no memory. */
struct convert_item convert_item_of(
	struct arena *a, const struct api_resource *res, const struct store_value *v);
/* convert_item_body: the same for a body in the form of row `from`. */
struct convert_item convert_item_body(
	struct arena *a, const struct api_resource *from, struct str body);

/* ---- one question ---- */

struct conversion {
	struct arena *a; /* all that is made */
	struct request *r;
	const struct api_resource *to;
	struct convert_item *items;
	size_t n;
	void (*done)(struct conversion *c);
	void *arg;
	/* its own */
	struct request own; /* for the call: its memory is a */
	struct hook_post post;
	struct str uid;
	size_t asked;
	struct str error; /* upstream's text; not set: all items are in the form of `to` */
	bool over;
};
/* conversion_start: c zeroed but for a, r, to, items, n, done, arg. done(c) once, never within this; over = true
 * when it returns: done is not called. */
void conversion_start(struct conversion *c);
void conversion_cancel(struct conversion *c);

/* ---- a stage that waits ---- */

struct convert_wait {
	struct stream stream;
	struct conversion c;
	void *of; /* the stage's own */
	bool gone;
};
/* convert_ask: NEXT: the items are converted, what they became is in a. WAIT: r->stage_state is *ret; the stage is
 * entered again and calls convert_take. REPLY: it failed. */
enum step convert_ask(struct request *r, struct arena *a, const struct api_resource *to,
	struct convert_item *items, size_t n, struct convert_wait **ret);
enum step convert_take(struct request *r, struct convert_wait *w);
/* convert_selects: does the selection choose an object of res? */
bool convert_selects(struct arena *a, const struct selection *sel, const struct api_resource *res,
	const struct doc *d);
/* convert_may_select: could it, before the object is converted? Only names stay what they are. */
bool convert_may_select(const struct selection *sel, struct str attrs);
/* convert_fail: answers a conversion's error. */
enum step convert_fail(struct request *r, struct str error);

/* ---- reviews ---- */

/* convert_review_write: the ConversionReview for the items that are not in the form of `to`. arena; STR_NONE = failed.
 * *ret_asked: how many those are. */
struct str convert_review_write(struct arena *a, const char *review, struct str uid,
	const struct api_resource *to, const struct convert_item *items, size_t n,
	size_t *ret_asked);
/* convert_answer_parse: the converted objects of an answer, unchecked: a list, borrows body. -EINVAL: *ret_why is
 * upstream's text. Fuzz: tests/fuzz/convert_fuzz.c. */
int convert_answer_parse(struct arena *a, struct str body, struct str uid, const char *review,
	const struct doc **ret, struct str *ret_why);
/* convert_answer_take: one of them instead of what was sent: checked, with the metadata that was sent but for labels
 * and annotations. -EINVAL: *ret_why. index < 0: it was alone. */
int convert_answer_take(struct arena *a, struct str api_version, ptrdiff_t index,
	const struct doc *sent, const struct doc *answer, struct doc **ret, struct str *ret_why);

#endif
