// SPDX-License-Identifier: GPL-2.0-or-later
/* The other end of a session under the fuzzer: just enough of TLS 1.3 to get bytes past it. */
#include "tls13.h"

#include <stdlib.h>
#include <string.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <nettle/curve25519.h>

#include "certificates.h"
#include "tlshd/shared/content.h"

#define HASH 32
#define TAG 16
#define SIGNATURE 64
/* CertificateVerify: its header, the algorithm, the length */
#define VERIFY (4 + 2 + 2 + SIGNATURE)

static const uint8_t zeros[HASH];
static const uint8_t private_key[32] = {1, 2, 3, 4, 5, 6, 7, 8};

static void extract(const uint8_t salt[HASH], const uint8_t *key, size_t len, uint8_t out[HASH])
{
	gnutls_datum_t s = {(void *)salt, HASH}, k = {(void *)key, (unsigned int)len};

	gnutls_hkdf_extract(GNUTLS_MAC_SHA256, &k, &s, out);
}

/* RFC 8446, 7.1 */
static void expand_label(const uint8_t secret[HASH], const char *label, const void *context,
			 size_t context_len, uint8_t *out, size_t len)
{
	uint8_t info[128];
	size_t n = strlen(label);
	gnutls_datum_t k = {(void *)secret, HASH}, i = {info, 0};

	info[0] = 0;
	info[1] = (uint8_t)len;
	info[2] = (uint8_t)(6 + n);
	memcpy(info + 3, "tls13 ", 6);
	memcpy(info + 9, label, n);
	info[9 + n] = (uint8_t)context_len;
	if (context_len)
		memcpy(info + 10 + n, context, context_len);
	i.size = (unsigned int)(10 + n + context_len);
	gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &k, &i, out, len);
}

static void hash(const void *data, size_t len, uint8_t out[HASH])
{
	gnutls_hash_fast(GNUTLS_DIG_SHA256, data, len, out);
}

static void early_secret(bool certified, uint8_t out[HASH])
{
	uint8_t psk[32];

	memset(psk, certified ? 0 : TLS13_PSK_BYTE, sizeof(psk));
	extract(zeros, psk, sizeof(psk), out);
}

static void finished(const uint8_t secret[HASH], const void *messages, size_t len,
		     uint8_t out[HASH])
{
	uint8_t key[HASH], digest[HASH];

	expand_label(secret, "finished", NULL, 0, key, sizeof(key));
	hash(messages, len, digest);
	gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, sizeof(key), digest, sizeof(digest), out);
}

#define ADD(to, ...)                                             \
	do {                                                     \
		const uint8_t bytes_[] = {__VA_ARGS__};          \
		g_byte_array_append(to, bytes_, sizeof(bytes_)); \
	} while (0)

static void put16(GByteArray *to, size_t n)
{
	ADD(to, (uint8_t)(n >> 8), (uint8_t)n);
}

static size_t get16(const uint8_t *p)
{
	return (size_t)p[0] << 8 | p[1];
}

static void set_length(GByteArray *of, size_t at, unsigned int bytes)
{
	size_t n = of->len - at - bytes;

	for (unsigned int i = 0; i < bytes; i++)
		of->data[at + i] = (uint8_t)(n >> 8 * (bytes - 1 - i));
}

static void share(GByteArray *to)
{
	uint8_t public_key[32];

	curve25519_mul_g(public_key, private_key);
	put16(to, 29); /* X25519 */
	put16(to, sizeof(public_key));
	g_byte_array_append(to, public_key, sizeof(public_key));
}

static void begin(GByteArray *m, uint8_t type)
{
	static const uint8_t random[32] = {0x42};

	ADD(m, 22, 3, 3, 0, 0, type, 0, 0, 0, 3, 3);
	g_byte_array_append(m, random, sizeof(random));
}

static void end(GByteArray *m, size_t extensions)
{
	set_length(m, extensions, 2);
	set_length(m, 6, 3);
	set_length(m, 3, 2);
}

static void offer_psk(GByteArray *m)
{
	const size_t n = strlen(TLS13_IDENTITY);

	put16(m, 41);
	put16(m, 2 + 2 + n + 4 + 2 + 1 + HASH);
	put16(m, 2 + n + 4);
	put16(m, n);
	g_byte_array_append(m, (const uint8_t *)TLS13_IDENTITY, (guint)n);
	g_byte_array_append(m, zeros, 4);
	put16(m, 1 + HASH);
	ADD(m, HASH);
	g_byte_array_append(m, zeros, HASH);
}

GByteArray *tls13_client_hello(bool certified)
{
	GByteArray *m = g_byte_array_new();
	size_t at;

	begin(m, 1);
	ADD(m, 0, 0, 2, 0x13, 1, 1, 0);
	at = m->len;
	put16(m, 0);
	ADD(m, 0, 43, 0, 3, 2, 3, 4); /* TLS 1.3 */
	ADD(m, 0, 10, 0, 4, 0, 2, 0, 29); /* X25519 */
	ADD(m, 0, 45, 0, 2, 1, 1); /* PSK with (EC)DHE */
	ADD(m, 0, 51, 0, 38, 0, 36);
	share(m);
	if (certified)
		ADD(m, 0, 13, 0, 6, 0, 4, 8, 7, 4,
		    3); /* signatures by Ed25519, and ECDSA with P-256 */
	else
		offer_psk(m);
	end(m, at);
	tls13_fix_binder(m->data, m->len);
	return m;
}

GByteArray *tls13_server_hello(bool certified)
{
	GByteArray *m = g_byte_array_new();
	size_t at;

	begin(m, 2);
	ADD(m, 0, 0x13, 1, 0);
	at = m->len;
	put16(m, 0);
	ADD(m, 0, 43, 0, 2, 3, 4);
	if (!certified)
		ADD(m, 0, 41, 0, 2, 0, 0);
	ADD(m, 0, 51, 0, 36);
	share(m);
	end(m, at);
	return m;
}

void tls13_fix_binder(uint8_t *record, size_t len)
{
	uint8_t early[HASH], digest[HASH], key[HASH];

	if (len < 5 + 4 + HASH + 3 || record[0] != 22 || record[5] != 1 ||
	    get16(record + 3) != len - 5 || record[len - HASH - 1] != HASH)
		return;
	early_secret(false, early);
	hash("", 0, digest);
	expand_label(early, "ext binder", digest, sizeof(digest), key, sizeof(key));
	finished(key, record + 5, len - 5 - HASH - 3, record + len - HASH);
}

void tls13_init(struct tls13 *t, bool certified)
{
	memset(t, 0, sizeof(*t));
	t->certified = certified;
	t->transcript = g_byte_array_new();
}

void tls13_clear(struct tls13 *t)
{
	g_byte_array_unref(t->transcript);
}

void tls13_heard(struct tls13 *t, const uint8_t *record, size_t len)
{
	for (size_t n; len > 5; record += n, len -= n) {
		n = MIN(5 + get16(record + 3), len);
		if (record[0] == 22)
			g_byte_array_append(t->transcript, record + 5, (guint)n - 5);
	}
}

bool tls13_key(struct tls13 *t, const uint8_t *record, size_t len)
{
	static const uint8_t x25519[] = {0, 29, 0, 32};
	uint8_t early[HASH], derived[HASH], digest[HASH], handshake[HASH], dh[32];
	const uint8_t *at = len ? memmem(record, len, x25519, sizeof(x25519)) : NULL;

	if (!at || (size_t)(record + len - at) < sizeof(x25519) + 32)
		return false;
	curve25519_mul(dh, private_key, at + sizeof(x25519));
	early_secret(t->certified, early);
	hash("", 0, digest);
	expand_label(early, "derived", digest, HASH, derived, HASH);
	extract(derived, dh, sizeof(dh), handshake);
	hash(t->transcript->data, t->transcript->len, digest);
	expand_label(handshake, "c hs traffic", digest, HASH, t->secret[0], HASH);
	expand_label(handshake, "s hs traffic", digest, HASH, t->secret[1], HASH);
	hash("", 0, digest);
	expand_label(handshake, "derived", digest, HASH, derived, HASH);
	extract(derived, zeros, HASH, t->master);
	t->keyed = true;
	return true;
}

static gnutls_aead_cipher_hd_t cipher(struct tls13 *t, int who, uint8_t nonce[12])
{
	gnutls_aead_cipher_hd_t handle = NULL;
	uint8_t key[16];
	gnutls_datum_t k = {key, sizeof(key)};

	expand_label(t->secret[who], "key", NULL, 0, key, sizeof(key));
	expand_label(t->secret[who], "iv", NULL, 0, nonce, 12);
	for (int i = 0; i < 8; i++)
		nonce[11 - i] ^= (uint8_t)(t->sequence[who] >> 8 * i);
	t->sequence[who]++;
	gnutls_aead_cipher_init(&handle, GNUTLS_CIPHER_AES_128_GCM, &k);
	return handle;
}

void tls13_open(struct tls13 *t, int who, const uint8_t *record, size_t len)
{
	g_autofree uint8_t *plain = g_malloc(len);
	size_t n = len;
	uint8_t nonce[12];
	gnutls_aead_cipher_hd_t c;

	if (!t->keyed || len < 5 + TAG + 1 || record[0] != 23)
		return;
	c = cipher(t, who, nonce);
	if (gnutls_aead_cipher_decrypt(c, nonce, sizeof(nonce), record, 5, TAG, record + 5, len - 5,
				       plain, &n) == 0) {
		while (n && !plain[n - 1])
			n--;
		if (n && plain[n - 1] == 22)
			g_byte_array_append(t->transcript, plain, (guint)n - 1);
	}
	gnutls_aead_cipher_deinit(c);
}

/* Puts a signature by Ed25519 at @out; @key is made of @text if there is none yet. */
static void sign(gnutls_privkey_t *key, const char *text, const uint8_t *data, size_t len,
		 uint8_t out[SIGNATURE])
{
	gnutls_datum_t pem = {(void *)(uintptr_t)text, (unsigned int)strlen(text)};
	gnutls_datum_t content = {(void *)(uintptr_t)data, (unsigned int)len}, signature;

	if (!*key && (gnutls_privkey_init(key) < 0 ||
		      gnutls_privkey_import_x509_raw(*key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0) < 0))
		abort();
	if (gnutls_privkey_sign_data2(*key, GNUTLS_SIGN_EDDSA_ED25519, 0, &content, &signature) < 0)
		abort();
	memcpy(out, signature.data, SIGNATURE);
	gnutls_free(signature.data);
}

/* The hash of all before the @n last bytes of @plain, which follow what has been said. */
static GByteArray *all_before(const struct tls13 *t, const uint8_t *plain, size_t len, size_t n)
{
	GByteArray *all = g_byte_array_new();

	g_byte_array_append(all, t->transcript->data, t->transcript->len);
	g_byte_array_append(all, plain, (guint)(len - n));
	return all;
}

static void fix_finished(const struct tls13 *t, int who, uint8_t *plain, size_t len)
{
	g_autoptr(GByteArray) all = all_before(t, plain, len, 4 + HASH);

	finished(t->secret[who], all->data, all->len, plain + len - HASH);
}

/* The algorithm stays as it is. */
static void fix_verify(const struct tls13 *t, int who, uint8_t *plain, size_t len)
{
	g_autoptr(GByteArray) all = all_before(t, plain, len, VERIFY);
	static gnutls_privkey_t key;
	uint8_t digest[HASH], content[CONTENT_MAX];
	int n;

	hash(all->data, all->len, digest);
	n = content_make(who ? HANDSHAKE_SERVER : HANDSHAKE_CLIENT, digest, HASH, content);
	sign(&key, PEER_KEY, content, (size_t)n, plain + len - SIGNATURE);
}

/* The first certificate, if its end is that of one signed by Ed25519 (RFC 8410). */
static void fix_certificate(uint8_t *plain, size_t len)
{
	static const uint8_t before[] = {0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, SIGNATURE + 1, 0};
	const size_t tail = sizeof(before) + SIGNATURE;
	static gnutls_privkey_t key;
	size_t at = 4 + 1 + 3, n, header;

	if (len < at + 3 + tail || plain[4])
		return;
	n = get16(plain + at + 1);
	at += 3;
	header = 2 + (plain[at + 1] & 0x80 ? plain[at + 1] & 0x7f : 0u);
	if (n > len - at || n < header + tail ||
	    memcmp(plain + at + n - tail, before, sizeof(before)) != 0)
		return;
	sign(&key, ISSUER_KEY, plain + at + header, n - tail - header, plain + at + n - SIGNATURE);
}

GByteArray *tls13_seal(struct tls13 *t, int who, uint8_t type, const uint8_t *data, size_t len,
		       unsigned int fix)
{
	GByteArray *record = g_byte_array_new();
	g_autofree uint8_t *plain = g_malloc(len + 1);
	size_t sealed = len + 1 + TAG;
	uint8_t nonce[12];
	gnutls_aead_cipher_hd_t c;

	if (len)
		memcpy(plain, data, len);
	plain[len] = type;
	if (fix & TLS13_FIX_FINISHED && type == 22 && len >= 4 + HASH &&
	    plain[len - HASH - 4] == 20)
		fix_finished(t, who, plain, len);
	if (fix & TLS13_FIX_CERTIFICATE && type == 22 && len && plain[0] == 11)
		fix_certificate(plain, len);
	if (fix & TLS13_FIX_VERIFY && type == 22 && len >= VERIFY && plain[len - VERIFY] == 15)
		fix_verify(t, who, plain, len);
	if (type == 22)
		g_byte_array_append(t->transcript, plain, (guint)len);
	ADD(record, 23, 3, 3);
	put16(record, sealed);
	g_byte_array_set_size(record, (guint)(5 + sealed));
	c = cipher(t, who, nonce);
	gnutls_aead_cipher_encrypt(c, nonce, sizeof(nonce), record->data, 5, TAG, plain, len + 1,
				   record->data + 5, &sealed);
	gnutls_aead_cipher_deinit(c);
	if (who == 1 && type == 22 && len >= 4 + HASH && plain[len - HASH - 4] == 20) {
		uint8_t digest[HASH];

		hash(t->transcript->data, t->transcript->len, digest);
		expand_label(t->master, "s ap traffic", digest, HASH, t->secret[1], HASH);
		t->sequence[1] = 0;
	}
	return record;
}
