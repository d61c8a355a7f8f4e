// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls insert: put a key into the keyring. */
#include <stdio.h>

#include "common/log.h"
#include "nvme-tls/output.h"
#include "nvme-tls/place.h"
#include "nvme-tls/source.h"

enum exit_code cmd_insert(int argc, char **argv)
{
	g_auto(options) o = OPTIONS_INIT;
	g_auto(interchange) key = {0};
	g_auto(secret) psk = SECRET_INIT;
	g_autofree char *identity = NULL, *why = NULL;
	g_autoptr(change) c = NULL;
	struct placed placed = {0};
	const struct ring *to;
	struct ring ring;
	enum exit_code r;

	if (!options_parse(&o, &argc, &argv))
		return EXIT_USAGE;
	if (o.identity ? o.hostnqn || o.subsysnqn || o.derivation : !o.subsysnqn) {
		log_error(o.identity
				  ? "%s: with a whole identity the key is not derived: leave out --hostnqn, --subsysnqn and --compat"
				  : "%s: no subsystem NQN: give --subsysnqn, or the whole --identity of a derived key",
			  o.name);
		return EXIT_USAGE;
	}
	if (o.keydata && argc > 1) {
		log_error("%s: the key is given by --keydata and by an argument: leave out one",
			  o.name);
		return EXIT_USAGE;
	}
	r = source_key(o.keydata ? o.keydata : argv[1], o.identity != NULL, &key, &why);
	if (r == EXIT_INVALID)
		source_invalid(why);
	if (r != EXIT_OK)
		return r;
	if (o.identity) {
		identity = g_strdup(o.identity);
		r = place_fits(identity, &key.key);
		secret_set(&psk, key.key.data, key.key.len);
	} else {
		r = place_derive(&o, &key, &identity, &psk);
	}
	if (r == EXIT_OK)
		r = ring_open_if_any(&o, &ring);
	if (r != EXIT_OK)
		return r;
	to = ring.serial ? &ring : NULL;
	c = change_open(to, o.keyfile, true);
	r = c ? place_key(c, to, identity, &psk, o.force, &placed) : EXIT_FAILED;
	if (r == EXIT_OK)
		r = change_prepare(c);
	if (r != EXIT_OK)
		return r;
	change_expire(c, placed.serial, to ? o.expires : 0);

	if (o.json) {
		struct json_object *out = json_object_new_object();

		json_add_string(out, "identity", identity);
		place_json(&placed, out);
		json_print(out);
	} else {
		place_print(&o, identity, &placed);
	}
	return change_commit(c);
}
