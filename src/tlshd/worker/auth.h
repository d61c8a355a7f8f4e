/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the two ends of a session prove who they are: what the session asks of it. */
#pragma once

#include <stdbool.h>
#include <gnutls/gnutls.h>

#include "tlshd/shared/outcome.h"
#include "tlshd/worker/hello.h"

struct auth;

/**
 * struct auth_kind - a way of authenticating: pre-shared keys or certificates.
 * @begin: may this handshake go on? @offer is what a client has offered, NULL if we are the client.
 *	Return: 0; -EAGAIN when the broker has been asked, and @begin is to be called again after its
 *	answer; -EPROTO with @why set
 * @prepare: give @tls, which is new, its priorities and credentials. Return: 0; -EPROTO with @why set
 * @agreed: is the finished handshake authenticated as it was to be?
 * @judged: what was made of the peer, or of ourselves, while GnuTLS ran: with a cause that goes before
 *	GnuTLS's error, or a success that has the peer's name as its detail; NULL for nothing
 * @free: end it, secrets wiped
 * @certified: it is by certificates
 */
struct auth_kind {
	int (*begin)(struct auth *auth, const struct hello_offer *offer, struct outcome *why);
	int (*prepare)(struct auth *auth, gnutls_session_t tls, struct outcome *why);
	bool (*agreed)(const struct auth *auth, gnutls_session_t tls);
	const struct outcome *(*judged)(const struct auth *auth);
	void (*free)(struct auth *auth);
	bool certified;
};

/** struct auth - how every way of authenticating begins; GnuTLS's session points to it. */
struct auth {
	const struct auth_kind *kind;
};
