// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of the credentials that the broker gives out: which set is in force, and who waits for the next. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <glib/gstdio.h>

#include "tlshd/broker/credentials.h"
#include "tlshd/broker/reader.h"
#include "tlshd/broker/signing.h"

/* A signer that loads what it is told to, when it is told to. */
struct signing {
	struct signing_params params;
	bool ended;
};

/* A reader that has read when it is told to. */
struct reader {
	struct reader_params params;
	struct stamps before;
};

static struct signing *newest;
static struct reader *reader;
static unsigned int n_signers, n_grants, n_left, n_readers;
static struct credentials *c;
static config settings;
static char *directory;
static struct credentials_set *born_with;
static unsigned int n_settled;

int reader_new(struct reader **out, const struct reader_params *params)
{
	assert_null(reader);
	reader = *out = g_new0(struct reader, 1);
	reader->params = *params;
	if (params->before)
		reader->before = *params->before;
	n_readers++;
	return 0;
}

void reader_free(struct reader *r)
{
	if (r)
		reader = NULL;
	g_free(r);
}

int signing_new(struct signing **out, const struct signing_params *params)
{
	newest = *out = g_new0(struct signing, 1);
	newest->params = *params;
	n_signers++;
	return 0;
}

void signing_free(struct signing *s)
{
	if (s == newest)
		newest = NULL;
	if (s)
		n_signers--;
	g_free(s);
}

void signing_leave(struct signing *s)
{
	n_left++;
	signing_free(s);
}

int signing_desk(struct signing *s, uint32_t worker)
{
	return dup(STDERR_FILENO);
}

int signing_grant(struct signing *s, uint32_t worker, uint32_t job, enum handshake_side side,
		  uint64_t deadline_usec, int key)
{
	n_grants++;
	return 0;
}

static void on_changed(void *ctx, struct credentials_set *set)
{
	credentials_set_unref(born_with);
	born_with = credentials_set_ref(set);
}

static void on_settled(void *ctx)
{
	n_settled++;
}

static const char *path_of(const char *name)
{
	g_autofree char *path = g_build_filename(directory, name, NULL);

	return g_intern_string(path);
}

/* As certificate managers do: a file of this name is another one than before. */
static void put(const char *name, const char *text)
{
	assert_true(g_file_set_contents(path_of(name), text, -1, NULL));
}

static int set_up(void **state)
{
	const struct credentials_params params = {.changed = on_changed, .settled = on_settled};

	directory = g_dir_make_tmp("test-credentials-XXXXXX", NULL);
	assert_non_null(directory);
	memset(&settings, 0, sizeof(settings));
	n_signers = n_grants = n_left = n_readers = n_settled = 0;
	for (size_t kind = CREDENTIAL_TRUST; kind <= CREDENTIAL_KEY; kind++) {
		static const char *const names[] = {"trust", "crl", "certificate", "key"};

		settings.x509[0][kind] = (char *)(uintptr_t)path_of(names[kind]);
		put(names[kind], "first");
	}
	c = credentials_new(&params);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"trust", "crl", "certificate", "key"};

	credentials_set_unref(g_steal_pointer(&born_with));
	credentials_free(c);
	assert_int_equal(n_signers, 0);
	assert_null(reader);
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		g_unlink(path_of(names[i]));
	g_rmdir(directory);
	g_clear_pointer(&directory, g_free);
	return 0;
}

static struct reader_file file_at(const char *path, size_t kind)
{
	return (struct reader_file){
		.configured = path || kind == CREDENTIAL_TRUST,
		.fd = path ? dup(STDERR_FILENO) : -1,
		.outcome = OUTCOME_INIT,
	};
}

/* The reader comes to an end, if there is one. */
static void read_files(void)
{
	struct reading what = {0};

	if (!reader)
		return;
	stamps_hold(&what.hold, &settings);
	stamps_look(&what.stamps, &settings, &what.hold);
	what.same = reader->params.before && stamps_are_equal(&what.stamps, &reader->before);
	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t kind = 0; !what.same && kind < CREDENTIAL_KINDS; kind++)
			what.files[owner][kind] = file_at(settings.x509[owner][kind], kind);
	reader->params.done(reader->params.ctx, &what);
}

/* The signer says what it has made of a client's credential. */
static void loaded(enum credential_kind kind, enum cause cause)
{
	const struct ipc_loaded m = {.side = HANDSHAKE_CLIENT, .kind = kind, .cause = cause};

	read_files();
	newest->params.loaded(newest->params.ctx, &m, -1);
}

static void load_all(void)
{
	read_files();
	newest->params.born(newest->params.ctx);
}

/* The first worker serves that was born with the newest set. */
static void enter(void)
{
	credentials_enter(c, born_with);
}

static void begin(void)
{
	credentials_configure(c, &settings);
	load_all();
	enter();
	n_settled = 0;
}

static void first_set_is_waited_for_until_a_worker_has_it(void **state)
{
	uint64_t load = 0;

	credentials_configure(c, &settings);
	assert_int_equal(credentials_check(c, false, &load), -EAGAIN);
	assert_false(credentials_suffice(c, false));
	load_all();
	assert_int_equal(n_settled, 0);
	assert_int_equal(credentials_check(c, false, &load), -EAGAIN);
	enter();
	assert_int_equal(n_settled, 1);
	assert_true(credentials_ended(c, load));
	assert_int_equal(credentials_check(c, false, &load), 0);
}

static void what_has_not_changed_is_not_loaded_again(void **state)
{
	uint64_t load = 0;

	begin();
	for (int i = 0; i < 3; i++)
		assert_int_equal(credentials_check(c, false, &load), 0);
	assert_int_equal(n_signers, 1);
}

static void own_certificate_of_before_suffices(void **state)
{
	uint64_t load = 0;

	begin();
	put("certificate", "second");
	put("key", "second");
	assert_int_equal(credentials_check(c, false, &load), -EAGAIN);
	assert_true(credentials_suffice(c, false));
	read_files();
	assert_true(credentials_suffice(c, false));
	assert_int_equal(n_signers, 2); /* that of before is there for its workers */
	load_all();
	assert_true(credentials_suffice(c, false));
	assert_false(credentials_ended(c, load));
	enter();
	assert_true(credentials_ended(c, load));
	assert_int_equal(n_signers, 1);
}

static void trust_of_before_does_not(void **state)
{
	static const char *const names[] = {"trust", "crl"};
	uint64_t load = 0;

	begin();
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		put(names[i], "second");
		assert_false(credentials_suffice(c, false));
		assert_int_equal(credentials_check(c, false, &load), -EAGAIN);
		assert_false(credentials_suffice(c, false));
		load_all();
		assert_false(credentials_suffice(c, false));
		enter();
		assert_true(credentials_suffice(c, false));
	}
}

static void change_during_a_load_is_waited_for_by_who_sees_it(void **state)
{
	uint64_t first = 0, second = 0, third = 0;

	begin();
	put("crl", "second");
	assert_int_equal(credentials_check(c, false, &first), -EAGAIN);
	read_files();
	put("crl", "the third");
	assert_int_equal(credentials_check(c, false, &second), -EAGAIN);
	assert_true(second > first);
	assert_int_equal(n_signers, 2); /* no load is broken off by the next */
	load_all();
	enter();
	assert_true(credentials_ended(c, first));
	assert_false(credentials_ended(c, second));
	assert_int_equal(credentials_check(c, false, &third), -EAGAIN);
	assert_int_equal(third, second);
	load_all();
	enter();
	assert_true(credentials_ended(c, third));
}

/* The reader may have looked at it before, so who comes meanwhile looks again. */
static void change_while_files_are_read_is_not_overlooked(void **state)
{
	uint64_t first = 0, second = 0, third = 0;

	begin();
	put("crl", "second");
	assert_int_equal(credentials_check(c, false, &first), -EAGAIN);
	assert_int_equal(credentials_check(c, false, &second), -EAGAIN);
	assert_true(second > first);
	put("crl", "the third");
	load_all();
	enter();
	assert_true(credentials_ended(c, first));
	assert_false(credentials_ended(c, second));
	assert_int_equal(credentials_check(c, false, &third),
			 0); /* that one it was that was read */
	assert_int_equal(n_readers, 2);
}

static void reload_breaks_off_what_is_read(void **state)
{
	uint64_t first = 0, second = 0;

	credentials_configure(c, &settings);
	assert_int_equal(credentials_check(c, false, &first), -EAGAIN);
	credentials_configure(c, &settings);
	assert_int_equal(n_readers, 2);
	assert_int_equal(credentials_check(c, false, &second), -EAGAIN);
	load_all();
	enter();
	assert_true(credentials_ended(c, first));
	assert_int_equal(n_signers, 1);
}

/* No disk is asked at a glance; who asks it, and learns that all is as before, leaves it at that. */
static void what_a_glance_does_not_tell_is_looked_at_and_not_loaded(void **state)
{
	g_autofree char *path = g_strconcat("/proc/self/root", path_of("crl"), NULL);
	uint64_t load = 0;

	settings.x509[0][CREDENTIAL_CRL] = path;
	begin();
	assert_int_equal(credentials_check(c, false, &load), -EAGAIN);
	assert_false(credentials_suffice(c, false));
	read_files();
	assert_int_equal(n_settled, 1);
	assert_true(credentials_ended(c, load));
	assert_int_equal(n_signers, 1);
	put("crl", "second");
	assert_int_equal(credentials_check(c, false, &load), -EAGAIN);
	read_files();
	assert_int_equal(n_signers, 2);
	assert_false(credentials_ended(c, load));
}

/* What there is stays, but nobody is let in by a list that has been replaced by one that nobody has read. */
static void files_that_are_not_read_change_nothing(void **state)
{
	struct credentials_set *before;
	uint64_t load = 0, next = 0;

	begin();
	before = born_with;
	put("crl", "second");
	assert_int_equal(credentials_check(c, false, &load), -EAGAIN);
	reader->params.gone(reader->params.ctx, "it died");
	assert_int_equal(n_settled, 1);
	assert_false(credentials_ended(c, load));
	assert_ptr_equal(born_with, before);
	assert_false(credentials_suffice(c, false));
	assert_int_equal(credentials_check(c, false, &next), -EAGAIN);
	assert_true(next > load);
	assert_null(reader); /* the next try comes later */
}

static void own_files_that_are_not_read_hold_up_nobody(void **state)
{
	uint64_t load = 0;

	begin();
	put("certificate", "second");
	assert_int_equal(credentials_check(c, false, &load), -EAGAIN);
	reader->params.gone(reader->params.ctx, "it died");
	assert_int_equal(credentials_check(c, false, &load), 0);
}

static void first_files_that_are_not_read_are_an_ending_with_a_cause(void **state)
{
	struct birth_credential out[CREDENTIALS_OF_WORKER];
	size_t n;
	int fd;

	credentials_configure(c, &settings);
	reader->params.gone(reader->params.ctx, "it died");
	enter();
	n = credentials_set_give(born_with, 1, out, &fd);
	assert_int_equal(fd, -1);
	assert_true(n >= CREDENTIAL_KEY);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(out[i].message.cause, CAUSE_SIGNER_GONE);
		assert_string_equal(out[i].message.text, "it died");
	}
	assert_false(credentials_suffice(c, false));
}

static void set_that_makes_no_sense_changes_nothing(void **state)
{
	struct credentials_set *before;
	uint64_t load = 0;

	begin();
	before = born_with;
	put("crl", "half of it");
	assert_int_equal(credentials_check(c, false, &load), -EAGAIN);
	loaded(CREDENTIAL_CRL, CAUSE_CREDENTIAL_MALFORMED);
	load_all();
	assert_int_equal(n_settled, 1);
	assert_true(credentials_ended(c, load));
	assert_ptr_equal(born_with, before);
	assert_int_equal(credentials_check(c, false, &load), 0);
	assert_true(credentials_suffice(c, false)); /* it has been tried */
}

/* Whoever is revoked does not wait for an administrator to mend a pair. */
static void new_list_counts_beside_a_pair_that_is_half_replaced(void **state)
{
	struct credentials_set *before;
	struct signing *keys;
	uint64_t load = 0;

	begin();
	before = born_with;
	keys = newest;
	put("key", "second");
	put("crl", "second");
	assert_int_equal(credentials_check(c, false, &load), -EAGAIN);
	loaded(CREDENTIAL_KEY, CAUSE_KEY_MISFIT);
	load_all();
	assert_ptr_not_equal(born_with, before);
	enter();
	assert_true(credentials_ended(c, load));
	assert_true(credentials_suffice(c, false));
	/* by the key of before, whose signer stays */
	assert_int_equal(n_signers, 1);
	assert_int_equal(credentials_set_grant(born_with, 1, 1, HANDSHAKE_CLIENT, 0, -1), 0);
	assert_int_equal(n_grants, 1);
	keys->params.gone(keys->params.ctx, "it died");
	assert_false(credentials_suffice(c, false));
}

/* Nobody has read the list: it is not passed over for want of a signer. */
static void set_without_a_signer_is_no_set(void **state)
{
	uint64_t load = 0;

	begin();
	put("crl", "second");
	assert_int_equal(credentials_check(c, false, &load), -EAGAIN);
	read_files();
	newest->params.gone(newest->params.ctx, "it died");
	assert_int_equal(n_settled, 1);
	assert_false(credentials_ended(c, load));
	assert_false(credentials_suffice(c, false));
	assert_int_equal(credentials_check(c, false, &load), -EAGAIN);
}

static void signer_that_dies_in_force_does_not_suffice(void **state)
{
	uint64_t load = 0;

	begin();
	newest->params.gone(newest->params.ctx, "it died");
	assert_false(credentials_suffice(c, false));
	/* The next one is not asked for at once, and who cannot wait is told. */
	assert_int_equal(credentials_check(c, false, &load), 0);
	assert_int_equal(n_signers, 1);
}

static void mount_that_names_its_key_needs_a_signer_that_stays(void **state)
{
	uint64_t load = 0;

	begin();
	assert_false(newest->params.stay);
	assert_int_equal(credentials_check(c, true, &load), -EAGAIN);
	read_files();
	assert_true(newest->params.stay);
	assert_false(credentials_suffice(c, true));
	assert_true(credentials_suffice(c, false));
	load_all();
	enter();
	assert_int_equal(credentials_check(c, true, &load), 0);
	assert_true(credentials_suffice(c, true));
}

static void signature_is_granted_where_there_is_a_key_for_the_side(void **state)
{
	begin();
	assert_int_equal(credentials_set_grant(born_with, 1, 1, HANDSHAKE_CLIENT, 0, -1), 0);
	assert_int_equal(n_grants, 1);
	assert_int_equal(credentials_set_grant(born_with, 1, 2, HANDSHAKE_SERVER, 0, -1), 0);
	assert_int_equal(n_grants, 1); /* a server has none */
	assert_int_equal(credentials_set_grant(NULL, 1, 3, HANDSHAKE_CLIENT, 0, -1), 0);
	assert_int_equal(credentials_set_grant(NULL, 1, 3, HANDSHAKE_CLIENT, 0, STDERR_FILENO),
			 -EPIPE);
	assert_int_equal(n_grants, 1);
}

/* A worker that goes on after its broker may have been granted what it has not asked for yet. */
static void broker_that_leaves_ends_no_signer(void **state)
{
	begin();
	credentials_leave(c);
	credentials_set_unref(g_steal_pointer(&born_with));
	credentials_free(g_steal_pointer(&c));
	assert_int_equal(n_signers, 0);
	assert_int_equal(n_left, 1);
}

static void worker_gets_no_key_and_no_name_of_one(void **state)
{
	struct birth_credential out[CREDENTIALS_OF_WORKER];
	bool key = false, desk = false;
	size_t n;
	int fd;

	begin();
	n = credentials_set_give(born_with, 1, out, &fd);
	for (size_t i = 0; i < n; i++) {
		desk |= out[i].message.kind == IPC_KIND_DESK && out[i].fd == fd;
		if (out[i].message.kind != CREDENTIAL_KEY)
			continue;
		key = true;
		assert_int_equal(out[i].fd, -1);
		assert_string_equal(out[i].message.text, "");
	}
	assert_true(key && desk);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(broker_that_leaves_ends_no_signer),
		TEST(first_set_is_waited_for_until_a_worker_has_it),
		TEST(what_has_not_changed_is_not_loaded_again),
		TEST(own_certificate_of_before_suffices),
		TEST(trust_of_before_does_not),
		TEST(change_during_a_load_is_waited_for_by_who_sees_it),
		TEST(change_while_files_are_read_is_not_overlooked),
		TEST(reload_breaks_off_what_is_read),
		TEST(what_a_glance_does_not_tell_is_looked_at_and_not_loaded),
		TEST(files_that_are_not_read_change_nothing),
		TEST(own_files_that_are_not_read_hold_up_nobody),
		TEST(first_files_that_are_not_read_are_an_ending_with_a_cause),
		TEST(set_that_makes_no_sense_changes_nothing),
		TEST(new_list_counts_beside_a_pair_that_is_half_replaced),
		TEST(set_without_a_signer_is_no_set),
		TEST(signer_that_dies_in_force_does_not_suffice),
		TEST(mount_that_names_its_key_needs_a_signer_that_stays),
		TEST(signature_is_granted_where_there_is_a_key_for_the_side),
		TEST(worker_gets_no_key_and_no_name_of_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
