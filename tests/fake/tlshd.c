// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The daemon without what needs root or a kernel of its own: the real broker and real, forked workers
 * over the upcall of this folder, as the user who starts it. Never installed.
 *
 *   fake-tlshd CONFIG
 *
 * Its recording is in the folder CONFIG.recording.
 */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "tlshd/broker/broker.h"
#include "tlshd/shared/config.h"

/* Where root starts us all the same. */
#define NOBODY 65534

int main(int argc, char **argv)
{
	struct broker_options options = {.config_path = argc > 1 ? argv[1] : NULL,
					 .fork_workers = true,
					 .worker_uid = getuid() ? getuid() : NOBODY,
					 .worker_gid = getgid() ? getgid() : NOBODY,
					 .signer_uid = getuid() ? getuid() : NOBODY,
					 .signer_gid = getgid() ? getgid() : NOBODY};
	g_autofree char *dir = g_strconcat(argc > 1 ? argv[1] : "fake", ".recording", NULL);
	g_autoptr(GError) error = NULL;

	options.recording_dir = dir;
	signal(SIGPIPE, SIG_IGN);
	log_open(LOG_TARGET_STDERR, "tlshd");
	options.settings = config_load(options.config_path, &error);
	if (!options.settings) {
		log_error("%s", error->message);
		return EXIT_FAILURE;
	}
	return broker_run(&options) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
