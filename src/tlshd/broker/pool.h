/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The workers as the broker sees them: their states, their messages, and their end. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/recording.h"
#include "tlshd/broker/birth.h"
#include "tlshd/broker/credentials.h"
#include "tlshd/broker/job.h"
#include "tlshd/broker/keys.h"
#include "tlshd/shared/config.h"

/**
 * struct pool_limits - what a worker may take, in microseconds and jobs.
 * @birth: until BORN; then another one is asked for
 * @patience: without progress, after it was late with a job; then it is lost
 * @dismissed: to end by itself, once its socket is closed; then it is killed
 * @credentials: that births are put off for those that are being loaded
 * @respawn: between a birth that failed, or a worker that died young, and the next
 * @life: until it is replaced, if it had a job
 * @life_jobs: until it is replaced, give or take a quarter
 * @jobs: that it has at the same time
 * @lines: that it may log in a second
 */
struct pool_limits {
	uint64_t birth;
	uint64_t patience;
	uint64_t dismissed;
	uint64_t credentials;
	uint64_t respawn;
	uint64_t life;
	unsigned int life_jobs;
	unsigned int jobs;
	unsigned int lines;
};

/** pool_limits - those of the daemon; tests have less time. */
extern const struct pool_limits pool_limits;

/**
 * struct pool_params - what a pool needs; pointers are borrowed.
 * @keep: have systemd keep the workers' sockets, for the broker after us (store.h)
 * @upgraded: called when a new worker is of another build than we are; @build is its own
 * @entered: called when the first worker that was born with new settings or credentials serves, and those
 *	before it take no more jobs; NULL for nobody
 */
struct pool_params {
	sd_event *event;
	struct jobs *jobs;
	struct keys *keys;
	struct birth_plan plan;
	struct pool_limits limits;
	bool keep;
	void (*upgraded)(void *ctx, const char *build);
	void (*entered)(void *ctx, struct credentials_set *credentials);
	void *ctx;
};

/** struct pool - the workers. */
struct pool;

/** pool_new() - no worker yet. Return: 0 with @out set, to be freed by pool_free(); a negative errno. */
int pool_new(struct pool **out, const struct pool_params *params);

/** pool_free() - end every worker, and wait until none is left. NULL is fine. */
void pool_free(struct pool *p);

/**
 * pool_configure() - from now on workers are born with these settings.
 *
 * Those that there are serve until the first of the new ones does; then they finish what they have, take
 * no more, and are ended. Where the new settings are others to a worker, that is at once: who has reloaded
 * them meets no worker that does not know of them.
 */
void pool_configure(struct pool *p, const config *settings);

/**
 * pool_await() - credentials are being loaded: no worker is born before pool_use() or pool_go_on().
 *
 * It would be replaced at once. But PSKs need none of them, so whatever the load takes, the wait has an end.
 */
void pool_await(struct pool *p);

/** pool_go_on() - no other credentials come. */
void pool_go_on(struct pool *p);

/**
 * pool_use() - workers are born with these credentials; takes a reference.
 *
 * Those that there are serve until the first of the new ones does, see pool_configure().
 */
void pool_use(struct pool *p, struct credentials_set *credentials);

/**
 * pool_accuse() - a worker has asked the signer for what it may not have, and is lost.
 * @number: our number of it, as the signer knows it
 */
void pool_accuse(struct pool *p, uint32_t number);

/**
 * pool_adopt() - take over a worker of the broker before us; to be called after pool_configure().
 * @name: what it was stored as
 * @sock, @pidfd: stored under that name; taken over, also on failure
 *
 * If it was born with the settings of ours it takes jobs until another one serves in its place, so that
 * nobody who has got into it stays; else it only finishes what it has.
 *
 * Return: 0; -EINVAL when the name is none of a worker; -EPROTONOSUPPORT when it is of a build whose
 * messages we do not understand: it ends; another negative errno.
 */
int pool_adopt(struct pool *p, const char *name, int sock, int pidfd);

/**
 * pool_restore() - have a job go on in a worker that was adopted.
 * @h: from the ledger of the broker before us
 *
 * Return: false when there is no such worker.
 */
bool pool_restore(struct pool *p, const struct handover *h);

/** pool_release() - leave all workers that systemd keeps to the next broker; the others end. */
void pool_release(struct pool *p);

/**
 * pool_work() - one piece of the work that is due: a birth, a job for a worker, a job that has lost
 * its worker. Return: was there one?
 */
bool pool_work(struct pool *p);

/** pool_size() - workers that have been born and take jobs. */
unsigned int pool_size(const struct pool *p);

/** pool_wanted() - workers that there are to be. */
unsigned int pool_wanted(const struct pool *p);

/** pool_gauge() - set what @now has about workers. */
void pool_gauge(const struct pool *p, struct recording_gauges *now);

/** pool_stop() - no more births. */
void pool_stop(struct pool *p);
