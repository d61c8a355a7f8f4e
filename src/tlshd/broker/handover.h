/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a broker leaves to the next one: its jobs, as records in a ledger and in a queue. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "common/identity.h"
#include "common/keyring.h"
#include "netlink/upcall.h"
#include "tlshd/broker/peer.h"
#include "tlshd/shared/outcome.h"

/*
 * A job that is in a worker stands in the ledger, a file in memory that systemd keeps a descriptor of:
 * so it is there for the next broker even if this one is killed. The socket of such a job comes back
 * with the worker's DONE. A job that waits in the broker goes into the queue at a stop, with its
 * socket: a socket pair, of which systemd keeps the end that is read.
 *
 * Both may be written by one build and read by another. A record says how long its fixed part is:
 * members are only ever appended to that, 0 there means "not known", and a reader ignores what is
 * behind those it knows. If the meaning of a member has to change, HANDOVER_VERSION changes; a record
 * of another version is not understood.
 */
#define HANDOVER_VERSION 1

/* Numbers that do not change, unlike those of enum job_state. */
enum handover_state {
	HANDOVER_NEW = 1,
	HANDOVER_WAITING,
	HANDOVER_READY,
	HANDOVER_HANDED,
	HANDOVER_BEGUN,
	HANDOVER_ASKING,
	HANDOVER_UNKEYED,
	HANDOVER_KEYED,
	HANDOVER_ENDED,
};

/**
 * struct handover - a job.
 * @worker: process number of the worker that has it, 0 for none
 * @socket: SO_COOKIE of its socket
 * @certified, @group, @detail: of one that has ended, as in struct outcome
 * @cause, @cipher: of one that has ended; of a new one, why it is to fail, or CAUSE_SUCCESS
 * @identity, @peername: "" when there is none
 *
 * The rest is as in struct job.
 */
struct handover {
	uint32_t id;
	enum handover_state state;
	enum handshake_side side;
	enum handshake_auth auth;
	pid_t worker;
	key_serial keyring, key, certificate, private_key;
	key_serial named[UPCALL_PEERS_MAX];
	uint32_t n_named;
	uint32_t cause, cipher;
	bool certified;
	uint32_t group;
	uint64_t start, deadline;
	uint64_t socket;
	union peer peer;
	char identity[IDENTITY_MAX + 1];
	char peername[UPCALL_PEERNAME_SIZE];
	char detail[OUTCOME_DETAIL_MAX];
};

/* Room for any record. */
#define HANDOVER_RECORD_MAX 2048

/** handover_encode() - @record has room for HANDOVER_RECORD_MAX. Return: its length. */
size_t handover_encode(const struct handover *h, void *record);

/**
 * handover_decode() - one record of @len bytes, from whatever build.
 *
 * Return: 0 with @h filled; -EPROTONOSUPPORT for another version; -EBADMSG for what is no record.
 */
int handover_decode(const void *record, size_t len, struct handover *h);

/**
 * struct handover_file - the installed tlshd's versions, as of our start.
 * @fd: of the file, which keeps its name in the kernel's caches; -1 for none
 */
struct handover_file {
	int fd;
	struct stat st;
	bool agrees;
};

/** handover_look() - read the file @path, which the next tlshd brings with it. */
void handover_look(struct handover_file *file, const char *path);

/** handover_forget() - close what handover_look() has opened. */
void handover_forget(struct handover_file *file);

/**
 * handover_agrees() - will the tlshd that is installed now understand what this one leaves to it?
 * @file: from handover_look()
 * @path: the same
 *
 * The file is read only if it is another one than before, so this waits for no disk: what an upgrade has just
 * written is in the kernel's caches.
 *
 * Return: true as well if there is no such file, as in a build that is not installed.
 */
bool handover_agrees(const struct handover_file *file, const char *path);

/** handover_cookie() - the number that no other socket has until the next boot; 0 if there is none. */
uint64_t handover_cookie(int sockfd);

/** struct ledger - the jobs that are in workers. */
struct ledger;

/** ledger_new() - an empty one. Return: 0 with @out set, for ledger_free(); or a negative errno. */
int ledger_new(struct ledger **out);

/** ledger_free() - forget it; the file lasts as long as somebody has a descriptor of it. NULL is fine. */
void ledger_free(struct ledger *l);

/** ledger_fd() - its file, borrowed. */
int ledger_fd(const struct ledger *l);

/**
 * ledger_write() - a job's record, in place of what was there before.
 * @place: where it is; 0 for a new one
 *
 * A broker that is killed meanwhile leaves no half record: it leaves none.
 *
 * Return: its place; 0 when there is no memory for it.
 */
uint32_t ledger_write(struct ledger *l, uint32_t place, const struct handover *h);

/** ledger_erase() - @place is free again; 0 is fine. */
void ledger_erase(struct ledger *l, uint32_t place);

/**
 * ledger_read() - go through the ledger of another broker, of whatever build.
 * @fd: of the file
 * @each: called for each record
 *
 * Return: 0; -EPROTONOSUPPORT when it or a record in it is of another version; -EBADMSG when it is no
 * ledger, or a record in it is none; another negative errno.
 */
int ledger_read(int fd, void (*each)(void *ctx, const struct handover *h), void *ctx);

/** queue_open() - the two ends of a queue. Return: 0 or a negative errno. */
int queue_open(int *read_end, int *write_end);

/** queue_send() - without waiting. @sockfd: borrowed. Return: 0 or a negative errno. */
int queue_send(int write_end, const struct handover *h, int sockfd);

/**
 * queue_receive() - without waiting.
 * @sockfd: set to its socket, the caller's to close; to -1 when none came, also on failure
 *
 * Return: 0; -EAGAIN when there is nothing; -EPIPE when nothing more will come; -EPROTONOSUPPORT and
 * -EBADMSG as for handover_decode(); another negative errno.
 */
int queue_receive(int read_end, struct handover *h, int *sockfd);
