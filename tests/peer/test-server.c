// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Our sessions on a plain TCP port, for test suites and peers that speak no NVMe; never installed.
 *
 *   test-server [--client] [--port N] [--timeout MS] [--late] IDENTITY KEY     KEY in hexadecimal
 *
 * The session, its look-up and its outcome are those of the daemon; what comes afterwards is echoed
 * over GnuTLS records. One connection after the other, a line for each on stdout: its status for
 * the kernel, the alert sent, the alert received, the descriptors that are open, the cause. With
 * --client it connects to the port instead, sends a line and prints what comes back.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <glib.h>

#include "tlshd/worker/session.h"

/* After the handshake, a peer that says nothing for so long has no more to say. */
#define SILENCE_MS 3000

static struct engine engine;
static char *identity;
static secret psk;
static gboolean late, as_client, have_sha384;
static int port = 4433, timeout_ms = 3000;

struct connection {
	struct session *s;
	char *asked;
};

static void answer(struct connection *c)
{
	auth_psk_answer(session_auth(c->s), strcmp(c->asked, identity) == 0 ? 0 : -ENOKEY, &psk);
}

static void lookup(void *ctx, const char *asked)
{
	struct connection *c = ctx;

	g_free(c->asked);
	c->asked = g_strdup(asked);
	if (!late)
		answer(c);
}

static int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = -3; /* . and .. and itself */

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/* Return: as session_step(), -ETIMEDOUT when the peer does not go on. */
static int handshake(struct connection *c, int fd)
{
	gint64 end = g_get_monotonic_time() + timeout_ms * G_TIME_SPAN_MILLISECOND;
	int r;

	while ((r = session_step(c->s)) == -EAGAIN) {
		struct pollfd p = {fd, session_wait(c->s) == SESSION_WAIT_WRITE ? POLLOUT : POLLIN,
				   0};
		gint64 rest = (end - g_get_monotonic_time()) / 1000;

		if (session_wait(c->s) == SESSION_WAIT_ANSWER)
			answer(c);
		else if (rest <= 0 || poll(&p, 1, (int)rest) == 0)
			return -ETIMEDOUT;
	}
	return r;
}

static ssize_t push(gnutls_transport_ptr_t ptr, const void *bytes, size_t len)
{
	return send((int)(intptr_t)ptr, bytes, len, MSG_NOSIGNAL);
}

static ssize_t pull(gnutls_transport_ptr_t ptr, void *bytes, size_t len)
{
	return recv((int)(intptr_t)ptr, bytes, len, MSG_DONTWAIT);
}

/* The session's own functions end with the handshake: what they are told to send is sent by steps. */
static void take_over(gnutls_session_t tls, int fd)
{
	gnutls_transport_set_ptr(tls, (gnutls_transport_ptr_t)(intptr_t)fd);
	gnutls_transport_set_push_function(tls, push);
	gnutls_transport_set_pull_function(tls, pull);
}

/* Return: as gnutls_record_recv(). What GnuTLS does not accept is answered by the alert for it. */
static ssize_t receive(gnutls_session_t tls, int fd, char *bytes, size_t size)
{
	struct pollfd p = {fd, POLLIN, 0};
	ssize_t n;

	do
		n = gnutls_record_recv(tls, bytes, size);
	while (n == GNUTLS_E_INTERRUPTED || (n == GNUTLS_E_AGAIN && poll(&p, 1, SILENCE_MS) > 0));
	if (n < 0 && gnutls_error_is_fatal((int)n) && n != GNUTLS_E_PREMATURE_TERMINATION &&
	    n != GNUTLS_E_PULL_ERROR)
		gnutls_alert_send_appropriate(tls, (int)n);
	return n;
}

static void echo(gnutls_session_t tls, int fd)
{
	char bytes[4096];
	ssize_t n;

	while ((n = receive(tls, fd, bytes, sizeof(bytes))) > 0)
		gnutls_record_send(tls, bytes, (size_t)n);
	if (n == 0 || n == GNUTLS_E_AGAIN)
		gnutls_bye(tls, GNUTLS_SHUT_WR);
}

static void say(gnutls_session_t tls, int fd)
{
	static const char text[] = "through TLS\n";
	char bytes[256];
	ssize_t n;

	gnutls_record_send(tls, text, sizeof(text) - 1);
	n = receive(tls, fd, bytes, sizeof(bytes));
	printf("%.*s", n > 0 ? (int)n : 0, bytes);
	gnutls_bye(tls, GNUTLS_SHUT_WR);
}

/* A socket that is closed with something unread is reset, and an alert on its way lost. */
static void drain(int fd)
{
	struct pollfd p = {fd, POLLIN, 0};
	char bytes[4096];

	shutdown(fd, SHUT_WR);
	while (poll(&p, 1, 200) > 0 && recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

static int serve(int fd)
{
	struct connection c = {0};
	struct auth_psk_params auth = {.shared = &engine.psk,
				       .identity = identity,
				       .psk = &psk,
				       .side = as_client ? HANDSHAKE_CLIENT : HANDSHAKE_SERVER,
				       .lookup = lookup,
				       .ctx = &c};
	struct session_params p = {.engine = &engine, .fd = fd, .side = auth.side};
	const struct outcome *o;
	gnutls_session_t tls;
	int status, r;

	p.auth = auth_psk_new(&auth);
	c.s = session_new(&p);
	r = handshake(&c, fd);
	o = session_outcome(c.s);
	status = r == -ETIMEDOUT ? ETIMEDOUT : cause_info(o->cause)->status;
	tls = session_gnutls(c.s);
	printf("status %d sent %d received %d descriptors %d: %s: %s\n", status, o->alert_sent,
	       tls ? (int)gnutls_alert_get(tls) : -1, descriptors(),
	       cause_info(r == -ETIMEDOUT ? CAUSE_PEER_STALLED : o->cause)->sentence, o->detail);
	if (r == 0) {
		take_over(tls, fd);
		(as_client ? say : echo)(tls, fd);
	}
	drain(fd);
	session_free(c.s);
	g_free(c.asked);
	close(fd);
	fflush(stdout);
	return status;
}

static int open_socket(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (as_client ? connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0
		      : bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 64) < 0) {
		perror("test-server");
		exit(EXIT_FAILURE);
	}
	return fd;
}

/* The one that the kernel chose, for --port 0. */
static int port_of(int fd)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	return getsockname(fd, (struct sockaddr *)&at, &len) < 0 ? -1 : ntohs(at.sin_port);
}

static bool read_key(const char *hex)
{
	for (psk.len = 0; hex[0] && hex[1] && psk.len < SECRET_MAX; hex += 2)
		psk.data[psk.len++] = (uint8_t)(g_ascii_xdigit_value(hex[0]) << 4 |
						g_ascii_xdigit_value(hex[1]));
	return !*hex;
}

int main(int argc, char **argv)
{
	const GOptionEntry entries[] = {
		{"client", 0, 0, G_OPTION_ARG_NONE, &as_client, "Connect instead of listening",
		 NULL},
		{"port", 'p', 0, G_OPTION_ARG_INT, &port,
		 "TCP port on the loopback, 4433; 0 for a free one", "N"},
		{"timeout", 0, 0, G_OPTION_ARG_INT, &timeout_ms,
		 "How long a peer may take for the handshake, 3000", "MS"},
		{"have-sha384", 0, 0, G_OPTION_ARG_NONE, &have_sha384,
		 "Only tell by the status whether GnuTLS can do SHA-384 PSKs", NULL},
		{"late", 0, 0, G_OPTION_ARG_NONE, &late, "Answer look-ups after they returned",
		 NULL},
		{0},
	};
	GOptionContext *context = g_option_context_new("IDENTITY KEY");
	char *why = NULL;
	int fd;

	g_option_context_add_main_entries(context, entries, NULL);
	if (g_option_context_parse(context, &argc, &argv, NULL) && have_sha384)
		return auth_psk_has_hash(PSK_HASH_SHA384) ? EXIT_SUCCESS : EXIT_FAILURE;
	if (argc != 3 || !read_key(argv[2])) {
		fprintf(stderr,
			"usage: test-server [--client] [--port N] [--timeout MS] [--late] IDENTITY KEY\n");
		return EXIT_FAILURE;
	}
	g_option_context_free(context);
	identity = argv[1];
	signal(SIGPIPE, SIG_IGN);
	if (engine_init(&engine, false, &why) < 0) {
		fprintf(stderr, "test-server: %s\n", why);
		return EXIT_FAILURE;
	}
	fd = open_socket();
	if (as_client)
		return serve(fd) ? EXIT_FAILURE : EXIT_SUCCESS;
	printf("listening on %d\n", port_of(fd));
	fflush(stdout);
	for (int peer; (peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0;)
		serve(peer);
	return EXIT_FAILURE;
}
