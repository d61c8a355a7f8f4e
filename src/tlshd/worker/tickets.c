// SPDX-License-Identifier: GPL-2.0-or-later
/* What a server sends behind its Finished: session tickets, which the kernel's consumer would choke on. */
#include "tlshd/worker/tickets.h"

#include <errno.h>
#include <string.h>
#include <gnutls/crypto.h>

#include "tlshd/worker/verdict.h"

#define TAG 16
#define NONCE 12
#define MESSAGE_HEADER 4
#define MESSAGE_NEW_SESSION_TICKET 4
#define MESSAGE_KEY_UPDATE 24
/* Lifetime, age_add, an empty nonce, a ticket of one byte, no extensions (RFC 8446, 4.6.1). */
#define TICKET_MIN (4 + 4 + 1 + 2 + 1 + 2)
/* TLSCiphertext.length (RFC 8446, 5.2) */
#define SEALED_MAX (RECORD_MAX + 256)

void tickets_init(struct tickets *k, bool certified)
{
	k->record = g_byte_array_new();
	k->message = g_byte_array_new();
	k->certified = certified;
	k->count = 0;
}

void tickets_clear(struct tickets *k)
{
	if (!k->record)
		return;
	g_byte_array_unref(k->record);
	g_byte_array_unref(k->message);
	memset(k, 0, sizeof(*k));
}

bool tickets_are_whole(const struct tickets *k)
{
	return !k->record->len && !k->message->len;
}

static int refuse(struct outcome *why, enum cause cause, int alert, const char *detail)
{
	outcome_set(why, cause, detail ? "%s" : NULL, detail);
	why->alert_sent = alert;
	return -EPROTO;
}

static int refuse_message(struct outcome *why, const char *detail)
{
	return refuse(why, CAUSE_UNEXPECTED_MESSAGE, GNUTLS_A_UNEXPECTED_MESSAGE, detail);
}

/* Opens the record in place (RFC 8446, 5.2 and 5.3). Return: 0 or a negative errno. */
static int open_record(GByteArray *record, gnutls_session_t tls, size_t *len)
{
	gnutls_datum_t mac, iv, key;
	gnutls_aead_cipher_hd_t cipher;
	unsigned char sequence[8];
	uint8_t nonce[NONCE];
	int r;

	if (gnutls_record_get_state(tls, 1, &mac, &iv, &key, sequence) < 0 || iv.size != NONCE)
		return -EIO;
	memcpy(nonce, iv.data, NONCE);
	for (size_t i = 0; i < sizeof(sequence); i++)
		nonce[NONCE - sizeof(sequence) + i] ^= sequence[i];
	if (gnutls_aead_cipher_init(&cipher, gnutls_cipher_get(tls), &key) < 0)
		return -EIO;
	*len = record->len - RECORD_HEADER - TAG;
	r = gnutls_aead_cipher_decrypt(cipher, nonce, NONCE, record->data, RECORD_HEADER, TAG,
				       record->data + RECORD_HEADER, record->len - RECORD_HEADER,
				       record->data + RECORD_HEADER, len);
	gnutls_aead_cipher_deinit(cipher);
	if (r < 0)
		return -EBADMSG;
	for (size_t i = sizeof(sequence); i-- > 0 && !++sequence[i];)
		;
	return gnutls_record_set_state(tls, 1, sequence) < 0 ? -EIO : 0;
}

static int take_messages(struct tickets *k, struct outcome *why)
{
	size_t at = 0;

	while (k->message->len - at >= MESSAGE_HEADER) {
		const uint8_t *m = k->message->data + at;
		size_t len = (size_t)m[1] << 16 | (size_t)m[2] << 8 | m[3];

		if (m[0] == MESSAGE_KEY_UPDATE)
			return refuse_message(why, "a KeyUpdate right behind the handshake");
		if (m[0] != MESSAGE_NEW_SESSION_TICKET)
			return refuse_message(why, "a message right behind the handshake");
		if (len < TICKET_MIN)
			return refuse(why, CAUSE_TLS_ERROR, GNUTLS_A_DECODE_ERROR,
				      "a session ticket cut short");
		if (k->message->len - at < MESSAGE_HEADER + len)
			break;
		if (++k->count > OUTCOME_TICKETS_MAX)
			return refuse(why, CAUSE_TOO_MUCH, GNUTLS_A_UNEXPECTED_MESSAGE,
				      "session tickets without end");
		at += MESSAGE_HEADER + len;
	}
	/* Once a record, not once a message, for a record may have a thousand. */
	if (at)
		g_byte_array_remove_range(k->message, 0, (guint)at);
	return -EAGAIN;
}

static int take_alert(const struct tickets *k, const uint8_t *alert, size_t len,
		      struct outcome *why)
{
	g_autofree char *name = NULL;

	if (len != 2)
		return refuse_message(why, "an alert of another length than 2");
	if (alert[1] == GNUTLS_A_CLOSE_NOTIFY)
		return refuse(why, CAUSE_PEER_CLOSED, CAUSE_NO_ALERT, "right behind the handshake");
	name = outcome_alert_name(alert[1]);
	outcome_set(why,
		    verdict_of(HANDSHAKE_CLIENT, k->certified, GNUTLS_E_FATAL_ALERT_RECEIVED,
			       alert[1])
			    .cause,
		    "the peer sent the alert %s", name);
	why->alert_sent = CAUSE_NO_ALERT;
	return -EPROTO;
}

/* A record is whole. Return: -EAGAIN for the next one, or -EPROTO. */
static int take_record(struct tickets *k, gnutls_session_t tls, struct outcome *why)
{
	const uint8_t *content = k->record->data + RECORD_HEADER;
	size_t len;

	if (k->record->data[0] != RECORD_APPLICATION_DATA || k->record->len < RECORD_HEADER + TAG)
		return refuse_message(why, "a record in the clear behind the handshake");
	switch (open_record(k->record, tls, &len)) {
	case 0:
		break;
	case -EBADMSG:
		return refuse(why, CAUSE_TLS_ERROR, GNUTLS_A_BAD_RECORD_MAC,
			      "a record behind the handshake does not decrypt");
	default:
		return refuse(why, CAUSE_NO_MEMORY, GNUTLS_A_INTERNAL_ERROR,
			      "to open a record behind the handshake");
	}
	while (len && !content[len - 1])
		len--;
	if (!len)
		return refuse_message(why, "a record without a type");
	len--;
	switch (content[len]) {
	case RECORD_HANDSHAKE:
		if (!len)
			return refuse_message(why, "an empty record");
		g_byte_array_append(k->message, content, (guint)len);
		return take_messages(k, why);
	case RECORD_ALERT:
		return take_alert(k, content, len, why);
	case RECORD_APPLICATION_DATA:
		return refuse(why, CAUSE_EARLY_DATA, GNUTLS_A_UNEXPECTED_MESSAGE, NULL);
	default:
		return refuse_message(why, "a record of an unknown type");
	}
}

/* How many bytes the record still lacks; its header first. */
static size_t wanted(const GByteArray *record)
{
	return (record->len < RECORD_HEADER
			? (size_t)RECORD_HEADER
			: RECORD_HEADER + ((size_t)record->data[3] << 8 | record->data[4])) -
	       record->len;
}

int tickets_read(struct tickets *k, struct transport *t, gnutls_session_t tls, struct outcome *why)
{
	uint8_t bytes[2048];
	int r = -EAGAIN;

	while (r == -EAGAIN) {
		size_t want = wanted(k->record);
		ssize_t n;

		if (k->record->len >= RECORD_HEADER && want > SEALED_MAX)
			return refuse(why, CAUSE_TLS_ERROR, GNUTLS_A_RECORD_OVERFLOW,
				      "a record behind the handshake is too long");
		if (want) {
			n = transport_receive(t, bytes, MIN(want, sizeof(bytes)));
			if (n == -EAGAIN)
				return -EAGAIN;
			if (n < 0)
				return refuse(why, t->cause, cause_info(t->cause)->alert, NULL);
			g_byte_array_append(k->record, bytes, (guint)n);
		}
		if (k->record->len < RECORD_HEADER || wanted(k->record))
			continue;
		r = take_record(k, tls, why);
		g_byte_array_set_size(k->record, 0);
	}
	return r;
}
