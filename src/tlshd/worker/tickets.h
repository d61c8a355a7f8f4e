/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a server sends behind its Finished: session tickets, which the kernel's consumer would choke on. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <glib.h>
#include <gnutls/gnutls.h>

#include "tlshd/shared/outcome.h"
#include "tlshd/worker/transport.h"

/**
 * struct tickets - what has come.
 * @record: the one that is being received, its header too
 * @message: the handshake message that is being received
 * @certified: the handshake was one with certificates
 * @count: whole NewSessionTicket messages (RFC 8446, 4.6.1)
 *
 * The records are opened here and not by gnutls_record_recv(), which does not tell whether it has kept
 * a part of a message: kTLS may only begin at the start of one.
 */
struct tickets {
	GByteArray *record;
	GByteArray *message;
	bool certified;
	unsigned int count;
};

/** tickets_init() - none so far; to be cleared by tickets_clear(). @certified: see struct tickets. */
void tickets_init(struct tickets *k, bool certified);
void tickets_clear(struct tickets *k);

/**
 * tickets_read() - take what has come.
 * @tls: its handshake is complete; its read sequence number goes on with every record
 * @why: on failure the cause, and in alert_sent the alert to send
 *
 * Return: -EAGAIN when there is no more for now; -EPROTO when something else than a ticket has come,
 * or the connection is over.
 */
int tickets_read(struct tickets *k, struct transport *t, gnutls_session_t tls, struct outcome *why);

/** tickets_are_whole() - is nothing begun that has not ended? */
bool tickets_are_whole(const struct tickets *k);
