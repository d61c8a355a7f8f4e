// SPDX-License-Identifier: GPL-2.0-or-later
/* A peer's ClientHello: collected before GnuTLS sees it, for the identities it offers. */
#include "tlshd/worker/hello.h"

#include <errno.h>
#include <string.h>
#include <gnutls/gnutls.h>

#define RECORD_HEADER 5
#define RECORD_HANDSHAKE 22
#define RECORD_MAX 16384
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
	h->raw = g_byte_array_new();
	h->wanted = RECORD_HEADER;
}

void hello_clear(struct hello *h)
{
	if (h->raw)
		g_byte_array_unref(h->raw);
	memset(h, 0, sizeof(*h));
}

size_t hello_wanted(const struct hello *h)
{
	return h->complete ? 0 : h->wanted - h->raw->len;
}

static size_t be16(const uint8_t *p)
{
	return (size_t)p[0] << 8 | p[1];
}

/* The handshake message, its records' headers taken out. */
static GByteArray *message_of(const struct hello *h)
{
	GByteArray *out = g_byte_array_sized_new(h->raw->len);

	for (size_t at = 0; at + RECORD_HEADER <= h->raw->len;) {
		size_t len = be16(h->raw->data + at + 3);

		at += RECORD_HEADER;
		len = MIN(len, h->raw->len - at);
		g_byte_array_append(out, h->raw->data + at, (guint)len);
		at += len;
	}
	return out;
}

/* A record's header is whole: what follows it? */
static int record_begun(struct hello *h, const uint8_t *header)
{
	size_t len = be16(header + 3);

	if (header[0] != RECORD_HANDSHAKE || header[1] != 3 || !len || len > RECORD_MAX) {
		h->complete = true; /* GnuTLS knows the right alert */
		return 0;
	}
	h->wanted = h->raw->len + len;
	return h->wanted > HELLO_MAX ? -EMSGSIZE : 0;
}

/* A record is whole: is the message? */
static int record_ended(struct hello *h)
{
	g_autoptr(GByteArray) message = message_of(h);
	size_t total;

	if (message->len >= 1 && message->data[0] != MESSAGE_CLIENT_HELLO) {
		h->complete = true;
		return 0;
	}
	if (message->len >= MESSAGE_HEADER) {
		total = MESSAGE_HEADER + ((size_t)message->data[1] << 16 | be16(message->data + 2));
		if (total > HELLO_MAX)
			return -EMSGSIZE;
		if (message->len >= total) {
			h->complete = true;
			return 0;
		}
	}
	h->wanted = h->raw->len + RECORD_HEADER;
	return h->wanted > HELLO_MAX ? -EMSGSIZE : 0;
}

int hello_add(struct hello *h, const void *bytes, size_t len)
{
	g_byte_array_append(h->raw, bytes, (guint)len);
	if (h->raw->len < h->wanted)
		return 0;
	h->in_body = !h->in_body;
	return h->in_body ? record_begun(h, h->raw->data + h->raw->len - RECORD_HEADER)
			  : record_ended(h);
}

struct offer {
	GPtrArray *list;
	size_t n;
	struct hello_offer what;
};

/* opaque identity<1..2^16-1>; uint32 obfuscated_ticket_age; again and again. */
static void take_identities(struct offer *offer, const unsigned char *data, unsigned int size)
{
	size_t rest;

	if (size < 2)
		return;
	rest = be16(data);
	if (rest > size - 2)
		return;
	data += 2;
	while (rest > 2) {
		size_t len = be16(data);

		if (2 + len + 4 > rest)
			break;
		if (offer->list->len < HELLO_IDENTITIES_MAX)
			g_ptr_array_add(offer->list, g_bytes_new(data + 2, len));
		offer->n++;
		data += 2 + len + 4;
		rest -= 2 + len + 4;
	}
}

static int take_extension(void *ctx, unsigned int type, const unsigned char *data,
			  unsigned int size)
{
	struct offer *offer = ctx;

	switch (type) {
	case EXTENSION_PRE_SHARED_KEY:
		take_identities(offer, data, size);
		break;
	case EXTENSION_SUPPORTED_VERSIONS:
		for (unsigned int i = 1; i + 2 <= size; i += 2)
			offer->what.tls13 |= be16(data + i) == TLS_1_3;
		break;
	case EXTENSION_PSK_MODES:
		offer->what.psk_modes = true;
		for (unsigned int i = 1; i < size; i++)
			offer->what.psk_dhe |= data[i] == PSK_DHE_KE;
		break;
	default:
		break;
	}
	return 0;
}

size_t hello_identities(const struct hello *h, GPtrArray **out, struct hello_offer *what)
{
	g_autoptr(GByteArray) message = message_of(h);
	struct offer offer = {
		.list = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref)};
	gnutls_datum_t body;

	*out = offer.list;
	memset(what, 0, sizeof(*what));
	if (message->len <= MESSAGE_HEADER || message->data[0] != MESSAGE_CLIENT_HELLO)
		return 0;
	body.data = message->data + MESSAGE_HEADER;
	body.size = message->len - MESSAGE_HEADER;
	if (gnutls_ext_raw_parse(&offer, take_extension, &body,
				 GNUTLS_EXT_RAW_FLAG_TLS_CLIENT_HELLO) < 0) {
		g_ptr_array_set_size(offer.list, 0); /* nothing is looked up for a malformed one */
		return 0;
	}
	*what = offer.what;
	what->well_formed = true;
	return offer.n;
}
