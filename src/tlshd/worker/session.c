// SPDX-License-Identifier: GPL-2.0-or-later
/* One TLS 1.3 PSK handshake on one socket, non-blocking, by GnuTLS. */
#include "tlshd/worker/session.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/keyring.h"
#include "common/log.h"
#include "tlshd/worker/hello.h"

#define RECORD_CHANGE_CIPHER_SPEC 20

struct session {
	struct session_params params;
	gnutls_session_t tls; /* NULL until a server has the whole ClientHello */
	struct hello hello; /* of a server */
	size_t replayed; /* bytes of it that GnuTLS has pulled */
	size_t received; /* bytes that came behind it; of a server all */
	GByteArray *out; /* what GnuTLS wants sent: a whole flight in one packet */
	GPtrArray *offered; /* identities of the ClientHello */
	size_t n_offered; /* of which we look up the first few */
	struct hello_offer offer;
	size_t next; /* the one to look up next */
	char *identity;
	secret psk;
	enum psk_hash hash;
	bool looking_up;
	bool chosen; /* identity and psk are those of the handshake */
	bool key_asked; /* GnuTLS has taken the key */
	bool eof;
	bool finished; /* GnuTLS is through; what is left is to send */
	int io_errno; /* of the last receive or send that failed */
	enum session_wait wait;
	struct outcome outcome;
};

/* GnuTLS would take 16 MiB of one message, if that is the length a peer gives it. */
#define RECEIVED_MAX (256 * 1024)

static int give_server_key(gnutls_session_t tls, const gnutls_datum_t *name, gnutls_datum_t *key)
{
	struct session *s = gnutls_session_get_ptr(tls);

	/* The others that were offered: not ours, says -1, and GnuTLS tries the next. */
	if (!s->chosen || name->size != strlen(s->identity) ||
	    memcmp(name->data, s->identity, name->size) != 0)
		return -1;
	key->data = gnutls_malloc(s->psk.len);
	if (!key->data)
		return -1;
	memcpy(key->data, s->psk.data, s->psk.len);
	key->size = (unsigned int)s->psk.len;
	s->key_asked = true;
	return 0;
}

static int give_client_key(gnutls_session_t tls, gnutls_datum_t *name, gnutls_datum_t *key)
{
	struct session *s = gnutls_session_get_ptr(tls);

	name->size = (unsigned int)strlen(s->identity);
	name->data = gnutls_malloc(name->size +
				   1); /* GnuTLS takes it for a C string here and there */
	key->data = gnutls_malloc(s->psk.len);
	if (!name->data || !key->data) {
		gnutls_free(name->data);
		gnutls_free(key->data);
		return -1;
	}
	memcpy(name->data, s->identity, name->size + 1);
	memcpy(key->data, s->psk.data, s->psk.len);
	key->size = (unsigned int)s->psk.len;
	return 0;
}

int engine_init(struct engine *e, bool sha384_compat, char **why)
{
	int r;

	memset(e, 0, sizeof(*e));
	e->sha384_compat = sha384_compat;
	r = policy_init(&e->policy, why);
	if (r < 0)
		return r;
	r = credentials_init(&e->credentials, give_server_key, give_client_key);
	if (r < 0) {
		*why = g_strdup("GnuTLS has no memory for its credentials");
		engine_clear(e);
	}
	return r;
}

void engine_clear(struct engine *e)
{
	policy_clear(&e->policy);
	credentials_clear(&e->credentials);
}

int psk_check(const struct engine *e, const char *identity, size_t len, struct outcome *why)
{
	int hash = identity_hash(identity);

	if (hash < 0) {
		outcome_set(why, CAUSE_KEY_LENGTH, "the identity names a hash that does not exist");
		return -EKEYREJECTED;
	}
	if (hash == PSK_HASH_NONE) {
		hash = psk_hash_of_size(len);
		if (hash == PSK_HASH_NONE) {
			outcome_set(why, CAUSE_KEY_LENGTH,
				    "the key has %zu bytes, a PSK has 32 or 48", len);
			return -EKEYREJECTED;
		}
	} else if (psk_hash_size(hash) != len) {
		outcome_set(why, CAUSE_KEY_LENGTH, "the key has %zu bytes, the hash %s needs %zu",
			    len, psk_hash_name(hash), psk_hash_size(hash));
		return -EKEYREJECTED;
	}
	if (!credentials_have(hash) && !e->sha384_compat) {
		outcome_set(why, CAUSE_SHA384_UNSUPPORTED, "this is %s",
			    gnutls_check_version(NULL));
		return -ENOTSUP;
	}
	return hash;
}

/* The binder and the priorities that go with the key's hash. */
static int prepare(struct session *s)
{
	const struct engine *e = s->params.engine;
	enum psk_hash binder = s->hash;
	gnutls_priority_t priority = e->policy.hash[s->hash];

	if (!credentials_have(binder)) {
		binder = PSK_HASH_SHA256;
		priority = e->policy.legacy;
	}
	if (!priority)
		return -ENOTSUP;
	if (gnutls_priority_set(s->tls, priority) < 0)
		return -ENOTSUP;
	return gnutls_credentials_set(s->tls, GNUTLS_CRD_PSK,
				      s->params.side == HANDSHAKE_SERVER
					      ? (void *)e->credentials.server[binder]
					      : (void *)e->credentials.client[binder]) < 0
		       ? -ENOMEM
		       : 0;
}

/* Sends what is buffered. Return: 0, -EAGAIN, or another negative errno. */
static int flush(struct session *s)
{
	while (s->out->len) {
		ssize_t n = send(s->params.fd, s->out->data, s->out->len,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		g_byte_array_remove_range(s->out, 0, (guint)n);
	}
	return 0;
}

static ssize_t push(gnutls_transport_ptr_t ptr, const giovec_t *vec, int n)
{
	struct session *s = ptr;
	ssize_t total = 0;

	for (int i = 0; i < n; i++) {
		g_byte_array_append(s->out, vec[i].iov_base, (guint)vec[i].iov_len);
		total += (ssize_t)vec[i].iov_len;
	}
	return total;
}

/* MSG_DONTWAIT, for the socket's own flags belong to the kernel's consumer. */
static ssize_t receive(struct session *s, void *data, size_t len)
{
	ssize_t n;

	do
		n = recv(s->params.fd, data, len, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		s->eof = true;
	return n;
}

static ssize_t pull(gnutls_transport_ptr_t ptr, void *data, size_t len)
{
	struct session *s = ptr;
	ssize_t n;
	int r;

	if (s->hello.raw && s->replayed < s->hello.raw->len) {
		len = MIN(len, s->hello.raw->len - s->replayed);
		memcpy(data, s->hello.raw->data + s->replayed, len);
		s->replayed += len;
		return (ssize_t)len;
	}
	/* The peer answers what it has seen: everything goes out before we listen, and after that
	 * its answer cannot be there yet. */
	if (s->out->len) {
		r = flush(s);
		s->io_errno = r < 0 ? -r : EAGAIN;
		gnutls_transport_set_errno(s->tls, s->io_errno);
		return -1;
	}
	if (s->received > RECEIVED_MAX) {
		s->io_errno = EMSGSIZE;
		gnutls_transport_set_errno(s->tls, s->io_errno);
		return -1;
	}
	n = receive(s, data, len);
	if (n < 0) {
		s->io_errno = errno;
		gnutls_transport_set_errno(s->tls, s->io_errno);
	}
	if (n > 0)
		s->received += (size_t)n;
	return n;
}

static int pull_timeout(gnutls_transport_ptr_t ptr, unsigned int ms)
{
	return 1; /* never asked for: our deadlines are the worker's */
}

static int open_tls(struct session *s)
{
	unsigned int flags = GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS |
			     GNUTLS_NO_AUTO_SEND_TICKET;

	flags |= s->params.side == HANDSHAKE_SERVER ? GNUTLS_SERVER
						    : GNUTLS_CLIENT | GNUTLS_KEY_SHARE_TOP;
	if (gnutls_init(&s->tls, flags) < 0)
		return -ENOMEM;
	/* Of both hashes, until the key is known; GnuTLS cannot even send an alert without. */
	if (gnutls_priority_set(s->tls, s->params.engine->policy.hash[PSK_HASH_NONE]) < 0)
		return -ENOMEM;
	gnutls_session_set_ptr(s->tls, s);
	gnutls_transport_set_ptr(s->tls, s);
	gnutls_transport_set_vec_push_function(s->tls, push);
	gnutls_transport_set_pull_function(s->tls, pull);
	gnutls_transport_set_pull_timeout_function(s->tls, pull_timeout);
	gnutls_handshake_set_timeout(s->tls, GNUTLS_INDEFINITE_TIMEOUT);
	return 0;
}

static void send_alert_of(struct session *s, gnutls_alert_description_t alert)
{
	if (gnutls_alert_send(s->tls, GNUTLS_AL_FATAL, alert) < 0)
		return;
	if (flush(s) == 0)
		s->outcome.alert_sent = (int)alert;
}

/* The alert that goes with the outcome's cause. */
static void send_alert(struct session *s)
{
	int alert = cause_info(s->outcome.cause)->alert;

	if (alert != CAUSE_NO_ALERT)
		send_alert_of(s, (gnutls_alert_description_t)alert);
}

struct session *session_new(const struct session_params *params)
{
	struct session *s = g_new0(struct session, 1);

	s->params = *params;
	s->params.identity = NULL;
	s->params.psk = NULL;
	s->outcome = (struct outcome)OUTCOME_INIT;
	s->out = g_byte_array_new();
	if (params->side == HANDSHAKE_CLIENT) {
		s->identity = g_strdup(params->identity);
		secret_set(&s->psk, params->psk->data, params->psk->len);
	} else {
		hello_init(&s->hello);
	}
	return s;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	if (s->tls)
		gnutls_deinit(s->tls);
	hello_clear(&s->hello);
	if (s->offered)
		g_ptr_array_unref(s->offered);
	g_byte_array_unref(s->out);
	g_free(s->identity);
	secret_wipe(&s->psk);
	g_free(s);
}

/* Reads the ClientHello. Return: 0 when it is whole, -EAGAIN, -EPROTO with the outcome set. */
static int collect_hello(struct session *s)
{
	uint8_t bytes[2048];
	size_t want;

	while ((want = hello_wanted(&s->hello)) > 0) {
		ssize_t n = receive(s, bytes, MIN(want, sizeof(bytes)));

		if (n < 0 && errno == EAGAIN) {
			s->wait = SESSION_WAIT_READ;
			return -EAGAIN;
		}
		if (n < 0) {
			outcome_set(&s->outcome, CAUSE_CONNECTION_BROKE, "%s", g_strerror(errno));
			return -EPROTO;
		}
		if (n == 0) {
			if (s->hello.raw->len)
				outcome_set(&s->outcome, CAUSE_PEER_CLOSED,
					    "in the middle of its ClientHello");
			else
				outcome_set(&s->outcome, CAUSE_GONE_EARLY, NULL);
			return -EPROTO;
		}
		if (hello_add(&s->hello, bytes, (size_t)n) < 0) {
			outcome_set(&s->outcome, CAUSE_HELLO_TOO_LONG, "more than %d bytes",
				    HELLO_MAX);
			if (open_tls(s) == 0)
				send_alert(s);
			return -EPROTO;
		}
	}
	return 0;
}

/* Ends a session whose identities are all used up. */
static void fail_unknown(struct session *s)
{
	/* A key that is there but wrong says why; only plain absence is called unknown. */
	if (s->outcome.cause == CAUSE_SUCCESS)
		outcome_set(&s->outcome, CAUSE_NO_KEY, "the peer offers %zu identities",
			    s->n_offered);
	/* The peer is not told more than that, whatever is wrong with the key. */
	send_alert_of(s, GNUTLS_A_UNKNOWN_PSK_IDENTITY);
}

/* Asks for the next offered identity that could be in a keyring. */
static int look_up_next(struct session *s)
{
	while (!s->chosen && s->next < s->offered->len) {
		gsize len;
		const char *bytes = g_bytes_get_data(s->offered->pdata[s->next++], &len);

		g_free(s->identity);
		s->identity = len ? g_strndup(bytes, MIN(len, (gsize)IDENTITY_MAX)) : g_strdup("");
		if (!len || len > IDENTITY_MAX || memchr(bytes, '\0', len)) {
			g_autofree char *escaped = log_escape(bytes, MIN(len, (gsize)64));

			outcome_set(&s->outcome, CAUSE_BAD_IDENTITY, "it %s (%zu bytes: \"%s\"%s)",
				    !len		 ? "is empty"
				    : len > IDENTITY_MAX ? "is longer than any key's"
							 : "has a NUL in it",
				    len, escaped, len > 64 ? "..." : "");
			continue;
		}
		if (log_level() >= 4) {
			g_autofree char *escaped = log_escape(bytes, len);

			log_debug(4, "job %u: looking up \"%s\"", s->params.job, escaped);
		}
		s->looking_up = true;
		s->params.lookup(s->params.ctx, s->identity);
		if (s->looking_up) {
			s->wait = SESSION_WAIT_KEY;
			return -EAGAIN;
		}
	}
	return 0;
}

void session_give_key(struct session *s, int err, const secret *psk)
{
	int hash;

	if (!s->looking_up)
		return;
	s->looking_up = false;
	if (err < 0) {
		if (err == -ENOKEY)
			outcome_set(&s->outcome, CAUSE_NO_KEY, NULL);
		else if (err == -EKEYREVOKED || err == -EKEYEXPIRED)
			outcome_set(&s->outcome, CAUSE_KEY_ENDED, "%s", key_strerror(err));
		else
			outcome_set(&s->outcome, CAUSE_KEY_UNREADABLE, "%s", key_strerror(err));
		return;
	}
	hash = psk_check(s->params.engine, s->identity, psk->len, &s->outcome);
	if (hash < 0)
		return;
	log_debug(4, "job %u: a %s key was found", s->params.job, psk_hash_name(hash));
	s->hash = hash;
	secret_set(&s->psk, psk->data, psk->len);
	s->chosen = true;
	outcome_set(&s->outcome, CAUSE_SUCCESS, NULL);
}

/*
 * What no key could help, and GnuTLS would find out only after its ServerHello, or answer with
 * another alert than RFC 8446 wants. Return: whether it was refused.
 */
static bool refuse_hello(struct session *s)
{
	enum cause cause;

	if (s->hello.raw->data[0] == RECORD_CHANGE_CIPHER_SPEC) /* 5: not before a ClientHello */
		cause = CAUSE_UNEXPECTED_MESSAGE;
	else if (!s->offer.well_formed) /* let GnuTLS find out what it is */
		return false;
	else if (!s->offer.tls13) /* 4.1.2, D.2 */
		cause = CAUSE_NO_TLS13;
	else if (!s->n_offered)
		cause = CAUSE_NO_PSK;
	else if (!s->offer.psk_modes) /* 4.2.9 */
		cause = CAUSE_NO_PSK_MODE;
	else if (!s->offer.psk_dhe)
		cause = CAUSE_PSK_WITHOUT_DHE;
	else
		return false;
	outcome_set(&s->outcome, cause,
		    cause == CAUSE_UNEXPECTED_MESSAGE ? "it begins with a ChangeCipherSpec" : NULL);
	if (open_tls(s) == 0)
		send_alert(s);
	return true;
}

/* A server: from nothing to a TLS session that knows its key. */
static int begin_server(struct session *s)
{
	int r;

	if (!s->offered) {
		r = collect_hello(s);
		if (r < 0)
			return r;
		s->n_offered = hello_identities(&s->hello, &s->offered, &s->offer);
		log_debug(3, "job %u: ClientHello of %u bytes offers %zu identities", s->params.job,
			  s->hello.raw->len, s->n_offered);
		if (refuse_hello(s))
			return -EPROTO;
	}
	r = look_up_next(s);
	if (r < 0)
		return r;
	if (open_tls(s) < 0) {
		outcome_set(&s->outcome, CAUSE_NO_MEMORY, "for a TLS session");
		return -EPROTO;
	}
	if (s->n_offered && !s->chosen) {
		fail_unknown(s);
		return -EPROTO;
	}
	if (!s->chosen) /* no PSK at all: GnuTLS shall find out what it is */
		s->hash = PSK_HASH_SHA256;
	r = prepare(s);
	if (r < 0) {
		outcome_set(&s->outcome, CAUSE_POLICY, "a %s PSK", psk_hash_name(s->hash));
		send_alert(s);
		return -EPROTO;
	}
	return 0;
}

static int begin_client(struct session *s)
{
	int hash = psk_check(s->params.engine, s->identity, s->psk.len, &s->outcome);
	int r;

	if (hash < 0)
		return -EPROTO;
	s->hash = hash;
	s->chosen = true;
	if (open_tls(s) < 0) {
		outcome_set(&s->outcome, CAUSE_NO_MEMORY, "for a TLS session");
		return -EPROTO;
	}
	r = prepare(s);
	if (r < 0) {
		outcome_set(&s->outcome, CAUSE_POLICY, "a %s PSK", psk_hash_name(s->hash));
		return -EPROTO;
	}
	return 0;
}

static void fail_on_alert(struct session *s)
{
	int alert = (int)gnutls_alert_get(s->tls);
	g_autofree char *name = outcome_alert_name(alert);
	enum cause cause = CAUSE_PEER_ALERT;

	switch (alert) {
	case GNUTLS_A_UNKNOWN_PSK_IDENTITY:
		cause = CAUSE_PEER_KNOWS_NO_KEY;
		break;
	case GNUTLS_A_DECRYPT_ERROR:
		cause = CAUSE_PEER_HAS_OTHER_KEY;
		break;
	case GNUTLS_A_ILLEGAL_PARAMETER:
		/* OpenSSL's and GnuTLS's word for a wrong binder, and for much else. */
		if (s->params.side == HANDSHAKE_CLIENT)
			cause = CAUSE_PEER_REFUSES_PARAMETER;
		break;
	case GNUTLS_A_HANDSHAKE_FAILURE:
		cause = CAUSE_PEER_FINDS_NOTHING_IN_COMMON;
		break;
	default:
		break;
	}
	outcome_set(&s->outcome, cause, "the peer sent the alert %s", name);
}

/* Turns GnuTLS's error into the outcome, and sends the alert that goes with it. */
static void fail_on_error(struct session *s, int err)
{
	bool server = s->params.side == HANDSHAKE_SERVER;
	const char *text = gnutls_strerror(err);
	int alert, level;

	if (err == GNUTLS_E_FATAL_ALERT_RECEIVED) {
		fail_on_alert(s);
		return;
	}
	if (s->eof || err == GNUTLS_E_SESSION_EOF) { /* or close_notify, which is no error */
		outcome_set(&s->outcome, CAUSE_PEER_CLOSED, NULL);
		return;
	}
	if (s->received > RECEIVED_MAX) {
		outcome_set(&s->outcome, CAUSE_TOO_MUCH, NULL);
		send_alert(s);
		return;
	}
	if (err == GNUTLS_E_PULL_ERROR || err == GNUTLS_E_PUSH_ERROR) {
		outcome_set(&s->outcome, CAUSE_CONNECTION_BROKE, "%s", g_strerror(s->io_errno));
		return;
	}
	/* The binder is checked before anything of ours is sent. */
	if (server && s->key_asked && err == GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER && !s->received &&
	    !s->out->len) {
		outcome_set(&s->outcome, CAUSE_WRONG_KEY, NULL);
		send_alert(s);
		return;
	}
	switch (err) {
	case GNUTLS_E_NO_CIPHER_SUITES:
	case GNUTLS_E_NO_COMMON_KEY_SHARE:
	case GNUTLS_E_INSUFFICIENT_CREDENTIALS:
	case GNUTLS_E_NO_PRIORITIES_WERE_SET:
		outcome_set(&s->outcome, CAUSE_NOTHING_IN_COMMON, "%s", text);
		send_alert(s);
		return;
	case GNUTLS_E_TOO_MANY_EMPTY_PACKETS: /* so it calls a flood of ChangeCipherSpec */
		outcome_set(&s->outcome, CAUSE_UNEXPECTED_MESSAGE, "%s", text);
		send_alert(s);
		return;
	case GNUTLS_E_UNKNOWN_CIPHER_SUITE:
		/* A server chooses among what we have offered. */
		outcome_set(&s->outcome, server ? CAUSE_NOTHING_IN_COMMON : CAUSE_ILLEGAL_PARAMETER,
			    "%s", text);
		send_alert(s);
		return;
	case GNUTLS_E_RECEIVED_ILLEGAL_EXTENSION:
		if (server) { /* unsupported_extension is for those that were not asked for */
			outcome_set(&s->outcome, CAUSE_ILLEGAL_PARAMETER, "%s", text);
			send_alert(s);
			return;
		}
		break;
	case GNUTLS_E_MEMORY_ERROR:
		outcome_set(&s->outcome, CAUSE_NO_MEMORY, NULL);
		send_alert(s);
		return;
	default:
		break;
	}
	outcome_set(&s->outcome, CAUSE_TLS_ERROR, "%s", text);
	alert = gnutls_error_to_alert(err, &level);
	if (alert >= 0)
		send_alert_of(s, (gnutls_alert_description_t)alert);
}

/* GnuTLS was told all this; a handshake that came out otherwise is not ours. */
static bool is_as_agreed(struct session *s)
{
	gnutls_kx_algorithm_t kx = gnutls_kx_get(s->tls); /* it tells which kind of group it was */

	return gnutls_protocol_get_version(s->tls) == GNUTLS_TLS1_3 &&
	       gnutls_auth_get_type(s->tls) == GNUTLS_CRD_PSK &&
	       (kx == GNUTLS_KX_ECDHE_PSK || kx == GNUTLS_KX_DHE_PSK) && s->chosen &&
	       policy_cipher_is_ktls(gnutls_cipher_get(s->tls));
}

int session_step(struct session *s)
{
	int r;

	if (s->looking_up)
		return -EAGAIN;
	if (!s->tls) {
		r = s->params.side == HANDSHAKE_SERVER ? begin_server(s) : begin_client(s);
		if (r < 0)
			return r;
	}
	do
		r = s->finished ? GNUTLS_E_SUCCESS : gnutls_handshake(s->tls);
	while (r == GNUTLS_E_INTERRUPTED || r == GNUTLS_E_WARNING_ALERT_RECEIVED ||
	       r == GNUTLS_E_GOT_APPLICATION_DATA);

	s->finished = r == GNUTLS_E_SUCCESS;
	if (r == GNUTLS_E_AGAIN || r == GNUTLS_E_SUCCESS) {
		int sent = flush(s);

		if (sent == -EAGAIN) {
			s->wait = SESSION_WAIT_WRITE;
			return -EAGAIN;
		}
		if (sent < 0) {
			outcome_set(&s->outcome, CAUSE_CONNECTION_BROKE, "%s", g_strerror(-sent));
			return -EPROTO;
		}
	}
	if (r == GNUTLS_E_AGAIN) {
		log_debug(5, "job %u: waits for the peer after %s", s->params.job,
			  gnutls_handshake_description_get_name(gnutls_handshake_get_last_out(s->tls)));
		s->wait = SESSION_WAIT_READ;
		return -EAGAIN;
	}
	if (r < 0) {
		fail_on_error(s, r);
		return -EPROTO;
	}
	if (!is_as_agreed(s)) {
		outcome_set(&s->outcome, CAUSE_NOT_AS_AGREED, "%s",
			    gnutls_protocol_get_name(gnutls_protocol_get_version(s->tls)));
		return -EPROTO;
	}
	/* What GnuTLS has read already would never reach the kernel. */
	if (gnutls_record_check_pending(s->tls) > 0) {
		outcome_set(&s->outcome, CAUSE_EARLY_DATA, NULL);
		return -EPROTO;
	}
	s->outcome.cipher = gnutls_cipher_get(s->tls);
	if (log_level() >= 3) {
		g_autofree char *suite = gnutls_session_get_desc(s->tls);

		log_debug(3, "job %u: handshake complete: %s", s->params.job, suite);
	}
	return 0;
}

enum session_wait session_wait(const struct session *s)
{
	return s->wait;
}

const struct outcome *session_outcome(const struct session *s)
{
	return &s->outcome;
}

gnutls_session_t session_gnutls(const struct session *s)
{
	return s->tls;
}
