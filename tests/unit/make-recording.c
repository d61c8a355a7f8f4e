// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A daemon's recording without the daemon, for the tests of "nvme-tls status" and "log".
 *
 *   make-recording DIRECTORY [WORD...]
 *
 * Writes some handshakes into the recording of DIRECTORY, prints its path, and then does as the words say:
 * "more" writes one more, "stop" stops as a daemon does, "wait" waits for the end of standard input, "idle"
 * has no worker.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

#include "tlshd/broker/recorder.h"

#define IDENTITY "NVMe1R01 nqn.h nqn.io-1 4IOYNS/rg/PX4rbiebj0LCEBFQ1X5IMI1GlO5s/yS7w="

static void add(struct recorder *r, enum recording_side side, uint8_t host, const char *identity,
		enum cause cause, uint64_t usec)
{
	struct recording_entry e = {
		.ended = (uint64_t)g_get_real_time(),
		.duration = usec,
		.side = side,
		.status = cause_info(cause)->status,
		.key = cause == CAUSE_SUCCESS ? 0x1234abcd : 0,
		.worker = 4711,
		.alert = -1,
		.family = AF_INET,
		.port = 4420,
		.address = {192, 0, 2, host},
	};

	if (cause == CAUSE_SUCCESS) {
		strcpy(e.cipher, "AES-128-GCM");
		strcpy(e.group, "X25519");
	}
	g_strlcpy(e.identity, identity, sizeof(e.identity));
	recorder_add(r, &e, cause);
}

static void gauge(struct recorder *r, uint32_t workers)
{
	struct recording_gauges now = {.phase = RECORDING_SERVING,
				       .in_flight = 3,
				       .waiting = 2,
				       .wanted = 2,
				       .workers = workers,
				       .lost = 1};

	for (uint32_t i = 0; i < workers; i++)
		now.worker[i] = (struct recording_worker){4711, RECORDING_WORKS, 1, 0, 1};
	recorder_gauge(r, &now);
}

int main(int argc, char **argv)
{
	const struct recording_keyring keyring = {0x1234, ".nvme"};
	struct recorder *r = argc < 2 ? NULL : recorder_open(argv[1], 64, "0.1.0 tested");
	g_autofree char *path = argc < 2 ? NULL : recording_path(argv[1]);

	if (!r)
		return EXIT_FAILURE;
	recorder_configured(r, "/etc/tlshd.conf");
	recorder_keyrings(r, &keyring, 1);
	gauge(r, 1);
	add(r, RECORDING_SERVER, 1, IDENTITY, CAUSE_SUCCESS, 3000);
	add(r, RECORDING_CLIENT, 2, "NVMe0R01 nqn.h nqn.io-2", CAUSE_SUCCESS, 5000);
	add(r, RECORDING_SERVER, 3, "NVMe0R01 nqn.other nqn.io-1", CAUSE_NO_KEY, 700);
	add(r, RECORDING_SERVER, 3, "NVMe0R01 nqn.\033[31m\xff nqn.io-1", CAUSE_NO_KEY, 800);
	add(r, RECORDING_SERVER, 4, "", CAUSE_SILENT_PEER, 10000000);
	puts(path);
	fflush(stdout);
	for (int i = 2; i < argc; i++) {
		char c;

		if (strcmp(argv[i], "more") == 0)
			add(r, RECORDING_CLIENT, 5, IDENTITY, CAUSE_WRONG_KEY, 900);
		else if (strcmp(argv[i], "idle") == 0)
			gauge(r, 0);
		else if (strcmp(argv[i], "wait") == 0)
			while (read(STDIN_FILENO, &c, 1) > 0)
				;
		else if (strcmp(argv[i], "stop") == 0)
			recorder_close(r);
	}
	_exit(EXIT_SUCCESS); /* as a daemon that is killed: nothing is freed */
}
