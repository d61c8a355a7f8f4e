// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls export: write the keys of the keyring as a key file. */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "nvme-tls/change.h"
#include "nvme-tls/output.h"

static bool wanted(const options *o, const key_row *row)
{
	/* In a key file it would be back where it has been taken out. */
	if (row->phase == PHASE_ASIDE)
		return false;
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

/* What has been done so far. */
struct tally {
	keyfile *kf; /* NULL: the lines go to standard output */
	struct json_list *list; /* NULL without --json */
	unsigned int exported, replaced, left_out;
};

static void export_row(struct tally *t, const key_row *row)
{
	g_auto(secret) psk = SECRET_INIT;
	g_auto(interchange_text) text = {0};
	g_auto(keyfile_entry) entry = {0};

	if (!read_row(row, &psk)) {
		t->left_out++;
		return;
	}
	t->exported++;
	interchange_format(row->id.hash, &psk, &text);
	if (t->kf && keyfile_get(t->kf, row->identity, &entry)) {
		bool same = secret_equal(&entry.key.key, &psk);

		t->replaced += !same;
		if (!same)
			keyfile_set(t->kf, row->identity, &text);
	} else if (t->kf) {
		keyfile_set(t->kf, row->identity, &text);
	} else if (!t->list) {
		printf("%s %s\n", row->identity, text.s);
	}
	if (t->list) {
		struct json_object *key = json_object_new_object();

		json_add_string(key, "identity", row->identity);
		json_add_serial(key, row->serial);
		if (!t->kf)
			json_add_string(key, "tls_psk", text.s);
		json_list_add(t->list, key);
	}
}

enum exit_code cmd_export(int argc, char **argv)
{
	g_auto(options) o = OPTIONS_INIT;
	g_autoptr(GPtrArray) rows = NULL;
	g_autoptr(change) c = NULL;
	struct json_list list = JSON_LIST_INIT;
	struct tally t = {0};
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
		c = change_open(NULL, o.keyfile, true);
		if (!c)
			return EXIT_FAILED;
		t.kf = change_keyfile(c);
	}
	if (o.json)
		t.list = &list;
	for (guint i = 0; i < rows->len; i++)
		if (wanted(&o, g_ptr_array_index(rows, i)))
			export_row(&t, g_ptr_array_index(rows, i));
	if ((o.identity || o.version >= 0 || o.hostnqn || o.subsysnqn) && !t.exported &&
	    !t.left_out) {
		if (t.list)
			json_list_end(t.list);
		log_error("keyring %s has no such key: nvme-tls list shows which there are",
			  o.keyring);
		return EXIT_MISSING;
	}
	if (c)
		r = change_prepare(c);
	if (r != EXIT_OK)
		return r;
	if (t.list)
		json_list_end(t.list);
	else if (c)
		printf(t.replaced
			       ? "%u keys written to %s, %u of them in the place of another key\n"
			       : "%u keys written to %s\n",
		       t.exported, o.keyfile, t.replaced);
	if (c)
		r = change_commit(c);
	if (r != EXIT_OK)
		return r;
	return t.left_out ? EXIT_INVALID : EXIT_OK;
}
