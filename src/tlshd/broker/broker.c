// SPDX-License-Identifier: GPL-2.0-or-later
/* The broker: holds the keys and the kernel, and never reads a byte that a peer sent. */
#include "tlshd/broker/broker-state.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <systemd/sd-daemon.h>

#include "common/log.h"
#include "common/secret.h"
#include "tlshd/broker/priority.h"
#include "tlshd/broker/tls-module.h"
#include "tlshd/shared/sandbox.h"

/* Sockets taken out of the waiting set before the loop looks at the kernel again. */
#define WAKE_BATCH 2
/* The next look for a free descriptor, if none of ours becomes free before: the limit may be raised. */
#define FULL_USEC (100 * UINT64_C(1000))
/* The log hears of it once in this time, however long it lasts. */
#define FULL_LOG_USEC (10 * G_USEC_PER_SEC)

/* ---- requests ---- */

/* The key of a client: the first of those the kernel names that is there. */
static int choose_client_key(struct broker *b, struct job *j, const struct upcall_request *req)
{
	int r = -ENOKEY;

	for (size_t i = 0; i < req->n_peers; i++) {
		g_autofree char *identity = NULL;

		r = keys_identity(b->keys, req->peers[i], &identity);
		if (r == 0 && strlen(identity) > IDENTITY_MAX)
			r = -EMSGSIZE;
		if (r < 0)
			continue;
		j->key = req->peers[i];
		j->identity = g_steal_pointer(&identity);
		return 0;
	}
	return r;
}

static void start_client(struct broker *b, struct job *j, const struct upcall_request *req)
{
	int r;

	job_note_peer(j);
	r = choose_client_key(b, j, req);

	if (r < 0) {
		job_fail(b, j,
			 !req->n_peers		    ? CAUSE_NO_KEY_NAMED
			 : keys_status(r) == ENOKEY ? CAUSE_NAMED_KEY_MISSING
						    : CAUSE_NAMED_KEY_UNREADABLE,
			 req->n_peers ? key_strerror(r) : NULL);
		return;
	}
	job_make_ready(b, j);
}

/* The kernel speaks once of what it has queued. */
static void wait_for_room(struct broker *b)
{
	uint64_t now = (uint64_t)g_get_monotonic_time();

	b->full = true;
	sd_event_source_set_time_relative(b->room, FULL_USEC);
	sd_event_source_set_enabled(b->room, SD_EVENT_ONESHOT);
	if (b->full_at && now - b->full_at < FULL_LOG_USEC)
		return;
	b->full_at = now;
	log_error("no descriptor is left for more than the %u handshakes in flight: others wait in the kernel, which drops those it has no room for; raise LimitNOFILE= or ulimit -n",
		  g_hash_table_size(b->jobs));
}

/* All that takes time waits until the kernel's queue is empty. */
static void take_request(void *ctx, const struct accepted *one)
{
	const struct upcall_request *req = &one->req;
	struct broker *b = ctx;
	struct job *j;

	if (one->error) {
		if (one->error == -EMFILE)
			wait_for_room(b);
		else if (one->why)
			log_error("the kernel's request is refused: %s", one->why);
		else
			log_error("ACCEPT failed: %s", g_strerror(-one->error));
		return;
	}
	j = job_new(b, req);
	j->keyring = one->keyring;
	if (req->auth != HANDSHAKE_PSK) {
		job_fail(b, j, CAUSE_UNSUPPORTED_AUTH,
			 req->auth == HANDSHAKE_X509 ? "x.509" : "no authentication");
		return;
	}
	keys_use_keyring(b->keys, j->keyring);
	if (j->side == HANDSHAKE_CLIENT)
		start_client(b, j, req);
}

/* Takes every request that the kernel has. */
static void drain(struct broker *b)
{
	accept_all(b->kernel, &b->process_keyring_used, take_request, b);
}

static void on_kernel(struct broker *b)
{
	int r = upcall_ready(b->kernel);

	if (r == 0)
		return;
	if (r == -ENOBUFS)
		log_debug(1, "netlink: READYs were lost, which costs nothing");
	else if (r < 0)
		log_error("netlink: %s", g_strerror(-r));
	else
		log_debug(6, "netlink: %d READY", r);
	drain(b);
	stats_notify(&b->stats, g_hash_table_size(b->jobs));
}

void broker_go_on(struct broker *b)
{
	while (pool_go_on(b))
		if (!b->stopping)
			on_kernel(b);
}

static void on_accepted(void *ctx)
{
	broker_go_on(ctx);
}

static int on_room(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct broker *b = userdata;

	b->full = false;
	drain(b);
	broker_go_on(b);
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
		job_make_ready(b, j);
	}
	broker_go_on(b);
	return 0;
}

static void on_deadline(void *owner)
{
	struct job *j = owner;
	struct broker *b = j->broker;

	switch (j->state) {
	case JOB_NEW:
	case JOB_WAITING:
		job_fail(b, j, CAUSE_SILENT_PEER, NULL);
		break;
	case JOB_READY:
		job_fail(b, j, CAUSE_NO_ROOM, NULL);
		break;
	case JOB_RUNNING:
		worker_late(j);
		break;
	case JOB_ENDED: /* not in this list */
		break;
	}
	broker_go_on(b);
}

static int on_respawn(sd_event_source *source, uint64_t usec, void *userdata)
{
	pool_spawn(userdata);
	broker_go_on(userdata);
	return 0;
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
	acceptor_stop(g_steal_pointer(&b->acceptor));
	upcall_leave(b->kernel);
	/* What the kernel queued before we left counts on us. */
	drain(b);
	b->stopping = true;
	broker_go_on(b);
	log_info("stopping; %u handshakes in flight are finished first",
		 g_hash_table_size(b->jobs));
	jobs_stop_when_done(b);
	return 0;
}

static void apply_log_level(const config *settings)
{
	log_set_level(MAX(settings->loglevel, settings->nl_debug ? 6 : 0));
}

static void notify_reloading(void)
{
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" G_GUINT64_FORMAT,
		   (uint64_t)g_get_monotonic_time());
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
		log_error("the new configuration is refused, the old one stays: %s",
			  error->message);
		sd_notify(0, "READY=1");
		return 0;
	}
	config_free(b->settings);
	b->settings = fresh;
	apply_log_level(b->settings);
	keys_configure(b->keys, b->settings->keyrings);
	tls_module_need(-1);
	pool_retire(b);
	pool_spawn(b);
	broker_go_on(b);
	log_info("configuration read again%s%s", fresh->path ? ": " : "",
		 fresh->path ? fresh->path : "");
	sd_notify(0, "READY=1");
	return 0;
}

/* ---- start and end ---- */

static int fatal(const char *what, int err)
{
	log_error("%s: %s", what, g_strerror(-err));
	return err;
}

static int open_kernel(struct upcall **out)
{
	int r = upcall_open(out);

	if (r == -EPROTONOSUPPORT) {
		log_error("this kernel has no TLS handshake upcall; it needs Linux 6.5 or newer with CONFIG_NET_HANDSHAKE");
		return r;
	}
	if (r == -EPERM) {
		log_error("the handshake family needs CAP_NET_ADMIN: start tlshd as root");
		return r;
	}
	return r < 0 ? fatal("netlink", r) : 0;
}

/*
 * What sd-event waits for, and the kernel: of the threads that wait for that one, it wakes one only,
 * and only one that waits in epoll_wait() itself. The first that asks is the first that is woken.
 */
static int wait_for_all(struct broker *b)
{
	struct epoll_event kernel = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.u32 = true};
	struct epoll_event rest = {.events = EPOLLIN, .data.u32 = false};

	b->all = epoll_create1(EPOLL_CLOEXEC);
	if (b->all < 0 || epoll_ctl(b->all, EPOLL_CTL_ADD, upcall_fd(b->kernel), &kernel) < 0 ||
	    epoll_ctl(b->all, EPOLL_CTL_ADD, sd_event_get_fd(b->event), &rest) < 0)
		return -errno;
	return 0;
}

/* The kernel's queue is short: it goes before everything else. */
static int run_loop(struct broker *b)
{
	while (sd_event_get_state(b->event) != SD_EVENT_FINISHED) {
		struct epoll_event event[2];
		int pending = sd_event_prepare(b->event);
		int r = pending, n;

		if (r < 0)
			return r;
		n = epoll_wait(b->all, event, G_N_ELEMENTS(event), pending ? 0 : -1);
		for (int i = 0; i < n; i++)
			if (event[i].data.u32 && !b->stopping) {
				on_kernel(b);
				broker_go_on(b);
			}
		if (!pending)
			r = sd_event_wait(b->event, 0);
		if (r > 0)
			r = sd_event_dispatch(b->event);
		if (r < 0)
			return r;
	}
	return 0;
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
		r = wait_for_all(b);
	if (r >= 0)
		r = sd_event_add_io(b->event, &wake, b->waiting, EPOLLIN, on_first_byte, b);
	if (r >= 0) {
		sd_event_source_set_floating(wake, true);
		sd_event_source_unref(wake);
		r = deadlines_init(&b->deadlines, b->event, on_deadline);
	}
	if (r >= 0)
		r = deadlines_init(&b->settling, b->event, job_settled);
	if (r >= 0)
		r = deadlines_init(&b->patience, b->event, worker_mute);
	if (r >= 0)
		r = sd_event_add_time(b->event, &b->respawn, CLOCK_MONOTONIC, UINT64_MAX, 0,
				      on_respawn, b);
	if (r >= 0)
		r = sd_event_source_set_enabled(b->respawn, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time(b->event, &b->room, CLOCK_MONOTONIC, UINT64_MAX, 0, on_room,
				      b);
	if (r >= 0)
		r = sd_event_source_set_enabled(b->room, SD_EVENT_OFF);
	if (r >= 0)
		r = priority_watch(b->event, PRIORITY_PAUSE_USEC);
	if (r >= 0)
		r = sd_event_set_watchdog(b->event, true);
	return r < 0 ? fatal("event loop", r) : 0;
}

static int start(struct broker *b)
{
	struct upcall *second = NULL;
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
	b->habits = habits_new();
	r = keys_open(&b->keys, "psk", b->settings->keyrings);
	if (r < 0)
		return fatal("a session keyring of our own", r);
	tls_module_need(-1);
	r = open_kernel(&b->kernel);
	if (r >= 0 && g_get_num_processors() > 1) /* on one CPU there is nobody to help */
		r = upcall_open_second(&second, b->kernel);
	if (r < 0)
		return r;
	r = open_loop(b);
	if (r < 0)
		return r;
	r = sandbox_enter(&role_broker); /* before the first worker, that all are born alike */
	if (r < 0)
		return r;
	if (second) { /* born in the sandbox, and before we use our process keyring */
		r = acceptor_start(&b->acceptor, b->event, second, take_request, on_accepted, b);
		if (r < 0)
			return fatal("a second thread for the kernel's queue", r);
	}
	pool_spawn(b);
	if (!pool_size(b))
		return fatal("no worker could be started", -EAGAIN);
	return 0;
}

static void end(struct broker *b)
{
	pool_close(b);
	acceptor_stop(b->acceptor);
	upcall_close(b->kernel);
	sd_event_source_disable_unref(b->respawn);
	sd_event_source_disable_unref(b->room);
	deadlines_clear(&b->deadlines);
	deadlines_clear(&b->settling);
	deadlines_clear(&b->patience);
	sd_event_unref(b->event);
	g_ptr_array_unref(b->workers);
	g_hash_table_unref(b->jobs);
	keys_close(b->keys);
	habits_free(b->habits);
	secret_pages_free(b->secret_message, sizeof(*b->secret_message));
	config_free(b->settings);
	if (b->waiting >= 0)
		close(b->waiting);
	if (b->all >= 0)
		close(b->all);
}

int broker_run(const struct broker_options *options)
{
	struct broker b = {
		.options = options, .settings = options->settings, .waiting = -1, .all = -1};
	int r = start(&b);

	if (r >= 0) {
		log_info("ready, with %u workers%s%s", pool_size(&b),
			 b.settings->path ? ", configured by " : "",
			 b.settings->path ? b.settings->path : "");
		sd_notify(0, "READY=1");
		drain(&b);
		broker_go_on(&b);
		r = run_loop(&b);
		if (r < 0)
			fatal("event loop", r);
		else
			log_info("stopped");
	}
	end(&b);
	return r;
}
