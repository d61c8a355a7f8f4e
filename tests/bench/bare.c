// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The least that a daemon can spend: one process that takes the kernel's requests one after the other
 * and answers them by bare GnuTLS calls and one key that it has from the environment. No look-up, no
 * log, no deadline, no sandbox. It is no daemon to run; it is what the others are measured against.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <glib.h>
#include <gnutls/gnutls.h>

#include "netlink/upcall.h"
#include "tlshd/worker/ktls.h"
#include "common/policy.h"

static unsigned char key[32];

static G_NORETURN void die(const char *what)
{
	fprintf(stderr, "bare: %s\n", what);
	exit(1);
}

static int give_key(gnutls_session_t tls, const gnutls_datum_t *name, gnutls_datum_t *out)
{
	out->size = sizeof(key);
	out->data = gnutls_malloc(sizeof(key));
	memcpy(out->data, key, sizeof(key));
	return 0;
}

static int serve(int fd, gnutls_priority_t priority, gnutls_psk_server_credentials_t credentials)
{
	struct pollfd peer = {.fd = fd, .events = POLLIN};
	gnutls_session_t tls;
	const char *what;
	int r;

	gnutls_init(&tls, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS |
				  GNUTLS_NO_AUTO_SEND_TICKET);
	gnutls_priority_set(tls, priority);
	gnutls_credentials_set(tls, GNUTLS_CRD_PSK, credentials);
	gnutls_transport_set_int(tls, fd);
	gnutls_handshake_set_timeout(tls, GNUTLS_INDEFINITE_TIMEOUT);
	while ((r = gnutls_handshake(tls)) == GNUTLS_E_AGAIN)
		poll(&peer, 1, -1);
	r = r < 0 ? EACCES : -ktls_start(fd, tls, 0, &what);
	gnutls_deinit(tls);
	return r;
}

int main(void)
{
	const char *hex = getenv("STORM_KEY"), *serial = getenv("STORM_KEY_SERIAL");
	int32_t remote = serial ? (int32_t)strtol(serial, NULL, 0) : 0; /* 7.2 wants to know it */
	gnutls_psk_server_credentials_t credentials;
	struct pollfd ready = {.events = POLLIN};
	struct policy policy;
	gnutls_datum_t digits;
	size_t len = sizeof(key);
	struct upcall *kernel;
	char *why;

	digits = (gnutls_datum_t){(unsigned char *)hex, hex ? (unsigned int)strlen(hex) : 0};
	if (!hex || gnutls_hex_decode(&digits, key, &len) < 0 || len != sizeof(key))
		die("STORM_KEY is 64 hexadecimal digits");
	if (policy_init(&policy, &why) < 0)
		die(why);
	gnutls_psk_allocate_server_credentials(&credentials);
	gnutls_psk_set_server_credentials_function2(credentials, give_key);
	if (upcall_open(&kernel, -1) < 0)
		die("the kernel's handshake family");
	ready.fd = upcall_fd(kernel);
	for (;;) {
		struct upcall_request request;
		const char *wrong;

		while (upcall_accept(kernel, &request, &wrong) == 0) {
			int status = serve(request.sockfd, policy.hash[PSK_HASH_SHA256],
					   credentials);

			upcall_done(kernel, request.sockfd, status, remote);
			close(request.sockfd);
		}
		poll(&ready, 1, -1);
		upcall_ready(kernel);
	}
}
