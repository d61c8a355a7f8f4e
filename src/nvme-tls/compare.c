// SPDX-License-Identifier: GPL-2.0-or-later
/* What a key file and a keyring have that the other does not. */
#include "nvme-tls/compare.h"

#include <string.h>

static bool same_bytes(keyfile *kf, const key_row *loaded)
{
	g_auto(keyfile_entry) entry = {0};
	g_auto(secret) psk = SECRET_INIT;

	return keyfile_get(kf, loaded->identity, &entry) &&
	       key_read_psk(loaded->serial, &psk) == 0 && secret_equal(&psk, &entry.key.key);
}

static void differs(key_row *row, const char *difference, char *problem)
{
	row->difference = difference;
	key_row_problem(row, PROBLEM_DIFFERENCE, problem);
}

/* The state that a loaded key has in the keyring. */
static void take_state(key_row *row, const key_row *loaded)
{
	row->serial = loaded->serial;
	row->length = loaded->length;
	row->chosen = loaded->chosen;
	row->phase = loaded->phase;
	row->status.revoked = loaded->status.revoked;
	row->status.expired = loaded->status.expired;
	g_strlcpy(row->status.expiry, loaded->status.expiry, sizeof(row->status.expiry));
}

static void compare_row(key_row *row, keyfile *kf, const struct ring *ring, const key_row *loaded)
{
	if (!loaded || !key_row_usable(loaded))
		differs(row, "not-loaded",
			g_strdup_printf("keyring %s does not have it: nvme-tls import puts it there",
					ring->name));
	else if (!same_bytes(kf, loaded))
		differs(row, "other-key",
			g_strdup_printf("keyring %s has another key under this identity, 0x%08x",
					ring->name, (unsigned int)loaded->serial));
	else
		take_state(row, loaded);
}

GPtrArray *compare_rows(keyfile *kf, const char *path, const struct ring *ring, GPtrArray *loaded)
{
	GPtrArray *rows = store_rows(kf);
	g_autoptr(GHashTable) index = loaded ? ring_index(loaded) : NULL;

	for (guint i = 0; index && i < rows->len; i++) {
		key_row *row = g_ptr_array_index(rows, i);

		compare_row(row, kf, ring, g_hash_table_lookup(index, row->identity));
	}
	for (guint i = 0; loaded && i < loaded->len; i++) {
		const key_row *only = g_ptr_array_index(loaded, i);
		key_row *row;

		if (!key_row_usable(only) || only->malformed || only->id.generated ||
		    keyfile_has(kf, only->identity))
			continue;
		row = key_row_new(only->serial, only->identity);
		take_state(row, only);
		differs(row, "not-in-file",
			g_strdup_printf("%s does not have it: it is gone with the next boot, unless nvme-tls export --keyfile=%s writes it there",
					path, path));
		g_ptr_array_add(rows, row);
	}
	return rows;
}
