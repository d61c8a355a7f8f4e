/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes that the broker kills, and does not wait for. */
#pragma once

#include <systemd/sd-event.h>

/**
 * reap_killed() - kill a process, and have the loop note when it is gone, if it is a child of ours.
 * @pidfd: taken over
 *
 * A process that waits for a disk dies when that answers, which may take our next handshake.
 */
void reap_killed(sd_event *event, int pidfd);
