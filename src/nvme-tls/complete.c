// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls complete: what can follow on a command line, for the completion of shells. */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "nvme-tls/doctor.h"
#include "common/recording.h"
#include "nvme-tls/options.h"
#include "nvme-tls/output.h"
#include "nvme-tls/ring.h"

/* What the shell completes by itself: the names of files. */
#define FILES ":files"

/* A command line that is being typed. */
struct typed {
	const struct command *command; /* NULL: it is the command that is typed */
	char **word; /* those before the last one, behind the command */
	int words;
	const char *last; /* of the last one, the part that is completed */
	const char *head; /* and the part before that, "--identity=" */
	options o; /* --keyring and --keytype, to look into the right keyring */
};

static void offer(const struct typed *t, const char *text, const char *about)
{
	g_autofree char *clean = NULL;

	if (!text || !g_str_has_prefix(text, t->last))
		return;
	clean = output_clean(text);
	/* What a terminal should not be shown cannot be typed either. */
	if (strcmp(clean, text) == 0)
		printf("%s%s\t%s\n", t->head, text, about ? about : "");
}

static void offer_commands(const struct typed *t)
{
	for (const struct command *c = commands; c->name; c++)
		if (c->summary)
			offer(t, c->name, c->summary);
	offer(t, "help", "what the commands do");
}

static bool is_of(const struct option_row *row, const struct command *command)
{
	return row->commands & 1u << command->id;
}

static void offer_options(const struct typed *t)
{
	for (const struct option_row *row = option_rows; row->name; row++) {
		g_autofree char *name = NULL;

		if (!is_of(row, t->command) || !row->help)
			continue;
		name = g_strconcat("--", row->name,
				   row->value && row->kind != OPTION_ERA ? "=" : "", NULL);
		offer(t, name, row->help);
	}
	offer(t, "--help", "Show this help");
}

/* The keys of the keyring, or none where it cannot be read: a TAB is no place for a message. */
static GPtrArray *loaded_rows(const struct typed *t)
{
	struct ring ring;
	GPtrArray *rows = ring_find(&t->o, &ring) == 0 ? ring_rows(&ring) : NULL;

	return rows ? rows : g_ptr_array_new();
}

enum part { HOSTNQN, SUBSYSNQN, IDENTITY, IDENTITY_OR_SERIAL };

static void offer_loaded(const struct typed *t, enum part part)
{
	g_autoptr(GPtrArray) rows = loaded_rows(t);
	g_autoptr(GHashTable) offered = g_hash_table_new(g_str_hash, g_str_equal);

	for (guint i = 0; i < rows->len; i++) {
		const key_row *row = g_ptr_array_index(rows, i);
		g_autofree char *serial = g_strdup_printf(SERIAL, (unsigned int)row->serial);
		g_autofree char *clean = output_clean(row->identity);
		char *text = part == HOSTNQN	 ? row->id.hostnqn
			     : part == SUBSYSNQN ? row->id.subsysnqn
						 : row->identity;

		if (text && g_hash_table_add(offered, text))
			offer(t, text, part < IDENTITY ? NULL : serial);
		if (part == IDENTITY_OR_SERIAL)
			offer(t, serial, clean);
	}
}

static void offer_hostnqn(const struct typed *t)
{
	g_autofree char *own = NULL;

	offer_loaded(t, HOSTNQN);
	if (g_file_get_contents(HOSTNQN_FILE, &own, NULL, NULL))
		offer(t, g_strstrip(own), "this host");
}

/* A line of /proc/keys ends in "keyring NAME: COUNT". */
static void offer_keyrings(const struct typed *t)
{
	g_autofree char *content = NULL;
	g_auto(GStrv) lines = NULL;

	if (!g_file_get_contents("/proc/keys", &content, NULL, NULL))
		return;
	lines = g_strsplit(content, "\n", -1);
	for (size_t i = 0; lines[i]; i++) {
		char *name = strstr(lines[i], " keyring "), *colon;

		if (!name)
			continue;
		name = g_strstrip(name + strlen(" keyring "));
		colon = strrchr(name, ':');
		if (!colon || *name == '_')
			continue;
		*colon = '\0';
		offer(t, name, NULL);
	}
	offer(t, "@s", "of the session");
	offer(t, "@u", "of the user");
}

/* The causes that the daemon knows. */
static void offer_causes(const struct typed *t)
{
	g_autofree char *path = recording_path(RECORDING_DIR);
	g_autoptr(recording) r = NULL;
	const char *why;

	if (recording_read(path, &r, &why) < 0)
		return;
	for (uint32_t c = 0; c < recording_state(r)->causes; c++)
		offer(t, recording_cause(r, c)->id, recording_cause(r, c)->sentence);
}

/* "0|1|IDENTITY": the words in small letters are to be typed as they are. */
static void offer_choices(const struct typed *t, const struct option_row *row)
{
	g_auto(GStrv) choice = g_strsplit(row->value, "|", -1);

	for (size_t i = 0; choice[i]; i++)
		if (!g_ascii_isupper(choice[i][0]))
			offer(t, choice[i], NULL);
}

static void offer_values(const struct typed *t, const struct option_row *row)
{
	if (row->kind == OPTION_ERA) {
		for (int d = PSK_RFC8446 + 1; d < PSK_DERIVATIONS; d++)
			offer(t, psk_derivation_era((enum psk_derivation)d),
			      psk_derivation_users((enum psk_derivation)d));
		return;
	}
	offer_choices(t, row);
	if (g_str_has_prefix(row->value, "FILE"))
		puts(FILES);
	else if (strstr(row->value, "IDENTITY"))
		offer_loaded(t, IDENTITY);
	else if (strcmp(row->name, "cause") == 0)
		offer_causes(t);
	else if (strcmp(row->name, "hostnqn") == 0)
		offer_hostnqn(t);
	else if (strcmp(row->name, "subsysnqn") == 0 || strcmp(row->name, "nqn") == 0)
		offer_loaded(t, SUBSYSNQN);
	else if (strcmp(row->name, "keyring") == 0)
		offer_keyrings(t);
	else if (strcmp(row->name, "keytype") == 0)
		offer(t, "psk", "of NVMe/TCP");
}

static void offer_arguments(const struct typed *t)
{
	if (strstr(t->command->arguments, "FILE"))
		puts(FILES);
	else if (strstr(t->command->arguments, "SERIAL"))
		offer_loaded(t, IDENTITY_OR_SERIAL);
	else if (strstr(t->command->arguments, "CHECK"))
		for (size_t n = 0; doctor_check_name(n); n++)
			offer(t, doctor_check_name(n), NULL);
}

/* The option of a long name, or of an abbreviation that only one has; @len bytes of @name count. */
static const struct option_row *find_long(const struct command *command, const char *name,
					  size_t len)
{
	const struct option_row *found = NULL;
	bool ambiguous = false;

	for (const struct option_row *row = option_rows; row->name; row++) {
		if (!is_of(row, command) || strncmp(row->name, name, len) != 0)
			continue;
		if (strlen(row->name) == len)
			return row;
		ambiguous = found != NULL;
		found = row;
	}
	return ambiguous ? NULL : found;
}

static const struct option_row *find_letter(const struct command *command, char letter)
{
	for (const struct option_row *row = option_rows; row->name; row++)
		if (is_of(row, command) && row->letter == letter)
			return row;
	return NULL;
}

static bool needs_value(const struct option_row *row)
{
	return row && row->value && row->kind != OPTION_ERA;
}

/* The option whose value the word behind @word is, or NULL. */
static const struct option_row *awaiting_value(const struct command *command, const char *word)
{
	if (g_str_has_prefix(word, "--")) {
		const struct option_row *row = find_long(command, word + 2, strlen(word + 2));

		return word[2] && !strchr(word, '=') && needs_value(row) ? row : NULL;
	}
	for (const char *p = word + 1; *word == '-' && *p; p++) {
		const struct option_row *row = find_letter(command, *p);

		if (needs_value(row))
			return p[1] ? NULL : row;
	}
	return NULL;
}

/* Complete the last word, behind all the others. */
static void complete(struct typed *t)
{
	const struct option_row *awaiting = NULL;
	bool only_arguments = false;

	for (int i = 0; i < t->words; i++) {
		if (awaiting) {
			/* Which keyring to look into; what else there is makes no difference here. */
			if (strcmp(awaiting->name, "keyring") == 0)
				t->o.keyring = t->word[i];
			else if (strcmp(awaiting->name, "keytype") == 0)
				t->o.keytype = t->word[i];
			awaiting = NULL;
		} else if (!only_arguments) {
			only_arguments = strcmp(t->word[i], "--") == 0;
			if (!only_arguments)
				awaiting = awaiting_value(t->command, t->word[i]);
			if (g_str_has_prefix(t->word[i], "--keyring="))
				t->o.keyring = strchr(t->word[i], '=') + 1;
			else if (g_str_has_prefix(t->word[i], "--keytype="))
				t->o.keytype = strchr(t->word[i], '=') + 1;
		}
	}
	if (awaiting) {
		offer_values(t, awaiting);
	} else if (!only_arguments && g_str_has_prefix(t->last, "--") && strchr(t->last, '=')) {
		size_t len = strcspn(t->last, "=") + 1;
		g_autofree char *head = g_strndup(t->last, len);
		const struct option_row *row = find_long(t->command, head + 2, len - 3);

		t->head = head;
		t->last += len;
		if (row && row->value)
			offer_values(t, row);
	} else if (!only_arguments && *t->last == '-') {
		offer_options(t);
	} else {
		offer_arguments(t);
	}
}

static void silence(int priority, const char *line)
{
}

enum exit_code cmd_complete(int argc, char **argv)
{
	struct typed t = {
		.last = argc > 1 ? argv[argc - 1] : "",
		.head = "",
		.o = {.keyring = (char[]){".nvme"}, .keytype = (char[]){"psk"}},
	};
	g_autofree char *below_keys = NULL;
	const char *name = argc > 2 ? argv[1] : NULL;
	int first = 2;

	log_set_sink(silence);
	if (!name) {
		offer_commands(&t);
		offer(&t, "--help", "what the commands do");
		offer(&t, "--version", "which version this is");
		return EXIT_OK;
	}
	if (strcmp(name, "help") == 0) {
		offer_commands(&t);
		return EXIT_OK;
	}
	if (strcmp(name, "keys") == 0 && argc > 3) {
		below_keys = g_strconcat("keys ", argv[2], NULL);
		name = below_keys;
		first = 3;
	}
	t.command = command_find(name, NULL);
	if (!t.command)
		return EXIT_OK;
	t.word = argv + first;
	t.words = argc - 1 - first;
	complete(&t);
	return EXIT_OK;
}
