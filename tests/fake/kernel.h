/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the broker's upcall and a test in the kernel's place say to each other; kernel.py has it too. */
#pragma once

#include <stdint.h>

/*
 * The environment names three sockets: FAKE_READY, on which a byte is a READY, and FAKE_COMMANDS and
 * FAKE_COMMANDS_2, for each thread one, on which a command is answered at once.
 */
enum fake_type { FAKE_ACCEPT = 2, FAKE_DONE = 3 };

/** struct fake_command - ACCEPT; or DONE, with the socket as a descriptor. */
struct fake_command {
	int32_t type;
	int32_t status;
	int32_t remote;
};

/**
 * struct fake_answer - to ACCEPT with the socket as a descriptor.
 * @error: 0 or a negative errno
 * @unknown: a bit for each attribute of a kernel to come
 * @keyring, @keyring_named: as an attribute, as by 7.2; else linked into the process keyring, as by 6.12
 * @certificate, @private_key: serials of keys with both
 */
struct fake_answer {
	int32_t error;
	int32_t side;
	int32_t auth;
	uint32_t timeout_ms;
	int32_t peer;
	int32_t keyring;
	int32_t keyring_named;
	uint32_t unknown;
	int32_t certificate;
	int32_t private_key;
	char peername[256];
};
