/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a process that the broker has started does first, whatever it is to be. */
#pragma once

#include <stdnoreturn.h>

#include "tlshd/shared/ipc.h"

/** newborn_tell() - send @m to the broker, and end if there is none any more. */
void newborn_tell(int sock, const union ipc_message *m);

/**
 * newborn_meet() - log through the broker at @sock from now on, and wait for its first message.
 * @birth: filled; its log levels are set
 *
 * Ends the process when the broker is of another build, which it is told.
 *
 * Return: 0 or a negative errno, logged.
 */
int newborn_meet(int sock, struct ipc_birth *birth);

/**
 * newborn_credential() - wait for the next of the credentials that BIRTH has announced.
 * @fd: the caller's to close, or -1
 *
 * Return: 0 or a negative errno, logged.
 */
int newborn_credential(int sock, struct ipc_credential *credential, int *fd);

/** newborn_lock_memory() - keep this process in memory, if BIRTH says so; a failure is logged, no more. */
void newborn_lock_memory(const struct ipc_birth *birth);

/** newborn_say_born() - tell the broker that this process is what it was to be. */
void newborn_say_born(int sock);

/**
 * newborn_answer_ring() - in a process that systemd has started: wait for the broker's RING.
 * @what: "a worker"
 *
 * Return: the socket that came with it; ends the process where none does.
 */
int newborn_answer_ring(const char *what);
