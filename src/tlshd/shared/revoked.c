// SPDX-License-Identifier: GPL-2.0-or-later
/* Which certificates are revoked: an index that is made of CRLs once, and shared by all workers. */
#include "tlshd/shared/revoked.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <glib.h>
#include <gnutls/crypto.h>

#include "tlshd/shared/memfile.h"

/* RFC 5280, 4.1.2.2 allows 20 bytes; some issuers have more. */
#define SERIAL_MAX 64

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, REVOKED_ENTRY);
}

static int make_entry(const gnutls_datum_t *issuer, const uint8_t *serial, size_t len,
		      uint8_t entry[REVOKED_ENTRY])
{
	gnutls_hash_hd_t hash;
	uint8_t digest[32];

	if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) < 0)
		return -ENOMEM;
	gnutls_hash(hash, issuer->data, issuer->size);
	gnutls_hash(hash, serial, len);
	gnutls_hash_deinit(hash, digest);
	memcpy(entry, digest, REVOKED_ENTRY);
	return 0;
}

static int add_list(GByteArray *index, gnutls_x509_crl_t list)
{
	gnutls_x509_crl_iter_t at = NULL;
	gnutls_datum_t issuer;
	int r = 0;

	if (gnutls_x509_crl_get_raw_issuer_dn(list, &issuer) < 0)
		return -EBADMSG;
	while (r == 0) {
		uint8_t serial[SERIAL_MAX], entry[REVOKED_ENTRY];
		size_t len = sizeof(serial);
		time_t when;

		r = gnutls_x509_crl_iter_crt_serial(list, &at, serial, &len, &when);
		if (r == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			break;
		r = r < 0 ? -EBADMSG : make_entry(&issuer, serial, len, entry);
		if (r == 0)
			g_byte_array_append(index, entry, sizeof(entry));
	}
	gnutls_x509_crl_iter_deinit(at);
	gnutls_free(issuer.data);
	return r == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE ? 0 : r;
}

int revoked_index(const gnutls_datum_t *pem, unsigned int *n_lists, unsigned int *outdated)
{
	g_autoptr(GByteArray) index = g_byte_array_new();
	gnutls_x509_crl_t *lists = NULL;
	time_t now = time(NULL);
	int r;

	*n_lists = *outdated = 0;
	if (gnutls_x509_crl_list_import2(&lists, n_lists, pem, GNUTLS_X509_FMT_PEM, 0) < 0)
		return -EBADMSG;
	r = *n_lists ? 0 : -EBADMSG;
	for (unsigned int i = 0; i < *n_lists; i++) {
		time_t next = gnutls_x509_crl_get_next_update(lists[i]);

		if (next != (time_t)-1 && next < now)
			(*outdated)++;
		if (r == 0)
			r = add_list(index, lists[i]);
		gnutls_x509_crl_deinit(lists[i]);
	}
	gnutls_free(lists);
	if (r < 0)
		return r;
	if (index->len)
		qsort(index->data, index->len / REVOKED_ENTRY, REVOKED_ENTRY, compare);
	return memfile_of_bytes(index->data, index->len);
}

int revoked_has(const gnutls_datum_t *index, gnutls_x509_crt_t certificate)
{
	uint8_t serial[SERIAL_MAX], entry[REVOKED_ENTRY];
	size_t len = sizeof(serial);
	gnutls_datum_t issuer;
	int r;

	if (gnutls_x509_crt_get_serial(certificate, serial, &len) < 0 ||
	    gnutls_x509_crt_get_raw_issuer_dn(certificate, &issuer) < 0)
		return -EBADMSG;
	r = make_entry(&issuer, serial, len, entry);
	gnutls_free(issuer.data);
	if (r < 0 || !index->size)
		return r;
	return bsearch(entry, index->data, index->size / REVOKED_ENTRY, REVOKED_ENTRY, compare) !=
	       NULL;
}
