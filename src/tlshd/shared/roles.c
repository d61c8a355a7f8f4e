// SPDX-License-Identifier: GPL-2.0-or-later
/* What each process may do: the policy, to be read aloud; sandbox.c enforces it. */
#include "tlshd/shared/roles.h"

#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/capability.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

/* The headers we are built with may be older. */
#ifndef TLS_TX_MAX_PAYLOAD_LEN
#define TLS_TX_MAX_PAYLOAD_LEN 5
#endif

/* ---- the broker: root, with the keys and the kernel, and without a byte that a peer sent ---- */

static const unsigned int broker_capabilities[] = {
	CAP_NET_ADMIN, /* the handshake family, and socket buffers */
	CAP_KILL, /* ending a worker, which is another user's process */
	CAP_SETUID,    CAP_SETGID, /* making one, where systemd does not */
	ROLE_END,
};

static const struct role_limit broker_limits[] = {
	{RLIMIT_CORE, 0, "RLIMIT_CORE", true}, /* it would have keys in it */
	{0},
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
	NULL,
};

const struct role role_broker = {
	.capabilities = broker_capabilities,
	.limits = broker_limits,
	.may_not = broker_may_not,
	.files = true, /* the configuration, /proc/keys, the journal's socket */
};

/* ---- a worker: holds the bytes that came from the network, and no right of its own ---- */

static const unsigned int worker_capabilities[] = {ROLE_END}; /* and a signer's */

static const struct role_limit worker_limits[] = {
	/* one for each job, and those it is born with */
	{RLIMIT_NOFILE, ROLE_WORKER_JOBS + 64, "RLIMIT_NOFILE", true},
	{RLIMIT_CORE, 0, "RLIMIT_CORE", true}, /* it would have keys in it */
	{RLIMIT_RTPRIO, 0, "RLIMIT_RTPRIO", true}, /* the broker goes first */
	{RLIMIT_NPROC, 0, "RLIMIT_NPROC", false},
	{RLIMIT_FSIZE, 0, "RLIMIT_FSIZE", false},
	{0},
};

#define NO_EXEC {{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}}, 1

/* What workers and signers need for their loops. */
static const struct role_call loop_may[] = {
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
	{"tgkill", {{0, SCMP_CMP_EQ, ROLE_SELF}}, 1},
	{"restart_syscall"},
	{"exit"},
	{"exit_group"},
	{0},
};

/* All that a worker does once it has its first job. What is neither here nor above is denied. */
static const struct role_call worker_may[] = {
	/* giving the heap back, which is locked */
	{"munlock"},
	{"mlock2"},
	/* the peer and the broker */
	{"recvfrom"},
	{"recvmsg"},
	{"sendmsg"},
	{"sendto", {{4, SCMP_CMP_EQ, 0}}, 1},
	{"close"},
	{"setsockopt", {{1, SCMP_CMP_EQ, IPPROTO_TCP}, {2, SCMP_CMP_EQ, TCP_ULP}}, 2},
	{"setsockopt", {{1, SCMP_CMP_EQ, SOL_TLS}, {2, SCMP_CMP_EQ, TLS_TX}}, 2},
	{"setsockopt", {{1, SCMP_CMP_EQ, SOL_TLS}, {2, SCMP_CMP_EQ, TLS_RX}}, 2},
	{"setsockopt", {{1, SCMP_CMP_EQ, SOL_TLS}, {2, SCMP_CMP_EQ, TLS_TX_MAX_PAYLOAD_LEN}}, 2},
	{0},
};

const struct role role_worker = {
	.name = "tlshd-worker",
	.capabilities = worker_capabilities,
	.limits = worker_limits,
	.may = {worker_may, loop_may},
};

/* ---- the signer: holds private keys, and reads what its customers and the broker send ---- */

static const struct role_limit signer_limits[] = {
	{RLIMIT_NOFILE, 1024, "RLIMIT_NOFILE", true}, /* one for each worker, in two generations */
	{RLIMIT_CORE, 0, "RLIMIT_CORE", true}, /* it would have keys in it */
	{RLIMIT_RTPRIO, 0, "RLIMIT_RTPRIO", true}, /* the broker goes first */
	{RLIMIT_NPROC, 0, "RLIMIT_NPROC", false},     {RLIMIT_FSIZE, 0, "RLIMIT_FSIZE", false}, {0},
};

static const struct role_call signer_may[] = {
	/* the broker and the workers */
	{"recvmsg"},
	{"sendmsg"},
	{"close"},
	{0},
};

/* A token's module: SoftHSM looks at its files before each use, others ask a daemon (pcscd, p11-kit). */
static const struct role_call tokens_may[] = {
	{"open"},
	{"openat"},
	{"stat"},
	{"lstat"},
	{"fstat"},
	{"newfstatat"},
	{"statx"},
	{"access"},
	{"faccessat"},
	{"faccessat2"},
	{"getdents64"},
	{"lseek"},
	{"pread64"},
	{"fcntl"},
	{"flock"},
	{"write"},
	{"getuid"},
	{"geteuid"},
	{"getgid"},
	{"getegid"},
	{"socket", {{0, SCMP_CMP_EQ, AF_UNIX}}, 1},
	{"connect"},
	{"sendto"},
	{"recvfrom"},
	{"poll"},
	{"ppoll"},
	{"select"},
	{"pselect6"},
	{"nanosleep"},
	{"clock_nanosleep"},
	{0},
};

const struct role role_signer = {
	.name = "tlshd-signer",
	.capabilities = worker_capabilities,
	.limits = signer_limits,
	.may = {signer_may, loop_may},
};

const struct role role_signer_of_tokens = {
	.name = "tlshd-signer",
	.capabilities = worker_capabilities,
	.limits = signer_limits,
	.may = {signer_may, loop_may, tokens_may},
	.files = true,
};
