// SPDX-License-Identifier: GPL-2.0-or-later
/* Processes that the broker kills, and does not wait for. */
#include "tlshd/broker/reap.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* Fails for one that is not our child. */
static void reap(int pidfd)
{
	siginfo_t info;

	waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
}

static int on_gone(sd_event_source *source, int pidfd, uint32_t events, void *userdata)
{
	reap(pidfd);
	sd_event_source_set_floating(source, false); /* and so frees it */
	return 0;
}

void reap_killed(sd_event *event, int pidfd)
{
	sd_event_source *source = NULL;

	pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
	if (sd_event_add_io(event, &source, pidfd, EPOLLIN, on_gone, NULL) < 0) {
		reap(pidfd);
		close(pidfd);
		return;
	}
	sd_event_source_set_io_fd_own(source, true);
	sd_event_source_set_floating(source, true);
	sd_event_source_unref(source);
}
