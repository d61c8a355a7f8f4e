// SPDX-License-Identifier: GPL-2.0-or-later
/* From one broker to the next, by systemd: what is kept there all the time, and how it is taken over. */
#include "tlshd/broker/heritage.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "tlshd/broker/handover.h"
#include "tlshd/broker/relay.h"
#include "tlshd/broker/store.h"

#define KERNEL "kernel"
#define LEDGER "ledger-"
#define QUEUE "queue-"
#define WORKER "worker-"

/* Jobs taken out of a queue before the loop looks at the kernel again. */
#define QUEUE_BATCH 16

struct heritage {
	struct stored *list;
	size_t n;
	int member; /* of the group, taken over */
	sd_event *event;
	struct jobs *jobs;
	struct pool *pool;
	struct ledger *ledger;
	int queue;
	GPtrArray *queues; /* struct old_queue */
	unsigned int restored, lost;
};

/* The queue of a broker before us, until it is empty. */
struct old_queue {
	struct heritage *all;
	const char *name;
	int fd;
	sd_event_source *source;
};

struct heritage *heritage_open(void)
{
	struct heritage *h = g_new0(struct heritage, 1);

	h->list = store_take(&h->n);
	h->member = h->queue = -1;
	h->queues = g_ptr_array_new();
	return h;
}

static void free_queue(struct old_queue *q)
{
	sd_event_source_disable_unref(q->source);
	close(q->fd);
	g_ptr_array_remove(q->all->queues, q);
	g_free(q);
}

void heritage_free(struct heritage *h)
{
	if (!h)
		return;
	while (h->queues->len)
		free_queue(h->queues->pdata[0]);
	g_ptr_array_unref(h->queues);
	ledger_free(h->ledger);
	if (h->queue >= 0)
		close(h->queue);
	store_free(h->list, h->n);
	g_free(h);
}

int heritage_queue(const struct heritage *h)
{
	return h->queue;
}

/* The first descriptor that is there under @name, which is the taker's from now on; -1 for none. */
static int take(struct heritage *h, const char *name)
{
	for (size_t i = 0; i < h->n; i++) {
		int fd = h->list[i].fd;

		if (fd < 0 || strcmp(h->list[i].name, name) != 0)
			continue;
		h->list[i].fd = -1;
		return fd;
	}
	return -1;
}

int heritage_kernel(struct heritage *h)
{
	if (h)
		h->member = take(h, KERNEL);
	return h ? h->member : -1;
}

/* ---- what is taken over ---- */

static bool is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Two descriptors have the name of a worker; systemd does not say which is which. */
static void adopt(struct heritage *h, const char *name)
{
	int a = take(h, name), b = take(h, name);
	int sock = is_socket(a) ? a : b, pidfd = is_socket(a) ? b : a;
	int r = -EBADF;

	if (a >= 0 && b >= 0) {
		r = pool_adopt(h->pool, name, sock, pidfd);
	} else {
		if (a >= 0)
			close(a);
		store_remove(name);
	}
	if (r == -EPROTONOSUPPORT)
		log_warning("%s is of a tlshd whose messages this one does not understand: it ends, and its handshakes fail",
			    name);
	else if (r < 0)
		log_warning("%s cannot be taken over, and its handshakes fail: %s", name,
			    g_strerror(-r));
}

static void restore(void *ctx, const struct handover *job)
{
	struct heritage *h = ctx;

	if (pool_restore(h->pool, job))
		h->restored++;
	else
		h->lost++;
}

static void read_ledger(struct heritage *h, int fd)
{
	int r = ledger_read(fd, restore, h);

	if (r == -EPROTONOSUPPORT)
		log_warning("the tlshd before this one has left handshakes in a form that this one does not understand: they fail");
	else if (r < 0)
		log_warning("the list of the handshakes in workers is damaged: %s", g_strerror(-r));
	close(fd);
}

/* Return: may there be more? */
static bool take_one(struct old_queue *q)
{
	struct heritage *h = q->all;
	struct handover job;
	int sockfd;
	int r = queue_receive(q->fd, &job, &sockfd);

	if (r == -EAGAIN)
		return false;
	if (r == -EPIPE) {
		store_remove(q->name);
		free_queue(q);
		return false;
	}
	if (r == 0 && sockfd < 0)
		log_error("a handshake of the tlshd before this one fails: no descriptor is left; raise LimitNOFILE=");
	else if (r == 0)
		job_restore(h->jobs, &job, sockfd, NULL);
	else
		log_error("a handshake of the tlshd before this one fails: %s",
			  r == -EPROTONOSUPPORT
				  ? "it is in a form that this one does not understand"
				  : g_strerror(-r));
	return true;
}

static int on_queue(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	for (int i = 0; i < QUEUE_BATCH && take_one(userdata); i++)
		;
	return 0;
}

static int watch_queue(struct heritage *h, const char *name, int fd)
{
	struct old_queue *q = g_new0(struct old_queue, 1);

	*q = (struct old_queue){.all = h, .name = name, .fd = fd};
	g_ptr_array_add(h->queues, q);
	return sd_event_add_io(h->event, &q->source, fd, EPOLLIN, on_queue, q);
}

static void each(struct heritage *h, const char *prefix,
		 void (*one)(struct heritage *, const char *))
{
	for (size_t i = 0; i < h->n; i++)
		if (h->list[i].fd >= 0 && g_str_has_prefix(h->list[i].name, prefix))
			one(h, h->list[i].name);
}

static void inherit_ledger(struct heritage *h, const char *name)
{
	read_ledger(h, take(h, name));
}

static void inherit_queue(struct heritage *h, const char *name)
{
	int r = watch_queue(h, name, take(h, name));

	if (r < 0)
		log_error("handshakes of the tlshd before this one fail: %s", g_strerror(-r));
}

/* ---- what is kept ---- */

static int keep_ours(struct heritage *h, const struct upcall *kernel)
{
	/* A name of its own, for the one before is removed by name. */
	unsigned int self = g_random_int();
	g_autofree char *ledger = g_strdup_printf(LEDGER "%08x", self);
	g_autofree char *queue = g_strdup_printf(QUEUE "%08x", self);
	int fd, r;

	fd = upcall_fd(kernel);
	if (fd != h->member) {
		if (h->member >= 0)
			store_remove(KERNEL);
		store_put(KERNEL, &fd, 1);
	}
	fd = ledger_fd(h->ledger);
	store_put(ledger, &fd, 1);
	r = queue_open(&fd, &h->queue);
	if (r < 0)
		return r;
	store_put(queue, &fd, 1);
	close(fd);
	return 0;
}

int heritage_take(struct heritage *h, sd_event *event, const struct upcall *kernel,
		  struct jobs *jobs, struct pool *pool)
{
	int r = ledger_new(&h->ledger);

	if (r < 0)
		return r;
	h->event = event;
	h->jobs = jobs;
	h->pool = pool;
	jobs_keep(jobs, h->ledger);
	if (h->n)
		jobs_begin_apart(jobs);
	each(h, WORKER, adopt);
	each(h, LEDGER, inherit_ledger);
	r = keep_ours(h, kernel);
	/* Now that ours is kept. */
	for (size_t i = 0; i < h->n; i++)
		if (g_str_has_prefix(h->list[i].name, LEDGER))
			store_remove(h->list[i].name);
	each(h, QUEUE, inherit_queue);
	if (h->restored || h->lost)
		log_info("%u handshakes go on that the tlshd before this one has begun%s",
			 h->restored, h->lost ? "; others have lost their worker" : "");
	return r;
}

void heritage_taken(struct heritage *h)
{
	for (guint i = 0; i < h->queues->len; i++) {
		struct old_queue *q = h->queues->pdata[i];

		relay_end(q->fd);
	}
}
