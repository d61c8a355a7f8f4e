// SPDX-License-Identifier: GPL-2.0-or-later
/* The first PDUs of an NVMe/TCP connection: ICReq and Connect go out, what comes back is checked. */
#include "nvme-tls/doctor-pdu.h"

#include <errno.h>
#include <string.h>

enum { PDU_ICREQ = 0x00, PDU_COMMAND = 0x04 };

/* Header lengths (NVMe/TCP Transport Specification, "Transport Specific PDU Definitions"). */
enum { LEN_ICRESP = 128, LEN_TERM = 24, LEN_COMMAND = 72, LEN_RESPONSE = 24 };

/* In the flags of a PDU: it has digests, for which we never asked. */
#define FLAGS_DIGESTS 0x03

/* NVMe Base Specification, "Connect Command". */
enum { OPCODE_FABRICS = 0x7f, FABRICS_CONNECT = 0x01 };
#define SGL_METADATA 0x40 /* PSDT: SGLs are used */
#define SGL_DATA_OFFSET 0x01 /* a data block at an offset within the capsule */
#define QUEUE_SIZE 31 /* zero's based */
#define ANY_CONTROLLER 0xffff
#define COMMAND_ID 1

/* Where things are in the Connect data. */
enum { DATA_CNTLID = 16, DATA_SUBSYSNQN = 256, DATA_HOSTNQN = 512, DATA_LEN = 1024 };

/* Status code type 1, command specific, of Connect; and generic ones that targets send. */
enum {
	STATUS_INVALID_FIELD = 0x002,
	STATUS_INTERNAL = 0x006,
	STATUS_FORMAT = 0x180,
	STATUS_BUSY = 0x181,
	STATUS_INVALID_PARAMETERS = 0x182,
	STATUS_RESTART_DISCOVERY = 0x183,
	STATUS_INVALID_HOST = 0x184,
	STATUS_AUTH_REQUIRED = 0x191,
};

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, (uint16_t)value);
	put16(at + 2, (uint16_t)(value >> 16));
}

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

static uint32_t get32(const uint8_t *at)
{
	return get16(at) | (uint32_t)get16(at + 2) << 16;
}

/* @offset: where the data begins, 0 without */
static void put_head(uint8_t *at, uint8_t type, uint8_t header, uint8_t offset, uint32_t len)
{
	at[0] = type;
	at[2] = header;
	at[3] = offset;
	put32(at + 4, len);
}

void doctor_pdu_icreq(uint8_t out[DOCTOR_PDU_ICREQ])
{
	memset(out, 0, DOCTOR_PDU_ICREQ);
	put_head(out, PDU_ICREQ, DOCTOR_PDU_ICREQ, 0, DOCTOR_PDU_ICREQ);
}

void doctor_pdu_connect(uint8_t out[DOCTOR_PDU_CONNECT], const uint8_t hostid[16],
			const char *hostnqn, const char *subsysnqn)
{
	uint8_t *command = out + DOCTOR_PDU_HEAD, *data = out + LEN_COMMAND;

	memset(out, 0, DOCTOR_PDU_CONNECT);
	put_head(out, PDU_COMMAND, LEN_COMMAND, LEN_COMMAND, DOCTOR_PDU_CONNECT);
	command[0] = OPCODE_FABRICS;
	command[1] = SGL_METADATA;
	put16(command + 2, COMMAND_ID);
	command[4] = FABRICS_CONNECT;
	put32(command + 32, DATA_LEN);
	command[39] = SGL_DATA_OFFSET;
	put16(command + 44, QUEUE_SIZE);
	memcpy(data, hostid, 16);
	put16(data + DATA_CNTLID, ANY_CONTROLLER);
	g_strlcpy((char *)data + DATA_SUBSYSNQN, subsysnqn, 256);
	g_strlcpy((char *)data + DATA_HOSTNQN, hostnqn, 256);
}

int doctor_pdu_size(const uint8_t head[DOCTOR_PDU_HEAD])
{
	uint32_t len = get32(head + 4);

	switch (head[0]) {
	case DOCTOR_PDU_ICRESP:
		return head[2] == LEN_ICRESP && len == LEN_ICRESP ? LEN_ICRESP : -EPROTO;
	case DOCTOR_PDU_TERM:
		return head[2] == LEN_TERM && len >= LEN_TERM && len <= DOCTOR_PDU_MAX ? (int)len
										       : -EPROTO;
	case DOCTOR_PDU_RESPONSE:
		return head[2] == LEN_RESPONSE && len == LEN_RESPONSE ? LEN_RESPONSE : -EPROTO;
	default:
		return -EPROTO;
	}
}

int doctor_pdu_parse(const uint8_t *bytes, size_t len, struct doctor_pdu *pdu, const char **why)
{
	memset(pdu, 0, sizeof(*pdu));
	*why = "it is no PDU that can come here";
	if (len < DOCTOR_PDU_HEAD || doctor_pdu_size(bytes) != (int)len)
		return -EPROTO;
	pdu->type = (enum doctor_pdu_type)bytes[0];
	switch (pdu->type) {
	case DOCTOR_PDU_ICRESP:
		*why = "it is of a newer format than 0";
		if (get16(bytes + 8) != 0)
			return -EPROTO;
		*why = "it turns on digests that were not asked for";
		if (bytes[11] != 0)
			return -EPROTO;
		break;
	case DOCTOR_PDU_TERM:
		pdu->fatal = get16(bytes + 8);
		break;
	case DOCTOR_PDU_RESPONSE:
		*why = "it has digests that were not asked for";
		if (bytes[1] & FLAGS_DIGESTS)
			return -EPROTO;
		*why = "it answers another command";
		if (get16(bytes + 20) != COMMAND_ID)
			return -EPROTO;
		pdu->result = get32(bytes + 8);
		/* Without the phase bit below; Do Not Retry and More above mean nothing here. */
		pdu->status = (uint16_t)(get16(bytes + 22) >> 1 & 0x7ff);
		break;
	}
	*why = NULL;
	return 0;
}

/* Which parameter a target dislikes: an offset, and a bit that says it is one of the data. */
static const char *parameter_name(uint32_t result)
{
	if (!(result & 1u << 16))
		return "a field of the command";
	switch (result & 0xffff) {
	case 0:
		return "the host ID";
	case DATA_CNTLID:
		return "the controller ID";
	case DATA_SUBSYSNQN:
		return "the subsystem NQN";
	case DATA_HOSTNQN:
		return "the host NQN";
	default:
		return "a field of the data";
	}
}

char *doctor_pdu_status(const struct doctor_pdu *pdu)
{
	switch (pdu->status) {
	case 0:
		return g_strdup("success");
	case STATUS_INVALID_FIELD:
		return g_strdup("invalid field in command");
	case STATUS_INTERNAL:
		return g_strdup("internal error of the target");
	case STATUS_FORMAT:
		return g_strdup("incompatible format");
	case STATUS_BUSY:
		return g_strdup("controller busy");
	case STATUS_INVALID_PARAMETERS:
		return g_strdup_printf("invalid parameters: %s", parameter_name(pdu->result));
	case STATUS_RESTART_DISCOVERY:
		return g_strdup("restart discovery");
	case STATUS_INVALID_HOST:
		return g_strdup("invalid host");
	case STATUS_AUTH_REQUIRED:
		return g_strdup("authentication required");
	default:
		return g_strdup_printf("status 0x%03x", pdu->status);
	}
}

const char *doctor_pdu_fatal(uint16_t fatal)
{
	static const char *const words[] = {
		NULL,
		"invalid PDU header field",
		"PDU sequence error",
		"header digest error",
		"data transfer out of range",
		"R2T limit exceeded",
		"unsupported parameter",
	};

	return fatal && fatal < G_N_ELEMENTS(words) ? words[fatal] : "an unknown error";
}
