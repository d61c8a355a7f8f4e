// SPDX-License-Identifier: GPL-2.0-or-later
/* Descriptors that systemd keeps for us from one broker to the next. */
#include "tlshd/broker/store.h"

#include <stdlib.h>
#include <unistd.h>
#include <glib.h>
#include <systemd/sd-daemon.h>

#include "common/log.h"

bool store_exists(void)
{
	return getenv("NOTIFY_SOCKET");
}

struct stored *store_take(size_t *n)
{
	g_auto(GStrv) names = NULL;
	int count = sd_listen_fds_with_names(true, &names);
	struct stored *list;

	*n = 0;
	if (count <= 0)
		return NULL;
	list = g_new0(struct stored, (size_t)count);
	for (int i = 0; i < count; i++) {
		list[i].name = g_strdup(names[i]);
		list[i].fd = SD_LISTEN_FDS_START + i;
	}
	*n = (size_t)count;
	return list;
}

void store_free(struct stored *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].fd >= 0)
			close(list[i].fd);
		g_free(list[i].name);
	}
	g_free(list);
}

/* Without FDPOLL=0 systemd throws out a socket whose other end is closed, with what is still in it. */
void store_put(const char *name, const int *fds, unsigned int n)
{
	g_autofree char *text = g_strdup_printf("FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	int r = sd_pid_notify_with_fds(0, false, text, fds, n);

	if (r < 0)
		log_warning("systemd does not keep \"%s\" for a restart: %s", name, g_strerror(-r));
}

void store_remove(const char *name)
{
	sd_notifyf(false, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}
