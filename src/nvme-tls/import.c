// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls import: put the keys of a key file into the keyring. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "nvme-tls/output.h"
#include "nvme-tls/ring.h"
#include "nvme-tls/store.h"

#define CREDENTIAL_PREFIX "nvme-tls-keys"

/* What has been done so far. */
struct tally {
	const options *o;
	struct ring ring; /* no serial in a dry run */
	unsigned int imported, unchanged, bad, failed;
	struct json_object *keys, *problems;
};

static void bad_line(struct tally *t, const char *name, size_t line, const char *why)
{
	struct json_object *problem = json_object_new_object();
	g_autofree char *clean = output_clean(why);

	t->bad++;
	log_error("%s, line %zu: %s", name, line, clean);
	json_add_string(problem, "file", name);
	json_object_object_add(problem, "line", json_object_new_int64((int64_t)line));
	json_add_string(problem, "problem", why);
	json_object_array_add(t->problems, problem);
}

static void import_entry(struct tally *t, const keyfile_entry *entry)
{
	g_autofree char *clean = output_clean(entry->identity);
	struct json_object *key;
	key_serial serial = 0;
	bool same = false;
	int err;

	if (t->ring.serial) {
		/* The same key stays under its serial, which a connection may have been told. */
		same = ring_compare(&t->ring, entry->identity, &entry->key.key, &serial, &err) ==
		       RING_SAME;
		if (!same &&
		    ring_put(&t->ring, entry->identity, &entry->key.key, &serial) != EXIT_OK) {
			t->failed++;
			return;
		}
	}
	t->imported += !same;
	t->unchanged += same;
	if (!t->o->json && !t->o->boot) {
		printf("%s%s",
		       t->o->dry_run ? "would import "
		       : same	     ? "there already: "
				     : "",
		       clean);
		if (serial)
			printf(" as " SERIAL, (unsigned int)serial);
		putchar('\n');
	}
	key = json_object_new_object();
	json_add_string(key, "identity", entry->identity);
	if (serial)
		json_add_serial(key, serial);
	json_object_object_add(key, "imported", json_object_new_boolean(!same && !t->o->dry_run));
	json_object_array_add(t->keys, key);
}

static void import_lines(struct tally *t, const char *name, const keyfile *kf)
{
	for (size_t i = 0; i < keyfile_lines(kf); i++) {
		g_auto(keyfile_entry) entry = {0};

		switch (keyfile_line(kf, i, &entry)) {
		case KEYFILE_BLANK:
			break;
		case KEYFILE_BAD:
			bad_line(t, name, i + 1, entry.why);
			break;
		case KEYFILE_ENTRY:
			import_entry(t, &entry);
			break;
		}
	}
}

static enum exit_code import_path(struct tally *t, const char *path)
{
	bool input = !path || strcmp(path, "-") == 0;
	g_autoptr(keyfile) kf = NULL;
	int r;

	if (input && isatty(STDIN_FILENO))
		log_info("reading keys from standard input; end with Ctrl-D");
	r = input ? keyfile_read_fd(STDIN_FILENO, &kf) : keyfile_read(path, &kf);
	if (r < 0) {
		log_error("cannot read key file %s: %s", input ? "standard input" : path,
			  r == -EFBIG ? "it is longer than any key file" : g_strerror(-r));
		return EXIT_FAILED;
	}
	store_warn(kf);
	import_lines(t, input ? "standard input" : path, kf);
	return EXIT_OK;
}

/* What there is to import at boot: credentials of systemd, and the key file. */
static GPtrArray *boot_paths(void)
{
	GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	g_autoptr(GDir) dir = credentials ? g_dir_open(credentials, 0, NULL) : NULL;
	const char *name;

	while (dir && (name = g_dir_read_name(dir)))
		if (g_str_has_prefix(name, CREDENTIAL_PREFIX))
			g_ptr_array_add(paths, g_build_filename(credentials, name, NULL));
	if (access(KEYFILE_DEFAULT, F_OK) == 0)
		g_ptr_array_add(paths, g_strdup(KEYFILE_DEFAULT));
	return paths;
}

static enum exit_code finish(struct tally *t, enum exit_code r)
{
	if (t->o->json) {
		struct json_object *out = json_object_new_object();

		json_object_object_add(out, "imported", json_object_new_int((int)t->imported));
		json_object_object_add(out, "unchanged", json_object_new_int((int)t->unchanged));
		json_object_object_add(out, "keys", t->keys);
		json_object_object_add(out, "problems", t->problems);
		json_print(out);
	} else {
		if (t->o->dry_run)
			printf("%u to import, %u bad lines; nothing was changed\n", t->imported,
			       t->bad);
		else
			printf("%u imported, %u there already, %u failed, %u bad lines\n",
			       t->imported, t->unchanged, t->failed, t->bad);
		json_object_put(t->keys);
		json_object_put(t->problems);
	}
	if (r != EXIT_OK || t->failed)
		return EXIT_FAILED;
	return t->bad ? EXIT_INVALID : EXIT_OK;
}

int cmd_import(int argc, char **argv)
{
	g_auto(options) o = OPTIONS_INIT;
	g_autoptr(GPtrArray) paths = NULL;
	struct tally t = {.o = &o};
	enum exit_code r = EXIT_OK;

	if (!options_parse(&o, &argc, &argv))
		return EXIT_USAGE;
	if ((o.keyfile != NULL) + (argc > 1) + (o.boot != FALSE) > 1) {
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
	t.keys = json_object_new_array();
	t.problems = json_object_new_array();
	for (guint i = 0; i < paths->len; i++) {
		enum exit_code one = import_path(&t, g_ptr_array_index(paths, i));

		r = one == EXIT_OK ? r : one;
	}
	return finish(&t, r);
}
