/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a worker or a signer comes to be: by fork, or by systemd; its first messages are the same. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "tlshd/shared/ipc.h"

/**
 * struct birth_plan - what all processes of ours have in common.
 * @fork: they are our children and become a user of their own; else, where we may not change a
 *	process's user, systemd starts them
 * @uid, @gid: of workers
 * @signer_uid, @signer_gid: of the signer
 * @lock_memory: they stay in memory
 */
struct birth_plan {
	bool fork;
	uid_t uid, signer_uid;
	gid_t gid, signer_gid;
	bool lock_memory;
};

/** struct birth_credential - one that goes with the first message. @fd: borrowed, -1 for none. */
struct birth_credential {
	struct ipc_credential message;
	int fd;
};

/**
 * struct birth - a process that is on its way.
 * @sock: our end of its socket, the caller's to close
 * @pid, @pidfd: the process, the caller's to close; 0 and -1 when only systemd knows it yet: BORN
 *	comes with them
 */
struct birth {
	int sock;
	pid_t pid;
	int pidfd;
};

/**
 * birth_prepare() - read what those need that are forked from now on, and may not be there any more then.
 *
 * To be called at the start and in each reload.
 */
void birth_prepare(const struct birth_plan *plan);

/**
 * birth_begin() - have a process born.
 * @first: its first message, which says what it is to be; what @plan says, and the number of its credentials,
 *	are set by this
 * @credentials, @n: that follow it
 * @out: set on success
 *
 * It is born when it has said BORN.
 *
 * Return: 0 or a negative errno, logged.
 */
int birth_begin(const struct birth_plan *plan, const struct ipc_birth *first,
		const struct birth_credential *credentials, size_t n, struct birth *out);
