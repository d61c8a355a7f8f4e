/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a worker may say of a job, by the job's side and state: one table. */
#pragma once

#include <stdbool.h>

#include "netlink/upcall.h"
#include "tlshd/broker/job.h"
#include "tlshd/shared/ipc.h"

/**
 * order_next() - the state of a job after a worker's message about it.
 *
 * Return: the state, or -EPROTO when a worker may not say that now: it is to be ended.
 */
int order_next(enum ipc_type type, enum handshake_side side, enum job_state state);

/** order_may_succeed() - may a DONE that ends a job in @state report success? It has had its key. */
bool order_may_succeed(enum handshake_side side, enum job_state state);
