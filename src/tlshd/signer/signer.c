// SPDX-License-Identifier: GPL-2.0-or-later
/* The signer: holds the private keys of certificates, and never meets a byte that a peer sent. */
#include "tlshd/signer/signer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <glib.h>
#include <systemd/sd-event.h>

#include "common/log.h"
#include "tlshd/shared/deadlines.h"
#include "tlshd/shared/ipc.h"
#include "tlshd/shared/memfile.h"
#include "tlshd/shared/newborn.h"
#include "tlshd/shared/sandbox.h"
#include "tlshd/shared/content.h"
#include "tlshd/signer/load.h"

/* A worker that comes late to its job is not to be taken for one that was taken over. */
#define GRANT_GRACE_USEC (10 * G_USEC_PER_SEC)

struct signer {
	int sock;
	sd_event *event;
	sd_event_source *broker; /* NULL once the broker has ended */
	unsigned int desks;
	struct load_key keys[CREDENTIAL_OWNERS][2]; /* the second for peers that can do ML-DSA */
	gnutls_pubkey_t certificates[CREDENTIAL_OWNERS][2]; /* as long as credentials are loaded */
	bool tokens; /* a key is in one */
	GHashTable *grants; /* number of the job to struct grant */
	struct deadlines deadlines;
};

/* A signature that a worker may have. */
struct grant {
	struct signer *signer;
	uint32_t job;
	uint32_t worker;
	enum handshake_side side;
	bool has_own; /* it is to be signed by a key of its own */
	struct load_key key;
	struct deadline deadline;
};

/* Where a worker asks. */
struct desk {
	struct signer *signer;
	uint32_t worker;
	int sock;
	sd_event_source *io;
};

/* ---- the end ---- */

/*
 * A broker that is started again, or killed, leaves its workers to the next one. So what it has granted is still
 * given; but nobody grants any more, and nobody else needs this process.
 */
static void end_if_done(struct signer *s)
{
	if (!s->broker && (!g_hash_table_size(s->grants) || !s->desks))
		sd_event_exit(s->event, 0);
}

static void lose_broker(struct signer *s)
{
	s->broker = sd_event_source_disable_unref(s->broker);
	shutdown(s->sock, SHUT_RDWR);
	end_if_done(s);
}

/* ---- grants ---- */

static void free_grant(void *ptr)
{
	struct grant *g = ptr;

	deadlines_remove(&g->deadline);
	if (g->key.key)
		gnutls_privkey_deinit(g->key.key);
	g_free(g);
}

static void on_grant_over(void *owner)
{
	struct grant *g = owner;
	struct signer *s = g->signer;

	g_hash_table_remove(s->grants, GUINT_TO_POINTER(g->job));
	end_if_done(s);
}

/* Of a mount that names a key; without it, the worker is told that there is none. */
static void take_key(struct grant *g, int fd)
{
	struct outcome why = OUTCOME_INIT;
	gnutls_datum_t der;
	int r = memfile_read(fd, &der);

	if (r < 0)
		outcome_set(&why, CAUSE_CREDENTIAL_UNREADABLE, "%s", g_strerror(-r));
	else
		r = load_der_key(&der, &g->key, &why);
	if (r < 0)
		log_error("job %u: the private key of the mount cannot be used: %s", g->job,
			  why.detail);
	memfile_wipe(&der);
	close(fd);
}

static void take_grant(struct signer *s, const struct ipc_grant *m, int fd)
{
	struct grant *g = g_new0(struct grant, 1);

	g->signer = s;
	g->job = m->header.job;
	g->worker = m->worker;
	g->side = m->side;
	g->deadline.at = m->deadline_usec + GRANT_GRACE_USEC;
	g->deadline.owner = g;
	g->has_own = fd >= 0;
	if (fd >= 0)
		take_key(g, fd);
	deadlines_add(&s->deadlines, &g->deadline);
	g_hash_table_replace(s->grants, GUINT_TO_POINTER(g->job), g);
}

/* ---- the desks ---- */

static void close_desk(struct desk *d)
{
	d->signer->desks--;
	end_if_done(d->signer);
	sd_event_source_disable_unref(d->io);
	close(d->sock);
	g_free(d);
}

static int take_broker_message(struct signer *s);

/* Return: the length of the signature, or a negative errno. */
static int make_signature(const struct load_key *k, enum handshake_side side,
			  const struct ipc_sign *m, uint8_t out[IPC_SIGNATURE_MAX])
{
	gnutls_sign_algorithm_t algorithm = m->algorithm;
	uint8_t bytes[CONTENT_MAX];
	int len = content_make(side, m->hash, m->len, bytes);
	gnutls_datum_t content = {bytes, (unsigned int)len}, signature;
	int r;

	if (len < 0 || !content_may_sign(algorithm, k->pk))
		return -EINVAL;
	r = gnutls_privkey_sign_data2(k->key, algorithm, 0, &content, &signature);
	if (r < 0) {
		log_error("the private key gives no signature: %s", gnutls_strerror(r));
		return -EIO;
	}
	r = signature.size > IPC_SIGNATURE_MAX ? -EMSGSIZE : (int)signature.size;
	if (r > 0)
		memcpy(out, signature.data, signature.size);
	gnutls_free(signature.data);
	return r;
}

/* It has been taken over, or has a bug; the broker ends it. */
static void refuse(struct desk *d, const char *what)
{
	union ipc_message m = {.refused = {.header = {IPC_REFUSED, 0}, .worker = d->worker}};

	log_error("a worker asked for %s", what);
	if (d->signer->broker)
		newborn_tell(d->signer->sock, &m);
	close_desk(d);
}

static void answer(struct desk *d, uint32_t job, int len, union ipc_message *m)
{
	m->header = (struct ipc_header){IPC_SIGNED, job};
	m->signature.error = len < 0 ? (uint32_t)-len : 0;
	m->signature.len = len < 0 ? 0 : (uint32_t)len;
	/* One that asks and does not read is not waited for. */
	if (ipc_send(d->sock, m, -1, false) < 0)
		close_desk(d);
}

/* A grant is used up by the question, whatever the answer. */
static void serve(struct desk *d, const struct ipc_sign *m)
{
	struct signer *s = d->signer;
	struct grant *g = g_hash_table_lookup(s->grants, GUINT_TO_POINTER(m->header.job));
	union ipc_message reply = {0};
	const struct load_key *k;
	int r;

	if (!g || g->worker != d->worker) {
		refuse(d, "a signature that it may not have");
		return;
	}
	k = g->has_own ? &g->key : &s->keys[credential_owner(g->side)][m->pq];
	r = k->key ? make_signature(k, g->side, m, reply.signature.signature) : -ENOKEY;
	g_hash_table_remove(s->grants, GUINT_TO_POINTER(m->header.job));
	end_if_done(s);
	if (r == -EINVAL)
		refuse(d, "a signature that TLS 1.3 does not have");
	else
		answer(d, m->header.job, r, &reply);
}

static int on_desk(sd_event_source *source, int sock, uint32_t events, void *userdata)
{
	struct desk *d = userdata;
	union ipc_message m;
	const char *why;
	int r;

	/* The grant was sent before the job, and so before the question. */
	while ((r = take_broker_message(d->signer)) == 0)
		;
	if (r != -EAGAIN)
		return 0;
	r = ipc_receive(sock, IPC_DESK_OF_SIGNER, &m, NULL, &why);
	if (r == -EBADMSG)
		refuse(d, "a signature, and sent what is no question");
	else if (r == 0)
		serve(d, &m.sign);
	else if (r != -EAGAIN)
		close_desk(d);
	return 0;
}

/* ---- the broker ---- */

static void open_desk(struct signer *s, const struct ipc_desk *m, int fd)
{
	struct desk *d;

	if (fd < 0)
		return;
	d = g_new0(struct desk, 1);
	d->signer = s;
	d->worker = m->worker;
	d->sock = fd;
	s->desks++;
	if (sd_event_add_io(s->event, &d->io, fd, EPOLLIN, on_desk, d) < 0)
		close_desk(d);
}

/* Return: 0; -EAGAIN when there is none; another negative errno when it was the last. */
static int take_broker_message(struct signer *s)
{
	union ipc_message m;
	const char *why;
	int fd;
	int r = s->broker ? ipc_receive(s->sock, IPC_SIGNER, &m, &fd, &why) : -EAGAIN;

	if (r == -EAGAIN)
		return r;
	if (r < 0) {
		lose_broker(s);
		return r;
	}
	if (m.header.type == IPC_DESK)
		open_desk(s, &m.desk, fd);
	else if (m.header.type == IPC_GRANT)
		take_grant(s, &m.grant, fd);
	else if (fd >= 0)
		close(fd);
	return 0;
}

static int on_broker(sd_event_source *source, int sock, uint32_t events, void *userdata)
{
	take_broker_message(userdata);
	return 0;
}

/* ---- credentials ---- */

static void say_loaded(struct signer *s, const struct ipc_credential *c, const struct outcome *o,
		       int fd)
{
	union ipc_message m;

	memset(&m.loaded, 0, sizeof(m.loaded));
	m.header.type = IPC_LOADED;
	m.loaded.side = c->side;
	m.loaded.kind = c->kind;
	m.loaded.cause = o->cause;
	g_strlcpy(m.loaded.text, o->cause == CAUSE_SUCCESS ? c->text : o->detail,
		  sizeof(m.loaded.text));
	if (ipc_send(s->sock, &m, fd, true) < 0)
		_exit(EXIT_FAILURE);
}

/* Return: a descriptor that workers are to have in place of the file, or -1; @o tells of a failure. */
static int load(struct signer *s, const struct ipc_credential *c, const gnutls_datum_t *content,
		bool is_file, struct outcome *o)
{
	unsigned int owner = credential_owner(c->side);
	bool pq = c->kind >= CREDENTIAL_PQ_CERTIFICATE;

	switch (c->kind) {
	case CREDENTIAL_TRUST:
		if (!is_file)
			return load_system_trust(o);
		load_trust(content, o);
		return -1;
	case CREDENTIAL_CRL:
		return load_crl(content, c->text, o);
	case CREDENTIAL_CERTIFICATE:
	case CREDENTIAL_PQ_CERTIFICATE:
		load_certificate(content, c->text, &s->certificates[owner][pq], o);
		return -1;
	case CREDENTIAL_KEY:
	case CREDENTIAL_PQ_KEY:
		s->tokens |= !is_file;
		load_key(content, c->text, s->certificates[owner][pq], &s->keys[owner][pq], o);
		return -1;
	default:
		return -1;
	}
}

static int take_credential(struct signer *s)
{
	struct outcome o = OUTCOME_INIT;
	struct ipc_credential c;
	gnutls_datum_t content = {NULL, 0};
	int fd, replacement;
	int r = newborn_credential(s->sock, &c, &fd);

	if (r < 0)
		return r;
	r = fd >= 0 ? memfile_map(fd, &content) : 0;
	if (r < 0) {
		log_error("a credential cannot be mapped: %s", g_strerror(-r));
		close(fd);
		return r;
	}
	replacement = load(s, &c, &content, fd >= 0, &o);
	memfile_unmap(&content);
	if (fd >= 0)
		close(fd);
	say_loaded(s, &c, &o, replacement);
	if (replacement >= 0)
		close(replacement);
	return 0;
}

static bool has_keys(const struct signer *s)
{
	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		if (s->keys[owner][0].key || s->keys[owner][1].key)
			return true;
	return false;
}

static void forget_certificates(struct signer *s)
{
	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t pq = 0; pq < 2; pq++)
			if (s->certificates[owner][pq])
				gnutls_pubkey_deinit(s->certificates[owner][pq]);
}

static void forget_keys(struct signer *s)
{
	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t pq = 0; pq < 2; pq++)
			if (s->keys[owner][pq].key)
				gnutls_privkey_deinit(s->keys[owner][pq].key);
}

/* ---- life ---- */

static int open_loop(struct signer *s)
{
	int r = sd_event_new(&s->event);

	if (r >= 0)
		r = sd_event_add_io(s->event, &s->broker, s->sock, EPOLLIN, on_broker, s);
	if (r >= 0)
		r = deadlines_init(&s->deadlines, s->event, on_grant_over);
	if (r < 0)
		log_error("a signer cannot make its event loop: %s", g_strerror(-r));
	return r;
}

static void run(int sock)
{
	struct signer s = {.sock = sock};
	struct ipc_birth birth;

	if (newborn_meet(sock, &birth) < 0)
		return;
	for (uint32_t i = 0; i < birth.credentials; i++)
		if (take_credential(&s) < 0)
			return;
	forget_certificates(&s);
	if (!has_keys(&s) && !birth.stay) {
		newborn_say_born(sock);
		return;
	}
	s.grants = g_hash_table_new_full(NULL, NULL, NULL, free_grant);
	newborn_lock_memory(&birth);
	if (open_loop(&s) < 0 ||
	    sandbox_enter(s.tokens ? &role_signer_of_tokens : &role_signer) < 0)
		return;
	newborn_say_born(sock);
	sd_event_loop(s.event);
	sd_event_source_disable_unref(s.broker);
	g_hash_table_destroy(s.grants);
	deadlines_clear(&s.deadlines);
	sd_event_unref(s.event);
	forget_keys(&s);
}

noreturn void signer_main(int sock, uid_t uid, gid_t gid)
{
	if (sandbox_become(&role_signer, sock, uid, gid) < 0)
		_exit(EXIT_FAILURE);
	run(sock);
	_exit(EXIT_SUCCESS);
}

noreturn void signer_main_started(void)
{
	signer_main(newborn_answer_ring("a signer"), getuid(), getgid());
}
