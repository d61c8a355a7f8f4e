// SPDX-License-Identifier: GPL-2.0-or-later
/* Other sockets in the group of daemons, as /proc/net/netlink has them. */
#include "netlink/upcall.h"

#include <linux/netlink.h>

int upcall_others_in(FILE *list, unsigned int group, unsigned long inode, uint32_t *port)
{
	char line[256];
	int n = 0;

	while (fgets(line, sizeof(line), list)) {
		unsigned int protocol, id, groups;
		unsigned long member;

		/* sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode; the first line is no number */
		if (sscanf(line, "%*s %u %u %x %*s %*s %*s %*s %*s %lu", &protocol, &id, &groups,
			   &member) != 4)
			continue;
		if (protocol != NETLINK_GENERIC || !(groups & 1U << (group - 1)) || member == inode)
			continue;
		*port = id;
		n++;
	}
	return n;
}
