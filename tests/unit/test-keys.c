// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of the broker's keyrings, with keys of the type user in keyrings of our own. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <keyutils.h>
#include <cmocka.h>

#include "common/log.h"
#include "tlshd/broker/keys.h"
#include "tests/unit/other-user.h"
#include "tests/unit/skip.h"

#define PRIVATE (KEY_POS_ALL | KEY_USR_ALL)
#define ID "NVMe0R01 nqn.host nqn.io-1"

static char name[64];
static char *names[] = {name, NULL};
static GString *lines;

static void to_lines(int priority, const char *line)
{
	g_string_append_printf(lines, "%s\n", line);
}

static int set_up(void **state)
{
	static unsigned int n;

	snprintf(name, sizeof(name), "test-keys-%d-%u", (int)getpid(), n++);
	lines = g_string_new(NULL);
	log_set_sink(to_lines);
	return keyring_session_private();
}

static int tear_down(void **state)
{
	log_set_sink(NULL);
	g_string_free(lines, TRUE);
	return 0;
}

/*
 * The one of our name, with a key in it. keys_open() leaves this session keyring, and the keyring
 * would go with it: so it is linked into our thread's too.
 */
static key_serial add_keyring(key_perm_t perm)
{
	key_serial ring = add_key("keyring", name, NULL, 0, KEY_SPEC_THREAD_KEYRING);

	assert_true(ring > 0);
	assert_true(add_key("user", ID, "0123456789abcdef0123456789abcdef", 32, ring) > 0);
	assert_int_equal(keyctl_setperm(ring, perm), 0);
	return ring;
}

static int find(struct keys *k)
{
	g_auto(secret) psk = SECRET_INIT;

	return keys_find(k, 0, ID, (uint64_t)g_get_monotonic_time(), &psk);
}

static unsigned int times(const char *text)
{
	unsigned int n = 0;

	for (const char *at = lines->str; (at = strstr(at, text)); at++)
		n++;
	return n;
}

static void key_of_a_configured_keyring_is_found(void **state)
{
	struct keys *k;

	add_keyring(PRIVATE);
	assert_int_equal(keys_open(&k, "user", names), 0);
	assert_true(find(k) > 0);
	assert_string_equal(lines->str, "");
	keys_close(k);
}

static void keyring_that_others_may_change_is_not_used_and_named_once(void **state)
{
	struct keys *k;

	add_keyring(PRIVATE | KEY_OTH_WRITE);
	assert_int_equal(keys_open(&k, "user", names), 0);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(find(k), -ENOKEY);
		keys_configure(k, names);
	}
	assert_int_equal(times("may write to it"), 4); /* once for each time it was configured */
	keys_close(k);
}

static void key_that_comes_after_the_keyring_was_opened_to_others_is_not_used(void **state)
{
	key_serial ring = add_keyring(PRIVATE);
	struct keys *k;

	assert_int_equal(keys_open(&k, "user", names), 0);
	assert_int_equal(keyctl_unlink(find(k), ring), 0);
	assert_int_equal(keyctl_setperm(ring, PRIVATE | KEY_OTH_LINK), 0);
	assert_true(add_key("user", ID, "f123456789abcdef0123456789abcdef", 32, ring) > 0);
	assert_int_equal(find(k), -ENOKEY);
	keys_close(k);
}

static bool plant(void *ctx)
{
	key_serial ring;

	if (keyring_session_private() < 0)
		return false;
	ring = add_key("keyring", name, NULL, 0, KEY_SPEC_SESSION_KEYRING);
	return ring > 0 && add_key("user", ID, "0123456789abcdef0123456789abcdef", 32, ring) > 0 &&
	       keyctl_setperm(ring, 0x3f3f3f3f) == 0;
}

static void key_that_a_local_user_plants_is_not_used(void **state)
{
	struct other_user *other = other_user_start(plant, name, sizeof(name));
	struct keys *k;

	if (!other)
		SKIP_WITHOUT("root");
	assert_int_equal(keys_open(&k, "user", names), 0);
	assert_int_equal(find(k), -ENOKEY);
	assert_int_equal(times("other users own it"), 1);
	keys_close(k);
	other_user_end(other);
}

static void two_keyrings_of_a_name_are_named(void **state)
{
	key_serial around = add_key("keyring", "around", NULL, 0, KEY_SPEC_THREAD_KEYRING);
	struct keys *k;

	add_keyring(PRIVATE);
	assert_true(add_key("keyring", name, NULL, 0, around) > 0);
	assert_int_equal(keys_open(&k, "user", names), 0);
	assert_int_equal(find(k), -ENOKEY);
	assert_int_equal(times("there are several of that name"), 1);
	keys_close(k);
}

static void keyring_that_is_configured_no_more_is_left(void **state)
{
	struct keys *k;
	g_auto(secret) psk = SECRET_INIT;
	key_serial ring = add_keyring(PRIVATE);
	int key;

	assert_int_equal(keys_open(&k, "user", names), 0);
	key = find(k);
	assert_true(key > 0);
	keys_configure(k, NULL);
	assert_int_equal(find(k), -ENOKEY);
	assert_int_equal(keyring_session_only(), 0);
	assert_int_equal(keyctl_unlink(ring, KEY_SPEC_THREAD_KEYRING), 0);
	assert_int_equal(key_read_psk(key, &psk), -EACCES);
	keys_close(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(key_of_a_configured_keyring_is_found, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(keyring_that_others_may_change_is_not_used_and_named_once,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(key_that_comes_after_the_keyring_was_opened_to_others_is_not_used,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(key_that_a_local_user_plants_is_not_used, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(two_keyrings_of_a_name_are_named, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(keyring_that_is_configured_no_more_is_left, set_up,
						tear_down),
	};

	return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
