/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which certificates are revoked: an index that is made of CRLs once, and shared by all workers. */
#pragma once

#include <stdbool.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

/*
 * GnuTLS keeps a CRL as a tree of some 90 MB for 100,000 entries, in each process, and walks through it
 * for each certificate. The index is a sorted array of 16 bytes for each entry: the start of the SHA-256
 * of the issuer's name and the serial number.
 */
#define REVOKED_ENTRY 16

/**
 * revoked_index() - make the index of all lists of a file.
 * @pem: CRLs, PEM
 * @lists, @outdated: set to how many there are, and how many of them should have been replaced by now
 *
 * The lists are taken for what the administrator has got from their issuers; their signatures are not
 * checked.
 *
 * Return: a descriptor of a sealed file in memory, see memfile.h; a negative errno, -EBADMSG for what
 * are no CRLs.
 */
int revoked_index(const gnutls_datum_t *pem, unsigned int *lists, unsigned int *outdated);

/**
 * revoked_has() - is a certificate in the index?
 * @index: of a file by revoked_index(), mapped
 *
 * Return: 1 if it is; 0; a negative errno if that cannot be told.
 */
int revoked_has(const gnutls_datum_t *index, gnutls_x509_crt_t certificate);
