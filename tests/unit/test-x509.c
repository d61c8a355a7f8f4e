// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of what a session makes of its peer's certificate and signature: the peer is a bare GnuTLS with
 * certificates that are made here, and the signer is a function of this file.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>

#include "tlshd/shared/content.h"
#include "tlshd/shared/memfile.h"
#include "tlshd/shared/revoked.h"
#include "tlshd/worker/auth-x509.h"
#include "tlshd/worker/desk.h"
#include "tlshd/worker/session.h"

#define DAY 86400L
#define CHAIN_MAX 3

enum key_kind { EC, ED25519, RSA, RSA_SHORT, KEY_KINDS };

/* What is made before any test runs. */
enum certificate_name {
	CA,
	OTHER_CA,
	WEAK_CA,
	OLD_CA,
	MIDDLE_CA,
	REVOKED_CA,
	NO_CA,
	GOOD,
	OWN,
	BY_MIDDLE,
	BY_REVOKED_CA,
	BY_OLD_CA,
	BY_WEAK_CA,
	BY_NO_CA,
	BY_OTHER,
	SELF,
	OLD,
	FUTURE,
	OLD_OF_OTHER,
	REVOKED,
	FOR_CODE,
	FOR_CLIENT,
	FOR_SERVER,
	ANY_PURPOSE,
	COMMON_NAME,
	SHORT_KEY,
	SHA1,
	ODD,
	OF_ED25519,
	OF_RSA,
	CERTIFICATES,
};

/* How one is made; what is not said is an end entity's of CA, by name and address, for 30 days. */
static const struct {
	const char *name;
	int issuer; /* an enum certificate_name, its own for one that signs itself */
	bool is_ca;
	enum key_kind key;
	long from, to; /* seconds from now; 0 for what is usual */
	const char *purpose;
	bool nameless; /* no subject alternative name */
	gnutls_digest_algorithm_t digest;
} recipes[CERTIFICATES] = {
	[CA] = {"ca", CA, true},
	[OTHER_CA] = {"other-ca", OTHER_CA, true},
	[WEAK_CA] = {"weak-ca", CA, true, RSA_SHORT},
	[OLD_CA] = {"old-ca", CA, true, EC, -3 * DAY, -2 * DAY},
	[MIDDLE_CA] = {"middle-ca", CA, true},
	[REVOKED_CA] = {"revoked-ca", CA, true},
	[NO_CA] = {"no-ca", CA},
	[GOOD] = {"good", CA},
	[OWN] = {"own", CA},
	[BY_MIDDLE] = {"by-middle", MIDDLE_CA},
	[BY_REVOKED_CA] = {"by-revoked-ca", REVOKED_CA},
	[BY_OLD_CA] = {"by-old-ca", OLD_CA},
	[BY_WEAK_CA] = {"by-weak-ca", WEAK_CA},
	[BY_NO_CA] = {"by-no-ca", NO_CA},
	[BY_OTHER] = {"by-other", OTHER_CA},
	[SELF] = {"self", SELF},
	[OLD] = {"old", CA, .from = -30 * DAY, .to = -3 * DAY - 60},
	[FUTURE] = {"future", CA, .from = 5 * 3600 + 60, .to = 30 * DAY},
	[OLD_OF_OTHER] = {"old-of-other", OTHER_CA, .from = -30 * DAY, .to = -3 * DAY},
	[REVOKED] = {"revoked", CA},
	[FOR_CODE] = {"for-code", CA, .purpose = GNUTLS_KP_CODE_SIGNING},
	[FOR_CLIENT] = {"for-client", CA, .purpose = GNUTLS_KP_TLS_WWW_CLIENT},
	[FOR_SERVER] = {"for-server", CA, .purpose = GNUTLS_KP_TLS_WWW_SERVER},
	[ANY_PURPOSE] = {"any-purpose", CA, .purpose = GNUTLS_KP_ANY},
	[COMMON_NAME] = {"common.test", CA, .nameless = true},
	[SHORT_KEY] = {"short-key", CA, .key = RSA_SHORT},
	[SHA1] = {"sha1", CA, .key = RSA, .digest = GNUTLS_DIG_SHA1},
	[ODD] = {"odd\nline\033[31m", CA},
	[OF_ED25519] = {"of-ed25519", CA, .key = ED25519},
	[OF_RSA] = {"of-rsa", CA, .key = RSA},
};

static gnutls_x509_crt_t crts[CERTIFICATES];
static gnutls_x509_privkey_t keys[KEY_KINDS];
static struct engine engine;

/* ---- certificates ---- */

static void make_keys(void)
{
	static const struct {
		gnutls_pk_algorithm_t pk;
		unsigned int bits;
	} kinds[KEY_KINDS] = {
		[EC] = {GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1)},
		[ED25519] = {GNUTLS_PK_EDDSA_ED25519,
			     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_ED25519)},
		[RSA] = {GNUTLS_PK_RSA, 2048},
		[RSA_SHORT] = {GNUTLS_PK_RSA, 1024},
	};

	for (size_t i = 0; i < KEY_KINDS; i++) {
		assert_int_equal(gnutls_x509_privkey_init(&keys[i]), 0);
		assert_int_equal(gnutls_x509_privkey_generate(keys[i], kinds[i].pk, kinds[i].bits,
							      0),
				 0);
	}
}

/* All certificates of a kind have one key: who signs is told by the name. */
static gnutls_x509_privkey_t key_of(size_t i)
{
	return keys[recipes[i].key];
}

static void set_names(gnutls_x509_crt_t crt)
{
	struct in6_addr v6;
	struct in_addr v4;

	inet_pton(AF_INET, "192.0.2.1", &v4);
	inet_pton(AF_INET6, "2001:db8::1", &v6);
	gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, "a.test", 6, 0);
	gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, "*.wild.test", 11,
					     GNUTLS_FSAN_APPEND);
	gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, &v4, sizeof(v4),
					     GNUTLS_FSAN_APPEND);
	gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, &v6, sizeof(v6),
					     GNUTLS_FSAN_APPEND);
}

static void make_certificate(size_t i)
{
	const char *name = recipes[i].name;
	const size_t issuer = (size_t)recipes[i].issuer;
	uint8_t serial = (uint8_t)(i + 1);
	gnutls_x509_crt_t crt;

	assert_int_equal(gnutls_x509_crt_init(&crt), 0);
	crts[i] = crt;
	gnutls_x509_crt_set_version(crt, 3);
	gnutls_x509_crt_set_key(crt, key_of(i));
	gnutls_x509_crt_set_serial(crt, &serial, 1);
	gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
				      (unsigned int)strlen(name));
	gnutls_x509_crt_set_activation_time(crt,
					    time(NULL) + (recipes[i].from ? recipes[i].from : -60));
	gnutls_x509_crt_set_expiration_time(crt, time(NULL) + (recipes[i].to ? recipes[i].to
									     : 30 * DAY));
	gnutls_x509_crt_set_basic_constraints(crt, recipes[i].is_ca, -1);
	if (!recipes[i].is_ca && !recipes[i].nameless)
		set_names(crt);
	if (recipes[i].purpose)
		gnutls_x509_crt_set_key_purpose_oid(crt, recipes[i].purpose, 0);
	assert_int_equal(gnutls_x509_crt_sign2(crt, crts[issuer], key_of(issuer),
					       recipes[i].digest ? recipes[i].digest
								 : GNUTLS_DIG_SHA256,
					       0),
			 0);
}

/* @other: another one of the same kind */
static gnutls_privkey_t abstract_key(size_t i, bool other)
{
	unsigned int bits;
	int pk = gnutls_x509_privkey_get_pk_algorithm2(key_of(i), &bits);
	gnutls_privkey_t key;

	assert_int_equal(gnutls_privkey_init(&key), 0);
	assert_int_equal(other ? gnutls_privkey_generate(key, (gnutls_pk_algorithm_t)pk, bits, 0)
			       : gnutls_privkey_import_x509(key, key_of(i), 0),
			 0);
	return key;
}

static void take(enum handshake_side side, uint32_t kind, const gnutls_datum_t *bytes)
{
	const struct ipc_credential c = {.side = side, .kind = kind};

	x509_take(&engine.x509, &c, memfile_of_bytes(bytes->data, bytes->size));
}

static void take_certificate(enum handshake_side side, uint32_t kind, size_t i)
{
	gnutls_datum_t pem;

	assert_int_equal(gnutls_x509_crt_export2(crts[i], GNUTLS_X509_FMT_PEM, &pem), 0);
	take(side, kind, &pem);
	gnutls_free(pem.data);
}

/* As the signer gives it: the index of a list. */
static void take_list(enum handshake_side side)
{
	const struct ipc_credential c = {.side = side, .kind = CREDENTIAL_CRL};
	gnutls_x509_crl_t crl;
	gnutls_datum_t pem;
	unsigned int lists, outdated;

	assert_int_equal(gnutls_x509_crl_init(&crl), 0);
	gnutls_x509_crl_set_version(crl, 2);
	gnutls_x509_crl_set_this_update(crl, time(NULL) - 60);
	gnutls_x509_crl_set_next_update(crl, time(NULL) + DAY);
	gnutls_x509_crl_set_crt(crl, crts[REVOKED], time(NULL));
	gnutls_x509_crl_set_crt(crl, crts[REVOKED_CA], time(NULL));
	assert_int_equal(gnutls_x509_crl_sign2(crl, crts[CA], key_of(CA), GNUTLS_DIG_SHA256, 0), 0);
	assert_int_equal(gnutls_x509_crl_export2(crl, GNUTLS_X509_FMT_PEM, &pem), 0);
	x509_take(&engine.x509, &c, revoked_index(&pem, &lists, &outdated));
	gnutls_free(pem.data);
	gnutls_x509_crl_deinit(crl);
}

/* ---- our end ---- */

int __wrap_desk_sign(int sock, uint32_t job, bool pq, gnutls_sign_algorithm_t algorithm,
		     const gnutls_datum_t *hash, gnutls_datum_t *signature);

/* In place of the signer. */
int __wrap_desk_sign(int sock, uint32_t job, bool pq, gnutls_sign_algorithm_t algorithm,
		     const gnutls_datum_t *hash, gnutls_datum_t *signature)
{
	uint8_t bytes[CONTENT_MAX];
	gnutls_privkey_t key = abstract_key(OWN, false);
	gnutls_datum_t content = {bytes, 0};
	int len = content_make(job == HANDSHAKE_CLIENT ? HANDSHAKE_CLIENT : HANDSHAKE_SERVER,
			       hash->data, hash->size, bytes);
	int r;

	assert_true(len > 0);
	content.size = (unsigned int)len;
	r = gnutls_privkey_sign_data2(key, algorithm, 0, &content, signature);
	gnutls_privkey_deinit(key);
	return r < 0 ? -EIO : 0;
}

static struct session *open_ours(int fd, enum handshake_side side, enum handshake_auth auth,
				 const char *peername)
{
	struct auth_x509_params x509 = {.x509 = &engine.x509,
					.policy = &engine.policy,
					.job = side,
					.side = side,
					.auth = auth,
					.peername = peername};
	struct session_params params = {.engine = &engine, .fd = fd, .side = side, .tickets = 0};

	params.auth = auth_x509_new(&x509);
	return session_new(&params);
}

/* ---- the peer ---- */

enum lie { HONEST, OTHER_KEY, OTHER_CONTENT, NOISE, SHORT };

struct bare {
	gnutls_session_t tls;
	gnutls_certificate_credentials_t credentials;
	gnutls_privkey_t key; /* that signs */
	enum lie lie;
	int result;
};

/* A signature of the peer's, with what is wrong with it. */
static int lie_about(const struct bare *b, gnutls_sign_algorithm_t algorithm, bool hashed,
		     const gnutls_datum_t *what, gnutls_datum_t *signature)
{
	unsigned char bytes[CONTENT_MAX];
	gnutls_datum_t copy = {bytes, what->size};
	int r;

	assert_true(what->size <= sizeof(bytes));
	memcpy(bytes, what->data, what->size);
	if (b->lie == OTHER_CONTENT)
		bytes[what->size - 1] ^= 1;
	r = hashed ? gnutls_privkey_sign_hash2(b->key, algorithm, 0, &copy, signature)
		   : gnutls_privkey_sign_data2(b->key, algorithm, 0, &copy, signature);
	if (r < 0)
		return r;
	if (b->lie == NOISE)
		memset(signature->data, 0x5a, signature->size);
	if (b->lie == SHORT)
		signature->size = 1;
	return 0;
}

static int bare_sign(gnutls_privkey_t key, gnutls_sign_algorithm_t algorithm, void *userdata,
		     unsigned int flags, const gnutls_datum_t *content, gnutls_datum_t *signature)
{
	return lie_about(userdata, algorithm, false, content, signature);
}

static int bare_sign_hash(gnutls_privkey_t key, gnutls_sign_algorithm_t algorithm, void *userdata,
			  unsigned int flags, const gnutls_datum_t *hash, gnutls_datum_t *signature)
{
	return lie_about(userdata, algorithm, true, hash, signature);
}

static int bare_describe(gnutls_privkey_t key, unsigned int flags, void *userdata)
{
	const struct bare *b = userdata;
	unsigned int bits;
	int pk = gnutls_privkey_get_pk_algorithm(b->key, &bits);

	if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO)
		return pk;
	if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS)
		return (int)bits;
	if (flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO)
		return gnutls_sign_supports_pk_algorithm(GNUTLS_FLAGS_TO_SIGN_ALGO(flags),
							 (gnutls_pk_algorithm_t)pk) != 0;
	return -1;
}

/* Opens the peer of a session whose side is @ours. @chain: an enum certificate_name each, -1 at its end */
static void bare_open(struct bare *b, int fd, enum handshake_side ours, const int *chain,
		      enum lie lie)
{
	bool client = ours == HANDSHAKE_SERVER;
	gnutls_pcert_st list[CHAIN_MAX];
	gnutls_privkey_t key;
	int n = 0;

	*b = (struct bare){.lie = lie, .result = GNUTLS_E_AGAIN};
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(gnutls_init(&b->tls,
				     (client ? GNUTLS_CLIENT : GNUTLS_SERVER) | GNUTLS_NONBLOCK),
			 0);
	assert_int_equal(gnutls_priority_set_direct(b->tls, "NORMAL:-VERS-ALL:+VERS-TLS1.3", NULL),
			 0);
	assert_int_equal(gnutls_certificate_allocate_credentials(&b->credentials), 0);
	for (; chain[n] >= 0; n++)
		assert_int_equal(gnutls_pcert_import_x509(&list[n], crts[chain[n]], 0), 0);
	if (n) {
		b->key = abstract_key((size_t)chain[0], lie == OTHER_KEY);
		assert_int_equal(gnutls_privkey_init(&key), 0);
		assert_int_equal(gnutls_privkey_import_ext4(key, b, bare_sign, bare_sign_hash, NULL,
							    NULL, bare_describe, 0),
				 0);
		gnutls_certificate_set_flags(b->credentials,
					     GNUTLS_CERTIFICATE_SKIP_KEY_CERT_MATCH);
		assert_int_equal(gnutls_certificate_set_key(b->credentials, NULL, 0, list, n, key),
				 0);
	}
	gnutls_credentials_set(b->tls, GNUTLS_CRD_CERTIFICATE, b->credentials);
	gnutls_transport_set_int(b->tls, fd);
}

static void bare_close(struct bare *b)
{
	gnutls_deinit(b->tls);
	gnutls_certificate_free_credentials(b->credentials);
	if (b->key)
		gnutls_privkey_deinit(b->key);
}

/* ---- the two against each other ---- */

struct run {
	enum handshake_side ours;
	enum handshake_auth auth;
	const char *peername;
	int chain[CHAIN_MAX + 1]; /* of the peer, as bare_open() */
	enum lie lie;
	int result; /* of our session */
	struct outcome outcome;
	int alert; /* that the peer has got, -1 for none */
};

static void handshake_with(struct run *r)
{
	int fd[2];
	struct session *s;
	struct bare b;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	s = open_ours(fd[0], r->ours, r->auth, r->peername ? r->peername : "");
	bare_open(&b, fd[1], r->ours, r->chain, r->lie);
	r->result = -EAGAIN;
	for (int i = 0; i < 20; i++) {
		if (r->result == -EAGAIN)
			r->result = session_step(s);
		if (b.result == GNUTLS_E_AGAIN || b.result == GNUTLS_E_INTERRUPTED)
			b.result = gnutls_handshake(b.tls);
	}
	/* A TLS 1.3 client is through before the server has seen its certificate. */
	if (b.result == 0 && r->result == -EPROTO)
		b.result = (int)gnutls_record_recv(b.tls, &(char){0}, 1);
	r->outcome = *session_outcome(s);
	r->alert = b.result == GNUTLS_E_FATAL_ALERT_RECEIVED ? (int)gnutls_alert_get(b.tls) : -1;
	bare_close(&b);
	session_free(s);
	close(fd[0]);
	close(fd[1]);
}

/* A row: the side of ours, the name that a client wants, the peer's chain, and what is to come of it. */
struct row {
	enum handshake_side ours;
	const char *peername;
	int chain[CHAIN_MAX + 1];
	enum cause cause;
	const char *detail; /* a part of it */
};

#define CLIENT HANDSHAKE_CLIENT
#define SERVER HANDSHAKE_SERVER

static void check_row(size_t i, const struct row *row)
{
	struct run r = {.ours = row->ours,
			.auth = row->ours == CLIENT ? HANDSHAKE_UNAUTH : HANDSHAKE_X509,
			.peername = row->peername};
	const struct cause_info *info = cause_info(row->cause);

	memcpy(r.chain, row->chain, sizeof(r.chain));
	handshake_with(&r);
	if (r.outcome.cause != row->cause || !strstr(r.outcome.detail, row->detail))
		fail_msg("row %zu: %s (%s), not %s (%s)", i, cause_info(r.outcome.cause)->id,
			 r.outcome.detail, info->id, row->detail);
	if (row->cause == CAUSE_SUCCESS) {
		assert_int_equal(r.result, 0);
		assert_int_equal(r.outcome.certified, row->chain[0] >= 0);
		return;
	}
	assert_int_equal(r.result, -EPROTO);
	assert_int_equal(cause_status(row->cause, true), EACCES);
	if (r.outcome.alert_sent != info->alert || r.alert != info->alert)
		fail_msg("row %zu: alert %d is sent and %d received, not %d", i,
			 r.outcome.alert_sent, r.alert, info->alert);
}

static void check_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check_row(i, &rows[i]);
}

static void a_certificate_that_is_good_is_accepted_with_its_name(void **state)
{
	static const struct row rows[] = {
		{CLIENT, "a.test", {GOOD, -1}, CAUSE_SUCCESS, "CN=good"},
		{CLIENT, "b.wild.test", {GOOD, -1}, CAUSE_SUCCESS, "CN=good"},
		{CLIENT, "192.0.2.1", {GOOD, -1}, CAUSE_SUCCESS, "CN=good"},
		{CLIENT, "2001:db8::1", {GOOD, -1}, CAUSE_SUCCESS, "CN=good"},
		{CLIENT, "[2001:db8::1]", {GOOD, -1}, CAUSE_SUCCESS, "CN=good"},
		{CLIENT, "a.test", {BY_MIDDLE, MIDDLE_CA, -1}, CAUSE_SUCCESS, "CN=by-middle"},
		{CLIENT, "a.test", {BY_MIDDLE, MIDDLE_CA, CA, -1}, CAUSE_SUCCESS, "CN=by-middle"},
		{CLIENT, "a.test", {ANY_PURPOSE, -1}, CAUSE_SUCCESS, "CN=any-purpose"},
		{CLIENT, "a.test", {OF_ED25519, -1}, CAUSE_SUCCESS, "CN=of-ed25519"},
		{CLIENT, "a.test", {OF_RSA, -1}, CAUSE_SUCCESS, "CN=of-rsa"},
		{SERVER, NULL, {GOOD, -1}, CAUSE_SUCCESS, "CN=good"},
		{SERVER, NULL, {BY_MIDDLE, MIDDLE_CA, -1}, CAUSE_SUCCESS, "CN=by-middle"},
		{SERVER, NULL, {COMMON_NAME, -1}, CAUSE_SUCCESS, "CN=common.test"},
		{SERVER, NULL, {-1}, CAUSE_SUCCESS, ""},
	};

	check_rows(rows, G_N_ELEMENTS(rows));
}

static void a_certificate_out_of_its_time_is_refused_with_how_far(void **state)
{
	static const struct row rows[] = {
		{CLIENT, "a.test", {OLD, -1}, CAUSE_EXPIRED, "CN=old ended 3 days ago"},
		{CLIENT, "a.test", {FUTURE, -1}, CAUSE_NOT_YET_VALID, "CN=future begins in 5 hours"},
		{CLIENT, "a.test", {BY_OLD_CA, OLD_CA, -1}, CAUSE_EXPIRED, "CN=old-ca ended 2 days"},
		{SERVER, NULL, {OLD, -1}, CAUSE_EXPIRED, "our clock says"},
		{SERVER, NULL, {FUTURE, -1}, CAUSE_NOT_YET_VALID, "our clock says"},
	};

	check_rows(rows, G_N_ELEMENTS(rows));
}

static void a_name_that_a_server_does_not_have_is_refused_with_those_it_has(void **state)
{
	static const char names[] =
		"the certificate is for a.test, *.wild.test, 192.0.2.1, 2001:db8::1";
	static const struct row rows[] = {
		{CLIENT, "b.test", {GOOD, -1}, CAUSE_WRONG_NAME, names},
		{CLIENT, "wild.test", {GOOD, -1}, CAUSE_WRONG_NAME, names},
		{CLIENT, "a.b.wild.test", {GOOD, -1}, CAUSE_WRONG_NAME, names},
		{CLIENT, "a.test.b.test", {GOOD, -1}, CAUSE_WRONG_NAME, "mounted as a.test.b.test"},
		{CLIENT, "good", {GOOD, -1}, CAUSE_WRONG_NAME, names},
		{CLIENT, "192.0.2.2", {GOOD, -1}, CAUSE_WRONG_NAME, names},
		{CLIENT, "2001:db8::2", {GOOD, -1}, CAUSE_WRONG_NAME, names},
		{CLIENT, "b.test", {COMMON_NAME, -1}, CAUSE_WRONG_NAME, "is for common.test"},
	};

	check_rows(rows, G_N_ELEMENTS(rows));
}

static void an_issuer_that_is_not_trusted_is_named(void **state)
{
	static const struct row rows[] = {
		{CLIENT, "a.test", {BY_OTHER, -1}, CAUSE_UNKNOWN_ISSUER, "the issuer CN=other-ca"},
		{CLIENT, "a.test", {BY_OTHER, OTHER_CA, -1}, CAUSE_UNKNOWN_ISSUER, "CN=other-ca"},
		{CLIENT, "a.test", {SELF, -1}, CAUSE_UNKNOWN_ISSUER, "the issuer CN=self"},
		/* the peer has left one out */
		{CLIENT, "a.test", {BY_MIDDLE, -1}, CAUSE_UNKNOWN_ISSUER, "CN=middle-ca"},
		/* signed by one that may not sign */
		{CLIENT, "a.test", {BY_NO_CA, NO_CA, -1}, CAUSE_UNKNOWN_ISSUER, "CN=by-no-ca"},
		{SERVER, NULL, {BY_OTHER, OTHER_CA, -1}, CAUSE_UNKNOWN_ISSUER, "CN=other-ca"},
		{SERVER, NULL, {SELF, -1}, CAUSE_UNKNOWN_ISSUER, "CN=self"},
		{SERVER, NULL, {BY_NO_CA, NO_CA, -1}, CAUSE_UNKNOWN_ISSUER, "CN=by-no-ca"},
	};

	check_rows(rows, G_N_ELEMENTS(rows));
}

static void what_is_in_the_list_is_revoked_and_so_is_what_it_has_signed(void **state)
{
	static const struct row rows[] = {
		{CLIENT, "a.test", {REVOKED, -1}, CAUSE_REVOKED, "CN=revoked"},
		{CLIENT, "a.test", {BY_REVOKED_CA, REVOKED_CA, -1}, CAUSE_REVOKED, "CN=revoked-ca"},
		{SERVER, NULL, {REVOKED, -1}, CAUSE_REVOKED, "CN=revoked"},
		{SERVER, NULL, {BY_REVOKED_CA, REVOKED_CA, -1}, CAUSE_REVOKED, "CN=revoked-ca"},
	};

	check_rows(rows, G_N_ELEMENTS(rows));
}

static void a_certificate_for_another_purpose_is_refused_with_its_own(void **state)
{
	static const struct row rows[] = {
		{CLIENT, "a.test", {FOR_CODE, -1}, CAUSE_WRONG_PURPOSE, GNUTLS_KP_CODE_SIGNING},
		{CLIENT, "a.test", {FOR_CLIENT, -1}, CAUSE_WRONG_PURPOSE, GNUTLS_KP_TLS_WWW_CLIENT},
		{CLIENT, "a.test", {FOR_SERVER, -1}, CAUSE_SUCCESS, "CN=for-server"},
		{SERVER, NULL, {FOR_CODE, -1}, CAUSE_WRONG_PURPOSE, GNUTLS_KP_CODE_SIGNING},
		{SERVER, NULL, {FOR_SERVER, -1}, CAUSE_WRONG_PURPOSE, GNUTLS_KP_TLS_WWW_SERVER},
		{SERVER, NULL, {FOR_CLIENT, -1}, CAUSE_SUCCESS, "CN=for-client"},
	};

	check_rows(rows, G_N_ELEMENTS(rows));
}

static void weak_keys_and_hashes_are_refused_wherever_they_are_in_the_chain(void **state)
{
	static const struct row rows[] = {
		{CLIENT, "a.test", {SHORT_KEY, -1}, CAUSE_WEAK_CERTIFICATE, "RSA with 1024 bits"},
		{CLIENT, "a.test", {SHA1, -1}, CAUSE_WEAK_CERTIFICATE, "its signature ECDSA-SHA1"},
		{CLIENT, "a.test", {BY_WEAK_CA, WEAK_CA, -1}, CAUSE_WEAK_CERTIFICATE, "1024 bits"},
		{SERVER, NULL, {SHORT_KEY, -1}, CAUSE_WEAK_CERTIFICATE, "RSA with 1024 bits"},
		{SERVER, NULL, {SHA1, -1}, CAUSE_WEAK_CERTIFICATE, "its signature ECDSA-SHA1"},
	};

	check_rows(rows, G_N_ELEMENTS(rows));
}

/* Who puts the first right finds the next; and a name must not be put right for one that is not trusted. */
static void of_several_faults_the_most_important_is_told(void **state)
{
	static const struct row rows[] = {
		{CLIENT, "b.test", {OLD, -1}, CAUSE_EXPIRED, "CN=old"},
		{CLIENT, "b.test", {OLD_OF_OTHER, -1}, CAUSE_UNKNOWN_ISSUER, "CN=other-ca"},
		{CLIENT, "b.test", {BY_OTHER, -1}, CAUSE_UNKNOWN_ISSUER, "CN=other-ca"},
		{CLIENT, "b.test", {FOR_CODE, -1}, CAUSE_WRONG_PURPOSE, ""},
		{CLIENT, "b.test", {REVOKED, -1}, CAUSE_WRONG_NAME, ""},
	};

	check_rows(rows, G_N_ELEMENTS(rows));
}

static void a_name_of_a_peers_cannot_break_a_line(void **state)
{
	struct run r = {.ours = SERVER, .auth = HANDSHAKE_X509, .chain = {ODD, -1}};

	handshake_with(&r);
	assert_int_equal(r.outcome.cause, CAUSE_SUCCESS);
	assert_non_null(strstr(r.outcome.detail, "CN=odd"));
	assert_null(strpbrk(r.outcome.detail, "\n\033"));
}

static void a_client_that_is_not_told_a_name_does_not_begin(void **state)
{
	struct run r = {.ours = CLIENT, .auth = HANDSHAKE_UNAUTH, .chain = {GOOD, -1}};

	handshake_with(&r);
	assert_int_equal(r.result, -EPROTO);
	assert_int_equal(r.outcome.cause, CAUSE_WRONG_NAME);
	assert_int_equal(r.alert, -1);
}

/* Who has no certificate of its own fails only where one is wanted. */
static void a_side_without_a_certificate_says_so(void **state)
{
	static const struct {
		enum handshake_side ours;
		enum handshake_auth auth;
		enum cause cause;
	} rows[] = {
		{CLIENT, HANDSHAKE_UNAUTH, CAUSE_SUCCESS},
		{CLIENT, HANDSHAKE_X509, CAUSE_NO_CLIENT_CERTIFICATE},
		{SERVER, HANDSHAKE_X509, CAUSE_NO_CERTIFICATE},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct run r = {.ours = rows[i].ours,
				.auth = rows[i].auth,
				.peername = "a.test",
				.chain = {GOOD, -1}};
		struct x509_owner *o = &engine.x509.owners[credential_owner(rows[i].ours)];
		struct x509_pair own = o->pairs[0];

		o->pairs[0] = (struct x509_pair){0};
		handshake_with(&r);
		o->pairs[0] = own;
		if (r.outcome.cause != rows[i].cause)
			fail_msg("row %zu: %s", i, cause_info(r.outcome.cause)->id);
	}
}

/* RFC 8446, 4.4.3: whoever does not have the key is told so, and the mount ends for good. */
static void a_signature_that_does_not_fit_the_certificate_is_told_apart(void **state)
{
	static const int certificates[] = {GOOD, OF_RSA, OF_ED25519};

	for (int ours = CLIENT; ours <= SERVER; ours++)
		for (size_t i = 0; i < G_N_ELEMENTS(certificates); i++)
			for (enum lie lie = HONEST; lie <= SHORT; lie++) {
				struct run r = {.ours = (enum handshake_side)ours,
						.auth = ours == CLIENT ? HANDSHAKE_UNAUTH
								       : HANDSHAKE_X509,
						.peername = "a.test",
						.chain = {certificates[i], -1},
						.lie = lie};

				handshake_with(&r);
				if (lie == HONEST && r.outcome.cause == CAUSE_SUCCESS)
					continue;
				if (lie == HONEST || r.outcome.cause != CAUSE_BAD_SIGNATURE ||
				    r.alert != GNUTLS_A_DECRYPT_ERROR ||
				    cause_status(r.outcome.cause, true) != EACCES)
					fail_msg("we are the %s, lie %d about %s: %s (%s), alert %d",
						 ours == CLIENT ? "client" : "server", lie,
						 recipes[certificates[i]].name,
						 cause_info(r.outcome.cause)->id, r.outcome.detail,
						 r.alert);
				assert_false(r.outcome.certified);
			}
}

static int set_up(void **state)
{
	char *why = NULL;

	make_keys();
	for (size_t i = 0; i < CERTIFICATES; i++)
		make_certificate(i);
	if (engine_init(&engine, false, &why) < 0)
		return -1;
	for (int side = CLIENT; side <= SERVER; side++) {
		take_certificate((enum handshake_side)side, CREDENTIAL_TRUST, CA);
		take_certificate((enum handshake_side)side, CREDENTIAL_CERTIFICATE, OWN);
		take_list((enum handshake_side)side);
	}
	return 0;
}

static int tear_down(void **state)
{
	engine_clear(&engine);
	for (size_t i = 0; i < CERTIFICATES; i++)
		gnutls_x509_crt_deinit(crts[i]);
	for (size_t i = 0; i < KEY_KINDS; i++)
		gnutls_x509_privkey_deinit(keys[i]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_certificate_that_is_good_is_accepted_with_its_name),
		cmocka_unit_test(a_certificate_out_of_its_time_is_refused_with_how_far),
		cmocka_unit_test(a_name_that_a_server_does_not_have_is_refused_with_those_it_has),
		cmocka_unit_test(an_issuer_that_is_not_trusted_is_named),
		cmocka_unit_test(what_is_in_the_list_is_revoked_and_so_is_what_it_has_signed),
		cmocka_unit_test(a_certificate_for_another_purpose_is_refused_with_its_own),
		cmocka_unit_test(weak_keys_and_hashes_are_refused_wherever_they_are_in_the_chain),
		cmocka_unit_test(of_several_faults_the_most_important_is_told),
		cmocka_unit_test(a_name_of_a_peers_cannot_break_a_line),
		cmocka_unit_test(a_client_that_is_not_told_a_name_does_not_begin),
		cmocka_unit_test(a_side_without_a_certificate_says_so),
		cmocka_unit_test(a_signature_that_does_not_fit_the_certificate_is_told_apart),
	};

	return cmocka_run_group_tests_name("x509", tests, set_up, tear_down);
}
