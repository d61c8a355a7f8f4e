/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One worker as the pool sees it, from its birth to its end: for the files of the pool only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "tlshd/broker/choose.h"
#include "tlshd/broker/habits.h"
#include "tlshd/broker/order.h"
#include "tlshd/broker/pool.h"
#include "tlshd/shared/ipc.h"

/* As many as can be configured, and twice that in a reload. */
#define POOL_WORKERS_MAX 128

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
	struct deadline timer; /* what it is for depends on the state, see pool_worker_on_timer() */
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

/** pool_now() - usec, monotonic. */
static inline uint64_t pool_now(void)
{
	return (uint64_t)g_get_monotonic_time();
}

/** pool_worker_at() - the worker at @i of those in the pool. */
static inline struct pool_worker *pool_worker_at(const struct pool *p, size_t i)
{
	return p->workers->pdata[i];
}

/** pool_worker_new() - one that is WORKER_UNBORN, with the pool's settings; takes over what @birth has. */
struct pool_worker *pool_worker_new(struct pool *p, const struct birth *birth);

/** pool_worker_free() - close what we have of it, and forget it; its process is not touched. */
void pool_worker_free(struct pool_worker *w);

/** pool_worker_name() - what systemd has its descriptors under. Return: to be freed by g_free(). */
char *pool_worker_name(const struct pool_worker *w);

/** pool_worker_keep() - have systemd keep its descriptors, where the pool does that. */
void pool_worker_keep(struct pool_worker *w);

/** pool_worker_jobs() - the jobs that it has. */
unsigned int pool_worker_jobs(const struct pool_worker *w);

/** pool_worker_is_full() - has it as many jobs as it may, with those that it still has to end? */
bool pool_worker_is_full(const struct pool_worker *w);

/** pool_worker_takes_jobs() - can it be given one now? */
bool pool_worker_takes_jobs(struct pool_worker *w);

/** pool_worker_may_log() - take one from the lines that it may log. Return: was there one? */
bool pool_worker_may_log(struct pool_worker *w);

/** pool_worker_set_blocked() - it is not read, and gets nothing, until there is room in its socket. */
void pool_worker_set_blocked(struct pool_worker *w, bool blocked);

/** pool_worker_set_mute() - it is late with a job, and gets no more until it has made progress. */
void pool_worker_set_mute(struct pool_worker *w, bool mute);

/** pool_worker_note_progress() - a step of a job is done. */
void pool_worker_note_progress(struct pool_worker *w);

/** pool_worker_start_timer() - pool_worker_on_timer() is called in @usec; one timer a worker. */
void pool_worker_start_timer(struct pool_worker *w, uint64_t usec);

/** pool_worker_stop_timer() - it is not. */
void pool_worker_stop_timer(struct pool_worker *w);

/** pool_worker_on_timer() - the time of @owner, a worker, is up. */
void pool_worker_on_timer(void *owner);

/** pool_worker_watch_exit() - note when its process ends. Return: 0; a negative errno. */
int pool_worker_watch_exit(struct pool_worker *w);

/** pool_worker_reap() - wait for its process if it is a child of ours, and log how it ended. */
void pool_worker_reap(struct pool_worker *w);

/** pool_worker_kill() - SIGKILL; the jobs stay. */
void pool_worker_kill(struct pool_worker *w);

/** pool_worker_retire() - it finishes what it has and takes no more; one that is not born yet is dismissed. */
void pool_worker_retire(struct pool_worker *w);

/** pool_worker_dismiss() - close its socket, by which it ends; in a while it is killed. */
void pool_worker_dismiss(struct pool_worker *w);

/** pool_worker_lose() - kill it for what it has said or not said; its jobs fail, one by one. */
void pool_worker_lose(struct pool_worker *w, const char *why);

/**
 * pool_worker_lose_for() - the same of one that has been killed and was not lost.
 * @why: the end of a sentence, "it sent nonsense"; taken over
 */
void pool_worker_lose_for(struct pool_worker *w, char *why);

/** pool_worker_lose_dead() - it is ending by itself; if it does not, it is killed like one that is dismissed. */
void pool_worker_lose_dead(struct pool_worker *w, const char *why);

/** pool_worker_fail_one() - end one job of a lost worker. Return: was there one? */
bool pool_worker_fail_one(struct pool_worker *w);

/** pool_worker_put_births_off() - no birth for @usec; then the loop is woken. */
void pool_worker_put_births_off(struct pool *p, uint64_t usec);

/** pool_worker_births_later() - the same after a birth that failed or a death that came early. */
void pool_worker_births_later(struct pool *p);
