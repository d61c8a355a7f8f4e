// SPDX-License-Identifier: GPL-2.0-or-later
/* A machine made up of files, which the checks of nvme-tls doctor look at. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "doctor-world.h"

static int group_13(void)
{
	return 13;
}

static bool clock_is_right(void)
{
	return true;
}

int world_make(void **state)
{
	struct world *w = g_new0(struct world, 1);

	w->root = g_dir_make_tmp("test-doctor-XXXXXX", NULL);
	if (!w->root)
		return -1;
	w->system = (struct doctor_system){w->root, group_13, clock_is_right, 0};
	w->o = (options)OPTIONS_INIT;
	w->o.keyring = g_strdup(".nvme");
	w->o.keytype = g_strdup("psk");
	w->d = (struct doctor){
		.system = &w->system,
		.o = &w->o,
		.sides = DOCTOR_BOTH,
		.findings = g_ptr_array_new_with_free_func((GDestroyNotify)doctor_finding_free),
		.rows = g_ptr_array_new_with_free_func((GDestroyNotify)key_row_free),
		.ring = {.serial = 1, .name = ".nvme", .keytype = "psk"},
	};
	*state = w;
	return 0;
}

int world_remove(void **state)
{
	struct world *w = *state;
	char *argv[] = {(char[]){"rm"}, (char[]){"-r"}, w->root, NULL};
	gboolean ok = g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL,
				   NULL, NULL);

	g_ptr_array_unref(w->d.findings);
	g_ptr_array_unref(w->d.rows);
	if (w->d.daemons)
		g_ptr_array_unref(w->d.daemons);
	if (w->d.recording)
		recording_free(w->d.recording);
	options_clear(&w->o);
	g_free(w->root);
	g_free(w);
	return ok ? 0 : -1;
}

static char *place(const struct world *w, const char *path)
{
	char *at = g_strconcat(w->root, path, NULL);
	g_autofree char *folder = g_path_get_dirname(at);

	assert_int_equal(g_mkdir_with_parents(folder, 0700), 0);
	return at;
}

void world_put(const struct world *w, const char *path, const char *text)
{
	g_autofree char *at = place(w, path);

	assert_true(g_file_set_contents(at, text, -1, NULL));
	assert_int_equal(chmod(at, 0600), 0);
}

void world_folder(const struct world *w, const char *path)
{
	g_autofree char *at = place(w, path);

	assert_int_equal(g_mkdir_with_parents(at, 0700), 0);
}

void world_link(const struct world *w, const char *path, const char *to)
{
	g_autofree char *at = place(w, path);

	unlink(at);
	assert_int_equal(symlink(to, at), 0);
}

void world_program(const struct world *w, const char *path, const char *script)
{
	g_autofree char *text = g_strconcat("#!/bin/sh\n", script, "\n", NULL);
	g_autofree char *at = g_strconcat(w->root, path, NULL);

	world_put(w, path, text);
	assert_int_equal(chmod(at, 0700), 0);
}

/* The kernel's search: the first key that begins with the text. */
static int search(const char *text, void *data)
{
	const GPtrArray *rows = data;

	for (guint i = 0; i < rows->len; i++) {
		const key_row *row = g_ptr_array_index(rows, i);

		if (key_row_usable(row) && g_str_has_prefix(row->identity, text))
			return row->serial;
	}
	return -ENOKEY;
}

key_row *world_key(struct world *w, const char *identity)
{
	key_row *row = key_row_new((key_serial)w->d.rows->len + 1, identity);

	row->length = row->malformed ? 32 : (int)psk_hash_size(row->id.hash);
	g_ptr_array_add(w->d.rows, row);
	return row;
}

void world_check(struct world *w, void (*check)(struct doctor *d))
{
	for (guint i = 0; i < w->d.rows->len; i++) {
		key_row *row = g_ptr_array_index(w->d.rows, i);

		g_ptr_array_set_size(row->problems, 0);
		row->chosen = false;
	}
	rows_examine(w->d.rows, search, w->d.rows);
	if (w->d.daemons)
		g_ptr_array_unref(w->d.daemons);
	w->d.daemons = doctor_system_daemons(&w->system);
	g_ptr_array_set_size(w->d.findings, 0);
	w->d.check = "check";
	check(&w->d);
}

static void print_findings(const struct world *w)
{
	for (guint i = 0; i < w->d.findings->len; i++) {
		const doctor_finding *f = g_ptr_array_index(w->d.findings, i);

		print_message("# %s: %s -> %s\n", doctor_level_name(f->level), f->cause,
			      f->remedy ? f->remedy : "");
	}
}

void world_finds(const struct world *w, enum doctor_level level, const char *cause,
		 const char *remedy)
{
	for (guint i = 0; i < w->d.findings->len; i++) {
		const doctor_finding *f = g_ptr_array_index(w->d.findings, i);

		/* Who is told of a fault is told what to do. */
		if (f->level != LEVEL_OK)
			assert_non_null(f->remedy);
		if (f->level == level && strstr(f->cause, cause) &&
		    (!remedy || strstr(f->remedy, remedy)))
			return;
	}
	print_findings(w);
	fail_msg("no %s has \"%s\" and \"%s\"", doctor_level_name(level), cause,
		 remedy ? remedy : "");
}

void world_is_fine(const struct world *w)
{
	if (w->d.findings->len && doctor_worst(&w->d) == LEVEL_OK)
		return;
	print_findings(w);
	fail_msg("%s", w->d.findings->len ? "something is wrong" : "nothing is said");
}

void world_is_silent(const struct world *w)
{
	if (!w->d.findings->len)
		return;
	print_findings(w);
	fail_msg("something is said");
}
