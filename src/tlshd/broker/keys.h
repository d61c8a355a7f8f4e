/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The broker's keyrings: which ones it may read, and the key of exactly one identity. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/keyring.h"
#include "common/recording.h"

/**
 * struct keys - the keyrings that are linked into our session keyring, and their indexes.
 *
 * Besides the keyring of a request these are the kernel's own (.nvme, .nfs, .nfsd), as soon as
 * they exist, and those that the configuration names, as long as they are root's alone: see
 * keyring_find(). One that may not be used is named in the log.
 */
struct keys;

/**
 * keys_open() - leave the session keyring that we were started with for a private one, and link
 * what exists.
 * @type: of the keys, "psk"; kept
 * @names: [authenticate] keyrings, names and serials, NULL-terminated; copied
 * @out: set on success, to be freed by keys_close()
 *
 * Return: 0 or a negative errno.
 */
int keys_open(struct keys **out, const char *type, char **names);

/** keys_close() - NULL is fine. */
void keys_close(struct keys *k);

/** keys_configure() - the configuration has changed: leave all keyrings, and look for them anew. */
void keys_configure(struct keys *k, char **names);

/** keys_use_keyring() - a request comes with @keyring; 0 when it does not say. */
void keys_use_keyring(struct keys *k, key_serial keyring);

/**
 * keys_find() - the PSK of exactly @identity.
 * @keyring: the request's, 0 when unknown: then the kernel's own are searched
 * @since: usec, monotonic: when the request came; a key that was there then, or later
 * @psk: its bytes, on success
 *
 * The keyrings of the configuration are searched after it. A key that cannot be read may have been
 * replaced since the index was last read: so it is looked up again.
 *
 * Return: its serial; -ENOKEY; -EKEYREVOKED or -EKEYEXPIRED; another negative errno when a keyring or
 * the key cannot be read.
 */
int keys_find(struct keys *k, key_serial keyring, const char *identity, uint64_t since,
	      secret *psk);

/** keys_identity() - the identity of a key that the kernel names; see key_describe(). */
int keys_identity(struct keys *k, key_serial key, char **identity);

/** keys_read() - the bytes of a key in @keyring; see key_read_psk(). */
int keys_read(struct keys *k, key_serial keyring, key_serial key, secret *psk);

/** keys_changed() - has a keyring been linked, or left, since the last keys_gauge()? */
bool keys_changed(const struct keys *k);

/**
 * keys_gauge() - which keyrings are linked.
 * @out: room for @max of them
 *
 * Return: how many there are in @out.
 */
size_t keys_gauge(struct keys *k, struct recording_keyring *out, size_t max);

/** keys_read_bytes() - the bytes of a key that the kernel names and that is no PSK; see key_read_bytes(). */
int keys_read_bytes(struct keys *k, key_serial key, blob *out);

/**
 * keys_status() - what the kernel is told when a key cannot be had.
 * @err: a negative errno of these functions
 *
 * Return: ENOKEY for a key that is missing, revoked or expired, for which the NVMe host gives up
 * for good; for anything else, which may pass, @err made positive.
 */
int keys_status(int err);
