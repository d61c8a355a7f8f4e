/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keys that a rotation replaces: a keyring inside the keyring, which the kernel does not search. */
#pragma once

#include <glib.h>

#include "common/keyring.h"

/*
 * A key in ASIDE_NAME is an old one. As long as it is in the keyring above as well, a target finds it
 * by its identity. Once it is in ASIDE_NAME alone, the kernel's NVMe host no longer takes it, for it
 * looks at the keyring itself only; but tlshd can still read it by its serial, since who possesses a
 * keyring possesses those inside it. So a handshake that has begun with the key ends well.
 */
#define ASIDE_NAME "nvme-tls:replaced"

/*
 * How long a key lives on after its rotation is finished: longer than the 10 seconds that the kernel
 * gives a handshake (tls_handshake_timeout of nvme_tcp and nvmet_tcp).
 */
#define ASIDE_SECONDS 20

/**
 * aside_keys() - the old keys.
 * @keyring: the keyring above
 * @serials: set to a new array of key_serial, empty where there are none; g_array_unref() frees it
 *
 * Return: 0 or a negative errno.
 */
int aside_keys(key_serial keyring, GArray **serials);

/**
 * aside_mark() - put @key into the keyring of old keys too; that is made where there is none.
 *
 * Return: 0, also when the key is there already, or a negative errno.
 */
int aside_mark(key_serial keyring, key_serial key);

/** aside_unmark() - take @key out of the keyring of old keys. Return: 0 or a negative errno. */
int aside_unmark(key_serial keyring, key_serial key);

/** aside_tidy() - take the keyring of old keys out of @keyring when all that is in it has ended. */
void aside_tidy(key_serial keyring);
