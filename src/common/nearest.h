/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The known word that a misspelt one was meant to be. */
#pragma once

#include <stddef.h>

/**
 * nearest_word() - the word with the fewest edits (insert, delete, replace) from @word.
 * @known: NULL-terminated
 *
 * Return: one of @known; NULL when all are further than half of the letters of @word away.
 */
const char *nearest_word(const char *word, const char *const *known);
