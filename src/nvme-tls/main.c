// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls: the keys of NVMe/TCP over TLS, from the first one to the boot. */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/nearest.h"
#include "nvme-tls/tool.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{"gen", cmd_gen, "make a new configured PSK"},
	{"check", cmd_check, "is a configured PSK valid, and is its key loaded"},
	{"insert", cmd_insert, "put a key into the keyring"},
	{"list", cmd_list, "what keys the keyring has, and what is wrong with them"},
	{"import", cmd_import, "put the keys of a key file into the keyring"},
	{"export", cmd_export, "write the keys of the keyring as a key file"},
	{"revoke", cmd_revoke, "take keys out of use"},
	{"rotate", cmd_rotate, "give a host and a subsystem a new key"},
};

/* What nvme-cli calls them. */
static const char *const elsewhere[][2] = {
	{"gen-tls-key", "gen"}, {"check-tls-key", "check"}, {"tls-key", "import, export or revoke"},
	{"add", "insert"},	{"show", "list"},	    {"remove", "revoke"},
	{"delete", "revoke"},	{"replace", "rotate"},
};

static void usage(FILE *to)
{
	fputs("Usage: nvme-tls COMMAND [OPTION…]\n\n"
	      "The keys of NVMe/TCP over TLS. Commands:\n\n",
	      to);
	for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
		fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].help);
	fputs("\nnvme-tls COMMAND --help says more on one, nvme-tls(8) has examples.\n", to);
}

static int unknown(const char *name)
{
	const char *known[G_N_ELEMENTS(commands) + 1] = {0};
	const char *meant = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
		known[i] = commands[i].name;
	for (size_t i = 0; i < G_N_ELEMENTS(elsewhere); i++)
		if (strcmp(elsewhere[i][0], name) == 0)
			meant = elsewhere[i][1];
	if (!meant)
		meant = nearest_word(name, known);
	if (meant)
		log_error("there is no command \"%s\"; did you mean %s?", name, meant);
	else
		log_error("there is no command \"%s\"; nvme-tls help lists them", name);
	return EXIT_USAGE;
}

static int run(int argc, char **argv)
{
	for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
		if (strcmp(commands[i].name, argv[0]) == 0)
			return commands[i].run(argc, argv);
	return unknown(argv[0]);
}

int main(int argc, char **argv)
{
	int r;

	setlocale(LC_ALL, "");
	log_open(LOG_TARGET_STDERR, "nvme-tls");
	g_set_prgname("nvme-tls");
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		puts("nvme-tls " PROJECT_VERSION);
		return EXIT_OK;
	}
	if (strcmp(argv[1], "help") == 0 && argc > 2) {
		char *help[] = {argv[2], (char[]){"--help"}, NULL};

		return run(2, help);
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
	    strcmp(argv[1], "-h") == 0) {
		usage(stdout);
		return EXIT_OK;
	}
	r = run(argc - 1, argv + 1);
	if (fflush(stdout) == EOF || ferror(stdout)) {
		log_error("cannot write to standard output");
		r = EXIT_FAILED;
	}
	return r;
}
