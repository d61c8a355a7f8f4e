// SPDX-License-Identifier: GPL-2.0-or-later
/* The log: journal, syslog, standard error, with levels 0 to 9. */
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/system-log.h"

#define ESCAPE_MAX 640

static bool to_system; /* the journal or syslog */
static bool to_stderr = true; /* alone or besides */
static const char *program = "";
static int level;
static bool netlink_shown;
static void (*sink)(int priority, const char *line);

/* Else the next file that is opened becomes standard error, and lines are written into it. */
static void fill_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

void log_open(enum log_target target, const char *name)
{
	fill_standard();
	program = name;
	to_stderr = target != LOG_TARGET_USUAL;
	if (target == LOG_TARGET_STDERR)
		return;
	to_system = true;
	system_log_open(name, &system_log_paths);
	if (system_log_is_stderr()) /* no line twice */
		to_stderr = false;
}

void log_set_level(int to)
{
	level = to;
}

int log_level(void)
{
	return level;
}

void log_set_netlink(bool shown)
{
	netlink_shown = shown;
}

bool log_netlink_shown(void)
{
	return netlink_shown;
}

void log_set_sink(void (*to)(int priority, const char *line))
{
	sink = to;
}

/* Lines that found no room on stderr, why, and whether the last of them went out in part. */
static struct {
	unsigned int lines;
	int error;
	bool torn;
} lost;

/*
 * One write for a line, so that lines of two processes never mix; it is not waited for. Return:
 * whether the whole line went out.
 */
static bool write_whole(const char *format, ...) G_GNUC_PRINTF(1, 2);
static bool write_whole(const char *format, ...)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
	char whole[LOG_LINE_MAX + 64];
	va_list args;
	ssize_t len, n = -1;

	va_start(args, format);
	len = vsnprintf(whole, sizeof(whole), format, args);
	va_end(args);
	len = MIN(len, (ssize_t)sizeof(whole) - 1);
	errno = EAGAIN;
	if (poll(&p, 1, 0) != 0)
		n = write(STDERR_FILENO, whole, (size_t)len);
	if (n == len)
		return true;
	lost.error = n < 0 ? errno : ENOSPC;
	lost.torn |= n > 0;
	return false;
}

/* What a full disk or a reader that sleeps has cost is the first line that gets through again. */
static void write_line(const char *line)
{
	if (lost.lines &&
	    write_whole("%s%s: %u lines of this log were lost: %s\n", lost.torn ? "\n" : "",
			program, lost.lines,
			lost.error == EAGAIN ? "nobody read it" : g_strerror(lost.error)))
		memset(&lost, 0, sizeof(lost));
	if (lost.lines || !write_whole("%s: %s\n", program, line))
		lost.lines++;
}

static void put(int priority, const char *line, const struct log_field *fields)
{
	if (sink) {
		sink(priority, line);
		return;
	}
	if (to_system && fields)
		system_log_write_fields(priority, line, fields);
	else if (to_system)
		system_log_write(priority, line);
	if (to_stderr)
		write_line(line);
}

void log_line(int priority, const char *format, ...)
{
	char line[LOG_LINE_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	put(priority, line, NULL);
}

void log_entry(int priority, const char *id, const struct log_field *fields, const char *format,
	       ...)
{
	struct log_field all[LOG_FIELDS_MAX + 2] = {{"MESSAGE_ID", id}};
	char line[LOG_LINE_MAX];
	va_list args;

	for (size_t i = 0; i < LOG_FIELDS_MAX && fields[i].name; i++)
		all[i + 1] = fields[i];
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	put(priority, line, all);
}

void log_from_signal(const char *line)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
	char whole[LOG_LINE_MAX], *end;

	if (to_system)
		system_log_from_signal(line);
	if (!to_stderr || strlen(program) + strlen(line) > sizeof(whole) - 4)
		return;
	end = stpcpy(stpcpy(stpcpy(stpcpy(whole, program), ": "), line), "\n");
	if (poll(&p, 1, 0) > 0 && write(STDERR_FILENO, whole, (size_t)(end - whole)) < 0)
		lost.lines++;
}

static char *escape(const unsigned char *p, size_t len, size_t max, const char *special)
{
	GString *out = g_string_sized_new(MIN(len, max) + 8);

	for (size_t i = 0; i < len; i++) {
		if (i == max) {
			g_string_append(out, "...");
			break;
		}
		if (g_ascii_isprint(p[i]) && !strchr(special, p[i]))
			g_string_append_c(out, (char)p[i]);
		else
			g_string_append_printf(out, "\\x%02x", p[i]);
	}
	return g_string_free(out, FALSE);
}

char *log_escape(const void *bytes, size_t len)
{
	return escape(bytes, len, ESCAPE_MAX, "\"\\");
}

char *log_escape_line(const char *line)
{
	return escape((const unsigned char *)line, strlen(line), SIZE_MAX, "");
}
