// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzzes what a target answers to nvme-tls doctor: a size is bounded, and each answer has words. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nvme-tls/doctor-pdu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct doctor_pdu pdu;
	const char *why;
	int r = doctor_pdu_parse(data, size, &pdu, &why);

	if ((r == 0) != !why)
		abort();
	if (size >= DOCTOR_PDU_HEAD) {
		int expected = doctor_pdu_size(data);

		if (expected >= 0 && (expected < DOCTOR_PDU_HEAD || expected > DOCTOR_PDU_MAX))
			abort();
		if (r == 0 && expected != (int)size)
			abort();
	}
	if (r == 0) {
		g_autofree char *words = doctor_pdu_status(&pdu);

		if (!*words || !*doctor_pdu_fatal(pdu.fatal))
			abort();
	}
	return 0;
}
