// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls check: is a configured PSK valid, and is its key loaded. */
#include <stdio.h>

#include "common/log.h"
#include "nvme-tls/output.h"
#include "nvme-tls/place.h"
#include "nvme-tls/source.h"

static const char *const state_words[] = {
	[RING_NONE] = "not loaded",
	[RING_SAME] = "loaded",
	[RING_DIFFERENT] = "another key is loaded under this identity",
	[RING_UNREADABLE] = "loaded, but not to be read",
};

static enum exit_code look_up(options *o, const interchange *key, struct json_object *out)
{
	static const enum exit_code codes[] = {
		[RING_NONE] = EXIT_MISSING,
		[RING_SAME] = EXIT_OK,
		[RING_DIFFERENT] = EXIT_DIFFERENT,
		[RING_UNREADABLE] = EXIT_FAILED,
	};
	g_auto(secret) psk = SECRET_INIT;
	g_autofree char *identity = NULL;
	struct ring ring;
	key_serial serial;
	enum ring_state state;
	enum exit_code r;
	int err;

	r = place_derive(o, key, &identity, &psk);
	if (r != EXIT_OK)
		return r;
	json_add_string(out, "identity", identity);
	if (!o->json)
		puts(identity);
	r = ring_open(o, &ring);
	if (r != EXIT_OK)
		return r;
	state = ring_compare(&ring, identity, &psk, &serial, &err);
	json_object_object_add(out, "loaded", json_object_new_boolean(serial != 0));
	if (serial) {
		json_add_serial(out, serial);
		if (state != RING_UNREADABLE)
			json_object_object_add(out, "same",
					       json_object_new_boolean(state == RING_SAME));
	}
	if (!o->json) {
		fputs(state_words[state], stdout);
		if (serial)
			printf(", serial " SERIAL "%s", (unsigned int)serial,
			       state == RING_SAME ? ", the same bytes" : "");
		putchar('\n');
	}
	if (state == RING_UNREADABLE) {
		g_autofree char *what = g_strdup_printf("cannot compare with key " SERIAL,
							(unsigned int)serial);

		ring_error(&ring, what, err);
	}
	return codes[state];
}

int cmd_check(int argc, char **argv)
{
	g_auto(options) o = OPTIONS_INIT;
	g_auto(interchange) key = {0};
	g_autofree char *why = NULL;
	struct json_object *out;
	enum exit_code r;

	if (!options_parse(&o, &argc, &argv))
		return EXIT_USAGE;
	if (o.keydata && argc > 1) {
		log_error("check: the key is in --keydata or in %s, not in both", argv[1]);
		return EXIT_USAGE;
	}
	r = source_key(o.keydata ? o.keydata : argv[1], false, &key, &why);
	if (r == EXIT_FAILED)
		return r;
	out = json_object_new_object();
	json_object_object_add(out, "valid", json_object_new_boolean(r == EXIT_OK));
	if (r == EXIT_OK) {
		if (!o.json)
			printf("Key is valid (HMAC %d, length %zu, CRC %08x)\n", (int)key.hash,
			       key.key.len, key.crc);
		json_object_object_add(out, "hmac", json_object_new_int((int)key.hash));
		json_object_object_add(out, "length", json_object_new_int((int)key.key.len));
		if (o.subsysnqn)
			r = look_up(&o, &key, out);
	} else {
		json_add_string(out, "problem", why);
		source_invalid(why);
	}
	if (o.json)
		json_print(out);
	else
		json_object_put(out);
	return r;
}
