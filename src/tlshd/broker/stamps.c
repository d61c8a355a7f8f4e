// SPDX-License-Identifier: GPL-2.0-or-later
/* How the files of certificates, keys and lists are told from their successors, with and without the disk. */
#include "tlshd/broker/stamps.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/openat2.h>

/* Linux 5.12; not in the headers of every system that we are built on. */
#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20
#endif

/* GnuTLS does not tell for which of them it was built. */
static const char *const stores[STAMPS_STORES] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/pki/ca-trust/source",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
};

bool stamps_is_file(const char *text)
{
	g_autofree char *scheme = g_uri_parse_scheme(text);

	return !scheme;
}

static const char *path_at(const config *settings, size_t owner, size_t kind)
{
	const char *text = settings->x509[owner][kind];

	return text && stamps_is_file(text) ? text : NULL;
}

static bool wants_system(const config *settings)
{
	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		if (!settings->x509[owner][CREDENTIAL_TRUST])
			return true;
	return false;
}

/* Return: is there anything at @path? */
static bool hold_path(struct stamps_hold *hold, const char *path)
{
	/* A link, and what it leads to. */
	const int fds[] = {open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC),
			   open(path, O_PATH | O_CLOEXEC)};

	for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
		if (fds[i] >= 0)
			hold->fds[hold->n++] = fds[i];
	return fds[1] >= 0;
}

void stamps_hold(struct stamps_hold *hold, const config *settings)
{
	bool some = false;

	*hold = (struct stamps_hold){0};
	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t kind = 0; kind < CREDENTIAL_KINDS; kind++) {
			const char *path = path_at(settings, owner, kind);

			if (path)
				hold_path(hold, path);
		}
	if (!wants_system(settings))
		return;
	for (size_t i = 0; i < STAMPS_STORES; i++)
		some |= hold->stores[i] = hold_path(hold, stores[i]);
	for (size_t i = 0; !some && i < STAMPS_STORES; i++)
		hold->stores[i] = true;
}

void stamps_let_go(struct stamps_hold *hold)
{
	for (size_t i = 0; i < hold->n; i++)
		close(hold->fds[i]);
	*hold = (struct stamps_hold){0};
}

static void stamp_from(struct stamp *out, const struct stat *st)
{
	out->device = st->st_dev;
	out->inode = st->st_ino;
	out->size = st->st_size;
	out->modified = st->st_mtim;
	out->changed = st->st_ctim;
}

static void look_at(struct stamp *out, const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0)
		stamp_from(out, &st);
}

/* Errors that tell what there is at a path. */
static bool is_answer(int err)
{
	return err == ENOENT || err == ENOTDIR || err == EACCES || err == ELOOP;
}

/*
 * stat() would wait for the disk where a name has left the caches, which happens to one that nobody can hold:
 * of no file, or of a link to a link. And it notes in a link, once a day, when that was last followed.
 */
static void glance_at(struct stamp *out, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_CACHED};
	long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	struct stat st;

	if (fd < 0 && errno == ENOSYS) { /* systemd's RestrictSUIDSGID= takes openat2() away */
		look_at(out, path);
		return;
	}
	if (fd < 0 ? !is_answer(errno) : fstat((int)fd, &st) < 0)
		memset(out, 0xff, sizeof(*out));
	else if (fd >= 0)
		stamp_from(out, &st);
	if (fd >= 0)
		close((int)fd);
}

static void visit(struct stamps *out, const config *settings, const struct stamps_hold *hold,
		  void (*at)(struct stamp *out, const char *path))
{
	memset(out, 0, sizeof(*out));
	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t kind = 0; kind < CREDENTIAL_KINDS; kind++) {
			const char *path = path_at(settings, owner, kind);

			if (path)
				at(&out->files[owner][kind], path);
		}
	if (!wants_system(settings))
		return;
	for (size_t i = 0; i < STAMPS_STORES; i++)
		if (hold->stores[i])
			at(&out->system[i], stores[i]);
}

void stamps_look(struct stamps *out, const config *settings, const struct stamps_hold *hold)
{
	visit(out, settings, hold, look_at);
}

void stamps_glance(struct stamps *out, const config *settings, const struct stamps_hold *hold)
{
	visit(out, settings, hold, glance_at);
}

bool stamps_are_equal(const struct stamps *a, const struct stamps *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool stamps_trust_is_equal(const struct stamps *a, const struct stamps *b)
{
	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t kind = CREDENTIAL_TRUST; kind <= CREDENTIAL_CRL; kind++)
			if (memcmp(&a->files[owner][kind], &b->files[owner][kind],
				   sizeof(struct stamp)) != 0)
				return false;
	return memcmp(a->system, b->system, sizeof(a->system)) == 0;
}
