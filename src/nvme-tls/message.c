// SPDX-License-Identifier: GPL-2.0-or-later
/* What nvme-tls says on standard error: all of it, fit for a terminal, and no secret. */
#include "nvme-tls/message.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include <glib.h>

#include "common/log.h"
#include "nvme-tls/output.h"

#define HIDDEN "[not shown]"

/* The shortest secret has 64 hex digits, the longest other number in an NQN 32. */
#define HEX_MIN 48

/* What follows the head of a key in a message about the format is shorter. */
#define TAIL_MIN 12

static bool ends_word(char c)
{
	return !c || g_ascii_isspace(c) || strchr("\"',;()", c);
}

static size_t word_length(const char *s)
{
	size_t n = 0;

	while (!ends_word(s[n]))
		n++;
	return n;
}

/*
 * How many bytes at @s are the head of a key in one of the two formats, with any case and any version
 * ("NVMeTLSkey-1:", "DHHC-1:"); 0 for none.
 */
static size_t head_length(const char *s)
{
	static const char *const heads[] = {"key-", "dhhc-"};

	for (size_t i = 0; i < G_N_ELEMENTS(heads); i++) {
		size_t n = strlen(heads[i]);

		if (g_ascii_strncasecmp(s, heads[i], n) != 0)
			continue;
		while (g_ascii_isdigit(s[n]))
			n++;
		return s[n] == ':' ? n + 1 : 0;
	}
	return 0;
}

static size_t hex_length(const char *s)
{
	size_t n = 0;

	while (g_ascii_isxdigit(s[n]))
		n++;
	return n;
}

char *message_clean(const char *line)
{
	g_autofree char *clean = output_clean(line);
	GString *out = g_string_sized_new(strlen(clean));

	for (const char *p = clean; *p;) {
		size_t head = head_length(p), hex = hex_length(p);

		if (head && word_length(p + head) >= TAIL_MIN) {
			g_string_append_len(out, p, (gssize)head);
			g_string_append(out, HIDDEN);
			p += head + word_length(p + head);
		} else if (hex >= HEX_MIN) {
			g_string_append(out, HIDDEN);
			p += hex;
		} else {
			/* A run of hex digits is one word: its end alone is no shorter number. */
			size_t n = MAX(hex, 1u);

			g_string_append_len(out, p, (gssize)n);
			p += n;
		}
	}
	explicit_bzero(clean, strlen(clean));
	return g_string_free(out, FALSE);
}

/* In one write where the reader takes it, so that lines of two processes do not mix. */
static void write_all(const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(STDERR_FILENO, data, len);

		if (n < 0 && errno == EAGAIN)
			poll(&(struct pollfd){.fd = STDERR_FILENO, .events = POLLOUT}, 1, -1);
		else if (n < 0 && errno != EINTR)
			return; /* nobody to tell */
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
}

static void write_message(int priority, const char *line)
{
	g_autofree char *clean = message_clean(line);
	g_autofree char *whole = g_strconcat("nvme-tls: ", clean, "\n", NULL);

	write_all(whole, strlen(whole));
}

void message_open(void)
{
	log_open(LOG_TARGET_STDERR, "nvme-tls");
	log_set_sink(write_message);
}
