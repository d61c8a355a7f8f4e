// SPDX-License-Identifier: GPL-2.0-or-later
/* What nvme-tls prints on standard output: JSON, and colour on a terminal. */
#include "nvme-tls/output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

char *output_clean(const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text, -1);
	GString *out = g_string_sized_new(strlen(valid));

	for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
		gunichar c = g_utf8_get_char(p);

		g_string_append_unichar(out, g_unichar_isprint(c) ? c : '?');
	}
	return g_string_free(out, FALSE);
}

void json_array_add_string(struct json_object *array, const char *value)
{
	g_autofree char *valid = g_utf8_make_valid(value, -1);

	json_object_array_add(array, json_object_new_string(valid));
}

void json_add_string(struct json_object *object, const char *name, const char *value)
{
	g_autofree char *valid = value ? g_utf8_make_valid(value, -1) : NULL;

	json_object_object_add(object, name, valid ? json_object_new_string(valid) : NULL);
	if (valid)
		explicit_bzero(valid, strlen(valid));
}

void json_add_serial(struct json_object *object, key_serial serial)
{
	char hex[9];

	snprintf(hex, sizeof(hex), "%08x", (unsigned int)serial);
	json_object_object_add(object, "serial", json_object_new_int(serial));
	json_object_object_add(object, "serial_hex", json_object_new_string(hex));
}

static void wipe_strings(struct json_object *object)
{
	switch (json_object_get_type(object)) {
	case json_type_string:
		explicit_bzero((void *)json_object_get_string(object),
			       (size_t)json_object_get_string_len(object));
		break;
	case json_type_object: {
		json_object_object_foreach(object, name, value)
		{
			(void)name;
			wipe_strings(value);
		}
		break;
	}
	case json_type_array:
		for (size_t i = 0; i < json_object_array_length(object); i++)
			wipe_strings(json_object_array_get_idx(object, i));
		break;
	default:
		break;
	}
}

/*
 * json-c escapes what JSON forbids, a terminal needs more: DEL, the controls of C1, and what turns the
 * direction of writing. All of these are inside strings, where \u is allowed.
 */
static void print_safely(const char *text, int indent)
{
	for (const char *p = text; *p;) {
		const char *next = g_utf8_next_char(p);
		gunichar c = g_utf8_get_char(p);

		if (c >= 0x7f && (g_unichar_iscntrl(c) || g_unichar_type(c) == G_UNICODE_FORMAT) &&
		    c <= 0xffff)
			printf("\\u%04x", c);
		else
			fwrite(p, 1, (size_t)(next - p), stdout);
		if (c == '\n')
			printf("%*s", indent, "");
		p = next;
	}
}

static void print_and_free(struct json_object *object, int how, int indent)
{
	const char *text = json_object_to_json_string_ext(object,
							  how | JSON_C_TO_STRING_NOSLASHESCAPE);

	print_safely(text, indent);
	explicit_bzero((void *)text, strlen(text));
	wipe_strings(object);
	json_object_put(object);
}

void json_print(struct json_object *object)
{
	print_and_free(object, JSON_C_TO_STRING_PRETTY, 0);
	putchar('\n');
}

void json_print_line(struct json_object *object)
{
	print_and_free(object, JSON_C_TO_STRING_SPACED, 0);
	putchar('\n');
}

void json_list_add(struct json_list *list, struct json_object *object)
{
	int indent = 2 * (list->depth + 1);

	printf("%s\n%*s", list->begun ? "," : "[", indent, "");
	print_and_free(object, JSON_C_TO_STRING_PRETTY, indent);
	list->begun = true;
}

void json_list_end(struct json_list *list)
{
	if (list->begun)
		printf("\n%*s]", 2 * list->depth, "");
	else
		fputs("[]", stdout);
	if (!list->depth)
		putchar('\n');
	list->begun = false;
}

const char *colour(enum colour which)
{
	static const char *const sequence[] = {"\033[0m", "\033[31m", "\033[32m", "\033[1m"};
	const char *term = getenv("TERM");
	const char *no = getenv("NO_COLOR");

	if (!isatty(STDOUT_FILENO) || (no && *no) || !term || strcmp(term, "dumb") == 0)
		return "";
	return sequence[which];
}

enum exit_code output_flush(void)
{
	static int error; /* the first one: later ones only follow from it */
	static bool said;

	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_OK;
	if (!error)
		error = errno ? errno : EIO;
	if (!said)
		log_error("cannot write to standard output: %s", g_strerror(error));
	said = true;
	return EXIT_FAILED;
}
