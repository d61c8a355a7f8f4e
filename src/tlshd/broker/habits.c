// SPDX-License-Identifier: GPL-2.0-or-later
/* What our clients have learned of servers: how many session tickets each sends behind its Finished. */
#include "tlshd/broker/habits.h"

#include <netinet/in.h>
#include <glib.h>

struct habits {
	GHashTable *servers; /* address to struct server */
	GQueue learned; /* struct server by its link, the oldest first */
};

struct server {
	GBytes *address;
	int tickets;
	uint64_t at; /* usec, monotonic */
	GList link;
};

static void server_free(void *ptr)
{
	struct server *s = ptr;

	g_bytes_unref(s->address);
	g_free(s);
}

struct habits *habits_new(void)
{
	struct habits *h = g_new0(struct habits, 1);

	h->servers = g_hash_table_new_full(g_bytes_hash, g_bytes_equal, NULL, server_free);
	g_queue_init(&h->learned);
	return h;
}

void habits_free(struct habits *h)
{
	if (!h)
		return;
	g_hash_table_unref(h->servers);
	g_free(h);
}

/* Family, port and address, without what a kernel may add to one of IPv6. NULL for another family. */
static GBytes *address_of(const struct sockaddr *peer)
{
	struct {
		uint16_t family, port;
		uint32_t scope;
		uint8_t address[16];
	} key = {.family = peer->sa_family};

	if (peer->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)peer;

		key.port = v4->sin_port;
		memcpy(key.address, &v4->sin_addr, sizeof(v4->sin_addr));
	} else if (peer->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)peer;

		key.port = v6->sin6_port;
		key.scope = v6->sin6_scope_id;
		memcpy(key.address, &v6->sin6_addr, sizeof(v6->sin6_addr));
	} else {
		return NULL;
	}
	return g_bytes_new(&key, sizeof(key));
}

int habits_tickets(const struct habits *h, const struct sockaddr *peer, uint64_t now)
{
	g_autoptr(GBytes) address = address_of(peer);
	const struct server *s = address ? g_hash_table_lookup(h->servers, address) : NULL;

	return s && now - s->at < HABITS_USEC ? s->tickets : -1;
}

static void forget(struct habits *h, struct server *s)
{
	g_queue_unlink(&h->learned, &s->link);
	g_hash_table_remove(h->servers, s->address);
}

void habits_learn(struct habits *h, const struct sockaddr *peer, int tickets, uint64_t now)
{
	g_autoptr(GBytes) address = address_of(peer);
	struct server *s;

	if (!address || tickets < 0)
		return;
	s = g_hash_table_lookup(h->servers, address);
	if (s)
		forget(h, s);
	else if (h->learned.length == HABITS_MAX)
		forget(h, h->learned.head->data);
	s = g_new0(struct server, 1);
	s->address = g_steal_pointer(&address);
	s->tickets = tickets;
	s->at = now;
	s->link.data = s;
	g_hash_table_insert(h->servers, s->address, s);
	g_queue_push_tail_link(&h->learned, &s->link);
}
