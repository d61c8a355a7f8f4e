// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Certificates and revocation lists for tests: make-certificate DIRECTORY NAME [WORD...]
 *
 * Writes NAME.pem and NAME.key; a word is one of
 *   issuer=NAME       the CA that signs; without it, the certificate signs itself
 *   ca                it is a CA
 *   key=KIND[:BITS]   ec (what it is without), rsa:2048, rsa-pss:2048, ed25519, ed448, mldsa65
 *   dns=NAME, ip=ADDRESS, usage=client|server, hash=sha1, from=SECONDS, to=SECONDS (of now), chain
 * or NAME.crl, a list of the issuer's with
 *   crl=NAME,NAME     those that are revoked, "none", or a number of serial numbers that nobody has
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <glib.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>

static const char *directory;

#define CHECK(call)                                                              \
	do {                                                                     \
		int r_ = (call);                                                 \
		if (r_ < 0) {                                                    \
			fprintf(stderr, "%s: %s\n", #call, gnutls_strerror(r_)); \
			exit(EXIT_FAILURE);                                      \
		}                                                                \
	} while (0)

static char *path(const char *name, const char *suffix)
{
	return g_strdup_printf("%s/%s.%s", directory, name, suffix);
}

static void save(const char *name, const char *suffix, const char *mode, const gnutls_datum_t *data)
{
	g_autofree char *file = path(name, suffix);
	FILE *out = fopen(file, mode);

	if (!out || fwrite(data->data, 1, data->size, out) != data->size || fclose(out) != 0) {
		perror(file);
		exit(EXIT_FAILURE);
	}
}

static gnutls_datum_t load(const char *name, const char *suffix)
{
	g_autofree char *file = path(name, suffix);
	gnutls_datum_t data;

	CHECK(gnutls_load_file(file, &data));
	return data;
}

static gnutls_x509_crt_t load_certificate(const char *name)
{
	gnutls_datum_t data = load(name, "pem");
	gnutls_x509_crt_t crt;

	CHECK(gnutls_x509_crt_init(&crt));
	CHECK(gnutls_x509_crt_import(crt, &data, GNUTLS_X509_FMT_PEM));
	return crt;
}

static gnutls_privkey_t load_key(const char *name)
{
	gnutls_datum_t data = load(name, "key");
	gnutls_privkey_t key;

	CHECK(gnutls_privkey_init(&key));
	CHECK(gnutls_privkey_import_x509_raw(key, &data, GNUTLS_X509_FMT_PEM, NULL, 0));
	return key;
}

/* The value of the word that begins with @name, NULL for none. */
static const char *value(char **words, const char *name)
{
	for (; *words; words++)
		if (g_str_has_prefix(*words, name))
			return *words + strlen(name);
	return NULL;
}

static time_t at(char **words, const char *name, long otherwise)
{
	const char *seconds = value(words, name);

	return time(NULL) + (seconds ? strtol(seconds, NULL, 10) : otherwise);
}

static gnutls_privkey_t make_key(const char *kind)
{
	static const struct {
		const char *name, *algorithm;
	} kinds[] = {{"ec", "EC/ECDSA"},	 {"rsa", "RSA"},
		     {"rsa-pss", "RSA-PSS"},	 {"ed25519", "EdDSA (Ed25519)"},
		     {"ed448", "EdDSA (Ed448)"}, {"mldsa65", "ML-DSA-65"}};
	g_auto(GStrv) parts = g_strsplit(kind ? kind : "ec", ":", 2);
	gnutls_pk_algorithm_t pk = GNUTLS_PK_UNKNOWN;
	unsigned int bits = parts[1] ? (unsigned int)atoi(parts[1]) : 0;
	gnutls_privkey_t key;

	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
		if (strcmp(parts[0], kinds[i].name) == 0)
			pk = gnutls_pk_get_id(kinds[i].algorithm);
	if (pk == GNUTLS_PK_UNKNOWN) /* one that this GnuTLS does not know */
		_exit(77);
	if (pk == GNUTLS_PK_ECDSA && !bits)
		bits = GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1);
	CHECK(gnutls_privkey_init(&key));
	if (gnutls_privkey_generate(key, pk, bits, 0) == GNUTLS_E_UNSUPPORTED_SIGNATURE_ALGORITHM)
		_exit(77); /* known by name only */
	return key;
}

static void save_key(const char *name, gnutls_privkey_t key)
{
	gnutls_x509_privkey_t x509;
	gnutls_datum_t pem;

	CHECK(gnutls_privkey_export_x509(key, &x509));
	CHECK(gnutls_x509_privkey_export2_pkcs8(x509, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN,
						&pem));
	save(name, "key", "w", &pem);
}

static void set_names(gnutls_x509_crt_t crt, char **words)
{
	for (; *words; words++) {
		unsigned char address[16];

		if (g_str_has_prefix(*words, "dns=")) {
			CHECK(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME,
								   *words + 4,
								   (unsigned int)strlen(*words + 4),
								   GNUTLS_FSAN_APPEND));
		} else if (g_str_has_prefix(*words, "ip=")) {
			bool v6 = strchr(*words, ':');

			inet_pton(v6 ? AF_INET6 : AF_INET, *words + 3, address);
			CHECK(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS,
								   address, v6 ? 16 : 4,
								   GNUTLS_FSAN_APPEND));
		}
	}
}

static void make_certificate(const char *name, char **words)
{
	const char *issuer = value(words, "issuer="), *usage = value(words, "usage=");
	gnutls_privkey_t key = make_key(value(words, "key="));
	gnutls_privkey_t signer = issuer ? load_key(issuer) : key;
	bool ca = g_strv_contains((const char *const *)words, "ca");
	unsigned char serial[16];
	gnutls_x509_crt_t crt;
	gnutls_pubkey_t pub;
	gnutls_datum_t pem;

	CHECK(gnutls_x509_crt_init(&crt));
	CHECK(gnutls_pubkey_init(&pub));
	CHECK(gnutls_pubkey_import_privkey(pub, key, 0, 0));
	CHECK(gnutls_x509_crt_set_pubkey(crt, pub));
	CHECK(gnutls_x509_crt_set_version(crt, 3));
	CHECK(gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial)));
	serial[0] = 1;
	CHECK(gnutls_x509_crt_set_serial(crt, serial, sizeof(serial)));
	CHECK(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
					    (unsigned int)strlen(name)));
	CHECK(gnutls_x509_crt_set_activation_time(crt, at(words, "from=", -3600)));
	CHECK(gnutls_x509_crt_set_expiration_time(crt, at(words, "to=", 86400L * 30)));
	CHECK(gnutls_x509_crt_set_basic_constraints(crt, ca, -1));
	set_names(crt, words);
	if (usage)
		CHECK(gnutls_x509_crt_set_key_purpose_oid(crt,
							  *usage == 'c' ? GNUTLS_KP_TLS_WWW_CLIENT
									: GNUTLS_KP_TLS_WWW_SERVER,
							  0));
	CHECK(gnutls_x509_crt_privkey_sign(crt, issuer ? load_certificate(issuer) : crt, signer,
					   value(words, "hash=sha1") ? GNUTLS_DIG_SHA1
								     : GNUTLS_DIG_UNKNOWN,
					   0));
	CHECK(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem));
	save(name, "pem", "w", &pem);
	if (issuer && g_strv_contains((const char *const *)words, "chain")) {
		gnutls_datum_t chain = load(issuer, "pem");

		save(name, "pem", "a", &chain);
	}
	save_key(name, key);
}

static void make_crl(const char *name, const char *revoked, char **words)
{
	const char *issuer = value(words, "issuer=");
	g_auto(GStrv) names = g_strsplit(revoked, ",", -1);
	long many = strtol(revoked, NULL, 10);
	gnutls_x509_crl_t crl;
	gnutls_datum_t pem;
	char number = 1;

	CHECK(gnutls_x509_crl_init(&crl));
	CHECK(gnutls_x509_crl_set_version(crl, 2));
	CHECK(gnutls_x509_crl_set_this_update(crl, at(words, "from=", -3600)));
	CHECK(gnutls_x509_crl_set_next_update(crl, at(words, "to=", 86400L * 30)));
	CHECK(gnutls_x509_crl_set_number(crl, &number, 1));
	for (uint32_t i = 0; i < (uint32_t)many; i++) {
		uint32_t serial[4] = {1, 2, i, i};

		CHECK(gnutls_x509_crl_set_crt_serial(crl, serial, sizeof(serial), time(NULL)));
	}
	for (char **one = names; !many && *one; one++)
		if (strcmp(*one, "none") != 0)
			CHECK(gnutls_x509_crl_set_crt(crl, load_certificate(*one), time(NULL)));
	CHECK(gnutls_x509_crl_privkey_sign(crl, load_certificate(issuer), load_key(issuer),
					   GNUTLS_DIG_SHA256, 0));
	CHECK(gnutls_x509_crl_export2(crl, GNUTLS_X509_FMT_PEM, &pem));
	save(name, "crl", "w", &pem);
}

int main(int argc, char **argv)
{
	const char *revoked;

	if (argc < 3)
		return EXIT_FAILURE;
	directory = argv[1];
	revoked = value(argv + 3, "crl=");
	if (revoked)
		make_crl(argv[2], revoked, argv + 3);
	else
		make_certificate(argv[2], argv + 3);
	_exit(EXIT_SUCCESS); /* nothing is freed, which a sanitizer would mind */
}
