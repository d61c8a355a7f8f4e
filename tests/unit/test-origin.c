// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of how nvme-tls check finds out in which way a loaded key was derived. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "nvme-tls/origin.h"

#define HOST "nqn.2014-08.org.nvmexpress:uuid:befdec4c-2234-11b2-a85c-ca77c773af36"
#define SUBSYS "nqn.io-1"

/* A keyring with one key. */
struct loaded {
	char *identity;
	secret psk;
};

static enum ring_state compare(const char *identity, const secret *psk, key_serial *serial,
			       int *err, void *data)
{
	const struct loaded *loaded = data;

	*err = 0;
	*serial = 0;
	if (strcmp(identity, loaded->identity) != 0)
		return RING_NONE;
	*serial = 7;
	return secret_equal(psk, &loaded->psk) ? RING_SAME : RING_DIFFERENT;
}

/* The origins that are the loaded key, which shall be one. */
static const origin *only_same(GPtrArray *origins)
{
	const origin *same = NULL;

	for (guint i = 0; i < origins->len; i++) {
		const origin *o = g_ptr_array_index(origins, i);

		assert_int_equal(o->serial, o->state == RING_NONE ? 0 : 7);
		if (o->state != RING_SAME)
			continue;
		assert_null(same);
		same = o;
	}
	return same;
}

static void make_psk(enum psk_hash hash, size_t len, interchange *ic)
{
	ic->version = 1;
	ic->hash = hash;
	ic->key.len = len;
	for (size_t i = 0; i < len; i++)
		ic->key.data[i] = (uint8_t)(i * 7 + 1);
}

static void every_way_of_deriving_is_found(void **state)
{
	static const struct {
		enum psk_hash hash;
		size_t len;
	} psks[] = {{PSK_HASH_SHA256, 32},
		    {PSK_HASH_SHA384, 48},
		    {PSK_HASH_NONE, 32},
		    {PSK_HASH_NONE, 48}};

	for (size_t p = 0; p < G_N_ELEMENTS(psks); p++) {
		g_auto(interchange) ic = {0};

		make_psk(psks[p].hash, psks[p].len, &ic);
		for (int n = 0; n < 2 * PSK_DERIVATIONS; n++) {
			const struct psk_recipe recipe = {HOST, SUBSYS, n % 2,
							  (enum psk_derivation)(n / 2)};
			g_autoptr(GPtrArray) origins = NULL;
			struct loaded loaded = {0};
			const origin *same;

			assert_int_equal(psk_derive(&ic, &recipe, &loaded.identity, &loaded.psk),
					 0);
			origins = origins_find(&ic, HOST, SUBSYS, compare, &loaded);
			same = only_same(origins);
			assert_non_null(same);
			assert_int_equal(same->version, recipe.version);
			assert_int_equal(same->hash, ic.hash);
			assert_true(same->derivations & 1u << recipe.derivation);
			assert_string_equal(same->identity, loaded.identity);
			g_free(loaded.identity);
		}
	}
}

static void a_key_made_without_the_transform_is_found(void **state)
{
	const struct psk_recipe recipe = {HOST, SUBSYS, 1, PSK_COMPAT_2_7};
	g_auto(interchange) given = {0}, used = {0};
	g_autoptr(GPtrArray) origins = NULL;
	g_autofree char *users = NULL, *option = NULL;
	struct loaded loaded = {0};
	const origin *same;

	make_psk(PSK_HASH_SHA384, 48, &given);
	make_psk(PSK_HASH_NONE, 48, &used);
	assert_int_equal(psk_derive(&used, &recipe, &loaded.identity, &loaded.psk), 0);
	origins = origins_find(&given, HOST, SUBSYS, compare, &loaded);
	same = only_same(origins);
	assert_non_null(same);
	assert_int_equal(same->hash, PSK_HASH_NONE);
	users = origin_users(same);
	option = origin_option(same);
	assert_string_equal(option, "--compat=2.7");
	assert_non_null(strstr(users, "2.7 to 2.10"));
	g_free(loaded.identity);
}

/* What two eras derive alike is one finding, with both eras' programs and the shorter option. */
static void eras_that_agree_are_one_origin(void **state)
{
	const struct psk_recipe recipe = {HOST, SUBSYS, 0, PSK_COMPAT_2_7};
	g_auto(interchange) ic = {0};
	g_autoptr(GPtrArray) origins = NULL;
	g_autofree char *users = NULL, *option = NULL;
	struct loaded loaded = {0};
	const origin *same;

	make_psk(PSK_HASH_SHA256, 32, &ic);
	assert_int_equal(psk_derive(&ic, &recipe, &loaded.identity, &loaded.psk), 0);
	origins = origins_find(&ic, HOST, SUBSYS, compare, &loaded);
	same = only_same(origins);
	assert_non_null(same);
	assert_int_equal(same->derivations, 1u << PSK_COMPAT_2_7 | 1u << PSK_COMPAT_2_11);
	users = origin_users(same);
	option = origin_option(same);
	assert_string_equal(option, "--compat=2.11");
	assert_string_equal(users, "nvme-cli 2.11 to 2.15, nvme-cli 2.7 to 2.10");
	g_free(loaded.identity);
}

static void another_key_of_the_identity_is_no_origin(void **state)
{
	g_auto(interchange) ic = {0};
	g_autoptr(GPtrArray) origins = NULL;
	struct loaded loaded = {.identity = (char[]){"NVMe0R01 " HOST " " SUBSYS},
				.psk = {.len = 32}};

	make_psk(PSK_HASH_SHA256, 32, &ic);
	origins = origins_find(&ic, HOST, SUBSYS, compare, &loaded);
	assert_null(only_same(origins));
	assert_int_equal(((origin *)g_ptr_array_index(origins, 0))->state, RING_DIFFERENT);
}

/* RFC 8446 cannot take this identity of version 0; the eras without lengths in it did. */
static void names_too_long_for_one_derivation_leave_the_others(void **state)
{
	g_autofree char *tail = g_strnfill(200, 'x');
	g_autofree char *host = g_strconcat("nqn.", tail, NULL);
	const struct psk_recipe recipe = {host, host, 0, PSK_COMPAT_2_11};
	g_auto(interchange) ic = {0};
	g_autoptr(GPtrArray) origins = NULL;
	struct loaded loaded = {0};

	make_psk(PSK_HASH_SHA256, 32, &ic);
	assert_int_equal(psk_derive(&ic, &recipe, &loaded.identity, &loaded.psk), 0);
	origins = origins_find(&ic, host, host, compare, &loaded);
	assert_non_null(only_same(origins));
	g_free(loaded.identity);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_way_of_deriving_is_found),
		cmocka_unit_test(a_key_made_without_the_transform_is_found),
		cmocka_unit_test(eras_that_agree_are_one_origin),
		cmocka_unit_test(another_key_of_the_identity_is_no_origin),
		cmocka_unit_test(names_too_long_for_one_derivation_leave_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
