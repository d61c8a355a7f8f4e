/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process for what may wait for a disk, which can be the one that waits for us: it works once and ends. */
#pragma once

#include <stddef.h>
#include <systemd/sd-event.h>

#define CHILD_DESCRIPTORS_MAX 64

/**
 * struct child_params - what it takes.
 * @name: of the process, in parentheses
 * @work: run in the process, which may open and read files: makes a @result of @job. Lines that it logs are in
 *	our log
 * @size: bytes of a result
 * @descriptors: where in @result its descriptors are; called in both processes. Return: how many
 * @done: called with the result, whose descriptors are the callback's; it frees the child
 * @gone: called when there is no result, and frees the child; @err is -EMFILE if it had more descriptors than we
 *	have room for, or -ECHILD if the process has died
 */
struct child_params {
	sd_event *event;
	const char *name;
	void (*work)(const void *job, void *result);
	const void *job;
	size_t size;
	size_t (*descriptors)(void *result, int *all[CHILD_DESCRIPTORS_MAX]);
	void (*done)(void *ctx, void *result);
	void (*gone)(void *ctx, int err);
	void *ctx;
};

struct child;

/** child_new() - start it; @params->job is used by this call only. Return: 0 with @out set; a negative errno. */
int child_new(struct child **out, const struct child_params *params);

/** child_free() - kill it, if need be, and forget it; this waits for nothing. NULL is fine. */
void child_free(struct child *c);
