// SPDX-License-Identifier: GPL-2.0-or-later
/* A signer as the broker sees it: its birth, what it says of the credentials, its desks and grants. */
#include "tlshd/broker/signing.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/log.h"
#include "tlshd/broker/reap.h"

/* A token may have to be asked over a network. */
#define BIRTH_USEC (20 * G_USEC_PER_SEC)
/* A worker waits this long for a signature; more, and all of its handshakes would stand still. */
#define SIGNATURE_SECONDS 2
/* Lines that it may log before it is taken for mad; it has next to nothing to say. */
#define LINES_MAX 10000

struct signing {
	struct signing_params params;
	pid_t pid; /* 0 as long as systemd's has not said BORN */
	int pidfd; /* -1 likewise */
	int sock; /* -1 once it is gone */
	sd_event_source *io;
	sd_event_source *timer; /* until it is born */
	bool born;
	unsigned int lines;
};

/* ---- the end ---- */

static void close_socket(struct signing *s)
{
	s->io = sd_event_source_disable_unref(s->io);
	s->timer = sd_event_source_disable_unref(s->timer);
	if (s->sock >= 0)
		close(s->sock);
	s->sock = -1;
}

static void kill_process(struct signing *s)
{
	if (s->pidfd >= 0)
		reap_killed(s->params.event, s->pidfd);
	s->pidfd = -1;
}

/* The last that is done with @s: who is told may free it. */
static void lose(struct signing *s, const char *why)
{
	if (s->sock < 0)
		return;
	close_socket(s);
	kill_process(s);
	s->params.gone(s->params.ctx, why);
}

void signing_leave(struct signing *s)
{
	if (!s)
		return;
	close_socket(s);
	if (s->pidfd >= 0)
		close(s->pidfd);
	g_free(s);
}

void signing_free(struct signing *s)
{
	if (s)
		kill_process(s);
	signing_leave(s);
}

/* ---- messages ---- */

static void is_born(struct signing *s, struct ipc_sender *sender, const char *build)
{
	if (strcmp(build, version_of_build()) != 0) {
		g_autofree char *escaped = log_escape(build, strlen(build));

		s->params.upgraded(s->params.ctx, escaped);
		lose(s, "it is of another build");
		return;
	}
	ipc_want_sender(s->sock, false);
	if (!s->pid) {
		s->pid = sender->pid;
		s->pidfd = sender->pidfd;
		sender->pidfd = -1;
		if (sender->uid == 0) {
			lose(s, "it runs as root");
			return;
		}
	}
	s->timer = sd_event_source_disable_unref(s->timer);
	s->born = true;
	log_debug(1, "signer %d started", (int)s->pid);
	s->params.born(s->params.ctx);
}

static void take_line(struct signing *s, const struct ipc_log *m)
{
	g_autofree char *line = log_escape_line(m->line);

	log_line((int)m->priority, "signer: %s", line);
	if (++s->lines > LINES_MAX)
		lose(s, "it floods the log");
}

static void take_message(struct signing *s, const union ipc_message *m, int *fd,
			 struct ipc_sender *sender)
{
	switch (m->header.type) {
	case IPC_LOG:
		take_line(s, &m->log);
		break;
	case IPC_LOADED:
		if (s->born) {
			lose(s, "it spoke out of turn");
			break;
		}
		s->params.loaded(s->params.ctx, &m->loaded, *fd);
		*fd = -1;
		break;
	case IPC_REFUSED:
		s->params.refused(s->params.ctx, m->refused.worker);
		break;
	case IPC_BORN:
		if (s->born)
			lose(s, "it spoke out of turn");
		else
			is_born(s, sender, m->born.version);
		break;
	}
}

static int on_signer(sd_event_source *source, int sock, uint32_t events, void *userdata)
{
	struct signing *s = userdata;
	struct ipc_sender sender = {.pidfd = -1};
	union ipc_message m;
	const char *why = "";
	int fd = -1, r;

	if (s->pid)
		r = ipc_receive(sock, IPC_BROKER_OF_SIGNER, &m, &fd, &why);
	else
		r = ipc_receive_from(sock, IPC_BROKER_OF_SIGNER, &m, &fd, &sender, &why);
	if (r == 0) {
		take_message(s, &m, &fd, &sender);
	} else if (r == -EBADMSG) {
		g_autofree char *text = g_strdup_printf("it sent %s", why);

		lose(s, text);
	} else if (r != -EAGAIN) {
		lose(s, s->pid ? "it died"
			       : "systemd could not start it; see journalctl -u 'tlshd-signer@*'");
	}
	if (fd >= 0)
		close(fd);
	if (sender.pidfd >= 0)
		close(sender.pidfd);
	return 0;
}

static int on_late(sd_event_source *source, uint64_t usec, void *userdata)
{
	lose(userdata, "it was asked for, and has not come in time");
	return 0;
}

/* ---- birth ---- */

static int watch(struct signing *s)
{
	int r = sd_event_add_io(s->params.event, &s->io, s->sock, EPOLLIN, on_signer, s);

	if (r >= 0)
		r = sd_event_add_time_relative(s->params.event, &s->timer, CLOCK_MONOTONIC,
					       BIRTH_USEC, 0, on_late, s);
	if (r < 0)
		log_error("a signer cannot be watched: %s", g_strerror(-r));
	return r;
}

int signing_new(struct signing **out, const struct signing_params *params)
{
	struct signing *s = g_new0(struct signing, 1);
	struct ipc_birth first = {
		.header = {IPC_BIRTH, 0},
		.role = IPC_ROLE_SIGNER,
		.loglevel = (uint32_t)params->loglevel,
		.tls_debug = (uint32_t)params->tls_debug,
		.stay = params->stay,
	};
	struct birth birth;
	int r;

	s->params = *params;
	s->sock = s->pidfd = -1;
	g_strlcpy(first.version, version_of_build(), sizeof(first.version));
	r = birth_begin(&params->plan, &first, params->credentials, params->n, &birth);
	if (r == 0) {
		s->sock = birth.sock;
		s->pid = birth.pid;
		s->pidfd = birth.pidfd;
		r = watch(s);
	}
	if (r < 0) {
		signing_free(s);
		return r;
	}
	*out = s;
	return 0;
}

/* ---- desks and grants ---- */

int signing_desk(struct signing *s, uint32_t worker)
{
	const struct timeval patience = {.tv_sec = SIGNATURE_SECONDS};
	union ipc_message m = {.desk = {.header = {IPC_DESK, 0}, .worker = worker}};
	int ours, theirs;
	int r = s->sock < 0 ? -EPIPE : ipc_pair(&ours, &theirs);

	if (r < 0)
		return r;
	if (setsockopt(theirs, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		r = -errno;
	else
		r = ipc_send(s->sock, &m, ours, false);
	close(ours);
	if (r == 0)
		return theirs;
	close(theirs);
	return r;
}

int signing_grant(struct signing *s, uint32_t worker, uint32_t job, enum handshake_side side,
		  uint64_t deadline_usec, int key)
{
	union ipc_message m = {.grant = {{IPC_GRANT, job}, worker, (uint32_t)side, deadline_usec}};

	return s->sock < 0 ? -EPIPE : ipc_send(s->sock, &m, key, false);
}
