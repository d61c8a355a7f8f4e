/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The PSK interchange format of NVMe/TCP, "NVMeTLSkey-1:hh:BASE64:". */
#pragma once

#include <glib.h>

#include "common/identity.h"
#include "common/secret.h"

/* The longest text of the format: 16 bytes of head, 72 of base64 (48 + 4 bytes) and a colon. */
#define INTERCHANGE_MAX 89

/**
 * struct interchange - what the format carries.
 * @version: 1; 0 is what nvme-cli 2.13 and 2.16 write for keys of version-0 identities
 * @hash: the transform, PSK_HASH_NONE to PSK_HASH_SHA384
 * @crc: the CRC-32 it has, once parsed
 * @key: the key bytes, 32 or 48
 */
typedef struct interchange {
	int version;
	enum psk_hash hash;
	uint32_t crc;
	secret key;
} interchange;

static inline void interchange_wipe(interchange *ic)
{
	explicit_bzero(ic, sizeof(*ic));
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(interchange, interchange_wipe)

/**
 * struct interchange_text - a key as text: as secret as its bytes, and wiped like them.
 */
typedef struct interchange_text {
	char s[INTERCHANGE_MAX + 1];
} interchange_text;

static inline void interchange_text_wipe(interchange_text *text)
{
	explicit_bzero(text, sizeof(*text));
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(interchange_text, interchange_text_wipe)

/**
 * interchange_parse() - read a key in interchange format.
 * @text: the key, without white space around it
 * @ic: filled on success, all zero on failure
 * @why: where not NULL, gets on failure a sentence on what is wrong, to be freed by g_free();
 *	it never holds key bytes
 *
 * Versions 0 and 1 are read; who takes only 1 looks at @ic->version.
 * NVMe/TCP Transport Specification, "PSK Interchange Format".
 *
 * Return: 0 or -EINVAL.
 */
int interchange_parse(const char *text, interchange *ic, char **why);

/**
 * interchange_format() - write a key in interchange format, version 1.
 * @hash: the transform; PSK_HASH_NONE goes with 32 and 48 bytes, the others with theirs
 *
 * Return: 0; -EINVAL when the key's length does not fit, and @out empty.
 */
int interchange_format(enum psk_hash hash, const secret *key, interchange_text *out);
