// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of how a server agrees to short records where the kernel can send them. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include <gnutls/gnutls.h>

#include "tlshd/worker/limit.h"
#include "tlshd/worker/transport.h"

#define PSK "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK"

static gnutls_psk_client_credentials_t client_credentials;
static gnutls_psk_server_credentials_t server_credentials;

static int key_of(gnutls_session_t tls, const char *name, gnutls_datum_t *key)
{
	key->size = 32;
	key->data = gnutls_malloc(key->size);
	memset(key->data, 7, key->size);
	return 0;
}

struct link {
	gnutls_session_t client, server;
	struct transport transport; /* the server's */
	int fd[2], result;
};

static void open_link(struct link *l)
{
	memset(l, 0, sizeof(*l));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, l->fd), 0);
	assert_int_equal(fcntl(l->fd[0], F_SETFL, O_NONBLOCK), 0);
	gnutls_init(&l->client, GNUTLS_CLIENT | GNUTLS_NONBLOCK);
	gnutls_init(&l->server, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS);
	gnutls_priority_set_direct(l->client, PSK, NULL);
	gnutls_priority_set_direct(l->server, PSK, NULL);
	gnutls_credentials_set(l->client, GNUTLS_CRD_PSK, client_credentials);
	gnutls_credentials_set(l->server, GNUTLS_CRD_PSK, server_credentials);
	gnutls_transport_set_int(l->client, l->fd[0]);
	transport_init(&l->transport, l->fd[1]);
	transport_attach(&l->transport, l->server);
	assert_int_equal(limit_attach(l->server, HANDSHAKE_SERVER, true), 0);
}

/* Return: GnuTLS's result of the server. */
static int handshake(struct link *l)
{
	int client = GNUTLS_E_AGAIN, server = GNUTLS_E_AGAIN;

	for (int i = 0; i < 10; i++) {
		if (client == GNUTLS_E_AGAIN)
			client = gnutls_handshake(l->client);
		if (server == GNUTLS_E_AGAIN)
			server = gnutls_handshake(l->server);
		transport_flush(&l->transport);
	}
	return server ? server : client;
}

static void close_link(struct link *l)
{
	gnutls_deinit(l->client);
	gnutls_deinit(l->server);
	transport_clear(&l->transport);
	close(l->fd[0]);
	close(l->fd[1]);
}

static void a_client_without_a_limit_sets_none(void **state)
{
	struct link l;

	open_link(&l); /* GnuTLS offers 16385 */
	assert_int_equal(handshake(&l), 0);
	assert_int_equal(l.transport.limit, 0);
	close_link(&l);
}

static void record_size_limit_is_taken_and_answered(void **state)
{
	struct link l;

	open_link(&l);
	assert_int_equal(gnutls_record_set_max_recv_size(l.client, 512), 0);
	assert_int_equal(handshake(&l), 0);
	assert_int_equal(l.transport.limit, 513); /* with the content type */
	close_link(&l);
}

static void max_fragment_length_is_taken_and_repeated(void **state)
{
	for (size_t size = 512; size <= 4096; size *= 2) {
		struct link l;

		open_link(&l);
		/* GnuTLS sends both, and record_size_limit counts then */
		assert_int_equal(gnutls_record_set_max_size(l.client, size), 0);
		assert_int_equal(handshake(&l), 0);
		assert_true(l.transport.limit_offered || l.transport.limit == size);
		assert_true(l.transport.fragment_code >= 1 && l.transport.fragment_code <= 4);
		close_link(&l);
	}
}

static int say_two_bytes(gnutls_session_t tls, gnutls_buffer_t to)
{
	gnutls_buffer_append_data(to, "\1\1", 2);
	return 2;
}

static int ignore(gnutls_session_t tls, const unsigned char *data, size_t len)
{
	return 0;
}

static void a_fragment_length_of_two_bytes_is_refused(void **state)
{
	struct link l;

	open_link(&l);
	gnutls_session_ext_register(l.client, "max_fragment_length", 1, GNUTLS_EXT_TLS, ignore,
				    say_two_bytes, NULL, NULL, NULL,
				    GNUTLS_EXT_FLAG_OVERRIDE_INTERNAL |
					    GNUTLS_EXT_FLAG_CLIENT_HELLO | GNUTLS_EXT_FLAG_EE);
	assert_int_equal(handshake(&l), GNUTLS_E_UNEXPECTED_PACKET_LENGTH);
	close_link(&l);
}

static int set_up(void **state)
{
	uint8_t bytes[32];
	gnutls_datum_t key = {bytes, sizeof(bytes)};

	memset(bytes, 7, sizeof(bytes));
	gnutls_psk_allocate_client_credentials(&client_credentials);
	gnutls_psk_set_client_credentials(client_credentials, "id", &key, GNUTLS_PSK_KEY_RAW);
	gnutls_psk_allocate_server_credentials(&server_credentials);
	gnutls_psk_set_server_credentials_function(server_credentials, key_of);
	return 0;
}

static int tear_down(void **state)
{
	gnutls_psk_free_client_credentials(client_credentials);
	gnutls_psk_free_server_credentials(server_credentials);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_without_a_limit_sets_none),
		cmocka_unit_test(record_size_limit_is_taken_and_answered),
		cmocka_unit_test(max_fragment_length_is_taken_and_repeated),
		cmocka_unit_test(a_fragment_length_of_two_bytes_is_refused),
	};

	return cmocka_run_group_tests_name("limit", tests, set_up, tear_down);
}
