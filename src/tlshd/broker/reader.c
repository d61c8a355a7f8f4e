// SPDX-License-Identifier: GPL-2.0-or-later
/* Certificates, keys and lists are read by a process of its own: their disk may be the one that is gone. */
#include "tlshd/broker/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "tlshd/broker/reap.h"
#include "tlshd/shared/ipc.h"
#include "tlshd/shared/memfile.h"
#include "tlshd/shared/sandbox.h"

/* systemd does not warn of a process in parentheses that it finds beside the broker it starts. */
#define NAME "(tlshd-reader)"
/* A CRL with a million entries has some 40 MB. */
#define FILE_MAX ((size_t)64 * 1024 * 1024)
#define DESCRIPTORS_MAX (CREDENTIAL_OWNERS * CREDENTIAL_KINDS + STAMPS_HELD_MAX)

struct reader {
	struct reader_params params;
	int sock;
	int pidfd;
	sd_event_source *io;
};

/* What the process says: lines of the log, and then what it has read. Both are of one build, for it is a fork. */
struct message {
	bool is_line;
	int priority;
	union {
		char line[LOG_LINE_MAX];
		struct reading reading;
	};
};

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * DESCRIPTORS_MAX)];
};

/* Where in @what the descriptors are. Return: how many. */
static size_t descriptors_of(struct reading *what, int *all[DESCRIPTORS_MAX])
{
	size_t n = 0;

	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t kind = 0; kind < CREDENTIAL_KINDS; kind++)
			if (what->files[owner][kind].fd >= 0)
				all[n++] = &what->files[owner][kind].fd;
	for (size_t i = 0; i < what->hold.n; i++)
		all[n++] = &what->hold.fds[i];
	return n;
}

/* ---- the process: files ---- */

/* What others may read or change is the administrator's to know; ktls-utils takes it all the same. */
static void warn_of_mode(const char *path, bool is_key, const struct stat *st)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		log_warning("%s belongs to the user %u, who can replace it: chown root %s", path,
			    (unsigned int)st->st_uid, path);
	if (is_key && st->st_mode & (S_IRWXG | S_IRWXO))
		log_warning("%s is a private key that others than its owner may use: chmod 600 %s",
			    path, path);
	else if (st->st_mode & (S_IWGRP | S_IWOTH))
		log_warning("%s can be changed by others than its owner: chmod go-w %s", path,
			    path);
}

static int open_regular(const char *path, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (fstat(fd, st) == 0 && S_ISREG(st->st_mode))
		return fd;
	close(fd);
	return -EINVAL;
}

static int read_content(const char *path, bool is_key)
{
	struct stat st;
	int fd = open_regular(path, &st);
	int copy;

	if (fd < 0)
		return fd;
	warn_of_mode(path, is_key, &st);
	copy = memfile_of_file(fd, FILE_MAX);
	close(fd);
	return copy;
}

static void read_file(struct reader_file *file, const char *path, size_t kind)
{
	bool is_key = credential_is_key(kind);

	file->configured = true;
	if (is_key && !stamps_is_file(path))
		return;
	file->fd = read_content(path, is_key);
	if (file->fd >= 0)
		return;
	if (file->fd == -ENOENT && kind == CREDENTIAL_CRL) {
		/* As ktls-utils does, but not in silence. */
		log_warning("%s does not exist: certificates are not checked for revocation; remove x509.crl, or put a list there",
			    path);
		file->configured = false;
	} else if (file->fd == -ENOENT && credential_is_certificate(kind)) {
		log_warning("%s does not exist: there is no certificate until somebody puts one there",
			    path);
		file->configured = false;
	} else {
		outcome_set(&file->outcome, CAUSE_CREDENTIAL_UNREADABLE, "%s: %s", path,
			    file->fd == -EINVAL ? "it is no regular file" : g_strerror(-file->fd));
	}
	file->fd = -1;
}

static void read_files(struct reading *what, const config *settings)
{
	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t kind = 0; kind < CREDENTIAL_KINDS; kind++)
			if (settings->x509[owner][kind])
				read_file(&what->files[owner][kind], settings->x509[owner][kind],
					  kind);
			else /* the system's trust store, which the signer reads */
				what->files[owner][kind].configured = kind == CREDENTIAL_TRUST;
}

/* ---- the process: its end of the socket ---- */

static int broker = -1;

/* If there is no broker any more, nobody needs us. */
static void send_message(struct message *m, size_t len, int *const *all, size_t n)
{
	struct iovec vec = {m, len};
	struct msghdr msg = {.msg_iov = &vec, .msg_iovlen = 1};
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
	struct message m = {.is_line = true, .priority = priority};

	g_strlcpy(m.line, line, sizeof(m.line));
	send_message(&m, offsetof(struct message, line) + strlen(m.line) + 1, NULL, 0);
}

static noreturn void run(const struct reader_params *params, int sock)
{
	struct message m = {0};
	struct reading *what = &m.reading;
	int *all[DESCRIPTORS_MAX];

	broker = sock;
	log_set_sink(send_line);
	if (sandbox_leave_broker(NAME, sock) < 0)
		_exit(EXIT_FAILURE);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t kind = 0; kind < CREDENTIAL_KINDS; kind++)
			what->files[owner][kind] = (struct reader_file){false, -1, OUTCOME_INIT};
	stamps_hold(&what->hold, params->settings);
	/* Before they are read: what changes meanwhile is seen next time. */
	stamps_look(&what->stamps, params->settings, &what->hold);
	what->same = params->before && stamps_are_equal(&what->stamps, params->before);
	if (!what->same)
		read_files(what, params->settings);
	send_message(&m, sizeof(m), all, descriptors_of(what, all));
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

/* Puts the descriptors that came with it where they belong. Return: have all come? */
static bool take_descriptors(struct msghdr *msg, struct reading *what)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int *all[DESCRIPTORS_MAX];
	size_t n = descriptors_of(what, all);

	if ((c ? c->cmsg_len : CMSG_LEN(0)) != CMSG_LEN(sizeof(int) * n)) {
		close_all(c);
		return false;
	}
	for (size_t i = 0; i < n; i++)
		memcpy(all[i], CMSG_DATA(c) + sizeof(int) * i, sizeof(int));
	return true;
}

/* The last that is done with @r: who is told may free it. */
static void take_message(struct reader *r, struct message *m, struct msghdr *msg)
{
	if (m->is_line)
		log_line(m->priority, "%s", m->line);
	else if (take_descriptors(msg, &m->reading))
		r->params.done(r->params.ctx, &m->reading);
	else
		r->params.gone(r->params.ctx, "no descriptor is left for them; raise LimitNOFILE=");
}

static int on_message(sd_event_source *source, int sock, uint32_t events, void *userdata)
{
	struct reader *r = userdata;
	struct message m;
	struct iovec vec = {&m, sizeof(m)};
	union control control;
	struct msghdr msg = {.msg_iov = &vec,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n > 0)
		take_message(r, &m, &msg);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		r->params.gone(r->params.ctx, "the process that reads them has died");
	return 0;
}

void reader_free(struct reader *r)
{
	if (!r)
		return;
	sd_event_source_disable_unref(r->io);
	if (r->sock >= 0)
		close(r->sock);
	if (r->pidfd >= 0)
		reap_killed(r->params.event, r->pidfd);
	g_free(r);
}

/* A child that we have not waited for keeps its number, so this pidfd cannot be another's. */
static int fork_process(struct reader *r, int theirs)
{
	pid_t pid = fork();
	int err;

	if (pid == 0)
		run(&r->params, theirs);
	if (pid < 0)
		return -errno;
	r->pidfd = pidfd_open(pid, 0);
	if (r->pidfd >= 0)
		return 0;
	err = errno;
	kill(pid, SIGKILL);
	return -err;
}

int reader_new(struct reader **out, const struct reader_params *params)
{
	struct reader *r = g_new0(struct reader, 1);
	int theirs, e;

	r->params = *params;
	r->sock = r->pidfd = -1;
	e = ipc_pair(&r->sock, &theirs);
	if (e == 0) {
		e = fork_process(r, theirs);
		close(theirs);
	}
	if (e == 0)
		e = sd_event_add_io(params->event, &r->io, r->sock, EPOLLIN, on_message, r);
	if (e < 0) {
		reader_free(r);
		return e;
	}
	*out = r;
	return 0;
}
