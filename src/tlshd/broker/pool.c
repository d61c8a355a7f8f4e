// SPDX-License-Identifier: GPL-2.0-or-later
/* The workers as the broker sees them: their states, their messages, and their end. */
#include "tlshd/broker/pool.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/secret.h"
#include "tlshd/broker/choose.h"
#include "tlshd/broker/habits.h"
#include "tlshd/broker/ktls-check.h"
#include "tlshd/broker/message-id.h"
#include "tlshd/broker/order.h"
#include "tlshd/broker/store.h"
#include "tlshd/broker/tls-module.h"
#include "tlshd/shared/memfile.h"
#include "tlshd/shared/roles.h"

/* A worker's deadline comes this much before ours, so that it can still report. */
#define WORKER_MARGIN_USEC (100 * UINT64_C(1000))
/* Jobs that a worker has and has not run yet; more would only wait there instead of here. */
#define UNRUN_MAX 16
/* The jobs in a row that a warm worker gets, give or take a half, drawn each time. */
#define TURN 8
/* Between two workers that are replaced for their failures. */
#define WORST_USEC (10 * G_USEC_PER_SEC)
/* What a process that is killed needs to be gone, at the most. */
#define KILLED_MS 5000
/* Lines that a worker may log at once; more where debugging is asked for. */
#define LOG_BURST 200
#define DEBUG_FACTOR 100
/* systemd may not be able to replace a lost worker as long as the disk is gone that we are on. */
#define DEFAULT_WORKERS_MIN 2
#define DEFAULT_WORKERS_MAX 4
/* As many as can be configured, and twice that in a reload. */
#define WORKERS_MAX 128

const struct pool_limits pool_limits = {
	.birth = 20 * G_USEC_PER_SEC,
	.patience = 5 * G_USEC_PER_SEC,
	.dismissed = 1 * G_USEC_PER_SEC,
	.credentials = 2 * G_USEC_PER_SEC,
	.respawn = 1 * G_USEC_PER_SEC,
	.life = 3600 * UINT64_C(1000000),
	.life_jobs = 8192,
	.jobs = ROLE_WORKER_JOBS,
	.lines = 20,
};

enum worker_state {
	WORKER_UNBORN, /* has not said BORN */
	WORKER_SERVING,
	WORKER_RETIRED, /* finishes what it has, and takes no more */
	WORKER_DISMISSED, /* its socket is closed; it is killed if it does not end */
	WORKER_LOST, /* its jobs fail, one by one */
};

/* A process that runs handshakes. */
struct pool_worker {
	struct pool *pool;
	enum worker_state state;
	uint32_t number; /* by which the signer knows it */
	struct credentials_set *credentials; /* that it was born with */
	unsigned int generation; /* the pool's at its birth */
	pid_t pid; /* 0 as long as systemd's has not said BORN */
	int pidfd; /* -1 likewise */
	int sock; /* -1 once it is dismissed or lost */
	sd_event_source *io;
	sd_event_source *exit; /* of the process */
	GQueue unrun; /* jobs in JOB_HANDED */
	GQueue begun; /* in JOB_BEGUN, the oldest first */
	GQueue busy; /* in a later state */
	GHashTable *late; /* ids of jobs that have ended without its DONE, to struct late */
	bool blocked; /* its socket is full */
	uint32_t stalled; /* the job whose key waits for room in it */
	struct deadline timer; /* what it is for depends on the state, see on_timer() */
	bool mute; /* the timer runs because it was late with a job */
	struct record record;
	unsigned int life; /* jobs until it is replaced */
	bool debugs; /* was born to log a lot, of its own or of GnuTLS's */
	unsigned int lines; /* that it may log now */
	uint64_t lines_at; /* usec, monotonic: when that was reckoned */
	struct deadline pause; /* until when it is not read, after too many lines */
	uint64_t born; /* usec, monotonic: when it was asked for */
	uint64_t since; /* the same, of the real time */
	char *lost; /* why, a sentence's end */
	bool killed; /* by us */
	bool outgoing; /* retires as soon as its successor serves */
	bool adopted; /* from another broker: it may have jobs that we do not know */
	char *stored; /* the name that systemd has its descriptors under */
};

/* What a worker may still say of a job that has ended without it. */
struct late {
	enum order_rules rules;
	enum job_state state;
};

struct pool {
	struct pool_params params;
	struct ipc_birth first; /* message of those that are born */
	struct credentials_set *credentials; /* for those; NULL for none */
	unsigned int generation; /* changes with either of the two */
	unsigned int entered; /* the generation of those that serve */
	uint32_t last_number;
	GPtrArray *workers;
	unsigned int wanted;
	size_t turn; /* whose turn it is, among those that serve */
	unsigned int turn_left;
	struct deadlines timers;
	struct deadlines pauses;
	sd_event_source *respawn;
	uint64_t respawn_at; /* usec, monotonic: no birth before */
	bool awaits; /* it is the time of pool_await() */
	uint64_t worst_at; /* when one was replaced last for its failures */
	unsigned int lost; /* workers */
	bool stopping;
	bool birth_failed; /* the last one did, or it did not come */
	struct habits *habits;
	union ipc_message *secret_message; /* pages that no fork inherits and no core shows */
};

static uint64_t now(void)
{
	return (uint64_t)g_get_monotonic_time();
}

/* ---- what there is ---- */

static struct pool_worker *worker_at(const struct pool *p, size_t i)
{
	return p->workers->pdata[i];
}

static unsigned int count(const struct pool *p, enum worker_state state)
{
	unsigned int n = 0;

	for (guint i = 0; i < p->workers->len; i++)
		n += worker_at(p, i)->state == state;
	return n;
}

unsigned int pool_size(const struct pool *p)
{
	return count(p, WORKER_SERVING);
}

static unsigned int jobs_of(const struct pool_worker *w)
{
	return w->unrun.length + w->begun.length + w->busy.length;
}

/* Descriptors of jobs that it has. */
static unsigned int held_by(const struct pool_worker *w)
{
	return jobs_of(w) + g_hash_table_size(w->late);
}

static bool is_full(const struct pool_worker *w)
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
	uint64_t earned = (now() - w->lines_at) * w->pool->params.limits.lines * factor /
			  G_USEC_PER_SEC;

	if (!earned)
		return;
	w->lines = (unsigned int)MIN(w->lines + earned, (uint64_t)LOG_BURST * factor);
	w->lines_at = now();
}

/* What one reports of a job stands behind what it has logged. */
static bool takes_jobs(struct pool_worker *w)
{
	refill_lines(w);
	return w->state == WORKER_SERVING && !w->blocked && !w->mute &&
	       w->lines >= LOG_BURST * line_factor(w) / 2 && w->unrun.length < UNRUN_MAX &&
	       !is_full(w);
}

/* ---- timers ---- */

static void stop_timer(struct pool_worker *w)
{
	deadlines_remove(&w->timer);
}

static void start_timer(struct pool_worker *w, uint64_t usec)
{
	stop_timer(w);
	w->timer.at = now() + usec;
	deadlines_add(&w->pool->timers, &w->timer);
}

/* One that is late gets no more jobs until it has made progress. */
static void set_mute(struct pool_worker *w, bool mute)
{
	if (w->mute == mute)
		return;
	w->mute = mute;
	if (mute)
		start_timer(w, w->pool->params.limits.patience);
	else
		stop_timer(w);
}

/* A step of a job is done. As long as it owes us the end of others, it is given as much time again. */
static void note_progress(struct pool_worker *w)
{
	set_mute(w, false);
	set_mute(w, g_hash_table_size(w->late) > 0);
}

static void put_births_off(struct pool *p, uint64_t usec)
{
	p->respawn_at = now() + usec;
	sd_event_source_set_time(p->respawn, p->respawn_at);
	sd_event_source_set_enabled(p->respawn, SD_EVENT_ONESHOT);
}

/* A worker that dies at birth, or cannot be born, would have us start one without end. */
static void spawn_later(struct pool *p)
{
	p->awaits = false;
	put_births_off(p, p->params.limits.respawn);
}

/* The loop goes on to pool_work(), which looks at the time. */
static int on_respawn(sd_event_source *source, uint64_t usec, void *userdata)
{
	return 0;
}

/* ---- the end of a worker ---- */

static void kill_worker(struct pool_worker *w)
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

static void free_worker(struct pool_worker *w)
{
	close_socket(w);
	stop_timer(w);
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
static void dismiss(struct pool_worker *w)
{
	close_socket(w);
	w->state = WORKER_DISMISSED;
	if (w->pidfd < 0)
		free_worker(w);
	else
		start_timer(w, w->pool->params.limits.dismissed);
}

static void log_loss(const struct pool_worker *w, const char *why)
{
	g_autofree char *pid = w->pid ? g_strdup_printf("%d", (int)w->pid) : NULL;
	g_autofree char *handshakes = g_strdup_printf("%u", jobs_of(w));
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
			  jobs_of(w));
}

/* @why: a sentence's end, "it sent nonsense"; taken over */
static void lose_for(struct pool_worker *w, char *why)
{
	struct pool *p = w->pool;

	log_loss(w, why);
	p->birth_failed |= w->state == WORKER_UNBORN;
	if (w->state == WORKER_UNBORN || now() - w->born < p->params.limits.respawn)
		spawn_later(p);
	close_socket(w);
	stop_timer(w);
	w->state = WORKER_LOST;
	w->lost = why;
	p->lost++;
}

static bool is_lost(const struct pool_worker *w)
{
	return w->state == WORKER_LOST || w->state == WORKER_DISMISSED;
}

/* It goes at once, for what it has said or not said. */
static void lose(struct pool_worker *w, const char *why)
{
	if (is_lost(w))
		return;
	kill_worker(w);
	lose_for(w, g_strdup(why));
}

/* It is going: if it is not gone in a second, it is killed; see dismiss(). */
static void lose_dead(struct pool_worker *w, const char *why)
{
	if (!is_lost(w))
		lose_for(w, g_strdup(why));
}

/* One of the jobs that a lost worker had. Return: was there one? */
static bool fail_one(struct pool_worker *w)
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
static void reap(struct pool_worker *w)
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

	reap(w);
	sd_event_source_set_enabled(w->exit, SD_EVENT_OFF);
	close(w->pidfd);
	w->pidfd = -1;
	if (w->state == WORKER_DISMISSED)
		free_worker(w);
	else
		lose_dead(w, "it died");
	return 0;
}

static int watch_exit(struct pool_worker *w)
{
	int r = sd_event_add_io(w->pool->params.event, &w->exit, w->pidfd, EPOLLIN,
				on_exit_of_worker, w);

	/* After the socket, in which its last words are. */
	return r < 0 ? r : sd_event_source_set_priority(w->exit, SD_EVENT_PRIORITY_NORMAL + 10);
}

static void on_timer(void *owner)
{
	struct pool_worker *w = owner;

	switch (w->state) {
	case WORKER_UNBORN:
		lose(w, "it was asked for, and has not come in time");
		break;
	case WORKER_SERVING:
	case WORKER_RETIRED:
		lose(w, "it does not answer");
		break;
	case WORKER_DISMISSED:
		if (!w->killed)
			log_warning("worker %d does not end by itself and is killed", (int)w->pid);
		kill_worker(w);
		break;
	case WORKER_LOST:
		break;
	}
}

/* ---- births ---- */

static unsigned int present(const struct pool *p)
{
	unsigned int n = 0;

	for (guint i = 0; i < p->workers->len; i++) {
		const struct pool_worker *w = worker_at(p, i);

		n += w->generation == p->generation &&
		     (w->state == WORKER_UNBORN || (w->state == WORKER_SERVING && !w->outgoing));
	}
	return n;
}

static int on_worker(sd_event_source *source, int sock, uint32_t events, void *userdata);
static void on_pause_over(void *owner);

/* About @n, for what comes in step can be foreseen. */
static unsigned int draw(unsigned int n)
{
	return (unsigned int)g_random_int_range((int)(n - n / 4), (int)(n + n / 4 + 1));
}

static struct pool_worker *new_worker(struct pool *p, const struct birth *birth)
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
	w->born = w->lines_at = now();
	w->since = (uint64_t)g_get_real_time();
	w->debugs = log_level() || p->first.tls_debug;
	w->lines = LOG_BURST * line_factor(w);
	w->life = draw(p->params.limits.life_jobs);
	g_ptr_array_add(p->workers, w);
	return w;
}

static int spawn(struct pool *p)
{
	struct birth_credential credentials[CREDENTIALS_OF_WORKER];
	struct pool_worker *w;
	struct birth birth;
	int desk, r;
	size_t n = credentials_set_give(p->credentials, ++p->last_number, credentials, &desk);

	r = birth_begin(&p->params.plan, &p->first, credentials, n, &birth);
	if (desk >= 0)
		close(desk);
	if (r < 0)
		return r;
	w = new_worker(p, &birth);
	r = sd_event_add_io(p->params.event, &w->io, w->sock, EPOLLIN, on_worker, w);
	if (r >= 0 && w->pidfd >= 0)
		r = watch_exit(w);
	if (r < 0) {
		log_error("a worker cannot be watched: %s", g_strerror(-r));
		kill_worker(w);
		if (w->pidfd >= 0)
			reap(w);
		free_worker(w);
		return r;
	}
	start_timer(w, p->params.limits.birth);
	return 0;
}

/* Return: was a worker missing, and is one asked for now? */
static bool spawn_one(struct pool *p)
{
	if (p->stopping || present(p) >= p->wanted || p->workers->len >= WORKERS_MAX ||
	    now() < p->respawn_at)
		return false;
	if (spawn(p) == 0)
		return true;
	p->birth_failed = true;
	spawn_later(p);
	return false;
}

static void retire(struct pool_worker *w)
{
	if (w->state == WORKER_SERVING)
		w->state = WORKER_RETIRED;
	else if (w->state == WORKER_UNBORN)
		dismiss(w);
}

/* Those that were born before the last change serve until there is one that knows of it. */
static void begin_generation(struct pool *p)
{
	p->generation++;
	for (guint i = p->workers->len; i-- > 0;)
		if (worker_at(p, i)->state == WORKER_UNBORN)
			dismiss(worker_at(p, i));
}

/* The first of its generation is born: those before it take no more. */
static void enter_generation(struct pool *p)
{
	p->entered = p->generation;
	for (guint i = p->workers->len; i-- > 0;)
		if (worker_at(p, i)->generation != p->generation)
			retire(worker_at(p, i));
	if (p->params.entered)
		p->params.entered(p->params.ctx, p->credentials);
}

/*
 * The name says all that the next broker has to know before it listens to the worker: that of its
 * process, the messages it understands, and what it was born with.
 */
static char *name_of(const struct pool_worker *w)
{
	g_autofree char *settings = g_compute_checksum_for_data(G_CHECKSUM_SHA256,
								(const guchar *)&w->pool->first,
								sizeof(w->pool->first));

	return g_strdup_printf("worker-%d-%d-%.16s", (int)w->pid, IPC_VERSION, settings);
}

static void keep(struct pool_worker *w)
{
	const int fds[] = {w->sock, w->pidfd};

	if (!w->pool->params.keep)
		return;
	w->stored = name_of(w);
	store_put(w->stored, fds, G_N_ELEMENTS(fds));
}

static void is_born(struct pool_worker *w, const struct ipc_sender *sender, const char *build)
{
	struct pool *p = w->pool;

	if (strcmp(build, p->first.version) != 0) {
		g_autofree char *escaped = log_escape(build, strlen(build));

		lose(w, "it is of another build");
		p->params.upgraded(p->params.ctx, escaped);
		return;
	}
	ipc_want_sender(w->sock, false);
	if (!w->pid) {
		w->pid = sender->pid;
		w->pidfd = sender->pidfd;
		if (sender->uid == 0 || watch_exit(w) < 0) {
			lose(w, sender->uid == 0 ? "it runs as root" : "it cannot be watched");
			return;
		}
	}
	stop_timer(w);
	w->state = WORKER_SERVING;
	keep(w);
	p->birth_failed = false;
	log_debug(1, "worker %d started", (int)w->pid);
	if (p->entered != p->generation)
		enter_generation(p);
}

static void take_line(struct pool_worker *w, const struct ipc_log *m);

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
		lose(w, "no descriptor is left to watch it");
	else if (r == -EBADMSG)
		lose(w, "its first word is another one than a worker's");
	else if (r < 0)
		lose_dead(w,
			  w->pid ? "it died"
				 : "systemd could not start it; see journalctl -u 'tlshd-worker@*'");
	else if (m.header.type == IPC_BORN)
		is_born(w, &sender, m.born.version);
	else if (m.header.type == IPC_LOG)
		take_line(w, &m.log);
	else
		lose(w, "its first word is another one than a worker's");
	if (sender.pidfd >= 0 && sender.pidfd != w->pidfd)
		close(sender.pidfd);
}

/* ---- messages ---- */

static void set_blocked(struct pool_worker *w, bool blocked)
{
	w->blocked = blocked;
	sd_event_source_set_io_events(w->io, blocked ? EPOLLOUT : EPOLLIN);
}

/*
 * A line costs even if nobody reads it. Without debugging a worker has next to nothing to say, so one
 * that uses up its lines is ended; with it, one is not read for a while.
 */
static void take_line(struct pool_worker *w, const struct ipc_log *m)
{
	g_autofree char *line = log_escape_line(m->line);

	log_line((int)m->priority, "worker %d: %s", (int)w->pid, line);
	refill_lines(w);
	if (w->lines) {
		w->lines--;
	} else if (!w->debugs) {
		lose(w, "it floods the log");
	} else {
		sd_event_source_set_enabled(w->io, SD_EVENT_OFF);
		w->pause.at = now() + G_USEC_PER_SEC / w->pool->params.limits.lines;
		deadlines_add(&w->pool->pauses, &w->pause);
	}
}

static void on_pause_over(void *owner)
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

/* One identity of each connection is looked up, and the line of the handshake names it. */
static void on_lookup(struct pool_worker *w, struct job *j, const char *identity)
{
	int r;

	j->identity = g_strdup(identity);
	job_move(j, JOB_ASKING, &w->busy);
	r = answer_lookup(w, j);
	if (r == -EAGAIN) {
		w->stalled = j->id;
		set_blocked(w, true);
	} else if (r < 0) {
		lose_dead(w, "its socket is closed");
	}
}

static void accuse(struct pool_worker *w, struct job *j, const char *what)
{
	job_fail(j, CAUSE_WORKER_LIED, what);
	lose(w, "it reported what is not so");
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
		habits_learn(w->pool->habits, &j->peer.any, done->tickets, now());
	/* The module may have gone, or have come only now: make sure for the next one. */
	if (o.cause == CAUSE_NO_TLS_MODULE)
		tls_module_need(j->sockfd);
	g_strlcpy(o.detail, done->detail, sizeof(o.detail));
	job_end(j, &o);
}

static void lose_for_order(struct pool_worker *w, const struct ipc_header *header)
{
	lose(w, header->type == IPC_LOOKUP ? "it asked for keys that are none of its business"
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
	note_progress(w);
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
		lose(w, "it spoke of a job that it does not have");
		return;
	}
	before = j->state;
	next = order_next(m->header.type, order_rules(j->side, j->auth), before);
	if (next < 0) {
		lose_for_order(w, &m->header);
		return;
	}
	note_progress(w);
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
	set_blocked(w, false);
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
			lose_dead(w, "it died");
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
		kill_worker(w);
		lose_for(w, g_strdup_printf("it sent %s", why));
	} else if (r < 0 && r != -EAGAIN) {
		lose_dead(w, "it died");
	} else if (r == 0 && m.header.type == IPC_LOG) {
		take_line(w, &m.log);
	} else if (r == 0) {
		take_message(w, &m, &fd);
		if (fd >= 0)
			close(fd);
	}
	return 0;
}

/* ---- jobs ---- */

/* Tells the worker that @j has ended without it; its DONE is still to come. */
static void disown(struct job *j)
{
	struct pool_worker *w = j->worker;
	struct late *late;

	if (w->state == WORKER_LOST)
		return;
	late = g_new0(struct late, 1);
	late->rules = order_rules(j->side, j->auth);
	late->state = j->state;
	g_hash_table_insert(w->late, GUINT_TO_POINTER(j->id), late);
	set_mute(w, true);
}

void pool_late(struct pool *p, struct job *j)
{
	if (j->worker) {
		record_add(&j->worker->record, true);
		disown(j);
		job_fail(j, CAUSE_WORKER_LATE, NULL);
	} else if (pool_size(p)) {
		job_fail(j, CAUSE_NO_ROOM, NULL);
	} else {
		job_fail(j, CAUSE_NO_WORKER,
			 p->birth_failed ? "none could be started" : "one is being started");
	}
}

void pool_drop_all(struct pool *p)
{
	for (guint i = 0; i < p->workers->len; i++) {
		struct pool_worker *w = worker_at(p, i);
		GQueue *const queues[] = {&w->unrun, &w->begun, &w->busy};

		for (size_t q = 0; q < G_N_ELEMENTS(queues); q++)
			while (queues[q]->head) {
				disown(queues[q]->head->data);
				job_fail(queues[q]->head->data, CAUSE_STOPPING, NULL);
			}
	}
}

/* Of all workers the one with the most of them is where there is most to choose from. */
bool pool_make_room(struct pool *p, unsigned int most)
{
	union ipc_message m = {.drop.header = {IPC_DROP, 0}};
	struct pool_worker *fullest = NULL;
	struct job *j;

	for (guint i = 0; i < p->workers->len; i++) {
		struct pool_worker *w = worker_at(p, i);

		if (w->state != WORKER_LOST && !w->blocked && w->begun.length &&
		    (!fullest || w->begun.length > fullest->begun.length))
			fullest = w;
	}
	j = fullest ? jobs_crowded_out(p->params.jobs, &fullest->begun, &most) : NULL;
	if (!j)
		return false;
	m.header.job = j->id;
	if (ipc_send(fullest->sock, &m, -1, false) < 0) {
		set_blocked(fullest, true);
		return false;
	}
	disown(j);
	job_fail(j, CAUSE_CROWDED_OUT, NULL);
	return true;
}

/* Return: a descriptor with what a key has; -EPROTO when @j has failed for want of it. */
static int open_key(struct pool *p, struct job *j, key_serial key)
{
	g_auto(blob) bytes = {0};
	int r = keys_read_bytes(p->params.keys, key, &bytes);
	g_autofree char *why = NULL;

	if (r == 0)
		r = memfile_of_bytes(bytes.data, bytes.len);
	if (r >= 0)
		return r;
	why = g_strdup_printf("key 0x%08x: %s", (unsigned int)key, key_strerror(r));
	job_fail(j, CAUSE_CREDENTIAL_UNREADABLE, why);
	return -EPROTO;
}

/* The certificate that the mount names goes to the worker, its key to the signer. Return: the key's. */
static int give_own_pair(struct pool_worker *w, struct job *j)
{
	union ipc_message m = {.credential = {.header = {IPC_CREDENTIAL, j->id},
					      .side = HANDSHAKE_CLIENT,
					      .kind = CREDENTIAL_CERTIFICATE}};
	int fd = open_key(w->pool, j, j->certificate);
	int r = fd;

	if (fd < 0)
		return r;
	r = ipc_send(w->sock, &m, fd, false);
	close(fd);
	if (r < 0)
		return r;
	j->key = j->certificate;
	return open_key(w->pool, j, j->private_key);
}

/*
 * What a job with certificates needs besides its worker's own. Return: 0; -EPROTO when @j has failed;
 * another negative errno when @w has no room, or is gone.
 */
static int give_certificate(struct pool_worker *w, struct job *j)
{
	bool own = j->side == HANDSHAKE_CLIENT && j->auth == HANDSHAKE_X509 && j->certificate &&
		   j->private_key;
	int key = own ? give_own_pair(w, j) : -1;
	int r;

	if (own && key < 0)
		return key;
	r = credentials_set_grant(w->credentials, w->number, j->id, j->side, j->deadline.at, key);
	if (key >= 0)
		close(key);
	if (r == 0)
		return 0;
	job_fail(j, CAUSE_SIGNER_GONE, g_strerror(-r));
	return -EPROTO;
}

/*
 * Hands @j to @w. Return: 0, also when @j has failed; -EAGAIN when @w has no room: @j stays ready;
 * another negative errno when @w is gone.
 */
static int hand_over(struct pool *p, struct job *j, struct pool_worker *w)
{
	union ipc_message *m = p->secret_message;
	int r = 0;

	memset(&m->job, 0, sizeof(m->job));
	m->header.type = IPC_JOB;
	m->header.job = j->id;
	m->job.side = j->side;
	m->job.auth = j->auth;
	m->job.deadline_usec = j->deadline.at - WORKER_MARGIN_USEC;
	m->job.tickets = habits_tickets(p->habits, &j->peer.any, now());
	if (job_is_certified(j)) {
		if (j->peername)
			g_strlcpy(m->job.peername, j->peername, sizeof(m->job.peername));
		r = give_certificate(w, j);
		if (r < 0)
			return r == -EPROTO ? 0 : r;
	} else if (j->side == HANDSHAKE_CLIENT) {
		r = keys_read(p->params.keys, j->keyring, j->key, &m->job.psk);
		if (r < 0) {
			job_fail(j,
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
	j->worker = w;
	j->worker_pid = w->pid;
	job_move(j, JOB_HANDED, &w->unrun);
	if (w->life)
		w->life--;
	log_debug(2, "job %u: handed to worker %d, its %u. now", j->id, (int)w->pid, jobs_of(w));
	return 0;
}

/* The signer of an adopted worker has ended with the broker before us, and ours does not know the worker. */
static bool may_have(struct pool_worker *w, const struct job *j)
{
	return takes_jobs(w) && !(w->adopted && job_is_certified(j));
}

/* The worker for @j, the next job; @full is set when all that could take one have as many as they may. */
static struct pool_worker *next_worker(struct pool *p, const struct job *j, bool *full)
{
	struct candidate candidates[WORKERS_MAX];
	size_t n = 0;
	int at;

	*full = false;
	for (guint i = 0; i < p->workers->len; i++) {
		struct pool_worker *w = worker_at(p, i);

		candidates[n++] = (struct candidate){may_have(w, j), jobs_of(w), w->unrun.length};
		*full |= w->state == WORKER_SERVING && is_full(w);
	}
	at = n ? choose_worker(candidates, n, p->turn) : -1;
	if (at < 0)
		return NULL;
	*full = false;
	if ((size_t)at != p->turn || !p->turn_left) {
		p->turn = (size_t)at;
		p->turn_left = (unsigned int)g_random_int_range(TURN / 2, TURN * 3 / 2);
	}
	if (!--p->turn_left)
		p->turn = (p->turn + 1) % n;
	return worker_at(p, (size_t)at);
}

static unsigned int on_their_way_out(const struct pool *p)
{
	unsigned int n = 0;

	for (guint i = 0; i < p->workers->len; i++)
		n += g_hash_table_size(worker_at(p, i)->late);
	return n;
}

static bool give_one(struct pool *p)
{
	struct job *j = jobs_ready_one(p->params.jobs);
	struct pool_worker *w;
	bool full;
	int r;

	if (!j)
		return false;
	w = next_worker(p, j, &full);
	if (!w) /* as many as wait for room; those that were told to go are still on their way out */
		return full && on_their_way_out(p) < jobs_ready_count(p->params.jobs) &&
		       pool_make_room(p, 0);
	r = hand_over(p, j, w);
	if (r == -EAGAIN)
		set_blocked(w, true);
	else if (r == -ETOOMANYREFS) /* descriptors in flight; the worker takes them out */
		return false;
	else if (r < 0)
		lose_dead(w, "its socket is closed");
	return true;
}

/* ---- replacement ---- */

/* What has run for long goes, so that nobody who has got into it stays; its successor comes first. */
static void recycle(struct pool *p)
{
	if (count(p, WORKER_UNBORN) || count(p, WORKER_RETIRED))
		return;
	for (guint i = 0; i < p->workers->len; i++) {
		struct pool_worker *w = worker_at(p, i);

		if (w->state != WORKER_SERVING)
			continue;
		if (w->outgoing) {
			if (present(p) >= p->wanted)
				retire(w);
			return;
		}
		if (!w->life || (w->record.n && now() - w->born > p->params.limits.life)) {
			log_debug(1, "worker %d has had its time and is replaced", (int)w->pid);
			w->outgoing = true;
			return;
		}
	}
}

/* What fails much more than the others may be in somebody's hands. */
static void replace_worst(struct pool *p)
{
	struct pool_worker *serving[WORKERS_MAX];
	struct record records[WORKERS_MAX];
	size_t n = 0;
	int worst;

	if (p->worst_at && now() - p->worst_at < WORST_USEC)
		return;
	for (guint i = 0; i < p->workers->len; i++) {
		struct pool_worker *w = worker_at(p, i);

		if (w->state != WORKER_SERVING)
			continue;
		records[n] = w->record;
		serving[n++] = w;
	}
	worst = choose_worst(records, n);
	if (worst < 0)
		return;
	p->worst_at = now();
	log_warning("worker %d fails much more often than the others and is replaced",
		    (int)serving[worst]->pid);
	retire(serving[worst]);
}

static void let_go(struct pool *p)
{
	for (guint i = p->workers->len; i-- > 0;) {
		struct pool_worker *w = worker_at(p, i);

		if ((w->state == WORKER_RETIRED || w->state == WORKER_LOST) && !jobs_of(w))
			dismiss(w);
	}
}

bool pool_work(struct pool *p)
{
	for (guint i = 0; i < p->workers->len; i++)
		if (worker_at(p, i)->state == WORKER_LOST && fail_one(worker_at(p, i)))
			return true;
	let_go(p);
	replace_worst(p);
	recycle(p);
	return spawn_one(p) || give_one(p);
}

/* ---- all of them ---- */

unsigned int pool_wanted(const struct pool *p)
{
	return p->wanted;
}

static void gauge_worker(const struct pool_worker *w, struct recording_worker *out)
{
	static const enum recording_work works[] = {
		[WORKER_UNBORN] = RECORDING_UNBORN,   [WORKER_SERVING] = RECORDING_WORKS,
		[WORKER_RETIRED] = RECORDING_RETIRED, [WORKER_DISMISSED] = RECORDING_LEAVING,
		[WORKER_LOST] = RECORDING_LEAVING,
	};

	*out = (struct recording_worker){w->pid, works[w->state], jobs_of(w), w->unrun.length,
					 w->since};
}

void pool_gauge(const struct pool *p, struct recording_gauges *now)
{
	now->wanted = p->wanted;
	now->lost = p->lost;
	now->workers = MIN(p->workers->len, (guint)RECORDING_WORKERS_MAX);
	for (uint32_t i = 0; i < now->workers; i++)
		gauge_worker(worker_at(p, i), &now->worker[i]);
}

static unsigned int wanted(const config *c)
{
	if (c->workers)
		return (unsigned int)c->workers;
	return CLAMP(g_get_num_processors(), DEFAULT_WORKERS_MIN, DEFAULT_WORKERS_MAX);
}

/* Do sessions go otherwise with @b than with @a? */
static bool is_other_birth(const struct ipc_birth *a, const struct ipc_birth *b)
{
	return a->loglevel != b->loglevel || a->tls_debug != b->tls_debug ||
	       a->sha384_compat != b->sha384_compat;
}

void pool_configure(struct pool *p, const config *settings)
{
	const struct ipc_birth before = p->first;

	p->first = (struct ipc_birth){
		.header = {IPC_BIRTH, 0},
		.role = IPC_ROLE_WORKER,
		.loglevel = (uint32_t)settings->loglevel,
		.tls_debug = (uint32_t)settings->tls_debug,
		.sha384_compat = settings->sha384_compat,
	};
	g_strlcpy(p->first.version, version_of_build(), sizeof(p->first.version));
	p->wanted = wanted(settings);
	birth_prepare(&p->params.plan);
	begin_generation(p);
	for (guint i = p->workers->len; is_other_birth(&before, &p->first) && i-- > 0;)
		retire(worker_at(p, i));
}

void pool_await(struct pool *p)
{
	if (now() < p->respawn_at) /* which is a reason of its own */
		return;
	p->awaits = true;
	put_births_off(p, p->params.limits.credentials);
}

void pool_go_on(struct pool *p)
{
	if (p->awaits)
		p->respawn_at = 0;
	p->awaits = false;
}

void pool_use(struct pool *p, struct credentials_set *credentials)
{
	pool_go_on(p);
	credentials_set_unref(p->credentials);
	p->credentials = credentials_set_ref(credentials);
	begin_generation(p);
}

void pool_accuse(struct pool *p, uint32_t number)
{
	for (guint i = 0; i < p->workers->len; i++)
		if (worker_at(p, i)->number == number) {
			lose(worker_at(p, i),
			     "it asked for signatures that are none of its business");
			return;
		}
}

void pool_stop(struct pool *p)
{
	p->stopping = true;
}

int pool_new(struct pool **out, const struct pool_params *params)
{
	struct pool *p = g_new0(struct pool, 1);
	int r;

	p->params = *params;
	p->workers = g_ptr_array_new();
	p->habits = habits_new();
	r = deadlines_init(&p->timers, params->event, on_timer);
	if (r >= 0)
		r = deadlines_init(&p->pauses, params->event, on_pause_over);
	if (r >= 0)
		r = sd_event_add_time(params->event, &p->respawn, CLOCK_MONOTONIC, UINT64_MAX, 0,
				      on_respawn, p);
	if (r >= 0)
		r = sd_event_source_set_enabled(p->respawn, SD_EVENT_OFF);
	p->secret_message = secret_pages_new(sizeof(*p->secret_message));
	if (r >= 0 && !p->secret_message)
		r = -ENOMEM;
	if (r < 0) {
		pool_free(p);
		return r;
	}
	*out = p;
	return 0;
}

/* ---- from one broker to the next ---- */

static int adopt(struct pool *p, struct pool_worker *w)
{
	int r = sd_event_add_io(p->params.event, &w->io, w->sock, EPOLLIN, on_worker, w);

	return r < 0 ? r : watch_exit(w);
}

int pool_adopt(struct pool *p, const char *name, int sock, int pidfd)
{
	g_autofree char *alike = NULL;
	struct pool_worker *w;
	struct birth birth = {.sock = sock, .pidfd = pidfd};
	int version = 0, r;

	if (sscanf(name, "worker-%d-%d-", &birth.pid, &version) != 2 || birth.pid <= 1)
		version = -1;
	w = new_worker(p, &birth);
	w->stored = g_strdup(name);
	w->adopted = w->outgoing = true;
	credentials_set_unref(g_steal_pointer(&w->credentials)); /* its signer has ended */
	w->state = WORKER_RETIRED;
	alike = name_of(w);
	r = version < 0 ? -EINVAL : version != IPC_VERSION ? -EPROTONOSUPPORT : adopt(p, w);
	if (r < 0) {
		free_worker(w);
		return r;
	}
	if (strcmp(alike, name) == 0)
		w->state = WORKER_SERVING;
	log_debug(1, "worker %d goes on%s", (int)w->pid,
		  w->state == WORKER_SERVING ? " until its successor serves"
					     : " until its handshakes are done");
	return 0;
}

static GQueue *queue_of(struct pool_worker *w, enum handover_state state)
{
	return state == HANDOVER_HANDED	 ? &w->unrun
	       : state == HANDOVER_BEGUN ? &w->begun
					 : &w->busy;
}

/* What was asked and not answered is answered now: a worker that has its answer ignores another. */
bool pool_restore(struct pool *p, const struct handover *h)
{
	for (guint i = 0; i < p->workers->len; i++) {
		struct pool_worker *w = worker_at(p, i);
		struct job *j;

		if (!w->adopted || w->pid != h->worker)
			continue;
		j = job_restore(p->params.jobs, h, -1, queue_of(w, h->state));
		if (!j)
			return false;
		j->worker = w;
		if (j->state == JOB_ASKING && j->identity && answer_lookup(w, j) == -EAGAIN) {
			w->stalled = j->id;
			set_blocked(w, true);
		}
		return true;
	}
	return false;
}

void pool_release(struct pool *p)
{
	while (p->workers->len) {
		struct pool_worker *w = worker_at(p, 0);

		g_clear_pointer(&w->stored, g_free);
		free_worker(w);
	}
}

/* Nothing that we started outlives us. */
static void end_all(struct pool *p)
{
	for (guint i = 0; i < p->workers->len; i++)
		kill_worker(worker_at(p, i));
	while (p->workers->len) {
		struct pool_worker *w = worker_at(p, 0);
		struct pollfd ended = {.fd = w->pidfd, .events = POLLIN};

		if (w->pidfd >= 0 && poll(&ended, 1, KILLED_MS) > 0)
			reap(w);
		free_worker(w);
	}
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	end_all(p);
	deadlines_clear(&p->timers);
	deadlines_clear(&p->pauses);
	sd_event_source_disable_unref(p->respawn);
	g_ptr_array_unref(p->workers);
	credentials_set_unref(p->credentials);
	habits_free(p->habits);
	secret_pages_free(p->secret_message, sizeof(*p->secret_message));
	g_free(p);
}
