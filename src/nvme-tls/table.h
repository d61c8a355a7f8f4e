/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands of nvme-tls and their options, as data: parser, help and completion read them. */
#pragma once

#include <stddef.h>

/**
 * enum command_id - what nvme-tls can do.
 *
 * An option belongs to the commands whose bits (1 << id) its row has.
 */
enum command_id {
	COMMAND_GEN,
	COMMAND_CHECK,
	COMMAND_INSERT,
	COMMAND_LIST,
	COMMAND_IMPORT,
	COMMAND_EXPORT,
	COMMAND_REVOKE,
	COMMAND_ROTATE,
	COMMAND_DOCTOR,
	COMMAND_STATUS,
	COMMAND_LOG,
	/* What nvme-cli puts together otherwise, see nvme-cli.c. */
	COMMAND_TLS_KEY,
	COMMAND_KEYS_IMPORT,
	COMMAND_KEYS_REVOKE,
	COMMANDS /* their number */
};

/** enum wording - whose words a command prints, for the scripts that look for them. */
enum wording {
	WORDING_OWN,
	WORDING_NVME_2, /* nvme-cli 2: gen-tls-key, check-tls-key, tls-key */
	WORDING_NVME_3, /* nvme-cli 3: keys gen-tls-psk and the others below "keys" */
};

/**
 * struct command - a command.
 * @id: its place in commands[]
 * @name: as typed
 * @arguments: what may follow the options, as the help shows it; "" for nothing
 * @max_arguments: how many; -1 for any number
 * @summary: one line of the list of commands; NULL keeps it out of that and of completion
 * @about: what its help says, lines of at most 80 columns
 */
struct command {
	enum command_id id;
	const char *name;
	const char *arguments;
	int max_arguments;
	const char *summary;
	const char *about;
};

/** The commands, in the order in which the help lists them; ends with a NULL name. */
extern const struct command commands[];

/**
 * command_find() - the command of a name, its own or that of nvme-cli ("keys import": one space).
 * @wording: where not NULL, set to whose name it is
 *
 * Return: the command, or NULL.
 */
const struct command *command_find(const char *name, enum wording *wording);

/** enum option_kind - what an option's value is, and the type of its field in struct options. */
enum option_kind {
	OPTION_FLAG, /* none; bool */
	OPTION_WORD, /* any text; char * */
	OPTION_SECRET, /* the same, wiped before it is freed */
	OPTION_CHOICE, /* one of those in @value: "client|server"; char * */
	OPTION_COUNT, /* unsigned int, 0 for all */
	OPTION_NUMBER, /* int, one of those in @value: "0|1|2" */
	OPTION_IDENTITY, /* as @value says a version, "0|1", an identity, "IDENTITY", or either */
	OPTION_DURATION, /* "12h"; unsigned int, in seconds */
	OPTION_ERA, /* of psk_derivation_find(), or nothing; enum psk_derivation */
	OPTION_FORMAT, /* "json" sets the bool, "normal" clears it */
	OPTION_IGNORED, /* nvme-cli has it, here it means nothing */
	OPTION_IGNORED_VALUE, /* the same with a value */
};

/**
 * struct option_row - an option of some commands.
 * @name: the long name
 * @letter: the short one, or 0
 * @kind: what its value is
 * @field: its offset in struct options
 * @commands: bits of the commands that have it
 * @value: what the help calls the value; NULL for none
 * @help: what it does, in terms of these commands; NULL keeps it out of help and completion
 *
 * A name may have several rows, of different commands.
 */
struct option_row {
	const char *name;
	char letter;
	enum option_kind kind;
	size_t field;
	unsigned int commands;
	const char *value;
	const char *help;
};

/** The options, in the order in which the help lists them; ends with a NULL name. */
extern const struct option_row option_rows[];
