// SPDX-License-Identifier: GPL-2.0-or-later
/* tlshd: command line, configuration, and then the broker. */
#include <errno.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <glib.h>

#include "common/log.h"
#include "tlshd/broker/broker.h"
#include "tlshd/shared/config.h"
#include "tlshd/shared/sandbox.h"
#include "tlshd/worker/worker.h"

/* The broker sleeps within milliseconds; at this much in one go something is badly wrong. */
#define RTTIME_USEC (2 * G_USEC_PER_SEC)

/* Room for ten thousand peers that say nothing; 8 bytes each. */
#define DESCRIPTORS 16384

struct arguments {
	char *config_path;
	gboolean to_stderr;
	gboolean version;
	gboolean check_config;
	gboolean worker;
};

static int parse(struct arguments *a, int *argc, char ***argv)
{
	const GOptionEntry entries[] = {
		{"config", 'c', 0, G_OPTION_ARG_FILENAME, &a->config_path,
		 "Read FILE instead of " SYSCONFDIR "/tlshd/config or " SYSCONFDIR "/tlshd.conf",
		 "FILE"},
		{"stderr", 's', 0, G_OPTION_ARG_NONE, &a->to_stderr,
		 "Log to standard error instead of the journal or syslog", NULL},
		{"check-config", 0, 0, G_OPTION_ARG_NONE, &a->check_config,
		 "Say what is wrong with the configuration and exit", NULL},
		{"worker", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_NONE, &a->worker, NULL, NULL},
		{"version", 'v', 0, G_OPTION_ARG_NONE, &a->version, "Print the version and exit",
		 NULL},
		{0},
	};
	g_autoptr(GOptionContext) context = g_option_context_new("- TLS handshakes for the kernel");
	g_autoptr(GError) error = NULL;

	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, argc, argv, &error)) {
		fprintf(stderr, "tlshd: %s; see tlshd --help\n", error->message);
		return -EINVAL;
	}
	if (*argc > 1) {
		fprintf(stderr, "tlshd: unexpected argument \"%s\"; see tlshd --help\n",
			(*argv)[1]);
		return -EINVAL;
	}
	return 0;
}

static void find_worker_user(struct broker_options *options)
{
	const struct passwd *user = getpwnam(WORKER_USER);

	if (!user) {
		log_warning("there is no user \"%s\", workers run as \"nobody\"; systemd-sysusers makes it",
			    WORKER_USER);
		user = getpwnam("nobody");
	}
	options->worker_uid = user ? user->pw_uid : 65534;
	options->worker_gid = user ? user->pw_gid : 65534;
}

/*
 * Every waiting peer is a descriptor of the broker. The kernel lets a process with two threads wait
 * for milliseconds whenever its table of them grows, so it grows now.
 */
static void raise_descriptors(void)
{
	struct rlimit limit;
	int fd;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	fd = dup2(STDIN_FILENO, (int)MIN(limit.rlim_cur, (rlim_t)DESCRIPTORS) - 1);
	if (fd >= 0)
		close(fd);
}

/*
 * The fuse: a broker that spins goes on at an ordinary priority. Where it may not change that, systemd
 * has started it, and does so again.
 */
static void demote(int signal)
{
	const struct sched_param ordinary = {0};

	if (sched_setscheduler(0, SCHED_OTHER, &ordinary) < 0)
		_exit(EXIT_FAILURE);
}

/*
 * The kernel drops connections when its queue of a handful is not drained at once, so the broker
 * goes first. The unit has it so; started by hand we do it ourselves. Our second thread inherits it,
 * workers give it up.
 */
static void raise_priority(void)
{
	const struct sched_param first = {.sched_priority = 1};
	const struct rlimit fuse = {RTTIME_USEC, RLIM_INFINITY};

	signal(SIGXCPU, demote);
	setrlimit(RLIMIT_RTTIME, &fuse);
	if ((sched_getscheduler(0) & ~SCHED_RESET_ON_FORK) == SCHED_OTHER &&
	    sched_setscheduler(0, SCHED_RR, &first) < 0)
		log_warning("no real-time priority (%m): storms of connections may overflow the kernel's queue");
}

int main(int argc, char **argv)
{
	struct broker_options options = {0};
	g_autoptr(GError) error = NULL;
	struct arguments a = {0};

	if (parse(&a, &argc, &argv) < 0)
		return EXIT_FAILURE;
	if (a.version) {
		printf("tlshd %s\n", PROJECT_VERSION);
		return EXIT_SUCCESS;
	}
	/* Whoever read our stderr may end before us. */
	signal(SIGPIPE, SIG_IGN);
	/* GnuTLS would write the keys of every session there. */
	unsetenv("SSLKEYLOGFILE");

	log_open(a.to_stderr || a.check_config || a.worker ? LOG_TARGET_STDERR : LOG_TARGET_AUTO,
		 "tlshd");
	if (a.worker)
		worker_main_started();
	options.config_path = a.config_path;
	options.settings = config_load(a.config_path, &error);
	if (!options.settings) {
		log_error("%s", error->message);
		return EXIT_FAILURE;
	}
	if (a.check_config) {
		printf("%s: fine\n", options.settings->path
					     ? options.settings->path
					     : "no configuration file, all defaults");
		config_free(options.settings);
		return EXIT_SUCCESS;
	}
	if (geteuid() != 0) {
		log_error("tlshd must be started as root, to serve the kernel and read its keyrings");
		return EXIT_FAILURE;
	}
	options.fork_workers = sandbox_may_change_user();
	if (options.fork_workers)
		find_worker_user(&options);
	raise_descriptors();
	raise_priority();
	sandbox_spare_broker();
	return broker_run(&options) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
