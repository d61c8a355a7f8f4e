// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzzes the collection of a ClientHello: the first byte is the size of the pieces it comes in. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tlshd/worker/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(const struct hello *h, const gnutls_datum_t *part)
{
	if (part->data && (part->data < h->message->data ||
			   part->data + part->size > h->message->data + h->message->len))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hello_offer offer;
	size_t piece, want;
	struct hello h;

	if (size < 1)
		return 0;
	piece = *data++ + 1u;
	size--;
	hello_init(&h);
	while ((want = hello_wanted(&h)) > 0 && size > 0) {
		size_t len = MIN(MIN(want, piece), size);
		/* of exactly this size, for the sanitizer to see what is read beyond it */
		g_autofree uint8_t *bytes = g_malloc(len);

		memcpy(bytes, data, len);
		data += len;
		size -= len;
		if (hello_add(&h, bytes, len) < 0)
			break;
		if (h.message->len > HELLO_MAX || h.records > HELLO_RECORDS_MAX)
			abort();
	}
	hello_read(&h, &offer);
	if (h.complete && h.refused.cause != CAUSE_SUCCESS)
		abort();
	if (!offer.well_formed && (offer.n_identities || offer.tls13 || offer.psk_modes))
		abort();
	check_inside(&h, &offer.identity);
	check_inside(&h, &offer.binder);
	check_inside(&h, &offer.before_binders);
	hello_clear(&h);
	return 0;
}
