// SPDX-License-Identifier: GPL-2.0-or-later
/* The certificates, keys and lists that are configured: read, watched, and given out in sets. */
#include "tlshd/broker/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "tlshd/broker/reader.h"
#include "tlshd/broker/signing.h"
#include "tlshd/broker/stamps.h"

/* A reader or a signer that has gone is started again, but not without end. */
#define RETRY_USEC G_USEC_PER_SEC

/* One of a set. */
struct credential {
	bool configured;
	int fd; /* -1 for none */
	char *text; /* its path or URL */
	struct outcome outcome; /* a success, or why it cannot be used */
};

struct credentials_set {
	struct credentials *all;
	unsigned int refs;
	uint64_t load; /* its number, or that of a later one that was refused in its favour */
	struct stamps stamps; /* of what it was loaded from, or of that */
	struct credential one[CREDENTIAL_OWNERS][CREDENTIAL_KINDS];
	struct signing *signing; /* NULL where none could be started */
	struct credentials_set *keeper; /* whose signer has the keys; NULL for its own */
	bool stays; /* it runs even without keys, for those that mounts name */
	bool has_gone; /* it has ended */
	bool is_unread; /* nobody has looked at the files: all of it fails */
};

struct credentials {
	struct credentials_params params;
	const config *settings;
	struct credentials_set *in_force; /* that workers have who serve; NULL before the first */
	struct credentials_set *current; /* it, or what takes its place: workers are born with this */
	struct reader *reader; /* of the files that are to be loaded next; NULL when none are read */
	struct credentials_set *loading;
	uint64_t loads; /* the number of the last that has begun */
	bool stay; /* of the signers to come */
	struct stamps stamps; /* of what was loaded last, whether it was usable or not */
	struct stamps_hold hold; /* of the same */
	uint64_t retry_at; /* usec, monotonic: when a reader or signer that is gone is started again */
	bool leaves; /* its signers to themselves */
};

static const char *const kind_names[CREDENTIAL_KINDS] = {
	[CREDENTIAL_TRUST] = "x509.truststore",
	[CREDENTIAL_CRL] = "x509.crl",
	[CREDENTIAL_CERTIFICATE] = "x509.certificate",
	[CREDENTIAL_KEY] = "x509.private_key",
	[CREDENTIAL_PQ_CERTIFICATE] = "x509.pq.certificate",
	[CREDENTIAL_PQ_KEY] = "x509.pq.private_key",
};

static const char *const owner_names[CREDENTIAL_OWNERS] = {"authenticate.client",
							   "authenticate.server"};
static const enum handshake_side sides[CREDENTIAL_OWNERS] = {HANDSHAKE_CLIENT, HANDSHAKE_SERVER};

static uint64_t now(void)
{
	return (uint64_t)g_get_monotonic_time();
}

/* ---- sets ---- */

struct credentials_set *credentials_set_ref(struct credentials_set *set)
{
	if (set)
		set->refs++;
	return set;
}

static void close_content(struct credential *one)
{
	if (one->fd >= 0)
		close(one->fd);
	one->fd = -1;
}

void credentials_set_unref(struct credentials_set *set)
{
	if (!set || --set->refs)
		return;
	if (set->all->leaves)
		signing_leave(set->signing);
	else
		signing_free(set->signing);
	credentials_set_unref(set->keeper);
	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t kind = 0; kind < CREDENTIAL_KINDS; kind++) {
			close_content(&set->one[owner][kind]);
			g_free(set->one[owner][kind].text);
		}
	g_free(set);
}

static bool is_usable(const struct credential *one)
{
	return one->configured && one->outcome.cause == CAUSE_SUCCESS;
}

static bool has_key_of(const struct credentials_set *set, size_t owner)
{
	return is_usable(&set->one[owner][CREDENTIAL_KEY]) ||
	       is_usable(&set->one[owner][CREDENTIAL_PQ_KEY]);
}

static bool has_keys(const struct credentials_set *set)
{
	return has_key_of(set, 0) || has_key_of(set, 1);
}

static struct signing *signing_of(const struct credentials_set *set)
{
	return set->keeper ? set->keeper->signing : set->signing;
}

static bool has_gone(const struct credentials_set *set)
{
	return set->keeper ? set->keeper->has_gone : set->has_gone;
}

static bool has_keys_from(const struct credentials_set *set, const struct credentials_set *keeper)
{
	return set && (set == keeper || set->keeper == keeper) && (set->stays || has_keys(set));
}

static bool is_of_trust(size_t kind)
{
	return kind == CREDENTIAL_TRUST || kind == CREDENTIAL_CRL;
}

/*
 * A file that is gone has been taken away; but one that makes no sense, and has made some, may be
 * half-written. @trust: of those that say whom we believe, or of the others?
 */
static bool is_in_transit(const struct credentials_set *set, const struct credentials_set *before,
			  bool trust)
{
	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t kind = 0; kind < CREDENTIAL_KINDS; kind++) {
			enum cause cause = set->one[owner][kind].outcome.cause;

			if (is_of_trust(kind) == trust &&
			    (cause == CAUSE_CREDENTIAL_MALFORMED || cause == CAUSE_KEY_MISFIT) &&
			    is_usable(&before->one[owner][kind]))
				return true;
		}
	return false;
}

static void describe(const struct credential *one, size_t owner, size_t kind,
		     struct birth_credential *out)
{
	struct ipc_credential *m = &out->message;

	memset(m, 0, sizeof(*m));
	m->header.type = IPC_CREDENTIAL;
	m->side = sides[owner];
	m->kind = (uint32_t)kind;
	m->cause = one->outcome.cause;
	g_strlcpy(m->text, one->outcome.cause == CAUSE_SUCCESS ? one->text : one->outcome.detail,
		  sizeof(m->text));
	out->fd = one->fd;
}

/* A worker needs to know no more of a key than whether there is one; a URL may have a PIN in it. */
static void hide_key(const struct credential *one, struct birth_credential *out)
{
	out->fd = -1;
	if (one->outcome.cause == CAUSE_SUCCESS)
		memset(out->message.text, 0, sizeof(out->message.text));
}

size_t credentials_set_give(struct credentials_set *set, uint32_t worker,
			    struct birth_credential out[CREDENTIALS_OF_WORKER], int *desk)
{
	size_t n = 0;

	*desk = -1;
	if (!set)
		return 0;
	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t kind = 0; kind < CREDENTIAL_KINDS; kind++)
			if (set->one[owner][kind].configured) {
				describe(&set->one[owner][kind], owner, kind, &out[n]);
				if (credential_is_key(kind))
					hide_key(&set->one[owner][kind], &out[n]);
				n++;
			}
	if (signing_of(set) && (set->stays || has_keys(set)))
		*desk = signing_desk(signing_of(set), worker);
	if (*desk >= 0) {
		memset(&out[n].message, 0, sizeof(out[n].message));
		out[n].message.header.type = IPC_CREDENTIAL;
		out[n].message.side = HANDSHAKE_CLIENT;
		out[n].message.kind = IPC_KIND_DESK;
		out[n++].fd = *desk;
	}
	return n;
}

int credentials_set_grant(struct credentials_set *set, uint32_t worker, uint32_t job,
			  enum handshake_side side, uint64_t deadline_usec, int key)
{
	if (key < 0 && (!set || !has_key_of(set, credential_owner(side))))
		return 0;
	return set && signing_of(set)
		       ? signing_grant(signing_of(set), worker, job, side, deadline_usec, key)
		       : -EPIPE;
}

/* ---- files ---- */

/* A certificate is nothing without its key, and a key nothing without its certificate. */
static void pair(struct credential *certificate, struct credential *key)
{
	if (certificate->configured && !key->configured)
		outcome_set(&certificate->outcome, CAUSE_CREDENTIAL_UNREADABLE,
			    "no private key is set for it");
	if (!certificate->configured)
		key->configured = false;
}

static struct credentials_set *new_set(struct credentials *c)
{
	struct credentials_set *set = g_new0(struct credentials_set, 1);

	set->all = c;
	set->refs = 1;
	set->load = c->loads;
	set->stays = c->stay;
	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t kind = 0; kind < CREDENTIAL_KINDS; kind++) {
			const char *path = c->settings->x509[owner][kind];

			set->one[owner][kind] = (struct credential){
				.configured = path || kind == CREDENTIAL_TRUST,
				.fd = -1,
				.text = g_strdup(path ? path : ""),
				.outcome = OUTCOME_INIT,
			};
		}
	return set;
}

/* A set of what has been read; the descriptors are the set's. */
static struct credentials_set *take_files(struct credentials *c, struct reading *what)
{
	struct credentials_set *set = new_set(c);

	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++) {
		struct credential *one = set->one[owner];

		for (size_t kind = 0; kind < CREDENTIAL_KINDS; kind++) {
			struct reader_file *file = &what->files[owner][kind];

			one[kind].configured = file->configured;
			one[kind].outcome = file->outcome;
			one[kind].fd = file->fd;
			file->fd = -1;
		}
		pair(&one[CREDENTIAL_CERTIFICATE], &one[CREDENTIAL_KEY]);
		pair(&one[CREDENTIAL_PQ_CERTIFICATE], &one[CREDENTIAL_PQ_KEY]);
	}
	return set;
}

/* ---- loading ---- */

static void log_problems(const struct credentials_set *set)
{
	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t kind = 0; kind < CREDENTIAL_KINDS; kind++) {
			const struct credential *one = &set->one[owner][kind];
			const struct cause_info *info = cause_info(one->outcome.cause);
			g_autofree char *detail = NULL;

			if (!one->configured || is_usable(one))
				continue;
			detail = log_escape_line(one->outcome.detail);
			log_error("%s in [%s]: %s: %s [%s]: %s", kind_names[kind],
				  owner_names[owner], info->sentence, detail, info->id,
				  info->remedy);
		}
}

static bool is_loading(const struct credentials *c)
{
	return c->reader || c->loading;
}

static void adopt(struct credentials *c)
{
	credentials_set_unref(c->current);
	c->current = g_steal_pointer(&c->loading);
	c->params.changed(c->params.ctx, c->current);
}

void credentials_enter(struct credentials *c, struct credentials_set *set)
{
	if (set == c->in_force)
		return;
	if (c->in_force)
		log_info("certificates and keys were loaded again, and are in use");
	credentials_set_unref(c->in_force);
	c->in_force = credentials_set_ref(set);
	c->params.settled(c->params.ctx);
}

/* The new list counts although the new pair does not yet: @set goes on with the pairs, and the signer, of @before. */
static void keep_pairs(struct credentials_set *set, struct credentials_set *before)
{
	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t kind = CREDENTIAL_CERTIFICATE; kind < CREDENTIAL_KINDS; kind++) {
			struct credential *one = &set->one[owner][kind];

			close_content(one);
			g_free(one->text);
			*one = before->one[owner][kind];
			one->text = g_strdup(one->text);
			if (one->fd >= 0)
				one->fd = fcntl(one->fd, F_DUPFD_CLOEXEC, 0);
		}
	signing_free(g_steal_pointer(&set->signing));
	set->keeper = credentials_set_ref(before->keeper ? before->keeper : before);
	set->stays = before->stays;
}

/* The last load has ended, and nothing takes the place of what there is. @seen: what is on the disk */
static void stay(struct credentials *c, const struct stamps *seen)
{
	if (seen) {
		c->current->load = c->loads;
		c->current->stamps = *seen;
	}
	if (c->current == c->in_force)
		c->params.settled(c->params.ctx);
}

/* A file may be half-written, or a key replaced before its certificate: then the old ones still go. */
static void judge(struct credentials *c)
{
	struct credentials_set *set = c->loading;

	log_problems(set);
	if (!c->current || has_gone(c->current) ||
	    !(set->has_gone || is_in_transit(set, c->current, true) ||
	      is_in_transit(set, c->current, false))) {
		adopt(c);
		return;
	}
	if (!set->has_gone && !is_in_transit(set, c->current, true) &&
	    !stamps_trust_is_equal(&set->stamps, &c->current->stamps)) {
		log_warning("the certificates and keys that were loaded before stay in use, with the new trust store and revocation list");
		keep_pairs(set, c->current);
		adopt(c);
		return;
	}
	log_warning("the certificates and keys that were loaded before stay in use");
	c->loading = NULL;
	stay(c, set->is_unread ? NULL : &set->stamps);
	credentials_set_unref(set);
}

/* A path or a URL for the log. */
static char *without_pin(const char *text)
{
	const char *pin = strstr(text, "pin-value=");

	if (!pin)
		return g_strdup(text);
	return g_strdup_printf("%.*spin-value=...%s", (int)(pin - text), text,
			       pin + strcspn(pin, "&"));
}

static void on_loaded(void *ctx, const struct ipc_loaded *what, int fd)
{
	struct credentials_set *set = ctx;
	struct credential *one;

	if (what->kind >= CREDENTIAL_KINDS) {
		if (fd >= 0)
			close(fd);
		return;
	}
	one = &set->one[credential_owner(what->side)][what->kind];
	if (what->cause != CAUSE_SUCCESS) {
		g_autofree char *name = without_pin(one->text);

		outcome_set(&one->outcome, what->cause, "%s: %s", name, what->text);
	}
	if (fd >= 0 || credential_is_key(what->kind))
		close_content(one);
	if (fd >= 0)
		one->fd = fd;
}

static void on_born(void *ctx)
{
	struct credentials_set *set = ctx;

	judge(set->all);
}

/* All keys of a set are out of reach, and what was to be loaded with them. */
static void lose_all(struct credentials_set *set, const char *why)
{
	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t kind = 0; kind < CREDENTIAL_KINDS; kind++)
			if (is_usable(&set->one[owner][kind]))
				outcome_set(&set->one[owner][kind].outcome, CAUSE_SIGNER_GONE, "%s",
					    why);
}

/* Nobody has seen what is on the disk. */
static void lose_loading(struct credentials *c, const char *why)
{
	lose_all(c->loading, why);
	c->loading->has_gone = c->loading->is_unread = true;
	c->retry_at = now() + RETRY_USEC;
	memset(&c->stamps, 0, sizeof(c->stamps));
	judge(c);
}

static void on_gone(void *ctx, const char *why)
{
	struct credentials_set *set = ctx;
	struct credentials *c = set->all;

	if (set == c->loading) {
		log_error("the signer is lost before it has loaded anything: %s", why);
		lose_loading(c, why);
	} else if (has_keys_from(c->current, set) || has_keys_from(c->in_force, set)) {
		log_error("the signer is lost: %s; handshakes that need a signature fail until the next one is there",
			  why);
		set->has_gone = true;
		c->retry_at = now() + RETRY_USEC;
	}
}

static void on_refused(void *ctx, uint32_t worker)
{
	struct credentials_set *set = ctx;

	set->all->params.refused(set->all->params.ctx, worker);
}

static void on_upgraded(void *ctx, const char *build)
{
	struct credentials_set *set = ctx;

	set->all->params.upgraded(set->all->params.ctx, build);
}

static void start_signer(struct credentials *c)
{
	struct birth_credential credentials[CREDENTIAL_OWNERS * CREDENTIAL_KINDS];
	struct signing_params params = {
		.event = c->params.event,
		.plan = c->params.plan,
		.loglevel = c->settings->loglevel,
		.tls_debug = c->settings->tls_debug,
		.stay = c->stay,
		.credentials = credentials,
		.loaded = on_loaded,
		.born = on_born,
		.gone = on_gone,
		.refused = on_refused,
		.upgraded = on_upgraded,
		.ctx = c->loading,
	};
	int r;

	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t kind = 0; kind < CREDENTIAL_KINDS; kind++)
			if (is_usable(&c->loading->one[owner][kind]))
				describe(&c->loading->one[owner][kind], owner, kind,
					 &credentials[params.n++]);
	r = signing_new(&c->loading->signing, &params);
	if (r < 0)
		on_gone(c->loading, g_strerror(-r));
}

static void on_read(void *ctx, struct reading *what)
{
	struct credentials *c = ctx;

	reader_free(g_steal_pointer(&c->reader));
	stamps_let_go(&c->hold);
	c->hold = what->hold;
	if (what->same) {
		stay(c, &what->stamps);
		return;
	}
	c->stamps = what->stamps;
	c->loading = take_files(c, what);
	c->loading->stamps = what->stamps;
	start_signer(c);
}

static void on_not_read(void *ctx, const char *why)
{
	struct credentials *c = ctx;

	reader_free(g_steal_pointer(&c->reader));
	log_error("certificates and keys cannot be read: %s", why);
	c->loading = new_set(c);
	lose_loading(c, why);
}

/* @before: they are only read if they are not like that; NULL to read them anyhow. */
static void begin_load(struct credentials *c, const struct stamps *before)
{
	const struct reader_params params = {
		.event = c->params.event,
		.settings = c->settings,
		.before = before,
		.done = on_read,
		.gone = on_not_read,
		.ctx = c,
	};
	int r;

	c->loads++;
	r = reader_new(&c->reader, &params);
	if (r < 0)
		on_not_read(c, g_strerror(-r));
	else
		log_debug(1, "a reader looks at the files of the certificates and keys");
}

/* What is read and loaded is not what is wanted any more. */
static void break_off(struct credentials *c)
{
	reader_free(g_steal_pointer(&c->reader));
	credentials_set_unref(g_steal_pointer(&c->loading));
}

void credentials_configure(struct credentials *c, const config *settings)
{
	bool wanted = is_loading(c) || c->current;

	c->settings = settings;
	break_off(c); /* of files that may not be configured any more */
	if (wanted || config_has_credentials(settings))
		begin_load(c, NULL);
}

/* Is a set on its way? */
static bool is_changing(const struct credentials *c)
{
	return is_loading(c) || c->current != c->in_force;
}

/* Is a set missing, whatever the disk says? */
static bool is_wanting(const struct credentials *c, bool signer)
{
	return !c->current || (signer && !c->current->stays);
}

static bool has_to_load(const struct credentials *c, bool signer, bool changed)
{
	return is_wanting(c, signer) || ((has_gone(c->current) || changed) && now() >= c->retry_at);
}

/* Return: has a load begun? */
static bool load_if_needed(struct credentials *c, bool signer, bool changed)
{
	if (c->loading && signer && !c->loading->stays) { /* its signer would end */
		break_off(c);
		begin_load(c, NULL);
		return true;
	}
	if (is_changing(c) || !has_to_load(c, signer, changed))
		return false;
	begin_load(c, is_wanting(c, signer) || has_gone(c->current) ? NULL : &c->stamps);
	return true;
}

/* Do we believe others than the disk says? So it is after a load of which nothing came. */
static bool is_behind(const struct credentials *c, const struct stamps *seen)
{
	return !c->in_force->is_unread && !stamps_trust_is_equal(seen, &c->in_force->stamps);
}

int credentials_check(struct credentials *c, bool signer, uint64_t *load)
{
	struct stamps stamps;
	bool changed, begun;

	c->stay |= signer;
	stamps_glance(&stamps, c->settings, &c->hold);
	changed = !stamps_are_equal(&stamps, &c->stamps);
	begun = load_if_needed(c, signer, changed);
	if (!is_changing(c) && !is_behind(c, &stamps))
		return 0;
	*load = c->loads;
	/* What changed may have been read before that. */
	if (!begun && (changed || (!is_loading(c) && has_to_load(c, signer, false))))
		++*load;
	return -EAGAIN;
}

bool credentials_ended(const struct credentials *c, uint64_t load)
{
	return c->in_force && c->in_force->load >= load;
}

bool credentials_suffice(struct credentials *c, bool signer)
{
	struct stamps stamps;

	if (!c->in_force || has_gone(c->in_force) || (signer && !c->in_force->stays))
		return false;
	stamps_glance(&stamps, c->settings, &c->hold);
	return stamps_trust_is_equal(&stamps, &c->in_force->stamps);
}

const char *credentials_lateness(const struct credentials *c)
{
	return c->reader
		       ? "the files of the certificates and keys are not read in time: their disk may not answer"
		       : "the certificates and keys that have changed are not in use in time";
}

struct credentials *credentials_new(const struct credentials_params *params)
{
	struct credentials *c = g_new0(struct credentials, 1);

	c->params = *params;
	return c;
}

void credentials_leave(struct credentials *c)
{
	c->leaves = true;
}

void credentials_free(struct credentials *c)
{
	if (!c)
		return;
	break_off(c);
	credentials_set_unref(c->current);
	credentials_set_unref(c->in_force);
	stamps_let_go(&c->hold);
	g_free(c);
}
