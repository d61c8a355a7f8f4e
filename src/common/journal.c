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

/* The journal's stream, which never makes us wait. */
static struct {
	int fd;
	char rest[LOG_LINE_MAX + 8]; /* of a line that went out in part */
	size_t rest_len;
	unsigned int lost; /* lines */
} journal = {.fd = -1};

bool journal_open(const char *name)
{
	const int size = JOURNAL_BUFFER;

	if (journal.fd >= 0)
		close(journal.fd);
	/* With a prefix <3> before each line that says its priority. */
	journal.fd = sd_journal_stream_fd(name, LOG_INFO, true);
	if (journal.fd < 0)
		return false;
	if (setsockopt(journal.fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(journal.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	fcntl(journal.fd, F_SETFL, fcntl(journal.fd, F_GETFL) | O_NONBLOCK);
	journal.rest_len = 0;
	return true;
}

/* Return: false when the journal is gone. */
static bool send_to_journal(const char *text, size_t len)
{
	ssize_t n = send(journal.fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return false;
	n = MAX(n, 0);
	journal.rest_len = len - (size_t)n;
	memmove(journal.rest, text + n, journal.rest_len);
	return true;
}

bool journal_write(int priority, const char *line)
{
	char whole[sizeof(journal.rest)];
	int n;

	if (journal.rest_len && !send_to_journal(journal.rest, journal.rest_len))
		return false;
	if (journal.rest_len) {
		journal.lost++;
		return true;
	}
	if (journal.lost) {
		n = snprintf(whole, sizeof(whole), "<%d>%u lines were lost: the journal did not keep up\n",
			     LOG_WARNING, journal.lost);
		journal.lost = 0;
		if (!send_to_journal(whole, (size_t)n))
			return false;
		if (journal.rest_len) {
			journal.lost++;
			return true;
		}
	}
	n = snprintf(whole, sizeof(whole), "<%d>%s\n", priority, line);
	return send_to_journal(whole, MIN((size_t)n, sizeof(whole) - 1));
}
