// SPDX-License-Identifier: GPL-2.0-or-later
/* From a configured PSK to the TLS PSK of a host and a subsystem, and its identity. */
#include "common/derive.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#define LABEL_PREFIX "tls13 "
#define VECTOR_MAX 255 /* RFC 8446 gives label and context one length byte each */

/* What HKDF-Expand gets as its info. */
enum info {
	INFO_RFC8446, /* length, and then label and context, each behind a byte with its length */
	INFO_BARE, /* no such bytes, and the length as a little-endian machine has it in memory */
	INFO_LAST_PIECE, /* OpenSSL 3.0.0 to 3.0.13 forget all pieces of the info but the last */
};

/* The context of "nvme-tls-psk" for identity version 1; for version 0 all take the identity. */
enum context {
	CONTEXT_HASH_DIGEST, /* "01 DIGEST" */
	CONTEXT_DIGEST, /* the last piece of that */
	CONTEXT_IDENTITY,
};

static const struct {
	const char *era;
	const char *users;
	enum info info;
	enum context context;
} derivations[PSK_DERIVATIONS] = {
	[PSK_RFC8446] = {NULL, "nvme-cli 2.16 and newer, libnvme 1.16, SPDK", INFO_RFC8446,
			 CONTEXT_HASH_DIGEST},
	[PSK_COMPAT_2_11] = {"2.11", "nvme-cli 2.11 to 2.15", INFO_BARE, CONTEXT_HASH_DIGEST},
	[PSK_COMPAT_2_7] = {"2.7", "nvme-cli 2.7 to 2.10", INFO_BARE, CONTEXT_IDENTITY},
	[PSK_COMPAT_2_7_OPENSSL_3_0] =
		{"2.7-openssl3.0",
		 "nvme-cli 2.7 to 2.10 with OpenSSL 3.0.0 to 3.0.13 (Ubuntu 24.04)",
		 INFO_LAST_PIECE, CONTEXT_IDENTITY},
	[PSK_COMPAT_2_11_OPENSSL_3_0] = {"2.11-openssl3.0",
					 "nvme-cli 2.11 to 2.15 with OpenSSL 3.0.0 to 3.0.13",
					 INFO_LAST_PIECE, CONTEXT_DIGEST},
};

const char *psk_derivation_era(enum psk_derivation derivation)
{
	return derivations[derivation].era;
}

const char *psk_derivation_users(enum psk_derivation derivation)
{
	return derivations[derivation].users;
}

int psk_derivation_find(const char *era)
{
	for (int i = 0; i < PSK_DERIVATIONS; i++)
		if (g_strcmp0(derivations[i].era, era) == 0)
			return i;
	return -EINVAL;
}

static gnutls_mac_algorithm_t hash_mac(enum psk_hash hash)
{
	return hash == PSK_HASH_SHA384 ? GNUTLS_MAC_SHA384 : GNUTLS_MAC_SHA256;
}

static void append(GByteArray *info, const char *text, bool with_length)
{
	uint8_t len = (uint8_t)strlen(text);

	if (with_length)
		g_byte_array_append(info, &len, 1);
	g_byte_array_append(info, (const uint8_t *)text, (guint)strlen(text));
}

static GByteArray *make_info(enum info kind, uint16_t len, const char *label, const char *context)
{
	GByteArray *info = g_byte_array_new();
	g_autofree char *full_label = g_strconcat(LABEL_PREFIX, label, NULL);
	uint8_t big_endian[2] = {(uint8_t)(len >> 8), (uint8_t)len};
	uint8_t little_endian[2] = {(uint8_t)len, (uint8_t)(len >> 8)};

	if (kind != INFO_LAST_PIECE) {
		g_byte_array_append(info, kind == INFO_RFC8446 ? big_endian : little_endian, 2);
		append(info, full_label, kind == INFO_RFC8446);
	}
	append(info, context, kind == INFO_RFC8446);
	return info;
}

/* out = HKDF-Expand(HKDF-Extract(0, in), info of label and context, length of the hash) */
static int extract_expand(enum psk_hash hash, const secret *in, enum info kind, const char *label,
			  const char *context, secret *out)
{
	g_autoptr(GByteArray) info = NULL;
	g_auto(secret) prk = SECRET_INIT;
	uint16_t len = (uint16_t)psk_hash_size(hash);
	gnutls_datum_t salt = {NULL, 0};
	gnutls_datum_t ikm = {(void *)in->data, (unsigned int)in->len};
	gnutls_datum_t key, datum;

	secret_wipe(out);
	if (kind == INFO_RFC8446 && strlen(context) > VECTOR_MAX)
		return -ENAMETOOLONG;
	info = make_info(kind, len, label, context);
	prk.len = len;
	key = (gnutls_datum_t){prk.data, (unsigned int)prk.len};
	datum = (gnutls_datum_t){info->data, info->len};
	if (gnutls_hkdf_extract(hash_mac(hash), &ikm, &salt, prk.data) < 0 ||
	    gnutls_hkdf_expand(hash_mac(hash), &key, &datum, out->data, len) < 0)
		return -EIO;
	out->len = len;
	return 0;
}

/* digest = base64(HMAC(retained, "hostnqn subsysnqn NVMe-over-Fabrics")) */
static int psk_digest(enum psk_hash hash, const secret *retained, const struct psk_recipe *recipe,
		      char **digest)
{
	g_autofree char *text = g_strdup_printf("%s %s NVMe-over-Fabrics", recipe->hostnqn,
						recipe->subsysnqn);
	uint8_t mac[48];
	gnutls_datum_t in = {mac, (unsigned int)psk_hash_size(hash)}, base64 = {0};

	if (gnutls_hmac_fast(hash_mac(hash), retained->data, retained->len, text, strlen(text),
			     mac) < 0 ||
	    gnutls_base64_encode2(&in, &base64) < 0)
		return -EIO;
	*digest = g_strndup((char *)base64.data, base64.size);
	gnutls_free(base64.data);
	return 0;
}

static char *make_context(const struct psk_recipe *recipe, const nvme_identity *id,
			  const char *identity)
{
	enum context kind = derivations[recipe->derivation].context;

	if (recipe->version == 0 || kind == CONTEXT_IDENTITY)
		return g_strdup(identity);
	return kind == CONTEXT_DIGEST ? g_strdup(id->digest)
				      : g_strdup_printf("%02d %s", (int)id->hash, id->digest);
}

int psk_derive(const interchange *configured, const struct psk_recipe *recipe, char **identity,
	       secret *tls_psk)
{
	enum psk_hash hash = configured->hash;
	g_auto(secret) retained = SECRET_INIT;
	g_auto(nvme_identity) id = {0};
	g_autofree char *text = NULL, *context = NULL;
	enum info info = derivations[recipe->derivation].info;
	int r;

	*identity = NULL;
	secret_wipe(tls_psk);
	if (hash == PSK_HASH_NONE)
		hash = psk_hash_of_size(configured->key.len);
	if (recipe->version < 0 || recipe->version > 1 || !psk_hash_size(hash) ||
	    psk_hash_size(hash) != configured->key.len)
		return -EINVAL;

	if (configured->hash == PSK_HASH_NONE)
		r = secret_set(&retained, configured->key.data, configured->key.len);
	else
		r = extract_expand(hash, &configured->key, info, "HostNQN", recipe->hostnqn,
				   &retained);
	if (r < 0)
		return r;

	id.version = recipe->version;
	id.hash = hash;
	id.hostnqn = g_strdup(recipe->hostnqn);
	id.subsysnqn = g_strdup(recipe->subsysnqn);
	if (recipe->version == 1) {
		r = psk_digest(hash, &retained, recipe, &id.digest);
		if (r < 0)
			return r;
	}
	text = nvme_identity_format(&id);
	context = make_context(recipe, &id, text);
	r = extract_expand(hash, &retained, info, "nvme-tls-psk", context, tls_psk);
	if (r < 0)
		return r;
	*identity = g_steal_pointer(&text);
	return 0;
}
