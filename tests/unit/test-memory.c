// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of memory that is locked: what it reads, what it gives back, and what a refusal costs. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>
#include <glib.h>

#include "skip.h"
#include "tlshd/shared/memory.h"
#include "tlshd/shared/sandbox.h"

#define PAGE 4096
#define PAGES 64

static int refusal;

/* In libc's place. Whoever may lock memory, CAP_IPC_LOCK, needs no higher limit. */
int setrlimit(__rlimit_resource_t resource, const struct rlimit *limits)
{
	if (resource != RLIMIT_MEMLOCK) /* a sanitizer's run-time */
		return prlimit(0, resource, limits, NULL);
	assert_true(limits->rlim_cur == RLIM_INFINITY);
	errno = refusal;
	return refusal ? -1 : 0;
}

static bool lock(void)
{
	struct rlimit real;

	refusal = 0;
	if (sandbox_is_sanitized() || getrlimit(RLIMIT_MEMLOCK, &real) < 0 ||
	    (geteuid() != 0 && real.rlim_cur != RLIM_INFINITY))
		return false;
	return memory_lock() == 0;
}

static int unlock(void **state)
{
	munlockall();
	return 0;
}

static size_t resident(void)
{
	unsigned long total, pages;
	FILE *f = fopen("/proc/self/statm", "r");
	int n = fscanf(f, "%lu %lu", &total, &pages);

	assert_int_equal(n, 2);
	fclose(f);
	return pages;
}

static unsigned int mapped(const unsigned char *map)
{
	unsigned int n = 0;
	FILE *f = fopen("/proc/self/smaps", "r");
	bool here = false;
	char line[512];

	while (fgets(line, sizeof(line), f)) {
		unsigned long start, kb;

		if (sscanf(line, "%lx-", &start) == 1 && strchr(line, '-'))
			here = start == (unsigned long)map;
		else if (here && sscanf(line, "Rss: %lu", &kb) == 1)
			n = (unsigned int)(kb / (PAGE / 1024));
	}
	fclose(f);
	return n;
}

static void what_a_file_is_mapped_for_is_read(void **state)
{
	char path[] = "/tmp/test-memory.XXXXXX";
	int fd = mkstemp(path);
	unsigned char *map;

	assert_true(fd >= 0 && ftruncate(fd, PAGES * PAGE) == 0);
	unlink(path);
	map = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_true(map != MAP_FAILED);
	assert_int_equal(mapped(map), 0);
	if (!lock())
		SKIP_WITHOUT("the right to lock memory");
	assert_int_equal(mapped(map), PAGES);
	munmap(map, PAGES * PAGE);
	close(fd);
}

static void other_memory_is_used_as_it_is_needed(void **state)
{
	const size_t size = 64 * 1024 * PAGE;
	size_t before;
	void *map;

	if (!lock())
		SKIP_WITHOUT("the right to lock memory");
	before = resident();
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(map != MAP_FAILED);
	assert_true(resident() < before + 1024);
	munmap(map, size);
}

/* What is at the end of the heap stays, and all below it goes. */
static void locked_memory_is_given_back(void **state)
{
	static void *block[4096], *last; /* static, or the compiler leaves them out */
	size_t before;

	if (!lock())
		SKIP_WITHOUT("the right to lock memory");
	before = resident();
	for (size_t i = 0; i < G_N_ELEMENTS(block); i++)
		block[i] = memset(malloc(PAGE), 1, PAGE);
	last = malloc(16 * PAGE); /* larger than any gap before it */
	assert_true(resident() > before + 4000);
	for (size_t i = 0; i < G_N_ELEMENTS(block); i++)
		free(block[i]);
	memory_trim();
	assert_true(resident() < before + 200);
	free(last);
}

static void a_refusal_breaks_nothing(void **state)
{
	if (sandbox_is_sanitized())
		SKIP_WITHOUT("memory that may be locked");
	refusal = EPERM;
	assert_int_equal(memory_lock(), -EPERM);
	free(memset(malloc(64 * 1024 * 1024), 1, 64 * 1024 * 1024));
	memory_trim();
}

#define TEST(name) cmocka_unit_test_teardown(name, unlock)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_a_file_is_mapped_for_is_read),
		TEST(other_memory_is_used_as_it_is_needed),
		TEST(locked_memory_is_given_back),
		TEST(a_refusal_breaks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
