// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of nvme-tls doctor --connect, against targets that another process plays, good and bad ones. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <gnutls/gnutls.h>

#include "doctor-world.h"
#include "nvme-tls/doctor-link.h"
#include "nvme-tls/doctor-pdu.h"
#include "tests/unit/skip.h"

#define IDENTITY "NVMe0R01 nqn.h nqn.s"

/** struct target - what a target does. */
struct target {
	bool plain; /* closes what begins like TLS, and answers in the clear */
	bool silent; /* says nothing at all */
	bool other_key;
	bool unknown; /* sends the alert unknown_psk_identity */
	const uint8_t *icresp; /* of 128 bytes; NULL for the right one */
	uint16_t status;
	uint32_t result;
	bool ends; /* sends a C2HTermReq for a Connect */
};

static const uint8_t good_icresp[DOCTOR_PDU_ICREQ] = {0x01, 0, 128, 0, 128};
static const uint8_t term[24] = {0x03, 0, 24, 0, 24, 0, 0, 0, 2};
static uint8_t key_bytes[32] = "this is the key of the test....";

/* ---- the target, in a process of its own ---- */

static int give_key(gnutls_session_t tls, const gnutls_datum_t *name, gnutls_datum_t *key)
{
	const struct target *t = gnutls_session_get_ptr(tls);

	if (name->size != strlen(IDENTITY) || memcmp(name->data, IDENTITY, name->size) != 0)
		_exit(2);
	key->data = gnutls_malloc(sizeof(key_bytes));
	memcpy(key->data, key_bytes, sizeof(key_bytes));
	key->data[0] ^= t->other_key;
	key->size = sizeof(key_bytes);
	return 0;
}

static void receive_all(gnutls_session_t tls, uint8_t *bytes, size_t len)
{
	while (len) {
		ssize_t r = gnutls_record_recv(tls, bytes, len);

		if (r <= 0)
			_exit(3);
		bytes += r;
		len -= (size_t)r;
	}
}

static void speak_nvme(const struct target *t, gnutls_session_t tls)
{
	uint8_t icreq[DOCTOR_PDU_ICREQ], connect[DOCTOR_PDU_CONNECT],
		response[24] = {0x05, 0, 24, 0, 24};

	receive_all(tls, icreq, sizeof(icreq));
	if (icreq[0] != 0 || icreq[2] != 128)
		_exit(4);
	gnutls_record_send(tls, t->icresp ? t->icresp : good_icresp, sizeof(good_icresp));
	if (t->icresp)
		return;
	receive_all(tls, connect, sizeof(connect));
	if (strcmp((char *)connect + 72 + 256, "nqn.s") != 0 ||
	    strcmp((char *)connect + 72 + 512, "nqn.h") != 0)
		_exit(5);
	for (int i = 0; i < 4; i++)
		response[8 + i] = (uint8_t)(t->result >> 8 * i);
	response[20] = connect[10];
	response[21] = connect[11];
	response[22] = (uint8_t)(t->status << 1);
	response[23] = (uint8_t)(t->status >> 7);
	gnutls_record_send(tls, t->ends ? term : response, sizeof(response));
}

/* Like OpenSSL's servers it sends a session ticket before anybody asks. */
static void speak_tls(const struct target *t, int fd)
{
	gnutls_psk_server_credentials_t credentials;
	gnutls_datum_t ticket_key;
	gnutls_session_t tls;
	int r;

	gnutls_psk_allocate_server_credentials(&credentials);
	gnutls_psk_set_server_credentials_function2(credentials, give_key);
	gnutls_init(&tls, GNUTLS_SERVER);
	gnutls_session_set_ptr(tls, (void *)t);
	gnutls_session_ticket_key_generate(&ticket_key);
	gnutls_session_ticket_enable_server(tls, &ticket_key);
	gnutls_priority_set_direct(tls, "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK:+DHE-PSK",
				   NULL);
	gnutls_credentials_set(tls, GNUTLS_CRD_PSK, credentials);
	gnutls_transport_set_int(tls, fd);
	if (t->unknown) {
		uint8_t hello[5];

		if (recv(fd, hello, sizeof(hello), MSG_PEEK | MSG_WAITALL) != sizeof(hello))
			_exit(6);
		gnutls_alert_send(tls, GNUTLS_AL_FATAL, GNUTLS_A_UNKNOWN_PSK_IDENTITY);
		return;
	}
	do
		r = gnutls_handshake(tls);
	while (r < 0 && !gnutls_error_is_fatal(r));
	if (r < 0)
		gnutls_alert_send_appropriate(tls, r);
	else
		speak_nvme(t, tls);
}

static void speak_plainly(int fd)
{
	uint8_t bytes[DOCTOR_PDU_ICREQ];

	if (recv(fd, bytes, 1, MSG_PEEK) == 1 && bytes[0] == 0 &&
	    recv(fd, bytes, sizeof(bytes), MSG_WAITALL) == sizeof(bytes))
		send(fd, good_icresp, sizeof(good_icresp), MSG_NOSIGNAL);
}

/* What a peer has not read yet would turn a close into a reset. */
static void close_gently(int fd)
{
	uint8_t rest[4096];

	shutdown(fd, SHUT_WR);
	while (recv(fd, rest, sizeof(rest), 0) > 0)
		;
	close(fd);
}

static void serve(const struct target *t, int listener)
{
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (t->plain)
			speak_plainly(fd);
		else if (!t->silent)
			speak_tls(t, fd);
		/* The second connection comes while the first is still open. */
		if (t->plain)
			close(fd);
		else if (!t->silent)
			close_gently(fd);
	}
}

/* Return: the target's process; its address is in @text. */
static pid_t start_target(const struct target *t, char text[32])
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 8), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	g_snprintf(text, 32, "127.0.0.1:%u", ntohs(address.sin_port));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
		serve(t, listener);
	}
	close(listener);
	return pid;
}

static void stop_target(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	/* A target that ended by itself did not get what it expects. */
	assert_true(WIFSIGNALED(status));
}

/* ---- what doctor says of it ---- */

/* Return: false where there are no keyrings. */
static bool connects_to(struct world *w, const struct target *t)
{
	g_auto(secret) psk = SECRET_INIT;
	char address[32];
	key_row *row;
	pid_t pid;

	secret_set(&psk, key_bytes, sizeof(key_bytes));
	g_ptr_array_set_size(w->d.rows, 0);
	row = world_key(w, IDENTITY);
	row->serial = keyring_stage("user", IDENTITY, &psk);
	if (row->serial < 0)
		return false;
	w->d.ring.serial = 1;
	g_free(w->o.hostnqn);
	g_free(w->o.subsysnqn);
	g_free(w->o.connect);
	w->o.hostnqn = g_strdup("nqn.h");
	w->o.subsysnqn = g_strdup("nqn.s");
	pid = start_target(t, address);
	w->o.connect = g_strdup(address);
	world_check(w, doctor_connect);
	stop_target(pid);
	return true;
}

#define CONNECTS_TO(w, ...)                                           \
	do {                                                          \
		if (!connects_to((w), &(struct target){__VA_ARGS__})) \
			SKIP_WITHOUT("keyrings");                     \
	} while (0)

static void good_target_is_named_with_cipher_and_controller(void **state)
{
	struct world *w = *state;

	CONNECTS_TO(w, .result = 7);
	world_is_fine(w);
	world_finds(w, LEVEL_OK, "TLS 1.3 with 127.0.0.1:", NULL);
	world_finds(w, LEVEL_OK, "identity \"" IDENTITY "\"", NULL);
	world_finds(w, LEVEL_OK, "controller 7", NULL);
}

static void other_key_is_told_by_its_alert(void **state)
{
	struct world *w = *state;

	CONNECTS_TO(w, .other_key = true);
	world_finds(w, LEVEL_FAULT, "the target has another key under this identity",
		    "nvme-tls insert --identity=0 --hostnqn=nqn.h --subsysnqn=nqn.s");
}

static void unknown_identity_is_told_by_its_alert(void **state)
{
	struct world *w = *state;

	CONNECTS_TO(w, .unknown = true);
	world_finds(w, LEVEL_FAULT, "TLS alert 115", "nvme-tls insert");
	world_finds(w, LEVEL_FAULT, "the target has no key of this identity", NULL);
}

static void port_without_tls_is_found_out(void **state)
{
	struct world *w = *state;

	CONNECTS_TO(w, .plain = true);
	world_finds(w, LEVEL_FAULT, "the port has no TLS, and answers in the clear", "tls1.3");
}

static void refused_host_is_told_in_words(void **state)
{
	struct world *w = *state;

	CONNECTS_TO(w, .status = 0x4184, .result = 0x10200);
	world_finds(w, LEVEL_FAULT, "invalid host", "allowed_hosts");
	CONNECTS_TO(w, .status = 0x4182, .result = 0x10100);
	world_finds(w, LEVEL_FAULT, "does not export the subsystem nqn.s", NULL);
	CONNECTS_TO(w, .status = 0x181);
	world_finds(w, LEVEL_FAULT, "controller busy", NULL);
	CONNECTS_TO(w, .result = 0x20001);
	world_finds(w, LEVEL_WARNING, "asks for DH-HMAC-CHAP", "dhchap-secret");
}

static void end_by_the_target_is_told_in_words(void **state)
{
	struct world *w = *state;

	CONNECTS_TO(w, .ends = true);
	world_finds(w, LEVEL_FAULT, "PDU sequence error", "dmesg");
}

static void answer_that_makes_no_sense_is_refused(void **state)
{
	static const uint8_t garbage[DOCTOR_PDU_ICREQ] = "HTTP/1.1 200 OK";
	static const uint8_t response[DOCTOR_PDU_ICREQ] = {0x05, 0, 24, 0, 24, [20] = 1};
	struct world *w = *state;

	CONNECTS_TO(w, .icresp = garbage);
	world_finds(w, LEVEL_FAULT, "the answer makes no sense", NULL);
	CONNECTS_TO(w, .icresp = response);
	world_finds(w, LEVEL_FAULT, "another answer came", NULL);
}

static void nobody_there_is_told(void **state)
{
	struct world *w = *state;
	char address[32];

	stop_target(start_target(&(struct target){.silent = true}, address));
	world_key(w, IDENTITY);
	w->o.hostnqn = g_strdup("nqn.h");
	w->o.subsysnqn = g_strdup("nqn.s");
	w->o.connect = g_strdup(address);
	world_check(w, doctor_connect);
	world_finds(w, LEVEL_FAULT, "Connection refused", "ss -ltn");
	g_ptr_array_set_size(w->d.rows, 0);
	world_check(w, doctor_connect);
	world_finds(w, LEVEL_FAULT, "no key for the host nqn.h and the subsystem nqn.s",
		    "nvme-tls insert");
}

/* The limit is one of time that passes, however often the target says a little. */
static void silent_target_is_not_waited_for(void **state)
{
	g_auto(secret) psk = SECRET_INIT;
	g_auto(doctor_link_end) end = {0};
	g_autofree char *why = NULL;
	g_autoptr(doctor_link) link = NULL;
	struct policy policy;
	char address[32];
	pid_t pid = start_target(&(struct target){.silent = true}, address);

	secret_set(&psk, key_bytes, sizeof(key_bytes));
	assert_int_equal(policy_init(&policy, &why), 0);
	link = doctor_link_open("127.0.0.1", strchr(address, ':') + 1, 1, &why);
	assert_non_null(link);
	assert_int_equal(doctor_link_handshake(link, IDENTITY, &psk, &policy, &end), -EPROTO);
	assert_true(end.late);
	assert_int_equal(end.alert, -1);
	policy_clear(&policy);
	stop_target(pid);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_make, world_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(good_target_is_named_with_cipher_and_controller),
		CASE(other_key_is_told_by_its_alert),
		CASE(unknown_identity_is_told_by_its_alert),
		CASE(port_without_tls_is_found_out),
		CASE(refused_host_is_told_in_words),
		CASE(end_by_the_target_is_told_in_words),
		CASE(answer_that_makes_no_sense_is_refused),
		CASE(nobody_there_is_told),
		CASE(silent_target_is_not_waited_for),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
