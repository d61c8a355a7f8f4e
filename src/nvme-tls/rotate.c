// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls rotate: give a pair a new key, so that at no moment it has none. */
#include <stdio.h>

#include "common/log.h"
#include "nvme-tls/controllers.h"
#include "nvme-tls/handover.h"
#include "nvme-tls/output.h"
#include "nvme-tls/pair.h"
#include "nvme-tls/place.h"
#include "nvme-tls/source.h"

/* A rotation on its way. */
struct rotation {
	struct ring ring;
	char *path; /* of the key file, NULL for none; owned */
	change *change;
	GPtrArray *old; /* key_row of the pair's retained keys, borrowed */
	char *identity; /* the new one, owned */
	secret psk; /* its key */
	key_serial serial;
};

typedef struct rotation rotation;

static void rotation_clear(rotation *rot)
{
	change_free(rot->change);
	g_clear_pointer(&rot->old, g_ptr_array_unref);
	g_free(rot->path);
	g_free(rot->identity);
	secret_wipe(&rot->psk);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(rotation, rotation_clear)

static enum exit_code prepare_ring(struct rotation *rot, const options *o)
{
	g_autoptr(GPtrArray) controllers = controllers_read(SYSFS);
	key_serial same;
	enum exit_code r = EXIT_OK;
	int err;

	/* Done a second time, with --keydata, it is no other key and stays under its serial. */
	if (ring_compare(&rot->ring, rot->identity, &rot->psk, &same, &err) == RING_SAME)
		rot->serial = same;
	else
		r = change_put(rot->change, rot->identity, &rot->psk, same, &rot->serial);
	change_expire(rot->change, rot->serial, o->expires);
	for (guint i = 0; r == EXIT_OK && i < rot->old->len; i++) {
		const key_row *row = g_ptr_array_index(rot->old, i);

		if (row->serial != rot->serial) {
			controllers_warn(controllers, row->serial);
			r = change_drop(rot->change, row->serial);
		} else if (row->phase == PHASE_OLD) {
			r = change_mark(rot->change, row->serial, false);
		}
	}
	return r;
}

/* The new key takes the place of the old ones, which are out of use then. */
static enum exit_code prepare(struct rotation *rot, const options *o)
{
	enum exit_code r = rot->ring.serial ? prepare_ring(rot, o) : EXIT_OK;

	if (r == EXIT_OK && rot->path)
		pair_update_keyfile(change_keyfile(rot->change), o, rot->identity, &rot->psk);
	return r == EXIT_OK ? change_prepare(rot->change) : r;
}

static void print(const struct rotation *rot, const options *o, const interchange *configured)
{
	g_auto(interchange_text) text = {0};

	interchange_format(configured->hash, &configured->key, &text);
	if (o->json) {
		struct json_object *out = json_object_new_object();
		struct json_object *old = json_object_new_array();

		json_add_string(out, "configured_psk", text.s);
		json_add_string(out, "identity", rot->identity);
		if (rot->serial)
			json_add_serial(out, rot->serial);
		for (guint i = 0; i < rot->old->len; i++) {
			const key_row *row = g_ptr_array_index(rot->old, i);

			json_object_array_add(old, json_object_new_int(row->serial));
		}
		json_object_object_add(out, "replaced", old);
		json_add_string(out, "keyfile", rot->path);
		json_print(out);
		return;
	}
	puts(text.s);
	if (o->quiet)
		return;
	puts(rot->identity);
	if (rot->serial)
		printf("inserted as " SERIAL " in the place of %u; ", (unsigned int)rot->serial,
		       rot->old->len);
	printf("%s%s\n", rot->path ? rot->path : "no key file", rot->path ? " updated" : "");
}

enum exit_code cmd_rotate(int argc, char **argv)
{
	g_auto(options) o = OPTIONS_INIT;
	g_auto(interchange) configured = {0};
	g_autoptr(GPtrArray) rows = NULL;
	g_autofree char *why = NULL, *where = NULL;
	g_auto(rotation) rot = {0};
	enum exit_code r;

	if (!options_parse(&o, &argc, &argv))
		return EXIT_USAGE;
	if (o.keydata && (o.secret || o.hmac >= 0 || o.length >= 0)) {
		log_error("rotate: --keydata is the whole key: leave out --secret, --hmac and --length");
		return EXIT_USAGE;
	}
	if (!options_subsysnqn(&o) || !options_hostnqn(&o))
		return EXIT_USAGE;
	if (o.keydata) {
		r = source_key(o.keydata, false, &configured, &why);
		if (r == EXIT_INVALID)
			source_invalid(why);
		if (r != EXIT_OK)
			return r;
	}

	if (o.stage || o.change_over || o.finish)
		return handover_run(&o, &configured);
	rot.path = pair_keyfile_path(&o);
	r = ring_open_if_any(&o, &rot.ring);
	if (r != EXIT_OK)
		return r;
	/* The lock comes before the look at the keys: two rotations follow one another. */
	rot.change = change_open(rot.ring.serial ? &rot.ring : NULL, rot.path, true);
	if (!rot.change)
		return EXIT_FAILED;
	rows = rot.ring.serial ? ring_rows(&rot.ring) : store_rows(change_keyfile(rot.change));
	if (!rows)
		return EXIT_FAILED;
	where = rot.ring.serial ? g_strdup_printf("keyring %s", o.keyring)
				: g_strdup_printf("key file %s", rot.path);
	rot.old = pair_find_keys(&o, rows, where);
	if (!rot.old)
		return EXIT_MISSING;
	if (!o.keydata) {
		r = source_new(&o, &configured);
		if (r != EXIT_OK)
			return r;
	}
	r = place_derive(&o, &configured, &rot.identity, &rot.psk);
	if (r == EXIT_OK)
		r = prepare(&rot, &o);
	if (r != EXIT_OK)
		return r;
	print(&rot, &o, &configured);
	return change_commit(rot.change);
}
