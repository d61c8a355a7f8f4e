// SPDX-License-Identifier: GPL-2.0-or-later
/* The broker: holds the keys and the kernel, and never reads a byte that a peer sent. */
#include "tlshd/broker.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <gnutls/gnutls.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "common/keyring.h"
#include "common/log.h"
#include "common/secret.h"
#include "netlink/handshake.h"
#include "tlshd/deadlines.h"
#include "tlshd/ipc.h"
#include "tlshd/keyindex.h"
#include "tlshd/ktls.h"
#include "tlshd/sandbox.h"
#include "tlshd/session.h"
#include "tlshd/stats.h"
#include "tlshd/worker.h"

/* What a consumer grants that does not say (facts: NVMe's own default). */
#define DEFAULT_TIMEOUT_MS 10000
#define MAX_TIMEOUT_MS (10 * 60 * 1000)
/* A worker's deadline comes this much before ours, so that it can still report. */
#define WORKER_MARGIN_MS 100
/* Jobs that a worker has and has not run yet; more would only wait there instead of here. */
#define UNRUN_MAX 16
/* Jobs of one worker in all, those that wait for their peer included. */
#define WORKER_JOBS_MAX 8192
/* Look-ups of one job: what a ClientHello may offer us, and no scan. */
#define LOOKUPS_MAX 8
/* Sockets taken out of the waiting set before the loop looks at the kernel again. */
#define WAKE_BATCH 16
/* Messages of one worker, likewise. */
#define RECEIVE_BATCH 8
/* ACCEPTs that may fail in a row. */
#define ACCEPT_ERRORS_MAX 64
/* Keyrings whose keys are indexed at a time. */
#define INDEXES_MAX 64
#define RESPAWN_USEC (1 * G_USEC_PER_SEC)
#define DEFAULT_WORKERS_MAX 4

/* Where consumers in the kernel keep their keys. */
static const char *const kernel_keyrings[] = {".nvme", ".nfs", ".nfsd"};

struct broker;

/* A process that runs handshakes. */
struct worker {
	struct broker *broker;
	pid_t pid;
	int sock;
	sd_event_source *io;
	GQueue jobs;	   /* struct job by worker_link */
	unsigned int unrun; /* of them, those it has not run yet */
	bool retired;	   /* of an old configuration: finishes what it has */
	bool blocked;	   /* its socket is full */
	uint32_t stalled;  /* the job whose key waits for room in it */
	uint64_t born;
};

enum job_state { JOB_WAITING, JOB_READY, JOB_RUNNING };

/* A request that the kernel waits for; ends in job_finish() and nowhere else. */
struct job {
	struct broker *broker;
	uint32_t id;
	int sockfd;
	enum handshake_side side;
	enum job_state state;
	key_serial keyring; /* of the request; 0 when unknown */
	key_serial key;	    /* found for it; 0 for none */
	unsigned int lookups;
	bool unrun;
	uint64_t start; /* usec, monotonic */
	struct deadline deadline;
	char *identity;		  /* agreed on, or last tried */
	struct worker *worker;
	GList link;	     /* in broker->ready or worker->jobs */
};

struct broker {
	const struct broker_options *options;
	config *settings;
	sd_event *event;
	struct handshake *kernel;
	sd_event_source *kernel_source;
	sd_event_source *respawn; /* of workers that could not be started at once */
	GHashTable *jobs;	  /* id to struct job */
	uint32_t last_id;
	struct deadlines deadlines; /* of all jobs */
	GQueue ready;	  /* jobs whose socket has bytes, or clients, in turn */
	int waiting;	  /* epoll set of the sockets without a first byte */
	GPtrArray *workers;
	GArray *extra_keyrings;	      /* serials that the configuration names */
	GHashTable *linked;	      /* keyrings in our session keyring */
	GHashTable *indexes;	      /* keyring to struct keyindex */
	GArray *own_keyrings;	      /* serials of kernel_keyrings, as far as they exist */
	uint64_t keyrings_looked_up;  /* usec */
	union ipc_message *secret_message; /* pages that no fork inherits and no core shows */
	struct stats stats;
	bool process_keyring_used; /* an ACCEPT may have linked something into it */
	bool stopping;
};

static uint64_t now(struct broker *b)
{
	uint64_t usec;

	sd_event_now(b->event, CLOCK_MONOTONIC, &usec);
	return usec;
}

static uint64_t clock_usec(void)
{
	return (uint64_t)g_get_monotonic_time();
}

/* ---- what the log says of a job ---- */

static char *peer_address(int fd)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	char host[64], port[16];

	if (getpeername(fd, (struct sockaddr *)&address, &len) < 0)
		return g_strdup_printf("a peer that is gone (%s)", g_strerror(errno));
	if (getnameinfo((struct sockaddr *)&address, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		return g_strdup("an unnamed peer");
	return g_strdup_printf(strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static const char *side_name(enum handshake_side side)
{
	return side == HANDSHAKE_CLIENT ? "client" : side == HANDSHAKE_SERVER ? "server" : "unknown";
}

/* The one line of a handshake. */
static void log_outcome(const struct job *j, int status, const struct ipc_done *done,
			const char *cause)
{
	g_autofree char *peer = peer_address(j->sockfd);
	g_autofree char *identity = j->identity ? log_escape(j->identity, strlen(j->identity)) : NULL;
	g_autoptr(GString) line = g_string_new(NULL);

	g_string_append_printf(line, "%s handshake with %s ", side_name(j->side), peer);
	if (status) {
		g_autofree char *escaped = log_escape(cause, strlen(cause));

		g_string_append_printf(line, "failed: %s", escaped);
		if (done && done->alert_sent >= 0) {
			g_autofree char *alert = alert_name(done->alert_sent);

			g_string_append_printf(line, "; alert %s sent", alert);
		}
	} else {
		const char *cipher = gnutls_cipher_get_name(done->cipher);

		g_string_append_printf(line, "succeeded: cipher %s", cipher ? cipher : "unknown");
	}
	if (identity)
		g_string_append_printf(line, ", identity \"%s\"", identity);
	if (j->key)
		g_string_append_printf(line, ", key 0x%08x", (unsigned int)j->key);
	g_string_append_printf(line, ", %" G_GUINT64_FORMAT " ms", (clock_usec() - j->start) / 1000);
	log_line(status ? LOG_WARNING : LOG_INFO, "%s", line->str);
}

/* ---- the end of a job ---- */

static void dispatch(struct broker *b);

static void detach(struct broker *b, struct job *j)
{
	switch (j->state) {
	case JOB_WAITING:
		epoll_ctl(b->waiting, EPOLL_CTL_DEL, j->sockfd, NULL);
		break;
	case JOB_READY:
		g_queue_unlink(&b->ready, &j->link);
		break;
	case JOB_RUNNING:
		g_queue_unlink(&j->worker->jobs, &j->link);
		if (j->unrun)
			j->worker->unrun--;
		break;
	}
}

static void stop_when_idle(struct broker *b)
{
	if (b->stopping && !g_hash_table_size(b->jobs))
		sd_event_exit(b->event, 0);
}

/*
 * Tells the kernel and the log, and frees @j.
 * @done: the worker's report, NULL when it is not a worker's failure to report
 */
static void job_finish(struct broker *b, struct job *j, int status, const struct ipc_done *done,
		       const char *cause)
{
	int r;

	detach(b, j);
	deadlines_remove(&b->deadlines, &j->deadline);
	g_hash_table_remove(b->jobs, GUINT_TO_POINTER(j->id));

	r = handshake_done(b->kernel, j->sockfd, status, status ? 0 : j->key);
	if (r == -EBUSY && !status)
		log_outcome(j, ETIMEDOUT, done, "it was complete, but the kernel had given it up already");
	else if (r < 0 && r != -EBUSY && !status)
		log_outcome(j, -r, done, "it was complete, but the kernel did not take the report");
	else
		log_outcome(j, status, done, cause);
	log_debug(2, "job %u: DONE with status %d: %s", j->id, status, r < 0 ? g_strerror(-r) : "taken");
	stats_count(&b->stats, !status && r == 0);

	close(j->sockfd);
	g_free(j->identity);
	g_free(j);
	stop_when_idle(b);
}

/* ---- keys ---- */

/* Link into our session keyring, which is how we come to possess, and so to read, its keys. */
static void link_keyring(struct broker *b, key_serial keyring, const char *name)
{
	int r = keyring_link_session(keyring);

	if (r == 0)
		g_hash_table_add(b->linked, GINT_TO_POINTER(keyring));
	else
		log_warning("keyring %s (0x%08x) cannot be linked: %s", name, (unsigned int)keyring,
			    key_strerror(r));
}

/* Finds the keyrings that have appeared since; not more often than once a second. */
static void find_keyrings(struct broker *b, bool now_please)
{
	uint64_t t = clock_usec();

	/* A serial is used again one day: what we believe of it must not grow without bound. */
	if (g_hash_table_size(b->linked) >= INDEXES_MAX)
		g_hash_table_remove_all(b->linked);
	if (!now_please && t - b->keyrings_looked_up < G_USEC_PER_SEC)
		return;
	b->keyrings_looked_up = t;
	g_array_set_size(b->own_keyrings, 0);
	g_array_set_size(b->extra_keyrings, 0);
	for (size_t i = 0; i < G_N_ELEMENTS(kernel_keyrings); i++) {
		key_serial serial = keyring_find(kernel_keyrings[i]);

		if (serial <= 0)
			continue;
		link_keyring(b, serial, kernel_keyrings[i]);
		g_array_append_val(b->own_keyrings, serial);
	}
	for (char **name = b->settings->keyrings; name && *name; name++) {
		key_serial serial = keyring_find(*name);

		if (serial <= 0) {
			log_warning("keyring \"%s\" of [authenticate] keyrings: %s", *name,
				    serial == -ENOENT ? "there is none of that name"
						      : key_strerror(serial));
			continue;
		}
		link_keyring(b, serial, *name);
		g_array_append_val(b->extra_keyrings, serial);
	}
}

static int lookup_in(struct broker *b, key_serial keyring, const struct job *j)
{
	struct keyindex *index = g_hash_table_lookup(b->indexes, GINT_TO_POINTER(keyring));
	int r;

	if (!index) {
		/* Keyrings come and go with modules and namespaces: start afresh now and then. */
		if (g_hash_table_size(b->indexes) >= INDEXES_MAX)
			g_hash_table_remove_all(b->indexes);
		index = keyindex_new(keyring, "psk");
		g_hash_table_insert(b->indexes, GINT_TO_POINTER(keyring), index);
	}
	r = keyindex_lookup(index, j->identity, j->start);
	if (r < 0 && r != -ENOKEY)
		g_hash_table_remove(b->indexes, GINT_TO_POINTER(keyring));
	return r;
}

static int lookup_in_all(struct broker *b, const GArray *keyrings, const struct job *j)
{
	for (guint i = 0; i < keyrings->len; i++) {
		int r = lookup_in(b, g_array_index(keyrings, key_serial, i), j);

		if (r != -ENOKEY)
			return r;
	}
	return -ENOKEY;
}

/* The key of exactly the identity in the request's keyring and those the configuration adds. */
static int lookup(struct broker *b, const struct job *j)
{
	int r = j->keyring ? lookup_in(b, j->keyring, j) : lookup_in_all(b, b->own_keyrings, j);

	return r == -ENOKEY ? lookup_in_all(b, b->extra_keyrings, j) : r;
}

/* A keyring that got the serial of one that is gone looks linked and is not: hence twice. */
static int read_key(struct broker *b, const struct job *j, key_serial key, secret *psk)
{
	int r = key_read_psk(key, psk);

	if (r != -EACCES)
		return r;
	if (j->keyring)
		link_keyring(b, j->keyring, "of the request");
	find_keyrings(b, false);
	return key_read_psk(key, psk);
}

/* What the kernel is told of a key that cannot be had: missing is for good, the rest is not. */
static int status_of_key(int err)
{
	switch (-err) {
	case ENOKEY:
	case ENOENT:
	case EKEYREVOKED:
	case EKEYEXPIRED:
		return ENOKEY;
	default:
		return -err;
	}
}

/* ---- workers ---- */

static void worker_lost(struct worker *w, const char *cause);
static void spawn_missing(struct broker *b);

static struct worker *least_loaded(struct broker *b)
{
	struct worker *best = NULL;

	for (guint i = 0; i < b->workers->len; i++) {
		struct worker *w = b->workers->pdata[i];

		if (w->retired || w->blocked || w->unrun >= UNRUN_MAX ||
		    w->jobs.length >= WORKER_JOBS_MAX)
			continue;
		if (!best || w->jobs.length < best->jobs.length)
			best = w;
	}
	return best;
}

static void set_blocked(struct worker *w, bool blocked)
{
	w->blocked = blocked;
	sd_event_source_set_io_events(w->io, blocked ? EPOLLOUT : EPOLLIN);
}

/*
 * Hands @j to @w. Return: 0, also when @j has failed; -EAGAIN when @w has no room: @j stays ready;
 * -EPIPE when @w is gone.
 */
static int hand_over(struct broker *b, struct job *j, struct worker *w)
{
	union ipc_message *m = b->secret_message;
	uint64_t t = now(b);
	int r = 0;

	memset(&m->job, 0, sizeof(m->job));
	m->header.type = IPC_JOB;
	m->header.job = j->id;
	m->job.side = j->side;
	m->job.timeout_ms = j->deadline.at > t ? (uint32_t)((j->deadline.at - t) / 1000) : 0;
	if (m->job.timeout_ms > 2 * WORKER_MARGIN_MS)
		m->job.timeout_ms -= WORKER_MARGIN_MS;
	if (j->side == HANDSHAKE_CLIENT) {
		r = read_key(b, j, j->key, &m->job.psk);
		if (r < 0) {
			g_autofree char *cause = g_strdup_printf(
				"the key of its identity cannot be read: %s", key_strerror(r));

			job_finish(b, j, status_of_key(r), NULL, cause);
			return 0;
		}
		g_strlcpy(m->job.identity, j->identity, sizeof(m->job.identity));
	}
	r = ipc_send(w->sock, m, j->sockfd, false);
	secret_wipe(&m->job.psk);
	if (r < 0)
		return r;
	g_queue_unlink(&b->ready, &j->link);
	g_queue_push_tail_link(&w->jobs, &j->link);
	j->state = JOB_RUNNING;
	j->worker = w;
	j->unrun = true;
	w->unrun++;
	log_debug(2, "job %u: handed to worker %d, its %u. now", j->id, (int)w->pid, w->jobs.length);
	return 0;
}

/* Gives ready jobs to workers as long as there is room. */
static void dispatch(struct broker *b)
{
	struct worker *w;

	while (b->ready.head && (w = least_loaded(b)) != NULL) {
		int r = hand_over(b, b->ready.head->data, w);

		if (r == -EAGAIN)
			set_blocked(w, true);
		else if (r == -ETOOMANYREFS) /* descriptors in flight; the worker takes them out */
			return;
		else if (r < 0)
			worker_lost(w, "its socket is closed");
	}
}

static void mark_ran(struct job *j)
{
	if (!j->unrun)
		return;
	j->unrun = false;
	j->worker->unrun--;
}

/* Return: 0, or -EAGAIN when the answer has to wait for room. */
static int answer_lookup(struct worker *w, struct job *j)
{
	struct broker *b = w->broker;
	union ipc_message *m = b->secret_message;
	int r = lookup(b, j);
	key_serial key = 0;

	memset(&m->key, 0, sizeof(m->key));
	m->header.type = IPC_KEY;
	m->header.job = j->id;
	if (r > 0) {
		key = r;
		r = read_key(b, j, key, &m->key.psk);
		if (r < 0)
			log_debug(1, "job %u: key 0x%08x cannot be read: %s", j->id,
				  (unsigned int)key, key_strerror(r));
	}
	m->key.error = r < 0 ? (uint32_t)-r : 0;
	r = ipc_send(w->sock, m, -1, false);
	secret_wipe(&m->key.psk);
	if (r == 0)
		j->key = key;
	return r;
}

static void on_lookup(struct worker *w, struct job *j, const char *identity)
{
	int r;

	if (j->side != HANDSHAKE_SERVER || ++j->lookups > LOOKUPS_MAX) {
		worker_lost(w, "it asked for keys that are none of its business");
		return;
	}
	g_free(j->identity);
	j->identity = g_strdup(identity);
	r = answer_lookup(w, j);
	if (r == -EAGAIN) {
		w->stalled = j->id;
		set_blocked(w, true);
	} else if (r < 0) {
		worker_lost(w, "its socket is closed");
	}
}

static void on_done(struct broker *b, struct job *j, const struct ipc_done *done)
{
	if (!done->status && !j->key) {
		job_finish(b, j, EIO, NULL, "a worker reported a success without a key");
		return;
	}
	/* The module may have gone, or have come only now: make sure for the next one. */
	if (done->status == ENOENT)
		ktls_load_module();
	job_finish(b, j, (int)done->status, done, done->cause);
}

/* A message of @w. Return: false when @w is gone after it. */
static bool take_message(struct worker *w, const union ipc_message *m)
{
	struct broker *b = w->broker;
	struct job *j;

	if (m->header.type == IPC_LOG) {
		g_autofree char *line = log_escape_line(m->log.line);

		log_line((int)m->log.priority, "worker %d: %s", (int)w->pid, line);
		return true;
	}
	j = g_hash_table_lookup(b->jobs, GUINT_TO_POINTER(m->header.job));
	if (!j || j->state != JOB_RUNNING || j->worker != w) {
		worker_lost(w, "it spoke of a job that it does not have");
		return false;
	}
	mark_ran(j);
	switch (m->header.type) {
	case IPC_LOOKUP:
		on_lookup(w, j, m->lookup.identity);
		break;
	case IPC_DONE:
		on_done(b, j, &m->done);
		break;
	default: /* IPC_RAN has said all */
		break;
	}
	return g_ptr_array_find(b->workers, w, NULL);
}

static void resume(struct worker *w)
{
	struct broker *b = w->broker;
	struct job *j = g_hash_table_lookup(b->jobs, GUINT_TO_POINTER(w->stalled));

	if (w->stalled && j && j->worker == w && answer_lookup(w, j) == -EAGAIN)
		return;
	w->stalled = 0;
	set_blocked(w, false);
}

static void release_retired(struct worker *w)
{
	if (w->retired && !w->jobs.length)
		worker_lost(w, NULL);
}

static int on_worker(sd_event_source *source, int sock, uint32_t events, void *userdata)
{
	struct worker *w = userdata;
	struct broker *b = w->broker;
	union ipc_message m;
	const char *why;

	if (w->blocked) {
		if (events & (EPOLLHUP | EPOLLERR))
			worker_lost(w, "it died");
		else
			resume(w);
		dispatch(b);
		return 0;
	}
	for (int i = 0; i < RECEIVE_BATCH && !w->blocked; i++) {
		int r = ipc_receive(sock, IPC_BROKER, &m, NULL, &why);

		if (r == -EAGAIN)
			break;
		if (r == -EBADMSG) {
			g_autofree char *cause = g_strdup_printf("it sent %s", why);

			worker_lost(w, cause);
			goto gone;
		}
		if (r < 0) {
			worker_lost(w, "it died");
			goto gone;
		}
		if (!take_message(w, &m))
			goto gone;
	}
	release_retired(w);
gone:
	dispatch(b);
	return 0;
}

/* A worker's user is not root, and we may have no CAP_KILL: become that user for the moment. */
static void kill_worker(struct worker *w)
{
	uid_t uid = w->broker->options->worker_uid;

	if (kill(w->pid, SIGKILL) == 0 || errno == ESRCH)
		return;
	if (seteuid(uid) < 0)
		return;
	kill(w->pid, SIGKILL);
	if (seteuid(0) < 0)
		log_error("the broker cannot become root again: %m");
}

/*
 * Ends @w: its jobs fail at once, and another takes its place.
 * @cause: NULL for one that has retired and is done
 */
static void worker_lost(struct worker *w, const char *cause)
{
	struct broker *b = w->broker;
	GList *link;

	g_ptr_array_remove(b->workers, w); /* no job goes there any more */
	if (cause) {
		log_error("worker %d is lost: %s; %u handshakes fail with it", (int)w->pid, cause,
			  w->jobs.length);
		kill_worker(w);
	}
	sd_event_source_disable_unref(w->io);
	close(w->sock);
	while ((link = w->jobs.head)) {
		g_autofree char *text = g_strdup_printf("its worker is lost: %s", cause ? cause : "");

		job_finish(b, link->data, EIO, NULL, text);
	}
	if (!w->retired && !b->stopping) {
		/* One that dies at birth would have us fork without end. */
		if (now(b) - w->born < RESPAWN_USEC) {
			sd_event_source_set_time_relative(b->respawn, RESPAWN_USEC);
			sd_event_source_set_enabled(b->respawn, SD_EVENT_ONESHOT);
		} else {
			spawn_missing(b);
		}
	}
	g_free(w);
}

static int on_child(sd_event_source *source, const siginfo_t *info, void *userdata)
{
	if (info->si_code == CLD_EXITED && info->si_status == 0)
		log_debug(1, "worker %d has ended", (int)info->si_pid);
	else if (info->si_code == CLD_EXITED)
		log_error("worker %d has ended with status %d", (int)info->si_pid, info->si_status);
	else
		log_error("worker %d was ended by signal %d (%s)", (int)info->si_pid, info->si_status,
			  strsignal(info->si_status));
	return 0;
}

/* Return: 0 or a negative errno, logged. */
static int spawn(struct broker *b)
{
	struct worker *w;
	int ours, theirs;
	pid_t pid;
	int r = ipc_pair(&ours, &theirs);

	if (r < 0) {
		log_error("no socket pair for a worker: %s", g_strerror(-r));
		return r;
	}
	pid = fork();
	if (pid < 0) {
		r = -errno;
		log_error("no process for a worker: %s", g_strerror(errno));
		close(ours);
		close(theirs);
		return r;
	}
	if (pid == 0)
		worker_main(theirs, b->settings, b->options->worker_uid, b->options->worker_gid);
	close(theirs);

	w = g_new0(struct worker, 1);
	w->broker = b;
	w->pid = pid;
	w->sock = ours;
	w->born = now(b);
	r = sd_event_add_io(b->event, &w->io, ours, EPOLLIN, on_worker, w);
	if (r >= 0)
		r = sd_event_add_child(b->event, NULL, pid, WEXITED, on_child, NULL);
	if (r < 0) {
		log_error("worker %d cannot be watched: %s", (int)pid, g_strerror(-r));
		kill_worker(w);
		sd_event_source_disable_unref(w->io);
		close(ours);
		g_free(w);
		return r;
	}
	g_ptr_array_add(b->workers, w);
	log_debug(1, "worker %d started", (int)pid);
	return 0;
}

static unsigned int workers_wanted(const struct broker *b)
{
	if (b->settings->workers)
		return (unsigned int)b->settings->workers;
	return CLAMP(g_get_num_processors(), 1, DEFAULT_WORKERS_MAX);
}

static unsigned int workers_alive(const struct broker *b)
{
	unsigned int n = 0;

	for (guint i = 0; i < b->workers->len; i++)
		n += !((struct worker *)b->workers->pdata[i])->retired;
	return n;
}

static void spawn_missing(struct broker *b)
{
	for (unsigned int n = workers_alive(b); n < workers_wanted(b); n++)
		if (spawn(b) < 0) {
			sd_event_source_set_time_relative(b->respawn, RESPAWN_USEC);
			sd_event_source_set_enabled(b->respawn, SD_EVENT_ONESHOT);
			return;
		}
}

static int on_respawn(sd_event_source *source, uint64_t usec, void *userdata)
{
	spawn_missing(userdata);
	dispatch(userdata);
	return 0;
}

/* ---- requests ---- */

static void make_ready(struct broker *b, struct job *j)
{
	j->state = JOB_READY;
	g_queue_push_tail_link(&b->ready, &j->link);
}

/* The key of a client: the first of those the kernel names that is there. */
static int choose_client_key(struct broker *b, struct job *j, const struct handshake_request *req)
{
	int r = -ENOKEY;

	for (size_t i = 0; i < req->n_peers; i++) {
		g_auto(key_info) info = {0};

		r = key_describe(req->peers[i], &info);
		if (r == -EACCES) {
			find_keyrings(b, false);
			r = key_describe(req->peers[i], &info);
		}
		if (r < 0)
			continue;
		if (strlen(info.description) > IDENTITY_MAX) {
			r = -EMSGSIZE;
			continue;
		}
		j->key = req->peers[i];
		j->identity = g_strdup(info.description);
		return 0;
	}
	return r;
}

/* In a storm the ClientHello is mostly there before us: one call instead of three. */
static bool has_first_byte(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLRDHUP};

	return poll(&p, 1, 0) > 0;
}

/* A peer's first byte starts a server's handshake; a client starts at once. */
static void start_job(struct broker *b, struct job *j, const struct handshake_request *req)
{
	g_autofree char *cause = NULL;
	int r;

	if (req->auth != HANDSHAKE_PSK) {
		cause = g_strdup_printf("the kernel asks for %s, and we do pre-shared keys only",
					req->auth == HANDSHAKE_X509 ? "x.509" : "no authentication");
		make_ready(b, j);
		job_finish(b, j, EOPNOTSUPP, NULL, cause);
		return;
	}
	if (j->side == HANDSHAKE_SERVER) {
		struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.u32 = j->id};

		if (has_first_byte(j->sockfd)) {
			make_ready(b, j);
			return;
		}
		j->state = JOB_WAITING;
		if (epoll_ctl(b->waiting, EPOLL_CTL_ADD, j->sockfd, &event) == 0)
			return;
		log_warning("job %u: cannot wait for its first byte (%m), a worker does", j->id);
		make_ready(b, j);
		return;
	}
	make_ready(b, j);
	r = choose_client_key(b, j, req);
	if (r < 0) {
		cause = g_strdup_printf(req->n_peers ? "the key that the kernel names cannot be used: %s"
						     : "the kernel names no key",
					key_strerror(r));
		job_finish(b, j, status_of_key(r), NULL, cause);
	}
}

static void take_request(struct broker *b, const struct handshake_request *req)
{
	struct job *j = g_new0(struct job, 1);
	uint32_t timeout = req->timeout_ms ? MIN(req->timeout_ms, MAX_TIMEOUT_MS) : DEFAULT_TIMEOUT_MS;
	int keyring = req->keyring ? req->keyring : keyring_process_only();

	do
		j->id = ++b->last_id;
	while (!j->id || g_hash_table_contains(b->jobs, GUINT_TO_POINTER(j->id)));
	j->sockfd = req->sockfd;
	j->side = req->side;
	j->start = clock_usec();
	j->deadline.at = j->start + timeout * UINT64_C(1000);
	j->deadline.owner = j;
	j->link.data = j;
	j->broker = b;
	g_hash_table_insert(b->jobs, GUINT_TO_POINTER(j->id), j);
	deadlines_add(&b->deadlines, &j->deadline);
	if (keyring > 0) {
		j->keyring = keyring;
		if (!g_hash_table_contains(b->linked, GINT_TO_POINTER(keyring)))
			link_keyring(b, keyring, "of the request");
	} else {
		find_keyrings(b, false);
	}
	log_debug(1, "job %u: ACCEPTed a %s handshake, timeout %u ms, %zu keys named, keyring 0x%08x",
		  j->id, side_name(j->side), timeout, req->n_peers, (unsigned int)j->keyring);
	start_job(b, j, req);
}

/* Takes every request that the kernel has. */
static void drain(struct broker *b)
{
	unsigned int errors = 0;

	while (errors < ACCEPT_ERRORS_MAX) {
		struct handshake_request req;
		const char *why = NULL;
		int r;

		if (b->process_keyring_used)
			b->process_keyring_used = keyring_process_clear() < 0;
		r = handshake_accept(b->kernel, &req, &why);
		if (r == -EAGAIN)
			return;
		b->process_keyring_used = true;
		if (r == 0) {
			take_request(b, &req);
			continue;
		}
		errors++;
		if (r == -EBADMSG) {
			log_error("the kernel's request is refused: %s", why);
			if (req.sockfd >= 0) {
				handshake_done(b->kernel, req.sockfd, EPROTO, 0);
				close(req.sockfd);
			}
		} else {
			log_error("ACCEPT failed: %s", g_strerror(-r));
		}
	}
	log_error("%u requests in a row could not be taken; waiting for the next", errors);
}

static int on_kernel(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct broker *b = userdata;
	int r = handshake_ready(b->kernel);

	if (r == -ENOBUFS)
		log_debug(1, "netlink: READYs were lost, which costs nothing");
	else if (r < 0)
		log_error("netlink: %s", g_strerror(-r));
	else
		log_debug(6, "netlink: %d READY", r);
	drain(b);
	dispatch(b);
	stats_notify(&b->stats, g_hash_table_size(b->jobs));
	return 0;
}

static int on_first_byte(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct broker *b = userdata;
	struct epoll_event event[WAKE_BATCH];
	int n = epoll_wait(b->waiting, event, WAKE_BATCH, 0);

	for (int i = 0; i < n; i++) {
		struct job *j = g_hash_table_lookup(b->jobs, GUINT_TO_POINTER(event[i].data.u32));

		if (!j || j->state != JOB_WAITING)
			continue;
		epoll_ctl(b->waiting, EPOLL_CTL_DEL, j->sockfd, NULL);
		make_ready(b, j);
	}
	dispatch(b);
	return 0;
}

static void on_deadline(void *owner)
{
	struct job *j = owner;
	struct broker *b = j->broker;

	switch (j->state) {
	case JOB_WAITING:
		job_finish(b, j, ETIMEDOUT, NULL, "the peer has not sent a byte in time");
		break;
	case JOB_READY:
		job_finish(b, j, ETIMEDOUT, NULL, "no worker had room for it in time");
		break;
	case JOB_RUNNING:
		worker_lost(j->worker, "it does not answer");
		break;
	}
	dispatch(b);
}

/* ---- signals ---- */

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct broker *b = userdata;

	if (b->stopping) {
		log_warning("stopping at once; %u handshakes fail", g_hash_table_size(b->jobs));
		return sd_event_exit(b->event, 0);
	}
	sd_notify(0, "STOPPING=1");
	b->kernel_source = sd_event_source_disable_unref(b->kernel_source);
	handshake_leave(b->kernel);
	/* What the kernel queued before we left counts on us. */
	drain(b);
	dispatch(b);
	b->stopping = true;
	log_info("stopping; %u handshakes in flight are finished first", g_hash_table_size(b->jobs));
	stop_when_idle(b);
	return 0;
}

static void apply_log_level(const config *settings)
{
	log_set_level(MAX(settings->loglevel, settings->nl_debug ? 6 : 0));
}

static void notify_reloading(void)
{
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" G_GUINT64_FORMAT, clock_usec());
}

/* Starts workers on the new configuration; the old ones finish what they have and end. */
static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct broker *b = userdata;
	g_autoptr(GError) error = NULL;
	config *fresh;

	if (b->stopping)
		return 0;
	notify_reloading();
	fresh = config_load(b->options->config_path, &error);
	if (!fresh) {
		log_error("the new configuration is refused, the old one stays: %s", error->message);
		sd_notify(0, "READY=1");
		return 0;
	}
	config_free(b->settings);
	b->settings = fresh;
	apply_log_level(b->settings);
	find_keyrings(b, true);
	ktls_load_module();
	for (guint i = 0; i < b->workers->len; i++)
		((struct worker *)b->workers->pdata[i])->retired = true;
	spawn_missing(b);
	for (guint i = b->workers->len; i-- > 0;)
		release_retired(b->workers->pdata[i]);
	dispatch(b);
	log_info("configuration read again%s%s", fresh->path ? ": " : "", fresh->path ? fresh->path : "");
	sd_notify(0, "READY=1");
	return 0;
}

/* ---- start and end ---- */

static int fatal(const char *what, int err)
{
	log_error("%s: %s", what, g_strerror(-err));
	return err;
}

static int open_kernel(struct broker *b)
{
	int r = handshake_open(&b->kernel);

	if (r == -EPROTONOSUPPORT) {
		log_error("this kernel has no TLS handshake upcall; it needs Linux 6.5 or newer with "
			  "CONFIG_NET_HANDSHAKE");
		return r;
	}
	if (r == -EPERM) {
		log_error("the handshake family needs CAP_NET_ADMIN: start tlshd as root");
		return r;
	}
	return r < 0 ? fatal("netlink", r) : 0;
}

static int open_loop(struct broker *b)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD};
	sd_event_source *wake = NULL;
	sigset_t block;
	int r;

	sigemptyset(&block);
	for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
		sigaddset(&block, signals[i]);
	sigprocmask(SIG_BLOCK, &block, NULL);

	r = sd_event_new(&b->event);
	if (r >= 0)
		r = sd_event_add_signal(b->event, NULL, SIGTERM, on_stop, b);
	if (r >= 0)
		r = sd_event_add_signal(b->event, NULL, SIGINT, on_stop, b);
	if (r >= 0)
		r = sd_event_add_signal(b->event, NULL, SIGHUP, on_reload, b);
	if (r >= 0)
		r = sd_event_add_signal(b->event, NULL, SIGUSR1, on_reload, b);
	if (r >= 0)
		r = sd_event_add_io(b->event, &b->kernel_source, handshake_fd(b->kernel), EPOLLIN,
				    on_kernel, b);
	if (r >= 0) /* the kernel's queue is short: it goes before everything else */
		r = sd_event_source_set_priority(b->kernel_source, SD_EVENT_PRIORITY_IMPORTANT);
	if (r >= 0)
		r = sd_event_add_io(b->event, &wake, b->waiting, EPOLLIN, on_first_byte, b);
	if (r >= 0) {
		sd_event_source_set_floating(wake, true);
		sd_event_source_unref(wake);
		r = deadlines_init(&b->deadlines, b->event, on_deadline);
	}
	if (r >= 0)
		r = sd_event_add_time(b->event, &b->respawn, CLOCK_MONOTONIC, UINT64_MAX, 0,
				      on_respawn, b);
	if (r >= 0)
		r = sd_event_source_set_enabled(b->respawn, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_set_watchdog(b->event, true);
	return r < 0 ? fatal("event loop", r) : 0;
}

static int open_keyrings(struct broker *b)
{
	int r = keyring_session_private();

	if (r < 0)
		return fatal("a session keyring of our own", r);
	b->linked = g_hash_table_new(NULL, NULL);
	b->indexes = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)keyindex_free);
	b->own_keyrings = g_array_new(FALSE, FALSE, sizeof(key_serial));
	b->extra_keyrings = g_array_new(FALSE, FALSE, sizeof(key_serial));
	find_keyrings(b, true);
	return 0;
}

static int start(struct broker *b)
{
	int r;

	apply_log_level(b->settings);
	b->jobs = g_hash_table_new(NULL, NULL);
	b->workers = g_ptr_array_new();
	b->secret_message = secret_pages_new(sizeof(*b->secret_message));
	if (!b->secret_message)
		return fatal("memory for keys", -errno);
	b->waiting = epoll_create1(EPOLL_CLOEXEC);
	if (b->waiting < 0)
		return fatal("epoll", -errno);
	r = open_keyrings(b);
	if (r < 0)
		return r;
	r = ktls_load_module();
	if (r < 0)
		log_warning("the kernel's tls module cannot be loaded (%s): no handshake can succeed "
			    "until it is; try modprobe tls",
			    g_strerror(-r));
	r = open_kernel(b);
	if (r < 0)
		return r;
	r = open_loop(b);
	if (r < 0)
		return r;
	spawn_missing(b);
	if (!workers_alive(b))
		return fatal("no worker could be started", -EAGAIN);
	return sandbox_broker();
}

static void end(struct broker *b)
{
	for (guint i = 0; b->workers && i < b->workers->len; i++) {
		struct worker *w = b->workers->pdata[i];

		sd_event_source_disable_unref(w->io);
		close(w->sock); /* which ends it */
		g_free(w);
	}
	handshake_close(b->kernel);
	sd_event_source_disable_unref(b->kernel_source);
	deadlines_clear(&b->deadlines);
	sd_event_source_disable_unref(b->respawn);
	sd_event_unref(b->event);
	g_clear_pointer(&b->workers, g_ptr_array_unref);
	g_clear_pointer(&b->linked, g_hash_table_unref);
	g_clear_pointer(&b->indexes, g_hash_table_unref);
	g_clear_pointer(&b->own_keyrings, g_array_unref);
	g_clear_pointer(&b->extra_keyrings, g_array_unref);
	g_clear_pointer(&b->jobs, g_hash_table_unref);
	secret_pages_free(b->secret_message, sizeof(*b->secret_message));
	config_free(b->settings);
	if (b->waiting >= 0)
		close(b->waiting);
}

int broker_run(const struct broker_options *options)
{
	struct broker b = {.options = options, .settings = options->settings, .waiting = -1};
	int r = start(&b);

	if (r >= 0) {
		log_info("ready, with %u workers%s%s", workers_alive(&b),
			 b.settings->path ? ", configured by " : "", b.settings->path ? b.settings->path : "");
		sd_notify(0, "READY=1");
		drain(&b);
		dispatch(&b);
		r = sd_event_loop(b.event);
		if (r < 0)
			fatal("event loop", r);
		else
			log_info("stopped");
	}
	end(&b);
	return r;
}
