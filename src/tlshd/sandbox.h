/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What each process gives up, and what it may do afterwards: all of it in one file. */
#pragma once

#include <sys/types.h>

/**
 * sandbox_become_worker() - from a fork of the broker to a process without rights.
 * @sock: the one descriptor above stderr that is kept
 * @uid, @gid: whom to become
 *
 * Closes all else, leaves the broker's keyrings, becomes @uid, drops every capability and the
 * way back to them, ends core dumps.
 *
 * Return: 0; a negative errno, logged, after which the process must end.
 */
int sandbox_become_worker(const int *sock, uid_t uid, gid_t gid);

/**
 * sandbox_worker() - close the door behind a worker that has all it needs.
 *
 * Return: 0; a negative errno, logged.
 */
int sandbox_worker(void);

/**
 * sandbox_broker() - what the broker gives up once it has started.
 *
 * Return: 0; a negative errno, logged.
 */
int sandbox_broker(void);
