// SPDX-License-Identifier: GPL-2.0-or-later
/* The broker: holds the keys and the kernel, and never reads a byte that a peer sent. */
#include "tlshd/broker/broker.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "common/log.h"
#include "netlink/upcall.h"
#include "tlshd/broker/credentials.h"
#include "tlshd/broker/intake.h"
#include "tlshd/broker/job.h"
#include "tlshd/broker/keys.h"
#include "tlshd/broker/message-id.h"
#include "tlshd/broker/pool-jobs.h"
#include "tlshd/broker/pool.h"
#include "tlshd/broker/heritage.h"
#include "tlshd/broker/recorder.h"
#include "tlshd/broker/relay.h"
#include "tlshd/broker/reload.h"
#include "tlshd/broker/rival.h"
#include "tlshd/broker/store.h"
#include "tlshd/broker/priority.h"
#include "tlshd/broker/tls-module.h"
#include "tlshd/shared/memory.h"
#include "tlshd/shared/sandbox.h"

static const struct log_field no_fields[] = {{0}};

/* By hand, a stop lets what runs finish for so long, and then what has failed settle (job.c). */
#define STOP_USEC (2 * G_USEC_PER_SEC)
#define STOP_SETTLE_USEC (1 * G_USEC_PER_SEC)

struct broker {
	const struct broker_options *options;
	config *settings;
	sd_event *event;
	int all; /* epoll set of the kernel and the event loop */
	struct upcall *kernel;
	/* For those that follow us; the sandbox lets nobody open them. */
	struct upcall *relay[RELAYS_MAX];
	struct keys *keys;
	struct credentials *credentials;
	struct jobs *jobs;
	struct intake *intake;
	struct pool *pool;
	struct recorder *recorder;
	struct heritage *heritage; /* NULL where systemd does not start us */
	struct handover_file next; /* which tlshd would go on after us */
	struct reload *reload; /* the configuration is being read again */
	bool reload_again; /* and is to be read once more after that */
	sd_event_source *stop_timer; /* of a stop by hand */
	bool ready; /* said so: the first worker has been born */
	bool stopping;
	bool closed; /* takes no more */
	int result; /* what broker_run() returns after a stop; if it is not 0, one is due */
};

/* ---- work ---- */

/* The deadline of a job has passed, or half of the time of one that is held. */
static void on_late(void *ctx, struct job *j)
{
	struct broker *b = ctx;

	if (job_is_held_long(j))
		intake_hurry(b->intake, j);
	else if (j->state == JOB_HELD)
		job_fail(j, CAUSE_SIGNER_GONE, credentials_lateness(b->credentials));
	else if (j->state == JOB_NEW || j->state == JOB_WAITING)
		job_fail(j, CAUSE_SILENT_PEER, NULL);
	else
		pool_jobs_late(b->pool, j);
}

/* For a request for which there is no descriptor: strangers that are silent go first. */
static void make_room(struct broker *b)
{
	unsigned int most = 0;
	struct job *silent = jobs_crowded_out(b->jobs, jobs_waiting(b->jobs), &most);

	if (silent)
		job_fail(silent, CAUSE_CROWDED_OUT, NULL);
	else
		pool_jobs_make_room(b->pool, most);
}

/* One piece of the work that callbacks have left to the loop. Return: was there one? */
static bool work(struct broker *b)
{
	if (intake_wants_room(b->intake))
		make_room(b);
	return intake_work(b->intake) || pool_work(b->pool);
}

/* ---- certificates and keys ---- */

static void on_credentials(void *ctx, struct credentials_set *set)
{
	struct broker *b = ctx;

	pool_use(b->pool, set);
}

static void on_entered(void *ctx, struct credentials_set *set)
{
	struct broker *b = ctx;

	credentials_enter(b->credentials, set);
}

/* Workers are born with what is loaded first, and not a second time for it. */
static void use_settings(struct broker *b, const config *settings)
{
	pool_configure(b->pool, settings);
	if (config_has_credentials(settings))
		pool_await(b->pool);
	credentials_configure(b->credentials, settings);
}

static void on_settled(void *ctx)
{
	struct broker *b = ctx;

	pool_go_on(b->pool); /* where what was loaded is not used */
	intake_release(b->intake);
}

static void on_refused(void *ctx, uint32_t worker)
{
	struct broker *b = ctx;

	pool_accuse(b->pool, worker);
}

/* ---- signals ---- */

/* @jobs: it tells the kernel of their end, if there is no next broker; NULL for none */
static void start_relay(struct broker *b, struct upcall *kernel, struct jobs *jobs)
{
	int r = relay_start(kernel, jobs, heritage_queue(b->heritage));

	if (r < 0)
		log_warning("a process that takes requests until tlshd is started again cannot be started: %s",
			    g_strerror(-r));
}

/* Leaves all to the next broker, which systemd starts; or, if it does not, to the relays. */
static void hand_over(struct broker *b)
{
	unsigned int n, failed;

	/* There is no moment at which nobody takes requests, and the last relay knows of all that we have taken. */
	for (size_t i = 1; i < RELAYS_MAX && b->relay[i]; i++)
		start_relay(b, g_steal_pointer(&b->relay[i]), NULL);
	b->closed = true;
	intake_pause(b->intake);
	while (work(b))
		;
	start_relay(b, g_steal_pointer(&b->relay[0]), b->jobs);
	n = jobs_count(b->jobs);
	failed = jobs_hand_over(b->jobs, heritage_queue(b->heritage));
	credentials_leave(b->credentials);
	pool_release(b->pool);
	log_info("stopping; %u handshakes in flight are left to the next tlshd", n - failed);
	sd_event_exit(b->event, 0);
}

/* Nobody goes on after us: no request is taken any more, and what is there fails. */
static void close_down(struct broker *b)
{
	b->closed = true;
	intake_close(b->intake);
	while (intake_work(b->intake))
		;
	pool_jobs_drop_all(b->pool);
	jobs_stop_all(b->jobs);
}

static int on_stop_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct broker *b = userdata;

	if (b->closed)
		return sd_event_exit(b->event, 0);
	close_down(b);
	sd_event_source_set_time_relative(source, STOP_SETTLE_USEC);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* What runs has a moment to finish, and what comes meanwhile is served. */
static void stop_by_hand(struct broker *b)
{
	int r = sd_event_add_time_relative(b->event, &b->stop_timer, CLOCK_MONOTONIC, STOP_USEC, 0,
					   on_stop_timer, b);

	jobs_stop_waiting(b->jobs);
	log_info("stopping; %u handshakes in flight have 2 s to finish", jobs_count(b->jobs));
	if (r < 0)
		close_down(b);
}

static void stop(struct broker *b)
{
	sd_notify(0, "STOPPING=1");
	b->stopping = true;
	reload_free(g_steal_pointer(&b->reload));
	pool_stop(b->pool);
	if (b->heritage && handover_agrees(&b->next, HANDOVER_FILE))
		hand_over(b);
	else
		stop_by_hand(b);
}

/* Is there nothing left to wait for? Requests that come as we leave the group are still taken. */
static bool is_over(struct broker *b)
{
	if (!b->stopping || jobs_count(b->jobs))
		return false;
	if (!b->closed)
		close_down(b);
	return !jobs_count(b->jobs);
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct broker *b = userdata;

	if (b->stopping) {
		log_warning("stopping at once; %u handshakes fail", jobs_count(b->jobs));
		return sd_event_exit(b->event, 0);
	}
	stop(b);
	return 0;
}

/* A worker of systemd's runs what is installed now; we run what was when we were started. */
static void on_upgraded(void *ctx, const char *build)
{
	struct broker *b = ctx;

	if (b->stopping || b->result)
		return;
	log_warning("tlshd was upgraded: this is %s, a new worker is %s; tlshd ends and is to be started again, which systemd does",
		    version_of_build(), build);
	b->result = -ESTALE;
}

static void apply_log_level(const config *settings)
{
	log_set_level(settings->loglevel);
	log_set_netlink(settings->nl_debug > 0);
}

static void notify_reloading(void)
{
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" G_GUINT64_FORMAT,
		   (uint64_t)g_get_monotonic_time());
}

/* Before the first worker is born we are not ready, whatever has been reloaded. */
static void notify_reloaded(const struct broker *b)
{
	if (b->ready)
		sd_notify(0, "READY=1");
}

static void refuse_settings(const char *why)
{
	log_entry(LOG_ERR, MESSAGE_ID_CONFIGURATION_REFUSED, no_fields,
		  "the new configuration is refused, the old one stays: %s", why);
}

/* Starts workers on the new configuration; the old ones finish what they have and end. */
static void take_settings(struct broker *b, config *fresh)
{
	apply_log_level(fresh);
	keys_configure(b->keys, fresh->keyrings);
	tls_module_need(-1);
	use_settings(b, fresh);
	config_free(b->settings);
	b->settings = fresh;
	recorder_configured(b->recorder, b->settings->path);
	log_info("configuration read again%s%s", fresh->path ? ": " : "",
		 fresh->path ? fresh->path : "");
}

static void begin_reload(struct broker *b);

static void on_reloaded(void *ctx, config *fresh, const char *why)
{
	struct broker *b = ctx;

	reload_free(g_steal_pointer(&b->reload));
	if (fresh)
		take_settings(b, fresh);
	else
		refuse_settings(why);
	if (b->reload_again)
		begin_reload(b);
	else
		notify_reloaded(b);
}

static void begin_reload(struct broker *b)
{
	const struct reload_params params = {
		.event = b->event,
		.path = b->options->config_path,
		.done = on_reloaded,
		.ctx = b,
	};
	int r = reload_new(&b->reload, &params);

	b->reload_again = false;
	if (r == 0)
		return;
	refuse_settings(g_strerror(-r));
	notify_reloaded(b);
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct broker *b = userdata;

	if (b->stopping)
		return 0;
	if (b->ready)
		notify_reloading();
	if (b->reload)
		b->reload_again = true; /* the file may have changed since that one has read it */
	else
		begin_reload(b);
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
	int r = upcall_open(&b->kernel, heritage_kernel(b->heritage));

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

static void warn_of_rival(const struct broker *b)
{
	const char *rival = rival_text(b->kernel);

	if (rival)
		log_warning("%s: stop one of the two, or give each a network namespace of its own",
			    rival);
}

/* systemd is told when a handshake can be run. */
static void notify_ready(struct broker *b)
{
	if (b->ready || !pool_size(b->pool))
		return;
	b->ready = true;
	log_entry(LOG_INFO, MESSAGE_ID_READY, no_fields, "ready, with %u workers%s%s",
		  pool_wanted(b->pool), b->settings->path ? ", configured by " : "",
		  b->settings->path ? b->settings->path : "");
	warn_of_rival(b);
	sd_notify(0, "READY=1");
}

/* What is going on, for "nvme-tls status"; a memory copy, and only of what has changed. */
static void record_gauges(struct broker *b)
{
	struct recording_gauges now;

	if (!b->recorder)
		return;
	now.phase = b->stopping ? RECORDING_STOPPING
		    : b->ready	? RECORDING_SERVING
				: RECORDING_STARTING;
	now.in_flight = jobs_count(b->jobs);
	now.waiting = jobs_waiting(b->jobs)->length;
	now.ready = jobs_ready_count(b->jobs);
	now.pad = 0;
	pool_gauge(b->pool, &now);
	recorder_gauge(b->recorder, &now);
	if (keys_changed(b->keys)) {
		struct recording_keyring keyrings[RECORDING_KEYRINGS_MAX];

		recorder_keyrings(b->recorder, keyrings,
				  keys_gauge(b->keys, keyrings, G_N_ELEMENTS(keyrings)));
	}
}

static void work_all(struct broker *b)
{
	while (work(b))
		intake_look(b->intake);
	if (b->result && !b->stopping)
		stop(b);
	notify_ready(b);
	record_gauges(b);
}

/*
 * Wait; take what the kernel has; dispatch one source; then the work that was noted, piece by piece.
 * The kernel's queue is short, so it comes before each of these.
 */
static int turn(struct broker *b)
{
	struct epoll_event event[2];
	int pending = sd_event_prepare(b->event);
	int r = pending, n;

	if (r < 0)
		return r;
	n = epoll_wait(b->all, event, G_N_ELEMENTS(event), pending ? 0 : -1);
	for (int i = 0; i < n; i++)
		if (event[i].data.u32)
			intake_look(b->intake);
	if (!pending)
		r = sd_event_wait(b->event, 0);
	if (r > 0)
		r = sd_event_dispatch(b->event);
	if (r < 0)
		return r;
	work_all(b);
	return 0;
}

static int run_loop(struct broker *b)
{
	int r = 0;

	intake_drain(b->intake); /* what was queued before we said that we are there */
	if (b->heritage)
		heritage_taken(b->heritage);
	work_all(b);
	while (r >= 0 && sd_event_get_state(b->event) != SD_EVENT_FINISHED && !is_over(b))
		r = turn(b);
	return r;
}

static int open_loop(struct broker *b)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
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
		r = priority_watch(b->event, PRIORITY_PAUSE_USEC);
	if (r >= 0)
		r = sd_event_set_watchdog(b->event, true);
	return r < 0 ? fatal("event loop", r) : 0;
}

/* Return: are the processes that we start to lock theirs? Where we may not, they need not try. */
static bool lock_memory(const struct broker *b)
{
	int r = b->settings->lock_memory ? memory_lock() : 0;

	if (r < 0)
		log_warning("memory cannot be locked (%s), so tlshd may not outlive the loss of a disk that it is on; set LimitMEMLOCK=infinity, or lock_memory=false in tlshd.conf",
			    g_strerror(-r));
	return b->settings->lock_memory && r == 0;
}

static int open_rooms(struct broker *b)
{
	const struct broker_options *o = b->options;
	const struct birth_plan plan = {
		.fork = o->fork_workers,
		.uid = o->worker_uid,
		.gid = o->worker_gid,
		.signer_uid = o->signer_uid,
		.signer_gid = o->signer_gid,
		.lock_memory = lock_memory(b),
	};
	const struct credentials_params credentials = {
		.event = b->event,
		.plan = plan,
		.changed = on_credentials,
		.settled = on_settled,
		.refused = on_refused,
		.upgraded = on_upgraded,
		.ctx = b,
	};
	struct pool_params params = {
		.event = b->event,
		.keys = b->keys,
		.plan = plan,
		.limits = pool_limits,
		.keep = b->heritage,
		.upgraded = on_upgraded,
		.entered = on_entered,
		.ctx = b,
	};
	int r = jobs_new(&b->jobs, b->event, b->kernel, on_late, b);

	params.jobs = b->jobs;
	if (r >= 0)
		r = pool_new(&b->pool, &params);
	b->credentials = credentials_new(&credentials);
	if (r >= 0)
		r = intake_new(&b->intake, b->event, b->kernel, b->jobs, b->keys, b->credentials);
	return r < 0 ? fatal("jobs and workers", r) : 0;
}

static int start(struct broker *b)
{
	struct upcall *second = NULL;
	int r;

	apply_log_level(b->settings);
	r = keys_open(&b->keys, "psk", b->settings->keyrings);
	if (r < 0)
		return fatal("a session keyring of our own", r);
	tls_module_need(-1);
	r = open_kernel(b);
	if (r >= 0 && g_get_num_processors() > 1) /* on one CPU there is nobody to help */
		r = upcall_open_second(&second, b->kernel);
	for (size_t i = 0; r >= 0 && b->heritage && i < (second ? RELAYS_MAX : 1); i++)
		r = upcall_open_second(&b->relay[i], b->kernel);
	if (r >= 0)
		r = open_loop(b);
	if (r >= 0)
		r = open_rooms(b);
	if (r >= 0 && b->options->recording_dir) /* the sandbox lets nobody make directories */
		b->recorder = recorder_open(b->options->recording_dir, RECORDING_SLOTS,
					    version_of_build());
	if (b->recorder) {
		jobs_record(b->jobs, b->recorder);
		recorder_configured(b->recorder, b->settings->path);
	}
	if (r >= 0)
		r = sandbox_enter(&role_broker); /* before the first worker, that all are born alike */
	if (r < 0)
		return r;
	if (second) { /* born in the sandbox, and before we use our process keyring */
		r = intake_help(b->intake, second);
		if (r < 0)
			return fatal("a second thread for the kernel's queue", r);
	}
	use_settings(b, b->settings);
	if (b->heritage)
		r = heritage_take(b->heritage, b->event, b->kernel, b->jobs, b->pool);
	return r < 0 ? fatal("what is to be kept over a restart", r) : 0;
}

static void end(struct broker *b)
{
	intake_free(b->intake);
	jobs_free(b->jobs);
	pool_free(b->pool);
	credentials_free(b->credentials);
	recorder_close(b->recorder);
	heritage_free(b->heritage);
	handover_forget(&b->next);
	for (size_t i = 0; i < RELAYS_MAX; i++)
		upcall_close(b->relay[i]);
	upcall_close(b->kernel);
	reload_free(b->reload);
	sd_event_source_disable_unref(b->stop_timer);
	sd_event_unref(b->event);
	keys_close(b->keys);
	config_free(b->settings);
	if (b->all >= 0)
		close(b->all);
}

int broker_run(const struct broker_options *options)
{
	struct broker b = {
		.options = options, .settings = options->settings, .all = -1, .next.fd = -1};
	int r;

	/* Who forks its workers cannot leave them: they end with their parent. */
	if (!options->fork_workers && store_exists()) {
		b.heritage = heritage_open();
		handover_look(&b.next, HANDOVER_FILE);
	}
	r = start(&b);

	if (r >= 0) {
		r = run_loop(&b);
		if (r < 0)
			fatal("event loop", r);
		else
			log_info("stopped");
	}
	end(&b);
	return r < 0 ? r : b.result;
}
