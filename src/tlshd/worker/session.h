/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One TLS 1.3 handshake on one socket, non-blocking, by GnuTLS: the state machine. */
#pragma once

#include <gnutls/gnutls.h>

#include "netlink/upcall.h"
#include "tlshd/shared/outcome.h"
#include "tlshd/worker/auth.h"
#include "tlshd/worker/engine.h"

enum session_wait {
	SESSION_WAIT_READ, /* for bytes of the peer */
	SESSION_WAIT_WRITE, /* for room to send */
	SESSION_WAIT_ANSWER, /* for the broker's answer to its struct auth */
};

struct session;

/* session_params.tickets of a server that is not known yet. */
#define SESSION_TICKETS_UNKNOWN (-1)

/**
 * struct session_params - what a session needs.
 * @engine: shared, borrowed
 * @job: the number that stands in debug lines
 * @fd: a connected stream socket, borrowed
 * @side: client or server
 * @tickets: of a client: how many session tickets the server is known to send behind its Finished, or
 *	SESSION_TICKETS_UNKNOWN
 * @auth: how the two ends prove who they are; the session's from now on
 */
struct session_params {
	const struct engine *engine;
	unsigned int job;
	int fd;
	enum handshake_side side;
	int tickets;
	struct auth *auth;
};

/** session_new() - a session that has done nothing yet; to be freed by session_free(). */
struct session *session_new(const struct session_params *params);

/** session_free() - end it and wipe its key. The socket stays open. NULL is fine. */
void session_free(struct session *s);

/**
 * session_step() - go on as far as possible without waiting.
 *
 * Return: 0 when it is complete; -EAGAIN when it waits, see session_wait(); -EPROTO when it
 * has failed. After 0 or -EPROTO session_outcome() tells.
 */
int session_step(struct session *s);

/** session_wait() - what a step that gave -EAGAIN waits for. */
enum session_wait session_wait(const struct session *s);

/**
 * session_until() - how long a step that waits to read does so at most.
 *
 * Return: usec, monotonic, when session_step() is to be called again even if nothing has come; 0 when
 * only the job's own deadline ends the wait.
 */
uint64_t session_until(const struct session *s);

/**
 * session_hurry() - the job's time is up: go on without what is only waited for by session_until().
 *
 * Return: as session_step(); -EAGAIN when there is more to wait for than that.
 */
int session_hurry(struct session *s);

/** session_auth() - the struct auth it was made with, for the broker's answer. */
struct auth *session_auth(const struct session *s);

/** session_outcome() - the outcome, borrowed from @s. */
const struct outcome *session_outcome(const struct session *s);

/**
 * session_limit() - of a handshake that is complete, the longest record that the peer takes (RFC 8449).
 *
 * Return: its bytes, the content type counted; 0 for the usual length.
 */
size_t session_limit(const struct session *s);

/** session_gnutls() - GnuTLS's session of a handshake that is complete, for its keys. */
gnutls_session_t session_gnutls(const struct session *s);
