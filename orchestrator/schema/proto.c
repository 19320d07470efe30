/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * proto: protobuf bodies -> documents, by the numbers of the kind files. Clients since 1.32 send them for all
 * built-in kinds. Inlined Go structs stand in nested messages (schema_type.inlines) whose members
 * belong to the outer object; Quantity, Time, IntOrString, raw JSON have messages of their own.
 *
 * Invariants: depth, nodes and text encoding are bounded and checked here, as the JSON parser does it.
 * Unknown numbers are skipped (newer clients). Zero values that gogo always writes stay: schema_order drops them.
 * Source: protobuf encoding; k8s.io/apimachinery runtime.Unknown ("k8s\0"), generated.proto numbers. */
#include "base/clock.h"
#include "base/hash.h"
#include "orchestrator/schema/schema_int.h"

#define MAX_NODES 1000000

struct unpack {
	struct arena *a;
	struct err *e;
	size_t nodes;
};

static int
bad(struct unpack *u, const char *what)
{
	return err_set(u->e, -EINVAL, R_BAD_REQUEST, "proto: %s", what);
}

bool
schema_is_proto(struct str body)
{
	return str_starts(body, str_from("k8s\0", 4));
}

int
schema_proto_envelope(struct str body, struct str *ret_api_version, struct str *ret_kind,
	struct str *ret_raw, struct err *e)
{
	struct str version = STR_NONE, kind = STR_NONE, raw = STR("");
	struct proto_field f = {0}, m = {0};
	struct reader r = {0}, inner = {0};
	int got = 0;

	if (!schema_is_proto(body))
		return err_set(e, -EINVAL, R_BAD_REQUEST,
			"provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]");
	r = reader_of(str_sub(body, 4, SIZE_MAX));
	while ((got = proto_next(&r, &f)) == 1) {
		if (f.number == 2 && f.wire == PROTO_LEN)
			raw = f.bytes;
		if (f.number == 3 && f.wire == PROTO_LEN && f.bytes.n)
			return err_set(e, -EINVAL, R_BAD_REQUEST,
				"unable to decode an encoded protobuf body");
		if (f.number != 1 || f.wire != PROTO_LEN)
			continue;
		inner = reader_of(f.bytes);
		while ((got = proto_next(&inner, &m)) == 1) {
			if (m.wire == PROTO_LEN && m.number == 1)
				version = m.bytes;
			if (m.wire == PROTO_LEN && m.number == 2)
				kind = m.bytes;
		}
		if (got < 0)
			break;
	}
	if (got < 0 || !str_is_utf8(version) || !str_is_utf8(kind))
		return err_set(e, -EINVAL, R_BAD_REQUEST, "proto: malformed envelope");
	*ret_api_version = version;
	*ret_kind = kind;
	*ret_raw = raw;
	return 0;
}

/* node: counts what is made. */
static int
node(struct unpack *u, struct doc *d)
{
	if (d == NULL)
		return -ENOMEM;
	if (++u->nodes > MAX_NODES)
		return err_set(u->e, -E2BIG, R_REQUEST_ENTITY_TOO_LARGE,
			"the document has too many values");
	return 0;
}

static int unpack_message(struct unpack *u, const struct schema_type *t, struct str raw,
	struct doc *into, size_t depth);

/* only_bytes: the bytes of field `number` of a message with one field (Quantity, RawExtension...). */
static int
only_bytes(struct unpack *u, struct str msg, uint32_t number, struct str *ret)
{
	struct reader r = reader_of(msg);
	struct proto_field f = {0};
	int got = 0;

	*ret = STR_NONE;
	while ((got = proto_next(&r, &f)) == 1)
		if (f.number == number && f.wire == PROTO_LEN)
			*ret = f.bytes;
	return got < 0 ? bad(u, "malformed message") : 0;
}

static int
unpack_time(struct unpack *u, struct str msg, int digits, struct doc **ret)
{
	struct reader r = reader_of(msg);
	struct proto_field f = {0};
	int64_t seconds = 0, nanos = 0;
	bool any = false;
	char out[40];
	int got = 0;

	while ((got = proto_next(&r, &f)) == 1) {
		if (f.wire != PROTO_VARINT)
			continue;
		if (f.number == 1) {
			seconds = (int64_t)f.value;
			any = true;
		} else if (f.number == 2) {
			nanos = (int64_t)(int32_t)f.value;
		}
	}
	if (got < 0)
		return bad(u, "malformed time");
	if (!any || seconds == -62135596800) { /* Go's zero time */
		*ret = doc_null(u->a);
		return node(u, *ret);
	}
	/* The years 1 to 9999. */
	if (seconds < -62135596800 || seconds > 253402300799 || nanos < 0 || nanos >= NS_PER_SEC)
		return bad(u, "time out of range");
	*ret = doc_str(u->a,
		arena_str(u->a, str_from(out, rfc3339_format_sec(seconds, nanos, digits, out))));
	return node(u, *ret);
}

static int
unpack_intstr(struct unpack *u, struct str msg, struct doc **ret)
{
	struct reader r = reader_of(msg);
	struct proto_field f = {0};
	uint64_t type = 0;
	int32_t i = 0;
	struct str s = STR("");
	int got = 0;

	while ((got = proto_next(&r, &f)) == 1) {
		if (f.number == 1 && f.wire == PROTO_VARINT)
			type = f.value;
		else if (f.number == 2 && f.wire == PROTO_VARINT)
			i = (int32_t)f.value;
		else if (f.number == 3 && f.wire == PROTO_LEN)
			s = f.bytes;
	}
	if (got < 0 || !str_is_utf8(s))
		return bad(u, "malformed IntOrString");
	*ret = type == 1 ? doc_str(u->a, s) : doc_int(u->a, i);
	return node(u, *ret);
}

static int
unpack_json(struct unpack *u, struct str msg, struct doc **ret)
{
	struct doc_limits lim = {.max_nodes = MAX_NODES};
	struct str raw = STR_NONE;
	int r = only_bytes(u, msg, 1, &raw);

	if (r != 0)
		return r;
	if (raw.n == 0) {
		*ret = doc_null(u->a);
		return node(u, *ret);
	}
	r = doc_parse_json(u->a, raw, &lim, ret, u->e);
	return r == 0 ? node(u, *ret) : r;
}

static int
unpack_struct(struct unpack *u, const struct schema_type *t, struct str msg, size_t depth,
	struct doc **ret)
{
	struct doc *d = doc_map(u->a);
	int r = node(u, d);

	if (r == 0)
		r = unpack_message(u, t, msg, d, depth + 1);
	*ret = d;
	return r;
}

/* unpack_union: JSONSchemaPropsOr{Bool,Array,StringArray}. */
static int
unpack_union(struct unpack *u, const struct schema_field *f, struct str msg, size_t depth,
	struct doc **ret)
{
	uint32_t object = f->form == SCHEMA_OR_BOOL ? 2 : 1;
	struct reader r = reader_of(msg);
	struct proto_field p = {0};
	struct doc *list = NULL, *d = NULL;
	bool allows = false;
	int got = 0, rc = 0;

	while ((got = proto_next(&r, &p)) == 1) {
		struct doc *item = NULL;

		if (f->form == SCHEMA_OR_BOOL && p.number == 1 && p.wire == PROTO_VARINT) {
			allows = p.value != 0;
		} else if (p.number == object && p.wire == PROTO_LEN) {
			rc = unpack_struct(u, f->type, p.bytes, depth, &d);
		} else if (p.number == 2 && p.wire == PROTO_LEN) {
			if (list == NULL)
				list = doc_list(u->a);
			if (f->form == SCHEMA_OR_LIST)
				rc = unpack_struct(u, f->type, p.bytes, depth, &item);
			else
				rc = node(u, item = doc_str(u->a, p.bytes));
			if (rc == 0 && list)
				doc_append(list, item);
		}
		if (rc != 0)
			return rc;
	}
	if (got < 0)
		return bad(u, "malformed message");
	*ret = d                            ? d
		: f->form == SCHEMA_OR_BOOL ? doc_bool(u->a, allows)
		: list                      ? list
					    : doc_list(u->a);
	return node(u, *ret);
}

/* unpack_text: forms that are a string field of their own or of a one-field message. */
static int
unpack_text(struct unpack *u, const struct schema_field *f, struct str bytes, struct doc **ret)
{
	struct buf b;

	if (f->form == SCHEMA_QUANTITY) {
		struct str s = STR_NONE;
		int r = only_bytes(u, bytes, 1, &s);

		if (r != 0)
			return r;
		bytes = s.n ? s : STR("0");
	}
	if (f->form == SCHEMA_BYTES) {
		buf_init_arena(&b, u->a);
		base64_encode(&b, bytes);
		if (b.failed)
			return -ENOMEM;
		bytes = buf_view(&b);
	} else if (!str_is_utf8(bytes)) {
		return bad(u, "a string is not UTF-8");
	}
	*ret = doc_str(u->a, bytes);
	return node(u, *ret);
}

static int
unpack_duration(struct unpack *u, struct str msg, struct doc **ret)
{
	struct reader r = reader_of(msg);
	struct proto_field f = {0};
	int64_t ns = 0;
	char out[48];
	int got = 0;

	while ((got = proto_next(&r, &f)) == 1)
		if (f.number == 1 && f.wire == PROTO_VARINT)
			ns = (int64_t)f.value;
	if (got < 0)
		return bad(u, "malformed duration");
	*ret = doc_str(u->a, arena_str(u->a, str_from(out, duration_format(ns, out))));
	return node(u, *ret);
}

/* unpack_one: one value; *ret stays NULL when the wire type does not fit (skipped). */
static int
unpack_one(struct unpack *u, const struct schema_field *f, const struct proto_field *p,
	size_t depth, struct doc **ret)
{
	double d = 0;

	switch ((enum schema_form)f->form) {
	case SCHEMA_BOOL:
		if (p->wire != PROTO_VARINT)
			return bad(u, "wrong wire type");
		*ret = doc_bool(u->a, p->value != 0);
		return node(u, *ret);
	case SCHEMA_INT32:
	case SCHEMA_INT64:
		if (p->wire != PROTO_VARINT)
			return bad(u, "wrong wire type");
		*ret = doc_int(u->a,
			f->form == SCHEMA_INT32 ? (int64_t)(int32_t)p->value : (int64_t)p->value);
		return node(u, *ret);
	case SCHEMA_DOUBLE:
		if (p->wire != PROTO_I64)
			return bad(u, "wrong wire type");
		memcpy(&d, &p->value, sizeof(d));
		if (d != d || d - d != 0)
			return bad(u, "a number is not finite");
		*ret = doc_double(u->a, d);
		return node(u, *ret);
	default:
		break;
	}
	if (p->wire != PROTO_LEN)
		return bad(u, "wrong wire type");
	switch ((enum schema_form)f->form) {
	case SCHEMA_STRING:
	case SCHEMA_BYTES:
	case SCHEMA_QUANTITY:
		return unpack_text(u, f, p->bytes, ret);
	case SCHEMA_TIME:
		return unpack_time(u, p->bytes, 0, ret);
	case SCHEMA_MICROTIME:
		return unpack_time(u, p->bytes, 6, ret);
	case SCHEMA_DURATION:
		return unpack_duration(u, p->bytes, ret);
	case SCHEMA_INTSTR:
		return unpack_intstr(u, p->bytes, ret);
	case SCHEMA_ANY:
	case SCHEMA_OBJECT:
		return unpack_json(u, p->bytes, ret);
	case SCHEMA_STRUCT:
		return unpack_struct(u, f->type, p->bytes, depth, ret);
	default:
		return unpack_union(u, f, p->bytes, depth, ret);
	}
}

/* unpack_packed: repeated numbers in one block. */
static int
unpack_packed(struct unpack *u, const struct schema_field *f, struct str bytes, struct doc *list)
{
	struct reader r = reader_of(bytes);

	while (r.n && !r.bad) {
		struct proto_field p = {
			.wire = f->form == SCHEMA_DOUBLE ? PROTO_I64 : PROTO_VARINT};
		struct doc *item = NULL;
		int rc = 0;

		p.value = f->form == SCHEMA_DOUBLE ? reader_le64(&r) : reader_varint(&r);
		if (r.bad)
			break;
		rc = unpack_one(u, f, &p, 0, &item);
		if (rc != 0)
			return rc;
		doc_append(list, item);
	}
	return r.bad ? bad(u, "malformed packed list") : 0;
}

static int
unpack_list(struct unpack *u, const struct schema_field *f, const struct proto_field *p,
	size_t depth, struct doc *list)
{
	bool number = f->form == SCHEMA_BOOL || f->form == SCHEMA_INT32 ||
		f->form == SCHEMA_INT64 || f->form == SCHEMA_DOUBLE;
	struct doc *item = NULL;
	int rc = 0;

	if (number && p->wire == PROTO_LEN)
		return unpack_packed(u, f, p->bytes, list);
	rc = unpack_one(u, f, p, depth, &item);
	if (rc == 0)
		doc_append(list, item);
	return rc;
}

/* unpack_wrapped: a list that protobuf holds in a message {1: items}. */
static int
unpack_wrapped(struct unpack *u, const struct schema_field *f, struct str msg, size_t depth,
	struct doc *list)
{
	struct reader r = reader_of(msg);
	struct proto_field p = {0};
	int got = 0, rc = 0;

	while (rc == 0 && (got = proto_next(&r, &p)) == 1)
		if (p.number == 1)
			rc = unpack_list(u, f, &p, depth, list);
	return rc != 0 ? rc : got < 0 ? bad(u, "malformed message") : 0;
}

static int
unpack_entry(struct unpack *u, const struct schema_field *f, struct str msg, size_t depth,
	struct doc *map)
{
	struct reader r = reader_of(msg);
	struct proto_field p = {0};
	struct str key = STR("");
	struct doc *value = NULL;
	int got = 0, rc = 0;

	while (rc == 0 && (got = proto_next(&r, &p)) == 1) {
		if (p.number == 1 && p.wire == PROTO_LEN) {
			key = p.bytes;
		} else if (p.number == 2 && f->shape == SCHEMA_MAP_OF_LISTS &&
			p.wire == PROTO_LEN) {
			value = doc_list(u->a);
			rc = node(u, value);
			if (rc == 0)
				rc = unpack_wrapped(u, f, p.bytes, depth, value);
		} else if (p.number == 2) {
			value = NULL;
			rc = unpack_one(u, f, &p, depth, &value);
		}
	}
	if (rc != 0)
		return rc;
	if (got < 0 || !str_is_utf8(key))
		return bad(u, "malformed map entry");
	if (value == NULL) {
		struct proto_field zero = {.number = 2, .wire = PROTO_LEN, .bytes = STR_INIT("")};

		if (f->form == SCHEMA_BOOL || f->form == SCHEMA_INT32 || f->form == SCHEMA_INT64)
			zero.wire = PROTO_VARINT;
		value = doc_null(u->a);
		rc = f->shape == SCHEMA_MAP ? unpack_one(u, f, &zero, depth, &value)
					    : node(u, value);
		if (rc != 0)
			return rc;
	}
	value->key = key;
	doc_append(map, value);
	return 0;
}

/* member: the list or map a repeated field collects in. */
static struct doc *
member(struct unpack *u, const struct schema_field *f, struct doc *into)
{
	struct doc *d = doc_get(into, schema_field_name(f));

	if (d && (d->type == DOC_LIST || d->type == DOC_MAP))
		return d;
	d = f->shape == SCHEMA_LIST ? doc_list(u->a) : doc_map(u->a);
	if (node(u, d) != 0)
		return NULL;
	doc_set(into, schema_field_name(f), d);
	return d;
}

static int
unpack_field(struct unpack *u, const struct schema_field *f, const struct proto_field *p,
	struct doc *into, size_t depth)
{
	struct doc *d = NULL;
	int rc = 0;

	if (f->shape == SCHEMA_ONE) {
		rc = unpack_one(u, f, p, depth, &d);
		if (rc == 0 && d)
			doc_set(into, schema_field_name(f), d);
		return rc;
	}
	d = member(u, f, into);
	if (d == NULL)
		return arena_failed(u->a) ? -ENOMEM : -E2BIG;
	if (f->shape == SCHEMA_LIST && (f->flags & SCHEMA_WRAPPED))
		return p->wire == PROTO_LEN ? unpack_wrapped(u, f, p->bytes, depth, d)
					    : bad(u, "wrong wire type");
	if (f->shape == SCHEMA_LIST)
		return unpack_list(u, f, p, depth, d);
	return p->wire == PROTO_LEN ? unpack_entry(u, f, p->bytes, depth, d)
				    : bad(u, "wrong wire type");
}

static int
unpack_message(struct unpack *u, const struct schema_type *t, struct str raw, struct doc *into,
	size_t depth)
{
	struct reader r = reader_of(raw);
	struct proto_field p = {0};
	int got = 0;

	if (depth > DOC_MAX_DEPTH)
		return err_set(u->e, -E2BIG, R_BAD_REQUEST, "the document is nested too deeply");
	while ((got = proto_next(&r, &p)) == 1) {
		const struct schema_field *f = schema_field_by_number(t, p.number);
		int rc = 0;

		if (f) {
			rc = unpack_field(u, f, &p, into, depth);
		} else if (p.wire == PROTO_LEN) {
			for (size_t i = 0; i < t->n_inlines && rc == 0; i++)
				if (t->inlines[i].number == p.number)
					rc = unpack_message(
						u, t->inlines[i].type, p.bytes, into, depth + 1);
		}
		if (rc != 0)
			return rc;
	}
	return got < 0 ? bad(u, "malformed message") : 0;
}

int
schema_proto_parse(struct arena *a, const struct schema_type *t, struct str raw, struct doc **ret,
	struct err *e)
{
	struct unpack u = {a, e, 0};
	struct doc *d = doc_map(a);
	int r = d ? unpack_message(&u, t, raw, d, 0) : -ENOMEM;

	if (r != 0)
		return r;
	if (arena_failed(a))
		return -ENOMEM;
	*ret = d;
	return 0;
}
