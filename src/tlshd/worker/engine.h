/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all sessions of a process share, built once at its start. */
#pragma once

#include "common/policy.h"
#include "tlshd/worker/auth-psk.h"
#include "tlshd/worker/x509.h"

/**
 * struct engine - what all sessions of a process share. It stays where it is, for it points into itself.
 */
struct engine {
	struct policy policy;
	struct auth_psk_shared psk;
	struct x509 x509; /* to be filled by x509_take() */
};

/**
 * engine_prepare() - read the system's policy for the processes that are forked from this one from now on.
 *
 * Their engine_init() then reads no file, which may be on a disk that is gone. If it cannot be read, they find
 * that out for themselves.
 */
void engine_prepare(void);

/**
 * engine_init() - build priorities and credentials.
 * @why: on failure a sentence, to be freed by g_free()
 *
 * Return: 0 or a negative errno.
 */
int engine_init(struct engine *e, bool sha384_compat, char **why);
void engine_clear(struct engine *e);
