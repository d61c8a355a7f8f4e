/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first PDUs of an NVMe/TCP connection: ICReq and Connect go out, what comes back is checked. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <glib.h>

/* The common header, by which a PDU says how long it is. */
#define DOCTOR_PDU_HEAD 8
#define DOCTOR_PDU_ICREQ 128
/* A command capsule of 72 bytes, and the data of Connect inside it. */
#define DOCTOR_PDU_CONNECT (72 + 1024)
/* The longest answer that we take: a C2HTermReq with as much of a PDU as it may repeat. */
#define DOCTOR_PDU_MAX 152

/** enum doctor_pdu_type - the answers that can come (NVMe/TCP Transport Specification, "PDU types"). */
enum doctor_pdu_type {
	DOCTOR_PDU_ICRESP = 0x01, /* the connection is initialised */
	DOCTOR_PDU_TERM = 0x03, /* the target ends the connection */
	DOCTOR_PDU_RESPONSE = 0x05, /* a command has been carried out, or not */
};

/**
 * struct doctor_pdu - an answer, checked.
 * @type: what it is
 * @fatal: of a TERM, the fatal error status
 * @status: of a RESPONSE, status code type and status code, 0 for success
 * @result: of a RESPONSE, its first four bytes: the controller's ID, or where a parameter is wrong
 */
struct doctor_pdu {
	enum doctor_pdu_type type;
	uint16_t fatal;
	uint16_t status;
	uint32_t result;
};

/** doctor_pdu_icreq() - write an ICReq: format 0, no digests. */
void doctor_pdu_icreq(uint8_t out[DOCTOR_PDU_ICREQ]);

/**
 * doctor_pdu_connect() - write the Connect command of an admin queue.
 * @hostid: 16 bytes
 * @hostnqn, @subsysnqn: the names; of at most 255 bytes
 *
 * NVMe Base Specification, "Connect Command and Response".
 */
void doctor_pdu_connect(uint8_t out[DOCTOR_PDU_CONNECT], const uint8_t hostid[16],
			const char *hostnqn, const char *subsysnqn);

/**
 * doctor_pdu_size() - how long the answer is that begins like this.
 *
 * Return: DOCTOR_PDU_HEAD to DOCTOR_PDU_MAX; -EPROTO when no answer of ours begins so.
 */
int doctor_pdu_size(const uint8_t head[DOCTOR_PDU_HEAD]);

/**
 * doctor_pdu_parse() - take an answer apart.
 * @bytes, @len: all of it, as long as doctor_pdu_size() said
 * @why: set on failure to a static sentence on what is wrong
 *
 * Return: 0 or -EPROTO.
 */
int doctor_pdu_parse(const uint8_t *bytes, size_t len, struct doctor_pdu *pdu, const char **why);

/** doctor_pdu_status() - the status of a Connect in words, to be freed by g_free(). */
char *doctor_pdu_status(const struct doctor_pdu *pdu);

/** doctor_pdu_fatal() - why the target ends the connection, static. */
const char *doctor_pdu_fatal(uint16_t fatal);
