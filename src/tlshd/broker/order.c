// SPDX-License-Identifier: GPL-2.0-or-later
/* What a worker may say of a job, by the job's kind and state: one table. */
#include "tlshd/broker/order.h"

#include <errno.h>
#include <glib.h>

#define GIVEN ORDER_GIVEN
#define ASKS ORDER_ASKS

/* Each is said once: who may ask twice could try all identities, and needs only two connections. */
/* clang-format off */
static const struct {
	enum ipc_type type;
	enum order_rules rules;
	enum job_state from, to;
} may[] = {
	{IPC_RAN,    GIVEN,  JOB_HANDED,  JOB_BEGUN},
	{IPC_RAN,    ASKS,   JOB_HANDED,  JOB_BEGUN},
	{IPC_LOOKUP, ASKS,   JOB_HANDED,  JOB_ASKING},
	{IPC_LOOKUP, ASKS,   JOB_BEGUN,   JOB_ASKING},
	{IPC_DONE,   GIVEN,  JOB_HANDED,  JOB_ENDED},
	{IPC_DONE,   GIVEN,  JOB_BEGUN,   JOB_ENDED},
	{IPC_DONE,   ASKS,   JOB_HANDED,  JOB_ENDED},
	{IPC_DONE,   ASKS,   JOB_BEGUN,   JOB_ENDED},
	{IPC_DONE,   ASKS,   JOB_ASKING,  JOB_ENDED},
	{IPC_DONE,   ASKS,   JOB_UNKEYED, JOB_ENDED},
	{IPC_DONE,   ASKS,   JOB_KEYED,   JOB_ENDED},
};
/* clang-format on */

enum order_rules order_rules(enum handshake_side side, enum handshake_auth auth)
{
	return side == HANDSHAKE_SERVER && auth == HANDSHAKE_PSK ? ASKS : GIVEN;
}

int order_next(enum ipc_type type, enum order_rules rules, enum job_state state)
{
	for (size_t i = 0; i < G_N_ELEMENTS(may); i++)
		if (may[i].type == type && may[i].rules == rules && may[i].from == state)
			return may[i].to;
	return -EPROTO;
}

bool order_may_succeed(enum order_rules rules, enum job_state state)
{
	return rules == ASKS ? state == JOB_KEYED : state == JOB_HANDED || state == JOB_BEGUN;
}
