/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A worker: holds the bytes that came from the network, and no right of its own. */
#pragma once

#include <stdnoreturn.h>
#include <sys/types.h>

/** worker_prepare() - read what a worker needs, for those that are forked from now on. */
void worker_prepare(void);

/**
 * worker_main() - be a worker: in a process that the broker has just forked, or systemd has started.
 * @sock: its end of the ipc pair, in which BIRTH waits; every other descriptor above stderr is closed
 * @uid, @gid: whom to become
 *
 * Gives up every right, then runs handshakes until the broker's end closes.
 */
noreturn void worker_main(int sock, uid_t uid, gid_t gid);

/**
 * worker_main_started() - worker_main() in a process that systemd has started for a broker.
 *
 * Its standard input is the connection by which the broker sends the socket to work on.
 */
noreturn void worker_main_started(void);
