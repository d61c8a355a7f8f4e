// SPDX-License-Identifier: GPL-2.0-or-later
/* A derived key on its way to where it is used: the keyring, the key file, or both. */
#include "nvme-tls/place.h"

#include <errno.h>
#include <stdio.h>

#include "common/derive.h"
#include "common/log.h"
#include "nvme-tls/output.h"

static enum exit_code place_in_ring(change *c, const struct ring *ring, const char *identity,
				    const secret *psk, bool force, struct placed *placed)
{
	key_serial old;
	int err;

	placed->there = ring_compare(ring, identity, psk, &old, &err) == RING_SAME;
	if (placed->there) {
		placed->serial = old;
		return EXIT_OK;
	}
	if (old && !force) {
		log_error("keyring %s has another key, " SERIAL
			  ", under \"%s\": nvme-tls rotate gives the pair a new key without a gap, --force replaces this one",
			  ring->name, (unsigned int)old, identity);
		return EXIT_DIFFERENT;
	}
	placed->replaced = old;
	ring_warn_of_hash(identity);
	return change_put(c, identity, psk, old, &placed->serial);
}

static enum exit_code place_in_keyfile(keyfile *kf, const char *identity, const secret *psk,
				       bool force, struct placed *placed)
{
	g_auto(keyfile_entry) entry = {0};

	if (keyfile_get(kf, identity, &entry)) {
		if (secret_equal(&entry.key.key, psk))
			return EXIT_OK;
		if (!force) {
			log_error("the key file has another key under \"%s\": --force replaces it",
				  identity);
			return EXIT_DIFFERENT;
		}
		placed->line_replaced = true;
	}
	store_set(kf, identity, psk);
	return EXIT_OK;
}

enum exit_code place_key(change *c, const struct ring *ring, const char *identity,
			 const secret *psk, bool force, struct placed *placed)
{
	keyfile *kf = change_keyfile(c);
	enum exit_code r = EXIT_OK;

	*placed = (struct placed){0};
	if (kf)
		r = place_in_keyfile(kf, identity, psk, force, placed);
	if (r == EXIT_OK && ring)
		r = place_in_ring(c, ring, identity, psk, force, placed);
	return r;
}

void place_print(const options *o, const char *identity, const struct placed *placed)
{
	unsigned int serial = (unsigned int)placed->serial;

	/* Scripts cut the serial, which nvme-cli prints without 0x, out of a line that is the only one. */
	if (o->wording != WORDING_OWN) {
		if (serial)
			printf(o->wording == WORDING_NVME_2 ? "Inserted TLS key %08x\n"
							    : "Inserted TLS PSK %08x\n",
			       serial);
		return;
	}
	puts(identity);
	if (placed->there)
		printf("there already as " SERIAL "\n", serial);
	else if (placed->replaced)
		printf("Inserted TLS key " SERIAL " in the place of " SERIAL "\n", serial,
		       (unsigned int)placed->replaced);
	else if (serial)
		printf("Inserted TLS key " SERIAL "\n", serial);
	if (placed->line_replaced)
		puts("the key file's other key of this identity is replaced");
}

void place_json(const struct placed *placed, struct json_object *out)
{
	if (placed->serial) {
		json_add_serial(out, placed->serial);
		json_object_object_add(out, "inserted", json_object_new_boolean(!placed->there));
	}
	if (placed->replaced)
		json_object_object_add(out, "replaced", json_object_new_int(placed->replaced));
}

enum exit_code place_fits(const char *identity, const secret *psk)
{
	g_auto(nvme_identity) id = {0};
	const char *why;

	if (nvme_identity_split(identity, &id, &why) < 0) {
		log_error("--identity is malformed: %s", why);
		return EXIT_INVALID;
	}
	if (psk->len != psk_hash_size(id.hash)) {
		log_error("the identity is one of %s, whose keys have %zu bytes; this one has %zu",
			  psk_hash_name(id.hash), psk_hash_size(id.hash), psk->len);
		return EXIT_INVALID;
	}
	return EXIT_OK;
}

enum exit_code place_names(options *o)
{
	return options_subsysnqn(o) && options_hostnqn(o) ? EXIT_OK : EXIT_USAGE;
}

enum exit_code place_too_long(void)
{
	log_error("the two NQNs are too long for an identity of version 0: take --identity 1");
	return EXIT_FAILED;
}

enum exit_code place_derive(options *o, const interchange *configured, char **identity, secret *psk)
{
	struct psk_recipe recipe = {
		.version = o->version < 0 ? 0 : o->version,
		.derivation = o->derivation,
	};
	enum exit_code names = place_names(o);
	int r;

	*identity = NULL;
	if (names != EXIT_OK)
		return names;
	recipe.subsysnqn = o->subsysnqn;
	recipe.hostnqn = o->hostnqn;
	r = psk_derive(configured, &recipe, identity, psk);
	if (r == -ENAMETOOLONG)
		return place_too_long();
	if (r < 0)
		log_error("cannot derive the key: %s",
			  r == -EIO ? "GnuTLS refuses the hash" : g_strerror(-r));
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}
