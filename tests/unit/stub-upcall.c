// SPDX-License-Identifier: GPL-2.0-or-later
/* A kernel for tests of the broker's rooms: it has no requests, and remembers what it is told. */
#include "stub-upcall.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>

#include "common/log.h"

struct told stub_told[1024];
unsigned int stub_n_told;
int stub_answer;
GString *stub_log;

int upcall_done(struct upcall *u, int sockfd, int status, int32_t remote)
{
	if (stub_n_told < G_N_ELEMENTS(stub_told))
		stub_told[stub_n_told++] = (struct told){sockfd, status, remote,
							 (uint64_t)g_get_monotonic_time()};
	return status ? 0 : stub_answer;
}

int upcall_accept(struct upcall *u, struct upcall_request *req, const char **why)
{
	return -EAGAIN;
}

int upcall_ready(struct upcall *u)
{
	return 0;
}

int upcall_fd(const struct upcall *u)
{
	return -1;
}

void upcall_close(struct upcall *u)
{
}

void upcall_leave(struct upcall *u)
{
}

void stub_forget(void)
{
	stub_n_told = 0;
	stub_answer = 0;
	if (stub_log)
		g_string_truncate(stub_log, 0);
}

struct job *stub_job(struct jobs *jobs, enum handshake_side side, uint32_t timeout_ms, int *peer)
{
	struct accepted one = {
		.req = {.side = side, .auth = HANDSHAKE_PSK, .timeout_ms = timeout_ms},
		.peer.v4 = {.sin_family = AF_INET, .sin_port = htons(4420)},
	};
	int fd[2];

	one.peer.v4.sin_addr.s_addr = htonl(0xc0000207); /* 192.0.2.7 */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
		abort();
	one.req.sockfd = fd[0];
	*peer = fd[1];
	return job_new(jobs, &one);
}

static void remember(int priority, const char *line)
{
	g_string_append_printf(stub_log, "%s\n", line);
}

void stub_log_to_memory(void)
{
	stub_log = g_string_new(NULL);
	log_set_sink(remember);
}

unsigned int stub_lines(const char *text)
{
	g_auto(GStrv) lines = g_strsplit(stub_log->str, "\n", -1);
	unsigned int n = 0;

	for (char **line = lines; *line; line++)
		n += strstr(*line, text) != NULL;
	return n;
}

bool stub_run(sd_event *event, bool (*work)(void *ctx), bool (*until)(void *ctx), void *ctx)
{
	gint64 end = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
	int r;

	do {
		while (work && work(ctx))
			;
		if (until && until(ctx))
			return true;
		r = sd_event_run(event, until ? 10000 : 0);
	} while (r > 0 || (until && g_get_monotonic_time() < end));
	return false;
}

int upcall_others(const struct upcall *u, uint32_t *port)
{
	return 0;
}
