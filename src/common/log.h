/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The log: journal, syslog, standard error, with levels 0 to 9. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <syslog.h>
#include <glib.h>

#include "common/system-log.h"

/* More fields of an entry are left out. */
#define LOG_FIELDS_MAX 16

/** enum log_target - where lines go. */
enum log_target {
	LOG_TARGET_USUAL, /* the journal when there is one, else syslog; facility auth */
	LOG_TARGET_STDERR, /* standard error alone */
	LOG_TARGET_BOTH, /* standard error besides, unless it is the journal anyway */
};

/**
 * log_open() - say where lines go and under which name; call once, before any file is opened.
 *
 * Of descriptors 0 to 2 those that are closed become /dev/null, for a file of ours must not become
 * standard error.
 */
void log_open(enum log_target target, const char *name);

/** log_set_level() - show log_debug() lines up to @level, 0 (none) to 9 (all). */
void log_set_level(int level);

/** log_level() - the level set. */
int log_level(void);

/** log_set_netlink(), log_netlink_shown() - are log_netlink() lines shown? At first not. */
void log_set_netlink(bool shown);
bool log_netlink_shown(void);

/**
 * log_set_sink() - hand finished lines to @sink instead, a worker's way to its broker.
 * @sink: gets the syslog priority and one line without newline; NULL restores the target
 */
void log_set_sink(void (*sink)(int priority, const char *line));

/** log_line() - write one line of a syslog priority (LOG_ERR, LOG_WARNING, LOG_NOTICE, ...). */
void log_line(int priority, const char *format, ...) G_GNUC_PRINTF(2, 3);

/**
 * log_entry() - log_line() with what a program may ask the journal for.
 * @id: of this kind of entry, the journal's MESSAGE_ID
 * @fields: NULL-terminated; other logs do without
 */
void log_entry(int priority, const char *id, const struct log_field *fields, const char *format,
	       ...) G_GNUC_PRINTF(4, 5);

/**
 * log_from_signal() - a warning from a signal handler, which may have interrupted any other line.
 * @line: goes out as it is, to where there is room for it at once, and not to a sink
 */
void log_from_signal(const char *line);

#define log_error(...) log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)

/** log_debug() - one line of a step, shown from level @at (1 to 9) on. */
#define log_debug(at, ...)                                \
	do {                                              \
		if (log_level() >= (at))                  \
			log_line(LOG_DEBUG, __VA_ARGS__); \
	} while (0)

/** log_netlink() - one line of a message to or from the kernel, whatever the level is. */
#define log_netlink(...)                                  \
	do {                                              \
		if (log_netlink_shown())                  \
			log_line(LOG_DEBUG, __VA_ARGS__); \
	} while (0)

/**
 * log_escape() - make foreign bytes fit for a line: what is not printable ASCII, and quote and
 * backslash, become \xHH, and more than 640 bytes are cut with "...".
 *
 * Return: a new string, to be freed by g_free().
 */
char *log_escape(const void *bytes, size_t len);

/** log_escape_line() - the same for a whole line, of any length and with quotes left alone. */
char *log_escape_line(const char *line);
