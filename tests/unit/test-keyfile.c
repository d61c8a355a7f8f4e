// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of key files: what is read, and that no change loses a byte. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <glib/gstdio.h>

#include "common/keyfile.h"

#define KEY_1 "NVMeTLSkey-1:01:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACtVQoZ:"
#define KEY_0 "NVMeTLSkey-0:01:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACtVQoZ:"
#define OTHER "NVMeTLSkey-1:01:E+8VYeGJyak3Z/fyW/23NZ20IY7SyHON8RSEi6yOiTlJxU3v:"
#define ID_A "NVMe0R01 nqn.h nqn.a"
#define ID_B "NVMe0R01 nqn.h nqn.b"

static char *dir, *path;

static int make_dir(void **state)
{
	dir = g_dir_make_tmp("keyfile-XXXXXX", NULL);
	path = g_build_filename(dir, "tls-keys", NULL);
	return dir ? 0 : -1;
}

static int remove_dir(void **state)
{
	g_autofree char *fresh = g_build_filename(dir, ".tls-keys.new", NULL);
	g_autofree char *link = g_build_filename(dir, "link", NULL);

	unlink(fresh);
	unlink(link);
	unlink(path);
	rmdir(dir);
	g_free(dir);
	g_free(path);
	return 0;
}

static void content_is(const char *expected)
{
	g_autofree char *content = NULL;

	assert_true(g_file_get_contents(path, &content, NULL, NULL));
	assert_string_equal(content, expected);
}

static size_t files_in_dir(void)
{
	g_autoptr(GDir) d = g_dir_open(dir, 0, NULL);
	size_t n = 0;

	while (g_dir_read_name(d))
		n++;
	return n;
}

static enum keyfile_kind kind_of(const char *line)
{
	g_autoptr(keyfile) kf = keyfile_parse(line, strlen(line));
	g_auto(keyfile_entry) entry = {0};

	assert_int_equal(keyfile_lines(kf), 1);
	return keyfile_line(kf, 0, &entry);
}

static void bad_line_says(const char *line, size_t len, const char *expected)
{
	g_autoptr(keyfile) kf = keyfile_parse(line, len);
	g_auto(keyfile_entry) entry = {0};

	assert_int_equal(keyfile_line(kf, 0, &entry), KEYFILE_BAD);
	assert_null(entry.identity);
	assert_int_equal(entry.key.key.len, 0);
	if (!strstr(entry.why, expected))
		fail_msg("\"%s\" says nothing of \"%s\"", entry.why, expected);
}

static void put(const char *identity, const char *key)
{
	g_autoptr(keyfile) kf = NULL;
	interchange_text text = {0};

	assert_int_equal(keyfile_edit(path, true, &kf), 0);
	g_strlcpy(text.s, key, sizeof(text.s));
	keyfile_set(kf, identity, &text);
	assert_int_equal(keyfile_prepare(kf), 0);
	assert_int_equal(keyfile_commit(kf), 0);
}

static void lines_of_both_format_versions_are_entries(void **state)
{
	const char *file = ID_A " " KEY_0 "\r\n \t" ID_B "\t" KEY_1 " ";
	g_autoptr(keyfile) kf = keyfile_parse(file, strlen(file));
	g_auto(keyfile_entry) a = {0}, b = {0};

	assert_int_equal(keyfile_lines(kf), 2);
	assert_int_equal(keyfile_line(kf, 0, &a), KEYFILE_ENTRY);
	assert_string_equal(a.identity, ID_A);
	assert_int_equal(a.key.version, 0);
	assert_int_equal(keyfile_line(kf, 1, &b), KEYFILE_ENTRY);
	assert_string_equal(b.identity, ID_B);
	assert_int_equal(b.key.version, 1);
	assert_int_equal(b.key.key.len, 32);
}

static void comments_and_blank_lines_are_no_keys(void **state)
{
	assert_int_equal(kind_of("\n"), KEYFILE_BLANK);
	assert_int_equal(kind_of(" \t\n"), KEYFILE_BLANK);
	assert_int_equal(kind_of("# " ID_A " " KEY_1), KEYFILE_BLANK);
	assert_int_equal(kind_of("  #x"), KEYFILE_BLANK);
}

static void bad_line_is_told_by_its_cause(void **state)
{
	bad_line_says("word", 4, "one word");
	bad_line_says(KEY_1, strlen(KEY_1), "one word");
	bad_line_says(ID_A " word", strlen(ID_A " word"), "not a key");
	bad_line_says("nqn.h nqn.s " KEY_1, strlen("nqn.h nqn.s " KEY_1), "not an NVMe identity");
	bad_line_says("NVMe0R02 nqn.h nqn.s " KEY_1, strlen("NVMe0R02 nqn.h nqn.s " KEY_1),
		      "48 bytes");
	bad_line_says("a\0b", 3, "NUL");
}

static void names_of_any_form_are_taken(void **state)
{
	assert_int_equal(kind_of("NVMe0R01 hostnqn0 subsys0 " KEY_1), KEYFILE_ENTRY);
}

static void new_file_is_for_root_only(void **state)
{
	mode_t before = umask(0);
	struct stat st;

	put(ID_A, KEY_1);
	umask(before);
	content_is(ID_A " " KEY_1 "\n");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(files_in_dir(), 1);
}

static void change_keeps_comments_and_order(void **state)
{
	assert_true(g_file_set_contents(path,
					"# mine\n\n" ID_A " " KEY_1 "\nnonsense\n" ID_B " " KEY_1
					"\n" ID_A " " KEY_1 "\n# end",
					-1, NULL));
	put(ID_A, OTHER);
	content_is("# mine\n\n" ID_A " " OTHER "\nnonsense\n" ID_B " " KEY_1 "\n# end\n");
	put("NVMe0R01 nqn.h nqn.aa", KEY_1);
	content_is("# mine\n\n" ID_A " " OTHER "\nnonsense\n" ID_B " " KEY_1
		   "\n# end\nNVMe0R01 nqn.h nqn.aa " KEY_1 "\n");
}

static void new_identity_takes_the_line_of_the_old_one(void **state)
{
	g_autoptr(keyfile) kf = NULL;
	interchange_text text = {OTHER};

	assert_true(g_file_set_contents(path,
					"# a\n" ID_A " " KEY_1 "\n# b\n" ID_B " " KEY_1 "\n# end\n",
					-1, NULL));
	assert_int_equal(keyfile_edit(path, true, &kf), 0);
	keyfile_replace(kf, ID_A, ID_B, &text);
	assert_int_equal(keyfile_prepare(kf), 0);
	assert_int_equal(keyfile_commit(kf), 0);
	content_is("# a\n" ID_B " " OTHER "\n# b\n# end\n");
}

static void removal_takes_that_identity_only(void **state)
{
	g_autoptr(keyfile) kf = NULL;

	assert_true(g_file_set_contents(path,
					"NVMe0R01 nqn.h nqn.aa " KEY_1 "\n" ID_A " " KEY_1
					"\n# " ID_A " " KEY_1 "\n",
					-1, NULL));
	assert_int_equal(keyfile_edit(path, true, &kf), 0);
	assert_true(keyfile_remove(kf, ID_A));
	assert_int_equal(keyfile_prepare(kf), 0);
	assert_int_equal(keyfile_commit(kf), 0);
	content_is("NVMe0R01 nqn.h nqn.aa " KEY_1 "\n# " ID_A " " KEY_1 "\n");
}

static void change_that_is_not_committed_changes_nothing(void **state)
{
	g_autoptr(keyfile) kf = NULL;
	interchange_text text = {KEY_1};

	assert_int_equal(keyfile_edit(path, true, &kf), 0);
	keyfile_set(kf, ID_A, &text);
	assert_int_equal(keyfile_prepare(kf), 0);
	g_clear_pointer(&kf, keyfile_free);
	assert_int_equal(files_in_dir(), 0);

	put(ID_B, KEY_1);
	assert_int_equal(keyfile_edit(path, true, &kf), 0);
	keyfile_set(kf, ID_A, &text);
	assert_int_equal(keyfile_prepare(kf), 0);
	g_clear_pointer(&kf, keyfile_free);
	content_is(ID_B " " KEY_1 "\n");
	assert_int_equal(files_in_dir(), 1);
}

static void full_disk_leaves_the_old_file_whole(void **state)
{
	g_autoptr(keyfile) kf = NULL;
	interchange_text text = {KEY_1};
	struct rlimit before, small;

	put(ID_A, KEY_1);
	assert_int_equal(keyfile_edit(path, true, &kf), 0);
	keyfile_set(kf, ID_B, &text);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 100;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(keyfile_prepare(kf), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(keyfile_commit(kf), -EINVAL);
	g_clear_pointer(&kf, keyfile_free);
	content_is(ID_A " " KEY_1 "\n");
	assert_int_equal(files_in_dir(), 1);
}

static keyfile *prepared(const char *identity, const char *key)
{
	keyfile *kf = NULL;
	interchange_text text = {0};

	assert_int_equal(keyfile_edit(path, true, &kf), 0);
	g_strlcpy(text.s, key, sizeof(text.s));
	keyfile_set(kf, identity, &text);
	assert_int_equal(keyfile_prepare(kf), 0);
	return kf;
}

static void append(const char *to, const char *line)
{
	FILE *f = fopen(to, "a");

	assert_non_null(f);
	fputs(line, f);
	assert_int_equal(fclose(f), 0);
}

static void line_added_without_the_lock_stays(void **state)
{
	g_autoptr(keyfile) kf = NULL;

	assert_true(g_file_set_contents(path, "# a\n" ID_A " " KEY_1 "\n# b\n", -1, NULL));
	kf = prepared(ID_A, OTHER);
	append(path, "# late\n");
	assert_int_equal(keyfile_commit(kf), 0);
	content_is("# a\n" ID_A " " OTHER "\n# b\n# late\n");
	assert_int_equal(files_in_dir(), 1);
}

static void line_taken_without_the_lock_stays_away(void **state)
{
	g_autoptr(keyfile) kf = NULL;

	assert_true(g_file_set_contents(path, "# a\n" ID_A " " KEY_1 "\n# b\n", -1, NULL));
	kf = prepared(ID_A, OTHER);
	assert_true(g_file_set_contents(path, ID_A " " KEY_1 "\n# b\n" ID_B " " KEY_1 "\n", -1,
					NULL));
	assert_int_equal(keyfile_commit(kf), 0);
	content_is(ID_A " " OTHER "\n# b\n" ID_B " " KEY_1 "\n");
	assert_int_equal(files_in_dir(), 1);
}

/* Whoever has opened the file before it was replaced writes into one that has no name any more. */
static void writer_with_the_old_file_open_is_waited_for(void **state)
{
	g_autoptr(keyfile) kf = NULL;
	int ready[2], status;
	pid_t pid;
	char c;

	put(ID_A, KEY_1);
	kf = prepared(ID_A, OTHER);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = open(path, O_WRONLY | O_APPEND);
		struct stat st, now;
		bool ok;

		ok = fd >= 0 && fstat(fd, &st) == 0 && write(ready[1], "x", 1) == 1;
		while (ok && stat(path, &now) == 0 && now.st_ino == st.st_ino)
			g_usleep(100);
		ok = ok && write(fd, "# late\n", 7) == 7;
		close(fd);
		_exit(ok ? 0 : 1);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(keyfile_commit(kf), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(ready[0]);
	close(ready[1]);
	content_is(ID_A " " OTHER "\n# late\n");
	assert_int_equal(files_in_dir(), 1);
}

static void copy_of_a_change_in_place_is_read_and_goes_with_the_next(void **state)
{
	g_autofree char *copy = g_build_filename(dir, ".tls-keys.copy", NULL);
	g_autoptr(keyfile) kf = NULL;

	put(ID_A, KEY_1);
	put(ID_B, KEY_1);
	assert_int_equal(rename(path, copy), 0);
	assert_true(g_file_set_contents(path, "NVMe0R01 nqn", -1, NULL));
	assert_int_equal(keyfile_read(path, &kf), 0);
	assert_int_equal(keyfile_lines(kf), 2);
	put(ID_A, OTHER);
	content_is(ID_A " " OTHER "\n" ID_B " " KEY_1 "\n");
	assert_int_equal(files_in_dir(), 1);
}

static void last_good_line_of_an_identity_counts(void **state)
{
	const char *file = ID_A " " OTHER "\n" ID_B " " KEY_1 "\n" ID_A " " KEY_1 "\n" ID_A
				" nonsense\n";
	g_autoptr(keyfile) kf = keyfile_parse(file, strlen(file));
	g_auto(keyfile_entry) entry = {0};
	g_auto(interchange) key = {0};

	assert_int_equal(interchange_parse(KEY_1, &key, NULL), 0);
	assert_true(keyfile_get(kf, ID_A, &entry));
	assert_true(secret_equal(&entry.key.key, &key.key));
	keyfile_entry_clear(&entry);
	assert_false(keyfile_get(kf, "NVMe0R01 nqn.h nqn.c", &entry));
}

static void secret_of_dh_hmac_chap_is_no_bad_line(void **state)
{
	assert_int_equal(kind_of("nqn.h DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:"),
			 KEYFILE_CHAP);
	assert_int_equal(kind_of("nqn.h DHHC-1:"), KEYFILE_BAD);
	assert_int_equal(kind_of("DHHC-1:00:ia6z:"), KEYFILE_BAD);
}

static void dangling_link_is_no_key_file(void **state)
{
	g_autoptr(keyfile) kf = NULL;

	assert_int_equal(symlink("nowhere", path), 0);
	assert_int_equal(keyfile_edit(path, true, &kf), -ENOLINK);
	assert_int_equal(keyfile_edit(path, false, &kf), -ENOLINK);
	assert_int_equal(keyfile_read(path, &kf), -ENOLINK);
	assert_int_equal(files_in_dir(), 1);
}

static void nothing_is_made_without_leave(void **state)
{
	g_autoptr(keyfile) kf = NULL;

	assert_int_equal(keyfile_edit(path, false, &kf), -ENOENT);
	assert_int_equal(files_in_dir(), 0);
	assert_int_equal(keyfile_edit(path, true, &kf), 0);
	assert_false(keyfile_remove(kf, ID_A));
	assert_int_equal(keyfile_prepare(kf), 0);
	assert_int_equal(keyfile_commit(kf), 0);
	g_clear_pointer(&kf, keyfile_free);
	assert_int_equal(files_in_dir(), 0);
}

static void leftover_of_a_crash_goes_with_the_next_change(void **state)
{
	g_autofree char *fresh = g_build_filename(dir, ".tls-keys.new", NULL);

	assert_true(g_file_set_contents(fresh, "half a l", -1, NULL));
	put(ID_A, KEY_1);
	content_is(ID_A " " KEY_1 "\n");
	assert_int_equal(files_in_dir(), 1);
}

static void symbolic_link_stays_one(void **state)
{
	g_autofree char *link = g_build_filename(dir, "link", NULL);
	g_autofree char *keep = path;

	put(ID_A, KEY_1);
	assert_int_equal(symlink("tls-keys", link), 0);
	path = link;
	put(ID_B, KEY_1);
	path = g_steal_pointer(&keep);
	assert_true(g_file_test(link, G_FILE_TEST_IS_SYMLINK));
	content_is(ID_A " " KEY_1 "\n" ID_B " " KEY_1 "\n");
}

static void changes_at_once_lose_none(void **state)
{
	enum { CHILDREN = 12 };
	g_autoptr(keyfile) kf = NULL;
	size_t entries = 0;

	for (int i = 0; i < CHILDREN; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			g_autofree char *id = g_strdup_printf("NVMe0R01 nqn.h nqn.s%d", i);

			put(id, KEY_1);
			_exit(0);
		}
	}
	for (int i = 0; i < CHILDREN; i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(keyfile_read(path, &kf), 0);
	for (size_t i = 0; i < keyfile_lines(kf); i++) {
		g_auto(keyfile_entry) entry = {0};

		entries += keyfile_line(kf, i, &entry) == KEYFILE_ENTRY;
	}
	assert_int_equal(entries, CHILDREN);
}

static void file_that_others_can_read_is_told_with_the_remedy(void **state)
{
	g_autoptr(keyfile) kf = NULL;
	g_autofree char *problem = NULL, *expected = NULL;

	put(ID_A, KEY_1);
	assert_int_equal(keyfile_read(path, &kf), 0);
	if (getuid() == 0)
		assert_null(keyfile_problem(kf));
	g_clear_pointer(&kf, keyfile_free);

	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(keyfile_read(path, &kf), 0);
	problem = keyfile_problem(kf);
	expected = getuid() == 0 ? g_strdup_printf("chmod 600 '%s'", path)
				 : g_strdup_printf("chown root:root '%s'", path);
	assert_non_null(strstr(problem, expected));
}

static void folder_is_no_key_file(void **state)
{
	g_autoptr(keyfile) kf = NULL;

	assert_int_equal(keyfile_edit(dir, true, &kf), -ENOTSUP);
	assert_int_equal(keyfile_read(dir, &kf), -EISDIR);
}

int main(void)
{
#define with_dir(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_both_format_versions_are_entries),
		cmocka_unit_test(comments_and_blank_lines_are_no_keys),
		cmocka_unit_test(bad_line_is_told_by_its_cause),
		cmocka_unit_test(names_of_any_form_are_taken),
		with_dir(new_file_is_for_root_only),
		with_dir(change_keeps_comments_and_order),
		with_dir(new_identity_takes_the_line_of_the_old_one),
		with_dir(removal_takes_that_identity_only),
		with_dir(change_that_is_not_committed_changes_nothing),
		with_dir(full_disk_leaves_the_old_file_whole),
		with_dir(line_added_without_the_lock_stays),
		with_dir(line_taken_without_the_lock_stays_away),
		with_dir(writer_with_the_old_file_open_is_waited_for),
		with_dir(copy_of_a_change_in_place_is_read_and_goes_with_the_next),
		cmocka_unit_test(last_good_line_of_an_identity_counts),
		cmocka_unit_test(secret_of_dh_hmac_chap_is_no_bad_line),
		with_dir(dangling_link_is_no_key_file),
		with_dir(nothing_is_made_without_leave),
		with_dir(leftover_of_a_crash_goes_with_the_next_change),
		with_dir(symbolic_link_stays_one),
		with_dir(changes_at_once_lose_none),
		with_dir(file_that_others_can_read_is_told_with_the_remedy),
		with_dir(folder_is_no_key_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
