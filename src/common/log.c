// SPDX-License-Identifier: GPL-2.0-or-later
/* The log: journal, syslog or stderr, with levels 0 to 9. */
#include "common/log.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/journal.h"

#define ESCAPE_MAX 640

enum where { TO_STDERR, TO_JOURNAL, TO_SYSLOG };

static enum where where = TO_STDERR;
static const char *program = "";
static int level;
static void (*sink)(int priority, const char *line);

void log_open(enum log_target target, const char *name)
{
	program = name;
	if (target == LOG_TARGET_STDERR) {
		where = TO_STDERR;
	} else if (journal_open(name)) {
		where = TO_JOURNAL;
	} else {
		where = TO_SYSLOG;
		openlog(name, LOG_PID | LOG_NDELAY, LOG_DAEMON);
	}
}

void log_set_level(int to)
{
	level = to;
}

int log_level(void)
{
	return level;
}

void log_set_sink(void (*to)(int priority, const char *line))
{
	sink = to;
}

/* One write for a line, so that lines of two processes never mix. */
static void write_line(const char *line)
{
	char whole[LOG_LINE_MAX + 64];
	int n = snprintf(whole, sizeof(whole), "%s: %s\n", program, line);

	if (write(STDERR_FILENO, whole, MIN((size_t)n, sizeof(whole) - 1)) < 0)
		return; /* and nowhere to say so */
}

void log_line(int priority, const char *format, ...)
{
	char line[LOG_LINE_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);

	if (sink) {
		sink(priority, line);
		return;
	}
	switch (where) {
	case TO_JOURNAL:
		/* Gone when it was started anew: so is our stream. */
		if (!journal_write(priority, line) &&
		    (!journal_open(program) || !journal_write(priority, line)))
			where = TO_SYSLOG;
		break;
	case TO_SYSLOG:
		syslog(priority, "%s", line);
		break;
	case TO_STDERR:
		write_line(line);
		break;
	}
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
