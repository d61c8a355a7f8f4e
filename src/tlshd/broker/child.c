// SPDX-License-Identifier: GPL-2.0-or-later
/* A process for what may wait for a disk, which can be the one that waits for us: it works once and ends. */
#include "tlshd/broker/child.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "tlshd/broker/reap.h"
#include "tlshd/shared/ipc.h"
#include "tlshd/shared/sandbox.h"

struct child {
	struct child_params params;
	int sock;
	int pidfd;
	sd_event_source *io;
};

/* What comes before a line of the log, and before the result. Both are of one build, for it is a fork. */
struct heading {
	bool is_line;
	int priority;
};

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * CHILD_DESCRIPTORS_MAX)];
};

/* ---- the process ---- */

static int broker = -1;

/* If there is no broker any more, nobody needs us. */
static void send_message(struct heading heading, const void *body, size_t len, int *const *all,
			 size_t n)
{
	struct iovec parts[] = {{&heading, sizeof(heading)}, {(void *)(uintptr_t)body, len}};
	struct msghdr msg = {.msg_iov = parts, .msg_iovlen = G_N_ELEMENTS(parts)};
	union control control = {0};

	if (n) {
		struct cmsghdr *c = &control.align;

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n);
		for (size_t i = 0; i < n; i++)
			memcpy(CMSG_DATA(c) + sizeof(int) * i, all[i], sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n);
	}
	if (sendmsg(broker, &msg, MSG_NOSIGNAL) < 0)
		_exit(EXIT_FAILURE);
}

static void send_line(int priority, const char *line)
{
	send_message((struct heading){true, priority}, line,
		     MIN(strlen(line), (size_t)LOG_LINE_MAX - 1), NULL, 0);
}

static noreturn void run(const struct child_params *params, int sock)
{
	void *result = g_malloc0(params->size);
	int *all[CHILD_DESCRIPTORS_MAX];

	broker = sock;
	log_set_sink(send_line);
	if (sandbox_leave_broker(params->name, sock) < 0)
		_exit(EXIT_FAILURE);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	params->work(params->job, result);
	send_message((struct heading){0}, result, params->size, all,
		     params->descriptors(result, all));
	_exit(EXIT_SUCCESS);
}

/* ---- the broker ---- */

static void close_all(const struct cmsghdr *c)
{
	int fd;

	for (size_t at = 0; c && at + CMSG_LEN(sizeof(fd)) <= c->cmsg_len; at += sizeof(fd)) {
		memcpy(&fd, CMSG_DATA(c) + at, sizeof(fd));
		close(fd);
	}
}

/* Puts the descriptors that came with @result where they belong. Return: have all come? */
static bool take_descriptors(const struct child *c, struct msghdr *msg, void *result)
{
	const struct cmsghdr *rights = CMSG_FIRSTHDR(msg);
	int *all[CHILD_DESCRIPTORS_MAX];
	size_t n = c->params.descriptors(result, all);

	if ((rights ? rights->cmsg_len : CMSG_LEN(0)) != CMSG_LEN(sizeof(int) * n)) {
		close_all(rights);
		return false;
	}
	for (size_t i = 0; i < n; i++)
		memcpy(all[i], CMSG_DATA(rights) + sizeof(int) * i, sizeof(int));
	return true;
}

/* The last that is done with @c: who is told frees it. */
static int on_message(sd_event_source *source, int sock, uint32_t events, void *userdata)
{
	struct child *c = userdata;
	size_t size = MAX(c->params.size, (size_t)LOG_LINE_MAX);
	g_autofree char *body = g_malloc0(size);
	struct heading heading;
	struct iovec parts[] = {{&heading, sizeof(heading)}, {body, size}};
	union control control;
	struct msghdr msg = {.msg_iov = parts,
			     .msg_iovlen = G_N_ELEMENTS(parts),
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		c->params.gone(c->params.ctx, -ECHILD);
	else if (heading.is_line)
		log_line(heading.priority, "%s", body);
	else if (take_descriptors(c, &msg, body))
		c->params.done(c->params.ctx, body);
	else
		c->params.gone(c->params.ctx, -EMFILE);
	return 0;
}

void child_free(struct child *c)
{
	if (!c)
		return;
	sd_event_source_disable_unref(c->io);
	if (c->sock >= 0)
		close(c->sock);
	if (c->pidfd >= 0)
		reap_killed(c->params.event, c->pidfd);
	g_free(c);
}

/* A child that we have not waited for keeps its number, so this pidfd cannot be another's. */
static int fork_process(struct child *c, int theirs)
{
	pid_t pid = fork();
	int err;

	if (pid == 0)
		run(&c->params, theirs);
	if (pid < 0)
		return -errno;
	c->pidfd = pidfd_open(pid, 0);
	if (c->pidfd >= 0)
		return 0;
	err = errno;
	kill(pid, SIGKILL);
	return -err;
}

int child_new(struct child **out, const struct child_params *params)
{
	struct child *c = g_new0(struct child, 1);
	int theirs, r;

	c->params = *params;
	c->sock = c->pidfd = -1;
	r = ipc_pair(&c->sock, &theirs);
	if (r == 0) {
		r = fork_process(c, theirs);
		close(theirs);
	}
	if (r == 0)
		r = sd_event_add_io(params->event, &c->io, c->sock, EPOLLIN, on_message, c);
	if (r < 0) {
		child_free(c);
		return r;
	}
	*out = c;
	return 0;
}
