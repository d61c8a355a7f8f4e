/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes of any length that may be secret: they are wiped before their memory is given back. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <glib.h>

/**
 * struct blob - some memory, owned.
 * @data: the bytes, and a NUL behind them; NULL when there are none
 */
typedef struct blob {
	char *data;
	size_t len;
} blob;

/** blob_new() - room for @len bytes, and the NUL; @len of the result is 0. */
blob blob_new(size_t len);

/** blob_copy() - a copy of @len bytes at @data. */
blob blob_copy(const void *data, size_t len);

/** blob_clear() - wipe and free them; @b is all zero afterwards. */
void blob_clear(blob *b);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(blob, blob_clear)

/** blob_add() - append to bytes whose room blob_new() has made large enough. */
void blob_add(blob *b, const void *data, size_t len);

/** blob_equal() - whether they are the same; not in constant time. */
bool blob_equal(const blob *a, const blob *b);

/**
 * blob_read() - read a descriptor to its end, from the beginning where it has one.
 * @max: more than this is an error
 * @out: set to what there is; empty on failure
 *
 * Return: 0; -EFBIG; what read() says.
 */
int blob_read(int fd, size_t max, blob *out);

/** blob_write() - write all of them. Return: 0 or what write() says. */
int blob_write(int fd, const blob *b);

/**
 * blob_next_line() - walk over lines.
 * @at: where the walk stands, 0 at first
 * @line, @len: set to the next line, without its newline
 *
 * Return: false at the end.
 */
bool blob_next_line(const blob *b, size_t *at, const char **line, size_t *len);
