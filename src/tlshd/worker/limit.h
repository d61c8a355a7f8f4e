/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long the records may be that the kernel will send: record_size_limit and max_fragment_length. */
#pragma once

#include <stdbool.h>
#include <gnutls/gnutls.h>

#include "netlink/upcall.h"

/**
 * limit_attach() - let @tls agree to short records only if they can be had.
 * @tls: after transport_attach(), whose @limit tells what is agreed
 * @can_keep: of a server: the kernel can be told to send short records
 *
 * GnuTLS agrees by itself to short records, which kTLS cannot send on every kernel, and before 3.8.11 it
 * does not tell that it has. So a server's extensions are ours: not to answer is to decline (RFC 8449,
 * 4; RFC 6066, 4). A client's offer cannot be left out, but it says how much we take, which is anything;
 * the server's answer is read, and ktls_start() keeps it or fails.
 *
 * Return: 0 or -ENOMEM.
 */
int limit_attach(gnutls_session_t tls, enum handshake_side side, bool can_keep);
