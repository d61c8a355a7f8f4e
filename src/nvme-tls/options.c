// SPDX-License-Identifier: GPL-2.0-or-later
/* The options of nvme-tls: what a command line says. */
#include "nvme-tls/options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "common/identity.h"
#include "common/log.h"
#include "common/nearest.h"
#include "nvme-tls/help.h"
#include "nvme-tls/output.h"
#include "nvme-tls/tool.h"

/* What getopt_long() returns for a long option: this and the number of its row. */
#define LONG 256

enum { ROWS_MAX = 64 };

/* The options of one command, as getopt_long() takes them. */
struct grammar {
	const struct command *command;
	const char *name;
	struct option longs[ROWS_MAX + 1];
	char letters[2 * ROWS_MAX + 3];
};

static void make_grammar(struct grammar *g, const struct command *command, const char *name)
{
	size_t n = 0;
	char *letters = g->letters;

	g->command = command;
	g->name = name;
	*letters++ = ':'; /* a missing value is told from an unknown option */
	for (size_t i = 0; option_rows[i].name; i++) {
		const struct option_row *row = &option_rows[i];
		int has_arg = row->kind == OPTION_ERA ? optional_argument
			      : row->value	      ? required_argument
						      : no_argument;

		if (!(row->commands & 1u << command->id))
			continue;
		g_assert(n + 2 < G_N_ELEMENTS(g->longs));
		g->longs[n++] = (struct option){row->name, has_arg, NULL, LONG + (int)i};
		if (!row->letter)
			continue;
		*letters++ = row->letter;
		/* "-Ci" is two letters, as in nvme-cli: only the long name takes a value or none. */
		if (has_arg == required_argument)
			*letters++ = ':';
	}
	g->longs[n++] = (struct option){"help", no_argument, NULL, 'h'};
	g->longs[n] = (struct option){0};
	strcpy(letters, "h");
}

static const struct option_row *row_of(const struct grammar *g, int c)
{
	if (c >= LONG)
		return &option_rows[c - LONG];
	for (const struct option_row *row = option_rows; row->name; row++)
		if (row->letter == c && row->commands & 1u << g->command->id)
			return row;
	return NULL;
}

bool options_is_name(const char *word)
{
	size_t len = strlen(word);

	return len <= 24 && strspn(word, "abcdefghijklmnopqrstuvwxyz-") == len;
}

static void unknown_long(const struct grammar *g, const char *word)
{
	const char *names[ROWS_MAX + 1] = {0}, *meant;
	g_autofree char *name = g_strndup(word, strcspn(word, "="));
	bool harmless = options_is_name(name);
	g_autoptr(GString) matching = g_string_new(NULL);
	unsigned int matches = 0;

	for (size_t i = 0; g->longs[i].name; i++) {
		names[i] = g->longs[i].name;
		if (g_str_has_prefix(names[i], name)) {
			g_string_append_printf(matching, "%s--%s", matches ? ", " : "", names[i]);
			matches++;
		}
	}
	meant = harmless ? nearest_word(name, names) : NULL;
	if (matches > 1)
		log_error("%s: --%s may be %s: write more of it", g->name, name, matching->str);
	else if (meant)
		log_error("%s: there is no option --%s; did you mean --%s?", g->name, name, meant);
	else
		log_error("%s: there is no option %s%s; see nvme-tls %s --help", g->name,
			  harmless ? "--" : "of that name", harmless ? name : "", g->name);
}

static void refuse(const struct grammar *g, int c, const char *word)
{
	const struct option_row *row = optopt ? row_of(g, optopt) : NULL;

	if (c == ':')
		log_error("%s: --%s needs a value: %s; see nvme-tls %s --help", g->name, row->name,
			  row->value, g->name);
	else if (optopt == 'h' || row)
		log_error("%s: --%s takes no value", g->name, row ? row->name : "help");
	else if (optopt)
		log_error("%s: there is no option -%c; see nvme-tls %s --help", g->name,
			  g_ascii_isalnum(optopt) ? optopt : '?', g->name);
	else
		unknown_long(g, word + strspn(word, "-"));
}

static void set_word(char **field, const char *value, bool wipe)
{
	if (*field && wipe)
		explicit_bzero(*field, strlen(*field));
	g_free(*field);
	*field = value ? g_strdup(value) : NULL;
}

/* Whether @value is one of "0|1|2". */
static bool is_choice(const char *choices, const char *value)
{
	g_auto(GStrv) choice = g_strsplit(choices, "|", -1);

	return g_strv_contains((const char *const *)choice, value);
}

static bool set_identity(options *o, const struct option_row *row, const char *value)
{
	bool is_version = strcmp(value, "0") == 0 || strcmp(value, "1") == 0;

	if (is_version ? !is_choice(row->value, value)
		       : !is_choice(row->value, "IDENTITY") || !g_str_has_prefix(value, "NVMe"))
		return false;
	o->version = is_version ? value[0] - '0' : -1;
	set_word(&o->identity, is_version ? NULL : value, false);
	return true;
}

/* "90s", "30m", "12h", "7d", "4w"; seconds without a unit. A key that ends at once is no use. */
static bool set_duration(unsigned int *field, const char *value)
{
	static const char units[] = "smhdw";
	static const unsigned int seconds[] = {1, 60, 3600, 86400, 604800};
	size_t digits = strspn(value, "0123456789");
	g_autofree char *number = g_strndup(value, digits);
	const char *unit = value[digits] ? strchr(units, value[digits]) : units;
	guint64 n;

	if (!unit || (value[digits] && value[digits + 1]) ||
	    !g_ascii_string_to_unsigned(number, 10, 1, INT32_MAX / seconds[unit - units], &n, NULL))
		return false;
	*field = (unsigned int)n * seconds[unit - units];
	return true;
}

static bool set_count(unsigned int *field, const char *value)
{
	guint64 n;

	if (!g_ascii_string_to_unsigned(value, 10, 0, INT32_MAX, &n, NULL))
		return false;
	*field = (unsigned int)n;
	return true;
}

static bool set(options *o, const struct option_row *row, const char *value)
{
	void *field = (char *)o + row->field;
	int derivation;

	switch (row->kind) {
	case OPTION_FLAG:
		*(bool *)field = true;
		break;
	case OPTION_WORD:
	case OPTION_SECRET:
		set_word(field, value, row->kind == OPTION_SECRET);
		break;
	case OPTION_CHOICE:
		if (!is_choice(row->value, value))
			return false;
		set_word(field, value, false);
		break;
	case OPTION_COUNT:
		return set_count(field, value);
	case OPTION_NUMBER:
		if (!is_choice(row->value, value))
			return false;
		*(int *)field = atoi(value);
		break;
	case OPTION_IDENTITY:
		return set_identity(o, row, value);
	case OPTION_DURATION:
		return set_duration(field, value);
	case OPTION_ERA:
		derivation = value ? psk_derivation_find(value) : PSK_COMPAT_2_11;
		if (derivation < 0)
			return false;
		*(enum psk_derivation *)field = (enum psk_derivation)derivation;
		break;
	case OPTION_FORMAT:
		if (!is_choice(row->value, value))
			return false;
		*(bool *)field = strcmp(value, "json") == 0;
		break;
	case OPTION_IGNORED:
	case OPTION_IGNORED_VALUE:
		break;
	}
	return true;
}

/* "0|1|IDENTITY" in words: "0, 1 or IDENTITY". */
static char *choices_in_words(const struct option_row *row)
{
	g_auto(GStrv) choice = g_strsplit(row->value, "|", -1);
	GString *out = g_string_new(NULL);

	if (row->kind == OPTION_ERA) {
		g_strfreev(choice);
		choice = g_new0(char *, PSK_DERIVATIONS);
		for (int i = 1; i < PSK_DERIVATIONS; i++)
			choice[i - 1] = g_strdup(psk_derivation_era((enum psk_derivation)i));
	}
	for (size_t i = 0; choice[i]; i++)
		g_string_append_printf(out, "%s%s",
				       !i	       ? ""
				       : choice[i + 1] ? ", "
						       : " or ",
				       strcmp(choice[i], "IDENTITY") == 0
					       ? "a whole identity, which begins with NVMe"
				       : row->kind == OPTION_DURATION
					       ? "a time, such as 90s, 30m, 12h, 7d or 4w"
				       : row->kind == OPTION_COUNT ? "a number, 0 for all"
								   : choice[i]);
	return g_string_free(out, FALSE);
}

static void refuse_value(const struct grammar *g, const struct option_row *row)
{
	g_autofree char *words = choices_in_words(row);

	log_error("%s: --%s takes %s; see nvme-tls %s --help", g->name, row->name, words, g->name);
}

/* "--compat 2.7" is an option without its value, and an argument. */
static bool is_stray_era(const options *o, const char *argument)
{
	return o->derivation != PSK_RFC8446 && psk_derivation_find(argument) >= 0;
}

static bool check_arguments(const options *o, int argc, char **argv)
{
	const struct command *c = o->command;

	for (int i = 1; i < argc; i++) {
		if (is_stray_era(o, argv[i])) {
			log_error("%s: --compat and its value are one word: --compat=%s", o->name,
				  argv[i]);
			return false;
		}
	}
	if (c->max_arguments >= 0 && argc - 1 > c->max_arguments) {
		log_error(*c->arguments
				  ? "%s: too many arguments, it takes %s; see nvme-tls %s --help"
				  : "%s: too many arguments, it takes only options%s; see nvme-tls %s --help",
			  o->name, c->arguments, o->name);
		return false;
	}
	return true;
}

bool options_parse(options *o, int *argc, char ***argv)
{
	struct grammar g;
	int c;

	o->name = (*argv)[0];
	o->command = command_find(o->name, &o->wording);
	make_grammar(&g, o->command, o->name);
	opterr = 0;
	optind = 0; /* glibc's getopt begins anew, so that a program can parse more than once */
	while ((c = getopt_long(*argc, *argv, g.letters, g.longs, NULL)) != -1) {
		const struct option_row *row;

		if (c == 'h') {
			help_command(o->command, o->name, stdout);
			exit((int)output_flush());
		}
		if (c == '?' || c == ':') {
			refuse(&g, c, (*argv)[optind - 1]);
			return false;
		}
		row = row_of(&g, c);
		if (!set(o, row, optarg)) {
			refuse_value(&g, row);
			return false;
		}
	}
	/* The arguments follow the name again. */
	(*argv)[optind - 1] = (*argv)[0];
	*argv += optind - 1;
	*argc -= optind - 1;
	if (!check_arguments(o, *argc, *argv))
		return false;
	if (!o->keyring)
		o->keyring = g_strdup(".nvme");
	if (!o->keytype)
		o->keytype = g_strdup("psk");
	return true;
}

void options_clear(options *o)
{
	set_word(&o->keyring, NULL, false);
	set_word(&o->keytype, NULL, false);
	set_word(&o->hostnqn, NULL, false);
	set_word(&o->subsysnqn, NULL, false);
	set_word(&o->identity, NULL, false);
	set_word(&o->keyfile, NULL, false);
	set_word(&o->keydata, NULL, true);
	set_word(&o->secret, NULL, true);
	set_word(&o->revoke, NULL, false);
	set_word(&o->connect, NULL, false);
	set_word(&o->trsvcid, NULL, false);
	set_word(&o->nqn, NULL, false);
	set_word(&o->hostid, NULL, false);
	set_word(&o->root, NULL, false);
	set_word(&o->recording, NULL, false);
	set_word(&o->side, NULL, false);
	set_word(&o->cause, NULL, false);
	set_word(&o->peer, NULL, false);
	memset(o, 0, sizeof(*o));
}

/* What no identity can hold is refused; a name that only is no NQN works, and gets a warning. */
static bool nqn_usable(const char *what, const char *nqn)
{
	g_autofree char *as_nqn = g_str_has_prefix(nqn, "nqn.") ? g_strdup(nqn)
								: g_strconcat("nqn.", nqn, NULL);
	const char *why = *nqn ? nqn_check(as_nqn) : nqn_check(nqn);

	if (why) {
		log_error("%s \"%s\": %s", what, nqn, why);
		return false;
	}
	if (!g_str_has_prefix(nqn, "nqn."))
		log_warning("warning: %s \"%s\" does not begin with \"nqn.\" as an NQN does", what,
			    nqn);
	return true;
}

const char *options_hostnqn(options *o)
{
	if (!o->hostnqn) {
		g_autoptr(GError) error = NULL;

		if (!g_file_get_contents(HOSTNQN_FILE, &o->hostnqn, NULL, &error)) {
			log_error("no host NQN: %s; give --hostnqn, or make the file with `nvme gen-hostnqn > %s`",
				  error->message, HOSTNQN_FILE);
			return NULL;
		}
		g_strstrip(o->hostnqn);
		return nqn_usable("the host NQN in " HOSTNQN_FILE, o->hostnqn) ? o->hostnqn : NULL;
	}
	return nqn_usable("--hostnqn", o->hostnqn) ? o->hostnqn : NULL;
}

const char *options_subsysnqn(options *o)
{
	if (!o->subsysnqn) {
		log_error("no subsystem NQN: give --subsysnqn");
		return NULL;
	}
	return nqn_usable("--subsysnqn", o->subsysnqn) ? o->subsysnqn : NULL;
}
