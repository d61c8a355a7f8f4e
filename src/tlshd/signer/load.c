// SPDX-License-Identifier: GPL-2.0-or-later
/* From the files and URLs that are configured to what workers and signers use, or a cause. */
#include "tlshd/signer/load.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>
#include <gnutls/x509.h>

#include "common/log.h"
#include "tlshd/shared/memfile.h"
#include "tlshd/shared/revoked.h"
#include "tlshd/shared/content.h"

/* An own certificate that ends within this time is worth a warning. */
#define SOON_SECONDS (14 * 24 * 3600)

static int malformed(struct outcome *why, const char *what, int err)
{
	outcome_set(why, CAUSE_CREDENTIAL_MALFORMED, "%s: %s", what, gnutls_strerror(err));
	return -EPROTO;
}

int load_trust(const gnutls_datum_t *pem, struct outcome *why)
{
	gnutls_x509_crt_t *list = NULL;
	unsigned int n = 0;
	int r = gnutls_x509_crt_list_import2(&list, &n, pem, GNUTLS_X509_FMT_PEM, 0);

	for (unsigned int i = 0; i < n; i++)
		gnutls_x509_crt_deinit(list[i]);
	gnutls_free(list);
	return r < 0 ? malformed(why, "no list of certificates in PEM", r) : 0;
}

static void append_certificate(GByteArray *pem, gnutls_x509_crt_t certificate)
{
	gnutls_datum_t text;

	if (gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &text) < 0)
		return;
	g_byte_array_append(pem, text.data, text.size);
	gnutls_free(text.data);
}

int load_system_trust(struct outcome *why)
{
	g_autoptr(GByteArray) pem = g_byte_array_new();
	gnutls_x509_trust_list_iter_t at = NULL;
	gnutls_x509_trust_list_t list;
	gnutls_x509_crt_t ca;
	int fd;

	if (gnutls_x509_trust_list_init(&list, 0) < 0)
		return malformed(why, "the system's trust store", GNUTLS_E_MEMORY_ERROR);
	gnutls_x509_trust_list_add_system_trust(list, 0, 0);
	while (gnutls_x509_trust_list_iter_get_ca(list, &at, &ca) == 0) {
		append_certificate(pem, ca);
		gnutls_x509_crt_deinit(ca);
	}
	gnutls_x509_trust_list_iter_deinit(at);
	gnutls_x509_trust_list_deinit(list, 1);
	/* One without certificates trusts nobody, which a handshake's line says. */
	fd = memfile_of_bytes(pem->data, pem->len);
	if (fd >= 0)
		return fd;
	outcome_set(why, CAUSE_CREDENTIAL_UNREADABLE, "the system's trust store: %s",
		    g_strerror(-fd));
	return -EPROTO;
}

int load_crl(const gnutls_datum_t *pem, const char *what, struct outcome *why)
{
	unsigned int lists, outdated;
	int fd = revoked_index(pem, &lists, &outdated);

	if (fd < 0) {
		outcome_set(why, CAUSE_CREDENTIAL_MALFORMED, "no revocation list in PEM: %s",
			    g_strerror(-fd));
		return -EPROTO;
	}
	if (outdated)
		log_warning("%s: %u of %u revocation lists should have been replaced by now: get the current ones from their issuers",
			    what, outdated, lists);
	return fd;
}

static void warn_of_time(gnutls_x509_crt_t certificate, const char *what)
{
	time_t now = time(NULL);
	time_t begin = gnutls_x509_crt_get_activation_time(certificate);
	time_t end = gnutls_x509_crt_get_expiration_time(certificate);

	if (end < now)
		log_warning("%s: the certificate has expired: peers will refuse it; replace it",
			    what);
	else if (begin > now)
		log_warning("%s: the certificate is not valid yet: peers will refuse it; check the clock",
			    what);
	else if (end - now < SOON_SECONDS)
		log_warning("%s: the certificate expires within %ld days: replace it", what,
			    (long)(end - now) / (24 * 3600) + 1);
}

int load_certificate(const gnutls_datum_t *pem, const char *what, gnutls_pubkey_t *out,
		     struct outcome *why)
{
	gnutls_x509_crt_t *list = NULL;
	unsigned int n = 0;
	int r = gnutls_x509_crt_list_import2(&list, &n, pem, GNUTLS_X509_FMT_PEM, 0);

	*out = NULL;
	if (r >= 0)
		r = gnutls_pubkey_init(out);
	if (r >= 0)
		r = gnutls_pubkey_import_x509(*out, list[0], 0);
	if (r >= 0)
		warn_of_time(list[0], what);
	for (unsigned int i = 0; i < n; i++)
		gnutls_x509_crt_deinit(list[i]);
	gnutls_free(list);
	if (r >= 0)
		return 0;
	gnutls_pubkey_deinit(*out);
	*out = NULL;
	return malformed(why, "no certificate in PEM", r);
}

/* ---- keys ---- */

static int fail_on_token(struct outcome *why, int err)
{
	switch (err) {
	case GNUTLS_E_PKCS11_PIN_ERROR:
	case GNUTLS_E_PKCS11_PIN_EXPIRED:
	case GNUTLS_E_PKCS11_PIN_LOCKED:
		outcome_set(why, CAUSE_TOKEN_LOCKED, "%s", gnutls_strerror(err));
		break;
	case GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE:
		outcome_set(why, CAUSE_TOKEN, "there is no private key under this URL");
		break;
	default:
		outcome_set(why, CAUSE_TOKEN, "%s", gnutls_strerror(err));
	}
	return -EPROTO;
}

static int import(gnutls_privkey_t key, const gnutls_datum_t *pem, const char *url,
		  struct outcome *why)
{
	int r;

	if (pem->size) {
		r = gnutls_privkey_import_x509_raw(key, pem, GNUTLS_X509_FMT_PEM, NULL, 0);
		if (r == GNUTLS_E_DECRYPTION_FAILED)
			return malformed(why,
					 "the private key is encrypted, and nobody could enter its password",
					 r);
		return r < 0 ? malformed(why, "no private key in PEM", r) : 0;
	}
	if (!gnutls_url_is_supported(url)) {
		outcome_set(why, CAUSE_TOKEN, "this GnuTLS does not know such URLs");
		return -EPROTO;
	}
	r = gnutls_privkey_import_url(key, url, 0);
	return r < 0 ? fail_on_token(why, r) : 0;
}

/*
 * By a signature, for a token's key can be asked for nothing else, and one over a CertificateVerify of
 * no handshake, so that none is made over anything else.
 */
static int check_fit(const struct load_key *k, gnutls_pubkey_t certificate, struct outcome *why)
{
	static const uint8_t hash[32];
	uint8_t bytes[CONTENT_MAX];
	int len = content_make(HANDSHAKE_CLIENT, hash, sizeof(hash), bytes);
	gnutls_datum_t content = {bytes, (unsigned int)len}, signature;
	gnutls_pk_algorithm_t pk = (gnutls_pk_algorithm_t)
		gnutls_pubkey_get_pk_algorithm(certificate, NULL);

	for (const gnutls_sign_algorithm_t *a = gnutls_sign_list(); *a; a++) {
		int r;

		if (!content_may_sign(*a, pk) || !content_may_sign(*a, k->pk))
			continue;
		r = gnutls_privkey_sign_data2(k->key, *a, 0, &content, &signature);
		if (r < 0) /* not with this curve, or not on this token */
			continue;
		r = gnutls_pubkey_verify_data2(certificate, *a, 0, &content, &signature);
		gnutls_free(signature.data);
		if (r >= 0)
			return 0;
		break;
	}
	outcome_set(why, CAUSE_KEY_MISFIT, "the key is %s, the certificate's is %s",
		    gnutls_pk_get_name(k->pk), gnutls_pk_get_name(pk));
	return -EPROTO;
}

int load_key(const gnutls_datum_t *pem, const char *url, gnutls_pubkey_t certificate,
	     struct load_key *out, struct outcome *why)
{
	int r;

	*out = (struct load_key){NULL, GNUTLS_PK_UNKNOWN};
	if (!certificate) {
		outcome_set(why, CAUSE_CREDENTIAL_UNREADABLE,
			    "there is no certificate that it could fit");
		return -EPROTO;
	}
	if (gnutls_privkey_init(&out->key) < 0)
		return malformed(why, "the private key", GNUTLS_E_MEMORY_ERROR);
	r = import(out->key, pem, url, why);
	if (r == 0) {
		out->pk = (gnutls_pk_algorithm_t)gnutls_privkey_get_pk_algorithm(out->key, NULL);
		r = check_fit(out, certificate, why);
	}
	if (r < 0) {
		gnutls_privkey_deinit(out->key);
		out->key = NULL;
	}
	return r;
}

int load_der_key(const gnutls_datum_t *der, struct load_key *out, struct outcome *why)
{
	int r;

	*out = (struct load_key){NULL, GNUTLS_PK_UNKNOWN};
	if (gnutls_privkey_init(&out->key) < 0)
		return malformed(why, "the private key", GNUTLS_E_MEMORY_ERROR);
	r = gnutls_privkey_import_x509_raw(out->key, der, GNUTLS_X509_FMT_DER, NULL, 0);
	if (r >= 0) {
		out->pk = (gnutls_pk_algorithm_t)gnutls_privkey_get_pk_algorithm(out->key, NULL);
		return 0;
	}
	gnutls_privkey_deinit(out->key);
	out->key = NULL;
	return malformed(why, "no private key in DER", r);
}
