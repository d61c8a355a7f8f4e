// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzzes the collection of a ClientHello: the first byte is the size of the pieces it comes in. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tlshd/worker/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GPtrArray) offered = NULL;
	size_t piece, want, n;
	struct hello_offer what;
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
		if (h.raw->len > HELLO_MAX)
			abort();
	}
	n = hello_identities(&h, &offered, &what);
	if (!offered || offered->len > HELLO_IDENTITIES_MAX || offered->len > n ||
	    (!what.well_formed && (n || what.tls13 || what.psk_modes || what.psk_dhe)))
		abort();
	hello_clear(&h);
	return 0;
}
