// SPDX-License-Identifier: GPL-2.0-or-later
/* The known word that a misspelt one was meant to be. */
#include "common/nearest.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <glib.h>

#define WORD_MAX 64

static size_t distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	size_t row[WORD_MAX + 1];

	if (la > WORD_MAX || lb > WORD_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t above = row[j];
			size_t same = g_ascii_tolower(a[i - 1]) != g_ascii_tolower(b[j - 1]);

			row[j] = MIN(MIN(above, row[j - 1]) + 1, diagonal + same);
			diagonal = above;
		}
	}
	return row[lb];
}

const char *nearest_word(const char *word, const char *const *known)
{
	const char *best = NULL;
	size_t fewest = strlen(word) / 2 + 1;

	for (; *known; known++) {
		size_t d = distance(word, *known);

		if (d < fewest) {
			fewest = d;
			best = *known;
		}
	}
	return best;
}
