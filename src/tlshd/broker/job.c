// SPDX-License-Identifier: GPL-2.0-or-later
/* The requests that the kernel waits for: ids, states, deadlines, and their one end. */
#include "tlshd/broker/job.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "tlshd/broker/crowd.h"
#include "tlshd/broker/job-report.h"
#include "tlshd/broker/rival.h"
#include "tlshd/broker/stats.h"
#include "tlshd/broker/tally.h"
#include "tlshd/shared/memory.h"

/* What a consumer grants that does not say: NVMe and the NFS client 10 s, nfsd 5 s. */
#define DEFAULT_TIMEOUT_MS 10000
#define DEFAULT_TIMEOUT_OF_NFSD_MS 5000
/* Any number but 0 tells nfsd that the client's certificate was verified; no key has this one. */
#define REMOTE_CERTIFIED (-1)
#define MAX_TIMEOUT_MS (10 * 60 * 1000)
/* A server's deadline is so much before the consumer's own. */
#define MARGIN_PART 8
#define MARGIN_USEC_MAX (2 * G_USEC_PER_SEC)
/* What the target needs to arm its timer; see job_end(). */
#define FAILURE_USEC (50 * UINT64_C(1000))
#define SUCCESS_USEC (5 * UINT64_C(1000))
/* The next look whether the accepting thread has slept. */
#define SETTLE_USEC (2 * UINT64_C(1000))
/* This many jobs leave a heap worth giving back, once all are done. */
#define TRIM_FROM 512
/* Sockets taken out of the waiting set before the loop looks at the kernel again. */
#define WAKE_BATCH 2

struct jobs {
	struct upcall *kernel;
	GHashTable *all; /* id to struct job */
	uint32_t last_id;
	guint untrimmed; /* jobs since the heap was last given back */
	GQueue fresh, held, waiting;
	/* Who was granted the same time comes in the order of the deadlines, so each needs no sorting. */
	GQueue ready, ready_of_nfsd;
	GQueue unslept; /* ended, and settled but for the sleep of the thread that took them */
	sd_event_source *look; /* for those: has it slept? */
	int first_bytes; /* epoll set of those that wait */
	sd_event_source *first_byte;
	struct deadlines deadlines; /* of all but the ended ones */
	struct deadlines settling; /* when the kernel may be told of those */
	struct ledger *ledger; /* NULL when nobody will read it */
	struct crowd *crowd;
	struct tally *tally;
	sd_event_source *tally_timer;
	struct stats stats;
	struct recorder *recorder;
	void (*late)(void *ctx, struct job *j);
	void *ctx;
};

static uint64_t now(void)
{
	return (uint64_t)g_get_monotonic_time();
}

const char *job_side(const struct job *j)
{
	return j->side == HANDSHAKE_CLIENT   ? "client"
	       : j->side == HANDSHAKE_SERVER ? "server"
					     : "unknown";
}

bool job_is_certified(const struct job *j)
{
	return j->auth == HANDSHAKE_X509 || j->auth == HANDSHAKE_UNAUTH;
}

/* ---- states ---- */

static void set_stranger(struct job *j, bool stranger)
{
	if (j->stranger == stranger)
		return;
	j->stranger = stranger;
	if (stranger)
		crowd_enter(j->all->crowd, peer_source(&j->peer));
	else
		crowd_leave(j->all->crowd, peer_source(&j->peer));
}

/* What the states are called for other builds. */
static const enum handover_state handover_states[] = {
	[JOB_NEW] = HANDOVER_NEW,	  [JOB_WAITING] = HANDOVER_WAITING,
	[JOB_READY] = HANDOVER_READY,	  [JOB_HANDED] = HANDOVER_HANDED,
	[JOB_BEGUN] = HANDOVER_BEGUN,	  [JOB_ASKING] = HANDOVER_ASKING,
	[JOB_UNKEYED] = HANDOVER_UNKEYED, [JOB_KEYED] = HANDOVER_KEYED,
	[JOB_HELD] = HANDOVER_NEW,	  [JOB_ENDED] = HANDOVER_ENDED,
};

static enum job_state state_of(enum handover_state state)
{
	for (size_t i = 0; i < G_N_ELEMENTS(handover_states); i++)
		if (handover_states[i] == state)
			return (enum job_state)i;
	return JOB_NEW;
}

static bool is_in_worker(const struct job *j)
{
	return j->state >= JOB_HANDED && j->state < JOB_ENDED;
}

static void describe(const struct job *j, struct handover *h)
{
	*h = (struct handover){
		.id = j->id,
		.state = handover_states[j->state],
		.side = j->side,
		.auth = j->auth,
		.worker = is_in_worker(j) ? j->worker_pid : 0,
		.keyring = j->keyring,
		.key = j->key,
		.certificate = j->certificate,
		.private_key = j->private_key,
		.n_named = (uint32_t)j->n_named,
		.cause = j->state == JOB_ENDED ? j->outcome.cause : CAUSE_SUCCESS,
		.cipher = j->outcome.cipher,
		.certified = j->outcome.certified,
		.group = j->outcome.group,
		.start = j->start,
		.deadline = j->deadline.at,
		.socket = j->cookie,
		.peer = j->peer,
	};
	memcpy(h->named, j->named, sizeof(h->named));
	if (j->identity)
		g_strlcpy(h->identity, j->identity, sizeof(h->identity));
	if (j->state == JOB_ENDED)
		g_strlcpy(h->detail, j->outcome.detail, sizeof(h->detail));
	if (j->peername)
		g_strlcpy(h->peername, j->peername, sizeof(h->peername));
}

/* Whatever moves a job keeps the ledger right. */
static void note_in_ledger(struct job *j)
{
	struct handover h;

	if (!is_in_worker(j)) {
		ledger_erase(j->all->ledger, j->place);
		j->place = 0;
		return;
	}
	if (!j->cookie)
		j->cookie = handover_cookie(j->sockfd);
	describe(j, &h);
	j->place = ledger_write(j->all->ledger, j->place, &h);
}

void job_move(struct job *j, enum job_state state, GQueue *queue)
{
	if (j->state == JOB_WAITING)
		epoll_ctl(j->all->first_bytes, EPOLL_CTL_DEL, j->sockfd, NULL);
	if (j->queue)
		g_queue_unlink(j->queue, &j->link);
	j->state = state;
	j->queue = queue;
	if (queue)
		g_queue_push_tail_link(queue, &j->link);
	if (state > JOB_BEGUN)
		set_stranger(j, false);
	if (j->all->ledger)
		note_in_ledger(j);
}

static uint32_t timeout_of(const struct upcall_request *req)
{
	if (req->timeout_ms)
		return MIN(req->timeout_ms, MAX_TIMEOUT_MS);
	return req->auth != HANDSHAKE_PSK && req->side == HANDSHAKE_SERVER
		       ? DEFAULT_TIMEOUT_OF_NFSD_MS
		       : DEFAULT_TIMEOUT_MS;
}

static uint64_t deadline_of(const struct upcall_request *req, uint64_t start)
{
	uint64_t timeout_usec = timeout_of(req) * UINT64_C(1000);
	uint64_t margin = MIN(timeout_usec / MARGIN_PART, (uint64_t)MARGIN_USEC_MAX);

	return start + timeout_usec - (req->side == HANDSHAKE_CLIENT ? 0 : margin);
}

static uint32_t next_id(struct jobs *js)
{
	do
		js->last_id++;
	while (!js->last_id || jobs_find(js, js->last_id));
	return js->last_id;
}

/* Takes in a job that has its id, its side, its peer and its deadline. */
static void enter(struct job *j, enum job_state state, GQueue *queue)
{
	struct jobs *js = j->all;

	j->deadline.owner = j;
	j->patience.owner = j;
	j->link.data = j;
	g_hash_table_insert(js->all, GUINT_TO_POINTER(j->id), j);
	js->untrimmed++;
	deadlines_add(&js->deadlines, &j->deadline);
	set_stranger(j, j->side == HANDSHAKE_SERVER);
	job_move(j, state, queue);
}

struct job *job_new(struct jobs *js, const struct accepted *one)
{
	const struct upcall_request *req = &one->req;
	struct job *j = g_new0(struct job, 1);

	j->all = js;
	j->id = next_id(js);
	j->sockfd = req->sockfd;
	j->side = req->side;
	j->auth = req->auth;
	j->certificate = req->certificate;
	j->private_key = req->private_key;
	j->peername = *req->peername ? g_strdup(req->peername) : NULL;
	j->keyring = one->keyring;
	j->n_named = req->n_peers;
	memcpy(j->named, req->peers, sizeof(j->named));
	j->mark = one->mark;
	j->peer = one->peer;
	j->start = now();
	j->deadline.at = deadline_of(req, j->start);
	enter(j, JOB_NEW, &js->fresh);
	log_debug(1, "job %u: ACCEPTed a %s handshake, timeout %u ms, %zu keys named", j->id,
		  job_side(j), timeout_of(req), req->n_peers);
	return j;
}

static bool is_of_nfsd(const struct job *j)
{
	return job_is_certified(j) && j->side == HANDSHAKE_SERVER;
}

void job_make_ready(struct job *j)
{
	struct jobs *js = j->all;

	job_move(j, JOB_READY, is_of_nfsd(j) ? &js->ready_of_nfsd : &js->ready);
}

void job_hold(struct job *j)
{
	if (!j->patience.at) {
		j->patience.at = (now() + j->deadline.at) / 2;
		deadlines_add(&j->all->deadlines, &j->patience);
	}
	job_move(j, JOB_HELD, &j->all->held);
}

bool job_is_held_long(const struct job *j)
{
	return j->state == JOB_HELD && now() < j->deadline.at;
}

/* In a storm most ClientHellos have arrived by now: one call instead of three. */
static bool has_first_byte(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLRDHUP};

	return poll(&p, 1, 0) > 0;
}

void job_wait(struct job *j)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.u32 = j->id};

	if (has_first_byte(j->sockfd)) {
		job_make_ready(j);
	} else if (epoll_ctl(j->all->first_bytes, EPOLL_CTL_ADD, j->sockfd, &event) == 0) {
		job_move(j, JOB_WAITING, &j->all->waiting);
	} else {
		log_warning("job %u: cannot wait for its first byte (%m), a worker does", j->id);
		job_make_ready(j);
	}
}

static int on_first_byte(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct epoll_event event[WAKE_BATCH];
	struct jobs *js = userdata;
	int n = epoll_wait(js->first_bytes, event, WAKE_BATCH, 0);

	for (int i = 0; i < n; i++) {
		struct job *j = jobs_find(js, event[i].data.u32);

		if (j && j->state == JOB_WAITING)
			job_make_ready(j);
	}
	return 0;
}

struct job *jobs_crowded_out(const struct jobs *js, const GQueue *queue, unsigned int *most)
{
	uint64_t old = now() - CROWD_USEC;
	struct job *victim = NULL;
	unsigned int looked = 0;

	for (GList *l = queue->head; l && looked < CROWD_WINDOW; l = l->next, looked++) {
		struct job *j = l->data;
		unsigned int n = j->stranger && j->sockfd >= 0
					 ? crowd_count(js->crowd, peer_source(&j->peer))
					 : 0;

		if (!n || n < *most || (n == *most && victim))
			continue;
		*most = n;
		victim = j->start <= old ? j : NULL;
	}
	return victim;
}

/* ---- the end ---- */

/* A flood of strangers' failures is summed up; who was given a key has a line in any case. */
static bool has_line(struct job *j)
{
	struct jobs *js = j->all;

	if (j->side != HANDSHAKE_SERVER || j->key)
		return true;
	if (!tally_has_some(js->tally)) {
		sd_event_source_set_time_relative(js->tally_timer, G_USEC_PER_SEC);
		sd_event_source_set_enabled(js->tally_timer, SD_EVENT_ONESHOT);
	}
	return tally_count(js->tally, &j->peer, j->outcome.cause);
}

static int on_tally(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct jobs *js = userdata;

	tally_write(js->tally);
	return 0;
}

static void log_outcome(struct job *j)
{
	bool failed = j->outcome.cause != CAUSE_SUCCESS;

	job_report_record(j, j->all->recorder);
	if (!failed || has_line(j))
		job_report_log(j, failed ? rival_text(j->all->kernel) : NULL);
}

static void forget(struct job *j)
{
	struct jobs *js = j->all;

	job_move(j, JOB_ENDED, NULL);
	g_hash_table_remove(js->all, GUINT_TO_POINTER(j->id));
	if (j->sockfd >= 0)
		accept_close(j->sockfd);
	g_free(j->identity);
	g_free(j->peername);
	g_free(j);
	if (!jobs_count(js) && js->untrimmed >= TRIM_FROM) {
		memory_trim();
		js->untrimmed = 0;
	}
}

/* Who the peer is, as far as the kernel asks; nfsd believes any number, so it must be deserved. */
static int32_t remote_of(const struct job *j)
{
	if (j->outcome.cause != CAUSE_SUCCESS)
		return 0;
	if (!job_is_certified(j))
		return j->key;
	return j->side == HANDSHAKE_SERVER && j->outcome.certified ? REMOTE_CERTIFIED : 0;
}

static int tell_kernel(const struct job *j)
{
	int status = cause_status(j->outcome.cause, job_is_certified(j));
	int32_t remote = remote_of(j);
	int r = -ENOTSOCK;

	/* A worker that has died with the only descriptor leaves its consumer's own timer. */
	if (j->sockfd >= 0)
		r = upcall_done(j->all->kernel, j->sockfd, status, remote);
	log_debug(2, "job %u: DONE with status %d: %s", j->id, status,
		  r < 0 ? g_strerror(-r) : "taken");
	log_netlink("netlink: DONE: socket %d, status %d, remote 0x%08x: %s", j->sockfd, status,
		    (unsigned int)remote, r < 0 ? g_strerror(-r) : "taken");
	return r;
}

/* A success is in the log when the kernel has taken it; a failure has been there since it happened. */
static void report(struct job *j)
{
	bool success = j->outcome.cause == CAUSE_SUCCESS;
	int r = tell_kernel(j);

	if (success) {
		if (r == -EBUSY)
			outcome_set(&j->outcome, CAUSE_GIVEN_UP, NULL);
		else if (r < 0)
			outcome_set(&j->outcome, CAUSE_DONE_REFUSED, "%s", g_strerror(-r));
		log_outcome(j);
		stats_count(&j->all->stats, r == 0);
	}
	forget(j);
}

static uint64_t settled_at(const struct job *j)
{
	return j->start + (j->outcome.cause == CAUSE_SUCCESS ? SUCCESS_USEC : FAILURE_USEC);
}

static bool is_settled(const struct job *j)
{
	return j->side == HANDSHAKE_CLIENT ||
	       (now() >= settled_at(j) && accept_has_slept(&j->mark));
}

static void look_in(struct jobs *js, uint64_t usec)
{
	sd_event_source_set_time_relative(js->look, usec);
	sd_event_source_set_enabled(js->look, SD_EVENT_ONESHOT);
}

/*
 * One look for all of them. A look for each would take the loop, with some hundred jobs, longer than
 * the time between two looks: it would never sleep, which is what they all wait for.
 */
static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct jobs *js = userdata;
	struct job *j = g_queue_peek_head(&js->unslept);
	bool settled = j && is_settled(j);

	if (settled)
		report(j);
	if (js->unslept.length)
		look_in(js, settled ? 0 : SETTLE_USEC);
	return 0;
}

static void settle(void *owner)
{
	struct job *j = owner;
	struct jobs *js = j->all;

	if (is_settled(j)) {
		report(j);
	} else if (now() < settled_at(j)) {
		j->deadline.at = settled_at(j);
		deadlines_add(&js->settling, &j->deadline);
	} else {
		if (!js->unslept.length)
			look_in(js, SETTLE_USEC);
		job_move(j, JOB_ENDED, &js->unslept);
	}
}

void job_end(struct job *j, const struct outcome *o)
{
	job_move(j, JOB_ENDED, NULL);
	j->worker = NULL;
	deadlines_remove(&j->deadline);
	deadlines_remove(&j->patience);
	j->outcome = *o;
	if (o->cause != CAUSE_SUCCESS) {
		log_outcome(j);
		stats_count(&j->all->stats, false);
	}
	settle(j);
}

void job_fail(struct job *j, enum cause cause, const char *detail)
{
	struct outcome o = OUTCOME_INIT;

	outcome_set(&o, cause, detail ? "%s" : NULL, detail);
	job_end(j, &o);
}

static void on_late(void *owner)
{
	struct job *j = owner;

	if (now() >= j->deadline.at || j->state == JOB_HELD)
		j->all->late(j->all->ctx, j);
}

/* ---- all of them ---- */

unsigned int jobs_count(const struct jobs *js)
{
	return g_hash_table_size(js->all);
}

struct job *jobs_new_one(const struct jobs *js)
{
	return g_queue_peek_head((GQueue *)&js->fresh);
}

struct job *jobs_held_one(const struct jobs *js)
{
	return g_queue_peek_head((GQueue *)&js->held);
}

unsigned int jobs_held_count(const struct jobs *js)
{
	return js->held.length;
}

/* nfsd has half of the others' time: behind all clients that mount, its handshakes would come too late. */
struct job *jobs_ready_one(const struct jobs *js)
{
	struct job *j = g_queue_peek_head((GQueue *)&js->ready);
	struct job *of_nfsd = g_queue_peek_head((GQueue *)&js->ready_of_nfsd);

	if (!j || !of_nfsd)
		return j ? j : of_nfsd;
	return of_nfsd->deadline.at < j->deadline.at ? of_nfsd : j;
}

unsigned int jobs_ready_count(const struct jobs *js)
{
	return js->ready.length + js->ready_of_nfsd.length;
}

const GQueue *jobs_waiting(const struct jobs *js)
{
	return &js->waiting;
}

struct job *jobs_find(const struct jobs *js, uint32_t id)
{
	return g_hash_table_lookup(js->all, GUINT_TO_POINTER(id));
}

void jobs_record(struct jobs *js, struct recorder *recorder)
{
	js->recorder = recorder;
}

void jobs_notify(struct jobs *js)
{
	stats_notify(&js->stats, jobs_count(js));
}

int jobs_new(struct jobs **out, sd_event *event, struct upcall *kernel,
	     void (*late)(void *ctx, struct job *j), void *ctx)
{
	struct jobs *js = g_new0(struct jobs, 1);
	int r;

	js->kernel = kernel;
	js->late = late;
	js->ctx = ctx;
	js->first_bytes = -1;
	js->all = g_hash_table_new(NULL, NULL);
	js->crowd = crowd_new();
	js->tally = tally_new();
	r = deadlines_init(&js->deadlines, event, on_late);
	if (r >= 0)
		r = deadlines_init(&js->settling, event, settle);
	if (r >= 0)
		r = sd_event_add_time(event, &js->tally_timer, CLOCK_MONOTONIC, UINT64_MAX, 0,
				      on_tally, js);
	if (r >= 0)
		r = sd_event_source_set_enabled(js->tally_timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time(event, &js->look, CLOCK_MONOTONIC, UINT64_MAX, 1, on_look,
				      js);
	if (r >= 0)
		r = sd_event_source_set_enabled(js->look, SD_EVENT_OFF);
	js->first_bytes = epoll_create1(EPOLL_CLOEXEC);
	if (r >= 0 && js->first_bytes < 0)
		r = -errno;
	if (r >= 0)
		r = sd_event_add_io(event, &js->first_byte, js->first_bytes, EPOLLIN, on_first_byte,
				    js);
	if (r < 0) {
		jobs_free(js);
		return r;
	}
	*out = js;
	return 0;
}

/* At a stop that waits for nobody. One that is not settled is left to the kernel's own timer. */
static void abandon(struct job *j)
{
	if (j->state != JOB_ENDED) {
		job_move(j, JOB_ENDED, NULL);
		outcome_set(&j->outcome, CAUSE_STOPPING, NULL);
		log_outcome(j);
	}
	deadlines_remove(&j->deadline);
	deadlines_remove(&j->patience);
	if (is_settled(j))
		report(j);
	else
		forget(j);
}

/* ---- from one broker to the next ---- */

void jobs_keep(struct jobs *js, struct ledger *l)
{
	js->ledger = l;
}

void job_describe_new(const struct accepted *one, enum cause cause, struct handover *h)
{
	const struct upcall_request *req = &one->req;

	*h = (struct handover){
		.state = HANDOVER_NEW,
		.side = req->side,
		.auth = req->auth,
		.keyring = one->keyring,
		.certificate = req->certificate,
		.private_key = req->private_key,
		.n_named = (uint32_t)req->n_peers,
		.cause = cause,
		.start = now(),
		.peer = one->peer,
	};
	h->deadline = deadline_of(req, h->start);
	memcpy(h->named, req->peers, sizeof(h->named));
	g_strlcpy(h->peername, req->peername, sizeof(h->peername));
}

void jobs_begin_apart(struct jobs *js)
{
	js->last_id = g_random_int();
}

static void go_on(struct job *j, const struct handover *h)
{
	switch (h->state) {
	case HANDOVER_WAITING:
		job_wait(j);
		break;
	case HANDOVER_READY:
		job_make_ready(j);
		break;
	case HANDOVER_ENDED: /* what was to be said of a failure is in the log */
		job_move(j, JOB_ENDED, NULL);
		deadlines_remove(&j->deadline);
		j->outcome.cause = h->cause;
		j->outcome.cipher = h->cipher;
		j->outcome.certified = h->certified;
		j->outcome.group = h->group;
		g_strlcpy(j->outcome.detail, h->detail, sizeof(j->outcome.detail));
		settle(j);
		break;
	default:
		if (h->cause != CAUSE_SUCCESS)
			job_fail(j, h->cause, NULL);
	}
}

struct job *job_restore(struct jobs *js, const struct handover *h, int sockfd, GQueue *queue)
{
	struct job *j;

	if (sockfd < 0 && (!h->id || jobs_find(js, h->id)))
		return NULL;
	j = g_new0(struct job, 1);
	j->all = js;
	j->id = sockfd < 0 ? h->id : next_id(js);
	j->sockfd = sockfd;
	j->side = h->side;
	j->auth = h->auth;
	j->peername = *h->peername ? g_strdup(h->peername) : NULL;
	j->keyring = h->keyring;
	j->key = h->key;
	j->certificate = h->certificate;
	j->private_key = h->private_key;
	j->n_named = h->n_named;
	memcpy(j->named, h->named, sizeof(j->named));
	j->identity = *h->identity ? g_strdup(h->identity) : NULL;
	j->worker_pid = h->worker;
	j->cookie = h->socket;
	j->mark = accept_mark_now();
	j->peer = h->peer;
	j->outcome = (struct outcome)OUTCOME_INIT;
	/* Records are not believed: neither is what they say of the time. */
	j->start = MIN(h->start, now());
	j->deadline.at = MIN(h->deadline, now() + MAX_TIMEOUT_MS * UINT64_C(1000));
	enter(j, sockfd < 0 ? state_of(h->state) : JOB_NEW, queue ? queue : &js->fresh);
	if (sockfd >= 0) {
		accept_keep();
		go_on(j, h);
	}
	return j;
}

bool job_give_back(struct job *j, int sockfd)
{
	j->sockfd = sockfd;
	accept_keep();
	return j->cookie && handover_cookie(sockfd) == j->cookie;
}

unsigned int jobs_hand_over(struct jobs *js, int queue)
{
	g_autoptr(GList) left = g_hash_table_get_values(js->all);
	unsigned int failed = 0;

	js->ledger = NULL; /* it stays as it is */
	tally_write(js->tally);
	for (GList *l = left; l; l = l->next) {
		struct job *j = l->data;
		struct handover h;

		describe(j, &h);
		deadlines_remove(&j->deadline);
		deadlines_remove(&j->patience);
		if (!is_in_worker(j) && queue_send(queue, &h, j->sockfd) < 0) {
			failed++;
			abandon(j);
		} else {
			forget(j);
		}
	}
	return failed;
}

static void stop_queue(GQueue *queue)
{
	while (queue->head)
		job_fail(queue->head->data, CAUSE_STOPPING, NULL);
}

void jobs_stop_waiting(struct jobs *js)
{
	stop_queue(&js->waiting);
}

void jobs_stop_all(struct jobs *js)
{
	stop_queue(&js->fresh);
	stop_queue(&js->held);
	stop_queue(&js->waiting);
	stop_queue(&js->ready);
	stop_queue(&js->ready_of_nfsd);
}

void jobs_abandon(struct jobs *js, struct upcall *kernel)
{
	g_autoptr(GList) left = g_hash_table_get_values(js->all);

	js->kernel = kernel;
	js->recorder = NULL; /* which no fork has */
	js->ledger = NULL;
	for (GList *l = left; l; l = l->next) {
		struct job *j = l->data;

		j->mark = (struct accept_mark){.sleeps = -1};
		abandon(j);
	}
	tally_write(js->tally);
}

void jobs_free(struct jobs *js)
{
	g_autoptr(GList) left = NULL;

	if (!js)
		return;
	left = g_hash_table_get_values(js->all);
	for (GList *l = left; l; l = l->next)
		abandon(l->data);
	deadlines_clear(&js->deadlines);
	deadlines_clear(&js->settling);
	sd_event_source_disable_unref(js->look);
	sd_event_source_disable_unref(js->tally_timer);
	sd_event_source_disable_unref(js->first_byte);
	if (js->first_bytes >= 0)
		close(js->first_bytes);
	tally_free(js->tally);
	crowd_free(js->crowd);
	g_hash_table_unref(js->all);
	g_free(js);
}
