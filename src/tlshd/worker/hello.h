/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A peer's ClientHello: collected before GnuTLS sees it, for what it offers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <glib.h>

#include "tlshd/shared/outcome.h"
#include "tlshd/worker/transport.h"

/* Honest ones stay below 3 KiB, hybrid key shares and two longest NQNs included. */
#define HELLO_MAX (20 * 1024)
/* The smallest fragments that a TLS library can be told to make have 512 bytes. */
#define HELLO_RECORDS_MAX 64

/* Extensions that limit_attach() answers. */
#define HELLO_MAX_FRAGMENT_LENGTH 1
#define HELLO_RECORD_SIZE_LIMIT 28

/**
 * struct hello - a ClientHello on its way.
 * @message: what is there of the handshake message, the records' headers taken out
 * @complete: @message is whole
 * @refused: its cause is set as soon as the bytes can no longer become a ClientHello; alert_sent is
 *	the alert to send
 *
 * A peer that stops half-way costs these bytes and no TLS session. Every byte is copied once.
 */
struct hello {
	GByteArray *message;
	uint8_t header[RECORD_HEADER];
	size_t header_len;
	size_t body_left; /* of the record */
	size_t total; /* bytes of the message; 0 as long as that is unknown */
	unsigned int records;
	bool complete;
	struct outcome refused;
};

/**
 * struct hello_offer - what a complete ClientHello offers; all false for one that is malformed.
 * @tls13: supported_versions has it (RFC 8446, 4.2.1)
 * @psk_modes: psk_key_exchange_modes is there (4.2.9)
 * @psk_dhe: with psk_dhe_ke
 * @psk_last: pre_shared_key is the last extension, as it has to be, with a binder for each identity
 *	(4.2.11)
 * @n_identities: PSK identities that it offers
 * @identity: the one that GnuTLS will take, NULL for none: the first whose obfuscated_ticket_age is
 *	0. RFC 8446 wants the age of an external key's identity ignored, but GnuTLS takes any other
 *	for a ticket, skips it, and never tries a second one
 * @binder: of that identity
 * @before_binders: the part of the message that binders are made of (4.2.11.2)
 * @short_records: it asks for records of less than the usual length, by record_size_limit (RFC 8449)
 *	or max_fragment_length (RFC 6066)
 *
 * Pointers are into the message.
 */
struct hello_offer {
	bool well_formed;
	bool tls13;
	bool psk_modes;
	bool psk_dhe;
	bool psk_last;
	size_t n_identities;
	gnutls_datum_t identity;
	gnutls_datum_t binder;
	gnutls_datum_t before_binders;
	bool short_records;
};

/** hello_init() - an empty one, to be cleared by hello_clear(). */
void hello_init(struct hello *h);
void hello_clear(struct hello *h);

/**
 * hello_wanted() - how many bytes to read next; never reaches beyond the ClientHello, for what
 * follows it may belong to the kernel. 0 when @h is complete or refused.
 */
size_t hello_wanted(const struct hello *h);

/**
 * hello_add() - take @len bytes, at most hello_wanted().
 *
 * Return: 0; -EPROTO when they cannot become a ClientHello, see @h->refused.
 */
int hello_add(struct hello *h, const void *bytes, size_t len);

/** hello_read() - what does the complete ClientHello @h offer? */
void hello_read(const struct hello *h, struct hello_offer *offer);
