/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a worker comes to be: by fork, or by systemd; either way its first message is the same. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "tlshd/shared/ipc.h"

/**
 * struct birth_plan - what all workers have in common.
 * @fork: workers are our children and become @uid and @gid; else, where we may not change a
 *	process's user, systemd starts them
 */
struct birth_plan {
	bool fork;
	uid_t uid;
	gid_t gid;
};

/**
 * struct birth - a worker that is on its way.
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
 * birth_begin() - have a worker born.
 * @first: its first message
 * @out: set on success
 *
 * It is born when it has said BORN.
 *
 * Return: 0 or a negative errno, logged.
 */
int birth_begin(const struct birth_plan *plan, const struct ipc_birth *first, struct birth *out);
