// SPDX-License-Identifier: GPL-2.0-or-later
/* The binder of a ClientHello: does the peer have the key that it names? */
#include "tlshd/worker/binder.h"

#include <errno.h>
#include <string.h>
#include <gnutls/crypto.h>

struct hash {
	gnutls_mac_algorithm_t mac;
	gnutls_digest_algorithm_t digest;
	unsigned int size;
};

/* HKDF-Expand-Label (RFC 8446, 7.1) to as many bytes as the hash has, @context being a hash or nothing. */
static int expand_label(const struct hash *h, const secret *from, const char *label,
			const void *context, size_t context_len, secret *out)
{
	uint8_t info[2 + 1 + 32 + 1 + SECRET_MAX];
	const gnutls_datum_t key = {(void *)from->data, h->size};
	gnutls_datum_t in = {info, 0};
	size_t n = 0, label_len = strlen(label);

	info[n++] = 0;
	info[n++] = (uint8_t)h->size;
	info[n++] = (uint8_t)label_len;
	memcpy(info + n, label, label_len);
	n += label_len;
	info[n++] = (uint8_t)context_len;
	if (context_len)
		memcpy(info + n, context, context_len);
	in.size = (unsigned int)(n + context_len);
	out->len = h->size;
	return gnutls_hkdf_expand(h->mac, &key, &in, out->data, h->size);
}

/* Early-Secret = HKDF-Extract(0, PSK) (RFC 8446, 7.1) */
static int early_secret(const struct hash *h, const secret *psk, secret *out)
{
	static const uint8_t zeros[SECRET_MAX];
	const gnutls_datum_t key = {(void *)psk->data, (unsigned int)psk->len};
	const gnutls_datum_t salt = {(void *)zeros, h->size};

	out->len = h->size;
	return gnutls_hkdf_extract(h->mac, &key, &salt, out->data);
}

int binder_is_right(const struct hello_offer *offer, const secret *psk, enum psk_hash hash)
{
	const struct hash h = hash == PSK_HASH_SHA384
				      ? (struct hash){GNUTLS_MAC_SHA384, GNUTLS_DIG_SHA384, 48}
				      : (struct hash){GNUTLS_MAC_SHA256, GNUTLS_DIG_SHA256, 32};
	g_auto(secret) early = SECRET_INIT, binder_key = SECRET_INIT, finished_key = SECRET_INIT;
	uint8_t digest[SECRET_MAX], binder[SECRET_MAX];

	if (offer->binder.size != h.size)
		return 0;
	if (gnutls_hash_fast(h.digest, "", 0, digest) < 0 || early_secret(&h, psk, &early) < 0 ||
	    expand_label(&h, &early, "tls13 ext binder", digest, h.size, &binder_key) < 0 ||
	    expand_label(&h, &binder_key, "tls13 finished", NULL, 0, &finished_key) < 0 ||
	    gnutls_hash_fast(h.digest, offer->before_binders.data, offer->before_binders.size,
			     digest) < 0 ||
	    gnutls_hmac_fast(h.mac, finished_key.data, h.size, digest, h.size, binder) < 0)
		return -EIO;
	return gnutls_memcmp(binder, offer->binder.data, h.size) == 0;
}
