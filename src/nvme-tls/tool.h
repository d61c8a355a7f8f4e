/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every subcommand of nvme-tls shares: exit codes and the functions that main calls. */
#pragma once

/** enum exit_code - as nvme-tls(8) has them. */
enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1, /* the kernel or the disk did not do what was asked */
	EXIT_USAGE = 2, /* the command line makes no sense */
	EXIT_INVALID = 3, /* a key or a line of a key file is wrong; good lines were taken */
	EXIT_MISSING = 4, /* there is no such key */
	EXIT_DIFFERENT = 5, /* another key has that identity; keyring and key file differ */
	EXIT_WARNINGS = 6, /* doctor has found nothing that fails, but what may */
	EXIT_UNHEALTHY = 7, /* the daemon does not run, or has no worker */
};

/* These are where nvme-cli has them, whatever prefix we are built for. */
#define KEYFILE_DEFAULT "/etc/nvme/tls-keys"
#define HOSTNQN_FILE "/etc/nvme/hostnqn"

/** cmd_NAME() - the subcommand NAME; argv[0] is its name. Return: an exit_code. */
enum exit_code cmd_gen(int argc, char **argv);
enum exit_code cmd_check(int argc, char **argv);
enum exit_code cmd_insert(int argc, char **argv);
enum exit_code cmd_list(int argc, char **argv);
enum exit_code cmd_import(int argc, char **argv);
enum exit_code cmd_export(int argc, char **argv);
enum exit_code cmd_revoke(int argc, char **argv);
enum exit_code cmd_rotate(int argc, char **argv);
enum exit_code cmd_doctor(int argc, char **argv);
enum exit_code cmd_status(int argc, char **argv);
enum exit_code cmd_log(int argc, char **argv);
enum exit_code cmd_tls_key(int argc, char **argv);
enum exit_code cmd_keys_import(int argc, char **argv);
enum exit_code cmd_keys_revoke(int argc, char **argv);

/**
 * cmd_complete() - print what can stand in the place of the last word of a command line.
 * @argc, @argv: "complete", and then the words behind "nvme-tls", the last of them perhaps empty
 *
 * A line is a whole word, a tab, and what it means; the line ":files" stands for the names of files,
 * which the shell knows. No messages.
 *
 * Return: EXIT_OK.
 */
enum exit_code cmd_complete(int argc, char **argv);
