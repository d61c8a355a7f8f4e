// SPDX-License-Identifier: GPL-2.0-or-later
/* The workers as the broker sees them: who gets which job, what they ask, and when they die. */
#include "tlshd/broker/broker-state.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "tlshd/broker/tls-module.h"
#include "tlshd/shared/sandbox.h"
#include "tlshd/worker/worker.h"

/* A worker's deadline comes this much before ours, so that it can still report. */
#define WORKER_MARGIN_USEC (100 * UINT64_C(1000))
/* A worker that is late with a job and has said nothing for so long is gone or in a loop. */
#define PATIENCE_USEC (5 * G_USEC_PER_SEC)
/* Jobs that a worker has and has not run yet; more would only wait there instead of here. */
#define UNRUN_MAX 16
/* A worker with fewer of them keeps up. */
#define UNRUN_WARM 4
/* Jobs that it may have more than another that would take them. */
#define JOBS_AHEAD 4
/* Look-ups of one job: what a ClientHello may offer us, and no scan. */
#define LOOKUPS_MAX 8
#define RESPAWN_USEC (1 * G_USEC_PER_SEC)
#define DEFAULT_WORKERS_MAX 4

static uint64_t now(void)
{
	return (uint64_t)g_get_monotonic_time();
}

static bool takes_jobs(const struct worker *w)
{
	/* One that systemd has yet to start may be seconds away. */
	return w->pid && !w->retired && !w->blocked && !w->mute && w->unrun < UNRUN_MAX &&
	       w->jobs.length < ROLE_WORKER_JOBS;
}

/*
 * Of those that keep up the first, for one that is warm is cheaper than one to be woken; but none gets
 * so far ahead of the others that its death costs much more than theirs. Else the one least behind.
 */
static struct worker *next_worker(struct broker *b)
{
	struct worker *best = NULL;
	guint fewest = G_MAXUINT;

	for (guint i = 0; i < b->workers->len; i++) {
		const struct worker *w = b->workers->pdata[i];

		if (takes_jobs(w))
			fewest = MIN(fewest, w->jobs.length);
	}
	for (guint i = 0; i < b->workers->len; i++) {
		struct worker *w = b->workers->pdata[i];

		if (!takes_jobs(w))
			continue;
		if (w->unrun < UNRUN_WARM && w->jobs.length < fewest + JOBS_AHEAD)
			return w;
		if (!best || w->unrun < best->unrun)
			best = w;
	}
	return best;
}

static void worker_free(struct worker *w)
{
	sd_event_source_disable_unref(w->io);
	close(w->sock); /* which ends it, if it still does as it should */
	if (w->pidfd >= 0)
		close(w->pidfd);
	g_clear_pointer(&w->late, g_hash_table_unref);
	g_free(w);
}

/* One that is late gets no more jobs until it has said something. */
static void set_mute(struct worker *w, bool mute)
{
	if (w->mute == mute)
		return;
	w->mute = mute;
	if (mute) {
		w->patience.at = now() + PATIENCE_USEC;
		deadlines_add(&w->broker->patience, &w->patience);
	} else {
		deadlines_remove(&w->broker->patience, &w->patience);
	}
}

static void set_blocked(struct worker *w, bool blocked)
{
	w->blocked = blocked;
	sd_event_source_set_io_events(w->io, blocked ? EPOLLOUT : EPOLLIN);
}

/*
 * Hands @j to @w. Return: 0, also when @j has failed; -EAGAIN when @w has no room: @j stays ready;
 * -EPIPE when @w is gone.
 */
static int hand_over(struct broker *b, struct job *j, struct worker *w)
{
	union ipc_message *m = b->secret_message;
	int r = 0;

	memset(&m->job, 0, sizeof(m->job));
	m->header.type = IPC_JOB;
	m->header.job = j->id;
	m->job.side = j->side;
	m->job.deadline_usec = j->deadline.at - WORKER_MARGIN_USEC;
	m->job.tickets = habits_tickets(b->habits, &j->peer.any, now());
	if (j->side == HANDSHAKE_CLIENT) {
		r = keys_read(b->keys, j->keyring, j->key, &m->job.psk);
		if (r < 0) {
			job_fail(b, j,
				 keys_status(r) == ENOKEY ? CAUSE_NAMED_KEY_MISSING
							  : CAUSE_NAMED_KEY_UNREADABLE,
				 key_strerror(r));
			return 0;
		}
		g_strlcpy(m->job.identity, j->identity, sizeof(m->job.identity));
	}
	r = ipc_send(w->sock, m, j->sockfd, false);
	secret_wipe(&m->job.psk);
	if (r < 0)
		return r;
	g_queue_unlink(&b->ready, &j->link);
	g_queue_push_tail_link(&w->jobs, &j->link);
	j->state = JOB_RUNNING;
	j->worker = w;
	j->unrun = true;
	w->unrun++;
	log_debug(2, "job %u: handed to worker %d, its %u. now", j->id, (int)w->pid,
		  w->jobs.length);
	return 0;
}

bool pool_go_on(struct broker *b)
{
	struct worker *w;
	int r;

	if (b->accepted.head) {
		job_wait(b, b->accepted.head->data);
		return true;
	}
	w = b->ready.head ? next_worker(b) : NULL;
	if (!w)
		return false;
	r = hand_over(b, b->ready.head->data, w);
	if (r == -EAGAIN)
		set_blocked(w, true);
	else if (r == -ETOOMANYREFS) /* descriptors in flight; the worker takes them out */
		return false;
	else if (r < 0)
		worker_lost(w, "its socket is closed");
	return b->ready.head;
}

static void mark_ran(struct job *j)
{
	if (!j->unrun)
		return;
	j->unrun = false;
	j->worker->unrun--;
}

/* Return: 0, or -EAGAIN when the answer has to wait for room. */
static int answer_lookup(struct worker *w, struct job *j)
{
	struct broker *b = w->broker;
	union ipc_message *m = b->secret_message;
	int key, r;

	memset(&m->key, 0, sizeof(m->key));
	m->header.type = IPC_KEY;
	m->header.job = j->id;
	key = keys_find(b->keys, j->keyring, j->identity, j->start, &m->key.psk);
	m->key.error = key < 0 ? (uint32_t)-key : 0;
	r = ipc_send(w->sock, m, -1, false);
	secret_wipe(&m->key.psk);
	if (r == 0)
		j->key = MAX(key, 0);
	return r;
}

static void on_lookup(struct worker *w, struct job *j, const char *identity)
{
	int r;

	if (j->side != HANDSHAKE_SERVER || ++j->lookups > LOOKUPS_MAX) {
		worker_lost(w, "it asked for keys that are none of its business");
		return;
	}
	g_free(j->identity);
	j->identity = g_strdup(identity);
	r = answer_lookup(w, j);
	if (r == -EAGAIN) {
		w->stalled = j->id;
		set_blocked(w, true);
	} else if (r < 0) {
		worker_lost(w, "its socket is closed");
	}
}

static void on_done(struct broker *b, struct job *j, const struct ipc_done *done)
{
	struct outcome o = {
		.cause = done->cause, .alert_sent = done->alert_sent, .cipher = done->cipher};

	if (o.cause == CAUSE_SUCCESS && j->side == HANDSHAKE_CLIENT)
		habits_learn(b->habits, &j->peer.any, done->tickets, now());

	if (o.cause == CAUSE_SUCCESS && !j->key) {
		job_fail(b, j, CAUSE_WORKER_LIED, "a success without a key");
		return;
	}
	/* The module may have gone, or have come only now: make sure for the next one. */
	if (o.cause == CAUSE_NO_TLS_MODULE)
		tls_module_need(j->sockfd);
	g_strlcpy(o.detail, done->detail, sizeof(o.detail));
	job_finish(b, j, &o);
}

/* A message of @w. Return: false when @w is gone after it. */
static bool take_message(struct worker *w, const union ipc_message *m)
{
	struct broker *b = w->broker;
	struct job *j;

	if (m->header.type == IPC_LOG) {
		g_autofree char *line = log_escape_line(m->log.line);

		log_line((int)m->log.priority, "worker %d: %s", (int)w->pid, line);
		return true;
	}
	j = g_hash_table_lookup(b->jobs, GUINT_TO_POINTER(m->header.job));
	if (w->late && g_hash_table_contains(w->late, GUINT_TO_POINTER(m->header.job))) {
		if (m->header.type == IPC_DONE)
			g_hash_table_remove(w->late, GUINT_TO_POINTER(m->header.job));
		return true;
	}
	if (!j || j->state != JOB_RUNNING || j->worker != w) {
		worker_lost(w, "it spoke of a job that it does not have");
		return false;
	}
	mark_ran(j);
	switch (m->header.type) {
	case IPC_LOOKUP:
		on_lookup(w, j, m->lookup.identity);
		break;
	case IPC_DONE:
		on_done(b, j, &m->done);
		break;
	default: /* IPC_RAN has said all */
		break;
	}
	return g_ptr_array_find(b->workers, w, NULL);
}

static void resume(struct worker *w)
{
	struct broker *b = w->broker;
	struct job *j = g_hash_table_lookup(b->jobs, GUINT_TO_POINTER(w->stalled));

	if (w->stalled && j && j->worker == w && answer_lookup(w, j) == -EAGAIN)
		return;
	w->stalled = 0;
	set_blocked(w, false);
}

static void release_retired(struct worker *w)
{
	if (w->retired && !w->jobs.length)
		worker_lost(w, NULL);
}

/* The first word of a worker that systemd has started. */
static void meet(struct worker *w)
{
	int r = ipc_receive_born(w->sock, &w->pid);

	if (r == -EAGAIN)
		return;
	if (r == -EBADMSG) {
		worker_lost(w, "its first word is another one than a worker's");
	} else if (r < 0) {
		worker_lost(w, "systemd could not start it; see journalctl -u 'tlshd-worker@*'");
	} else {
		ipc_want_sender(w->sock, false);
		set_mute(w, false);
		w->pidfd = pidfd_open(w->pid, 0);
		log_debug(1, "worker %d started", (int)w->pid);
	}
}

/* One message, and then the kernel comes first again. */
static int on_worker(sd_event_source *source, int sock, uint32_t events, void *userdata)
{
	struct worker *w = userdata;
	struct broker *b = w->broker;
	union ipc_message m;
	const char *why;
	int r;

	if (w->blocked) {
		if (events & (EPOLLHUP | EPOLLERR))
			worker_lost(w, "it died");
		else
			resume(w);
		broker_go_on(b);
		return 0;
	}
	if (!w->pid) {
		meet(w);
		broker_go_on(b);
		return 0;
	}
	r = ipc_receive(sock, IPC_BROKER, &m, NULL, &why);
	if (r == -EBADMSG) {
		g_autofree char *cause = g_strdup_printf("it sent %s", why);

		worker_lost(w, cause);
	} else if (r < 0 && r != -EAGAIN) {
		worker_lost(w, "it died");
	} else if (r == 0) {
		set_mute(w, false);
		if (take_message(w, &m))
			release_retired(w);
	}
	broker_go_on(b);
	return 0;
}

/* One that dies at birth, or cannot be born, would have us fork without end. */
static void spawn_later(struct broker *b)
{
	sd_event_source_set_time_relative(b->respawn, RESPAWN_USEC);
	sd_event_source_set_enabled(b->respawn, SD_EVENT_ONESHOT);
}

void worker_lost(struct worker *w, const char *cause)
{
	struct broker *b = w->broker;
	GList *link;

	g_ptr_array_remove(b->workers, w); /* no job goes there any more */
	set_mute(w, false);
	if (cause) {
		log_error("worker %d is lost: %s; %u handshakes fail with it", (int)w->pid, cause,
			  w->jobs.length);
		if (w->pidfd >= 0)
			pidfd_send_signal(w->pidfd, SIGKILL, NULL, 0);
	}
	while ((link = w->jobs.head)) {
		job_fail(b, link->data, CAUSE_WORKER_LOST, cause);
	}
	if (!w->retired && !b->stopping) {
		if (now() - w->born < RESPAWN_USEC)
			spawn_later(b);
		else
			pool_spawn(b);
	}
	worker_free(w);
}

void worker_late(struct job *j)
{
	struct worker *w = j->worker;

	if (!w->late)
		w->late = g_hash_table_new(NULL, NULL);
	g_hash_table_add(w->late, GUINT_TO_POINTER(j->id));
	set_mute(w, true);
	job_fail(j->broker, j, CAUSE_WORKER_LATE, NULL);
}

void worker_mute(void *owner)
{
	struct worker *w = owner;
	struct broker *b = w->broker;

	worker_lost(w, "it does not answer");
	broker_go_on(b);
}

static int on_child(sd_event_source *source, const siginfo_t *info, void *userdata)
{
	if (info->si_code == CLD_EXITED && info->si_status == 0)
		log_debug(1, "worker %d has ended", (int)info->si_pid);
	else if (info->si_code == CLD_EXITED)
		log_error("worker %d has ended with status %d", (int)info->si_pid, info->si_status);
	else
		log_error("worker %d was ended by signal %d (%s)%s", (int)info->si_pid,
			  info->si_status, strsignal(info->si_status),
			  info->si_status == SIGKILL
				  ? "; if by nobody else, then by the kernel for want of memory"
				  : "");
	return 0;
}

/* Return: 0 or a negative errno, logged. */
static int fork_worker(struct worker *w, int sock)
{
	struct broker *b = w->broker;
	pid_t pid;
	int r;

	acceptor_pause(b->acceptor);
	pid = fork();
	r = -errno;
	if (pid != 0)
		acceptor_resume(b->acceptor);
	if (pid < 0) {
		log_error("no process for a worker: %s", g_strerror(-r));
		return r;
	}
	if (pid == 0)
		worker_main(sock, b->settings, b->options->worker_uid, b->options->worker_gid);
	w->pid = pid;
	w->pidfd = pidfd_open(pid, 0);
	r = sd_event_add_child(b->event, NULL, pid, WEXITED, on_child, NULL);
	if (r < 0)
		log_error("worker %d cannot be watched: %s", (int)pid, g_strerror(-r));
	else
		log_debug(1, "worker %d started", (int)pid);
	return r;
}

/*
 * Only a process that may become any user can make one of another user: so systemd does it, for whom
 * connects to the socket of its unit. Return: 0 or a negative errno, logged.
 */
static int ask_systemd(struct worker *w, int sock)
{
	const config *c = w->broker->settings;
	union ipc_message m = {.settings = {.header = {IPC_SETTINGS, 0},
					    .loglevel = (uint32_t)c->loglevel,
					    .tls_debug = (uint32_t)c->tls_debug,
					    .nl_debug = (uint32_t)c->nl_debug,
					    .sha384_compat = c->sha384_compat}};
	int bell = ipc_ring(WORKER_SOCKET);
	int r = bell;

	ipc_want_sender(w->sock, true);
	if (bell >= 0) {
		r = ipc_send(bell, &m, sock, false);
		close(bell);
	}
	if (r < 0)
		log_error("no worker from systemd: " WORKER_SOCKET
			  ": %s; start tlshd-worker.socket",
			  g_strerror(-r));
	return r;
}

/* Return: 0 or a negative errno, logged. */
static int spawn(struct broker *b)
{
	struct worker *w;
	int ours, theirs;
	int r = ipc_pair(&ours, &theirs);

	if (r < 0) {
		log_error("no socket pair for a worker: %s", g_strerror(-r));
		return r;
	}
	w = g_new0(struct worker, 1);
	w->broker = b;
	w->sock = ours;
	w->pidfd = -1;
	w->born = now();
	w->patience.owner = w;
	r = sd_event_add_io(b->event, &w->io, ours, EPOLLIN, on_worker, w);
	if (r < 0)
		log_error("a worker cannot be watched: %s", g_strerror(-r));
	else
		r = b->options->fork_workers ? fork_worker(w, theirs) : ask_systemd(w, theirs);
	close(theirs);
	if (r < 0) {
		worker_free(w);
		return r;
	}
	g_ptr_array_add(b->workers, w);
	return 0;
}

static unsigned int workers_wanted(const struct broker *b)
{
	if (b->settings->workers)
		return (unsigned int)b->settings->workers;
	return CLAMP(g_get_num_processors(), 1, DEFAULT_WORKERS_MAX);
}

unsigned int pool_size(const struct broker *b)
{
	unsigned int n = 0;

	for (guint i = 0; i < b->workers->len; i++)
		n += !((struct worker *)b->workers->pdata[i])->retired;
	return n;
}

void pool_spawn(struct broker *b)
{
	for (unsigned int n = pool_size(b); n < workers_wanted(b); n++)
		if (spawn(b) < 0) {
			spawn_later(b);
			return;
		}
}

void pool_retire(struct broker *b)
{
	for (guint i = b->workers->len; i-- > 0;) {
		struct worker *w = b->workers->pdata[i];

		w->retired = true;
		release_retired(w);
	}
}

void pool_close(struct broker *b)
{
	for (guint i = 0; i < b->workers->len; i++)
		worker_free(b->workers->pdata[i]);
	g_ptr_array_set_size(b->workers, 0);
}
