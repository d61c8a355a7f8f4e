// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of the process that reads certificates and keys: what comes of it, and of one that hangs or dies. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <glib/gstdio.h>

#include "common/log.h"
#include "tlshd/broker/reader.h"
#include "tlshd/shared/memfile.h"

#define PATIENCE_USEC ((uint64_t)60 * G_USEC_PER_SEC)

static const char *const names[] = {"trust", "crl", "certificate", "key"};

static char *directory;
static config settings;
static sd_event *event;
static struct reader *reader;
static struct reading what;
static bool done;
static char *gone;
static GString *lines;

/* Shared with the reader: is the disk away, and who waits for it? */
static struct {
	bool away;
	volatile pid_t waiting;
} * disk;

int __real_memfile_of_file(int fd, size_t max);
int __wrap_memfile_of_file(int fd, size_t max);

int __wrap_memfile_of_file(int fd, size_t max)
{
	disk->waiting = disk->away ? getpid() : 0;
	while (disk->away)
		pause();
	return __real_memfile_of_file(fd, max);
}

static void take_line(int priority, const char *line)
{
	g_string_append_printf(lines, "%s\n", line);
}

static void on_done(void *ctx, struct reading *read)
{
	what = *read;
	done = true;
	reader_free(g_steal_pointer(&reader));
}

static void on_gone(void *ctx, const char *why)
{
	gone = g_strdup(why);
	reader_free(g_steal_pointer(&reader));
}

static const char *path_of(const char *name)
{
	g_autofree char *path = g_build_filename(directory, name, NULL);

	return g_intern_string(path);
}

static void put(const char *name, mode_t mode)
{
	assert_true(g_file_set_contents(path_of(name), name, -1, NULL));
	assert_int_equal(chmod(path_of(name), mode), 0);
}

static int set_up(void **state)
{
	directory = g_dir_make_tmp("test-reader-XXXXXX", NULL);
	assert_non_null(directory);
	settings = (config){0};
	what = (struct reading){0};
	done = false;
	lines = g_string_new(NULL);
	log_set_sink(take_line);
	for (size_t kind = CREDENTIAL_TRUST; kind <= CREDENTIAL_KEY; kind++) {
		settings.x509[0][kind] = (char *)(uintptr_t)path_of(names[kind]);
		put(names[kind], 0600);
	}
	disk->away = false;
	disk->waiting = 0;
	return sd_event_new(&event) < 0;
}

static void clear(void)
{
	for (size_t owner = 0; done && owner < CREDENTIAL_OWNERS; owner++)
		for (size_t kind = 0; kind < CREDENTIAL_KINDS; kind++)
			if (what.files[owner][kind].fd >= 0)
				close(what.files[owner][kind].fd);
	stamps_let_go(&what.hold);
	done = false;
}

static int tear_down(void **state)
{
	reader_free(g_steal_pointer(&reader));
	clear();
	event = sd_event_unref(event);
	log_set_sink(NULL);
	g_string_free(lines, TRUE);
	g_clear_pointer(&gone, g_free);
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		g_unlink(path_of(names[i]));
	g_rmdir(directory);
	g_clear_pointer(&directory, g_free);
	return 0;
}

static void start(const struct stamps *before)
{
	const struct reader_params params = {
		.event = event,
		.settings = &settings,
		.before = before,
		.done = on_done,
		.gone = on_gone,
	};

	assert_int_equal(reader_new(&reader, &params), 0);
}

static void finish(void)
{
	while (reader)
		assert_true(sd_event_run(event, PATIENCE_USEC) > 0);
}

static void start_and_hang(void)
{
	disk->away = true;
	start(NULL);
	while (!disk->waiting)
		g_usleep(1000);
}

static struct reader_file *of_client(enum credential_kind kind)
{
	return &what.files[0][kind];
}

static void files_are_read_into_sealed_memory(void **state)
{
	struct stamps stamps;

	start(NULL);
	finish();
	assert_true(done);
	assert_false(what.same);
	for (size_t kind = CREDENTIAL_TRUST; kind <= CREDENTIAL_KEY; kind++) {
		gnutls_datum_t content;

		assert_true(of_client(kind)->configured);
		assert_int_equal(of_client(kind)->outcome.cause, CAUSE_SUCCESS);
		assert_int_equal(memfile_map(of_client(kind)->fd, &content), 0);
		assert_int_equal(content.size, strlen(names[kind]));
		assert_memory_equal(content.data, names[kind], content.size);
		memfile_unmap(&content);
	}
	assert_false(of_client(CREDENTIAL_PQ_KEY)->configured);
	assert_true(what.files[1][CREDENTIAL_TRUST].configured); /* the system's */
	assert_int_equal(what.files[1][CREDENTIAL_TRUST].fd, -1);
	assert_string_equal(lines->str, "");
	assert_true(what.hold.n >= 4);
	stamps_glance(&stamps, &settings, &what.hold);
	assert_true(stamps_are_equal(&stamps, &what.stamps));
}

static void what_has_not_changed_is_not_read(void **state)
{
	struct stamps before;

	start(NULL);
	finish();
	before = what.stamps;
	clear();
	start(&before);
	finish();
	assert_true(done && what.same);
	assert_true(stamps_are_equal(&before, &what.stamps));
	assert_int_equal(of_client(CREDENTIAL_TRUST)->fd, -1);
	assert_true(what.hold.n >= 4);
	clear();
	put("crl", 0600);
	start(&before);
	finish();
	assert_true(done && !what.same);
	assert_true(of_client(CREDENTIAL_CRL)->fd >= 0);
}

static void what_is_wrong_with_files_is_told(void **state)
{
	g_unlink(path_of("crl"));
	g_unlink(path_of("trust"));
	put("certificate", 0666);
	put("key", 0640);
	start(NULL);
	finish();
	assert_true(done);
	assert_false(of_client(CREDENTIAL_CRL)->configured);
	assert_int_equal(of_client(CREDENTIAL_TRUST)->outcome.cause, CAUSE_CREDENTIAL_UNREADABLE);
	assert_non_null(strstr(of_client(CREDENTIAL_TRUST)->outcome.detail, g_strerror(ENOENT)));
	assert_non_null(strstr(lines->str, "crl does not exist"));
	assert_non_null(strstr(lines->str, "chmod go-w"));
	assert_non_null(strstr(lines->str, "chmod 600"));
}

static void what_is_no_file_is_not_waited_for(void **state)
{
	g_unlink(path_of("key"));
	assert_int_equal(mkfifo(path_of("key"), 0600), 0);
	settings.x509[0][CREDENTIAL_PQ_KEY] = (char *)(uintptr_t) "pkcs11:token=nobody's";
	start(NULL);
	finish();
	assert_true(done);
	assert_int_equal(of_client(CREDENTIAL_KEY)->outcome.cause, CAUSE_CREDENTIAL_UNREADABLE);
	assert_non_null(strstr(of_client(CREDENTIAL_KEY)->outcome.detail, "no regular file"));
	assert_true(of_client(CREDENTIAL_PQ_KEY)->configured);
	assert_int_equal(of_client(CREDENTIAL_PQ_KEY)->fd, -1);
	assert_int_equal(of_client(CREDENTIAL_PQ_KEY)->outcome.cause, CAUSE_SUCCESS);
}

static void reader_that_dies_is_an_ending_too(void **state)
{
	start_and_hang();
	kill(disk->waiting, SIGKILL);
	finish();
	assert_false(done);
	assert_string_equal(gone, "the process that reads them has died");
}

/* The lowest that is free: whether it is the same again tells whether all others are closed. */
static int next_descriptor(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

static void descriptors_that_find_no_room_are_an_ending_too(void **state)
{
	struct rlimit before, low;
	int next;

	start(NULL);
	next = next_descriptor();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = (struct rlimit){(rlim_t)next + 3, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	finish();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_false(done);
	assert_non_null(strstr(gone, "no descriptor is left"));
	assert_true(next_descriptor() <= next);
}

static bool is_there(pid_t pid)
{
	return kill(pid, 0) == 0; /* or it is not waited for */
}

/* Stopped, it dies of SIGKILL all the same: a process that waits for a disk does not, but that cannot be made here. */
static void reader_that_hangs_is_killed_and_leaves_nothing(void **state)
{
	pid_t pid;

	start_and_hang();
	pid = disk->waiting;
	kill(pid, SIGSTOP);
	reader_free(g_steal_pointer(&reader));
	while (is_there(pid))
		assert_true(sd_event_run(event, PATIENCE_USEC) > 0);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_false(done || gone);
}

static void another_reads_while_one_hangs(void **state)
{
	start_and_hang();
	reader_free(g_steal_pointer(&reader));
	disk->away = false;
	start(NULL);
	finish();
	assert_true(done);
}

static void reader_is_an_ordinary_process_that_has_only_its_own(void **state)
{
	g_autofree char *comm = NULL, *path = NULL, *fds = NULL;
	int ours[64];
	unsigned int n = 0;
	GDir *dir;

	for (size_t i = 0; i < G_N_ELEMENTS(ours); i++)
		ours[i] = dup(STDERR_FILENO);
	start_and_hang();
	for (size_t i = 0; i < G_N_ELEMENTS(ours); i++)
		close(ours[i]);
	path = g_strdup_printf("/proc/%d/comm", (int)disk->waiting);
	assert_true(g_file_get_contents(path, &comm, NULL, NULL));
	assert_string_equal(comm, "(tlshd-reader)\n");
	fds = g_strdup_printf("/proc/%d/fd", (int)disk->waiting);
	dir = g_dir_open(fds, 0, NULL);
	assert_non_null(dir);
	while (g_dir_read_name(dir))
		n++;
	g_dir_close(dir);
	/* Standard ones, the socket, the file that it reads, and what it holds. */
	assert_true(n <= 3 + 1 + 1 + STAMPS_HELD_MAX);
	assert_int_equal(sched_getscheduler(disk->waiting), SCHED_OTHER);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(files_are_read_into_sealed_memory),
		TEST(what_has_not_changed_is_not_read),
		TEST(what_is_wrong_with_files_is_told),
		TEST(what_is_no_file_is_not_waited_for),
		TEST(reader_that_dies_is_an_ending_too),
		TEST(descriptors_that_find_no_room_are_an_ending_too),
		TEST(reader_that_hangs_is_killed_and_leaves_nothing),
		TEST(another_reads_while_one_hangs),
		TEST(reader_is_an_ordinary_process_that_has_only_its_own),
	};

	disk = mmap(NULL, sizeof(*disk), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (disk == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
