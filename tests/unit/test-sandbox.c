// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of the sandbox: what sessions need works in it, and nothing else does. */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <cmocka.h>

#include "common/log.h"
#include "tests/unit/skip.h"
#include "tlshd/shared/sandbox.h"
#include "tlshd/worker/session.h"

#define ID "NVMe0R01 nqn.host nqn.io-1"
#define ID_384 "NVMe0R02 nqn.host nqn.io-1"

static struct engine engine;

/* ---- a child in the sandbox, and what it logs ---- */

static int report = -1;

static void log_to_parent(int priority, const char *line)
{
	send(report, line, strlen(line), MSG_NOSIGNAL);
}

/* What a child is to do; false when it went wrong. */
typedef bool child_work(void *ctx);

/* Return: the child's lines, one after the other. */
static char *in_child(const struct role *role, child_work *work, void *ctx)
{
	g_autoptr(GString) lines = g_string_new(NULL);
	char line[1024];
	int fd[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fd[0]);
		report = fd[1];
		log_set_sink(log_to_parent);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || sandbox_enter(role) < 0)
			_exit(2);
		_exit(work(ctx) ? 0 : 1);
	}
	close(fd[1]);
	while ((n = recv(fd[0], line, sizeof(line), 0)) > 0)
		g_string_append_printf(lines, "%.*s\n", (int)n, line);
	close(fd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status)
		print_message("# status 0x%x, lines:\n%s", status, lines->str);
	assert_int_equal(status, 0);
	return g_strdup(lines->str);
}

/* ---- handshakes, our end of them in the sandbox ---- */

struct end {
	struct session *s;
	const char *known;
	secret psk;
};

static void lookup(void *ctx, const char *identity)
{
	struct end *e = ctx;

	auth_psk_answer(session_auth(e->s), strcmp(identity, e->known) == 0 ? 0 : -ENOKEY, &e->psk);
}

static void fill(secret *psk, const char *identity, uint8_t byte)
{
	uint8_t bytes[SECRET_MAX];

	memset(bytes, byte, sizeof(bytes));
	secret_set(psk, bytes, strcmp(identity, ID_384) == 0 ? 48 : 32);
}

/* Runs a session to its end. Return: its status for the kernel. */
static int run_session(int fd, int loop, enum handshake_side side, const char *identity,
		       uint8_t byte)
{
	struct end e = {.known = identity};
	struct auth_psk_params auth = {.shared = &engine.psk,
				       .side = side,
				       .identity = identity,
				       .psk = &e.psk,
				       .lookup = lookup,
				       .ctx = &e};
	struct session_params p = {.engine = &engine, .fd = fd, .side = side};
	struct epoll_event event = {.events = EPOLLIN};
	int status;

	fill(&e.psk, identity, byte);
	p.auth = auth_psk_new(&auth);
	e.s = session_new(&p);
	epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
	while (session_step(e.s) == -EAGAIN)
		epoll_wait(loop, &event, 1, 10000);
	epoll_ctl(loop, EPOLL_CTL_DEL, fd, NULL);
	status = cause_info(session_outcome(e.s)->cause)->status;
	if (!status) { /* as kTLS would take them */
		gnutls_datum_t mac, iv, key;
		unsigned char sequence[8];

		for (unsigned int read = 0; read < 2; read++)
			if (gnutls_record_get_state(session_gnutls(e.s), read, &mac, &iv, &key,
						    sequence) < 0)
				status = EIO;
	}
	session_free(e.s);
	return status;
}

/* One handshake for each row; the peer is bare GnuTLS with these priorities, without any it is ours. */
static const struct handshake {
	enum handshake_side side;
	const char *identity;
	uint8_t byte; /* 7 is the peer's */
	const char *priorities;
	int status;
} handshakes[] = {
#define PSK "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK:+DHE-PSK"
	{HANDSHAKE_CLIENT, ID, 7, NULL, 0},
	{HANDSHAKE_CLIENT, ID, 8, NULL, EKEYREJECTED},
	{HANDSHAKE_SERVER, ID, 7, PSK ":-CIPHER-ALL:+AES-128-GCM", 0},
	{HANDSHAKE_SERVER, ID, 7, PSK ":-CIPHER-ALL:+AES-128-CCM", 0},
	{HANDSHAKE_SERVER, ID, 7, PSK ":-CIPHER-ALL:+CHACHA20-POLY1305", 0},
	{HANDSHAKE_SERVER, ID, 7, PSK ":-GROUP-ALL:+GROUP-SECP256R1", 0},
	{HANDSHAKE_SERVER, ID, 7, PSK ":-GROUP-ALL:+GROUP-SECP384R1", 0},
	{HANDSHAKE_SERVER, ID, 7, PSK ":-GROUP-ALL:+GROUP-SECP521R1", 0},
	/* our groups, but its share is for none of them: HelloRetryRequest */
	{HANDSHAKE_SERVER, ID, 7, PSK ":-GROUP-ALL:+GROUP-FFDHE2048:+GROUP-SECP521R1", 0},
	{HANDSHAKE_SERVER, ID, 8, PSK, EKEYREJECTED},
	{HANDSHAKE_SERVER, ID "x", 7, PSK, ENOKEY},
	{HANDSHAKE_SERVER, ID, 7, "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-PSK", EPROTO},
	{HANDSHAKE_SERVER, ID, 7, "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+PSK", EPROTO},
	{HANDSHAKE_CLIENT, ID, 7, PSK ":-CIPHER-ALL:+CHACHA20-POLY1305:-GROUP-ALL:+GROUP-X25519",
	 0},
	/* the other side of a HelloRetryRequest: our share is for the first of our groups */
	{HANDSHAKE_CLIENT, ID, 7, PSK ":-GROUP-ALL:+GROUP-SECP521R1", 0},
	{HANDSHAKE_CLIENT, ID, 7, "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-PSK", EPROTO},
	{HANDSHAKE_CLIENT, ID_384, 8, NULL, EKEYREJECTED},
	{HANDSHAKE_SERVER, ID_384, 7, NULL, 0},
	{HANDSHAKE_SERVER, ID_384, 8, NULL, EKEYREJECTED},
	{HANDSHAKE_CLIENT, ID_384, 7, NULL, 0},
};

/* Where there is no SHA-384 the last row says so; its peer waits until the process ends. */
static bool is_run(size_t i)
{
	return i == G_N_ELEMENTS(handshakes) - 1 || strcmp(handshakes[i].identity, ID_384) != 0 ||
	       auth_psk_has_hash(PSK_HASH_SHA384);
}

struct link {
	int ours, theirs;
};

static bool run_ours(void *ctx)
{
	const struct link *links = ctx;
	int loop = links[G_N_ELEMENTS(handshakes)].ours;

	/* An errno in words, as of a connection that breaks. */
	log_to_parent(0, g_strerror(ECONNRESET));
	for (size_t i = 0; i < G_N_ELEMENTS(handshakes); i++) {
		const struct handshake *h = &handshakes[i];
		char line[64];
		int status;

		if (!is_run(i))
			continue;
		status = run_session(links[i].ours, loop, h->side, h->identity, h->byte);
		snprintf(line, sizeof(line), "handshake %zu: %d", i, status);
		log_to_parent(0, line);
	}
	return true;
}

/* A bare client, which blocks. */
static void run_client(int fd, const char *priorities)
{
	uint8_t bytes[32];
	gnutls_datum_t id = {(void *)ID, sizeof(ID) - 1}, key = {bytes, sizeof(bytes)};
	gnutls_psk_client_credentials_t cred;
	gnutls_session_t tls;

	memset(bytes, 7, sizeof(bytes));
	assert_int_equal(gnutls_init(&tls, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL), 0);
	assert_int_equal(gnutls_priority_set_direct(tls, priorities, NULL), 0);
	assert_int_equal(gnutls_psk_allocate_client_credentials(&cred), 0);
	assert_int_equal(gnutls_psk_set_client_credentials2(cred, &id, &key, GNUTLS_PSK_KEY_RAW),
			 0);
	gnutls_credentials_set(tls, GNUTLS_CRD_PSK, cred);
	gnutls_transport_set_int(tls, fd);
	while (gnutls_handshake(tls) == GNUTLS_E_INTERRUPTED)
		;
	gnutls_deinit(tls);
	gnutls_psk_free_client_credentials(cred);
}

static int key_of_bare_server(gnutls_session_t tls, const char *name, gnutls_datum_t *key)
{
	key->size = 32;
	key->data = gnutls_malloc(key->size);
	memset(key->data, 7, key->size);
	return 0;
}

/* A bare server, which blocks. */
static void run_server(int fd, const char *priorities)
{
	gnutls_psk_server_credentials_t cred;
	gnutls_session_t tls;

	assert_int_equal(gnutls_init(&tls, GNUTLS_SERVER | GNUTLS_NO_SIGNAL), 0);
	assert_int_equal(gnutls_priority_set_direct(tls, priorities, NULL), 0);
	assert_int_equal(gnutls_psk_allocate_server_credentials(&cred), 0);
	gnutls_psk_set_server_credentials_function(cred, key_of_bare_server);
	gnutls_handshake_set_timeout(tls, 10000);
	gnutls_credentials_set(tls, GNUTLS_CRD_PSK, cred);
	gnutls_transport_set_int(tls, fd);
	while (gnutls_handshake(tls) == GNUTLS_E_INTERRUPTED)
		;
	gnutls_deinit(tls);
	gnutls_psk_free_server_credentials(cred);
}

/* The other end of all of them, in a process without a sandbox. */
static void run_theirs(const struct link *links)
{
	int loop = epoll_create1(EPOLL_CLOEXEC);

	for (size_t i = 0; i < G_N_ELEMENTS(handshakes); i++)
		close(links[i].ours);
	for (size_t i = 0; i < G_N_ELEMENTS(handshakes); i++) {
		const struct handshake *h = &handshakes[i];

		enum handshake_side side = h->side == HANDSHAKE_SERVER ? HANDSHAKE_CLIENT
								       : HANDSHAKE_SERVER;

		if (!is_run(i))
			continue;
		if (!h->priorities)
			run_session(links[i].theirs, loop, side, h->identity, 7);
		else if (side == HANDSHAKE_CLIENT)
			run_client(links[i].theirs, h->priorities);
		else
			run_server(links[i].theirs, h->priorities);
	}
	/* Open until ours are closed: a client looks for tickets behind the handshake. */
	for (size_t i = 0; i < G_N_ELEMENTS(handshakes); i++) {
		char byte;

		while (recv(links[i].theirs, &byte, 1, 0) > 0)
			;
	}
	_exit(0);
}

static void every_handshake_works_in_it(void **state)
{
	struct link links[G_N_ELEMENTS(handshakes) + 1];
	g_autofree char *lines = NULL;
	int status;
	pid_t peers;

	for (size_t i = 0; i < G_N_ELEMENTS(handshakes); i++) {
		int fd[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
		links[i] = (struct link){fd[0], fd[1]};
	}
	links[G_N_ELEMENTS(handshakes)].ours = epoll_create1(EPOLL_CLOEXEC);
	fflush(NULL);
	peers = fork();
	if (peers == 0)
		run_theirs(links);
	for (size_t i = 0; i < G_N_ELEMENTS(handshakes); i++)
		close(links[i].theirs);
	lines = in_child(&role_worker, run_ours, links);
	for (size_t i = 0; i < G_N_ELEMENTS(handshakes); i++)
		close(links[i].ours);
	assert_int_equal(waitpid(peers, &status, 0), peers);
	for (size_t i = 0; i < G_N_ELEMENTS(handshakes); i++) {
		int want = handshakes[i].status;
		g_autofree char *line = NULL;

		if (!is_run(i))
			continue;
		if (strcmp(handshakes[i].identity, ID_384) == 0 &&
		    !auth_psk_has_hash(PSK_HASH_SHA384))
			want = ENOTSUP;
		line = g_strdup_printf("handshake %zu: %d\n", i, want);
		if (!strstr(lines, line))
			fail_msg("no '%s' in:\n%s", line, lines);
	}
	if (strstr(lines, "denied"))
		fail_msg("%s", lines);
	close(links[G_N_ELEMENTS(handshakes)].ours);
}

/* ---- what a worker is born with ---- */

static bool is_null(int fd)
{
	struct stat null, st;

	return stat("/dev/null", &null) == 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == null.st_rdev;
}

/* The broker's may be a terminal, or a journal that shows "<0>" on every terminal. */
static void a_worker_cannot_write_where_its_broker_can(void **state)
{
	int pipe_end[2], sock[2], status;
	char line[16];
	pid_t pid;

	assert_int_equal(pipe(pipe_end), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		bool fine;

		for (int fd = 0; fd <= STDERR_FILENO; fd++)
			dup2(pipe_end[1], fd);
		fine = sandbox_become(&role_worker, sock[1], 65534, 65534) == 0 && is_null(0) &&
		       is_null(1) && is_null(2) && fcntl(pipe_end[1], F_GETFD) < 0 &&
		       fcntl(sock[1], F_GETFD) >= 0;
		if (write(STDERR_FILENO, "<0>to all", 9) < 0)
			_exit(2);
		_exit(fine ? 0 : 1);
	}
	close(pipe_end[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(read(pipe_end[0], line, sizeof(line)), 0);
	assert_int_equal(status, 0);
	close(pipe_end[0]);
	close(sock[0]);
	close(sock[1]);
}

static bool has_limits_of_worker(const struct rlimit *seen)
{
	static const struct {
		__rlimit_resource_t resource;
		rlim_t at_most;
	} limits[] = {{RLIMIT_NOFILE, ROLE_WORKER_JOBS + 64},
		      {RLIMIT_CORE, 0},
		      {RLIMIT_RTPRIO, 0},
		      {RLIMIT_NPROC, 0},
		      {RLIMIT_FSIZE, 0}};
	for (size_t i = 0; i < G_N_ELEMENTS(limits); i++)
		if (seen[limits[i].resource].rlim_max > limits[i].at_most)
			return false;
	return true;
}

/* Not from the inside, where getrlimit() is denied. */
static void a_worker_has_the_limits_of_its_role(void **state)
{
	struct rlimit seen[RLIM_NLIMITS];
	int ready[2], end[2];
	char word;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(end), 0);
	pid = fork();
	if (pid == 0) {
		close(end[1]);
		close(ready[0]);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || sandbox_enter(&role_worker) < 0)
			_exit(1);
		close(ready[1]);
		_exit(read(end[0], &word, 1) == 0 ? 0 : 1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &word, 1), 0);
	for (int i = 0; i < RLIM_NLIMITS; i++)
		assert_int_equal(prlimit(pid, (__rlimit_resource_t)i, NULL, &seen[i]), 0);
	close(end[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(has_limits_of_worker(seen));
	close(ready[0]);
	close(end[0]);
}

/* ---- what is denied ---- */

#define DENIED(call)                                            \
	do {                                                    \
		errno = 0;                                      \
		if ((call) != -1 || errno != EPERM) {           \
			log_to_parent(0, "not denied: " #call); \
			return false;                           \
		}                                               \
	} while (0)

static bool try_as_worker(void *ctx)
{
	static char *const argv[] = {(char *)"/bin/true", NULL};
	int one = 1, *sock = ctx;

	for (int i = 0; i < 3; i++) {
		DENIED(open("/etc/passwd", O_RDONLY));
		DENIED(open("/tmp", O_TMPFILE | O_RDWR, 0600));
		DENIED(socket(AF_INET, SOCK_STREAM, 0));
		DENIED(socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){0}));
		DENIED(connect(*sock, NULL, 0));
		DENIED(execve(argv[0], argv, NULL));
		DENIED(ptrace(PTRACE_ATTACH, getppid(), 0, 0));
		DENIED(syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0));
		DENIED(syscall(SYS_keyctl, 0, 0, 0, 0, 0));
		DENIED(syscall(SYS_request_key, "user", "x", NULL, 0));
		DENIED(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
		DENIED(kill(1, 0));
		DENIED(syscall(SYS_tgkill, 1, 1, 0));
		DENIED(mount("none", "/tmp", "tmpfs", 0, NULL));
		DENIED(setsockopt(*sock, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)));
		DENIED(setuid(0));
		DENIED(syscall(SYS_io_uring_setup, 1, NULL));
		DENIED(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0) == MAP_FAILED
			       ? -1
			       : 0);
		DENIED(write(*sock, "x", 1));
	}
	return true;
}

/* Each name once, however often it was tried. */
static void told_once(const char *lines, const char *name)
{
	g_autofree char *line = g_strdup_printf("sandbox: the system call %s was denied\n", name);
	const char *first = strstr(lines, line);

	if (!first || strstr(first + 1, line))
		fail_msg("not once '%s' in:\n%s", line, lines);
}

static void what_a_worker_may_not_fails_and_is_named_once(void **state)
{
	static const char *const calls[] = {"socket",	  "socketpair",	 "connect",
					    "execve",	  "ptrace",	 "process_vm_readv",
					    "keyctl",	  "request_key", "clone",
					    "kill",	  "tgkill",	 "mount",
					    "setsockopt", "setuid",	 "io_uring_setup",
					    "mmap",	  "write",	 "openat"};
	g_autofree char *lines = NULL;
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	lines = in_child(&role_worker, try_as_worker, &fd[0]);
	for (size_t i = 0; i < G_N_ELEMENTS(calls); i++)
		told_once(lines, calls[i]);
	close(fd[0]);
	close(fd[1]);
}

/* What ktls_start() asks for; a socket pair has none of it, which is another error than a denial. */
static bool try_ktls(void *ctx)
{
	static const struct {
		int level, name;
	} options[] = {{IPPROTO_TCP, TCP_ULP}, {SOL_TLS, TLS_TX}, {SOL_TLS, TLS_RX}, {SOL_TLS, 5}};
	int one = 1, *sock = ctx;

	for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
		errno = 0;
		if (setsockopt(*sock, options[i].level, options[i].name, &one, sizeof(one)) == 0 ||
		    errno == EPERM)
			return false;
	}
	for (int name = 0; name < 10; name++)
		if (name != TLS_TX && name != TLS_RX && name != 5)
			DENIED(setsockopt(*sock, SOL_TLS, name, &one, sizeof(one)));
	return true;
}

static void a_worker_may_start_ktls_and_limit_its_records(void **state)
{
	g_autofree char *lines = NULL;
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	lines = in_child(&role_worker, try_ktls, &fd[0]);
	close(fd[0]);
	close(fd[1]);
}

static bool try_as_broker(void *ctx)
{
	static char *const argv[] = {(char *)"/bin/true", NULL};
	int status;
	pid_t pid;

	DENIED(execve(argv[0], argv, NULL));
	DENIED(ptrace(PTRACE_ATTACH, getppid(), 0, 0));
	DENIED(mount("none", "/tmp", "tmpfs", 0, NULL));
	DENIED(syscall(SYS_finit_module, 0, "", 0));
	DENIED(syscall(SYS_bpf, 0, NULL, 0));
	DENIED(unshare(CLONE_NEWNS));
	/* and it can still start a worker, which goes on from there */
	pid = fork();
	if (pid == 0) {
		bool fine = sandbox_enter(&role_worker) == 0 && open("/etc/passwd", O_RDONLY) < 0 &&
			    errno == EPERM;

		_exit(fine ? 0 : 1);
	}
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static void the_broker_may_not_start_or_load_or_mount(void **state)
{
	g_autofree char *lines = NULL;

	lines = in_child(&role_broker, try_as_broker, NULL);
	told_once(lines, "execve");
	told_once(lines, "finit_module");
	told_once(lines, "mount");
}

static bool show_capabilities(void *ctx)
{
	g_autofree char *text = NULL;
	const char *sets[] = {"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"};

	if (!g_file_get_contents("/proc/self/status", &text, NULL, NULL))
		return false;
	for (size_t i = 0; i < G_N_ELEMENTS(sets); i++) {
		const char *at = strstr(text, sets[i]);
		g_autofree char *line = at ? g_strndup(at, strcspn(at, "\n")) : g_strdup("none");

		log_to_parent(0, line);
	}
	return true;
}

static void the_broker_keeps_four_capabilities(void **state)
{
	g_autofree char *lines = NULL;

	if (geteuid() != 0)
		SKIP_WITHOUT("root");
	lines = in_child(&role_broker, show_capabilities, NULL);
	assert_string_equal(lines, "CapInh:\t0000000000000000\n"
				   "CapPrm:\t00000000000010e0\n"
				   "CapEff:\t00000000000010e0\n"
				   "CapBnd:\t00000000000010e0\n"
				   "CapAmb:\t0000000000000000\n");
}

/* ---- the lists as programs, for a machine we do not have ---- */

static uint32_t load_word(const struct seccomp_data *data, uint32_t at)
{
	uint32_t word;

	assert_true(at + sizeof(word) <= sizeof(*data));
	memcpy(&word, (const char *)data + at, sizeof(word));
	return word;
}

/* The classic BPF that seccomp takes, as far as libseccomp makes use of it. */
static uint32_t run_filter(const struct sock_filter *f, size_t n, const struct seccomp_data *data)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < n; pc++) {
		const struct sock_filter *i = &f[pc];
		bool yes;

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			a = load_word(data, i->k);
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			continue;
		case BPF_RET | BPF_K:
			return i->k;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			yes = a == i->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			yes = a >= i->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			yes = a > i->k;
			break;
		default:
			fail_msg("an instruction we do not know: 0x%x", i->code);
			return 0;
		}
		pc += yes ? i->jt : i->jf;
	}
	fail_msg("the end of the filter");
	return 0;
}

static size_t export_filter(scmp_filter_ctx filter, struct sock_filter *out, size_t max)
{
	int fd = memfd_create("filter", MFD_CLOEXEC);
	ssize_t n;

	assert_non_null(filter);
	assert_true(fd >= 0);
	assert_int_equal(seccomp_export_bpf(filter, fd), 0);
	seccomp_release(filter);
	n = pread(fd, out, max * sizeof(*out), 0);
	assert_true(n > 0 && n % (ssize_t)sizeof(*out) == 0 && (size_t)n < max * sizeof(*out));
	close(fd);
	return (size_t)n / sizeof(*out);
}

static void on_arm64_the_lists_are_the_same(void **state)
{
	/* numbers of include/uapi/asm-generic/unistd.h */
	static const int allowed[] = {206 /* sendto */,
				      207 /* recvfrom */,
				      211 /* sendmsg */,
				      212 /* recvmsg */,
				      57 /* close */,
				      21 /* epoll_ctl */,
				      22 /* epoll_pwait */,
				      441 /* epoll_pwait2 */,
				      63 /* read */,
				      86 /* timerfd_settime */,
				      113 /* clock_gettime */,
				      278 /* getrandom */,
				      214 /* brk */,
				      222 /* mmap */,
				      226 /* mprotect */,
				      216 /* mremap */,
				      215 /* munmap */,
				      233 /* madvise */,
				      229 /* munlock */,
				      284 /* mlock2 */,
				      98 /* futex */,
				      134 /* rt_sigaction */,
				      139 /* rt_sigreturn */,
				      93 /* exit */,
				      94 /* exit_group */};
	static const int denied[] = {56 /* openat */,
				     198 /* socket */,
				     203 /* connect */,
				     221 /* execve */,
				     220 /* clone */,
				     117 /* ptrace */,
				     219 /* keyctl */,
				     129 /* kill */,
				     29 /* ioctl */,
				     64 /* write */,
				     208 /* setsockopt */,
				     425 /* io_uring_setup */,
				     437 /* openat2 */};
	static const int broker_denied[] = {
		221 /* execve */,      281 /* execveat */,     117 /* ptrace */, 40 /* mount */,
		105 /* init_module */, 273 /* finit_module */, 280 /* bpf */,	 97 /* unshare */};
	struct sock_filter f[4096];
	struct seccomp_data data = {.arch = AUDIT_ARCH_AARCH64};
	size_t n;

	data.args[0] = 7;
	n = export_filter(sandbox_filter(&role_worker, SCMP_ARCH_AARCH64), f, G_N_ELEMENTS(f));
	for (size_t i = 0; i < G_N_ELEMENTS(allowed); i++) {
		data.nr = allowed[i];
		if (run_filter(f, n, &data) != SECCOMP_RET_ALLOW)
			fail_msg("%d is not allowed", allowed[i]);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(denied); i++) {
		data.nr = denied[i];
		if (run_filter(f, n, &data) == SECCOMP_RET_ALLOW)
			fail_msg("%d is allowed", denied[i]);
	}
	data.nr = 208; /* setsockopt(TCP_ULP) */
	data.args[1] = 6;
	data.args[2] = 31;
	assert_int_equal(run_filter(f, n, &data), SECCOMP_RET_ALLOW);
	data.nr = 222; /* mmap(PROT_EXEC) */
	data.args[2] = PROT_READ | PROT_EXEC;
	assert_int_not_equal(run_filter(f, n, &data), SECCOMP_RET_ALLOW);
	data.arch = AUDIT_ARCH_ARM;
	data.nr = 3;
	assert_int_not_equal(run_filter(f, n, &data), SECCOMP_RET_ALLOW);

	data.arch = AUDIT_ARCH_AARCH64;
	n = export_filter(sandbox_filter(&role_broker, SCMP_ARCH_AARCH64), f, G_N_ELEMENTS(f));
	for (size_t i = 0; i < G_N_ELEMENTS(broker_denied); i++) {
		data.nr = broker_denied[i];
		if (run_filter(f, n, &data) == SECCOMP_RET_ALLOW)
			fail_msg("%d is allowed", broker_denied[i]);
	}
	data.nr = 220; /* clone: it forks workers */
	assert_int_equal(run_filter(f, n, &data), SECCOMP_RET_ALLOW);
}

/* A signer is asked by workers that may be in anybody's hands; its keys leave it by no call. */
static void signer_has_fewer_calls_than_a_worker(void **state)
{
	static const int calls[] = {SCMP_SYS(sendto),	    SCMP_SYS(setsockopt), SCMP_SYS(openat),
				    SCMP_SYS(socket),	    SCMP_SYS(connect),	  SCMP_SYS(execve),
				    SCMP_SYS(clone),	    SCMP_SYS(fork),	  SCMP_SYS(ptrace),
				    SCMP_SYS(memfd_create), SCMP_SYS(keyctl),	  SCMP_SYS(kill)};
	struct seccomp_data data = {.arch = AUDIT_ARCH_X86_64};
	struct sock_filter f[4096];
	size_t n = export_filter(sandbox_filter(&role_signer, SCMP_ARCH_X86_64), f,
				 G_N_ELEMENTS(f));

	for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
		data.nr =
			seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86_64,
							  seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE,
											   calls[i]));
		if (run_filter(f, n, &data) == SECCOMP_RET_ALLOW)
			fail_msg("%d is allowed", data.nr);
	}
	/* What a token's module needs besides, and no more. */
	n = export_filter(sandbox_filter(&role_signer_of_tokens, SCMP_ARCH_X86_64), f,
			  G_N_ELEMENTS(f));
	data.nr = 257; /* openat */
	assert_int_equal(run_filter(f, n, &data), SECCOMP_RET_ALLOW);
	data.nr = 59; /* execve */
	assert_int_not_equal(run_filter(f, n, &data), SECCOMP_RET_ALLOW);
	data.nr = 41; /* socket(AF_INET) */
	data.args[0] = 2;
	assert_int_not_equal(run_filter(f, n, &data), SECCOMP_RET_ALLOW);
}

static int set_up(void **state)
{
	char *why = NULL;

	signal(SIGPIPE, SIG_IGN);
	return engine_init(&engine, false, &why);
}

static int tear_down(void **state)
{
	engine_clear(&engine);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_handshake_works_in_it),
		cmocka_unit_test(a_worker_cannot_write_where_its_broker_can),
		cmocka_unit_test(a_worker_has_the_limits_of_its_role),
		cmocka_unit_test(what_a_worker_may_not_fails_and_is_named_once),
		cmocka_unit_test(a_worker_may_start_ktls_and_limit_its_records),
		cmocka_unit_test(the_broker_may_not_start_or_load_or_mount),
		cmocka_unit_test(the_broker_keeps_four_capabilities),
		cmocka_unit_test(on_arm64_the_lists_are_the_same),
		cmocka_unit_test(signer_has_fewer_calls_than_a_worker),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
