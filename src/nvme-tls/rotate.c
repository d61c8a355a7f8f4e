// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls rotate: give a pair a new key, so that at no moment it has none. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "nvme-tls/output.h"
#include "nvme-tls/place.h"
#include "nvme-tls/source.h"
#include "nvme-tls/store.h"

/* A rotation on its way. */
struct rotation {
	struct ring ring;
	const char *path; /* of the key file, NULL for none */
	keyfile *kf;
	GPtrArray *old; /* key_row of the pair's retained keys, borrowed */
	char *identity; /* the new one, owned */
	secret psk; /* its key */
	secret restored; /* the key that @identity had, to bring it back */
	key_serial serial;
};

typedef struct rotation rotation;

static void rotation_clear(rotation *rot)
{
	keyfile_free(rot->kf);
	g_ptr_array_unref(rot->old);
	g_free(rot->identity);
	secret_wipe(&rot->psk);
	secret_wipe(&rot->restored);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(rotation, rotation_clear)

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

/* The new key takes the line of the first old one; the others' lines go. */
static void update_keyfile(struct rotation *rot, const options *o)
{
	g_autoptr(GPtrArray) old = g_ptr_array_new_with_free_func(g_free);
	g_auto(interchange_text) text = {0};

	for (size_t i = 0; i < keyfile_lines(rot->kf); i++) {
		char *identity;

		if (line_of_pair(rot->kf, i, o, &identity))
			g_ptr_array_add(old, identity);
	}
	interchange_format(psk_hash_of_size(rot->psk.len), &rot->psk, &text);
	keyfile_replace(rot->kf, old->len ? g_ptr_array_index(old, 0) : rot->identity,
			rot->identity, &text);
	for (guint i = 0; i < old->len; i++)
		if (strcmp(g_ptr_array_index(old, i), rot->identity) != 0)
			keyfile_remove(rot->kf, g_ptr_array_index(old, i));
}

/* The retained keys of the pair, and of the best of them what the new one shall be like. */
static bool find_old(struct rotation *rot, GPtrArray *rows, options *o)
{
	int version = -1, hash = 0;

	for (guint i = 0; i < rows->len; i++) {
		key_row *row = g_ptr_array_index(rows, i);

		if (!key_row_of_pair(row, o->hostnqn, o->subsysnqn) || row->id.generated ||
		    !key_row_usable(row))
			continue;
		g_ptr_array_add(rot->old, row);
		if (row->id.version > version ||
		    (row->id.version == version && (int)row->id.hash > hash)) {
			version = row->id.version;
			hash = (int)row->id.hash;
		}
	}
	if (!rot->old->len) {
		log_error("keyring %s has no key for host %s and subsystem %s to replace: make the first one with nvme-tls gen --insert",
			  o->keyring, o->hostnqn, o->subsysnqn);
		return false;
	}
	if (o->version < 0)
		o->version = version;
	if (o->hmac < 0 && !o->keydata)
		o->hmac = hash;
	return true;
}

/* The old keys stay ours to revoke when the new one has taken their place in the keyring. */
static enum exit_code keep_old(struct rotation *rot)
{
	for (guint i = 0; i < rot->old->len; i++) {
		const key_row *row = g_ptr_array_index(rot->old, i);
		int r = strcmp(row->identity, rot->identity) == 0
				? key_read_psk(row->serial, &rot->restored)
				: 0;

		if (r == 0)
			r = keyring_possess(row->serial);
		if (r < 0) {
			ring_error(&rot->ring,
				   "cannot keep the old key until the new one is in place", r);
			return EXIT_FAILED;
		}
	}
	return EXIT_OK;
}

/* Take the new key out again, or put the old one of that identity back. */
static void undo(struct rotation *rot)
{
	key_serial serial;

	if (!rot->restored.len)
		key_invalidate(rot->serial);
	else
		ring_put(&rot->ring, rot->identity, &rot->restored, &serial);
}

static bool remove_old(struct rotation *rot)
{
	bool ok = true;

	for (guint i = 0; i < rot->old->len; i++) {
		const key_row *row = g_ptr_array_index(rot->old, i);
		int r;

		/* A key type with updates keeps the key and exchanges its bytes. */
		if (row->serial == rot->serial)
			continue;
		r = key_invalidate(row->serial);
		if (r < 0 && r != -ENOKEY && r != -EKEYREVOKED && r != -EKEYEXPIRED) {
			g_autofree char *what =
				g_strdup_printf("the new key is in place, but the old one " SERIAL
						" cannot be revoked",
						(unsigned int)row->serial);

			ring_error(&rot->ring, what, r);
			ok = false;
		}
	}
	return ok;
}

static enum exit_code rotate(struct rotation *rot, const options *o)
{
	enum exit_code r;

	if (rot->kf) {
		update_keyfile(rot, o);
		r = store_prepare(rot->path, rot->kf);
		if (r != EXIT_OK)
			return r;
	}
	r = keep_old(rot);
	if (r == EXIT_OK)
		r = ring_put(&rot->ring, rot->identity, &rot->psk, &rot->serial);
	if (r != EXIT_OK)
		return r;
	r = store_commit(rot->path, rot->kf);
	if (r != EXIT_OK)
		undo(rot);
	return r;
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
	printf("inserted as " SERIAL " in the place of %u; %s%s\n", (unsigned int)rot->serial,
	       rot->old->len, rot->path ? rot->path : "no key file", rot->path ? " updated" : "");
}

int cmd_rotate(int argc, char **argv)
{
	g_auto(options) o = OPTIONS_INIT;
	g_auto(interchange) configured = {0};
	g_autoptr(GPtrArray) rows = NULL;
	g_autofree char *why = NULL;
	g_auto(rotation) rot = {.old = g_ptr_array_new()};
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
		if (r != EXIT_OK)
			return r == EXIT_INVALID ? source_invalid(why) : r;
	}

	rot.path = o.keyfile;
	if (!rot.path && strcmp(o.keyring, ".nvme") == 0 && keyfile_has_pair(KEYFILE_DEFAULT, &o))
		rot.path = KEYFILE_DEFAULT;
	r = ring_open(&o, &rot.ring);
	/* The lock comes before the look at the keys: two rotations follow one another. */
	if (r == EXIT_OK && rot.path)
		r = store_edit(rot.path, &rot.kf);
	if (r != EXIT_OK)
		return r;
	rows = ring_rows(&rot.ring);
	if (!rows)
		return EXIT_FAILED;
	if (!find_old(&rot, rows, &o))
		return EXIT_MISSING;
	if (!o.keydata) {
		r = source_new(&o, &configured);
		if (r != EXIT_OK)
			return r;
	}
	r = place_derive(&o, &configured, &rot.identity, &rot.psk);
	if (r == EXIT_OK)
		r = rotate(&rot, &o);
	if (r != EXIT_OK)
		return r;
	print(&rot, &o, &configured);
	/* The old keys go last: until the new one is known to somebody they are what there is. */
	if (fflush(stdout) == EOF && !o.keydata) {
		log_error("the new key is in place, but its configured PSK could not be printed, and cannot be had from the keyring: rotate once more");
		return EXIT_FAILED;
	}
	return remove_old(&rot) ? EXIT_OK : EXIT_FAILED;
}
