/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a handshake went: what a worker reports in DONE, and what the broker makes of it. */
#pragma once

#include <glib.h>

#include "tlshd/shared/cause.h"

#define OUTCOME_DETAIL_MAX 320
/* Session tickets of one server: more are no honest number. */
#define OUTCOME_TICKETS_MAX 64

/**
 * struct outcome - how it went.
 * @cause: CAUSE_SUCCESS or why it failed
 * @alert_sent: the alert that the peer was sent, -1 for none
 * @cipher, @group: GnuTLS's numbers of the cipher and of the group, of a success
 * @tickets: session tickets that the server has sent, -1 where that was not found out
 * @certified: the peer has shown a certificate, and it has been verified
 * @detail: follows the cause's sentence in the log, "" for none; bytes of the peer are escaped in it
 */
struct outcome {
	enum cause cause;
	int alert_sent;
	unsigned int cipher;
	unsigned int group;
	int tickets;
	bool certified;
	char detail[OUTCOME_DETAIL_MAX];
};

#define OUTCOME_INIT                            \
	{                                       \
		.alert_sent = -1, .tickets = -1 \
	}

/** outcome_set() - end for @cause; @format gives the detail, NULL for none. */
void outcome_set(struct outcome *o, enum cause cause, const char *format, ...) G_GNUC_PRINTF(3, 4);

/** outcome_alert_name() - an alert as RFC 8446 writes it, "decrypt_error"; to be freed by g_free(). */
char *outcome_alert_name(int alert);
