// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory that stays in memory: tlshd may live on the disk that it serves. */
#include "tlshd/shared/memory.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <glib.h>

#include "tlshd/shared/sandbox.h"

#define MAPS "/proc/self/maps"

/* The headers we are built with may be older. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

static void *heap; /* where the locked one begins; NULL if it is not locked */

/* One line of /proc/self/maps. */
struct mapping {
	uintptr_t start, end;
	char mode[5]; /* "r-xp" */
	unsigned long inode; /* 0 for memory without a file */
	char name[16]; /* cut */
};

static bool parse(const char *line, struct mapping *m)
{
	m->name[0] = '\0';
	return sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*s %*s %lu %15s", &m->start, &m->end,
		      m->mode, &m->inode, m->name) >= 4;
}

/* Is it a program's, a library's, or a table's that a library has mapped? What is shared is our recording's. */
static bool is_of_file(const struct mapping *m)
{
	return m->inode && m->mode[0] == 'r' && m->mode[3] == 'p';
}

static int raise_limit(void)
{
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

	return setrlimit(RLIMIT_MEMLOCK, &all) < 0 ? -errno : 0;
}

/*
 * A lock on fault leaves on the disk what has not been used yet, so that is read here. A lock that reads by
 * itself would copy each page that can be written, and give every worker a heap as large as its broker's.
 */
static int read_in(void)
{
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;
	int r = 0;

	if (!g_file_get_contents(MAPS, &text, NULL, NULL))
		return -ENOENT;
	lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; r == 0 && *line; line++) {
		struct mapping m;

		if (!parse(*line, &m))
			continue;
		if (strcmp(m.name, "[heap]") == 0)
			heap = (void *)m.start;
		else if (is_of_file(&m) &&
			 madvise((void *)m.start, m.end - m.start, MADV_POPULATE_READ) < 0)
			r = -errno;
	}
	return r;
}

int memory_lock(void)
{
	int r;

	if (sandbox_is_sanitized())
		return 0;
	sandbox_prepare();
	r = raise_limit();
	if (r == 0 && mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		r = -errno;
	return r < 0 ? r : read_in();
}

/* The kernel takes no locked page back, except from the end of the heap. */
void memory_trim(void)
{
	if (heap)
		munlock(heap, (size_t)((char *)sbrk(0) - (char *)heap));
	malloc_trim(0);
	if (heap)
		mlock2(heap, (size_t)((char *)sbrk(0) - (char *)heap), MLOCK_ONFAULT);
}
