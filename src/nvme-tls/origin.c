// SPDX-License-Identifier: GPL-2.0-or-later
/* How a loaded key came about: every way in which a configured PSK could have become it. */
#include "nvme-tls/origin.h"

#include <string.h>

static void origin_free(void *data)
{
	origin *o = data;

	g_free(o->identity);
	secret_wipe(&o->psk);
	g_free(o);
}

static origin *find_equal(GPtrArray *origins, const char *identity, const secret *psk)
{
	for (guint i = 0; i < origins->len; i++) {
		origin *o = g_ptr_array_index(origins, i);

		if (strcmp(o->identity, identity) == 0 && secret_equal(&o->psk, psk))
			return o;
	}
	return NULL;
}

static void add(GPtrArray *origins, const interchange *configured, const struct psk_recipe *recipe)
{
	g_auto(secret) psk = SECRET_INIT;
	g_autofree char *identity = NULL;
	origin *o;

	/* An identity that is too long for one derivation says nothing of the others. */
	if (psk_derive(configured, recipe, &identity, &psk) < 0)
		return;
	o = find_equal(origins, identity, &psk);
	if (!o) {
		o = g_new0(origin, 1);
		o->version = recipe->version;
		o->hash = configured->hash;
		o->identity = g_steal_pointer(&identity);
		secret_set(&o->psk, psk.data, psk.len);
		g_ptr_array_add(origins, o);
	}
	o->derivations |= 1u << recipe->derivation;
}

GPtrArray *origins_find(const interchange *configured, const char *hostnqn, const char *subsysnqn,
			enum ring_state (*compare)(const char *identity, const secret *psk,
						   key_serial *serial, int *err, void *data),
			void *data)
{
	GPtrArray *origins = g_ptr_array_new_with_free_func(origin_free);
	g_auto(interchange) other = *configured;

	/* The same bytes are easily given with and without the transform. */
	other.hash = configured->hash ? PSK_HASH_NONE : psk_hash_of_size(configured->key.len);
	for (int variant = 0; variant < 2; variant++) {
		for (int version = 0; version <= 1; version++) {
			for (int d = 0; d < PSK_DERIVATIONS; d++) {
				const struct psk_recipe recipe = {hostnqn, subsysnqn, version,
								  (enum psk_derivation)d};

				add(origins, variant ? &other : configured, &recipe);
			}
		}
	}
	for (guint i = 0; i < origins->len; i++) {
		origin *o = g_ptr_array_index(origins, i);

		o->state = compare(o->identity, &o->psk, &o->serial, &o->err, data);
	}
	return origins;
}

char *origin_users(const origin *o)
{
	GString *users = g_string_new(NULL);

	for (int d = 0; d < PSK_DERIVATIONS; d++)
		if (o->derivations & 1u << d)
			g_string_append_printf(users, "%s%s", users->len ? ", " : "",
					       psk_derivation_users((enum psk_derivation)d));
	return g_string_free(users, FALSE);
}

char *origin_option(const origin *o)
{
	/* The bits are in the order of preference: the first that is set is the one to name. */
	int d = g_bit_nth_lsf(o->derivations, -1);
	const char *era = psk_derivation_era((enum psk_derivation)d);

	return era ? g_strdup_printf("--compat=%s", era) : NULL;
}
