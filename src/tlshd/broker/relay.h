/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between two brokers: processes that take the kernel's requests, and leave them to the second. */
#pragma once

#include "netlink/upcall.h"
#include "tlshd/broker/job.h"

/* As many as a broker has threads that take requests: one may be on a CPU that stands still. */
#define RELAYS_MAX 2

/**
 * relay_start() - fork one of at most RELAYS_MAX. The broker may go on taking requests for a while.
 * @kernel: a connection of its own, of upcall_open_second(): two processes with one socket would take each
 *	other's answers. The relay's from now on, also on failure
 * @jobs: all that the broker has, not handed over yet; NULL for a relay that is not the first
 * @queue: the end that is written; the next broker says relay_end() on the other
 *
 * The kernel queues only a handful of requests, and it takes systemd longer than that to start a broker.
 * If nobody can read the queue any more, because systemd has given up its end, there is no next broker:
 * then the relay tells the kernel that all of @jobs, and all that it has taken, have failed.
 *
 * Return: 0 or a negative errno.
 */
int relay_start(struct upcall *kernel, struct jobs *jobs, int queue);

/** relay_end() - the next broker takes requests itself, and all relays end. @queue: the end that is read. */
void relay_end(int queue);
