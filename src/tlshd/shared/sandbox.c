// SPDX-License-Identifier: GPL-2.0-or-later
/* How a process gives up what its role does not need; roles.c says what that is. */
#include "tlshd/shared/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <glib.h>
#include <systemd/sd-id128.h>
#include <linux/capability.h>

#include "common/keyring.h"
#include "common/log.h"

/* A sanitizer's run-time opens files, starts a symbolizer and maps what it likes. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || \
	__has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

bool sandbox_is_sanitized(void)
{
	return SANITIZED;
}

static int failed(const char *what)
{
	int err = errno;

	log_error("sandbox: %s: %s", what, g_strerror(err));
	return -err;
}

static int failed_with(const char *what, int err)
{
	errno = -err;
	return failed(what);
}

static int apply_limit(const struct role_limit *l)
{
	struct rlimit limits;

	if (getrlimit((__rlimit_resource_t)l->resource, &limits) < 0)
		return failed(l->name);
	limits.rlim_max = MIN(limits.rlim_max, l->value);
	limits.rlim_cur = MIN(limits.rlim_cur, l->value);
	return setrlimit((__rlimit_resource_t)l->resource, &limits) < 0 ? failed(l->name) : 0;
}

static int apply_limits(const struct role *role)
{
	for (const struct role_limit *l = role->limits; l->name; l++)
		if (l->always || !SANITIZED) {
			int r = apply_limit(l);

			if (r < 0)
				return r;
		}
	return 0;
}

/* ---- system calls ---- */

/* Names by number, made while there is still memory to be had at leisure. */
#define NUMBERS 640
static char *names[NUMBERS];
static bool told[NUMBERS];

static void name_calls(void)
{
	if (names[0]) /* in the process that this one was forked from */
		return;
	for (int nr = 0; nr < NUMBERS; nr++)
		names[nr] = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);
}

#if defined(__x86_64__)
#define RESULT(context) ((context)->uc_mcontext.gregs[REG_RAX])
#elif defined(__aarch64__)
#define RESULT(context) ((context)->uc_mcontext.regs[0])
#endif

#ifdef RESULT
/*
 * A denied call: it fails, and its name goes to the log, once. The signal comes from the call
 * itself and so interrupts nothing that a log line could hurt.
 */
static void on_denied(int signal, siginfo_t *info, void *ctx)
{
	ucontext_t *context = ctx;
	int nr = info->si_syscall;

	RESULT(context) = -EPERM;
	if (nr < 0 || nr >= NUMBERS || told[nr])
		return;
	told[nr] = true;
	log_error("sandbox: the system call %s was denied",
		  names[nr] ? names[nr] : "without a name");
}

static int catch_denied(void)
{
	struct sigaction action = {.sa_sigaction = on_denied, .sa_flags = SA_SIGINFO | SA_RESTART};

	name_calls();
	return sigaction(SIGSYS, &action, NULL) < 0 ? -errno : 0;
}
#endif

/* Tests want to see a denied call at once; elsewhere it is an error like any other. */
static uint32_t denial(void)
{
#if defined(TEST_HOOKS)
	return SCMP_ACT_KILL_PROCESS;
#elif defined(RESULT)
	return SCMP_ACT_TRAP;
#else
	return SCMP_ACT_ERRNO(EPERM);
#endif
}

static int allow(scmp_filter_ctx filter, const struct role_call *call)
{
	int nr = seccomp_syscall_resolve_name(call->name);
	struct scmp_arg_cmp args[G_N_ELEMENTS(call->args)];

	/* One that is newer than this libseccomp stays denied. */
	if (nr == __NR_SCMP_ERROR)
		return 0;
	for (unsigned int i = 0; i < call->n_args; i++) {
		const struct role_argument *a = &call->args[i];
		uint64_t value = a->a == ROLE_SELF ? (uint64_t)getpid() : a->a;

		args[i] = (struct scmp_arg_cmp){a->at, a->op, value, a->b};
	}
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, nr, call->n_args, args);
}

static int deny(scmp_filter_ctx filter, const char *name)
{
	int nr = seccomp_syscall_resolve_name(name);

	return nr == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(filter, denial(), nr, 0);
}

static scmp_filter_ctx new_filter(uint32_t otherwise, uint32_t arch)
{
	scmp_filter_ctx filter = seccomp_init(otherwise);

	if (filter && arch != seccomp_arch_native() &&
	    (seccomp_arch_add(filter, arch) < 0 ||
	     seccomp_arch_remove(filter, seccomp_arch_native()) < 0))
		g_clear_pointer(&filter, seccomp_release);
	return filter;
}

void *sandbox_filter(const struct role *role, uint32_t arch)
{
	scmp_filter_ctx filter = new_filter(*role->may ? denial() : SCMP_ACT_ALLOW, arch);
	int r = 0;

	if (!filter)
		return NULL;
	for (const struct role_call *const *list = role->may; *list; list++)
		for (const struct role_call *call = *list; r >= 0 && call->name; call++)
			r = allow(filter, call);
	for (const char *const *name = role->may_not; r >= 0 && name && *name; name++)
		r = deny(filter, *name);
	if (r < 0)
		g_clear_pointer(&filter, seccomp_release);
	return filter;
}

/* Takes @filter. */
static int load(scmp_filter_ctx filter)
{
	int r;

	if (!filter)
		return failed_with("the list of system calls", -ENOMEM);
#ifdef RESULT
	r = catch_denied();
	if (r == 0)
		r = seccomp_load(filter);
#else
	r = seccomp_load(filter);
#endif
	seccomp_release(filter);
	return r < 0 ? failed_with("seccomp", r) : 0;
}

/* ---- Landlock: no file, no port, no signal to another process, whatever the credentials ---- */

/* As in linux/landlock.h of a kernel that has all three. */
struct landlock_ruleset {
	uint64_t fs, net, scoped;
};

#define LANDLOCK_ASK_VERSION 1

/* What there is to forbid grew from version to version of the interface. */
static struct landlock_ruleset landlock_all(long version)
{
	struct landlock_ruleset all = {.fs = (UINT64_C(1) << 13) - 1};

	if (version >= 2)
		all.fs |= UINT64_C(1) << 13; /* refer */
	if (version >= 3)
		all.fs |= UINT64_C(1) << 14; /* truncate */
	if (version >= 4)
		all.net = 3; /* bind and connect, TCP */
	if (version >= 5)
		all.fs |= UINT64_C(1) << 15; /* ioctl of devices */
	if (version >= 6)
		all.scoped = 3; /* abstract Unix sockets and signals */
	return all;
}

static int landlock(void)
{
	long version = syscall(__NR_landlock_create_ruleset, NULL, 0, LANDLOCK_ASK_VERSION);
	struct landlock_ruleset all;
	long fd, r;

	if (version < 0) {
		log_debug(1, "sandbox: this kernel has no Landlock: %s", g_strerror(errno));
		return 0;
	}
	all = landlock_all(version);
	fd = syscall(__NR_landlock_create_ruleset, &all, sizeof(all), 0);
	if (fd < 0)
		return failed("Landlock");
	r = syscall(__NR_landlock_restrict_self, fd, 0);
	if (r < 0)
		r = failed("Landlock");
	close((int)fd);
	return (int)r;
}

/* ---- capabilities ---- */

struct capabilities {
	struct __user_cap_data_struct set[_LINUX_CAPABILITY_U32S_3];
};

static int get_capabilities(struct capabilities *c)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	memset(c, 0, sizeof(*c));
	return syscall(__NR_capget, &header, c->set) < 0 ? failed("capget") : 0;
}

bool sandbox_may_change_user(void)
{
	struct capabilities have;

	return get_capabilities(&have) == 0 &&
	       have.set[CAP_TO_INDEX(CAP_SETUID)].effective & CAP_TO_MASK(CAP_SETUID);
}

static bool keeps(const struct role *role, unsigned int capability)
{
	for (const unsigned int *c = role->capabilities; *c != ROLE_END; c++)
		if (*c == capability)
			return true;
	return false;
}

static int reduce_capabilities(const struct role *role)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct capabilities have, keep = {0};

	for (unsigned int c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
		/* Without CAP_SETPCAP it stays as the unit has set it. */
		if (!keeps(role, c) && prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0 && errno != EPERM)
			return failed("the capability bounding set");
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);

	if (get_capabilities(&have) < 0)
		return -EPERM;
	for (const unsigned int *c = role->capabilities; *c != ROLE_END; c++) {
		unsigned int at = CAP_TO_INDEX(*c);

		keep.set[at].permitted |= have.set[at].permitted & CAP_TO_MASK(*c);
		keep.set[at].effective = keep.set[at].permitted;
	}
	/* Where systemd has left no more than that, capset() is no longer allowed either. */
	if (memcmp(&have, &keep, sizeof(have)) == 0)
		return 0;
	return syscall(__NR_capset, &header, keep.set) < 0 ? failed("capset") : 0;
}

/* With the user goes every capability. A worker of systemd's has come as one without. */
static int leave_root(uid_t uid, gid_t gid)
{
	struct capabilities left;

	if (geteuid() == 0) {
		if (setgroups(0, NULL) < 0)
			return failed("setgroups");
		if (setresgid(gid, gid, gid) < 0)
			return failed("setresgid");
		if (setresuid(uid, uid, uid) < 0)
			return failed("setresuid");
	}
	if (get_capabilities(&left) < 0)
		return -EPERM;
	for (size_t i = 0; i < G_N_ELEMENTS(left.set); i++)
		if (left.set[i].permitted)
			return failed_with("a worker has capabilities", -EPERM);
	return 0;
}

/* ---- memory ---- */

#define OOM_SCORE "/proc/self/oom_score_adj"
#define OOM_SCORE_BROKER -900

static int oom_score(void)
{
	g_autofree char *text = NULL;

	return g_file_get_contents(OOM_SCORE, &text, NULL, NULL) ? atoi(text) : 0;
}

static void set_oom_score(int score)
{
	int fd = open(OOM_SCORE, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || dprintf(fd, "%d", score) < 0)
		log_debug(1, "sandbox: no other OOM score: %m");
	if (fd >= 0)
		close(fd);
}

void sandbox_spare_broker(void)
{
	if (oom_score() == 0)
		set_oom_score(OOM_SCORE_BROKER);
}

/* ---- from one process to another ---- */

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

static int end_dumps(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return failed("no_new_privs");
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? failed("PR_SET_DUMPABLE") : 0;
}

/*
 * The broker's standard error may be a terminal, or a journal that shows "<0>" on every terminal. A
 * sanitizer's report has no other way out.
 */
static int close_standard(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int r = null < 0 ? -1 : 0;

	for (int fd = STDIN_FILENO; r >= 0 && fd <= (SANITIZED ? STDIN_FILENO : STDERR_FILENO);
	     fd++)
		r = dup2(null, fd);
	if (r < 0)
		return failed("/dev/null");
	if (null > STDERR_FILENO)
		close(null);
	return 0;
}

static int close_rest(int sock)
{
	if ((sock > STDERR_FILENO + 1 &&
	     close_range(STDERR_FILENO + 1, (unsigned int)sock - 1, 0) < 0) ||
	    close_range((unsigned int)sock + 1, ~0U, 0) < 0)
		return failed("close_range");
	return 0;
}

/* The broker's real-time priority is for the kernel's queue alone. */
static int leave_priority(void)
{
	const struct sched_param ordinary = {0};

	if (sched_getscheduler(0) != SCHED_OTHER &&
	    sched_setscheduler(0, SCHED_OTHER, &ordinary) < 0)
		return failed("an ordinary priority");
	return 0;
}

static int leave_keyrings(void)
{
	int r = keyring_session_private();

	return r < 0 && r != -ENOSYS ? failed_with("a session keyring of its own", r) : 0;
}

int sandbox_leave_broker(const char *name, int sock)
{
	int r;

	prctl(PR_SET_NAME, name);
	reset_signals();
	if (oom_score() < 0)
		set_oom_score(0);
	r = leave_priority();
	return r < 0 ? r : close_rest(sock);
}

int sandbox_become(const struct role *role, int sock, uid_t uid, gid_t gid)
{
	int r = sandbox_leave_broker(role->name, sock);

	if (r == 0)
		r = leave_keyrings();
	if (r == 0)
		r = leave_root(uid, gid);
	if (r == 0)
		r = end_dumps();
	/* A broker that is killed cannot end its children. What systemd has started is the next broker's. */
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* after the change of user, which clears it */
	return r < 0 ? r : close_standard(); /* last, for what fails before is said there */
}

/* Once, and not again in a child: its files may be on a disk that is gone since. */
void sandbox_prepare(void)
{
	static const char *volatile first_words; /* or it is left out */
	sd_id128_t boot;

	if (first_words)
		return;
	/* GLib and libc read tables of character sets for the first errno they put into words. */
	first_words = g_strerror(EPERM);
	/* libc reads the time zone's file before it puts the first time into words. */
	tzset();
	/* sd-event shifts its timers by the boot's ID, read from a file with the first of them. */
	sd_id128_get_boot(&boot);
}

int sandbox_enter(const struct role *role)
{
	int r = reduce_capabilities(role);

	sandbox_prepare();
	if (r == 0)
		r = end_dumps();
	if (r == 0)
		r = apply_limits(role);
	if (r < 0)
		return r;
	if (SANITIZED) {
		log_debug(1, "sandbox: built with a sanitizer, which needs files and system calls");
		return 0;
	}
	r = role->files ? 0 : landlock();
	return r < 0 ? r : load(sandbox_filter(role, seccomp_arch_native()));
}
