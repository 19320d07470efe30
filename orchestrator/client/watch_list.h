/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * watch_list: one resource of all namespaces, kept in sight for as long as its owner lives: a watch that begins
 * with everything there is, and a second after it ended begins so again. For controllers that keep documents of
 * few objects, of kinds an informer has no struct for; the owner decides what it keeps of them (kept_doc, below).
 *
 *   begin -> event ... -> complete -> event ... -> (the watch ended) -> begin -> ...
 *
 * Source: KEP-3157 (watch-list). */
#ifndef ORCHESTRATOR_CLIENT_WATCH_LIST_H
#define ORCHESTRATOR_CLIENT_WATCH_LIST_H

#include "base/hash.h"
#include "orchestrator/client/client.h"

struct watch_list_fns {
	/* begin: what is there comes anew from here on: what was kept is to be forgotten, now or (objects that
	 * did not come again) in complete. */
	void (*begin)(void *arg);
	/* event: added, modified, deleted; object as of a watch, borrowed. */
	void (*event)(void *arg, enum client_event ev, struct str object);
	/* complete: all there was has come: nothing is missing by chance. Once after each begin; may be NULL. */
	void (*complete)(void *arg);
};

/* Embedded in its owner. Zeroed is stopped. */
struct watch_list {
	struct client *c;
	const char *group, *resource; /* of v1; "" = core */
	const struct watch_list_fns *fns;
	void *arg;
	struct client_watch *watch;
	struct loop_timer again;
	bool initial; /* between begin and complete */
};

/* watch_list_start: calls begin; events come in later turns of the client's loop. All pointers are kept. A watch that
 * cannot be started (no memory) is tried again like one that ended. */
void watch_list_start(struct watch_list *w, struct client *c, const char *group,
	const char *resource, const struct watch_list_fns *fns, void *arg);
void watch_list_stop(struct watch_list *w); /* nothing is called any more; stopped is allowed */
bool watch_list_runs(const struct watch_list *w);

/* ---- what is kept of an object ---- */
struct kept_doc {
	struct arena *a; /* holds all of it */
	struct str name; /* its metadata.name */
	struct doc *d;
};
/* kept_doc_new: the whole object; object is borrowed. Returns owned; NULL = no memory, or nothing that has a name. */
struct kept_doc *kept_doc_new(struct str object);
void kept_doc_free(struct kept_doc *x); /* NULL allowed */
/* kept_docs_clear: frees all of a map name -> struct kept_doc; it is empty afterwards and may be used again. */
void kept_docs_clear(struct map *m);

#endif
