// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of nvme-tls' command line: the habits of getopt, and messages that keep secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <cmocka.h>

#include "common/log.h"
#include "nvme-tls/help.h"
#include "nvme-tls/options.h"

#define IDENTITY "NVMe0R01 nqn.h nqn.s"
#define KEY "NVMeTLSkey-1:01:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACtVQoZ:"

static char message[1024];

static void keep_message(int priority, const char *line)
{
	g_strlcpy(message, line, sizeof(message));
}

/* A command line of words at single spaces; a ~ in a word is a space that is part of it. */
typedef struct line {
	options o;
	char **word;
	char **argv;
	int argc;
	bool ok;
} line;

static void line_free(line *l)
{
	options_clear(&l->o);
	g_strfreev(l->word);
	g_free(l->argv);
	g_free(l);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(line, line_free)

static line *parse(const char *text)
{
	line *l = g_new0(line, 1);
	char **argv;

	l->o = (options)OPTIONS_INIT;
	l->word = g_strsplit(text, " ", -1);
	l->argc = (int)g_strv_length(l->word);
	for (int i = 0; i < l->argc; i++)
		g_strdelimit(l->word[i], "~", ' ');
	l->argv = g_new0(char *, l->argc + 1);
	memcpy(l->argv, l->word, (size_t)l->argc * sizeof(char *));
	*message = '\0';
	argv = l->argv;
	l->ok = options_parse(&l->o, &l->argc, &argv);
	/* What options_parse() moved on is where the caller looks. */
	memmove(l->argv, argv, (size_t)(l->argc + 1) * sizeof(char *));
	return l;
}

static void habits_of_getopt_are_understood(void **state)
{
	static const char *const same[] = {
		"insert -I 1 -n nqn.h -c nqn.s file",
		"insert -I1 -nnqn.h -cnqn.s file",
		"insert --identity=1 --hostnqn=nqn.h --subsysnqn=nqn.s file",
		"insert --identity 1 --hostnqn nqn.h --subsysnqn nqn.s file",
		"insert --id=1 --host=nqn.h --sub nqn.s file",
		"insert file -I1 -nnqn.h -cnqn.s",
		"insert -I1 file -nnqn.h -cnqn.s",
		"insert -I1 -nnqn.h -cnqn.s -- file",
		"insert -I0 -nnqn.x -cnqn.y -I1 -nnqn.h -cnqn.s file",
		"insert -vI1 -nnqn.h -cnqn.s file --timeout=3 --no-retries",
		"insert -I1 -nnqn.h -cnqn.s --output-format-version=2 -o normal file",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(same); i++) {
		g_autoptr(line) l = parse(same[i]);

		assert_true(l->ok);
		assert_int_equal(l->o.version, 1);
		assert_null(l->o.identity);
		assert_string_equal(l->o.hostnqn, "nqn.h");
		assert_string_equal(l->o.subsysnqn, "nqn.s");
		assert_int_equal(l->argc, 2);
		assert_string_equal(l->argv[0], "insert");
		assert_string_equal(l->argv[1], "file");
		assert_false(l->o.json);
		assert_string_equal(l->o.keyring, ".nvme");
		assert_string_equal(l->o.keytype, "psk");
	}
}

static void json_has_two_names(void **state)
{
	static const char *const same[] = {"list -j",
					   "list --json",
					   "list -ojson",
					   "list -o json",
					   "list --output-format=json",
					   "list -o normal -o json"};

	for (size_t i = 0; i < G_N_ELEMENTS(same); i++) {
		g_autoptr(line) l = parse(same[i]);

		assert_true(l->ok);
		assert_true(l->o.json);
	}
}

static void compat_takes_an_era_or_means_2_11(void **state)
{
	static const struct {
		const char *text;
		enum psk_derivation derivation;
	} lines[] = {
		{"gen", PSK_RFC8446},
		{"gen -C", PSK_COMPAT_2_11},
		{"gen --compat", PSK_COMPAT_2_11},
		{"gen --comp", PSK_COMPAT_2_11},
		{"check --compat=2.11", PSK_COMPAT_2_11},
		{"insert --compat=2.7", PSK_COMPAT_2_7},
		{"gen -Ci", PSK_COMPAT_2_11},
		{"gen -CI1", PSK_COMPAT_2_11},
		{"rotate --compat=2.7-openssl3.0", PSK_COMPAT_2_7_OPENSSL_3_0},
		{"gen --compat=2.11-openssl3.0", PSK_COMPAT_2_11_OPENSSL_3_0},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
		g_autoptr(line) l = parse(lines[i].text);

		assert_true(l->ok);
		assert_int_equal(l->o.derivation, lines[i].derivation);
	}
}

static void identity_is_what_the_command_can_take(void **state)
{
	static const struct {
		const char *text;
		bool ok;
	} lines[] = {
		{"gen -I 0", true},
		{"gen -I NVMe0R01~nqn.h~nqn.s", false},
		{"rotate -I NVMe0R01~nqn.h~nqn.s", false},
		{"insert -I NVMe0R01~nqn.h~nqn.s", true},
		{"export -I NVMe0R01~nqn.h~nqn.s", true},
		{"export -I 1", true},
		{"revoke -I NVMe0R01~nqn.h~nqn.s", true},
		{"revoke -I 1", false},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
		g_autoptr(line) l = parse(lines[i].text);

		assert_int_equal(l->ok, lines[i].ok);
		if (l->ok && l->o.version < 0)
			assert_string_equal(l->o.identity, IDENTITY);
		if (!l->ok)
			assert_non_null(strstr(message, "--identity takes "));
	}
}

/* What is wrong is named, with the next step; none of these lines is understood. */
static void a_wrong_line_is_told_what_is_wrong(void **state)
{
	static const struct {
		const char *text, *says;
	} lines[] = {
		{"gen --bogus", "gen: there is no option --bogus"},
		{"gen --subnqn=x", "did you mean --subsysnqn?"},
		{"gen --ke x", "gen: --ke may be --keyfile, --keyring, --keytype"},
		{"gen -Z", "gen: there is no option -Z"},
		{"gen -d x", "gen: there is no option -d"},
		{"list --insert", "list: there is no option --insert"},
		{"gen -c", "gen: --subsysnqn needs a value: NQN"},
		{"gen --subsysnqn", "gen: --subsysnqn needs a value: NQN"},
		{"gen --insert=1", "gen: --insert takes no value"},
		{"gen --help=1", "gen: --help takes no value"},
		{"gen -I 2", "gen: --identity takes 0 or 1"},
		{"gen -I", "gen: --identity needs a value: 0|1"},
		{"gen -I ", "gen: --identity takes 0 or 1"},
		{"insert -I 2", "takes 0, 1 or a whole identity, which begins with NVMe"},
		{"gen -m 3", "gen: --hmac takes 0, 1 or 2"},
		{"gen -m -1", "gen: --hmac takes 0, 1 or 2"},
		{"gen -m 0x1", "gen: --hmac takes 0, 1 or 2"},
		{"gen -m 1~", "gen: --hmac takes 0, 1 or 2"},
		{"gen -m 1|2", "gen: --hmac takes 0, 1 or 2"},
		{"gen -l 33", "gen: --length takes 32 or 48"},
		{"gen -o binary", "gen: --output-format takes normal or json"},
		{"gen --compat=2.9", "takes 2.11, 2.7, 2.7-openssl3.0 or 2.11-openssl3.0"},
		{"gen --compat=", "gen: --compat takes "},
		{"gen -C2.7", "gen: there is no option -2"},
		{"check --compat 2.7", "one word: --compat=2.7"},
		{"gen file", "gen: too many arguments, it takes only options"},
		{"check one two", "check: too many arguments, it takes [FILE]"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
		g_autoptr(line) l = parse(lines[i].text);

		assert_false(l->ok);
		if (!strstr(message, lines[i].says))
			fail_msg("\"%s\" gets \"%s\"", lines[i].text, message);
	}
}

static void a_misplaced_key_is_never_repeated(void **state)
{
	static const char *const lines[] = {
		"check one " KEY,	"gen " KEY,	     "gen -I " KEY,
		"gen -m " KEY,		"gen --compat=" KEY, "gen -o " KEY,
		"gen --" KEY,		"gen --secrt=" KEY,  "list --secret=" KEY,
		"list --secret " KEY,	"gen --insert=" KEY, "gen -i" KEY,
		"revoke -I AAAAAAAAAA", "gen --AAAAAAAAAA",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
		g_autoptr(line) l = parse(lines[i]);

		assert_false(l->ok);
		assert_true(strlen(message) > 0);
		if (strstr(message, "AAAA"))
			fail_msg("\"%s\" gets \"%s\"", lines[i], message);
	}
}

static void no_command_has_a_name_twice(void **state)
{
	for (const struct command *c = commands; c->name; c++) {
		for (const struct option_row *a = option_rows; a->name; a++) {
			if (!(a->commands & 1u << c->id))
				continue;
			assert_true(strcmp(a->name, "help") != 0 && a->letter != 'h');
			for (const struct option_row *b = a + 1; b->name; b++) {
				if (!(b->commands & 1u << c->id))
					continue;
				assert_string_not_equal(a->name, b->name);
				assert_true(!a->letter || a->letter != b->letter);
			}
		}
	}
}

/* As many columns as every terminal has, and every option that is not only there for nvme-cli. */
static void help_has_80_columns_and_every_option(void **state)
{
	for (const struct command *c = commands; c->name; c++) {
		char *text = NULL;
		size_t size;
		FILE *to = open_memstream(&text, &size);
		g_auto(GStrv) lines = NULL;

		help_command(c, c->name, to);
		fclose(to);
		lines = g_strsplit(text, "\n", -1);
		for (size_t i = 0; lines[i]; i++)
			if (g_utf8_strlen(lines[i], -1) > 80)
				fail_msg("too long: %s", lines[i]);
		for (const struct option_row *row = option_rows; row->name; row++) {
			g_autofree char *name = g_strconcat("--", row->name, NULL);

			if (row->commands & 1u << c->id && row->help)
				assert_non_null(strstr(text, name));
		}
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(habits_of_getopt_are_understood),
		cmocka_unit_test(json_has_two_names),
		cmocka_unit_test(compat_takes_an_era_or_means_2_11),
		cmocka_unit_test(identity_is_what_the_command_can_take),
		cmocka_unit_test(a_wrong_line_is_told_what_is_wrong),
		cmocka_unit_test(a_misplaced_key_is_never_repeated),
		cmocka_unit_test(no_command_has_a_name_twice),
		cmocka_unit_test(help_has_80_columns_and_every_option),
	};

	log_set_sink(keep_message);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
