// SPDX-License-Identifier: GPL-2.0-or-later
/* A request of the kernel: how it waits, and how it ends. */
#include "tlshd/broker/broker-state.h"

#include <errno.h>
#include <malloc.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <gnutls/gnutls.h>

#include "common/log.h"

/* What a consumer grants that does not say: NVMe's own default. */
#define DEFAULT_TIMEOUT_MS 10000
/* What the target needs to arm its timer; see job_finish(). */
#define FAILURE_USEC (50 * UINT64_C(1000))
#define SUCCESS_USEC (5 * UINT64_C(1000))
/* This many jobs leave a heap worth giving back, once all are done. */
#define TRIM_FROM 512
#define MAX_TIMEOUT_MS (10 * 60 * 1000)

struct job *job_new(struct broker *b, const struct upcall_request *req)
{
	struct job *j = g_new0(struct job, 1);
	uint32_t timeout = req->timeout_ms ? MIN(req->timeout_ms, MAX_TIMEOUT_MS)
					   : DEFAULT_TIMEOUT_MS;

	do
		j->id = ++b->last_id;
	while (!j->id || g_hash_table_contains(b->jobs, GUINT_TO_POINTER(j->id)));
	j->broker = b;
	j->sockfd = req->sockfd;
	j->side = req->side;
	j->start = (uint64_t)g_get_monotonic_time();
	j->deadline.at = j->start + timeout * UINT64_C(1000);
	j->deadline.owner = j;
	j->link.data = j;
	j->state = JOB_NEW;
	g_queue_push_tail_link(&b->accepted, &j->link);
	g_hash_table_insert(b->jobs, GUINT_TO_POINTER(j->id), j);
	b->untrimmed++;
	deadlines_add(&b->deadlines, &j->deadline);
	log_debug(1, "job %u: ACCEPTed a %s handshake, timeout %u ms, %zu keys named", j->id,
		  side_name(j->side), timeout, req->n_peers);
	return j;
}

/* Out of the set or queue that its state puts it in. */
static void detach(struct broker *b, struct job *j)
{
	switch (j->state) {
	case JOB_NEW:
		g_queue_unlink(&b->accepted, &j->link);
		break;
	case JOB_WAITING:
		epoll_ctl(b->waiting, EPOLL_CTL_DEL, j->sockfd, NULL);
		break;
	case JOB_READY:
		g_queue_unlink(&b->ready, &j->link);
		break;
	case JOB_RUNNING:
		g_queue_unlink(&j->worker->jobs, &j->link);
		if (j->unrun)
			j->worker->unrun--;
		break;
	case JOB_ENDED:
		break;
	}
}

void job_make_ready(struct broker *b, struct job *j)
{
	detach(b, j);
	j->state = JOB_READY;
	g_queue_push_tail_link(&b->ready, &j->link);
}

/* In a storm the ClientHello is mostly there before us: one call instead of three. */
static bool has_first_byte(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLRDHUP};

	return poll(&p, 1, 0) > 0;
}

void job_wait(struct broker *b, struct job *j)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.u32 = j->id};

	job_note_peer(j);
	if (has_first_byte(j->sockfd)) {
		job_make_ready(b, j);
	} else if (epoll_ctl(b->waiting, EPOLL_CTL_ADD, j->sockfd, &event) == 0) {
		detach(b, j);
		j->state = JOB_WAITING;
	} else {
		log_warning("job %u: cannot wait for its first byte (%m), a worker does", j->id);
		job_make_ready(b, j);
	}
}

static char *peer_address(const union peer_address *peer)
{
	char host[64], port[16];

	if (getnameinfo(&peer->any, sizeof(*peer), host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		return g_strdup("a peer that is gone already");
	return g_strdup_printf(strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

void job_note_peer(struct job *j)
{
	socklen_t len = sizeof(j->peer);

	if (getpeername(j->sockfd, &j->peer.any, &len) < 0)
		j->peer.any.sa_family = AF_UNSPEC;
}

const char *side_name(enum handshake_side side)
{
	return side == HANDSHAKE_CLIENT	  ? "client"
	       : side == HANDSHAKE_SERVER ? "server"
					  : "unknown";
}

/* The one line of a handshake. */
static void log_outcome(const struct job *j, const struct outcome *o)
{
	g_autofree char *peer = peer_address(&j->peer);
	g_autofree char *identity = j->identity ? log_escape(j->identity, strlen(j->identity))
						: NULL;
	const struct cause_info *cause = cause_info(o->cause);
	g_autoptr(GString) line = g_string_new(NULL);

	g_string_append_printf(line, "%s handshake with %s ", side_name(j->side), peer);
	if (o->cause != CAUSE_SUCCESS) {
		g_autofree char *detail = log_escape(o->detail, strlen(o->detail));

		g_string_append_printf(line, "failed: %s%s%s", cause->sentence, *detail ? ": " : "",
				       detail);
		if (o->alert_sent >= 0) {
			g_autofree char *alert = outcome_alert_name(o->alert_sent);

			g_string_append_printf(line, "; alert %s sent", alert);
		}
	} else {
		const char *cipher = gnutls_cipher_get_name(o->cipher);

		g_string_append_printf(line, "succeeded: cipher %s", cipher ? cipher : "unknown");
	}
	if (identity)
		g_string_append_printf(line, ", identity \"%s\"", identity);
	if (j->key)
		g_string_append_printf(line, ", key 0x%08x", (unsigned int)j->key);
	g_string_append_printf(line, ", %" G_GUINT64_FORMAT " ms",
			       ((uint64_t)g_get_monotonic_time() - j->start) / 1000);
	if (o->cause != CAUSE_SUCCESS)
		g_string_append_printf(line, " [%s]", cause->id);
	log_line(o->cause == CAUSE_SUCCESS ? LOG_INFO : LOG_WARNING, "%s", line->str);
}

void jobs_stop_when_done(struct broker *b)
{
	if (b->stopping && !g_hash_table_size(b->jobs))
		sd_event_exit(b->event, 0);
}

/* The kernel knows, and @j is gone. */
static void forget(struct broker *b, struct job *j)
{
	g_hash_table_remove(b->jobs, GUINT_TO_POINTER(j->id));
	accept_close(j->sockfd);
	if (b->full)
		sd_event_source_set_time(b->room, 0);
	g_free(j->identity);
	g_free(j);
	if (!g_hash_table_size(b->jobs) && b->untrimmed >= TRIM_FROM) {
		malloc_trim(0);
		b->untrimmed = 0;
	}
	jobs_stop_when_done(b);
}

static int tell_kernel(struct broker *b, struct job *j, int status)
{
	int r = upcall_done(b->kernel, j->sockfd, status, status ? 0 : j->key);

	log_debug(2, "job %u: DONE with status %d: %s", j->id, status,
		  r < 0 ? g_strerror(-r) : "taken");
	return r;
}

static void succeed(struct broker *b, struct job *j)
{
	int r = tell_kernel(b, j, 0);

	if (r == -EBUSY)
		outcome_set(&j->outcome, CAUSE_GIVEN_UP, NULL);
	else if (r < 0)
		outcome_set(&j->outcome, CAUSE_DONE_REFUSED, "%s", g_strerror(-r));
	log_outcome(j, &j->outcome);
	stats_count(&b->stats, r == 0);
	forget(b, j);
}

/* The kernel is told; a failure is in the log already. */
static void report(struct broker *b, struct job *j)
{
	if (j->outcome.cause == CAUSE_SUCCESS) {
		succeed(b, j);
		return;
	}
	tell_kernel(b, j, cause_info(j->outcome.cause)->status);
	forget(b, j);
}

void job_settled(void *owner)
{
	struct job *j = owner;

	deadlines_remove(&j->broker->settling, &j->deadline);
	report(j->broker, j);
}

void job_fail(struct broker *b, struct job *j, enum cause cause, const char *detail)
{
	struct outcome o = OUTCOME_INIT;

	outcome_set(&o, cause, detail ? "%s" : NULL, detail);
	job_finish(b, j, &o);
}

void job_finish(struct broker *b, struct job *j, const struct outcome *o)
{
	bool failed = o->cause != CAUSE_SUCCESS;
	uint64_t settled = j->start + (failed ? FAILURE_USEC : SUCCESS_USEC);

	detach(b, j);
	deadlines_remove(&b->deadlines, &j->deadline);
	j->outcome = *o;
	if (failed) {
		log_outcome(j, o);
		stats_count(&b->stats, false);
	}
	if (j->side == HANDSHAKE_CLIENT || (uint64_t)g_get_monotonic_time() >= settled) {
		report(b, j);
		return;
	}
	j->state = JOB_ENDED;
	j->worker = NULL;
	j->deadline.at = settled;
	deadlines_add(&b->settling, &j->deadline);
}
