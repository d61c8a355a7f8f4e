// SPDX-License-Identifier: GPL-2.0-or-later
/* The sockets of the handshake family: open, READY, ACCEPT, DONE. */
#include "netlink/upcall.h"
#include "netlink/attributes.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

/* READYs that we may fall behind before the kernel drops one; a lost one costs nothing. */
#define READY_BUFFER (1024 * 1024)

/* Linux 5.14; not in the headers of every system that we are built on. */
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* Read in one go; a READY is shorter, and its content of no use. */
#define READY_BATCH 32
#define READY_SIZE 64

struct upcall {
	struct nl_sock *events; /* NULL of a second one, or after upcall_leave() */
	struct nl_sock *commands;
	int ready; /* descriptor of events, also those of another thread; -1 after upcall_leave() */
	int family;
	unsigned int group;
};

static int errno_of_nl(int err)
{
	switch (-err) {
	case NLE_OBJ_NOTFOUND:
		return -EPROTONOSUPPORT;
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_PERM:
		return -EPERM;
	case NLE_AGAIN:
		return -EAGAIN;
	default:
		return -EIO;
	}
}

static int open_socket(struct nl_sock **out)
{
	int r;

	*out = nl_socket_alloc();
	if (!*out)
		return -ENOMEM;
	r = genl_connect(*out);
	if (r < 0)
		return errno_of_nl(r);
	nl_socket_disable_auto_ack(*out);
	nl_socket_disable_msg_peek(*out); /* an answer is far shorter than libnl's buffer */
	nl_socket_set_nonblocking(*out);
	return 0;
}

int upcall_group(void)
{
	struct nl_sock *socket;
	int r = open_socket(&socket);

	if (!r) {
		r = genl_ctrl_resolve_grp(socket, HANDSHAKE_FAMILY, HANDSHAKE_GROUP);
		if (r < 0)
			r = errno_of_nl(r);
	}
	nl_socket_free(socket);
	return r;
}

static uint64_t namespace_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) < 0 ? 0 : cookie;
}

/* As long as it is open somewhere the kernel has a handler, and queues what nobody has taken. */
static int take_member(struct upcall *u, int fd)
{
	struct nl_sock *events = nl_socket_alloc();

	if (!events)
		return -ENOMEM;
	if (!namespace_of(fd) || namespace_of(fd) != namespace_of(nl_socket_get_fd(u->commands)) ||
	    nl_socket_set_fd(events, NETLINK_GENERIC, fd) < 0) {
		nl_socket_free(events);
		return -EINVAL;
	}
	nl_socket_free(u->events);
	u->events = events;
	return 0;
}

static int join(struct upcall *u, int group)
{
	int size = READY_BUFFER;
	int r;

	/* Beyond net.core.rmem_max where we may, up to it where not. */
	if (setsockopt(nl_socket_get_fd(u->events), SOL_SOCKET, SO_RCVBUFFORCE, &size,
		       sizeof(size)) < 0)
		setsockopt(nl_socket_get_fd(u->events), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	r = nl_socket_add_membership(u->events, group);
	return r < 0 ? errno_of_nl(r) : 0;
}

int upcall_open(struct upcall **out, int member)
{
	struct upcall *u = calloc(1, sizeof(*u));
	int group;
	int r;

	*out = NULL;
	r = u ? open_socket(&u->commands) : -ENOMEM;
	if (!r)
		r = open_socket(&u->events);
	if (r < 0)
		goto fail;

	r = u->family = genl_ctrl_resolve(u->commands, HANDSHAKE_FAMILY);
	if (r < 0) {
		r = errno_of_nl(r);
		goto fail;
	}
	r = group = genl_ctrl_resolve_grp(u->commands, HANDSHAKE_FAMILY, HANDSHAKE_GROUP);
	if (r < 0) {
		r = errno_of_nl(r);
		goto fail;
	}
	u->group = (unsigned int)group;
	if (member >= 0 && take_member(u, member) == 0)
		member = -1;
	else
		r = join(u, group);
	if (r < 0)
		goto fail;
	u->ready = nl_socket_get_fd(u->events);
	*out = u;
fail:
	if (member >= 0)
		close(member);
	if (r < 0)
		upcall_close(u);
	return r < 0 ? r : 0;
}

int upcall_open_second(struct upcall **out, const struct upcall *first)
{
	struct upcall *u = calloc(1, sizeof(*u));
	int r;

	*out = NULL;
	if (!u)
		return -ENOMEM;
	u->ready = first->ready;
	u->family = first->family;
	r = open_socket(&u->commands);
	if (r < 0)
		upcall_close(u);
	else
		*out = u;
	return r;
}

void upcall_leave(struct upcall *u)
{
	nl_socket_free(u->events);
	u->events = NULL;
	u->ready = -1;
}

void upcall_close(struct upcall *u)
{
	if (!u)
		return;
	nl_socket_free(u->events);
	nl_socket_free(u->commands);
	free(u);
}

int upcall_fd(const struct upcall *u)
{
	return u->ready;
}

int upcall_ready(struct upcall *u)
{
	char bytes[READY_BATCH][READY_SIZE];
	struct mmsghdr message[READY_BATCH] = {0};
	struct iovec vec[READY_BATCH];
	int n, total = 0;

	for (int i = 0; i < READY_BATCH; i++) {
		vec[i] = (struct iovec){bytes[i], READY_SIZE};
		message[i].msg_hdr.msg_iov = &vec[i];
		message[i].msg_hdr.msg_iovlen = 1;
	}
	do {
		n = recvmmsg(upcall_fd(u), message, READY_BATCH, MSG_DONTWAIT, NULL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? total : -errno;
		total += n;
	} while (n == READY_BATCH);
	return total;
}

int upcall_others(const struct upcall *u, uint32_t *port)
{
	struct stat st;
	FILE *list;
	int n;

	if (!u->group || u->group > 32) /* the list shows so many */
		return -ERANGE;
	if (fstat(u->ready, &st) < 0)
		return -errno;
	list = fopen("/proc/net/netlink", "re");
	if (!list)
		return -errno;
	n = upcall_others_in(list, u->group, st.st_ino, port);
	fclose(list);
	return n;
}

/*
 * Sends @msg and waits for its answer, which the kernel has queued before the send returns.
 * *@reply is to be freed by the caller.
 */
static int transact(struct upcall *u, struct nl_msg *msg, unsigned char **reply,
		    struct nlmsghdr **answer)
{
	uint32_t seq;
	int r;

	*reply = NULL;
	nl_complete_msg(u->commands, msg);
	seq = nlmsg_hdr(msg)->nlmsg_seq;
	r = nl_send(u->commands, msg);
	if (r < 0)
		return errno_of_nl(r);

	for (;;) {
		struct sockaddr_nl from;
		int len = nl_recv(u->commands, &from, reply, NULL);

		if (len <= 0)
			return len == -NLE_AGAIN || !len ? -EIO : errno_of_nl(len);
		*answer = (struct nlmsghdr *)*reply;
		if (from.nl_pid == 0 && nlmsg_ok(*answer, len) && (*answer)->nlmsg_seq == seq)
			break;
		free(*reply); /* a late answer to something we gave up on */
		*reply = NULL;
	}
	if ((*answer)->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *err = nlmsg_data(*answer);

		if (nlmsg_datalen(*answer) < (int)sizeof(*err))
			return -EIO;
		return err->error > 0 ? -EIO : err->error;
	}
	return (*answer)->nlmsg_type == u->family ? 1 : -EIO;
}

static struct nl_msg *new_message(struct upcall *u, uint8_t command, int flags)
{
	struct nl_msg *msg = nlmsg_alloc();

	if (msg && !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, u->family, 0, NLM_F_REQUEST | flags,
				command, HANDSHAKE_FAMILY_VERSION)) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return msg;
}

int upcall_accept(struct upcall *u, struct upcall_request *req, const char **why)
{
	struct nl_msg *msg = new_message(u, HANDSHAKE_CMD_ACCEPT, 0);
	unsigned char *reply = NULL;
	struct nlmsghdr *answer;
	int r = -ENOMEM;

	if (msg && !nla_put_u32(msg, HANDSHAKE_ACCEPT_HANDLER_CLASS, HANDSHAKE_CLASS_TLSHD))
		r = transact(u, msg, &reply, &answer);
	if (r > 0)
		r = upcall_decode(answer, req, why);
	else if (r == 0)
		r = -EIO; /* an acknowledgement, and no request */
	free(reply);
	nlmsg_free(msg);
	return r;
}

int upcall_done(struct upcall *u, int sockfd, int status, int32_t remote)
{
	struct nl_msg *msg = new_message(u, HANDSHAKE_CMD_DONE, NLM_F_ACK);
	unsigned char *reply = NULL;
	struct nlmsghdr *answer;
	int r = -ENOMEM;

	if (msg && !nla_put_u32(msg, HANDSHAKE_DONE_STATUS, (uint32_t)status) &&
	    !nla_put_s32(msg, HANDSHAKE_DONE_SOCKFD, sockfd) &&
	    (!remote || !nla_put_u32(msg, HANDSHAKE_DONE_REMOTE_AUTH, (uint32_t)remote)))
		r = transact(u, msg, &reply, &answer);
	free(reply);
	nlmsg_free(msg);
	return r > 0 ? -EIO : r;
}
