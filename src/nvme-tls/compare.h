/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a key file and a keyring have that the other does not. */
#pragma once

#include "nvme-tls/ring.h"
#include "nvme-tls/store.h"

/**
 * compare_rows() - the keys of a key file, and where it differs from the keyring.
 * @kf: the key file, @path its name for the messages
 * @ring, @loaded: the keyring and its rows, examined; @loaded NULL where there is none to compare with
 *
 * A key that both have has the serial and the state of the loaded one. The others say in @difference
 * and among their problems what is different. Keys that only the keyring has follow at the end, but
 * for those that the kernel made itself.
 *
 * Return: an array of struct key_row, to be freed by g_ptr_array_unref().
 */
GPtrArray *compare_rows(keyfile *kf, const char *path, const struct ring *ring, GPtrArray *loaded);
