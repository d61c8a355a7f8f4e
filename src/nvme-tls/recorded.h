/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's recording, for the commands that show it. */
#pragma once

#include "common/recording.h"
#include "nvme-tls/options.h"
#include "nvme-tls/output.h"
#include "nvme-tls/tool.h"

/**
 * recorded_open() - read the recording of --recording, or of the daemon in our network namespace.
 * @out: set on success, to be freed by recording_free()
 *
 * Return: EXIT_OK; EXIT_MISSING when there is none, EXIT_INVALID when it is not readable, EXIT_FAILED,
 * each after a message.
 */
enum exit_code recorded_open(const options *o, recording **out);

/**
 * recorded_why_down() - why there is no daemon behind the recording, and what to do.
 *
 * Return: a sentence, to be freed by g_free(); NULL when there is one.
 */
char *recorded_why_down(const recording *r);

/** recorded_is_suspended() - has a signal stopped the daemon, so that it answers nobody? */
bool recorded_is_suspended(const recording *r);

/** recorded_time() - a real time, local, to the millisecond if @exact; to be freed by g_free(). */
char *recorded_time(uint64_t usec, bool exact);

/** recorded_duration() - "870 us", "3.1 ms", "12 s"; to be freed by g_free(). */
char *recorded_duration(uint64_t usec);

/** json_add_time() - add a real time as ISO 8601 has it, in UTC; 0 becomes null. */
void json_add_time(struct json_object *object, const char *name, uint64_t usec);
