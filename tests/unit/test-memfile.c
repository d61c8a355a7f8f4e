// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of files in memory that nobody can change any more. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "tlshd/shared/memfile.h"

static void bytes_come_back_as_they_were(void **state)
{
	int fd = memfile_of_bytes("certificate", 11);
	gnutls_datum_t map, copy;

	assert_true(fd >= 0);
	assert_int_equal(memfile_map(fd, &map), 0);
	assert_int_equal(map.size, 11);
	assert_memory_equal(map.data, "certificate", 11);
	memfile_unmap(&map);
	assert_int_equal(memfile_read(fd, &copy), 0);
	assert_int_equal(copy.size, 11);
	assert_memory_equal(copy.data, "certificate", 11);
	memfile_wipe(&copy);
	close(fd);
}

static void nobody_changes_it(void **state)
{
	int fd = memfile_of_bytes("certificate", 11);

	assert_true(write(fd, "x", 1) < 0);
	assert_true(ftruncate(fd, 0) < 0);
	assert_true(ftruncate(fd, 100) < 0);
	assert_ptr_equal(mmap(NULL, 11, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	close(fd);
}

static void file_that_could_be_cut_is_not_mapped(void **state)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	gnutls_datum_t map;

	assert_int_equal(write(fd, "certificate", 11), 11);
	assert_int_equal(memfile_map(fd, &map), -EPERM);
	assert_null(map.data);
	close(fd);
}

static void copy_of_a_file_does_not_follow_it(void **state)
{
	FILE *file = tmpfile();
	gnutls_datum_t map;
	int fd;

	fputs("the first", file);
	fflush(file);
	fd = memfile_of_file(fileno(file), 100);
	assert_true(fd >= 0);
	rewind(file);
	fputs("the second", file);
	fflush(file);
	assert_int_equal(memfile_map(fd, &map), 0);
	assert_int_equal(map.size, 9);
	assert_memory_equal(map.data, "the first", 9);
	memfile_unmap(&map);
	close(fd);
	fclose(file);
}

static void file_that_is_too_long_is_refused(void **state)
{
	FILE *file = tmpfile();

	fputs("ten bytes!", file);
	fflush(file);
	assert_int_equal(memfile_of_file(fileno(file), 9), -EFBIG);
	fclose(file);
}

static void empty_file_has_no_bytes(void **state)
{
	int fd = memfile_of_bytes("", 0);
	gnutls_datum_t map;

	assert_int_equal(memfile_map(fd, &map), 0);
	assert_int_equal(map.size, 0);
	memfile_unmap(&map);
	assert_int_equal(memfile_read(fd, &map), -EFBIG);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_come_back_as_they_were),
		cmocka_unit_test(nobody_changes_it),
		cmocka_unit_test(file_that_could_be_cut_is_not_mapped),
		cmocka_unit_test(copy_of_a_file_does_not_follow_it),
		cmocka_unit_test(file_that_is_too_long_is_refused),
		cmocka_unit_test(empty_file_has_no_bytes),
	};

	return cmocka_run_group_tests_name("memfile", tests, NULL, NULL);
}
