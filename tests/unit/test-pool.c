// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of the pool: what becomes of workers that do as they should, and of those that do not. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/log.h"
#include "stub-upcall.h"
#include "tlshd/broker/ktls-check.h"
#include "tlshd/broker/pool-jobs.h"
#include "tlshd/broker/pool.h"
#include "tlshd/broker/store.h"
#include "tlshd/broker/tls-module.h"

#define KNOWN "NVMe0R01 nqn.host nqn.io-1"
#define SERIAL 4711

/* ---- in the place of other rooms ---- */

/* The other end of a worker: the script speaks on the socket, a child that sleeps is the process. */
struct script {
	int sock;
	pid_t pid;
};

static struct script scripts[64];
static unsigned int n_born;
static int birth_error;
static int small_buffer; /* of the broker's end, 0 for the usual */
static bool socket_is_tls;
static const char *upgraded_to;

void birth_prepare(const struct birth_plan *plan)
{
}

int birth_begin(const struct birth_plan *plan, const struct ipc_birth *first,
		const struct birth_credential *credentials, size_t n, struct birth *out)
{
	const union ipc_message m = {.birth = *first};
	struct script *s = &scripts[n_born];

	if (birth_error)
		return birth_error;
	assert_true(n_born < G_N_ELEMENTS(scripts));
	assert_int_equal(ipc_pair(&out->sock, &s->sock), 0);
	if (small_buffer)
		setsockopt(out->sock, SOL_SOCKET, SO_SNDBUF, &small_buffer, sizeof(small_buffer));
	assert_int_equal(ipc_send(out->sock, &m, -1, false), 0);
	out->pid = s->pid = fork();
	if (s->pid == 0)
		for (;;)
			pause();
	out->pidfd = pidfd_open(out->pid, 0);
	n_born++;
	return 0;
}

static char stored[256];
static char removed[256];

void store_put(const char *name, const int *fds, unsigned int n)
{
	assert_int_equal(n, 2);
	g_strlcpy(stored, name, sizeof(stored));
}

void store_remove(const char *name)
{
	g_strlcpy(removed, name, sizeof(removed));
}

int ktls_check(int fd, unsigned int cipher, const char **why)
{
	*why = "the socket is not TLS";
	return socket_is_tls ? 0 : -EBADMSG;
}

void tls_module_need(int lost)
{
}

int keys_find(struct keys *k, key_serial keyring, const char *identity, uint64_t since, secret *psk)
{
	if (strcmp(identity, KNOWN) != 0)
		return -ENOKEY;
	psk->len = 32;
	return SERIAL;
}

int keys_read_bytes(struct keys *k, key_serial key, blob *out)
{
	return -ENOKEY;
}

int keys_read(struct keys *k, key_serial keyring, key_serial key, secret *psk)
{
	psk->len = 32;
	return 0;
}

int keys_status(int err)
{
	return -err;
}

/* ---- the stage ---- */

static sd_event *event;
static struct jobs *jobs;
static struct pool *pool;
static config settings;

static void on_late(void *ctx, struct job *j)
{
	pool_jobs_late(pool, j);
}

static void on_upgraded(void *ctx, const char *build)
{
	upgraded_to = g_intern_string(build);
}

static bool work(void *ctx)
{
	return pool_work(pool);
}

static int set_up(void **state)
{
	struct pool_params params = {
		.plan = {.fork = true},
		.limits = pool_limits,
		.keep = true,
		.upgraded = on_upgraded,
	};

	if (!stub_log)
		stub_log_to_memory();
	stub_forget();
	n_born = 0;
	birth_error = small_buffer = 0;
	socket_is_tls = true;
	upgraded_to = NULL;
	*stored = *removed = '\0';
	settings.workers = 2;
	log_set_level(0);
	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(jobs_new(&jobs, event, NULL, on_late, NULL), 0);
	params.event = event;
	params.jobs = jobs;
	params.limits.respawn = 20000;
	params.limits.dismissed = 30000;
	params.limits.patience = 300000;
	params.limits.birth = 60000000;
	params.limits.jobs = 4;
	if (*state)
		((void (*)(struct pool_limits *)) * state)(&params.limits);
	assert_int_equal(pool_new(&pool, &params), 0);
	pool_configure(pool, &settings);
	return 0;
}

static int tear_down(void **state)
{
	jobs_free(jobs);
	pool_free(pool);
	for (unsigned int i = 0; i < n_born; i++) {
		close(scripts[i].sock);
		/* nothing outlives the pool */
		assert_int_equal(waitpid(scripts[i].pid, NULL, WNOHANG), -1);
	}
	event = sd_event_unref(event);
	return 0;
}

static bool run(bool (*until)(void *ctx), void *ctx)
{
	return stub_run(event, work, until, ctx);
}

/* Whatever is to be done now. */
static void settle(void)
{
	stub_run(event, work, NULL, NULL);
}

static bool births(void *n)
{
	return n_born >= *(unsigned int *)n;
}

static void run_until_born(unsigned int n)
{
	assert_true(run(births, &n));
}

static bool gone(void *pid)
{
	return kill(*(pid_t *)pid, 0) < 0;
}

static void assert_gone(struct script *s)
{
	assert_true(run(gone, &s->pid));
}

static void assert_alive(struct script *s)
{
	settle();
	assert_int_equal(kill(s->pid, 0), 0);
}

static bool logged(void *text)
{
	return stub_lines(text) > 0;
}

static void assert_logged(const char *text)
{
	if (!run(logged, (void *)text))
		fail_msg("no line with '%s' in:\n%s", text, stub_log->str);
}

static void assert_not_logged(const char *text)
{
	settle();
	if (stub_lines(text))
		fail_msg("a line with '%s' in:\n%s", text, stub_log->str);
}

static bool told(void *n)
{
	return stub_n_told >= *(unsigned int *)n;
}

static void assert_told(unsigned int n)
{
	assert_true(run(told, &n));
	assert_int_equal(stub_n_told, n);
}

/* ---- the script ---- */

static void say(struct script *s, const union ipc_message *m)
{
	assert_int_equal(ipc_send(s->sock, m, -1, false), 0);
}

static void say_type(struct script *s, enum ipc_type type, uint32_t job)
{
	union ipc_message m;

	memset(&m, 0, sizeof(m));
	m.header.type = type;
	m.header.job = job;
	if (type == IPC_LOG)
		m.log.priority = LOG_INFO;
	say(s, &m);
}

static void say_lookup(struct script *s, uint32_t job, const char *identity)
{
	union ipc_message m;

	memset(&m, 0, sizeof(m));
	m.header = (struct ipc_header){IPC_LOOKUP, job};
	g_strlcpy(m.lookup.identity, identity, sizeof(m.lookup.identity));
	say(s, &m);
}

static void say_done(struct script *s, uint32_t job, enum cause cause)
{
	union ipc_message m;

	memset(&m, 0, sizeof(m));
	m.header = (struct ipc_header){IPC_DONE, job};
	m.done.cause = cause;
	m.done.alert_sent = -1;
	say(s, &m);
}

/* As a worker does, with the socket of the job. */
static void say_done_with(struct script *s, uint32_t job, enum cause cause, int sockfd)
{
	union ipc_message m;

	memset(&m, 0, sizeof(m));
	m.header = (struct ipc_header){IPC_DONE, job};
	m.done.cause = cause;
	m.done.alert_sent = -1;
	assert_int_equal(ipc_send(s->sock, &m, sockfd, false), 0);
}

static void say_born(struct script *s, const char *version)
{
	union ipc_message m;

	memset(&m, 0, sizeof(m));
	m.header.type = IPC_BORN;
	g_strlcpy(m.born.version, version, sizeof(m.born.version));
	say(s, &m);
}

/* What the broker said to @s last, its descriptor closed; 0 for nothing. */
static uint32_t hear(struct script *s, union ipc_message *m)
{
	const char *why;
	int fd = -1;

	if (ipc_receive(s->sock, IPC_WORKER, m, &fd, &why) < 0)
		return 0;
	if (fd >= 0)
		close(fd);
	return m->header.type;
}

/* Workers that serve. */
static void serve(unsigned int n)
{
	union ipc_message m;

	run_until_born(n);
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(hear(&scripts[i], &m), IPC_BIRTH);
		say_born(&scripts[i], version_of_build());
	}
	settle();
	assert_int_equal(pool_size(pool), n);
}

static struct script *worker_of(const struct job *j)
{
	for (unsigned int i = 0; i < n_born; i++) {
		union ipc_message m;

		while (hear(&scripts[i], &m))
			if (m.header.type == IPC_JOB && m.header.job == j->id)
				return &scripts[i];
	}
	return NULL;
}

static struct job *ready_job(uint32_t timeout_ms)
{
	int peer;
	struct job *j = stub_job(jobs, HANDSHAKE_SERVER, timeout_ms, &peer);

	close(peer);
	job_make_ready(j);
	return j;
}

/* A job in a worker. */
static struct job *given_job(struct script **s)
{
	struct job *j = ready_job(60000);

	settle();
	assert_int_equal(j->state, JOB_HANDED);
	*s = worker_of(j);
	assert_non_null(*s);
	return j;
}

static struct script *other_than(const struct script *s)
{
	return s == &scripts[0] ? &scripts[1] : &scripts[0];
}

/* ---- births ---- */

static void worker_serves_once_it_has_said_so(void **state)
{
	struct job *j = ready_job(60000);

	run_until_born(2);
	settle();
	assert_int_equal(pool_size(pool), 0);
	assert_int_equal(j->state, JOB_READY);
	say_born(&scripts[0], version_of_build());
	settle();
	assert_int_equal(pool_size(pool), 1);
	assert_int_equal(j->state, JOB_HANDED);
}

static void first_message_has_version_role_and_settings(void **state)
{
	union ipc_message m;
	const char *why;

	settings.tls_debug = 3;
	pool_configure(pool, &settings);
	settings.tls_debug = 0;
	run_until_born(2);
	assert_int_equal(ipc_receive_birth(scripts[0].sock, &m, &why), 0);
	assert_string_equal(m.birth.version, version_of_build());
	assert_int_equal(m.birth.role, IPC_ROLE_WORKER);
	assert_int_equal(m.birth.tls_debug, 3);
}

static void worker_of_another_build_means_an_upgrade(void **state)
{
	run_until_born(2);
	say_born(&scripts[0], "99.0 feedbeef");
	settle();
	assert_string_equal(upgraded_to, "99.0 feedbeef");
	assert_int_equal(pool_size(pool), 0);
	assert_gone(&scripts[0]);
}

static void first_word_must_be_a_workers(void **state)
{
	run_until_born(2);
	say_type(&scripts[0], IPC_RAN, 1);
	assert_logged("a worker is lost at its birth");
	assert_gone(&scripts[0]);
	assert_alive(&scripts[1]);
	run_until_born(3);
}

static void long_load(struct pool_limits *limits)
{
	limits->credentials = 600 * G_USEC_PER_SEC;
}

static void no_worker_is_born_before_the_credentials_that_are_loaded(void **state)
{
	pool_await(pool);
	settle();
	assert_int_equal(n_born, 0);
	pool_use(pool, NULL);
	settle();
	assert_int_equal(n_born, 2);
}

static void short_load(struct pool_limits *limits)
{
	limits->credentials = 20000;
}

static void credentials_that_take_long_hold_up_nobody(void **state)
{
	pool_await(pool);
	settle();
	run_until_born(2);
	pool_use(pool, NULL); /* at last: those who know of them take over */
	run_until_born(4);
}

static void birth_that_fails_is_asked_for_again(void **state)
{
	struct job *j;

	birth_error = -EAGAIN;
	settle();
	assert_int_equal(n_born, 0);
	j = ready_job(8);
	assert_told(1);
	assert_int_equal(stub_told[0].status, EIO);
	assert_logged("[no-worker]");
	(void)j;
	birth_error = 0;
	run_until_born(2);
	serve(2);
}

static void short_birth(struct pool_limits *limits)
{
	limits->birth = 20000;
}

static void birth_that_does_not_come_is_asked_for_again(void **state)
{
	run_until_born(3);
	assert_logged("it was asked for, and has not come in time");
	assert_gone(&scripts[0]);
}

static void worker_that_dies_is_replaced(void **state)
{
	serve(2);
	kill(scripts[0].pid, SIGKILL);
	assert_logged("is lost: it died");
	assert_logged("was ended by signal 9");
	run_until_born(3);
	assert_alive(&scripts[1]);
}

/* ---- jobs ---- */

static void job_runs_from_look_up_to_done(void **state)
{
	union ipc_message m;
	struct script *s;
	struct job *j;

	serve(2);
	j = given_job(&s);
	say_type(s, IPC_RAN, j->id);
	settle();
	assert_int_equal(j->state, JOB_BEGUN);
	say_lookup(s, j->id, KNOWN);
	settle();
	assert_int_equal(j->state, JOB_KEYED);
	assert_int_equal(hear(s, &m), IPC_KEY);
	assert_int_equal(m.key.error, 0);
	assert_int_equal(m.key.psk.len, 32);
	say_done(s, j->id, CAUSE_SUCCESS);
	assert_told(1);
	assert_int_equal(stub_told[0].status, 0);
	assert_int_equal(stub_told[0].remote, SERIAL);
	assert_alive(s);
	assert_int_equal(pool_size(pool), 2);
}

static void key_that_is_not_there_is_answered(void **state)
{
	union ipc_message m;
	struct script *s;
	struct job *j;

	serve(2);
	j = given_job(&s);
	say_lookup(s, j->id, "somebody");
	settle();
	assert_int_equal(hear(s, &m), IPC_KEY);
	assert_int_equal(m.key.error, ENOKEY);
	assert_int_equal(m.key.psk.len, 0);
	say_done(s, j->id, CAUSE_NO_KEY);
	assert_told(1);
	assert_int_equal(stub_told[0].status, ENOKEY);
	assert_logged("identity \"somebody\"");
	assert_int_equal(pool_size(pool), 2);
}

static void jobs_in_sequence_are_spread(void **state)
{
	unsigned int n[2] = {0};

	serve(2);
	for (unsigned int i = 0; i < 40; i++) {
		struct script *s;
		struct job *j = given_job(&s);

		n[s - scripts]++;
		say_done(s, j->id, CAUSE_GONE_EARLY);
		settle();
	}
	assert_int_equal(n[0] + n[1], 40);
	assert_true(n[0] >= 8 && n[1] >= 8);
}

static void many_jobs(struct pool_limits *limits)
{
	limits->jobs = 1000;
}

static void nobody_gets_more_than_it_can_run(void **state)
{
	serve(2);
	for (unsigned int i = 0; i < 100; i++)
		ready_job(60000);
	settle();
	assert_int_equal(jobs_ready_count(jobs), 100 - 2 * 16);
}

static void worker_that_fails_alone_is_replaced_in_time(void **state)
{
	unsigned int given = 0;

	serve(2);
	for (unsigned int i = 0; i < 400 && !stub_lines("fails much more often"); i++) {
		struct script *s;
		struct job *j = given_job(&s);

		given++;
		if (s == &scripts[1]) {
			say_lookup(s, j->id, KNOWN);
			say_done(s, j->id, CAUSE_SUCCESS);
		} else {
			say_done(s, j->id, CAUSE_NO_KEY);
		}
		settle();
	}
	assert_logged("fails much more often than the others and is replaced");
	assert_true(given < 120);
	assert_gone(&scripts[0]);
	assert_alive(&scripts[1]);
	run_until_born(3);
}

static void short_life(struct pool_limits *limits)
{
	limits->life_jobs = 8;
}

static void worker_is_replaced_after_its_share_of_jobs_and_not_before_its_successor(void **state)
{
	unsigned int i;

	serve(2);
	for (i = 0; n_born == 2 && i < 100; i++) {
		struct script *s;
		struct job *j = given_job(&s);

		say_done(s, j->id, CAUSE_GONE_EARLY);
		settle();
	}
	assert_true(i < 30);
	assert_int_equal(pool_size(pool), 2);
	say_born(&scripts[2], version_of_build());
	settle();
	assert_int_equal(pool_size(pool), 2);
	assert_logged("does not end by itself");
}

static void worker_that_has_had_its_time_stays_as_long_as_no_successor_comes(void **state)
{
	union ipc_message m;

	serve(2);
	birth_error = -EAGAIN;
	for (unsigned int i = 0; i < 80; i++) {
		struct script *s;
		struct job *j = given_job(&s);

		say_done(s, j->id, CAUSE_GONE_EARLY);
		settle();
	}
	assert_int_equal(pool_size(pool), 2);
	birth_error = 0;
	for (unsigned int i = 2; i < 4; i++) {
		run_until_born(i + 1);
		assert_int_equal(hear(&scripts[i], &m), IPC_BIRTH);
		say_born(&scripts[i], version_of_build());
	}
	assert_gone(&scripts[0]);
	assert_gone(&scripts[1]);
	assert_int_equal(pool_size(pool), 2);
}

/* ---- workers that somebody else has taken over ---- */

static void assert_lost(struct script *s, const char *why)
{
	assert_logged(why);
	assert_gone(s);
	assert_alive(other_than(s));
	assert_int_equal(stub_lines("handshakes fail with it"), 1);
}

static void who_reports_success_without_tls_is_ended(void **state)
{
	struct script *s;
	struct job *j;

	serve(2);
	j = given_job(&s);
	say_lookup(s, j->id, KNOWN);
	socket_is_tls = false;
	say_done(s, j->id, CAUSE_SUCCESS);
	assert_told(1);
	assert_int_equal(stub_told[0].status, EIO);
	assert_logged("[worker-lied]");
	assert_lost(s, "it reported what is not so");
}

static void who_reports_success_without_a_key_is_ended(void **state)
{
	struct script *s;
	struct job *j;

	serve(2);
	j = given_job(&s);
	say_lookup(s, j->id, "somebody");
	say_done(s, j->id, CAUSE_SUCCESS);
	assert_logged("a success without a key");
	assert_lost(s, "it reported what is not so");
	assert_told(1);
	assert_int_equal(stub_told[0].status, EIO);
}

static void who_asks_twice_is_ended(void **state)
{
	static const char *const first[] = {KNOWN, "somebody"};

	for (size_t i = 0; i < G_N_ELEMENTS(first); i++) {
		union ipc_message m;
		struct script *s;
		struct job *j;

		if (i) {
			tear_down(state);
			set_up(state);
		}
		serve(2);
		j = given_job(&s);
		say_lookup(s, j->id, first[i]);
		say_lookup(s, j->id, "another");
		assert_lost(s, "it asked for keys that are none of its business");
		/* and has had one answer */
		assert_int_equal(hear(s, &m), IPC_KEY);
		assert_int_equal(hear(s, &m), 0);
	}
}

static void who_says_twice_that_it_ran_is_ended(void **state)
{
	struct script *s;
	struct job *j;

	serve(2);
	j = given_job(&s);
	say_type(s, IPC_RAN, j->id);
	say_type(s, IPC_RAN, j->id);
	assert_lost(s, "it spoke out of turn");
}

static void who_ends_a_job_twice_is_ended_and_the_job_ends_once(void **state)
{
	struct script *s;
	struct job *j;
	uint32_t id;

	serve(2);
	j = given_job(&s);
	id = j->id;
	say_done(s, id, CAUSE_GONE_EARLY);
	say_done(s, id, CAUSE_GONE_EARLY);
	assert_lost(s, "is lost: it spoke of");
	assert_told(1);
}

static void who_speaks_of_anothers_job_is_ended(void **state)
{
	struct script *s;
	struct job *j;

	serve(2);
	j = given_job(&s);
	say_done(other_than(s), j->id, CAUSE_GONE_EARLY);
	assert_lost(other_than(s), "it spoke of a job that it does not have");
	assert_int_equal(j->state, JOB_HANDED);
}

static void jobs_of_a_lost_worker_fail_with_it(void **state)
{
	struct script *s;
	struct job *j;

	serve(2);
	j = given_job(&s);
	say_type(s, IPC_RAN, j->id);
	settle();
	say_type(s, IPC_KEY, j->id);
	assert_told(1);
	assert_int_equal(stub_told[0].status, EIO);
	assert_logged("1 handshakes fail with it");
	assert_logged("[worker-lost]");
}

/* As much as its socket takes. */
static void flood(struct script *s)
{
	const union ipc_message m = {.log = {.header = {IPC_LOG, 0}, .priority = LOG_INFO}};

	for (unsigned int i = 0; i < 3000 && ipc_send(s->sock, &m, -1, false) == 0; i++)
		;
}

static void who_floods_the_log_is_ended(void **state)
{
	serve(2);
	flood(&scripts[0]);
	assert_lost(&scripts[0], "it floods the log");
	assert_true(stub_lines("worker ") < 300);
}

/* So few that a test may be slow. */
static void one_line_a_second(struct pool_limits *limits)
{
	limits->lines = 1;
}

/* Then it has a hundred times as many lines, and after that it has to wait. */
static void who_floods_the_log_when_debugging_slows_nobody(void **state)
{
	struct script *s;
	struct job *j;

	log_set_level(1);
	serve(2);
	for (unsigned int i = 0; i < 8; i++) {
		flood(&scripts[0]);
		settle();
	}
	assert_true(stub_lines("worker ") >= 10000 && stub_lines("worker ") <= 23000);
	for (unsigned int i = 0; i < 4; i++) {
		j = given_job(&s);
		assert_ptr_equal(s, &scripts[1]);
	}
	say_done(s, j->id, CAUSE_GONE_EARLY);
	assert_told(1);
	assert_alive(&scripts[0]);
}

/* GnuTLS says a lot, also where our own level is 0; and one that is retired at a reload still does. */
static void who_was_born_to_debug_tls_is_not_ended_for_it(void **state)
{
	struct script *s;
	struct job *j;

	settings.tls_debug = 9;
	pool_configure(pool, &settings);
	settings.tls_debug = 0;
	serve(2);
	j = given_job(&s);
	flood(s);
	pool_configure(pool, &settings);
	flood(s);
	settle();
	assert_alive(s);
	assert_not_logged("it floods the log");
	assert_int_equal(j->state, JOB_HANDED);
}

/* ---- workers that are late ---- */

static bool has_late(void *ctx)
{
	return stub_lines("[worker-late]") > 0;
}

/* A job that its worker has been late with. */
static uint32_t late_job(struct script **s)
{
	struct job *j = ready_job(400);
	uint32_t id = j->id;

	settle();
	*s = worker_of(j);
	assert_non_null(*s);
	assert_true(run(has_late, NULL));
	return id;
}

static void late_worker_costs_one_job(void **state)
{
	struct script *s;
	uint32_t id;

	serve(2);
	id = late_job(&s);
	say_done(s, id, CAUSE_PEER_STALLED);
	assert_told(1);
	assert_int_equal(stub_told[0].status, ETIMEDOUT);
	usleep(400000);
	assert_alive(s);
	assert_int_equal(pool_size(pool), 2);
	/* and that was all that it may say of it */
	say_done(s, id, CAUSE_PEER_STALLED);
	assert_lost(s, "it spoke of a job that it does not have");
}

static void worker_that_makes_no_progress_is_ended(void **state)
{
	struct script *s;

	serve(2);
	late_job(&s);
	assert_lost(s, "it does not answer");
}

static void chatter_is_no_progress(void **state)
{
	gint64 start = g_get_monotonic_time();
	struct script *s;

	serve(2);
	late_job(&s);
	while (!stub_lines("it does not answer")) {
		if (ipc_send(s->sock,
			     &(union ipc_message){
				     .log = {.header = {IPC_LOG, 0}, .priority = LOG_INFO}},
			     -1, false) < 0)
			break;
		settle();
		usleep(5000);
		assert_true(g_get_monotonic_time() - start < 60 * G_USEC_PER_SEC);
	}
	assert_lost(s, "it does not answer");
}

static void late_worker_may_not_ask_on_and_on(void **state)
{
	struct script *s;
	uint32_t id;

	serve(2);
	id = late_job(&s);
	say_lookup(s, id, KNOWN); /* that was on its way, and has no answer */
	settle();
	assert_alive(s);
	say_lookup(s, id, KNOWN);
	assert_lost(s, "it asked for keys that are none of its business");
}

static void small_socket(struct pool_limits *limits)
{
	limits->jobs = 1000;
	small_buffer = 4096;
}

static void key_that_finds_no_room_comes_later(void **state)
{
	union ipc_message m;
	unsigned int keys = 0;
	struct job *j[16];

	settings.workers = 1;
	pool_configure(pool, &settings);
	small_buffer = 1;
	run_until_born(1);
	say_born(&scripts[0], version_of_build());
	hear(&scripts[0], &m);
	for (size_t i = 0; i < G_N_ELEMENTS(j); i++) {
		j[i] = ready_job(60000);
		settle();
		while (j[i]->state == JOB_READY) { /* it is blocked: take something out */
			assert_true(hear(&scripts[0], &m));
			settle();
		}
	}
	while (hear(&scripts[0], &m))
		settle();
	for (size_t i = 0; i < G_N_ELEMENTS(j); i++)
		say_lookup(&scripts[0], j[i]->id, KNOWN);
	settle();
	assert_int_not_equal(j[15]->state, JOB_KEYED); /* the socket is full */
	for (unsigned int tries = 0; tries < 100 && keys < G_N_ELEMENTS(j); tries++) {
		while (hear(&scripts[0], &m) == IPC_KEY)
			keys++;
		settle();
	}
	assert_int_equal(keys, G_N_ELEMENTS(j));
	assert_int_equal(j[15]->state, JOB_KEYED);
	assert_int_equal(pool_size(pool), 1);
}

/* ---- the end ---- */

static void dismissed_worker_that_stays_is_killed(void **state)
{
	serve(2);
	pool_configure(pool, &settings); /* a reload */
	run_until_born(4);
	say_born(&scripts[2], version_of_build());
	assert_gone(&scripts[0]);
	assert_gone(&scripts[1]);
	assert_logged("does not end by itself and is killed");
	assert_alive(&scripts[2]);
}

static void workers_of_before_a_reload_serve_until_the_next_are_born(void **state)
{
	struct job *j;

	serve(2);
	pool_configure(pool, &settings);
	run_until_born(4);
	j = ready_job(60000);
	settle();
	assert_int_equal(j->state, JOB_HANDED);
	assert_true(worker_of(j) == &scripts[0] || worker_of(j) == &scripts[1]);
	say_born(&scripts[2], version_of_build());
	settle();
	assert_int_equal(pool_size(pool), 1);
	j = ready_job(60000);
	settle();
	assert_ptr_equal(worker_of(j), &scripts[2]);
}

static void no_worker_of_before_serves_when_the_settings_are_others(void **state)
{
	struct job *j;

	serve(2);
	settings.tls_debug = 3;
	pool_configure(pool, &settings);
	settings.tls_debug = 0;
	run_until_born(4);
	j = ready_job(60000);
	settle();
	assert_int_equal(j->state, JOB_READY);
	say_born(&scripts[2], version_of_build());
	settle();
	assert_ptr_equal(worker_of(j), &scripts[2]);
}

static void dismissed_worker_finishes_what_it_has(void **state)
{
	struct script *s;
	struct job *j;

	serve(2);
	j = given_job(&s);
	pool_configure(pool, &settings);
	run_until_born(4);
	say_born(&scripts[2], version_of_build());
	assert_gone(other_than(s));
	assert_alive(s);
	say_done(s, j->id, CAUSE_GONE_EARLY);
	assert_told(1);
	assert_gone(s);
}

static void stop_ends_every_worker(void **state)
{
	struct script *s;
	pid_t pid[2];

	serve(2);
	given_job(&s);
	pid[0] = scripts[0].pid;
	pid[1] = scripts[1].pid;
	jobs_free(jobs);
	pool_free(pool);
	assert_true(gone(&pid[0]) && gone(&pid[1]));
	assert_int_equal(stub_lines("was ended by signal"), 0);
	assert_int_equal(stub_lines("[stopping]"), 1);
	close(scripts[0].sock);
	close(scripts[1].sock);
	n_born = 0;
	event = sd_event_unref(event);
	set_up(state);
}

/* ---- the crowd ---- */

static void strangers_make_room_when_all_slots_are_taken(void **state)
{
	struct job *held[8], *honest;
	union ipc_message m;
	struct script *s = NULL;
	uint32_t dropped = 0;

	serve(2);
	for (size_t i = 0; i < G_N_ELEMENTS(held); i++) {
		held[i] = given_job(&s);
		say_type(s, IPC_RAN, held[i]->id);
		settle();
		held[i]->start -= 2 * CROWD_USEC;
	}
	honest = ready_job(60000);
	settle();
	assert_int_equal(stub_lines("[crowded-out]"), 1);
	assert_int_equal(honest->state, JOB_READY);
	for (unsigned int i = 0; i < 2 && !dropped; i++)
		while (hear(&scripts[i], &m))
			if (m.header.type == IPC_DROP) {
				s = &scripts[i];
				dropped = m.header.job;
			}
	assert_int_not_equal(dropped, 0);
	say_done(s, dropped, CAUSE_PEER_STALLED);
	settle();
	assert_int_equal(honest->state, JOB_HANDED);
	assert_int_equal(stub_lines("[crowded-out]"), 1);
	assert_told(1);
	assert_int_equal(stub_told[0].status, ECONNABORTED);
}

static void who_has_had_its_key_is_never_crowded_out(void **state)
{
	struct script *s;

	serve(2);
	for (unsigned int i = 0; i < 8; i++) {
		struct job *j = given_job(&s);

		say_lookup(s, j->id, KNOWN);
		settle();
		j->start -= 2 * CROWD_USEC;
	}
	ready_job(60000);
	settle();
	assert_not_logged("[crowded-out]");
}

/* ---- from one broker to the next ---- */

/* A worker of the broker before, which was born with @settings; two serve beside it. */
static struct script *adopted_worker(const char *born_with, int version)
{
	struct script *s = &scripts[n_born++];
	g_autofree char *name = NULL;
	int sock;

	assert_int_equal(ipc_pair(&sock, &s->sock), 0);
	s->pid = fork();
	if (s->pid == 0)
		for (;;)
			pause();
	name = g_strdup_printf("worker-%d-%d-%s", s->pid, version, born_with);
	if (pool_adopt(pool, name, sock, pidfd_open(s->pid, 0)) < 0) {
		kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
		return NULL;
	}
	return s;
}

static struct handover job_in(const struct script *s, enum handover_state state, int sockfd)
{
	struct handover h = {
		.id = 4711,
		.state = state,
		.side = HANDSHAKE_SERVER,
		.auth = HANDSHAKE_PSK,
		.worker = s->pid,
		.start = (uint64_t)g_get_monotonic_time(),
		.deadline = (uint64_t)g_get_monotonic_time() + 60 * G_USEC_PER_SEC,
		.socket = handover_cookie(sockfd),
	};

	if (state >= HANDOVER_ASKING)
		g_strlcpy(h.identity, KNOWN, sizeof(h.identity));
	if (state == HANDOVER_KEYED)
		h.key = SERIAL;
	return h;
}

static void restored_job_ends_with_the_socket_of_its_worker(void **state)
{
	struct script *s = adopted_worker("0123456789abcdef", IPC_VERSION);
	struct handover h;
	union ipc_message m;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	h = job_in(s, HANDOVER_BEGUN, pair[0]);
	assert_true(pool_restore(pool, &h));
	say_lookup(s, h.id, KNOWN);
	settle();
	assert_int_equal(hear(s, &m), IPC_KEY);
	assert_int_equal(m.key.error, 0);
	say_done_with(s, h.id, CAUSE_SUCCESS, pair[0]);
	assert_told(1);
	assert_int_equal(stub_told[0].status, 0);
	assert_int_equal(stub_told[0].remote, SERIAL);
	close(pair[0]);
	close(pair[1]);
}

static void restored_job_that_asked_is_answered(void **state)
{
	struct script *s = adopted_worker("0123456789abcdef", IPC_VERSION);
	struct handover h = job_in(s, HANDOVER_ASKING, -1);
	union ipc_message m;

	assert_true(pool_restore(pool, &h));
	settle();
	assert_int_equal(hear(s, &m), IPC_KEY);
	assert_int_equal(m.key.error, 0);
	say_lookup(s, h.id, KNOWN);
	assert_logged("it asked for keys that are none of its business");
}

static void who_returns_another_socket_is_ended(void **state)
{
	struct script *s = adopted_worker("0123456789abcdef", IPC_VERSION);
	struct handover h;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	h = job_in(s, HANDOVER_KEYED, pair[0]);
	assert_true(pool_restore(pool, &h));
	say_done_with(s, h.id, CAUSE_SUCCESS, pair[1]);
	assert_logged("[worker-lied]");
	assert_gone(s);
	close(pair[0]);
	close(pair[1]);
}

static void success_without_its_socket_is_a_failure_and_no_lie(void **state)
{
	struct script *s = adopted_worker("0123456789abcdef", IPC_VERSION);
	struct handover h = job_in(s, HANDOVER_KEYED, -1), other = job_in(s, HANDOVER_BEGUN, -1);

	other.id++;
	assert_true(pool_restore(pool, &h) && pool_restore(pool, &other));
	say_done(s, h.id, CAUSE_SUCCESS);
	assert_logged("[no-descriptor]");
	say_done(s, other.id, CAUSE_PEER_STALLED);
	assert_logged("[peer-stalled]");
	assert_not_logged("is lost");
	assert_int_equal(stub_n_told, 0);
}

static void adopted_worker_may_speak_of_jobs_that_nobody_knows(void **state)
{
	struct script *s = adopted_worker("0123456789abcdef", IPC_VERSION);
	struct handover h = job_in(s, HANDOVER_BEGUN, -1);

	assert_true(pool_restore(pool, &h));
	say_done_with(s, 99, CAUSE_SUCCESS, 2);
	say_lookup(s, 99, KNOWN);
	assert_alive(s);
	assert_int_equal(stub_n_told, 0);
}

static void worker_that_serves_is_kept_and_one_that_is_lost_is_not(void **state)
{
	g_autofree char *start = NULL;

	run_until_born(1);
	assert_string_equal(stored, "");
	say_born(&scripts[0], version_of_build());
	settle();
	start = g_strdup_printf("worker-%d-", scripts[0].pid);
	assert_true(g_str_has_prefix(stored, start));
	say_type(&scripts[0], IPC_RAN, 7);
	settle();
	assert_string_equal(removed, stored);
}

static void worker_of_the_same_settings_serves_until_its_successor_does(void **state)
{
	struct script *s;

	run_until_born(2);
	say_born(&scripts[0], version_of_build());
	settle();
	s = adopted_worker(strrchr(stored, '-') + 1, IPC_VERSION);
	assert_alive(s);
	assert_int_equal(pool_size(pool), 2);
	say_born(&scripts[1], version_of_build());
	assert_gone(s);
	assert_int_equal(pool_size(pool), 2);
}

static void worker_of_other_settings_finishes_and_ends(void **state)
{
	struct script *s = adopted_worker("0123456789abcdef", IPC_VERSION);

	assert_int_equal(pool_size(pool), 0);
	serve(0);
	assert_gone(s);
}

static void worker_whose_messages_nobody_understands_is_not_adopted(void **state)
{
	assert_null(adopted_worker("0123456789abcdef", IPC_VERSION + 1));
	assert_null(adopted_worker("0123456789abcdef", 0));
}

static void what_is_no_name_of_a_worker_is_refused(void **state)
{
	static const char *const bad[] = {"worker-", "worker-x-1-y", "worker-1-1-y",
					  "worker--7-1-y", "worker-99"};

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
		assert_int_equal(pool_adopt(pool, bad[i], dup(2), dup(2)), -EINVAL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_WITH(name, limits) \
	cmocka_unit_test_prestate_setup_teardown(name, set_up, tear_down, (void *)(limits))
	const struct CMUnitTest tests[] = {
		TEST(worker_serves_once_it_has_said_so),
		TEST(first_message_has_version_role_and_settings),
		TEST(worker_of_another_build_means_an_upgrade),
		TEST(first_word_must_be_a_workers),
		TEST_WITH(no_worker_is_born_before_the_credentials_that_are_loaded, long_load),
		TEST_WITH(credentials_that_take_long_hold_up_nobody, short_load),
		TEST(birth_that_fails_is_asked_for_again),
		TEST_WITH(birth_that_does_not_come_is_asked_for_again, short_birth),
		TEST(worker_that_dies_is_replaced),
		TEST(job_runs_from_look_up_to_done),
		TEST(key_that_is_not_there_is_answered),
		TEST(jobs_in_sequence_are_spread),
		TEST_WITH(nobody_gets_more_than_it_can_run, many_jobs),
		TEST(worker_that_fails_alone_is_replaced_in_time),
		TEST_WITH(worker_is_replaced_after_its_share_of_jobs_and_not_before_its_successor,
			  short_life),
		TEST_WITH(worker_that_has_had_its_time_stays_as_long_as_no_successor_comes,
			  short_life),
		TEST(who_reports_success_without_tls_is_ended),
		TEST(who_reports_success_without_a_key_is_ended),
		TEST(who_asks_twice_is_ended),
		TEST(who_says_twice_that_it_ran_is_ended),
		TEST(who_ends_a_job_twice_is_ended_and_the_job_ends_once),
		TEST(who_speaks_of_anothers_job_is_ended),
		TEST(jobs_of_a_lost_worker_fail_with_it),
		TEST(who_floods_the_log_is_ended),
		TEST_WITH(who_floods_the_log_when_debugging_slows_nobody, one_line_a_second),
		TEST(who_was_born_to_debug_tls_is_not_ended_for_it),
		TEST(late_worker_costs_one_job),
		TEST(worker_that_makes_no_progress_is_ended),
		TEST(chatter_is_no_progress),
		TEST(late_worker_may_not_ask_on_and_on),
		TEST_WITH(key_that_finds_no_room_comes_later, small_socket),
		TEST(dismissed_worker_that_stays_is_killed),
		TEST(workers_of_before_a_reload_serve_until_the_next_are_born),
		TEST(no_worker_of_before_serves_when_the_settings_are_others),
		TEST(dismissed_worker_finishes_what_it_has),
		TEST(stop_ends_every_worker),
		TEST(strangers_make_room_when_all_slots_are_taken),
		TEST(who_has_had_its_key_is_never_crowded_out),
		TEST(restored_job_ends_with_the_socket_of_its_worker),
		TEST(restored_job_that_asked_is_answered),
		TEST(who_returns_another_socket_is_ended),
		TEST(success_without_its_socket_is_a_failure_and_no_lie),
		TEST(adopted_worker_may_speak_of_jobs_that_nobody_knows),
		TEST(worker_that_serves_is_kept_and_one_that_is_lost_is_not),
		TEST(worker_of_the_same_settings_serves_until_its_successor_does),
		TEST(worker_of_other_settings_finishes_and_ends),
		TEST(worker_whose_messages_nobody_understands_is_not_adopted),
		TEST(what_is_no_name_of_a_worker_is_refused),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
