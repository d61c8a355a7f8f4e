/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From one broker to the next, by systemd: what is kept there all the time, and how it is taken over. */
#pragma once

#include <systemd/sd-event.h>

#include "netlink/upcall.h"
#include "tlshd/broker/job.h"
#include "tlshd/broker/pool.h"

/*
 * systemd keeps these descriptors over a restart of the service, whether it was asked for or the broker
 * was killed, and closes them when the service has ended for good:
 *
 *   kernel       the socket that is in the group, so that the kernel goes on queueing
 *   ledger-*     the jobs that are in workers (handover.h)
 *   queue-*      the end that is read of the queue that a broker fills when it stops
 *   worker-*     for each worker the broker's end of its socket, and its pidfd (pool-worker.c)
 *
 * So a worker whose service has ended for good sees its socket closed, and ends.
 */
struct heritage;

/** heritage_open() - what systemd has kept; before anything else is opened. */
struct heritage *heritage_open(void);

/** heritage_free() - what systemd keeps stays there. NULL is fine. */
void heritage_free(struct heritage *h);

/** heritage_kernel() - for upcall_open(), which takes it; -1 for none. @h may be NULL. */
int heritage_kernel(struct heritage *h);

/**
 * heritage_take() - take over workers and jobs, and have systemd keep ours from now on.
 *
 * What waits in a queue comes in @event's loop.
 *
 * Return: 0 or a negative errno.
 */
int heritage_take(struct heritage *h, sd_event *event, const struct upcall *kernel,
		  struct jobs *jobs, struct pool *pool);

/** heritage_taken() - we take the kernel's requests, nobody else has to. */
void heritage_taken(struct heritage *h);

/** heritage_queue() - the end that is written of ours, borrowed. */
int heritage_queue(const struct heritage *h);
