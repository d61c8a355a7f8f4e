// SPDX-License-Identifier: GPL-2.0-or-later
/* Which ciphers and groups a handshake may use: what kTLS can do and the system allows. */
#include "common/policy.h"

#include <errno.h>
#include <string.h>

/* The SHA-256 suites of RFC 8446 and the SHA-384 one, in the order we like them. */
static const gnutls_cipher_algorithm_t ciphers[] = {
	GNUTLS_CIPHER_AES_128_GCM,
	GNUTLS_CIPHER_CHACHA20_POLY1305,
	GNUTLS_CIPHER_AES_128_CCM,
	GNUTLS_CIPHER_AES_256_GCM,
};

/*
 * X25519 first: every peer we know sends a key share for it, so no HelloRetryRequest. The PSK
 * is what keeps a recorded connection from a quantum computer; the hybrids are for peers that
 * insist on them. Finite fields are for peers that have nothing else: FFDHE2048 costs fifty times
 * what X25519 does, FFDHE8192 two thousand times. A client that makes a server compute in one has
 * shown the key before, by its binder. By name, for the headers of an older GnuTLS do not have
 * them all.
 */
static const char *const groups[] = {
	"X25519",	   "SECP256R1",		 "SECP384R1",		"SECP521R1", "X448",
	"X25519-MLKEM768", "SECP256R1-MLKEM768", "SECP384R1-MLKEM1024", "FFDHE2048", "FFDHE3072",
	"FFDHE4096",	   "FFDHE6144",		 "FFDHE8192",
};

bool policy_cipher_is_ktls(gnutls_cipher_algorithm_t cipher)
{
	for (size_t i = 0; i < G_N_ELEMENTS(ciphers); i++)
		if (ciphers[i] == cipher)
			return true;
	return false;
}

static enum psk_hash cipher_hash(gnutls_cipher_algorithm_t cipher)
{
	return cipher == GNUTLS_CIPHER_AES_256_GCM ? PSK_HASH_SHA384 : PSK_HASH_SHA256;
}

static bool in_list(unsigned int what, const unsigned int *list, int n)
{
	for (int i = 0; i < n; i++)
		if (list[i] == what)
			return true;
	return false;
}

/* Appends "+CIPHER" for each that is allowed and goes with @hash; returns how many. */
static int add_ciphers(GString *s, enum psk_hash hash, const unsigned int *allowed, int n)
{
	int added = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(ciphers); i++) {
		if (hash != PSK_HASH_NONE && cipher_hash(ciphers[i]) != hash)
			continue;
		if (!in_list(ciphers[i], allowed, n))
			continue;
		g_string_append_printf(s, ":+%s", gnutls_cipher_get_name(ciphers[i]));
		added++;
	}
	return added;
}

static int add_groups(GString *s, const unsigned int *allowed, int n)
{
	int added = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(groups); i++) {
		gnutls_group_t id = gnutls_group_get_id(groups[i]);

		if (id == GNUTLS_GROUP_INVALID || !in_list(id, allowed, n))
			continue;
		g_string_append_printf(s, ":+GROUP-%s", groups[i]);
		added++;
	}
	return added;
}

#define BASE "NONE:+VERS-TLS1.3:+ECDHE-PSK:+DHE-PSK:+AEAD:+SIGN-ALL:+COMP-NULL"

static int build(gnutls_priority_t *out, GString *text)
{
	const char *at = NULL;

	return gnutls_priority_init(out, text->str, &at) < 0 ? -ENOTSUP : 0;
}

/*
 * The system's policy with less in it, and not one of ours with some of its parts: what it says of weak
 * certificates cannot be asked for.
 */
static int build_x509(gnutls_priority_t *out, const char *base, const unsigned int *allowed,
		      int n_allowed, const unsigned int *curves, int n_curves)
{
	g_autoptr(GString) s = g_string_new(base);

	g_string_append(s, ":-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL");
	add_ciphers(s, PSK_HASH_NONE, allowed, n_allowed);
	g_string_append(s, ":-GROUP-ALL");
	add_groups(s, curves, n_curves);
	return build(out, s);
}

int policy_init(struct policy *p, char **why)
{
	const char *base = "@SYSTEM";
	gnutls_priority_t policy = NULL;
	const unsigned int *allowed, *curves, *versions;
	int n_allowed, n_curves, n_versions;
	int built = 0;

	memset(p, 0, sizeof(*p));
	*why = NULL;
	if (gnutls_priority_init(&policy, base, NULL) < 0)
		base = "NORMAL";
	if (!policy && gnutls_priority_init(&policy, base, NULL) < 0) {
		*why = g_strdup("GnuTLS takes neither the system's policy nor its own NORMAL");
		return -ENOTSUP;
	}
	n_allowed = gnutls_priority_cipher_list(policy, &allowed);
	n_curves = gnutls_priority_group_list(policy, &curves);
	n_versions = gnutls_priority_protocol_list(policy, &versions);
	if (!in_list(GNUTLS_TLS1_3, versions, n_versions))
		*why = g_strdup("the system's crypto policy has no TLS 1.3");

	for (int hash = PSK_HASH_NONE; !*why && hash <= PSK_HASH_SHA384; hash++) {
		g_autoptr(GString) s = g_string_new(BASE);

		if (!add_ciphers(s, hash, allowed, n_allowed))
			continue;
		if (!add_groups(s, curves, n_curves)) {
			*why = g_strdup("the system's crypto policy has no group for TLS 1.3");
			break;
		}
		if (build(&p->hash[hash], s) < 0) {
			*why = g_strdup_printf("GnuTLS does not take the priorities %s", s->str);
			break;
		}
		built++;
	}
	if (!*why && in_list(GNUTLS_CIPHER_CHACHA20_POLY1305, allowed, n_allowed)) {
		g_autoptr(GString) s = g_string_new(BASE ":+CHACHA20-POLY1305");

		add_groups(s, curves, n_curves);
		build(&p->legacy, s);
	}
	if (!*why)
		build_x509(&p->x509, base, allowed, n_allowed, curves, n_curves);
	gnutls_priority_deinit(policy);
	if (!*why && !built)
		*why = g_strdup("the system's crypto policy has none of the ciphers that kTLS can do");
	if (*why) {
		policy_clear(p);
		return -ENOTSUP;
	}
	return 0;
}

void policy_clear(struct policy *p)
{
	for (size_t i = 0; i < G_N_ELEMENTS(p->hash); i++)
		if (p->hash[i])
			gnutls_priority_deinit(p->hash[i]);
	if (p->legacy)
		gnutls_priority_deinit(p->legacy);
	if (p->x509)
		gnutls_priority_deinit(p->x509);
	memset(p, 0, sizeof(*p));
}
