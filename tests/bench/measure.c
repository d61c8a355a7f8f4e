// SPDX-License-Identifier: GPL-2.0-or-later
/* Runs a program and prints what it cost, without a large memory of its own to be counted in. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(const struct timeval *tv)
{
	return (double)tv->tv_sec + (double)tv->tv_usec / 1e6;
}

int main(int argc, char **argv)
{
	struct timespec from, to;
	struct rusage usage;
	int status;
	pid_t pid;

	if (argc < 3) {
		fprintf(stderr,
			"usage: measure OUTPUT COMMAND [ARGUMENT...]\n"
			"Runs COMMAND with its standard output in OUTPUT; prints seconds, seconds of CPU and the\n"
			"most KiB of memory it had. Its exit status is that of COMMAND.\n");
		return 2;
	}
	clock_gettime(CLOCK_MONOTONIC, &from);
	pid = fork();
	if (pid == 0) {
		int fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600);

		if (fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0)
			execvp(argv[2], argv + 2);
		fprintf(stderr, "measure: %s: %s\n", argv[2], strerror(errno));
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &usage) < 0) {
		perror("measure");
		return 1;
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("%.4f %.4f %ld\n",
	       (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9,
	       seconds(&usage.ru_utime) + seconds(&usage.ru_stime), usage.ru_maxrss);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
