// SPDX-License-Identifier: GPL-2.0-or-later
/* What a worker may say of a job, by the job's side and state: one table. */
#include "tlshd/broker/order.h"

#include <errno.h>
#include <glib.h>

#define CLIENT HANDSHAKE_CLIENT
#define SERVER HANDSHAKE_SERVER

/* Each is said once: who may ask twice could try all identities, and needs only two connections. */
/* clang-format off */
static const struct {
	enum ipc_type type;
	enum handshake_side side;
	enum job_state from, to;
} may[] = {
	{IPC_RAN,    CLIENT, JOB_HANDED,  JOB_BEGUN},
	{IPC_RAN,    SERVER, JOB_HANDED,  JOB_BEGUN},
	{IPC_LOOKUP, SERVER, JOB_HANDED,  JOB_ASKING},
	{IPC_LOOKUP, SERVER, JOB_BEGUN,   JOB_ASKING},
	{IPC_DONE,   CLIENT, JOB_HANDED,  JOB_ENDED},
	{IPC_DONE,   CLIENT, JOB_BEGUN,   JOB_ENDED},
	{IPC_DONE,   SERVER, JOB_HANDED,  JOB_ENDED},
	{IPC_DONE,   SERVER, JOB_BEGUN,   JOB_ENDED},
	{IPC_DONE,   SERVER, JOB_ASKING,  JOB_ENDED},
	{IPC_DONE,   SERVER, JOB_UNKEYED, JOB_ENDED},
	{IPC_DONE,   SERVER, JOB_KEYED,   JOB_ENDED},
};
/* clang-format on */

int order_next(enum ipc_type type, enum handshake_side side, enum job_state state)
{
	for (size_t i = 0; i < G_N_ELEMENTS(may); i++)
		if (may[i].type == type && may[i].side == side && may[i].from == state)
			return may[i].to;
	return -EPROTO;
}

bool order_may_succeed(enum handshake_side side, enum job_state state)
{
	return side == SERVER ? state == JOB_KEYED : state == JOB_HANDED || state == JOB_BEGUN;
}
