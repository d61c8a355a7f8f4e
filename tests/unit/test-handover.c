// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of what one broker leaves to the next, which may be of another build, and of hostile records. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <cmocka.h>

#include "tlshd/broker/handover.h"
#include "tlshd/shared/cause.h"
#include "tlshd/shared/ipc.h"

static const struct handover job = {
	.id = 4711,
	.state = HANDOVER_KEYED,
	.side = HANDSHAKE_SERVER,
	.auth = HANDSHAKE_PSK,
	.worker = 1234,
	.keyring = 11,
	.key = 12,
	.named = {1, 2, 3, 4, 5},
	.n_named = 5,
	.start = UINT64_C(1) << 40,
	.deadline = UINT64_C(2) << 40,
	.socket = UINT64_MAX,
	.peer.v4 = {.sin_family = AF_INET, .sin_port = 4420},
	.identity = "NVMe0R01 nqn.host nqn.io-1",
	.peername = "nfs.example",
	.certificate = 13,
	.private_key = 14,
	.certified = true,
	.detail = "CN=nfs.example",
};

static unsigned char record[HANDOVER_RECORD_MAX + 64];
static size_t len;

static int set_up(void **state)
{
	memset(record, 0xaa, sizeof(record));
	len = handover_encode(&job, record);
	return 0;
}

static uint32_t *word(size_t i)
{
	return (uint32_t *)record + i;
}

static void assert_same(const struct handover *h)
{
	assert_memory_equal(h, &job, sizeof(job));
}

/* ---- records ---- */

static void record_comes_back_as_it_was(void **state)
{
	struct handover h;

	assert_int_equal(handover_decode(record, len, &h), 0);
	assert_same(&h);
}

static void members_of_a_newer_build_are_ignored(void **state)
{
	uint32_t fixed = *word(1);
	struct handover h;

	memmove(record + fixed + 16, record + fixed, len - fixed);
	memset(record + fixed, 0xff, 16);
	*word(1) = fixed + 16;
	assert_int_equal(handover_decode(record, len + 16, &h), 0);
	assert_same(&h);
}

/* Of one that did not know whether a certificate was verified. */
static void members_that_an_older_build_lacks_are_unknown(void **state)
{
	uint32_t fixed = *word(1);
	struct handover h;

	memmove(record + fixed - 8, record + fixed, len - fixed);
	*word(1) = fixed - 8;
	assert_int_equal(handover_decode(record, len - 8, &h), 0);
	assert_false(h.certified);
	assert_int_equal(h.socket, job.socket);
	assert_string_equal(h.identity, job.identity);
	assert_string_equal(h.peername, job.peername);
}

static void record_of_another_version_is_not_understood(void **state)
{
	struct handover h;

	*word(0) = HANDOVER_VERSION + 1;
	assert_int_equal(handover_decode(record, len, &h), -EPROTONOSUPPORT);
}

static void record_cut_short_is_none(void **state)
{
	for (size_t cut = 0; cut < len; cut++) {
		/* at the end of a page of its own, so that a sanitizer sees a byte too many */
		unsigned char *copy = malloc(cut ? cut : 1);
		struct handover h;

		memcpy(copy, record, cut);
		assert_int_equal(handover_decode(copy, cut, &h), -EBADMSG);
		free(copy);
	}
}

static void what_no_build_writes_is_no_record(void **state)
{
	static const struct {
		size_t word;
		uint32_t value;
	} bad[] = {
		{1, 0},		 {1, 7},
		{1, UINT32_MAX}, {1, HANDOVER_RECORD_MAX}, /* length */
		{3, 0},		 {3, 10},
		{3, UINT32_MAX}, /* state */
		{4, 0},		 {4, 3}, /* side */
		{30, 0},	 {30, 4}, /* authentication */
		{13, 6},	 {13, UINT32_MAX}, /* named keys */
		{14, CAUSE_N}, /* cause */
	};
	struct handover h;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		set_up(NULL);
		*word(bad[i].word) = bad[i].value;
		if (handover_decode(record, len, &h) != -EBADMSG)
			fail_msg("word %zu may be %u", bad[i].word, bad[i].value);
	}
}

static void identity_without_end_is_no_record(void **state)
{
	struct handover h;

	memset(record + *word(1), 'x', sizeof(record) - *word(1));
	assert_int_equal(handover_decode(record, len, &h), -EBADMSG);
	assert_int_equal(handover_decode(record, sizeof(record), &h), -EBADMSG);
}

static void any_bytes_do_no_harm(void **state)
{
	srandom(1);
	for (int round = 0; round < 100000; round++) {
		struct handover h;

		set_up(NULL);
		for (int i = 0; i < 4; i++)
			record[random() % 160] = (unsigned char)random();
		if (handover_decode(record, (size_t)random() % sizeof(record), &h) == 0)
			assert_true(strlen(h.identity) <= IDENTITY_MAX);
	}
}

/* Return: what a broker thinks that started with @before installed, or NULL for nothing, and has @text now. */
static bool agrees(const char *before, const char *text)
{
	g_autofree char *directory = g_dir_make_tmp("test-handover-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(directory, "handover", NULL);
	struct handover_file file;
	bool r;

	assert_true(!before || g_file_set_contents(path, before, -1, NULL));
	handover_look(&file, path);
	assert_true(g_file_set_contents(path, text, -1, NULL));
	r = handover_agrees(&file, path);
	handover_forget(&file);
	unlink(path);
	rmdir(directory);
	return r;
}

static void build_that_understands_other_versions_is_told_by_its_file(void **state)
{
	char same[32], ipc[32], records[32];
	struct handover_file file;

	snprintf(same, sizeof(same), "%d %d\n", IPC_VERSION, HANDOVER_VERSION);
	snprintf(ipc, sizeof(ipc), "%d %d\n", IPC_VERSION + 1, HANDOVER_VERSION);
	snprintf(records, sizeof(records), "%d %d\n", IPC_VERSION, HANDOVER_VERSION + 1);
	for (size_t i = 0; i < 2; i++) {
		const char *before = i ? same : NULL;

		assert_true(agrees(before, same));
		assert_false(agrees(before, ipc));
		assert_false(agrees(before, records));
		assert_true(agrees(before, ""));
	}
	assert_true(agrees(ipc, same));
	handover_look(&file, "/nonexistent/handover");
	assert_true(handover_agrees(&file, "/nonexistent/handover"));
}

static void file_that_has_not_changed_is_not_read_again(void **state)
{
	g_autofree char *path = NULL;
	int fd = g_file_open_tmp("test-handover-XXXXXX", &path, NULL);
	int opened = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct handover_file file;
	char event[4096];

	assert_true(fd >= 0 && opened >= 0);
	assert_int_equal(write(fd, "0 0\n", 4), 4);
	close(fd);
	handover_look(&file, path);
	assert_true(inotify_add_watch(opened, path, IN_OPEN) >= 0);
	assert_false(handover_agrees(&file, path));
	assert_true(read(opened, event, sizeof(event)) < 0);
	assert_int_equal(chmod(path, 0640), 0);
	assert_false(handover_agrees(&file, path));
	assert_true(read(opened, event, sizeof(event)) > 0);
	handover_forget(&file);
	close(opened);
	unlink(path);
}

/* ---- the ledger ---- */

static unsigned int n_read;
static uint32_t last_id;

static void read_one(void *ctx, const struct handover *h)
{
	n_read++;
	last_id = h->id;
}

static int read_back(int fd)
{
	n_read = 0;
	return ledger_read(fd, read_one, NULL);
}

static void ledger_has_what_is_written_and_not_erased(void **state)
{
	struct ledger *l;
	struct handover h = job;
	uint32_t place[500];

	assert_int_equal(ledger_new(&l), 0);
	for (uint32_t i = 0; i < 500; i++) {
		h.id = i + 1;
		place[i] = ledger_write(l, 0, &h);
		assert_int_not_equal(place[i], 0);
	}
	assert_int_equal(read_back(ledger_fd(l)), 0);
	assert_int_equal(n_read, 500);
	for (uint32_t i = 0; i < 499; i++)
		ledger_erase(l, place[i]);
	ledger_erase(l, 0);
	h.id = 4711;
	assert_int_equal(ledger_write(l, place[499], &h), place[499]);
	assert_int_equal(read_back(ledger_fd(l)), 0);
	assert_int_equal(n_read, 1);
	assert_int_equal(last_id, 4711);
	assert_true(ledger_write(l, 0, &h) < 500);
	ledger_free(l);
}

static void ledger_outlives_its_writer(void **state)
{
	struct ledger *l;
	int fd;

	assert_int_equal(ledger_new(&l), 0);
	ledger_write(l, 0, &job);
	fd = dup(ledger_fd(l));
	ledger_free(l);
	assert_int_equal(read_back(fd), 0);
	assert_int_equal(n_read, 1);
	close(fd);
}

static int file_of(const void *bytes, size_t size)
{
	int fd = memfd_create("test", 0);

	assert_int_equal(write(fd, bytes, size), (ssize_t)size);
	return fd;
}

static void what_is_no_ledger_is_not_read(void **state)
{
	static const struct {
		char magic[16];
		uint32_t size, pad;
	} bad[] = {{"", 2052, 0},
		   {"tlshd-somethin", 2052, 0},
		   {"tlshd-ledger-1", 0, 0},
		   {"tlshd-ledger-1", UINT32_MAX, 0}},
	  newer = {"tlshd-ledger-2", 2052, 0}, empty = {"tlshd-ledger-1", 2052, 0};
	int fd;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fd = file_of(&bad[i], sizeof(bad[i]));
		assert_int_equal(read_back(fd), -EBADMSG);
		close(fd);
	}
	fd = file_of(&newer, sizeof(newer));
	assert_int_equal(read_back(fd), -EPROTONOSUPPORT);
	close(fd);
	fd = file_of(&empty, sizeof(empty));
	assert_int_equal(read_back(fd), 0);
	assert_int_equal(n_read, 0);
	close(fd);
	fd = file_of(&empty, 5);
	assert_int_equal(read_back(fd), -EBADMSG);
	close(fd);
}

static void damaged_record_costs_only_itself(void **state)
{
	struct ledger *l;
	uint32_t length = UINT32_MAX;
	const off_t first = 24;

	assert_int_equal(ledger_new(&l), 0);
	ledger_write(l, 0, &job);
	ledger_write(l, 0, &job);
	assert_int_equal(pwrite(ledger_fd(l), &length, sizeof(length), first), sizeof(length));
	assert_int_equal(read_back(ledger_fd(l)), -EBADMSG);
	assert_int_equal(n_read, 1);
	ledger_free(l);
}

/* ---- the queue ---- */

static void queue_passes_jobs_with_their_sockets_also_when_its_writer_has_ended(void **state)
{
	int queue[2], pair[2], got;
	struct handover h;

	assert_int_equal(queue_open(&queue[0], &queue[1]), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(queue_receive(queue[0], &h, &got), -EAGAIN);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(queue_send(queue[1], &job, pair[0]), 0);
	close(queue[1]);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(queue_receive(queue[0], &h, &got), 0);
		assert_same(&h);
		assert_true(handover_cookie(got) == handover_cookie(pair[0]));
		assert_true(handover_cookie(got) != handover_cookie(pair[1]));
		close(got);
	}
	assert_int_equal(queue_receive(queue[0], &h, &got), -EPIPE);
	close(queue[0]);
	close(pair[0]);
	close(pair[1]);
}

static void what_is_no_record_leaves_no_descriptor(void **state)
{
	int queue[2], got, pair[2];
	char byte;
	struct handover h = job;

	h.state = HANDOVER_ENDED + 1;
	assert_int_equal(queue_open(&queue[0], &queue[1]), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(queue_send(queue[1], &h, pair[0]), 0);
	close(pair[0]);
	assert_int_equal(send(queue[1], "x", 1, 0), 1);
	assert_int_equal(send(queue[1], record, sizeof(record), 0), sizeof(record));
	assert_int_equal(queue_receive(queue[0], &h, &got), -EBADMSG);
	assert_int_equal(got, -1);
	assert_int_equal(recv(pair[1], &byte, 1, MSG_DONTWAIT), 0);
	assert_int_equal(queue_receive(queue[0], &h, &got), -EBADMSG);
	assert_int_equal(queue_receive(queue[0], &h, &got), -EBADMSG);
	assert_int_equal(queue_receive(queue[0], &h, &got), -EAGAIN);
	close(pair[1]);
	close(queue[0]);
	close(queue[1]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
		TEST(record_comes_back_as_it_was),
		TEST(members_of_a_newer_build_are_ignored),
		TEST(members_that_an_older_build_lacks_are_unknown),
		TEST(record_of_another_version_is_not_understood),
		TEST(record_cut_short_is_none),
		TEST(what_no_build_writes_is_no_record),
		TEST(identity_without_end_is_no_record),
		TEST(any_bytes_do_no_harm),
		TEST(build_that_understands_other_versions_is_told_by_its_file),
		TEST(file_that_has_not_changed_is_not_read_again),
		TEST(ledger_has_what_is_written_and_not_erased),
		TEST(ledger_outlives_its_writer),
		TEST(what_is_no_ledger_is_not_read),
		TEST(damaged_record_costs_only_itself),
		TEST(queue_passes_jobs_with_their_sockets_also_when_its_writer_has_ended),
		TEST(what_is_no_record_leaves_no_descriptor),
	};

	return cmocka_run_group_tests_name("handover", tests, NULL, NULL);
}
