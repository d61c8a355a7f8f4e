// SPDX-License-Identifier: GPL-2.0-or-later
/* What the broker, its workers and its signer say to each other: one message, one packet. */
#include "tlshd/shared/ipc.h"

#include <errno.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "netlink/upcall.h"

G_STATIC_ASSERT(CAUSE_N == IPC_CAUSES); /* if not, IPC_VERSION has to change too */

/* Linux 6.5; not in the headers of every system that we are built on. */
#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif
#ifndef SCM_PIDFD
#define SCM_PIDFD 0x04
#endif

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

#define READ_BY(end) (1u << (end))
#define BROKERS (READ_BY(IPC_BROKER) | READ_BY(IPC_BROKER_OF_SIGNER))
#define BORN_ONES (READ_BY(IPC_WORKER) | READ_BY(IPC_SIGNER))

/* Length and readers of each type, and whether a descriptor may come with it. */
static const struct {
	size_t len;
	unsigned int readers;
	bool fd;
} types[] = {
	[IPC_JOB] = {sizeof(struct ipc_job), READ_BY(IPC_WORKER), true},
	[IPC_KEY] = {sizeof(struct ipc_key), READ_BY(IPC_WORKER)},
	[IPC_RAN] = {sizeof(struct ipc_ran), READ_BY(IPC_BROKER)},
	[IPC_LOOKUP] = {sizeof(struct ipc_lookup), READ_BY(IPC_BROKER)},
	[IPC_DONE] = {sizeof(struct ipc_done), READ_BY(IPC_BROKER), true},
	[IPC_LOG] = {sizeof(struct ipc_log), BROKERS},
	[IPC_BIRTH] = {sizeof(struct ipc_birth), BORN_ONES},
	[IPC_BORN] = {sizeof(struct ipc_born), BROKERS},
	[IPC_DROP] = {sizeof(struct ipc_drop), READ_BY(IPC_WORKER)},
	[IPC_RING] = {sizeof(struct ipc_ring), BORN_ONES, true},
	[IPC_CREDENTIAL] = {sizeof(struct ipc_credential), BORN_ONES, true},
	[IPC_LOADED] = {sizeof(struct ipc_loaded), READ_BY(IPC_BROKER_OF_SIGNER), true},
	[IPC_DESK] = {sizeof(struct ipc_desk), READ_BY(IPC_SIGNER), true},
	[IPC_GRANT] = {sizeof(struct ipc_grant), READ_BY(IPC_SIGNER), true},
	[IPC_SIGN] = {sizeof(struct ipc_sign), READ_BY(IPC_DESK_OF_SIGNER)},
	[IPC_SIGNED] = {sizeof(struct ipc_signed), READ_BY(IPC_CUSTOMER)},
	[IPC_REFUSED] = {sizeof(struct ipc_refused), READ_BY(IPC_BROKER_OF_SIGNER)},
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

static bool is_side(uint32_t side)
{
	return side == HANDSHAKE_CLIENT || side == HANDSHAKE_SERVER;
}

/* Of CREDENTIAL and LOADED, which are alike. */
static const char *check_credential(const struct ipc_credential *c)
{
	if (!is_side(c->side))
		return "a credential of neither side";
	if (c->kind > IPC_KIND_DESK)
		return "a credential of unknown kind";
	if (c->cause >= CAUSE_N)
		return "a credential with a cause that does not exist";
	return is_string(c->text, sizeof(c->text)) ? NULL : "a text without end";
}

_Static_assert(sizeof(struct ipc_loaded) == sizeof(struct ipc_credential), "one check for both");

static const char *check_fields(const union ipc_message *m)
{
	switch (m->header.type) {
	case IPC_JOB:
		if (!is_side(m->job.side))
			return "a job of neither side";
		if (m->job.auth < HANDSHAKE_UNAUTH || m->job.auth > HANDSHAKE_X509)
			return "a job of unknown authentication";
		if (!is_string(m->job.peername, sizeof(m->job.peername)))
			return "a peer name without end";
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
		if (m->done.certified > 1)
			return "a certificate that is neither verified nor not";
		return is_string(m->done.detail, sizeof(m->done.detail)) ? NULL
									 : "a detail without end";
	case IPC_LOG:
		/* What is above an error goes to every terminal of the machine. */
		if (m->log.priority < LOG_ERR || m->log.priority > LOG_DEBUG)
			return "a line of a priority that is not a worker's";
		return is_string(m->log.line, sizeof(m->log.line)) ? NULL : "a line without end";
	case IPC_BIRTH:
		if (!is_string(m->birth.version, sizeof(m->birth.version)))
			return "a version without end";
		if (m->birth.role != IPC_ROLE_WORKER && m->birth.role != IPC_ROLE_SIGNER)
			return "a role that does not exist";
		return m->birth.loglevel > 9 || m->birth.tls_debug > 9 ||
				       m->birth.sha384_compat > 1 || m->birth.stay > 1 ||
				       m->birth.lock_memory > 1
			       ? "a setting that does not exist"
			       : NULL;
	case IPC_BORN:
		return is_string(m->born.version, sizeof(m->born.version))
			       ? NULL
			       : "a version without end";
	case IPC_CREDENTIAL:
	case IPC_LOADED:
		return check_credential(&m->credential);
	case IPC_GRANT:
		return is_side(m->grant.side) ? NULL : "a grant of neither side";
	case IPC_SIGN:
		return m->sign.len > IPC_HASH_MAX || m->sign.pq > 1 ? "a hash that does not exist"
								    : NULL;
	case IPC_SIGNED:
		return m->signature.len > IPC_SIGNATURE_MAX || m->signature.error > 4095
			       ? "a signature that does not exist"
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
	if (!(types[m->header.type].readers & READ_BY(reader)))
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

/* What the kernel may put beside a message: a descriptor, and who the sender is. */
union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred)) +
		   CMSG_SPACE(sizeof(int))];
};

/* What came beside a message. */
struct beside {
	int fd;
	int pidfd;
	struct ucred ucred;
	bool cut; /* there was no room for all of it */
};

/* Keeps the first of several descriptors; there is room for more, which nobody may send. */
static void keep(int *fd, const struct cmsghdr *c)
{
	for (size_t at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len; at += sizeof(int)) {
		int got;

		memcpy(&got, (const char *)c + at, sizeof(got));
		if (*fd >= 0)
			close(got);
		else
			*fd = got;
	}
}

static void take_beside(struct msghdr *msg, struct beside *b)
{
	*b = (struct beside){.fd = -1, .pidfd = -1, .cut = msg->msg_flags & MSG_CTRUNC};
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_RIGHTS)
			keep(&b->fd, c);
		else if (c->cmsg_type == SCM_PIDFD)
			keep(&b->pidfd, c);
		else if (c->cmsg_type == SCM_CREDENTIALS &&
			 c->cmsg_len == CMSG_LEN(sizeof(b->ucred)))
			memcpy(&b->ucred, CMSG_DATA(c), sizeof(b->ucred));
	}
}

static void close_beside(struct beside *b)
{
	if (b->fd >= 0)
		close(b->fd);
	if (b->pidfd >= 0)
		close(b->pidfd);
	b->fd = b->pidfd = -1;
}

/* Return: the message's length; -EMSGSIZE when it is longer than any; another negative errno. */
static ssize_t receive(int sock, union ipc_message *m, struct beside *b, bool wait)
{
	union control control;
	struct iovec vec = {m, sizeof(*m)};
	struct msghdr msg = {.msg_iov = &vec,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	ssize_t n;

	do
		n = recvmsg(sock, &msg, (wait ? 0 : MSG_DONTWAIT) | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	take_beside(&msg, b);
	if (n == 0 && b->fd < 0) {
		close_beside(b);
		return -EPIPE;
	}
	if (msg.msg_flags & MSG_TRUNC) {
		close_beside(b);
		return -EMSGSIZE;
	}
	return n;
}

static int receive_checked(int sock, enum ipc_end reader, union ipc_message *m, int *fd, bool wait,
			   const char **why)
{
	struct beside b;
	ssize_t n = receive(sock, m, &b, wait);

	if (fd)
		*fd = -1;
	if (n < 0 && n != -EMSGSIZE)
		return (int)n;
	*why = n < 0 ? "a message too long" : ipc_check(reader, m, (size_t)n);
	if (!*why && (!fd || !types[m->header.type].fd) && (b.fd >= 0 || b.cut))
		*why = "a descriptor that nobody asked for";
	if (!*why && fd) {
		*fd = b.fd;
		b.fd = -1;
	}
	if (n >= 0)
		close_beside(&b);
	return *why ? -EBADMSG : 0;
}

int ipc_receive(int sock, enum ipc_end reader, union ipc_message *m, int *fd, const char **why)
{
	return receive_checked(sock, reader, m, fd, false, why);
}

int ipc_await(int sock, enum ipc_end reader, union ipc_message *m, int *fd, const char **why)
{
	return receive_checked(sock, reader, m, fd, true, why);
}

int ipc_receive_birth(int sock, union ipc_message *m, const char **why)
{
	struct beside b;
	ssize_t n = receive(sock, m, &b, false);

	if (n < 0 && n != -EMSGSIZE)
		return (int)n;
	if (n >= 0)
		close_beside(&b);
	/* Of a message of another build, the version is all that can be understood. */
	if ((n < 0 || (size_t)n >= offsetof(struct ipc_birth, role)) &&
	    m->header.type == IPC_BIRTH && is_string(m->birth.version, sizeof(m->birth.version)) &&
	    strcmp(m->birth.version, version_of_build()) != 0)
		return -ESTALE;
	*why = n < 0 ? "a message too long" : ipc_check(IPC_WORKER, m, (size_t)n);
	if (!*why && m->header.type != IPC_BIRTH)
		*why = "another first message than a broker's";
	return *why ? -EBADMSG : 0;
}

void ipc_want_sender(int sock, bool want)
{
	int value = want;

	setsockopt(sock, SOL_SOCKET, SO_PASSCRED, &value, sizeof(value));
	setsockopt(sock, SOL_SOCKET, SO_PASSPIDFD, &value, sizeof(value));
}

int ipc_receive_from(int sock, enum ipc_end reader, union ipc_message *m, int *fd,
		     struct ipc_sender *sender, const char **why)
{
	int passes = 0;
	socklen_t len = sizeof(passes);
	struct beside b;
	ssize_t n = receive(sock, m, &b, false);

	if (fd)
		*fd = -1;
	if (n < 0 && n != -EMSGSIZE)
		return (int)n;
	*why = n < 0 ? "a message too long" : ipc_check(reader, m, (size_t)n);
	if (n < 0)
		return -EBADMSG;
	if (!*why && !fd && b.fd >= 0)
		*why = "a descriptor that nobody asked for";
	if (!*why && b.pidfd < 0 && b.ucred.pid > 0 &&
	    (getsockopt(sock, SOL_SOCKET, SO_PASSPIDFD, &passes, &len) < 0 || !passes))
		b.pidfd = pidfd_open(b.ucred.pid, 0);
	*sender = (struct ipc_sender){b.ucred.pid, b.ucred.uid, -1};
	if (!*why) {
		sender->pidfd = b.pidfd;
		b.pidfd = -1;
		if (fd) {
			*fd = b.fd;
			b.fd = -1;
		}
	}
	close_beside(&b);
	if (*why)
		return -EBADMSG;
	return sender->pidfd < 0 ? -EMFILE : 0;
}
