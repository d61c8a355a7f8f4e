/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A connection from user space to a target, in the clear or by TLS 1.3 with a PSK; nothing waits forever. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <gnutls/gnutls.h>
#include <glib.h>

#include "common/policy.h"
#include "common/secret.h"

typedef struct doctor_link doctor_link;

/**
 * doctor_link_open() - connect by TCP.
 * @host: an address or a name
 * @service: the port
 * @seconds: how long each of the steps to come may take
 * @why: set on failure to what went wrong, to be freed by g_free()
 *
 * Return: the connection, to be closed by doctor_link_close(); NULL on failure.
 */
struct doctor_link *doctor_link_open(const char *host, const char *service, unsigned int seconds,
				     char **why);

/** doctor_link_close() - end TLS where it runs, close, and wipe the key. NULL is fine. */
void doctor_link_close(struct doctor_link *link);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(doctor_link, doctor_link_close)

/**
 * struct doctor_link_end - how a step has failed.
 * @alert: the number of the TLS alert that the peer sent; -1 for none
 * @closed: the peer has closed the connection, or reset it
 * @late: the peer has not answered in time
 * @plain: the peer's bytes are none of TLS
 * @text: a sentence, owned
 */
struct doctor_link_end {
	int alert;
	bool closed;
	bool late;
	bool plain;
	char *text;
};

void doctor_link_end_clear(struct doctor_link_end *end);
typedef struct doctor_link_end doctor_link_end;
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(doctor_link_end, doctor_link_end_clear)

/**
 * doctor_link_handshake() - run the client's part of a TLS 1.3 handshake.
 * @identity, @psk: the key; copied
 * @policy: the ciphers that may be used
 *
 * Return: 0; -ENOTSUP when GnuTLS or the policy cannot do a key of this hash; -EPROTO with @end
 * filled.
 */
int doctor_link_handshake(struct doctor_link *link, const char *identity, const secret *psk,
			  const struct policy *policy, doctor_link_end *end);

/** doctor_link_cipher() - the cipher of the handshake, static. */
const char *doctor_link_cipher(const struct doctor_link *link);

/** doctor_link_send() - send all of @bytes. Return: 0; -EPROTO with @end filled. */
int doctor_link_send(struct doctor_link *link, const void *bytes, size_t len, doctor_link_end *end);

/** doctor_link_receive() - receive exactly @len bytes; session tickets are read and dropped. */
int doctor_link_receive(struct doctor_link *link, void *bytes, size_t len, doctor_link_end *end);
