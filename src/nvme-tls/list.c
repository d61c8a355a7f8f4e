// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls list: what keys the keyring has, and what is wrong with them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "nvme-tls/columns.h"
#include "nvme-tls/compare.h"
#include "nvme-tls/controllers.h"
#include "nvme-tls/output.h"
#include "nvme-tls/ring.h"

static int search(const char *text, void *data)
{
	const struct ring *ring = data;

	return keyring_search(ring->serial, ring->keytype, text);
}

static bool wanted(const options *o, const key_row *row)
{
	if (o->hostnqn && (!row->id.hostnqn || strcmp(row->id.hostnqn, o->hostnqn) != 0))
		return false;
	return !o->subsysnqn || (row->id.subsysnqn && strcmp(row->id.subsysnqn, o->subsysnqn) == 0);
}

static struct json_object *row_json(const key_row *row, GPtrArray *controllers, bool compared)
{
	struct json_object *out = json_object_new_object(), *problems = json_object_new_array();
	struct json_object *users = json_object_new_array();

	if (row->serial)
		json_add_serial(out, row->serial);
	else
		json_object_object_add(out, "serial", NULL);
	json_add_string(out, "identity", row->identity);
	if (!row->malformed) {
		json_add_string(out, "kind", row->id.generated ? "generated" : "retained");
		json_object_object_add(out, "version", json_object_new_int(row->id.version));
		json_add_string(out, "hash", psk_hash_name(row->id.hash));
		json_add_string(out, "hostnqn", row->id.hostnqn);
		json_add_string(out, "subsysnqn", row->id.subsysnqn);
		json_add_string(out, "digest", row->id.digest);
	}
	json_object_object_add(out, "length",
			       row->length < 0 ? NULL : json_object_new_int(row->length));
	json_add_string(out, "expiry", row->status.expiry);
	json_object_object_add(out, "revoked", json_object_new_boolean(row->status.revoked));
	json_object_object_add(out, "chosen", json_object_new_boolean(row->chosen));
	for (guint i = 0; i < row->problems->len; i++)
		json_array_add_string(problems,
				      ((key_problem *)g_ptr_array_index(row->problems, i))->text);
	json_object_object_add(out, "problems", problems);
	json_add_string(out, "rotation", key_row_phase_name(row));
	if (compared)
		json_add_string(out, "difference", row->difference);
	for (guint i = 0; i < controllers->len; i++) {
		const controller *c = g_ptr_array_index(controllers, i);

		if (controller_uses(c, row->serial))
			json_object_array_add(users, controller_json(c));
	}
	json_object_object_add(out, "controllers", users);
	return out;
}

static const struct column spec[] = {
	{"", false},	    {"SERIAL", false},	{"KIND", false},
	{"VERSION", false}, {"HASH", false},	{"LENGTH", false},
	{"EXPIRES", false}, {"HOST NQN", true}, {"SUBSYSTEM NQN", true},
	{"DIGEST", true},
};

/* What cannot be told is "-". */
static void add_row(columns *table, const key_row *row)
{
	bool known = !row->malformed;
	char *cells[] = {
		g_strdup(row->chosen ? "*" : ""),
		row->serial ? g_strdup_printf(SERIAL, (unsigned int)row->serial) : g_strdup("-"),
		g_strdup(!known		     ? "-"
			 : row->id.generated ? "generated"
					     : "retained"),
		known ? g_strdup_printf("%d", row->id.version) : g_strdup("-"),
		g_strdup(known ? psk_hash_name(row->id.hash) : "-"),
		row->length < 0 ? g_strdup("-") : g_strdup_printf("%d", row->length),
		g_strdup(row->status.revoked   ? "revoked"
			 : *row->status.expiry ? row->status.expiry
					       : "-"),
		output_clean(known ? row->id.hostnqn : row->identity),
		output_clean(known ? row->id.subsysnqn : "-"),
		g_strdup(row->id.digest ? row->id.digest : "-"),
	};

	G_STATIC_ASSERT(G_N_ELEMENTS(cells) == G_N_ELEMENTS(spec));
	columns_add(table, cells);
}

/* Where a rotation in steps stands. */
static void add_phase(columns *table, const key_row *row)
{
	static const char *const sentences[] = {
		[PHASE_NEW] = "the new key of a rotation",
		[PHASE_OLD] = "the old key of a rotation, accepted as before until rotate --finish",
		[PHASE_ASIDE] =
			"the old key of a rotation, which the host no longer takes, until rotate --finish",
	};
	bool ends = row->phase == PHASE_OLD || row->phase == PHASE_ASIDE;
	g_autofree char *ending = NULL;

	ends = ends && *row->status.expiry && strcmp(row->status.expiry, "never") != 0;
	if (ends)
		ending = g_strdup_printf("the old key of a rotation, which ends in %s",
					 row->status.expiry);
	if (row->phase != PHASE_NONE)
		columns_note(table, false, ending ? ending : sentences[row->phase]);
}

static void add_users(columns *table, const key_row *row, GPtrArray *controllers)
{
	for (guint i = 0; i < controllers->len; i++) {
		const controller *c = g_ptr_array_index(controllers, i);
		g_autofree char *text = NULL, *note = NULL;

		if (!controller_uses(c, row->serial))
			continue;
		text = controller_describe(c);
		note = g_strdup_printf("used by %s", text);
		columns_note(table, false, note);
	}
}

static void print_table(GPtrArray *rows, GPtrArray *controllers)
{
	g_autoptr(columns) table = columns_new(spec, G_N_ELEMENTS(spec));

	for (guint i = 0; i < rows->len; i++) {
		const key_row *row = g_ptr_array_index(rows, i);

		add_row(table, row);
		for (guint p = 0; p < row->problems->len; p++) {
			const key_problem *found = g_ptr_array_index(row->problems, p);
			g_autofree char *problem = output_clean(found->text);

			columns_note(table, true, problem);
		}
		add_phase(table, row);
		add_users(table, row, controllers);
	}
	columns_print(table, stdout);
}

static enum exit_code ring_examined(const options *o, struct ring *ring, GPtrArray **rows)
{
	enum exit_code r = ring_open_if_any(o, ring);

	if (r != EXIT_OK)
		return r;
	*rows = ring_rows(ring);
	if (!*rows)
		return EXIT_FAILED;
	rows_examine(*rows, search, ring);
	return EXIT_OK;
}

/* Say what is wrong with lines of the key file. Return: EXIT_INVALID when there are such. */
static enum exit_code tell_bad_lines(const keyfile *kf, const char *path)
{
	enum exit_code r = EXIT_OK;

	for (size_t i = 0; i < keyfile_lines(kf); i++) {
		g_auto(keyfile_entry) entry = {0};

		if (keyfile_line(kf, i, &entry) != KEYFILE_BAD)
			continue;
		log_error("%s, line %zu: %s", path, i + 1, entry.why);
		r = EXIT_INVALID;
	}
	return r;
}

/* The keys of the key file. Its keys can be shown when the keyring cannot, before the module say. */
static enum exit_code keyfile_compared(const options *o, struct ring *ring, GPtrArray **rows)
{
	g_autoptr(GPtrArray) loaded = NULL;
	g_autoptr(keyfile) kf = NULL;
	enum exit_code r = store_read(o->keyfile, &kf);

	if (r != EXIT_OK)
		return r;
	if (!ring_is_none(o) && ring_find(o, ring) == -ENOENT)
		log_info("keyring %s not found: only the key file is shown", o->keyring);
	else
		r = ring_examined(o, ring, &loaded);
	if (r != EXIT_OK)
		return r;
	*rows = compare_rows(kf, o->keyfile, ring, ring->serial > 0 ? loaded : NULL);
	return tell_bad_lines(kf, o->keyfile);
}

enum exit_code cmd_list(int argc, char **argv)
{
	g_auto(options) o = OPTIONS_INIT;
	g_autoptr(GPtrArray) rows = NULL, shown = g_ptr_array_new(), controllers = NULL;
	struct ring ring;
	enum exit_code r;

	if (!options_parse(&o, &argc, &argv))
		return EXIT_USAGE;
	r = o.keyfile ? keyfile_compared(&o, &ring, &rows) : ring_examined(&o, &ring, &rows);
	if (!rows)
		return r;
	for (guint i = 0; i < rows->len; i++)
		if (wanted(&o, g_ptr_array_index(rows, i)))
			g_ptr_array_add(shown, g_ptr_array_index(rows, i));
	controllers = controllers_read(SYSFS);

	if (o.json) {
		struct json_list out = JSON_LIST_INIT;

		for (guint i = 0; i < shown->len; i++)
			json_list_add(&out, row_json(g_ptr_array_index(shown, i), controllers,
						     o.keyfile != NULL));
		json_list_end(&out);
	} else if (shown->len) {
		print_table(shown, controllers);
	}
	if (!shown->len) {
		bool filtered = o.hostnqn || o.subsysnqn;

		log_info(filtered ? "%s %s has no such key" : "%s %s has no keys",
			 o.keyfile ? "key file" : "keyring", o.keyfile ? o.keyfile : o.keyring);
		/* An empty keyring is as good as any; that none is as asked for is an answer. */
		if (r == EXIT_OK && filtered)
			r = EXIT_MISSING;
	}
	for (guint i = 0; r == EXIT_OK && i < shown->len; i++)
		if (((key_row *)g_ptr_array_index(shown, i))->difference)
			r = EXIT_DIFFERENT;
	return r;
}
