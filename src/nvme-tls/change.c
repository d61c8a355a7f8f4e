// SPDX-License-Identifier: GPL-2.0-or-later
/* A change of keyring and key file: all of it is done, or nothing. */
#include "nvme-tls/change.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/lock.h"
#include "common/log.h"
#include "nvme-tls/aside.h"
#include "nvme-tls/output.h"

/* Only root can make this, so nobody else can hold root's lock. */
#define ROOT_FOLDER "/run/nvme-tls"

/*
 * One key. A new one is linked into the keyring, in the place of the old one where there is one; an
 * old one alone is taken out.
 */
struct step {
	key_serial new, old;
	bool kept; /* the old one is held by this process, and can be put back */
	bool drop; /* the old one is to become unusable */
	bool done;
};

/* A key that becomes an old one of a rotation, or no longer is one. */
struct mark {
	key_serial key;
	bool old;
	bool done;
};

struct expiry {
	key_serial key;
	unsigned int seconds;
};

struct change {
	const struct ring *ring;
	const char *path;
	keyfile *kf;
	GArray *steps;
	GArray *marks;
	GArray *expiring; /* of struct expiry */
	int lock;
	int error; /* of the put that failed last */
};

static int open_lock(const char *folder, char **path)
{
	int fd;

	g_free(*path);
	*path = g_build_filename(folder, "lock", NULL);
	g_mkdir_with_parents(folder, 0700);
	fd = open(*path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

/*
 * The lock of all keyrings. Where no folder for it can be written there is none, which must not keep
 * a machine from getting its keys.
 */
static enum exit_code lock_keyrings(change *c)
{
	g_autofree char *own = g_build_filename(g_get_user_runtime_dir(), "nvme-tls", NULL);
	g_autofree char *path = NULL;
	int r = getuid() == 0 ? open_lock(ROOT_FOLDER, &path) : -EACCES;

	/* The root of a user namespace is somebody else outside, and has a folder as such. */
	if (r < 0)
		r = open_lock(own, &path);
	c->lock = r;
	if (r >= 0)
		r = lock_wait(c->lock, LOCK_EX);
	if (r == -EWOULDBLOCK) {
		log_error("another nvme-tls is changing keys: try again when that is done");
		return EXIT_FAILED;
	}
	if (r < 0)
		log_warning("warning: cannot lock %s: %s; another nvme-tls at the same time can undo this change",
			    path, g_strerror(-r));
	return EXIT_OK;
}

change *change_open(const struct ring *ring, const char *path, bool create)
{
	g_autoptr(change) c = g_new0(change, 1);

	c->ring = ring;
	c->path = path;
	c->lock = -1;
	c->steps = g_array_new(FALSE, TRUE, sizeof(struct step));
	c->marks = g_array_new(FALSE, TRUE, sizeof(struct mark));
	c->expiring = g_array_new(FALSE, TRUE, sizeof(struct expiry));
	if (ring && lock_keyrings(c) != EXIT_OK)
		return NULL;
	if (path && store_edit(path, create, &c->kf) != EXIT_OK)
		return NULL;
	return g_steal_pointer(&c);
}

void change_free(change *c)
{
	if (!c)
		return;
	keyfile_free(c->kf);
	g_array_unref(c->steps);
	g_array_unref(c->marks);
	g_array_unref(c->expiring);
	if (c->lock >= 0)
		close(c->lock);
	g_free(c);
}

keyfile *change_keyfile(change *c)
{
	return c->kf;
}

/* What cannot be found any more cannot be put back, and need not be. */
static bool out_of_use(int r)
{
	return r == -ENOKEY || r == -EKEYREVOKED || r == -EKEYEXPIRED;
}

/* Hold the old key, so that it outlives its place in the keyring. */
static enum exit_code keep(change *c, struct step *step)
{
	int r = step->old ? keyring_possess(step->old) : 0;

	if (r < 0 && !out_of_use(r)) {
		g_autofree char *what = g_strdup_printf("cannot keep key " SERIAL
							" until the change is done",
							(unsigned int)step->old);

		ring_error(c->ring, what, r);
		c->error = r;
		return EXIT_FAILED;
	}
	step->kept = step->old && r == 0;
	return EXIT_OK;
}

enum exit_code change_put(change *c, const char *identity, const secret *psk, key_serial old,
			  key_serial *serial)
{
	struct step step = {.old = old};
	int r = keyring_stage(c->ring->keytype, identity, psk);

	*serial = 0;
	c->error = r;
	if (r < 0) {
		g_autofree char *what = g_strdup_printf("cannot insert \"%s\"", identity);

		ring_error(c->ring, what, r);
		return EXIT_FAILED;
	}
	step.new = r;
	if (keep(c, &step) != EXIT_OK)
		return EXIT_FAILED;
	g_array_append_val(c->steps, step);
	*serial = step.new;
	return EXIT_OK;
}

enum exit_code change_drop(change *c, key_serial key)
{
	struct step step = {.old = key, .drop = true};

	for (guint i = 0; i < c->steps->len; i++) {
		struct step *other = &g_array_index(c->steps, struct step, i);

		if (other->new && other->old == key) {
			other->drop = true;
			return EXIT_OK;
		}
	}
	if (keep(c, &step) != EXIT_OK)
		return EXIT_FAILED;
	g_array_append_val(c->steps, step);
	return EXIT_OK;
}

enum exit_code change_mark(change *c, key_serial key, bool old)
{
	struct mark mark = {.key = key, .old = old};
	struct step step = {.old = key};

	/* What is held here can be put back among the old ones. */
	if (keep(c, &step) != EXIT_OK)
		return EXIT_FAILED;
	g_array_append_val(c->marks, mark);
	return EXIT_OK;
}

enum exit_code change_retire(change *c, key_serial key)
{
	struct step step = {.old = key};

	if (keep(c, &step) != EXIT_OK)
		return EXIT_FAILED;
	g_array_append_val(c->steps, step);
	return EXIT_OK;
}

void change_expire(change *c, key_serial key, unsigned int seconds)
{
	struct expiry expiry = {.key = key, .seconds = seconds};

	if (seconds)
		g_array_append_val(c->expiring, expiry);
}

enum exit_code change_prepare(change *c)
{
	return store_prepare(c->path, c->kf);
}

static int do_step(const change *c, struct step *step)
{
	int r = step->new ? keyring_link(c->ring->serial, step->new)
			  : keyring_unlink(c->ring->serial, step->old);

	/* It went by itself: revoked, expired, or by another program. */
	if (!step->new && (r == -ENOENT || out_of_use(r)))
		r = 0;
	step->done = r == 0;
	return r;
}

static void say_failed(const change *c, const struct step *step, int r)
{
	g_autofree char *what = g_strdup_printf(step->new ? "cannot put key " SERIAL " in its place"
							  : "cannot take out key " SERIAL,
						(unsigned int)(step->new ? step->new : step->old));

	ring_error(c->ring, what, r);
}

static int set_mark(const change *c, key_serial key, bool old)
{
	return old ? aside_mark(c->ring->serial, key) : aside_unmark(c->ring->serial, key);
}

/* The marks come first: an old key is never anywhere without being known as one. */
static enum exit_code apply_marks(change *c)
{
	for (guint i = 0; i < c->marks->len; i++) {
		struct mark *mark = &g_array_index(c->marks, struct mark, i);
		int r = set_mark(c, mark->key, mark->old);

		if (r < 0) {
			g_autofree char *what = g_strdup_printf("cannot mark key " SERIAL
								" as one that is being replaced",
								(unsigned int)mark->key);

			ring_error(c->ring, what, r);
			return EXIT_FAILED;
		}
		mark->done = true;
	}
	return EXIT_OK;
}

static void undo_marks(change *c)
{
	for (guint i = c->marks->len; i-- > 0;) {
		struct mark *mark = &g_array_index(c->marks, struct mark, i);

		if (mark->done)
			set_mark(c, mark->key, !mark->old);
		mark->done = false;
	}
}

static void expire_all(const change *c)
{
	for (guint i = 0; i < c->expiring->len; i++) {
		key_serial key = g_array_index(c->expiring, struct expiry, i).key;
		int r = key_expire(key, g_array_index(c->expiring, struct expiry, i).seconds);

		if (r < 0 && !out_of_use(r))
			log_warning("warning: key " SERIAL
				    " cannot be given an end: %s; nvme-tls revoke " SERIAL
				    " takes it out of use",
				    (unsigned int)key, key_strerror(r), (unsigned int)key);
	}
}

void change_undo(change *c)
{
	for (guint i = c->steps->len; i-- > 0;) {
		struct step *step = &g_array_index(c->steps, struct step, i);
		int r = 0;

		if (!step->done)
			continue;
		if (step->kept)
			r = keyring_link(c->ring->serial, step->old);
		else if (step->new)
			r = keyring_unlink(c->ring->serial, step->new);
		if (r < 0 && !out_of_use(r))
			say_failed(c, &(struct step){.new = step->old, .old = step->new}, r);
		step->done = false;
	}
	undo_marks(c);
}

int change_error(const change *c)
{
	return c->error;
}

void change_apply(change *c, void (*failed)(guint at, int err, void *data), void *data)
{
	for (guint i = 0; i < c->steps->len; i++) {
		int r = do_step(c, &g_array_index(c->steps, struct step, i));

		if (r < 0)
			failed(i, r, data);
	}
}

void change_settle(change *c)
{
	expire_all(c);
}

/*
 * The serials in the keyring now: a key that another program has replaced is not there, and what has
 * its description then is not ours to take out.
 */
static GHashTable *serials_now(const change *c)
{
	GHashTable *set = g_hash_table_new(NULL, NULL);
	g_autoptr(GArray) serials = NULL;

	if (keyring_keys(c->ring->serial, &serials) == 0)
		for (guint i = 0; i < serials->len; i++)
			g_hash_table_add(set,
					 GINT_TO_POINTER(g_array_index(serials, key_serial, i)));
	return set;
}

/* The new keys come first: at no moment a pair that gets one has none. */
static enum exit_code apply_all(change *c)
{
	g_autoptr(GHashTable) there = c->steps->len ? serials_now(c) : NULL;

	for (int pass = 0; pass < 2; pass++) {
		for (guint i = 0; i < c->steps->len; i++) {
			struct step *step = &g_array_index(c->steps, struct step, i);
			int r;

			if ((step->new != 0) != (pass == 0) ||
			    (!step->new &&
			     !g_hash_table_contains(there, GINT_TO_POINTER(step->old))))
				continue;
			r = do_step(c, step);
			if (r < 0) {
				say_failed(c, step, r);
				return EXIT_FAILED;
			}
		}
	}
	return EXIT_OK;
}

static void invalidate_dropped(const change *c)
{
	for (guint i = 0; i < c->steps->len; i++) {
		const struct step *step = &g_array_index(c->steps, struct step, i);
		int r = step->drop ? key_invalidate(step->old) : 0;

		if (r < 0 && !out_of_use(r))
			log_warning("warning: key " SERIAL
				    " is out of keyring %s, but cannot be made unusable where another keyring has it: %s",
				    (unsigned int)step->old, c->ring->name, key_strerror(r));
	}
}

enum exit_code change_commit(change *c)
{
	sigset_t all, before;
	enum exit_code r = output_flush();

	if (r != EXIT_OK) {
		log_error("nothing was changed");
		return r;
	}
	/* Ctrl-C waits until keyring and key file agree again. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	r = apply_marks(c);
	if (r == EXIT_OK)
		r = apply_all(c);
	if (r == EXIT_OK)
		r = store_commit(c->path, c->kf);
	if (r == EXIT_OK) {
		invalidate_dropped(c);
		expire_all(c);
	} else {
		change_undo(c);
		log_error("nothing was changed%s",
			  c->steps->len
				  ? ": the keyring is as it was, and a key that was printed is not in use"
				  : "");
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return r;
}
