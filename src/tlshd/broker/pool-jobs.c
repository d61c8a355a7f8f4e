// SPDX-License-Identifier: GPL-2.0-or-later
/* Jobs on their way to workers and, where time or room is short, away from them. */
#include "tlshd/broker/pool-jobs.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/secret.h"
#include "tlshd/broker/pool-worker.h"
#include "tlshd/shared/memfile.h"

/* A worker's deadline comes this much before ours, so that it can still report. */
#define WORKER_MARGIN_USEC (100 * UINT64_C(1000))
/* The jobs in a row that a warm worker gets, give or take a half, drawn each time. */
#define TURN 8

/* Tells the worker that @j has ended without it; its DONE is still to come. */
static void disown(struct job *j)
{
	struct pool_worker *w = j->worker;
	struct late *late;

	if (w->state == WORKER_LOST)
		return;
	late = g_new0(struct late, 1);
	late->rules = order_rules(j->side, j->auth);
	late->state = j->state;
	g_hash_table_insert(w->late, GUINT_TO_POINTER(j->id), late);
	pool_worker_set_mute(w, true);
}

void pool_jobs_late(struct pool *p, struct job *j)
{
	if (j->worker) {
		record_add(&j->worker->record, true);
		disown(j);
		job_fail(j, CAUSE_WORKER_LATE, NULL);
	} else if (pool_size(p)) {
		job_fail(j, CAUSE_NO_ROOM, NULL);
	} else {
		job_fail(j, CAUSE_NO_WORKER,
			 p->birth_failed ? "none could be started" : "one is being started");
	}
}

void pool_jobs_drop_all(struct pool *p)
{
	for (guint i = 0; i < p->workers->len; i++) {
		struct pool_worker *w = pool_worker_at(p, i);
		GQueue *const queues[] = {&w->unrun, &w->begun, &w->busy};

		for (size_t q = 0; q < G_N_ELEMENTS(queues); q++)
			while (queues[q]->head) {
				disown(queues[q]->head->data);
				job_fail(queues[q]->head->data, CAUSE_STOPPING, NULL);
			}
	}
}

/* Of all workers the one with the most of them is where there is most to choose from. */
bool pool_jobs_make_room(struct pool *p, unsigned int most)
{
	union ipc_message m = {.drop.header = {IPC_DROP, 0}};
	struct pool_worker *fullest = NULL;
	struct job *j;

	for (guint i = 0; i < p->workers->len; i++) {
		struct pool_worker *w = pool_worker_at(p, i);

		if (w->state != WORKER_LOST && !w->blocked && w->begun.length &&
		    (!fullest || w->begun.length > fullest->begun.length))
			fullest = w;
	}
	j = fullest ? jobs_crowded_out(p->params.jobs, &fullest->begun, &most) : NULL;
	if (!j)
		return false;
	m.header.job = j->id;
	if (ipc_send(fullest->sock, &m, -1, false) < 0) {
		pool_worker_set_blocked(fullest, true);
		return false;
	}
	disown(j);
	job_fail(j, CAUSE_CROWDED_OUT, NULL);
	return true;
}

/* Return: a descriptor with what a key has; -EPROTO when @j has failed for want of it. */
static int open_key(struct pool *p, struct job *j, key_serial key)
{
	g_auto(blob) bytes = {0};
	int r = keys_read_bytes(p->params.keys, key, &bytes);
	g_autofree char *why = NULL;

	if (r == 0)
		r = memfile_of_bytes(bytes.data, bytes.len);
	if (r >= 0)
		return r;
	why = g_strdup_printf("key 0x%08x: %s", (unsigned int)key, key_strerror(r));
	job_fail(j, CAUSE_CREDENTIAL_UNREADABLE, why);
	return -EPROTO;
}

/* The certificate that the mount names goes to the worker, its key to the signer. Return: the key's. */
static int give_own_pair(struct pool_worker *w, struct job *j)
{
	union ipc_message m = {.credential = {.header = {IPC_CREDENTIAL, j->id},
					      .side = HANDSHAKE_CLIENT,
					      .kind = CREDENTIAL_CERTIFICATE}};
	int fd = open_key(w->pool, j, j->certificate);
	int r = fd;

	if (fd < 0)
		return r;
	r = ipc_send(w->sock, &m, fd, false);
	close(fd);
	if (r < 0)
		return r;
	j->key = j->certificate;
	return open_key(w->pool, j, j->private_key);
}

/*
 * What a job with certificates needs besides its worker's own. Return: 0; -EPROTO when @j has failed;
 * another negative errno when @w has no room, or is gone.
 */
static int give_certificate(struct pool_worker *w, struct job *j)
{
	bool own = j->side == HANDSHAKE_CLIENT && j->auth == HANDSHAKE_X509 && j->certificate &&
		   j->private_key;
	int key = own ? give_own_pair(w, j) : -1;
	int r;

	if (own && key < 0)
		return key;
	r = credentials_set_grant(w->credentials, w->number, j->id, j->side, j->deadline.at, key);
	if (key >= 0)
		close(key);
	if (r == 0)
		return 0;
	job_fail(j, CAUSE_SIGNER_GONE, g_strerror(-r));
	return -EPROTO;
}

/*
 * Hands @j to @w. Return: 0, also when @j has failed; -EAGAIN when @w has no room: @j stays ready;
 * another negative errno when @w is gone.
 */
static int hand_over(struct pool *p, struct job *j, struct pool_worker *w)
{
	union ipc_message *m = p->secret_message;
	int r = 0;

	memset(&m->job, 0, sizeof(m->job));
	m->header.type = IPC_JOB;
	m->header.job = j->id;
	m->job.side = j->side;
	m->job.auth = j->auth;
	m->job.deadline_usec = j->deadline.at - WORKER_MARGIN_USEC;
	m->job.tickets = habits_tickets(p->habits, &j->peer.any, pool_now());
	if (job_is_certified(j)) {
		if (j->peername)
			g_strlcpy(m->job.peername, j->peername, sizeof(m->job.peername));
		r = give_certificate(w, j);
		if (r < 0)
			return r == -EPROTO ? 0 : r;
	} else if (j->side == HANDSHAKE_CLIENT) {
		r = keys_read(p->params.keys, j->keyring, j->key, &m->job.psk);
		if (r < 0) {
			job_fail(j,
				 keys_status(r) == ENOKEY ? CAUSE_NAMED_KEY_MISSING
							  : CAUSE_NAMED_KEY_UNREADABLE,
				 key_strerror(r));
			return 0;
		}
		g_strlcpy(m->job.identity, j->identity, sizeof(m->job.identity));
	}
	r = ipc_send(w->sock, m, j->sockfd, false);
	secret_wipe(&m->job.psk);
	if (r < 0)
		return r;
	j->worker = w;
	j->worker_pid = w->pid;
	job_move(j, JOB_HANDED, &w->unrun);
	if (w->life)
		w->life--;
	log_debug(2, "job %u: handed to worker %d, its %u. now", j->id, (int)w->pid,
		  pool_worker_jobs(w));
	return 0;
}

/* The signer of an adopted worker hears nothing of us, and ours does not know the worker. */
static bool may_have(struct pool_worker *w, const struct job *j)
{
	return pool_worker_takes_jobs(w) && !(w->adopted && job_is_certified(j));
}

/* The worker for @j, the next job; @full is set when all that could take one have as many as they may. */
static struct pool_worker *next_worker(struct pool *p, const struct job *j, bool *full)
{
	struct candidate candidates[POOL_WORKERS_MAX];
	size_t n = 0;
	int at;

	*full = false;
	for (guint i = 0; i < p->workers->len; i++) {
		struct pool_worker *w = pool_worker_at(p, i);

		candidates[n++] = (struct candidate){may_have(w, j), pool_worker_jobs(w),
						     w->unrun.length};
		*full |= w->state == WORKER_SERVING && pool_worker_is_full(w);
	}
	at = n ? choose_worker(candidates, n, p->turn) : -1;
	if (at < 0)
		return NULL;
	*full = false;
	if ((size_t)at != p->turn || !p->turn_left) {
		p->turn = (size_t)at;
		p->turn_left = (unsigned int)g_random_int_range(TURN / 2, TURN * 3 / 2);
	}
	if (!--p->turn_left)
		p->turn = (p->turn + 1) % n;
	return pool_worker_at(p, (size_t)at);
}

static unsigned int on_their_way_out(const struct pool *p)
{
	unsigned int n = 0;

	for (guint i = 0; i < p->workers->len; i++)
		n += g_hash_table_size(pool_worker_at(p, i)->late);
	return n;
}

bool pool_jobs_give_one(struct pool *p)
{
	struct job *j = jobs_ready_one(p->params.jobs);
	struct pool_worker *w;
	bool full;
	int r;

	if (!j)
		return false;
	w = next_worker(p, j, &full);
	if (!w) /* as many as wait for room; those that were told to go are still on their way out */
		return full && on_their_way_out(p) < jobs_ready_count(p->params.jobs) &&
		       pool_jobs_make_room(p, 0);
	r = hand_over(p, j, w);
	if (r == -EAGAIN)
		pool_worker_set_blocked(w, true);
	else if (r == -ETOOMANYREFS) /* descriptors in flight; the worker takes them out */
		return false;
	else if (r < 0)
		pool_worker_lose_dead(w, "its socket is closed");
	return true;
}
