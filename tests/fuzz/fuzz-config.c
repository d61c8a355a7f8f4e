// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzzes the configuration file; what it says of it may hold no byte that forges a log line. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "tlshd/shared/config.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(int priority, const char *line)
{
	if (strpbrk(line, "\n\r\033"))
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	log_set_sink(check_line);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	g_autoptr(GError) error = NULL;
	g_autoptr(config) c = config_parse("fuzz", NULL, text, size, &error);

	if (!c != (error != NULL))
		abort();
	if (error && strpbrk(error->message, "\n\r\033"))
		abort();
	if (c && (c->loglevel < 0 || c->loglevel > 9 || c->workers < 0 || !c->keyrings))
		abort();
	return 0;
}
