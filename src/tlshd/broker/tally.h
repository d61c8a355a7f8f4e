/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Failures that strangers cause, summed up in the log: a flood of them must not drown the rest. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tlshd/broker/peer.h"
#include "tlshd/shared/cause.h"

/* Lines that a source gets for a cause within a second. */
#define TALLY_LINES 5
/* Sources and causes that are told apart within a second; what is beyond counts as one. */
#define TALLY_ROWS 64

/** struct tally - how often each source has failed for each cause in the present second. */
struct tally;

/** tally_new() - nothing has failed yet; to be freed by tally_free(), which writes what is left. */
struct tally *tally_new(void);
void tally_free(struct tally *t);

/**
 * tally_count() - a handshake with @peer has failed for @cause.
 *
 * Return: true when it is to have a line of its own; false when it stands in the sum that
 * tally_write() writes.
 */
bool tally_count(struct tally *t, const union peer *peer, enum cause cause);

/**
 * tally_write() - write a line for each source and cause that had more failures than lines, and
 * begin anew. To be called every second as long as tally_has_some().
 */
void tally_write(struct tally *t);
bool tally_has_some(const struct tally *t);
