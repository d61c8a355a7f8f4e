/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the broker, its workers and its signer say to each other: one message, one packet. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/identity.h"
#include "common/secret.h"
#include "netlink/upcall.h"
#include "tlshd/shared/credential.h"
#include "tlshd/shared/outcome.h"
#include "tlshd/shared/version.h"

/*
 * The life of a worker: its first message is BIRTH, by which it learns of which build the broker is,
 * what it is to be, and its settings; it answers BORN as soon as it can take a job. Both begin with
 * the version, and that part never changes, so that two builds can find out that they are two.
 * One that was forked finds BIRTH in its socket; one that systemd starts gets that socket by RING,
 * on its standard input.
 *
 * The life of a job: JOB goes to the worker, with the socket. RAN comes back, once, when the session
 * has run and waits for its peer. A server asks LOOKUP, once, and is answered KEY. DONE ends it, and comes once for each JOB, also after a DROP. A worker may
 * send LOG at any time, within a budget. What is allowed when is a table in broker/order.c.
 *
 * Where there are certificates, their credentials follow BIRTH, a CREDENTIAL for each. A signer answers
 * each with LOADED, before BORN. Then it gets a DESK for each worker, the other end of which the worker
 * has, and a GRANT for each job that may have a signature; a worker asks SIGN there and is answered
 * SIGNED. REFUSED accuses a worker that has asked for what was not granted.
 */
enum ipc_type {
	IPC_JOB = 1, /* broker to worker, with a descriptor */
	IPC_KEY = 2, /* broker to worker */
	IPC_RAN = 3, /* worker to broker */
	IPC_LOOKUP = 4, /* worker to broker */
	IPC_DONE = 5, /* worker to broker, with the descriptor of JOB */
	IPC_LOG = 6, /* worker to broker */
	IPC_BIRTH = 7, /* broker to worker */
	IPC_BORN = 8, /* worker to broker */
	IPC_DROP = 9, /* broker to worker: the job has ended without it */
	IPC_RING = 10, /* broker to worker, with a descriptor */
	IPC_CREDENTIAL = 11, /* broker to worker and signer, with a descriptor */
	IPC_LOADED = 12, /* signer to broker, with a descriptor or without */
	IPC_DESK = 13, /* broker to signer, with a descriptor */
	IPC_GRANT = 14, /* broker to signer, with a descriptor or without */
	IPC_SIGN = 15, /* worker to signer */
	IPC_SIGNED = 16, /* signer to worker */
	IPC_REFUSED = 17, /* signer to broker */
};

#define IPC_TEXT_MAX 511
/* The longest signature: ML-DSA-87's has 4,627 bytes. */
#define IPC_SIGNATURE_MAX 4632
/* The longest hash of a transcript that a TLS 1.3 cipher suite has (RFC 8446, B.4). */
#define IPC_HASH_MAX 48

/*
 * Changes with any message that passes between a broker and a worker that has been born, and with the
 * numbers of causes, which are in such messages and in what a broker leaves to the next one. A broker may
 * take over the workers of the one before it, of another build, as long as this is the same.
 */
#define IPC_VERSION 1
/* CAUSE_N of that version: a cause that is added or removed changes the numbers of others. */
#define IPC_CAUSES 78

/** struct ipc_header - how every message begins. @job is the broker's number of the job. */
struct ipc_header {
	uint32_t type;
	uint32_t job;
};

/**
 * struct ipc_job - a handshake to be made.
 * @side, @auth: as the kernel has them
 * @tickets: of a client: how many session tickets its server is known to send, -1 when that is unknown
 * @deadline_usec: of CLOCK_MONOTONIC
 * @psk, @identity: of a client that authenticates by a pre-shared key
 * @peername: of one that does by certificates, "" where the kernel does not say
 */
struct ipc_job {
	struct ipc_header header;
	uint32_t side;
	uint32_t auth;
	int32_t tickets;
	uint32_t pad;
	uint64_t deadline_usec;
	secret psk;
	char identity[IDENTITY_MAX + 1];
	char peername[UPCALL_PEERNAME_SIZE];
};

/** struct ipc_key - @error is 0 or a positive errno. */
struct ipc_key {
	struct ipc_header header;
	uint32_t error;
	uint32_t pad;
	secret psk;
};

struct ipc_ran {
	struct ipc_header header;
};

struct ipc_lookup {
	struct ipc_header header;
	char identity[IDENTITY_MAX + 1];
};

/**
 * struct ipc_done - a session's outcome, as in struct outcome: @cause is one of a worker's, @cipher and
 * @group GnuTLS's numbers, @alert_sent -1 for none, @tickets what a client has learned of its server,
 * @certified 1 where the peer's certificate has been verified.
 */
struct ipc_done {
	struct ipc_header header;
	uint32_t cause;
	uint32_t cipher;
	uint32_t group;
	int32_t alert_sent;
	int32_t tickets;
	uint32_t certified;
	char detail[OUTCOME_DETAIL_MAX];
};

struct ipc_log {
	struct ipc_header header;
	uint32_t priority;
	char line[IPC_TEXT_MAX + 1];
};

enum ipc_role { IPC_ROLE_WORKER = 1, IPC_ROLE_SIGNER = 2 };

/**
 * struct ipc_birth - all that a new process has to know.
 * @version: version_of_build() of the broker
 * @role: what the process is to be
 * @credentials: CREDENTIAL messages that follow
 * @stay: of a signer: there will be private keys, even if there is none among them
 *
 * The rest is of the configuration, see struct config.
 */
struct ipc_birth {
	struct ipc_header header;
	char version[VERSION_SIZE];
	uint32_t role;
	uint32_t loglevel;
	uint32_t tls_debug;
	uint32_t sha384_compat;
	uint32_t lock_memory;
	uint32_t credentials;
	uint32_t stay;
};

/** struct ipc_born - the answer to BIRTH. @version: version_of_build() of the new process. */
struct ipc_born {
	struct ipc_header header;
	char version[VERSION_SIZE];
};

struct ipc_drop {
	struct ipc_header header;
};

struct ipc_ring {
	struct ipc_header header;
};

/* In the place of a credential's kind: the worker's end of its signer's desk. */
#define IPC_KIND_DESK CREDENTIAL_KINDS

/**
 * struct ipc_credential - one of those that are configured; or, before a JOB and with its number, the
 * certificate of that job, DER.
 *
 * @side: whose it is
 * @kind: enum credential_kind, or IPC_KIND_DESK
 * @cause: CAUSE_SUCCESS, or why it cannot be used
 * @text: of a success the path or the URL it comes from, else details of the cause
 *
 * Its content is a sealed file in memory, which goes with it; a token's URL has none.
 */
struct ipc_credential {
	struct ipc_header header;
	uint32_t side;
	uint32_t kind;
	uint32_t cause;
	uint32_t pad;
	char text[IPC_TEXT_MAX + 1];
};

/**
 * struct ipc_loaded - what has become of a credential.
 *
 * As struct ipc_credential. With a descriptor, workers are to be given that in place of the file.
 */
struct ipc_loaded {
	struct ipc_header header;
	uint32_t side;
	uint32_t kind;
	uint32_t cause;
	uint32_t pad;
	char text[IPC_TEXT_MAX + 1];
};

/** struct ipc_desk - the signer's end of a socket pair; @worker has the other one. */
struct ipc_desk {
	struct ipc_header header;
	uint32_t worker;
	uint32_t pad;
};

/**
 * struct ipc_grant - a worker may have one signature for the job, as this side and until then.
 *
 * With a descriptor it is by the private key in that, DER, and not by one of those that are configured.
 *
 * @deadline_usec: of CLOCK_MONOTONIC
 */
struct ipc_grant {
	struct ipc_header header;
	uint32_t worker;
	uint32_t side;
	uint64_t deadline_usec;
};

/**
 * struct ipc_sign - what a CertificateVerify is made of (RFC 8446, 4.4.3).
 * @pq: 1 for the key of CREDENTIAL_PQ_KEY
 * @algorithm: GnuTLS's number of the signature algorithm
 * @len: of the hash of the transcript
 */
struct ipc_sign {
	struct ipc_header header;
	uint32_t pq;
	uint32_t algorithm;
	uint32_t len;
	uint8_t hash[IPC_HASH_MAX];
};

/** struct ipc_signed - @error is 0 or a positive errno. */
struct ipc_signed {
	struct ipc_header header;
	uint32_t error;
	uint32_t len;
	uint8_t signature[IPC_SIGNATURE_MAX];
};

struct ipc_refused {
	struct ipc_header header;
	uint32_t worker;
	uint32_t pad;
};

union ipc_message {
	struct ipc_header header;
	struct ipc_job job;
	struct ipc_key key;
	struct ipc_ran ran;
	struct ipc_lookup lookup;
	struct ipc_done done;
	struct ipc_log log;
	struct ipc_birth birth;
	struct ipc_born born;
	struct ipc_drop drop;
	struct ipc_ring ring;
	struct ipc_credential credential;
	struct ipc_loaded loaded;
	struct ipc_desk desk;
	struct ipc_grant grant;
	struct ipc_sign sign;
	struct ipc_signed signature;
	struct ipc_refused refused;
};

/*
 * Who reads. A worker and a signer that the broker talks to are IPC_WORKER and IPC_SIGNER; at a desk
 * they are IPC_CUSTOMER and IPC_DESK_OF_SIGNER, so that nobody takes one's word for the broker's.
 */
enum ipc_end {
	IPC_BROKER, /* of a worker's message */
	IPC_BROKER_OF_SIGNER,
	IPC_WORKER,
	IPC_SIGNER,
	IPC_DESK_OF_SIGNER,
	IPC_CUSTOMER,
	IPC_ENDS,
};

/** ipc_pair() - a socket for each end, close-on-exec. Return: 0 or a negative errno. */
int ipc_pair(int *broker, int *worker);

/** ipc_ring() - connect to the socket at @path without waiting. Return: it, or a negative errno. */
int ipc_ring(const char *path);

/**
 * ipc_check() - is this a message that @reader may get?
 * @len: bytes received
 *
 * Checked are type and direction, length, every string's end, every length within, every number's
 * range. Whether the job exists and may say so is the reader's to check.
 *
 * Return: NULL when it is, else a static sentence.
 */
const char *ipc_check(enum ipc_end reader, const union ipc_message *m, size_t len);

/**
 * ipc_send() - send one message of the length that its type has.
 * @fd: a descriptor to go with it, or -1
 * @wait: wait for room; else -EAGAIN when there is none
 *
 * Return: 0 or a negative errno.
 */
int ipc_send(int sock, const union ipc_message *m, int fd, bool wait);

/**
 * ipc_receive() - receive one message without waiting, and check it.
 * @fd: where not NULL, set to the descriptor that came with it, the caller's to close, or -1, also
 *	when there was no room for it in our table; where NULL, or with a type that has none, none may
 *	come
 * @why: on -EBADMSG a static sentence
 *
 * Return: 0; -EAGAIN when there is none; -EPIPE when the other end is closed; -EBADMSG.
 */
int ipc_receive(int sock, enum ipc_end reader, union ipc_message *m, int *fd, const char **why);

/**
 * ipc_await() - ipc_receive() for one who has nothing else to do.
 * @sock: its SO_RCVTIMEO is how long it waits
 *
 * Return: as ipc_receive(); -EAGAIN when the time is up.
 */
int ipc_await(int sock, enum ipc_end reader, union ipc_message *m, int *fd, const char **why);

/**
 * ipc_receive_birth() - ipc_receive() of the first message of a new process, which must be BIRTH.
 *
 * Return: as ipc_receive(), and -ESTALE when the broker is of another build: only @m->birth.version
 * is set then.
 */
int ipc_receive_birth(int sock, union ipc_message *m, const char **why);

/**
 * struct ipc_sender - who sent a message, as the kernel says.
 * @pidfd: the process, to be closed by the caller
 */
struct ipc_sender {
	pid_t pid;
	uid_t uid;
	int pidfd;
};

/** ipc_want_sender() - from now on, or no more, messages tell who sent them. */
void ipc_want_sender(int sock, bool want);

/**
 * ipc_receive_from() - ipc_receive() for the broker, with the sender.
 * @sock: after ipc_want_sender()
 * @reader: IPC_BROKER or IPC_BROKER_OF_SIGNER
 * @fd: as in ipc_receive()
 * @sender: set on success
 *
 * The pidfd comes with the message (Linux 6.5), and so is the sender's even if it has ended and its
 * number is another's; an older kernel is asked for one by number.
 *
 * Return: as ipc_receive(), and -EMFILE when our table has no room for the pidfd.
 */
int ipc_receive_from(int sock, enum ipc_end reader, union ipc_message *m, int *fd,
		     struct ipc_sender *sender, const char **why);
