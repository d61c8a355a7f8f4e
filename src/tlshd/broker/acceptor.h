/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Taking requests off the kernel's queue; and a thread that does nothing else. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "netlink/upcall.h"
#include "tlshd/broker/peer.h"

/**
 * struct accept_mark - which thread sent an ACCEPT, and how often it had slept by then.
 * @second: the acceptor's, not the loop's
 */
struct accept_mark {
	bool second;
	long sleeps;
};

/**
 * struct accepted - an ACCEPT that brought a request, or failed.
 * @error: 0 or a negative errno; -EBADMSG: malformed, @why says how, and where @req.sockfd is not -1
 *	its end is to be reported like any other's; -EMFILE: there may be more, and we have no
 *	descriptor for one
 * @req: as of upcall_accept()
 * @keyring: the keyring it belongs to, 0 when unknown
 * @peer: whom its socket is connected to
 */
struct accepted {
	int error;
	const char *why;
	struct upcall_request req;
	int32_t keyring;
	struct accept_mark mark;
	union peer peer;
};

/**
 * accept_all() - ACCEPT until the kernel has no request left, or refuses many times in a row.
 * @second: we are the acceptor's thread
 * @used: the caller's memory of whether the process keyring of its thread may have something in it
 * @taken: called for each
 *
 * Takes no lock, and logs nothing. Where there is no descriptor for one more it stays in the kernel's
 * queue: an ACCEPT that finds the table full fails the request on the spot, which the target does not
 * survive in a request's first moments, see job_end().
 */
void accept_all(struct upcall *h, bool second, bool *used,
		void (*taken)(void *ctx, const struct accepted *), void *ctx);

/**
 * accept_has_slept() - has the thread that sent this ACCEPT waited without using a CPU since?
 *
 * To be asked in the loop's thread. The acceptor's tells within some milliseconds of its last
 * ACCEPT.
 */
bool accept_has_slept(const struct accept_mark *mark);

/** accept_mark_now() - a mark of the loop's thread as it is now, for a socket that came another way. */
struct accept_mark accept_mark_now(void);

/** accept_has_room() - is there a descriptor for one more request? */
bool accept_has_room(void);

/** accept_keep() - count the socket of a request that came another way; accept_close() closes it. */
void accept_keep(void);

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
 *
 * Whenever this process forks, the thread is between two pieces of work, and holds no lock that the
 * child would wait for without end. There is one acceptor in a process.
 *
 * Return: 0 or a negative errno.
 */
int acceptor_start(struct acceptor **out, sd_event *event, struct upcall *kernel,
		   void (*taken)(void *ctx, const struct accepted *), void *ctx);

/** acceptor_stop() - end the thread, hand over what it has taken. NULL is fine. */
void acceptor_stop(struct acceptor *a);
