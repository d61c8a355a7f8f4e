// SPDX-License-Identifier: GPL-2.0-or-later
/* From a configured PSK to the TLS PSK of a host and a subsystem, and its identity. */
#include "common/derive.h"

#include <errno.h>
#include <string.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#define LABEL_PREFIX "tls13 "
#define VECTOR_MAX 255 /* RFC 8446 gives label and context one length byte each */

static gnutls_mac_algorithm_t hash_mac(enum psk_hash hash)
{
	return hash == PSK_HASH_SHA384 ? GNUTLS_MAC_SHA384 : GNUTLS_MAC_SHA256;
}

static void append_vector(GByteArray *info, const char *text, bool with_length)
{
	uint8_t len = (uint8_t)strlen(text);

	if (with_length)
		g_byte_array_append(info, &len, 1);
	g_byte_array_append(info, (const uint8_t *)text, (guint)strlen(text));
}

/* out = HKDF-Expand-Label(HKDF-Extract(0, in), label, context, length of the hash) */
static int extract_expand_label(enum psk_hash hash, const secret *in, const char *label,
				const char *context, bool compat, secret *out)
{
	g_autoptr(GByteArray) info = g_byte_array_new();
	g_autofree char *full_label = g_strconcat(LABEL_PREFIX, label, NULL);
	g_auto(secret) prk = SECRET_INIT;
	uint16_t len = (uint16_t)psk_hash_size(hash);
	uint8_t big_endian[2] = {(uint8_t)(len >> 8), (uint8_t)len};
	uint8_t little_endian[2] = {(uint8_t)len, (uint8_t)(len >> 8)};
	gnutls_datum_t salt = {NULL, 0};
	gnutls_datum_t ikm = {(void *)in->data, (unsigned int)in->len};
	gnutls_datum_t key, datum;

	secret_wipe(out);
	if (!compat && strlen(context) > VECTOR_MAX)
		return -ENAMETOOLONG;
	/* Before 2.16 nvme-cli wrote the length as the machine has it, and no other lengths. */
	g_byte_array_append(info, compat ? little_endian : big_endian, 2);
	append_vector(info, full_label, !compat);
	append_vector(info, context, !compat);

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

int psk_derive(const interchange *configured, const struct psk_recipe *recipe, char **identity,
	       secret *tls_psk)
{
	enum psk_hash hash = configured->hash;
	g_auto(secret) retained = SECRET_INIT;
	g_auto(nvme_identity) id = {0};
	g_autofree char *text = NULL, *context = NULL;
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
		r = extract_expand_label(hash, &configured->key, "HostNQN", recipe->hostnqn,
					 recipe->compat, &retained);
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
	context = recipe->version == 1 ? g_strdup_printf("%02d %s", (int)hash, id.digest)
				       : g_strdup(text);
	r = extract_expand_label(hash, &retained, "nvme-tls-psk", context, recipe->compat, tls_psk);
	if (r < 0)
		return r;
	*identity = g_steal_pointer(&text);
	return 0;
}
