// SPDX-License-Identifier: GPL-2.0-or-later
/* Is a peer's certificate one that we accept? If not, the cause, in words that help. */
#include "tlshd/worker/judge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <time.h>
#include <gnutls/x509.h>

#include "common/log.h"
#include "tlshd/shared/revoked.h"

/* Names of a certificate that a message lists. */
#define NAMES_MAX 8
/* 112 bits of security (NIST SP 800-57, table 2); GnuTLS's NORMAL would take 1024. */
#define RSA_BITS_MIN 2048
/* A name's bytes in a message: all that it has from a peer is cut. */
#define NAME_MAX_SHOWN 80

struct chain {
	gnutls_x509_crt_t list[X509_CHAIN_MAX];
	unsigned int n;
};

static void free_chain(struct chain *c)
{
	for (unsigned int i = 0; i < c->n; i++)
		gnutls_x509_crt_deinit(c->list[i]);
	c->n = 0;
}

static int read_chain(struct chain *c, gnutls_session_t tls)
{
	unsigned int n = 0;
	const gnutls_datum_t *raw = gnutls_certificate_get_peers(tls, &n);

	c->n = 0;
	for (unsigned int i = 0; i < n && i < X509_CHAIN_MAX; i++) {
		if (gnutls_x509_crt_init(&c->list[i]) < 0)
			return -ENOMEM;
		c->n++;
		if (gnutls_x509_crt_import(c->list[i], &raw[i], GNUTLS_X509_FMT_DER) < 0)
			return -EBADMSG;
	}
	return n > X509_CHAIN_MAX ? -E2BIG : 0;
}

/* ---- words ---- */

static char *shown(const char *text, size_t len)
{
	g_autofree char *escaped = log_escape(text, MIN(len, (size_t)NAME_MAX_SHOWN));

	return g_strdup_printf("%s%s", escaped, len > NAME_MAX_SHOWN ? "..." : "");
}

static char *distinguished_name(gnutls_x509_crt_t certificate, bool issuer)
{
	gnutls_datum_t name = {NULL, 0};
	char *text;
	int r = issuer ? gnutls_x509_crt_get_issuer_dn3(certificate, &name, 0)
		       : gnutls_x509_crt_get_dn3(certificate, &name, 0);

	text = r < 0 ? g_strdup("one that cannot be read")
		     : shown((const char *)name.data, name.size);
	gnutls_free(name.data);
	return text;
}

static char *utc(time_t when)
{
	struct tm tm;
	char text[32];

	if (!gmtime_r(&when, &tm) || !strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm))
		return g_strdup("a time that cannot be told");
	return g_strdup(text);
}

/* "3 days", for a difference that somebody has to judge. */
static char *duration(double seconds)
{
	static const struct {
		const char *name;
		double seconds;
	} units[] = {{"days", 86400}, {"hours", 3600}, {"minutes", 60}};

	for (size_t i = 0; i < G_N_ELEMENTS(units); i++)
		if (seconds >= 2 * units[i].seconds)
			return g_strdup_printf("%.0f %s", seconds / units[i].seconds,
					       units[i].name);
	return g_strdup_printf("%.0f seconds", seconds);
}

static void append_name(GString *names, const char *name, size_t len, unsigned int type)
{
	char address[INET6_ADDRSTRLEN];
	g_autofree char *text = NULL;

	if (type == GNUTLS_SAN_IPADDRESS && (len == 4 || len == 16) &&
	    inet_ntop(len == 4 ? AF_INET : AF_INET6, name, address, sizeof(address)))
		text = g_strdup(address);
	else
		text = shown(name, len);
	g_string_append_printf(names, "%s%s", names->len ? ", " : "", text);
}

/* The names that a certificate is for, as far as hosts have such. */
static char *host_names(gnutls_x509_crt_t certificate)
{
	GString *names = g_string_new(NULL);
	char name[256];
	unsigned int n = 0;

	for (unsigned int i = 0; n < NAMES_MAX; i++) {
		size_t len = sizeof(name);
		int type = gnutls_x509_crt_get_subject_alt_name(certificate, i, name, &len, NULL);

		if (type == GNUTLS_E_SHORT_MEMORY_BUFFER)
			continue;
		if (type < 0)
			break;
		if (type != GNUTLS_SAN_DNSNAME && type != GNUTLS_SAN_IPADDRESS)
			continue;
		append_name(names, name, len, (unsigned int)type);
		n++;
	}
	if (!n) {
		size_t len = sizeof(name);

		if (gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, 0,
						  name, &len) == 0)
			append_name(names, name, len, GNUTLS_SAN_DNSNAME);
	}
	if (!names->len)
		g_string_append(names, "no name at all");
	return g_string_free(names, FALSE);
}

/* ---- what is wrong ---- */

static void tell_of_time(const struct chain *c, bool expired, struct outcome *o)
{
	time_t now = time(NULL);

	for (unsigned int i = 0; i < c->n; i++) {
		time_t at = expired ? gnutls_x509_crt_get_expiration_time(c->list[i])
				    : gnutls_x509_crt_get_activation_time(c->list[i]);
		double off = expired ? difftime(now, at) : difftime(at, now);
		g_autofree char *name = NULL, *when = NULL, *how_far = NULL, *clock = NULL;

		if (off <= 0)
			continue;
		name = distinguished_name(c->list[i], false);
		when = utc(at);
		how_far = duration(off);
		clock = utc(now);
		outcome_set(o, expired ? CAUSE_EXPIRED : CAUSE_NOT_YET_VALID,
			    expired ? "that of %s ended %s ago, at %s; our clock says %s"
				    : "that of %s begins in %s, at %s; our clock says %s",
			    name, how_far, when, clock);
		return;
	}
	outcome_set(o, expired ? CAUSE_EXPIRED : CAUSE_NOT_YET_VALID, NULL);
}

static void tell_of_issuer(const struct chain *c, struct outcome *o)
{
	g_autofree char *subject = distinguished_name(c->list[0], false);
	g_autofree char *issuer = distinguished_name(c->list[c->n - 1], true);

	outcome_set(o, CAUSE_UNKNOWN_ISSUER, "%s is from the issuer %s", subject, issuer);
}

static void tell_of_name(const struct chain *c, const char *name, struct outcome *o)
{
	g_autofree char *names = host_names(c->list[0]);
	g_autofree char *wanted = shown(name, strlen(name));

	outcome_set(o, CAUSE_WRONG_NAME, "it is mounted as %s, the certificate is for %s", wanted,
		    names);
}

static void tell_of_purpose(const struct chain *c, struct outcome *o)
{
	g_autoptr(GString) purposes = g_string_new(NULL);
	char oid[128];

	for (unsigned int i = 0; i < NAMES_MAX; i++) {
		size_t len = sizeof(oid);

		if (gnutls_x509_crt_get_key_purpose_oid(c->list[0], i, oid, &len, NULL) < 0)
			break;
		append_name(purposes, oid, strnlen(oid, len), GNUTLS_SAN_DNSNAME);
	}
	outcome_set(o, CAUSE_WRONG_PURPOSE, "its extended key usage is %s",
		    purposes->len ? purposes->str : "none, or one of its issuers' excludes it");
}

static bool has_short_key(gnutls_x509_crt_t certificate)
{
	unsigned int bits = 0;
	int pk = gnutls_x509_crt_get_pk_algorithm(certificate, &bits);

	return (pk == GNUTLS_PK_RSA || pk == GNUTLS_PK_RSA_PSS) && bits < RSA_BITS_MIN;
}

static void tell_of_weakness(gnutls_x509_crt_t certificate, struct outcome *o)
{
	unsigned int bits = 0;
	int pk = gnutls_x509_crt_get_pk_algorithm(certificate, &bits);
	int sign = gnutls_x509_crt_get_signature_algorithm(certificate);
	const char *name = sign < 0 ? NULL : gnutls_sign_get_name((gnutls_sign_algorithm_t)sign);

	outcome_set(o, CAUSE_WEAK_CERTIFICATE, "its key is %s with %u bits, its signature %s",
		    pk < 0 ? "unknown" : gnutls_pk_get_name((gnutls_pk_algorithm_t)pk), bits,
		    name ? name : "unknown");
}

static void tell_of_rest(unsigned int status, struct outcome *o)
{
	gnutls_datum_t text;

	outcome_set(o, CAUSE_BAD_CERTIFICATE, NULL);
	if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) < 0)
		return;
	outcome_set(o, CAUSE_BAD_CERTIFICATE, "%s", (const char *)text.data);
	gnutls_free(text.data);
}

/* Of several faults the one that has to be put right first. */
static void tell(unsigned int status, const struct chain *c, const char *name, struct outcome *o)
{
	if (status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA))
		tell_of_issuer(c, o);
	else if (status & GNUTLS_CERT_INSECURE_ALGORITHM)
		tell_of_weakness(c->list[0], o);
	else if (status & GNUTLS_CERT_EXPIRED)
		tell_of_time(c, true, o);
	else if (status & GNUTLS_CERT_NOT_ACTIVATED)
		tell_of_time(c, false, o);
	else if (status & GNUTLS_CERT_PURPOSE_MISMATCH)
		tell_of_purpose(c, o);
	else if (status & GNUTLS_CERT_UNEXPECTED_OWNER)
		tell_of_name(c, name, o);
	else
		tell_of_rest(status, o);
}

static int check_revocation(const struct chain *c, const gnutls_datum_t *revoked, struct outcome *o)
{
	for (unsigned int i = 0; revoked->size && i < c->n; i++) {
		g_autofree char *name = NULL;

		if (revoked_has(revoked, c->list[i]) == 0)
			continue;
		name = distinguished_name(c->list[i], false);
		outcome_set(o, CAUSE_REVOKED, "that of %s is in the revocation list", name);
		return -EPROTO;
	}
	return 0;
}

static int judge(const struct chain *c, const struct x509_owner *owner, enum handshake_side side,
		 gnutls_session_t tls, const char *name, struct outcome *o)
{
	const char *purpose = side == HANDSHAKE_CLIENT ? GNUTLS_KP_TLS_WWW_SERVER
						       : GNUTLS_KP_TLS_WWW_CLIENT;
	gnutls_typed_vdata_st wanted[2] = {
		{GNUTLS_DT_KEY_PURPOSE_OID, (unsigned char *)(uintptr_t)purpose, 0},
		{GNUTLS_DT_DNS_HOSTNAME, (unsigned char *)(uintptr_t)name, 0}};
	g_autofree char *subject = NULL;
	unsigned int status = 0;
	int r = gnutls_certificate_verify_peers(tls, wanted, name ? 2 : 1, &status);

	if (r < 0) {
		outcome_set(o, CAUSE_BAD_CERTIFICATE, "%s", gnutls_strerror(r));
		return -EPROTO;
	}
	if (status) {
		tell(status, c, name, o);
		return -EPROTO;
	}
	for (unsigned int i = 0; i < c->n; i++)
		if (has_short_key(c->list[i])) {
			tell_of_weakness(c->list[i], o);
			return -EPROTO;
		}
	if (check_revocation(c, &owner->revoked, o) < 0)
		return -EPROTO;
	subject = distinguished_name(c->list[0], false);
	outcome_set(o, CAUSE_SUCCESS, "%s", subject);
	return 0;
}

int judge_peer(const struct x509_owner *owner, enum handshake_side side, gnutls_session_t tls,
	       const char *name, struct outcome *o)
{
	struct chain c;
	int r = read_chain(&c, tls);

	if (r < 0 || !c.n) {
		outcome_set(o, CAUSE_BAD_CERTIFICATE, "%s",
			    r == -E2BIG	   ? "its chain is longer than any"
			    : r == -ENOMEM ? "there is no memory for it"
					   : "it cannot be parsed");
		r = -EPROTO;
	} else {
		r = judge(&c, owner, side, tls, name, o);
	}
	free_chain(&c);
	return r;
}
