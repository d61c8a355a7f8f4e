/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keyring that nvme-tls works on, and what goes wrong with it, said with the next step. */
#pragma once

#include "common/keyring.h"
#include "nvme-tls/options.h"
#include "nvme-tls/rows.h"
#include "nvme-tls/tool.h"

/** struct ring - the keyring of --keyring (0: none) and the type of --keytype; owns nothing. */
struct ring {
	key_serial serial;
	const char *name;
	const char *keytype;
};

/**
 * ring_find() - find the keyring of @o, and link it so that its keys can be read.
 * @ring: filled; keeps pointers into @o
 *
 * Return: 0 or a negative errno (-ENOENT where there is no such keyring), without a message.
 */
int ring_find(const options *o, struct ring *ring);

/** ring_open() - ring_find() with the message. Return: EXIT_OK or EXIT_FAILED. */
enum exit_code ring_open(const options *o, struct ring *ring);

/** ring_is_none() - --keyring=none: there is no keyring, only a key file is to be changed. */
bool ring_is_none(const options *o);

/**
 * ring_open_if_any() - ring_open() of a command that can do with a key file alone.
 * @ring: its serial is 0 with --keyring=none
 *
 * Return: EXIT_OK; EXIT_FAILED or EXIT_USAGE after a message.
 */
enum exit_code ring_open_if_any(const options *o, struct ring *ring);

/** ring_error() - say that @what could not be done because of @err, and what to do next. */
void ring_error(const struct ring *ring, const char *what, int err);

/** enum ring_state - ring_compare()'s answer. */
enum ring_state { RING_NONE, RING_SAME, RING_DIFFERENT, RING_UNREADABLE };

/**
 * ring_compare() - is a key of exactly this identity loaded, and is it this one.
 * @serial: set to its serial, or 0
 * @err: set to the negative errno of RING_UNREADABLE
 */
enum ring_state ring_compare(const struct ring *ring, const char *identity, const secret *psk,
			     key_serial *serial, int *err);

/**
 * ring_rows() - all keys of the type in the keyring, and those that rotations have put aside: one
 * reading, which costs the same for each key of any number.
 *
 * Return: an array of struct key_row in the order of the keyring, empty without one, to be freed by
 * g_ptr_array_unref(); NULL after a message.
 */
GPtrArray *ring_rows(const struct ring *ring);

/**
 * ring_index() - find rows by identity.
 *
 * Return: identities to struct key_row, both borrowed from @rows; of several rows of an identity,
 * one that is usable. Keys that are only aside are none of the keyring.
 */
GHashTable *ring_index(GPtrArray *rows);

/**
 * ring_compare_row() - ring_compare() with a row in place of the look-up.
 * @row: what ring_index() has for the identity; NULL for nothing
 */
enum ring_state ring_compare_row(const key_row *row, const secret *psk, key_serial *serial,
				 int *err);

/** ring_warn_of_hash() - say so when GnuTLS on this machine cannot use a key of this identity. */
void ring_warn_of_hash(const char *identity);
