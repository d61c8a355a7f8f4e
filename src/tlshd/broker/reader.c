// SPDX-License-Identifier: GPL-2.0-or-later
/* Certificates, keys and lists are read by a process of its own: their disk may be the one that is gone. */
#include "tlshd/broker/reader.h"

#include <assert.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "tlshd/broker/child.h"
#include "tlshd/shared/memfile.h"

/* systemd does not warn of a process in parentheses that it finds beside the broker it starts. */
#define NAME "(tlshd-reader)"
/* A CRL with a million entries has some 40 MB. */
#define FILE_MAX ((size_t)64 * 1024 * 1024)

static_assert(CREDENTIAL_OWNERS * CREDENTIAL_KINDS + STAMPS_HELD_MAX <= CHILD_DESCRIPTORS_MAX,
	      "a child hands over so many descriptors");

struct reader {
	struct reader_params params;
	struct child *child;
};

/* Where in @what the descriptors are. Return: how many. */
static size_t descriptors_of(void *result, int *all[CHILD_DESCRIPTORS_MAX])
{
	struct reading *what = result;
	size_t n = 0;

	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t kind = 0; kind < CREDENTIAL_KINDS; kind++)
			if (what->files[owner][kind].fd >= 0)
				all[n++] = &what->files[owner][kind].fd;
	for (size_t i = 0; i < what->hold.n; i++)
		all[n++] = &what->hold.fds[i];
	return n;
}

/* ---- the process ---- */

/* What others may read or change is the administrator's to know; ktls-utils takes it all the same. */
static void warn_of_mode(const char *path, bool is_key, const struct stat *st)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		log_warning("%s belongs to the user %u, who can replace it: chown root %s", path,
			    (unsigned int)st->st_uid, path);
	if (is_key && st->st_mode & (S_IRWXG | S_IRWXO))
		log_warning("%s is a private key that others than its owner may use: chmod 600 %s",
			    path, path);
	else if (st->st_mode & (S_IWGRP | S_IWOTH))
		log_warning("%s can be changed by others than its owner: chmod go-w %s", path,
			    path);
}

static int read_content(const char *path, bool is_key)
{
	struct stat st;
	int fd = memfile_open(path, &st);
	int copy;

	if (fd < 0)
		return fd;
	warn_of_mode(path, is_key, &st);
	copy = memfile_of_file(fd, FILE_MAX);
	close(fd);
	return copy;
}

static void read_file(struct reader_file *file, const char *path, size_t kind)
{
	bool is_key = credential_is_key(kind);

	file->configured = true;
	if (is_key && !stamps_is_file(path))
		return;
	file->fd = read_content(path, is_key);
	if (file->fd >= 0)
		return;
	if (file->fd == -ENOENT && kind == CREDENTIAL_CRL) {
		/* As ktls-utils does, but not in silence. */
		log_warning("%s does not exist: certificates are not checked for revocation; remove x509.crl, or put a list there",
			    path);
		file->configured = false;
	} else if (file->fd == -ENOENT && credential_is_certificate(kind)) {
		log_warning("%s does not exist: there is no certificate until somebody puts one there",
			    path);
		file->configured = false;
	} else {
		outcome_set(&file->outcome, CAUSE_CREDENTIAL_UNREADABLE, "%s: %s", path,
			    file->fd == -EINVAL ? "it is no regular file" : g_strerror(-file->fd));
	}
	file->fd = -1;
}

static void read_files(struct reading *what, const config *settings)
{
	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t kind = 0; kind < CREDENTIAL_KINDS; kind++)
			if (settings->x509[owner][kind])
				read_file(&what->files[owner][kind], settings->x509[owner][kind],
					  kind);
			else /* the system's trust store, which the signer reads */
				what->files[owner][kind].configured = kind == CREDENTIAL_TRUST;
}

static void work(const void *job, void *result)
{
	const struct reader_params *params = job;
	struct reading *what = result;

	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t kind = 0; kind < CREDENTIAL_KINDS; kind++)
			what->files[owner][kind] = (struct reader_file){false, -1, OUTCOME_INIT};
	stamps_hold(&what->hold, params->settings);
	/* Before they are read: what changes meanwhile is seen next time. */
	stamps_look(&what->stamps, params->settings, &what->hold);
	what->same = params->before && stamps_are_equal(&what->stamps, params->before);
	if (!what->same)
		read_files(what, params->settings);
}

/* ---- the broker ---- */

static void on_done(void *ctx, void *result)
{
	struct reader *r = ctx;

	r->params.done(r->params.ctx, result);
}

static void on_gone(void *ctx, int err)
{
	struct reader *r = ctx;

	r->params.gone(r->params.ctx, err == -EMFILE
					      ? "no descriptor is left for them; raise LimitNOFILE="
					      : "the process that reads them has died");
}

void reader_free(struct reader *r)
{
	if (!r)
		return;
	child_free(r->child);
	g_free(r);
}

int reader_new(struct reader **out, const struct reader_params *params)
{
	struct reader *r = g_new0(struct reader, 1);
	const struct child_params child = {
		.event = params->event,
		.name = NAME,
		.work = work,
		.job = params,
		.size = sizeof(struct reading),
		.descriptors = descriptors_of,
		.done = on_done,
		.gone = on_gone,
		.ctx = r,
	};
	int e;

	r->params = *params;
	e = child_new(&r->child, &child);
	if (e < 0) {
		reader_free(r);
		return e;
	}
	*out = r;
	return 0;
}
