// SPDX-License-Identifier: GPL-2.0-or-later
/* The keys of a keyring as rows, and what is wrong with them. */
#include "nvme-tls/rows.h"

#include <string.h>
#include <gnutls/gnutls.h>

#include "nvme-tls/output.h"

static void problem_free(key_problem *problem)
{
	g_free(problem->text);
	g_free(problem);
}

key_row *key_row_new(key_serial serial, const char *identity)
{
	key_row *row = g_new0(key_row, 1);

	row->serial = serial;
	row->identity = g_strdup(identity);
	row->problems = g_ptr_array_new_with_free_func((GDestroyNotify)problem_free);
	nvme_identity_split(identity, &row->id, &row->malformed);
	return row;
}

void key_row_free(key_row *row)
{
	g_free(row->identity);
	nvme_identity_clear(&row->id);
	key_status_clear(&row->status);
	g_ptr_array_unref(row->problems);
	g_free(row);
}

bool key_row_usable(const key_row *row)
{
	return !row->status.revoked && !row->status.expired && row->phase != PHASE_ASIDE;
}

bool key_row_of_pair(const key_row *row, const char *hostnqn, const char *subsysnqn)
{
	return row->id.hostnqn && strcmp(row->id.hostnqn, hostnqn) == 0 &&
	       (!subsysnqn || strcmp(row->id.subsysnqn, subsysnqn) == 0);
}

const char *key_row_phase_name(const key_row *row)
{
	static const char *const names[] = {
		[PHASE_NONE] = NULL,
		[PHASE_NEW] = "new",
		[PHASE_OLD] = "old",
		[PHASE_ASIDE] = "aside",
	};

	return names[row->phase];
}

/* No NQN has a space. */
static char *pair_name(const key_row *row)
{
	return g_strconcat(row->id.hostnqn, " ", row->id.subsysnqn, NULL);
}

void rows_mark(GPtrArray *rows)
{
	g_autoptr(GHashTable)
		rotating = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (guint i = 0; i < rows->len; i++) {
		const key_row *row = g_ptr_array_index(rows, i);

		if (row->id.hostnqn && row->phase != PHASE_NONE)
			g_hash_table_add(rotating, pair_name(row));
	}
	for (guint i = 0; g_hash_table_size(rotating) && i < rows->len; i++) {
		key_row *row = g_ptr_array_index(rows, i);
		g_autofree char *pair = row->id.hostnqn ? pair_name(row) : NULL;

		if (pair && row->phase == PHASE_NONE && !row->id.generated &&
		    g_hash_table_contains(rotating, pair))
			row->phase = PHASE_NEW;
	}
}

void key_row_problem(key_row *row, enum key_problem_kind kind, char *text)
{
	key_problem *problem = g_new(key_problem, 1);

	*problem = (key_problem){kind, text};
	g_ptr_array_add(row->problems, problem);
}

static void G_GNUC_PRINTF(3, 4)
	problem(key_row *row, enum key_problem_kind kind, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	key_row_problem(row, kind, g_strdup_vprintf(format, args));
	va_end(args);
}

static void examine_alone(key_row *row)
{
	if (row->malformed)
		problem(row, PROBLEM_MALFORMED, "malformed identity: %s", row->malformed);
	if (row->status.revoked)
		problem(row, PROBLEM_ENDED, "it is revoked");
	else if (row->status.expired)
		problem(row, PROBLEM_ENDED, "it has expired");
	else if (row->length < 0)
		problem(row, PROBLEM_UNREADABLE, "it cannot be read: %s",
			key_strerror(row->length));
	else if (!row->malformed && (size_t)row->length != psk_hash_size(row->id.hash))
		problem(row, PROBLEM_LENGTH,
			"%s goes with keys of %zu bytes, this one has %d: tlshd refuses it",
			psk_hash_name(row->id.hash), psk_hash_size(row->id.hash), row->length);
	if (!row->malformed && row->id.hash == PSK_HASH_SHA384 && !gnutls_check_version("3.8.11"))
		problem(row, PROBLEM_SHA384,
			"GnuTLS %s cannot use SHA-384 keys: make one with --hmac 1, or install GnuTLS 3.8.11",
			gnutls_check_version(NULL));
}

/* The retained keys come first, the newest identity version first, the longest hash first. */
static const struct {
	bool generated;
	int version;
	enum psk_hash hash;
} preference[] = {
	{false, 1, PSK_HASH_SHA384}, {false, 1, PSK_HASH_SHA256}, {false, 0, PSK_HASH_SHA384},
	{false, 0, PSK_HASH_SHA256}, {true, 1, PSK_HASH_SHA384},  {true, 1, PSK_HASH_SHA256},
	{true, 0, PSK_HASH_SHA384},  {true, 0, PSK_HASH_SHA256},
};

/* A usable row and its place in the keyring. */
struct place {
	key_row *row;
	guint at;
};

/* The rows, so that each question about them costs little for any number of them. */
struct book {
	GArray *sorted; /* of struct place, by identity */
	GHashTable *by_serial;
	GPtrArray *pairs; /* of GPtrArray of the usable rows of a pair */
	int (*search)(const char *text, void *data);
	void *data;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int by_identity = strcmp(x->row->identity, y->row->identity);

	return by_identity ? by_identity : (int)x->at - (int)y->at;
}

static void book_fill(struct book *book, GPtrArray *rows)
{
	g_autoptr(GHashTable)
		pair_of = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (guint i = 0; i < rows->len; i++) {
		struct place place = {.row = g_ptr_array_index(rows, i), .at = i};
		key_row *row = place.row;
		GPtrArray *own;
		char *pair;

		g_hash_table_replace(book->by_serial, GINT_TO_POINTER(row->serial), row);
		if (!key_row_usable(row))
			continue;
		g_array_append_val(book->sorted, place);
		if (!row->id.hostnqn)
			continue;
		pair = pair_name(row);
		own = g_hash_table_lookup(pair_of, pair);
		if (own) {
			g_free(pair);
		} else {
			own = g_ptr_array_new();
			g_ptr_array_add(book->pairs, own);
			g_hash_table_insert(pair_of, pair, own);
		}
		g_ptr_array_add(own, row);
	}
	g_array_sort(book->sorted, compare_places);
}

/* Where the identities that begin with @text begin in the sorted rows. */
static guint first_of(const GArray *sorted, const char *text)
{
	guint low = 0, high = sorted->len;

	while (low < high) {
		guint middle = low + (high - low) / 2;

		if (strcmp(g_array_index(sorted, struct place, middle).row->identity, text) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* What lies under a prefix. */
struct candidates {
	guint owned; /* rows of the pair itself */
	key_row *only; /* the one row there is */
	const key_row *foreign; /* the last row in the keyring that is one of another pair */
};

static struct candidates candidates_of(const struct book *book, const char *text,
				       const key_row *first)
{
	struct candidates c = {0};
	guint n = 0, foreign_at = 0;

	for (guint i = first_of(book->sorted, text); i < book->sorted->len; i++) {
		const struct place *place = &g_array_index(book->sorted, struct place, i);

		if (!g_str_has_prefix(place->row->identity, text))
			break;
		c.only = n++ ? NULL : place->row;
		if (key_row_of_pair(place->row, first->id.hostnqn, first->id.subsysnqn)) {
			c.owned++;
		} else if (!c.foreign || place->at > foreign_at) {
			c.foreign = place->row;
			foreign_at = place->at;
		}
	}
	return c;
}

static const char *name_of(const key_row *row)
{
	return row->id.subsysnqn ? row->id.subsysnqn : row->identity;
}

/* What the host does when it looks for the pair's key of one preference; false: looks on. */
static bool examine_step(const struct book *book, GPtrArray *own, size_t step)
{
	const key_row *first = g_ptr_array_index(own, 0);
	nvme_identity wanted = {
		.version = preference[step].version,
		.generated = preference[step].generated,
		.hash = preference[step].hash,
		.hostnqn = first->id.hostnqn,
		.subsysnqn = first->id.subsysnqn,
	};
	g_autofree char *text = nvme_identity_format(&wanted);
	struct candidates c = candidates_of(book, text, first);
	const key_row *found = c.only;
	bool found_own;

	if (!c.owned && !c.foreign)
		return false;
	/* Only where there is a choice is the kernel asked, whose search is slow. */
	if (!found)
		found = g_hash_table_lookup(book->by_serial,
					    GINT_TO_POINTER(book->search(text, book->data)));
	found_own = found && key_row_of_pair(found, first->id.hostnqn, first->id.subsysnqn);
	for (guint i = 0; i < own->len; i++) {
		key_row *row = g_ptr_array_index(own, i);

		if (found_own) {
			row->chosen = row == found;
			/* Several keys are what a rotation is about: the phases say which is which. */
			if (row->phase != PHASE_NONE && !c.foreign)
				continue;
			if (row != found)
				problem(row, PROBLEM_NOT_CHOSEN,
					"not what the host takes: for this pair it takes " SERIAL,
					(unsigned int)found->serial);
			else if (c.foreign)
				problem(row, PROBLEM_NEARLY_SHADOWED,
					"shadowed: " SERIAL
					" of %s begins alike; the host finds the right one now, but that is chance: nvme connect --tls_key=" SERIAL,
					(unsigned int)c.foreign->serial, name_of(c.foreign),
					(unsigned int)row->serial);
			else if (c.owned > 1)
				problem(row, PROBLEM_CHANCE,
					"one of %u of its kind for this pair: which of them the host takes is chance",
					c.owned);
		} else if (found || c.foreign) {
			const key_row *other = found ? found : c.foreign;

			problem(row, PROBLEM_SHADOWED,
				"shadowed: the host takes " SERIAL
				" of %s, whose identity begins alike: nvme connect --tls_key=" SERIAL,
				(unsigned int)other->serial, name_of(other),
				(unsigned int)row->serial);
		}
	}
	return true;
}

void rows_examine(GPtrArray *rows, int (*search)(const char *text, void *data), void *data)
{
	g_autoptr(GArray) sorted = g_array_new(FALSE, FALSE, sizeof(struct place));
	g_autoptr(GHashTable) by_serial = g_hash_table_new(NULL, NULL);
	g_autoptr(GPtrArray)
		pairs = g_ptr_array_new_with_free_func((GDestroyNotify)g_ptr_array_unref);
	struct book book = {
		.sorted = sorted,
		.by_serial = by_serial,
		.pairs = pairs,
		.search = search,
		.data = data,
	};

	for (guint i = 0; i < rows->len; i++)
		examine_alone(g_ptr_array_index(rows, i));
	book_fill(&book, rows);
	for (guint i = 0; i < pairs->len; i++)
		for (size_t step = 0; step < G_N_ELEMENTS(preference); step++)
			if (examine_step(&book, g_ptr_array_index(pairs, i), step))
				break;
}
