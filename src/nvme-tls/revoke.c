// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls revoke: take keys out of use. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "nvme-tls/controllers.h"
#include "nvme-tls/output.h"
#include "nvme-tls/ring.h"
#include "nvme-tls/store.h"

/* What is to go: rows of the keyring, and identities in the key file. */
struct targets {
	GPtrArray *rows; /* of key_row, borrowed */
	GPtrArray *identities; /* owned strings, each once */
	bool missing;
};

static void add_identity(struct targets *t, const char *identity)
{
	if (!g_ptr_array_find_with_equal_func(t->identities, identity, g_str_equal, NULL))
		g_ptr_array_add(t->identities, g_strdup(identity));
}

static void add_row(struct targets *t, key_row *row)
{
	if (!g_ptr_array_find(t->rows, row, NULL))
		g_ptr_array_add(t->rows, row);
	add_identity(t, row->identity);
}

static bool in_keyfile(const keyfile *kf, const char *identity)
{
	for (size_t i = 0; kf && i < keyfile_lines(kf); i++) {
		g_auto(keyfile_entry) entry = {0};

		if (keyfile_line(kf, i, &entry) == KEYFILE_ENTRY &&
		    strcmp(entry.identity, identity) == 0)
			return true;
	}
	return false;
}

static void add_word(struct targets *t, GPtrArray *rows, const keyfile *kf, const char *word,
		     const char *keyring)
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
	if (!found && !by_serial && in_keyfile(kf, word)) {
		add_identity(t, word);
		found++;
	}
	if (!found) {
		log_error("keyring %s has no key %s%s%s: nvme-tls list shows which there are",
			  keyring, by_serial ? "" : "\"", word, by_serial ? "" : "\"");
		t->missing = true;
	}
}

static void add_pair(struct targets *t, GPtrArray *rows, const keyfile *kf, const char *host,
		     const char *subsys, const char *keyring)
{
	guint before = t->identities->len;

	for (guint i = 0; i < rows->len; i++)
		if (key_row_of_pair(g_ptr_array_index(rows, i), host, subsys))
			add_row(t, g_ptr_array_index(rows, i));
	for (size_t i = 0; kf && i < keyfile_lines(kf); i++) {
		g_auto(keyfile_entry) entry = {0};
		g_auto(nvme_identity) id = {0};

		if (keyfile_line(kf, i, &entry) == KEYFILE_ENTRY &&
		    nvme_identity_split(entry.identity, &id, NULL) == 0 &&
		    strcmp(id.hostnqn, host) == 0 && strcmp(id.subsysnqn, subsys) == 0)
			add_identity(t, entry.identity);
	}
	if (t->identities->len == before) {
		log_error("keyring %s has no key for host %s and subsystem %s: nvme-tls list shows which there are",
			  keyring, host, subsys);
		t->missing = true;
	}
}

static bool revoke_row(const struct ring *ring, const key_row *row)
{
	int r = key_invalidate(row->serial);

	/* A key that is revoked or expired is out of use already; the kernel sweeps it soon. */
	if (r < 0 && r != -ENOKEY && r != -EKEYREVOKED && r != -EKEYEXPIRED) {
		g_autofree char *what = g_strdup_printf("cannot revoke key " SERIAL,
							(unsigned int)row->serial);

		ring_error(ring, what, r);
		return false;
	}
	return true;
}

/* A key that is revoked but still in the key file of the boot is back after the next one. */
static void warn_of_keyfile(const struct targets *t, const options *o)
{
	g_autoptr(keyfile) kf = NULL;

	if (o->keyfile || strcmp(o->keyring, ".nvme") != 0 ||
	    keyfile_read(KEYFILE_DEFAULT, &kf) < 0)
		return;
	for (guint i = 0; i < t->identities->len; i++)
		if (in_keyfile(kf, g_ptr_array_index(t->identities, i)))
			log_warning("warning: \"%s\" is still in " KEYFILE_DEFAULT
				    " and comes back with the next boot: --keyfile " KEYFILE_DEFAULT
				    " takes it out",
				    (char *)g_ptr_array_index(t->identities, i));
}

static enum exit_code revoke_all(const struct ring *ring, const options *o, struct targets *t,
				 keyfile *kf)
{
	struct json_object *revoked = json_object_new_array();
	enum exit_code r = EXIT_OK, committed;

	for (guint i = 0; kf && i < t->identities->len; i++)
		keyfile_remove(kf, g_ptr_array_index(t->identities, i));
	if (store_prepare(o->keyfile, kf) != EXIT_OK) {
		json_object_put(revoked);
		return EXIT_FAILED;
	}
	for (guint i = 0; i < t->rows->len; i++) {
		const key_row *row = g_ptr_array_index(t->rows, i);
		g_autofree char *clean = output_clean(row->identity);
		struct json_object *key;

		if (!revoke_row(ring, row)) {
			r = EXIT_FAILED;
			continue;
		}
		if (!o->json)
			printf("revoked " SERIAL " %s\n", (unsigned int)row->serial, clean);
		key = json_object_new_object();
		json_add_serial(key, row->serial);
		json_add_string(key, "identity", row->identity);
		json_object_array_add(revoked, key);
	}
	committed = store_commit(o->keyfile, kf);
	if (o->json)
		json_print(revoked);
	else
		json_object_put(revoked);
	return r != EXIT_OK ? r : committed;
}

int cmd_revoke(int argc, char **argv)
{
	g_auto(options) o = OPTIONS_INIT;
	g_autoptr(GPtrArray) rows = NULL, controllers = NULL, target_rows = g_ptr_array_new();
	g_autoptr(GPtrArray) identities = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(keyfile) kf = NULL;
	struct targets t = {.rows = target_rows, .identities = identities};
	const char *host = NULL, *subsys = NULL;
	struct ring ring;
	enum exit_code r;

	if (!options_parse(&o, &argc, &argv))
		return EXIT_USAGE;
	if (o.subsysnqn || o.hostnqn) {
		subsys = options_subsysnqn(&o);
		host = subsys ? options_hostnqn(&o) : NULL;
		if (!host)
			return EXIT_USAGE;
	}
	if (argc < 2 && !o.identity && !host) {
		log_error("revoke: which key? Give an identity, a serial, or --subsysnqn");
		return EXIT_USAGE;
	}
	r = ring_open(&o, &ring);
	if (r == EXIT_OK && o.keyfile)
		r = store_edit(o.keyfile, &kf);
	if (r != EXIT_OK)
		return r;
	rows = ring_rows(&ring);
	if (!rows)
		return EXIT_FAILED;
	for (int i = 1; i < argc; i++)
		add_word(&t, rows, kf, argv[i], o.keyring);
	if (o.identity)
		add_word(&t, rows, kf, o.identity, o.keyring);
	if (host)
		add_pair(&t, rows, kf, host, subsys, o.keyring);
	if (t.missing)
		return EXIT_MISSING;
	controllers = controllers_read(SYSFS);
	for (guint i = 0; i < t.rows->len; i++)
		controllers_warn(controllers, ((key_row *)g_ptr_array_index(t.rows, i))->serial);
	r = revoke_all(&ring, &o, &t, kf);
	warn_of_keyfile(&t, &o);
	return r;
}
