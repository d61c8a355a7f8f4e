// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzzes the kernel's reply to ACCEPT: what is behind the netlink header is the input. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <glib.h>
#include <linux/netlink.h>

#include "netlink/upcall.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Attributes of kernels to come: the series under review has 10 and 11. */
static const uint16_t to_come[] = {10, 11, 12, 63, 64, 0x3fff};

static struct nlmsghdr *message(const uint8_t *data, size_t size, size_t more)
{
	size_t len = sizeof(struct nlmsghdr) + size;
	struct nlmsghdr *msg = g_malloc0(len + more);

	*msg = (struct nlmsghdr){.nlmsg_len = (uint32_t)(len + more), .nlmsg_type = 30};
	if (size)
		memcpy(msg + 1, data, size);
	return msg;
}

/* An attribute that we do not know, behind all others, changes nothing of what was understood. */
static void more_changes_nothing(const uint8_t *data, size_t size, uint16_t type,
				 const struct upcall_request *before)
{
	const struct nlattr attr = {.nla_len = NLA_HDRLEN + 4, .nla_type = type};
	g_autofree struct nlmsghdr *msg = message(data, size, NLA_HDRLEN + 4);
	struct upcall_request after;
	const char *why = NULL;

	memcpy((char *)msg + msg->nlmsg_len - attr.nla_len, &attr, sizeof(attr));
	if (upcall_decode(msg, &after, &why) < 0 || !after.unknown)
		abort();
	after.unknown = before->unknown;
	if (memcmp(&after, before, sizeof(after)) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree struct nlmsghdr *msg = message(data, size, 0);
	struct upcall_request req;
	const char *why = NULL;
	char text[256];
	int r;

	r = upcall_decode(msg, &req, &why);
	if ((r < 0) != (why != NULL) || req.n_peers > UPCALL_PEERS_MAX ||
	    strnlen(req.peername, sizeof(req.peername)) == sizeof(req.peername))
		abort();
	upcall_describe(&req, text, sizeof(text));
	if (r < 0)
		return 0;
	if (req.sockfd < 0 || !req.side || !req.auth)
		abort();
	if (size % NLA_ALIGNTO == 0)
		for (size_t i = 0; i < G_N_ELEMENTS(to_come); i++)
			more_changes_nothing(data, size, to_come[i], &req);
	return 0;
}
