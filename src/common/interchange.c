// SPDX-License-Identifier: GPL-2.0-or-later
/* The PSK interchange format of NVMe/TCP, "NVMeTLSkey-1:hh:BASE64:". */
#include "common/interchange.h"

#include <errno.h>
#include <string.h>
#include <gnutls/gnutls.h>
#include <zlib.h>

#define PREFIX "NVMeTLSkey-"
#define CRC_LEN 4

/* The version digit, the hash digits and where the base64 begins. */
#define AT_VERSION (sizeof(PREFIX) - 1)
#define AT_HASH (AT_VERSION + 2)
#define AT_BASE64 (AT_HASH + 3)

static uint32_t key_crc(const void *key, size_t len)
{
	return (uint32_t)crc32(0, key, (uInt)len);
}

static uint32_t get_le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put_le32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < CRC_LEN; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* The head of the text up to the base64: what is wrong with it, or NULL. */
static char *check_head(const char *text, interchange *ic)
{
	size_t len = strlen(text);

	if (strncmp(text, PREFIX, AT_VERSION) != 0)
		return g_strdup("it does not begin with \"" PREFIX "1:\"");
	if (len < AT_HASH || !g_ascii_isdigit(text[AT_VERSION]) || text[AT_VERSION + 1] != ':')
		return g_strdup("after \"" PREFIX "\" comes no version digit and colon");
	if (text[AT_VERSION] > '1')
		return g_strdup_printf("format version %c is not known, only version 1",
				       text[AT_VERSION]);
	if (len < AT_BASE64 || !g_ascii_isdigit(text[AT_HASH]) ||
	    !g_ascii_isdigit(text[AT_HASH + 1]) || text[AT_HASH + 2] != ':')
		return g_strdup("after the version come no two hash digits and colon");
	ic->version = text[AT_VERSION] - '0';
	ic->hash = (text[AT_HASH] - '0') * 10 + (text[AT_HASH + 1] - '0');
	if (ic->hash > PSK_HASH_SHA384)
		return g_strdup_printf("hash %.2s is none of 00 (none), 01 (SHA-256), 02 (SHA-384)",
				       text + AT_HASH);
	return NULL;
}

/* The base64 and what is in it: what is wrong, or NULL. */
static char *check_body(const char *body, interchange *ic)
{
	const char *colon = strchr(body, ':');
	gnutls_datum_t in = {(void *)body, 0}, raw = {0};
	uint32_t computed, stored;
	char *why = NULL;
	size_t len;

	if (!colon)
		return g_strdup("the colon at its end is missing: is it cut off?");
	if (colon[1])
		return g_strdup("there is more behind the colon that ends it");
	in.size = (unsigned int)(colon - body);
	/* GnuTLS skips line ends and takes a PEM header; neither belongs here. */
	if (!in.size || in.size % 4 ||
	    strspn(body, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") !=
		    in.size ||
	    gnutls_base64_decode2(&in, &raw) < 0)
		return g_strdup("the part after the hash is not base64");

	len = raw.size > CRC_LEN ? raw.size - CRC_LEN : 0;
	if (len != 32 && len != 48) {
		why = g_strdup_printf("it holds %u bytes, where 36 or 52 belong (a key of 32 or 48 and a CRC of 4)",
				      raw.size);
	} else if (ic->hash != PSK_HASH_NONE && psk_hash_size(ic->hash) != len) {
		why = g_strdup_printf("hash %02d (%s) goes with a key of %zu bytes, this one has %zu",
				      (int)ic->hash, psk_hash_name(ic->hash),
				      psk_hash_size(ic->hash), len);
	} else {
		computed = key_crc(raw.data, len);
		stored = get_le32(raw.data + len);
		if (computed != stored)
			why = g_strdup_printf("its CRC-32 is %08x, that of the key bytes %08x: a character is wrong",
					      stored, computed);
		else
			secret_set(&ic->key, raw.data, len);
		ic->crc = stored;
	}
	if (raw.data)
		explicit_bzero(raw.data, raw.size);
	gnutls_free(raw.data);
	return why;
}

int interchange_parse(const char *text, interchange *ic, char **why)
{
	g_autofree char *problem = NULL;

	interchange_wipe(ic);
	problem = check_head(text, ic);
	if (!problem)
		problem = check_body(text + AT_BASE64, ic);
	if (!problem)
		return 0;
	interchange_wipe(ic);
	if (why)
		*why = g_steal_pointer(&problem);
	return -EINVAL;
}

int interchange_format(enum psk_hash hash, const secret *key, interchange_text *out)
{
	uint8_t bytes[48 + CRC_LEN];
	gnutls_datum_t in = {bytes, (unsigned int)(key->len + CRC_LEN)}, base64 = {0};
	int r;

	interchange_text_wipe(out);
	if ((key->len != 32 && key->len != 48) || hash > PSK_HASH_SHA384 ||
	    (hash != PSK_HASH_NONE && psk_hash_size(hash) != key->len))
		return -EINVAL;
	memcpy(bytes, key->data, key->len);
	put_le32(bytes + key->len, key_crc(key->data, key->len));
	r = gnutls_base64_encode2(&in, &base64);
	explicit_bzero(bytes, sizeof(bytes));
	if (r < 0)
		return -ENOMEM;
	g_snprintf(out->s, sizeof(out->s), PREFIX "1:%02d:%.*s:", (int)hash, (int)base64.size,
		   (char *)base64.data);
	explicit_bzero(base64.data, base64.size);
	gnutls_free(base64.data);
	return 0;
}
