// SPDX-License-Identifier: GPL-2.0-or-later
/* One TLS 1.3 handshake on one socket, non-blocking, by GnuTLS: the state machine. */
#include "tlshd/worker/session.h"

#include <errno.h>

#include "common/log.h"
#include "tlshd/worker/hello.h"
#include "tlshd/worker/ktls.h"
#include "tlshd/worker/limit.h"
#include "tlshd/worker/plain.h"
#include "tlshd/worker/tickets.h"
#include "tlshd/worker/transport.h"
#include "tlshd/worker/verdict.h"

/*
 * A client begins at AUTHENTICATE. Each state has a function in steps[], which sets the next one and
 * returns 0, or returns -EAGAIN to be called again, or -EPROTO with the outcome set.
 */
enum state {
	COLLECT, /* of a server: the ClientHello comes */
	AUTHENTICATE, /* the broker may have to be asked for a key */
	HANDSHAKE, /* GnuTLS runs */
	FINISH, /* GnuTLS is through; what is left is to send */
	TICKETS, /* of a client: session tickets may come behind the server's Finished */
	COMPLETE,
};

/*
 * How long a client waits for tickets of a server of which nothing is known: some times as long as the
 * server took to answer the ClientHello, which is a round trip and a computation, as is the way from
 * our Finished to its tickets. One that is known to send them is waited for longer, for the wait ends
 * with the last of them.
 */
#define TICKETS_WAIT_MIN (100 * UINT64_C(1000))
#define TICKETS_WAIT_MAX (500 * UINT64_C(1000))
#define TICKETS_WAIT_FACTOR 4
#define TICKETS_WAIT_KNOWN_FACTOR 4

struct session {
	struct session_params params;
	enum state state;
	struct transport transport;
	struct hello hello; /* of a server */
	struct hello_offer offer; /* what it offers, with pointers into it */
	gnutls_session_t tls; /* NULL until HANDSHAKE */
	struct tickets tickets; /* of a client */
	uint64_t asked_at; /* usec, monotonic: our ClientHello has gone out */
	uint64_t patience; /* usec: how long an unknown server's tickets are waited for */
	uint64_t finished_at; /* usec, monotonic: our Finished has gone out */
	uint64_t until; /* usec, monotonic: the end of the wait */
	enum session_wait wait;
	struct outcome outcome;
};

struct session *session_new(const struct session_params *params)
{
	struct session *s = g_new0(struct session, 1);

	s->params = *params;
	s->outcome = (struct outcome)OUTCOME_INIT;
	s->state = params->side == HANDSHAKE_SERVER ? COLLECT : AUTHENTICATE;
	transport_init(&s->transport, params->fd);
	if (params->side == HANDSHAKE_SERVER)
		hello_init(&s->hello);
	else
		tickets_init(&s->tickets, params->auth->kind->certified);
	return s;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	if (s->tls)
		gnutls_deinit(s->tls);
	hello_clear(&s->hello);
	tickets_clear(&s->tickets);
	transport_clear(&s->transport);
	s->params.auth->kind->free(s->params.auth);
	g_free(s);
}

static uint64_t now(void)
{
	return (uint64_t)g_get_monotonic_time();
}

static int wait_for(struct session *s, enum session_wait what)
{
	s->wait = what;
	return -EAGAIN;
}

static void send_alert(struct session *s, int alert)
{
	/* A client that has said nothing yet closes; an alert would be its first word. */
	if (s->params.side == HANDSHAKE_CLIENT && s->state == AUTHENTICATE)
		return;
	if (alert != CAUSE_NO_ALERT && transport_alert(&s->transport, alert))
		s->outcome.alert_sent = alert;
}

/* Ends for the outcome that is set already, with the alert of its cause. */
static int fail(struct session *s)
{
	send_alert(s, cause_info(s->outcome.cause)->alert);
	return -EPROTO;
}

static int fail_for(struct session *s, enum cause cause)
{
	outcome_set(&s->outcome, cause, NULL);
	return fail(s);
}

/* The connection is over, or has taken more than it may. */
static int fail_on_transport(struct session *s)
{
	enum cause cause = s->transport.cause;

	outcome_set(&s->outcome, cause, cause == CAUSE_CONNECTION_BROKE ? "%s" : NULL,
		    g_strerror(s->transport.error));
	return fail(s);
}

static int fail_to_collect(struct session *s)
{
	if (s->transport.cause != CAUSE_PEER_CLOSED)
		return fail_on_transport(s);
	if (!s->transport.received)
		return fail_for(s, CAUSE_GONE_EARLY);
	outcome_set(&s->outcome, CAUSE_PEER_CLOSED, "in the middle of its ClientHello");
	return fail(s);
}

static int fail_on_hello(struct session *s)
{
	int alert = s->hello.refused.alert_sent;

	s->outcome = s->hello.refused;
	s->outcome.alert_sent = -1;
	send_alert(s, alert);
	return -EPROTO;
}

static int collect(struct session *s)
{
	uint8_t bytes[2048];
	size_t want;

	while ((want = hello_wanted(&s->hello)) > 0) {
		ssize_t n = transport_receive(&s->transport, bytes, MIN(want, sizeof(bytes)));

		if (n == -EAGAIN)
			return wait_for(s, SESSION_WAIT_READ);
		if (n < 0)
			return fail_to_collect(s);
		if (hello_add(&s->hello, bytes, (size_t)n) < 0)
			return fail_on_hello(s);
	}
	hello_read(&s->hello, &s->offer);
	log_debug(3, "job %u: ClientHello of %u bytes offers %zu identities", s->params.job,
		  s->hello.message->len, s->offer.n_identities);
	s->state = AUTHENTICATE;
	return 0;
}

static int open_tls(struct session *s)
{
	unsigned int flags = GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS |
			     GNUTLS_NO_AUTO_SEND_TICKET;

	flags |= s->params.side == HANDSHAKE_SERVER ? GNUTLS_SERVER
						    : GNUTLS_CLIENT | GNUTLS_KEY_SHARE_TOP;
	if (gnutls_init(&s->tls, flags) < 0)
		return -ENOMEM;
	gnutls_handshake_set_timeout(s->tls, GNUTLS_INDEFINITE_TIMEOUT);
	/* Of all ciphers; GnuTLS cannot even send an alert without. */
	if (gnutls_priority_set(s->tls, s->params.engine->policy.hash[PSK_HASH_NONE]) < 0)
		return -ENOMEM;
	transport_attach(&s->transport, s->tls);
	if (s->params.side == HANDSHAKE_SERVER && !s->offer.short_records)
		return 0;
	return limit_attach(s->tls, s->params.side,
			    s->params.side == HANDSHAKE_SERVER && ktls_can_limit(s->params.fd));
}

static int authenticate(struct session *s)
{
	bool server = s->params.side == HANDSHAKE_SERVER;
	struct auth *auth = s->params.auth;
	int r = 0;

	/* 4.1.2, D.2: GnuTLS has another alert for it. */
	if (server && s->offer.well_formed && !s->offer.tls13)
		return fail_for(s, CAUSE_NO_TLS13);
	/* GnuTLS finds out what is wrong with a malformed one: no key is needed for that. */
	if (!server || s->offer.well_formed)
		r = auth->kind->begin(auth, server ? &s->offer : NULL, &s->outcome);
	if (r == -EAGAIN)
		return wait_for(s, SESSION_WAIT_ANSWER);
	if (r < 0)
		return fail(s);
	if (open_tls(s) < 0)
		return fail_for(s, CAUSE_NO_MEMORY);
	if ((!server || s->offer.well_formed) && auth->kind->prepare(auth, s->tls, &s->outcome) < 0)
		return fail(s);
	if (server)
		transport_replay(&s->transport, s->hello.message->data, s->hello.message->len);
	s->state = HANDSHAKE;
	return 0;
}

static int fail_on_error(struct session *s, int err)
{
	int received = err == GNUTLS_E_FATAL_ALERT_RECEIVED ? (int)gnutls_alert_get(s->tls) : -1;
	struct verdict v = verdict_of(s->params.side, s->params.auth->kind->certified, err,
				      received);
	/* A server has seen to that in collect(). */
	enum cause plain = s->transport.records == 1 ? plain_cause(s->transport.header)
						     : CAUSE_SUCCESS;
	const struct outcome *judged = s->params.auth->kind->judged(s->params.auth);

	if (received >= 0) {
		g_autofree char *name = outcome_alert_name(received);

		outcome_set(&s->outcome, v.cause, "the peer sent the alert %s", name);
		return -EPROTO;
	}
	if (s->transport.cause != CAUSE_SUCCESS)
		return fail_on_transport(s);
	if (judged && judged->cause != CAUSE_SUCCESS) {
		outcome_set(&s->outcome, judged->cause, "%s", judged->detail);
		fail(s);
		transport_discard(&s->transport);
		return -EPROTO;
	}
	if (plain != CAUSE_SUCCESS) {
		v.cause = plain;
		v.alert = cause_info(plain)->alert;
		outcome_set(&s->outcome, plain, NULL);
	} else {
		outcome_set(&s->outcome, v.cause, "%s", gnutls_strerror(err));
	}
	send_alert(s, v.alert);
	return -EPROTO;
}

/*
 * GnuTLS takes one record of a message a call, says EAGAIN, and counts on a socket that is readable:
 * nobody would wake it for what is left of a replay. Each call takes a record at least, so the
 * transport's limit of records is one of these calls as well.
 */
static int call_gnutls(struct session *s)
{
	struct transport *t = &s->transport;
	size_t before;
	int r;

	do {
		before = t->received + t->replayed;
		t->starved = false;
		r = gnutls_handshake(s->tls);
	} while (r == GNUTLS_E_INTERRUPTED || r == GNUTLS_E_WARNING_ALERT_RECEIVED ||
		 r == GNUTLS_E_GOT_APPLICATION_DATA ||
		 (r == GNUTLS_E_AGAIN && !t->starved && t->received + t->replayed > before));
	return r;
}

static int handshake(struct session *s)
{
	int r = call_gnutls(s);
	int sent;

	if (r != GNUTLS_E_AGAIN && r != GNUTLS_E_SUCCESS)
		return fail_on_error(s, r);
	if (r == GNUTLS_E_SUCCESS) {
		s->state = FINISH;
		return 0;
	}
	sent = transport_flush(&s->transport);
	if (sent == -EAGAIN)
		return wait_for(s, SESSION_WAIT_WRITE);
	if (sent < 0)
		return fail_on_transport(s);
	if (!s->asked_at)
		s->asked_at = now();
	log_debug(5, "job %u: waits for the peer after %s", s->params.job,
		  gnutls_handshake_description_get_name(gnutls_handshake_get_last_out(s->tls)));
	return wait_for(s, SESSION_WAIT_READ);
}

/* GnuTLS was told all this; a handshake that came out otherwise is not ours. */
static bool is_as_agreed(const struct session *s)
{
	return gnutls_protocol_get_version(s->tls) == GNUTLS_TLS1_3 &&
	       policy_cipher_is_ktls(gnutls_cipher_get(s->tls)) &&
	       s->params.auth->kind->agreed(s->params.auth, s->tls);
}

static void await_tickets(struct session *s)
{
	s->finished_at = now();
	s->patience = CLAMP(TICKETS_WAIT_FACTOR * (s->finished_at - s->asked_at), TICKETS_WAIT_MIN,
			    TICKETS_WAIT_MAX);
	s->until = s->finished_at + s->patience;
	if (s->params.tickets > 0)
		s->until += (TICKETS_WAIT_KNOWN_FACTOR - 1) * s->patience;
	s->state = TICKETS;
}

static void note_peer(struct session *s)
{
	const struct outcome *judged = s->params.auth->kind->judged(s->params.auth);

	s->outcome.certified = judged != NULL;
	if (judged)
		outcome_set(&s->outcome, CAUSE_SUCCESS, "%s", judged->detail);
}

static int finish(struct session *s)
{
	int sent = transport_flush(&s->transport);

	if (sent == -EAGAIN)
		return wait_for(s, SESSION_WAIT_WRITE);
	if (sent < 0)
		return fail_on_transport(s);
	if (!is_as_agreed(s)) {
		outcome_set(&s->outcome, CAUSE_NOT_AS_AGREED, "%s",
			    gnutls_protocol_get_name(gnutls_protocol_get_version(s->tls)));
		return fail(s);
	}
	/* What GnuTLS has read already would never reach the kernel. */
	if (gnutls_record_check_pending(s->tls) > 0)
		return fail_for(s, CAUSE_EARLY_DATA);
	s->outcome.cipher = gnutls_cipher_get(s->tls);
	s->outcome.group = gnutls_group_get(s->tls);
	note_peer(s);
	if (log_level() >= 3) {
		g_autofree char *suite = gnutls_session_get_desc(s->tls);

		log_debug(3, "job %u: handshake complete: %s", s->params.job, suite);
	}
	if (s->params.side == HANDSHAKE_CLIENT)
		await_tickets(s);
	else
		s->state = COMPLETE;
	return 0;
}

/* A server that is known for its number of tickets has sent it; of any other time tells. */
static bool has_all_tickets(const struct session *s)
{
	return (s->params.tickets != SESSION_TICKETS_UNKNOWN &&
		s->tickets.count >= (unsigned int)s->params.tickets) ||
	       now() >= s->until;
}

static int take_tickets(struct session *s)
{
	unsigned int before = s->tickets.count;
	int r = tickets_read(&s->tickets, &s->transport, s->tls, &s->outcome);

	if (r == -EPROTO) {
		int alert = s->outcome.alert_sent;

		s->outcome.alert_sent = -1;
		send_alert(s, alert);
		return r;
	}
	/* More may follow a late one. */
	if (s->tickets.count > before)
		s->until = MAX(s->until, now() + s->patience / 2);
	/* The kernel begins with a record, and it cannot read the rest of a message. */
	if (!tickets_are_whole(&s->tickets) || !has_all_tickets(s))
		return wait_for(s, SESSION_WAIT_READ);
	/* Nothing is learned of a server that was not waited for. */
	if (s->params.tickets != 0 || s->tickets.count)
		s->outcome.tickets = (int)s->tickets.count;
	log_debug(3, "job %u: %u session tickets came within %u ms", s->params.job,
		  s->tickets.count, (unsigned int)((now() - s->finished_at) / 1000));
	s->state = COMPLETE;
	return 0;
}

int session_step(struct session *s)
{
	static int (*const steps[])(struct session * s) = {
		[COLLECT] = collect, [AUTHENTICATE] = authenticate, [HANDSHAKE] = handshake,
		[FINISH] = finish,   [TICKETS] = take_tickets,
	};
	int r = 0;

	while (r == 0 && s->state != COMPLETE)
		r = steps[s->state](s);
	return r;
}

enum session_wait session_wait(const struct session *s)
{
	return s->wait;
}

uint64_t session_until(const struct session *s)
{
	return s->state == TICKETS && tickets_are_whole(&s->tickets) ? s->until : 0;
}

int session_hurry(struct session *s)
{
	if (!session_until(s))
		return -EAGAIN;
	s->until = 0;
	return session_step(s);
}

struct auth *session_auth(const struct session *s)
{
	return s->params.auth;
}

const struct outcome *session_outcome(const struct session *s)
{
	return &s->outcome;
}

size_t session_limit(const struct session *s)
{
	return s->transport.limit;
}

gnutls_session_t session_gnutls(const struct session *s)
{
	return s->tls;
}
