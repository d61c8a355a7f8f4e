// SPDX-License-Identifier: GPL-2.0-or-later
/* Between two brokers: processes that take the kernel's requests, and leave them to the second. */
#include "tlshd/broker/relay.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "tlshd/broker/intake.h"
#include "tlshd/broker/priority.h"

/* systemd does not warn of a process in parentheses that it finds beside the broker it starts. */
#define NAME "(tlshd-relay)"
/* Then nobody needs its requests any more: the kernel grants a handshake less. */
#define RELAY_MS 60000
/* What a target needs to arm its timer, see job_end(). */
#define SETTLE_NSEC (60 * 1000 * 1000)

struct relay {
	struct upcall *kernel;
	struct jobs *jobs;
	int queue;
	GArray *taken; /* sockets */
};

static void pass_on(void *ctx, const struct accepted *one)
{
	struct relay *r = ctx;
	struct handover h;

	if (one->req.sockfd < 0 || (one->error && one->error != -EBADMSG))
		return;
	g_array_append_val(r->taken, one->req.sockfd);
	job_describe_new(one, intake_judge(one), &h);
	queue_send(r->queue, &h, one->req.sockfd);
}

/* There is no next broker. */
static void give_up(struct relay *r)
{
	const struct timespec settle = {.tv_nsec = SETTLE_NSEC};
	int status = cause_info(CAUSE_STOPPING)->status;

	nanosleep(&settle, NULL);
	if (r->jobs)
		jobs_abandon(r->jobs, r->kernel);
	for (guint i = 0; i < r->taken->len; i++)
		upcall_done(r->kernel, g_array_index(r->taken, int, i), status, 0);
}

static noreturn void run(struct relay *r)
{
	struct pollfd wait[] = {{.fd = r->queue, .events = POLLIN},
				{.fd = upcall_fd(r->kernel), .events = POLLIN}};
	uint64_t end = (uint64_t)g_get_monotonic_time() + RELAY_MS * UINT64_C(1000);
	bool used = true;
	char byte;

	prctl(PR_SET_NAME, NAME);
	priority_join();
	r->taken = g_array_new(FALSE, FALSE, sizeof(int));
	while ((uint64_t)g_get_monotonic_time() < end) {
		accept_all(r->kernel, false, &used, pass_on, r);
		poll(wait, G_N_ELEMENTS(wait), RELAY_MS);
		upcall_ready(r->kernel);
		if (!wait[0].revents)
			continue;
		if (recv(r->queue, &byte, sizeof(byte), MSG_DONTWAIT) != sizeof(byte))
			give_up(r);
		break;
	}
	_exit(EXIT_SUCCESS);
}

int relay_start(struct upcall *kernel, struct jobs *jobs, int queue)
{
	struct relay relay = {.kernel = kernel, .jobs = jobs, .queue = queue};
	pid_t pid = fork();
	int r;

	if (pid == 0)
		run(&relay);
	r = pid < 0 ? -errno : 0;
	upcall_close(kernel);
	return r;
}

/* Each relay takes one message; what is left of them ends with the queue. */
void relay_end(int queue)
{
	for (int i = 0; i < RELAYS_MAX; i++)
		send(queue, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}
