// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of the collection of a ClientHello, of what it offers, of its binder, and of what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tlshd/worker/auth-psk.h"
#include "tlshd/worker/binder.h"
#include "tlshd/worker/hello.h"
#include "tlshd/worker/plain.h"

#define ID "NVMe0R01 nqn.host nqn.io-1"

static void put(GByteArray *to, const void *bytes, size_t len)
{
	g_byte_array_append(to, bytes, (guint)len);
}

static void put8(GByteArray *to, size_t n)
{
	put(to, &(uint8_t){(uint8_t)n}, 1);
}

static void put16(GByteArray *to, size_t n)
{
	put8(to, n >> 8);
	put8(to, n & 0xff);
}

struct identity {
	const char *name;
	uint32_t age;
};

/* A ClientHello with these identities, and @binders of 32 bytes: the number of each in all of them. */
static GByteArray *make_hello(const struct identity *identities, size_t n, size_t binders,
			      bool psk_last, size_t padding)
{
	static const uint8_t versions[] = {0, 43, 0, 3, 2, 3, 4}, modes[] = {0, 45, 0, 2, 1, 1};
	g_autoptr(GByteArray) list = g_byte_array_new(), extensions = g_byte_array_new();
	GByteArray *m = g_byte_array_new();
	uint8_t zeros[32] = {0};

	for (size_t i = 0; i < n; i++) {
		put16(list, strlen(identities[i].name));
		put(list, identities[i].name, strlen(identities[i].name));
		put16(list, identities[i].age >> 16);
		put16(list, identities[i].age & 0xffff);
	}
	put(extensions, versions, sizeof(versions));
	put(extensions, modes, sizeof(modes));
	if (padding) {
		g_autofree uint8_t *bytes = g_malloc0(padding);

		put16(extensions, 21);
		put16(extensions, padding);
		put(extensions, bytes, padding);
	}
	put16(extensions, 41);
	put16(extensions, 2 + list->len + 2 + binders * 33);
	put16(extensions, list->len);
	put(extensions, list->data, list->len);
	put16(extensions, binders * 33);
	for (size_t i = 0; i < binders; i++) {
		uint8_t binder[32];

		memset(binder, (int)i, sizeof(binder));
		put8(extensions, sizeof(binder));
		put(extensions, binder, sizeof(binder));
	}
	if (!psk_last)
		put(extensions, (const uint8_t[]){0, 28, 0, 2, 2, 1}, 6);
	put(m, (const uint8_t[]){1, 0, 0, 0, 3, 3}, 6);
	put(m, zeros, sizeof(zeros));
	put(m, (const uint8_t[]){0, 0, 2, 0x13, 1, 1, 0}, 7);
	put16(m, extensions->len);
	put(m, extensions->data, extensions->len);
	m->data[2] = (uint8_t)((m->len - 4) >> 8);
	m->data[3] = (uint8_t)(m->len - 4);
	return m;
}

/* @m in records of @piece bytes, to a collector that gets @at_once bytes at a time. */
static int collect(struct hello *h, const GByteArray *m, size_t piece, size_t at_once)
{
	g_autoptr(GByteArray) wire = g_byte_array_new();
	size_t at = 0;

	for (size_t from = 0; from < m->len; from += piece) {
		size_t n = MIN(piece, m->len - from);

		put(wire, (const uint8_t[]){22, 3, 1}, 3);
		put16(wire, n);
		put(wire, m->data + from, n);
	}
	hello_init(h);
	while (at < wire->len && hello_wanted(h)) {
		size_t n = MIN(MIN(hello_wanted(h), at_once), wire->len - at);

		if (hello_add(h, wire->data + at, n) < 0)
			return h->refused.cause;
		at += n;
	}
	assert_int_equal(h->complete, at == wire->len);
	return CAUSE_SUCCESS;
}

static void a_hello_is_the_same_however_it_is_cut(void **state)
{
	const struct identity identity = {ID, 0};
	g_autoptr(GByteArray) m = make_hello(&identity, 1, 1, true, 0);
	struct hello h;

	for (size_t piece = m->len / HELLO_RECORDS_MAX + 1; piece <= m->len; piece++) {
		for (size_t at_once = 1; at_once <= m->len; at_once += 7) {
			assert_int_equal(collect(&h, m, piece, at_once), CAUSE_SUCCESS);
			assert_true(h.complete);
			assert_int_equal(h.message->len, m->len);
			assert_memory_equal(h.message->data, m->data, m->len);
			hello_clear(&h);
		}
	}
}

static void records_and_bytes_of_a_hello_have_a_limit(void **state)
{
	const struct identity identity = {ID, 0};
	g_autoptr(GByteArray) m = make_hello(&identity, 1, 1, true, 0);
	g_autoptr(GByteArray) none = make_hello(&identity, 1, 1, true, 1);
	g_autoptr(GByteArray)
		longest = make_hello(&identity, 1, 1, true, HELLO_MAX - none->len + 1);
	g_autoptr(GByteArray)
		too_long = make_hello(&identity, 1, 1, true, HELLO_MAX - none->len + 2);
	struct hello h;

	assert_int_equal(longest->len, HELLO_MAX);
	assert_int_equal(collect(&h, longest, 512, 4096), CAUSE_SUCCESS);
	hello_clear(&h);
	assert_int_equal(collect(&h, too_long, 512, 4096), CAUSE_HELLO_TOO_LONG);
	assert_true(h.message->len <= 512); /* as soon as it says so */
	hello_clear(&h);
	assert_int_equal(collect(&h, m, 1, 4096), CAUSE_TOO_MANY_RECORDS);
	assert_int_equal(h.message->len, HELLO_RECORDS_MAX);
	hello_clear(&h);
}

static void the_identity_is_the_one_that_gnutls_takes(void **state)
{
	static const struct {
		struct identity identities[3];
		int ours; /* -1 for none */
	} rows[] = {
		{{{"a", 0}, {"b", 0}, {"c", 0}}, 0},
		{{{"a", 1}, {"b", 0}, {"c", 0}}, 1},
		{{{"a", 0x10000}, {"b", 0xffffffff}, {"c", 0}}, 2},
		{{{"a", 1}, {"b", 0x100}, {"c", 0x1000000}}, -1},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GByteArray) m = make_hello(rows[i].identities, 3, 3, true, 0);
		struct hello_offer offer;
		struct hello h;

		assert_int_equal(collect(&h, m, 40, 4096), CAUSE_SUCCESS);
		hello_read(&h, &offer);
		assert_true(offer.well_formed && offer.tls13 && offer.psk_modes && offer.psk_dhe);
		assert_true(offer.psk_last);
		assert_int_equal(offer.n_identities, 3);
		if (rows[i].ours < 0) {
			assert_null(offer.identity.data);
		} else {
			const struct identity *want = &rows[i].identities[rows[i].ours];

			assert_int_equal(offer.identity.size, strlen(want->name));
			assert_memory_equal(offer.identity.data, want->name, offer.identity.size);
			assert_int_equal(offer.binder.size, 32);
			assert_int_equal(offer.binder.data[31], rows[i].ours);
			/* the truncated message ends before the length of the binders */
			assert_ptr_equal(offer.before_binders.data, h.message->data);
			assert_int_equal(offer.before_binders.size, m->len - 3 * 33 - 2);
		}
		hello_clear(&h);
	}
}

static void psk_has_to_be_last_with_a_binder_each(void **state)
{
	const struct identity two[] = {{"a", 0}, {"b", 0}};

	for (size_t binders = 1; binders <= 3; binders++) {
		for (int last = 0; last < 2; last++) {
			g_autoptr(GByteArray) m = make_hello(two, 2, binders, last, 0);
			struct hello_offer offer;
			struct hello h;

			assert_int_equal(collect(&h, m, m->len, m->len), CAUSE_SUCCESS);
			hello_read(&h, &offer);
			assert_true(offer.well_formed);
			assert_int_equal(offer.psk_last, binders == 2 && last);
			assert_int_equal(offer.short_records, !last);
			hello_clear(&h);
		}
	}
}

static void what_cannot_become_a_hello_is_refused_at_once(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		enum cause cause;
		int alert;
	} rows[] = {
		{"\x14\x03\x03\x00\x01", 5, CAUSE_UNEXPECTED_MESSAGE, 10},
		{"\x16\x03\x01\x00\x02\x01\x00\x14\x03\x03\x00\x01", 12, CAUSE_UNEXPECTED_MESSAGE,
		 10},
		{"\x17\x03\x03\x00\x02", 5, CAUSE_UNEXPECTED_MESSAGE, 10},
		{"\x16\x03\x01\x00\x00", 5, CAUSE_UNEXPECTED_MESSAGE, 10},
		{"\x16\x03\x01\x00\x02\x01\x00\x16\x03\x01\x00\x00", 12, CAUSE_UNEXPECTED_MESSAGE,
		 10},
		{"\x16\x03\x01\x40\x01", 5, CAUSE_ILLEGAL_PARAMETER, 22},
		{"\x16\x03\x01\x00\x04\x02", 6, CAUSE_UNEXPECTED_MESSAGE, 10},
		{"\x16\x03\x01\x00\x05\x01\x00\x00\x00\x16", 10, CAUSE_UNEXPECTED_MESSAGE, 10},
		{"\x15\x03\x03\x00\x02\x02\x28", 7, CAUSE_PEER_ALERT, CAUSE_NO_ALERT},
		{"\x15\x03\x03\x00\x02\x01\x00", 7, CAUSE_PEER_CLOSED, CAUSE_NO_ALERT},
		{"\x15\x03\x03\x00\x03", 5, CAUSE_UNEXPECTED_MESSAGE, 10},
		{"\x16\x03\x01\x00\x02\x01\x00GET /", 12, CAUSE_NOT_TLS, 10},
		{"\x00\x00\x80\x00\x80", 5, CAUSE_PLAIN_NVME, 10},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct hello h;
		size_t at = 0;
		int r = 0;

		hello_init(&h);
		while (at < rows[i].len && r == 0) {
			size_t n = MIN(hello_wanted(&h), rows[i].len - at);

			r = hello_add(&h, rows[i].bytes + at, n);
			at += n;
		}
		assert_int_equal(at, rows[i].len);
		if (h.refused.cause != rows[i].cause || h.refused.alert_sent != rows[i].alert)
			fail_msg("row %zu: %s, alert %d", i, cause_info(h.refused.cause)->id,
				 h.refused.alert_sent);
		assert_int_equal(hello_wanted(&h), 0);
		hello_clear(&h);
	}
}

static void what_is_not_tls_is_named(void **state)
{
	static const struct {
		const char *bytes;
		enum cause cause;
	} rows[] = {
		{"\x16\x03\x01\x02\x00", CAUSE_SUCCESS},
		{"\x15\x03\x03\x00\x02", CAUSE_SUCCESS},
		{"\x00\x00\x80\x00\x80", CAUSE_PLAIN_NVME}, /* ICReq */
		{"\x00\x03\x80\x00\x80", CAUSE_PLAIN_NVME}, /* with flags */
		{"\x01\x00\x80\x00\x80", CAUSE_PLAIN_NVME}, /* ICResp */
		{"\x03\x00\x18\x00\x98", CAUSE_PLAIN_NVME}, /* C2HTermReq with 128 bytes of data */
		{"GET / HTTP/1.1", CAUSE_PLAIN_HTTP},
		{"OPTIONS *", CAUSE_PLAIN_HTTP},
		{"PRI * HTTP/2.0", CAUSE_PLAIN_HTTP},
		{"HTTP/1.1 400", CAUSE_PLAIN_HTTP},
		{"GETAWAY", CAUSE_NOT_TLS},
		{"\x80\x00\x00\x28\x5a", CAUSE_PLAIN_RPC}, /* a NULL call of 40 bytes */
		{"\x80\x2e\x01\x03\x01", CAUSE_NO_TLS13}, /* SSL 2.0's CLIENT-HELLO */
		{"SSH-2.0", CAUSE_NOT_TLS},
		{"\x16\x02\x01\x02\x00", CAUSE_NOT_TLS},
		{"\x00\x00\x00\x00\x00", CAUSE_NOT_TLS},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		if (plain_cause((const uint8_t *)rows[i].bytes) != rows[i].cause)
			fail_msg("row %zu is %s", i,
				 cause_info(plain_cause((const uint8_t *)rows[i].bytes))->id);
}

static ssize_t keep(gnutls_transport_ptr_t ptr, const void *bytes, size_t len)
{
	put(ptr, bytes, len);
	return (ssize_t)len;
}

static ssize_t nothing(gnutls_transport_ptr_t ptr, void *bytes, size_t len)
{
	return 0;
}

/* GnuTLS's ClientHello with a key of @fill, of a hash. */
static GByteArray *gnutls_hello(enum psk_hash hash, uint8_t fill)
{
	static struct auth_psk_shared all;
	GByteArray *wire = g_byte_array_new(), *message = g_byte_array_new();
	gnutls_datum_t key, name = {(void *)ID, sizeof(ID) - 1};
	uint8_t bytes[SECRET_MAX];
	gnutls_session_t tls;

	memset(bytes, fill, sizeof(bytes));
	key = (gnutls_datum_t){bytes, (unsigned int)psk_hash_size(hash)};
	assert_int_equal(auth_psk_shared_init(&all, NULL, false), 0);
	gnutls_psk_set_client_credentials2(all.client[hash], &name, &key, GNUTLS_PSK_KEY_RAW);
	gnutls_init(&tls, GNUTLS_CLIENT);
	gnutls_priority_set_direct(tls, "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK", NULL);
	gnutls_credentials_set(tls, GNUTLS_CRD_PSK, all.client[hash]);
	gnutls_transport_set_ptr(tls, wire);
	gnutls_transport_set_push_function(tls, keep);
	gnutls_transport_set_pull_function(tls, nothing);
	gnutls_handshake(tls);
	gnutls_deinit(tls);
	auth_psk_shared_clear(&all);
	put(message, wire->data + 5, (size_t)wire->data[3] << 8 | wire->data[4]);
	g_byte_array_unref(wire);
	return message;
}

static void a_binder_is_right_with_its_key_and_no_other(void **state)
{
	for (enum psk_hash hash = PSK_HASH_SHA256; hash <= PSK_HASH_SHA384; hash++) {
		g_autoptr(GByteArray) m = NULL;
		struct hello_offer offer;
		secret psk = {.len = psk_hash_size(hash)};
		struct hello h;

		if (!auth_psk_has_hash(hash))
			continue;
		m = gnutls_hello(hash, 7);
		assert_int_equal(collect(&h, m, m->len, m->len), CAUSE_SUCCESS);
		hello_read(&h, &offer);
		assert_true(offer.psk_last);
		memset(psk.data, 7, psk.len);
		assert_int_equal(binder_is_right(&offer, &psk, hash), 1);
		/* one bit of the key, of the binder, of what it covers; a hash of another length */
		psk.data[psk.len - 1] ^= 1;
		assert_int_equal(binder_is_right(&offer, &psk, hash), 0);
		psk.data[psk.len - 1] ^= 1;
		offer.binder.data[offer.binder.size - 1] ^= 1;
		assert_int_equal(binder_is_right(&offer, &psk, hash), 0);
		offer.binder.data[offer.binder.size - 1] ^= 1;
		h.message->data[20] ^= 1;
		assert_int_equal(binder_is_right(&offer, &psk, hash), 0);
		h.message->data[20] ^= 1;
		offer.binder.size = hash == PSK_HASH_SHA256 ? 48 : 32;
		assert_int_equal(binder_is_right(&offer, &psk, hash), 0);
		hello_clear(&h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hello_is_the_same_however_it_is_cut),
		cmocka_unit_test(records_and_bytes_of_a_hello_have_a_limit),
		cmocka_unit_test(the_identity_is_the_one_that_gnutls_takes),
		cmocka_unit_test(psk_has_to_be_last_with_a_binder_each),
		cmocka_unit_test(what_cannot_become_a_hello_is_refused_at_once),
		cmocka_unit_test(what_is_not_tls_is_named),
		cmocka_unit_test(a_binder_is_right_with_its_key_and_no_other),
	};

	return cmocka_run_group_tests_name("hello", tests, NULL, NULL);
}
