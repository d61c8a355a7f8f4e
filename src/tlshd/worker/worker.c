// SPDX-License-Identifier: GPL-2.0-or-later
/* A worker: holds the bytes that came from the network, and no right of its own. */
#include "tlshd/worker/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <glib.h>
#include <systemd/sd-event.h>

#include "common/log.h"
#include "tlshd/shared/deadlines.h"
#include "tlshd/shared/ipc.h"
#include "tlshd/shared/memory.h"
#include "tlshd/shared/newborn.h"
#include "tlshd/worker/ktls.h"
#include "tlshd/shared/sandbox.h"
#include "tlshd/worker/auth-x509.h"
#include "tlshd/worker/session.h"

/* This many jobs leave a heap worth giving back, once all are done. */
#define TRIM_FROM 64

struct worker {
	int sock;
	sd_event *event;
	struct engine engine;
	GHashTable *jobs; /* number to struct held */
	GHashTable *certificates; /* number to struct x509_pair, of jobs that are about to come */
	struct deadlines deadlines;
	struct deadlines pauses; /* of jobs whose session goes on at a time of its own */
	guint untrimmed; /* jobs since the heap was last given back */
};

/* A job of the broker's that this worker holds, with the session that runs it. */
struct held {
	struct worker *worker;
	uint32_t job;
	int fd;
	struct session *session;
	sd_event_source *io; /* NULL as long as it has never waited for its peer */
	struct deadline deadline;
	struct deadline pause; /* in worker->pauses if its time is not 0 */
	bool ran; /* the broker knows that it has run */
};

static void end_pause(struct held *h)
{
	deadlines_remove(&h->pause);
	h->pause.at = 0;
}

static void held_free(void *ptr)
{
	struct held *h = ptr;

	end_pause(h);
	sd_event_source_disable_unref(h->io);
	deadlines_remove(&h->deadline);
	session_free(h->session);
	if (h->fd >= 0)
		close(h->fd);
	g_free(h);
}

/*
 * The socket goes back with it: a broker that has taken our handshakes over from another one has no
 * descriptor of its own. So it is not needed by most, and left out where it cannot be sent.
 */
static void report(struct held *h, const union ipc_message *m)
{
	if (ipc_send(h->worker->sock, m, h->fd, true) < 0)
		newborn_tell(h->worker->sock, m);
}

/* Reports and forgets @h. */
static void finish(struct held *h, const struct outcome *o)
{
	struct worker *w = h->worker;
	union ipc_message m;

	memset(&m.done, 0, sizeof(m.done));
	m.header.type = IPC_DONE;
	m.header.job = h->job;
	m.done.cause = o->cause;
	m.done.cipher = o->cipher;
	m.done.group = o->group;
	m.done.alert_sent = o->alert_sent;
	m.done.tickets = o->tickets;
	m.done.certified = o->certified;
	g_strlcpy(m.done.detail, o->detail, sizeof(m.done.detail));
	report(h, &m); /* first, for the kernel's consumer waits */
	g_hash_table_remove(w->jobs, GUINT_TO_POINTER(m.header.job));
	if (!g_hash_table_size(w->jobs) && w->untrimmed >= TRIM_FROM) {
		memory_trim();
		w->untrimmed = 0;
	}
}

static void fail(struct held *h, enum cause cause, const char *detail)
{
	struct outcome o = OUTCOME_INIT;

	outcome_set(&o, cause, detail ? "%s" : NULL, detail);
	finish(h, &o);
}

static void complete(struct held *h)
{
	struct outcome o = *session_outcome(h->session);
	const char *what;
	int r = ktls_start(h->fd, session_gnutls(h->session), session_limit(h->session), &what);

	if (r == -ENOENT)
		outcome_set(&o, CAUSE_NO_TLS_MODULE, NULL);
	else if (r == -ENOPROTOOPT)
		outcome_set(&o, CAUSE_RECORD_LIMIT, NULL);
	else if (r < 0)
		outcome_set(&o, CAUSE_KTLS, "%s: %s", what, g_strerror(-r));
	finish(h, &o);
}

static int on_peer(sd_event_source *source, int fd, uint32_t events, void *userdata);

/*
 * Told of once, for the loop goes on with one socket at a time, and would have the kernel look at all
 * that are ready before each of them. Return: 0, or a negative errno when the loop has no memory for it.
 */
static int wait_for_peer(struct held *h, uint32_t events)
{
	events |= EPOLLET;
	if (h->io)
		return sd_event_source_set_io_events(h->io, events);
	return sd_event_add_io(h->worker->event, &h->io, h->fd, events, on_peer, h);
}

static void begin_pause(struct held *h)
{
	h->pause.at = session_until(h->session);
	if (h->pause.at)
		deadlines_add(&h->worker->pauses, &h->pause);
}

static void step(struct held *h)
{
	int r;

	end_pause(h);
	r = session_step(h->session);
	if (r == 0) {
		complete(h);
		return;
	}
	if (r != -EAGAIN) {
		finish(h, session_outcome(h->session));
		return;
	}
	/* The key arrives within microseconds; keep the peer's event armed. */
	if (session_wait(h->session) == SESSION_WAIT_ANSWER)
		return;
	if (wait_for_peer(h, session_wait(h->session) == SESSION_WAIT_READ ? EPOLLIN : EPOLLOUT) <
	    0) {
		fail(h, CAUSE_NO_MEMORY, "to wait for the socket");
		return;
	}
	begin_pause(h);
	if (!h->ran) {
		union ipc_message m = {.ran.header = {IPC_RAN, h->job}};

		h->ran = true;
		newborn_tell(h->worker->sock, &m);
	}
}

static void lookup(void *ctx, const char *identity)
{
	struct held *h = ctx;
	union ipc_message m;

	memset(&m.lookup, 0, sizeof(m.lookup));
	m.header.type = IPC_LOOKUP;
	m.header.job = h->job;
	g_strlcpy(m.lookup.identity, identity, sizeof(m.lookup.identity));
	h->ran = true;
	newborn_tell(h->worker->sock, &m);
}

static int on_peer(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	step(userdata);
	return 0;
}

static void on_pause(void *owner)
{
	step(owner);
}

static void on_deadline(void *owner)
{
	struct held *h = owner;
	int r = h->session ? session_hurry(h->session) : -EAGAIN;

	/* The handshake is complete, and only tickets may come or not. */
	if (r == 0)
		complete(h);
	else if (r == -EAGAIN) /* no alert: the peer may not even be speaking TLS */
		fail(h, h->ran ? CAUSE_PEER_STALLED : CAUSE_NOT_RUN, NULL);
	else /* what came in the meantime is wrong */
		finish(h, session_outcome(h->session));
}

static struct x509_pair *steal_certificate(struct worker *w, uint32_t job)
{
	struct x509_pair *pair = NULL;

	g_hash_table_steal_extended(w->certificates, GUINT_TO_POINTER(job), NULL,
				    (gpointer *)&pair);
	return pair;
}

static struct auth *new_auth(struct held *h, const struct ipc_job *job)
{
	struct engine *e = &h->worker->engine;
	struct auth_psk_params psk = {
		.shared = &e->psk,
		.job = h->job,
		.side = job->side,
		.identity = job->identity,
		.psk = &job->psk,
		.lookup = lookup,
		.ctx = h,
	};
	struct auth_x509_params x509 = {
		.x509 = &e->x509,
		.policy = &e->policy,
		.job = h->job,
		.side = job->side,
		.auth = job->auth,
		.own = job->auth == HANDSHAKE_X509 ? steal_certificate(h->worker, h->job) : NULL,
		.peername = job->peername,
	};

	return job->auth == HANDSHAKE_PSK ? auth_psk_new(&psk) : auth_x509_new(&x509);
}

static void take_job(struct worker *w, const struct ipc_job *job, int fd)
{
	struct held *h = g_new0(struct held, 1);
	struct session_params params = {
		.engine = &w->engine,
		.job = job->header.job,
		.fd = fd,
		.side = job->side,
		.tickets = job->tickets,
	};

	h->worker = w;
	h->job = job->header.job;
	h->fd = fd;
	h->deadline.at = job->deadline_usec;
	h->deadline.owner = h;
	h->pause.owner = h;
	g_hash_table_insert(w->jobs, GUINT_TO_POINTER(h->job), h);
	w->untrimmed++;
	deadlines_add(&w->deadlines, &h->deadline);
	if (fd < 0) {
		fail(h, CAUSE_NO_DESCRIPTOR, NULL);
		return;
	}
	if (h->deadline.at <= (uint64_t)g_get_monotonic_time()) { /* nobody waits for it any more */
		on_deadline(h);
		return;
	}
	params.auth = new_auth(h, job);
	h->session = session_new(&params);
	step(h);
}

static void take_key(struct worker *w, const struct ipc_key *key)
{
	struct held *h = g_hash_table_lookup(w->jobs, GUINT_TO_POINTER(key->header.job));

	if (!h) /* its deadline was faster */
		return;
	auth_psk_answer(session_auth(h->session), -(int)key->error, &key->psk);
	step(h);
}

/* The broker has ended the job; our DONE tells it that nothing more comes. */
static void drop(struct worker *w, uint32_t job)
{
	struct held *h = g_hash_table_lookup(w->jobs, GUINT_TO_POINTER(job));

	if (h)
		fail(h, CAUSE_PEER_STALLED, NULL);
}

static int on_broker(sd_event_source *source, int sock, uint32_t events, void *userdata)
{
	struct worker *w = userdata;
	union ipc_message m;
	const char *why;
	int fd;
	int r = ipc_receive(sock, IPC_WORKER, &m, &fd, &why);

	if (r == -EAGAIN)
		return 0;
	if (r < 0) /* the broker has ended, or let us go */
		return sd_event_exit(w->event, 0);
	if (m.header.type == IPC_JOB)
		take_job(w, &m.job, fd);
	else if (m.header.type == IPC_CREDENTIAL)
		g_hash_table_replace(w->certificates, GUINT_TO_POINTER(m.header.job),
				     x509_pair_of_der(fd));
	else if (fd >= 0)
		close(fd);
	if (m.header.type == IPC_KEY)
		take_key(w, &m.key);
	if (m.header.type == IPC_DROP)
		drop(w, m.header.job);
	explicit_bzero(&m, sizeof(m));
	return 0;
}

/* Before the door is shut: what needs files or much time is done now. */
static int take_credentials(struct worker *w, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct ipc_credential c;
		int fd;
		int r = newborn_credential(w->sock, &c, &fd);

		if (r < 0)
			return r;
		x509_take(&w->engine.x509, &c, fd);
	}
	return 0;
}

static void run(int sock)
{
	struct worker w = {.sock = sock};
	g_autofree char *why = NULL;
	struct ipc_birth birth;

	if (newborn_meet(sock, &birth) < 0)
		return;
	if (engine_init(&w.engine, birth.sha384_compat, &why) < 0) {
		log_error("no handshake is possible: %s", why);
		return;
	}
	if (take_credentials(&w, birth.credentials) < 0)
		return;
	w.jobs = g_hash_table_new_full(NULL, NULL, NULL, held_free);
	w.certificates = g_hash_table_new_full(NULL, NULL, NULL, x509_pair_free);
	if (sd_event_new(&w.event) < 0 ||
	    sd_event_add_io(w.event, NULL, sock, EPOLLIN, on_broker, &w) < 0 ||
	    deadlines_init(&w.deadlines, w.event, on_deadline) < 0 ||
	    deadlines_init(&w.pauses, w.event, on_pause) < 0) {
		log_error("a worker cannot make its event loop: %m");
		return;
	}
	newborn_lock_memory(&birth);
	if (sandbox_enter(&role_worker) < 0)
		return;
	newborn_say_born(sock);
	sd_event_loop(w.event);
	g_hash_table_destroy(w.jobs);
	g_hash_table_destroy(w.certificates);
	deadlines_clear(&w.pauses);
	deadlines_clear(&w.deadlines);
	sd_event_unref(w.event);
	engine_clear(&w.engine);
}

void worker_prepare(void)
{
	engine_prepare();
}

noreturn void worker_main(int sock, uid_t uid, gid_t gid)
{
	if (sandbox_become(&role_worker, sock, uid, gid) < 0)
		_exit(EXIT_FAILURE);
	run(sock);
	_exit(EXIT_SUCCESS);
}

noreturn void worker_main_started(void)
{
	worker_main(newborn_answer_ring("a worker"), getuid(), getgid());
}
