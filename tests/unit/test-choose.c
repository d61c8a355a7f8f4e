// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of which worker gets the next job, and which one is replaced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glib.h>

#include "tlshd/broker/choose.h"

#define YES true
#define NO false

static void worker_is_chosen_by_the_table(void **state)
{
	static const struct {
		const char *what;
		struct candidate c[3];
		size_t n, turn;
		int expected;
	} rows[] = {
		{"nobody", {{0}}, 0, 0, -1},
		{"nobody takes any", {{NO, 0, 0}, {NO, 0, 0}}, 2, 0, -1},
		{"the one whose turn it is", {{YES, 0, 0}, {YES, 0, 0}}, 2, 0, 0},
		{"and not the first", {{YES, 0, 0}, {YES, 0, 0}}, 2, 1, 1},
		{"a turn of one that is gone", {{YES, 0, 0}, {YES, 0, 0}}, 2, 4, 0},
		{"as long as it keeps up", {{YES, 3, 3}, {YES, 0, 0}}, 2, 0, 0},
		{"the next one when it does not", {{YES, 4, 4}, {YES, 4, 0}}, 2, 0, 1},
		{"the next one when it does not take any", {{NO, 0, 0}, {YES, 9, 3}}, 2, 0, 1},
		{"round the corner", {{YES, 0, 0}, {NO, 0, 0}, {NO, 0, 0}}, 3, 2, 0},
		{"nobody far ahead of the others", {{YES, 4, 0}, {YES, 0, 0}}, 2, 0, 1},
		{"but one that takes no jobs is no measure", {{YES, 9, 0}, {NO, 0, 0}}, 2, 0, 0},
		{"the one least behind", {{YES, 9, 9}, {YES, 7, 7}, {YES, 8, 8}}, 3, 0, 1},
		{"by what it has not run", {{YES, 9, 5}, {YES, 90, 4}, {YES, 9, 6}}, 3, 2, 1},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		int got = choose_worker(rows[i].c, rows[i].n, rows[i].turn);

		if (got != rows[i].expected)
			fail_msg("%s: %d and not %d", rows[i].what, got, rows[i].expected);
	}
}

/* Of @n handshakes every @each one fails; 0 for none. */
static struct record record(unsigned int n, unsigned int each)
{
	struct record r = {0};

	for (unsigned int i = 1; i <= n; i++)
		record_add(&r, each && i % each == 0);
	return r;
}

static void worker_that_fails_alone_is_replaced(void **state)
{
	const struct record r[] = {record(40, 4), record(40, 1), record(40, 0)};

	assert_int_equal(choose_worst(r, 3), 1);
	assert_int_equal(choose_worst(r + 1, 2), 0);
}

static void workers_that_fail_alike_are_left_alone(void **state)
{
	const struct record flood[] = {record(100, 1), record(100, 1)};
	const struct record half[] = {record(100, 1), record(100, 2)};
	const struct record some[] = {record(100, 2), record(100, 0)};
	const struct record few[] = {record(31, 1), record(100, 0)};
	const struct record young[] = {record(100, 1), record(31, 0)};
	const struct record one[] = {record(100, 1)};

	assert_int_equal(choose_worst(flood, 2), -1);
	assert_int_equal(choose_worst(half, 2), 0); /* 16 of 32 are half of 32 */
	assert_int_equal(choose_worst(some, 2), -1);
	assert_int_equal(choose_worst(few, 2), -1);
	assert_int_equal(choose_worst(young, 2), -1);
	assert_int_equal(choose_worst(one, 1), -1);
	assert_int_equal(choose_worst(NULL, 0), -1);
}

static void record_forgets(void **state)
{
	struct record r = record(100, 1);

	for (unsigned int i = 0; i < CHOOSE_WINDOW; i++)
		record_add(&r, false);
	assert_int_equal(r.failed, 0);
	assert_int_equal(r.n, CHOOSE_WINDOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(worker_is_chosen_by_the_table),
		cmocka_unit_test(worker_that_fails_alone_is_replaced),
		cmocka_unit_test(workers_that_fail_alike_are_left_alone),
		cmocka_unit_test(record_forgets),
	};

	return cmocka_run_group_tests_name("choose", tests, NULL, NULL);
}
