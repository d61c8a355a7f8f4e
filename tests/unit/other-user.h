/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For tests of what a local user can do to root: a process of another user, kept until it is ended. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <glib.h>

#define OTHER_UID 65534

struct other_user {
	pid_t pid;
};

/**
 * other_user_start() - run @work in a process of another user, which then stays.
 * @data, @size: what @work is given, and may change for us
 *
 * Aborts when @work returns false. Return: the process; NULL where we are not root.
 */
static inline struct other_user *other_user_start(bool (*work)(void *data), void *data, size_t size)
{
	struct other_user *other;
	void *shared;
	int fd[2];
	char word = 0;
	pid_t pid;

	if (geteuid() != 0 || pipe(fd) < 0)
		return NULL;
	shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		abort();
	memcpy(shared, data, size);
	pid = fork();
	if (pid == 0) {
		bool fine = setresgid(OTHER_UID, OTHER_UID, OTHER_UID) == 0 &&
			    setresuid(OTHER_UID, OTHER_UID, OTHER_UID) == 0 &&
			    /* a test that fails leaves nobody behind */
			    prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && work(shared);

		if (write(fd[1], fine ? "y" : "n", 1) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	if (pid < 0 || read(fd[0], &word, 1) != 1)
		abort();
	close(fd[0]);
	close(fd[1]);
	memcpy(data, shared, size);
	munmap(shared, size);
	if (word != 'y')
		g_error("the other user's part of the test failed");
	other = g_new0(struct other_user, 1);
	other->pid = pid;
	return other;
}

/** other_user_end() - end the process, and with it what its keyrings hold. */
static inline void other_user_end(struct other_user *other)
{
	kill(other->pid, SIGKILL);
	waitpid(other->pid, NULL, 0);
	g_free(other);
}
