// SPDX-License-Identifier: GPL-2.0-or-later
/* The workers of the broker: their births, who replaces whom, and what passes from one broker to the next. */
#include "tlshd/broker/pool.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/secret.h"
#include "tlshd/broker/pool-jobs.h"
#include "tlshd/broker/pool-messages.h"
#include "tlshd/broker/pool-worker.h"
#include "tlshd/shared/roles.h"

/* Between two workers that are replaced for their failures. */
#define WORST_USEC (10 * G_USEC_PER_SEC)
/* What a process that is killed needs to be gone, at the most. */
#define KILLED_MS 5000
/* systemd may not be able to replace a lost worker as long as the disk is gone that we are on. */
#define DEFAULT_WORKERS_MIN 2
#define DEFAULT_WORKERS_MAX 4

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

/* ---- births ---- */

static unsigned int count(const struct pool *p, enum worker_state state)
{
	unsigned int n = 0;

	for (guint i = 0; i < p->workers->len; i++)
		n += pool_worker_at(p, i)->state == state;
	return n;
}

unsigned int pool_size(const struct pool *p)
{
	return count(p, WORKER_SERVING);
}

static unsigned int present(const struct pool *p)
{
	unsigned int n = 0;

	for (guint i = 0; i < p->workers->len; i++) {
		const struct pool_worker *w = pool_worker_at(p, i);

		n += w->generation == p->generation &&
		     (w->state == WORKER_UNBORN || (w->state == WORKER_SERVING && !w->outgoing));
	}
	return n;
}

/* The loop goes on to pool_work(), which looks at the time. */
static int on_respawn(sd_event_source *source, uint64_t usec, void *userdata)
{
	return 0;
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
	w = pool_worker_new(p, &birth);
	r = pool_messages_watch(w);
	if (r >= 0 && w->pidfd >= 0)
		r = pool_worker_watch_exit(w);
	if (r < 0) {
		log_error("a worker cannot be watched: %s", g_strerror(-r));
		pool_worker_kill(w);
		if (w->pidfd >= 0)
			pool_worker_reap(w);
		pool_worker_free(w);
		return r;
	}
	pool_worker_start_timer(w, p->params.limits.birth);
	return 0;
}

/* Return: was a worker missing, and is one asked for now? */
static bool spawn_one(struct pool *p)
{
	if (p->stopping || present(p) >= p->wanted || p->workers->len >= POOL_WORKERS_MAX ||
	    pool_now() < p->respawn_at)
		return false;
	if (spawn(p) == 0)
		return true;
	p->birth_failed = true;
	pool_worker_births_later(p);
	return false;
}

/* Those that were born before the last change serve until there is one that knows of it. */
static void begin_generation(struct pool *p)
{
	p->generation++;
	for (guint i = p->workers->len; i-- > 0;)
		if (pool_worker_at(p, i)->state == WORKER_UNBORN)
			pool_worker_dismiss(pool_worker_at(p, i));
}

/* ---- replacement ---- */

/* What has run for long goes, so that nobody who has got into it stays; its successor comes first. */
static void recycle(struct pool *p)
{
	if (count(p, WORKER_UNBORN) || count(p, WORKER_RETIRED))
		return;
	for (guint i = 0; i < p->workers->len; i++) {
		struct pool_worker *w = pool_worker_at(p, i);

		if (w->state != WORKER_SERVING)
			continue;
		if (w->outgoing) {
			if (present(p) >= p->wanted)
				pool_worker_retire(w);
			return;
		}
		if (!w->life || (w->record.n && pool_now() - w->born > p->params.limits.life)) {
			log_debug(1, "worker %d has had its time and is replaced", (int)w->pid);
			w->outgoing = true;
			return;
		}
	}
}

/* What fails much more than the others may be in somebody's hands. */
static void replace_worst(struct pool *p)
{
	struct pool_worker *serving[POOL_WORKERS_MAX];
	struct record records[POOL_WORKERS_MAX];
	size_t n = 0;
	int worst;

	if (p->worst_at && pool_now() - p->worst_at < WORST_USEC)
		return;
	for (guint i = 0; i < p->workers->len; i++) {
		struct pool_worker *w = pool_worker_at(p, i);

		if (w->state != WORKER_SERVING)
			continue;
		records[n] = w->record;
		serving[n++] = w;
	}
	worst = choose_worst(records, n);
	if (worst < 0)
		return;
	p->worst_at = pool_now();
	log_warning("worker %d fails much more often than the others and is replaced",
		    (int)serving[worst]->pid);
	pool_worker_retire(serving[worst]);
}

static void let_go(struct pool *p)
{
	for (guint i = p->workers->len; i-- > 0;) {
		struct pool_worker *w = pool_worker_at(p, i);

		if ((w->state == WORKER_RETIRED || w->state == WORKER_LOST) && !pool_worker_jobs(w))
			pool_worker_dismiss(w);
	}
}

bool pool_work(struct pool *p)
{
	for (guint i = 0; i < p->workers->len; i++)
		if (pool_worker_at(p, i)->state == WORKER_LOST &&
		    pool_worker_fail_one(pool_worker_at(p, i)))
			return true;
	let_go(p);
	replace_worst(p);
	recycle(p);
	return spawn_one(p) || pool_jobs_give_one(p);
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

	*out = (struct recording_worker){w->pid, works[w->state], pool_worker_jobs(w),
					 w->unrun.length, w->since};
}

void pool_gauge(const struct pool *p, struct recording_gauges *now)
{
	now->wanted = p->wanted;
	now->lost = p->lost;
	now->workers = MIN(p->workers->len, (guint)RECORDING_WORKERS_MAX);
	for (uint32_t i = 0; i < now->workers; i++)
		gauge_worker(pool_worker_at(p, i), &now->worker[i]);
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
		pool_worker_retire(pool_worker_at(p, i));
}

void pool_await(struct pool *p)
{
	if (pool_now() < p->respawn_at) /* which is a reason of its own */
		return;
	p->awaits = true;
	pool_worker_put_births_off(p, p->params.limits.credentials);
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
		if (pool_worker_at(p, i)->number == number) {
			pool_worker_lose(pool_worker_at(p, i),
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
	r = deadlines_init(&p->timers, params->event, pool_worker_on_timer);
	if (r >= 0)
		r = deadlines_init(&p->pauses, params->event, pool_messages_on_pause_over);
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

static int adopt(struct pool_worker *w)
{
	int r = pool_messages_watch(w);

	return r < 0 ? r : pool_worker_watch_exit(w);
}

int pool_adopt(struct pool *p, const char *name, int sock, int pidfd)
{
	g_autofree char *alike = NULL;
	struct pool_worker *w;
	struct birth birth = {.sock = sock, .pidfd = pidfd};
	int version = 0, r;

	if (sscanf(name, "worker-%d-%d-", &birth.pid, &version) != 2 || birth.pid <= 1)
		version = -1;
	w = pool_worker_new(p, &birth);
	w->stored = g_strdup(name);
	w->adopted = w->outgoing = true;
	credentials_set_unref(g_steal_pointer(&w->credentials)); /* its signer gets no more grants */
	w->state = WORKER_RETIRED;
	alike = pool_worker_name(w);
	r = version < 0 ? -EINVAL : version != IPC_VERSION ? -EPROTONOSUPPORT : adopt(w);
	if (r < 0) {
		pool_worker_free(w);
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
		struct pool_worker *w = pool_worker_at(p, i);
		struct job *j;

		if (!w->adopted || w->pid != h->worker)
			continue;
		j = job_restore(p->params.jobs, h, -1, queue_of(w, h->state));
		if (!j)
			return false;
		j->worker = w;
		if (j->state == JOB_ASKING && j->identity)
			pool_messages_answer(w, j);
		return true;
	}
	return false;
}

void pool_release(struct pool *p)
{
	while (p->workers->len) {
		struct pool_worker *w = pool_worker_at(p, 0);

		g_clear_pointer(&w->stored, g_free);
		pool_worker_free(w);
	}
}

/* Nothing that we started outlives us. */
static void end_all(struct pool *p)
{
	for (guint i = 0; i < p->workers->len; i++)
		pool_worker_kill(pool_worker_at(p, i));
	while (p->workers->len) {
		struct pool_worker *w = pool_worker_at(p, 0);
		struct pollfd ended = {.fd = w->pidfd, .events = POLLIN};

		if (w->pidfd >= 0 && poll(&ended, 1, KILLED_MS) > 0)
			pool_worker_reap(w);
		pool_worker_free(w);
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
