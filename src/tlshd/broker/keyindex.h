/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The PSKs of a keyring by identity, so that ten thousand of them cost no more than one. */
#pragma once

#include <stdint.h>

#include "common/keyring.h"

/*
 * The kernel's own search walks the whole keyring, and matches by prefix. Here the identities are
 * kept in a hash table, and before one is believed the keyring's list of serials is read and
 * compared: a serial never changes its identity, so equal lists mean equal tables. One such
 * reading is good for every handshake that began before it.
 */
struct keyindex;

/** keyindex_new() - an index of the keys of @type in @keyring; to be freed by keyindex_free(). */
struct keyindex *keyindex_new(key_serial keyring, const char *type);
void keyindex_free(struct keyindex *x);

/** keyindex_known() - the key that had this identity when the keyring was last read, 0 for none. */
key_serial keyindex_known(const struct keyindex *x, const char *identity);

/**
 * keyindex_lookup() - the key of exactly this identity.
 * @since: usec, monotonic: the answer must be true of some moment after this one
 *
 * Return: its serial, also that of a key which has been revoked or has expired since it was first
 * seen; -ENOKEY when there is none; -EKEYREVOKED or -EKEYEXPIRED when it was that before; a negative
 * errno when the keyring cannot be read.
 */
int keyindex_lookup(struct keyindex *x, const char *identity, uint64_t since);
