// SPDX-License-Identifier: GPL-2.0-or-later
/* What --help prints. */
#include "nvme-tls/help.h"

#include <string.h>
#include <glib.h>

#include "nvme-tls/columns.h"

enum { WIDTH = 80, HELP_COLUMN = 28 };

void help_program(FILE *to)
{
	fputs("Usage: nvme-tls COMMAND [OPTION…]\n\n"
	      "The keys of NVMe/TCP over TLS, and how its handshakes go. Commands:\n\n",
	      to);
	for (const struct command *c = commands; c->name; c++)
		if (c->summary)
			fprintf(to, "  %-8s %s\n", c->name, c->summary);
	fputs("\nnvme-tls COMMAND --help says more on one, nvme-tls(8) has examples. The names of\n"
	      "nvme-cli (gen-tls-key, check-tls-key, tls-key, keys gen-tls-psk ...) work, too.\n",
	      to);
}

static void print_option(char letter, const char *name, const char *value, const char *help,
			 FILE *to)
{
	g_autofree char *shown = letter ? g_strdup_printf("  -%c, --%s%s", letter, name, value)
					: g_strdup_printf("      --%s%s", name, value);

	if (strlen(shown) + 2 > HELP_COLUMN)
		fprintf(to, "%s\n%*s", shown, HELP_COLUMN, "");
	else
		fprintf(to, "%-*s", HELP_COLUMN, shown);
	columns_wrap(help, HELP_COLUMN, HELP_COLUMN, WIDTH, to);
}

void help_command(const struct command *command, const char *name, FILE *to)
{
	fprintf(to, "Usage: nvme-tls %s [OPTION…]%s%s\n\n%s\n\nOptions:\n", name,
		*command->arguments ? " " : "", command->arguments, command->about);
	for (const struct option_row *row = option_rows; row->name; row++) {
		g_autofree char *value = NULL;

		if (!(row->commands & 1u << command->id) || !row->help)
			continue;
		value = row->kind == OPTION_ERA ? g_strdup_printf("[=%s]", row->value)
			: row->value		? g_strconcat("=", row->value, NULL)
						: g_strdup("");
		print_option(row->letter, row->name, value, row->help, to);
	}
	print_option('h', "help", "", "Show this help", to);
}
