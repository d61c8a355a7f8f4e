// SPDX-License-Identifier: GPL-2.0-or-later
/* The other end of a connection: its address, and the source that a crowd of them is counted by. */
#include "tlshd/broker/peer.h"

#include <string.h>
#include <arpa/inet.h>

void peer_note(union peer *p, int sockfd)
{
	socklen_t len = sizeof(*p);

	memset(p, 0, sizeof(*p));
	if (getpeername(sockfd, &p->any, &len) < 0)
		p->any.sa_family = AF_UNSPEC;
}

/* The address of IPv4 that @p has, by itself or mapped into IPv6; NULL for another. */
static const void *address_v4(const union peer *p)
{
	if (p->any.sa_family == AF_INET)
		return &p->v4.sin_addr;
	if (p->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&p->v6.sin6_addr))
		return &p->v6.sin6_addr.s6_addr[12];
	return NULL;
}

char *peer_text(const union peer *p)
{
	char host[INET6_ADDRSTRLEN];

	if (p->any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &p->v4.sin_addr, host, sizeof(host));
		return g_strdup_printf("%s:%u", host, ntohs(p->v4.sin_port));
	}
	if (p->any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &p->v6.sin6_addr, host, sizeof(host));
		return g_strdup_printf("[%s]:%u", host, ntohs(p->v6.sin6_port));
	}
	return g_strdup("a peer without an address");
}

sa_family_t peer_address(const union peer *p, uint8_t address[16], uint32_t *port)
{
	if (p->any.sa_family == AF_INET) {
		memcpy(address, &p->v4.sin_addr, sizeof(p->v4.sin_addr));
		*port = ntohs(p->v4.sin_port);
	} else if (p->any.sa_family == AF_INET6) {
		memcpy(address, &p->v6.sin6_addr, sizeof(p->v6.sin6_addr));
		*port = ntohs(p->v6.sin6_port);
	} else {
		return AF_UNSPEC;
	}
	return p->any.sa_family;
}

uint64_t peer_source(const union peer *p)
{
	const void *v4 = address_v4(p);
	uint64_t prefix = 0;

	if (v4)
		memcpy(&prefix, v4, sizeof(p->v4.sin_addr));
	else if (p->any.sa_family == AF_INET6)
		memcpy(&prefix, &p->v6.sin6_addr, sizeof(prefix));
	return prefix;
}

char *peer_source_text(const union peer *p)
{
	const void *v4 = address_v4(p);
	char host[INET6_ADDRSTRLEN];
	struct in6_addr prefix = {0};

	if (v4) {
		inet_ntop(AF_INET, v4, host, sizeof(host));
		return g_strdup(host);
	}
	if (p->any.sa_family != AF_INET6)
		return g_strdup("peers without an address");
	memcpy(&prefix, &p->v6.sin6_addr, sizeof(uint64_t));
	inet_ntop(AF_INET6, &prefix, host, sizeof(host));
	return g_strdup_printf("%s/64", host);
}

guint peer_source_hash(gconstpointer source)
{
	static uint64_t odd;

	if (!odd)
		odd = (uint64_t)g_random_int() << 32 | g_random_int() | 1;
	return (guint)((*(const uint64_t *)source * odd) >> 32);
}

gboolean peer_source_equal(gconstpointer a, gconstpointer b)
{
	return *(const uint64_t *)a == *(const uint64_t *)b;
}
