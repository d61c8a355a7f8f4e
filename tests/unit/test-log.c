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
		cmocka_unit_test(standard_descriptors_are_filled),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
