/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The log of the system: the journal, or syslog where there is none; neither makes the writer wait. */
#pragma once

#include <stdbool.h>

/**
 * struct log_field - what an entry of the journal has besides its line.
 * @name: in capitals; NULL ends a list
 * @value: no byte that is not printable; NULL: the entry does not have it
 */
struct log_field {
	const char *name;
	const char *value;
};

/* The longest line of the log; more is cut. */
#define LOG_LINE_MAX 2048

/*
 * sd_journal_send() and syslog() wait when the other end is slow, and a process with a real-time
 * priority must not. So these are sockets of our own; lines for which there is no room, or that come
 * while there is nobody, are counted, and the number is the next line that gets through.
 */

/** struct system_log_paths - the sockets. */
struct system_log_paths {
	const char *journal; /* the one for streams */
	const char *syslog; /* datagrams */
	const char *native; /* of the journal, datagrams with fields; NULL for none */
};

/** The usual ones. */
extern const struct system_log_paths system_log_paths;

/**
 * system_log_open() - connect, now and whenever there is a line and no connection.
 * @name: what the lines stand under; kept
 * @paths: kept
 */
void system_log_open(const char *name, const struct system_log_paths *paths);

/** system_log_is_stderr() - is standard error a stream to the journal, by systemd's making? */
bool system_log_is_stderr(void);

/** system_log_write() - one line of a syslog priority. */
void system_log_write(int priority, const char *line);

/**
 * system_log_write_fields() - one line with fields, which only the journal can keep.
 * @fields: NULL-terminated
 *
 * The journal takes fields only in datagrams, and of these only some hundred that it has not read yet. Where
 * there is no room for one, the line alone goes where all lines go.
 */
void system_log_write_fields(int priority, const char *line, const struct log_field *fields);

/** system_log_from_signal() - a warning, by what a signal handler may call; see log_from_signal(). */
void system_log_from_signal(const char *line);
