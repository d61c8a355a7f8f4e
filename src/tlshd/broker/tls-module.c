// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel's tls module, which only a process with CAP_NET_ADMIN can have loaded. */
#include "tlshd/broker/tls-module.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <glib.h>

#include "common/log.h"

static int ask_for_module(int fd)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) < 0 ? -errno : 0;
}

/* Return: 0; -ENOENT when the kernel has no TLS; another negative errno. */
static int load_module(int lost)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0) /* no IPv4 here */
		fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 && lost >= 0)
		return ask_for_module(lost);
	if (fd < 0) /* the unit has seen to it */
		return access("/sys/module/tls", F_OK) == 0 ? 0 : -errno;
	/* A socket that is not connected cannot take the ULP, but the module is loaded by then. */
	r = ask_for_module(fd);
	close(fd);
	return r == -ENOTCONN ? 0 : r;
}

void tls_module_need(int lost)
{
	static gint64 failed_at;
	int r;

	if (failed_at && g_get_monotonic_time() - failed_at < G_USEC_PER_SEC)
		return;
	r = load_module(lost);
	failed_at = r < 0 ? g_get_monotonic_time() : 0;
	if (r < 0)
		log_warning("the kernel's tls module cannot be loaded (%s): no handshake can succeed until it is; try modprobe tls",
			    g_strerror(-r));
}
