/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Jobs on their way to workers and, where time or room is short, away from them. */
#pragma once

#include <stdbool.h>

#include "tlshd/broker/pool.h"

/** pool_jobs_give_one() - hand the next job that is ready to a worker, if one takes it. Return: did anything happen? */
bool pool_jobs_give_one(struct pool *p);

/** pool_jobs_drop_all() - end all jobs that are in workers, for CAUSE_STOPPING. */
void pool_jobs_drop_all(struct pool *p);

/**
 * pool_jobs_late() - the deadline of @j has passed while it was in a worker or waited for one.
 *
 * @j fails, and it alone: a worker that has more to do than time comes to it later. One that makes no
 * progress for some seconds more is lost.
 */
void pool_jobs_late(struct pool *p, struct job *j);

/**
 * pool_jobs_make_room() - end one stranger that a worker has, see jobs_crowded_out().
 * @most: as there
 *
 * Return: was there one?
 */
bool pool_jobs_make_room(struct pool *p, unsigned int most);
