// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of a signer whose broker has ended: what was granted is still signed, and then it ends too. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <glib.h>
#include <gnutls/abstract.h>

#include "tlshd/shared/content.h"
#include "tlshd/shared/ipc.h"
#include "tlshd/shared/memfile.h"
#include "tlshd/signer/signer.h"
#include "tlshd/worker/desk.h"

/* Far more than a signer needs, on a machine that has much else to do. */
#define PATIENCE_MS 60000
#define NOBODY 65534
#define FOR_EVER (UINT64_MAX / 2)
#define ALGORITHM GNUTLS_SIGN_ECDSA_SECP256R1_SHA256

static gnutls_privkey_t key;
static gnutls_pubkey_t public_key;
static gnutls_datum_t der; /* of the private key */
static uint8_t hash_bytes[32] = "what both have seen";
static const gnutls_datum_t hash = {hash_bytes, sizeof(hash_bytes)};

static struct {
	pid_t pid;
	int sock; /* the broker's */
	int desk; /* the worker's */
} signer;

static int make_key(void **state)
{
	gnutls_x509_privkey_t made;

	assert_int_equal(gnutls_x509_privkey_init(&made), 0);
	assert_int_equal(gnutls_x509_privkey_generate(made, GNUTLS_PK_ECDSA,
						      GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1),
						      0),
			 0);
	assert_int_equal(gnutls_x509_privkey_export2_pkcs8(made, GNUTLS_X509_FMT_DER, NULL,
							   GNUTLS_PKCS_PLAIN, &der),
			 0);
	assert_int_equal(gnutls_privkey_init(&key), 0);
	assert_int_equal(gnutls_privkey_import_x509(key, made, GNUTLS_PRIVKEY_IMPORT_AUTO_RELEASE),
			 0);
	assert_int_equal(gnutls_pubkey_init(&public_key), 0);
	assert_int_equal(gnutls_pubkey_import_privkey(public_key, key, 0, 0), 0);
	return 0;
}

static int free_key(void **state)
{
	gnutls_pubkey_deinit(public_key);
	gnutls_privkey_deinit(key);
	gnutls_free(der.data);
	return 0;
}

/* One that has no keys of its own, as for mounts that name theirs. */
static int be_born(void **state)
{
	const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
	union ipc_message m = {
		.birth = {.header = {IPC_BIRTH, 0}, .role = IPC_ROLE_SIGNER, .stay = 1}};
	union ipc_message answer, desk = {.desk = {.header = {IPC_DESK, 0}, .worker = 1}};
	struct pollfd born;
	const char *why;
	int theirs, fd;

	assert_int_equal(ipc_pair(&signer.sock, &theirs), 0);
	signer.pid = fork();
	assert_true(signer.pid >= 0);
	if (signer.pid == 0) {
		close(signer.sock);
		signer_main(theirs, getuid() ? getuid() : NOBODY, getgid() ? getgid() : NOBODY);
	}
	close(theirs);
	g_strlcpy(m.birth.version, version_of_build(), sizeof(m.birth.version));
	assert_int_equal(ipc_send(signer.sock, &m, -1, true), 0);
	born = (struct pollfd){.fd = signer.sock, .events = POLLIN};
	do {
		assert_int_equal(poll(&born, 1, PATIENCE_MS), 1);
		assert_int_equal(ipc_receive(signer.sock, IPC_BROKER_OF_SIGNER, &answer, &fd, &why),
				 0);
	} while (answer.header.type == IPC_LOG);
	assert_int_equal(answer.header.type, IPC_BORN);
	assert_int_equal(ipc_pair(&theirs, &signer.desk), 0);
	assert_int_equal(setsockopt(signer.desk, SOL_SOCKET, SO_RCVTIMEO, &patience,
				    sizeof(patience)),
			 0);
	assert_int_equal(ipc_send(signer.sock, &desk, theirs, true), 0);
	close(theirs);
	return 0;
}

static int bury(void **state)
{
	int status;

	if (signer.pid > 0) {
		kill(signer.pid, SIGKILL);
		waitpid(signer.pid, &status, 0);
	}
	if (signer.sock >= 0)
		close(signer.sock);
	if (signer.desk >= 0)
		close(signer.desk);
	return 0;
}

static void grant(uint32_t job, uint64_t deadline)
{
	union ipc_message m = {.grant = {{IPC_GRANT, job}, 1, HANDSHAKE_SERVER, deadline}};
	int fd = memfile_of_bytes(der.data, der.size);

	assert_true(fd >= 0);
	assert_int_equal(ipc_send(signer.sock, &m, fd, true), 0);
	close(fd);
}

static void broker_ends(void)
{
	close(signer.sock);
	signer.sock = -1;
}

static void worker_ends(void)
{
	close(signer.desk);
	signer.desk = -1;
}

static int ask(uint32_t job)
{
	uint8_t bytes[CONTENT_MAX];
	int len = content_make(HANDSHAKE_SERVER, hash_bytes, sizeof(hash_bytes), bytes);
	gnutls_datum_t signature, content = {bytes, (unsigned int)len};
	int r = desk_sign(signer.desk, job, false, ALGORITHM, &hash, &signature);

	if (r < 0)
		return r;
	assert_true(gnutls_pubkey_verify_data2(public_key, ALGORITHM, 0, &content, &signature) >=
		    0);
	gnutls_free(signature.data);
	return 0;
}

static bool is_there(void)
{
	return waitpid(signer.pid, NULL, WNOHANG) == 0;
}

/* It ends by itself, and well. */
static void assert_ends(void)
{
	int status;

	alarm(PATIENCE_MS / 1000);
	assert_int_equal(waitpid(signer.pid, &status, 0), signer.pid);
	alarm(0);
	signer.pid = 0;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void what_was_granted_is_signed_after_the_broker(void **state)
{
	grant(1, FOR_EVER);
	grant(2, FOR_EVER);
	broker_ends();
	assert_int_equal(ask(2), 0);
	assert_true(is_there());
	assert_int_equal(ask(1), 0);
	assert_ends();
}

static void without_a_grant_it_ends_with_the_broker(void **state)
{
	grant(1, FOR_EVER);
	assert_int_equal(ask(1), 0);
	broker_ends();
	assert_ends();
}

static void it_ends_with_the_last_worker(void **state)
{
	grant(1, FOR_EVER);
	broker_ends();
	worker_ends();
	assert_ends();
}

/* A deadline and ten seconds more, of which eleven are over. */
static void it_ends_with_the_last_deadline(void **state)
{
	grant(1, (uint64_t)g_get_monotonic_time() - 11 * G_USEC_PER_SEC);
	broker_ends();
	assert_ends();
}

static void a_foreign_signature_is_refused_after_the_broker_too(void **state)
{
	grant(1, FOR_EVER);
	broker_ends();
	assert_int_equal(ask(2), -EPIPE);
	assert_ends();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, be_born, bury)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_granted_is_signed_after_the_broker),
		TEST(without_a_grant_it_ends_with_the_broker),
		TEST(it_ends_with_the_last_worker),
		TEST(it_ends_with_the_last_deadline),
		TEST(a_foreign_signature_is_refused_after_the_broker_too),
	};

	return cmocka_run_group_tests(tests, make_key, free_key);
}
