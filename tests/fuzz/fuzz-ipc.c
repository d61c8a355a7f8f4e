// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzzes what broker and worker say to each other: the first byte is who reads the rest. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tlshd/shared/ipc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a reader relies on. */
static void use(enum ipc_end reader, const union ipc_message *m)
{
	const char *text = m->header.type == IPC_JOB	  ? m->job.identity
			   : m->header.type == IPC_LOOKUP ? m->lookup.identity
			   : m->header.type == IPC_DONE	  ? m->done.cause
			   : m->header.type == IPC_LOG	  ? m->log.line
							  : "";

	if (strlen(text) > IDENTITY_MAX ||
	    (m->header.type == IPC_JOB && m->job.psk.len > SECRET_MAX) ||
	    (m->header.type == IPC_KEY && m->key.psk.len > SECRET_MAX) ||
	    (m->header.type == IPC_SETTINGS && m->settings.loglevel > 9) ||
	    (reader == IPC_WORKER) != (m->header.type == IPC_JOB || m->header.type == IPC_KEY ||
				       m->header.type == IPC_SETTINGS))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd[2] = {-1, -1};
	enum ipc_end reader;
	union ipc_message m;
	const char *why;
	int passed = -1;
	int r;

	if (size < 1)
		return 0;
	if (fd[0] < 0 && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd) < 0)
		abort();
	reader = *data++ & 1 ? IPC_WORKER : IPC_BROKER;
	size--;
	if (reader == IPC_BROKER && send(fd[0], data, size, MSG_DONTWAIT) >= 0) {
		pid_t pid;

		ipc_want_sender(fd[1], true);
		ipc_receive_born(fd[1], &pid);
		ipc_want_sender(fd[1], false);
	}
	if (send(fd[0], data, size, MSG_DONTWAIT) < 0)
		return 0;
	memset(&m, 0xaa, sizeof(m));
	r = ipc_receive(fd[1], reader, &m, reader == IPC_WORKER ? &passed : NULL, &why);
	if (passed >= 0 || r == -EAGAIN)
		abort();
	if (r == 0)
		use(reader, &m);
	return 0;
}
