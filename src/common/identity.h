/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The TLS PSK identity of NVMe/TCP: what it says, without any key. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <glib.h>

/* The longest NQN (NVMe Base Specification, "NVMe Qualified Names"), without the final NUL. */
#define NQN_MAX 223

/*
 * The longest identity we look up. Version 1 with two longest NQNs and a SHA-384 digest has
 * 9 + 223 + 1 + 223 + 1 + 64 bytes; the rest is room for other consumers of the handshake.
 */
#define IDENTITY_MAX 1023

/** enum psk_hash - the hash of a PSK, by its number in identities and interchange format. */
enum psk_hash {
	PSK_HASH_NONE = 0, /* interchange format only: no transform */
	PSK_HASH_SHA256 = 1, /* 32-byte keys */
	PSK_HASH_SHA384 = 2, /* 48-byte keys */
};

/** psk_hash_size() - bytes of a key of @hash: 32 or 48; 0 for PSK_HASH_NONE and unknown. */
size_t psk_hash_size(enum psk_hash hash);

/** psk_hash_of_size() - the hash whose keys have @len bytes; PSK_HASH_NONE when none has. */
enum psk_hash psk_hash_of_size(size_t len);

/** psk_hash_name() - "SHA-256", "SHA-384" or "none", static. */
const char *psk_hash_name(enum psk_hash hash);

/**
 * struct nvme_identity - the parts of an NVMe identity.
 * @version: 0 or 1
 * @generated: G: the kernel made the PSK (secure channel concatenation), not R: retained
 * @hash: PSK_HASH_SHA256 or PSK_HASH_SHA384
 * @hostnqn, @subsysnqn: the names, owned
 * @digest: version 1 only, base64, owned; NULL for version 0
 *
 * NVMe/TCP Transport Specification, "TLS PSK and PSK Identity Derivation".
 */
typedef struct nvme_identity {
	int version;
	bool generated;
	enum psk_hash hash;
	char *hostnqn;
	char *subsysnqn;
	char *digest;
} nvme_identity;

/** nvme_identity_clear() - free the parts; @id is all zero afterwards. */
void nvme_identity_clear(nvme_identity *id);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(nvme_identity, nvme_identity_clear)

/**
 * nvme_identity_parse() - take an identity apart.
 * @text: the identity
 * @id: filled on success, to be cleared by nvme_identity_clear(); all zero on failure
 * @why: where not NULL, gets a static sentence on what is wrong
 *
 * Return: 0; -EINVAL when @text is not a well-formed NVMe identity (an identity of another
 * consumer, NFS say, is not malformed for tlshd, only not one of NVMe).
 */
int nvme_identity_parse(const char *text, nvme_identity *id, const char **why);

/**
 * nvme_identity_split() - nvme_identity_parse() that takes any two words for NQNs.
 *
 * The kernel and nvme-cli do not look at the form of an NQN ("hostnqn0" is one in the manual of
 * nvme-cli), so such keys are out there, and work.
 */
int nvme_identity_split(const char *text, nvme_identity *id, const char **why);

/** nvme_identity_format() - the identity as text, to be freed by g_free(). */
char *nvme_identity_format(const nvme_identity *id);

/**
 * identity_hash() - the hash that a key of this identity must have.
 *
 * An identity that begins with NVMe, a version digit, R or G, two hash digits and a space names
 * its hash; for any other the length of its key decides.
 *
 * Return: the hash, or PSK_HASH_NONE when the identity does not tell; -EINVAL when it names a
 * hash that does not exist.
 */
int identity_hash(const char *text);

/**
 * nqn_check() - is @nqn a name that NVMe allows: "nqn." first, at most NQN_MAX bytes of
 * printable UTF-8 without spaces.
 *
 * Return: NULL when it is, else a static sentence on what is wrong.
 */
const char *nqn_check(const char *nqn);
