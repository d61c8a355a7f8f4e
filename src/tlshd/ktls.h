/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The traffic keys of a finished session, from GnuTLS into the kernel's socket. */
#pragma once

#include <gnutls/gnutls.h>

/**
 * ktls_need_module() - have the kernel load its tls module, which only a process with
 * CAP_NET_ADMIN can.
 * @lost: a connected TCP socket that is good for closing only, -1 for none; where the unit forbids
 *	us Internet sockets of our own, it serves
 *
 * What a failure means is in the log. It is then not tried again for a second, for the kernel starts
 * modprobe, and we wait for it.
 */
void ktls_need_module(int lost);

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
