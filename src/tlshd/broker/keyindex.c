// SPDX-License-Identifier: GPL-2.0-or-later
/* The PSKs of a keyring by identity, so that ten thousand of them cost no more than one. */
#include "tlshd/broker/keyindex.h"

#include <errno.h>
#include <string.h>

struct keyindex {
	key_serial keyring;
	char *type;
	uint64_t read_at; /* usec, monotonic */
	GArray *serials; /* as last read */
	GHashTable *identities; /* identity to serial */
	GHashTable *known; /* serial to identity, which owns the string; of no PSK: NULL */
	unsigned int nameless; /* of those: another type, or gone before we could ask its name */
};

struct keyindex *keyindex_new(key_serial keyring, const char *type)
{
	struct keyindex *x = g_new0(struct keyindex, 1);

	x->keyring = keyring;
	x->type = g_strdup(type);
	x->serials = g_array_new(FALSE, FALSE, sizeof(key_serial));
	x->identities = g_hash_table_new(g_str_hash, g_str_equal);
	x->known = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	return x;
}

void keyindex_free(struct keyindex *x)
{
	g_hash_table_destroy(x->identities);
	g_hash_table_destroy(x->known);
	g_array_unref(x->serials);
	g_free(x->type);
	g_free(x);
}

/* The identity of @key; NULL for a key of another type, or one that is going away. */
static char *identity_of(const struct keyindex *x, key_serial key)
{
	g_auto(key_info) info = {0};

	if (key_describe(key, &info) < 0 || strcmp(info.type, x->type) != 0)
		return NULL;
	return g_steal_pointer(&info.description);
}

/* Describes the serials that are new and forgets those that are gone. */
static void rebuild(struct keyindex *x, GArray *serials)
{
	GHashTable *known = g_hash_table_new_full(NULL, NULL, NULL, g_free);

	g_hash_table_remove_all(x->identities);
	x->nameless = 0;
	for (guint i = 0; i < serials->len; i++) {
		key_serial key = g_array_index(serials, key_serial, i);
		gpointer old = NULL, text = NULL;

		if (!g_hash_table_steal_extended(x->known, GINT_TO_POINTER(key), &old, &text))
			text = identity_of(x, key);
		g_hash_table_insert(known, GINT_TO_POINTER(key), text);
		if (text)
			g_hash_table_insert(x->identities, text, GINT_TO_POINTER(key));
		else
			x->nameless++;
	}
	g_hash_table_destroy(x->known);
	x->known = known;
	g_array_unref(x->serials);
	x->serials = g_array_ref(serials);
}

static int refresh(struct keyindex *x)
{
	g_autoptr(GArray) serials = NULL;
	uint64_t t = (uint64_t)g_get_monotonic_time();
	int r = keyring_keys(x->keyring, &serials);

	if (r < 0)
		return r;
	if (serials->len != x->serials->len ||
	    (serials->len &&
	     memcmp(serials->data, x->serials->data, serials->len * sizeof(key_serial))))
		rebuild(x, serials);
	x->read_at = t;
	return 0;
}

/* Why a key is not in the table; the kernel's search, which is slow, can tell of those that were. */
static int explain(const struct keyindex *x, const char *identity)
{
	int r = x->nameless ? keyring_search(x->keyring, x->type, identity) : -ENOKEY;

	return r == -EKEYREVOKED || r == -EKEYEXPIRED ? r : -ENOKEY;
}

key_serial keyindex_known(const struct keyindex *x, const char *identity)
{
	return GPOINTER_TO_INT(g_hash_table_lookup(x->identities, identity));
}

int keyindex_lookup(struct keyindex *x, const char *identity, uint64_t since)
{
	key_serial key;

	if (x->read_at <= since) {
		int r = refresh(x);

		if (r < 0)
			return r;
	}
	key = keyindex_known(x, identity);
	return key ? key : explain(x, identity);
}
