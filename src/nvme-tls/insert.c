// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls insert: put a key into the keyring. */
#include <stdio.h>

#include "common/log.h"
#include "nvme-tls/output.h"
#include "nvme-tls/place.h"
#include "nvme-tls/source.h"

int cmd_insert(int argc, char **argv)
{
	g_auto(options) o = OPTIONS_INIT;
	g_auto(interchange) key = {0};
	g_auto(secret) psk = SECRET_INIT;
	g_autofree char *identity = NULL, *why = NULL;
	struct ring ring;
	key_serial serial = 0;
	bool there = false;
	enum exit_code r;
	int err;

	if (!options_parse(&o, &argc, &argv))
		return EXIT_USAGE;
	if (o.identity ? o.hostnqn || o.subsysnqn || o.derivation : !o.subsysnqn) {
		log_error(o.identity
				  ? "insert: with a whole identity the key is not derived: leave out --hostnqn, --subsysnqn and --compat"
				  : "insert: no subsystem NQN: give --subsysnqn, or the whole --identity of a derived key");
		return EXIT_USAGE;
	}
	if (o.keydata && argc > 1) {
		log_error("insert: the key is in --keydata or in %s, not in both", argv[1]);
		return EXIT_USAGE;
	}
	r = source_key(o.keydata ? o.keydata : argv[1], o.identity != NULL, &key, &why);
	if (r != EXIT_OK)
		return r == EXIT_INVALID ? source_invalid(why) : r;
	if (o.identity) {
		identity = g_strdup(o.identity);
		r = place_fits(identity, &key.key);
		secret_set(&psk, key.key.data, key.key.len);
	} else {
		r = place_derive(&o, &key, &identity, &psk);
	}
	if (r == EXIT_OK)
		r = ring_open(&o, &ring);
	if (r != EXIT_OK)
		return r;
	/* The same key stays under its serial, which a connection may have been told. */
	there = ring_compare(&ring, identity, &psk, &serial, &err) == RING_SAME;
	if (!there || o.keyfile)
		r = place_key(there ? NULL : &ring, o.keyfile, identity, &psk, &serial);
	if (r != EXIT_OK)
		return r;

	if (o.json) {
		struct json_object *out = json_object_new_object();

		json_add_string(out, "identity", identity);
		json_add_serial(out, serial);
		json_object_object_add(out, "inserted", json_object_new_boolean(!there));
		json_print(out);
	} else {
		printf("%s\n%s as " SERIAL "\n", identity, there ? "there already" : "inserted",
		       (unsigned int)serial);
	}
	return EXIT_OK;
}
