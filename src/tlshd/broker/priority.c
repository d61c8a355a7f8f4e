// SPDX-License-Identifier: GPL-2.0-or-later
/* The broker's real-time priority, and the fuse that takes it away from a broker that spins. */
#include "tlshd/broker/priority.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

#define PRIORITY 1
#define THREADS_MAX 4

static struct {
	int policy; /* what we run at while the fuse is whole */
	struct sched_param param;
	struct rlimit fuse;
	uint64_t pause_usec;
	atomic_int threads[THREADS_MAX]; /* 0: free */
	int blown; /* eventfd, from the signal handler to the loop */
	sd_event_source *back;
} priority = {.blown = -1};

/* Return: 0, or the negative errno of the thread that stays as it is. */
static int set_all(int policy, const struct sched_param *param)
{
	int r = 0;

	for (size_t i = 0; i < THREADS_MAX; i++) {
		int thread = priority.threads[i];

		if (thread && sched_setscheduler(thread, policy, param) < 0 && errno != ESRCH)
			r = -errno;
	}
	return r;
}

/*
 * SIGXCPU is the process's, and not of the thread that spins: so all are demoted. A broker that may
 * not even do that would hold its CPU for ever.
 */
static void on_fuse(int signal)
{
	const struct sched_param ordinary = {0};
	int err = errno;

	if (set_all(SCHED_OTHER, &ordinary) < 0) {
		log_from_signal("a thread of the broker spins, and its real-time priority cannot be given up: exiting");
		_exit(EXIT_FAILURE);
	}
	log_from_signal("a thread of the broker has used the CPU for seconds without sleeping: all go on at an ordinary priority for a while; please report this");
	if (priority.blown >= 0)
		eventfd_write(priority.blown, 1);
	errno = err;
}

static void arm(void)
{
	if (setrlimit(RLIMIT_RTTIME, &priority.fuse) < 0)
		log_warning("no limit on the real-time priority: %m");
}

void priority_join(void)
{
	for (size_t i = 0; i < THREADS_MAX; i++) {
		int none = 0;

		if (atomic_compare_exchange_strong(&priority.threads[i], &none, gettid()))
			return;
	}
}

void priority_leave(void)
{
	for (size_t i = 0; i < THREADS_MAX; i++) {
		int us = gettid();

		atomic_compare_exchange_strong(&priority.threads[i], &us, 0);
	}
}

void priority_raise(uint64_t fuse_usec)
{
	const struct rlimit may = {PRIORITY, PRIORITY};

	priority_join();
	priority.fuse = (struct rlimit){fuse_usec, RLIM_INFINITY};
	signal(SIGXCPU, on_fuse);
	arm();
	setrlimit(RLIMIT_RTPRIO, &may);
	priority.policy = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
	if (priority.policy != SCHED_OTHER) {
		sched_getparam(0, &priority.param);
		return;
	}
	priority.policy = SCHED_RR;
	priority.param.sched_priority = PRIORITY;
	if (sched_setscheduler(0, priority.policy, &priority.param) == 0)
		return;
	log_warning("no real-time priority (%m): storms of connections may overflow the kernel's queue; the unit needs LimitRTPRIO=1, and the kernel none of RT_GROUP_SCHED");
	priority.policy = SCHED_OTHER;
	priority.param.sched_priority = 0;
}

static int on_blown(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	eventfd_t n;

	eventfd_read(fd, &n);
	sd_event_source_set_time_relative(priority.back, priority.pause_usec);
	sd_event_source_set_enabled(priority.back, SD_EVENT_ONESHOT);
	return 0;
}

static int on_back(sd_event_source *source, uint64_t usec, void *userdata)
{
	/* Long enough to be a sleep: a timer of nanoseconds expires before the thread is off its CPU. */
	const struct timespec moment = {.tv_nsec = 1000 * 1000};
	int r = set_all(priority.policy, &priority.param);

	if (r < 0) {
		log_warning("the broker's real-time priority does not come back: %s",
			    g_strerror(-r));
		return 0;
	}
	/* The kernel goes on counting from where it was until we sleep, and has raised the limit. */
	nanosleep(&moment, NULL);
	arm();
	log_info("the broker is real-time again");
	return 0;
}

int priority_watch(sd_event *event, uint64_t pause_usec)
{
	sd_event_source *source = NULL;
	int r;

	priority.pause_usec = pause_usec;
	priority.blown = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (priority.blown < 0)
		return -errno;
	r = sd_event_add_io(event, &source, priority.blown, EPOLLIN, on_blown, NULL);
	if (r < 0)
		return r;
	sd_event_source_set_floating(source, true);
	sd_event_source_unref(source);
	r = sd_event_add_time(event, &priority.back, CLOCK_MONOTONIC, UINT64_MAX, 0, on_back, NULL);
	if (r < 0)
		return r;
	sd_event_source_set_floating(priority.back, true);
	sd_event_source_unref(priority.back);
	return sd_event_source_set_enabled(priority.back, SD_EVENT_OFF);
}
