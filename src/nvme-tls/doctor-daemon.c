// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls doctor, the daemon: who serves this network namespace, with which workers and settings. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "netlink/upcall.h"
#include "nvme-tls/doctor-checks.h"

/* What libnl makes of a process number. */
#define PORT_PID(port) ((port)&0x3fffff)

/* The daemon that has opened or inherited a socket of the group; NULL when none of those called tlshd. */
static doctor_process *owner_of(const struct doctor *d, unsigned long inode)
{
	for (guint i = 0; i < d->daemons->len; i++) {
		doctor_process *p = g_ptr_array_index(d->daemons, i);

		if (doctor_process_has_socket(p, inode))
			return p;
	}
	return NULL;
}

static bool in_our_namespace(const struct doctor *d, const doctor_process *p)
{
	g_autofree char *own = doctor_system_link(d->system, "/proc/self/ns/net");

	return !own || !p->netns || strcmp(own, p->netns) == 0;
}

/* A broker somewhere else. */
static const doctor_process *daemon_elsewhere(const struct doctor *d)
{
	for (guint i = 0; i < d->daemons->len; i++) {
		const doctor_process *p = g_ptr_array_index(d->daemons, i);

		if (p->root && !p->worker && !in_our_namespace(d, p))
			return p;
	}
	return NULL;
}

/* Why the unit does not run, and what to do about it. */
static void tell_not_running(struct doctor *d)
{
	g_auto(doctor_unit) unit = {0};
	const doctor_process *other = daemon_elsewhere(d);

	if (other) {
		doctor_mend(doctor_fault(d, "tlshd",
					 "tlshd (process %d) serves another network namespace, and nobody serves this one: every connection here is refused",
					 other->pid),
			    "run another tlshd in this network namespace: a copy of tlshd.service with NetworkNamespacePath=");
		return;
	}
	if (!doctor_system_unit(d->system, "tlshd.service", &unit)) {
		doctor_mend(doctor_fault(d, "tlshd",
					 "no daemon is running: every connection is refused"),
			    "tlshd");
		return;
	}
	if (strcmp(unit.load, "not-found") == 0)
		doctor_mend(doctor_fault(d, "tlshd.service",
					 "tlshd is not installed: every connection is refused"),
			    "install tlshd, then systemctl enable --now tlshd");
	else if (strcmp(unit.load, "masked") == 0)
		doctor_mend(doctor_fault(d, "tlshd.service",
					 "the unit is masked and no daemon is running: every connection is refused"),
			    "systemctl unmask tlshd && systemctl enable --now tlshd");
	else if (strcmp(unit.active, "failed") == 0)
		doctor_mend(doctor_fault(d, "tlshd.service",
					 "tlshd has failed: every connection is refused"),
			    "journalctl -u tlshd -n 20; then systemctl restart tlshd");
	else
		doctor_mend(doctor_fault(d, "tlshd.service",
					 "no daemon is running: every connection is refused"),
			    "systemctl enable --now tlshd");
}

/* Return: their number; a negative errno. */
static int members(const struct doctor *d, struct upcall_member *found)
{
	int group = d->system->handshake_group(), n;
	g_autofree char *path = doctor_system_path(d->system, "/proc/net/netlink");
	FILE *list;

	if (group <= 0)
		return group;
	if (group > 32) /* the list shows so many */
		return -ERANGE;
	list = fopen(path, "re");
	if (!list)
		return -errno;
	n = upcall_members_in(list, (unsigned int)group, found, UPCALL_MEMBERS_MAX);
	fclose(list);
	return n;
}

/* Who serves. */
struct server {
	const doctor_process *daemon; /* NULL: it is not called tlshd, or we may not look */
	uint32_t port; /* its netlink port */
};

/*
 * The processes behind the sockets, each once. What only systemd's descriptor store has is read by nobody,
 * and its port is that of a process which may have ended long ago.
 */
static int find_servers(const struct doctor *d, const struct upcall_member *found, int n,
			struct server *servers)
{
	int count = 0;

	for (int i = 0; i < MIN(n, UPCALL_MEMBERS_MAX); i++) {
		struct server one = {owner_of(d, found[i].inode), found[i].port};
		bool again = false;

		if (!one.daemon &&
		    !doctor_system_has_socket(d->system, (pid_t)PORT_PID(one.port), found[i].inode))
			continue;
		for (int s = 0; s < count; s++)
			again |= one.daemon && servers[s].daemon == one.daemon;
		if (!again)
			servers[count++] = one;
	}
	return count;
}

/* "tlshd of ktls-utils (process 12)" */
static char *describe(const struct server *server)
{
	const doctor_process *p = server->daemon;

	if (!p)
		return g_strdup_printf("process %u, if its netlink port %u tells",
				       PORT_PID(server->port), server->port);
	return g_strdup_printf(p->ours ? "tlshd (process %d)" : "tlshd of ktls-utils (process %d)",
			       p->pid);
}

static void tell_server(struct doctor *d, const struct server *server, bool alone)
{
	const doctor_process *p = server->daemon;
	g_autofree char *who = describe(server);

	if (p && p->ours)
		doctor_ok(d, "tlshd", "%s serves this network namespace", who);
	else if (!alone)
		doctor_mend(doctor_fault(d, "tlshd",
					 "another daemon takes some of the handshakes of this network namespace: %s",
					 who),
			    "kill %u; and remove ktls-utils if it is installed",
			    p ? (unsigned int)p->pid : PORT_PID(server->port));
	else if (p)
		doctor_mend(doctor_warning(d, "tlshd",
					   "%s serves this network namespace, not this tlshd", who),
			    "kill %d; remove ktls-utils; systemctl restart tlshd", p->pid);
	else
		doctor_mend(doctor_warning(d, "tlshd",
					   "the daemon that serves this network namespace is not known: %s",
					   who),
			    "run nvme-tls doctor as root");
}

void doctor_daemon_serves(struct doctor *d)
{
	struct upcall_member found[UPCALL_MEMBERS_MAX];
	struct server servers[UPCALL_MEMBERS_MAX];
	int n = members(d, found), count, ours = 0;

	if (n == -EPROTONOSUPPORT)
		return; /* the check of the kernel says so */
	if (n < 0) {
		doctor_mend(doctor_warning(d, "tlshd",
					   "cannot tell who serves this network namespace: %s",
					   g_strerror(-n)),
			    "run nvme-tls doctor as root");
		return;
	}
	count = find_servers(d, found, n, servers);
	if (count == 0)
		tell_not_running(d);
	for (int i = 0; i < count; i++) {
		tell_server(d, &servers[i], count == 1);
		ours += servers[i].daemon && servers[i].daemon->ours;
	}
	if (ours > 1)
		doctor_mend(doctor_fault(d, "tlshd",
					 "%d daemons serve this network namespace, and each takes some of its handshakes",
					 ours),
			    "stop all but one of them");
}

static const doctor_process *our_broker(const struct doctor *d)
{
	for (guint i = 0; i < d->daemons->len; i++) {
		const doctor_process *p = g_ptr_array_index(d->daemons, i);

		if (p->ours && in_our_namespace(d, p))
			return p;
	}
	return NULL;
}

/* Why systemd makes no worker. */
static void tell_no_worker(struct doctor *d)
{
	static const char none[] = "tlshd has no worker, so no handshake can be made";
	g_auto(doctor_unit) socket = {0}, worker = {0};
	g_autofree char *users = doctor_system_read(d->system, "/etc/passwd");
	bool asked = doctor_system_unit(d->system, "tlshd-worker.socket", &socket);

	if (users && !g_str_has_prefix(users, WORKER_USER ":") &&
	    !strstr(users, "\n" WORKER_USER ":"))
		doctor_mend(doctor_fault(d, "workers", "%s: there is no user " WORKER_USER, none),
			    "systemd-sysusers && systemctl restart tlshd");
	else if (asked && strcmp(socket.load, "masked") == 0)
		doctor_mend(doctor_fault(d, "workers", "%s: tlshd-worker.socket is masked", none),
			    "systemctl unmask tlshd-worker.socket && systemctl restart tlshd");
	else if (asked && strcmp(socket.active, "active") != 0)
		doctor_mend(doctor_fault(d, "workers", "%s: tlshd-worker.socket is %s", none,
					 socket.active),
			    "systemctl restart tlshd-worker.socket tlshd");
	else if (asked && doctor_system_unit(d->system, "tlshd-worker@.service", &worker) &&
		 strcmp(worker.load, "masked") == 0)
		doctor_mend(doctor_fault(d, "workers", "%s: tlshd-worker@.service is masked", none),
			    "systemctl unmask tlshd-worker@.service && systemctl restart tlshd");
	else
		doctor_mend(doctor_fault(d, "workers", "%s", none),
			    "journalctl -u tlshd -u 'tlshd-worker@*' -n 20");
}

void doctor_daemon_workers(struct doctor *d)
{
	unsigned int workers = 0;

	if (!our_broker(d))
		return;
	for (guint i = 0; i < d->daemons->len; i++)
		workers += ((doctor_process *)g_ptr_array_index(d->daemons, i))->worker;
	if (workers)
		doctor_ok(d, "workers", "tlshd has %u worker%s", workers, workers > 1 ? "s" : "");
	else
		tell_no_worker(d);
}

void doctor_daemon_restarts(struct doctor *d)
{
	g_auto(doctor_unit) unit = {0};

	if (!doctor_system_unit(d->system, "tlshd.service", &unit) ||
	    strcmp(unit.load, "loaded") != 0)
		return;
	if (strcmp(unit.sub, "auto-restart") == 0)
		doctor_mend(doctor_fault(d, "tlshd.service",
					 "tlshd ends again and again: systemd has restarted it %u times",
					 unit.restarts),
			    "journalctl -u tlshd -n 50");
	else if (unit.restarts)
		doctor_mend(doctor_warning(d, "tlshd.service",
					   "systemd has restarted tlshd %u times since its last start by hand",
					   unit.restarts),
			    "journalctl -u tlshd -p warning; systemctl restart tlshd counts anew");
	else if (strcmp(unit.active, "active") == 0)
		doctor_ok(d, "tlshd.service", "tlshd has not been restarted by itself");
}

/* The configuration of the daemon that runs, else the one that would be read. */
void doctor_daemon_configuration(struct doctor *d)
{
	const doctor_process *broker = our_broker(d);
	g_autofree char *version = NULL, *out = NULL, *option = NULL;
	g_auto(GStrv) lines = NULL;
	int r;

	if (doctor_system_run(d->system, &version, "tlshd", "--version", NULL) != 0 ||
	    !strstr(version, "in place of"))
		return; /* ktls-utils' daemon has no such option */
	option = g_strconcat("--config=", broker ? broker->config : NULL, NULL);
	r = doctor_system_run(d->system, &out, "tlshd", "--check-config",
			      broker && broker->config ? option : NULL, NULL);
	if (r < 0)
		return;
	lines = g_strsplit(out, "\n", -1);
	for (char **line = lines; *line; line++) {
		if (r == 0)
			doctor_ok(d, "configuration", "%s", *line);
		else if (r == EX_CONFIG)
			doctor_mend(doctor_fault(d, "configuration", "%s", *line),
				    "edit the file, then tlshd --check-config && systemctl restart tlshd");
		else
			doctor_mend(doctor_warning(d, "configuration", "%s", *line),
				    "edit the file, then tlshd --check-config && systemctl reload tlshd");
	}
}
