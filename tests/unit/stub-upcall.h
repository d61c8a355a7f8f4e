/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A kernel for tests of the broker's rooms: it has no requests, and remembers what it is told. */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

#include "tlshd/broker/job.h"

/** struct told - a DONE: the status and the key, and when it came. */
struct told {
	int sockfd;
	int status;
	int32_t remote;
	uint64_t at;
};

extern struct told stub_told[1024];
extern unsigned int stub_n_told;
/* What the kernel answers to DONE: 0 or a negative errno. */
extern int stub_answer;

/** stub_forget() - begin anew. */
void stub_forget(void);

/**
 * stub_job() - a request as intake would make it.
 * @peer: set to the other end of its socket, the caller's to close
 */
struct job *stub_job(struct jobs *jobs, enum handshake_side side, uint32_t timeout_ms, int *peer);

/* Lines of the log since stub_forget(), each with a newline. */
extern GString *stub_log;

/** stub_log_to_memory() - have the log go there. */
void stub_log_to_memory(void);

/** stub_lines() - how many of them have @text in them. */
unsigned int stub_lines(const char *text);

/**
 * stub_run() - dispatch what is there, one source after the other.
 * @work: done after each, as long as it returns true; may be NULL
 * @until: stop when it is true; NULL: when nothing is pending any more
 *
 * Return: whether @until came true within a minute.
 */
bool stub_run(sd_event *event, bool (*work)(void *ctx), bool (*until)(void *ctx), void *ctx);
