// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of the broker's priority and its fuse, each in a process of its own, with threads that spin. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/log.h"
#include "tests/unit/skip.h"
#include "tlshd/broker/priority.h"

#define FUSE_USEC (100 * 1000)
#define PAUSE_USEC (50 * 1000)

static bool may_be_realtime(void)
{
	const struct sched_param first = {.sched_priority = 1}, ordinary = {0};

	return sched_setscheduler(0, SCHED_RR, &first) == 0 &&
	       sched_setscheduler(0, SCHED_OTHER, &ordinary) == 0;
}

/* Return: what @work in a process of its own has logged; its exit status must be 0. */
static char *in_child(int (*work)(void))
{
	GString *lines = g_string_new(NULL);
	char text[1024];
	int fd[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		dup2(fd[1], STDERR_FILENO);
		log_open(LOG_TARGET_STDERR, "tested");
		_exit(work());
	}
	close(fd[1]);
	while ((n = read(fd[0], text, sizeof(text))) > 0)
		g_string_append_len(lines, text, n);
	close(fd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status)
		print_message("# status 0x%x, lines:\n%s", status, lines->str);
	assert_int_equal(status, 0);
	return g_string_free(lines, FALSE);
}

/* Return: CPU time of the calling thread in microseconds. */
static int64_t cpu_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

/* Spins until it is an ordinary thread. Return: whether that took about as long as the fuse. */
static bool spin(void)
{
	int64_t begin = cpu_time();

	while (sched_getscheduler(0) == SCHED_RR)
		;
	return cpu_time() - begin > FUSE_USEC / 4;
}

static int run_loop(sd_event *event)
{
	/* until the priority is back */
	while (sched_getscheduler(0) != SCHED_RR)
		if (sd_event_run(event, UINT64_MAX) < 0)
			return 2;
	return 0;
}

static int spin_in_the_loop(void)
{
	sd_event *event;

	priority_raise(FUSE_USEC);
	if (sched_getscheduler(0) != SCHED_RR || sd_event_new(&event) < 0 ||
	    priority_watch(event, PAUSE_USEC) < 0)
		return 1;
	for (int i = 0; i < 3; i++) {
		struct rlimit limit;

		if (!spin())
			return 4;
		if (run_loop(event))
			return 2;
		if (getrlimit(RLIMIT_RTTIME, &limit) < 0 || limit.rlim_cur != FUSE_USEC)
			return 3;
	}
	return 0;
}

static unsigned int times(const char *lines, const char *text)
{
	unsigned int n = 0;

	for (const char *at = lines; (at = strstr(at, text)); at++)
		n++;
	return n;
}

static void a_loop_that_spins_is_demoted_says_so_and_comes_back(void **state)
{
	g_autofree char *lines = NULL;

	if (!may_be_realtime())
		SKIP_WITHOUT("the right to real-time priorities");
	lines = in_child(spin_in_the_loop);
	assert_int_equal(times(lines, "has used the CPU for seconds"), 3);
	assert_int_equal(times(lines, "is real-time again"), 3);
}

static atomic_int second;

static void *run_second(void *ctx)
{
	second = gettid();
	priority_join();
	spin();
	for (;;)
		pause();
	return NULL;
}

static int spin_in_the_second_thread(void)
{
	sd_event *event;
	pthread_t thread;
	sigset_t all, before;

	priority_raise(FUSE_USEC);
	if (sd_event_new(&event) < 0 || priority_watch(event, PAUSE_USEC) < 0)
		return 1;
	/* as the acceptor is born */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&thread, NULL, run_second, NULL))
		return 1;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	while (!second || sched_getscheduler(second) == SCHED_RR)
		if (sd_event_run(event, 1000) < 0)
			return 2;
	if (run_loop(event))
		return 3;
	while (sched_getscheduler(second) != SCHED_RR)
		usleep(1000);
	return 0;
}

static void the_second_thread_is_caught_too(void **state)
{
	g_autofree char *lines = NULL;

	if (!may_be_realtime())
		SKIP_WITHOUT("the right to real-time priorities");
	lines = in_child(spin_in_the_second_thread);
	assert_int_equal(times(lines, "has used the CPU for seconds"), 1);
	assert_int_equal(times(lines, "is real-time again"), 1);
}

/* As under the unit: LimitRTPRIO=1, and no CAP_SYS_NICE. */
static int come_back_without_capability(void)
{
	return setresuid(65534, 65534, 65534) < 0 ? 1 : spin_in_the_loop();
}

static void the_limit_of_the_unit_is_enough(void **state)
{
	const struct rlimit may = {1, 1};

	if (geteuid() != 0 || !may_be_realtime() || setrlimit(RLIMIT_RTPRIO, &may) < 0)
		SKIP_WITHOUT("the right to real-time priorities");
	g_free(in_child(come_back_without_capability));
}

static int be_refused(void)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_RTPRIO, &none) < 0 ||
	    (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0))
		return 1;
	priority_raise(FUSE_USEC);
	return sched_getscheduler(0) == SCHED_OTHER ? 0 : 2;
}

static void a_system_without_it_is_lived_with(void **state)
{
	g_autofree char *lines = in_child(be_refused);

	assert_int_equal(times(lines, "no real-time priority"), 1);
}

static int keep_what_is_set(void)
{
	const struct sched_param idle = {0};

	if (sched_setscheduler(0, SCHED_BATCH, &idle) < 0)
		return 1;
	priority_raise(FUSE_USEC);
	return sched_getscheduler(0) == SCHED_BATCH ? 0 : 2;
}

static void a_policy_that_somebody_has_set_stays(void **state)
{
	g_autofree char *lines = in_child(keep_what_is_set);

	assert_string_equal(lines, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_loop_that_spins_is_demoted_says_so_and_comes_back),
		cmocka_unit_test(the_second_thread_is_caught_too),
		cmocka_unit_test(the_limit_of_the_unit_is_enough),
		cmocka_unit_test(a_system_without_it_is_lived_with),
		cmocka_unit_test(a_policy_that_somebody_has_set_stays),
	};

	return cmocka_run_group_tests_name("priority", tests, NULL, NULL);
}
