/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines to the journal that never make the writer wait. */
#pragma once

#include <stdbool.h>

/* The longest line of the log; more is cut. */
#define LOG_LINE_MAX 2048

/*
 * sd_journal_send() waits when the journal is slow, and a process with a real-time priority must
 * not. So this is a stream of our own; lines for which it has no room, or that come while there is
 * no journal, are counted, and the number is the next line that gets through.
 */

/** journal_open() - connect; @name is what the lines stand under, and is kept. Return: is there one? */
bool journal_open(const char *name);

/** journal_is_stderr() - is standard error a stream to the journal, by systemd's making? */
bool journal_is_stderr(void);

/** journal_write() - one line of a syslog priority. A journal that is gone is looked for again. */
void journal_write(int priority, const char *line);
