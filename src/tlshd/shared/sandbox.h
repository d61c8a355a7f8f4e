/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What each process gives up, and what it may do afterwards: all of it in one file. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Jobs of one worker in all, those that wait for their peer included: each is a descriptor. */
#define WORKER_JOBS_MAX 8192

/**
 * sandbox_spare_broker() - have a worker killed before the broker when memory is short.
 *
 * The unit says the same, for it takes CAP_SYS_RESOURCE; an OOM score that somebody has set stays.
 * A worker is an ordinary process again.
 */
void sandbox_spare_broker(void);

/**
 * sandbox_become_worker() - from a fork of the broker to a process without rights.
 * @sock: the one descriptor above stderr that is kept
 * @uid, @gid: whom to become
 *
 * Closes all else, leaves the broker's keyrings, becomes @uid where it is root, drops every
 * capability and the way back to them, ends core dumps.
 *
 * Return: 0; a negative errno, logged, after which the process must end.
 */
int sandbox_become_worker(const int *sock, uid_t uid, gid_t gid);

/**
 * sandbox_worker() - close the door behind a worker that has all it needs.
 *
 * Bounds its descriptors, forbids processes and files, and leaves it the short list of system
 * calls in sandbox.c. Another one fails with EPERM and is logged by name, once; in a build with
 * -Dtest_hooks=true it kills the process. A build with a sanitizer has its descriptors bounded,
 * and nothing else.
 *
 * Return: 0; a negative errno, logged.
 */
int sandbox_worker(void);

/**
 * sandbox_broker() - what the broker, and whatever it starts from now on, gives up.
 *
 * Leaves CAP_NET_ADMIN and CAP_KILL, where it has them CAP_SETUID and CAP_SETGID, and forbids other
 * programs, modules, mounts and more, by the list in sandbox.c.
 *
 * Return: 0; a negative errno, logged.
 */
int sandbox_broker(void);

/** sandbox_may_change_user() - have we CAP_SETUID? Under systemd the broker has not. */
bool sandbox_may_change_user(void);

/**
 * sandbox_worker_filter(), sandbox_broker_filter() - the lists alone, for tests.
 * @arch: libseccomp's number of an architecture
 *
 * Return: a scmp_filter_ctx, to be freed by seccomp_release(); NULL when it cannot be made.
 */
void *sandbox_worker_filter(uint32_t arch);
void *sandbox_broker_filter(uint32_t arch);
