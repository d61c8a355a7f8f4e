/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Is a peer's certificate one that we accept? If not, the cause, in words that help. */
#pragma once

#include "tlshd/worker/x509.h"

/**
 * judge_peer() - verify the certificates that the peer has shown.
 * @owner: our own credentials
 * @side: ours
 * @name: that the certificate is to have, a DNS name or an address; NULL for any
 * @outcome: on success its detail names the peer; else it has the cause
 *
 * Chain, time, purpose (RFC 5280, 4.2.1.12), name (RFC 6125) and revocation are checked, and algorithms
 * by the system's policy.
 *
 * Return: 0 or -EPROTO.
 */
int judge_peer(const struct x509_owner *owner, enum handshake_side side, gnutls_session_t tls,
	       const char *name, struct outcome *outcome);
