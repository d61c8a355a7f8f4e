/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Taking requests off the kernel's queue; and a thread that does nothing else. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "netlink/upcall.h"

/**
 * struct accepted - an ACCEPT that brought a request, or failed.
 * @error: 0 or a negative errno; -EBADMSG: malformed, @why says how, it has been failed and forgotten;
 *	-EMFILE: there may be more, and we have no descriptor for one
 * @req: as of upcall_accept()
 * @keyring: the keyring it belongs to, 0 when unknown
 */
struct accepted {
	int error;
	const char *why;
	struct upcall_request req;
	int32_t keyring;
};

/**
 * accept_all() - ACCEPT until the kernel has no request left, or says no many times in a row.
 * @used: the caller's memory of whether the process keyring of its thread may have something in it
 * @taken: called for each
 *
 * Takes no lock, and logs nothing. Where there is no descriptor for one more it stays in the kernel's
 * queue: an ACCEPT that finds the table full fails the request on the spot, which the target does not
 * survive in a request's first moments, see job_finish().
 */
void accept_all(struct upcall *h, bool *used, void (*taken)(void *ctx, const struct accepted *),
		void *ctx);

/** accept_close() - close the socket of a request, and so make room for another. */
void accept_close(int sockfd);

/*
 * The kernel queues ten requests on a machine of 4 GiB and drops the connections beyond. A broker
 * that is on a CPU which is kept from running for a few milliseconds, by an interrupt or by the
 * hypervisor, loses them; a second thread at the same priority is on another. It shares the broker's
 * socket for READYs, and the kernel wakes it only when the broker has been woken and does not wait
 * any more (EPOLLEXCLUSIVE).
 *
 * It has a process keyring of its own, for the kernel makes one for each thread that has none when
 * it begins: so its ACCEPTs do not disturb the broker's.
 */
struct acceptor;

/**
 * acceptor_start() - start the thread. To be called before this process uses its process keyring,
 * and after the broker has begun to wait for READYs, for the kernel wakes the first one first.
 * @kernel: a connection of its own; taken over, also on failure
 * @taken: called in @event's loop for each request
 * @emptied: called there after the last of several
 *
 * Return: 0 or a negative errno.
 */
int acceptor_start(struct acceptor **out, sd_event *event, struct upcall *kernel,
		   void (*taken)(void *ctx, const struct accepted *), void (*emptied)(void *ctx),
		   void *ctx);

/** acceptor_stop() - end the thread, hand over what it has taken. NULL is fine. */
void acceptor_stop(struct acceptor *a);

/**
 * acceptor_pause(), acceptor_resume() - around a fork(): the thread is between two pieces of work
 * and holds no lock that the child would wait for without end. NULL is fine.
 */
void acceptor_pause(struct acceptor *a);
void acceptor_resume(struct acceptor *a);
