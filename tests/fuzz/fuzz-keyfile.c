// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzzes key files: every line is something, and a change touches its own line only. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/keyfile.h"

#define IDENTITY "NVMe0R01 nqn.h nqn.s"
#define KEY "NVMeTLSkey-1:01:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACtVQoZ:"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t entries_of(const keyfile *kf, const char *identity)
{
	size_t n = 0;

	for (size_t i = 0; i < keyfile_lines(kf); i++) {
		g_auto(keyfile_entry) entry = {0};
		enum keyfile_kind kind = keyfile_line(kf, i, &entry);

		if ((kind == KEYFILE_ENTRY || kind == KEYFILE_CHAP) != (entry.identity != NULL) ||
		    (kind == KEYFILE_BAD) != (entry.why != NULL))
			abort();
		n += kind == KEYFILE_ENTRY && strcmp(entry.identity, identity) == 0;
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(keyfile) kf = keyfile_parse((const char *)data, size);
	const interchange_text text = {KEY};
	g_autoptr(keyfile) with = NULL, without = NULL;
	g_auto(keyfile_entry) last = {0};
	size_t lines = keyfile_lines(kf), entries = entries_of(kf, IDENTITY);

	if (keyfile_get(kf, IDENTITY, &last) != (entries > 0))
		abort();
	keyfile_set(kf, IDENTITY, &text);
	with = keyfile_preview(kf);
	if (entries_of(with, IDENTITY) != 1 || keyfile_lines(with) > lines + 1)
		abort();
	keyfile_remove(kf, IDENTITY);
	without = keyfile_preview(kf);
	if (keyfile_has(without, IDENTITY) || keyfile_lines(without) > lines)
		abort();
	return 0;
}
