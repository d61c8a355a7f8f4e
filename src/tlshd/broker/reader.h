/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Certificates, keys and lists are read by a process of its own: their disk may be the one that is gone. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "tlshd/broker/stamps.h"
#include "tlshd/shared/config.h"
#include "tlshd/shared/outcome.h"

/**
 * struct reader_file - what there is of one setting.
 * @configured: false too for what is as good as not configured: a warning has said so
 * @fd: its content, in sealed memory; -1 for none, as of a URL
 * @outcome: a success, or why it cannot be read
 */
struct reader_file {
	bool configured;
	int fd;
	struct outcome outcome;
};

/**
 * struct reading - what a reader has read; the descriptors are the owner's to close.
 * @same: nothing has changed, and so @files are all empty
 * @hold, @stamps: of the files, from before they were read
 */
struct reading {
	bool same;
	struct reader_file files[CREDENTIAL_OWNERS][CREDENTIAL_KINDS];
	struct stamps_hold hold;
	struct stamps stamps;
};

/**
 * struct reader_params - what it takes.
 * @settings: used by reader_new() only
 * @before: if all files are like that they are not read; NULL to read them anyhow. Used by reader_new() only
 * @done: called with what was read, all of which is the callback's; it frees the reader
 * @gone: called when the process has ended without that, and frees the reader; @why is a sentence's end
 */
struct reader_params {
	sd_event *event;
	const config *settings;
	const struct stamps *before;
	void (*done)(void *ctx, struct reading *what);
	void (*gone)(void *ctx, const char *why);
	void *ctx;
};

/** struct reader - a process that reads all files once, and what its warnings are is in our log. */
struct reader;

/** reader_new() - start it. Return: 0 with @out set; a negative errno. */
int reader_new(struct reader **out, const struct reader_params *params);

/** reader_free() - kill it, if need be, and forget it; this waits for nothing. NULL is fine. */
void reader_free(struct reader *r);
