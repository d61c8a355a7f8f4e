// SPDX-License-Identifier: GPL-2.0-or-later
/* How a worker or a signer comes to be: by fork, or by systemd; its first messages are the same. */
#include "tlshd/broker/birth.h"

#include <errno.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <glib.h>

#include "common/log.h"
#include "tlshd/signer/signer.h"
#include "tlshd/worker/worker.h"

static const char *name_of(uint32_t role)
{
	return role == IPC_ROLE_SIGNER ? "signer" : "worker";
}

/* A child that we have not waited for keeps its number, so this pidfd cannot be another's. */
static int fork_process(const struct birth_plan *plan, uint32_t role, int theirs, struct birth *out)
{
	int r;

	out->pid = fork();
	if (out->pid == 0 && role == IPC_ROLE_SIGNER)
		signer_main(theirs, plan->signer_uid, plan->signer_gid);
	if (out->pid == 0)
		worker_main(theirs, plan->uid, plan->gid);
	r = -errno;
	if (out->pid < 0) {
		log_error("no process for a %s: %s", name_of(role), g_strerror(-r));
		return r;
	}
	out->pidfd = pidfd_open(out->pid, 0);
	if (out->pidfd >= 0)
		return 0;
	r = -errno;
	log_error("%s %d cannot be watched and is ended: %s", name_of(role), (int)out->pid,
		  g_strerror(-r));
	kill(out->pid, SIGKILL);
	waitpid(out->pid, NULL, 0);
	return r;
}

/*
 * Only a process that may become any user can make one of another user: so systemd does it, for whom
 * connects to the socket of its unit.
 */
static int ask_systemd(uint32_t role, int ours, int theirs)
{
	const char *path = role == IPC_ROLE_SIGNER ? SIGNER_SOCKET : WORKER_SOCKET;
	const union ipc_message ring = {.ring.header = {IPC_RING, 0}};
	int bell = ipc_ring(path);
	int r = bell;

	ipc_want_sender(ours, true);
	if (bell >= 0) {
		r = ipc_send(bell, &ring, theirs, false);
		close(bell);
	}
	if (r < 0)
		log_error("no %s from systemd: %s: %s; start tlshd-%s.socket", name_of(role), path,
			  g_strerror(-r), name_of(role));
	return r;
}

/* They wait in the socket for who reads them. */
static int send_first(int sock, const struct birth_plan *plan, const struct ipc_birth *first,
		      const struct birth_credential *credentials, size_t n)
{
	union ipc_message m = {.birth = *first};
	int r;

	m.birth.credentials = (uint32_t)n;
	m.birth.lock_memory = plan->lock_memory;
	r = ipc_send(sock, &m, -1, false);
	for (size_t i = 0; r == 0 && i < n; i++) {
		m.credential = credentials[i].message;
		r = ipc_send(sock, &m, credentials[i].fd, false);
	}
	return r;
}

void birth_prepare(const struct birth_plan *plan)
{
	if (plan->fork)
		worker_prepare();
}

int birth_begin(const struct birth_plan *plan, const struct ipc_birth *first,
		const struct birth_credential *credentials, size_t n, struct birth *out)
{
	int theirs;
	int r = ipc_pair(&out->sock, &theirs);

	if (r < 0) {
		log_error("no socket pair for a %s: %s", name_of(first->role), g_strerror(-r));
		return r;
	}
	out->pid = 0;
	out->pidfd = -1;
	r = send_first(out->sock, plan, first, credentials, n);
	if (r < 0)
		log_error("the first messages of a %s cannot be sent: %s", name_of(first->role),
			  g_strerror(-r));
	else if (plan->fork)
		r = fork_process(plan, first->role, theirs, out);
	else
		r = ask_systemd(first->role, out->sock, theirs);
	close(theirs);
	if (r < 0)
		close(out->sock);
	return r;
}
