/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A worker: holds the bytes that came from the network, and no right of its own. */
#pragma once

#include <stdnoreturn.h>
#include <sys/types.h>

#include "tlshd/shared/config.h"

/**
 * worker_main() - be a worker, in a process that the broker has just forked.
 * @sock: its end of the ipc pair; every other descriptor above stderr is closed
 * @settings: the configuration, as it was at the fork
 * @uid, @gid: whom to become
 *
 * Gives up every right, then runs handshakes until the broker's end closes.
 */
noreturn void worker_main(int sock, const config *settings, uid_t uid, gid_t gid);

/**
 * worker_main_started() - be a worker, in a process that systemd has started for a broker.
 *
 * Its standard input is the socket on which the broker sends the settings, and the one to work on.
 */
noreturn void worker_main_started(void);
