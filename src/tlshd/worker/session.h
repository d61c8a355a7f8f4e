/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One TLS 1.3 PSK handshake on one socket, non-blocking, by GnuTLS. */
#pragma once

#include <stdbool.h>
#include <gnutls/gnutls.h>

#include "common/secret.h"
#include "netlink/upcall.h"
#include "tlshd/shared/outcome.h"
#include "tlshd/worker/credentials.h"
#include "tlshd/worker/policy.h"

/**
 * struct engine - what all sessions of a process share.
 * @sha384_compat: do 48-byte keys as ktls-utils does on a GnuTLS before 3.8.11
 */
struct engine {
	struct policy policy;
	struct credentials credentials;
	bool sha384_compat;
};

/**
 * engine_init() - build priorities and credentials.
 * @why: on failure a sentence, to be freed by g_free()
 *
 * Return: 0 or a negative errno.
 */
int engine_init(struct engine *e, bool sha384_compat, char **why);
void engine_clear(struct engine *e);

/**
 * psk_check() - can a key of @len bytes be the one of @identity, with this engine?
 * @why: on failure its cause and detail are set
 *
 * Return: its hash; -EKEYREJECTED when the length does not fit; -ENOTSUP when the library cannot do
 * the hash.
 */
int psk_check(const struct engine *e, const char *identity, size_t len, struct outcome *why);

enum session_wait {
	SESSION_WAIT_READ, /* for bytes of the peer */
	SESSION_WAIT_WRITE, /* for room to send */
	SESSION_WAIT_KEY, /* for session_give_key() */
};

struct session;

/**
 * struct session_params - what a session needs.
 * @job: the number that stands in debug lines
 * @fd: a connected stream socket, borrowed
 * @side: client or server
 * @identity, @psk: of a client; copied
 * @lookup: of a server: asks for the key of an identity; the answer comes by session_give_key(),
 *	within the call or later
 * @ctx: for @lookup
 */
struct session_params {
	const struct engine *engine;
	unsigned int job;
	int fd;
	enum handshake_side side;
	const char *identity;
	const secret *psk;
	void (*lookup)(void *ctx, const char *identity);
	void *ctx;
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
 * session_give_key() - answer @lookup, then call session_step().
 * @err: 0, or a negative errno when there is no key to use
 * @psk: the key when @err is 0; copied
 */
void session_give_key(struct session *s, int err, const secret *psk);

/** session_outcome() - the outcome, borrowed from @s. */
const struct outcome *session_outcome(const struct session *s);

/** session_gnutls() - GnuTLS's session of a handshake that is complete, for its keys. */
gnutls_session_t session_gnutls(const struct session *s);
