// SPDX-License-Identifier: GPL-2.0-or-later
/* What each process gives up, and what it may do afterwards: all of it in one file. */
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
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include <glib.h>
#include <linux/capability.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

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

/* Descriptors of a worker: one for each job, and those it is born with. */
#define WORKER_DESCRIPTORS (WORKER_JOBS_MAX + 64)

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

static int limit(int resource, rlim_t value, const char *what)
{
	struct rlimit limits;

	if (getrlimit(resource, &limits) < 0)
		return failed(what);
	limits.rlim_max = MIN(limits.rlim_max, value);
	limits.rlim_cur = MIN(limits.rlim_cur, value);
	return setrlimit(resource, &limits) < 0 ? failed(what) : 0;
}

/* ---- system calls ---- */

struct argument {
	unsigned int at;
	enum scmp_compare op;
	uint64_t a, b;
};

/* A system call, and what its arguments must be. An entry for each of several ways. */
struct rule {
	const char *name;
	struct argument args[2];
	unsigned int n_args;
};

#define NO_EXEC {{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}}, 1

/* All that a worker does once it has its first job. What is not here is denied. */
static const struct rule worker_may[] = {
	/* the peer and the broker */
	{"recvfrom"},
	{"recvmsg"},
	{"sendmsg"},
	{"sendto", {{4, SCMP_CMP_EQ, 0}}, 1},
	{"close"},
	{"setsockopt", {{1, SCMP_CMP_EQ, IPPROTO_TCP}, {2, SCMP_CMP_EQ, TCP_ULP}}, 2},
	{"setsockopt", {{1, SCMP_CMP_EQ, SOL_TLS}, {2, SCMP_CMP_EQ, TLS_TX}}, 2},
	{"setsockopt", {{1, SCMP_CMP_EQ, SOL_TLS}, {2, SCMP_CMP_EQ, TLS_RX}}, 2},
	/* the loop: epoll, and a timer that is read */
	{"epoll_ctl"},
	{"epoll_wait"},
	{"epoll_pwait"},
	{"epoll_pwait2"},
	{"timerfd_create"},
	{"timerfd_settime"},
	{"read"},
	/* time, where the vDSO cannot tell it, and chance */
	{"clock_gettime"},
	{"clock_getres"},
	{"gettimeofday"},
	{"time"},
	{"getrandom"},
	/* memory, none of it executable */
	{"brk"},
	{"mmap", NO_EXEC},
	{"mprotect", NO_EXEC},
	{"mremap"},
	{"munmap"},
	{"madvise"},
	{"futex"},
	/* the end, abort() included: a last word, and a signal to itself */
	{"write", {{0, SCMP_CMP_EQ, STDERR_FILENO}}, 1},
	{"writev", {{0, SCMP_CMP_EQ, STDERR_FILENO}}, 1},
	{"rt_sigaction"},
	{"rt_sigprocmask"},
	{"rt_sigreturn"},
	{"getpid"},
	{"gettid"},
	{"tgkill", {{0, SCMP_CMP_EQ, 0}}, 1}, /* the 0 stands for its own number */
	{"restart_syscall"},
	{"exit"},
	{"exit_group"},
};

/*
 * What nothing that comes from the broker may do, the workers it starts included. A list of what
 * it must not, for the libraries it speaks to systemd and the keyrings with change.
 */
static const char *const broker_may_not[] = {
	/* another program, or another process's memory */
	"execve",
	"execveat",
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"process_madvise",
	"kcmp",
	"pidfd_getfd",
	"userfaultfd",
	"memfd_secret",
	/* the kernel's code */
	"init_module",
	"finit_module",
	"delete_module",
	"create_module",
	"kexec_load",
	"kexec_file_load",
	"bpf",
	"perf_event_open",
	"modify_ldt",
	"iopl",
	"ioperm",
	"uselib",
	"personality",
	/* what is mounted where, and which namespace is seen */
	"mount",
	"umount",
	"umount2",
	"mount_setattr",
	"move_mount",
	"open_tree",
	"fsopen",
	"fsconfig",
	"fsmount",
	"fspick",
	"pivot_root",
	"chroot",
	"setns",
	"unshare",
	"swapon",
	"swapoff",
	"quotactl",
	"quotactl_fd",
	"name_to_handle_at",
	"open_by_handle_at",
	/* the machine */
	"reboot",
	"acct",
	"syslog",
	"sethostname",
	"setdomainname",
	"settimeofday",
	"stime",
	"clock_settime",
	"clock_adjtime",
	"clock_adjtime64",
	"clock_settime64",
	"adjtimex",
	"nfsservctl",
	"vhangup",
	/* a way round this list */
	"io_uring_setup",
	"io_uring_enter",
	"io_uring_register",
	/* services of its own, and files that outlive it */
	"bind",
	"listen",
	"accept",
	"accept4",
	"mknod",
	"mknodat",
	"link",
	"linkat",
	"symlink",
	"symlinkat",
	"rename",
	"renameat",
	"renameat2",
	"unlink",
	"unlinkat",
	"rmdir",
	"mkdir",
	"mkdirat",
	"truncate",
	"chmod",
	"fchmod",
	"fchmodat",
	"fchmodat2",
	"chown",
	"lchown",
	"fchown",
	"fchownat",
	"setxattr",
	"lsetxattr",
	"fsetxattr",
};

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

static int add_rule(scmp_filter_ctx filter, const struct rule *rule, pid_t self)
{
	int nr = seccomp_syscall_resolve_name(rule->name);
	struct scmp_arg_cmp args[G_N_ELEMENTS(rule->args)];

	if (nr ==
	    __NR_SCMP_ERROR) /* newer than this libseccomp, and so nothing it would let pass */
		return 0;
	for (unsigned int i = 0; i < rule->n_args; i++)
		args[i] = (struct scmp_arg_cmp){rule->args[i].at, rule->args[i].op, rule->args[i].a,
						rule->args[i].b};
	if (strcmp(rule->name, "tgkill") == 0)
		args[0].datum_a = (uint64_t)self;
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, nr, rule->n_args, args);
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

void *sandbox_worker_filter(uint32_t arch)
{
	scmp_filter_ctx filter = new_filter(denial(), arch);

	for (size_t i = 0; filter && i < G_N_ELEMENTS(worker_may); i++)
		if (add_rule(filter, &worker_may[i], getpid()) < 0)
			g_clear_pointer(&filter, seccomp_release);
	return filter;
}

void *sandbox_broker_filter(uint32_t arch)
{
	scmp_filter_ctx filter = new_filter(SCMP_ACT_ALLOW, arch);

	for (size_t i = 0; filter && i < G_N_ELEMENTS(broker_may_not); i++) {
		int nr = seccomp_syscall_resolve_name(broker_may_not[i]);

		if (nr != __NR_SCMP_ERROR && seccomp_rule_add(filter, denial(), nr, 0) < 0)
			g_clear_pointer(&filter, seccomp_release);
	}
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

/* The handshake family and socket buffers; ending a worker; making one that is not systemd's. */
static const unsigned int broker_capabilities[] = {CAP_NET_ADMIN, CAP_KILL, CAP_SETUID, CAP_SETGID};

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

static bool broker_needs(unsigned int capability)
{
	for (size_t i = 0; i < G_N_ELEMENTS(broker_capabilities); i++)
		if (broker_capabilities[i] == capability)
			return true;
	return false;
}

static int reduce_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct capabilities have, keep = {0};

	for (unsigned int c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
		/* Without CAP_SETPCAP it stays as the unit has set it. */
		if (!broker_needs(c) && prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0 && errno != EPERM)
			return failed("the capability bounding set");
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);

	if (get_capabilities(&have) < 0)
		return -EPERM;
	for (size_t i = 0; i < G_N_ELEMENTS(broker_capabilities); i++) {
		unsigned int at = CAP_TO_INDEX(broker_capabilities[i]);

		keep.set[at].permitted |= have.set[at].permitted &
					  CAP_TO_MASK(broker_capabilities[i]);
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

/* ---- the two processes ---- */

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
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return failed("PR_SET_DUMPABLE");
	return limit(RLIMIT_CORE, 0, "RLIMIT_CORE");
}

int sandbox_become_worker(const int *sock, uid_t uid, gid_t gid)
{
	int r;

	const struct sched_param ordinary = {0};

	prctl(PR_SET_NAME, "tlshd-worker");
	/* The broker's real-time priority is for the kernel's queue alone. */
	if (sched_getscheduler(0) != SCHED_OTHER &&
	    sched_setscheduler(0, SCHED_OTHER, &ordinary) < 0)
		return failed("an ordinary priority");
	reset_signals();
	if (oom_score() < 0)
		set_oom_score(0);
	if ((*sock > STDERR_FILENO + 1 &&
	     close_range(STDERR_FILENO + 1, (unsigned int)*sock - 1, 0) < 0) ||
	    close_range((unsigned int)*sock + 1, ~0U, 0) < 0)
		return failed("close_range");
	r = keyring_session_private();
	if (r < 0 && r != -ENOSYS)
		return failed_with("a session keyring of its own", r);
	r = leave_root(uid, gid);
	return r < 0 ? r : end_dumps();
}

int sandbox_worker(void)
{
	static const char *volatile first_words __attribute__((unused)); /* or it is left out */
	int r = limit(RLIMIT_NOFILE, WORKER_DESCRIPTORS, "RLIMIT_NOFILE");

	if (r < 0)
		return r;
	if (SANITIZED) {
		log_debug(1,
			  "sandbox: built with a sanitizer, workers run without a list of system calls");
		return 0;
	}
	/* GLib and libc read tables of character sets for the first errno they put into words. */
	first_words = g_strerror(EPERM);
	r = limit(RLIMIT_NPROC, 0, "RLIMIT_NPROC");
	if (r == 0)
		r = limit(RLIMIT_FSIZE, 0, "RLIMIT_FSIZE");
	if (r == 0)
		r = landlock();
	return r < 0 ? r : load(sandbox_worker_filter(seccomp_arch_native()));
}

int sandbox_broker(void)
{
	int r = reduce_capabilities();

	if (r == 0)
		r = end_dumps();
	if (r < 0 || SANITIZED)
		return r;
	return load(sandbox_broker_filter(seccomp_arch_native()));
}
