// SPDX-License-Identifier: GPL-2.0-or-later
/* How many strangers each source has sent: who has the most goes first when there is no room. */
#include "tlshd/broker/crowd.h"

#include <glib.h>

#include "tlshd/broker/peer.h"

struct crowd {
	GHashTable *counts; /* source to struct count */
};

struct count {
	uint64_t source;
	unsigned int n;
};

struct crowd *crowd_new(void)
{
	struct crowd *c = g_new0(struct crowd, 1);

	c->counts = g_hash_table_new_full(peer_source_hash, peer_source_equal, NULL, g_free);
	return c;
}

void crowd_free(struct crowd *c)
{
	g_hash_table_destroy(c->counts);
	g_free(c);
}

void crowd_enter(struct crowd *c, uint64_t source)
{
	struct count *of = g_hash_table_lookup(c->counts, &source);

	if (!of) {
		of = g_new0(struct count, 1);
		of->source = source;
		g_hash_table_insert(c->counts, &of->source, of);
	}
	of->n++;
}

void crowd_leave(struct crowd *c, uint64_t source)
{
	struct count *of = g_hash_table_lookup(c->counts, &source);

	if (of && --of->n == 0)
		g_hash_table_remove(c->counts, &source);
}

unsigned int crowd_count(const struct crowd *c, uint64_t source)
{
	const struct count *of = g_hash_table_lookup(c->counts, &source);

	return of ? of->n : 0;
}
