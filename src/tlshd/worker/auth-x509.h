/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Authentication by certificates (RFC 8446, 4.4), of the server alone or of both ends. */
#pragma once

#include "netlink/upcall.h"
#include "tlshd/worker/auth.h"
#include "common/policy.h"
#include "tlshd/worker/x509.h"

/**
 * struct auth_x509_params - what it takes.
 * @x509: our credentials, borrowed
 * @policy: borrowed
 * @job: the broker's number, by which the signer knows the handshake
 * @auth: HANDSHAKE_X509, or HANDSHAKE_UNAUTH for a client that shows no certificate
 * @own: a certificate for this job alone, in place of ours; NULL for none; the session's from now on
 * @peername: of a client: the name that the server's certificate is to have; copied
 *
 * A server asks every client for a certificate, which may have none; one that is shown must be good.
 */
struct auth_x509_params {
	const struct x509 *x509;
	const struct policy *policy;
	unsigned int job;
	enum handshake_side side;
	enum handshake_auth auth;
	struct x509_pair *own;
	const char *peername;
};

/** auth_x509_attach() - have GnuTLS ask the sessions with these credentials for their certificates. */
void auth_x509_attach(struct x509 *x);

/** auth_x509_new() - to be freed by its kind's free, or by the session that gets it. */
struct auth *auth_x509_new(const struct auth_x509_params *params);
