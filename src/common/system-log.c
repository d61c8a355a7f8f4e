// SPDX-License-Identifier: GPL-2.0-or-later
/* The log of the system: the journal, or syslog where there is none; neither makes the writer wait. */
#include "common/system-log.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include <glib.h>

/* What a slow reader may be behind. */
#define BUFFER (8 * 1024 * 1024)
/* One that is gone is looked for this often. */
#define RETRY_USEC G_USEC_PER_SEC
/* Priority, time, name and process before a line, and its end. */
#define FRAME 128

/* An entry with its fields. */
#define ENTRY_MAX 8192

const struct system_log_paths system_log_paths = {"/run/systemd/journal/stdout", "/dev/log",
						  "/run/systemd/journal/socket"};

static struct {
	const char *name;
	const struct system_log_paths *paths;
	int fd;
	int native; /* -1 for none */
	bool is_journal;
	gint64 tried_at; /* usec, monotonic: to connect again */
	char rest[LOG_LINE_MAX + FRAME]; /* of a line that the journal took in part */
	size_t rest_len;
	unsigned int lost; /* lines */
	bool gone; /* meanwhile; else it was slow */
	char signal_prefix[FRAME];
} out = {.fd = -1, .native = -1};

static int connect_to(const char *path, int type)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	const int size = BUFFER;
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	g_strlcpy(to.sun_path, path, sizeof(to.sun_path));
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0 ||
	    shutdown(fd, SHUT_RD) < 0) {
		int err = errno;

		close(fd);
		return -err;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return fd;
}

/*
 * What systemd itself does for StandardOutput=journal with a SyslogFacility=, for
 * sd_journal_stream_fd() has no facility. The header says, a line each: the identifier, no unit,
 * facility and priority, that a prefix <3> before a line says its priority, and that nothing is to be
 * forwarded to syslog, the kernel's log and the console but by journald.conf.
 */
static int connect_journal(void)
{
	char header[FRAME];
	int n = snprintf(header, sizeof(header), "%s\n\n%d\n1\n0\n0\n0\n", out.name,
			 LOG_AUTH | LOG_INFO);
	int fd = connect_to(out.paths->journal, SOCK_STREAM);

	if (fd < 0 || send(fd, header, (size_t)n, MSG_NOSIGNAL) == n)
		return fd;
	n = -errno;
	close(fd);
	return n;
}

static void connect_native(void)
{
	if (out.native < 0 && out.is_journal && out.fd >= 0 && out.paths->native)
		out.native = MAX(connect_to(out.paths->native, SOCK_DGRAM), -1);
}

static bool reconnect(void)
{
	out.tried_at = g_get_monotonic_time();
	out.is_journal = true;
	out.fd = connect_journal();
	if (out.fd < 0) {
		int fd = connect_to(out.paths->syslog, SOCK_DGRAM);

		out.is_journal = fd <
				 0; /* which is the one that is missed, where there is neither */
		out.fd = fd;
	}
	if (out.is_journal)
		snprintf(out.signal_prefix, sizeof(out.signal_prefix), "<%d>", LOG_WARNING);
	else
		snprintf(out.signal_prefix, sizeof(out.signal_prefix),
			 "<%d>%s: ", LOG_AUTH | LOG_WARNING, out.name);
	connect_native();
	out.gone |= out.fd < 0;
	return out.fd >= 0;
}

void system_log_open(const char *name, const struct system_log_paths *paths)
{
	out.name = name;
	out.paths = paths;
	tzset(); /* reads a file, which a sandbox may not like later */
	reconnect();
}

bool system_log_is_stderr(void)
{
	const char *stream = getenv("JOURNAL_STREAM"); /* device and inode, by systemd.exec(5) */
	g_autofree char *ours = NULL;
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st) < 0)
		return false;
	ours = g_strdup_printf("%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, ours) == 0;
}

/* Return: whether there is a connection, a new one if need be. */
static bool connected(void)
{
	if (out.fd >= 0)
		return true;
	if (g_get_monotonic_time() - out.tried_at < RETRY_USEC)
		return false;
	return reconnect();
}

/* Return: false when there is no room for it, or nobody. What a stream takes in part is kept. */
static bool send_text(const char *text, size_t len)
{
	ssize_t n = send(out.fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
			close(out.fd);
			out.fd = -1;
			out.gone = true;
			out.lost += out.rest_len > 0;
			out.rest_len = 0;
		}
		return false;
	}
	out.rest_len = len - (size_t)n;
	memmove(out.rest, text + n, out.rest_len);
	return true;
}

/* As syslog() frames it, in the time of this place. */
static int frame_datagram(char *whole, size_t size, int priority, const char *line)
{
	time_t now = time(NULL);
	struct tm tm;
	char when[32];

	strftime(when, sizeof(when), "%b %e %T", localtime_r(&now, &tm));
	return snprintf(whole, size, "<%d>%s %s[%d]: %s", LOG_AUTH | priority, when, out.name,
			(int)getpid(), line);
}

static bool send_line(int priority, const char *line)
{
	char whole[sizeof(out.rest)];
	int n = out.is_journal ? snprintf(whole, sizeof(whole), "<%d>%s\n", priority, line)
			       : frame_datagram(whole, sizeof(whole), priority, line);

	if (out.rest_len && (!send_text(out.rest, out.rest_len) || out.rest_len))
		return false;
	return send_text(whole, MIN((size_t)n, sizeof(whole) - 1));
}

/* What was lost comes before what is new. */
static bool try_to_write(int priority, const char *line)
{
	if (!connected())
		return false;
	if (out.lost) {
		char text[96];

		snprintf(text, sizeof(text), "%u lines were lost: %s %s", out.lost,
			 out.is_journal ? "the journal" : "syslog",
			 out.gone ? "was gone" : "did not keep up");
		if (!send_line(LOG_WARNING, text))
			return false;
		out.lost = 0;
		out.gone = false;
	}
	return send_line(priority, line);
}

void system_log_write(int priority, const char *line)
{
	/* Twice: where the journal was started anew, our stream is gone and another is to be had. */
	if (!try_to_write(priority, line) && (out.fd >= 0 || !try_to_write(priority, line)))
		out.lost++;
}

static void add_field(GString *entry, const char *name, const char *value)
{
	if (!value || !*value || entry->len + strlen(name) + strlen(value) + 2 > ENTRY_MAX)
		return;
	g_string_append_printf(entry, "%s=", name);
	for (; *value; value++) /* a newline would begin another field */
		g_string_append_c(entry, *value == '\n' ? ' ' : *value);
	g_string_append_c(entry, '\n');
}

/* Return: false when the line is to go without its fields. */
static bool send_entry(int priority, const char *line, const struct log_field *fields)
{
	g_autoptr(GString) entry = NULL;

	/* Behind what the stream has not taken yet it would come too early. */
	if (!connected() || out.native < 0 || out.rest_len || out.lost)
		return false;
	entry = g_string_sized_new(1024);
	g_string_append_printf(entry, "PRIORITY=%d\nSYSLOG_FACILITY=%d\n", priority,
			       LOG_FAC(LOG_AUTH));
	add_field(entry, "SYSLOG_IDENTIFIER", out.name);
	add_field(entry, "MESSAGE", line);
	for (; fields->name; fields++)
		add_field(entry, fields->name, fields->value);
	if (send(out.native, entry->str, entry->len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		return true;
	if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
		close(out.native);
		out.native = -1;
		connect_native();
	}
	return false;
}

void system_log_write_fields(int priority, const char *line, const struct log_field *fields)
{
	if (!send_entry(priority, line, fields))
		system_log_write(priority, line);
}

/* A line that was interrupted half-way is torn in two by ours. */
void system_log_from_signal(const char *line)
{
	char whole[LOG_LINE_MAX];
	char *end = whole;

	if (out.fd < 0 || strlen(line) > sizeof(whole) - FRAME)
		return;
	if (out.is_journal && out.rest_len)
		*end++ = '\n';
	end = stpcpy(stpcpy(end, out.signal_prefix), line);
	if (out.is_journal)
		*end++ = '\n';
	send(out.fd, whole, (size_t)(end - whole), MSG_NOSIGNAL | MSG_DONTWAIT);
}
