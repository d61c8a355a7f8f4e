// SPDX-License-Identifier: GPL-2.0-or-later
/* What each process gives up, and what it may do afterwards: all of it in one file. */
#include "tlshd/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <glib.h>

#include "common/keyring.h"
#include "common/log.h"

static int failed(const char *what)
{
	int err = errno;

	log_error("sandbox: %s: %s", what, g_strerror(err));
	return -err;
}

static int limit(int resource, rlim_t value, const char *what)
{
	const struct rlimit limits = {value, value};

	return setrlimit(resource, &limits) < 0 ? failed(what) : 0;
}

/* The broker's blocked signals and handlers are not ours; who ends us is the broker. */
static void reset_signals(void)
{
	static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGPIPE};
	sigset_t none;

	for (size_t i = 0; i < G_N_ELEMENTS(ignored); i++)
		signal(ignored[i], SIG_IGN);
	signal(SIGXCPU, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

int sandbox_become_worker(const int *sock, uid_t uid, gid_t gid)
{
	int r;

	prctl(PR_SET_NAME, "tlshd-worker");
	reset_signals();
	if ((*sock > STDERR_FILENO + 1 && close_range(STDERR_FILENO + 1, (unsigned int)*sock - 1, 0) < 0) ||
	    close_range((unsigned int)*sock + 1, ~0U, 0) < 0)
		return failed("close_range");
	r = keyring_session_private();
	if (r < 0 && r != -ENOSYS) {
		errno = -r;
		return failed("a session keyring of its own");
	}
	if (setgroups(0, NULL) < 0)
		return failed("setgroups");
	if (setresgid(gid, gid, gid) < 0)
		return failed("setresgid");
	if (setresuid(uid, uid, uid) < 0) /* and with it goes every capability */
		return failed("setresuid");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return failed("no_new_privs");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return failed("PR_SET_DUMPABLE");
	return limit(RLIMIT_CORE, 0, "RLIMIT_CORE");
}

int sandbox_worker(void)
{
	return 0;
}

int sandbox_broker(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return failed("no_new_privs");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return failed("PR_SET_DUMPABLE");
	return limit(RLIMIT_CORE, 0, "RLIMIT_CORE");
}
