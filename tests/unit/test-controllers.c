// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of what nvme-tls finds out about this machine's NVMe controllers, with a sysfs of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "nvme-tls/controllers.h"

struct sysfs {
	char *root;
};

static int make_sysfs(void **state)
{
	struct sysfs *sysfs = g_new0(struct sysfs, 1);

	sysfs->root = g_dir_make_tmp("test-controllers-XXXXXX", NULL);
	*state = sysfs;
	return sysfs->root ? 0 : -1;
}

static int remove_sysfs(void **state)
{
	struct sysfs *sysfs = *state;
	char *argv[] = {(char[]){"rm"}, (char[]){"-r"}, sysfs->root, NULL};
	gboolean ok = g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL,
				   NULL, NULL);

	g_free(sysfs->root);
	g_free(sysfs);
	return ok ? 0 : -1;
}

/* Makes folders and files below the root: pairs of a name and its content, NULL for a folder. */
static void put(const struct sysfs *sysfs, const char *folder, const char *const *files)
{
	g_autofree char *dir = g_build_filename(sysfs->root, folder, NULL);

	assert_int_equal(g_mkdir_with_parents(dir, 0700), 0);
	for (; *files; files += 2) {
		g_autofree char *path = g_build_filename(dir, files[0], NULL);

		if (files[1])
			assert_true(g_file_set_contents(path, files[1], -1, NULL));
		else
			assert_int_equal(g_mkdir_with_parents(path, 0700), 0);
	}
}

/* As Linux 6.12 and 7.2 have it; each test changes one thing. */
static void put_controller(const struct sysfs *sysfs, const char *name, const char *tls_key)
{
	g_autofree char *folder = g_build_filename("class/nvme", name, NULL);
	const char *const files[] = {
		"address",   "traddr=10.9.0.2,trsvcid=4420,src_addr=10.9.0.1\n",
		"hostnqn",   "nqn.h\n",
		"state",     "live\n",
		"subsysnqn", "nqn.io-1\n",
		"tls_key",   tls_key,
		NULL,	     NULL};

	put(sysfs, folder, files);
}

static void *at(GPtrArray *all, guint i)
{
	assert_true(i < all->len);
	return g_ptr_array_index(all, i);
}

static void connection_tells_its_key_pair_and_disks(void **state)
{
	g_autoptr(GPtrArray) all = NULL;
	const controller *c;
	g_autofree char *text = NULL;

	put_controller(*state, "nvme0", "0a5e8b85\n");
	put(*state, "class/nvme/nvme0",
	    (const char *const[]){"nvme0c0n2", NULL, "nvme0n1", NULL, "tls_mode", "concat\n", NULL,
				  NULL});
	all = controllers_read(((struct sysfs *)*state)->root);
	assert_int_equal(all->len, 1);
	c = at(all, 0);
	assert_int_equal(c->key, 0x0a5e8b85);
	assert_int_equal(c->configured, 0);
	assert_true(controller_uses(c, 0x0a5e8b85));
	assert_false(controller_uses(c, 0x0a5e8b86));
	assert_false(controller_uses(c, 0));
	assert_true(controller_of_pair(c, "nqn.h", "nqn.io-1"));
	assert_false(controller_of_pair(c, "nqn.h", "nqn.io-10"));
	text = controller_describe(c);
	assert_string_equal(text, "nvme0 (10.9.0.2:4420, concat, live; nvme0n1, nvme0n2)");
}

static void kernel_without_tls_mode_speaks_tls(void **state)
{
	g_autoptr(GPtrArray) all = NULL;

	put_controller(*state, "nvme0", "39823c43\n");
	all = controllers_read(((struct sysfs *)*state)->root);
	assert_string_equal(((controller *)at(all, 0))->mode, "tls");
}

static void key_that_was_given_is_used_without_a_connection(void **state)
{
	g_autoptr(GPtrArray) all = NULL;

	put_controller(*state, "nvme0", "\n");
	put(*state, "class/nvme/nvme0",
	    (const char *const[]){"tls_configured_key", "00000007\n", "state", "connecting\n", NULL,
				  NULL});
	all = controllers_read(((struct sysfs *)*state)->root);
	assert_true(controller_uses(at(all, 0), 7));
	assert_string_equal(((controller *)at(all, 0))->state, "connecting");
}

static void controllers_without_tls_are_left_out(void **state)
{
	g_autoptr(GPtrArray) all = NULL;

	put(*state, "class/nvme/nvme0",
	    (const char *const[]){"address", "0000:01:00.0\n", "subsysnqn", "nqn.disk\n", NULL,
				  NULL});
	all = controllers_read(((struct sysfs *)*state)->root);
	assert_int_equal(all->len, 0);
}

/* Linux 7.2 has no serial there while a controller is reset, and it is still one of the host's. */
static void controller_that_connects_again_has_no_key(void **state)
{
	static const char *const texts[] = {"\n", "not a serial\n", "ffffffff\n", ""};
	g_autoptr(GPtrArray) all = NULL;

	for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autofree char *name = g_strdup_printf("nvme%u", i);

		put_controller(*state, name, texts[i]);
	}
	all = controllers_read(((struct sysfs *)*state)->root);
	assert_int_equal(all->len, G_N_ELEMENTS(texts));
	for (guint i = 0; i < all->len; i++) {
		assert_int_equal(((controller *)at(all, i))->key, 0);
		assert_true(controller_of_pair(at(all, i), "nqn.h", "nqn.io-1"));
		assert_false(controller_uses(at(all, i), 0));
	}
}

static void machine_without_nvme_has_no_controllers(void **state)
{
	g_autoptr(GPtrArray) all = controllers_read(((struct sysfs *)*state)->root);

	assert_int_equal(all->len, 0);
}

static void controllers_are_in_the_order_of_their_numbers(void **state)
{
	g_autoptr(GPtrArray) all = NULL;

	put_controller(*state, "nvme10", "00000001\n");
	put_controller(*state, "nvme9", "00000001\n");
	put_controller(*state, "nvme1", "00000001\n");
	all = controllers_read(((struct sysfs *)*state)->root);
	assert_string_equal(((controller *)at(all, 0))->name, "nvme1");
	assert_string_equal(((controller *)at(all, 1))->name, "nvme9");
	assert_string_equal(((controller *)at(all, 2))->name, "nvme10");
}

static void ipv6_address_has_brackets(void **state)
{
	g_autoptr(GPtrArray) all = NULL;

	put_controller(*state, "nvme0", "00000001\n");
	put(*state, "class/nvme/nvme0",
	    (const char *const[]){"address", "traddr=fd00:9::2,trsvcid=4420\n", NULL, NULL});
	all = controllers_read(((struct sysfs *)*state)->root);
	assert_string_equal(((controller *)at(all, 0))->address, "[fd00:9::2]:4420");
}

static void names_of_the_peer_do_not_reach_the_terminal(void **state)
{
	g_autoptr(GPtrArray) all = NULL;
	g_autofree char *text = NULL;

	put_controller(*state, "nvme0", "00000001\n");
	put(*state, "class/nvme/nvme0",
	    (const char *const[]){"address", "\033]0;owned\a\n", NULL, NULL});
	all = controllers_read(((struct sysfs *)*state)->root);
	text = controller_describe(at(all, 0));
	assert_null(strchr(text, '\033'));
	assert_null(strchr(text, '\a'));
}

static void target_is_found_by_its_exact_name(void **state)
{
	const char *root = ((struct sysfs *)*state)->root;

	put(*state, "kernel/config/nvmet/subsystems",
	    (const char *const[]){"nqn.io-10", NULL, "file", "", NULL, NULL});
	assert_true(controllers_has_target(root, "nqn.io-10"));
	assert_false(controllers_has_target(root, "nqn.io-1"));
	assert_false(controllers_has_target(root, "file"));
	assert_false(controllers_has_target(root, ""));
	assert_false(controllers_has_target(root, "."));
	assert_false(controllers_has_target(root, ".."));
	assert_false(controllers_has_target(root, "../subsystems/nqn.io-10"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_sysfs, remove_sysfs)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(connection_tells_its_key_pair_and_disks),
		CASE(kernel_without_tls_mode_speaks_tls),
		CASE(key_that_was_given_is_used_without_a_connection),
		CASE(controllers_without_tls_are_left_out),
		CASE(controller_that_connects_again_has_no_key),
		CASE(machine_without_nvme_has_no_controllers),
		CASE(controllers_are_in_the_order_of_their_numbers),
		CASE(ipv6_address_has_brackets),
		CASE(names_of_the_peer_do_not_reach_the_terminal),
		CASE(target_is_found_by_its_exact_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
