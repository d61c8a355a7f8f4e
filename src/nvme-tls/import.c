// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls import: put the keys of a key file into the keyring. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "nvme-tls/change.h"
#include "nvme-tls/output.h"

#define CREDENTIAL_PREFIX "nvme-tls-keys"

/* The kernel's type for the secrets of DH-HMAC-CHAP, where it has one. */
#define CHAP_TYPE "dhchap"

/* What becomes of a key. */
enum fate {
	WOULD, /* a dry run */
	UNCHANGED, /* the keyring has it */
	IMPORTED,
	REFUSED, /* by the kernel */
};

/* An identity of the files, with the key of its last line. */
typedef struct item {
	char *identity;
	secret psk;
	const char *file; /* where that line is */
	size_t line;
	enum fate fate;
	key_serial serial, replaced;
	int error; /* of one that is refused */
} item;

struct problem {
	const char *file;
	size_t line;
	char *why;
};

/* What is to be done, and what has become of it. */
typedef struct tally {
	const options *o;
	struct ring ring;
	GPtrArray *items; /* in the order of their first lines */
	GHashTable *by_identity; /* to item, borrowed */
	GPtrArray *put; /* the items that the change has, in its order, borrowed */
	GPtrArray *chap; /* of keyfile_entry */
	GArray *problems; /* of struct problem */
	unsigned int fates[REFUSED + 1], chap_passed;
} tally;

static void item_free(void *data)
{
	item *it = data;

	g_free(it->identity);
	secret_wipe(&it->psk);
	g_free(it);
}

static void entry_free(void *data)
{
	keyfile_entry_clear(data);
	g_free(data);
}

static void problem_clear(void *data)
{
	g_free(((struct problem *)data)->why);
}

static void tally_clear(tally *t)
{
	g_ptr_array_unref(t->items);
	g_hash_table_unref(t->by_identity);
	g_ptr_array_unref(t->put);
	g_ptr_array_unref(t->chap);
	g_array_unref(t->problems);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(tally, tally_clear)

static void add_problem(tally *t, const char *file, size_t line, char *why)
{
	struct problem problem = {.file = file, .line = line, .why = why};

	log_error("%s, line %zu: %s", file, line, why);
	g_array_append_val(t->problems, problem);
}

/* The last line of an identity counts: its key goes in once, and no other one before it. */
static void add_item(tally *t, const char *file, size_t line, keyfile_entry *entry)
{
	item *it = g_hash_table_lookup(t->by_identity, entry->identity);

	if (it) {
		log_warning("warning: %s, line %zu: \"%s\" has a key in line %zu of %s already%s; the last one counts",
			    file, line, it->identity, it->line, it->file,
			    secret_equal(&it->psk, &entry->key.key) ? ", the same" : "");
	} else {
		it = g_new0(item, 1);
		it->identity = g_steal_pointer(&entry->identity);
		g_hash_table_insert(t->by_identity, it->identity, it);
		g_ptr_array_add(t->items, it);
	}
	secret_set(&it->psk, entry->key.key.data, entry->key.key.len);
	it->file = file;
	it->line = line;
}

/* @file outlives the tally. */
static enum exit_code read_file(tally *t, const char *file)
{
	const char *name = strcmp(file, "-") == 0 ? "standard input" : file;
	g_autoptr(keyfile) kf = NULL;
	enum exit_code r = store_read(file, &kf);

	for (size_t i = 0; r == EXIT_OK && i < keyfile_lines(kf); i++) {
		g_auto(keyfile_entry) entry = {0};

		switch (keyfile_line(kf, i, &entry)) {
		case KEYFILE_BLANK:
			break;
		case KEYFILE_BAD:
			add_problem(t, name, i + 1, g_steal_pointer(&entry.why));
			break;
		case KEYFILE_ENTRY:
			add_item(t, name, i + 1, &entry);
			break;
		case KEYFILE_CHAP:
			g_ptr_array_add(t->chap, g_memdup2(&entry, sizeof(entry)));
			entry = (keyfile_entry){0};
			break;
		}
	}
	return r;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What there is to import at boot: credentials of systemd in the order of their names, the key file. */
static GPtrArray *boot_paths(void)
{
	GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	g_autoptr(GDir) dir = credentials ? g_dir_open(credentials, 0, NULL) : NULL;
	struct stat st;
	const char *name;

	while (dir && (name = g_dir_read_name(dir)))
		if (g_str_has_prefix(name, CREDENTIAL_PREFIX))
			g_ptr_array_add(paths, g_build_filename(credentials, name, NULL));
	g_ptr_array_sort(paths, compare_strings);
	/* A symbolic link that leads nowhere is an error to be told, not "no key file". */
	if (lstat(KEYFILE_DEFAULT, &st) == 0)
		g_ptr_array_add(paths, g_strdup(KEYFILE_DEFAULT));
	return paths;
}

/* What the keyring has of a key already: the same one, or another one that gives way. */
static void look_up(GHashTable *loaded, item *it)
{
	const key_row *row = g_hash_table_lookup(loaded, it->identity);
	g_auto(secret) psk = SECRET_INIT;

	if (row && !key_row_usable(row))
		row = NULL;
	if (row && key_read_psk(row->serial, &psk) == 0 && secret_equal(&psk, &it->psk)) {
		it->fate = UNCHANGED;
		it->serial = row->serial;
	} else {
		it->replaced = row ? row->serial : 0;
	}
}

/* The same key stays under its serial, which a connection may have been told. */
static void put_item(tally *t, change *c, GHashTable *loaded, item *it)
{
	look_up(loaded, it);
	if (it->fate == UNCHANGED) {
		change_expire(c, it->serial, t->o->expires);
		return;
	}
	if (change_put(c, it->identity, &it->psk, it->replaced, &it->serial) == EXIT_OK) {
		it->fate = IMPORTED;
		g_ptr_array_add(t->put, it);
		change_expire(c, it->serial, t->o->expires);
	} else {
		it->fate = REFUSED;
		it->error = change_error(c);
	}
}

static void put_failed(guint at, int err, void *data)
{
	tally *t = data;
	item *it = g_ptr_array_index(t->put, at);
	g_autofree char *what = g_strdup_printf("cannot insert \"%s\"", it->identity);

	ring_error(&t->ring, what, err);
	it->fate = REFUSED;
	it->error = err;
	it->serial = 0;
}

/* A secret that is there already stays, as a key does. */
static int put_chap(const tally *t, const keyfile_entry *entry)
{
	int there = keyring_lookup(t->ring.serial, CHAP_TYPE, entry->identity);

	if (there > 0 && key_is_text(there, &entry->chap))
		return 0;
	return MIN(keyring_add_text(t->ring.serial, CHAP_TYPE, entry->identity, &entry->chap), 0);
}

static void put_all_chap(tally *t)
{
	for (guint i = 0; i < t->chap->len; i++) {
		const keyfile_entry *entry = g_ptr_array_index(t->chap, i);
		int r = put_chap(t, entry);

		if (r == -ENODEV) {
			t->chap_passed++;
		} else if (r < 0) {
			g_autofree char *what =
				g_strdup_printf("cannot insert the DH-HMAC-CHAP secret of %s",
						entry->identity);

			ring_error(&t->ring, what, r);
			t->fates[REFUSED]++;
		}
	}
	if (t->chap_passed)
		log_info("%u DH-HMAC-CHAP secrets are passed over: this kernel has no keys of type " CHAP_TYPE,
			 t->chap_passed);
}

static void print_item(const item *it)
{
	g_autofree char *clean = output_clean(it->identity);

	if (it->fate == REFUSED)
		return;
	printf("%s%s",
	       it->fate == WOULD       ? "would import "
	       : it->fate == UNCHANGED ? "there already: "
				       : "",
	       clean);
	if (it->serial)
		printf(" as " SERIAL, (unsigned int)it->serial);
	if (it->replaced)
		printf(" in the place of " SERIAL, (unsigned int)it->replaced);
	putchar('\n');
}

static void print_text(const tally *t)
{
	for (guint i = 0; i < t->items->len; i++) {
		const item *it = g_ptr_array_index(t->items, i);

		/* The journal of a boot needs no list of ten thousand, but what was changed. */
		if (!t->o->boot || it->replaced)
			print_item(it);
	}
	if (t->o->dry_run)
		printf("%u to import, %u there already, %u bad lines; nothing was changed\n",
		       t->fates[WOULD], t->fates[UNCHANGED], t->problems->len);
	else
		printf("%u imported, %u there already, %u failed, %u bad lines\n",
		       t->fates[IMPORTED], t->fates[UNCHANGED], t->fates[REFUSED],
		       t->problems->len);
}

static struct json_object *item_json(const item *it)
{
	struct json_object *out = json_object_new_object();

	json_add_string(out, "identity", it->identity);
	if (it->serial)
		json_add_serial(out, it->serial);
	json_object_object_add(out, "imported", json_object_new_boolean(it->fate == IMPORTED));
	if (it->replaced)
		json_object_object_add(out, "replaced", json_object_new_int(it->replaced));
	if (it->fate == REFUSED)
		json_add_string(out, "problem", key_strerror(it->error));
	return out;
}

static void print_json(const tally *t)
{
	struct json_list keys = {.depth = 1}, problems = {.depth = 1};

	printf("{\n  \"imported\": %u,\n  \"unchanged\": %u,\n  \"failed\": %u,\n  \"keys\": ",
	       t->fates[IMPORTED] + t->fates[WOULD], t->fates[UNCHANGED], t->fates[REFUSED]);
	for (guint i = 0; i < t->items->len; i++)
		json_list_add(&keys, item_json(g_ptr_array_index(t->items, i)));
	json_list_end(&keys);
	fputs(",\n  \"problems\": ", stdout);
	for (guint i = 0; i < t->problems->len; i++) {
		const struct problem *p = &g_array_index(t->problems, struct problem, i);
		struct json_object *out = json_object_new_object();

		json_add_string(out, "file", p->file);
		json_object_object_add(out, "line", json_object_new_int64((int64_t)p->line));
		json_add_string(out, "problem", p->why);
		json_list_add(&problems, out);
	}
	json_list_end(&problems);
	fputs("\n}\n", stdout);
}

static enum exit_code print(tally *t)
{
	for (guint i = 0; i < t->items->len; i++)
		t->fates[((item *)g_ptr_array_index(t->items, i))->fate]++;
	if (t->o->json)
		print_json(t);
	else
		print_text(t);
	return output_flush();
}

static enum exit_code put_all(tally *t)
{
	g_autoptr(change) c = change_open(&t->ring, NULL, false);
	g_autoptr(GPtrArray) rows = c ? ring_rows(&t->ring) : NULL;
	g_autoptr(GHashTable) loaded = rows ? ring_index(rows) : NULL;

	if (!loaded)
		return EXIT_FAILED;
	for (guint i = 0; i < t->items->len; i++)
		put_item(t, c, loaded, g_ptr_array_index(t->items, i));
	change_apply(c, put_failed, t);
	/* At boot the keys count more than a log that is full. */
	if (print(t) == EXIT_OK || t->o->boot) {
		change_settle(c);
		put_all_chap(t);
		return EXIT_OK;
	}
	change_undo(c);
	log_error("nothing was changed");
	return EXIT_FAILED;
}

/* Without a keyring, before the module is loaded say, every key of the file is to be imported. */
static enum exit_code try_all(tally *t)
{
	g_autoptr(GPtrArray) rows = NULL;
	g_autoptr(GHashTable) loaded = NULL;

	if (ring_find(t->o, &t->ring) < 0) {
		log_info("keyring %s cannot be looked at: nothing of this is known to be loaded",
			 t->o->keyring);
		return print(t);
	}
	rows = ring_rows(&t->ring);
	if (!rows)
		return EXIT_FAILED;
	loaded = ring_index(rows);
	for (guint i = 0; i < t->items->len; i++)
		look_up(loaded, g_ptr_array_index(t->items, i));
	return print(t);
}

/*
 * At boot a bad line is not a fault of the service: the others are in, and whatever waits for them
 * can go on. The log has the line; systemd is told when no key came in, or the kernel refused one.
 */
static enum exit_code result(const tally *t, enum exit_code r)
{
	unsigned int in = t->fates[IMPORTED] + t->fates[UNCHANGED];

	if (r != EXIT_OK || t->fates[REFUSED])
		return EXIT_FAILED;
	if (!t->problems->len)
		return EXIT_OK;
	if (!t->o->boot || t->o->dry_run || !in)
		return EXIT_INVALID;
	log_warning("%u keys are in, %u bad lines were passed over; the service counts as successful all the same",
		    in, t->problems->len);
	return EXIT_OK;
}

enum exit_code cmd_import(int argc, char **argv)
{
	g_auto(options) o = OPTIONS_INIT;
	g_autoptr(GPtrArray) paths = NULL;
	g_auto(tally) t = {
		.o = &o,
		.items = g_ptr_array_new_with_free_func(item_free),
		.by_identity = g_hash_table_new(g_str_hash, g_str_equal),
		.put = g_ptr_array_new(),
		.chap = g_ptr_array_new_with_free_func(entry_free),
		.problems = g_array_new(FALSE, FALSE, sizeof(struct problem)),
	};
	enum exit_code r = EXIT_OK, put;

	g_array_set_clear_func(t.problems, problem_clear);
	if (!options_parse(&o, &argc, &argv))
		return EXIT_USAGE;
	if ((o.keyfile != NULL) + (argc > 1) + o.boot > 1) {
		log_error("import: of --keyfile, FILE and --boot there can be one");
		return EXIT_USAGE;
	}
	if (o.boot) {
		struct ring ring;

		paths = boot_paths();
		/* No key, or nobody who wants one yet: the udev rule calls again. */
		if (!paths->len || (!o.dry_run && ring_find(&o, &ring) == -ENOENT))
			return EXIT_OK;
	} else {
		paths = g_ptr_array_new_with_free_func(g_free);
		g_ptr_array_add(paths, g_strdup(o.keyfile ? o.keyfile : argc > 1 ? argv[1] : "-"));
	}
	if (!o.dry_run) {
		r = ring_open(&o, &t.ring);
		if (r != EXIT_OK)
			return r;
	}
	/* One source that cannot be read does not keep the others out. */
	for (guint i = 0; i < paths->len; i++) {
		enum exit_code one = read_file(&t, g_ptr_array_index(paths, i));

		r = one == EXIT_OK ? r : one;
	}
	if (r != EXIT_OK && !o.boot)
		return r;
	put = o.dry_run ? try_all(&t) : put_all(&t);
	return result(&t, put == EXIT_OK ? r : put);
}
