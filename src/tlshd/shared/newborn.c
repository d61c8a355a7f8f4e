// SPDX-License-Identifier: GPL-2.0-or-later
/* What a process that the broker has started does first, whatever it is to be. */
#include "tlshd/shared/newborn.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <glib.h>
#include <gnutls/gnutls.h>

#include "common/log.h"
#include "tlshd/shared/memory.h"

/* GnuTLS prints keys from level 9 on. */
#define GNUTLS_LOG_MAX 8

/* For the sinks of our log and of GnuTLS's, which have no argument of their own. */
static int log_sock = -1;

/* The broker never keeps us waiting long; if it is gone, so are we. */
void newborn_tell(int sock, const union ipc_message *m)
{
	int r = ipc_send(sock, m, -1, true);

	if (r < 0)
		_exit(r == -EPIPE ? EXIT_SUCCESS : EXIT_FAILURE);
}

static void log_to_broker(int priority, const char *line)
{
	union ipc_message m;

	memset(&m.log, 0, sizeof(m.log));
	m.header.type = IPC_LOG;
	m.log.priority = (uint32_t)priority;
	g_strlcpy(m.log.line, line, sizeof(m.log.line));
	/* If the broker is gone, then so is the line: whoever listens to the broker hears of that. */
	ipc_send(log_sock, &m, -1, true);
}

static void log_of_gnutls(int level, const char *text)
{
	g_autofree char *line = g_strchomp(g_strdup(text));

	log_line(LOG_DEBUG, "gnutls %d: %s", level, line);
}

/* GnuTLS's remarks on a peer, which it makes at any level; the handshake's own line has the cause. */
static void audit_of_gnutls(gnutls_session_t tls, const char *text)
{
	g_autofree char *line = g_strchomp(g_strdup(text));

	log_debug(1, "gnutls: %s", line);
}

static void set_log_levels(const struct ipc_birth *birth)
{
	uint32_t tls_level = birth->tls_debug;

	log_set_level((int)birth->loglevel);
	if (birth->loglevel == 9 && tls_level < 4)
		tls_level = 4;
	gnutls_global_set_log_function(log_of_gnutls);
	gnutls_global_set_audit_log_function(audit_of_gnutls);
	gnutls_global_set_log_level((int)MIN(tls_level, (uint32_t)GNUTLS_LOG_MAX));
}

/* Of another build than the broker: say so, for it knows what to do, and end. */
static noreturn void end_as_stranger(int sock, const char *broker)
{
	log_debug(1, "the broker is of the build %s, this process of %s", broker,
		  version_of_build());
	newborn_say_born(sock);
	_exit(EXIT_SUCCESS);
}

static void await_bytes(int sock)
{
	struct pollfd wait = {.fd = sock, .events = POLLIN};

	while (poll(&wait, 1, -1) < 0 && errno == EINTR)
		;
}

int newborn_meet(int sock, struct ipc_birth *birth)
{
	const char *why = "";
	union ipc_message m;
	int r;

	log_sock = sock;
	log_set_sink(log_to_broker);
	await_bytes(sock);
	r = ipc_receive_birth(sock, &m, &why);
	if (r == -ESTALE)
		end_as_stranger(sock, m.birth.version);
	if (r == -EBADMSG)
		log_error("the broker sent %s", why);
	if (r < 0)
		return r;
	*birth = m.birth;
	set_log_levels(birth);
	return 0;
}

int newborn_credential(int sock, struct ipc_credential *credential, int *fd)
{
	const char *why = "another message than a credential";
	union ipc_message m;
	int r;

	await_bytes(sock);
	r = ipc_receive(sock, IPC_WORKER, &m, fd, &why);
	if (r == 0 && m.header.type != IPC_CREDENTIAL) {
		if (*fd >= 0)
			close(*fd);
		r = -EBADMSG;
	}
	if (r == -EBADMSG)
		log_error("the broker sent %s", why);
	if (r == 0)
		*credential = m.credential;
	return r;
}

void newborn_lock_memory(const struct ipc_birth *birth)
{
	int r = birth->lock_memory ? memory_lock() : 0;

	if (r < 0)
		log_warning("its memory cannot be locked (%s), so the daemon may not outlive the loss of a disk that it is on; see lock_memory in tlshd.conf(5)",
			    g_strerror(-r));
}

void newborn_say_born(int sock)
{
	union ipc_message m = {.born.header = {IPC_BORN, 0}};

	g_strlcpy(m.born.version, version_of_build(), sizeof(m.born.version));
	newborn_tell(sock, &m);
}

int newborn_answer_ring(const char *what)
{
	union ipc_message m;
	const char *why;
	int sock, r;

	await_bytes(STDIN_FILENO);
	r = ipc_receive(STDIN_FILENO, IPC_WORKER, &m, &sock, &why);
	if (r < 0 || m.header.type != IPC_RING || sock < 0) {
		log_error("%s is started by systemd, for a broker; see tlshd-worker.socket and tlshd-signer.socket",
			  what);
		_exit(EXIT_FAILURE);
	}
	return sock;
}
