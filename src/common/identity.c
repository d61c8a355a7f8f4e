// SPDX-License-Identifier: GPL-2.0-or-later
/* The TLS PSK identity of NVMe/TCP: what it says, without any key. */
#include "common/identity.h"

#include <errno.h>
#include <string.h>
#include <gnutls/gnutls.h>

/* "NVMe" version R|G hash hash space */
#define PREFIX_LEN 9

size_t psk_hash_size(enum psk_hash hash)
{
	switch (hash) {
	case PSK_HASH_SHA256:
		return 32;
	case PSK_HASH_SHA384:
		return 48;
	default:
		return 0;
	}
}

enum psk_hash psk_hash_of_size(size_t len)
{
	switch (len) {
	case 32:
		return PSK_HASH_SHA256;
	case 48:
		return PSK_HASH_SHA384;
	default:
		return PSK_HASH_NONE;
	}
}

const char *psk_hash_name(enum psk_hash hash)
{
	switch (hash) {
	case PSK_HASH_SHA256:
		return "SHA-256";
	case PSK_HASH_SHA384:
		return "SHA-384";
	default:
		return "none";
	}
}

static bool has_nvme_prefix(const char *text)
{
	return strlen(text) >= PREFIX_LEN && g_str_has_prefix(text, "NVMe") &&
	       g_ascii_isdigit(text[4]) && (text[5] == 'R' || text[5] == 'G') &&
	       g_ascii_isdigit(text[6]) && g_ascii_isdigit(text[7]) && text[8] == ' ';
}

static int prefix_hash(const char *text)
{
	int hash = (text[6] - '0') * 10 + (text[7] - '0');

	return psk_hash_size(hash) ? hash : -EINVAL;
}

int identity_hash(const char *text)
{
	return has_nvme_prefix(text) ? prefix_hash(text) : PSK_HASH_NONE;
}

const char *nqn_check(const char *nqn)
{
	if (!nqn || !*nqn)
		return "the NQN is empty";
	if (strlen(nqn) > NQN_MAX)
		return "the NQN is longer than 223 bytes";
	if (!g_str_has_prefix(nqn, "nqn."))
		return "the NQN does not begin with \"nqn.\"";
	if (!g_utf8_validate(nqn, -1, NULL))
		return "the NQN is not UTF-8";
	for (const char *p = nqn; *p; p = g_utf8_next_char(p)) {
		gunichar c = g_utf8_get_char(p);

		if (g_unichar_isspace(c))
			return "the NQN has a space in it";
		if (!g_unichar_isprint(c))
			return "the NQN has an unprintable character in it";
	}
	return NULL;
}

void nvme_identity_clear(nvme_identity *id)
{
	g_free(id->hostnqn);
	g_free(id->subsysnqn);
	g_free(id->digest);
	memset(id, 0, sizeof(*id));
}

static const char *digest_check(const char *digest, enum psk_hash hash)
{
	gnutls_datum_t text = {(void *)digest, (unsigned int)strlen(digest)}, raw = {0};
	const char *why = NULL;

	if (!text.size || gnutls_base64_decode2(&text, &raw) < 0)
		return "the digest is not base64";
	if (raw.size != psk_hash_size(hash))
		why = "the digest's length does not fit the hash";
	gnutls_free(raw.data);
	return why;
}

/*
 * A line break would make two lines of one in a key file, an escape sequence would reach a terminal,
 * and a character that only turns the direction of writing would make a name look like another.
 */
static bool has_control(const char *text)
{
	bool utf8 = g_utf8_validate(text, -1, NULL);

	for (const char *p = text; *p; p = utf8 ? g_utf8_next_char(p) : p + 1) {
		gunichar c = utf8 ? g_utf8_get_char(p) : (unsigned char)*p;

		if (utf8 ? g_unichar_iscntrl(c) || g_unichar_type(c) == G_UNICODE_FORMAT
			 : c < 0x20 || c == 0x7f)
			return true;
	}
	return false;
}

/* Any word of a length that an NQN can have. */
static const char *word_check(const char *word)
{
	if (!*word)
		return "a name in it is empty: is there a space too many?";
	if (strlen(word) > NQN_MAX)
		return "a name in it is longer than the 223 bytes of an NQN";
	return NULL;
}

static int parse(const char *text, nvme_identity *id, const char **why,
		 const char *(*name_check)(const char *name))
{
	g_auto(nvme_identity) out = {0};
	g_auto(GStrv) word = NULL;
	const char *problem = NULL;
	int hash;

	memset(id, 0, sizeof(*id));
	if (!has_nvme_prefix(text)) {
		problem = "it does not begin with NVMe, version, R or G, hash and a space";
		goto bad;
	}
	if (has_control(text)) {
		problem = "it has a control character in it";
		goto bad;
	}
	hash = prefix_hash(text);
	out.version = text[4] - '0';
	out.generated = text[5] == 'G';
	if (out.version > 1)
		problem = "the identity version is neither 0 nor 1";
	else if (hash < 0)
		problem = "the hash is neither 01 (SHA-256) nor 02 (SHA-384)";
	if (problem)
		goto bad;
	out.hash = hash;

	word = g_strsplit(text + PREFIX_LEN, " ", -1);
	if (g_strv_length(word) != (out.version ? 3u : 2u))
		problem =
			out.version
				? "version 1 has a host NQN, a subsystem NQN and a digest, a space between"
				: "version 0 has a host NQN and a subsystem NQN, a space between";
	else if (!(problem = name_check(word[0])) && !(problem = name_check(word[1])) && word[2])
		problem = digest_check(word[2], out.hash);
	if (problem)
		goto bad;

	out.hostnqn = g_strdup(word[0]);
	out.subsysnqn = g_strdup(word[1]);
	out.digest = g_strdup(word[2]);
	*id = out;
	memset(&out, 0, sizeof(out));
	return 0;
bad:
	if (why)
		*why = problem;
	return -EINVAL;
}

int nvme_identity_parse(const char *text, nvme_identity *id, const char **why)
{
	return parse(text, id, why, nqn_check);
}

int nvme_identity_split(const char *text, nvme_identity *id, const char **why)
{
	return parse(text, id, why, word_check);
}

char *nvme_identity_format(const nvme_identity *id)
{
	return g_strdup_printf("NVMe%d%c%02d %s %s%s%s", id->version, id->generated ? 'G' : 'R',
			       (int)id->hash, id->hostnqn, id->subsysnqn, id->digest ? " " : "",
			       id->digest ? id->digest : "");
}
