// SPDX-License-Identifier: GPL-2.0-or-later
/* The hash of a handshake's messages, which a signature proves (RFC 8446, 4.4.1). */
#include "tlshd/worker/transcript.h"

#include <errno.h>
#include <string.h>

#include "tlshd/shared/content.h"

static const gnutls_digest_algorithm_t algorithms[2] = {GNUTLS_DIG_SHA256, GNUTLS_DIG_SHA384};

#define SERVER_HELLO 2
#define MESSAGE_HASH 254
/* GnuTLS's types from here on are variants of messages that it has no number on the wire for. */
#define ON_THE_WIRE 256

int transcript_init(struct transcript *t)
{
	memset(t, 0, sizeof(*t));
	for (size_t i = 0; i < 2; i++)
		if (gnutls_hash_init(&t->hashes[i], algorithms[i]) < 0) {
			t->hashes[i] = NULL;
			transcript_clear(t);
			return -ENOMEM;
		}
	return 0;
}

void transcript_clear(struct transcript *t)
{
	for (size_t i = 0; i < 2; i++)
		if (t->hashes[i])
			gnutls_hash_deinit(t->hashes[i], NULL);
	memset(t, 0, sizeof(*t));
}

static void add_message(gnutls_hash_hd_t hash, uint8_t type, const void *body, size_t len)
{
	const uint8_t header[4] = {type, (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};

	gnutls_hash(hash, header, sizeof(header));
	gnutls_hash(hash, body, len);
}

/* In place of the first ClientHello there is its hash from now on. */
static void begin_again(struct transcript *t)
{
	for (size_t i = 0; i < 2; i++) {
		uint8_t hello[48];

		gnutls_hash_output(t->hashes[i], hello);
		add_message(t->hashes[i], MESSAGE_HASH, hello, gnutls_hash_get_len(algorithms[i]));
	}
}

void transcript_add(struct transcript *t, unsigned int type, const gnutls_datum_t *body)
{
	if (type == GNUTLS_HANDSHAKE_HELLO_RETRY_REQUEST) {
		begin_again(t);
		type = SERVER_HELLO;
	}
	for (size_t i = 0; type < ON_THE_WIRE && i < 2; i++)
		add_message(t->hashes[i], (uint8_t)type, body->data, body->size);
}

static int copy_hash(gnutls_hash_hd_t hash, uint8_t out[48])
{
	gnutls_hash_hd_t copy = gnutls_hash_copy(hash);

	if (!copy)
		return -ENOMEM;
	gnutls_hash_deinit(copy, out);
	return 0;
}

static bool leads_to(enum handshake_side side, gnutls_digest_algorithm_t digest_of,
		     const uint8_t *hash, size_t len, const gnutls_datum_t *digest)
{
	uint8_t content[CONTENT_MAX], made[64];
	int n = content_make(side, hash, len, content);

	return n > 0 && digest->size == gnutls_hash_get_len(digest_of) &&
	       digest->size <= sizeof(made) &&
	       gnutls_hash_fast(digest_of, content, (size_t)n, made) == 0 &&
	       memcmp(made, digest->data, digest->size) == 0;
}

int transcript_find(const struct transcript *t, enum handshake_side side,
		    gnutls_sign_algorithm_t algorithm, const gnutls_datum_t *digest,
		    uint8_t hash[48])
{
	for (size_t i = 0; i < 2; i++) {
		size_t len = gnutls_hash_get_len(algorithms[i]);
		int r = copy_hash(t->hashes[i], hash);

		if (r < 0)
			return r;
		if (leads_to(side, gnutls_sign_get_hash_algorithm(algorithm), hash, len, digest))
			return (int)len;
	}
	return -EINVAL;
}
