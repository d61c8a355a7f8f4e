/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keys of a keyring as rows, and what is wrong with them. */
#pragma once

#include <stdbool.h>
#include <glib.h>

#include "common/identity.h"
#include "common/keyring.h"

/** enum key_phase - where a key stands in a rotation of its pair. */
enum key_phase {
	PHASE_NONE, /* the pair has no rotation under way */
	PHASE_NEW, /* it takes the place of others */
	PHASE_OLD, /* it is being replaced, and still found, by a target and by a host */
	PHASE_ASIDE, /* it is being replaced, and the kernel's host finds it no more */
};

/** enum key_problem_kind - what kind of trouble a key is in. */
enum key_problem_kind {
	PROBLEM_MALFORMED, /* its identity is */
	PROBLEM_ENDED, /* it is revoked or has expired */
	PROBLEM_UNREADABLE,
	PROBLEM_LENGTH, /* which does not fit its hash */
	PROBLEM_SHA384, /* which this GnuTLS cannot use */
	PROBLEM_NOT_CHOSEN, /* the host takes another one of the pair */
	PROBLEM_CHANCE, /* which one of its kind the host takes */
	PROBLEM_SHADOWED, /* the host takes another pair's key */
	PROBLEM_NEARLY_SHADOWED, /* it could, and does not just now */
	PROBLEM_DIFFERENCE, /* between keyring and key file */
};

/**
 * struct key_problem - what is wrong with a key.
 * @kind: of what kind that is
 * @text: a sentence, owned
 */
typedef struct key_problem {
	enum key_problem_kind kind;
	char *text;
} key_problem;

/**
 * struct key_row - a key in the keyring.
 * @serial: its serial
 * @identity: its description, owned
 * @id: the identity's parts; no host NQN when it is malformed
 * @malformed: why it is malformed, static; NULL when it is not
 * @length: bytes of the key, or a negative errno when it cannot be read
 * @status: expiry, revoked, expired
 * @chosen: the kernel's NVMe host would take this key for its pair
 * @difference: of a key that keyring and key file do not have alike, a static word
 * @phase: where it stands in a rotation, as rows_mark() finds out
 * @problems: what is wrong, of struct key_problem
 */
typedef struct key_row {
	key_serial serial;
	char *identity;
	nvme_identity id;
	const char *malformed;
	int length;
	key_status status;
	bool chosen;
	const char *difference;
	enum key_phase phase;
	GPtrArray *problems;
} key_row;

/** key_row_new() - a row of a key, its identity taken apart. */
key_row *key_row_new(key_serial serial, const char *identity);
void key_row_free(key_row *row);

/** key_row_problem() - add a problem to those of a row; takes @text. */
void key_row_problem(key_row *row, enum key_problem_kind kind, char *text);

/** key_row_usable() - whether a search of the kernel's host can find it. */
bool key_row_usable(const key_row *row);

/** key_row_of_pair() - whether it is a key of this host and this subsystem; NULL is any. */
bool key_row_of_pair(const key_row *row, const char *hostnqn, const char *subsysnqn);

/** key_row_phase_name() - "new", "old" or "aside", static; NULL for PHASE_NONE. */
const char *key_row_phase_name(const key_row *row);

/** rows_mark() - where a pair has an old key (PHASE_OLD, PHASE_ASIDE), its others are PHASE_NEW. */
void rows_mark(GPtrArray *rows);

/**
 * rows_examine() - find what is wrong with each key, and the one that the NVMe host would choose.
 * @rows: of struct key_row
 * @search: what the kernel's own search finds first for a text, as keyring_search()
 *
 * The kernel's host goes through retained before generated keys, identity version 1 before 0 and
 * SHA-384 before SHA-256, takes the first key whose identity *begins* with what it looks for, and
 * so can take the key of a subsystem whose NQN goes on where the one it wants ends.
 */
void rows_examine(GPtrArray *rows, int (*search)(const char *text, void *data), void *data);
