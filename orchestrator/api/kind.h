/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * kind: what orchestrator/kinds gives the API server: per-kind functions and admission plugins, in
 * ordered const tables. A kind without a row works by its schema alone.
 *
 * Order of a write (each line one stage, see pipeline.c):
 *   create: decode, default, metadata -> admission (mutate) -> default again -> prepare_create
 *           -> schema rules, validate_create -> admission (validate) -> before_commit -> commit
 *   update: decode or patch over the stored object -> metadata -> admission (mutate) -> default again
 *           -> prepare_update -> schema rules, validate_update -> admission (validate) -> before_commit
 *   status: as update with the main object's spec and metadata kept: prepare_status, validate_status
 *   delete: admission (validate) -> before_delete -> commit
 *   connect (exec, log, proxy...): admission (validate) with verb create or get and r->sub set
 * What the pipeline does by itself: metadata.{name,generateName,namespace,uid,creationTimestamp,
 * generation,deletion*,resourceVersion}, status reset on create (SCHEMA_KIND_STATUS_RESET) and kept on
 * update for kinds with a status subresource, everything but status and metadata kept on status
 * writes, generation raised when anything but metadata and status changed (SCHEMA_KIND_GENERATION),
 * create on update and unconditional update as the schema says, finalizers, graceful deletion
 * bookkeeping, RBAC escalation checks.
 *
 * Invariants: functions run on the request's loop, never block, change r->obj only (prepare_*, mutating
 * admission). A function is called again when a write starts over after a conflict: it must be a function
 * of its inputs. Trees are documents with kind and apiVersion.
 * Source: k8s.io/apiserver registry/rest (BeforeCreate, BeforeUpdate, BeforeDelete), admission. */
#ifndef ORCHESTRATOR_API_KIND_H
#define ORCHESTRATOR_API_KIND_H

#include "orchestrator/api/request.h"

struct kind_ops {
	const char *group;    /* "" = core */
	const char *resource; /* plural */

	/* What reading an object of the kind makes of it (Go's conversions), before it is compared with what
	 * is stored. Not called for bodies of other kinds (Scale). */
	void (*convert)(struct request *r, struct doc *obj);

	/* For a version that is not the stored one: makes d of it the stored form, or of that this version's, but for kind
	 * and apiVersion. Members of d are replaced, not changed: others may borrow them. arena. */
	void (*between)(struct arena *a, struct doc *d, bool to_stored);

	/* Defaults depend on what prepare_* adds: they are applied once more behind it. */
	bool default_again;

	/* Set, drop or correct fields before validation. */
	void (*prepare_create)(struct request *r, struct doc *obj);
	void (*prepare_update)(struct request *r, struct doc *obj, const struct doc *old);
	void (*prepare_status)(struct request *r, struct doc *obj, const struct doc *old);

	/* Add causes beyond what the schema's rules found: schema_err_required(&r->causes, ...). */
	void (*validate_create)(struct request *r, const struct doc *obj);
	void (*validate_update)(struct request *r, const struct doc *obj, const struct doc *old);
	void (*validate_status)(struct request *r, const struct doc *obj, const struct doc *old);

	/* Add warnings (request_warn) on create and update; old NULL on create. */
	void (*warn)(struct request *r, const struct doc *obj, const struct doc *old);

	/* before_commit: last word before the transaction; may add parts (request_part), change obj
	 * (allocated addresses) or answer. old NULL = create, obj NULL = the object goes for good.
	 * Called on every write of the main object, also when finalizers let a deleted one go.
	 * Dry run: called too, nothing of it is committed. */
	enum step (*before_commit)(struct request *r, struct doc *obj, const struct doc *old);
	/* after_commit: the write is durable; side effects within this process only. */
	void (*after_commit)(struct request *r, const struct doc *obj, const struct doc *old);

	/* before_delete: a first deletion of old. May answer (namespaces, protected objects). *grace_s is
	 * what the caller asked for (< 0: nothing) and becomes what is used: > 0 = the object stays with a
	 * deletionTimestamp until it is deleted with 0. NULL: 0 always. */
	enum step (*before_delete)(struct request *r, const struct doc *old, int64_t *grace_s);

	/* mark_deleted: a first deletion leaves obj (a copy of what is stored) there for now: what else is
	 * written with it. Finalizers added here hold it. */
	void (*mark_deleted)(struct request *r, struct doc *obj);
	/* marks_time_only: a deletion that is held says when it was, but no grace period, and is no generation. */
	bool marks_time_only;

	/* name_ok: extra rule for metadata.name beyond the schema's; NULL text = good. */
	const char *(*name_ok)(struct str name);
};

/* Subresources with a way of their own: POST/GET/PUT/... on .../name/sub arrive here after
 * authorization with the body decoded as the subresource's own kind (r->obj, NULL when it has none). */
struct kind_subresource {
	const char *group, *resource, *sub;
	unsigned verbs; /* VERB_BIT(...) */
	enum step (*serve)(struct request *r);
};

/* Resources that are not stored (reviews): create arrives here with r->obj decoded and defaulted. */
struct kind_virtual {
	const char *group, *resource;
	unsigned verbs;
	enum step (*serve)(struct request *r);
};

enum admission_op {
	ADMIT_CREATE = 1 << 0,
	ADMIT_UPDATE = 1 << 1,
	ADMIT_DELETE = 1 << 2,
	ADMIT_CONNECT = 1 << 3,
};
/* A plugin sees requests whose op is in `ops` and whose resource matches (NULL = every one). sub:
 * NULL = the object itself only, "*" = all subresources and the object, else that subresource. In
 * order of the table. A plugin may WAIT (webhooks); it is then called again with r->stage_state as it
 * left it. request_op gives the operation: patch is an update, create-on-update a create. */
struct admission_plugin {
	const char *name; /* "NamespaceLifecycle" */
	unsigned ops;
	const char *group, *resource, *sub;
	enum step (*admit)(struct request *r);
};
enum admission_op request_op(const struct request *r);
/* Plugins of the API server itself: policies and webhooks. */
enum step admit_mutating_policies(struct request *r);
enum step admit_validating_policies(struct request *r);
enum step admit_mutating_webhooks(struct request *r);
enum step admit_validating_webhooks(struct request *r);

/* crd_condition_set: a condition of a CustomResourceDefinition; its transition time changes with its status.
 * text is kept as given. */
void crd_condition_set(struct arena *a, struct doc *crd, int64_t wall_ns, const char *type,
	const char *status, const char *reason, struct str text);

struct kind_tables {
	const struct kind_ops *const *kinds;
	size_t n_kinds;
	const struct kind_subresource *subs;
	size_t n_subs;
	const struct kind_virtual *virtuals;
	size_t n_virtuals;
	const struct admission_plugin *mutating;
	size_t n_mutating;
	const struct admission_plugin *validating;
	size_t n_validating;
};

#endif
