/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration is read again without waiting for its disk, which may be the one that waits for us. */
#pragma once

#include <systemd/sd-event.h>

#include "tlshd/shared/config.h"

/**
 * struct reload_params - what it takes.
 * @path: the file, borrowed; NULL for where config_load() looks
 * @done: called once with the settings, which are the callback's, or with NULL and a sentence that says why
 *	there are none; it frees the reload
 */
struct reload_params {
	sd_event *event;
	const char *path;
	void (*done)(void *ctx, config *settings, const char *why);
	void *ctx;
};

/** struct reload - a process that copies the file into memory once. */
struct reload;

/** reload_new() - start it. Return: 0 with @out set; a negative errno. */
int reload_new(struct reload **out, const struct reload_params *params);

/** reload_free() - whatever is read, nobody is told of it. NULL is fine. */
void reload_free(struct reload *r);
