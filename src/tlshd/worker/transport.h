/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bytes between GnuTLS and a peer's socket: what is replayed, what is buffered, and how much is taken. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <glib.h>
#include <gnutls/gnutls.h>

#include "tlshd/shared/cause.h"

#define RECORD_HEADER 5
#define RECORD_MAX 16384

/* ContentType (RFC 8446, 5.1) */
enum record_type {
	RECORD_CHANGE_CIPHER_SPEC = 20,
	RECORD_ALERT = 21,
	RECORD_HANDSHAKE = 22,
	RECORD_APPLICATION_DATA = 23,
};

/*
 * What a peer may send in one handshake. GnuTLS puts a message together anew with each record of it,
 * and would take 16 MiB of one: so both limits are what keeps the cost of a stranger's bytes down.
 * Two ClientHellos of the longest kind fit, and so do a server's flight and its tickets.
 */
#define TRANSPORT_BYTES_MAX (48 * 1024)
#define TRANSPORT_RECORDS_MAX 128

/**
 * struct transport - one connection, non-blocking.
 * @cause: why nothing more can come or go: CAUSE_PEER_CLOSED, CAUSE_CONNECTION_BROKE, CAUSE_TOO_MUCH,
 *	CAUSE_TOO_MANY_RECORDS; CAUSE_SUCCESS as long as something can
 * @error: the errno of CAUSE_CONNECTION_BROKE
 * @header: the first bytes of the record that is being received
 * @received, @records: what the peer has sent, records counted by their headers
 * @limit: the longest record that the peer takes, its content type counted; 0 for the usual length
 * @limit_offered, @fragment_code: what a client has said of it, for limit.c
 * @starved: GnuTLS has asked for bytes that were not there; else it can go on at once
 */
struct transport {
	int fd;
	gnutls_session_t tls;
	GByteArray *out;
	size_t sent; /* of out */
	GByteArray *replay;
	size_t replayed;
	enum cause cause;
	int error;
	uint8_t header[RECORD_HEADER];
	size_t header_len;
	size_t body_left;
	size_t received;
	unsigned int records;
	bool starved;
	size_t limit;
	bool limit_offered;
	unsigned char fragment_code;
};

/** transport_init() - for the stream socket @fd, which is borrowed. */
void transport_init(struct transport *t, int fd);
void transport_clear(struct transport *t);

/**
 * transport_attach() - let @tls send and receive through @t.
 *
 * What @tls sends is buffered until transport_flush(), or until it wants to receive: a flight is one
 * packet.
 */
void transport_attach(struct transport *t, gnutls_session_t tls);

/**
 * transport_replay() - have GnuTLS receive a handshake message before anything else.
 *
 * The message goes into records as full as they can be, however the peer has cut it.
 */
void transport_replay(struct transport *t, const void *message, size_t len);

/**
 * transport_receive() - up to @len bytes of the peer, without waiting.
 *
 * Return: how many; -EAGAIN; -EPROTO when it is over, for the reason that is in @t.
 */
ssize_t transport_receive(struct transport *t, void *data, size_t len);

/** transport_flush() - send what is buffered. Return: 0; -EAGAIN; -EPROTO as transport_receive(). */
int transport_flush(struct transport *t);

/**
 * transport_alert() - send a fatal alert, encrypted where GnuTLS has keys for it.
 *
 * Return: whether the socket has taken all of it.
 */
bool transport_alert(struct transport *t, int alert);

/**
 * transport_discard() - drop what has come behind a message that was refused.
 *
 * The consumer's close() resets a connection in which bytes were left unread, and a peer that is reset
 * may lose the alert.
 */
void transport_discard(struct transport *t);

/** transport_in_record() - has the peer begun a record that is not whole yet? */
bool transport_in_record(const struct transport *t);
