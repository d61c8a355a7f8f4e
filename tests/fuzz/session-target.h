/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzzes a session of SIDE, over a socket pair. The input: a byte of enum flags; the length, in two
 * bytes, of the peer's first flight, and that flight; then records, each of a type, a length in two
 * bytes and the content, which go out encrypted where both ends have keys by then; not so one whose
 * type has its highest bit set. With CERTIFIED the two ends have certificates in place of a PSK.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "tlshd/worker/session.h"
#include "tls13.h"
#ifdef CERTIFIED
#include "certified.h"
#else
#define CERTIFIED false
#endif

enum flags {
	FIX_BINDER = 1,
	FIX_FINISHED = 2,
	SEAL = 4,
	ANSWER_LATE = 8,
	BYTE_BY_BYTE = 16,
	FIX_VERIFY = 32,
	UNAUTH = 64, /* a client that shows no certificate */
	FIX_CERTIFICATE = 128,
};

struct target {
	struct session *s;
	struct tls13 peer;
	int fd[2]; /* the session's, the peer's */
	uint8_t flags;
	char *asked;
	int result;
};

static struct engine engine;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(int priority, const char *line)
{
	if (strpbrk(line, "\n\r\033"))
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char *why;

	log_set_sink(check_line);
	log_set_level(5);
	if (engine_init(&engine, false, &why) < 0)
		abort();
#if CERTIFIED
	certified_init(&engine.x509);
#endif
	return 0;
}

#if CERTIFIED
static void answer(struct target *t) /* nothing is ever asked */
{
	abort();
}
#else
static void answer(struct target *t)
{
	secret psk = {.len = 32};

	memset(psk.data, TLS13_PSK_BYTE, psk.len);
	auth_psk_answer(session_auth(t->s), strcmp(t->asked, TLS13_IDENTITY) == 0 ? 0 : -ENOKEY,
			&psk);
}

static void lookup(void *ctx, const char *identity)
{
	struct target *t = ctx;

	g_free(t->asked);
	t->asked = g_strdup(identity);
	if (!(t->flags & ANSWER_LATE))
		answer(t);
}
#endif

static void hear(struct target *t);

static void step(struct target *t)
{
	for (int i = 0; t->result == -EAGAIN && i < 20; i++) {
		t->result = session_step(t->s);
		if (t->result != -EAGAIN || session_wait(t->s) != SESSION_WAIT_ANSWER)
			break;
		answer(t);
	}
	hear(t);
}

/* What the session sends: its hello for the keys, the rest for the transcript. */
static void hear(struct target *t)
{
	uint8_t bytes[16384];
	ssize_t n = recv(t->fd[1], bytes, sizeof(bytes), MSG_DONTWAIT);

	for (ssize_t at = 0; at + 5 <= n;) {
		size_t len = 5 + ((size_t)bytes[at + 3] << 8 | bytes[at + 4]);

		if (at + (ssize_t)len > n)
			break;
		if (t->peer.keyed)
			tls13_open(&t->peer, SIDE == HANDSHAKE_SERVER, bytes + at, len);
		tls13_heard(&t->peer, bytes + at, len);
		if (SIDE == HANDSHAKE_SERVER && !t->peer.keyed && bytes[at] == 22)
			tls13_key(&t->peer, bytes + at, len);
		at += (ssize_t)len;
	}
}

static void tell(struct target *t, const uint8_t *bytes, size_t len)
{
	size_t piece = t->flags & BYTE_BY_BYTE ? 1 : MAX(len, 1);

	for (size_t at = 0; at < len && t->result == -EAGAIN; at += piece) {
		if (send(t->fd[1], bytes + at, MIN(piece, len - at), MSG_DONTWAIT | MSG_NOSIGNAL) <
		    0)
			return;
		step(t);
	}
}

static unsigned int what_to_fix(const struct target *t)
{
	return (t->flags & FIX_FINISHED ? TLS13_FIX_FINISHED : 0) |
	       (t->flags & FIX_VERIFY ? TLS13_FIX_VERIFY : 0) |
	       (t->flags & FIX_CERTIFICATE ? TLS13_FIX_CERTIFICATE : 0);
}

static void say_record(struct target *t, uint8_t type, const uint8_t *data, size_t len)
{
	g_autoptr(GByteArray) record = NULL;

	if (t->peer.keyed && t->flags & SEAL && !(type & 0x80)) {
		record = tls13_seal(&t->peer, SIDE == HANDSHAKE_CLIENT, type, data, len,
				    what_to_fix(t));
	} else {
		const uint8_t header[] = {type & 0x7f, 3, 3, (uint8_t)(len >> 8), (uint8_t)len};

		record = g_byte_array_new();
		g_byte_array_append(record, header, sizeof(header));
		g_byte_array_append(record, data, (guint)len);
	}
	tell(t, record->data, record->len);
}

static void say_hello(struct target *t, const uint8_t *data, size_t len)
{
	g_autofree uint8_t *hello = g_malloc(len + 1);

	memcpy(hello, data, len);
	if (SIDE == HANDSHAKE_SERVER) {
		if (t->flags & FIX_BINDER)
			tls13_fix_binder(hello, len);
		tls13_heard(&t->peer, hello, len);
	} else {
		g_autoptr(GByteArray) theirs = g_byte_array_new();

		step(t); /* sends its hello, which is in the transcript then */
		g_byte_array_append(theirs, t->peer.transcript->data, t->peer.transcript->len);
		tls13_heard(&t->peer, hello, len);
		tls13_key(&t->peer, theirs->data, theirs->len);
	}
	tell(t, hello, len);
}

static void check(const struct target *t)
{
	const struct outcome *o = session_outcome(t->s);

	if (t->result == -EAGAIN)
		return;
	if ((t->result == 0) != (o->cause == CAUSE_SUCCESS) || !cause_is_of_worker(o->cause))
		abort();
	if (strpbrk(o->detail, "\n\r\033"))
		abort();
	if (o->alert_sent < -1 || o->alert_sent > 255)
		abort();
#if CERTIFIED
	/* Nobody is believed without the key, nor with another certificate than the issuer's. */
	if (t->result == 0 && (o->certified || SIDE == HANDSHAKE_CLIENT) &&
	    (!o->certified || !(t->flags & FIX_VERIFY) ||
	     (!(t->flags & FIX_CERTIFICATE) && !certified_has_shown(t->peer.transcript))))
		abort();
#else
	if (o->certified)
		abort();
#endif
}

static struct auth *new_auth(struct target *t)
{
#if CERTIFIED
	struct auth_x509_params params = {.x509 = &engine.x509,
					  .policy = &engine.policy,
					  .side = SIDE,
					  .auth = SIDE == HANDSHAKE_CLIENT && t->flags & UNAUTH
							  ? HANDSHAKE_UNAUTH
							  : HANDSHAKE_X509,
					  .peername = PEER_NAME};

	return auth_x509_new(&params);
#else
	secret psk = {.len = 32};
	struct auth_psk_params params = {.shared = &engine.psk,
					 .side = SIDE,
					 .identity = TLS13_IDENTITY,
					 .psk = &psk,
					 .lookup = lookup,
					 .ctx = t};

	memset(psk.data, TLS13_PSK_BYTE, psk.len);
	return auth_psk_new(&params);
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct target t = {.result = -EAGAIN};
	struct session_params p = {.engine = &engine, .side = SIDE, .tickets = 1};
	size_t len;

	if (size < 3 || socketpair(AF_UNIX, SOCK_STREAM, 0, t.fd) < 0)
		return 0;
	t.flags = data[0];
	tls13_init(&t.peer, CERTIFIED);
	p.fd = t.fd[0];
	p.auth = new_auth(&t);
	t.s = session_new(&p);
	len = MIN((size_t)data[1] << 8 | data[2], size - 3);
	say_hello(&t, data + 3, len);
	data += 3 + len;
	size -= 3 + len;
	while (size >= 3 && t.result == -EAGAIN) {
		len = MIN((size_t)data[1] << 8 | data[2], MIN(size - 3, 16384));
		say_record(&t, data[0], data + 3, len);
		data += 3 + len;
		size -= 3 + len;
	}
	shutdown(t.fd[1], SHUT_WR);
	/* GnuTLS takes a record in a step, and what there is of the last one before it sees the end. */
	for (int i = 0; t.result == -EAGAIN && i < 100; i++)
		step(&t);
	if (t.result == -EAGAIN) /* after the end of its peer it cannot be waiting */
		abort();
	check(&t);
	session_free(t.s);
	g_free(t.asked);
	tls13_clear(&t.peer);
	close(t.fd[0]);
	close(t.fd[1]);
	return 0;
}
