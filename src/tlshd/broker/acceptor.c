// SPDX-License-Identifier: GPL-2.0-or-later
/* Taking requests off the kernel's queue; and a thread that does nothing else. */
#include "tlshd/broker/acceptor.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <glib.h>

#include "common/keyring.h"
#include "tlshd/broker/priority.h"

/* ACCEPTs that may fail in a row. */
#define ERRORS_MAX 64
/*
 * Descriptors that requests leave alone, if that is not more than half of all: for the loop and the log,
 * and as many workers as can be configured, twice in a reload, with two for each.
 */
#define DESCRIPTORS_KEPT (32 + 4 * 64)

/* How soon after its last ACCEPT the acceptor's thread tells that it has slept. */
#define NAP_MS 2

/* Sockets of requests that are open, taken by either thread. */
static atomic_uint held;

/* How often the acceptor's thread had slept when it last looked. */
static atomic_long acceptor_sleeps;

struct acceptor {
	pthread_t thread;
	pthread_mutex_t working; /* held by the thread unless it waits */
	sem_t begun; /* posted once the thread holds the mutex for the first time */
	struct upcall *kernel;
	long sleeps; /* of the thread, at its last ACCEPT */
	GAsyncQueue *queue; /* of struct accepted, from the thread to the loop */
	int waiting; /* epoll: the kernel, and stop */
	int wake; /* eventfd: the queue has something */
	int stop; /* eventfd: the thread is to end */
	sd_event_source *source;
	void (*taken)(void *ctx, const struct accepted *);
	void *ctx;
};

/* For the handlers around a fork(), which have no argument. */
static struct acceptor *only;

/* Of this thread: how often it gave up the CPU because it had to wait. */
static long sleeps(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) < 0 ? LONG_MAX : usage.ru_nvcsw;
}

bool accept_has_slept(const struct accept_mark *mark)
{
	return (mark->second ? atomic_load(&acceptor_sleeps) : sleeps()) > mark->sleeps;
}

struct accept_mark accept_mark_now(void)
{
	return (struct accept_mark){false, sleeps()};
}

bool accept_has_room(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return true;
	return held < limit.rlim_cur - MIN(DESCRIPTORS_KEPT, limit.rlim_cur / 2);
}

void accept_keep(void)
{
	held++;
}

void accept_close(int sockfd)
{
	close(sockfd);
	held--;
}

/* Return: false when the kernel has none. */
static bool accept_one(struct upcall *h, bool second, bool *used, struct accepted *out)
{
	out->why = NULL;
	out->keyring = 0;
	out->error = -EMFILE;
	out->mark = (struct accept_mark){second, sleeps()};
	if (!accept_has_room())
		return true;
	if (*used)
		*used = keyring_process_clear() < 0;
	out->error = upcall_accept(h, &out->req, &out->why);
	if (out->error == -EAGAIN)
		return false;
	*used = true;
	out->mark = (struct accept_mark){second, sleeps()};
	if ((out->error == 0 || out->error == -EBADMSG) && out->req.sockfd >= 0) {
		held++;
		peer_note(&out->peer, out->req.sockfd);
	}
	if (out->error == 0) {
		out->keyring = out->req.keyring;
		if (out->keyring)
			*used = false; /* nobody will ask our process keyring */
		else
			out->keyring = keyring_process_only();
	}
	return true;
}

void accept_all(struct upcall *h, bool second, bool *used,
		void (*taken)(void *ctx, const struct accepted *), void *ctx)
{
	struct accepted one;
	unsigned int errors = 0;

	while (errors < ERRORS_MAX && accept_one(h, second, used, &one)) {
		errors = one.error ? errors + 1 : 0;
		taken(ctx, &one);
		if (one.error == -EMFILE)
			return;
	}
}

static void queue(void *ctx, const struct accepted *one)
{
	struct acceptor *a = ctx;

	a->sleeps = one->mark.sleeps;
	g_async_queue_push(a->queue, g_memdup2(one, sizeof(*one)));
}

/*
 * After an ACCEPT it waits for moments only until it can tell that it has slept: whoever waits for that
 * does so in the loop, and cannot ask a thread that is asleep.
 */
static void *run(void *ctx)
{
	struct acceptor *a = ctx;
	struct epoll_event event;
	bool used = true;

	prctl(PR_SET_NAME, "tlshd-accept");
	priority_join();
	pthread_mutex_lock(&a->working);
	sem_post(&a->begun);
	for (;;) {
		bool told = acceptor_sleeps > a->sleeps;
		int n;

		pthread_mutex_unlock(&a->working);
		n = epoll_wait(a->waiting, &event, 1, told ? -1 : NAP_MS);
		pthread_mutex_lock(&a->working);
		acceptor_sleeps = sleeps();
		if (n < 1)
			continue;
		if (event.data.fd == a->stop)
			break;
		upcall_ready(a->kernel);
		accept_all(a->kernel, true, &used, queue, a);
		if (g_async_queue_length(a->queue) > 0)
			eventfd_write(a->wake, 1);
	}
	pthread_mutex_unlock(&a->working);
	priority_leave();
	return NULL;
}

static int on_wake(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct acceptor *a = userdata;
	struct accepted *one;
	eventfd_t n;

	eventfd_read(fd, &n);
	while ((one = g_async_queue_try_pop(a->queue))) {
		a->taken(a->ctx, one);
		g_free(one);
	}
	return 0;
}

static void before_fork(void)
{
	if (only)
		pthread_mutex_lock(&only->working);
}

static void after_fork(void)
{
	if (only)
		pthread_mutex_unlock(&only->working);
}

static void acceptor_free(struct acceptor *a)
{
	const int fd[] = {a->waiting, a->wake, a->stop};

	sd_event_source_disable_unref(a->source);
	upcall_close(a->kernel);
	g_async_queue_unref(a->queue);
	for (size_t i = 0; i < G_N_ELEMENTS(fd); i++)
		if (fd[i] >= 0)
			close(fd[i]);
	sem_destroy(&a->begun);
	pthread_mutex_destroy(&a->working);
	g_free(a);
}

static int open_descriptors(struct acceptor *a)
{
	struct epoll_event kernel = {.events = EPOLLIN | EPOLLEXCLUSIVE};
	struct epoll_event stop = {.events = EPOLLIN};

	a->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	a->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	a->waiting = epoll_create1(EPOLL_CLOEXEC);
	if (a->wake < 0 || a->stop < 0 || a->waiting < 0)
		return -errno;
	kernel.data.fd = upcall_fd(a->kernel);
	stop.data.fd = a->stop;
	if (epoll_ctl(a->waiting, EPOLL_CTL_ADD, kernel.data.fd, &kernel) < 0 ||
	    epoll_ctl(a->waiting, EPOLL_CTL_ADD, stop.data.fd, &stop) < 0)
		return -errno;
	return 0;
}

int acceptor_start(struct acceptor **out, sd_event *event, struct upcall *kernel,
		   void (*taken)(void *ctx, const struct accepted *), void *ctx)
{
	static bool watches_forks;
	struct acceptor *a = g_new0(struct acceptor, 1);
	sigset_t all, before;
	int r;

	a->kernel = kernel;
	a->taken = taken;
	a->ctx = ctx;
	a->queue = g_async_queue_new_full(g_free);
	a->waiting = a->wake = a->stop = -1;
	pthread_mutex_init(&a->working, NULL);
	sem_init(&a->begun, 0, 0);
	r = open_descriptors(a);
	if (r >= 0)
		r = sd_event_add_io(event, &a->source, a->wake, EPOLLIN, on_wake, a);
	if (r >= 0)
		r = sd_event_source_set_priority(a->source, SD_EVENT_PRIORITY_IMPORTANT);
	if (r >= 0) {
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		r = -pthread_create(&a->thread, NULL, run, a);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	if (r < 0) {
		acceptor_free(a);
		return r;
	}
	/* Until then the mutex does not keep a fork() from the locks that a thread's own start takes. */
	while (sem_wait(&a->begun) < 0 && errno == EINTR)
		;
	if (!watches_forks)
		watches_forks = pthread_atfork(before_fork, after_fork, NULL) == 0;
	*out = only = a;
	return 0;
}

void acceptor_stop(struct acceptor *a)
{
	if (!a)
		return;
	eventfd_write(a->stop, 1);
	pthread_join(a->thread, NULL);
	atomic_store(&acceptor_sleeps, LONG_MAX); /* with the thread */
	only = NULL;
	on_wake(a->source, a->wake, 0, a);
	acceptor_free(a);
}
