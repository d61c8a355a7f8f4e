/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a process gives up what its role does not need; roles.c says what that is. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tlshd/shared/roles.h"

/**
 * sandbox_spare_broker() - have a worker killed before the broker when memory is short.
 *
 * The unit says the same, for it takes CAP_SYS_RESOURCE; an OOM score that somebody has set stays.
 * A worker is an ordinary process again.
 */
void sandbox_spare_broker(void);

/**
 * sandbox_leave_broker() - from a fork of the broker to an ordinary process that may do what the broker may.
 * @name: that the process gets
 * @sock: the one descriptor above stderr that is kept
 *
 * Without the broker's priority, OOM score and signals: SIGKILL ends it. With the descriptors goes the log.
 *
 * Return: 0; a negative errno, logged, after which the process must end.
 */
int sandbox_leave_broker(const char *name, int sock);

/**
 * sandbox_become() - from a fork of the broker, or a fresh process, to one without rights.
 * @role: whose name the process gets
 * @sock: the one descriptor above stderr that is kept
 * @uid, @gid: whom to become
 *
 * Closes all else, makes standard input, output and error /dev/null, leaves the broker's priority
 * and keyrings, becomes @uid where it is root, and so loses every capability, and the way back to
 * them, ends core dumps, and dies with its parent. A build with a sanitizer keeps its output and error.
 *
 * Return: 0; a negative errno, logged, after which the process must end.
 */
int sandbox_become(const struct role *role, int sock, uid_t uid, gid_t gid);

/**
 * sandbox_enter() - close the door behind a process that has all it needs, and behind whatever it
 * starts from now on.
 *
 * Leaves it the capabilities, limits, files and system calls of @role. Another system call fails with
 * EPERM and is logged by name, once; in a build with -Dtest_hooks=true it kills the process. A build
 * with a sanitizer loses capabilities and gets limits, and nothing else.
 *
 * Return: 0; a negative errno, logged.
 */
int sandbox_enter(const struct role *role);

/**
 * sandbox_prepare() - have libraries read now what they read at their first use, for no file can be opened in
 * the sandbox, and none read from a disk that is gone. sandbox_enter() does that too.
 */
void sandbox_prepare(void);

/** sandbox_is_sanitized() - is this a build with a sanitizer, which takes much more than the daemon does? */
bool sandbox_is_sanitized(void);

/** sandbox_may_change_user() - have we CAP_SETUID? Under systemd the broker has not. */
bool sandbox_may_change_user(void);

/**
 * sandbox_filter() - the list of system calls alone, for tests.
 * @arch: libseccomp's number of an architecture
 *
 * Return: a scmp_filter_ctx, to be freed by seccomp_release(); NULL when it cannot be made.
 */
void *sandbox_filter(const struct role *role, uint32_t arch);
