/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What nvme-tls prints on standard output: JSON, and colour on a terminal. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <json-c/json.h>

#include "common/keyring.h"
#include "nvme-tls/tool.h"

/* A serial as everything here prints it, and as keyctl takes it. */
#define SERIAL "0x%08x"

/**
 * output_clean() - make foreign text fit for a terminal: what is no printable UTF-8 becomes "?".
 *
 * Return: a new string, to be freed by g_free().
 */
char *output_clean(const char *text);

/** json_add_string() - add @value, made valid UTF-8; NULL becomes null. */
void json_add_string(struct json_object *object, const char *name, const char *value);

/** json_add_serial() - add a serial as a number, and as the text that sysfs and /proc/keys have. */
void json_add_serial(struct json_object *object, key_serial serial);

/** json_print() - print @object and free it; its strings may be keys, and are wiped. */
void json_print(struct json_object *object);

/** json_print_line() - the same on a line of its own. */
void json_print_line(struct json_object *object);

/**
 * struct json_list - an array that is printed while it is made, so that ten thousand keys are not in
 * memory all at once.
 */
struct json_list {
	bool begun;
	int depth; /* of the array in the document */
};

#define JSON_LIST_INIT \
	{              \
		0      \
	}

/** json_list_add() - print @object as the next element and free it, as json_print() does. */
void json_list_add(struct json_list *list, struct json_object *object);

/** json_list_end() - print the end of the array. */
void json_list_end(struct json_list *list);

/** json_array_add_string() - the same at the end of an array. */
void json_array_add_string(struct json_object *array, const char *value);

/** colour() - the escape sequence of a colour, or "" when standard output is no terminal. */
enum colour { COLOUR_NONE, COLOUR_BAD, COLOUR_GOOD, COLOUR_HEAD };
const char *colour(enum colour which);

/**
 * output_flush() - see that all that was printed has gone out.
 *
 * Return: EXIT_OK, or EXIT_FAILED after a message; the message comes once.
 */
enum exit_code output_flush(void);
