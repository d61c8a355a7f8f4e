// SPDX-License-Identifier: GPL-2.0-or-later
/* The keys of one host and one subsystem, which a rotation replaces. */
#include "nvme-tls/pair.h"

#include <string.h>

#include "common/log.h"
#include "nvme-tls/tool.h"

static bool line_of_pair(const keyfile *kf, size_t i, const options *o, char **identity)
{
	g_auto(keyfile_entry) entry = {0};
	g_auto(nvme_identity) id = {0};

	if (keyfile_line(kf, i, &entry) != KEYFILE_ENTRY ||
	    nvme_identity_split(entry.identity, &id, NULL) < 0 || id.generated ||
	    strcmp(id.hostnqn, o->hostnqn) != 0 || strcmp(id.subsysnqn, o->subsysnqn) != 0)
		return false;
	*identity = g_steal_pointer(&entry.identity);
	return true;
}

static bool keyfile_has_pair(const char *path, const options *o)
{
	g_autoptr(keyfile) kf = NULL;
	g_autofree char *identity = NULL;

	if (keyfile_read(path, &kf) < 0)
		return false;
	for (size_t i = 0; i < keyfile_lines(kf); i++)
		if (line_of_pair(kf, i, o, &identity))
			return true;
	return false;
}

char *pair_keyfile_path(const options *o)
{
	if (o->keyfile)
		return g_strdup(o->keyfile);
	if (strcmp(o->keyring, ".nvme") == 0 && keyfile_has_pair(KEYFILE_DEFAULT, o))
		return g_strdup(KEYFILE_DEFAULT);
	return NULL;
}

/* The new key takes the line of the first old one; the others' lines go. */
void pair_update_keyfile(keyfile *kf, const options *o, const char *identity, const secret *psk)
{
	g_autoptr(GPtrArray) old = g_ptr_array_new_with_free_func(g_free);
	g_auto(interchange_text) text = {0};

	for (size_t i = 0; i < keyfile_lines(kf); i++) {
		char *own;

		if (line_of_pair(kf, i, o, &own))
			g_ptr_array_add(old, own);
	}
	interchange_format(psk_hash_of_size(psk->len), psk, &text);
	keyfile_replace(kf, old->len ? g_ptr_array_index(old, 0) : identity, identity, &text);
	for (guint i = 1; i < old->len; i++)
		if (strcmp(g_ptr_array_index(old, i), identity) != 0 &&
		    strcmp(g_ptr_array_index(old, i), g_ptr_array_index(old, 0)) != 0)
			keyfile_remove(kf, g_ptr_array_index(old, i));
}

/* Retained before anything else, as the kernel's host prefers them: by version, then by hash. */
static bool is_better(const key_row *row, const key_row *best)
{
	if (!best || row->id.version != best->id.version)
		return !best || row->id.version > best->id.version;
	return row->id.hash > best->id.hash;
}

GPtrArray *pair_find_keys(options *o, GPtrArray *rows, const char *where)
{
	g_autoptr(GPtrArray) own = g_ptr_array_new();
	const key_row *best = NULL;

	for (guint i = 0; i < rows->len; i++) {
		key_row *row = g_ptr_array_index(rows, i);

		if (!key_row_of_pair(row, o->hostnqn, o->subsysnqn) || row->id.generated ||
		    row->status.revoked || row->status.expired)
			continue;
		g_ptr_array_add(own, row);
		if (row->phase != PHASE_ASIDE && is_better(row, best))
			best = row;
	}
	if (!best) {
		log_error("%s has no key for host %s and subsystem %s to replace: make the first one with nvme-tls gen",
			  where, o->hostnqn, o->subsysnqn);
		return NULL;
	}
	if (o->version < 0)
		o->version = best->id.version;
	if (o->hmac < 0 && !o->keydata)
		o->hmac = (int)best->id.hash;
	return g_steal_pointer(&own);
}
