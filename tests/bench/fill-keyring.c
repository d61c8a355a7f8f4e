// SPDX-License-Identifier: GPL-2.0-or-later
/* Fills a keyring with keys of many subsystems, quicker than a program for each could. */
#include <errno.h>
#include <keyutils.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	unsigned char key[32];
	key_serial_t keyring;
	long first, last;

	if (argc != 5) {
		fprintf(stderr,
			"usage: fill-keyring KEYRING HOSTNQN FIRST LAST\n"
			"Adds random keys for \"NVMe0R01 HOSTNQN nqn.io-FIRST\" to \"... nqn.io-LAST\".\n");
		return 2;
	}
	keyring = (key_serial_t)strtoul(argv[1], NULL, 0);
	first = atol(argv[3]);
	last = atol(argv[4]);
	for (long i = first; i <= last; i++) {
		char description[512];

		snprintf(description, sizeof(description), "NVMe0R01 %s nqn.io-%ld", argv[2], i);
		for (size_t n = 0; n < sizeof(key); n++)
			key[n] = (unsigned char)random();
		if (add_key("psk", description, key, sizeof(key), keyring) < 0) {
			fprintf(stderr, "fill-keyring: %s: %s\n", description, strerror(errno));
			return 1;
		}
	}
	return 0;
}
