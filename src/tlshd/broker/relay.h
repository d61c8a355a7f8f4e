/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between two brokers: a process that takes the kernel's requests, and leaves them to the second. */
#pragma once

#include "netlink/upcall.h"
#include "tlshd/broker/job.h"

/**
 * relay_start() - fork it. The broker may go on taking requests for a while.
 * @kernel: a connection of its own, of upcall_open_second(): two processes with one socket would take each
 *	other's answers. The relay's from now on, also on failure
 * @jobs: all that the broker has; not handed over yet
 * @queue: the end that is written; the next broker says relay_end() on the other
 *
 * The kernel queues only a handful of requests, and it takes systemd longer than that to start a broker.
 * If nobody can read the queue any more, because systemd has given up its end, there is no next broker:
 * then the relay tells the kernel that all of @jobs, and all that it has taken, have failed.
 *
 * Return: 0 or a negative errno.
 */
int relay_start(struct upcall *kernel, struct jobs *jobs, int queue);

/** relay_end() - the next broker takes requests itself. @queue: the end that is read. */
void relay_end(int queue);
