/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A peer's ClientHello: collected before GnuTLS sees it, for the identities it offers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <glib.h>

/* Honest ones stay below 3 KiB, hybrid key shares and two longest NQNs included. */
#define HELLO_MAX (20 * 1024)
/* Identities that one ClientHello may have us look up. */
#define HELLO_IDENTITIES_MAX 8

/**
 * struct hello - the bytes of a ClientHello, record headers included.
 * @raw: what came from the peer so far
 * @complete: nothing more is needed: a whole ClientHello, or bytes that cannot become one and
 *	that GnuTLS shall answer
 *
 * A peer that stops half-way costs these bytes and no TLS session.
 */
struct hello {
	GByteArray *raw;
	size_t wanted; /* length of raw at which to look again */
	bool in_body; /* of a record; else in its header */
	bool complete;
};

/** struct hello_offer - what a complete ClientHello offers; all false for one that is malformed. */
struct hello_offer {
	bool well_formed;
	bool tls13; /* supported_versions has it (RFC 8446, 4.2.1) */
	bool psk_modes; /* psk_key_exchange_modes is there (4.2.9) */
	bool psk_dhe; /* with psk_dhe_ke */
};

/** hello_init() - an empty one, to be cleared by hello_clear(). */
void hello_init(struct hello *h);
void hello_clear(struct hello *h);

/**
 * hello_wanted() - how many bytes to read next; never reaches beyond the ClientHello, for what
 * follows it may belong to the kernel. 0 when @h is complete.
 */
size_t hello_wanted(const struct hello *h);

/**
 * hello_add() - take @len bytes, at most hello_wanted().
 *
 * Return: 0; -EMSGSIZE when the peer announces more than HELLO_MAX.
 */
int hello_add(struct hello *h, const void *bytes, size_t len);

/**
 * hello_identities() - the PSK identities that a complete ClientHello offers (RFC 8446, 4.2.11).
 * @out: set to new GBytes, in the peer's order, to be freed by g_ptr_array_unref()
 * @what: filled
 *
 * Return: how many the peer offered, those beyond HELLO_IDENTITIES_MAX not stored; 0 when the
 * message offers none or is malformed, which GnuTLS will find out for itself.
 */
size_t hello_identities(const struct hello *h, GPtrArray **out, struct hello_offer *what);
