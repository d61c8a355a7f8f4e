// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * wolfSSL with an external PSK, for which its package has no program; never installed.
 *
 *   wolfssl-peer client PORT IDENTITY KEY SUITE     sends a line of standard input, prints what comes back
 *   wolfssl-peer server PORT IDENTITY KEY SUITE     echoes, one connection after the other
 *
 * KEY in hexadecimal, PORT on the loopback, 0 for a free one, SUITE as wolfSSL calls it.
 */
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *identity, *suite;
static unsigned char key[64];
static unsigned int key_len;

static unsigned int client_key(WOLFSSL *ssl, const char *hint, char *id, unsigned int id_max,
			       unsigned char *out, unsigned int max, const char **cipher)
{
	if (strlen(identity) >= id_max || key_len > max)
		return 0;
	strcpy(id, identity);
	memcpy(out, key, key_len);
	*cipher = suite;
	return key_len;
}

static unsigned int server_key(WOLFSSL *ssl, const char *id, unsigned char *out, unsigned int max,
			       const char **cipher)
{
	if (strcmp(id, identity) != 0 || key_len > max)
		return 0;
	memcpy(out, key, key_len);
	*cipher = suite;
	return key_len;
}

static int complain(WOLFSSL *ssl, const char *what, int r)
{
	WOLFSSL_ALERT_HISTORY alerts;
	char text[WOLFSSL_MAX_ERROR_SZ];

	wolfSSL_get_alert_history(ssl, &alerts);
	printf("%s: %s, alert %d received\n", what,
	       wolfSSL_ERR_error_string((unsigned long)wolfSSL_get_error(ssl, r), text),
	       alerts.last_rx.code);
	return EXIT_FAILURE;
}

static int be_client(WOLFSSL *ssl)
{
	char text[256];
	int r = wolfSSL_connect(ssl);

	if (r != WOLFSSL_SUCCESS)
		return complain(ssl, "connect", r);
	if (fgets(text, sizeof(text), stdin))
		wolfSSL_write(ssl, text, (int)strlen(text));
	r = wolfSSL_read(ssl, text, sizeof(text));
	if (r < 0)
		return complain(ssl, "read", r);
	printf("%.*s", r, text);
	wolfSSL_shutdown(ssl);
	return EXIT_SUCCESS;
}

static void be_server(WOLFSSL *ssl)
{
	char text[256];
	int r = wolfSSL_accept(ssl);

	if (r != WOLFSSL_SUCCESS) {
		complain(ssl, "accept", r);
		return;
	}
	while ((r = wolfSSL_read(ssl, text, sizeof(text))) > 0)
		wolfSSL_write(ssl, text, r);
	wolfSSL_shutdown(ssl);
}

static int open_socket(int port, int client)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (client ? connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0
		   : bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 8) < 0) {
		perror("wolfssl-peer");
		exit(EXIT_FAILURE);
	}
	if (!client && getsockname(fd, (struct sockaddr *)&at, &len) == 0)
		printf("listening on %d\n", ntohs(at.sin_port));
	return fd;
}

int main(int argc, char **argv)
{
	int client = argc > 1 && strcmp(argv[1], "client") == 0;
	WOLFSSL_CTX *ctx;
	int fd, status = EXIT_FAILURE;

	if (argc != 6)
		return EXIT_FAILURE;
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	identity = argv[3];
	suite = argv[5];
	for (const char *hex = argv[4]; hex[0] && hex[1] && key_len < sizeof(key); hex += 2)
		sscanf(hex, "%2hhx", &key[key_len++]);

	wolfSSL_Init();
	ctx = wolfSSL_CTX_new(client ? wolfTLSv1_3_client_method() : wolfTLSv1_3_server_method());
	if (!ctx || wolfSSL_CTX_set_cipher_list(ctx, suite) != WOLFSSL_SUCCESS) {
		printf("this wolfSSL has no %s\n", suite);
		return EXIT_FAILURE;
	}
	if (client)
		wolfSSL_CTX_set_psk_client_tls13_callback(ctx, client_key);
	else
		wolfSSL_CTX_set_psk_server_tls13_callback(ctx, server_key);
	fd = open_socket(atoi(argv[2]), client);
	do {
		int peer = client ? fd : accept(fd, NULL, NULL);
		WOLFSSL *ssl = wolfSSL_new(ctx);

		wolfSSL_set_fd(ssl, peer);
		if (client)
			status = be_client(ssl);
		else
			be_server(ssl);
		wolfSSL_free(ssl);
		close(peer);
	} while (!client);
	wolfSSL_CTX_free(ctx);
	return status;
}
