// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of what is remembered of servers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <cmocka.h>

#include "tlshd/broker/habits.h"

static struct sockaddr_in6 v6(uint32_t last, uint16_t port)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	a.sin6_addr.s6_addr32[0] = htonl(0x20010db8);
	a.sin6_addr.s6_addr32[3] = htonl(last);
	return a;
}

static int known(const struct habits *h, uint32_t last, uint16_t port, uint64_t now)
{
	struct sockaddr_in6 a = v6(last, port);

	return habits_tickets(h, (struct sockaddr *)&a, now);
}

static void learn(struct habits *h, uint32_t last, uint16_t port, int tickets, uint64_t now)
{
	struct sockaddr_in6 a = v6(last, port);

	habits_learn(h, (struct sockaddr *)&a, tickets, now);
}

static void each_address_and_port_has_its_own_habit(void **state)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(4420)};
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	struct habits *h = habits_new();

	learn(h, 1, 4420, 2, 5);
	learn(h, 1, 4421, 0, 5);
	habits_learn(h, (struct sockaddr *)&a, 1, 5);
	habits_learn(h, &none, 1, 5);
	assert_int_equal(known(h, 1, 4420, 6), 2);
	assert_int_equal(known(h, 1, 4421, 6), 0);
	assert_int_equal(known(h, 2, 4420, 6), -1);
	assert_int_equal(habits_tickets(h, (struct sockaddr *)&a, 6), 1);
	assert_int_equal(habits_tickets(h, &none, 6), -1);
	habits_free(h);
}

static void the_last_word_counts_and_is_forgotten_in_time(void **state)
{
	struct habits *h = habits_new();

	learn(h, 1, 4420, 2, 0);
	learn(h, 1, 4420, 0, 10);
	learn(h, 1, 4420, -1, 20); /* nothing learned changes nothing */
	assert_int_equal(known(h, 1, 4420, HABITS_USEC + 9), 0);
	assert_int_equal(known(h, 1, 4420, HABITS_USEC + 10), -1);
	habits_free(h);
}

static void a_crowd_of_servers_has_a_limit(void **state)
{
	struct habits *h = habits_new();

	for (uint32_t i = 0; i < HABITS_MAX; i++)
		learn(h, i, 4420, 1, i);
	learn(h, 0, 4420, 3, HABITS_MAX); /* young again */
	learn(h, HABITS_MAX, 4420, 2, HABITS_MAX);
	assert_int_equal(known(h, 0, 4420, HABITS_MAX), 3);
	assert_int_equal(known(h, 1, 4420, HABITS_MAX), -1);
	assert_int_equal(known(h, 2, 4420, HABITS_MAX), 1);
	assert_int_equal(known(h, HABITS_MAX, 4420, HABITS_MAX), 2);
	habits_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_address_and_port_has_its_own_habit),
		cmocka_unit_test(the_last_word_counts_and_is_forgotten_in_time),
		cmocka_unit_test(a_crowd_of_servers_has_a_limit),
	};

	return cmocka_run_group_tests_name("habits", tests, NULL, NULL);
}
