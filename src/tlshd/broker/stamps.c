// SPDX-License-Identifier: GPL-2.0-or-later
/* How the files of certificates, keys and lists are told from their successors, without reading the disk. */
#include "tlshd/broker/stamps.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* GnuTLS does not tell for which of them it was built. */
static const char *const stores[STAMPS_STORES] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/pki/ca-trust/source",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
};

struct stamps_hold {
	GArray *fds;
	bool stores[STAMPS_STORES]; /* are looked at */
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
			g_array_append_val(hold->fds, fds[i]);
	return fds[1] >= 0;
}

struct stamps_hold *stamps_hold(const config *settings)
{
	struct stamps_hold *hold = g_new0(struct stamps_hold, 1);
	bool some = false;

	hold->fds = g_array_new(false, false, sizeof(int));
	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t kind = 0; kind < CREDENTIAL_KINDS; kind++) {
			const char *path = path_at(settings, owner, kind);

			if (path)
				hold_path(hold, path);
		}
	if (!wants_system(settings))
		return hold;
	for (size_t i = 0; i < STAMPS_STORES; i++)
		some |= hold->stores[i] = hold_path(hold, stores[i]);
	for (size_t i = 0; !some && i < STAMPS_STORES; i++)
		hold->stores[i] = true;
	return hold;
}

void stamps_let_go(struct stamps_hold *hold)
{
	if (!hold)
		return;
	for (guint i = 0; i < hold->fds->len; i++)
		close(g_array_index(hold->fds, int, i));
	g_array_unref(hold->fds);
	g_free(hold);
}

static void look_at(struct stamp *out, const char *path)
{
	struct stat st;

	if (!path || stat(path, &st) < 0)
		return;
	out->device = st.st_dev;
	out->inode = st.st_ino;
	out->size = st.st_size;
	out->modified = st.st_mtim;
	out->changed = st.st_ctim;
}

void stamps_look(struct stamps *out, const config *settings, const struct stamps_hold *hold)
{
	memset(out, 0, sizeof(*out));
	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t kind = 0; kind < CREDENTIAL_KINDS; kind++)
			look_at(&out->files[owner][kind], path_at(settings, owner, kind));
	if (!wants_system(settings))
		return;
	for (size_t i = 0; i < STAMPS_STORES; i++)
		if (!hold || hold->stores[i])
			look_at(&out->system[i], stores[i]);
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
