// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of what a worker may say of a job, and when. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glib.h>

#include "tlshd/broker/order.h"

#define G ORDER_GIVEN
#define A ORDER_ASKS
#define NO (-EPROTO)

static const enum ipc_type types[] = {IPC_JOB,	      IPC_KEY,	  IPC_RAN,  IPC_LOOKUP, IPC_DONE,
				      IPC_LOG,	      IPC_BIRTH,  IPC_BORN, IPC_DROP,	IPC_RING,
				      IPC_CREDENTIAL, IPC_LOADED, IPC_DESK, IPC_GRANT,	IPC_SIGN,
				      IPC_SIGNED,     IPC_REFUSED};

/* What is not here is not allowed. */
static int expected(enum ipc_type type, enum order_rules rules, enum job_state state)
{
	bool in_worker = state >= JOB_HANDED && state < JOB_ENDED;

	if (type == IPC_RAN)
		return state == JOB_HANDED ? JOB_BEGUN : NO;
	if (type == IPC_LOOKUP)
		return rules == A && (state == JOB_HANDED || state == JOB_BEGUN) ? JOB_ASKING : NO;
	if (type == IPC_DONE)
		return in_worker && (rules == A || state <= JOB_BEGUN) ? JOB_ENDED : NO;
	return NO;
}

static void each_message_has_its_time(void **state)
{
	static const enum order_rules rules[] = {G, A};

	for (size_t t = 0; t < G_N_ELEMENTS(types); t++)
		for (size_t i = 0; i < 2; i++)
			for (enum job_state s = JOB_NEW; s <= JOB_ENDED; s++)
				assert_int_equal(order_next(types[t], rules[i], s),
						 expected(types[t], rules[i], s));
}

static void rules_that_do_not_exist_allow_nothing(void **state)
{
	for (size_t t = 0; t < G_N_ELEMENTS(types); t++)
		for (enum job_state s = JOB_NEW; s <= JOB_ENDED; s++)
			assert_int_equal(order_next(types[t], 0, s), NO);
}

static void success_needs_a_key(void **state)
{
	for (enum job_state s = JOB_HANDED; s <= JOB_ENDED; s++) {
		assert_int_equal(order_may_succeed(A, s), s == JOB_KEYED);
		assert_int_equal(order_may_succeed(G, s), s == JOB_HANDED || s == JOB_BEGUN);
	}
}

static void only_a_target_with_pre_shared_keys_asks(void **state)
{
	assert_int_equal(order_rules(HANDSHAKE_SERVER, HANDSHAKE_PSK), A);
	assert_int_equal(order_rules(HANDSHAKE_CLIENT, HANDSHAKE_PSK), G);
	assert_int_equal(order_rules(HANDSHAKE_SERVER, HANDSHAKE_X509), G);
	assert_int_equal(order_rules(HANDSHAKE_CLIENT, HANDSHAKE_X509), G);
	assert_int_equal(order_rules(HANDSHAKE_CLIENT, HANDSHAKE_UNAUTH), G);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_message_has_its_time),
		cmocka_unit_test(rules_that_do_not_exist_allow_nothing),
		cmocka_unit_test(success_needs_a_key),
		cmocka_unit_test(only_a_target_with_pre_shared_keys_asks),
	};

	return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
