// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A worker that a peer has taken over, in a tlshd of its own that is never installed: the linker
 * leads sandbox_enter() and session_new() through here. TLSHD_ATTACK says what it tries, once,
 * with its first job from number 7 on; TLSHD_ATTACK_FLAG is a file that makes it once; with
 * TLSHD_ATTACK_DESK it is one that may ask the signer; the number of a key that it was not given is in
 * TLSHD_ATTACK_KEY.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <gnutls/gnutls.h>
#include <keyutils.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "common/log.h"
#include "tlshd/shared/ipc.h"
#include "tlshd/shared/sandbox.h"
#include "tlshd/worker/session.h"

#define FIRST_JOB 7

int __real_sandbox_enter(const struct role *role);
int __wrap_sandbox_enter(const struct role *role);
struct session *__real_session_new(const struct session_params *params);
struct session *__wrap_session_new(const struct session_params *params);

static const char *attack;
static key_serial_t key;
static int sock = -1;
static int desk = -1; /* the signer's */
static pid_t broker;
static bool mine;
static bool is_ours[FIRST_JOB]; /* jobs that this worker has been given */

/* The descriptor of the broker's, and the desk, at which a worker waits for so long only. */
static void find_socks(void)
{
	for (int fd = 3; fd < 1024; fd++) {
		struct timeval patience = {0};
		int type;
		socklen_t len = sizeof(type), size = sizeof(patience);

		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET)
			continue;
		getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, &size);
		*(patience.tv_sec ? &desk : &sock) = fd;
	}
}

/* ---- system calls ---- */

static void tell(const char *what, long result)
{
	if (result >= 0)
		log_line(LOG_ERR, "attack: %s SUCCEEDED", what);
	else
		log_line(LOG_NOTICE, "attack: %s refused: %s", what, strerror(errno));
}

#define TRY(call) tell(#call, (long)(call))

static long read_broker(void)
{
	char byte;
	struct iovec here = {&byte, 1}, there = {(void *)(uintptr_t)&attack, 1};

	return process_vm_readv(broker, &here, 1, &there, 1, 0);
}

static long open_of_broker(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)broker, name);
	return open(path, O_RDONLY);
}

/* What user, capabilities and keyrings alone refuse. */
static void try_with_every_call(void)
{
	char bytes[64];

	TRY(open("/etc/shadow", O_RDONLY));
	TRY(open_of_broker("mem"));
	TRY(open_of_broker("environ"));
	TRY(ptrace(PTRACE_SEIZE, broker, 0, 0));
	TRY(read_broker());
	TRY(kill(broker, SIGKILL));
	TRY(keyctl_read(key, bytes, sizeof(bytes)));
	TRY(keyctl_link(key, KEY_SPEC_SESSION_KEYRING));
	TRY(keyctl_search(KEY_SPEC_SESSION_KEYRING, "psk", "NVMe", 0));
	TRY(keyctl_setperm(key, 0x3f3f3f3f));
	TRY(setuid(0));
	TRY(mount("none", "/mnt", "tmpfs", 0, NULL));
}

/* The same and more, with the list of system calls in force. */
static void try_all(void)
{
	char *const argv[] = {(char *)"/bin/sh", NULL};

	try_with_every_call();
	TRY(execve(argv[0], argv, NULL));
	TRY(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
	TRY(socket(AF_INET, SOCK_STREAM, 0));
	TRY(socket(AF_NETLINK, SOCK_RAW, 16));
	TRY(socket(AF_UNIX, SOCK_STREAM, 0));
	TRY(open("/tmp/planted", O_CREAT | O_WRONLY, 0644));
	TRY(open("/dev/null", O_RDONLY));
	TRY(unshare(CLONE_NEWUSER));
	TRY(mmap(NULL, 4096, PROT_EXEC | PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			    MAP_FAILED
		    ? -1
		    : 0);
	TRY(syscall(SYS_io_uring_setup, 8, NULL));
	TRY(syscall(SYS_keyctl, 11, key, NULL, 0));
}

/* ---- messages ---- */

static void say(const void *bytes, size_t len)
{
	if (send(sock, bytes, len, MSG_NOSIGNAL) < 0)
		_exit(3); /* the broker has ended us, or is about to */
}

static void say_done(uint32_t job, enum cause cause, unsigned int cipher)
{
	struct ipc_done m = {.header = {IPC_DONE, job},
			     .cause = cause,
			     .cipher = cipher,
			     .alert_sent = -1,
			     .detail = "a lie"};

	say(&m, sizeof(m));
}

static void say_lookup(uint32_t job, unsigned int i)
{
	struct ipc_lookup m = {.header = {IPC_LOOKUP, job}};

	snprintf(m.identity, sizeof(m.identity), "NVMe0R01 nqn.host nqn.io-%u", i);
	say(&m, sizeof(m));
}

static void say_log(int priority, const char *line)
{
	struct ipc_log m = {.header = {IPC_LOG, 0}, .priority = (uint32_t)priority};

	g_strlcpy(m.line, line, sizeof(m.line));
	say(&m, sizeof(m));
}

/* A whole message with more descriptors than fit. */
static void say_descriptors(uint32_t job)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(16 * sizeof(int))];
	} control = {0};
	struct ipc_ran m = {.header = {IPC_RAN, job}};
	struct iovec vec = {&m, sizeof(m)};
	struct msghdr msg = {.msg_iov = &vec,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(16 * sizeof(int));
	for (int i = 0; i < 16; i++)
		memcpy(CMSG_DATA(c) + (size_t)i * sizeof(int), &(int){2}, sizeof(int));
	if (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0)
		_exit(3);
}

static void attack_short(uint32_t job, int fd)
{
	say("abc", 3);
}

static void attack_long(uint32_t job, int fd)
{
	static char huge[8192];

	memcpy(huge, &(struct ipc_header){IPC_RAN, job}, sizeof(struct ipc_header));
	say(huge, sizeof(huge));
}

static void attack_type(uint32_t job, int fd)
{
	say(&(struct ipc_header){99, job}, sizeof(struct ipc_header));
}

static void attack_direction(uint32_t job, int fd)
{
	struct ipc_key m = {.header = {IPC_KEY, job}};

	say(&m, sizeof(m));
}

static void attack_endless(uint32_t job, int fd)
{
	struct ipc_lookup m = {.header = {IPC_LOOKUP, job}};

	memset(m.identity, 'x', sizeof(m.identity));
	say(&m, sizeof(m));
}

static void attack_descriptors(uint32_t job, int fd)
{
	say_descriptors(job);
}

static void attack_unknown(uint32_t job, int fd)
{
	say_done(123456, CAUSE_SUCCESS, GNUTLS_CIPHER_AES_128_GCM);
}

static void attack_foreign(uint32_t job, int fd)
{
	for (uint32_t other = 1; other < FIRST_JOB; other++)
		if (!is_ours[other])
			say_done(other, CAUSE_SUCCESS, GNUTLS_CIPHER_AES_128_GCM);
}

static void attack_twice(uint32_t job, int fd)
{
	say_done(job, CAUSE_TLS_ERROR, 0);
	say_done(job, CAUSE_TLS_ERROR, 0);
}

/* More identities than any ClientHello has. */
static void attack_lookups(uint32_t job, int fd)
{
	for (unsigned int i = 10; i < 10000; i++)
		say_lookup(job, i);
}

/* Two keys that exist, for one connection. */
static void attack_keys(uint32_t job, int fd)
{
	say_lookup(job, 1);
	say_lookup(job, 2);
}

static void attack_success(uint32_t job, int fd)
{
	say_done(job, CAUSE_SUCCESS, GNUTLS_CIPHER_AES_128_GCM);
}

/* It has the key, and the socket stays as it is. */
static void attack_plain(uint32_t job, int fd)
{
	say_lookup(job, 1);
	say_done(job, CAUSE_SUCCESS, GNUTLS_CIPHER_AES_128_GCM);
}

static void set_direction(int fd, int direction)
{
	const struct tls12_crypto_info_aes_gcm_128 info = {
		.info = {TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128}};

	setsockopt(fd, SOL_TLS, direction, &info, sizeof(info));
}

/* What the target says is encrypted, what it is told need not be. */
static void attack_half(uint32_t job, int fd)
{
	say_lookup(job, 1);
	setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls"));
	set_direction(fd, TLS_TX);
	say_done(job, CAUSE_SUCCESS, GNUTLS_CIPHER_AES_128_GCM);
}

static void attack_cipher(uint32_t job, int fd)
{
	say_lookup(job, 1);
	setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls"));
	set_direction(fd, TLS_TX);
	set_direction(fd, TLS_RX);
	say_done(job, CAUSE_SUCCESS, GNUTLS_CIPHER_AES_256_GCM);
}

static void attack_ran(uint32_t job, int fd)
{
	struct ipc_ran m = {.header = {IPC_RAN, job}};

	for (unsigned int i = 0; i < 10000; i++)
		say(&m, sizeof(m));
}

static void attack_emergency(uint32_t job, int fd)
{
	say_log(LOG_EMERG, "everybody shall read this");
}

static void attack_log(uint32_t job, int fd)
{
	for (unsigned int i = 0; i < 20000; i++)
		say_log(LOG_ERR, "two\nlines \033[31m and a lie");
}

/* Past the broker, to where systemd or a terminal reads it. */
static void attack_stderr(uint32_t job, int fd)
{
	static const char line[] = "\n<0>everybody shall read this\n";

	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		if (write(i, line, sizeof(line) - 1) < 0)
			continue;
}

/* ---- the signer ---- */

static void ask_signature(uint32_t job, gnutls_sign_algorithm_t algorithm, uint32_t len)
{
	struct ipc_sign m = {{IPC_SIGN, job}, .algorithm = algorithm, .len = len};
	struct ipc_signed answer;

	if (send(desk, &m, sizeof(m), MSG_NOSIGNAL) < 0 ||
	    recv(desk, &answer, sizeof(answer), 0) <= 0)
		log_line(LOG_NOTICE, "attack: no signature of job %u", job);
	else
		log_line(LOG_NOTICE, "attack: %s of job %u",
			 answer.len ? "a SIGNATURE" : "an error in place of a signature", job);
}

/*
 * Two for one connection. The broker ends us, and reads no more of our lines, once the signer has told it of the
 * second: before that it has as long to read of the first as a worker waits for a signature.
 */
static void attack_signatures(uint32_t job, int fd)
{
	char nothing;

	ask_signature(job, GNUTLS_SIGN_ECDSA_SECP256R1_SHA256, 32);
	recv(desk, &nothing, sizeof(nothing), 0);
	ask_signature(job, GNUTLS_SIGN_ECDSA_SECP256R1_SHA256, 32);
}

/* Of connections that another worker has; where it has none yet, of the one that it will have. */
static void attack_foreign_signatures(uint32_t job, int fd)
{
	for (uint32_t other = 1; other < FIRST_JOB; other++)
		if (!is_ours[other])
			ask_signature(other, GNUTLS_SIGN_ECDSA_SECP256R1_SHA256, 32);
	ask_signature(job + 1, GNUTLS_SIGN_ECDSA_SECP256R1_SHA256, 32);
}

/* As TLS 1.2 or a certificate has them. */
static void attack_old_signatures(uint32_t job, int fd)
{
	ask_signature(job, GNUTLS_SIGN_ECDSA_SHA1, 32);
}

static void attack_odd_hash(uint32_t job, int fd)
{
	ask_signature(job, GNUTLS_SIGN_ECDSA_SECP256R1_SHA256, 20);
}

/* What only the broker may say. */
static void attack_grant(uint32_t job, int fd)
{
	struct ipc_grant m = {{IPC_GRANT, job + 1000},
			      .worker = 1,
			      .side = HANDSHAKE_SERVER,
			      .deadline_usec = UINT64_MAX / 2};

	if (send(desk, &m, sizeof(m), MSG_NOSIGNAL) < 0)
		_exit(3);
	ask_signature(job + 1000, GNUTLS_SIGN_ECDSA_SECP256R1_SHA256, 32);
}

/* A success with a client's certificate that nobody has shown. */
static void attack_certified(uint32_t job, int fd)
{
	struct ipc_done m = {.header = {IPC_DONE, job},
			     .cause = CAUSE_SUCCESS,
			     .cipher = GNUTLS_CIPHER_AES_128_GCM,
			     .alert_sent = -1,
			     .certified = 1};

	say(&m, sizeof(m));
}

/* It asks for the key of an identity, in a handshake that has none. */
static void attack_keys_of_nvme(uint32_t job, int fd)
{
	say_lookup(job, 1);
}

/* It hears nothing any more, whoever ends. */
static void attack_deaf(uint32_t job, int fd)
{
	for (volatile bool forever = true; forever;)
		;
}

static const struct {
	const char *name;
	void (*run)(uint32_t job, int fd);
} attacks[] = {
	{"short", attack_short},
	{"long", attack_long},
	{"type", attack_type},
	{"direction", attack_direction},
	{"endless", attack_endless},
	{"descriptors", attack_descriptors},
	{"unknown", attack_unknown},
	{"foreign", attack_foreign},
	{"twice", attack_twice},
	{"lookups", attack_lookups},
	{"keys", attack_keys},
	{"success", attack_success},
	{"plain", attack_plain},
	{"half", attack_half},
	{"cipher", attack_cipher},
	{"ran", attack_ran},
	{"emergency", attack_emergency},
	{"log", attack_log},
	{"signatures", attack_signatures},
	{"foreign-signatures", attack_foreign_signatures},
	{"old-signatures", attack_old_signatures},
	{"odd-hash", attack_odd_hash},
	{"grant", attack_grant},
	{"certified", attack_certified},
	{"keys-of-nvme", attack_keys_of_nvme},
	{"stderr", attack_stderr},
	{"deaf", attack_deaf},
};

static void send_messages(const struct session_params *params)
{
	for (size_t i = 0; i < G_N_ELEMENTS(attacks); i++)
		if (strcmp(attack, attacks[i].name) == 0)
			attacks[i].run(params->job, params->fd);
}

int __wrap_sandbox_enter(const struct role *role)
{
	const char *flag = getenv("TLSHD_ATTACK_FLAG"), *serial = getenv("TLSHD_ATTACK_KEY");
	int fd;

	attack = getenv("TLSHD_ATTACK");
	if (role == &role_worker)
		find_socks();
	if (role == &role_worker && attack && flag && (desk >= 0 || !getenv("TLSHD_ATTACK_DESK")) &&
	    (fd = open(flag, O_CREAT | O_EXCL | O_WRONLY, 0600)) >= 0) {
		close(fd);
		mine = true;
		broker = getppid();
		key = serial ? (key_serial_t)strtol(serial, NULL, 0) : 1;
		if (strcmp(attack, "calls") == 0)
			try_with_every_call();
	}
	return __real_sandbox_enter(role);
}

struct session *__wrap_session_new(const struct session_params *params)
{
	if (params->job < FIRST_JOB)
		is_ours[params->job] = true;
	if (mine && params->job >= FIRST_JOB) {
		mine = false;
		log_line(LOG_NOTICE, "attack: %s begins, job %u", attack, params->job);
		if (strcmp(attack, "calls") == 0)
			try_all();
		else
			send_messages(params);
		log_line(LOG_NOTICE, "attack: %s ends", attack);
	}
	return __real_session_new(params);
}
