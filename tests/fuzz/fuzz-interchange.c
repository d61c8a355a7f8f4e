// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzzes the PSK interchange format: what is read is written back the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/interchange.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	g_autofree char *why = NULL;
	interchange ic;
	interchange_text again;

	if (interchange_parse(text, &ic, &why) < 0) {
		if (!why || ic.key.len)
			abort();
		return 0;
	}
	if (interchange_format(ic.hash, &ic.key, &again) < 0)
		abort();
	if (ic.version == 1 && strcmp(text, again.s) != 0)
		abort();
	return 0;
}
