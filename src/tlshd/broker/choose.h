/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which worker gets the next job, and which one fails too much: on plain numbers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A worker with fewer jobs that it has not run yet keeps up. */
#define CHOOSE_KEEPS_UP 4
/* Jobs that a worker may have more than another that would take them. */
#define CHOOSE_AHEAD 4

/**
 * struct candidate - a worker.
 * @takes: it can be given a job now
 * @jobs: those it has
 * @unrun: of them, those it has not run yet
 */
struct candidate {
	bool takes;
	unsigned int jobs;
	unsigned int unrun;
};

/**
 * choose_worker() - the one that gets the next job.
 * @turn: the one whose turn it is; any number
 *
 * While it keeps up it is the one whose turn it is, for a worker that is warm is cheaper than one to
 * be woken; then the next one that keeps up. None gets so far ahead of the others that its end costs
 * much more than theirs. When nobody keeps up it is the one least behind.
 *
 * Return: its number, or -1 when none takes any.
 */
int choose_worker(const struct candidate *c, size_t n, size_t turn);

/* A worker's last handshakes that are looked at, and of them the failures that are too many. */
#define CHOOSE_WINDOW 32
#define CHOOSE_FAILURES 24

/** struct record - how a worker's last handshakes ended, a bit for each, set for a failure. */
struct record {
	uint32_t failed;
	unsigned int n;
};

/** record_add() - one more has ended. */
void record_add(struct record *r, bool failed);

/**
 * choose_worst() - the worker that fails far more than the others do.
 *
 * Peers cause failures too, but not with one worker more than with another: so it is one with
 * CHOOSE_FAILURES of CHOOSE_WINDOW whose every other has seen as many handshakes and no more than
 * half the failures.
 *
 * Return: its number, or -1.
 */
int choose_worst(const struct record *r, size_t n);
