/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows for people: a table, or, where the names are long, a line of its own for each of them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <glib.h>

/* No line is longer, but for a name that alone is. */
#define COLUMNS_WIDTH 100

/**
 * struct column - what a column is.
 * @head: its heading
 * @name: its cells are names, which can be long, and then have lines of their own
 */
struct column {
	const char *head;
	bool name;
};

typedef struct columns columns;

/** columns_new() - no rows yet, of @n columns; @spec stays the caller's. To be freed. */
columns *columns_new(const struct column *spec, size_t n);
void columns_free(columns *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(columns, columns_free)

/** columns_add() - a row; takes the strings in @cells, as many as there are columns. */
void columns_add(columns *c, char *const *cells);

/**
 * columns_note() - a sentence on the row added last, which is printed below it.
 * @bad: something is wrong
 */
void columns_note(columns *c, bool bad, const char *text);

/** columns_print() - print all of it. A cell "-" gets no line of its own. */
void columns_print(const columns *c, FILE *to);

/**
 * columns_wrap() - print words, in as many lines as they take.
 * @column: the column that @to has come to
 * @indent: with how many blanks the lines begin that follow
 * @width: how long a line may be
 */
void columns_wrap(const char *text, size_t column, size_t indent, size_t width, FILE *to);
