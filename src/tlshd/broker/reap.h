/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Children of the broker that are killed, and that nobody waits for. */
#pragma once

#include <systemd/sd-event.h>

/**
 * reap_killed() - kill a child, and let the loop note when it is gone.
 * @pidfd: of a child of ours; taken over
 *
 * A process that waits for a disk dies when that answers, which may take our next handshake.
 */
void reap_killed(sd_event *event, int pidfd);
