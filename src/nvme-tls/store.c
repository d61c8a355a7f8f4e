// SPDX-License-Identifier: GPL-2.0-or-later
/* A key file and what can go wrong with it, said with the next step. */
#include "nvme-tls/store.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

void store_warn(const keyfile *kf)
{
	g_autofree char *problem = keyfile_problem(kf);

	if (problem)
		log_warning("warning: key file %s", problem);
}

/* What keyfile_read() and keyfile_edit() both can say. */
static enum exit_code failed(const char *what, const char *path, int r)
{
	switch (-r) {
	case ENOLINK:
		log_error("key file %s is a symbolic link to something that does not exist: make that, or mount it",
			  path);
		break;
	case EFBIG:
		log_error("%s is longer than the %d MiB of the longest key file", path,
			  KEYFILE_MAX / (1024 * 1024));
		break;
	default:
		log_error("cannot %s key file %s: %s", what, path, g_strerror(-r));
		break;
	}
	return EXIT_FAILED;
}

enum exit_code store_read(const char *path, keyfile **kf)
{
	bool input = !path || strcmp(path, "-") == 0;
	int r;

	if (input && isatty(STDIN_FILENO))
		log_info("reading keys from standard input; end with Ctrl-D");
	r = input ? keyfile_read_fd(STDIN_FILENO, kf) : keyfile_read(path, kf);
	if (r < 0)
		return failed("read", input ? "standard input" : path, r);
	store_warn(*kf);
	return EXIT_OK;
}

enum exit_code store_edit(const char *path, bool create, keyfile **kf)
{
	int r = keyfile_edit(path, create, kf);

	switch (-r) {
	case 0:
		store_warn(*kf);
		return EXIT_OK;
	case EWOULDBLOCK:
		log_error("key file %s is locked by another program: try again when that is done",
			  path);
		break;
	case ENOTSUP:
		log_error("%s is no regular file, so no key file that can be changed", path);
		break;
	case ENOENT:
		if (create)
			log_error("cannot make key file %s: its folder is not there: mkdir it first",
				  path);
		else
			log_error("there is no key file %s", path);
		break;
	default:
		return failed("open", path, r);
	}
	return EXIT_FAILED;
}

GPtrArray *store_rows(keyfile *kf)
{
	GPtrArray *rows = g_ptr_array_new_with_free_func((GDestroyNotify)key_row_free);
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

	for (size_t i = 0; i < keyfile_lines(kf); i++) {
		g_auto(keyfile_entry) entry = {0};
		key_row *row;

		if (keyfile_line(kf, i, &entry) != KEYFILE_ENTRY ||
		    g_hash_table_contains(seen, entry.identity))
			continue;
		row = key_row_new(0, entry.identity);
		row->length = (int)entry.key.key.len;
		g_hash_table_add(seen, row->identity);
		g_ptr_array_add(rows, row);
	}
	return rows;
}

void store_set(keyfile *kf, const char *identity, const secret *psk)
{
	g_auto(interchange_text) text = {0};

	interchange_format(psk_hash_of_size(psk->len), psk, &text);
	keyfile_set(kf, identity, &text);
}

enum exit_code store_prepare(const char *path, keyfile *kf)
{
	int r = kf ? keyfile_prepare(kf) : 0;

	if (r == 0)
		return EXIT_OK;
	if (r == -EFBIG)
		log_error("key file %s would be longer than %d MiB, which no reader takes", path,
			  KEYFILE_MAX / (1024 * 1024));
	else
		log_error("cannot write key file %s: %s", path, g_strerror(-r));
	return EXIT_FAILED;
}

enum exit_code store_commit(const char *path, keyfile *kf)
{
	int r = kf ? keyfile_commit(kf) : 0;

	if (r == 0)
		return EXIT_OK;
	log_error("cannot replace key file %s: %s", path, g_strerror(-r));
	return EXIT_FAILED;
}
