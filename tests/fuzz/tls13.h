/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The other end of a session under the fuzzer: enough of TLS 1.3 (RFC 8446) to put right what a
 * mutation has broken - binder, record keys, Certificate, CertificateVerify, Finished - so that the bytes
 * get past it. One hash, one cipher, one group: SHA-256, AES-128-GCM, X25519 with a private key that never
 * changes; and a certificate whose key is Ed25519.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <glib.h>

#define TLS13_IDENTITY "NVMe0R01 nqn.host nqn.io-1"
/* The PSK of that identity: 32 times this byte. */
#define TLS13_PSK_BYTE 7

/* What is put right in a record. */
enum tls13_fix { TLS13_FIX_FINISHED = 1, TLS13_FIX_VERIFY = 2, TLS13_FIX_CERTIFICATE = 4 };

struct tls13 {
	bool certified; /* by certificates, and not by the PSK */
	GByteArray *transcript; /* handshake messages so far */
	uint8_t secret[2][32]; /* traffic secrets of the client and of the server */
	uint8_t master[32];
	uint64_t sequence[2];
	bool keyed;
};

void tls13_init(struct tls13 *t, bool certified);
void tls13_clear(struct tls13 *t);

/* An honest ClientHello and ServerHello, with their record headers. */
GByteArray *tls13_client_hello(bool certified);
GByteArray *tls13_server_hello(bool certified);

/* Puts the last binder of a ClientHello right, where there is one to be found. */
void tls13_fix_binder(uint8_t *record, size_t len);

/* Adds the handshake messages of plain records to the transcript. */
void tls13_heard(struct tls13 *t, const uint8_t *record, size_t len);

/* Derives the traffic secrets from the transcript; the share that is not ours is found in @record. */
bool tls13_key(struct tls13 *t, const uint8_t *record, size_t len);

/* Takes the peer's encrypted record apart, into the transcript. @who: 0 client, 1 server. */
void tls13_open(struct tls13 *t, int who, const uint8_t *record, size_t len);

/*
 * A record of @type with the content, in which the last message is put right if it is one of @fix; of a
 * Certificate, which is to be the first, its issuer's signature of the certificate. Behind
 * its Finished a server goes on with the keys of application data.
 */
GByteArray *tls13_seal(struct tls13 *t, int who, uint8_t type, const uint8_t *data, size_t len,
		       unsigned int fix);
