// SPDX-License-Identifier: GPL-2.0-or-later
/* Is a socket what its worker says: TLS 1.3 both ways, with the cipher claimed? The kernel knows. */
#include "tlshd/broker/ktls-check.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <glib.h>
#include <gnutls/gnutls.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

static const struct {
	unsigned int gnutls;
	uint16_t kernel;
} ciphers[] = {
	{GNUTLS_CIPHER_AES_128_GCM, TLS_CIPHER_AES_GCM_128},
	{GNUTLS_CIPHER_AES_256_GCM, TLS_CIPHER_AES_GCM_256},
	{GNUTLS_CIPHER_AES_128_CCM, TLS_CIPHER_AES_CCM_128},
	{GNUTLS_CIPHER_CHACHA20_POLY1305, TLS_CIPHER_CHACHA20_POLY1305},
};

/* The head of the kernel's answer says version and cipher, and no key comes with it. */
static const char *check_direction(int fd, int direction, unsigned int cipher)
{
	struct tls_crypto_info info = {0};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, SOL_TLS, direction, &info, &len) < 0 || len < sizeof(info))
		return "a direction of the socket is not TLS";
	if (info.version != TLS_1_3_VERSION)
		return "the socket is of another version than TLS 1.3";
	for (size_t i = 0; i < G_N_ELEMENTS(ciphers); i++)
		if (ciphers[i].gnutls == cipher && ciphers[i].kernel == info.cipher_type)
			return NULL;
	return "the socket has another cipher";
}

int ktls_check(int fd, unsigned int cipher, const char **why)
{
	char name[16] = "";
	socklen_t len = sizeof(name) - 1;

	*why = "the socket is not TLS";
	if (getsockopt(fd, IPPROTO_TCP, TCP_ULP, name, &len) < 0 || strcmp(name, "tls") != 0)
		return -EBADMSG;
	*why = check_direction(fd, TLS_TX, cipher);
	if (!*why)
		*why = check_direction(fd, TLS_RX, cipher);
	return *why ? -EBADMSG : 0;
}
