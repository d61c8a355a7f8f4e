/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of nvme-tls: what a command line says. */
#pragma once

#include <stdbool.h>
#include <glib.h>

#include "common/derive.h"
#include "nvme-tls/table.h"

/**
 * struct options - what the command line says; NULL and -1 where it does not.
 * @command: the command that was called
 * @name: the name that it was called by
 * @wording: whose name that is
 * @identity: the whole identity, when --identity has one and not a version
 * @version: the identity version, 0 or 1
 * @since: of how many seconds until now; 0 for all
 * @lines: how many at most; 0 for all
 * @expires: after how many seconds the new key ends; 0 for never
 * @derivation: whose way of deriving --compat asks for; PSK_RFC8446 without it
 *
 * table.c says which option fills which field, and which command has it.
 */
typedef struct options {
	const struct command *command;
	const char *name;
	enum wording wording;
	char *keyring;
	char *keytype;
	char *hostnqn;
	char *subsysnqn;
	char *identity;
	char *keyfile;
	char *keydata;
	char *secret;
	char *revoke;
	char *connect;
	char *trsvcid;
	char *nqn;
	char *hostid;
	char *root;
	char *recording;
	char *side;
	char *cause;
	char *peer;
	int version;
	int hmac;
	int length;
	enum psk_derivation derivation;
	bool insert;
	bool import;
	bool export;
	bool json;
	bool quiet;
	unsigned int expires;
	unsigned int since;
	unsigned int lines;
	bool stage;
	bool change_over;
	bool finish;
	bool dry_run;
	bool boot;
	bool force;
	bool host;
	bool target;
	bool failed;
	bool follow;
	bool prometheus;
} options;

#define OPTIONS_INIT                                                 \
	{                                                            \
		.version = -1, .hmac = -1, .length = -1, .lines = 20 \
	}

/** options_clear() - free them, and wipe --keydata and --secret. */
void options_clear(options *o);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(options, options_clear)

/**
 * options_parse() - read the command line of a command; --help prints the help and ends the program.
 * @o: filled; --keyring and --keytype get their defaults
 * @argc, @argv: begin with the command's name; on success moved on, so that the arguments which are
 *	no options are (*argv)[1] to (*argv)[*argc - 1]
 *
 * The habits are those of getopt_long(3), which nvme-cli uses: options and arguments in any order,
 * "-I1", "--sub" for --subsysnqn, "--" before what only looks like an option.
 *
 * Messages never repeat a value: anything misplaced may be a key.
 *
 * Return: true; false after a message (then the exit code is EXIT_USAGE).
 */
bool options_parse(options *o, int *argc, char ***argv);

/**
 * options_is_name() - whether a mistyped option or command looks like one: what does not may be a
 * misplaced key, and is not repeated in a message.
 */
bool options_is_name(const char *word);

/**
 * options_hostnqn() - --hostnqn, or what /etc/nvme/hostnqn says, checked.
 *
 * Return: the name, owned by @o; NULL after a message.
 */
const char *options_hostnqn(options *o);

/** options_subsysnqn() - --subsysnqn, checked. Return: NULL after a message. */
const char *options_subsysnqn(options *o);
