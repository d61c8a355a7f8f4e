// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of the table that nvme-tls list prints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "nvme-tls/columns.h"

#define UUID_NQN "nqn.2014-08.org.nvmexpress:uuid:befdec4c-2234-11b2-a85c-ca77c773af36"

static const struct column spec[] = {
	{"", false},	    {"SERIAL", false},	     {"EXPIRES", false},
	{"HOST NQN", true}, {"SUBSYSTEM NQN", true},
};

static void add(columns *c, const char *mark, const char *serial, const char *host,
		const char *subsys)
{
	char *cells[] = {g_strdup(mark), g_strdup(serial), g_strdup("never"), g_strdup(host),
			 g_strdup(subsys)};

	columns_add(c, cells);
}

/* What is printed, as lines. */
static char **print(const columns *c)
{
	char *text = NULL, **lines;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	columns_print(c, to);
	fclose(to);
	assert_int_equal(text[size - 1], '\n');
	text[size - 1] = '\0';
	lines = g_strsplit(text, "\n", -1);
	free(text);
	for (size_t i = 0; lines[i]; i++) {
		if (g_str_has_suffix(lines[i], " "))
			fail_msg("blanks at the end of \"%s\"", lines[i]);
		if (g_utf8_strlen(lines[i], -1) > COLUMNS_WIDTH)
			fail_msg("too long: \"%s\"", lines[i]);
	}
	return lines;
}

static void short_names_are_columns(void **state)
{
	g_autoptr(columns) c = columns_new(spec, G_N_ELEMENTS(spec));
	g_auto(GStrv) lines = NULL;

	add(c, "*", "0x00000001", "nqn.host", "nqn.s");
	add(c, "", "0x00000002", "nqn.h", "-");
	lines = print(c);
	assert_int_equal(g_strv_length(lines), 3);
	assert_string_equal(lines[0], "   SERIAL      EXPIRES  HOST NQN  SUBSYSTEM NQN");
	assert_string_equal(lines[1], "*  0x00000001  never    nqn.host  nqn.s");
	assert_string_equal(lines[2], "   0x00000002  never    nqn.h     -");
}

static void long_names_have_lines_of_their_own(void **state)
{
	g_autoptr(columns) c = columns_new(spec, G_N_ELEMENTS(spec));
	g_auto(GStrv) lines = NULL;

	add(c, "*", "0x00000001", UUID_NQN, UUID_NQN);
	add(c, "", "0x00000002", "nqn.h", "-");
	lines = print(c);
	assert_int_equal(g_strv_length(lines), 6);
	assert_string_equal(lines[0], "   SERIAL      EXPIRES");
	assert_string_equal(lines[1], "*  0x00000001  never");
	assert_string_equal(lines[2], "     HOST NQN       " UUID_NQN);
	assert_string_equal(lines[3], "     SUBSYSTEM NQN  " UUID_NQN);
	assert_string_equal(lines[4], "   0x00000002  never");
	assert_string_equal(lines[5], "     HOST NQN       nqn.h");
}

static void notes_are_wrapped_below_their_row(void **state)
{
	g_autoptr(columns) c = columns_new(spec, G_N_ELEMENTS(spec));
	g_autofree char *long_note = g_strnfill(300, 'x');
	g_auto(GStrv) lines = NULL;

	for (int i = 7; i < 300; i += 8)
		long_note[i] = ' ';
	add(c, "", "0x00000001", "nqn.h", "nqn.s");
	columns_note(c, true, long_note);
	columns_note(c, false, "used by nvme0");
	add(c, "", "0x00000002", "nqn.h", "nqn.s");
	lines = print(c);
	assert_int_equal(g_strv_length(lines), 8);
	assert_true(g_str_has_prefix(lines[2], "     ! xxxxxxx xxxxxxx "));
	assert_true(g_str_has_prefix(lines[3], "       xxxxxxx xxxxxxx "));
	assert_string_equal(lines[6], "     used by nvme0");
	assert_true(g_str_has_prefix(lines[7], "   0x00000002"));
}

static void wide_letters_take_two_columns(void **state)
{
	g_autoptr(columns) c = columns_new(spec, G_N_ELEMENTS(spec));
	g_auto(GStrv) lines = NULL;

	add(c, "", "0x00000001", "nqn.\346\227\245\346\234\254", "nqn.s");
	add(c, "", "0x00000002", "nqn.abcd", "nqn.s");
	lines = print(c);
	assert_string_equal(lines[1],
			    "   0x00000001  never    nqn.\346\227\245\346\234\254  nqn.s");
	assert_string_equal(lines[2], "   0x00000002  never    nqn.abcd  nqn.s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_names_are_columns),
		cmocka_unit_test(long_names_have_lines_of_their_own),
		cmocka_unit_test(notes_are_wrapped_below_their_row),
		cmocka_unit_test(wide_letters_take_two_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
