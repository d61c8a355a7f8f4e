/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What workers say, and what the broker makes of it: for the files of the pool only. */
#pragma once

#include "tlshd/broker/pool-worker.h"

/** pool_messages_watch() - listen to a worker. Return: 0 or a positive number; a negative errno. */
int pool_messages_watch(struct pool_worker *w);

/**
 * pool_messages_answer() - send the key for which @j waits, or that there is none; where its socket has no
 * room, as soon as there is some. Return: 0; a negative errno when the socket is closed.
 */
int pool_messages_answer(struct pool_worker *w, struct job *j);

/** pool_messages_on_pause_over() - @owner, a worker that said too much, is listened to again. */
void pool_messages_on_pause_over(void *owner);
