/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The recording of the daemon's handshakes: what its file looks like, and how it is read. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <glib.h>

#include "common/keyring.h"

/*
 * The broker keeps a recording in a file of fixed size that it has mapped: what it is doing now, how
 * many handshakes have ended for which cause, and the last of them. It writes by memory copies alone
 * (tlshd/broker/recorder.h); anybody who may read the file reads it, the broker being alive or not.
 *
 *	struct recording_head		what the file is; written once
 *	struct recording_state		what changes; under a sequence number
 *	struct recording_cause[]	the causes by the numbers that this file gives them; only grows
 *	struct recording_slot[]		the ring; each slot under a sequence number
 *
 * A sequence number is odd while what stands under it is written. All numbers are in the byte order of
 * the machine, and all structs are made of whole words of 8 bytes without padding, so that they can be
 * copied by word.
 *
 * Causes have their texts in the file: so a tool of another build than the daemon's can read it, and a
 * daemon that was upgraded can go on in it. RECORDING_VERSION changes with the layout; a daemon starts
 * an older file of another version, or of another boot, anew.
 */
#define RECORDING_DIR "/run/tlshd"
#define RECORDING_MAGIC "tlshdrec"
#define RECORDING_VERSION 1

/* Handshakes that the daemon keeps. A file may have another number of them. */
#define RECORDING_SLOTS 4096
#define RECORDING_SLOTS_MAX 65536

#define RECORDING_CAUSES_MAX 128
#define RECORDING_WORKERS_MAX 128
#define RECORDING_KEYRINGS_MAX 16

/* Durations from 1 microsecond to 18 minutes, eight buckets for each power of two. */
#define RECORDING_BUCKETS 224

/* A longer identity is cut: that of NVMe with two longest NQNs and a SHA-384 digest fits. */
#define RECORDING_IDENTITY_SIZE 544
#define RECORDING_DETAIL_SIZE 168
#define RECORDING_NAME_SIZE 24

enum recording_side { RECORDING_CLIENT, RECORDING_SERVER, RECORDING_UNKNOWN, RECORDING_SIDES };

/** enum recording_phase - of the daemon. */
enum recording_phase {
	RECORDING_STARTING, /* no worker has been born yet */
	RECORDING_SERVING,
	RECORDING_STOPPING, /* finishes what it has */
	RECORDING_STOPPED,
};

/** enum recording_work - what a worker is doing. */
enum recording_work {
	RECORDING_UNBORN,
	RECORDING_WORKS,
	RECORDING_RETIRED, /* finishes what it has, and takes no more */
	RECORDING_LEAVING, /* lost or dismissed; its process has not ended yet */
	RECORDING_WORKS_N,
};

/**
 * struct recording_head - what the file is.
 * @magic: RECORDING_MAGIC, without its NUL
 * @slots: of the ring
 * @boot: the boot's ID, 16 bytes
 */
struct recording_head {
	char magic[8];
	uint32_t version;
	uint32_t head_size;
	uint32_t state_size;
	uint32_t cause_size;
	uint32_t slot_size;
	uint32_t slots;
	uint8_t boot[16];
};

/**
 * struct recording_worker - a worker.
 * @pid: 0 before it is born
 * @work: an enum recording_work
 * @jobs: those that it has
 * @unrun: of them, those that it has not come to yet
 * @since: when it was asked for, usec of the real time
 */
struct recording_worker {
	int32_t pid;
	uint32_t work;
	uint32_t jobs;
	uint32_t unrun;
	uint64_t since;
};

struct recording_keyring {
	key_serial serial;
	char name[60];
};

/**
 * struct recording_gauges - what is going on.
 * @phase: an enum recording_phase
 * @in_flight: requests that the kernel waits for
 * @waiting: of them, those whose peer has not sent a byte
 * @ready: of them, those that no worker has taken yet
 * @wanted: workers that there are to be
 * @lost: workers that have died since the daemon's start, or were ended for what they did
 * @workers: that there are
 */
struct recording_gauges {
	uint32_t phase;
	uint32_t in_flight;
	uint32_t waiting;
	uint32_t ready;
	uint32_t wanted;
	uint32_t lost;
	uint32_t workers;
	uint32_t pad;
	struct recording_worker worker[RECORDING_WORKERS_MAX];
};

/**
 * struct recording_state - what changes; times are usec of the real time.
 * @made: when the file was made: its counts are since then
 * @starts: daemons that have written it
 * @started: when the last of them was
 * @configured: when the configuration that is in force was read
 * @updated: when the daemon changed something here
 * @next: handshakes that have ended, and so the number of the next one
 * @pid: of the daemon
 * @build: which one, see version_of_build()
 * @config: the path of its configuration, "" for none
 * @keyrings, @keyring: those that it has linked and takes keys from
 * @causes: that have a number in this file
 * @counts: handshakes by side and cause
 * @durations: of those that succeeded, by side; see recording_bucket()
 * @duration_sums: of the same, usec
 */
struct recording_state {
	uint64_t made;
	uint64_t starts;
	uint64_t started;
	uint64_t configured;
	uint64_t updated;
	uint64_t next;
	int32_t pid;
	uint32_t keyrings;
	uint32_t causes;
	uint32_t pad;
	char build[64];
	char config[256];
	struct recording_keyring keyring[RECORDING_KEYRINGS_MAX];
	struct recording_gauges now;
	uint64_t counts[RECORDING_SIDES][RECORDING_CAUSES_MAX];
	uint64_t durations[RECORDING_SIDES][RECORDING_BUCKETS];
	uint64_t duration_sums[RECORDING_SIDES];
};

/** struct recording_cause - why a handshake ended, see struct cause_info. Number 0 is success. */
struct recording_cause {
	char id[32];
	char sentence[192];
	char remedy[288];
};

/**
 * struct recording_entry - a handshake that has ended.
 * @number: handshakes that had ended before it
 * @ended: usec, real time
 * @ended_monotonic: the same, since the boot
 * @duration: usec, from ACCEPT to the end
 * @side: an enum recording_side
 * @cause: a number of this file
 * @status: what the kernel was told in DONE, 0 or a positive errno
 * @key: the serial of the key, 0 for none
 * @worker: the process that ran it, 0 for none
 * @alert: that we sent, -1 for none
 * @family, @port, @address: the peer; AF_INET, AF_INET6 or AF_UNSPEC, host order, network order
 * @cipher, @group: by GnuTLS's names; "" for none
 * @identity: of the key, as the peer or the kernel had it, or the name in the peer's certificate: not fit
 *	for a terminal
 * @detail: follows the cause's sentence; "" for none
 */
struct recording_entry {
	uint64_t number;
	uint64_t ended;
	uint64_t ended_monotonic;
	uint64_t duration;
	uint32_t side;
	uint32_t cause;
	int32_t status;
	key_serial key;
	int32_t worker;
	int32_t alert;
	uint32_t family;
	uint32_t port;
	uint8_t address[16];
	char cipher[RECORDING_NAME_SIZE];
	char group[RECORDING_NAME_SIZE];
	char identity[RECORDING_IDENTITY_SIZE];
	char detail[RECORDING_DETAIL_SIZE];
};

/** struct recording_slot - @sequence is 2 * number + 1 while the entry is written, and one more after. */
struct recording_slot {
	uint64_t sequence;
	struct recording_entry entry;
};

/** struct recording_file - the file, with no slot yet. */
struct recording_file {
	struct recording_head head;
	uint64_t sequence; /* of the state */
	struct recording_state state;
	struct recording_cause cause[RECORDING_CAUSES_MAX];
	struct recording_slot slot[];
};

/** recording_file_size() - of a file with so many slots, in bytes. */
size_t recording_file_size(uint32_t slots);

/** recording_bucket() - where a duration is counted: below RECORDING_BUCKETS. */
unsigned int recording_bucket(uint64_t usec);

/** recording_bucket_floor() - the shortest duration of a bucket; of RECORDING_BUCKETS, all are shorter. */
uint64_t recording_bucket_floor(unsigned int bucket);

/**
 * recording_percentile() - a duration that so many percent do not exceed.
 * @durations: RECORDING_BUCKETS counts
 * @percent: 1 to 100
 *
 * Return: usec, at most an eighth too long; 0 when nothing was counted.
 */
uint64_t recording_percentile(const uint64_t *durations, unsigned int percent);

/**
 * recording_path() - the file of the daemon in our network namespace: each has its own.
 * @dir: RECORDING_DIR but in tests
 *
 * Return: a new string, to be freed by g_free().
 */
char *recording_path(const char *dir);

/** recording_head_fill() - the head that a file of this version, this boot and @slots has. */
void recording_head_fill(struct recording_head *head, uint32_t slots);

/**
 * recording_state_check() - can this be trusted: is every string ended, every number in its range?
 *
 * Return: NULL when it can, else a static sentence.
 */
const char *recording_state_check(const struct recording_state *state);

/** recording_cause_check() - the same of a cause. */
const char *recording_cause_check(const struct recording_cause *cause);

/** struct recording - a copy of the file, checked; what the file becomes does not change it. */
typedef struct recording recording;

/**
 * recording_read() - copy the file.
 * @path: of recording_path(), or a copy of such a file
 * @out: set on success, to be freed by recording_free()
 * @why: set on failure, a static sentence
 *
 * The file is read and not mapped: it may be cut short meanwhile, or be anything.
 *
 * Return: 0; -EPROTONOSUPPORT for a file of another version; -EBADMSG for one that is none, or is
 * damaged; -ENOENT and other negative errnos of open(2).
 */
int recording_read(const char *path, recording **out, const char **why);
void recording_free(recording *r);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(recording, recording_free)

/** recording_state() - what the daemon was doing, or is: see recording_pid(). */
const struct recording_state *recording_state(const recording *r);

/**
 * recording_pid() - the daemon that was writing the file when it was read.
 *
 * Return: its process, which the kernel says, because it holds the file's lock; -1 when it is in another
 * PID namespace; 0 when there was none.
 */
int recording_pid(const recording *r);

/** recording_cause() - the cause of a number; of one that the file does not have, "unknown". */
const struct recording_cause *recording_cause(const recording *r, uint32_t cause);

/** recording_entries() - how many handshakes the copy has, the oldest first. */
size_t recording_entries(const recording *r);

/** recording_entry_at() - one of them, below recording_entries(). */
const struct recording_entry *recording_entry_at(const recording *r, size_t i);

/** recording_side_name() - "client", "server" or "unknown". */
const char *recording_side_name(uint32_t side);

/** recording_peer_text() - "192.0.2.7:4420", "[2001:db8::1]:4420", or "-"; to be freed by g_free(). */
char *recording_peer_text(const struct recording_entry *entry);
