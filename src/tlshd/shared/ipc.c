// SPDX-License-Identifier: GPL-2.0-or-later
/* What the broker and a worker say to each other: one message, one packet. */
#include "tlshd/shared/ipc.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "netlink/upcall.h"

/* Room for the replies to a full house of sessions. */
#define BUFFER_SIZE (4 * 1024 * 1024)

int ipc_pair(int *broker, int *worker)
{
	int fd[2], size = BUFFER_SIZE;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0)
		return -errno;
	for (int i = 0; i < 2; i++)
		if (setsockopt(fd[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
			setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	*broker = fd[0];
	*worker = fd[1];
	return 0;
}

int ipc_ring(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, r;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

/* Length and reader of each type. */
static const struct {
	size_t len;
	enum ipc_end reader;
} types[] = {
	[IPC_JOB] = {sizeof(struct ipc_job), IPC_WORKER},
	[IPC_KEY] = {sizeof(struct ipc_key), IPC_WORKER},
	[IPC_RAN] = {sizeof(struct ipc_ran), IPC_BROKER},
	[IPC_LOOKUP] = {sizeof(struct ipc_lookup), IPC_BROKER},
	[IPC_DONE] = {sizeof(struct ipc_done), IPC_BROKER},
	[IPC_LOG] = {sizeof(struct ipc_log), IPC_BROKER},
	[IPC_SETTINGS] = {sizeof(struct ipc_settings), IPC_WORKER},
	[IPC_BORN] = {sizeof(struct ipc_born), IPC_BROKER},
};

static size_t length_of(uint32_t type)
{
	return type < sizeof(types) / sizeof(types[0]) ? types[type].len : 0;
}

static bool is_string(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static bool is_number_of_tickets(int32_t n)
{
	return n >= -1 && n <= OUTCOME_TICKETS_MAX;
}

static const char *check_fields(const union ipc_message *m)
{
	switch (m->header.type) {
	case IPC_JOB:
		if (m->job.side != HANDSHAKE_CLIENT && m->job.side != HANDSHAKE_SERVER)
			return "a job of neither side";
		if (m->job.psk.len > SECRET_MAX)
			return "a key longer than its field";
		if (!is_string(m->job.identity, sizeof(m->job.identity)))
			return "an identity without end";
		return is_number_of_tickets(m->job.tickets) ? NULL : "an odd number of tickets";
	case IPC_KEY:
		if (m->key.psk.len > SECRET_MAX)
			return "a key longer than its field";
		return m->key.error > 4095 ? "an error that is no errno" : NULL;
	case IPC_LOOKUP:
		return is_string(m->lookup.identity, sizeof(m->lookup.identity))
			       ? NULL
			       : "an identity without end";
	case IPC_DONE:
		if (!cause_is_of_worker(m->done.cause))
			return "a cause that is not a worker's";
		if (m->done.alert_sent < -1 || m->done.alert_sent > 255)
			return "an alert that does not exist";
		if (!is_number_of_tickets(m->done.tickets))
			return "an odd number of tickets";
		return is_string(m->done.detail, sizeof(m->done.detail)) ? NULL
									 : "a detail without end";
	case IPC_LOG:
		/* What is above an error goes to every terminal of the machine. */
		if (m->log.priority < LOG_ERR || m->log.priority > LOG_DEBUG)
			return "a line of a priority that is not a worker's";
		return is_string(m->log.line, sizeof(m->log.line)) ? NULL : "a line without end";
	case IPC_SETTINGS:
		return m->settings.loglevel > 9 || m->settings.tls_debug > 9 ||
				       m->settings.nl_debug > 9 || m->settings.sha384_compat > 1
			       ? "a setting that does not exist"
			       : NULL;
	default:
		return NULL;
	}
}

const char *ipc_check(enum ipc_end reader, const union ipc_message *m, size_t len)
{
	if (len < sizeof(m->header))
		return "a message cut short";
	if (!length_of(m->header.type))
		return "a message of unknown type";
	if (types[m->header.type].reader != reader)
		return "a message in the wrong direction";
	if (len != length_of(m->header.type))
		return "a message of the wrong length";
	return check_fields(m);
}

int ipc_send(int sock, const union ipc_message *m, int fd, bool wait)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec vec = {(void *)m, length_of(m->header.type)};
	struct msghdr msg = {.msg_iov = &vec, .msg_iovlen = 1};
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* The one descriptor of @msg; the padding has room for a second one, which nobody may send. */
static int take_descriptor(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int got = -1;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return -1;
	for (size_t at = CMSG_LEN(0); at + sizeof(got) <= c->cmsg_len; at += sizeof(got)) {
		if (got >= 0)
			close(got);
		memcpy(&got, (char *)c + at, sizeof(got));
	}
	return got;
}

int ipc_receive(int sock, enum ipc_end reader, union ipc_message *m, int *fd, const char **why)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec vec = {m, sizeof(*m)};
	struct msghdr msg = {.msg_iov = &vec,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	int got;
	ssize_t n;

	if (fd)
		*fd = -1;
	do
		n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	got = take_descriptor(&msg);
	if (n == 0 && got < 0)
		return -EPIPE;

	*why = msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? "a message too long"
							: ipc_check(reader, m, (size_t)n);
	if (!*why && fd) {
		*fd = got;
		return 0;
	}
	if (got >= 0)
		close(got);
	return *why ? -EBADMSG : 0;
}

void ipc_want_sender(int sock, bool want)
{
	int value = want;

	setsockopt(sock, SOL_SOCKET, SO_PASSCRED, &value, sizeof(value));
}

int ipc_receive_born(int sock, pid_t *pid)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	union ipc_message m;
	struct iovec vec = {&m, sizeof(m)};
	struct msghdr msg = {.msg_iov = &vec,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *c;
	struct ucred sender;
	ssize_t n;

	do
		n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	if (n == 0)
		return -EPIPE;
	c = CMSG_FIRSTHDR(&msg);
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || ipc_check(IPC_BROKER, &m, (size_t)n) ||
	    m.header.type != IPC_BORN || !c || c->cmsg_level != SOL_SOCKET ||
	    c->cmsg_type != SCM_CREDENTIALS)
		return -EBADMSG;
	memcpy(&sender, CMSG_DATA(c), sizeof(sender));
	if (sender.uid == 0)
		return -EBADMSG;
	*pid = sender.pid;
	return 0;
}
