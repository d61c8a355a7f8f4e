/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Key files: one "identity key" pair a line, the key a TLS PSK in interchange format. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <glib.h>

#include "common/interchange.h"

/* A key file larger than this is none. */
#define KEYFILE_MAX (1024 * 1024)

/** enum keyfile_kind - what a line is. */
enum keyfile_kind {
	KEYFILE_BLANK, /* empty, or a comment: its first character that is no space is # */
	KEYFILE_ENTRY, /* an identity and its key */
	KEYFILE_BAD, /* neither */
};

/**
 * struct keyfile_entry - one line, taken apart.
 * @identity: owned; NULL unless the line is an entry
 * @key: the TLS PSK; its version tells whether the line says NVMeTLSkey-0 or -1
 * @why: of a bad line, what is wrong with it, owned
 */
typedef struct keyfile_entry {
	char *identity;
	interchange key;
	char *why;
} keyfile_entry;

void keyfile_entry_clear(keyfile_entry *entry);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(keyfile_entry, keyfile_entry_clear)

/** struct keyfile - the lines of a key file, bad ones and comments included. */
typedef struct keyfile keyfile;

void keyfile_free(keyfile *kf);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(keyfile, keyfile_free)

/**
 * keyfile_parse() - make a key file of bytes in memory.
 * @data, @len: its content; copied
 *
 * Return: the key file, to be freed by keyfile_free(), which wipes it; it has no path.
 */
keyfile *keyfile_parse(const char *data, size_t len);

/**
 * keyfile_read() - read a key file (a pipe will do as well) for its lines only.
 *
 * Return: 0; -EFBIG when it is longer than KEYFILE_MAX; what open and read say.
 */
int keyfile_read(const char *path, keyfile **kf);

/** keyfile_read_fd() - the same from a descriptor, which stays open. */
int keyfile_read_fd(int fd, keyfile **kf);

/**
 * keyfile_edit() - read a key file and lock it for a change; make it where there is none.
 *
 * The lock lasts until keyfile_free(). A key file that was made and never saved is removed then.
 *
 * Return: 0; -EWOULDBLOCK when another process has held the lock for 10 seconds; -ENOTSUP when it
 * is no regular file; what open and read say.
 */
int keyfile_edit(const char *path, keyfile **kf);

/**
 * keyfile_problem() - who but root can get at the file that was read.
 *
 * Return: NULL when nobody can, else a sentence with the command that mends it, to be freed by
 * g_free().
 */
char *keyfile_problem(const keyfile *kf);

/** keyfile_lines() - how many lines there are. */
size_t keyfile_lines(const keyfile *kf);

/**
 * keyfile_line() - take line @index (from 0) apart into @entry, to be cleared by the caller.
 *
 * A key has to fit the hash that its identity names.
 */
enum keyfile_kind keyfile_line(const keyfile *kf, size_t index, keyfile_entry *entry);

/**
 * keyfile_set() - give @identity the key @text, in the place of its line, or at the end.
 *
 * Where the identity has several lines, the first takes the key and the others go.
 */
void keyfile_set(keyfile *kf, const char *identity, const interchange_text *text);

/** keyfile_replace() - the same, but a line of @old, another identity, is its place as well. */
void keyfile_replace(keyfile *kf, const char *old, const char *identity,
		     const interchange_text *text);

/** keyfile_remove() - drop the lines of @identity; how many there were. */
size_t keyfile_remove(keyfile *kf, const char *identity);

/**
 * keyfile_prepare() - write the new content, mode 0600, to a file beside the key file, and wait
 * until the disk has it. The key file itself is not touched: an error or a crash leaves it whole.
 *
 * Return: 0 or a negative errno (-ENOSPC, -EROFS, -EACCES, ...).
 */
int keyfile_prepare(keyfile *kf);

/** keyfile_commit() - put what keyfile_prepare() wrote in the key file's place, in one step. */
int keyfile_commit(keyfile *kf);
