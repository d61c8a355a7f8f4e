// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of the flight recorder: what is written is read again, whatever happens to the writer or the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <arpa/inet.h>

#include "common/log.h"
#include "common/recording.h"
#include "tlshd/broker/recorder.h"

#define BUILD "0.1.0 0123456789abcdef"
#define SLOTS 8

static char *dir, *path;
static GString *logged;

static void to_string(int priority, const char *line)
{
	g_string_append_printf(logged, "%s\n", line);
}

static int make_dir(void **state)
{
	dir = g_dir_make_tmp("recorder-XXXXXX", NULL);
	path = recording_path(dir);
	logged = g_string_new(NULL);
	log_set_sink(to_string);
	return dir ? 0 : -1;
}

static int remove_dir(void **state)
{
	g_unlink(path);
	g_rmdir(dir);
	g_free(path);
	g_free(dir);
	g_string_free(logged, TRUE);
	log_set_sink(NULL);
	return 0;
}

static struct recorder *open_recorder(void)
{
	struct recorder *r = recorder_open(dir, SLOTS, BUILD);

	assert_non_null(r);
	return r;
}

static recording *read_back(void)
{
	const char *why = NULL;
	recording *r = NULL;
	int e = recording_read(path, &r, &why);

	if (e < 0)
		fail_msg("%s: %s", g_strerror(-e), why);
	return r;
}

static struct recording_entry entry_of(unsigned int n)
{
	struct recording_entry e = {
		.ended = n,
		.ended_monotonic = n,
		.duration = n,
		.side = n % 2 ? RECORDING_CLIENT : RECORDING_SERVER,
		.status = 0,
		.key = (key_serial)n,
		.worker = (int32_t)n,
		.alert = -1,
		.family = AF_INET,
		.port = 4420,
		.cipher = "AES-128-GCM",
		.group = "X25519",
	};

	e.address[0] = 192;
	e.address[3] = 7;
	memset(e.identity, 'a' + (int)(n % 26), 200);
	return e;
}

static void add(struct recorder *r, unsigned int n, enum cause cause)
{
	struct recording_entry e = entry_of(n);

	recorder_add(r, &e, cause);
}

static uint64_t count_of(const recording *r, enum recording_side side, const char *cause)
{
	for (uint32_t c = 0; c < recording_state(r)->causes; c++)
		if (strcmp(recording_cause(r, c)->id, cause) == 0)
			return recording_state(r)->counts[side][c];
	fail_msg("the file has no cause %s", cause);
	return 0;
}

static void poke(size_t offset, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, (off_t)offset), len);
	close(fd);
}

/* A daemon that goes without a word. */
static void killed_after(unsigned int handshakes)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct recorder *r = recorder_open(dir, SLOTS, BUILD);

		for (unsigned int i = 0; r && i < handshakes; i++)
			add(r, i, CAUSE_NO_KEY);
		_exit(r ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- what is written ---- */

static void a_handshake_is_read_as_it_was_written(void **state)
{
	struct recorder *w = open_recorder();
	struct recording_entry e = entry_of(7), again;
	g_autoptr(recording) r = NULL;
	g_autofree char *peer = NULL;

	strcpy(e.detail, "because");
	recorder_add(w, &e, CAUSE_WRONG_KEY);
	r = read_back();
	assert_int_equal(recording_entries(r), 1);
	again = *recording_entry_at(r, 0);
	assert_memory_equal(&again, &e, sizeof(e));
	peer = recording_peer_text(&again);
	assert_string_equal(peer, "192.0.0.7:4420");
	assert_string_equal(recording_cause(r, again.cause)->id, "wrong-key");
	assert_string_equal(recording_cause(r, again.cause)->remedy,
			    cause_info(CAUSE_WRONG_KEY)->remedy);
	assert_int_equal(count_of(r, RECORDING_CLIENT, "wrong-key"), 1);
	assert_int_equal(count_of(r, RECORDING_SERVER, "wrong-key"), 0);
	assert_string_equal(recording_state(r)->build, BUILD);
	recorder_close(w);
}

static void the_ring_keeps_the_last_handshakes(void **state)
{
	struct recorder *w = open_recorder();
	g_autoptr(recording) r = NULL;

	for (unsigned int i = 0; i < 3 * SLOTS + 1; i++)
		add(w, i, CAUSE_SUCCESS);
	r = read_back();
	assert_int_equal(recording_entries(r), SLOTS);
	for (unsigned int i = 0; i < SLOTS; i++)
		assert_int_equal(recording_entry_at(r, i)->number, 2 * SLOTS + 1 + i);
	assert_int_equal(recording_state(r)->next, 3 * SLOTS + 1);
	recorder_close(w);
}

static void gauges_workers_and_keyrings_are_read_as_they_are(void **state)
{
	struct recording_gauges now = {.phase = RECORDING_SERVING,
				       .in_flight = 5,
				       .waiting = 3,
				       .ready = 1,
				       .wanted = 2,
				       .workers = 1};
	const struct recording_keyring keyring = {0x1234, ".nvme"};
	struct recorder *w = open_recorder();
	g_autoptr(recording) r = NULL, stopped = NULL;

	now.worker[0] = (struct recording_worker){4711, RECORDING_WORKS, 4, 2, 99};
	recorder_gauge(w, &now);
	recorder_keyrings(w, &keyring, 1);
	recorder_configured(w, "/etc/tlshd.conf");
	r = read_back();
	assert_memory_equal(&recording_state(r)->now, &now, sizeof(now));
	assert_int_equal(recording_state(r)->keyrings, 1);
	assert_string_equal(recording_state(r)->keyring[0].name, ".nvme");
	assert_string_equal(recording_state(r)->config, "/etc/tlshd.conf");
	assert_int_equal(recording_state(r)->pid, getpid());
	recorder_close(w);
	stopped = read_back();
	assert_int_equal(recording_state(stopped)->now.phase, RECORDING_STOPPED);
	assert_int_equal(recording_state(stopped)->now.workers, 0);
}

static void every_text_of_a_cause_fits(void **state)
{
	struct recorder *w = open_recorder();
	g_autoptr(recording) r = read_back();

	assert_int_equal(recording_state(r)->causes, CAUSE_N);
	for (uint32_t c = 0; c < CAUSE_N; c++) {
		const struct cause_info *info = cause_info((enum cause)c);

		assert_string_equal(recording_cause(r, c)->id, info->id);
		assert_string_equal(recording_cause(r, c)->sentence, info->sentence);
		assert_string_equal(recording_cause(r, c)->remedy, info->remedy);
	}
	recorder_close(w);
}

/* ---- a restart, a crash, an upgrade ---- */

static void a_restart_goes_on_in_the_same_file(void **state)
{
	struct recorder *w = open_recorder();
	g_autoptr(recording) r = NULL;

	add(w, 1, CAUSE_SUCCESS);
	recorder_close(w);
	w = open_recorder();
	add(w, 2, CAUSE_NO_KEY);
	add(w, 4, CAUSE_NO_KEY);
	r = read_back();
	assert_int_equal(recording_entries(r), 3);
	assert_int_equal(count_of(r, RECORDING_CLIENT, "success"), 1);
	assert_int_equal(count_of(r, RECORDING_SERVER, "no-key"), 2);
	assert_int_equal(recording_state(r)->starts, 2);
	recorder_close(w);
}

static void a_crash_goes_on_in_the_same_file(void **state)
{
	const uint64_t odd = 12345;
	struct recorder *w;
	g_autoptr(recording) dead = NULL, r = NULL;

	killed_after(3);
	/* It died while it wrote: its state, and the handshake that would have come next. */
	poke(offsetof(struct recording_file, sequence), &odd, sizeof(odd));
	poke(recording_file_size(3), &(uint64_t){2 * 3 + 1}, sizeof(uint64_t));
	dead = read_back();
	assert_int_equal(recording_pid(dead), 0);
	assert_int_equal(recording_entries(dead), 3);
	w = open_recorder();
	add(w, 9, CAUSE_NO_KEY);
	r = read_back();
	assert_int_equal(recording_entries(r), 4);
	assert_int_equal(count_of(r, RECORDING_SERVER, "no-key"), 2);
	assert_int_equal(count_of(r, RECORDING_CLIENT, "no-key"), 2);
	recorder_close(w);
}

/* Another build may have more causes, or fewer, or the same ones in another order. */
static void causes_keep_their_numbers_after_an_upgrade(void **state)
{
	const struct recording_cause gone = {"gone-since", "it was", "nothing"};
	struct recorder *w = open_recorder();
	g_autoptr(recording) r = NULL;

	add(w, 1, CAUSE_NO_KEY); /* in the file of before it was called gone-since */
	recorder_close(w);
	poke(offsetof(struct recording_file, cause[CAUSE_NO_KEY]), &gone, sizeof(gone));
	w = open_recorder();
	add(w, 3, CAUSE_NO_KEY);
	add(w, 5, CAUSE_NO_KEY);
	r = read_back();
	assert_int_equal(count_of(r, RECORDING_CLIENT, "gone-since"), 1);
	assert_int_equal(count_of(r, RECORDING_CLIENT, "no-key"), 2);
	assert_string_equal(recording_cause(r, recording_entry_at(r, 0)->cause)->id, "gone-since");
	assert_string_equal(recording_cause(r, recording_entry_at(r, 2)->cause)->id, "no-key");
	recorder_close(w);
}

static void a_file_of_another_version_or_boot_is_started_anew(void **state)
{
	static const struct {
		size_t offset;
		int read;
	} rows[] = {
		{offsetof(struct recording_file, head.version), -EPROTONOSUPPORT},
		{offsetof(struct recording_file, head.state_size), -EBADMSG},
		{offsetof(struct recording_file, head.magic), -EBADMSG},
		{offsetof(struct recording_file, head.boot), 0},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(recording) before = NULL, r = NULL;
		const char *why = NULL;
		struct recorder *w;

		killed_after(2);
		poke(rows[i].offset, "\x77", 1);
		assert_int_equal(recording_read(path, &before, &why), rows[i].read);
		w = open_recorder();
		r = read_back();
		assert_int_equal(recording_state(r)->next, 0);
		assert_int_equal(recording_entries(r), 0);
		assert_int_equal(recording_state(r)->starts, 1);
		recorder_close(w);
	}
}

/* ---- who may write, and where ---- */

static void a_second_daemon_does_not_write(void **state)
{
	struct recorder *w = open_recorder();
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct recorder *second = recorder_open(dir, SLOTS, "another");
		bool said = strstr(logged->str, "another daemon of this network namespace") != NULL;

		_exit(!second && said ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	add(w, 1, CAUSE_SUCCESS);
	{
		g_autoptr(recording) r = read_back();

		assert_string_equal(recording_state(r)->build, BUILD);
		assert_int_equal(recording_entries(r), 1);
	}
	recorder_close(w);
}

static void the_reader_knows_who_writes(void **state)
{
	int ready[2], go[2], status;
	pid_t pid;
	char c;

	assert_int_equal(pipe(ready) | pipe(go), 0);
	pid = fork();
	if (pid == 0) {
		close(go[1]);
		if (!recorder_open(dir, SLOTS, BUILD) || write(ready[1], "", 1) != 1)
			_exit(1);
		_exit((int)read(go[0], &c, 1));
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	for (int i = 0; i < 2; i++) { /* to have looked takes nothing from anybody */
		g_autoptr(recording) r = read_back();

		assert_int_equal(recording_pid(r), pid);
	}
	close(go[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	{
		g_autoptr(recording) r = read_back();

		assert_int_equal(recording_pid(r), 0);
	}
	close(ready[0]);
	close(ready[1]);
	close(go[0]);
}

static void no_child_has_the_recording(void **state)
{
	struct recorder *w = open_recorder();
	int status;
	pid_t pid;

	{
		g_autofree char *ours = NULL;

		assert_true(g_file_get_contents("/proc/self/maps", &ours, NULL, NULL));
		assert_non_null(strstr(ours, path));
	}
	pid = fork();
	if (pid == 0) {
		g_autofree char *maps = NULL;

		_exit(g_file_get_contents("/proc/self/maps", &maps, NULL, NULL) &&
				      !strstr(maps, path)
			      ? 0
			      : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	recorder_close(w);
}

static void the_file_is_its_owners_alone(void **state)
{
	struct recorder *w = open_recorder();
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, recording_file_size(SLOTS));
	/* All of it is there: a full /run cannot end the daemon later. */
	assert_true(st.st_blocks * 512 >= st.st_size);
	recorder_close(w);
}

static void a_full_disk_costs_the_recording_and_nothing_else(void **state)
{
	const struct rlimit full = {4096, RLIM_INFINITY};
	struct recording_gauges now = {0};
	struct rlimit before;
	struct recorder *w;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
	w = recorder_open(dir, SLOTS, BUILD);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_null(w);
	assert_non_null(strstr(logged->str, "cannot be written"));
	assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
	add(w, 1, CAUSE_SUCCESS);
	recorder_gauge(w, &now);
	recorder_configured(w, NULL);
	recorder_close(w);
}

static void a_link_is_not_followed(void **state)
{
	g_autofree char *other = g_build_filename(dir, "other", NULL);

	assert_true(g_file_set_contents(other, "precious", -1, NULL));
	assert_int_equal(symlink(other, path), 0);
	assert_null(recorder_open(dir, SLOTS, BUILD));
	{
		g_autofree char *content = NULL;

		assert_true(g_file_get_contents(other, &content, NULL, NULL));
		assert_string_equal(content, "precious");
	}
	g_unlink(other);
}

/* ---- a file that is not to be trusted ---- */

#define AT(member) offsetof(struct recording_file, member)

static void hostile_numbers_and_texts_are_refused(void **state)
{
	static const struct {
		const char *what;
		size_t offset, len;
		unsigned char byte;
	} rows[] = {
		{"no slots", AT(head.slots), 4, 0},
		{"too many slots", AT(head.slots), 4, 0xff},
		{"another slot", AT(head.slot_size), 4, 1},
		{"the build has no end", AT(state.build), 64, 'x'},
		{"the configuration has no end", AT(state.config), 256, 'x'},
		{"too many causes", AT(state.causes), 4, 0xff},
		{"too many keyrings", AT(state.keyrings), 4, 0x11},
		{"too many workers", AT(state.now.workers), 4, 0x7f},
		{"a phase that there is not", AT(state.now.phase), 4, 9},
		{"an id without end", AT(cause[1].id), 32, 'x'},
		{"an id that is none", AT(cause[1].id), 2, 0x1b},
		{"no id", AT(cause[1].id), 32, 0},
		{"a remedy without end", AT(cause[2].remedy), 288, 'x'},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(recording) r = NULL;
		unsigned char bytes[512];
		const char *why = NULL;
		struct recorder *w;
		int e;

		killed_after(2);
		memset(bytes, rows[i].byte, sizeof(bytes));
		poke(rows[i].offset, bytes, rows[i].len);
		e = recording_read(path, &r, &why);
		if (e != -EBADMSG || !why)
			fail_msg("%s: %d, %s", rows[i].what, e, why);
		w = recorder_open(dir, SLOTS, BUILD);
		if (!w)
			fail_msg("%s: the next daemon does not start anew", rows[i].what);
		recorder_close(w);
		r = read_back();
		assert_int_equal(recording_state(r)->next, 0);
	}
}

static void hostile_entries_are_left_out(void **state)
{
	static const struct {
		size_t offset, len;
		unsigned char byte;
	} rows[] = {
		{offsetof(struct recording_slot, entry.number), 8, 0xff},
		{offsetof(struct recording_slot, entry.side), 4, 3},
		{offsetof(struct recording_slot, entry.cause), 4, 0x7f},
		{offsetof(struct recording_slot, entry.cipher), RECORDING_NAME_SIZE, 'x'},
		{offsetof(struct recording_slot, entry.group), RECORDING_NAME_SIZE, 'x'},
		{offsetof(struct recording_slot, entry.identity), RECORDING_IDENTITY_SIZE, 'x'},
		{offsetof(struct recording_slot, entry.detail), RECORDING_DETAIL_SIZE, 'x'},
		{offsetof(struct recording_slot, sequence), 1, 3},
		{offsetof(struct recording_slot, sequence), 1, 1},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(recording) r = NULL;
		unsigned char bytes[RECORDING_IDENTITY_SIZE];

		g_unlink(path);
		killed_after(3);
		memset(bytes, rows[i].byte, sizeof(bytes));
		poke(recording_file_size(1) + rows[i].offset, bytes, rows[i].len);
		r = read_back();
		assert_int_equal(recording_entries(r), 2);
		assert_int_equal(recording_entry_at(r, 0)->number, 0);
		assert_int_equal(recording_entry_at(r, 1)->number, 2);
	}
}

static void what_is_no_recording_is_refused(void **state)
{
	const char *why = NULL;
	recording *r = NULL;

	assert_int_equal(recording_read(path, &r, &why), -ENOENT);
	assert_true(g_file_set_contents(path, "", -1, NULL));
	assert_int_equal(recording_read(path, &r, &why), -EBADMSG);
	assert_true(g_file_set_contents(path, RECORDING_MAGIC, -1, NULL));
	assert_int_equal(recording_read(path, &r, &why), -EBADMSG);
	g_unlink(path);
	killed_after(1);
	assert_int_equal(truncate(path, (off_t)recording_file_size(SLOTS) - 1), 0);
	assert_int_equal(recording_read(path, &r, &why), -EBADMSG);
	assert_int_equal(recording_read("/dev/zero", &r, &why), -EBADMSG);
	assert_int_equal(recording_read(dir, &r, &why), -EBADMSG);
}

/* ---- at the same time ---- */

/* All that is in an entry, and in the state, follows from one number. */
static pid_t start_writer(uint32_t slots)
{
	int ready[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		struct recorder *w = recorder_open(dir, slots, BUILD);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!w || write(ready[1], "", 1) != 1)
			_exit(1);
		for (unsigned int n = 0;; n++) {
			add(w, n, CAUSE_SUCCESS);
			if (n % 64 ==
			    0) /* more often than any daemon, and yet there is a moment between */
				g_usleep(1);
		}
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void check_consistent(const recording *r)
{
	const struct recording_state *s = recording_state(r);

	assert_int_equal(s->counts[RECORDING_CLIENT][0] + s->counts[RECORDING_SERVER][0], s->next);
	for (size_t i = 0; i < recording_entries(r); i++) {
		const struct recording_entry *e = recording_entry_at(r, i);
		struct recording_entry expected = entry_of((unsigned int)e->number);

		expected.number = e->number;
		expected.cause = e->cause;
		assert_memory_equal(e, &expected, sizeof(expected));
	}
}

static void a_reader_never_takes_what_is_half_written(void **state)
{
	pid_t writer = start_writer(512);
	size_t seen = 0;

	for (int i = 0; i < 300; i++) {
		g_autoptr(recording) r = read_back();

		check_consistent(r);
		seen += recording_entries(r);
	}
	kill(writer, SIGKILL);
	waitpid(writer, NULL, 0);
	assert_true(seen > 0);
}

/* ---- durations ---- */

static void a_bucket_is_at_most_an_eighth_wide(void **state)
{
	for (uint64_t usec = 0; usec < 1000000000; usec += usec / 50 + 1) {
		unsigned int b = recording_bucket(usec);
		uint64_t from = recording_bucket_floor(b), to = recording_bucket_floor(b + 1);

		assert_true(b < RECORDING_BUCKETS);
		assert_true(from <= usec && usec < to);
		assert_true(to - from <= MAX(from / 8, 1u));
	}
	assert_int_equal(recording_bucket(UINT64_MAX), RECORDING_BUCKETS - 1);
}

static void percentiles_are_those_of_what_was_counted(void **state)
{
	uint64_t durations[RECORDING_BUCKETS] = {0};
	uint64_t half, most;

	assert_int_equal(recording_percentile(durations, 99), 0);
	for (uint64_t usec = 1; usec <= 100000; usec++)
		durations[recording_bucket(usec)]++;
	half = recording_percentile(durations, 50);
	most = recording_percentile(durations, 99);
	assert_true(half >= 50000 && half <= 50000 * 9 / 8);
	assert_true(most >= 99000 && most <= 99000 * 9 / 8);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_handshake_is_read_as_it_was_written),
		CASE(the_ring_keeps_the_last_handshakes),
		CASE(gauges_workers_and_keyrings_are_read_as_they_are),
		CASE(every_text_of_a_cause_fits),
		CASE(a_restart_goes_on_in_the_same_file),
		CASE(a_crash_goes_on_in_the_same_file),
		CASE(causes_keep_their_numbers_after_an_upgrade),
		CASE(a_file_of_another_version_or_boot_is_started_anew),
		CASE(a_second_daemon_does_not_write),
		CASE(the_reader_knows_who_writes),
		CASE(no_child_has_the_recording),
		CASE(the_file_is_its_owners_alone),
		CASE(a_full_disk_costs_the_recording_and_nothing_else),
		CASE(a_link_is_not_followed),
		CASE(hostile_numbers_and_texts_are_refused),
		CASE(hostile_entries_are_left_out),
		CASE(what_is_no_recording_is_refused),
		CASE(a_reader_never_takes_what_is_half_written),
		cmocka_unit_test(a_bucket_is_at_most_an_eighth_wide),
		cmocka_unit_test(percentiles_are_those_of_what_was_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
