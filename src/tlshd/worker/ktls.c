// SPDX-License-Identifier: GPL-2.0-or-later
/* The traffic keys of a finished session, from GnuTLS into the kernel's socket. */
#include "tlshd/worker/ktls.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <glib.h>

#include "common/log.h"
#include "tlshd/worker/transport.h"

/* The headers we are built with may be older. */
#ifndef TLS_TX_MAX_PAYLOAD_LEN
#define TLS_TX_MAX_PAYLOAD_LEN 5
#endif

union crypto_info {
	struct tls_crypto_info info;
	struct tls12_crypto_info_aes_gcm_128 gcm_128;
	struct tls12_crypto_info_aes_gcm_256 gcm_256;
	struct tls12_crypto_info_aes_ccm_128 ccm_128;
	struct tls12_crypto_info_chacha20_poly1305 chacha20;
};

/* The nonce of TLS 1.3 is 12 bytes; the kernel wants the first of them as the salt. */
#define FILL(member, type)                                                                    \
	do {                                                                                  \
		if (key.size != sizeof(ci.member.key) ||                                      \
		    iv.size != sizeof(ci.member.salt) + sizeof(ci.member.iv))                 \
			return -EINVAL;                                                       \
		ci.info.cipher_type = (type);                                                 \
		memcpy(ci.member.key, key.data, sizeof(ci.member.key));                       \
		memcpy(ci.member.salt, iv.data, sizeof(ci.member.salt));                      \
		memcpy(ci.member.iv, iv.data + sizeof(ci.member.salt), sizeof(ci.member.iv)); \
		memcpy(ci.member.rec_seq, sequence, sizeof(ci.member.rec_seq));               \
		size = sizeof(ci.member);                                                     \
	} while (0)

static int set_direction(int fd, gnutls_session_t session, int direction)
{
	unsigned int read = direction == TLS_RX;
	gnutls_datum_t mac = {0}, iv = {0}, key = {0};
	_Alignas(guint64) unsigned char sequence[8];
	union crypto_info ci;
	socklen_t size = 0;
	int r;

	if (gnutls_record_get_state(session, read, &mac, &iv, &key, sequence) < 0)
		return -EINVAL;
	memset(&ci, 0, sizeof(ci));
	ci.info.version = TLS_1_3_VERSION;
	switch (gnutls_cipher_get(session)) {
	case GNUTLS_CIPHER_AES_128_GCM:
		FILL(gcm_128, TLS_CIPHER_AES_GCM_128);
		break;
	case GNUTLS_CIPHER_AES_256_GCM:
		FILL(gcm_256, TLS_CIPHER_AES_GCM_256);
		break;
	case GNUTLS_CIPHER_AES_128_CCM:
		FILL(ccm_128, TLS_CIPHER_AES_CCM_128);
		break;
	case GNUTLS_CIPHER_CHACHA20_POLY1305: /* its salt is empty */
		if (key.size != sizeof(ci.chacha20.key) || iv.size != sizeof(ci.chacha20.iv))
			return -EINVAL;
		ci.info.cipher_type = TLS_CIPHER_CHACHA20_POLY1305;
		memcpy(ci.chacha20.key, key.data, sizeof(ci.chacha20.key));
		memcpy(ci.chacha20.iv, iv.data, sizeof(ci.chacha20.iv));
		memcpy(ci.chacha20.rec_seq, sequence, sizeof(ci.chacha20.rec_seq));
		size = sizeof(ci.chacha20);
		break;
	default:
		return -EINVAL;
	}
	r = setsockopt(fd, SOL_TLS, direction, &ci, size) < 0 ? -errno : 0;
	log_debug(5, "kTLS %s with %s from record %" G_GUINT64_FORMAT ": %s", read ? "RX" : "TX",
		  gnutls_cipher_get_name(gnutls_cipher_get(session)),
		  GUINT64_FROM_BE(*(const guint64 *)sequence), r < 0 ? g_strerror(-r) : "set");
	explicit_bzero(&ci, sizeof(ci));
	return r;
}

static int set_ulp(int fd)
{
	/* EEXIST: ktls_can_limit() was here. */
	return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) < 0 && errno != EEXIST
		       ? -errno
		       : 0;
}

static int limit_records(int fd, size_t bytes)
{
	uint16_t value = (uint16_t)bytes;

	return setsockopt(fd, SOL_TLS, TLS_TX_MAX_PAYLOAD_LEN, &value, sizeof(value)) < 0 ? -errno
											  : 0;
}

bool ktls_can_limit(int fd)
{
	static int can = -1;

	if (can < 0 && set_ulp(fd) == 0)
		can = limit_records(fd, RECORD_MAX) == 0;
	return can > 0;
}

int ktls_start(int fd, gnutls_session_t session, size_t limit, const char **what)
{
	int r;

	*what = "TCP_ULP";
	r = set_ulp(fd);
	if (r < 0)
		return r;
	*what = "TLS_TX";
	r = set_direction(fd, session, TLS_TX);
	if (r < 0)
		return r;
	if (limit) {
		*what = "TLS_TX_MAX_PAYLOAD_LEN";
		/* Not counted: the content type. Only a socket of TLS 1.3 takes the least, 63. */
		r = limit_records(fd, limit - 1);
		log_debug(5, "kTLS TX in records of %zu bytes: %s", limit - 1,
			  r < 0 ? g_strerror(-r) : "set");
		if (r < 0)
			return r;
	}
	*what = "TLS_RX";
	return set_direction(fd, session, TLS_RX);
}
