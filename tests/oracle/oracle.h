/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * oracle: what the parts of the program share: a corpus of requests with, once it was replayed, a
 * server's answers; one text for both.
 *
 * The text is lines, a letter and a blank first; a newline within a value is \n, a backslash \\:
 *   C Deployment/life     a case: steps that follow each other, on their own objects
 *   S create              a step, named once within its case
 *   M POST    T /apis/... method, target
 *   H name: value         request header, any number
 *   B {...}               body
 *   W 3                   a watch: ends after so many events
 *   P components.schemas  the members of this map count one by one
 *   V rv metadata.resourceVersion   ${rv} is this of the answer, from here to the end of the case
 *   A 201                 the answer: status (0: none came), then
 *   R name: value         its headers that matter
 *   D {...}               its body; of a watch: one line an event
 * Answers are normalised (normal.c): what differs from run to run has a name in angle brackets. */
#ifndef TESTS_ORACLE_H
#define TESTS_ORACLE_H

#include "base/doc.h"

struct oracle_step {
	struct str name, method, target, body, parts;
	const struct str *headers, *captures, *answer_headers, *data;
	size_t n_headers, n_captures, n_answer_headers, n_data;
	uint32_t events; /* 0 = no watch */
	int status;      /* -1 = no answer yet */
};
struct oracle_case {
	struct str name;
	struct oracle_step *steps;
	size_t n_steps;
};
struct oracle_corpus {
	struct oracle_case *cases;
	size_t n_cases;
};

/* oracle_read: a file of the form above; arena, and slices of what was read, which is arena too. */
int oracle_read(struct arena *a, const char *path, struct oracle_corpus *ret, struct err *e);
/* oracle_write: the same, answers included. 0 or -errno. */
int oracle_write(const char *path, const struct oracle_corpus *c);
/* oracle_unescape: a value as it is meant; arena or the slice itself. */
struct str oracle_unescape(struct arena *a, struct str s);
struct str oracle_escape(struct arena *a, struct str s);

/* What of an answer is this run's: the server's address ("127.0.0.1:123"), the generateName asked with. */
struct normal {
	struct str authority, generate;
};
/* normal_text: ids, times of this run, addresses within any text. arena. */
struct str normal_text(struct arena *a, const struct normal *n, struct str s);
/* normal_body: JSON (or text) as it is kept. arena. */
struct str normal_body(struct arena *a, const struct normal *n, struct str body);
/* normal_doc: the same of a document, in place. */
void normal_doc(struct arena *a, const struct normal *n, struct doc *d);
/* normal_header: true when this header is compared; *ret_value is what is kept of it. */
bool normal_header(struct arena *a, struct str name, struct str value, struct str *ret_value);

struct replay_target {
	struct str url, ca_pem, cert_pem, key_pem;
};
/* oracle_replay: asks the server all of c and puts the answers into it. arena a holds them. */
int oracle_replay(
	struct arena *a, struct oracle_corpus *c, const struct replay_target *to, struct err *e);

/* oracle_compare: prints the tables; writes <Kind>.diff, causes and states into dir. known: a file of
 * states that must not become worse; NULL = none. Returns the exit status. */
int oracle_compare(const struct oracle_corpus *theirs, const struct oracle_corpus *ours,
	const char *dir, const char *known);

#endif
