// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls export: write the keys of the keyring as a key file. */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "nvme-tls/output.h"
#include "nvme-tls/ring.h"
#include "nvme-tls/store.h"

static bool wanted(const options *o, const key_row *row)
{
	if (o->identity && strcmp(o->identity, row->identity) != 0)
		return false;
	if (o->version >= 0 && row->id.version != o->version)
		return false;
	if (o->hostnqn && g_strcmp0(o->hostnqn, row->id.hostnqn) != 0)
		return false;
	return !o->subsysnqn || g_strcmp0(o->subsysnqn, row->id.subsysnqn) == 0;
}

/* Read a key that can stand in a key file. */
static bool read_row(const key_row *row, secret *psk)
{
	g_autofree char *clean = output_clean(row->identity);
	const char *why = row->malformed;
	int r = 0;

	if (!why && !key_row_usable(row))
		why = row->status.revoked ? "it is revoked" : "it has expired";
	if (!why)
		r = key_read_psk(row->serial, psk);
	if (r < 0)
		why = key_strerror(r);
	if (!why && psk->len != psk_hash_size(row->id.hash))
		why = "its length does not fit the hash of its identity";
	if (why)
		log_error("key " SERIAL " \"%s\" is left out: %s", (unsigned int)row->serial, clean,
			  why);
	return !why;
}

int cmd_export(int argc, char **argv)
{
	g_auto(options) o = OPTIONS_INIT;
	g_autoptr(GPtrArray) rows = NULL;
	g_autoptr(keyfile) kf = NULL;
	struct json_object *out = NULL;
	unsigned int exported = 0, left_out = 0;
	struct ring ring;
	enum exit_code r;

	if (!options_parse(&o, &argc, &argv))
		return EXIT_USAGE;
	r = ring_open(&o, &ring);
	if (r != EXIT_OK)
		return r;
	rows = ring_rows(&ring);
	if (!rows)
		return EXIT_FAILED;
	if (o.keyfile) {
		r = store_edit(o.keyfile, &kf);
		if (r != EXIT_OK)
			return r;
	}
	if (o.json)
		out = json_object_new_array();
	for (guint i = 0; i < rows->len; i++) {
		const key_row *row = g_ptr_array_index(rows, i);
		g_auto(secret) psk = SECRET_INIT;
		g_auto(interchange_text) text = {0};

		if (!wanted(&o, row))
			continue;
		if (!read_row(row, &psk)) {
			left_out++;
			continue;
		}
		exported++;
		interchange_format(row->id.hash, &psk, &text);
		if (kf)
			keyfile_set(kf, row->identity, &text);
		else if (!out)
			printf("%s %s\n", row->identity, text.s);
		if (out) {
			struct json_object *key = json_object_new_object();

			json_add_string(key, "identity", row->identity);
			json_add_serial(key, row->serial);
			if (!kf)
				json_add_string(key, "tls_psk", text.s);
			json_object_array_add(out, key);
		}
	}
	if (kf) {
		r = store_prepare(o.keyfile, kf);
		if (r == EXIT_OK)
			r = store_commit(o.keyfile, kf);
		if (r == EXIT_OK && !out)
			printf("%u keys written to %s\n", exported, o.keyfile);
	}
	if (out)
		json_print(out);
	if (r != EXIT_OK)
		return r;
	if (o.identity && !exported && !left_out) {
		log_error("keyring %s has no key \"%s\"", o.keyring, o.identity);
		return EXIT_MISSING;
	}
	return left_out ? EXIT_INVALID : EXIT_OK;
}
