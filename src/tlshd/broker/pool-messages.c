// SPDX-License-Identifier: GPL-2.0-or-later
/* What workers say, and what the broker makes of it. */
#include "tlshd/broker/pool-messages.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/log.h"
#include "common/secret.h"
#include "tlshd/broker/ktls-check.h"
#include "tlshd/broker/tls-module.h"

/* The first of its generation is born: those before it take no more. */
static void enter_generation(struct pool *p)
{
	p->entered = p->generation;
	for (guint i = p->workers->len; i-- > 0;)
		if (pool_worker_at(p, i)->generation != p->generation)
			pool_worker_retire(pool_worker_at(p, i));
	if (p->params.entered)
		p->params.entered(p->params.ctx, p->credentials);
}

static void is_born(struct pool_worker *w, const struct ipc_sender *sender, const char *build)
{
	struct pool *p = w->pool;

	if (strcmp(build, p->first.version) != 0) {
		g_autofree char *escaped = log_escape(build, strlen(build));

		pool_worker_lose(w, "it is of another build");
		p->params.upgraded(p->params.ctx, escaped);
		return;
	}
	ipc_want_sender(w->sock, false);
	if (!w->pid) {
		w->pid = sender->pid;
		w->pidfd = sender->pidfd;
		if (sender->uid == 0 || pool_worker_watch_exit(w) < 0) {
			pool_worker_lose(w, sender->uid == 0 ? "it runs as root"
							     : "it cannot be watched");
			return;
		}
	}
	pool_worker_stop_timer(w);
	w->state = WORKER_SERVING;
	pool_worker_keep(w);
	p->birth_failed = false;
	log_debug(1, "worker %d started", (int)w->pid);
	if (p->entered != p->generation)
		enter_generation(p);
}

/*
 * A line costs even if nobody reads it. Without debugging a worker has next to nothing to say, so one
 * that uses up its lines is ended; with it, one is not read for a while.
 */
static void take_line(struct pool_worker *w, const struct ipc_log *m)
{
	g_autofree char *line = log_escape_line(m->line);

	log_line((int)m->priority, "worker %d: %s", (int)w->pid, line);
	if (pool_worker_may_log(w))
		return;
	if (!w->debugs) {
		pool_worker_lose(w, "it floods the log");
	} else {
		sd_event_source_set_enabled(w->io, SD_EVENT_OFF);
		w->pause.at = pool_now() + G_USEC_PER_SEC / w->pool->params.limits.lines;
		deadlines_add(&w->pool->pauses, &w->pause);
	}
}

/* A message of one that is not born: BORN, or a line on why it cannot be. */
static void meet(struct pool_worker *w)
{
	struct ipc_sender sender = {.pidfd = -1};
	union ipc_message m;
	const char *why = "";
	int r;

	if (w->pid)
		r = ipc_receive(w->sock, IPC_BROKER, &m, NULL, &why);
	else
		r = ipc_receive_from(w->sock, IPC_BROKER, &m, NULL, &sender, &why);
	if (r == -EAGAIN)
		return;
	if (r == -EMFILE)
		pool_worker_lose(w, "no descriptor is left to watch it");
	else if (r == -EBADMSG)
		pool_worker_lose(w, "its first word is another one than a worker's");
	else if (r < 0)
		pool_worker_lose_dead(w,
				      w->pid ? "it died"
					     : "systemd could not start it; see journalctl -u 'tlshd-worker@*'");
	else if (m.header.type == IPC_BORN)
		is_born(w, &sender, m.born.version);
	else if (m.header.type == IPC_LOG)
		take_line(w, &m.log);
	else
		pool_worker_lose(w, "its first word is another one than a worker's");
	if (sender.pidfd >= 0 && sender.pidfd != w->pidfd)
		close(sender.pidfd);
}

void pool_messages_on_pause_over(void *owner)
{
	struct pool_worker *w = owner;

	if (w->io)
		sd_event_source_set_enabled(w->io, SD_EVENT_ON);
}

/* Return: 0, or -EAGAIN when the answer has to wait for room, or another negative errno. */
static int answer_lookup(struct pool_worker *w, struct job *j)
{
	struct pool *p = w->pool;
	union ipc_message *m = p->secret_message;
	int key, r;

	memset(&m->key, 0, sizeof(m->key));
	m->header.type = IPC_KEY;
	m->header.job = j->id;
	key = keys_find(p->params.keys, j->keyring, j->identity, j->start, &m->key.psk);
	m->key.error = key < 0 ? (uint32_t)-key : 0;
	r = ipc_send(w->sock, m, -1, false);
	secret_wipe(&m->key.psk);
	if (r < 0)
		return r;
	j->key = MAX(key, 0);
	job_move(j, j->key ? JOB_KEYED : JOB_UNKEYED, &w->busy);
	return 0;
}

int pool_messages_answer(struct pool_worker *w, struct job *j)
{
	int r = answer_lookup(w, j);

	if (r != -EAGAIN)
		return r;
	w->stalled = j->id;
	pool_worker_set_blocked(w, true);
	return 0;
}

/* One identity of each connection is looked up, and the line of the handshake names it. */
static void on_lookup(struct pool_worker *w, struct job *j, const char *identity)
{
	j->identity = g_strdup(identity);
	job_move(j, JOB_ASKING, &w->busy);
	if (pool_messages_answer(w, j) < 0)
		pool_worker_lose_dead(w, "its socket is closed");
}

static void accuse(struct pool_worker *w, struct job *j, const char *what)
{
	job_fail(j, CAUSE_WORKER_LIED, what);
	pool_worker_lose(w, "it reported what is not so");
}

static void on_done(struct pool_worker *w, struct job *j, enum job_state before,
		    const struct ipc_done *done)
{
	struct outcome o = {
		.cause = done->cause,
		.alert_sent = done->alert_sent,
		.cipher = done->cipher,
		.certified = done->certified,
		.group = done->group,
	};
	const char *why = "a success without a key";

	record_add(&w->record, o.cause != CAUSE_SUCCESS);
	if (o.cause == CAUSE_SUCCESS &&
	    (!order_may_succeed(order_rules(j->side, j->auth), before) ||
	     ktls_check(j->sockfd, o.cipher, &why) < 0)) {
		accuse(w, j, why);
		return;
	}
	if (o.cause == CAUSE_SUCCESS && j->side == HANDSHAKE_CLIENT)
		habits_learn(w->pool->habits, &j->peer.any, done->tickets, pool_now());
	/* The module may have gone, or have come only now: make sure for the next one. */
	if (o.cause == CAUSE_NO_TLS_MODULE)
		tls_module_need(j->sockfd);
	g_strlcpy(o.detail, done->detail, sizeof(o.detail));
	job_end(j, &o);
}

static void lose_for_order(struct pool_worker *w, const struct ipc_header *header)
{
	pool_worker_lose(w, header->type == IPC_LOOKUP
				    ? "it asked for keys that are none of its business"
				    : "it spoke out of turn");
}

/* Of a job that has ended without its worker: what was on its way. */
static void take_late(struct pool_worker *w, struct late *late, const struct ipc_header *header)
{
	int next = order_next(header->type, late->rules, late->state);

	if (next < 0) {
		lose_for_order(w, header);
		return;
	}
	late->state = (enum job_state)next;
	if (next != JOB_ENDED)
		return;
	g_hash_table_remove(w->late, GUINT_TO_POINTER(header->job));
	pool_worker_note_progress(w);
}

/*
 * A restored job gets its socket back, if its worker has been able to send it. Without it the kernel cannot
 * be told, and ends the request when its own time is up. Return: false for another socket.
 */
static bool take_back(struct job *j, int *fd)
{
	int sockfd = *fd;

	if (j->sockfd >= 0 || sockfd < 0)
		return true;
	*fd = -1;
	return job_give_back(j, sockfd);
}

/* A message about a job; @fd is -1 once it is taken. */
static void take_message(struct pool_worker *w, const union ipc_message *m, int *fd)
{
	struct job *j = jobs_find(w->pool->params.jobs, m->header.job);
	struct late *late = g_hash_table_lookup(w->late, GUINT_TO_POINTER(m->header.job));
	enum job_state before;
	int next;

	if (late) {
		take_late(w, late, &m->header);
		return;
	}
	if (!j && w->adopted) /* one that had ended, or was not in the ledger yet */
		return;
	if (!j || j->worker != w) {
		pool_worker_lose(w, "it spoke of a job that it does not have");
		return;
	}
	before = j->state;
	next = order_next(m->header.type, order_rules(j->side, j->auth), before);
	if (next < 0) {
		lose_for_order(w, &m->header);
		return;
	}
	pool_worker_note_progress(w);
	if (m->header.type == IPC_DONE) {
		if (!take_back(j, fd))
			accuse(w, j, "another socket than it was given");
		else if (j->sockfd < 0 && m->done.cause == CAUSE_SUCCESS)
			job_fail(j, CAUSE_NO_DESCRIPTOR, "its worker did not return the socket");
		else
			on_done(w, j, before, &m->done);
		return;
	}
	if (m->header.type == IPC_LOOKUP)
		on_lookup(w, j, m->lookup.identity);
	else
		job_move(j, (enum job_state)next, next == JOB_BEGUN ? &w->begun : &w->busy);
}

/* There is room in its socket again. */
static void resume(struct pool_worker *w)
{
	struct job *j = w->stalled ? jobs_find(w->pool->params.jobs, w->stalled) : NULL;

	if (j && j->worker == w && answer_lookup(w, j) == -EAGAIN)
		return;
	w->stalled = 0;
	pool_worker_set_blocked(w, false);
}

/* One message, and then the kernel comes first again. */
static int on_worker(sd_event_source *source, int sock, uint32_t events, void *userdata)
{
	struct pool_worker *w = userdata;
	union ipc_message m;
	const char *why;
	int r, fd;

	if (w->blocked) {
		if (events & (EPOLLHUP | EPOLLERR))
			pool_worker_lose_dead(w, "it died");
		else
			resume(w);
		return 0;
	}
	if (w->state == WORKER_UNBORN) {
		meet(w);
		return 0;
	}
	r = ipc_receive(sock, IPC_BROKER, &m, &fd, &why);
	if (r == -EBADMSG) {
		pool_worker_kill(w);
		pool_worker_lose_for(w, g_strdup_printf("it sent %s", why));
	} else if (r < 0 && r != -EAGAIN) {
		pool_worker_lose_dead(w, "it died");
	} else if (r == 0 && m.header.type == IPC_LOG) {
		take_line(w, &m.log);
	} else if (r == 0) {
		take_message(w, &m, &fd);
		if (fd >= 0)
			close(fd);
	}
	return 0;
}

int pool_messages_watch(struct pool_worker *w)
{
	return sd_event_add_io(w->pool->params.event, &w->io, w->sock, EPOLLIN, on_worker, w);
}
