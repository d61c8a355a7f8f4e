// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls gen: make a configured PSK. */
#include <stdio.h>
#include <unistd.h>

#include "common/log.h"
#include "nvme-tls/output.h"
#include "nvme-tls/place.h"
#include "nvme-tls/source.h"

/* Who types the command has to choose once; a script has chosen. */
static void tell_of_versions(const options *o)
{
	if (o->subsysnqn && o->version < 0 && o->wording == WORDING_OWN && isatty(STDERR_FILENO))
		log_info("this is identity version 0, which every peer knows; between two sides that are Linux take --identity 1 on both: the specification calls version 0 obsolete");
}

enum exit_code cmd_gen(int argc, char **argv)
{
	g_auto(options) o = OPTIONS_INIT;
	g_auto(interchange) configured = {0};
	g_auto(interchange_text) text = {0};
	g_auto(secret) psk = SECRET_INIT;
	g_autofree char *identity = NULL;
	g_autoptr(change) c = NULL;
	struct placed placed = {0};
	struct ring ring;
	enum exit_code r;

	if (!options_parse(&o, &argc, &argv))
		return EXIT_USAGE;
	if (!o.subsysnqn && (o.insert || o.keyfile)) {
		log_error("%s: %s needs --subsysnqn, for which the key is derived", o.name,
			  o.insert ? "--insert" : "--keyfile");
		return EXIT_USAGE;
	}
	if (o.expires && !o.insert) {
		log_error("%s: --expires is for a key in the keyring: give --insert", o.name);
		return EXIT_USAGE;
	}
	r = source_new(&o, &configured);
	if (r != EXIT_OK)
		return r;
	interchange_format(configured.hash, &configured.key, &text);
	if (o.subsysnqn)
		r = place_derive(&o, &configured, &identity, &psk);
	if (r == EXIT_OK && o.insert)
		r = ring_open(&o, &ring);
	if (r == EXIT_OK && (o.insert || o.keyfile)) {
		const struct ring *to = o.insert ? &ring : NULL;

		c = change_open(to, o.keyfile, true);
		r = c ? place_key(c, to, identity, &psk, o.force, &placed) : EXIT_FAILED;
		if (r == EXIT_OK)
			r = change_prepare(c);
		if (r == EXIT_OK)
			change_expire(c, placed.serial, o.insert ? o.expires : 0);
	}
	if (r != EXIT_OK)
		return r;

	if (o.json) {
		struct json_object *out = json_object_new_object();

		json_add_string(out, "configured_psk", text.s);
		json_object_object_add(out, "hmac", json_object_new_int((int)configured.hash));
		json_object_object_add(out, "length", json_object_new_int((int)configured.key.len));
		if (identity)
			json_add_string(out, "identity", identity);
		place_json(&placed, out);
		json_print(out);
	} else {
		puts(text.s);
		if (identity && !o.quiet)
			place_print(&o, identity, &placed);
	}
	tell_of_versions(&o);
	return (int)(c ? change_commit(c) : EXIT_OK);
}
