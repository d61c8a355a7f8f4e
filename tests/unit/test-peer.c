// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of peers: their addresses in words, and the sources that a crowd is counted by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>

#include "tlshd/broker/crowd.h"
#include "tlshd/broker/peer.h"

static union peer peer(const char *address, uint16_t port)
{
	union peer p = {.any = {.sa_family = AF_UNSPEC}};

	if (inet_pton(AF_INET, address, &p.v4.sin_addr) == 1) {
		p.v4.sin_family = AF_INET;
		p.v4.sin_port = htons(port);
	} else if (inet_pton(AF_INET6, address, &p.v6.sin6_addr) == 1) {
		p.v6.sin6_family = AF_INET6;
		p.v6.sin6_port = htons(port);
	}
	return p;
}

static void peers_and_sources_have_words(void **state)
{
	static const struct {
		const char *address, *text, *source;
	} rows[] = {
		{"192.0.2.7", "192.0.2.7:4420", "192.0.2.7"},
		{"::ffff:192.0.2.7", "[::ffff:192.0.2.7]:4420", "192.0.2.7"},
		{"2001:db8:1:2:3:4:5:6", "[2001:db8:1:2:3:4:5:6]:4420", "2001:db8:1:2::/64"},
		{"", "a peer without an address", "peers without an address"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		union peer p = peer(rows[i].address, 4420);
		g_autofree char *text = peer_text(&p), *source = peer_source_text(&p);

		assert_string_equal(text, rows[i].text);
		assert_string_equal(source, rows[i].source);
	}
}

static uint64_t source(const char *address, uint16_t port)
{
	union peer p = peer(address, port);

	return peer_source(&p);
}

static void source_is_what_one_sender_can_be(void **state)
{
	assert_true(source("192.0.2.7", 1) == source("192.0.2.7", 2));
	assert_true(source("192.0.2.7", 1) == source("::ffff:192.0.2.7", 1));
	assert_true(source("192.0.2.7", 1) != source("192.0.2.8", 1));
	assert_true(source("2001:db8::1", 1) == source("2001:db8::ffff:1", 2));
	assert_true(source("2001:db8::1", 1) != source("2001:db8:0:1::1", 1));
}

static void crowd_counts_each_source(void **state)
{
	struct crowd *c = crowd_new();

	for (uint64_t i = 0; i < 1000; i++)
		for (uint64_t j = 0; j <= i % 3; j++)
			crowd_enter(c, i);
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(crowd_count(c, i), i % 3 + 1);
	for (uint64_t i = 0; i < 1000; i++)
		crowd_leave(c, i);
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(crowd_count(c, i), i % 3);
	crowd_leave(c, 5000);
	assert_int_equal(crowd_count(c, 5000), 0);
	crowd_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(peers_and_sources_have_words),
		cmocka_unit_test(source_is_what_one_sender_can_be),
		cmocka_unit_test(crowd_counts_each_source),
	};

	return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
