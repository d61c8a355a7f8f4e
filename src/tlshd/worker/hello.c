// SPDX-License-Identifier: GPL-2.0-or-later
/* A peer's ClientHello: collected before GnuTLS sees it, for what it offers. */
#include "tlshd/worker/hello.h"

#include <errno.h>
#include <string.h>

#include "tlshd/worker/plain.h"

#define MESSAGE_HEADER 4
#define MESSAGE_CLIENT_HELLO 1
#define EXTENSION_PRE_SHARED_KEY 41
#define EXTENSION_SUPPORTED_VERSIONS 43
#define EXTENSION_PSK_MODES 45
#define PSK_DHE_KE 1
#define TLS_1_3 0x0304

void hello_init(struct hello *h)
{
	memset(h, 0, sizeof(*h));
	h->message = g_byte_array_new();
	h->refused = (struct outcome)OUTCOME_INIT;
}

void hello_clear(struct hello *h)
{
	if (h->message)
		g_byte_array_unref(h->message);
	memset(h, 0, sizeof(*h));
}

size_t hello_wanted(const struct hello *h)
{
	if (h->complete || h->refused.cause != CAUSE_SUCCESS)
		return 0;
	return h->body_left ? h->body_left : RECORD_HEADER - h->header_len;
}

static size_t be16(const uint8_t *p)
{
	return (size_t)p[0] << 8 | p[1];
}

static int refuse_by(struct hello *h, enum cause cause, int alert, const char *detail)
{
	outcome_set(&h->refused, cause, detail ? "%s" : NULL, detail);
	h->refused.alert_sent = alert;
	return -EPROTO;
}

static int refuse(struct hello *h, enum cause cause, const char *detail)
{
	return refuse_by(h, cause, cause_info(cause)->alert, detail);
}

/* The whole of the only alert that can come here. */
static int refuse_alert(struct hello *h)
{
	g_autofree char *name = NULL;

	if (h->message->len < 2)
		return refuse(h, CAUSE_UNEXPECTED_MESSAGE, "an alert cut short");
	if (h->message->data[1] == GNUTLS_A_CLOSE_NOTIFY)
		return refuse_by(h, CAUSE_PEER_CLOSED, CAUSE_NO_ALERT, "before its ClientHello");
	name = outcome_alert_name(h->message->data[1]);
	return refuse(h, CAUSE_PEER_ALERT, name);
}

/* A record's header is whole: what follows it? (RFC 8446, 5.1) */
static int begin_record(struct hello *h)
{
	size_t len = be16(h->header + 3);
	enum cause cause = plain_cause(h->header);

	if (cause != CAUSE_SUCCESS)
		return refuse(h, h->records ? CAUSE_NOT_TLS : cause,
			      h->records ? "behind a part of a ClientHello" : NULL);
	if (h->header[0] == RECORD_ALERT && len == 2 && !h->records) {
		h->body_left = len;
		return 0;
	}
	if (h->header[0] == RECORD_CHANGE_CIPHER_SPEC)
		return refuse(h, CAUSE_UNEXPECTED_MESSAGE,
			      h->records ? "a ChangeCipherSpec within its ClientHello"
					 : "it begins with a ChangeCipherSpec");
	if (h->header[0] != RECORD_HANDSHAKE)
		return refuse(h, CAUSE_UNEXPECTED_MESSAGE, "a record that is not of a ClientHello");
	if (!len)
		return refuse(h, CAUSE_UNEXPECTED_MESSAGE, "an empty record");
	if (len > RECORD_MAX)
		return refuse_by(h, CAUSE_ILLEGAL_PARAMETER, GNUTLS_A_RECORD_OVERFLOW,
				 "a record of more than 16384 bytes");
	if (++h->records > HELLO_RECORDS_MAX)
		return refuse(h, CAUSE_TOO_MANY_RECORDS, NULL);
	h->body_left = len;
	return 0;
}

/* What there is of the message has grown: can it still become a ClientHello? */
static int check_message(struct hello *h)
{
	const GByteArray *m = h->message;

	if (h->header[0] == RECORD_ALERT)
		return h->body_left ? 0 : refuse_alert(h);
	if (m->data[0] != MESSAGE_CLIENT_HELLO)
		return refuse(h, CAUSE_UNEXPECTED_MESSAGE, "its first message is no ClientHello");
	if (m->len < MESSAGE_HEADER)
		return 0;
	h->total = MESSAGE_HEADER + ((size_t)m->data[1] << 16 | be16(m->data + 2));
	if (h->total > HELLO_MAX)
		return refuse(h, CAUSE_HELLO_TOO_LONG, NULL);
	/* It ends with its record, for a change of keys may follow. */
	if (m->len + h->body_left > h->total)
		return refuse(h, CAUSE_UNEXPECTED_MESSAGE, "more than a ClientHello in a record");
	h->complete = m->len == h->total;
	return 0;
}

int hello_add(struct hello *h, const void *bytes, size_t len)
{
	if (h->body_left) {
		g_byte_array_append(h->message, bytes, (guint)len);
		h->body_left -= len;
		return check_message(h);
	}
	memcpy(h->header + h->header_len, bytes, len);
	h->header_len += len;
	if (h->header_len < RECORD_HEADER)
		return 0;
	h->header_len = 0;
	return begin_record(h);
}

/* opaque identity<1..2^16-1>; uint32 obfuscated_ticket_age. Return: the index of ours, or -1. */
static int read_identities(struct hello_offer *offer, const uint8_t *data, size_t rest)
{
	int ours = -1;

	while (rest > 2) {
		size_t len = be16(data);

		if (2 + len + 4 > rest)
			break;
		if (ours < 0 && !(be16(data + 2 + len) | be16(data + 2 + len + 2))) {
			ours = (int)offer->n_identities;
			offer->identity.data = (void *)(data + 2);
			offer->identity.size = (unsigned int)len;
		}
		offer->n_identities++;
		data += 2 + len + 4;
		rest -= 2 + len + 4;
	}
	return ours;
}

/* PskBinderEntry: opaque<32..255>. Return: how many there are. */
static size_t read_binders(struct hello_offer *offer, const uint8_t *data, size_t rest, int ours)
{
	size_t n = 0;

	while (rest > 0 && 1 + (size_t)data[0] <= rest) {
		if ((int)n == ours) {
			offer->binder.data = (void *)(data + 1);
			offer->binder.size = data[0];
		}
		n++;
		rest -= 1 + (size_t)data[0];
		data += 1 + (size_t)data[0];
	}
	return n;
}

static void read_psk(struct hello_offer *offer, const uint8_t *data, size_t size,
		     const GByteArray *message)
{
	size_t identities, binders;
	int ours;

	if (size < 2)
		return;
	identities = be16(data);
	if (identities > size - 2)
		return;
	ours = read_identities(offer, data + 2, identities);
	data += 2 + identities;
	size -= 2 + identities;
	if (size < 2)
		return;
	binders = be16(data);
	offer->before_binders.data = message->data;
	offer->before_binders.size = (unsigned int)(data - message->data);
	offer->psk_last = binders == size - 2 && data + size == message->data + message->len &&
			  read_binders(offer, data + 2, binders, ours) == offer->n_identities;
}

struct reading {
	struct hello_offer *offer;
	const GByteArray *message;
};

static int read_extension(void *ctx, unsigned int type, const unsigned char *data,
			  unsigned int size)
{
	struct reading *r = ctx;
	struct hello_offer *offer = r->offer;

	switch (type) {
	case HELLO_MAX_FRAGMENT_LENGTH:
		offer->short_records = true;
		break;
	case HELLO_RECORD_SIZE_LIMIT:
		offer->short_records |= size == 2 && be16(data) < RECORD_MAX + 1;
		break;
	case EXTENSION_PRE_SHARED_KEY:
		read_psk(offer, data, size, r->message);
		break;
	case EXTENSION_SUPPORTED_VERSIONS:
		for (unsigned int i = 1; i + 2 <= size; i += 2)
			offer->tls13 |= be16(data + i) == TLS_1_3;
		break;
	case EXTENSION_PSK_MODES:
		offer->psk_modes = true;
		for (unsigned int i = 1; i < size; i++)
			offer->psk_dhe |= data[i] == PSK_DHE_KE;
		break;
	default:
		break;
	}
	return 0;
}

void hello_read(const struct hello *h, struct hello_offer *offer)
{
	struct reading r = {offer, h->message};
	gnutls_datum_t body;

	memset(offer, 0, sizeof(*offer));
	if (!h->complete || h->message->len <= MESSAGE_HEADER)
		return;
	body.data = h->message->data + MESSAGE_HEADER;
	body.size = h->message->len - MESSAGE_HEADER;
	if (gnutls_ext_raw_parse(&r, read_extension, &body, GNUTLS_EXT_RAW_FLAG_TLS_CLIENT_HELLO) <
	    0) {
		memset(offer, 0, sizeof(*offer)); /* nothing is looked up for a malformed one */
		return;
	}
	offer->well_formed = true;
}
