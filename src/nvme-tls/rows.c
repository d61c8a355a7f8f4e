// SPDX-License-Identifier: GPL-2.0-or-later
/* The keys of a keyring as rows, and what is wrong with them. */
#include "nvme-tls/rows.h"

#include <string.h>
#include <gnutls/gnutls.h>

#include "nvme-tls/output.h"

key_row *key_row_new(key_serial serial, const char *identity)
{
	key_row *row = g_new0(key_row, 1);

	row->serial = serial;
	row->identity = g_strdup(identity);
	row->problems = g_ptr_array_new_with_free_func(g_free);
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
	return !row->status.revoked && !row->status.expired;
}

bool key_row_of_pair(const key_row *row, const char *hostnqn, const char *subsysnqn)
{
	return row->id.hostnqn && strcmp(row->id.hostnqn, hostnqn) == 0 &&
	       strcmp(row->id.subsysnqn, subsysnqn) == 0;
}

static void G_GNUC_PRINTF(2, 3) problem(key_row *row, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_ptr_array_add(row->problems, g_strdup_vprintf(format, args));
	va_end(args);
}

static void examine_alone(key_row *row)
{
	if (row->malformed)
		problem(row, "malformed identity: %s", row->malformed);
	if (row->status.revoked)
		problem(row, "it is revoked");
	else if (row->status.expired)
		problem(row, "it has expired");
	else if (row->length < 0)
		problem(row, "it cannot be read: %s", key_strerror(row->length));
	else if (!row->malformed && (size_t)row->length != psk_hash_size(row->id.hash))
		problem(row, "%s goes with keys of %zu bytes, this one has %d: tlshd refuses it",
			psk_hash_name(row->id.hash), psk_hash_size(row->id.hash), row->length);
	if (!row->malformed && row->id.hash == PSK_HASH_SHA384 && !gnutls_check_version("3.8.11"))
		problem(row,
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

static key_row *row_of(GPtrArray *rows, int serial)
{
	for (guint i = 0; i < rows->len; i++) {
		key_row *row = g_ptr_array_index(rows, i);

		if (row->serial == serial)
			return row;
	}
	return NULL;
}

/* What the host does when it looks for the pair's key of one preference; false: looks on. */
static bool examine_step(GPtrArray *rows, GPtrArray *own, size_t step,
			 int (*search)(const char *text, void *data), void *data)
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
	key_row *foreign = NULL, *found;
	guint owned = 0;

	for (guint i = 0; i < rows->len; i++) {
		key_row *row = g_ptr_array_index(rows, i);

		if (!key_row_usable(row) || !g_str_has_prefix(row->identity, text))
			continue;
		if (key_row_of_pair(row, first->id.hostnqn, first->id.subsysnqn))
			owned++;
		else
			foreign = row;
	}
	if (!owned && !foreign)
		return false;

	found = row_of(rows, search(text, data));
	for (guint i = 0; i < own->len; i++) {
		key_row *row = g_ptr_array_index(own, i);

		if (found && g_ptr_array_find(own, found, NULL)) {
			row->chosen = row == found;
			if (row != found)
				problem(row,
					"not what the host takes: for this pair it takes " SERIAL,
					(unsigned int)found->serial);
			else if (foreign)
				problem(row,
					"shadowed: " SERIAL
					" of %s begins alike; the host finds the right one now, but that is chance: nvme connect --tls_key=" SERIAL,
					(unsigned int)foreign->serial,
					foreign->id.subsysnqn ? foreign->id.subsysnqn
							      : foreign->identity,
					(unsigned int)row->serial);
			else if (owned > 1)
				problem(row,
					"one of %u of its kind for this pair: which of them the host takes is chance",
					owned);
		} else if (found || foreign) {
			const key_row *other = found ? found : foreign;

			problem(row,
				"shadowed: the host takes " SERIAL
				" of %s, whose identity begins alike: nvme connect --tls_key=" SERIAL,
				(unsigned int)other->serial,
				other->id.subsysnqn ? other->id.subsysnqn : other->identity,
				(unsigned int)row->serial);
		}
	}
	return true;
}

static void examine_pair(GPtrArray *rows, const key_row *first,
			 int (*search)(const char *text, void *data), void *data)
{
	g_autoptr(GPtrArray) own = g_ptr_array_new();

	for (guint i = 0; i < rows->len; i++) {
		key_row *row = g_ptr_array_index(rows, i);

		if (!key_row_usable(row) ||
		    !key_row_of_pair(row, first->id.hostnqn, first->id.subsysnqn))
			continue;
		if (!own->len && row != first)
			return; /* the pair has been seen to with its first row */
		g_ptr_array_add(own, row);
	}
	for (size_t step = 0; step < G_N_ELEMENTS(preference); step++)
		if (examine_step(rows, own, step, search, data))
			return;
}

void rows_examine(GPtrArray *rows, int (*search)(const char *text, void *data), void *data)
{
	for (guint i = 0; i < rows->len; i++)
		examine_alone(g_ptr_array_index(rows, i));
	for (guint i = 0; i < rows->len; i++) {
		const key_row *row = g_ptr_array_index(rows, i);

		if (row->id.hostnqn && key_row_usable(row))
			examine_pair(rows, row, search, data);
	}
}
