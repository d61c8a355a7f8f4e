// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls: the keys of NVMe/TCP over TLS, from the first one to the boot. */
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <glib.h>

#include "common/log.h"
#include "common/nearest.h"
#include "nvme-tls/help.h"
#include "nvme-tls/message.h"
#include "nvme-tls/nvme-cli.h"
#include "nvme-tls/options.h"
#include "nvme-tls/output.h"
#include "nvme-tls/table.h"
#include "nvme-tls/tool.h"

static enum exit_code (*const run_command[COMMANDS])(int argc, char **argv) = {
	[COMMAND_GEN] = cmd_gen,
	[COMMAND_CHECK] = cmd_check,
	[COMMAND_INSERT] = cmd_insert,
	[COMMAND_LIST] = cmd_list,
	[COMMAND_IMPORT] = cmd_import,
	[COMMAND_EXPORT] = cmd_export,
	[COMMAND_REVOKE] = cmd_revoke,
	[COMMAND_ROTATE] = cmd_rotate,
	[COMMAND_DOCTOR] = cmd_doctor,
	[COMMAND_STATUS] = cmd_status,
	[COMMAND_LOG] = cmd_log,
	[COMMAND_TLS_KEY] = cmd_tls_key,
	[COMMAND_KEYS_IMPORT] = cmd_keys_import,
	[COMMAND_KEYS_REVOKE] = cmd_keys_revoke,
};

static enum exit_code unknown(const char *name)
{
	const char *known[COMMANDS + 1] = {0}, *meant;
	size_t n = 0;

	if (nvme_cli_hint(name))
		return EXIT_USAGE;
	for (const struct command *c = commands; c->name; c++)
		if (c->summary)
			known[n++] = c->name;
	meant = options_is_name(name) ? nearest_word(name, known) : NULL;
	if (meant)
		log_error("there is no command \"%s\"; did you mean %s?", name, meant);
	else if (options_is_name(name))
		log_error("there is no command \"%s\"; nvme-tls help lists them", name);
	else
		log_error("there is no command of that name; nvme-tls help lists them");
	return EXIT_USAGE;
}

static enum exit_code run(int argc, char **argv)
{
	g_autofree char *below_keys = NULL;
	const struct command *command;

	/* nvme-cli 3 has its commands on keys below "keys". */
	if (strcmp(argv[0], "keys") == 0 && argc > 1 && *argv[1] != '-') {
		below_keys = g_strconcat("keys ", argv[1], NULL);
		argv++;
		argc--;
		argv[0] = below_keys;
	}
	if (strcmp(argv[0], "complete") == 0)
		return cmd_complete(argc, argv);
	command = command_find(argv[0], NULL);
	return command ? run_command[command->id](argc, argv) : unknown(argv[0]);
}

/*
 * A key file must not get the descriptor of a closed standard output, and then what is printed. The
 * place is taken by one that cannot be read or written either.
 */
static void occupy_descriptors(void)
{
	while (fcntl(STDIN_FILENO, F_GETFD) < 0 || fcntl(STDOUT_FILENO, F_GETFD) < 0 ||
	       fcntl(STDERR_FILENO, F_GETFD) < 0)
		if (open("/", O_PATH) < 0)
			_exit(EXIT_FAILED);
}

static enum exit_code run_line(int argc, char **argv)
{
	if (argc < 2) {
		help_program(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		puts("nvme-tls " PROJECT_VERSION);
		return EXIT_OK;
	}
	if (strcmp(argv[1], "help") == 0 && argc > 2) {
		bool two_words = strcmp(argv[2], "keys") == 0 && argc > 3;
		char *help[] = {argv[2], two_words ? argv[3] : (char[]){"--help"},
				(char[]){"--help"}, NULL};

		return run(two_words ? 3 : 2, help);
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
	    strcmp(argv[1], "-h") == 0) {
		help_program(stdout);
		return EXIT_OK;
	}
	return run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	enum exit_code r;

	setlocale(LC_ALL, "");
	occupy_descriptors();
	/* A reader that has gone, and a file that may not grow, are errors that can be undone. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	message_open();
	r = run_line(argc, argv);
	return (int)(output_flush() == EXIT_OK ? r : EXIT_FAILED);
}
