/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A signer as the broker sees it: its birth, what it says of the credentials, its desks and grants. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "tlshd/broker/birth.h"

/**
 * struct signing_params - what it takes; pointers are borrowed.
 * @loglevel, @tls_debug: as in struct config
 * @stay: there will be grants, even if no private key is loaded
 * @credentials, @n: for the signer to load; used by signing_new() only
 * @loaded: called for each of them, in their order; @fd is to be given to workers in place of the
 *	file, and the callback's to close, or -1
 * @born: called when all are loaded; it may be freed then
 * @gone: called when it has ended, as one does that has no keys, once it is born; @why is a sentence's
 *	end. It may be freed then
 * @refused: called when a worker has asked for what it was not granted
 * @upgraded: called when it is of another build than we are; @build is its own
 */
struct signing_params {
	sd_event *event;
	struct birth_plan plan;
	int loglevel;
	int tls_debug;
	bool stay;
	const struct birth_credential *credentials;
	size_t n;
	void (*loaded)(void *ctx, const struct ipc_loaded *what, int fd);
	void (*born)(void *ctx);
	void (*gone)(void *ctx, const char *why);
	void (*refused)(void *ctx, uint32_t worker);
	void (*upgraded)(void *ctx, const char *build);
	void *ctx;
};

/** struct signing - a signer. */
struct signing;

/** signing_new() - have one born. Return: 0 with @out set; a negative errno, logged. */
int signing_new(struct signing **out, const struct signing_params *params);

/** signing_free() - end it, and wait for nothing. NULL is fine; of its callbacks, only from @born and @gone. */
void signing_free(struct signing *s);

/**
 * signing_leave() - of a broker that leaves its workers to the next one: forget the signer. It ends by itself
 * when nobody has a grant any more.
 */
void signing_leave(struct signing *s);

/**
 * signing_desk() - let a worker ask for signatures.
 * @worker: our number of it
 *
 * Return: the worker's end of the desk, the caller's to close; a negative errno.
 */
int signing_desk(struct signing *s, uint32_t worker);

/**
 * signing_grant() - the worker may have one signature for the job.
 * @deadline_usec: until then, of CLOCK_MONOTONIC
 * @key: a private key for this job alone, DER, in sealed memory; borrowed, -1 for none
 *
 * Return: 0 or a negative errno; it never waits.
 */
int signing_grant(struct signing *s, uint32_t worker, uint32_t job, enum handshake_side side,
		  uint64_t deadline_usec, int key);
