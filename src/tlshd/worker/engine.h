/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all sessions of a process share, built once at its start. */
#pragma once

#include "tlshd/worker/auth-psk.h"
#include "common/policy.h"

/**
 * struct engine - what all sessions of a process share. It stays where it is, for it points into itself.
 */
struct engine {
	struct policy policy;
	struct auth_psk_shared psk;
};

/**
 * engine_init() - build priorities and credentials.
 * @why: on failure a sentence, to be freed by g_free()
 *
 * Return: 0 or a negative errno.
 */
int engine_init(struct engine *e, bool sha384_compat, char **why);
void engine_clear(struct engine *e);
