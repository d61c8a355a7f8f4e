// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * netlink/upcall.h with a test in the kernel's place, so that the real broker runs for an ordinary
 * user on any machine. The test (kernel.py) has the other ends of three sockets; see kernel.h.
 */
#include "netlink/upcall.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <keyutils.h>

#include "kernel.h"

struct upcall {
	int ready; /* -1 after upcall_leave() */
	int commands;
	bool first;
};

static int descriptor(const char *name)
{
	const char *value = getenv(name);

	return value ? atoi(value) : -1;
}

static int new_upcall(struct upcall **out, const char *commands, bool first)
{
	struct upcall *u = calloc(1, sizeof(*u));

	*out = u;
	if (!u)
		return -ENOMEM;
	u->ready = descriptor("FAKE_READY");
	u->commands = descriptor(commands);
	u->first = first;
	return u->ready < 0 || u->commands < 0 ? -EPROTONOSUPPORT : 0;
}

int upcall_open(struct upcall **out, int member)
{
	return new_upcall(out, "FAKE_COMMANDS", true);
}

int upcall_open_second(struct upcall **out, const struct upcall *first)
{
	return new_upcall(out, "FAKE_COMMANDS_2", false);
}

void upcall_leave(struct upcall *u)
{
	close(u->ready);
	u->ready = -1;
}

void upcall_close(struct upcall *u)
{
	if (!u)
		return;
	if (u->first && u->ready >= 0)
		close(u->ready);
	close(u->commands);
	free(u);
}

int upcall_fd(const struct upcall *u)
{
	return u->ready;
}

int upcall_ready(struct upcall *u)
{
	char byte;
	int n = 0;

	ssize_t got;

	while ((got = recv(u->ready, &byte, sizeof(byte), MSG_DONTWAIT)) > 0)
		n++;
	if (got == 0) /* the test has ended, and without a kernel there is nothing to do */
		_exit(EXIT_FAILURE);
	return n;
}

/* Sends @command, with @fd where that is not -1, and waits for the answer. Return: 0 or -EIO. */
static int transact(struct upcall *u, const struct fake_command *command, int fd,
		    struct fake_answer *answer, int *fd_out)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec vec = {(void *)(uintptr_t)command, sizeof(*command)};
	struct msghdr msg = {.msg_iov = &vec, .msg_iovlen = 1};
	struct cmsghdr *c;

	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	if (sendmsg(u->commands, &msg, MSG_NOSIGNAL) < 0)
		return -EIO;

	vec = (struct iovec){answer, sizeof(*answer)};
	msg = (struct msghdr){.msg_iov = &vec,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control)};
	if (recvmsg(u->commands, &msg, MSG_CMSG_CLOEXEC) != sizeof(*answer))
		return -EIO;
	*fd_out = -1;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd_out, CMSG_DATA(c), sizeof(*fd_out));
	return 0;
}

int upcall_accept(struct upcall *u, struct upcall_request *req, const char **why)
{
	static const struct fake_command accept = {.type = FAKE_ACCEPT};
	struct fake_answer a;
	int fd;
	int r = transact(u, &accept, -1, &a, &fd);

	memset(req, 0, sizeof(*req));
	if (r == 0)
		r = a.error;
	if (r < 0)
		return r;
	req->sockfd = fd;
	req->side = a.side;
	req->auth = a.auth;
	req->timeout_ms = a.timeout_ms;
	req->n_peers = a.peer ? 1 : 0;
	req->peers[0] = a.peer;
	req->unknown = a.unknown;
	req->certificate = a.certificate;
	req->private_key = a.private_key;
	memcpy(req->peername, a.peername, sizeof(req->peername));
	if (a.keyring_named)
		req->keyring = a.keyring;
	else if (a.keyring) /* which the kernel does for whoever sends ACCEPT */
		keyctl_link(a.keyring, KEY_SPEC_PROCESS_KEYRING);
	if (req->side != HANDSHAKE_CLIENT && req->side != HANDSHAKE_SERVER) {
		*why = "the message type is neither client hello nor server hello";
		return -EBADMSG;
	}
	return 0;
}

int upcall_done(struct upcall *u, int sockfd, int status, int32_t remote)
{
	const struct fake_command done = {.type = FAKE_DONE, .status = status, .remote = remote};
	struct fake_answer a;
	int fd;
	int r = transact(u, &done, sockfd, &a, &fd);

	return r < 0 ? r : a.error;
}

int upcall_others(const struct upcall *u, uint32_t *port)
{
	const char *other = getenv("FAKE_OTHER");

	if (!other)
		return 0;
	*port = (uint32_t)strtoul(other, NULL, 10);
	return 1;
}
