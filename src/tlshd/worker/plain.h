/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What speaks where TLS is expected: told by the first bytes. */
#pragma once

#include <stdint.h>

#include "tlshd/shared/cause.h"
#include "tlshd/worker/transport.h"

/**
 * plain_cause() - what begins with these bytes?
 *
 * NVMe/TCP: a PDU's common header (NVMe/TCP Transport Specification, "PDU Header"): ICReq of a host,
 * ICResp or a termination request of a target. HTTP: the methods of RFC 9110 and the preface of
 * HTTP/2. ONC RPC: a record mark (RFC 5531, 11) of a first and last fragment below 64 KiB. SSL 2.0: a
 * two-byte length and a CLIENT-HELLO, which TLS 1.3 forbids (RFC 8446, D.5).
 *
 * Return: CAUSE_SUCCESS for a record of TLS, else the cause that names what it is, CAUSE_NOT_TLS when
 * that is unknown.
 */
enum cause plain_cause(const uint8_t bytes[RECORD_HEADER]);
