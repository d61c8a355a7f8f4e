/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors that systemd keeps for us from one broker to the next. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/**
 * struct stored - a descriptor that the broker before us left with systemd.
 * @name: what it was stored as
 * @fd: the caller's to close; -1 once it is taken
 */
struct stored {
	char *name;
	int fd;
};

/** store_exists() - is there a systemd that keeps descriptors for us? */
bool store_exists(void);

/**
 * store_take() - what the broker before us has left.
 * @n: set to their number
 *
 * To be called once, before anything else is opened. systemd keeps its own copy of each until
 * store_remove().
 *
 * Return: an array of @n, to be freed by store_free(); NULL for none.
 */
struct stored *store_take(size_t *n);

/** store_free() - free the array, and close what nobody has taken. NULL is fine. */
void store_free(struct stored *list, size_t n);

/**
 * store_put() - have systemd keep descriptors under a name until store_remove(). Does nothing without
 * systemd; what it cannot store is not there after a restart.
 * @name: of letters, digits and dashes
 * @fds, @n: borrowed
 */
void store_put(const char *name, const int *fds, unsigned int n);

/** store_remove() - systemd closes all that it has under this name. */
void store_remove(const char *name);
