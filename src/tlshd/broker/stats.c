// SPDX-License-Identifier: GPL-2.0-or-later
/* What the broker counts, and tells systemd. */
#include "tlshd/broker/stats.h"

#include <glib.h>
#include <systemd/sd-daemon.h>

void stats_count(struct stats *s, bool success)
{
	if (success)
		s->succeeded++;
	else
		s->failed++;
}

void stats_notify(struct stats *s, unsigned int in_flight)
{
	uint64_t t = (uint64_t)g_get_monotonic_time();

	if (t - s->notified < G_USEC_PER_SEC)
		return;
	s->notified = t;
	sd_notifyf(0,
		   "STATUS=%" G_GUINT64_FORMAT " handshakes succeeded, %" G_GUINT64_FORMAT
		   " failed, %u in flight",
		   s->succeeded, s->failed, in_flight);
}
