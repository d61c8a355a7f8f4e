/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The traffic keys of a finished session, from GnuTLS into the kernel's socket. */
#pragma once

#include <gnutls/gnutls.h>

/**
 * ktls_start() - switch @fd to kTLS, both directions.
 * @session: its handshake is complete
 * @what: on failure a static word for the step that failed
 *
 * Key, IV, salt and record sequence number come from gnutls_record_get_state(); their layout
 * is that of <linux/tls.h>.
 *
 * Return: 0 or a negative errno; afterwards @fd may be in any state and is good for closing only.
 */
int ktls_start(int fd, gnutls_session_t session, const char **what);
