// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TLS by another library before a plain NVMe/TCP port, or behind a plain host: what makes a target or a
 * host of OpenSSL's or GnuTLS's kind out of the kernel's own.
 *
 *	tunnel LIBRARY ROLE LISTEN CONNECT IDENTITY KEY [NAME=NUMBER]...
 *
 * LIBRARY is openssl or gnutls. ROLE is server: TLS comes in at the port LISTEN of 127.0.0.1 and goes on
 * in the clear to CONNECT; or client, the other way round. KEY is in hexadecimal, 32 or 48 bytes. Names:
 * tickets (of OpenSSL's server, in place of those that it sends by itself), delay (ms that these come
 * late), limit (a record_size_limit of GnuTLS's, in bytes), and for OpenSSL what comes once in each
 * connection after that many bytes of data: update (a KeyUpdate), ticket (a session ticket), garbage (a
 * record that cannot be opened).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <glib.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#define AGAIN (-2)

static struct {
	bool server;
	int listen, connect;
	const char *identity;
	unsigned char key[64];
	size_t key_len;
	int tickets, delay, limit;
	int update, ticket, garbage;
} options = {.tickets = -1};

/* Reads and writes give a number of bytes, 0 at the end, AGAIN, or -1. */
struct library {
	const char *name;
	void (*handshake)(int fd);
	ssize_t (*read)(void *data, size_t len);
	ssize_t (*write)(const void *data, size_t len);
	bool (*pending)(void);
};

static G_NORETURN void die(const char *what, const char *why)
{
	fprintf(stderr, "tunnel: %s: %s\n", what, why);
	exit(1);
}

/* ---- OpenSSL ---- */

static SSL *ssl;

static SSL_SESSION *session_of_key(void)
{
	SSL_SESSION *s = SSL_SESSION_new();
	const unsigned char *id = (const unsigned char *)(options.key_len == 48 ? "\x13\x02"
										: "\x13\x01");

	SSL_SESSION_set1_master_key(s, options.key, options.key_len);
	SSL_SESSION_set_cipher(s, SSL_CIPHER_find(ssl, id));
	SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION);
	return s;
}

static int find_session(SSL *tls, const unsigned char *name, size_t len, SSL_SESSION **session)
{
	bool known = len == strlen(options.identity) && memcmp(name, options.identity, len) == 0;

	*session = known ? session_of_key() : NULL;
	return 1;
}

static int use_session(SSL *tls, const EVP_MD *md, const unsigned char **name, size_t *len,
		       SSL_SESSION **session)
{
	*name = (const unsigned char *)options.identity;
	*len = strlen(options.identity);
	*session = session_of_key();
	return 1;
}

static void openssl_handshake(int fd)
{
	SSL_CTX *ctx = SSL_CTX_new(options.server ? TLS_server_method() : TLS_client_method());

	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_psk_find_session_callback(ctx, find_session);
	SSL_CTX_set_psk_use_session_callback(ctx, use_session);
	if (options.tickets >= 0)
		SSL_CTX_set_num_tickets(ctx, 0);
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	if ((options.server ? SSL_accept(ssl) : SSL_connect(ssl)) != 1) {
		ERR_print_errors_fp(stderr);
		die("openssl", "the handshake failed");
	}
	if (options.delay)
		usleep((useconds_t)options.delay * 1000);
	for (int i = 0; i < options.tickets; i++) {
		SSL_new_session_ticket(ssl);
		SSL_do_handshake(ssl);
	}
}

static ssize_t openssl_result(int r)
{
	if (r > 0)
		return r;
	switch (SSL_get_error(ssl, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		return -1;
	}
}

static ssize_t openssl_read(void *data, size_t len)
{
	return openssl_result(SSL_read(ssl, data, (int)len));
}

static ssize_t openssl_write(const void *data, size_t len)
{
	return openssl_result(SSL_write(ssl, data, (int)len));
}

static bool openssl_pending(void)
{
	return SSL_pending(ssl) > 0;
}

/* ---- GnuTLS ---- */

static gnutls_session_t tls;

static int give_key(gnutls_session_t session, const char *name, gnutls_datum_t *key)
{
	if (strcmp(name, options.identity) != 0)
		return -1;
	key->size = (unsigned int)options.key_len;
	key->data = gnutls_malloc(key->size);
	memcpy(key->data, options.key, key->size);
	return 0;
}

static void gnutls_tunnel_handshake(int fd)
{
	gnutls_psk_server_credentials_t server;
	gnutls_psk_client_credentials_t client;
	gnutls_datum_t key = {options.key, (unsigned int)options.key_len};
	int r;

	gnutls_init(&tls, (options.server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NO_TICKETS);
	gnutls_priority_set_direct(tls, "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK", NULL);
	if (options.server) {
		gnutls_psk_allocate_server_credentials(&server);
		gnutls_psk_set_server_credentials_function(server, give_key);
		gnutls_credentials_set(tls, GNUTLS_CRD_PSK, server);
	} else {
		gnutls_psk_allocate_client_credentials(&client);
		gnutls_psk_set_client_credentials(client, options.identity, &key,
						  GNUTLS_PSK_KEY_RAW);
		gnutls_credentials_set(tls, GNUTLS_CRD_PSK, client);
	}
	if (options.limit)
		gnutls_record_set_max_recv_size(tls, (size_t)options.limit);
	gnutls_transport_set_int(tls, fd);
	do
		r = gnutls_handshake(tls);
	while (r < 0 && !gnutls_error_is_fatal(r));
	if (r < 0)
		die("gnutls", gnutls_strerror(r));
}

static ssize_t gnutls_result(ssize_t n)
{
	if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
		return AGAIN;
	if (n < 0)
		fprintf(stderr, "tunnel: gnutls: %s\n", gnutls_strerror((int)n));
	return n < 0 ? -1 : n;
}

static ssize_t gnutls_tunnel_read(void *data, size_t len)
{
	return gnutls_result(gnutls_record_recv(tls, data, len));
}

static ssize_t gnutls_tunnel_write(const void *data, size_t len)
{
	return gnutls_result(gnutls_record_send(tls, data, len));
}

static bool gnutls_pending(void)
{
	return gnutls_record_check_pending(tls) > 0;
}

/* ---- the way through ---- */

static const struct library libraries[] = {
	{"openssl", openssl_handshake, openssl_read, openssl_write, openssl_pending},
	{"gnutls", gnutls_tunnel_handshake, gnutls_tunnel_read, gnutls_tunnel_write,
	 gnutls_pending},
};

static const struct library *library;

static struct sockaddr_in at_port(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons((uint16_t)port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int connect_to(int port)
{
	const struct sockaddr_in to = at_port(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect", strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void write_all(int fd, const char *bytes, size_t len)
{
	for (ssize_t n; len; bytes += n, len -= (size_t)n) {
		n = write(fd, bytes, len);
		if (n < 0)
			die("write", strerror(errno));
	}
}

static void seal_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = library->write(bytes, len);

		if (n == AGAIN) {
			poll(&(struct pollfd){fd, POLLOUT, 0}, 1, 1000);
			continue;
		}
		if (n <= 0)
			die(library->name, "cannot write");
		bytes += n;
		len -= (size_t)n;
	}
}

static bool is_due(int *after, size_t sent)
{
	if (!*after || sent < (size_t)*after)
		return false;
	*after = 0;
	return true;
}

/* What a kernel does not take, in the middle of the data; @len bytes of that have just gone out. */
static void disturb(int fd, size_t len)
{
	static const char garbage[5 + 64] = {0x17, 3, 3, 0, 64};
	static size_t sent;

	sent += len;
	if (is_due(&options.update, sent))
		SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
	if (is_due(&options.ticket, sent)) {
		SSL_new_session_ticket(ssl);
		SSL_do_handshake(ssl);
	}
	if (is_due(&options.garbage, sent))
		write_all(fd, garbage, sizeof(garbage));
}

static void carry(int sealed, int plain)
{
	static char bytes[65536];
	struct pollfd p[2] = {{sealed, POLLIN, 0}, {plain, POLLIN, 0}};
	ssize_t n;

	library->handshake(sealed);
	fcntl(sealed, F_SETFL, O_NONBLOCK);
	for (;;) {
		if (!library->pending())
			poll(p, 2, -1);
		if (p[1].revents) {
			n = read(plain, bytes, sizeof(bytes));
			if (n <= 0)
				return;
			seal_all(sealed, bytes, (size_t)n);
			disturb(sealed, (size_t)n);
		}
		if (!p[0].revents && !library->pending())
			continue;
		n = library->read(bytes, sizeof(bytes));
		if (n == AGAIN)
			continue;
		if (n <= 0)
			return;
		write_all(plain, bytes, (size_t)n);
	}
}

static void read_options(char **argv)
{
	for (size_t i = 0; i < G_N_ELEMENTS(libraries); i++)
		if (strcmp(argv[1], libraries[i].name) == 0)
			library = &libraries[i];
	if (!library)
		die(argv[1], "no such library");
	options.server = strcmp(argv[2], "server") == 0;
	options.listen = atoi(argv[3]);
	options.connect = atoi(argv[4]);
	options.identity = argv[5];
	for (const char *at = argv[6]; at[0] && at[1] && options.key_len < sizeof(options.key);
	     at += 2)
		sscanf(at, "%2hhx", &options.key[options.key_len++]);
	for (argv += 7; *argv; argv++)
		if (sscanf(*argv, "tickets=%d", &options.tickets) != 1 &&
		    sscanf(*argv, "delay=%d", &options.delay) != 1 &&
		    sscanf(*argv, "limit=%d", &options.limit) != 1 &&
		    sscanf(*argv, "update=%d", &options.update) != 1 &&
		    sscanf(*argv, "ticket=%d", &options.ticket) != 1 &&
		    sscanf(*argv, "garbage=%d", &options.garbage) != 1)
			die(*argv, "no such option");
}

int main(int argc, char **argv)
{
	struct sockaddr_in here;
	int listener, one = 1;

	if (argc < 7)
		die("usage", "tunnel LIBRARY ROLE LISTEN CONNECT IDENTITY KEY [NAME=NUMBER]...");
	read_options(argv);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	here = at_port(options.listen);
	if (bind(listener, (struct sockaddr *)&here, sizeof(here)) < 0 || listen(listener, 64) < 0)
		die("listen", strerror(errno));
	for (;;) {
		int fd = accept(listener, NULL, NULL), other;

		if (fd < 0 || fork() > 0) {
			if (fd >= 0)
				close(fd);
			continue;
		}
		close(listener);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		other = connect_to(options.connect);
		carry(options.server ? fd : other, options.server ? other : fd);
		return 0;
	}
}
