// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls revoke: take keys out of use. */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "nvme-tls/change.h"
#include "nvme-tls/controllers.h"
#include "nvme-tls/output.h"

/* What is to go: rows of the keyring, and lines of the key file. */
struct targets {
	GPtrArray *rows; /* of key_row, borrowed */
	GPtrArray *identities; /* owned strings, each once */
	GHashTable *known_rows, *known_identities; /* what is in there already */
	bool missing;
};

static void add_identity(struct targets *t, const char *identity)
{
	char *copy;

	if (g_hash_table_contains(t->known_identities, identity))
		return;
	copy = g_strdup(identity);
	g_hash_table_add(t->known_identities, copy);
	g_ptr_array_add(t->identities, copy);
}

static void add_row(struct targets *t, key_row *row)
{
	if (g_hash_table_add(t->known_rows, row))
		g_ptr_array_add(t->rows, row);
	add_identity(t, row->identity);
}

static void add_word(struct targets *t, GPtrArray *rows, keyfile *kf, const char *word,
		     const char *where)
{
	key_serial serials[2];
	unsigned int by_serial = key_serial_parse(word, serials), found = 0;

	for (guint i = 0; i < rows->len; i++) {
		key_row *row = g_ptr_array_index(rows, i);

		if (by_serial ? row->serial == serials[0] || row->serial == serials[by_serial - 1]
			      : strcmp(row->identity, word) == 0) {
			add_row(t, row);
			found++;
		}
	}
	if (by_serial && found > 1) {
		log_error("\"%s\" is one key's serial in decimal and another's in hexadecimal: write 0x before a hexadecimal one, or give the identity",
			  word);
		t->missing = true;
	}
	if (!found && !by_serial && kf && keyfile_has(kf, word)) {
		add_identity(t, word);
		found++;
	}
	if (!found) {
		log_error("%s has no key %s%s%s: nvme-tls list shows which there are", where,
			  by_serial ? "" : "\"", word, by_serial ? "" : "\"");
		t->missing = true;
	}
}

static void add_pair(struct targets *t, GPtrArray *rows, const keyfile *kf, const char *host,
		     const char *subsys, const char *where)
{
	bool found = false;

	for (guint i = 0; i < rows->len; i++) {
		if (key_row_of_pair(g_ptr_array_index(rows, i), host, subsys)) {
			add_row(t, g_ptr_array_index(rows, i));
			found = true;
		}
	}
	for (size_t i = 0; kf && i < keyfile_lines(kf); i++) {
		g_auto(keyfile_entry) entry = {0};
		g_auto(nvme_identity) id = {0};

		if (keyfile_line(kf, i, &entry) == KEYFILE_ENTRY &&
		    nvme_identity_split(entry.identity, &id, NULL) == 0 &&
		    strcmp(id.hostnqn, host) == 0 &&
		    (!subsys || strcmp(id.subsysnqn, subsys) == 0)) {
			add_identity(t, entry.identity);
			found = true;
		}
	}
	if (!found) {
		log_error("%s has no key for host %s%s%s: nvme-tls list shows which there are",
			  where, host, subsys ? " and subsystem " : "", subsys ? subsys : "");
		t->missing = true;
	}
}

/* A key that is revoked but still in the key file of the boot is back after the next one. */
static void warn_of_keyfile(const struct targets *t, const options *o)
{
	g_autoptr(keyfile) kf = NULL;

	if (strcmp(o->keyring, ".nvme") != 0 || keyfile_read(KEYFILE_DEFAULT, &kf) < 0)
		return;
	for (guint i = 0; i < t->identities->len; i++)
		if (keyfile_has(kf, g_ptr_array_index(t->identities, i)))
			log_warning("warning: \"%s\" is still in " KEYFILE_DEFAULT
				    " and comes back with the next boot: --keyfile " KEYFILE_DEFAULT
				    " takes it out",
				    (char *)g_ptr_array_index(t->identities, i));
}

static enum exit_code prepare(change *c, const struct targets *t)
{
	keyfile *kf = change_keyfile(c);

	for (guint i = 0; i < t->rows->len; i++) {
		const key_row *row = g_ptr_array_index(t->rows, i);

		if (change_drop(c, row->serial) != EXIT_OK)
			return EXIT_FAILED;
	}
	for (guint i = 0; kf && i < t->identities->len; i++)
		keyfile_remove(kf, g_ptr_array_index(t->identities, i));
	return change_prepare(c);
}

static void print_text(const struct targets *t, keyfile *kf, const char *path)
{
	g_autofree char *clean_path = path ? output_clean(path) : NULL;

	for (guint i = 0; i < t->rows->len; i++) {
		const key_row *row = g_ptr_array_index(t->rows, i);
		g_autofree char *clean = output_clean(row->identity);

		printf("revoked " SERIAL " %s\n", (unsigned int)row->serial, clean);
	}
	for (guint i = 0; kf && i < t->identities->len; i++) {
		const char *identity = g_ptr_array_index(t->identities, i);
		g_autofree char *clean = output_clean(identity);

		if (keyfile_has(kf, identity))
			printf("taken out of %s: %s\n", clean_path, clean);
	}
}

static void print_json(const struct targets *t, keyfile *kf, const char *path)
{
	g_autoptr(GHashTable) in_ring = g_hash_table_new(g_str_hash, g_str_equal);
	struct json_list list = JSON_LIST_INIT;

	for (guint i = 0; i < t->rows->len; i++) {
		key_row *row = g_ptr_array_index(t->rows, i);
		struct json_object *key = json_object_new_object();

		g_hash_table_add(in_ring, row->identity);
		json_add_serial(key, row->serial);
		json_add_string(key, "identity", row->identity);
		if (kf && keyfile_has(kf, row->identity))
			json_add_string(key, "keyfile", path);
		json_list_add(&list, key);
	}
	for (guint i = 0; kf && i < t->identities->len; i++) {
		const char *identity = g_ptr_array_index(t->identities, i);
		struct json_object *key;

		if (g_hash_table_contains(in_ring, identity))
			continue;
		key = json_object_new_object();
		json_add_string(key, "identity", identity);
		json_add_string(key, "keyfile", path);
		json_list_add(&list, key);
	}
	json_list_end(&list);
}

enum exit_code cmd_revoke(int argc, char **argv)
{
	g_auto(options) o = OPTIONS_INIT;
	g_autoptr(GPtrArray) rows = NULL, controllers = NULL, target_rows = g_ptr_array_new();
	g_autoptr(GPtrArray) identities = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GHashTable) known_identities = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GHashTable) known_rows = g_hash_table_new(NULL, NULL);
	g_autoptr(change) c = NULL;
	struct targets t = {
		.rows = target_rows,
		.identities = identities,
		.known_rows = known_rows,
		.known_identities = known_identities,
	};
	const char *host = NULL, *subsys = NULL;
	g_autofree char *where = NULL;
	struct ring ring;
	enum exit_code r;

	if (!options_parse(&o, &argc, &argv))
		return EXIT_USAGE;
	if (o.subsysnqn || o.hostnqn) {
		/* A host by its name alone means all that it has; a subsystem alone means this host. */
		subsys = o.subsysnqn ? options_subsysnqn(&o) : NULL;
		host = subsys || !o.subsysnqn ? options_hostnqn(&o) : NULL;
		if (!host)
			return EXIT_USAGE;
	}
	if (argc < 2 && !o.identity && !host) {
		log_error("revoke: which key? Give an identity, a serial, --subsysnqn or --hostnqn");
		return EXIT_USAGE;
	}
	r = ring_open_if_any(&o, &ring);
	if (r != EXIT_OK)
		return r;
	where = ring.serial ? g_strdup_printf("keyring %s", ring.name)
			    : g_strdup_printf("key file %s", o.keyfile);
	c = change_open(ring.serial ? &ring : NULL, o.keyfile, false);
	rows = c ? ring_rows(&ring) : NULL;
	if (!rows)
		return EXIT_FAILED;
	for (int i = 1; i < argc; i++)
		add_word(&t, rows, change_keyfile(c), argv[i], where);
	if (o.identity)
		add_word(&t, rows, change_keyfile(c), o.identity, where);
	if (host)
		add_pair(&t, rows, change_keyfile(c), host, subsys, where);
	if (t.missing)
		return EXIT_MISSING;
	controllers = controllers_read(SYSFS);
	for (guint i = 0; i < t.rows->len; i++)
		controllers_warn(controllers, ((key_row *)g_ptr_array_index(t.rows, i))->serial);
	r = prepare(c, &t);
	if (r != EXIT_OK)
		return r;
	if (o.json)
		print_json(&t, change_keyfile(c), o.keyfile);
	else
		print_text(&t, change_keyfile(c), o.keyfile);
	r = change_commit(c);
	if (r == EXIT_OK)
		warn_of_keyfile(&t, &o);
	return r;
}
