/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The broker's inside: requests (job.c), workers (pool.c), and the loop over both (broker.c). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <glib.h>
#include <systemd/sd-event.h>

#include "common/keyring.h"
#include "netlink/upcall.h"
#include "tlshd/broker/acceptor.h"
#include "tlshd/broker/broker.h"
#include "tlshd/broker/habits.h"
#include "tlshd/shared/deadlines.h"
#include "tlshd/shared/ipc.h"
#include "tlshd/broker/keys.h"
#include "tlshd/broker/stats.h"

/* A process that runs handshakes. */
struct worker {
	struct broker *broker;
	pid_t pid; /* 0 as long as systemd's has not said that it is born */
	int pidfd;
	int sock;
	sd_event_source *io;
	GQueue jobs; /* of struct job, by its link */
	unsigned int unrun; /* of them, those it has not run yet */
	bool retired; /* of an old configuration: finishes what it has */
	bool blocked; /* its socket is full */
	uint32_t stalled; /* the job whose key waits for room in it */
	GHashTable *late; /* numbers of jobs that have ended without its report */
	struct deadline patience; /* when it must have said something; running if @mute */
	bool mute;
	uint64_t born; /* usec, monotonic */
};

enum job_state {
	JOB_NEW, /* in broker->accepted, until the kernel's queue is empty */
	JOB_WAITING, /* for the peer's first byte, in broker->waiting */
	JOB_READY, /* for a worker, in broker->ready */
	JOB_RUNNING, /* in a worker */
	JOB_ENDED, /* the kernel is told a little later, see job_finish() */
};

/* Whom a socket is connected to; it does not tell once the peer has reset it. */
union peer_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* A request that the kernel waits for; ends in job_finish() and nowhere else. */
struct job {
	struct broker *broker;
	uint32_t id;
	int sockfd;
	enum handshake_side side;
	enum job_state state;
	key_serial keyring; /* of the request; 0 when unknown */
	key_serial key; /* found for it; 0 for none */
	unsigned int lookups;
	bool unrun;
	uint64_t start; /* usec, monotonic */
	struct deadline deadline;
	union peer_address peer;
	char *identity; /* agreed on, or last tried */
	struct outcome outcome; /* of one that has ended */
	struct worker *worker;
	GList link; /* in broker->accepted, broker->ready or worker->jobs */
};

struct broker {
	const struct broker_options *options;
	config *settings;
	sd_event *event;
	struct upcall *kernel;
	struct acceptor *acceptor; /* NULL where one thread has to do */
	int all; /* epoll set of the kernel and the event loop */
	sd_event_source *respawn; /* of workers that could not be started at once */
	sd_event_source *room; /* to take requests for which there was no descriptor */
	bool full; /* there are some, or may be */
	uint64_t full_at; /* usec, monotonic: when the log was last told of that */
	struct keys *keys;
	struct habits *habits;
	GHashTable *jobs; /* id to struct job */
	uint32_t last_id;
	guint untrimmed; /* jobs since the heap was last given back */
	struct deadlines deadlines; /* of all jobs but the ended ones */
	struct deadlines settling; /* when the kernel may be told of those */
	struct deadlines patience; /* of the workers that are late with a job */
	GQueue accepted; /* jobs that are still to be looked at */
	GQueue ready; /* jobs that a worker can go on with, in turn */
	int waiting; /* epoll set of the sockets without a first byte */
	GPtrArray *workers;
	union ipc_message *secret_message; /* pages that no fork inherits and no core shows */
	struct stats stats;
	bool process_keyring_used; /* an ACCEPT may have linked something into it */
	bool stopping;
};

/** job_new() - take @req over: its socket, its deadline from now on. */
struct job *job_new(struct broker *b, const struct upcall_request *req);

/** job_note_peer() - remember the peer's address for the log. */
void job_note_peer(struct job *j);

/** job_make_ready() - the next worker with room gets @j. */
void job_make_ready(struct broker *b, struct job *j);

/** job_wait() - until the peer's first byte; ready at once where it is there already. */
void job_wait(struct broker *b, struct job *j);

/**
 * job_finish() - tell the kernel and the log, and free @j.
 * @o: how it ended; the kernel's status follows from its cause
 *
 * A server's failure reaches the kernel 50 ms after its request at the earliest, a success 5 ms. The
 * target arms its own timer for a handshake only after it has asked for it (nvmet_tcp, 6.12 and 7.2),
 * and frees the connection when it hears of a failure: one that came first had that timer run on
 * freed memory, and any stranger could crash the machine by two lines of HTTP. A success that is
 * followed by a close at once is as dangerous, but takes two more turns of the peer.
 */
void job_finish(struct broker *b, struct job *j, const struct outcome *o);

/** job_fail() - job_finish() for a cause of the broker's; @detail may be NULL. */
void job_fail(struct broker *b, struct job *j, enum cause cause, const char *detail);

/** job_settled() - the passed() of broker->settling. */
void job_settled(void *owner);

/** jobs_stop_when_done() - end the loop if we are stopping and no job is left. */
void jobs_stop_when_done(struct broker *b);

/** side_name() - "client" or "server". */
const char *side_name(enum handshake_side side);

/**
 * broker_go_on() - have accepted jobs looked at, and ready ones given to workers as long as there
 * is room: one at a time, for the kernel's queue comes before each.
 */
void broker_go_on(struct broker *b);

/** pool_go_on() - one piece of that work. Return: is there another? */
bool pool_go_on(struct broker *b);

/** pool_spawn() - start the workers that are missing, now or, where that fails, a second later. */
void pool_spawn(struct broker *b);

/** pool_size() - workers of the present configuration. */
unsigned int pool_size(const struct broker *b);

/** pool_retire() - let every worker finish what it has and take no more. */
void pool_retire(struct broker *b);

/** pool_close() - end all workers. */
void pool_close(struct broker *b);

/**
 * worker_late() - the deadline of @j, which runs in a worker, has passed without a report.
 *
 * @j fails, and it alone: a worker that has more to do than time comes to it later. One that does
 * not say a word for some seconds more is lost.
 */
void worker_late(struct job *j);

/** worker_mute() - the passed() of broker->patience. */
void worker_mute(void *owner);

/**
 * worker_lost() - end @w: its jobs fail at once, and another takes its place.
 * @cause: a sentence's end, "it died"; NULL for one that has retired and is done
 */
void worker_lost(struct worker *w, const char *cause);
