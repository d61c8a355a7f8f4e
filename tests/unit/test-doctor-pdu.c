// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of the PDUs that nvme-tls doctor --connect sends and takes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "nvme-tls/doctor-pdu.h"

static const uint8_t icresp[128] = {0x01, 0, 128, 0, 128};

static void icreq_is_that_of_the_specification(void **state)
{
	uint8_t out[DOCTOR_PDU_ICREQ];
	static const uint8_t head[] = {0x00, 0x00, 0x80, 0x00, 0x80, 0x00, 0x00, 0x00};

	memset(out, 0xff, sizeof(out));
	doctor_pdu_icreq(out);
	assert_memory_equal(out, head, sizeof(head));
	for (size_t i = sizeof(head); i < sizeof(out); i++)
		assert_int_equal(out[i], 0);
}

static void connect_has_the_names_where_the_specification_wants_them(void **state)
{
	static const uint8_t hostid[] = "0123456789abcdef";
	static const uint8_t head[] = {0x04, 0x00, 72, 72, 0x48, 0x04, 0x00, 0x00};
	uint8_t out[DOCTOR_PDU_CONNECT];

	memset(out, 0xff, sizeof(out));
	doctor_pdu_connect(out, hostid, "nqn.h", "nqn.s");
	assert_memory_equal(out, head, sizeof(head));
	assert_int_equal(out[8], 0x7f); /* Fabrics */
	assert_int_equal(out[8 + 4], 0x01); /* Connect */
	assert_memory_equal(out + 8 + 32, "\0\4\0\0\0\0\0\1",
			    8); /* SGL: 1024 bytes in the capsule */
	assert_memory_equal(out + 8 + 42, "\0\0", 2); /* the admin queue */
	assert_memory_equal(out + 72, hostid, 16);
	assert_memory_equal(out + 72 + 16, "\xff\xff", 2);
	assert_string_equal((char *)out + 72 + 256, "nqn.s");
	assert_string_equal((char *)out + 72 + 512, "nqn.h");
}

static void only_answers_that_can_come_have_a_size(void **state)
{
	static const struct {
		uint8_t head[DOCTOR_PDU_HEAD];
		int size;
	} heads[] = {
		{{0x01, 0, 128, 0, 128}, 128},
		{{0x01, 0, 128, 0, 128, 1}, -EPROTO},
		{{0x01, 0, 120, 0, 128}, -EPROTO},
		{{0x03, 0, 24, 0, 24}, 24},
		{{0x03, 0, 24, 0, 152}, 152},
		{{0x03, 0, 24, 0, 153}, -EPROTO},
		{{0x03, 0, 24, 0, 23}, -EPROTO},
		{{0x05, 0, 24, 0, 24}, 24},
		{{0x05, 0, 24, 0, 0xff, 0xff, 0xff, 0xff}, -EPROTO},
		{{0x00, 0, 128, 0, 128}, -EPROTO}, /* an ICReq is none */
		{{0x07, 0, 24, 24, 32}, -EPROTO}, /* data was not asked for */
		{{0x16, 3, 3, 0, 2}, -EPROTO}, /* TLS */
		{{'H', 'T', 'T', 'P', '/', '1', '.', '1'}, -EPROTO},
	};

	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
		assert_int_equal(doctor_pdu_size(heads[i].head), heads[i].size);
}

static void icresp_with_digests_or_of_another_format_is_refused(void **state)
{
	struct doctor_pdu pdu;
	uint8_t bytes[128];
	const char *why;

	assert_int_equal(doctor_pdu_parse(icresp, sizeof(icresp), &pdu, &why), 0);
	assert_int_equal(pdu.type, DOCTOR_PDU_ICRESP);
	assert_int_equal(doctor_pdu_parse(icresp, sizeof(icresp) - 1, &pdu, &why), -EPROTO);
	memcpy(bytes, icresp, sizeof(bytes));
	bytes[11] = 1;
	assert_int_equal(doctor_pdu_parse(bytes, sizeof(bytes), &pdu, &why), -EPROTO);
	assert_non_null(strstr(why, "digests"));
	bytes[11] = 0;
	bytes[8] = 1;
	assert_int_equal(doctor_pdu_parse(bytes, sizeof(bytes), &pdu, &why), -EPROTO);
	assert_non_null(strstr(why, "format"));
}

/* A CQE: four bytes of result, and at its end the command and the status, above the phase bit. */
static void make_response(uint8_t out[24], uint32_t result, uint16_t status, uint8_t command)
{
	const uint8_t bytes[24] = {0x05,
				   0,
				   24,
				   0,
				   24,
				   0,
				   0,
				   0,
				   (uint8_t)result,
				   (uint8_t)(result >> 8),
				   (uint8_t)(result >> 16),
				   (uint8_t)(result >> 24),
				   [20] = command,
				   [22] = (uint8_t)(status << 1),
				   [23] = (uint8_t)(status >> 7)};

	memcpy(out, bytes, sizeof(bytes));
}

static void status_of_connect_is_told_in_words(void **state)
{
	static const struct {
		uint16_t status;
		uint32_t result;
		const char *words;
	} answers[] = {
		{0, 1, "success"},
		{0x4184, 0x10200, "invalid host"}, /* with Do Not Retry */
		{0x4182, 0x10100, "invalid parameters: the subsystem NQN"},
		{0x182, 0x10200, "invalid parameters: the host NQN"},
		{0x182, 0x10010, "invalid parameters: the controller ID"},
		{0x182, 0x0002c, "invalid parameters: a field of the command"},
		{0x191, 0, "authentication required"},
		{0x181, 0, "controller busy"},
		{0x7ff, 0, "status 0x7ff"},
	};
	uint8_t bytes[24];

	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		g_autofree char *words = NULL;
		struct doctor_pdu pdu;
		const char *why;

		make_response(bytes, answers[i].result, answers[i].status, 1);
		assert_int_equal(doctor_pdu_parse(bytes, sizeof(bytes), &pdu, &why), 0);
		words = doctor_pdu_status(&pdu);
		assert_string_equal(words, answers[i].words);
	}
}

static void answer_to_another_command_is_refused(void **state)
{
	struct doctor_pdu pdu;
	uint8_t bytes[24];
	const char *why;

	make_response(bytes, 0, 0, 2);
	assert_int_equal(doctor_pdu_parse(bytes, sizeof(bytes), &pdu, &why), -EPROTO);
	assert_non_null(strstr(why, "another command"));
	make_response(bytes, 0, 0, 1);
	bytes[1] = 1;
	assert_int_equal(doctor_pdu_parse(bytes, sizeof(bytes), &pdu, &why), -EPROTO);
}

static void fatal_error_is_told_in_words(void **state)
{
	const uint8_t term[24] = {0x03, 0, 24, 0, 24, 0, 0, 0, 2};
	struct doctor_pdu pdu;
	const char *why;

	assert_int_equal(doctor_pdu_parse(term, sizeof(term), &pdu, &why), 0);
	assert_string_equal(doctor_pdu_fatal(pdu.fatal), "PDU sequence error");
	assert_string_equal(doctor_pdu_fatal(0), "an unknown error");
	assert_string_equal(doctor_pdu_fatal(0xffff), "an unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(icreq_is_that_of_the_specification),
		cmocka_unit_test(connect_has_the_names_where_the_specification_wants_them),
		cmocka_unit_test(only_answers_that_can_come_have_a_size),
		cmocka_unit_test(icresp_with_digests_or_of_another_format_is_refused),
		cmocka_unit_test(status_of_connect_is_told_in_words),
		cmocka_unit_test(answer_to_another_command_is_refused),
		cmocka_unit_test(fatal_error_is_told_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
