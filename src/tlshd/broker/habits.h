/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What our clients have learned of servers: how many session tickets each sends behind its Finished. */
#pragma once

#include <stdint.h>
#include <sys/socket.h>

/* Servers that are remembered; the one that was learned first goes first. */
#define HABITS_MAX 1024
/*
 * How long a server is taken for what it was: long enough for all queues of a controller, and no longer
 * than a host waits before it connects again. So a target that is replaced by another one at the same
 * address costs one failed attempt at most.
 */
#define HABITS_USEC (10 * UINT64_C(1000000))

struct habits;

/** habits_new() - none known; to be freed by habits_free(), which takes NULL as well. */
struct habits *habits_new(void);
void habits_free(struct habits *h);

/**
 * habits_tickets() - how many session tickets does the server at @peer send?
 * @peer: of AF_INET or AF_INET6; of any other family none is known
 * @now: usec, monotonic
 *
 * Return: their number, -1 when that is not known.
 */
int habits_tickets(const struct habits *h, const struct sockaddr *peer, uint64_t now);

/** habits_learn() - it has sent @tickets just now; -1 for nothing learned. */
void habits_learn(struct habits *h, const struct sockaddr *peer, int tickets, uint64_t now);
