// SPDX-License-Identifier: GPL-2.0-or-later
/* Another daemon in our network namespace: the kernel gives each request to whoever asks first. */
#include "tlshd/broker/rival.h"

#include <stdbool.h>
#include <glib.h>

/* What libnl makes of a process number. */
#define PORT_PID(port) ((port)&0x3fffff)

const char *rival_text(const struct upcall *kernel)
{
	static gint64 looked_at; /* usec, monotonic */
	static char text[160];
	static int others;
	gint64 now = g_get_monotonic_time();
	uint32_t port;

	if (!looked_at || now - looked_at >= G_USEC_PER_SEC) {
		looked_at = now;
		others = upcall_others(kernel, &port);
		if (others > 0)
			g_snprintf(text, sizeof(text),
				   "another daemon takes some of the requests of this network namespace (process %u, if its netlink port %u tells)",
				   PORT_PID(port), port);
	}
	return others > 0 ? text : NULL;
}
