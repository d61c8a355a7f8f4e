/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Advisory locks that are not waited for forever. */
#pragma once

/**
 * lock_wait() - flock() that gives up.
 * @fd: what to lock
 * @operation: LOCK_EX or LOCK_SH
 *
 * Return: 0; -EWOULDBLOCK when another process has held the lock for 10 seconds; what flock()
 * says.
 */
int lock_wait(int fd, int operation);
