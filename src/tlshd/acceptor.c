// SPDX-License-Identifier: GPL-2.0-or-later
/* A second pair of hands: a thread that takes requests off the kernel's queue, and nothing else. */
#include "tlshd/acceptor.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <glib.h>

#include "common/keyring.h"
#include "common/log.h"

/* ACCEPTs that may fail in a row. */
#define ERRORS_MAX 64

struct acceptor {
	pthread_t thread;
	struct handshake *kernel;
	GAsyncQueue *queue; /* of struct accepted, from the thread to the loop */
	int wake;	    /* eventfd: the queue has something */
	int stop;	    /* eventfd: the thread is to end */
	sd_event_source *source;
	void (*taken)(void *ctx, const struct accepted *);
	void *ctx;
};

int accept_one(struct handshake *h, bool *used, struct accepted *out)
{
	const char *why = NULL;
	int r;

	if (*used)
		*used = keyring_process_clear() < 0;
	r = handshake_accept(h, &out->req, &why);
	if (r == -EAGAIN)
		return r;
	if (r == 0) {
		out->keyring = out->req.keyring;
		if (!out->keyring) {
			*used = true;
			out->keyring = MAX(keyring_process_only(), 0);
		}
		return 0;
	}
	*used = true;
	if (r != -EBADMSG) {
		log_error("ACCEPT failed: %s", g_strerror(-r));
		return r;
	}
	log_error("the kernel's request is refused: %s", why);
	if (out->req.sockfd >= 0) {
		handshake_done(h, out->req.sockfd, EPROTO, 0);
		close(out->req.sockfd);
	}
	return r;
}

static void take_all(struct acceptor *a, bool *used)
{
	struct accepted one;
	int errors = 0, taken = 0;

	while (errors < ERRORS_MAX) {
		int r = accept_one(a->kernel, used, &one);

		if (r == -EAGAIN)
			break;
		if (r < 0) {
			errors++;
			continue;
		}
		g_async_queue_push(a->queue, g_memdup2(&one, sizeof(one)));
		taken++;
	}
	if (taken)
		eventfd_write(a->wake, 1);
}

static void *run(void *ctx)
{
	struct acceptor *a = ctx;
	struct pollfd wait[] = {{.fd = handshake_fd(a->kernel), .events = POLLIN},
				{.fd = a->stop, .events = POLLIN}};
	bool used = true;

	prctl(PR_SET_NAME, "tlshd-accept");
	while (!wait[1].revents) {
		if (poll(wait, G_N_ELEMENTS(wait), -1) < 0)
			continue;
		if (wait[0].revents) {
			handshake_ready(a->kernel);
			take_all(a, &used);
		}
	}
	return NULL;
}

static int on_wake(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct acceptor *a = userdata;
	eventfd_t n;
	struct accepted *one;

	eventfd_read(fd, &n);
	while ((one = g_async_queue_try_pop(a->queue))) {
		a->taken(a->ctx, one);
		g_free(one);
	}
	return 0;
}

static void acceptor_free(struct acceptor *a)
{
	sd_event_source_disable_unref(a->source);
	handshake_close(a->kernel);
	g_async_queue_unref(a->queue);
	if (a->wake >= 0)
		close(a->wake);
	if (a->stop >= 0)
		close(a->stop);
	g_free(a);
}

int acceptor_start(struct acceptor **out, sd_event *event, struct handshake *kernel,
		   void (*taken)(void *ctx, const struct accepted *), void *ctx)
{
	struct acceptor *a = g_new0(struct acceptor, 1);
	sigset_t all, before;
	int r;

	a->kernel = kernel;
	a->taken = taken;
	a->ctx = ctx;
	a->queue = g_async_queue_new_full(g_free);
	a->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	a->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = a->wake < 0 || a->stop < 0 ? -errno : 0;
	if (r >= 0)
		r = sd_event_add_io(event, &a->source, a->wake, EPOLLIN, on_wake, a);
	if (r >= 0) /* as urgent as the kernel's own word */
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
	*out = a;
	return 0;
}

void acceptor_stop(struct acceptor *a)
{
	if (!a)
		return;
	eventfd_write(a->stop, 1);
	pthread_join(a->thread, NULL);
	on_wake(a->source, a->wake, 0, a);
	acceptor_free(a);
}
