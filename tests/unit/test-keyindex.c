// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of the index of a keyring, with keys of the type user in a keyring of our own. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <keyutils.h>
#include <cmocka.h>

#include "tlshd/broker/keyindex.h"

static key_serial ring;

static uint64_t now(void)
{
	return (uint64_t)g_get_monotonic_time();
}

static int set_up(void **state)
{
	if (keyring_session_private() < 0)
		return -1;
	ring = add_key("keyring", "test-keyindex", NULL, 0, KEY_SPEC_SESSION_KEYRING);
	return ring > 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	return keyctl_clear(ring) < 0;
}

static key_serial add(const char *identity)
{
	key_serial key = add_key("user", identity, "x", 1, ring);

	assert_true(key > 0);
	return key;
}

static void only_the_exact_identity_is_found(void **state)
{
	struct keyindex *x = keyindex_new(ring, "user");
	key_serial ten = add("nqn.io-10"), one = add("nqn.io-1");

	assert_int_equal(keyindex_lookup(x, "nqn.io-1", now()), one);
	assert_int_equal(keyindex_lookup(x, "nqn.io-10", now()), ten);
	assert_int_equal(keyindex_lookup(x, "nqn.io-", now()), -ENOKEY);
	assert_int_equal(keyindex_lookup(x, "n", now()), -ENOKEY);
	assert_int_equal(keyindex_lookup(x, "", now()), -ENOKEY);
	assert_int_equal(keyindex_lookup(x, "nqn.io-100", now()), -ENOKEY);
	assert_int_equal(keyindex_known(x, "nqn.io-1"), one);
	assert_int_equal(keyindex_known(x, "nqn.io-"), 0);
	keyindex_free(x);
}

static void keys_of_another_type_are_not_found(void **state)
{
	struct keyindex *x = keyindex_new(ring, "psk");

	add("nqn.io-1");
	assert_int_equal(keyindex_lookup(x, "nqn.io-1", now()), -ENOKEY);
	keyindex_free(x);
}

static void a_key_revoked_before_it_was_seen_is_named(void **state)
{
	struct keyindex *x = keyindex_new(ring, "user");

	keyctl_revoke(add("a"));
	assert_int_equal(keyindex_lookup(x, "a", now()), -EKEYREVOKED);
	assert_int_equal(keyindex_lookup(x, "b", now()), -ENOKEY);
	assert_int_equal(keyindex_lookup(x, "a", now()), -EKEYREVOKED);
	assert_int_equal(keyindex_lookup(x, "a", now()), -EKEYREVOKED);
	add("a");
	assert_true(keyindex_lookup(x, "a", now()) > 0);
	keyindex_free(x);
}

static void change_is_seen_by_what_began_after_it(void **state)
{
	struct keyindex *x = keyindex_new(ring, "user");
	key_serial old = add("a"), fresh;

	assert_int_equal(keyindex_lookup(x, "a", now()), old);
	assert_int_equal(keyctl_unlink(old, ring), 0);
	assert_int_equal(keyindex_lookup(x, "a", now()), -ENOKEY);
	fresh = add("a");
	assert_int_not_equal(fresh, old);
	assert_int_equal(keyindex_lookup(x, "a", now()), fresh);
	add("b");
	assert_int_equal(keyindex_lookup(x, "a", now()), fresh);
	assert_true(keyindex_lookup(x, "b", now()) > 0);
	keyindex_free(x);
}

static void replaced_key_is_seen_though_the_number_of_keys_is_the_same(void **state)
{
	struct keyindex *x = keyindex_new(ring, "user");
	key_serial a = add("a"), b;

	assert_int_equal(keyindex_lookup(x, "a", now()), a);
	keyctl_unlink(a, ring);
	b = add("b");
	assert_int_equal(keyindex_lookup(x, "a", now()), -ENOKEY);
	assert_int_equal(keyindex_lookup(x, "b", now()), b);
	keyindex_free(x);
}

static void what_began_before_the_last_reading_costs_no_other(void **state)
{
	struct keyindex *x = keyindex_new(ring, "user");
	uint64_t before = now() - 1;
	key_serial a = add("a");

	assert_int_equal(keyindex_lookup(x, "a", before), a);
	add("b"); /* the reading is older than this */
	assert_int_equal(keyindex_lookup(x, "b", before), -ENOKEY);
	assert_true(keyindex_lookup(x, "b", now()) > 0);
	keyindex_free(x);
}

static void keyring_that_is_gone_is_an_error(void **state)
{
	key_serial gone = add_key("keyring", "gone", NULL, 0, ring);
	struct keyindex *x = keyindex_new(gone, "user");

	assert_int_equal(keyctl_revoke(gone), 0);
	assert_int_equal(keyindex_lookup(x, "a", now()), -EKEYREVOKED);
	keyindex_free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(only_the_exact_identity_is_found, tear_down),
		cmocka_unit_test_teardown(keys_of_another_type_are_not_found, tear_down),
		cmocka_unit_test_teardown(a_key_revoked_before_it_was_seen_is_named, tear_down),
		cmocka_unit_test_teardown(change_is_seen_by_what_began_after_it, tear_down),
		cmocka_unit_test_teardown(replaced_key_is_seen_though_the_number_of_keys_is_the_same,
					  tear_down),
		cmocka_unit_test_teardown(what_began_before_the_last_reading_costs_no_other,
					  tear_down),
		cmocka_unit_test_teardown(keyring_that_is_gone_is_an_error, tear_down),
	};

	return cmocka_run_group_tests_name("keyindex", tests, set_up, NULL);
}
