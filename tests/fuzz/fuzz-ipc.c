// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzzes what broker and worker say to each other: the first byte is who reads the rest. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tlshd/shared/ipc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a reader relies on. */
static void use(enum ipc_end reader, const union ipc_message *m)
{
	const char *text = m->header.type == IPC_JOB	      ? m->job.identity
			   : m->header.type == IPC_LOOKUP     ? m->lookup.identity
			   : m->header.type == IPC_DONE	      ? m->done.detail
			   : m->header.type == IPC_LOG	      ? m->log.line
			   : m->header.type == IPC_CREDENTIAL ? m->credential.text
			   : m->header.type == IPC_LOADED     ? m->loaded.text
							      : "";

	if (strlen(text) > IDENTITY_MAX ||
	    (m->header.type == IPC_JOB &&
	     (m->job.psk.len > SECRET_MAX || strlen(m->job.peername) >= UPCALL_PEERNAME_SIZE)) ||
	    (m->header.type == IPC_KEY && m->key.psk.len > SECRET_MAX) ||
	    (m->header.type == IPC_BIRTH &&
	     (m->birth.loglevel > 9 || strlen(m->birth.version) >= VERSION_SIZE)) ||
	    (m->header.type == IPC_BORN && strlen(m->born.version) >= VERSION_SIZE) ||
	    (m->header.type == IPC_CREDENTIAL && m->credential.kind > IPC_KIND_DESK) ||
	    (m->header.type == IPC_SIGN && m->sign.len > IPC_HASH_MAX) ||
	    (m->header.type == IPC_SIGNED && m->signature.len > IPC_SIGNATURE_MAX))
		abort();
	/* Nobody takes a worker's word for the broker's, nor a customer's for either. */
	if ((reader == IPC_DESK_OF_SIGNER) != (m->header.type == IPC_SIGN) ||
	    (reader == IPC_CUSTOMER) != (m->header.type == IPC_SIGNED) ||
	    (m->header.type == IPC_GRANT && reader != IPC_SIGNER) ||
	    (m->header.type == IPC_KEY && reader != IPC_WORKER) ||
	    (m->header.type == IPC_DONE && reader != IPC_BROKER))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum ipc_end readers[IPC_ENDS] = {IPC_BROKER,	     IPC_WORKER,
						       IPC_BROKER_OF_SIGNER, IPC_SIGNER,
						       IPC_DESK_OF_SIGNER,   IPC_CUSTOMER};
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
	reader = readers[*data++ % IPC_ENDS];
	size--;
	if (send(fd[0], data, size, MSG_DONTWAIT) >= 0) {
		struct ipc_sender sender = {.pidfd = -1};

		ipc_want_sender(fd[1], true);
		if (reader == IPC_BROKER)
			ipc_receive_from(fd[1], IPC_BROKER, &m, NULL, &sender, &why);
		else
			ipc_receive_birth(fd[1], &m, &why);
		ipc_want_sender(fd[1], false);
		if (sender.pidfd >= 0)
			close(sender.pidfd);
	}
	if (send(fd[0], data, size, MSG_DONTWAIT) < 0)
		return 0;
	memset(&m, 0xaa, sizeof(m));
	r = ipc_receive(fd[1], reader, &m, &passed, &why);
	if (passed >= 0 || r == -EAGAIN)
		abort();
	if (r == 0)
		use(reader, &m);
	return 0;
}
