// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of what nvme-tls list finds wrong with keys, and of the key that the host chooses. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "nvme-tls/rows.h"

#define D256 "4IOYNS/rg/PX4rbiebj0LCEBFQ1X5IMI1GlO5s/yS7w="
#define E256 "BOvuFx6+m9BCA/zhpuZQxMQRoPuUVv8OUiigLaQt0AI="

static GPtrArray *rows_new(const char *const *identities)
{
	GPtrArray *rows = g_ptr_array_new_with_free_func((GDestroyNotify)key_row_free);

	for (int i = 0; identities[i]; i++) {
		key_row *row = key_row_new(i + 1, identities[i]);

		row->length = row->malformed ? 32 : (int)psk_hash_size(row->id.hash);
		g_ptr_array_add(rows, row);
	}
	return rows;
}

/* The kernel's search: the first key that begins with the text. */
static int first(const char *text, void *data)
{
	GPtrArray *rows = data;

	for (guint i = 0; i < rows->len; i++) {
		key_row *row = g_ptr_array_index(rows, i);

		if (key_row_usable(row) && g_str_has_prefix(row->identity, text))
			return row->serial;
	}
	return -ENOKEY;
}

static void examine(GPtrArray *rows)
{
	rows_examine(rows, first, rows);
}

static bool chosen(GPtrArray *rows, guint i)
{
	return ((key_row *)g_ptr_array_index(rows, i))->chosen;
}

/* Whether a problem of row @i has @text in it; NULL: whether it has any. */
static bool says(GPtrArray *rows, guint i, const char *text)
{
	key_row *row = g_ptr_array_index(rows, i);

	for (guint p = 0; p < row->problems->len; p++)
		if (!text ||
		    strstr(((key_problem *)g_ptr_array_index(row->problems, p))->text, text))
			return true;
	return false;
}

static void single_key_is_chosen_without_a_word(void **state)
{
	g_autoptr(GPtrArray) rows = rows_new((const char *[]){"NVMe0R01 nqn.h nqn.s", NULL});

	examine(rows);
	assert_true(chosen(rows, 0));
	assert_false(says(rows, 0, NULL));
}

static void host_prefers_retained_then_version_then_hash(void **state)
{
	g_autoptr(GPtrArray) rows = rows_new((const char *[]){
		"NVMe1G01 nqn.h nqn.s " D256, "NVMe0R02 nqn.h nqn.s", "NVMe0R01 nqn.h nqn.s",
		"NVMe1R01 nqn.h nqn.s " D256, NULL});

	examine(rows);
	assert_true(chosen(rows, 3));
	for (guint i = 0; i < 3; i++) {
		assert_false(chosen(rows, i));
		assert_true(says(rows, i, "it takes 0x00000004"));
	}
	g_ptr_array_remove_index(rows, 3);
	for (guint i = 0; i < 3; i++)
		((key_row *)g_ptr_array_index(rows, i))->chosen = false;
	examine(rows);
	assert_true(chosen(rows, 1));
	assert_false(chosen(rows, 0));
	assert_false(chosen(rows, 2));
}

static void several_of_one_kind_are_told(void **state)
{
	g_autoptr(GPtrArray) rows = rows_new((const char *[]){"NVMe1R01 nqn.h nqn.s " D256,
							      "NVMe1R01 nqn.h nqn.s " E256, NULL});

	examine(rows);
	assert_true(chosen(rows, 0));
	assert_true(says(rows, 0, "one of 2 of its kind"));
	assert_true(says(rows, 1, "it takes 0x00000001"));
}

static void key_behind_a_longer_nqn_is_told(void **state)
{
	g_autoptr(GPtrArray) rows = rows_new((const char *[]){"NVMe0R01 nqn.h nqn.io-10",
							      "NVMe0R01 nqn.h nqn.io-1", NULL});

	examine(rows);
	assert_true(chosen(rows, 0));
	assert_false(says(rows, 0, NULL));
	assert_false(chosen(rows, 1));
	assert_true(says(rows, 1, "shadowed: the host takes 0x00000001 of nqn.io-10"));
}

static void key_before_a_longer_nqn_is_warned_of(void **state)
{
	g_autoptr(GPtrArray) rows = rows_new((const char *[]){"NVMe0R01 nqn.h nqn.io-1",
							      "NVMe0R01 nqn.h nqn.io-10", NULL});

	examine(rows);
	assert_true(chosen(rows, 0));
	assert_true(says(rows, 0, "that is chance"));
	assert_true(chosen(rows, 1));
	assert_false(says(rows, 1, NULL));
}

static void better_key_of_a_longer_nqn_shadows(void **state)
{
	g_autoptr(GPtrArray) rows = rows_new((const char *[]){
		"NVMe0R01 nqn.h nqn.io-1", "NVMe1R01 nqn.h nqn.io-10 " D256, NULL});

	examine(rows);
	assert_false(chosen(rows, 0));
	assert_true(says(rows, 0, "shadowed: the host takes 0x00000002"));
}

static void another_host_does_not_shadow(void **state)
{
	g_autoptr(GPtrArray) rows = rows_new((const char *[]){"NVMe0R01 nqn.h2 nqn.s",
							      "NVMe0R01 nqn.h nqn.s", NULL});

	examine(rows);
	assert_true(chosen(rows, 0));
	assert_true(chosen(rows, 1));
	assert_false(says(rows, 0, NULL));
	assert_false(says(rows, 1, NULL));
}

static void revoked_key_is_not_chosen(void **state)
{
	g_autoptr(GPtrArray) rows = rows_new((const char *[]){"NVMe1R01 nqn.h nqn.s " D256,
							      "NVMe0R01 nqn.h nqn.s", NULL});

	((key_row *)g_ptr_array_index(rows, 0))->status.revoked = true;
	examine(rows);
	assert_true(says(rows, 0, "revoked"));
	assert_false(chosen(rows, 0));
	assert_true(chosen(rows, 1));
}

static void length_that_does_not_fit_is_told(void **state)
{
	g_autoptr(GPtrArray) rows = rows_new((const char *[]){"NVMe0R01 nqn.h nqn.s", NULL});

	((key_row *)g_ptr_array_index(rows, 0))->length = 16;
	examine(rows);
	assert_true(says(rows, 0, "32 bytes, this one has 16"));
}

static void malformed_identity_is_told(void **state)
{
	g_autoptr(GPtrArray) rows = rows_new((const char *[]){"NVMe0R01 nqn.h", "",
							      "NVMe1R01 nqn.h nqn.s AAAA", NULL});

	examine(rows);
	for (guint i = 0; i < rows->len; i++)
		assert_true(says(rows, i, "malformed"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(single_key_is_chosen_without_a_word),
		cmocka_unit_test(host_prefers_retained_then_version_then_hash),
		cmocka_unit_test(several_of_one_kind_are_told),
		cmocka_unit_test(key_behind_a_longer_nqn_is_told),
		cmocka_unit_test(key_before_a_longer_nqn_is_warned_of),
		cmocka_unit_test(better_key_of_a_longer_nqn_shadows),
		cmocka_unit_test(another_host_does_not_shadow),
		cmocka_unit_test(revoked_key_is_not_chosen),
		cmocka_unit_test(length_that_does_not_fit_is_told),
		cmocka_unit_test(malformed_identity_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
