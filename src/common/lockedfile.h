/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file of lines that is changed as a whole, under a lock, so that no reader sees it half done. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "common/blob.h"

/**
 * struct lockedfile - a file that is open for a change.
 * @content: what it held when it was opened
 * @st: what fstat() said then
 */
typedef struct lockedfile {
	blob content;
	struct stat st;
	/* private */
	blob found; /* what the disk really has, where a crash has left it half written */
	blob next; /* what is to be its content */
	char *path; /* resolved */
	char *fresh; /* the file beside it that holds @next, until it is committed */
	int fd; /* of the file, holds the lock */
	int fresh_fd; /* of @fresh, holds its lock */
	size_t max; /* bytes that it may have */
	bool torn; /* @found is not @content */
	bool made; /* by us, and nothing saved in it yet */
} lockedfile;

/**
 * lockedfile_open() - open, lock and read a file.
 * @path: symbolic links are followed, and stay
 * @create: make it where there is none
 * @max: it may not be longer
 * @lf: set to the file, to be freed by lockedfile_free()
 *
 * Return: 0; -EWOULDBLOCK when another process has held the lock for 10 seconds; -ENOTSUP when it
 * is no regular file; -ENOLINK when @path is a symbolic link to what does not exist; -EFBIG; what
 * open and read say.
 */
int lockedfile_open(const char *path, bool create, size_t max, lockedfile **lf);

/** lockedfile_free() - unlock it; drop what is not committed, and a file that was only made. */
void lockedfile_free(lockedfile *lf);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(lockedfile, lockedfile_free)

/**
 * lockedfile_prepare() - write @next, mode 0600, beside the file and wait until the disk has it.
 * @next: taken over on success
 *
 * Return: 0 or a negative errno; the file is as it was in either case.
 */
int lockedfile_prepare(lockedfile *lf, blob *next);

/**
 * lockedfile_commit() - put what was prepared in the file's place.
 *
 * The two files are exchanged in one step, and then what the file held is compared with what was
 * read at first: lines that a writer without the lock has added or taken away meanwhile are
 * added to or taken away from the new content, and it is put in place again. A file that cannot
 * be replaced is overwritten, with a copy beside it until that is done.
 *
 * Return: 0, or a negative errno, and then the file is as it was. -EINVAL: nothing was prepared.
 */
int lockedfile_commit(lockedfile *lf);

/**
 * lockedfile_read() - read a file under a shared lock, without changing it.
 * @path: also a pipe or device, which is read without lock
 * @st: set to what fstat() says
 *
 * A lock that is held for too long does not keep the file from being read.
 *
 * Return: 0; -ENOLINK, -EFBIG as above; what open and read say.
 */
int lockedfile_read(const char *path, size_t max, blob *content, struct stat *st);
