// SPDX-License-Identifier: GPL-2.0-or-later
/* Commands of nvme-cli that are several of ours, or none. */
#include "nvme-tls/nvme-cli.h"

#include <string.h>

#include "common/log.h"
#include "nvme-tls/options.h"
#include "nvme-tls/tool.h"

/* Their work is done elsewhere. */
static const char *const elsewhere[][2] = {
	{"add", "nvme-tls insert does that"},
	{"show", "nvme-tls list does that"},
	{"remove", "nvme-tls revoke does that"},
	{"delete", "nvme-tls revoke does that"},
	{"replace", "nvme-tls rotate does that"},
	{"gen-dhchap-key",
	 "it makes secrets for DH-HMAC-CHAP, which are no TLS keys: nvme does that"},
	{"check-dhchap-key", "it is about DH-HMAC-CHAP, not about TLS keys: nvme does that"},
	{"keys gen-kxchap-secret",
	 "it makes secrets for KX-HMAC-CHAP, which are no TLS keys: nvme does that"},
	{"keys check-kxchap-secret",
	 "it is about KX-HMAC-CHAP, not about TLS keys: nvme does that"},
	{"connect", "nvme-tls keeps keys only: nvme connect --tls does that"},
	{"connect-all", "nvme-tls keeps keys only: nvme connect-all --tls does that"},
	{"disconnect", "nvme-tls keeps keys only: nvme disconnect does that"},
	{"discover", "nvme-tls keeps keys only: nvme discover does that"},
	{"gen-hostnqn", "nvme gen-hostnqn does that, and its output belongs into " HOSTNQN_FILE},
	{"show-hostnqn", "it is in " HOSTNQN_FILE},
	{"keys",
	 "a word has to follow, as in \"nvme-tls keys gen-tls-psk\"; nvme-tls gen does the same"},
};

bool nvme_cli_hint(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(elsewhere); i++) {
		if (strcmp(elsewhere[i][0], name) == 0) {
			log_error("there is no command %s here: %s", name, elsewhere[i][1]);
			return true;
		}
	}
	return false;
}

static void word_free(void *word)
{
	/* It may be the value of --keydata. */
	if (word)
		explicit_bzero(word, strlen(word));
	g_free(word);
}

/* A command line of ours, made of what a command line of nvme-cli has said. */
static GPtrArray *line_new(const char *command, const options *o)
{
	GPtrArray *line = g_ptr_array_new_with_free_func(word_free);

	g_ptr_array_add(line, g_strdup(command));
	g_ptr_array_add(line, g_strconcat("--keyring=", o->keyring, NULL));
	g_ptr_array_add(line, g_strconcat("--keytype=", o->keytype, NULL));
	if (o->json)
		g_ptr_array_add(line, g_strdup("--json"));
	return line;
}

static void line_add(GPtrArray *line, const char *option, const char *value)
{
	if (value)
		g_ptr_array_add(line, g_strconcat(option, value, NULL));
}

static enum exit_code line_run(GPtrArray *line, enum exit_code (*run)(int argc, char **argv))
{
	int argc = (int)line->len;
	g_autofree char **argv = NULL;

	g_ptr_array_add(line, NULL);
	/* The command moves what it is given. */
	argv = g_memdup2(line->pdata, line->len * sizeof(char *));
	return run(argc, argv);
}

enum exit_code cmd_tls_key(int argc, char **argv)
{
	g_auto(options) o = OPTIONS_INIT;
	g_autoptr(GPtrArray) line = NULL;

	if (!options_parse(&o, &argc, &argv))
		return EXIT_USAGE;
	if (o.import + o.export + (o.revoke != NULL) != 1) {
		log_error("%s: give one of --import, --export and --revoke", o.name);
		return EXIT_USAGE;
	}
	if (argc > 1 && (o.keyfile || !o.import)) {
		log_error("%s: an argument is the key file to import: leave it out", o.name);
		return EXIT_USAGE;
	}
	line = line_new(o.import ? "import" : o.export ? "export" : "revoke", &o);
	if (!o.revoke)
		line_add(line, "--keyfile=", argc > 1 ? argv[1] : o.keyfile);
	line_add(line, "--identity=", o.revoke);
	return line_run(line, o.import ? cmd_import : o.export ? cmd_export : cmd_revoke);
}

enum exit_code cmd_keys_import(int argc, char **argv)
{
	g_auto(options) o = OPTIONS_INIT;
	g_autoptr(GPtrArray) line = NULL;

	if (!options_parse(&o, &argc, &argv))
		return EXIT_USAGE;
	if (o.identity ? o.keyfile || (o.keydata && argc > 1)
		       : o.keydata || (o.keyfile && argc > 1)) {
		log_error("%s: --identity goes with --keydata, and a key file with neither",
			  o.name);
		return EXIT_USAGE;
	}
	line = line_new(o.identity ? "insert" : "import", &o);
	line_add(line, "--identity=", o.identity);
	line_add(line, o.identity ? "--keydata=" : "--keyfile=",
		 argc > 1     ? argv[1]
		 : o.identity ? o.keydata
			      : o.keyfile);
	return line_run(line, o.identity ? cmd_insert : cmd_import);
}

enum exit_code cmd_keys_revoke(int argc, char **argv)
{
	g_auto(options) o = OPTIONS_INIT;
	g_autoptr(GPtrArray) line = NULL;

	if (!options_parse(&o, &argc, &argv))
		return EXIT_USAGE;
	if (!o.identity) {
		log_error("%s: which key? Give its --identity", o.name);
		return EXIT_USAGE;
	}
	line = line_new("revoke", &o);
	line_add(line, "--identity=", o.identity);
	return line_run(line, cmd_revoke);
}
