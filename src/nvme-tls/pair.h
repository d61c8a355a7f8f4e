/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keys of one host and one subsystem, which a rotation replaces. */
#pragma once

#include "common/keyfile.h"
#include "nvme-tls/options.h"
#include "nvme-tls/rows.h"

/**
 * pair_keyfile_path() - the key file of a rotation.
 * @o: with its pair
 *
 * Return: that of --keyfile, or the one of the boot where that has a key of the pair, or NULL; to be
 * freed by g_free().
 */
char *pair_keyfile_path(const options *o);

/**
 * pair_find_keys() - the retained keys of the pair, those that a rotation has put aside included.
 * @o: with its pair; the version and hash of the new key, where they are not given, become those of
 *	the best key there is
 * @rows: of a keyring or a key file, @where its name for the message
 *
 * Return: an array of borrowed struct key_row, to be freed by g_ptr_array_unref(); NULL after a
 * message when there is none but such as are aside.
 */
GPtrArray *pair_find_keys(options *o, GPtrArray *rows, const char *where);

/** pair_update_keyfile() - put the new key in the place of all others of the pair. */
void pair_update_keyfile(keyfile *kf, const options *o, const char *identity, const secret *psk);
