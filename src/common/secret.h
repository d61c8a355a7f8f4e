/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A buffer for key material that wipes itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <glib.h>

/* The longest key we handle: a 48-byte PSK, with room for a wrong one to be measured. */
#define SECRET_MAX 64

/**
 * struct secret - key material, up to SECRET_MAX bytes.
 * @len: bytes in use
 * @data: the bytes
 *
 * Declare with g_auto(secret) or wipe by secret_wipe() on every path. Never copy one by
 * assignment into memory that does not wipe itself, never format one.
 */
typedef struct secret {
	size_t len;
	uint8_t data[SECRET_MAX];
} secret;

#define SECRET_INIT \
	{           \
		0   \
	}

/** secret_wipe() - overwrite @s so that the compiler cannot leave the store out. */
static inline void secret_wipe(secret *s)
{
	explicit_bzero(s, sizeof(*s));
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(secret, secret_wipe)

/**
 * secret_set() - copy @len bytes at @data into @s.
 *
 * Return: 0, or -EMSGSIZE (and @s empty) when they do not fit.
 */
int secret_set(secret *s, const void *data, size_t len);

/** secret_equal() - compare two secrets in a time that depends on their lengths only. */
bool secret_equal(const secret *a, const secret *b);

/**
 * secret_pages_new() - whole pages for secrets that outlive a function.
 * @size: bytes wanted; rounded up to whole pages
 *
 * The pages are left out of core dumps, read as zeros in a forked child, and are locked into
 * memory where RLIMIT_MEMLOCK allows it.
 *
 * Return: zeroed memory, to be freed by secret_pages_free() with the same @size; NULL with
 * errno set when there is none.
 */
void *secret_pages_new(size_t size);

/** secret_pages_free() - wipe and unmap what secret_pages_new() gave. NULL is fine. */
void secret_pages_free(void *pages, size_t size);
