// SPDX-License-Identifier: GPL-2.0-or-later
/* How a worker comes to be: by fork, or by systemd; either way its first message is the same. */
#include "tlshd/broker/birth.h"

#include <errno.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <glib.h>

#include "common/log.h"
#include "tlshd/worker/worker.h"

/* A child that we have not waited for keeps its number, so this pidfd cannot be another's. */
static int fork_worker(const struct birth_plan *plan, int theirs, struct birth *out)
{
	int r;

	out->pid = fork();
	if (out->pid == 0)
		worker_main(theirs, plan->uid, plan->gid);
	r = -errno;
	if (out->pid < 0) {
		log_error("no process for a worker: %s", g_strerror(-r));
		return r;
	}
	out->pidfd = pidfd_open(out->pid, 0);
	if (out->pidfd >= 0)
		return 0;
	r = -errno;
	log_error("worker %d cannot be watched and is ended: %s", (int)out->pid, g_strerror(-r));
	kill(out->pid, SIGKILL);
	waitpid(out->pid, NULL, 0);
	return r;
}

/*
 * Only a process that may become any user can make one of another user: so systemd does it, for whom
 * connects to the socket of its unit.
 */
static int ask_systemd(int ours, int theirs)
{
	const union ipc_message ring = {.ring.header = {IPC_RING, 0}};
	int bell = ipc_ring(WORKER_SOCKET);
	int r = bell;

	ipc_want_sender(ours, true);
	if (bell >= 0) {
		r = ipc_send(bell, &ring, theirs, false);
		close(bell);
	}
	if (r < 0)
		log_error("no worker from systemd: " WORKER_SOCKET
			  ": %s; start tlshd-worker.socket",
			  g_strerror(-r));
	return r;
}

int birth_begin(const struct birth_plan *plan, const struct ipc_birth *first, struct birth *out)
{
	const union ipc_message m = {.birth = *first};
	int theirs;
	int r = ipc_pair(&out->sock, &theirs);

	if (r < 0) {
		log_error("no socket pair for a worker: %s", g_strerror(-r));
		return r;
	}
	out->pid = 0;
	out->pidfd = -1;
	r = ipc_send(out->sock, &m, -1, false);
	if (r < 0)
		log_error("a worker's first message cannot be sent: %s", g_strerror(-r));
	else
		r = plan->fork ? fork_worker(plan, theirs, out) : ask_systemd(out->sock, theirs);
	close(theirs);
	if (r < 0)
		close(out->sock);
	return r;
}
