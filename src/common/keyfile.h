/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Key files: one "identity key" pair a line, the key a TLS PSK in interchange format. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <glib.h>

#include "common/blob.h"
#include "common/interchange.h"

/* A key file larger than this is neither read nor written. */
#define KEYFILE_MAX (64 * 1024 * 1024)

/** enum keyfile_kind - what a line is. */
enum keyfile_kind {
	KEYFILE_BLANK, /* empty, or a comment: its first character that is no space is # */
	KEYFILE_ENTRY, /* an identity and its key */
	KEYFILE_CHAP, /* a host NQN and its DH-HMAC-CHAP secret, as nvme-cli 3.0 writes it */
	KEYFILE_BAD, /* neither */
};

/**
 * struct keyfile_entry - one line, taken apart.
 * @identity: owned; of a secret for DH-HMAC-CHAP the host NQN; NULL when the line is neither
 * @key: the TLS PSK; its version tells whether the line says NVMeTLSkey-0 or -1
 * @chap: the secret, "DHHC-1:hh:…:", unchecked
 * @why: of a bad line, what is wrong with it, owned
 */
typedef struct keyfile_entry {
	char *identity;
	interchange key;
	blob chap;
	char *why;
} keyfile_entry;

void keyfile_entry_clear(keyfile_entry *entry);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(keyfile_entry, keyfile_entry_clear)

/**
 * struct keyfile - a key file as it was read, bad lines and comments included, and the changes
 * that are to be made to it.
 */
typedef struct keyfile keyfile;

/** keyfile_free() - unlock it, drop what was not committed, and wipe it. NULL is fine. */
void keyfile_free(keyfile *kf);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(keyfile, keyfile_free)

/**
 * keyfile_parse() - make a key file of bytes in memory.
 * @data, @len: its content; copied
 *
 * Return: the key file, to be freed by keyfile_free(); it has no path.
 */
keyfile *keyfile_parse(const char *data, size_t len);

/**
 * keyfile_read() - read a key file (a pipe will do as well) for its lines only.
 *
 * A regular file is read under a shared lock, so that a change made in place is not seen half
 * done; of one that a crash has left half done, the whole copy beside it is read.
 *
 * Return: 0; -EFBIG when it is longer than KEYFILE_MAX; -ENOLINK when it is a symbolic link to
 * what does not exist; what open and read say.
 */
int keyfile_read(const char *path, keyfile **kf);

/** keyfile_read_fd() - the same from a descriptor, which stays open, and without the lock. */
int keyfile_read_fd(int fd, keyfile **kf);

/**
 * keyfile_edit() - read a key file and lock it for a change.
 * @create: make it where there is none
 *
 * The lock lasts until keyfile_free(). A key file that was made and never saved is removed then.
 *
 * Return: 0; -EWOULDBLOCK when another process has held the lock for 10 seconds; -ENOTSUP when it
 * is no regular file; -ENOLINK as above; what open and read say.
 */
int keyfile_edit(const char *path, bool create, keyfile **kf);

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
 * keyfile_get() - the key that a reader of the file takes for @identity: that of its last line.
 * @entry: filled where there is one, to be cleared by the caller
 *
 * The first call reads all lines; those that follow cost the same for any length of the file.
 */
bool keyfile_get(keyfile *kf, const char *identity, keyfile_entry *entry);

/** keyfile_has() - whether @identity has a line, be its key a bad one. */
bool keyfile_has(keyfile *kf, const char *identity);

/**
 * keyfile_set() - give @identity the key @text, in the place of its line, or at the end.
 *
 * Where the identity has several lines, the first takes the key and the others go. Changes are
 * remembered; the lines that keyfile_line() and keyfile_get() show stay as they were read.
 */
void keyfile_set(keyfile *kf, const char *identity, const interchange_text *text);

/** keyfile_replace() - the same, but a line of @old, another identity, is its place as well. */
void keyfile_replace(keyfile *kf, const char *old, const char *identity,
		     const interchange_text *text);

/** keyfile_remove() - drop the lines of @identity. Return: whether there are any. */
bool keyfile_remove(keyfile *kf, const char *identity);

/** keyfile_preview() - the key file as the changes make it; no path. To be freed. */
keyfile *keyfile_preview(const keyfile *kf);

/**
 * keyfile_prepare() - write the new content, mode 0600, to a file beside the key file, and wait
 * until the disk has it. The key file itself is not touched: an error or a crash leaves it whole.
 * Where nothing changes, nothing is written.
 *
 * Return: 0 or a negative errno (-ENOSPC, -EROFS, -EACCES, ...); -EFBIG when the content would be
 * longer than KEYFILE_MAX.
 */
int keyfile_prepare(keyfile *kf);

/**
 * keyfile_commit() - put what keyfile_prepare() wrote in the key file's place, in one step.
 *
 * What a writer without the lock has changed since the file was read is kept: it is merged line by
 * line. A file that cannot be replaced (a mount lies on it, say) is overwritten, and as long as
 * that takes, a copy of the new content lies beside it, which keyfile_read() and keyfile_edit()
 * take after a crash.
 *
 * Return: 0, or a negative errno, and then the key file is as it was.
 */
int keyfile_commit(keyfile *kf);
