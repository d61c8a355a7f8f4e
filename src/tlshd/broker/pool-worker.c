// SPDX-License-Identifier: GPL-2.0-or-later
/* One worker as the pool sees it: what it may have, its timers, and its end. */
#include "tlshd/broker/pool-worker.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "tlshd/broker/message-id.h"
#include "tlshd/broker/store.h"

/* Jobs that a worker has and has not run yet; more would only wait there instead of here. */
#define UNRUN_MAX 16
/* Lines that a worker may log at once; more where debugging is asked for. */
#define LOG_BURST 200
#define DEBUG_FACTOR 100

/* ---- what it has ---- */

unsigned int pool_worker_jobs(const struct pool_worker *w)
{
	return w->unrun.length + w->begun.length + w->busy.length;
}

/* Descriptors of jobs that it has. */
static unsigned int held_by(const struct pool_worker *w)
{
	return pool_worker_jobs(w) + g_hash_table_size(w->late);
}

bool pool_worker_is_full(const struct pool_worker *w)
{
	return held_by(w) >= w->pool->params.limits.jobs;
}

static unsigned int line_factor(const struct pool_worker *w)
{
	return w->debugs ? DEBUG_FACTOR : 1;
}

/* The lines that it may log grow with time. */
static void refill_lines(struct pool_worker *w)
{
	unsigned int factor = line_factor(w);
	uint64_t earned = (pool_now() - w->lines_at) * w->pool->params.limits.lines * factor /
			  G_USEC_PER_SEC;

	if (!earned)
		return;
	w->lines = (unsigned int)MIN(w->lines + earned, (uint64_t)LOG_BURST * factor);
	w->lines_at = pool_now();
}

bool pool_worker_may_log(struct pool_worker *w)
{
	refill_lines(w);
	if (!w->lines)
		return false;
	w->lines--;
	return true;
}

/* What one reports of a job stands behind what it has logged. */
bool pool_worker_takes_jobs(struct pool_worker *w)
{
	refill_lines(w);
	return w->state == WORKER_SERVING && !w->blocked && !w->mute &&
	       w->lines >= LOG_BURST * line_factor(w) / 2 && w->unrun.length < UNRUN_MAX &&
	       !pool_worker_is_full(w);
}

/* ---- timers ---- */

void pool_worker_stop_timer(struct pool_worker *w)
{
	deadlines_remove(&w->timer);
}

void pool_worker_start_timer(struct pool_worker *w, uint64_t usec)
{
	pool_worker_stop_timer(w);
	w->timer.at = pool_now() + usec;
	deadlines_add(&w->pool->timers, &w->timer);
}

/* One that is late gets no more jobs until it has made progress. */
void pool_worker_set_mute(struct pool_worker *w, bool mute)
{
	if (w->mute == mute)
		return;
	w->mute = mute;
	if (mute)
		pool_worker_start_timer(w, w->pool->params.limits.patience);
	else
		pool_worker_stop_timer(w);
}

/* A step of a job is done. As long as it owes us the end of others, it is given as much time again. */
void pool_worker_note_progress(struct pool_worker *w)
{
	pool_worker_set_mute(w, false);
	pool_worker_set_mute(w, g_hash_table_size(w->late) > 0);
}

void pool_worker_put_births_off(struct pool *p, uint64_t usec)
{
	p->respawn_at = pool_now() + usec;
	sd_event_source_set_time(p->respawn, p->respawn_at);
	sd_event_source_set_enabled(p->respawn, SD_EVENT_ONESHOT);
}

/* A worker that dies at birth, or cannot be born, would have us start one without end. */
void pool_worker_births_later(struct pool *p)
{
	p->awaits = false;
	pool_worker_put_births_off(p, p->params.limits.respawn);
}

/* ---- its end ---- */

void pool_worker_kill(struct pool_worker *w)
{
	if (w->pidfd < 0)
		return;
	w->killed = true;
	if (pidfd_send_signal(w->pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		log_error("worker %d cannot be ended: %m", (int)w->pid);
}

/* systemd has a descriptor too, so that to close ours would tell the worker nothing. */
static void unstore(struct pool_worker *w)
{
	if (!w->stored)
		return;
	store_remove(w->stored);
	g_clear_pointer(&w->stored, g_free);
	shutdown(w->sock, SHUT_RDWR);
}

static void close_socket(struct pool_worker *w)
{
	w->io = sd_event_source_disable_unref(w->io);
	unstore(w);
	if (w->sock >= 0)
		close(w->sock);
	w->sock = -1;
	deadlines_remove(&w->pause);
	w->stalled = 0;
	w->blocked = w->mute = false;
}

void pool_worker_free(struct pool_worker *w)
{
	close_socket(w);
	pool_worker_stop_timer(w);
	sd_event_source_disable_unref(w->exit);
	if (w->pidfd >= 0)
		close(w->pidfd);
	g_hash_table_unref(w->late);
	credentials_set_unref(w->credentials);
	g_ptr_array_remove(w->pool->workers, w);
	g_free(w->lost);
	g_free(w);
}

/* Its socket closes, by which it knows; if it does not end by that, it is killed. */
void pool_worker_dismiss(struct pool_worker *w)
{
	close_socket(w);
	w->state = WORKER_DISMISSED;
	if (w->pidfd < 0)
		pool_worker_free(w);
	else
		pool_worker_start_timer(w, w->pool->params.limits.dismissed);
}

void pool_worker_retire(struct pool_worker *w)
{
	if (w->state == WORKER_SERVING)
		w->state = WORKER_RETIRED;
	else if (w->state == WORKER_UNBORN)
		pool_worker_dismiss(w);
}

static void log_loss(const struct pool_worker *w, const char *why)
{
	g_autofree char *pid = w->pid ? g_strdup_printf("%d", (int)w->pid) : NULL;
	g_autofree char *handshakes = g_strdup_printf("%u", pool_worker_jobs(w));
	const struct log_field fields[] = {
		{"TLSHD_WORKER", pid},
		{"TLSHD_COUNT", handshakes},
		{0},
	};

	if (w->state == WORKER_UNBORN)
		log_entry(LOG_ERR, MESSAGE_ID_WORKER_LOST, fields,
			  "a worker is lost at its birth: %s", why);
	else
		log_entry(LOG_ERR, MESSAGE_ID_WORKER_LOST, fields,
			  "worker %d is lost: %s; %u handshakes fail with it", (int)w->pid, why,
			  pool_worker_jobs(w));
}

/* @why: a sentence's end, "it sent nonsense"; taken over */
void pool_worker_lose_for(struct pool_worker *w, char *why)
{
	struct pool *p = w->pool;

	log_loss(w, why);
	p->birth_failed |= w->state == WORKER_UNBORN;
	if (w->state == WORKER_UNBORN || pool_now() - w->born < p->params.limits.respawn)
		pool_worker_births_later(p);
	close_socket(w);
	pool_worker_stop_timer(w);
	w->state = WORKER_LOST;
	w->lost = why;
	p->lost++;
}

static bool is_lost(const struct pool_worker *w)
{
	return w->state == WORKER_LOST || w->state == WORKER_DISMISSED;
}

/* It goes at once, for what it has said or not said. */
void pool_worker_lose(struct pool_worker *w, const char *why)
{
	if (is_lost(w))
		return;
	pool_worker_kill(w);
	pool_worker_lose_for(w, g_strdup(why));
}

/* It is going: if it is not gone in a second, it is killed; see pool_worker_dismiss(). */
void pool_worker_lose_dead(struct pool_worker *w, const char *why)
{
	if (!is_lost(w))
		pool_worker_lose_for(w, g_strdup(why));
}

/* One of the jobs that a lost worker had. Return: was there one? */
bool pool_worker_fail_one(struct pool_worker *w)
{
	GQueue *const queues[] = {&w->unrun, &w->begun, &w->busy};

	for (size_t i = 0; i < G_N_ELEMENTS(queues); i++)
		if (queues[i]->head) {
			job_fail(queues[i]->head->data, CAUSE_WORKER_LOST, w->lost);
			return true;
		}
	return false;
}

static void log_exit(pid_t pid, const siginfo_t *info)
{
	if (info->si_code == CLD_EXITED && info->si_status == 0)
		log_debug(1, "worker %d has ended", (int)pid);
	else if (info->si_code == CLD_EXITED)
		log_error("worker %d has ended with status %d", (int)pid, info->si_status);
	else
		log_error("worker %d was ended by signal %d (%s)%s", (int)pid, info->si_status,
			  strsignal(info->si_status),
			  info->si_status == SIGKILL
				  ? "; if by nobody else, then by the kernel for want of memory"
				  : "");
}

/* Waits for a child of ours; how another one ended only systemd knows. */
void pool_worker_reap(struct pool_worker *w)
{
	siginfo_t info = {0};

	if (w->pool->params.plan.fork && waitid(P_PIDFD, (id_t)w->pidfd, &info, WEXITED) == 0 &&
	    !(w->killed && info.si_status == SIGKILL))
		log_exit(w->pid, &info);
}

/* The process is gone. What it has said before is still in the socket, and is read first. */
static int on_exit_of_worker(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct pool_worker *w = userdata;

	pool_worker_reap(w);
	sd_event_source_set_enabled(w->exit, SD_EVENT_OFF);
	close(w->pidfd);
	w->pidfd = -1;
	if (w->state == WORKER_DISMISSED)
		pool_worker_free(w);
	else
		pool_worker_lose_dead(w, "it died");
	return 0;
}

int pool_worker_watch_exit(struct pool_worker *w)
{
	int r = sd_event_add_io(w->pool->params.event, &w->exit, w->pidfd, EPOLLIN,
				on_exit_of_worker, w);

	/* After the socket, in which its last words are. */
	return r < 0 ? r : sd_event_source_set_priority(w->exit, SD_EVENT_PRIORITY_NORMAL + 10);
}

void pool_worker_on_timer(void *owner)
{
	struct pool_worker *w = owner;

	switch (w->state) {
	case WORKER_UNBORN:
		pool_worker_lose(w, "it was asked for, and has not come in time");
		break;
	case WORKER_SERVING:
	case WORKER_RETIRED:
		pool_worker_lose(w, "it does not answer");
		break;
	case WORKER_DISMISSED:
		if (!w->killed)
			log_warning("worker %d does not end by itself and is killed", (int)w->pid);
		pool_worker_kill(w);
		break;
	case WORKER_LOST:
		break;
	}
}

/* ---- its beginning ---- */

/* About @n, for what comes in step can be foreseen. */
static unsigned int draw(unsigned int n)
{
	return (unsigned int)g_random_int_range((int)(n - n / 4), (int)(n + n / 4 + 1));
}

struct pool_worker *pool_worker_new(struct pool *p, const struct birth *birth)
{
	struct pool_worker *w = g_new0(struct pool_worker, 1);

	w->pool = p;
	w->number = p->last_number;
	w->credentials = credentials_set_ref(p->credentials);
	w->generation = p->generation;
	w->pid = birth->pid;
	w->pidfd = birth->pidfd;
	w->sock = birth->sock;
	w->late = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	w->timer.owner = w->pause.owner = w;
	w->born = w->lines_at = pool_now();
	w->since = (uint64_t)g_get_real_time();
	w->debugs = log_level() || p->first.tls_debug;
	w->lines = LOG_BURST * line_factor(w);
	w->life = draw(p->params.limits.life_jobs);
	g_ptr_array_add(p->workers, w);
	return w;
}

/*
 * The name says all that the next broker has to know before it listens to the worker: that of its
 * process, the messages it understands, and what it was born with.
 */
char *pool_worker_name(const struct pool_worker *w)
{
	g_autofree char *settings = g_compute_checksum_for_data(G_CHECKSUM_SHA256,
								(const guchar *)&w->pool->first,
								sizeof(w->pool->first));

	return g_strdup_printf("worker-%d-%d-%.16s", (int)w->pid, IPC_VERSION, settings);
}

void pool_worker_keep(struct pool_worker *w)
{
	const int fds[] = {w->sock, w->pidfd};

	if (!w->pool->params.keep)
		return;
	w->stored = pool_worker_name(w);
	store_put(w->stored, fds, G_N_ELEMENTS(fds));
}

void pool_worker_set_blocked(struct pool_worker *w, bool blocked)
{
	w->blocked = blocked;
	sd_event_source_set_io_events(w->io, blocked ? EPOLLOUT : EPOLLIN);
}
