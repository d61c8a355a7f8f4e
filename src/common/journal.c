// SPDX-License-Identifier: GPL-2.0-or-later
/* Lines to the journal that never make the writer wait. */
#include "common/journal.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>
#include <glib.h>

/* What a slow journal may be behind. */
#define JOURNAL_BUFFER (8 * 1024 * 1024)
/* One that is gone is looked for this often. */
#define RETRY_USEC G_USEC_PER_SEC

/* The journal's stream, which never makes us wait. */
static struct {
	const char *name;
	int fd;
	gint64 tried_at; /* usec, monotonic: to connect again */
	char rest[LOG_LINE_MAX + 8]; /* of a line that went out in part */
	size_t rest_len;
	unsigned int lost; /* lines */
	bool gone; /* meanwhile; else it was slow */
} journal = {.fd = -1};

/*
 * What systemd itself does for StandardOutput=journal with a SyslogFacility=, for
 * sd_journal_stream_fd() has no facility. The header says, a line each: the identifier, no unit,
 * facility and priority, that a prefix <3> before a line says its priority, and that nothing is to be
 * forwarded to syslog, the kernel's log and the console but by journald.conf.
 */
static int connect_stream(const char *name)
{
	const struct sockaddr_un to = {AF_UNIX, "/run/systemd/journal/stdout"};
	const int size = JOURNAL_BUFFER;
	char header[128];
	int n = snprintf(header, sizeof(header), "%s\n\n%d\n1\n0\n0\n0\n", name,
			 LOG_AUTH | LOG_INFO);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0 || shutdown(fd, SHUT_RD) < 0)
		goto fail;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (send(fd, header, (size_t)n, MSG_NOSIGNAL) == n)
		return fd;
fail:
	n = -errno;
	close(fd);
	return n;
}

bool journal_open(const char *name)
{
	journal.name = name;
	journal.fd = connect_stream(name);
	return journal.fd >= 0;
}

bool journal_is_stderr(void)
{
	const char *stream = getenv("JOURNAL_STREAM"); /* device and inode, by systemd.exec(5) */
	g_autofree char *ours = NULL;
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st) < 0)
		return false;
	ours = g_strdup_printf("%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, ours) == 0;
}

/* Return: whether there is a stream, a new one if need be. */
static bool connected(void)
{
	gint64 now = g_get_monotonic_time();

	if (journal.fd >= 0)
		return true;
	if (journal.tried_at && now - journal.tried_at < RETRY_USEC)
		return false;
	journal.tried_at = now;
	return journal_open(journal.name);
}

/* Return: false when the journal has no room for it, or is gone. What it takes in part is kept. */
static bool send_to_journal(const char *text, size_t len)
{
	ssize_t n = send(journal.fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR) {
			close(journal.fd);
			journal.fd = -1;
			journal.gone = true;
			journal.lost += journal.rest_len > 0;
			journal.rest_len = 0;
		}
		return false;
	}
	journal.rest_len = len - (size_t)n;
	memmove(journal.rest, text + n, journal.rest_len);
	return true;
}

static bool send_line(int priority, const char *line)
{
	char whole[sizeof(journal.rest)];
	int n = snprintf(whole, sizeof(whole), "<%d>%s\n", priority, line);

	if (journal.rest_len &&
	    (!send_to_journal(journal.rest, journal.rest_len) || journal.rest_len))
		return false;
	return send_to_journal(whole, MIN((size_t)n, sizeof(whole) - 1));
}

/* What was lost comes before what is new. */
static bool try_to_write(int priority, const char *line)
{
	if (!connected())
		return false;
	if (journal.lost) {
		char text[96];

		snprintf(text, sizeof(text), "%u lines were lost: the journal %s", journal.lost,
			 journal.gone ? "was gone" : "did not keep up");
		if (!send_line(LOG_WARNING, text))
			return false;
		journal.lost = 0;
		journal.gone = false;
	}
	return send_line(priority, line);
}

void journal_write(int priority, const char *line)
{
	/* Twice: where the journal was started anew, our stream is gone and another is to be had. */
	if (!try_to_write(priority, line) && (journal.fd >= 0 || !try_to_write(priority, line)))
		journal.lost++;
}
