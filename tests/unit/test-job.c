// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of jobs: each ends once, at its time, and with one line. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <cmocka.h>
#include <gnutls/gnutls.h>

#include "stub-upcall.h"
#include "tlshd/broker/tally.h"

static sd_event *event;
static struct jobs *jobs;
static unsigned int n_late;
static unsigned int dispatched; /* other sources that had their turn between two deadlines */
static bool in_between;

static void on_late(void *ctx, struct job *j)
{
	n_late++;
	job_fail(j, CAUSE_SILENT_PEER, NULL);
}

static int set_up(void **state)
{
	if (!stub_log)
		stub_log_to_memory();
	stub_forget();
	n_late = dispatched = 0;
	in_between = false;
	return sd_event_new(&event) < 0 || jobs_new(&jobs, event, NULL, on_late, NULL) < 0;
}

static int tear_down(void **state)
{
	jobs_free(jobs);
	event = sd_event_unref(event);
	return 0;
}

static struct handover found;
static unsigned int n_found;

static void find(void *ctx, const struct handover *h)
{
	found = *h;
	n_found++;
}

static unsigned int in_ledger(const struct ledger *l)
{
	n_found = 0;
	assert_int_equal(ledger_read(ledger_fd(l), find, NULL), 0);
	return n_found;
}

static bool all_told(void *n)
{
	return stub_n_told >= *(unsigned int *)n;
}

static bool run_until_told(unsigned int n)
{
	return stub_run(event, NULL, all_told, &n);
}

static uint64_t now(void)
{
	return (uint64_t)g_get_monotonic_time();
}

static void failure_of_a_server_is_told_after_50_ms(void **state)
{
	int peer;
	struct job *j = stub_job(jobs, HANDSHAKE_SERVER, 10000, &peer);
	uint64_t start = j->start;

	job_fail(j, CAUSE_NOT_TLS, NULL);
	assert_int_equal(stub_n_told, 0);
	assert_int_equal(stub_lines("[not-tls]"), 1);
	assert_true(run_until_told(1));
	assert_int_equal(stub_told[0].status, EPROTO);
	assert_true(stub_told[0].at - start >= 50000);
	assert_int_equal(jobs_count(jobs), 0);
	close(peer);
}

static void success_of_a_server_is_told_after_5_ms(void **state)
{
	struct outcome o = OUTCOME_INIT;
	int peer;
	struct job *j = stub_job(jobs, HANDSHAKE_SERVER, 10000, &peer);
	uint64_t start = j->start;

	j->key = 77;
	job_end(j, &o);
	assert_int_equal(stub_lines("succeeded"), 0);
	assert_true(run_until_told(1));
	assert_int_equal(stub_told[0].status, 0);
	assert_int_equal(stub_told[0].remote, 77);
	assert_true(stub_told[0].at - start >= 5000);
	assert_int_equal(stub_lines("succeeded"), 1);
	close(peer);
}

static void client_is_told_at_once(void **state)
{
	int peer;
	struct job *j = stub_job(jobs, HANDSHAKE_CLIENT, 10000, &peer);

	job_fail(j, CAUSE_NO_KEY_NAMED, NULL);
	assert_int_equal(stub_n_told, 1);
	assert_int_equal(stub_told[0].status, ENOKEY);
	close(peer);
}

static bool slept_enough(void *start)
{
	return now() - *(uint64_t *)start > 150000;
}

/* The kernel must hear of no end, good or bad, before the thread that took the request has slept. */
static void nothing_is_told_before_the_accepting_thread_has_slept(void **state)
{
	struct outcome o = OUTCOME_INIT;
	uint64_t start = now();
	struct job *bad, *good;
	int peer[2];

	bad = stub_job(jobs, HANDSHAKE_SERVER, 10000, &peer[0]);
	good = stub_job(jobs, HANDSHAKE_SERVER, 10000, &peer[1]);
	bad->mark.sleeps = good->mark.sleeps = LONG_MAX;
	good->key = 1;
	job_fail(bad, CAUSE_NOT_TLS, NULL);
	job_end(good, &o);
	assert_true(stub_run(event, NULL, slept_enough, &start));
	assert_int_equal(stub_n_told, 0);
	bad->mark.sleeps = good->mark.sleeps = -1;
	assert_true(run_until_told(2));
	close(peer[0]);
	close(peer[1]);
}

static unsigned int turns; /* of the loop that had something to do */

static void count_turns_until(uint64_t end)
{
	for (turns = 0; now() < end; turns++)
		if (sd_event_run(event, 10000) == 0)
			turns--;
}

/* A loop that looks for each of many jobs whether it has slept never does. */
static void many_that_wait_for_a_sleep_let_the_loop_sleep(void **state)
{
	struct job *j[500];
	int peer[G_N_ELEMENTS(j)];

	for (size_t i = 0; i < G_N_ELEMENTS(j); i++) {
		j[i] = stub_job(jobs, HANDSHAKE_SERVER, 60000, &peer[i]);
		j[i]->mark.sleeps = LONG_MAX;
		close(peer[i]);
		job_fail(j[i], CAUSE_NOT_TLS, NULL);
	}
	usleep(60000);
	for (unsigned int i = 0; i < 2 * G_N_ELEMENTS(j); i++)
		sd_event_run(event, 0);
	count_turns_until(now() + 200000);
	assert_true(turns >= 1 && turns <= 150);
	assert_int_equal(stub_n_told, 0);
	for (size_t i = 0; i < G_N_ELEMENTS(j); i++)
		j[i]->mark.sleeps = -1;
	assert_true(run_until_told(G_N_ELEMENTS(j)));
	assert_int_equal(jobs_count(jobs), 0);
}

/* A stop that waits for nobody. */
static void what_waits_for_a_sleep_is_left_at_a_stop(void **state)
{
	struct job *j;
	int peer;

	j = stub_job(jobs, HANDSHAKE_SERVER, 60000, &peer);
	j->mark.sleeps = LONG_MAX;
	job_fail(j, CAUSE_NOT_TLS, NULL);
	count_turns_until(now() + 100000);
	assert_int_equal(jobs_count(jobs), 1);
	jobs_free(jobs);
	jobs = NULL;
	assert_int_equal(stub_n_told, 0);
	close(peer);
}

static void take(void *ctx, const struct accepted *one)
{
	*(struct accepted *)ctx = *one;
}

static long sleeps(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw;
}

/* The acceptor's thread takes it for its last one, and naps until it has slept since. */
static void accept_without_a_descriptor_has_a_mark(void **state)
{
	struct rlimit before, none;
	struct accepted one;
	bool used = false;
	long least;

	usleep(1000);
	least = sleeps();
	getrlimit(RLIMIT_NOFILE, &before);
	none = (struct rlimit){0, before.rlim_max};
	setrlimit(RLIMIT_NOFILE, &none);
	accept_all(NULL, true, &used, take, &one);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(one.error, -EMFILE);
	assert_true(one.mark.second);
	assert_true(one.mark.sleeps >= least && one.mark.sleeps <= sleeps());
}

static void kernel_that_has_given_up_is_named(void **state)
{
	struct outcome o = OUTCOME_INIT;
	int peer;
	struct job *j = stub_job(jobs, HANDSHAKE_SERVER, 10000, &peer);

	j->key = 1;
	stub_answer = -EBUSY;
	job_end(j, &o);
	assert_true(run_until_told(1));
	assert_int_equal(stub_lines("[given-up]"), 1);
	assert_int_equal(stub_lines("succeeded"), 0);
	close(peer);
}

static void deadline_of_a_server_is_apart_from_the_consumers_own(void **state)
{
	static const struct {
		enum handshake_side side;
		uint32_t timeout_ms, expected_ms;
	} rows[] = {
		{HANDSHAKE_SERVER, 10000, 8750},  {HANDSHAKE_SERVER, 5000, 4375},
		{HANDSHAKE_SERVER, 60000, 58000}, {HANDSHAKE_SERVER, 0, 8750},
		{HANDSHAKE_CLIENT, 10000, 10000},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		int peer;
		struct job *j = stub_job(jobs, rows[i].side, rows[i].timeout_ms, &peer);

		assert_int_equal(j->deadline.at - j->start, rows[i].expected_ms * UINT64_C(1000));
		close(peer);
	}
}

static int on_other(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	dispatched += in_between;
	return 0;
}

/* Of thousands that pass together the loop does one, and then whatever else there is. */
static void deadlines_that_pass_together_do_not_hold_the_loop(void **state)
{
	sd_event_source *other = NULL;
	unsigned int before, most = 0;
	int peer[300], always[2];

	assert_int_equal(pipe(always), 0);
	assert_int_equal(write(always[1], "x", 1), 1);
	assert_true(sd_event_add_io(event, &other, always[0], EPOLLIN, on_other, NULL) >= 0);
	for (size_t i = 0; i < G_N_ELEMENTS(peer); i++)
		stub_job(jobs, HANDSHAKE_SERVER, 8, &peer[i]);
	usleep(20000);
	in_between = true;
	while (n_late < G_N_ELEMENTS(peer)) {
		before = n_late;
		sd_event_run(event, 0);
		most = MAX(most, n_late - before);
	}
	assert_int_equal(most, 1);
	assert_true(dispatched > 100);
	for (size_t i = 0; i < G_N_ELEMENTS(peer); i++)
		close(peer[i]);
	sd_event_source_disable_unref(other);
	close(always[0]);
	close(always[1]);
}

static void deadlines_come_in_their_order_whatever_the_order_of_jobs(void **state)
{
	int peer[2];
	struct job *slow = stub_job(jobs, HANDSHAKE_SERVER, 600000, &peer[0]);

	stub_job(jobs, HANDSHAKE_SERVER, 8, &peer[1]);
	assert_true(run_until_told(1));
	assert_int_equal(n_late, 1);
	assert_ptr_equal(jobs_find(jobs, slow->id), slow);
	close(peer[0]);
	close(peer[1]);
}

static bool is_ready(void *job)
{
	return ((struct job *)job)->state == JOB_READY;
}

static void silent_peer_waits_until_it_speaks(void **state)
{
	int peer;
	struct job *j = stub_job(jobs, HANDSHAKE_SERVER, 10000, &peer);

	job_wait(j);
	assert_int_equal(j->state, JOB_WAITING);
	stub_run(event, NULL, NULL, NULL);
	assert_int_equal(j->state, JOB_WAITING);
	assert_int_equal(write(peer, "x", 1), 1);
	assert_true(stub_run(event, NULL, is_ready, j));
	assert_ptr_equal(jobs_ready_one(jobs), j);
	close(peer);
	j = stub_job(jobs, HANDSHAKE_SERVER, 10000, &peer);
	assert_int_equal(write(peer, "x", 1), 1);
	job_wait(j);
	assert_int_equal(j->state, JOB_READY);
	close(peer);
}

/* ---- the crowd ---- */

static struct job *crowded_out(unsigned int most)
{
	return jobs_crowded_out(jobs, jobs_waiting(jobs), &most);
}

static struct job *certified_job(enum handshake_side side, unsigned int timeout_ms, int *peer)
{
	struct job *j = stub_job(jobs, side, timeout_ms, peer);

	j->auth = HANDSHAKE_X509;
	job_make_ready(j);
	return j;
}

/* Mounts of the same machine: a hundred clients come first, and nfsd waits for half as long. */
static void job_whose_deadline_comes_first_is_run_first(void **state)
{
	int peer[4];
	struct job *clients[] = {certified_job(HANDSHAKE_CLIENT, 3000, &peer[0]),
				 certified_job(HANDSHAKE_CLIENT, 10000, &peer[1])};
	struct job *servers[] = {certified_job(HANDSHAKE_SERVER, 5000, &peer[2]),
				 certified_job(HANDSHAKE_SERVER, 5000, &peer[3])};
	struct job *const order[] = {clients[0], servers[0], servers[1], clients[1]};

	for (size_t i = 0; i < G_N_ELEMENTS(order); i++) {
		assert_int_equal(jobs_ready_count(jobs), G_N_ELEMENTS(order) - i);
		assert_ptr_equal(jobs_ready_one(jobs), order[i]);
		job_fail(order[i], CAUSE_NO_ROOM, NULL);
	}
	assert_null(jobs_ready_one(jobs));
	assert_int_equal(jobs_ready_count(jobs), 0);
	for (size_t i = 0; i < G_N_ELEMENTS(peer); i++)
		close(peer[i]);
}

static void nobody_young_is_crowded_out(void **state)
{
	int peer;
	struct job *j = stub_job(jobs, HANDSHAKE_SERVER, 60000, &peer);

	job_wait(j);
	close(peer);
	j = stub_job(jobs, HANDSHAKE_SERVER, 60000, &peer);
	job_wait(j);
	assert_null(crowded_out(0));
	close(peer);
}

static void who_has_most_is_crowded_out_and_of_these_the_oldest(void **state)
{
	struct job *j[6];
	int peer[6];

	/* The oldest is alone, the others come from one address. */
	for (size_t i = 0; i < G_N_ELEMENTS(j); i++) {
		struct accepted one = {
			.req = {.side = HANDSHAKE_SERVER, .timeout_ms = 60000},
			.peer.v4 = {.sin_family = AF_INET},
		};
		int fd[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
		one.req.sockfd = fd[0];
		peer[i] = fd[1];
		one.peer.v4.sin_addr.s_addr = htonl(i ? 2 : 1);
		j[i] = job_new(jobs, &one);
		job_wait(j[i]);
		j[i]->start -= 2 * CROWD_USEC;
	}
	assert_ptr_equal(crowded_out(0), j[1]);
	/* Nobody goes in the place of those who have more, and have had no time yet. */
	for (size_t i = 1; i < G_N_ELEMENTS(j); i++)
		j[i]->start += 2 * CROWD_USEC;
	assert_null(crowded_out(0));
	for (size_t i = 1; i < G_N_ELEMENTS(j); i++)
		j[i]->start -= 2 * CROWD_USEC;
	job_fail(j[1], CAUSE_CROWDED_OUT, NULL);
	for (size_t i = 2; i < 5; i++)
		job_move(j[i], JOB_KEYED, NULL); /* no strangers any more */
	/* one each: the oldest, unless somebody has more elsewhere */
	assert_null(crowded_out(2));
	assert_ptr_equal(crowded_out(0), j[0]);
	for (size_t i = 0; i < G_N_ELEMENTS(peer); i++)
		close(peer[i]);
}

/* ---- the log ---- */

static void flood_of_strangers_is_summed_up(void **state)
{
	const unsigned int n = 500;

	for (unsigned int i = 0; i < n; i++) {
		int peer;

		job_fail(stub_job(jobs, HANDSHAKE_SERVER, 10000, &peer), CAUSE_GONE_EARLY, NULL);
		close(peer);
	}
	assert_int_equal(stub_lines("[gone-early]"), TALLY_LINES);
	assert_true(run_until_told(n));
	jobs_free(jobs);
	assert_int_equal(jobs_new(&jobs, event, NULL, on_late, NULL), 0);
	assert_int_equal(stub_lines("[gone-early]"), TALLY_LINES + 1);
	assert_int_equal(stub_lines("495 more connections from 192.0.2.7 ended before a ClientHello in the last second [gone-early]"),
			 1);
}

static bool has_sum(void *ctx)
{
	return stub_lines("in the last second") > 0;
}

static void sum_comes_within_a_second(void **state)
{
	for (unsigned int i = 0; i < TALLY_LINES + 3; i++) {
		int peer;

		job_fail(stub_job(jobs, HANDSHAKE_SERVER, 10000, &peer), CAUSE_WRONG_KEY, NULL);
		close(peer);
	}
	assert_true(stub_run(event, NULL, has_sum, NULL));
	assert_int_equal(stub_lines("3 more handshakes with 192.0.2.7 failed"), 1);
}

static void who_was_given_a_key_is_never_summed_up(void **state)
{
	for (unsigned int i = 0; i < 100; i++) {
		struct job *j;
		int peer;

		j = stub_job(jobs, HANDSHAKE_SERVER, 10000, &peer);
		j->key = 5;
		job_fail(j, CAUSE_WRONG_KEY, NULL);
		close(peer);
	}
	assert_int_equal(stub_lines("[wrong-key]"), 100);
}

static void jobs_that_are_left_at_a_stop_are_told(void **state)
{
	int peer;

	stub_job(jobs, HANDSHAKE_CLIENT, 10000, &peer);
	jobs_free(jobs);
	assert_int_equal(stub_n_told, 1);
	assert_int_equal(stub_told[0].status, ECONNABORTED);
	assert_int_equal(jobs_new(&jobs, event, NULL, on_late, NULL), 0);
	close(peer);
}

/* ---- from one broker to the next ---- */

/* Hands all jobs over, and restores them. Return: how many there are then. */
static unsigned int hand_over(void)
{
	struct handover h;
	int queue[2], sockfd;

	assert_int_equal(queue_open(&queue[0], &queue[1]), 0);
	assert_int_equal(jobs_hand_over(jobs, queue[1]), 0);
	assert_int_equal(jobs_count(jobs), 0);
	close(queue[1]);
	while (queue_receive(queue[0], &h, &sockfd) == 0)
		assert_non_null(job_restore(jobs, &h, sockfd, NULL));
	close(queue[0]);
	return jobs_count(jobs);
}

static void job_that_waits_goes_on_waiting_in_the_next_broker(void **state)
{
	int peer;
	struct job *j = stub_job(jobs, HANDSHAKE_SERVER, 10000, &peer);
	uint64_t start = j->start, deadline = j->deadline.at;

	job_wait(j);
	assert_int_equal(j->state, JOB_WAITING);
	assert_int_equal(hand_over(), 1);
	j = g_queue_peek_head((GQueue *)jobs_waiting(jobs));
	assert_non_null(j);
	assert_true(j->start == start && j->deadline.at == deadline && j->stranger);
	assert_int_equal(send(peer, "x", 1, 0), 1);
	stub_run(event, NULL, NULL, NULL);
	assert_ptr_equal(jobs_ready_one(jobs), j);
	assert_int_equal(stub_n_told, 0);
	close(peer);
}

static void job_that_nobody_has_looked_at_is_new_in_the_next_broker(void **state)
{
	int peer;

	stub_job(jobs, HANDSHAKE_CLIENT, 10000, &peer);
	assert_int_equal(hand_over(), 1);
	assert_non_null(jobs_new_one(jobs));
	assert_int_equal(jobs_new_one(jobs)->side, HANDSHAKE_CLIENT);
	close(peer);
}

static void job_that_has_ended_is_told_once_by_the_next_broker_and_logged_once(void **state)
{
	int peer;
	struct job *j = stub_job(jobs, HANDSHAKE_SERVER, 10000, &peer);

	job_fail(j, CAUSE_NOT_TLS, NULL);
	assert_int_equal(stub_n_told, 0);
	assert_int_equal(hand_over(), 1);
	assert_true(run_until_told(1));
	assert_int_equal(stub_told[0].status, cause_info(CAUSE_NOT_TLS)->status);
	assert_int_equal(jobs_count(jobs), 0);
	assert_int_equal(stub_lines("[not-tls]"), 1);
	close(peer);
}

/* How often the thread of the broker before has slept says nothing of ours. */
static void nothing_is_told_by_the_next_broker_before_it_has_slept(void **state)
{
	int peer;
	struct job *j = stub_job(jobs, HANDSHAKE_SERVER, 10000, &peer);

	j->start -= G_USEC_PER_SEC;
	j->mark.sleeps = LONG_MAX;
	job_fail(j, CAUSE_NOT_TLS, NULL);
	assert_int_equal(hand_over(), 1);
	assert_int_equal(stub_n_told, 0);
	assert_true(run_until_told(1));
	close(peer);
}

static void success_is_told_and_logged_by_the_next_broker(void **state)
{
	struct outcome o = OUTCOME_INIT;
	int peer;
	struct job *j = stub_job(jobs, HANDSHAKE_SERVER, 10000, &peer);

	j->key = 4711;
	j->identity = g_strdup("NVMe0R01 nqn.host nqn.io-1");
	o.cipher = GNUTLS_CIPHER_AES_128_GCM;
	job_end(j, &o);
	assert_int_equal(hand_over(), 1);
	assert_true(run_until_told(1));
	assert_int_equal(stub_told[0].status, 0);
	assert_int_equal(stub_told[0].remote, 4711);
	assert_int_equal(stub_lines("succeeded: cipher AES-128-GCM, identity \"NVMe0R01 nqn.host nqn.io-1\""),
			 1);
	close(peer);
}

/* From the first message to its worker until the end, whatever kills the broker. */
static void job_in_a_worker_stands_in_the_ledger(void **state)
{
	struct ledger *l;
	int peer;
	struct job *j;

	assert_int_equal(ledger_new(&l), 0);
	jobs_keep(jobs, l);
	j = stub_job(jobs, HANDSHAKE_SERVER, 10000, &peer);
	job_make_ready(j);
	assert_int_equal(in_ledger(l), 0);
	j->worker_pid = 1234;
	job_move(j, JOB_HANDED, NULL);
	assert_int_equal(in_ledger(l), 1);
	j->identity = g_strdup("NVMe0R01 nqn.host nqn.io-1");
	job_move(j, JOB_ASKING, NULL);
	assert_int_equal(in_ledger(l), 1);
	assert_int_equal(found.worker, 1234);
	assert_int_equal(found.state, HANDOVER_ASKING);
	assert_true(found.socket == handover_cookie(j->sockfd) && found.socket);
	assert_string_equal(found.identity, j->identity);
	job_fail(j, CAUSE_NO_KEY, NULL);
	assert_int_equal(in_ledger(l), 0);
	jobs_keep(jobs, NULL);
	ledger_free(l);
	close(peer);
}

static void stop_that_waits_for_nobody_tells_of_all(void **state)
{
	int peer[2];

	struct job *j = stub_job(jobs, HANDSHAKE_SERVER, 10000, &peer[0]);

	j->start -= G_USEC_PER_SEC;
	job_wait(j);
	stub_job(jobs, HANDSHAKE_CLIENT, 10000, &peer[1]);
	jobs_abandon(jobs, NULL);
	assert_int_equal(stub_n_told, 2);
	assert_int_equal(stub_told[0].status, cause_info(CAUSE_STOPPING)->status);
	assert_int_equal(stub_lines("[stopping]"), 2);
	close(peer[0]);
	close(peer[1]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(failure_of_a_server_is_told_after_50_ms),
		TEST(success_of_a_server_is_told_after_5_ms),
		TEST(client_is_told_at_once),
		TEST(nothing_is_told_before_the_accepting_thread_has_slept),
		TEST(many_that_wait_for_a_sleep_let_the_loop_sleep),
		TEST(what_waits_for_a_sleep_is_left_at_a_stop),
		TEST(accept_without_a_descriptor_has_a_mark),
		TEST(kernel_that_has_given_up_is_named),
		TEST(deadline_of_a_server_is_apart_from_the_consumers_own),
		TEST(deadlines_that_pass_together_do_not_hold_the_loop),
		TEST(deadlines_come_in_their_order_whatever_the_order_of_jobs),
		TEST(silent_peer_waits_until_it_speaks),
		TEST(job_whose_deadline_comes_first_is_run_first),
		TEST(nobody_young_is_crowded_out),
		TEST(who_has_most_is_crowded_out_and_of_these_the_oldest),
		TEST(flood_of_strangers_is_summed_up),
		TEST(sum_comes_within_a_second),
		TEST(who_was_given_a_key_is_never_summed_up),
		TEST(jobs_that_are_left_at_a_stop_are_told),
		TEST(job_that_waits_goes_on_waiting_in_the_next_broker),
		TEST(job_that_nobody_has_looked_at_is_new_in_the_next_broker),
		TEST(job_that_has_ended_is_told_once_by_the_next_broker_and_logged_once),
		TEST(nothing_is_told_by_the_next_broker_before_it_has_slept),
		TEST(success_is_told_and_logged_by_the_next_broker),
		TEST(job_in_a_worker_stands_in_the_ledger),
		TEST(stop_that_waits_for_nobody_tells_of_all),
	};

	return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
