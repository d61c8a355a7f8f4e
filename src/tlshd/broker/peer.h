/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The other end of a connection: its address, and the source that a crowd of them is counted by. */
#pragma once

#include <stdint.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <glib.h>

/** union peer - an address; of the family AF_UNSPEC when it is not known. */
union peer {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/**
 * peer_note() - ask whom @sockfd is connected to.
 *
 * To be done at once after ACCEPT: getpeername() fails after a reset.
 */
void peer_note(union peer *p, int sockfd);

/** peer_text() - address and port, "192.0.2.7:4420" or "[2001:db8::1]:4420"; to be freed by g_free(). */
char *peer_text(const union peer *p);

/**
 * peer_address() - address and port as they are recorded.
 * @address: gets 4 or 16 bytes, in network order
 * @port: in host order
 *
 * Return: AF_INET, AF_INET6, or AF_UNSPEC when it is not known: nothing is set then.
 */
sa_family_t peer_address(const union peer *p, uint8_t address[16], uint32_t *port);

/**
 * peer_source() - a number that peers have in common which one sender can be.
 *
 * That is the address of IPv4, also of one that is mapped into IPv6, and the first 64 bits of IPv6,
 * for a host has them all. Two sources may have the same number, which costs them some fairness.
 */
uint64_t peer_source(const union peer *p);

/** peer_source_text() - that source in words: "192.0.2.7", "2001:db8::/64"; to be freed by g_free(). */
char *peer_source_text(const union peer *p);

/**
 * peer_source_hash(), peer_source_equal() - of sources by pointer, for a GHashTable.
 *
 * Which sources share a bucket differs from run to run, so that nobody can choose them to.
 */
guint peer_source_hash(gconstpointer source);
gboolean peer_source_equal(gconstpointer a, gconstpointer b);
