// SPDX-License-Identifier: GPL-2.0-or-later
/* Which worker gets the next job, and which one fails too much: on plain numbers. */
#include "tlshd/broker/choose.h"

#include <limits.h>
#include <glib.h>

static unsigned int fewest_jobs(const struct candidate *c, size_t n)
{
	unsigned int fewest = UINT_MAX;

	for (size_t i = 0; i < n; i++)
		if (c[i].takes)
			fewest = MIN(fewest, c[i].jobs);
	return fewest;
}

int choose_worker(const struct candidate *c, size_t n, size_t turn)
{
	unsigned int fewest = fewest_jobs(c, n);
	int best = -1;

	for (size_t i = 0; i < n; i++) {
		size_t at = (turn + i) % n;

		if (!c[at].takes)
			continue;
		if (c[at].unrun < CHOOSE_KEEPS_UP && c[at].jobs - fewest < CHOOSE_AHEAD)
			return (int)at;
		if (best < 0 || c[at].unrun < c[best].unrun)
			best = (int)at;
	}
	return best;
}

void record_add(struct record *r, bool failed)
{
	r->failed = r->failed << 1 | failed;
	r->n = MIN(r->n + 1, CHOOSE_WINDOW);
}

static unsigned int failures(const struct record *r)
{
	return (unsigned int)__builtin_popcount(r->failed);
}

int choose_worst(const struct record *r, size_t n)
{
	size_t worst = 0;

	if (n < 2)
		return -1;
	for (size_t i = 1; i < n; i++)
		if (failures(&r[i]) > failures(&r[worst]))
			worst = i;
	if (r[worst].n < CHOOSE_WINDOW || failures(&r[worst]) < CHOOSE_FAILURES)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (i != worst &&
		    (r[i].n < CHOOSE_WINDOW || failures(&r[i]) * 2 > failures(&r[worst])))
			return -1;
	return (int)worst;
}
