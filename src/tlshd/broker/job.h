/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The requests that the kernel waits for: ids, states, deadlines, and their one end. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <glib.h>
#include <systemd/sd-event.h>

#include "common/keyring.h"
#include "netlink/upcall.h"
#include "tlshd/broker/acceptor.h"
#include "tlshd/broker/handover.h"
#include "tlshd/broker/peer.h"
#include "tlshd/broker/recorder.h"
#include "tlshd/shared/deadlines.h"
#include "tlshd/shared/outcome.h"

/* From JOB_HANDED on the job is in a worker; what moves it from there is a table (order.c). */
enum job_state {
	JOB_NEW, /* nobody has looked at it yet */
	JOB_HELD, /* for certificates and keys that are being loaded */
	JOB_WAITING, /* for its peer's first byte */
	JOB_READY, /* for a worker */
	JOB_HANDED, /* its worker has not said a word about it */
	JOB_BEGUN, /* its worker waits for its peer */
	JOB_ASKING, /* its worker asks for a key */
	JOB_UNKEYED, /* there was none */
	JOB_KEYED, /* its worker was given a key */
	JOB_ENDED, /* the kernel is told a little later, see job_end() */
};

/* The worker that a job is in; the pool's. */
struct pool_worker;

/**
 * struct job - a request; to be changed by the functions below, and by who is named.
 * @all: the jobs it belongs to
 * @id: its number, for ipc and the log; not 0
 * @sockfd: the kernel's socket; -1 for a restored job whose worker has the only descriptor
 * @auth: how the two ends prove who they are
 * @peername: of a client that verifies a certificate: whom the kernel wants to speak to, else NULL; owned
 * @certificate, @private_key: keys with those of a client whose mount names them, else 0
 * @keyring: of the request, 0 when unknown
 * @named, @n_named: the keys that the kernel names for a client
 * @key: found for it, 0 for none; set by intake and pool
 * @identity: a client's own, or the one that was looked up; owned; set by intake and pool
 * @worker: where it is, from JOB_HANDED on; the pool's
 * @worker_pid: the process, also after the job's end; 0 before JOB_HANDED; the pool's
 * @place: in the ledger, 0 for none
 * @cookie: of its socket, for the ledger; 0 when not asked for yet
 * @start: usec, monotonic
 * @deadline: until when it must be over
 * @load: of credentials, that one that is held waits for; set by intake
 * @patience: how long it waits for that at most, if it can do without
 * @mark: the ACCEPT that brought it
 */
struct job {
	struct jobs *all;
	uint32_t id;
	int sockfd;
	enum handshake_side side;
	enum handshake_auth auth;
	enum job_state state;
	char *peername;
	key_serial certificate;
	key_serial private_key;
	key_serial keyring;
	key_serial named[UPCALL_PEERS_MAX];
	size_t n_named;
	key_serial key;
	char *identity;
	struct pool_worker *worker;
	pid_t worker_pid;
	uint32_t place;
	uint64_t cookie;
	uint64_t start;
	struct deadline deadline;
	uint64_t load;
	struct deadline patience;
	struct accept_mark mark;
	union peer peer;
	struct outcome outcome; /* of one that has ended */
	bool stranger; /* a server's that has not finished its ClientHello */
	GQueue *queue; /* where it is in */
	GList link;
};

/** struct jobs - all of them. */
struct jobs;

/**
 * jobs_new() - none yet.
 * @out: set on success, to be freed by jobs_free()
 * @kernel: is told how each ends; borrowed
 * @late: called for a job whose deadline has passed, which it must end; and for one that is held when half
 *	of the time that it had left has passed, see job_is_held_long()
 *
 * Return: 0 or a negative errno.
 */
int jobs_new(struct jobs **out, sd_event *event, struct upcall *kernel,
	     void (*late)(void *ctx, struct job *j), void *ctx);

/** jobs_record() - from now on @recorder is told how each ends; borrowed, NULL for none. */
void jobs_record(struct jobs *js, struct recorder *recorder);

/** jobs_free() - end those that are left for CAUSE_STOPPING. NULL is fine. */
void jobs_free(struct jobs *js);

/** jobs_count() - those that the kernel waits for. */
unsigned int jobs_count(const struct jobs *js);

/** jobs_new_one() - the oldest in JOB_NEW, or NULL. */
struct job *jobs_new_one(const struct jobs *js);

/**
 * jobs_ready_one(), jobs_ready_count() - that in JOB_READY whose deadline comes first, or NULL, and how many
 * there are.
 */
struct job *jobs_ready_one(const struct jobs *js);
unsigned int jobs_ready_count(const struct jobs *js);

/** jobs_find() - the job with this id, or NULL. */
struct job *jobs_find(const struct jobs *js, uint32_t id);

/** jobs_notify() - have "systemctl status" show the counts; at most once a second. */
void jobs_notify(struct jobs *js);

/**
 * jobs_crowded_out() - which of several jobs has to go when there is no room for more.
 * @queue: of struct job, the oldest first
 * @most: connections that a source must have for one of its to go, 0 at first; set to those of the
 *	source that has the most here, for another queue
 *
 * Of the CROWD_WINDOW oldest it is the oldest stranger of the source that has the most in the whole
 * house. Who has had less than CROWD_USEC for its ClientHello stays, and nobody goes in its place who
 * has fewer.
 *
 * Return: it, or NULL.
 */
struct job *jobs_crowded_out(const struct jobs *js, const GQueue *queue, unsigned int *most);
#define CROWD_WINDOW 64
#define CROWD_USEC G_USEC_PER_SEC

/** jobs_waiting() - those in JOB_WAITING, the oldest first, for jobs_crowded_out(). */
const GQueue *jobs_waiting(const struct jobs *js);

/**
 * job_new() - take a request over: its socket, its deadline from now on.
 * @one: an ACCEPT that brought a socket
 *
 * A server's deadline is an eighth before the time that the consumer grants, 2 s at most. The target
 * has a timer of its own for that time (nvmet_tcp, 6.12 and 7.2), and for thousands of silent peers
 * a deadline equal to it would make DONE and that timer meet.
 */
struct job *job_new(struct jobs *js, const struct accepted *one);

/**
 * jobs_keep() - have a ledger say which jobs are in workers.
 * @l: borrowed until jobs_free() or jobs_hand_over()
 */
void jobs_keep(struct jobs *js, struct ledger *l);

/**
 * job_describe_new() - the record of a request that has just been accepted.
 * @cause: why it is to fail, or CAUSE_SUCCESS
 */
void job_describe_new(const struct accepted *one, enum cause cause, struct handover *h);

/** jobs_begin_apart() - give ids from now on that the broker before us has hardly given. */
void jobs_begin_apart(struct jobs *js);

/**
 * job_restore() - a job of the broker before us, which goes on where it was.
 * @sockfd: its socket, taken over; -1 for one in a worker, which then keeps its id
 * @queue: of the worker that has it; else NULL
 *
 * Return: it; NULL when it is over at once, or when its id is not free.
 */
struct job *job_restore(struct jobs *js, const struct handover *h, int sockfd, GQueue *queue);

/**
 * job_give_back() - the worker of a restored job has sent its socket.
 * @sockfd: taken over
 *
 * Return: true when it is the socket that this worker was given.
 */
bool job_give_back(struct job *j, int sockfd);

/**
 * jobs_hand_over() - leave all jobs to the next broker: those in workers stay in the ledger, the others
 * go into the queue. No job is left here.
 * @queue: the end that is written
 *
 * Return: how many could not be handed over, which have failed.
 */
unsigned int jobs_hand_over(struct jobs *js, int queue);

/**
 * jobs_stop_waiting() - end all that wait for their peer's first byte, for CAUSE_STOPPING.
 * jobs_stop_all() - and all that nobody has looked at, or that wait for a worker.
 */
void jobs_stop_waiting(struct jobs *js);
void jobs_stop_all(struct jobs *js);

/**
 * jobs_abandon() - end all for CAUSE_STOPPING, in a process that has no loop any more.
 * @kernel: is told; borrowed
 *
 * The kernel is told at once: to be called when the last ACCEPT was FAILURE_USEC ago (job.c).
 */
void jobs_abandon(struct jobs *js, struct upcall *kernel);

/** job_move() - into another state, at the end of @queue; NULL for none. */
void job_move(struct job *j, enum job_state state, GQueue *queue);

/** job_make_ready() - the next worker with room gets @j. */
void job_make_ready(struct job *j);

/** job_hold(), jobs_held_one(), jobs_held_count() - until the oldest of those that are held is taken out again. */
void job_hold(struct job *j);
struct job *jobs_held_one(const struct jobs *js);
unsigned int jobs_held_count(const struct jobs *js);

/** job_is_held_long() - is it held, and has time left, but no more than it needs? */
bool job_is_held_long(const struct job *j);

/** job_wait() - until the peer's first byte; ready at once where it is there already. */
void job_wait(struct job *j);

/**
 * job_end() - tell the log, and the kernel as soon as it may be told; then @j is freed.
 * @o: how it ended; the kernel's status follows from its cause
 *
 * The target arms its own timer for a handshake only after it has asked for it, and a DONE that comes
 * first makes that timer run on freed memory: any stranger could crash the machine by two lines of
 * HTTP. So the kernel hears of a server's end when the thread that took the request has slept since,
 * which leaves the CPU to the target, and 50 ms after the ACCEPT, 5 ms for a success, which takes the
 * peer two more turns.
 */
void job_end(struct job *j, const struct outcome *o);

/** job_fail() - job_end() for a cause of the broker's; @detail may be NULL. */
void job_fail(struct job *j, enum cause cause, const char *detail);

/** job_is_certified() - are certificates to prove who the ends are, at least the server? */
bool job_is_certified(const struct job *j);

/** job_side() - "client" or "server". */
const char *job_side(const struct job *j);
