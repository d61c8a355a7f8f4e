/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A second pair of hands: a thread that takes requests off the kernel's queue, and nothing else. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "netlink/handshake.h"

/*
 * The kernel queues ten requests on a machine of 4 GiB and drops the connections beyond. A broker
 * that is on a CPU which is kept from running for a few milliseconds, by an interrupt or by the
 * hypervisor, loses them; a second thread at the same priority is on another.
 *
 * It has a process keyring of its own, for the kernel makes one for each thread that has none when
 * it begins: so its ACCEPTs do not disturb ours.
 */
struct acceptor;

/**
 * struct accepted - a request that the thread has taken.
 * @req: as of handshake_accept()
 * @keyring: the keyring it belongs to, 0 when unknown
 */
struct accepted {
	struct handshake_request req;
	int32_t keyring;
};

/**
 * accept_one() - ACCEPT one request and learn its keyring; what the thread does, and the broker.
 * @used: the caller's memory of whether its process keyring may have something in it
 *
 * A malformed request is logged, failed and forgotten.
 *
 * Return: 0; -EAGAIN when none is queued; another negative errno, logged.
 */
int accept_one(struct handshake *h, bool *used, struct accepted *out);

/**
 * acceptor_start() - start the thread. To be called before this process uses its process keyring.
 * @kernel: a connection of its own; taken over, also on failure
 * @taken: called in @event's loop for each request
 *
 * Return: 0 or a negative errno.
 */
int acceptor_start(struct acceptor **out, sd_event *event, struct handshake *kernel,
		   void (*taken)(void *ctx, const struct accepted *), void *ctx);

/** acceptor_stop() - leave the group, end the thread, hand over what it has taken. NULL is fine. */
void acceptor_stop(struct acceptor *a);
