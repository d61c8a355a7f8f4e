/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The certificates, keys and lists that are configured: read, watched, and given out in sets. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "tlshd/broker/birth.h"
#include "tlshd/shared/config.h"

/**
 * struct credentials_set - what all files had in them at one time, and the signer that has its keys.
 *
 * A worker is born with a set and keeps it to its end; so a set and its signer live as long as the last
 * of its workers.
 */
struct credentials_set;

/** credentials_set_ref(), credentials_set_unref() - NULL is fine. */
struct credentials_set *credentials_set_ref(struct credentials_set *set);
void credentials_set_unref(struct credentials_set *set);

/* What a worker can be given: one of each, and its desk. */
#define CREDENTIALS_OF_WORKER (CREDENTIAL_OWNERS * CREDENTIAL_KINDS + 1)

/**
 * credentials_set_give() - what a new worker is born with.
 * @set: NULL for none
 * @worker: our number of it
 * @out: filled
 * @desk: set to a descriptor that is in @out and is to be closed when it has been sent, or -1
 *
 * Private keys are not among them.
 *
 * Return: how many.
 */
size_t credentials_set_give(struct credentials_set *set, uint32_t worker,
			    struct birth_credential out[CREDENTIALS_OF_WORKER], int *desk);

/**
 * credentials_set_grant() - let a worker have one signature for a job, if there is a key for its side.
 * @deadline_usec: until then, of CLOCK_MONOTONIC
 * @key: a private key for this job alone, DER, in sealed memory; borrowed, -1 for none
 *
 * Return: 0, also where there is no key; a negative errno when the signer cannot be told.
 */
int credentials_set_grant(struct credentials_set *set, uint32_t worker, uint32_t job,
			  enum handshake_side side, uint64_t deadline_usec, int key);

/**
 * struct credentials_params - pointers are borrowed.
 * @changed: workers are to be born with this set from now on; who has seen to that calls
 *	credentials_enter()
 * @settled: a load has ended, see credentials_ended()
 * @refused: a worker has asked for a signature that it may not have
 * @upgraded: a new signer is of another build than we are
 */
struct credentials_params {
	sd_event *event;
	struct birth_plan plan;
	void (*changed)(void *ctx, struct credentials_set *set);
	void (*settled)(void *ctx);
	void (*refused)(void *ctx, uint32_t worker);
	void (*upgraded)(void *ctx, const char *build);
	void *ctx;
};

/** struct credentials - the set in force, the one that takes its place, and the one that is being loaded. */
struct credentials;

/** credentials_new() - nothing is read yet; to be freed by credentials_free(). */
struct credentials *credentials_new(const struct credentials_params *params);
void credentials_free(struct credentials *c);

/** credentials_leave() - from now on a set that is freed does not end its signer: see signing_leave(). */
void credentials_leave(struct credentials *c);

/**
 * credentials_configure() - from now on these settings count.
 * @settings: borrowed until the next call
 *
 * What they name is read from now on, by a process of its own (reader.h); if they name nothing, the system's
 * trust store is read only when credentials_check() asks for it.
 */
void credentials_configure(struct credentials *c, const config *settings);

/**
 * credentials_check() - is the set in force what the disk has now?
 * @signer: a signer is needed, even where no private key is configured
 * @load: set on -EAGAIN, for credentials_ended()
 *
 * Glances at the files, as ktls-utils' users expect: who replaces a certificate need not tell us. What has
 * changed is loaded as a whole set, and that comes into force only when it is usable and workers have it. A
 * glance waits for nothing; where it does not tell enough, there is a load, which may find that nothing has
 * changed.
 *
 * Return: 0; -EAGAIN when a load has to end first, or to be tried again, which a call does that comes some time
 * after the last try. Only who sees a change while another one is being loaded waits for the next load; or, if
 * that one has read the change, for none.
 */
int credentials_check(struct credentials *c, bool signer, uint64_t *load);

/**
 * credentials_ended() - has this load ended: is its set in force, or refused?
 *
 * One whose reader or signer was lost has not: nobody knows what is in the files.
 */
bool credentials_ended(const struct credentials *c, uint64_t load);

/**
 * credentials_suffice() - can a handshake go on with the set in force, although another one is loaded?
 * @signer: as for credentials_check()
 *
 * With our own certificate of before it can. But whom we believe is always what the disk says: nobody
 * whose certificate has been revoked gets in because we are slow.
 */
bool credentials_suffice(struct credentials *c, bool signer);

/** credentials_lateness() - what those wait for who have waited too long for a load: a sentence's end. */
const char *credentials_lateness(const struct credentials *c);

/** credentials_enter() - @set is in force: those who serve from now on have it. NULL is fine. */
void credentials_enter(struct credentials *c, struct credentials_set *set);
