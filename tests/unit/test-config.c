// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of tlshd.conf: what is taken, warned of and refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
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
	return config_parse("tlshd.conf", NULL, text, strlen(text), error);
}

/* The same by way of a file. */
static config *load(const char *text, GError **error)
{
	g_autofree char *path = NULL;
	int fd = g_file_open_tmp("test-config-XXXXXX", &path, NULL);
	config *c;

	assert_true(fd >= 0);
	close(fd);
	assert_true(g_file_set_contents(path, text, -1, NULL));
	g_string_truncate(lines, 0);
	c = config_load(path, error);
	unlink(path);
	return c;
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
		assert_true(c->lock_memory);
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
			  "[tlshd]\nworkers=2\nlock_memory=false\n",
			  &error);

	assert_non_null(c);
	assert_int_equal(c->loglevel, 9);
	assert_int_equal(c->tls_debug, 3);
	assert_int_equal(c->nl_debug, 1);
	assert_true(c->sha384_compat);
	assert_int_equal(c->workers, 2);
	assert_false(c->lock_memory);
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

/* What ktls-utils starts with starts us, and the log says what was made of it. */
static void bad_value_is_taken_for_the_nearest_and_named(void **state)
{
	static const struct {
		const char *text, *section, *key, *value, *taken;
	} cases[] = {
		{"[debug]\nloglevel=10\n", "debug", "loglevel", "10", "9"},
		{"[debug]\nloglevel=-1\n", "debug", "loglevel", "-1", "0"},
		{"[debug]\nloglevel=high\n", "debug", "loglevel", "high", "0"},
		{"[debug]\nloglevel=\n", "debug", "loglevel", "", "0"},
		{"[debug]\nloglevel=1 # all\n", "debug", "loglevel", "1 # all", "1"},
		{"[debug]\nloglevel=1.5\n", "debug", "loglevel", "1.5", "1"},
		{"[debug]\nloglevel=0x1\n", "debug", "loglevel", "0x1", "0"},
		{"[debug]\ntls=13\n", "debug", "tls", "13", "9"},
		{"[debug]\ntls=99999999999999999999\n", "debug", "tls", "99999999999999999999",
		 "9"},
		{"[debug]\nnl=true\n", "debug", "nl", "true", "0"},
		{"[tlshd]\nworkers=65\n", "tlshd", "workers", "65", "64"},
		{"[authenticate]\npsk.sha384_compat=maybe\n", "authenticate", "psk.sha384_compat",
		 "maybe", "false"},
		{"[authenticate]\npsk.sha384_compat=Yes # migrate\n", "authenticate",
		 "psk.sha384_compat", "Yes # migrate", "true"},
		{"[authenticate]\nkeyrings=.nvme, .nfs\n", "authenticate", "keyrings",
		 ".nvme, .nfs", ".nvme;.nfs"},
		{"[authenticate]\nkeyrings=a b;c\n", "authenticate", "keyrings", "a b;c", "a;b;c"},
		{"[authenticate]\nkeyrings=.nvme # ours\n", "authenticate", "keyrings",
		 ".nvme # ours", ".nvme"},
		{"[authenticate]\nkeyrings=a\\qb,\n", "authenticate", "keyrings", "a\\x5cqb,",
		 "a\\x5cqb"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(config) c = parse(cases[i].text, &error);
		g_autofree char *head = g_strdup_printf("4 tlshd.conf: [%s] %s = \"%s\" is not ",
							cases[i].section, cases[i].key,
							cases[i].value);
		g_autofree char *tail = g_strdup_printf(": it is taken for \"%s\"\n",
							cases[i].taken);

		assert_non_null(c);
		assert_int_equal(c->complaints, 1);
		if (!g_str_has_prefix(lines->str, head) || !g_str_has_suffix(lines->str, tail))
			fail_msg("%s", lines->str);
	}
}

static void what_a_value_is_taken_for_is_what_counts(void **state)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(config) c = parse("[debug]\nloglevel=1 # all\ntls=13\nnl=-3\n"
				    "[authenticate]\nkeyrings=.nvme, \"mine\"\n"
				    "psk.sha384_compat=on please\n[tlshd]\nworkers=1000\n",
				    &error);

	assert_non_null(c);
	assert_int_equal(c->complaints, 6);
	assert_int_equal(c->loglevel, 1);
	assert_int_equal(c->tls_debug, 9);
	assert_int_equal(c->nl_debug, 0);
	assert_true(c->sha384_compat);
	assert_int_equal(c->workers, 64);
	assert_string_equal(c->keyrings[0], ".nvme");
	assert_string_equal(c->keyrings[1], "mine");
	assert_null(c->keyrings[2]);
}

/* Each of these starts ktls-utils 1.0.0 and 1.4.0. */
static void file_that_ktls_utils_takes_is_taken(void **state)
{
	static const char *const texts[] = {
		"[debug]\r\nloglevel=1\r\n",
		"  [debug]\n   loglevel=1\n",
		"[debug]\nloglevel=0\n[debug]\nloglevel=1\n",
		"[debug]\nloglevel=1\nx=\xff\xfe\n",
		"[debug]\nloglevel=1\n\xff\xfe=1\n",
		"# \xff\xfe\n[debug]\nloglevel=1\n",
		"[debug]\nloglevel=+1",
		"[debug]\nloglevel=01\nloglevel[de]=2\nlog level=3\n[ debug ]\nloglevel=4\n",
		"[debug]\nloglevel=1\ndelay_done=1\n",
		"[debug]\nloglevel=1\n[authenticate]\nkeyrings=\xff;;\\\n[other]\nkey=value\n",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(config) c = parse(texts[i], &error);

		assert_non_null(c);
		assert_int_equal(c->loglevel, 1);
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

static void empty_file_is_no_error(void **state)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(config) c = load("", &error);

	assert_non_null(c);
	assert_int_equal(c->complaints, 0);
}

static void named_file_that_cannot_be_read_is_an_error(void **state)
{
	static const char *const paths[] = {"/nonexistent/tlshd.conf", "/", "/dev/zero"};

	for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
		g_autoptr(GError) error = NULL;

		assert_null(config_load(paths[i], &error));
		assert_true(g_str_has_prefix(error->message, paths[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_file_gives_the_defaults),
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(file_of_ktls_utils_raises_no_warning),
		cmocka_unit_test(misspelt_word_is_named_with_the_nearest),
		cmocka_unit_test(word_unlike_any_is_named_alone),
		cmocka_unit_test(bad_value_is_taken_for_the_nearest_and_named),
		cmocka_unit_test(what_a_value_is_taken_for_is_what_counts),
		cmocka_unit_test(file_that_ktls_utils_takes_is_taken),
		cmocka_unit_test(text_that_is_no_key_file_is_an_error),
		cmocka_unit_test(empty_file_is_no_error),
		cmocka_unit_test(named_file_that_cannot_be_read_is_an_error),
	};
	int r;

	lines = g_string_new(NULL);
	log_set_sink(keep);
	r = cmocka_run_group_tests_name("config", tests, NULL, NULL);
	g_string_free(lines, TRUE);
	return r;
}
