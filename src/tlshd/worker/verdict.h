/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What GnuTLS's error, an alert and the side make of a handshake: a pure function. */
#pragma once

#include "netlink/upcall.h"
#include "tlshd/shared/cause.h"

/** struct verdict - the cause, and the alert that goes to the peer, or CAUSE_NO_ALERT. */
struct verdict {
	enum cause cause;
	int alert;
};

/**
 * verdict_of() - why has a handshake failed?
 * @side: ours
 * @certified: it was to be a handshake with certificates: no alert is about a pre-shared key
 * @err: GnuTLS's error, below 0
 * @received: the alert of the peer, where @err is GNUTLS_E_FATAL_ALERT_RECEIVED
 *
 * The transport's own ends (CAUSE_PEER_CLOSED and the like) come before it: GnuTLS knows less of
 * those. Where the cause names no alert GnuTLS chooses it.
 */
struct verdict verdict_of(enum handshake_side side, bool certified, int err, int received);
