/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The broker: holds the keys and the kernel, and never reads a byte that a peer sent. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "tlshd/shared/config.h"

/**
 * struct broker_options - what main has found out.
 * @config_path: as given on the command line, NULL for the default places; for reloads
 * @settings: the configuration; the broker frees it
 * @recording_dir: where its recording is, RECORDING_DIR but in tests
 * @fork_workers: workers and the signer are our children and become users of their own; else, where we
 *	may not change a process's user, systemd starts them
 * @worker_uid, @worker_gid, @signer_uid, @signer_gid: those users
 */
struct broker_options {
	const char *config_path;
	config *settings;
	const char *recording_dir;
	bool fork_workers;
	uid_t worker_uid, signer_uid;
	gid_t worker_gid, signer_gid;
};

/**
 * broker_run() - answer the kernel until SIGTERM or SIGINT.
 *
 * Return: 0 after a clean end, or a negative errno, logged.
 */
int broker_run(const struct broker_options *options);
