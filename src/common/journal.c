// SPDX-License-Identifier: GPL-2.0-or-later
/* Lines to the journal that never make the writer wait. */
#include "common/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>
#include <glib.h>
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

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

bool journal_open(const char *name)
{
	const int size = JOURNAL_BUFFER;

	journal.name = name;
	/* With a prefix <3> before each line that says its priority. */
	journal.fd = sd_journal_stream_fd(name, LOG_INFO, true);
	if (journal.fd < 0)
		return false;
	if (setsockopt(journal.fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(journal.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	fcntl(journal.fd, F_SETFL, fcntl(journal.fd, F_GETFL) | O_NONBLOCK);
	return true;
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
