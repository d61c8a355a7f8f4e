/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The traffic keys of a finished session, from GnuTLS into the kernel's socket. */
#pragma once

#include <stdbool.h>
#include <gnutls/gnutls.h>

/**
 * ktls_can_limit() - can the kernel send records of less than the usual length?
 * @fd: a connected TCP socket; afterwards it has the upper layer protocol "tls", without keys
 *
 * That is TLS_TX_MAX_PAYLOAD_LEN, which 7.2 has and 6.12 has not. Asked once a process; a socket that cannot be
 * asked says no for itself.
 */
bool ktls_can_limit(int fd);

/**
 * ktls_start() - switch @fd to kTLS, both directions.
 * @session: its handshake is complete
 * @limit: the longest record that the peer takes, its content type counted; 0 for the usual length
 * @what: on failure a static word for the step that failed
 *
 * Key, IV, salt and record sequence number come from gnutls_record_get_state(); their layout
 * is that of <linux/tls.h>.
 *
 * Return: 0; -ENOPROTOOPT when there is a limit and the kernel cannot keep it; or another negative
 * errno; afterwards @fd may be in any state and is good for closing only.
 */
int ktls_start(int fd, gnutls_session_t session, size_t limit, const char **what);
