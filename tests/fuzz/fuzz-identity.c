// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzzes identities: what is taken apart is put together the same, and the hashes agree. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/identity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	g_auto(nvme_identity) id = {0}, strict = {0};
	const char *why = NULL;

	if (nvme_identity_split(text, &id, &why) < 0) {
		if (!why || id.hostnqn || nvme_identity_parse(text, &strict, NULL) != -EINVAL)
			abort();
		identity_hash(text);
		return 0;
	}
	g_autofree char *again = nvme_identity_format(&id);

	if (strcmp(text, again) != 0 || identity_hash(text) != (int)id.hash)
		abort();
	if (nvme_identity_parse(text, &strict, NULL) == 0 &&
	    strcmp(strict.hostnqn, id.hostnqn) != 0)
		abort();
	return 0;
}
