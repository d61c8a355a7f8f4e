// SPDX-License-Identifier: GPL-2.0-or-later
/* How a handshake went: what a worker reports in DONE, and what the broker makes of it. */
#include "tlshd/shared/outcome.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <gnutls/gnutls.h>

void outcome_set(struct outcome *o, enum cause cause, const char *format, ...)
{
	va_list args;

	o->cause = cause;
	o->detail[0] = '\0';
	if (!format)
		return;
	va_start(args, format);
	vsnprintf(o->detail, sizeof(o->detail), format, args);
	va_end(args);
}

char *outcome_alert_name(int alert)
{
	const char *name = gnutls_alert_get_strname((gnutls_alert_description_t)alert);

	if (!name)
		return g_strdup_printf("%d", alert);
	if (g_str_has_prefix(name, "GNUTLS_A_"))
		name += strlen("GNUTLS_A_");
	return g_ascii_strdown(name, -1);
}
