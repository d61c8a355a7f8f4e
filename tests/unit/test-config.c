// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of tlshd.conf: what is taken, warned of and refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "common/log.h"
#include "tlshd/shared/config.h"

static GString *lines; /* what was logged */

static void keep(int priority, const char *line)
{
	g_string_append_printf(lines, "%d %s\n", priority, line);
}

static config *parse(const char *text, GError **error)
{
	g_string_truncate(lines, 0);
	return config_parse("tlshd.conf", text, strlen(text), error);
}

static void empty_file_gives_the_defaults(void **state)
{
	static const char *const texts[] = {"", "\n", "# only a comment\n", "[debug]\n"};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(config) c = parse(texts[i], &error);

		assert_non_null(c);
		assert_int_equal(c->loglevel, 0);
		assert_int_equal(c->workers, 0);
		assert_false(c->sha384_compat);
		assert_null(c->keyrings[0]);
		assert_string_equal(lines->str, "");
	}
}

static void every_key_is_read(void **state)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(config)
		c = parse("[debug]\nloglevel=9\ntls = 3\nnl=1 \n"
			  "[authenticate]\nkeyrings= a ; .b;;0x1f;\npsk.sha384_compat=true\n"
			  "[tlshd]\nworkers=2\n",
			  &error);

	assert_non_null(c);
	assert_int_equal(c->loglevel, 9);
	assert_int_equal(c->tls_debug, 3);
	assert_int_equal(c->nl_debug, 1);
	assert_true(c->sha384_compat);
	assert_int_equal(c->workers, 2);
	assert_string_equal(c->keyrings[0], "a");
	assert_string_equal(c->keyrings[1], ".b");
	assert_string_equal(c->keyrings[2], "0x1f");
	assert_null(c->keyrings[3]);
	assert_string_equal(lines->str, "");
}

static void file_of_ktls_utils_raises_no_warning(void **state)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(config)
		c = parse("[debug]\nloglevel=0\ntls=0\nnl=0\n\n[authenticate]\n"
			  "keyrings= name1;name2;name3;\n\n[authenticate.client]\n"
			  "x509.truststore= /t\nx509.crl=/l\nx509.certificate= /c\n"
			  "x509.private_key= /k\nx509.pq.certificate=/c\n"
			  "x509.pq.private_key=/k\n[authenticate.server]\n"
			  "x509.truststore= /t\nx509.certificate= /c\nx509.private_key= /k\n",
			  &error);

	assert_non_null(c);
	assert_string_equal(lines->str, "");
}

static void misspelt_word_is_named_with_the_nearest(void **state)
{
	static const struct {
		const char *text, *word, *nearest;
	} cases[] = {
		{"[debgu]\nloglevel=9\n", "debgu", "debug"},
		{"[debug]\nloglvel=9\n", "loglvel", "loglevel"},
		{"[authenticate]\nkeyring=x\n", "keyring", "keyrings"},
		{"[authenticate.client]\nx509.trustsore=/x\n", "x509.trustsore", "x509.truststore"},
		{"[authenticate]\nloglevel=9\n", "loglevel", "[debug]"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(config) c = parse(cases[i].text, &error);

		assert_non_null(c);
		assert_int_equal(c->loglevel, 0);
		assert_true(g_str_has_prefix(lines->str, "4 tlshd.conf: "));
		assert_non_null(strstr(lines->str, cases[i].word));
		assert_non_null(strstr(lines->str, cases[i].nearest));
	}
}

static void word_unlike_any_is_named_alone(void **state)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(config) c = parse("[debug]\nzzzzzz=9\n", &error);

	assert_non_null(c);
	assert_non_null(strstr(lines->str, "zzzzzz"));
	assert_null(strstr(lines->str, "did you mean"));
}

static void bad_value_is_an_error_that_names_all(void **state)
{
	static const struct {
		const char *text, *section, *key, *value;
	} cases[] = {
		{"[debug]\nloglevel=10\n", "debug", "loglevel", "10"},
		{"[debug]\nloglevel=-1\n", "debug", "loglevel", "-1"},
		{"[debug]\nloglevel=high\n", "debug", "loglevel", "high"},
		{"[debug]\nloglevel=\n", "debug", "loglevel", "\"\""},
		{"[debug]\ntls=99999999999999999999\n", "debug", "tls", "99999999999999999999"},
		{"[tlshd]\nworkers=65\n", "tlshd", "workers", "65"},
		{"[authenticate]\npsk.sha384_compat=maybe\n", "authenticate", "psk.sha384_compat",
		 "maybe"},
		{"[authenticate]\nkeyrings=a b\n", "authenticate", "keyrings", "a b"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(config) c = parse(cases[i].text, &error);

		assert_null(c);
		assert_non_null(error);
		assert_non_null(strstr(error->message, "tlshd.conf"));
		assert_non_null(strstr(error->message, cases[i].section));
		assert_non_null(strstr(error->message, cases[i].key));
		assert_non_null(strstr(error->message, cases[i].value));
	}
}

static void text_that_is_no_key_file_is_an_error(void **state)
{
	static const char *const texts[] = {"loglevel=9\n", "[debug\n", "[debug]\nwhat\n",
					    "\x7f\x45LF"};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(config) c = parse(texts[i], &error);

		assert_null(c);
		assert_non_null(strstr(error->message, "tlshd.conf"));
	}
}

static void named_file_that_is_missing_is_an_error(void **state)
{
	g_autoptr(GError) error = NULL;

	assert_null(config_load("/nonexistent/tlshd.conf", &error));
	assert_non_null(strstr(error->message, "/nonexistent/tlshd.conf"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_file_gives_the_defaults),
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(file_of_ktls_utils_raises_no_warning),
		cmocka_unit_test(misspelt_word_is_named_with_the_nearest),
		cmocka_unit_test(word_unlike_any_is_named_alone),
		cmocka_unit_test(bad_value_is_an_error_that_names_all),
		cmocka_unit_test(text_that_is_no_key_file_is_an_error),
		cmocka_unit_test(named_file_that_is_missing_is_an_error),
	};
	int r;

	lines = g_string_new(NULL);
	log_set_sink(keep);
	r = cmocka_run_group_tests_name("config", tests, NULL, NULL);
	g_string_free(lines, TRUE);
	return r;
}
