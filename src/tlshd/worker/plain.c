// SPDX-License-Identifier: GPL-2.0-or-later
/* What speaks where TLS is expected: told by the first bytes. */
#include "tlshd/worker/plain.h"

#include <stdbool.h>
#include <string.h>
#include <glib.h>

/* Type, flags (any), header length, data offset (none), the first byte of the length. */
static bool is_nvme(const uint8_t *p)
{
	static const struct {
		uint8_t type, header_len;
	} pdus[] = {
		{0, 128}, /* ICReq */
		{1, 128}, /* ICResp */
		{2, 24}, /* H2CTermReq */
		{3, 24}, /* C2HTermReq */
	};

	for (size_t i = 0; i < G_N_ELEMENTS(pdus); i++)
		if (p[0] == pdus[i].type && p[2] == pdus[i].header_len && p[3] == 0 &&
		    p[4] >= pdus[i].header_len)
			return true;
	return false;
}

static bool is_http(const uint8_t *p)
{
	static const char *const begins[] = {"GET ",  "HEAD ", "POST ", "PUT ",	 "DELET", "CONNE",
					     "OPTIO", "TRACE", "PATCH", "PRI *", "HTTP/"};

	for (size_t i = 0; i < G_N_ELEMENTS(begins); i++)
		if (memcmp(p, begins[i], strlen(begins[i])) == 0)
			return true;
	return false;
}

enum cause plain_cause(const uint8_t bytes[RECORD_HEADER])
{
	if (bytes[0] >= RECORD_CHANGE_CIPHER_SPEC && bytes[0] <= RECORD_APPLICATION_DATA &&
	    bytes[1] == 3)
		return CAUSE_SUCCESS;
	if (is_nvme(bytes))
		return CAUSE_PLAIN_NVME;
	if (is_http(bytes))
		return CAUSE_PLAIN_HTTP;
	if (bytes[0] == 0x80 && bytes[1] == 0)
		return CAUSE_PLAIN_RPC;
	if (bytes[0] & 0x80 && bytes[2] == 1 && bytes[3] <= 3)
		return CAUSE_NO_TLS13;
	return CAUSE_NOT_TLS;
}
