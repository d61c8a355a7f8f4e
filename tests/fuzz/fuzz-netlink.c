// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzzes the kernel's reply to ACCEPT: what is behind the netlink header is the input. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <glib.h>
#include <linux/netlink.h>

#include "netlink/upcall.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len = sizeof(struct nlmsghdr) + size;
	g_autofree struct nlmsghdr *msg = g_malloc(len);
	struct upcall_request req;
	const char *why = NULL;
	int r;

	*msg = (struct nlmsghdr){.nlmsg_len = (uint32_t)len, .nlmsg_type = 30};
	if (size)
		memcpy(msg + 1, data, size);
	r = upcall_decode(msg, &req, &why);
	if ((r < 0) != (why != NULL) || req.n_peers > UPCALL_PEERS_MAX ||
	    strnlen(req.peername, sizeof(req.peername)) == sizeof(req.peername))
		abort();
	if (r == 0 && (req.sockfd < 0 || !req.side || !req.auth))
		abort();
	return 0;
}
