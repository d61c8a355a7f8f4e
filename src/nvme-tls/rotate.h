/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a rotation in one step and one in three do alike. */
#pragma once

#include "common/keyfile.h"
#include "nvme-tls/options.h"

/**
 * rotate_keyfile_path() - the key file of a rotation.
 * @o: with its pair
 *
 * Return: that of --keyfile, or the one of the boot where that has a key of the pair, or NULL; to be
 * freed by g_free().
 */
char *rotate_keyfile_path(const options *o);

/** rotate_update_keyfile() - put the new key in the place of all others of the pair. */
void rotate_update_keyfile(keyfile *kf, const options *o, const char *identity, const secret *psk);
