// SPDX-License-Identifier: GPL-2.0-or-later
/* Advisory locks that are not waited for forever. */
#include "common/lock.h"

#include <errno.h>
#include <sys/file.h>
#include <glib.h>

#define WAIT_USEC (10 * G_USEC_PER_SEC)
#define STEP_USEC 5000

int lock_wait(int fd, int operation)
{
	gint64 end = g_get_monotonic_time() + WAIT_USEC;

	for (;;) {
		if (flock(fd, operation | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (g_get_monotonic_time() >= end)
			return -EWOULDBLOCK;
		g_usleep(STEP_USEC);
	}
}
