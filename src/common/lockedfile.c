// SPDX-License-Identifier: GPL-2.0-or-later
/* A file of lines that is changed as a whole, under a lock, so that no reader sees it half done. */
#include "common/lockedfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/lock.h"

/* How often the merge with writers that take no lock is tried, and how long one is waited for. */
#define ROUNDS_MAX 16
#define WRITER_WAIT_USEC G_USEC_PER_SEC
#define WRITER_STEP_USEC 1000

/* How long processes that replace the file all the time are followed. */
#define OPEN_WAIT_USEC (10 * G_USEC_PER_SEC)

/* The name of a hidden file beside @path. */
static char *beside(const char *path, const char *suffix)
{
	g_autofree char *dir = g_path_get_dirname(path);
	g_autofree char *name = g_path_get_basename(path);
	g_autofree char *hidden = g_strdup_printf(".%s.%s", name, suffix);

	return g_build_filename(dir, hidden, NULL);
}

static void sync_dir(const char *path)
{
	g_autofree char *dir = g_path_get_dirname(path);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
}

/* Where @path leads to; the last name need not be there, unless it is a link. */
static int resolve(const char *path, char **real)
{
	g_autofree char *dir = g_path_get_dirname(path);
	g_autofree char *name = g_path_get_basename(path);
	char resolved[PATH_MAX];
	struct stat st;

	*real = NULL;
	if (realpath(path, resolved)) {
		*real = g_strdup(resolved);
		return 0;
	}
	if (errno != ENOENT)
		return -errno;
	if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
		return -ENOLINK;
	if (!realpath(dir, resolved))
		return -errno;
	*real = g_build_filename(resolved, name, NULL);
	return 0;
}

static bool is_at(const struct stat *st, const char *path)
{
	struct stat now;

	return lstat(path, &now) == 0 && now.st_dev == st->st_dev && now.st_ino == st->st_ino;
}

/*
 * Open and lock what lies at @path now. A commit puts another file in its place, so whoever waited
 * for the lock may hold that of a file which is no longer there: then once more.
 */
static int open_locked(const char *path, bool create, struct stat *st, bool *made)
{
	gint64 end = g_get_monotonic_time() + OPEN_WAIT_USEC;

	while (g_get_monotonic_time() < end) {
		int fd = -1, r;

		*made = false;
		if (create) {
			fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
			*made = fd >= 0;
		}
		if (fd < 0 && (!create || errno == EEXIST))
			fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
		if (fd < 0 && errno == ENOENT && create) {
			g_autofree char *dir = g_path_get_dirname(path);

			if (access(dir, F_OK) < 0)
				return -ENOENT;
			continue; /* removed between the two */
		}
		if (fd < 0)
			return -errno;
		r = fstat(fd, st) < 0 ? -errno : 0;
		if (r == 0 && !S_ISREG(st->st_mode))
			r = -ENOTSUP;
		if (r == 0)
			r = lock_wait(fd, LOCK_EX);
		if (r == 0 && is_at(st, path))
			return fd;
		close(fd);
		if (r < 0)
			return r;
	}
	return -EWOULDBLOCK;
}

/*
 * Read the whole copy that a change in place left when it was cut off. Only its owner can have
 * made it: in a folder that others can write to, somebody else's file of that name is none.
 */
static bool read_copy(const char *path, const struct stat *st, size_t max, blob *content)
{
	g_autofree char *copy = beside(path, "copy");
	int fd = open(copy, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
	struct stat now;
	bool ok;

	if (fd < 0)
		return false;
	ok = fstat(fd, &now) == 0 && S_ISREG(now.st_mode) && now.st_uid == st->st_uid &&
	     now.st_nlink == 1 && blob_read(fd, max, content) == 0;
	close(fd);
	return ok;
}

int lockedfile_open(const char *path, bool create, size_t max, lockedfile **out)
{
	g_autoptr(lockedfile) lf = g_new0(lockedfile, 1);
	int r;

	*out = NULL;
	lf->fd = -1;
	lf->fresh_fd = -1;
	lf->max = max;
	r = resolve(path, &lf->path);
	if (r < 0)
		return r;
	lf->fd = open_locked(lf->path, create, &lf->st, &lf->made);
	if (lf->fd < 0)
		return lf->fd;
	r = blob_read(lf->fd, max, &lf->found);
	if (r < 0)
		return r;
	lf->torn = read_copy(lf->path, &lf->st, max, &lf->content);
	if (!lf->torn)
		lf->content = blob_copy(lf->found.data, lf->found.len);
	*out = g_steal_pointer(&lf);
	return 0;
}

void lockedfile_free(lockedfile *lf)
{
	if (!lf)
		return;
	if (lf->fresh)
		unlink(lf->fresh);
	if (lf->made)
		unlink(lf->path);
	if (lf->fd >= 0)
		close(lf->fd);
	if (lf->fresh_fd >= 0)
		close(lf->fresh_fd);
	blob_clear(&lf->content);
	blob_clear(&lf->found);
	blob_clear(&lf->next);
	g_free(lf->path);
	g_free(lf->fresh);
	g_free(lf);
}

/*
 * A new file that holds @content, locked before anybody else can find it. It stays open for
 * reading only, so that wait_for_writers() does not wait for this process. Return: its descriptor.
 */
static int write_fresh(const char *path, const blob *content)
{
	int fd, r;

	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = fchmod(fd, 0600) < 0 ? -errno : blob_write(fd, content);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0) {
		fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		r = fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
		if (r == 0)
			return fd;
		if (fd >= 0)
			close(fd);
	}
	unlink(path);
	return r;
}

/* Its name is one of few, so that the left-over of a crash goes with one of the next changes. */
static int prepare(lockedfile *lf, const char *suffix, blob *next)
{
	g_autofree char *fresh = beside(lf->path, suffix);
	int fd = write_fresh(fresh, next);

	if (fd < 0)
		return fd;
	blob_clear(&lf->next);
	lf->next = *next;
	*next = (blob){0};
	if (lf->fresh_fd >= 0)
		close(lf->fresh_fd);
	lf->fresh_fd = fd;
	g_free(lf->fresh);
	lf->fresh = g_steal_pointer(&fresh);
	return 0;
}

int lockedfile_prepare(lockedfile *lf, blob *next)
{
	return prepare(lf, "new", next);
}

struct slice {
	const char *data;
	size_t len;
};

static guint slice_hash(const void *key)
{
	const struct slice *s = key;
	guint hash = 5381;

	for (size_t i = 0; i < s->len; i++)
		hash = hash * 33 + (unsigned char)s->data[i];
	return hash;
}

static gboolean slice_equal(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;

	return x->len == y->len && memcmp(x->data, y->data, x->len) == 0;
}

static GHashTable *lines_of(const blob *b)
{
	GHashTable *set = g_hash_table_new_full(slice_hash, slice_equal, g_free, NULL);
	struct slice line;
	size_t at = 0;

	while (blob_next_line(b, &at, &line.data, &line.len))
		g_hash_table_add(set, g_memdup2(&line, sizeof(line)));
	return set;
}

/* @ours, without the lines that were taken from @before to make @theirs, with those added. */
static blob merge(const blob *ours, const blob *before, const blob *theirs)
{
	g_autoptr(GHashTable) in_ours = lines_of(ours), in_before = lines_of(before);
	g_autoptr(GHashTable) in_theirs = lines_of(theirs);
	blob out = blob_new(ours->len + theirs->len + 2);
	struct slice line;

	for (size_t at = 0; blob_next_line(ours, &at, &line.data, &line.len);) {
		if (g_hash_table_contains(in_before, &line) &&
		    !g_hash_table_contains(in_theirs, &line))
			continue;
		blob_add(&out, line.data, line.len);
		blob_add(&out, "\n", 1);
	}
	for (size_t at = 0; blob_next_line(theirs, &at, &line.data, &line.len);) {
		if (g_hash_table_contains(in_before, &line) ||
		    g_hash_table_contains(in_ours, &line))
			continue;
		blob_add(&out, line.data, line.len);
		blob_add(&out, "\n", 1);
	}
	return out;
}

/*
 * Until a writer that had opened the file before it was replaced has written: the kernel grants a
 * read lease only when nobody has the file open for writing.
 */
static void wait_for_writers(int fd)
{
	gint64 end = g_get_monotonic_time() + WRITER_WAIT_USEC;

	while (fcntl(fd, F_SETLEASE, F_RDLCK) < 0) {
		if (errno != EAGAIN || g_get_monotonic_time() >= end)
			return;
		g_usleep(WRITER_STEP_USEC);
	}
	fcntl(fd, F_SETLEASE, F_UNLCK);
}

/* Put back what lay there before. Without exchange that is gone, and the new file stays. */
static void put_back(const lockedfile *lf, bool exchanged)
{
	if (exchanged && renameat2(AT_FDCWD, lf->fresh, AT_FDCWD, lf->path, RENAME_EXCHANGE) == 0)
		sync_dir(lf->path);
}

/*
 * Put @fresh in the file's place. Return: a descriptor of the file that lay there; it has the name
 * @fresh then, where the file system can exchange the two (@exchanged).
 */
static int swap(const lockedfile *lf, const char *fresh, bool *exchanged)
{
	int fd, r;

	*exchanged = renameat2(AT_FDCWD, fresh, AT_FDCWD, lf->path, RENAME_EXCHANGE) == 0;
	if (!*exchanged && errno != EINVAL && errno != ENOSYS)
		return -errno;
	fd = open(*exchanged ? fresh : lf->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	r = fd < 0 ? -errno : 0;
	if (r == 0 && !*exchanged && rename(fresh, lf->path) < 0)
		r = -errno;
	if (r == 0)
		return fd;
	put_back(lf, *exchanged);
	if (fd >= 0)
		close(fd);
	return r;
}

/* Both the old and the new way of replacing a file say so when it must stay the file that it is. */
static bool cannot_be_replaced(int r)
{
	return r == -EBUSY || r == -EXDEV || r == -EPERM || r == -EACCES;
}

static int overwrite_with(int fd, const blob *content)
{
	int r;

	/* A disk without room says so before a byte is changed. */
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)MAX(content->len, 1u)) < 0 &&
	    errno != EOPNOTSUPP && errno != ENOSYS)
		return -errno;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	r = blob_write(fd, content);
	if (r == 0 && ftruncate(fd, (off_t)content->len) < 0)
		r = -errno;
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

static int overwrite(lockedfile *lf)
{
	g_autofree char *copy = beside(lf->path, "copy");
	g_auto(blob) now = {0};
	int fd = open(lf->path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
	int r;

	if (fd < 0)
		return -errno;
	r = blob_read(lf->fd, lf->max, &now);
	if (r == 0 && !blob_equal(&now, &lf->found)) {
		blob merged = merge(&lf->next, &lf->found, &now);

		blob_clear(&lf->found);
		lf->found = blob_copy(now.data, now.len);
		r = prepare(lf, "new", &merged);
		blob_clear(&merged);
	}
	if (r == 0 && rename(lf->fresh, copy) < 0)
		r = -errno;
	if (r == 0) {
		g_clear_pointer(&lf->fresh, g_free);
		sync_dir(lf->path);
		r = overwrite_with(fd, &lf->next);
		if (r == 0 || overwrite_with(fd, &lf->found) == 0)
			unlink(copy);
		sync_dir(lf->path);
	}
	close(fd);
	return r;
}

/* Write what has to be in place now beside it: the new content and what a writer has changed. */
static int prepare_again(lockedfile *lf, const blob *now, bool exchanged, unsigned int round)
{
	g_autofree char *before = g_strdup(lf->fresh);
	g_auto(blob) merged = merge(&lf->next, &lf->found, now);
	g_auto(blob) ours = blob_copy(lf->next.data, lf->next.len);
	int placed = lf->fresh_fd, r;

	lf->fresh_fd = -1;
	r = prepare(lf, round % 2 ? "new" : "new2", &merged);
	if (r < 0) {
		lf->fresh_fd = placed;
		return r;
	}
	close(lf->fd);
	lf->fd = placed;
	blob_clear(&lf->found);
	lf->found = ours;
	ours = (blob){0};
	if (exchanged)
		unlink(before);
	return 0;
}

/* One exchange. Return: 0: done; 1: a writer came between, once more; a negative errno. */
static int replace(lockedfile *lf, unsigned int round)
{
	g_auto(blob) now = {0};
	bool exchanged;
	int old, r;

	old = swap(lf, lf->fresh, &exchanged);
	if (old < 0)
		return old;
	sync_dir(lf->path);
	wait_for_writers(old);
	r = blob_read(old, lf->max, &now);
	close(old);
	/* Who writes all the time has to take the lock; what was seen so far is in place. */
	if (r == 0 && round < ROUNDS_MAX && !blob_equal(&now, &lf->found)) {
		r = prepare_again(lf, &now, exchanged, round);
		if (r == 0)
			return 1;
	}
	if (r < 0) {
		put_back(lf, exchanged);
		return r;
	}
	if (exchanged)
		unlink(lf->fresh);
	g_clear_pointer(&lf->fresh, g_free);
	close(lf->fd);
	lf->fd = lf->fresh_fd;
	lf->fresh_fd = -1;
	lf->made = false;
	return 0;
}

int lockedfile_commit(lockedfile *lf)
{
	g_autofree char *copy = beside(lf->path, "copy");
	int r = 1;

	if (!lf->fresh)
		return -EINVAL;
	for (unsigned int round = 0; r == 1; round++)
		r = replace(lf, round);
	if (cannot_be_replaced(r))
		r = overwrite(lf);
	if (r == 0) {
		lf->made = false;
		if (lf->torn)
			unlink(copy);
	}
	return r;
}

int lockedfile_read(const char *path, size_t max, blob *content, struct stat *st)
{
	g_autofree char *real = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), r = -errno;

	*content = (blob){0};
	if (fd < 0)
		return r == -ENOENT && resolve(path, &real) == -ENOLINK ? -ENOLINK : r;
	if (fstat(fd, st) == 0 && S_ISREG(st->st_mode) && resolve(path, &real) == 0) {
		lock_wait(fd, LOCK_SH);
		/* A file that has been replaced meanwhile is whole, if no longer the newest. */
		if (is_at(st, real) && read_copy(real, st, max, content)) {
			close(fd);
			return 0;
		}
	}
	r = blob_read(fd, max, content);
	close(fd);
	return r;
}
