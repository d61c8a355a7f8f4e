/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What nvme-tls says on standard error: all of it, fit for a terminal, and no secret. */
#pragma once

/**
 * message_open() - have log_error() and the like go through here.
 *
 * A slow reader of standard error is waited for. What a message repeats of somebody's input is
 * cleaned of control characters, and of what looks like a key: a word is often a key in the wrong
 * place, and a terminal's scroll-back or a log of a service is no place for one.
 */
void message_open(void);

/**
 * message_clean() - a line as message_open() has it printed.
 *
 * Return: a new string, to be freed by g_free().
 */
char *message_clean(const char *line);
