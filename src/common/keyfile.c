// SPDX-License-Identifier: GPL-2.0-or-later
/* Key files: one "identity key" pair a line, the key a TLS PSK in interchange format. */
#include "common/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_TRIES 100
#define LOCK_WAIT_USEC 100000

struct line {
	size_t len;
	char *text; /* NUL-terminated, without newline; may hold NULs when the line is bad */
};

struct keyfile {
	GPtrArray *lines;
	char *path; /* resolved; NULL unless it came from a file */
	char *prepared; /* what keyfile_prepare() wrote, until it is committed */
	int fd; /* holds the lock, or -1 */
	bool made; /* by us, and nothing saved in it yet */
	struct stat st;
	bool have_st;
};

static void wipe_free(void *data, size_t len)
{
	if (data)
		explicit_bzero(data, len);
	g_free(data);
}

static void line_free(void *data)
{
	struct line *line = data;

	wipe_free(line->text, line->len);
	g_free(line);
}

static struct line *line_new(const char *text, size_t len)
{
	struct line *line = g_new0(struct line, 1);

	line->len = len;
	line->text = g_malloc(len + 1);
	memcpy(line->text, text, len);
	line->text[len] = '\0';
	return line;
}

void keyfile_free(keyfile *kf)
{
	if (!kf)
		return;
	if (kf->prepared)
		unlink(kf->prepared);
	if (kf->made)
		unlink(kf->path);
	if (kf->fd >= 0)
		close(kf->fd);
	g_ptr_array_unref(kf->lines);
	g_free(kf->path);
	g_free(kf->prepared);
	g_free(kf);
}

keyfile *keyfile_parse(const char *data, size_t len)
{
	keyfile *kf = g_new0(keyfile, 1);

	kf->fd = -1;
	kf->lines = g_ptr_array_new_with_free_func(line_free);
	while (len) {
		const char *end = memchr(data, '\n', len);
		size_t n = end ? (size_t)(end - data) : len;

		g_ptr_array_add(kf->lines, line_new(data, n));
		n += end ? 1 : 0;
		data += n;
		len -= n;
	}
	return kf;
}

int keyfile_read_fd(int fd, keyfile **kf)
{
	char *buffer = g_malloc(KEYFILE_MAX + 1);
	size_t len = 0;
	struct stat st;
	ssize_t n;
	int r = 0;

	*kf = NULL;
	while (len <= KEYFILE_MAX) {
		n = read(fd, buffer + len, KEYFILE_MAX + 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = -errno;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	if (!r && len > KEYFILE_MAX)
		r = -EFBIG;
	if (!r) {
		*kf = keyfile_parse(buffer, len);
		if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
			(*kf)->st = st;
			(*kf)->have_st = true;
		}
	}
	wipe_free(buffer, len);
	return r;
}

int keyfile_read(const char *path, keyfile **kf)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int r;

	*kf = NULL;
	if (fd < 0)
		return -errno;
	r = keyfile_read_fd(fd, kf);
	close(fd);
	if (r == 0)
		(*kf)->path = g_strdup(path);
	return r;
}

/* flock() with an end to the waiting. */
static int lock(int fd)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		g_usleep(LOCK_WAIT_USEC);
	}
	return -EWOULDBLOCK;
}

/*
 * Open and lock what lies at @path now. A save puts another file in its place, so whoever waited
 * for the lock may hold that of a file which is no longer the key file: then once more.
 */
static int open_locked(const char *path, struct stat *st, bool *made)
{
	for (;;) {
		struct stat now;
		int fd, r;

		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		*made = fd >= 0;
		if (fd < 0 && errno == EEXIST)
			fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
		if (fd < 0 && errno == ENOENT)
			continue; /* removed between the two */
		if (fd < 0)
			return -errno;
		r = fstat(fd, st) < 0 ? -errno : 0;
		if (r == 0 && !S_ISREG(st->st_mode))
			r = -ENOTSUP;
		if (r == 0)
			r = lock(fd);
		if (r == 0 && stat(path, &now) == 0 && now.st_dev == st->st_dev &&
		    now.st_ino == st->st_ino)
			return fd;
		close(fd);
		if (r < 0)
			return r;
	}
}

int keyfile_edit(const char *path, keyfile **kf)
{
	g_autofree char *dir = g_path_get_dirname(path);
	g_autofree char *name = g_path_get_basename(path);
	char resolved[PATH_MAX];
	g_autofree char *real = NULL;
	struct stat st;
	bool made;
	int fd, r;

	*kf = NULL;
	/* A symbolic link stays one: the file behind it is the one that is replaced. */
	if (realpath(path, resolved))
		real = g_strdup(resolved);
	else if (errno == ENOENT && realpath(dir, resolved))
		real = g_build_filename(resolved, name, NULL);
	else
		return -errno;

	fd = open_locked(real, &st, &made);
	if (fd < 0)
		return fd;
	r = keyfile_read_fd(fd, kf);
	if (r < 0) {
		close(fd);
		return r;
	}
	(*kf)->path = g_steal_pointer(&real);
	(*kf)->fd = fd;
	(*kf)->made = made;
	return 0;
}

char *keyfile_problem(const keyfile *kf)
{
	g_autofree char *quoted = kf->path ? g_shell_quote(kf->path) : NULL;

	if (!quoted || !kf->have_st)
		return NULL;
	if (kf->st.st_uid != 0)
		return g_strdup_printf("%s belongs to uid %u, not to root, who can change the keys: chown root:root %s",
				       kf->path, (unsigned int)kf->st.st_uid, quoted);
	if (kf->st.st_mode & 077)
		return g_strdup_printf("%s has mode %04o, others than root can get at the keys: chmod 600 %s",
				       kf->path, kf->st.st_mode & 07777, quoted);
	return NULL;
}

void keyfile_entry_clear(keyfile_entry *entry)
{
	g_free(entry->identity);
	g_free(entry->why);
	interchange_wipe(&entry->key);
	memset(entry, 0, sizeof(*entry));
}

size_t keyfile_lines(const keyfile *kf)
{
	return kf->lines->len;
}

/* Where the identity and the key of a line are; false when it has not two words. */
static bool split(const struct line *line, const char **identity, size_t *identity_len,
		  const char **key, size_t *key_len)
{
	const char *p = line->text, *end = line->text + line->len;

	while (p < end && g_ascii_isspace(*p))
		p++;
	while (end > p && g_ascii_isspace(end[-1]))
		end--;
	*identity = p;
	*key = end;
	while (*key > p && !g_ascii_isspace((*key)[-1]))
		(*key)--;
	*key_len = (size_t)(end - *key);
	for (end = *key; end > p && g_ascii_isspace(end[-1]);)
		end--;
	*identity_len = (size_t)(end - p);
	return *key_len && *identity_len;
}

static char *check_entry(const keyfile_entry *entry)
{
	g_auto(nvme_identity) id = {0};
	const char *why;

	if (nvme_identity_split(entry->identity, &id, &why) < 0)
		return g_strdup_printf("not an NVMe identity: %s", why);
	if (entry->key.key.len != psk_hash_size(id.hash))
		return g_strdup_printf("the identity names %s, whose keys have %zu bytes; this one has %zu",
				       psk_hash_name(id.hash), psk_hash_size(id.hash),
				       entry->key.key.len);
	return NULL;
}

enum keyfile_kind keyfile_line(const keyfile *kf, size_t index, keyfile_entry *entry)
{
	const struct line *line = g_ptr_array_index(kf->lines, index);
	const char *identity, *key;
	size_t identity_len, key_len;
	g_autofree char *why = NULL;
	interchange_text text = {0};

	memset(entry, 0, sizeof(*entry));
	if (memchr(line->text, 0, line->len)) {
		entry->why = g_strdup("it holds a NUL byte: is this a key file?");
		return KEYFILE_BAD;
	}
	split(line, &identity, &identity_len, &key, &key_len);
	if (!key_len || identity[0] == '#')
		return KEYFILE_BLANK;
	if (!identity_len) {
		entry->why = g_strdup("it has one word, where an identity and a key belong");
		return KEYFILE_BAD;
	}
	if (key_len > INTERCHANGE_MAX) {
		entry->why = g_strdup("its last word is too long for a key in interchange format");
		return KEYFILE_BAD;
	}
	memcpy(text.s, key, key_len);
	if (interchange_parse(text.s, &entry->key, &why) < 0) {
		entry->why = g_strdup_printf("its last word is not a key: %s", why);
	} else {
		entry->identity = g_strndup(identity, identity_len);
		entry->why = check_entry(entry);
	}
	interchange_text_wipe(&text);
	if (!entry->why)
		return KEYFILE_ENTRY;
	g_clear_pointer(&entry->identity, g_free);
	interchange_wipe(&entry->key);
	return KEYFILE_BAD;
}

/* Whether the line is that of @identity; its key may well be a bad one. */
static bool is_of(const struct line *line, const char *identity)
{
	const char *id, *key;
	size_t id_len, key_len;

	return split(line, &id, &id_len, &key, &key_len) && id[0] != '#' &&
	       id_len == strlen(identity) && memcmp(id, identity, id_len) == 0;
}

void keyfile_set(keyfile *kf, const char *identity, const interchange_text *text)
{
	keyfile_replace(kf, identity, identity, text);
}

void keyfile_replace(keyfile *kf, const char *old, const char *identity,
		     const interchange_text *text)
{
	size_t len = strlen(identity) + 1 + strlen(text->s);
	char *joined = g_strconcat(identity, " ", text->s, NULL);
	struct line *line = line_new(joined, len);
	bool placed = false;

	wipe_free(joined, len);
	for (guint i = 0; i < kf->lines->len;) {
		const struct line *at = g_ptr_array_index(kf->lines, i);

		if (!is_of(at, old) && !is_of(at, identity)) {
			i++;
		} else if (placed) {
			g_ptr_array_remove_index(kf->lines, i);
		} else {
			line_free(kf->lines->pdata[i]);
			kf->lines->pdata[i++] = line;
			placed = true;
		}
	}
	if (!placed)
		g_ptr_array_add(kf->lines, line);
}

size_t keyfile_remove(keyfile *kf, const char *identity)
{
	size_t n = 0;

	for (guint i = 0; i < kf->lines->len;) {
		if (is_of(g_ptr_array_index(kf->lines, i), identity)) {
			g_ptr_array_remove_index(kf->lines, i);
			n++;
		} else {
			i++;
		}
	}
	return n;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_lines(int fd, const keyfile *kf)
{
	for (guint i = 0; i < kf->lines->len; i++) {
		const struct line *line = g_ptr_array_index(kf->lines, i);
		int r = write_all(fd, line->text, line->len);

		if (r == 0)
			r = write_all(fd, "\n", 1);
		if (r < 0)
			return r;
	}
	return 0;
}

int keyfile_prepare(keyfile *kf)
{
	g_autofree char *dir = g_path_get_dirname(kf->path);
	g_autofree char *name = g_path_get_basename(kf->path);
	g_autofree char *hidden = g_strdup_printf(".%s.new", name);
	g_autofree char *path = g_build_filename(dir, hidden, NULL);
	int fd, r;

	/* One name, so that the left-over of a crash goes with the next change; we have the lock.
	 */
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = fchmod(fd, 0600) < 0 ? -errno : write_lines(fd, kf);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r < 0) {
		unlink(path);
		return r;
	}
	g_free(kf->prepared);
	kf->prepared = g_steal_pointer(&path);
	return 0;
}

int keyfile_commit(keyfile *kf)
{
	g_autofree char *dir = g_path_get_dirname(kf->path);
	int fd;

	if (!kf->prepared)
		return -EINVAL;
	if (rename(kf->prepared, kf->path) < 0)
		return -errno;
	g_clear_pointer(&kf->prepared, g_free);
	kf->made = false;
	/* The rename reaches the disk with the folder. That it is done is certain already. */
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	return 0;
}
