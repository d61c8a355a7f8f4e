// SPDX-License-Identifier: GPL-2.0-or-later
/* From ACCEPT to a job: its keyring, a client's key, and what happens when no descriptor is left. */
#include "tlshd/broker/intake.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "common/identity.h"
#include "common/log.h"
#include "tlshd/broker/acceptor.h"

/* The next look for a free descriptor, if none of ours becomes free before: the limit may be raised. */
#define FULL_USEC (100 * UINT64_C(1000))
/* The log hears of it once in this time, however long it lasts. */
#define FULL_LOG_USEC (10 * G_USEC_PER_SEC)

struct intake {
	struct upcall *kernel;
	struct jobs *jobs;
	struct keys *keys;
	struct credentials *credentials;
	struct acceptor *acceptor; /* NULL where one thread has to do */
	sd_event_source *room; /* to take requests for which there was no descriptor */
	bool full; /* there are some, or may be */
	bool wants_room;
	uint64_t full_at; /* usec, monotonic: when the log was last told of that */
	bool process_keyring_used; /* an ACCEPT may have linked something into it */
	bool closed;
	uint64_t unknown; /* attributes that the log has been told of */
};

/* READY is not repeated for queued requests, so poll for a free descriptor. */
static void wait_for_room(struct intake *in)
{
	uint64_t now = (uint64_t)g_get_monotonic_time();

	in->full = in->wants_room = true;
	sd_event_source_set_time_relative(in->room, FULL_USEC);
	sd_event_source_set_enabled(in->room, SD_EVENT_ONESHOT);
	if (in->full_at && now - in->full_at < FULL_LOG_USEC)
		return;
	in->full_at = now;
	log_error("no descriptor is left for more than the %u handshakes in flight: peers that have not sent a ClientHello make room for others; raise LimitNOFILE= or ulimit -n",
		  jobs_count(in->jobs));
}

/* The first request that has them says so: a kernel that is newer sends them with every one. */
static void note_unknown(struct intake *in, uint64_t unknown)
{
	g_autoptr(GString) numbers = NULL;

	if (!(unknown & ~in->unknown))
		return;
	in->unknown |= unknown;
	numbers = g_string_new(NULL);
	for (unsigned int i = 0; i < 64; i++)
		if (unknown >> i & 1)
			g_string_append_printf(numbers, "%s%u", numbers->len ? ", " : "", i);
	log_info("this kernel's requests have attributes that this tlshd does not know (%s): they are ignored",
		 numbers->str);
}

static void log_request(const struct accepted *one)
{
	g_autofree char *escaped = NULL;
	char text[512];

	if (!log_netlink_shown())
		return;
	upcall_describe(&one->req, text, sizeof(text));
	escaped = log_escape_line(text);
	log_netlink("netlink: ACCEPT: %s%s%s", escaped, one->error ? ": " : "",
		    one->error ? one->why : "");
}

static bool is_known(enum handshake_auth auth)
{
	return auth == HANDSHAKE_PSK || auth == HANDSHAKE_UNAUTH || auth == HANDSHAKE_X509;
}

/* A consumer of QUIC gives a socket of its own protocol. */
static bool is_tcp(int sockfd)
{
	int protocol = IPPROTO_TCP;
	socklen_t len = sizeof(protocol);

	getsockopt(sockfd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len);
	return protocol == IPPROTO_TCP;
}

enum cause intake_judge(const struct accepted *one)
{
	if (one->error)
		return CAUSE_BAD_REQUEST;
	if (!is_known(one->req.auth))
		return CAUSE_UNSUPPORTED_AUTH;
	return is_tcp(one->req.sockfd) ? CAUSE_SUCCESS : CAUSE_NOT_TCP;
}

static const char *judgement(const struct accepted *one, enum cause cause)
{
	return cause == CAUSE_BAD_REQUEST	 ? one->why
	       : cause == CAUSE_UNSUPPORTED_AUTH ? "one of a newer kernel"
						 : NULL;
}

/* Only record the request; slow work waits until the queue is drained. */
static void take_request(void *ctx, const struct accepted *one)
{
	struct intake *in = ctx;
	enum cause cause;
	struct job *j;

	if (one->error == -EMFILE) {
		wait_for_room(in);
		return;
	}
	if (one->error && one->error != -EBADMSG) {
		log_error("ACCEPT failed: %s", g_strerror(-one->error));
		return;
	}
	if (one->error && one->req.sockfd < 0) {
		log_error("the kernel's request is malformed and has no socket: %s", one->why);
		return;
	}
	log_request(one);
	note_unknown(in, one->req.unknown);
	j = job_new(in->jobs, one);
	cause = intake_judge(one);
	if (cause != CAUSE_SUCCESS)
		job_fail(j, cause, judgement(one, cause));
}

void intake_drain(struct intake *in)
{
	in->full = false;
	accept_all(in->kernel, false, &in->process_keyring_used, take_request, in);
}

void intake_look(struct intake *in)
{
	int r = in->closed ? 0 : upcall_ready(in->kernel);

	if (r == 0)
		return;
	if (r == -ENOBUFS)
		log_debug(1, "netlink: READYs were lost, which costs nothing");
	else if (r < 0)
		log_error("netlink: %s", g_strerror(-r));
	else
		log_netlink("netlink: %d READY", r);
	intake_drain(in);
	jobs_notify(in->jobs);
}

bool intake_wants_room(struct intake *in)
{
	bool wants = in->wants_room;

	in->wants_room = false;
	return wants;
}

static int on_room(sd_event_source *source, uint64_t usec, void *userdata)
{
	intake_drain(userdata);
	return 0;
}

/* The key of a client: the first of those the kernel names that is there. */
static int choose_client_key(struct intake *in, struct job *j)
{
	int r = -ENOKEY;

	for (size_t i = 0; i < j->n_named; i++) {
		g_autofree char *identity = NULL;

		r = keys_identity(in->keys, j->named[i], &identity);
		if (r == 0 && strlen(identity) > IDENTITY_MAX)
			r = -EMSGSIZE;
		if (r < 0)
			continue;
		j->key = j->named[i];
		j->identity = g_steal_pointer(&identity);
		return 0;
	}
	return r;
}

/* The certificates and keys are those of the disk. */
static void release(struct job *j)
{
	if (j->side == HANDSHAKE_CLIENT)
		job_make_ready(j);
	else
		job_wait(j);
}

/* A mount that names its key needs a signer, whatever is configured. */
static bool needs_signer(const struct job *j)
{
	return j->private_key != 0;
}

static void start_certified(struct intake *in, struct job *j)
{
	if (credentials_check(in->credentials, needs_signer(j), &j->load) < 0)
		job_hold(j);
	else
		release(j);
}

static void start_client(struct intake *in, struct job *j)
{
	int r = choose_client_key(in, j);

	if (r == 0)
		job_make_ready(j);
	else if (!j->n_named)
		job_fail(j, CAUSE_NO_KEY_NAMED, NULL);
	else
		job_fail(j,
			 keys_status(r) == ENOKEY ? CAUSE_NAMED_KEY_MISSING
						  : CAUSE_NAMED_KEY_UNREADABLE,
			 key_strerror(r));
}

bool intake_work(struct intake *in)
{
	struct job *j;

	if (in->full && accept_has_room()) {
		intake_drain(in);
		return true;
	}
	j = jobs_new_one(in->jobs);
	if (!j)
		return false;
	if (job_is_certified(j)) {
		start_certified(in, j);
		return true;
	}
	keys_use_keyring(in->keys, j->keyring);
	if (j->side == HANDSHAKE_CLIENT)
		start_client(in, j);
	else
		job_wait(j);
	return true;
}

int intake_new(struct intake **out, sd_event *event, struct upcall *kernel, struct jobs *jobs,
	       struct keys *keys, struct credentials *credentials)
{
	struct intake *in = g_new0(struct intake, 1);
	int r;

	in->kernel = kernel;
	in->jobs = jobs;
	in->keys = keys;
	in->credentials = credentials;
	r = sd_event_add_time(event, &in->room, CLOCK_MONOTONIC, UINT64_MAX, 0, on_room, in);
	if (r >= 0)
		r = sd_event_source_set_enabled(in->room, SD_EVENT_OFF);
	if (r < 0) {
		intake_free(in);
		return r;
	}
	*out = in;
	return 0;
}

/* Those that have seen a later change than the one that was loaded look again, and wait once more. */
void intake_release(struct intake *in)
{
	struct job *j;

	for (unsigned int n = jobs_held_count(in->jobs); n && (j = jobs_held_one(in->jobs)); n--)
		if (credentials_ended(in->credentials, j->load))
			release(j);
		else
			start_certified(in, j);
}

void intake_hurry(struct intake *in, struct job *j)
{
	uint64_t load;

	/* A load of which nothing came may be tried again by now. */
	if (credentials_suffice(in->credentials, needs_signer(j)) ||
	    credentials_check(in->credentials, needs_signer(j), &load) == 0)
		release(j);
}

int intake_help(struct intake *in, struct upcall *second)
{
	return acceptor_start(&in->acceptor, sd_event_source_get_event(in->room), second,
			      take_request, in);
}

void intake_close(struct intake *in)
{
	acceptor_stop(g_steal_pointer(&in->acceptor));
	upcall_leave(in->kernel);
	/* The kernel waits for what it queued before we left. */
	intake_drain(in);
	in->closed = true;
}

void intake_pause(struct intake *in)
{
	acceptor_stop(g_steal_pointer(&in->acceptor));
	in->full = false; /* what there was no descriptor for is for others to take */
	in->closed = true;
}

void intake_free(struct intake *in)
{
	if (!in)
		return;
	acceptor_stop(in->acceptor);
	sd_event_source_disable_unref(in->room);
	g_free(in);
}
