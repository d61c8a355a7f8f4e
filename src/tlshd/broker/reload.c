// SPDX-License-Identifier: GPL-2.0-or-later
/* The configuration is read again without waiting for its disk, which may be the one that waits for us. */
#include "tlshd/broker/reload.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <unistd.h>

#include "tlshd/broker/child.h"
#include "tlshd/shared/memfile.h"

#define NAME "(tlshd-reload)"
#define FILE_MAX ((size_t)1024 * 1024)

struct reload {
	struct reload_params params;
	struct child *child;
};

/* What the process sends. */
struct found {
	bool any; /* is there a file? */
	char path[PATH_MAX];
	char ignored[PATH_MAX]; /* another one, "" for none */
	int fd; /* its content, or a negative errno */
};

static size_t descriptors_of(void *result, int *all[CHILD_DESCRIPTORS_MAX])
{
	struct found *f = result;

	if (f->fd < 0)
		return 0;
	all[0] = &f->fd;
	return 1;
}

/* ---- the process ---- */

static void work(const void *job, void *result)
{
	const struct reload_params *params = job;
	const char *path = params->path, *ignored = NULL;
	struct found *f = result;
	struct stat st;
	int fd;

	f->fd = -ENOENT;
	if (!path)
		path = config_find(&ignored);
	f->any = path != NULL;
	if (!f->any)
		return;
	g_strlcpy(f->path, path, sizeof(f->path));
	g_strlcpy(f->ignored, ignored ? ignored : "", sizeof(f->ignored));
	fd = memfile_open(path, &st);
	f->fd = fd < 0 ? fd : memfile_of_file(fd, FILE_MAX);
}

/* ---- the broker ---- */

static config *refuse(struct found *f, int err, char **why)
{
	*why = g_strdup_printf("%s: %s", f->path,
			       err == -EINVAL ? "it is no regular file" : g_strerror(-err));
	return NULL;
}

static config *understand(struct found *f, char **why)
{
	g_autoptr(GError) error = NULL;
	gnutls_datum_t text = {0};
	config *settings;
	int r = f->fd;

	if (!f->any)
		return config_parse(NULL, NULL, "", 0, &error);
	if (f->fd >= 0) {
		r = memfile_map(f->fd, &text);
		close(f->fd);
	}
	if (r < 0)
		return refuse(f, r, why);
	settings = config_parse(f->path, *f->ignored ? f->ignored : NULL, (const char *)text.data,
				text.size, &error);
	memfile_unmap(&text);
	if (!settings)
		*why = g_strdup(error->message);
	return settings;
}

static void on_done(void *ctx, void *result)
{
	struct reload *r = ctx;
	g_autofree char *why = NULL;
	config *settings = understand(result, &why);

	r->params.done(r->params.ctx, settings, why);
}

static void on_gone(void *ctx, int err)
{
	struct reload *r = ctx;

	r->params.done(r->params.ctx, NULL,
		       err == -EMFILE ? "no descriptor is left for it; raise LimitNOFILE="
				      : "the process that reads it has died");
}

void reload_free(struct reload *r)
{
	if (!r)
		return;
	child_free(r->child);
	g_free(r);
}

int reload_new(struct reload **out, const struct reload_params *params)
{
	struct reload *r = g_new0(struct reload, 1);
	const struct child_params child = {
		.event = params->event,
		.name = NAME,
		.work = work,
		.job = params,
		.size = sizeof(struct found),
		.descriptors = descriptors_of,
		.done = on_done,
		.gone = on_gone,
		.ctx = r,
	};
	int e;

	r->params = *params;
	e = child_new(&r->child, &child);
	if (e < 0) {
		reload_free(r);
		return e;
	}
	*out = r;
	return 0;
}
