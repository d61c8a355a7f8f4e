// SPDX-License-Identifier: GPL-2.0-or-later
/* The sockets in the group of daemons, as /proc/net/netlink has them. */
#include "netlink/upcall.h"

#include <linux/netlink.h>

int upcall_members_in(FILE *list, unsigned int group, struct upcall_member *members, size_t room)
{
	char line[256];
	int n = 0;

	while (fgets(line, sizeof(line), list)) {
		unsigned int protocol, groups;
		struct upcall_member member;

		/* sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode; the first line is no number */
		if (sscanf(line, "%*s %u %u %x %*s %*s %*s %*s %*s %lu", &protocol, &member.port,
			   &groups, &member.inode) != 4)
			continue;
		if (protocol != NETLINK_GENERIC || !(groups & 1U << (group - 1)))
			continue;
		if ((size_t)n < room)
			members[n] = member;
		n++;
	}
	return n;
}

int upcall_others_in(FILE *list, unsigned int group, unsigned long inode, uint32_t *port)
{
	struct upcall_member members[UPCALL_MEMBERS_MAX];
	int n = upcall_members_in(list, group, members, UPCALL_MEMBERS_MAX), others = n;

	for (int i = 0; i < n && i < UPCALL_MEMBERS_MAX; i++) {
		if (members[i].inode == inode)
			others--;
		else
			*port = members[i].port;
	}
	return others;
}
