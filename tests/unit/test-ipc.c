// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of the messages between broker and worker. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "tlshd/shared/ipc.h"

static union ipc_message message(uint32_t type)
{
	union ipc_message m;

	memset(&m, 0, sizeof(m));
	m.header.type = type;
	m.header.job = 5;
	if (type == IPC_JOB) {
		m.job.side = 1;
		m.job.auth = HANDSHAKE_PSK;
	}
	if (type == IPC_CREDENTIAL || type == IPC_LOADED)
		m.credential.side = 1;
	if (type == IPC_GRANT)
		m.grant.side = 1;
	if (type == IPC_LOG)
		m.log.priority = LOG_ERR;
	if (type == IPC_DONE)
		m.done.alert_sent = -1;
	if (type == IPC_BIRTH) {
		m.birth.role = IPC_ROLE_WORKER;
		strcpy(m.birth.version, version_of_build());
	}
	return m;
}

#define BY(end) (1u << (end))
#define BROKERS (BY(IPC_BROKER) | BY(IPC_BROKER_OF_SIGNER))
#define BORN_ONES (BY(IPC_WORKER) | BY(IPC_SIGNER))

static const struct {
	uint32_t type;
	size_t len;
	unsigned int readers;
} types[] = {
	{IPC_JOB, sizeof(struct ipc_job), BY(IPC_WORKER)},
	{IPC_KEY, sizeof(struct ipc_key), BY(IPC_WORKER)},
	{IPC_RAN, sizeof(struct ipc_ran), BY(IPC_BROKER)},
	{IPC_LOOKUP, sizeof(struct ipc_lookup), BY(IPC_BROKER)},
	{IPC_DONE, sizeof(struct ipc_done), BY(IPC_BROKER)},
	{IPC_LOG, sizeof(struct ipc_log), BROKERS},
	{IPC_BIRTH, sizeof(struct ipc_birth), BORN_ONES},
	{IPC_BORN, sizeof(struct ipc_born), BROKERS},
	{IPC_DROP, sizeof(struct ipc_drop), BY(IPC_WORKER)},
	{IPC_RING, sizeof(struct ipc_ring), BORN_ONES},
	{IPC_CREDENTIAL, sizeof(struct ipc_credential), BORN_ONES},
	{IPC_LOADED, sizeof(struct ipc_loaded), BY(IPC_BROKER_OF_SIGNER)},
	{IPC_DESK, sizeof(struct ipc_desk), BY(IPC_SIGNER)},
	{IPC_GRANT, sizeof(struct ipc_grant), BY(IPC_SIGNER)},
	{IPC_SIGN, sizeof(struct ipc_sign), BY(IPC_DESK_OF_SIGNER)},
	{IPC_SIGNED, sizeof(struct ipc_signed), BY(IPC_CUSTOMER)},
	{IPC_REFUSED, sizeof(struct ipc_refused), BY(IPC_BROKER_OF_SIGNER)},
};

static void each_message_passes_to_its_readers_and_in_its_length_only(void **state)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		union ipc_message m = message(types[i].type);

		for (enum ipc_end end = 0; end < IPC_ENDS; end++) {
			if (!(types[i].readers & BY(end))) {
				assert_non_null(ipc_check(end, &m, types[i].len));
				continue;
			}
			assert_null(ipc_check(end, &m, types[i].len));
			assert_non_null(ipc_check(end, &m, types[i].len - 1));
			assert_non_null(ipc_check(end, &m, types[i].len + 1));
			assert_non_null(ipc_check(end, &m, 3));
		}
	}
}

static void unknown_type_is_refused(void **state)
{
	const uint32_t bad[] = {0, IPC_REFUSED + 1, 1000, UINT32_MAX};

	for (size_t i = 0; i < 4; i++) {
		union ipc_message m = message(bad[i]);

		for (size_t len = 0; len <= sizeof(m); len++) {
			for (enum ipc_end end = 0; end < IPC_ENDS; end++)
				assert_non_null(ipc_check(end, &m, len));
		}
	}
}

static void fields_out_of_range_are_refused(void **state)
{
	union ipc_message m;

#define REFUSED(reader, part) assert_non_null(ipc_check(reader, &m, sizeof(m.part)))
	m = message(IPC_JOB);
	m.job.side = 3;
	REFUSED(IPC_WORKER, job);
	m = message(IPC_JOB);
	m.job.psk.len = SECRET_MAX + 1;
	REFUSED(IPC_WORKER, job);
	m = message(IPC_JOB);
	memset(m.job.identity, 'x', sizeof(m.job.identity));
	REFUSED(IPC_WORKER, job);
	m = message(IPC_JOB);
	memset(m.job.peername, 'x', sizeof(m.job.peername));
	REFUSED(IPC_WORKER, job);
	m = message(IPC_JOB);
	m.job.auth = HANDSHAKE_X509 + 1;
	REFUSED(IPC_WORKER, job);
	m = message(IPC_KEY);
	m.key.psk.len = SIZE_MAX;
	REFUSED(IPC_WORKER, key);
	m = message(IPC_KEY);
	m.key.error = 5000;
	REFUSED(IPC_WORKER, key);
	m = message(IPC_LOOKUP);
	memset(m.lookup.identity, 'x', sizeof(m.lookup.identity));
	REFUSED(IPC_BROKER, lookup);
	m = message(IPC_DONE);
	m.done.cause = CAUSE_N;
	REFUSED(IPC_BROKER, done);
	m.done.cause = CAUSE_SILENT_PEER; /* the broker's own */
	REFUSED(IPC_BROKER, done);
	m = message(IPC_DONE);
	m.done.alert_sent = 256;
	REFUSED(IPC_BROKER, done);
	m = message(IPC_DONE);
	memset(m.done.detail, 'x', sizeof(m.done.detail));
	REFUSED(IPC_BROKER, done);
	m = message(IPC_LOG);
	m.log.priority = 8;
	REFUSED(IPC_BROKER, log);
	m.log.priority = LOG_CRIT;
	REFUSED(IPC_BROKER, log);
	m = message(IPC_LOG);
	memset(m.log.line, 'x', sizeof(m.log.line));
	REFUSED(IPC_BROKER, log);
	m = message(IPC_BIRTH);
	m.birth.loglevel = 10;
	REFUSED(IPC_WORKER, birth);
	m = message(IPC_BIRTH);
	m.birth.sha384_compat = 2;
	REFUSED(IPC_WORKER, birth);
	m = message(IPC_BIRTH);
	m.birth.role = IPC_ROLE_SIGNER + 1;
	REFUSED(IPC_WORKER, birth);
	m = message(IPC_BORN);
	memset(m.born.version, 'x', sizeof(m.born.version));
	REFUSED(IPC_BROKER, born);
	m = message(IPC_DONE);
	m.done.certified = 2;
	REFUSED(IPC_BROKER, done);
	m = message(IPC_CREDENTIAL);
	m.credential.side = 0;
	REFUSED(IPC_WORKER, credential);
	m = message(IPC_CREDENTIAL);
	m.credential.kind = IPC_KIND_DESK + 1;
	REFUSED(IPC_WORKER, credential);
	m = message(IPC_LOADED);
	m.loaded.cause = CAUSE_N;
	REFUSED(IPC_BROKER_OF_SIGNER, loaded);
	m = message(IPC_LOADED);
	memset(m.loaded.text, 'x', sizeof(m.loaded.text));
	REFUSED(IPC_BROKER_OF_SIGNER, loaded);
	m = message(IPC_GRANT);
	m.grant.side = 3;
	REFUSED(IPC_SIGNER, grant);
	m = message(IPC_SIGN);
	m.sign.len = IPC_HASH_MAX + 1;
	REFUSED(IPC_DESK_OF_SIGNER, sign);
	m = message(IPC_SIGN);
	m.sign.pq = 2;
	REFUSED(IPC_DESK_OF_SIGNER, sign);
	m = message(IPC_SIGNED);
	m.signature.len = IPC_SIGNATURE_MAX + 1;
	REFUSED(IPC_CUSTOMER, signature);
}

static void job_travels_with_its_socket(void **state)
{
	union ipc_message m = message(IPC_JOB), got;
	int broker, worker, fd, p[2];
	const char *why = NULL;
	char c = 'x';

	assert_int_equal(ipc_pair(&broker, &worker), 0);
	assert_int_equal(pipe(p), 0);
	strcpy(m.job.identity, "somebody");
	assert_int_equal(ipc_send(broker, &m, p[1], false), 0);
	assert_int_equal(ipc_receive(worker, IPC_WORKER, &got, &fd, &why), 0);
	assert_string_equal(got.job.identity, "somebody");
	assert_true(fd >= 0 && fd != p[1]);
	assert_int_equal(write(fd, &c, 1), 1);
	assert_int_equal(read(p[0], &c, 1), 1);
	assert_int_equal(ipc_receive(worker, IPC_WORKER, &got, &fd, &why), -EAGAIN);
	close(broker);
	assert_int_equal(ipc_receive(worker, IPC_WORKER, &got, &fd, &why), -EPIPE);
	close(worker);
	close(p[0]);
	close(p[1]);
}

/* The lowest free descriptor: the same before and after when nothing leaks. */
static int lowest_free(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static void descriptors_nobody_asked_for_are_closed(void **state)
{
	union ipc_message m = message(IPC_RAN), got;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(4 * sizeof(int))];
	} control = {0};
	int broker, worker, before, fds[4] = {0, 0, 0, 0};
	const char *why = NULL;

	assert_int_equal(ipc_pair(&broker, &worker), 0);
	before = lowest_free();
	for (size_t n = 1; n <= 4; n++) {
		struct iovec vec = {&m, sizeof(m.ran)};
		struct msghdr msg = {.msg_iov = &vec,
				     .msg_iovlen = 1,
				     .msg_control = &control,
				     .msg_controllen = CMSG_SPACE(n * sizeof(int))};
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
		assert_true(sendmsg(worker, &msg, 0) > 0);
		ipc_receive(broker, IPC_BROKER, &got, NULL, &why);
		assert_int_equal(lowest_free(), before);
	}
	close(broker);
	close(worker);
}

static void message_longer_than_any_is_refused(void **state)
{
	static unsigned char big[sizeof(union ipc_message) + 1] = {IPC_LOG};
	union ipc_message got;
	int broker, worker;
	const char *why = NULL;

	assert_int_equal(ipc_pair(&broker, &worker), 0);
	assert_int_equal(send(worker, big, sizeof(big), 0), sizeof(big));
	assert_int_equal(ipc_receive(broker, IPC_BROKER, &got, NULL, &why), -EBADMSG);
	assert_non_null(why);
	close(broker);
	close(worker);
}

/* As many as are open, and no more: what comes with a message finds no place. */
static void fill_the_table(struct rlimit *before)
{
	struct rlimit full;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, before), 0);
	full = *before;
	full.rlim_cur = (rlim_t)lowest_free();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &full), 0);
}

static void job_for_whose_socket_there_is_no_room_still_arrives(void **state)
{
	union ipc_message m = message(IPC_JOB), got;
	const char *why = NULL;
	int broker, worker, fd;
	struct rlimit before;

	assert_int_equal(ipc_pair(&broker, &worker), 0);
	assert_int_equal(ipc_send(broker, &m, 0, false), 0);
	fill_the_table(&before);
	assert_int_equal(ipc_receive(worker, IPC_WORKER, &got, &fd, &why), 0);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(fd, -1);
	assert_int_equal(got.header.job, m.header.job);
	close(broker);
	close(worker);
}

static void worker_is_told_of_another_build(void **state)
{
	union ipc_message m = message(IPC_BIRTH), got;
	static unsigned char longer[sizeof(m) + 100];
	const char *why = NULL;
	int broker, worker;

	assert_int_equal(ipc_pair(&broker, &worker), 0);
	assert_int_equal(ipc_send(broker, &m, -1, false), 0);
	assert_int_equal(ipc_receive_birth(worker, &got, &why), 0);
	strcpy(m.birth.version, "99.0");
	assert_int_equal(ipc_send(broker, &m, -1, false), 0);
	assert_int_equal(ipc_receive_birth(worker, &got, &why), -ESTALE);
	assert_string_equal(got.birth.version, "99.0");
	/* shorter or longer than ours, up to the version it is understood */
	assert_true(send(broker, &m, offsetof(struct ipc_birth, role), 0) > 0);
	assert_int_equal(ipc_receive_birth(worker, &got, &why), -ESTALE);
	memcpy(longer, &m, sizeof(m));
	assert_true(send(broker, longer, sizeof(longer), 0) > 0);
	assert_int_equal(ipc_receive_birth(worker, &got, &why), -ESTALE);
	assert_true(send(broker, &m, offsetof(struct ipc_birth, role) - 1, 0) > 0);
	assert_int_equal(ipc_receive_birth(worker, &got, &why), -EBADMSG);
	/* another message than a first one */
	m = message(IPC_DROP);
	assert_int_equal(ipc_send(broker, &m, -1, false), 0);
	assert_int_equal(ipc_receive_birth(worker, &got, &why), -EBADMSG);
	close(broker);
	close(worker);
}

/* A child of user @uid says @type. Return: what the broker's end makes of it. */
static int hear(uint32_t type, uid_t uid, pid_t *child, struct ipc_sender *sender)
{
	union ipc_message m = message(type);
	const char *why = NULL;
	int broker, worker, r;

	assert_int_equal(ipc_pair(&broker, &worker), 0);
	ipc_want_sender(broker, true);
	*child = fork();
	if (*child == 0)
		_exit(setresuid(uid, uid, uid) < 0 || ipc_send(worker, &m, -1, false) < 0 ||
		      pause());
	close(worker);
	assert_int_equal(poll(&(struct pollfd){.fd = broker, .events = POLLIN}, 1, 60000), 1);
	*sender = (struct ipc_sender){.pidfd = -1};
	r = ipc_receive_from(broker, IPC_BROKER, &m, NULL, sender, &why);
	close(broker);
	return r;
}

static void end_child(pid_t child)
{
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void worker_is_known_by_the_kernels_word(void **state)
{
	uid_t somebody = geteuid() == 0 ? 65534 : geteuid();
	struct ipc_sender sender;
	pid_t child;

	assert_int_equal(hear(IPC_BORN, somebody, &child, &sender), 0);
	assert_int_equal(sender.pid, child);
	assert_int_equal(sender.uid, somebody);
	/* and the pidfd is its own */
	assert_int_equal(poll(&(struct pollfd){.fd = sender.pidfd, .events = POLLIN}, 1, 0), 0);
	end_child(child);
	assert_int_equal(poll(&(struct pollfd){.fd = sender.pidfd, .events = POLLIN}, 1, 60000), 1);
	close(sender.pidfd);
	assert_int_equal(hear(IPC_KEY, somebody, &child, &sender), -EBADMSG);
	end_child(child);
}

static void worker_that_cannot_be_watched_is_not_taken(void **state)
{
	union ipc_message m = message(IPC_BORN), got;
	struct ipc_sender sender;
	const char *why = NULL;
	struct rlimit before;
	int broker, worker;

	assert_int_equal(ipc_pair(&broker, &worker), 0);
	ipc_want_sender(broker, true);
	assert_int_equal(ipc_send(worker, &m, -1, false), 0);
	fill_the_table(&before);
	assert_int_equal(ipc_receive_from(broker, IPC_BROKER, &got, NULL, &sender, &why), -EMFILE);
	setrlimit(RLIMIT_NOFILE, &before);
	close(broker);
	close(worker);
}

static void worker_that_is_never_born_is_a_closed_socket(void **state)
{
	struct ipc_sender sender;
	union ipc_message m;
	const char *why = NULL;
	int broker, worker;

	assert_int_equal(ipc_ring("/nonexistent/worker"), -ENOENT);
	assert_int_equal(ipc_pair(&broker, &worker), 0);
	ipc_want_sender(broker, true);
	assert_int_equal(ipc_receive_from(broker, IPC_BROKER, &m, NULL, &sender, &why), -EAGAIN);
	close(worker);
	assert_int_equal(ipc_receive_from(broker, IPC_BROKER, &m, NULL, &sender, &why), -EPIPE);
	close(broker);
}

static void builds_have_names(void **state)
{
	assert_true(g_str_has_prefix(version_of_build(), PROJECT_VERSION));
	assert_true(strlen(version_of_build()) > strlen(PROJECT_VERSION));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_message_passes_to_its_readers_and_in_its_length_only),
		cmocka_unit_test(unknown_type_is_refused),
		cmocka_unit_test(fields_out_of_range_are_refused),
		cmocka_unit_test(job_travels_with_its_socket),
		cmocka_unit_test(descriptors_nobody_asked_for_are_closed),
		cmocka_unit_test(message_longer_than_any_is_refused),
		cmocka_unit_test(job_for_whose_socket_there_is_no_room_still_arrives),
		cmocka_unit_test(worker_is_told_of_another_build),
		cmocka_unit_test(worker_that_cannot_be_watched_is_not_taken),
		cmocka_unit_test(builds_have_names),
		cmocka_unit_test(worker_is_known_by_the_kernels_word),
		cmocka_unit_test(worker_that_is_never_born_is_a_closed_socket),
	};

	return cmocka_run_group_tests_name("ipc", tests, NULL, NULL);
}
