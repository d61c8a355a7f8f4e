// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of sessions, against a bare GnuTLS peer and against each other, over socket pairs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "tlshd/worker/session.h"

#define ID "NVMe0R01 nqn.host nqn.io-1"
#define ID_10 "NVMe0R01 nqn.host nqn.io-10"
#define ID_384 "NVMe0R02 nqn.host nqn.io-1"

/* What the kernel would be told. */
static int status_of(const struct session *s)
{
	return cause_info(session_outcome(s)->cause)->status;
}

static const char *sentence_of(const struct session *s)
{
	return cause_info(session_outcome(s)->cause)->sentence;
}

static struct engine engine;
static const uint8_t limit_test[1000];

/* One end of ours, the key it gets on look-up. */
struct ours {
	struct session *s;
	const char *known; /* the only identity the look-up finds */
	uint8_t fill;
	size_t key_len;
	bool defer; /* answer after the look-up returned */
	char asked[1200];
	int n_asked;
	int result;
};

static void answer(struct ours *o)
{
	secret psk = SECRET_INIT;
	uint8_t bytes[SECRET_MAX];

	memset(bytes, o->fill, sizeof(bytes));
	secret_set(&psk, bytes, o->key_len);
	auth_psk_answer(session_auth(o->s), strcmp(o->asked, o->known) == 0 ? 0 : -ENOKEY, &psk);
}

static void lookup(void *ctx, const char *identity)
{
	struct ours *o = ctx;

	snprintf(o->asked, sizeof(o->asked), "%s", identity);
	o->n_asked++;
	if (!o->defer)
		answer(o);
}

static void start(struct ours *o, int fd, enum handshake_side side, const char *identity)
{
	secret psk = SECRET_INIT;
	uint8_t bytes[SECRET_MAX];
	struct auth_psk_params auth = {.shared = &engine.psk,
				       .side = side,
				       .identity = identity,
				       .psk = &psk,
				       .lookup = lookup,
				       .ctx = o};
	struct session_params p = {.engine = &engine, .fd = fd, .side = side};

	memset(bytes, o->fill, sizeof(bytes));
	secret_set(&psk, bytes, o->key_len);
	p.auth = auth_psk_new(&auth);
	o->s = session_new(&p);
	o->result = -EAGAIN;
}

static void step(struct ours *o)
{
	if (o->result != -EAGAIN)
		return;
	o->result = session_step(o->s);
	if (o->result == -EAGAIN && session_wait(o->s) == SESSION_WAIT_ANSWER) {
		assert_true(o->defer);
		answer(o);
	}
}

static void pair(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
}

static void run(struct ours *client, struct ours *server)
{
	for (int i = 0; i < 20; i++) {
		step(client);
		step(server);
	}
}

static void end(struct ours *o, int fd)
{
	session_free(o->s);
	close(fd);
}

static void handshake_between(struct ours *client, struct ours *server, const char *identity)
{
	int fd[2];

	pair(fd);
	start(client, fd[0], HANDSHAKE_CLIENT, identity);
	start(server, fd[1], HANDSHAKE_SERVER, NULL);
	run(client, server);
	close(fd[0]);
	close(fd[1]);
}

static void client_and_server_agree_with_the_same_key(void **state)
{
	for (int defer = 0; defer < 2; defer++) {
		struct ours c = {.fill = 7, .key_len = 32};
		struct ours s = {.known = ID, .fill = 7, .key_len = 32, .defer = defer};
		unsigned char ck[8], sk[8];
		gnutls_datum_t key_c, key_s, iv, mac;

		handshake_between(&c, &s, ID);
		assert_int_equal(c.result, 0);
		assert_int_equal(s.result, 0);
		assert_string_equal(s.asked, ID);
		assert_string_equal(s.asked, ID);
		assert_int_equal(session_outcome(c.s)->cipher, GNUTLS_CIPHER_AES_128_GCM);
		/* What one sends the other reads: same key, both sequences still 0. */
		assert_int_equal(gnutls_record_get_state(session_gnutls(c.s), 0, &mac, &iv, &key_c,
							 ck),
				 0);
		assert_int_equal(gnutls_record_get_state(session_gnutls(s.s), 1, &mac, &iv, &key_s,
							 sk),
				 0);
		assert_int_equal(key_c.size, 16);
		assert_memory_equal(key_c.data, key_s.data, 16);
		assert_memory_equal(ck, sk, 8);
		session_free(c.s);
		session_free(s.s);
	}
}

static void wrong_key_gets_decrypt_error(void **state)
{
	struct ours c = {.fill = 7, .key_len = 32};
	struct ours s = {.known = ID, .fill = 8, .key_len = 32};

	handshake_between(&c, &s, ID);
	assert_int_equal(s.result, -EPROTO);
	assert_int_equal(status_of(s.s), EKEYREJECTED);
	assert_int_equal(session_outcome(s.s)->alert_sent, GNUTLS_A_DECRYPT_ERROR);
	assert_int_equal((int)gnutls_alert_get(session_gnutls(c.s)), GNUTLS_A_DECRYPT_ERROR);
	assert_int_equal(status_of(c.s), EKEYREJECTED);
	session_free(c.s);
	session_free(s.s);
}

static void unknown_identity_gets_unknown_psk_identity(void **state)
{
	struct ours c = {.fill = 7, .key_len = 32};
	struct ours s = {.known = ID_10, .fill = 7, .key_len = 32};

	handshake_between(&c, &s, ID);
	assert_int_equal(status_of(s.s), ENOKEY);
	assert_int_equal(session_outcome(s.s)->alert_sent, GNUTLS_A_UNKNOWN_PSK_IDENTITY);
	assert_int_equal((int)gnutls_alert_get(session_gnutls(c.s)), GNUTLS_A_UNKNOWN_PSK_IDENTITY);
	session_free(c.s);
	session_free(s.s);
}

static void key_of_16_bytes_is_refused_on_either_side(void **state)
{
	struct ours c = {.fill = 7, .key_len = 16};
	struct ours s = {.known = ID, .fill = 7, .key_len = 16};
	struct ours good = {.fill = 7, .key_len = 32};
	int fd[2];

	pair(fd);
	start(&c, fd[0], HANDSHAKE_CLIENT, ID);
	assert_int_equal(session_step(c.s), -EPROTO);
	assert_int_equal(status_of(c.s), EKEYREJECTED);
	assert_non_null(strstr(session_outcome(c.s)->detail, "16 bytes"));
	end(&c, fd[0]);
	close(fd[1]);

	handshake_between(&good, &s, ID);
	assert_int_equal(status_of(s.s), EKEYREJECTED);
	assert_non_null(strstr(session_outcome(s.s)->detail, "16 bytes"));
	session_free(good.s);
	session_free(s.s);
}

static void sha384_key_works_or_names_the_gnutls_it_needs(void **state)
{
	struct ours c = {.fill = 7, .key_len = 48};
	struct ours s = {.known = ID_384, .fill = 7, .key_len = 48};

	handshake_between(&c, &s, ID_384);
	if (auth_psk_has_hash(PSK_HASH_SHA384)) {
		assert_int_equal(c.result, 0);
		assert_int_equal(s.result, 0);
		assert_int_equal(session_outcome(c.s)->cipher, GNUTLS_CIPHER_AES_256_GCM);
	} else {
		assert_int_equal(c.result, -EPROTO);
		assert_int_equal(status_of(c.s), ENOTSUP);
		assert_non_null(strstr(sentence_of(c.s), "3.8.11"));
		assert_non_null(strstr(cause_info(session_outcome(c.s)->cause)->remedy,
				       "psk.sha384_compat"));
	}
	session_free(c.s);
	session_free(s.s);
}

static void sha384_compat_runs_on_a_library_without_sha384(void **state)
{
	struct ours c = {.fill = 7, .key_len = 48};
	struct ours s = {.known = ID_384, .fill = 7, .key_len = 48};

	engine.psk.sha384_compat = true;
	handshake_between(&c, &s, ID_384);
	engine.psk.sha384_compat = false;
	assert_int_equal(c.result, 0);
	assert_int_equal(s.result, 0);
	assert_int_equal(session_outcome(s.s)->cipher, auth_psk_has_hash(PSK_HASH_SHA384)
							       ? GNUTLS_CIPHER_AES_256_GCM
							       : GNUTLS_CIPHER_CHACHA20_POLY1305);
	session_free(c.s);
	session_free(s.s);
}

/* A bare GnuTLS peer with priorities of its own. */
struct bare {
	gnutls_session_t tls;
	gnutls_psk_client_credentials_t cred;
	gnutls_psk_server_credentials_t server_cred;
	int fd;
};

static int bare_key(gnutls_session_t tls, const char *identity, gnutls_datum_t *key)
{
	key->size = 32;
	key->data = gnutls_malloc(key->size);
	memset(key->data, 7, key->size);
	return 0;
}

static void bare_open_server(struct bare *b, int fd, const char *priorities)
{
	*b = (struct bare){.fd = fd};
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(gnutls_init(&b->tls, GNUTLS_SERVER | GNUTLS_NONBLOCK), 0);
	assert_int_equal(gnutls_priority_set_direct(b->tls, priorities, NULL), 0);
	assert_int_equal(gnutls_psk_allocate_server_credentials(&b->server_cred), 0);
	gnutls_psk_set_server_credentials_function(b->server_cred, bare_key);
	gnutls_credentials_set(b->tls, GNUTLS_CRD_PSK, b->server_cred);
	gnutls_transport_set_int(b->tls, fd);
}

static void bare_open(struct bare *b, int fd, const char *priorities, const void *name,
		      unsigned int name_len, uint8_t fill)
{
	uint8_t bytes[32];
	gnutls_datum_t key = {bytes, sizeof(bytes)};
	gnutls_datum_t id = {(void *)name, name_len};

	memset(bytes, fill, sizeof(bytes));
	*b = (struct bare){.fd = fd};
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(gnutls_init(&b->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK), 0);
	assert_int_equal(gnutls_priority_set_direct(b->tls, priorities, NULL), 0);
	assert_int_equal(gnutls_psk_allocate_client_credentials(&b->cred), 0);
	assert_int_equal(gnutls_psk_set_client_credentials2(b->cred, &id, &key, GNUTLS_PSK_KEY_RAW),
			 0);
	gnutls_credentials_set(b->tls, GNUTLS_CRD_PSK, b->cred);
	gnutls_transport_set_int(b->tls, fd);
}

static int bare_run(struct bare *b, struct ours *other)
{
	int r = GNUTLS_E_AGAIN;

	for (int i = 0; i < 20; i++) {
		if (r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED)
			r = gnutls_handshake(b->tls);
		step(other);
	}
	return r;
}

static void bare_close(struct bare *b)
{
	gnutls_deinit(b->tls);
	if (b->cred)
		gnutls_psk_free_client_credentials(b->cred);
	if (b->server_cred)
		gnutls_psk_free_server_credentials(b->server_cred);
	close(b->fd);
}

#define DHE "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK:+DHE-PSK"

static void cipher_of_the_peer_is_taken(const char *name, gnutls_cipher_algorithm_t cipher)
{
	struct ours s = {.known = ID, .fill = 7, .key_len = 32};
	struct bare b;
	g_autofree char *text =
		g_strdup_printf("NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK:-CIPHER-ALL:+%s",
				name);
	int fd[2];

	pair(fd);
	bare_open(&b, fd[0], text, ID, sizeof(ID) - 1, 7);
	start(&s, fd[1], HANDSHAKE_SERVER, NULL);
	assert_int_equal(bare_run(&b, &s), 0);
	assert_int_equal(s.result, 0);
	assert_int_equal(session_outcome(s.s)->cipher, cipher);
	bare_close(&b);
	end(&s, fd[1]);
}

static void each_sha256_cipher_is_taken(void **state)
{
	cipher_of_the_peer_is_taken("AES-128-GCM", GNUTLS_CIPHER_AES_128_GCM);
	cipher_of_the_peer_is_taken("AES-128-CCM", GNUTLS_CIPHER_AES_128_CCM);
	cipher_of_the_peer_is_taken("CHACHA20-POLY1305", GNUTLS_CIPHER_CHACHA20_POLY1305);
}

/* Those that have nothing else are served, as a client's and as a server's only group. */
static void each_group_of_a_peer_is_taken_in_either_role(void **state)
{
	/* The largest takes seconds on an emulated CPU, and differs from these in its numbers only. */
	static const char *const groups[] = {"X25519", "SECP256R1", "SECP384R1", "SECP521R1",
					     "X448",   "FFDHE2048", "FFDHE3072"};

	for (size_t i = 0; i < G_N_ELEMENTS(groups); i++)
		for (int we_serve = 0; we_serve <= 1; we_serve++) {
			struct ours o = {.known = ID, .fill = 7, .key_len = 32};
			struct bare b;
			g_autofree char *text = g_strdup_printf(DHE ":-GROUP-ALL:+GROUP-%s",
								groups[i]);
			int fd[2];

			pair(fd);
			if (we_serve)
				bare_open(&b, fd[0], text, ID, sizeof(ID) - 1, 7);
			else
				bare_open_server(&b, fd[0], text);
			start(&o, fd[1], we_serve ? HANDSHAKE_SERVER : HANDSHAKE_CLIENT, ID);
			if (bare_run(&b, &o) != 0 || o.result != 0)
				fail_msg("%s, we are the %s: %s", groups[i],
					 we_serve ? "server" : "client", sentence_of(o.s));
			assert_string_equal(gnutls_group_get_name(gnutls_group_get(b.tls)),
					    groups[i]);
			bare_close(&b);
			end(&o, fd[1]);
		}
}

/* A socket pair has no kTLS, and so no kernel that could keep a limit. */
static void short_records_are_not_agreed_to_where_the_kernel_cannot_make_them(void **state)
{
	for (int by_fragment_length = 0; by_fragment_length < 2; by_fragment_length++) {
		struct ours s = {.known = ID, .fill = 7, .key_len = 32};
		struct bare b;
		int fd[2];

		pair(fd);
		bare_open(&b, fd[0], DHE, ID, sizeof(ID) - 1, 7);
		if (by_fragment_length)
			assert_int_equal(gnutls_record_set_max_size(b.tls, 512), 0);
		else
			assert_int_equal(gnutls_record_set_max_recv_size(b.tls, 512), 0);
		start(&s, fd[1], HANDSHAKE_SERVER, NULL);
		assert_int_equal(bare_run(&b, &s), 0);
		assert_int_equal(s.result, 0);
		assert_int_equal(session_limit(s.s), 0);
		/* the client sends as it would without: declined */
		assert_int_equal(gnutls_record_send(b.tls, limit_test, sizeof(limit_test)),
				 by_fragment_length ? 512 : sizeof(limit_test));
		bare_close(&b);
		end(&s, fd[1]);
	}
}

static void a_server_that_insists_on_short_records_is_noticed(void **state)
{
	struct ours c = {.fill = 7, .key_len = 32};
	struct bare b;
	int fd[2];

	pair(fd);
	bare_open_server(&b, fd[0], DHE);
	assert_int_equal(gnutls_record_set_max_recv_size(b.tls, 512), 0);
	start(&c, fd[1], HANDSHAKE_CLIENT, ID);
	bare_run(&b, &c);
	assert_int_equal(c.result, 0);
	assert_int_equal(session_limit(c.s), 513);
	bare_close(&b);
	end(&c, fd[1]);
}

static void refused_with(const char *priorities, const void *id, unsigned int len, int alert,
			 int status)
{
	struct ours s = {.known = ID, .fill = 7, .key_len = 32};
	struct bare b;
	int fd[2], r;

	pair(fd);
	bare_open(&b, fd[0], priorities, id, len, 7);
	start(&s, fd[1], HANDSHAKE_SERVER, NULL);
	r = bare_run(&b, &s);
	assert_int_equal(s.result, -EPROTO);
	assert_int_equal(session_outcome(s.s)->alert_sent, alert);
	assert_int_equal(status_of(s.s), status);
	assert_int_not_equal(session_outcome(s.s)->cause, CAUSE_SUCCESS);
	assert_int_equal(r, GNUTLS_E_FATAL_ALERT_RECEIVED);
	assert_int_equal(gnutls_alert_get(b.tls), alert);
	bare_close(&b);
	end(&s, fd[1]);
}

static void psk_without_ecdhe_is_refused(void **state)
{
	refused_with("NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+PSK", ID, sizeof(ID) - 1,
		     GNUTLS_A_HANDSHAKE_FAILURE, EPROTO);
}

static void only_a_cipher_we_do_not_have_is_refused(void **state)
{
	refused_with("NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK:-CIPHER-ALL:+AES-256-GCM",
		     ID, sizeof(ID) - 1, GNUTLS_A_HANDSHAKE_FAILURE, EPROTO);
}

static void tls_1_2_is_refused(void **state)
{
	refused_with("NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-PSK", ID, sizeof(ID) - 1,
		     GNUTLS_A_PROTOCOL_VERSION, EPROTO);
}

static void prefix_of_an_identity_is_asked_for_as_it_is(void **state)
{
	refused_with(DHE, "N", 1, GNUTLS_A_UNKNOWN_PSK_IDENTITY, ENOKEY);
}

static void identity_with_a_nul_is_refused(void **state)
{
	refused_with(DHE, ID "\0x", sizeof(ID) + 1, GNUTLS_A_UNKNOWN_PSK_IDENTITY, ENOKEY);
}

static void identity_longer_than_any_is_refused(void **state)
{
	char id[4000];

	memset(id, 'x', sizeof(id));
	refused_with(DHE, id, sizeof(id), GNUTLS_A_UNKNOWN_PSK_IDENTITY, ENOKEY);
}

static void client_hello_of_64_kib_is_refused(void **state)
{
	struct ours s = {.known = ID, .fill = 7, .key_len = 32};
	static uint8_t record[5 + 16384] = {22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff};
	uint8_t alert[7];
	int fd[2];

	pair(fd);
	assert_int_equal(write(fd[0], record, sizeof(record)), sizeof(record));
	start(&s, fd[1], HANDSHAKE_SERVER, NULL);
	step(&s);
	assert_int_equal(s.result, -EPROTO);
	assert_int_equal(status_of(s.s), EPROTO);
	assert_int_equal(recv(fd[0], alert, sizeof(alert), MSG_DONTWAIT), 7);
	assert_int_equal(alert[0], 21); /* an alert */
	assert_int_equal(alert[5], 2); /* fatal */
	assert_int_equal(alert[6], GNUTLS_A_ILLEGAL_PARAMETER);
	close(fd[0]);
	end(&s, fd[1]);
}

/* The ClientHello of a bare client, its bytes in *@hello. */
static size_t capture_hello(uint8_t *hello, size_t size)
{
	struct bare b;
	int fd[2];
	ssize_t n;

	pair(fd);
	bare_open(&b, fd[0], DHE, ID, sizeof(ID) - 1, 7);
	assert_int_equal(gnutls_handshake(b.tls), GNUTLS_E_AGAIN);
	n = recv(fd[1], hello, size, 0);
	assert_true(n > 100);
	bare_close(&b);
	close(fd[1]);
	return (size_t)n;
}

static void client_hello_byte_by_byte_is_read(void **state)
{
	struct ours s = {.known = ID, .fill = 7, .key_len = 32};
	uint8_t hello[4096];
	size_t n = capture_hello(hello, sizeof(hello));
	int fd[2];

	pair(fd);
	start(&s, fd[1], HANDSHAKE_SERVER, NULL);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(s.n_asked, 0);
		assert_int_equal(write(fd[0], hello + i, 1), 1);
		step(&s);
		assert_int_equal(s.result, -EAGAIN);
		assert_int_equal(session_wait(s.s), SESSION_WAIT_READ);
	}
	assert_string_equal(s.asked, ID);
	assert_true(recv(fd[0], hello, sizeof(hello), MSG_DONTWAIT) > 90);
	close(fd[0]);
	end(&s, fd[1]);
}

static void client_hello_in_many_records_is_read(void **state)
{
	struct ours s = {.known = ID, .fill = 7, .key_len = 32};
	uint8_t hello[4096];
	size_t n = capture_hello(hello, sizeof(hello));
	int fd[2];

	pair(fd);
	start(&s, fd[1], HANDSHAKE_SERVER, NULL);
	for (size_t at = 5; at < n; at += 50) {
		size_t len = MIN(50, n - at);
		uint8_t header[5] = {22, 3, 1, 0, (uint8_t)len};

		assert_int_equal(write(fd[0], header, 5), 5);
		assert_int_equal(write(fd[0], hello + at, len), len);
		step(&s);
	}
	assert_string_equal(s.asked, ID);
	assert_int_equal(s.result, -EAGAIN);
	close(fd[0]);
	end(&s, fd[1]);
}

static void peer_that_closes_is_told_apart(void **state)
{
	struct ours s = {.known = ID, .fill = 7, .key_len = 32};
	uint8_t hello[4096];
	size_t n = capture_hello(hello, sizeof(hello));
	int fd[2];

	pair(fd);
	start(&s, fd[1], HANDSHAKE_SERVER, NULL);
	assert_int_equal(write(fd[0], hello, n / 2), n / 2);
	step(&s);
	assert_int_equal(s.result, -EAGAIN);
	close(fd[0]);
	step(&s);
	assert_int_equal(s.result, -EPROTO);
	assert_int_equal(status_of(s.s), ECONNRESET);
	assert_non_null(strstr(session_outcome(s.s)->detail, "in the middle of its ClientHello"));
	end(&s, fd[1]);
}

static void other_protocols_get_an_alert(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} peers[] = {
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27},
		{"\x00\x00\x80\x00\x80\x00\x00\x00\x00\x00\x00\x00",
		 12}, /* an NVMe/TCP ICReq begins so */
		{"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10\x01", 12}, /* SSLv2 */
		{"\x17\x03\x03\x00\x02xy", 7}, /* application data */
		{"\x16\x03\x01\x00\x00\x16\x03\x01\x00\x00", 10}, /* empty records */
		{"\x16\x03\x01\xff\xff\x01\x00\x00\x00\x00\x00", 11}, /* a record too long */
	};

	for (size_t i = 0; i < G_N_ELEMENTS(peers); i++) {
		struct ours s = {.known = ID, .fill = 7, .key_len = 32};
		uint8_t got[64];
		int fd[2];

		pair(fd);
		assert_int_equal(write(fd[0], peers[i].bytes, peers[i].len), peers[i].len);
		start(&s, fd[1], HANDSHAKE_SERVER, NULL);
		step(&s);
		if (s.result == -EAGAIN) {
			print_message("# peer %zu waits for more\n", i);
			shutdown(fd[0], SHUT_WR);
			step(&s);
		}
		assert_int_equal(s.result, -EPROTO);
		print_message("# peer %zu: %s, alert %d, status %d\n", i, sentence_of(s.s),
			      session_outcome(s.s)->alert_sent, status_of(s.s));
		assert_int_equal(s.n_asked, 0);
		assert_int_not_equal(status_of(s.s), EKEYREJECTED);
		assert_int_not_equal(status_of(s.s), ENOKEY);
		(void)!recv(fd[0], got, sizeof(got), MSG_DONTWAIT);
		close(fd[0]);
		end(&s, fd[1]);
	}
}

static void a_server_that_is_none_of_tls_is_named(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		enum cause cause;
	} peers[] = {
		{"HTTP/1.1 400 Bad Request\r\n\r\n", 28, CAUSE_PLAIN_HTTP},
		{"\x03\x00\x18\x00\x18\x00\x00\x00\x01\x00\x00\x00", 12, CAUSE_PLAIN_NVME},
		{"SSH-2.0-OpenSSH_9.2\r\n", 21, CAUSE_NOT_TLS},
		{"\x15\x03\x01\x00\x02\x02\x46", 7, CAUSE_NO_TLS13},
		{"\x15\x03\x01\x00\x02\x02\x50", 7, CAUSE_PEER_INTERNAL_ERROR},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(peers); i++) {
		struct ours c = {.fill = 7, .key_len = 32};
		int fd[2];

		pair(fd);
		start(&c, fd[0], HANDSHAKE_CLIENT, ID);
		step(&c);
		assert_int_equal(write(fd[1], peers[i].bytes, peers[i].len), peers[i].len);
		step(&c);
		assert_int_equal(c.result, -EPROTO);
		assert_string_equal(cause_info(session_outcome(c.s)->cause)->id,
				    cause_info(peers[i].cause)->id);
		close(fd[1]);
		end(&c, fd[0]);
	}
}

static int set_up(void **state)
{
	char *why = NULL;

	return engine_init(&engine, false, &why);
}

static int tear_down(void **state)
{
	engine_clear(&engine);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(client_and_server_agree_with_the_same_key),
		cmocka_unit_test(wrong_key_gets_decrypt_error),
		cmocka_unit_test(unknown_identity_gets_unknown_psk_identity),
		cmocka_unit_test(key_of_16_bytes_is_refused_on_either_side),
		cmocka_unit_test(sha384_key_works_or_names_the_gnutls_it_needs),
		cmocka_unit_test(sha384_compat_runs_on_a_library_without_sha384),
		cmocka_unit_test(each_sha256_cipher_is_taken),
		cmocka_unit_test(each_group_of_a_peer_is_taken_in_either_role),
		cmocka_unit_test(short_records_are_not_agreed_to_where_the_kernel_cannot_make_them),
		cmocka_unit_test(a_server_that_insists_on_short_records_is_noticed),
		cmocka_unit_test(psk_without_ecdhe_is_refused),
		cmocka_unit_test(only_a_cipher_we_do_not_have_is_refused),
		cmocka_unit_test(tls_1_2_is_refused),
		cmocka_unit_test(prefix_of_an_identity_is_asked_for_as_it_is),
		cmocka_unit_test(identity_with_a_nul_is_refused),
		cmocka_unit_test(identity_longer_than_any_is_refused),
		cmocka_unit_test(client_hello_of_64_kib_is_refused),
		cmocka_unit_test(client_hello_byte_by_byte_is_read),
		cmocka_unit_test(client_hello_in_many_records_is_read),
		cmocka_unit_test(peer_that_closes_is_told_apart),
		cmocka_unit_test(other_protocols_get_an_alert),
		cmocka_unit_test(a_server_that_is_none_of_tls_is_named),
	};

	return cmocka_run_group_tests_name("session", tests, set_up, tear_down);
}
