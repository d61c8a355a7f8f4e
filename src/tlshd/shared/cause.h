/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why a handshake ended: every ending has a name, and everything that follows from it is here. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * A cause is an identifier, not a sentence. A worker sends its number in DONE; the broker finds the
 * status for the kernel, the sentence for the log and the remedy in one table (cause.c). tlshd(8)
 * lists the causes by their ids, and tests/lint compares the two.
 *
 * To add one: a constant here, a row in cause.c, an entry in man/tlshd.8.
 */
enum cause {
	CAUSE_SUCCESS,

	/* keys and identities */
	CAUSE_NO_KEY,
	CAUSE_BAD_IDENTITY,
	CAUSE_KEY_ENDED,
	CAUSE_KEY_UNREADABLE,
	CAUSE_KEY_LENGTH,
	CAUSE_WRONG_KEY,
	CAUSE_SHA384_UNSUPPORTED,
	CAUSE_NO_KEY_NAMED,
	CAUSE_NAMED_KEY_MISSING,
	CAUSE_NAMED_KEY_UNREADABLE,

	/* what the peer says */
	CAUSE_NOT_TLS,
	CAUSE_PLAIN_NVME,
	CAUSE_PLAIN_HTTP,
	CAUSE_PLAIN_RPC,
	CAUSE_NO_TLS13,
	CAUSE_NO_PSK,
	CAUSE_NO_PSK_MODE,
	CAUSE_PSK_WITHOUT_DHE,
	CAUSE_NOTHING_IN_COMMON,
	CAUSE_POLICY,
	CAUSE_UNEXPECTED_MESSAGE,
	CAUSE_ILLEGAL_PARAMETER,
	CAUSE_HELLO_TOO_LONG,
	CAUSE_TOO_MANY_RECORDS,
	CAUSE_TOO_MUCH,
	CAUSE_EARLY_DATA,
	CAUSE_TLS_ERROR,
	CAUSE_NOT_AS_AGREED,

	/* certificates of the peer */
	CAUSE_EXPIRED,
	CAUSE_NOT_YET_VALID,
	CAUSE_WRONG_NAME,
	CAUSE_UNKNOWN_ISSUER,
	CAUSE_REVOKED,
	CAUSE_WRONG_PURPOSE,
	CAUSE_WEAK_CERTIFICATE,
	CAUSE_BAD_CERTIFICATE,
	CAUSE_BAD_SIGNATURE,

	/* our own certificates and keys */
	CAUSE_NO_CERTIFICATE,
	CAUSE_NO_CLIENT_CERTIFICATE,
	CAUSE_CREDENTIAL_UNREADABLE,
	CAUSE_CREDENTIAL_MALFORMED,
	CAUSE_KEY_MISFIT,
	CAUSE_TOKEN,
	CAUSE_TOKEN_LOCKED,
	CAUSE_SIGNER_GONE,

	/* what the peer says of us */
	CAUSE_PEER_REFUSES_CERTIFICATE,
	CAUSE_PEER_WANTS_CERTIFICATE,
	CAUSE_PEER_KNOWS_NO_ISSUER,
	CAUSE_PEER_KNOWS_NO_KEY,
	CAUSE_PEER_HAS_OTHER_KEY,
	CAUSE_PEER_REFUSES_PARAMETER,
	CAUSE_PEER_FINDS_NOTHING_IN_COMMON,
	CAUSE_PEER_INTERNAL_ERROR,
	CAUSE_PEER_ALERT,

	/* the connection and time */
	CAUSE_SILENT_PEER,
	CAUSE_GONE_EARLY,
	CAUSE_PEER_CLOSED,
	CAUSE_CONNECTION_BROKE,
	CAUSE_PEER_STALLED,
	CAUSE_CROWDED_OUT,
	CAUSE_GIVEN_UP,

	/* ourselves */
	CAUSE_NO_ROOM,
	CAUSE_NOT_RUN,
	CAUSE_WORKER_LATE,
	CAUSE_WORKER_LOST,
	CAUSE_WORKER_LIED,
	CAUSE_NO_WORKER,
	CAUSE_NO_MEMORY,
	CAUSE_NO_DESCRIPTOR,
	CAUSE_NO_TLS_MODULE,
	CAUSE_KTLS,
	CAUSE_RECORD_LIMIT,
	CAUSE_STOPPING,

	/* the kernel */
	CAUSE_BAD_REQUEST,
	CAUSE_UNSUPPORTED_AUTH,
	CAUSE_NOT_TCP,
	CAUSE_DONE_REFUSED,

	CAUSE_N,
};

/* No alert goes with the cause, or GnuTLS chooses it. */
#define CAUSE_NO_ALERT (-1)

/**
 * struct cause_info - all that follows from a cause.
 * @id: a word for the log, for scripts and for the headings of tlshd(8): "no-key"
 * @status: what the kernel is told in DONE, a positive errno. The NVMe host never tries again after
 *	EKEYREJECTED and ENOKEY, so these are for a key that is wrong or missing and for nothing that
 *	may pass
 * @alert: what the peer is told (RFC 8446, section 6), or CAUSE_NO_ALERT
 * @of_worker: a worker may report it; the others are the broker's own
 * @sentence: for the log; a detail may follow it
 * @remedy: what an administrator does about it, a sentence
 */
struct cause_info {
	const char *id;
	int status;
	int alert;
	bool of_worker;
	const char *sentence;
	const char *remedy;
};

/** cause_info() - the row of @cause, which must be below CAUSE_N. Never NULL; static. */
const struct cause_info *cause_info(enum cause cause);

/**
 * cause_status() - what the kernel is told in DONE.
 * @certified: the handshake was to be one with certificates, of NFS
 *
 * The NFS client knows two kinds of failures (xs_tls_handshake_done() in Linux): ETIMEDOUT is tried
 * again, without end, and anything else ends the mount as EACCES does. So it gets ETIMEDOUT for what
 * may pass and EACCES for the rest; nfsd closes the connection for any of them.
 *
 * Return: 0 for a success, a positive errno.
 */
int cause_status(enum cause cause, bool certified);

/** cause_is_of_worker() - may a worker report the cause of this number? False for unknown ones. */
bool cause_is_of_worker(unsigned int cause);

/** cause_from_id() - the cause that @id names, or -1. */
int cause_from_id(const char *id);
