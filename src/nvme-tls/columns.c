// SPDX-License-Identifier: GPL-2.0-or-later
/* Rows for people: a table, or, where the names are long, a line of its own for each of them. */
#include "nvme-tls/columns.h"

#include <string.h>

#include "nvme-tls/output.h"

#define GAP 2
#define INDENT 5 /* of what is below a row */

struct note {
	bool bad;
	char *text;
};

struct row {
	char **cells;
	GArray *notes; /* of struct note; NULL without */
};

struct columns {
	const struct column *spec;
	size_t n;
	GArray *rows; /* of struct row */
};

columns *columns_new(const struct column *spec, size_t n)
{
	columns *c = g_new0(columns, 1);

	c->spec = spec;
	c->n = n;
	c->rows = g_array_new(FALSE, FALSE, sizeof(struct row));
	return c;
}

static struct row *row_at(const columns *c, size_t i)
{
	return &g_array_index(c->rows, struct row, i);
}

void columns_free(columns *c)
{
	for (size_t i = 0; i < c->rows->len; i++) {
		struct row *row = row_at(c, i);

		for (size_t n = 0; n < c->n; n++)
			g_free(row->cells[n]);
		g_free(row->cells);
		for (guint n = 0; row->notes && n < row->notes->len; n++)
			g_free(g_array_index(row->notes, struct note, n).text);
		if (row->notes)
			g_array_unref(row->notes);
	}
	g_array_unref(c->rows);
	g_free(c);
}

void columns_add(columns *c, char *const *cells)
{
	struct row row = {.cells = g_memdup2(cells, c->n * sizeof(*cells))};

	g_array_append_val(c->rows, row);
}

void columns_note(columns *c, bool bad, const char *text)
{
	struct row *row = row_at(c, c->rows->len - 1);
	struct note note = {bad, g_strdup(text)};

	if (!row->notes)
		row->notes = g_array_new(FALSE, FALSE, sizeof(struct note));
	g_array_append_val(row->notes, note);
}

/* How many columns of a terminal a text takes. */
static size_t text_width(const char *text)
{
	size_t width = 0;

	for (; *text; text = g_utf8_next_char(text)) {
		gunichar u = g_utf8_get_char(text);

		width += g_unichar_iswide(u) ? 2 : g_unichar_iszerowidth(u) ? 0 : 1;
	}
	return width;
}

void columns_wrap(const char *text, size_t column, size_t indent, size_t width, FILE *to)
{
	g_auto(GStrv) word = g_strsplit(text, " ", -1);

	for (size_t i = 0; word[i]; i++) {
		size_t len = text_width(word[i]);

		if (i && column + 1 + len > width) {
			fprintf(to, "\n%*s", (int)indent, "");
			column = indent;
		} else if (i) {
			putc(' ', to);
			column++;
		}
		fputs(word[i], to);
		column += len;
	}
	putc('\n', to);
}

static void print_cells(const columns *c, const char *const *cells, const size_t *width, FILE *to)
{
	size_t blanks = 0;

	/* Blanks come before the cell that follows: none is at the end of a line. */
	for (size_t n = 0; n < c->n; n++) {
		if (!width[n])
			continue;
		fprintf(to, "%*s%s", (int)blanks, "", cells[n]);
		blanks = width[n] - text_width(cells[n]) + GAP;
	}
	putc('\n', to);
}

static void print_names(const columns *c, char *const *cells, size_t head_width, FILE *to)
{
	for (size_t n = 0; n < c->n; n++)
		if (c->spec[n].name && strcmp(cells[n], "-") != 0)
			fprintf(to, "%*s%-*s%s\n", INDENT, "", (int)head_width + GAP,
				c->spec[n].head, cells[n]);
}

static void print_notes(const struct row *row, FILE *to)
{
	for (guint n = 0; row->notes && n < row->notes->len; n++) {
		const struct note *note = &g_array_index(row->notes, struct note, n);

		fprintf(to, "%*s%s%s", INDENT, "", note->bad ? colour(COLOUR_BAD) : "",
			note->bad ? "! " : "");
		columns_wrap(note->text, INDENT + 2, INDENT + 2, COLUMNS_WIDTH, to);
		fputs(note->bad ? colour(COLOUR_NONE) : "", to);
	}
}

void columns_print(const columns *c, FILE *to)
{
	g_autofree size_t *width = g_new0(size_t, c->n);
	g_autofree const char **heads = g_new0(const char *, c->n);
	size_t total = 0, head_width = 0;
	bool wide;

	for (size_t n = 0; n < c->n; n++) {
		heads[n] = c->spec[n].head;
		width[n] = MAX(text_width(heads[n]), 1); /* 0 leaves a column out */
		if (c->spec[n].name)
			head_width = MAX(head_width, width[n]);
		for (size_t i = 0; i < c->rows->len; i++)
			width[n] = MAX(width[n], text_width(row_at(c, i)->cells[n]));
		total += width[n] + (n ? GAP : 0);
	}
	wide = total > COLUMNS_WIDTH;
	for (size_t n = 0; wide && n < c->n; n++)
		if (c->spec[n].name)
			width[n] = 0;

	fputs(colour(COLOUR_HEAD), to);
	print_cells(c, heads, width, to);
	fputs(colour(COLOUR_NONE), to);
	for (size_t i = 0; i < c->rows->len; i++) {
		const struct row *row = row_at(c, i);

		print_cells(c, (const char *const *)row->cells, width, to);
		if (wide)
			print_names(c, row->cells, head_width, to);
		print_notes(row, to);
	}
}
