// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of the log: a journal and a syslog of our own, which are slow, or gone, or not there. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/log.h"
#include "common/system-log.h"

/* More than any buffer holds. */
#define MANY 200000

static char *directory;
static struct system_log_paths paths;

static int serve(const char *path, int type)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	g_strlcpy(at.sun_path, path, sizeof(at.sun_path));
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* All that is there to be read. */
static char *take(int fd)
{
	GString *all = g_string_new(NULL);
	char text[4096];
	ssize_t n;

	while ((n = recv(fd, text, sizeof(text), MSG_DONTWAIT)) > 0) {
		g_string_append_len(all, text, n);
		if (text[n - 1] != '\n')
			g_string_append_c(all, '\n');
	}
	return g_string_free(all, FALSE);
}

static int set_up(void **state)
{
	directory = g_dir_make_tmp("test-log-XXXXXX", NULL);
	paths.journal = g_build_filename(directory, "journal", NULL);
	paths.syslog = g_build_filename(directory, "syslog", NULL);
	return directory ? 0 : -1;
}

static int tear_down(void **state)
{
	unlink(paths.journal);
	if (paths.native)
		unlink(paths.native);
	g_free((void *)(uintptr_t)paths.native);
	paths.native = NULL;
	unlink(paths.syslog);
	rmdir(directory);
	g_free((void *)(uintptr_t)paths.journal);
	g_free((void *)(uintptr_t)paths.syslog);
	g_free(directory);
	return 0;
}

static void the_journal_is_preferred(void **state)
{
	int journal = serve(paths.journal, SOCK_STREAM), syslog = serve(paths.syslog, SOCK_DGRAM);
	g_autofree char *got = NULL;
	int stream;

	system_log_open("tested", &paths);
	system_log_write(LOG_ERR, "a line");
	stream = accept4(journal, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	got = take(stream);
	assert_string_equal(got, "tested\n\n38\n1\n0\n0\n0\n<3>a line\n");
	system_log_from_signal("from a signal");
	g_free(got);
	got = take(stream);
	assert_string_equal(got, "<4>from a signal\n");
	close(stream);
	close(journal);
	close(syslog);
}

static void without_a_journal_it_is_syslog(void **state)
{
	int syslog = serve(paths.syslog, SOCK_DGRAM);
	g_autofree char *got = NULL, *end = g_strdup_printf(" tested[%d]: a line\n", getpid());

	system_log_open("tested", &paths);
	system_log_write(LOG_ERR, "a line");
	got = take(syslog);
	assert_true(g_str_has_prefix(got, "<35>"));
	assert_true(g_str_has_suffix(got, end));
	system_log_from_signal("from a signal");
	g_free(got);
	got = take(syslog);
	assert_string_equal(got, "<36>tested: from a signal\n");
	close(syslog);
}

/* It would be forever: nobody else reads. */
static void a_syslog_that_hangs_does_not_make_us_wait(void **state)
{
	int syslog = serve(paths.syslog, SOCK_DGRAM);
	g_autofree char *got = NULL;

	system_log_open("tested", &paths);
	for (unsigned int i = 0; i < MANY; i++)
		system_log_write(LOG_INFO, "a line");
	g_free(take(syslog));
	system_log_write(LOG_INFO, "the line after");
	got = take(syslog);
	assert_non_null(strstr(got, " lines were lost: syslog did not keep up\n"));
	assert_non_null(strstr(got, "the line after\n"));
	close(syslog);
}

static void a_log_that_comes_late_is_told_what_was_lost(void **state)
{
	g_autofree char *got = NULL;
	int syslog;

	system_log_open("tested", &paths);
	system_log_write(LOG_INFO, "one");
	system_log_write(LOG_INFO, "two");
	syslog = serve(paths.syslog, SOCK_DGRAM);
	while (!got || !*got) { /* it is looked for once a second */
		g_free(got);
		system_log_write(LOG_INFO, "more");
		g_usleep(10000);
		got = take(syslog);
	}
	assert_non_null(strstr(got, " lines were lost: syslog was gone\n"));
	close(syslog);
}

static const struct log_field fields[] = {
	{"TLSHD_CAUSE", "no-key"}, {"TLSHD_KEY", NULL}, {"TLSHD_PEER", "192.0.2.7:4420"}, {0}};

static void fields_go_to_the_journal(void **state)
{
	int journal, native;
	g_autofree char *got = NULL;

	paths.native = g_build_filename(directory, "native", NULL);
	journal = serve(paths.journal, SOCK_STREAM);
	native = serve(paths.native, SOCK_DGRAM);
	system_log_open("tested", &paths);
	system_log_write_fields(LOG_WARNING, "a line\nPRIORITY=0", fields);
	got = take(native);
	assert_string_equal(got, "PRIORITY=4\nSYSLOG_FACILITY=4\nSYSLOG_IDENTIFIER=tested\n"
				 "MESSAGE=a line PRIORITY=0\nTLSHD_CAUSE=no-key\n"
				 "TLSHD_PEER=192.0.2.7:4420\n");
	close(native);
	close(journal);
}

/* The journal keeps a few datagrams for us, and the stream is longer. */
static void a_line_is_not_lost_for_its_fields(void **state)
{
	int journal, native, stream;
	unsigned int lines = 0;
	char text[512];

	paths.native = g_build_filename(directory, "native", NULL);
	journal = serve(paths.journal, SOCK_STREAM);
	native = serve(paths.native, SOCK_DGRAM);
	system_log_open("tested", &paths);
	stream = accept4(journal, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	for (unsigned int i = 0; i < 5000; i++)
		system_log_write_fields(LOG_INFO, "a line", fields);
	while (recv(native, text, sizeof(text), MSG_DONTWAIT) > 0)
		lines++;
	assert_true(lines > 0 && lines < 5000);
	for (ssize_t n; (n = recv(stream, text, sizeof(text), MSG_DONTWAIT)) > 0;)
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	lines -= 7; /* of the stream's head */
	assert_int_equal(lines, 5000);
	/* Where the journal's socket for datagrams is gone, too. */
	close(native);
	unlink(paths.native);
	system_log_write_fields(LOG_INFO, "the line after", fields);
	{
		g_autofree char *got = take(stream);

		assert_string_equal(got, "<6>the line after\n");
	}
	close(stream);
	close(journal);
}

static void syslog_gets_the_line_alone(void **state)
{
	int syslog = serve(paths.syslog, SOCK_DGRAM);
	g_autofree char *got = NULL;

	paths.native = g_build_filename(directory, "native", NULL);
	system_log_open("tested", &paths);
	system_log_write_fields(LOG_INFO, "a line", fields);
	got = take(syslog);
	assert_true(g_str_has_suffix(got, ": a line\n"));
	assert_null(strstr(got, "TLSHD_CAUSE"));
	close(syslog);
}

/* Descriptors that are closed at our start must not be those of files that are opened later. */
static void standard_descriptors_are_filled(void **state)
{
	struct stat null, st;
	int status, fd;
	pid_t pid = fork();

	if (pid == 0) {
		for (fd = 0; fd < 3; fd++)
			close(fd);
		log_open(LOG_TARGET_STDERR, "tested");
		stat("/dev/null", &null);
		for (fd = 0; fd < 3; fd++)
			if (fstat(fd, &st) < 0 || st.st_rdev != null.st_rdev)
				_exit(1);
		_exit(open("/dev/null", O_RDONLY) == STDERR_FILENO + 1 ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_journal_is_preferred, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_a_journal_it_is_syslog, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_syslog_that_hangs_does_not_make_us_wait, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_log_that_comes_late_is_told_what_was_lost, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(fields_go_to_the_journal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_line_is_not_lost_for_its_fields, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(syslog_gets_the_line_alone, set_up, tear_down),
		cmocka_unit_test(standard_descriptors_are_filled),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
