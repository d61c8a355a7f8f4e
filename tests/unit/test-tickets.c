// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of a client whose server sends something behind its Finished. */
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
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "tlshd/worker/session.h"
#include "tlshd/worker/transport.h"

#define ID "NVMe0R01 nqn.host nqn.io-1"
#define TICKET_LEN 60
#define PSK "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK"

static struct engine engine;
static gnutls_psk_server_credentials_t credentials;

/* Our client, and a bare GnuTLS server behind whose back the test seals records. */
struct link {
	struct session *s;
	int result;
	gnutls_session_t server;
	int fd[2]; /* ours, the server's */
};

static int key_of(gnutls_session_t tls, const char *name, gnutls_datum_t *key)
{
	key->size = 32;
	key->data = gnutls_malloc(key->size);
	memset(key->data, 7, key->size);
	return 0;
}

static void step(struct link *l)
{
	if (l->result == -EAGAIN)
		l->result = session_step(l->s);
}

/* Up to where the client has sent its Finished, and the server has it. */
static void handshake(struct link *l, int tickets, const char *priorities)
{
	secret psk = {.len = 32};
	struct auth_psk_params auth = {
		.shared = &engine.psk, .side = HANDSHAKE_CLIENT, .identity = ID, .psk = &psk};
	struct session_params p = {.engine = &engine, .side = HANDSHAKE_CLIENT, .tickets = tickets};
	int r = GNUTLS_E_AGAIN;

	memset(psk.data, 7, psk.len);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, l->fd), 0);
	assert_int_equal(fcntl(l->fd[1], F_SETFL, O_NONBLOCK), 0);
	gnutls_init(&l->server, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS);
	assert_int_equal(gnutls_priority_set_direct(l->server, priorities, NULL), 0);
	gnutls_credentials_set(l->server, GNUTLS_CRD_PSK, credentials);
	gnutls_transport_set_int(l->server, l->fd[1]);
	p.fd = l->fd[0];
	p.auth = auth_psk_new(&auth);
	l->s = session_new(&p);
	l->result = -EAGAIN;
	for (int i = 0; i < 10 && r == GNUTLS_E_AGAIN; i++) {
		step(l);
		r = gnutls_handshake(l->server);
	}
	assert_int_equal(r, 0);
}

static void end(struct link *l)
{
	session_free(l->s);
	gnutls_deinit(l->server);
	close(l->fd[0]);
	close(l->fd[1]);
}

/* A record as the server would seal it. Return: its bytes. */
static GByteArray *seal(struct link *l, uint8_t type, const void *data, size_t len, size_t padding)
{
	GByteArray *record = g_byte_array_new();
	g_autofree uint8_t *plain = g_malloc0(len + 1 + padding);
	size_t body = len + 1 + padding + 16;
	const uint8_t header[] = {23, 3, 3, (uint8_t)(body >> 8), (uint8_t)body};
	gnutls_datum_t mac, iv, key;
	gnutls_aead_cipher_hd_t cipher;
	unsigned char sequence[8];
	uint8_t nonce[12];

	assert_int_equal(gnutls_record_get_state(l->server, 0, &mac, &iv, &key, sequence), 0);
	memcpy(nonce, iv.data, sizeof(nonce));
	for (size_t i = 0; i < 8; i++)
		nonce[4 + i] ^= sequence[i];
	memcpy(plain, data, len);
	plain[len] = type;
	g_byte_array_append(record, header, sizeof(header));
	g_byte_array_set_size(record, (guint)(5 + body));
	assert_int_equal(gnutls_aead_cipher_init(&cipher, gnutls_cipher_get(l->server), &key), 0);
	assert_int_equal(gnutls_aead_cipher_encrypt(cipher, nonce, sizeof(nonce), header, 5, 16,
						    plain, len + 1 + padding, record->data + 5,
						    &body),
			 0);
	gnutls_aead_cipher_deinit(cipher);
	sequence[7]++;
	gnutls_record_set_state(l->server, 0, sequence);
	return record;
}

static void say(struct link *l, uint8_t type, const void *data, size_t len)
{
	g_autoptr(GByteArray) record = seal(l, type, data, len, 0);

	assert_int_equal(send(l->fd[1], record->data, record->len, 0), record->len);
}

static void make_ticket(uint8_t ticket[TICKET_LEN])
{
	memset(ticket, 0x5a, TICKET_LEN);
	memcpy(ticket, (const uint8_t[]){4, 0, 0, TICKET_LEN - 4}, 4);
}

static void say_ticket(struct link *l)
{
	uint8_t ticket[TICKET_LEN];

	make_ticket(ticket);
	say(l, 22, ticket, sizeof(ticket));
}

/* Until the client no longer waits by the clock, or is done. */
static void let_time_pass(struct link *l)
{
	while (l->result == -EAGAIN && session_until(l->s)) {
		uint64_t now = (uint64_t)g_get_monotonic_time();

		if (now < session_until(l->s))
			poll(NULL, 0, (int)((session_until(l->s) - now) / 1000 + 1));
		step(l);
	}
}

/* What kTLS would be told: the record that comes next. */
static unsigned int next_record(const struct link *l)
{
	gnutls_datum_t mac, iv, key;
	unsigned char sequence[8];

	assert_int_equal(gnutls_record_get_state(session_gnutls(l->s), 1, &mac, &iv, &key,
						 sequence),
			 0);
	return sequence[7];
}

static void an_unknown_server_is_waited_for(void **state)
{
	struct link l;

	handshake(&l, SESSION_TICKETS_UNKNOWN, PSK);
	step(&l);
	assert_int_equal(l.result, -EAGAIN);
	assert_true(session_until(l.s) > (uint64_t)g_get_monotonic_time());
	say_ticket(&l);
	say_ticket(&l);
	step(&l);
	assert_int_equal(l.result, -EAGAIN); /* there may be a third */
	let_time_pass(&l);
	assert_int_equal(l.result, 0);
	assert_int_equal(session_outcome(l.s)->tickets, 2);
	assert_int_equal(next_record(&l), 2);
	end(&l);
}

static void a_server_without_tickets_is_learned_and_then_not_waited_for(void **state)
{
	struct link l;

	handshake(&l, SESSION_TICKETS_UNKNOWN, PSK);
	let_time_pass(&l);
	assert_int_equal(l.result, 0);
	assert_int_equal(session_outcome(l.s)->tickets, 0);
	assert_int_equal(next_record(&l), 0);
	end(&l);

	handshake(&l, 0, PSK);
	step(&l);
	assert_int_equal(l.result, 0);
	assert_int_equal(session_outcome(l.s)->tickets, -1);
	end(&l);
}

static void time_that_is_up_ends_the_wait_for_tickets_only(void **state)
{
	struct link l;

	handshake(&l, SESSION_TICKETS_UNKNOWN, PSK);
	step(&l);
	assert_int_equal(l.result, -EAGAIN);
	assert_int_equal(session_hurry(l.s), 0);
	end(&l);

	handshake(&l, SESSION_TICKETS_UNKNOWN, PSK);
	send(l.fd[1], "\x17", 1, 0);
	step(&l);
	assert_int_equal(session_hurry(l.s), -EAGAIN); /* within a record */
	end(&l);
}

static void a_known_number_of_tickets_ends_the_wait(void **state)
{
	struct link l;

	handshake(&l, 2, PSK);
	say_ticket(&l);
	step(&l);
	assert_int_equal(l.result, -EAGAIN);
	say_ticket(&l);
	step(&l);
	assert_int_equal(l.result, 0);
	assert_int_equal(session_outcome(l.s)->tickets, 2);
	assert_int_equal(next_record(&l), 2);
	end(&l);
}

static void a_server_that_changes_its_mind_is_found_out(void **state)
{
	struct link l;

	handshake(&l, 2, PSK); /* none come */
	let_time_pass(&l);
	assert_int_equal(l.result, 0);
	assert_int_equal(session_outcome(l.s)->tickets, 0);
	end(&l);

	handshake(&l, 1, PSK); /* three are there already */
	for (int i = 0; i < 3; i++)
		say_ticket(&l);
	step(&l);
	assert_int_equal(l.result, 0);
	assert_int_equal(session_outcome(l.s)->tickets, 3);
	assert_int_equal(next_record(&l), 3);
	end(&l);
}

static void no_socket_is_handed_over_within_a_record(void **state)
{
	uint8_t ticket[TICKET_LEN];

	make_ticket(ticket);
	for (size_t cut = 1; cut < TICKET_LEN + 22; cut += 5) {
		g_autoptr(GByteArray) record = NULL;
		struct link l;

		handshake(&l, 1, PSK);
		record = seal(&l, 22, ticket, sizeof(ticket), 0);
		send(l.fd[1], record->data, cut, 0);
		step(&l);
		assert_int_equal(l.result, -EAGAIN);
		assert_int_equal(session_until(l.s), 0); /* no clock ends this wait */
		send(l.fd[1], record->data + cut, record->len - cut, 0);
		step(&l);
		assert_int_equal(l.result, 0);
		assert_int_equal(next_record(&l), 1);
		end(&l);
	}
}

static void no_socket_is_handed_over_within_a_message(void **state)
{
	uint8_t two[2 * TICKET_LEN];

	make_ticket(two);
	make_ticket(two + TICKET_LEN);
	/* one in two records; one and a half in a record, padded or not, and the rest */
	for (size_t cut = 1; cut < sizeof(two); cut += 7) {
		for (size_t padding = 0; padding < 20; padding += 19) {
			g_autoptr(GByteArray) first = NULL;
			struct link l;

			if (cut == TICKET_LEN)
				continue;
			handshake(&l, 1, PSK);
			first = seal(&l, 22, two, cut, padding);
			send(l.fd[1], first->data, first->len, 0);
			step(&l);
			assert_int_equal(l.result, -EAGAIN);
			assert_int_equal(session_until(l.s), 0);
			say(&l, 22, two + cut, sizeof(two) - cut);
			step(&l);
			assert_int_equal(l.result, 0);
			assert_int_equal(session_outcome(l.s)->tickets, 2);
			assert_int_equal(next_record(&l), 2);
			end(&l);
		}
	}
}

static void every_cipher_opens_tickets(void **state)
{
	static const char *const names[] = {"AES-128-GCM", "AES-128-CCM", "CHACHA20-POLY1305"};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *text = g_strdup_printf(PSK ":-CIPHER-ALL:+%s", names[i]);
		struct link l;

		handshake(&l, 1, text);
		say_ticket(&l);
		step(&l);
		assert_int_equal(l.result, 0);
		end(&l);
	}
}

static void nothing_but_tickets_is_taken(void **state)
{
	static const struct {
		uint8_t type;
		const char *content;
		size_t len;
		enum cause cause;
		int alert;
	} rows[] = {
		{22, "\x18\x00\x00\x01\x00", 5, CAUSE_UNEXPECTED_MESSAGE, 10}, /* KeyUpdate */
		{22, "\x0d\x00\x00\x04", 4, CAUSE_UNEXPECTED_MESSAGE, 10}, /* CertificateRequest */
		{22, "\x04\x00\x00\x04\x00\x00\x00\x00", 8, CAUSE_TLS_ERROR, 50}, /* no ticket */
		{22, "", 0, CAUSE_UNEXPECTED_MESSAGE, 10},
		{23, "data", 4, CAUSE_EARLY_DATA, 10},
		{20, "\x01", 1, CAUSE_UNEXPECTED_MESSAGE, 10},
		{0, "", 0, CAUSE_UNEXPECTED_MESSAGE, 10}, /* padding and nothing else */
		{21, "\x02\x33", 2, CAUSE_PEER_HAS_OTHER_KEY, -1},
		{21, "\x02\x50", 2, CAUSE_PEER_INTERNAL_ERROR, -1},
		{21, "\x01\x00", 2, CAUSE_PEER_CLOSED, -1},
		{21, "\x02", 1, CAUSE_UNEXPECTED_MESSAGE, 10},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const struct outcome *o;
		struct link l;

		handshake(&l, 1, PSK);
		say(&l, rows[i].type, rows[i].content, rows[i].len);
		step(&l);
		assert_int_equal(l.result, -EPROTO);
		o = session_outcome(l.s);
		if (o->cause != rows[i].cause || o->alert_sent != rows[i].alert)
			fail_msg("row %zu: %s, alert %d", i, cause_info(o->cause)->id,
				 o->alert_sent);
		end(&l);
	}
}

static void what_is_no_sealed_record_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		enum cause cause;
		int alert;
	} rows[] = {
		{"\x14\x03\x03\x00\x01\x01", 6, CAUSE_UNEXPECTED_MESSAGE, 10},
		{"\x16\x03\x03\x00\x04\x04\x00\x00\x00", 9, CAUSE_UNEXPECTED_MESSAGE, 10},
		{"\x17\x03\x03\x00\x00", 5, CAUSE_UNEXPECTED_MESSAGE, 10},
		{"\x17\x03\x03\xff\xff", 5, CAUSE_TLS_ERROR, 22},
		{"\x17\x03\x03\x00\x14xxxxxxxxxxxxxxxxxxxx", 25, CAUSE_TLS_ERROR, 20},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const struct outcome *o;
		struct link l;

		handshake(&l, 1, PSK);
		send(l.fd[1], rows[i].bytes, rows[i].len, 0);
		step(&l);
		assert_int_equal(l.result, -EPROTO);
		o = session_outcome(l.s);
		if (o->cause != rows[i].cause || o->alert_sent != rows[i].alert)
			fail_msg("row %zu: %s, alert %d", i, cause_info(o->cause)->id,
				 o->alert_sent);
		end(&l);
	}
}

static void a_flood_of_tickets_ends_at_the_limit(void **state)
{
	struct link l;
	int n;

	handshake(&l, 1000000, PSK);
	for (n = 0; n < 1000 && l.result == -EAGAIN; n++) {
		say_ticket(&l);
		step(&l);
	}
	assert_int_equal(l.result, -EPROTO);
	assert_int_equal(session_outcome(l.s)->cause, CAUSE_TOO_MUCH);
	assert_int_equal(n, OUTCOME_TICKETS_MAX + 1);
	end(&l);
}

static int set_up(void **state)
{
	char *why = NULL;

	gnutls_psk_allocate_server_credentials(&credentials);
	gnutls_psk_set_server_credentials_function(credentials, key_of);
	return engine_init(&engine, false, &why);
}

static int tear_down(void **state)
{
	gnutls_psk_free_server_credentials(credentials);
	engine_clear(&engine);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unknown_server_is_waited_for),
		cmocka_unit_test(a_server_without_tickets_is_learned_and_then_not_waited_for),
		cmocka_unit_test(time_that_is_up_ends_the_wait_for_tickets_only),
		cmocka_unit_test(a_known_number_of_tickets_ends_the_wait),
		cmocka_unit_test(a_server_that_changes_its_mind_is_found_out),
		cmocka_unit_test(no_socket_is_handed_over_within_a_record),
		cmocka_unit_test(no_socket_is_handed_over_within_a_message),
		cmocka_unit_test(every_cipher_opens_tickets),
		cmocka_unit_test(nothing_but_tickets_is_taken),
		cmocka_unit_test(what_is_no_sealed_record_is_refused),
		cmocka_unit_test(a_flood_of_tickets_ends_at_the_limit),
	};

	return cmocka_run_group_tests_name("tickets", tests, set_up, tear_down);
}
