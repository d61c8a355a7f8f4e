// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of the index of revoked certificates. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <glib.h>
#include <gnutls/abstract.h>

#include "tlshd/shared/memfile.h"
#include "tlshd/shared/revoked.h"

static gnutls_x509_privkey_t key;

static gnutls_x509_crt_t certificate(const char *name, gnutls_x509_crt_t issuer,
				     const uint8_t *serial, size_t len)
{
	gnutls_x509_crt_t crt;
	time_t now = time(NULL);

	assert_int_equal(gnutls_x509_crt_init(&crt), 0);
	gnutls_x509_crt_set_version(crt, 3);
	gnutls_x509_crt_set_key(crt, key);
	gnutls_x509_crt_set_serial(crt, serial, len);
	gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
				      (unsigned int)strlen(name));
	gnutls_x509_crt_set_activation_time(crt, now - 60);
	gnutls_x509_crt_set_expiration_time(crt, now + 3600);
	gnutls_x509_crt_set_basic_constraints(crt, !issuer, -1);
	assert_int_equal(gnutls_x509_crt_sign2(crt, issuer ? issuer : crt, key, GNUTLS_DIG_SHA256,
					       0),
			 0);
	return crt;
}

/* Appends a list of the issuer's to @pem. */
static void list(GString *pem, gnutls_x509_crt_t issuer, gnutls_x509_crt_t *revoked, size_t n,
		 time_t next)
{
	gnutls_x509_crl_t crl;
	gnutls_datum_t text;

	assert_int_equal(gnutls_x509_crl_init(&crl), 0);
	gnutls_x509_crl_set_version(crl, 2);
	gnutls_x509_crl_set_this_update(crl, time(NULL) - 7200);
	gnutls_x509_crl_set_next_update(crl, time(NULL) + next);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(gnutls_x509_crl_set_crt(crl, revoked[i], time(NULL)), 0);
	assert_int_equal(gnutls_x509_crl_sign2(crl, issuer, key, GNUTLS_DIG_SHA256, 0), 0);
	assert_int_equal(gnutls_x509_crl_export2(crl, GNUTLS_X509_FMT_PEM, &text), 0);
	g_string_append_len(pem, (const char *)text.data, text.size);
	gnutls_free(text.data);
	gnutls_x509_crl_deinit(crl);
}

static int index_of(const GString *pem, unsigned int *lists, unsigned int *outdated)
{
	const gnutls_datum_t text = {(unsigned char *)pem->str, (unsigned int)pem->len};

	return revoked_index(&text, lists, outdated);
}

#define SERIAL(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

static void certificate_is_known_by_issuer_and_serial(void **state)
{
	static const uint8_t longest[20] = {0x7f, 1, 2, 3, 4, 5, 6, 7, 8, 9, [19] = 1};
	gnutls_x509_crt_t ca = certificate("ca", NULL, SERIAL(1));
	gnutls_x509_crt_t other = certificate("other ca", NULL, SERIAL(1));
	gnutls_x509_crt_t revoked[] = {certificate("a", ca, SERIAL(5)),
				       certificate("b", ca, SERIAL(0, 0xff)),
				       certificate("c", ca, longest, sizeof(longest))};
	gnutls_x509_crt_t theirs = certificate("d", other, SERIAL(7));
	const struct {
		gnutls_x509_crt_t crt;
		int is_revoked;
	} rows[] = {
		{revoked[0], 1},
		{revoked[1], 1},
		{revoked[2], 1},
		{theirs, 1},
		{certificate("a", other, SERIAL(5)), 0}, /* by the name and number of another's */
		{certificate("a", ca, SERIAL(7)), 0},
		{certificate("a", ca, SERIAL(5, 0)), 0},
		{certificate("a", ca, SERIAL(0x7f)), 0},
		{ca, 0},
	};
	g_autoptr(GString) pem = g_string_new(NULL);
	unsigned int lists, outdated;
	gnutls_datum_t index;
	int fd;

	list(pem, ca, revoked, G_N_ELEMENTS(revoked), 3600);
	list(pem, other, &theirs, 1, -3600);
	fd = index_of(pem, &lists, &outdated);
	assert_true(fd >= 0);
	assert_int_equal(lists, 2);
	assert_int_equal(outdated, 1);
	assert_int_equal(memfile_map(fd, &index), 0);
	assert_int_equal(index.size, 4 * REVOKED_ENTRY);
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		if (revoked_has(&index, rows[i].crt) != rows[i].is_revoked)
			fail_msg("row %zu", i);
	for (size_t i = 4; i < G_N_ELEMENTS(rows); i++)
		gnutls_x509_crt_deinit(rows[i].crt);
	for (size_t i = 0; i < G_N_ELEMENTS(revoked); i++)
		gnutls_x509_crt_deinit(revoked[i]);
	gnutls_x509_crt_deinit(theirs);
	gnutls_x509_crt_deinit(other);
	memfile_unmap(&index);
	close(fd);
}

static void list_of_nobody_revokes_nobody(void **state)
{
	gnutls_x509_crt_t ca = certificate("ca", NULL, SERIAL(1));
	g_autoptr(GString) pem = g_string_new(NULL);
	unsigned int lists, outdated;
	gnutls_datum_t index;
	int fd;

	list(pem, ca, NULL, 0, 3600);
	fd = index_of(pem, &lists, &outdated);
	assert_true(fd >= 0);
	assert_int_equal(lists, 1);
	assert_int_equal(outdated, 0);
	assert_int_equal(memfile_map(fd, &index), 0);
	assert_int_equal(index.size, 0);
	assert_int_equal(revoked_has(&index, ca), 0);
	gnutls_x509_crt_deinit(ca);
	close(fd);
}

/* None of these may be taken for a list that revokes nobody. */
static void what_is_no_list_is_none(void **state)
{
	gnutls_x509_crt_t ca = certificate("ca", NULL, SERIAL(1));
	g_autoptr(GString) good = g_string_new(NULL), half = g_string_new(NULL);
	GString *const texts[] = {g_string_new(""), g_string_new("nonsense\n"), half,
				  g_string_new("-----BEGIN X509 CRL-----\nAAAA\n"
					       "-----END X509 CRL-----\n")};
	unsigned int lists, outdated;

	list(good, ca, &ca, 1, 3600);
	g_string_append_len(half, good->str, (gssize)good->len / 2);
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		if (index_of(texts[i], &lists, &outdated) != -EBADMSG)
			fail_msg("text %zu", i);
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		if (texts[i] != half)
			g_string_free(texts[i], TRUE);
	gnutls_x509_crt_deinit(ca);
}

static int make_key(void **state)
{
	return gnutls_x509_privkey_init(&key) < 0 ||
	       gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
					    GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1),
					    0) < 0;
}

static int free_key(void **state)
{
	gnutls_x509_privkey_deinit(key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(certificate_is_known_by_issuer_and_serial),
		cmocka_unit_test(list_of_nobody_revokes_nobody),
		cmocka_unit_test(what_is_no_list_is_none),
	};

	return cmocka_run_group_tests(tests, make_key, free_key);
}
