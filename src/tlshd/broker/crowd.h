/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many strangers each source has sent: who has the most goes first when there is no room. */
#pragma once

#include <stdint.h>

/**
 * struct crowd - how many connections each source has that have not finished their ClientHello.
 *
 * One that has is no stranger any more as far as this goes: it runs, and ends by itself.
 */
struct crowd;

/** crowd_new() - nobody; to be freed by crowd_free(). */
struct crowd *crowd_new(void);
void crowd_free(struct crowd *c);

/** crowd_enter(), crowd_leave() - one more, or one less, of @source; see peer_source(). */
void crowd_enter(struct crowd *c, uint64_t source);
void crowd_leave(struct crowd *c, uint64_t source);

/** crowd_count() - how many @source has. */
unsigned int crowd_count(const struct crowd *c, uint64_t source);
