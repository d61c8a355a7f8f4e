// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the recording costs the broker: the time of one handshake's entry, and of one look at the gauges.
 *
 *   recorder [DIRECTORY]
 *
 * DIRECTORY is on a file system like that of /run; by default /dev/shm.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

#include "tlshd/broker/recorder.h"

#define ROUNDS 1000000
#define WORKERS 4

static void print(const char *what, gint64 usec)
{
	printf("%-32s %6.0f ns\n", what, (double)usec * 1000 / ROUNDS);
}

int main(int argc, char **argv)
{
	g_autofree char *dir = g_strdup_printf("%s/recorder-XXXXXX",
					       argc > 1 ? argv[1] : "/dev/shm");
	struct recording_gauges now = {.phase = RECORDING_SERVING, .workers = WORKERS};
	struct recording_entry entry = {
		.side = RECORDING_SERVER,
		.family = AF_INET,
		.cipher = "AES-128-GCM",
		.group = "X25519",
		.identity =
			"NVMe1R01 nqn.2014-08.org.nvmexpress:uuid:befdec4c-2234-11b2-a85c-ca77c773af36 nqn.io-1 4IOYNS/rg/PX4rbiebj0LCEBFQ1X5IMI1GlO5s/yS7w=",
	};
	g_autofree char *path = NULL;
	struct recorder *r;
	gint64 begun;

	if (!mkdtemp(dir))
		return EXIT_FAILURE;
	path = recording_path(dir);
	r = recorder_open(dir, RECORDING_SLOTS, "bench");
	if (!r)
		return EXIT_FAILURE;
	begun = g_get_monotonic_time();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		entry.duration = i;
		recorder_add(r, &entry, i % 8 ? CAUSE_SUCCESS : CAUSE_NO_KEY);
	}
	print("a handshake", g_get_monotonic_time() - begun);
	begun = g_get_monotonic_time();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		now.in_flight = i;
		recorder_gauge(r, &now);
	}
	print("gauges that have changed", g_get_monotonic_time() - begun);
	begun = g_get_monotonic_time();
	for (unsigned int i = 0; i < ROUNDS; i++)
		recorder_gauge(r, &now);
	print("gauges that have not", g_get_monotonic_time() - begun);
	recorder_close(r);
	unlink(path);
	rmdir(dir);
	return EXIT_SUCCESS;
}
