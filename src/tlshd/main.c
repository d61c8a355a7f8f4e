// SPDX-License-Identifier: GPL-2.0-or-later
/* tlshd: command line, configuration, and then the broker. */
#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <sys/resource.h>
#include <unistd.h>
#include <glib.h>

#include "common/log.h"
#include "common/recording.h"
#include "tlshd/broker/broker.h"
#include "tlshd/broker/priority.h"
#include "tlshd/shared/config.h"
#include "tlshd/shared/sandbox.h"
#include "tlshd/signer/signer.h"
#include "tlshd/worker/worker.h"

/* Room for ten thousand peers that say nothing; 8 bytes each. */
#define DESCRIPTORS 16384

/*
 * The version of ktls-utils that does what we do. Scripts made for it cut the number behind "utils "
 * out of the one line that --version prints (blktests does, to see whether there are TLS tests to
 * run).
 */
#define KTLS_UTILS_VERSION "1.4.0"

struct arguments {
	char *config_path;
	gboolean to_stderr;
	gboolean version;
	gboolean check_config;
	gboolean worker;
	gboolean signer;
};

static int parse(struct arguments *a, int *argc, char ***argv)
{
	const GOptionEntry entries[] = {
		{"config", 'c', 0, G_OPTION_ARG_FILENAME, &a->config_path,
		 "Read FILE instead of " SYSCONFDIR "/tlshd.conf or " SYSCONFDIR "/tlshd/config",
		 "FILE"},
		{"stderr", 's', 0, G_OPTION_ARG_NONE, &a->to_stderr,
		 "Log to standard error besides the journal or syslog", NULL},
		{"check-config", 0, 0, G_OPTION_ARG_NONE, &a->check_config,
		 "Say what is wrong with the configuration and exit, with 1 if anything is", NULL},
		{"worker", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_NONE, &a->worker, NULL, NULL},
		{"signer", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_NONE, &a->signer, NULL, NULL},
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
	return 0;
}

static enum log_target log_target(const struct arguments *a)
{
	if (a->check_config || a->worker || a->signer)
		return LOG_TARGET_STDERR;
	return a->to_stderr ? LOG_TARGET_BOTH : LOG_TARGET_USUAL;
}

static void find_user(const char *name, bool needed, uid_t *uid, gid_t *gid)
{
	const struct passwd *user = getpwnam(name);

	if (!user) {
		if (needed)
			log_warning("there is no user \"%s\", its processes run as \"nobody\"; systemd-sysusers makes it",
				    name);
		user = getpwnam("nobody");
	}
	*uid = user ? user->pw_uid : 65534;
	*gid = user ? user->pw_gid : 65534;
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

/* GnuTLS would write the keys of every session there. */
static void refuse_key_log(void)
{
	if (!getenv("SSLKEYLOGFILE"))
		return;
	log_warning("SSLKEYLOGFILE is ignored: traffic keys are written nowhere");
	unsetenv("SSLKEYLOGFILE");
}

/* The broker does no TLS, and the workers that systemd starts do not have its environment. */
static void warn_of_environment(void)
{
	g_auto(GStrv) names = g_listenv();

	for (char **name = names; *name; name++)
		if (g_str_has_prefix(*name, "GNUTLS_"))
			log_warning("%s does not reach the workers: set it in tlshd-worker@.service too (systemctl edit tlshd-worker@.service)",
				    *name);
}

/* No error, for ktls-utils starts with them. */
static void warn_of_arguments(const char *first)
{
	g_autofree char *escaped = log_escape(first, strlen(first));

	log_warning("the argument \"%s\" and all behind it are ignored; see tlshd --help", escaped);
}

/* What is wrong has been logged. */
static int check_config(config *settings)
{
	int status = settings->complaints ? EXIT_FAILURE : EXIT_SUCCESS;

	if (status == EXIT_SUCCESS)
		printf("%s: fine\n",
		       settings->path ? settings->path : "no configuration file, all defaults");
	config_free(settings);
	return status;
}

/* What only an administrator can change has a status of its own: the unit is not started again for it. */
static int exit_status(int r)
{
	if (r == -EPROTONOSUPPORT)
		return EX_CONFIG;
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct broker_options options = {0};
	g_autoptr(GError) error = NULL;
	struct arguments a = {0};

	if (parse(&a, &argc, &argv) < 0)
		return EX_CONFIG;
	if (a.version) {
		printf("tlshd %s, in place of ktls-utils %s\n", PROJECT_VERSION,
		       KTLS_UTILS_VERSION);
		return EXIT_SUCCESS;
	}
	/* Whoever read our stderr may end before us. */
	signal(SIGPIPE, SIG_IGN);

	log_open(log_target(&a), "tlshd");
	refuse_key_log();
	if (a.worker)
		worker_main_started();
	if (a.signer)
		signer_main_started();
	if (argc > 1)
		warn_of_arguments(argv[1]);
	options.config_path = a.config_path;
	options.recording_dir = RECORDING_DIR;
	options.settings = config_load(a.config_path, &error);
	if (!options.settings) {
		log_error("%s", error->message);
		return EX_CONFIG;
	}
	if (a.check_config)
		return check_config(options.settings);
	if (geteuid() != 0) {
		log_error("tlshd must be started as root, to serve the kernel and read its keyrings");
		return EXIT_FAILURE;
	}
	options.fork_workers = sandbox_may_change_user();
	if (options.fork_workers) {
		find_user(WORKER_USER, true, &options.worker_uid, &options.worker_gid);
		find_user(SIGNER_USER, config_has_credentials(options.settings),
			  &options.signer_uid, &options.signer_gid);
	} else {
		warn_of_environment();
	}
	raise_descriptors();
	priority_raise(PRIORITY_FUSE_USEC);
	sandbox_spare_broker();
	return exit_status(broker_run(&options));
}
