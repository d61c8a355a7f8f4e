/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a worker may say of a job, by the job's kind and state: one table. */
#pragma once

#include <stdbool.h>

#include "netlink/upcall.h"
#include "tlshd/broker/job.h"
#include "tlshd/shared/ipc.h"

/* What a job's worker has to do with the broker. */
enum order_rules {
	ORDER_GIVEN =
		1, /* it has been given all that it needs: a client, or one with certificates */
	ORDER_ASKS, /* it asks for the key of an identity */
};

/** order_rules() - the rules for a job. */
enum order_rules order_rules(enum handshake_side side, enum handshake_auth auth);

/**
 * order_next() - the state of a job after a worker's message about it.
 *
 * Return: the state, or -EPROTO when a worker may not say that now: it is to be ended.
 */
int order_next(enum ipc_type type, enum order_rules rules, enum job_state state);

/** order_may_succeed() - may a DONE that ends a job in @state report success? It has had its key. */
bool order_may_succeed(enum order_rules rules, enum job_state state);
