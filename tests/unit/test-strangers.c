// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of sessions against peers that cut what they say: each is answered, and what it costs is counted,
 * in calls and in bytes, never in time.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include <gnutls/gnutls.h>

#include "tlshd/worker/hello.h"
#include "tlshd/worker/session.h"
#include "tlshd/worker/transport.h"

/* cmocka's own, assert_in_range(), is deprecated in version 2. */
#define assert_between(value, min, max)        \
	do {                                   \
		assert_true((value) <= (max)); \
		assert_true((min) <= (value)); \
	} while (0)

#define ID "NVMe0R01 nqn.host nqn.io-1"
#define PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK"
#define RETRY \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK:-GROUP-ALL:+GROUP-SECP521R1:+GROUP-SECP384R1:+GROUP-X25519"

/* What the session under test does: these stand before the libraries'. */
static struct {
	unsigned long receives, received; /* recv() that brought something, and its bytes */
	unsigned long appended; /* bytes put into any GByteArray */
	bool on;
} cost;

ssize_t recv(int fd, void *data, size_t len, int flags)
{
	ssize_t n = recvfrom(fd, data, len, flags, NULL, NULL);

	if (cost.on && n > 0) {
		cost.receives++;
		cost.received += (unsigned long)n;
	}
	return n;
}

GByteArray *g_byte_array_append(GByteArray *array, const guint8 *data, guint len)
{
	static GByteArray *(*append)(GByteArray *, const guint8 *, guint);

	if (!append)
		*(void **)&append = dlsym(RTLD_NEXT, "g_byte_array_append");
	if (cost.on)
		cost.appended += len;
	return append(array, data, len);
}

static struct engine engine;
static struct engine narrow; /* X25519 only: other shares get a HelloRetryRequest */
static bool retry;

struct ours {
	struct session *s;
	int fd;
	bool begun;
	int result;
};

static void lookup(void *ctx, const char *identity)
{
	struct ours *o = ctx;
	secret psk = {.len = 32};

	memset(psk.data, 7, psk.len);
	auth_psk_answer(session_auth(o->s), strcmp(identity, ID) == 0 ? 0 : -ENOKEY, &psk);
}

static void start(struct ours *o, int fd, enum handshake_side side)
{
	secret psk = {.len = 32};
	const struct engine *e = retry ? &narrow : &engine;
	struct auth_psk_params auth = {.shared = &e->psk,
				       .side = side,
				       .identity = ID,
				       .psk = &psk,
				       .lookup = lookup,
				       .ctx = o};
	struct session_params p = {.engine = e, .fd = fd, .side = side};

	memset(psk.data, 7, psk.len);
	p.auth = auth_psk_new(&auth);
	o->s = session_new(&p);
	o->fd = fd;
	o->begun = false;
	o->result = -EAGAIN;
	memset(&cost, 0, sizeof(cost));
}

/* A worker is woken by the socket, and by nothing else. */
static void step(struct ours *o)
{
	struct pollfd p = {.fd = o->fd, .events = POLLIN};

	if (o->result != -EAGAIN || (o->begun && poll(&p, 1, 0) == 0))
		return;
	o->begun = true;
	cost.on = true;
	o->result = session_step(o->s);
	cost.on = false;
}

/* A bare GnuTLS end that cuts each plain handshake record of its own into pieces. */
struct cutter {
	gnutls_session_t tls;
	int fd;
	size_t piece; /* bytes of each */
	size_t first; /* of the first, where not 0 */
	size_t padding;
};

static void cut_out(struct cutter *c, const uint8_t *body, size_t len)
{
	for (size_t at = 0, n; at < len; at += n) {
		uint8_t header[5] = {22, 3, 1};

		n = MIN(at == 0 && c->first ? c->first : c->piece, len - at);
		header[3] = (uint8_t)(n >> 8);
		header[4] = (uint8_t)n;
		assert_int_equal(send(c->fd, header, 5, MSG_NOSIGNAL), 5);
		assert_int_equal(send(c->fd, body + at, n, MSG_NOSIGNAL), n);
	}
}

/* GnuTLS sends a hello over 16384 bytes in more than one record: together again, then cut. */
static ssize_t cut(gnutls_transport_ptr_t ptr, const void *data, size_t len)
{
	struct cutter *c = ptr;
	const uint8_t *record = data;
	g_autoptr(GByteArray) message = g_byte_array_new();

	if (record[0] != 22)
		return send(c->fd, data, len, MSG_NOSIGNAL);
	for (size_t at = 0; at + 5 <= len;) {
		size_t n = (size_t)record[at + 3] << 8 | record[at + 4];

		g_byte_array_append(message, record + at + 5, (guint)n);
		at += 5 + n;
	}
	cut_out(c, message->data, message->len);
	return (ssize_t)len;
}

static ssize_t take(gnutls_transport_ptr_t ptr, void *data, size_t len)
{
	return recv(((struct cutter *)ptr)->fd, data, len, MSG_DONTWAIT);
}

static int pad(gnutls_session_t tls, gnutls_buffer_t to)
{
	const struct cutter *c = gnutls_session_get_ptr(tls);
	g_autofree uint8_t *zeros = g_malloc0(c->padding);

	gnutls_buffer_append_data(to, zeros, c->padding);
	return (int)c->padding;
}

static int ignore(gnutls_session_t tls, const unsigned char *data, size_t len)
{
	return 0;
}

static gnutls_psk_client_credentials_t credentials;

static void cutter_open(struct cutter *c, const char *priorities)
{
	gnutls_datum_t key, name = {(void *)ID, sizeof(ID) - 1};
	uint8_t bytes[32];

	memset(bytes, 7, sizeof(bytes));
	key = (gnutls_datum_t){bytes, sizeof(bytes)};
	if (!credentials) {
		gnutls_psk_allocate_client_credentials(&credentials);
		gnutls_psk_set_client_credentials2(credentials, &name, &key, GNUTLS_PSK_KEY_RAW);
	}
	gnutls_init(&c->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_KEY_SHARE_TOP);
	gnutls_session_set_ptr(c->tls, c);
	gnutls_priority_set_direct(c->tls, priorities, NULL);
	gnutls_credentials_set(c->tls, GNUTLS_CRD_PSK, credentials);
	if (c->padding)
		gnutls_session_ext_register(c->tls, "padding", 0xfa00, GNUTLS_EXT_TLS, ignore, pad,
					    NULL, NULL, NULL, GNUTLS_EXT_FLAG_CLIENT_HELLO);
	gnutls_transport_set_ptr(c->tls, c);
	gnutls_transport_set_push_function(c->tls, cut);
	gnutls_transport_set_pull_function(c->tls, take);
}

/* A whole handshake. Return: GnuTLS's result of the cutter's end. */
static int handshake(struct cutter *c, struct ours *s, const char *priorities)
{
	int fd[2], r = GNUTLS_E_AGAIN;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	c->fd = fd[0];
	cutter_open(c, priorities);
	start(s, fd[1], HANDSHAKE_SERVER);
	for (int i = 0; i < 6 && (r == GNUTLS_E_AGAIN || s->result == -EAGAIN); i++) {
		if (r == GNUTLS_E_AGAIN)
			r = gnutls_handshake(c->tls);
		step(s);
	}
	gnutls_deinit(c->tls);
	close(fd[0]);
	close(fd[1]);
	return r;
}

static void completes(struct cutter *c, const char *priorities)
{
	struct ours s;
	int r = handshake(c, &s, priorities);

	if (r != 0 || s.result != 0)
		fail_msg("pieces of %zu, the first %zu, padding %zu: peer %s, we %s", c->piece,
			 c->first, c->padding, gnutls_strerror(r),
			 cause_info(session_outcome(s.s)->cause)->id);
	session_free(s.s);
}

static void a_hello_in_two_records_is_answered_wherever_it_is_cut(void **state)
{
	/* 300 bytes are less than any hello of GnuTLS's has; its length varies a little. */
	for (size_t first = 1; first <= 300; first++)
		completes(&(struct cutter){.first = first, .piece = RECORD_MAX}, PRIORITIES);
}

static void a_hello_in_many_records_is_answered(void **state)
{
	for (size_t piece = 10; piece <= 300; piece += 10)
		completes(&(struct cutter){.piece = piece}, PRIORITIES);
	completes(&(struct cutter){.piece = 512, .padding = 19 * 1024}, PRIORITIES);
}

static void a_hello_of_any_size_up_to_the_limit_is_answered(void **state)
{
	for (size_t padding = 100; padding < 19 * 1024; padding += 487)
		completes(&(struct cutter){.piece = RECORD_MAX, .padding = padding}, PRIORITIES);
	/* by the byte, where it begins to need a second record */
	for (size_t padding = RECORD_MAX - 420; padding < RECORD_MAX + 20; padding += 3)
		completes(&(struct cutter){.piece = RECORD_MAX, .padding = padding}, PRIORITIES);
}

static void a_second_hello_in_many_records_is_answered(void **state)
{
	retry = true;
	completes(&(struct cutter){.piece = 20}, RETRY);
	completes(&(struct cutter){.piece = 512, .padding = 16 * 1024}, RETRY);
	completes(&(struct cutter){.piece = 512, .padding = 18 * 1024}, RETRY);
	retry = false;
}

static void every_byte_of_a_hello_is_copied_a_bounded_number_of_times(void **state)
{
	static const size_t pieces[] = {RECORD_MAX, 2048, 512, 320};

	for (size_t i = 0; i < G_N_ELEMENTS(pieces); i++) {
		struct cutter c = {.piece = pieces[i], .padding = 18 * 1024};
		struct ours s;

		assert_int_equal(handshake(&c, &s, PRIORITIES), 0);
		/* into the message, into the replay; and what we send is less than 1 KiB */
		assert_between(cost.appended, 2 * 18 * 1024, 2 * cost.received + 1024);
		/* header and body of a record, the body in pieces of 2 KiB; and those of the Finished */
		assert_between(cost.receives, 1, 2 * HELLO_RECORDS_MAX + HELLO_MAX / 2048 + 8);
		session_free(s.s);
	}
}

static void refused_after(const uint8_t *bytes, size_t len, enum cause cause,
			  unsigned long most_receives)
{
	int fd[2], size = 1 << 20;
	struct ours s;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	assert_int_equal(send(fd[0], bytes, len, MSG_DONTWAIT), len);
	start(&s, fd[1], HANDSHAKE_SERVER);
	step(&s);
	assert_int_equal(s.result, -EPROTO);
	assert_string_equal(cause_info(session_outcome(s.s)->cause)->id, cause_info(cause)->id);
	assert_int_equal(session_outcome(s.s)->alert_sent, GNUTLS_A_UNEXPECTED_MESSAGE);
	assert_between(cost.receives, 1, most_receives);
	assert_true(cost.appended <= cost.received + 16);
	session_free(s.s);
	close(fd[0]);
	close(fd[1]);
}

static void a_hello_in_records_of_one_byte_costs_no_more_than_its_limit(void **state)
{
	g_autofree uint8_t *bytes = g_malloc(20000 * 6);
	const uint8_t begin[] = {1, 0, 0x4e, 0x20};

	for (size_t i = 0; i < 20000; i++)
		memcpy(bytes + 6 * i,
		       (const uint8_t[]){22, 3, 1, 0, 1, i < sizeof(begin) ? begin[i] : 0}, 6);
	/* 64 records are read, and the header of one more */
	refused_after(bytes, 20000, CAUSE_TOO_MANY_RECORDS, 2 * HELLO_RECORDS_MAX + 1);
}

static void empty_records_and_change_cipher_specs_cost_one(void **state)
{
	static const uint8_t empty[] = {22, 3, 1, 0, 0}, ccs[] = {20, 3, 3, 0, 1, 1};
	uint8_t bytes[6000];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = empty[i % sizeof(empty)];
	refused_after(bytes, sizeof(bytes), CAUSE_UNEXPECTED_MESSAGE, 1);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = ccs[i % sizeof(ccs)];
	refused_after(bytes, sizeof(bytes), CAUSE_UNEXPECTED_MESSAGE, 1);
}

static const char long_piece[5 + 350] = "\x16\x03\x03\x01\x5e";

/* Behind a whole hello GnuTLS reads: its reassembly is what the limit of records is for. */
static void a_flood_behind_the_hello_ends_at_the_limit(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} floods[] = {
		{"\x14\x03\x03\x00\x01\x01", 6}, /* ChangeCipherSpec, which is ignored */
		{"\x16\x03\x03\x00\x01\x00", 6}, /* what a second ClientHello has, byte by byte */
		{long_piece,
		 sizeof(long_piece)}, /* the same, in pieces that fill its limit of bytes */
		{"\x16\x03\x03\x00\x00", 5}, /* nothing */
		{"\x15\x03\x03\x00\x02\x01\x5a", 7}, /* warnings */
	};

	for (size_t i = 0; i < G_N_ELEMENTS(floods); i++) {
		struct cutter c = {.piece = RECORD_MAX};
		int fd[2];
		struct ours s;

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
		c.fd = fd[0];
		cutter_open(&c, RETRY);
		assert_int_equal(gnutls_handshake(c.tls), GNUTLS_E_AGAIN);
		retry = true;
		start(&s, fd[1], HANDSHAKE_SERVER);
		step(&s);
		retry = false;
		assert_int_equal(s.result, -EAGAIN);
		if (floods[i].bytes[5] == 0) /* the message's type and length */
			send(fd[0], "\x16\x03\x03\x00\x04\x01\x00\xf0\x00", 9, MSG_NOSIGNAL);
		for (int n = 0; n < 1000 && s.result == -EAGAIN; n++) {
			if (send(fd[0], floods[i].bytes, floods[i].len,
				 MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
				break;
			if (n % 50 == 0)
				step(&s);
		}
		step(&s);
		assert_int_equal(s.result, -EPROTO);
		assert_between(cost.receives, 1, 2 * TRANSPORT_RECORDS_MAX + 10);
		print_message("# flood %zu: %s: %s after %lu calls\n", i,
			      cause_info(session_outcome(s.s)->cause)->id,
			      session_outcome(s.s)->detail, cost.receives);
		session_free(s.s);
		gnutls_deinit(c.tls);
		close(fd[0]);
		close(fd[1]);
	}
}

static void a_servers_flood_ends_at_the_limit(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} floods[] = {
		{"\x14\x03\x03\x00\x01\x01", 6},
		{"\x16\x03\x03\x00\x01\x02", 6}, /* a ServerHello, byte by byte */
		{"\x16\x03\x03\x00\x00", 5},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(floods); i++) {
		int fd[2];
		struct ours c;

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
		start(&c, fd[0], HANDSHAKE_CLIENT);
		for (int n = 0; n < 1000 && c.result == -EAGAIN; n++) {
			if (n % 50 == 0)
				step(&c);
			if (send(fd[1], floods[i].bytes, floods[i].len,
				 MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
				break;
		}
		step(&c);
		assert_int_equal(c.result, -EPROTO);
		assert_between(cost.receives, 1, 2 * TRANSPORT_RECORDS_MAX + 10);
		session_free(c.s);
		close(fd[0]);
		close(fd[1]);
	}
}

static int set_up(void **state)
{
	char *why = NULL;

	if (engine_init(&engine, false, &why) < 0 || engine_init(&narrow, false, &why) < 0)
		return -1;
	for (size_t i = 0; i < G_N_ELEMENTS(narrow.policy.hash); i++) {
		if (narrow.policy.hash[i])
			gnutls_priority_deinit(narrow.policy.hash[i]);
		gnutls_priority_init(&narrow.policy.hash[i], PRIORITIES ":-GROUP-ALL:+GROUP-X25519",
				     NULL);
	}
	return 0;
}

static int tear_down(void **state)
{
	gnutls_psk_free_client_credentials(credentials);
	engine_clear(&narrow);
	engine_clear(&engine);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hello_in_two_records_is_answered_wherever_it_is_cut),
		cmocka_unit_test(a_hello_in_many_records_is_answered),
		cmocka_unit_test(a_hello_of_any_size_up_to_the_limit_is_answered),
		cmocka_unit_test(a_second_hello_in_many_records_is_answered),
		cmocka_unit_test(every_byte_of_a_hello_is_copied_a_bounded_number_of_times),
		cmocka_unit_test(a_hello_in_records_of_one_byte_costs_no_more_than_its_limit),
		cmocka_unit_test(empty_records_and_change_cipher_specs_cost_one),
		cmocka_unit_test(a_flood_behind_the_hello_ends_at_the_limit),
		cmocka_unit_test(a_servers_flood_ends_at_the_limit),
	};

	return cmocka_run_group_tests_name("strangers", tests, set_up, tear_down);
}
