/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A key file and what can go wrong with it, said with the next step. */
#pragma once

#include "common/keyfile.h"
#include "nvme-tls/rows.h"
#include "nvme-tls/tool.h"

/** store_read() - keyfile_read() with messages; "-" or NULL is standard input. */
enum exit_code store_read(const char *path, keyfile **kf);

/** store_edit() - keyfile_edit() with messages. Return: EXIT_OK or EXIT_FAILED. */
enum exit_code store_edit(const char *path, bool create, keyfile **kf);

/** store_set() - keyfile_set() of a derived key, its hash in the interchange format by length. */
void store_set(keyfile *kf, const char *identity, const secret *psk);

/** store_prepare(), store_commit() - the two halves of a change, with messages; @kf NULL is fine.
 */
enum exit_code store_prepare(const char *path, keyfile *kf);
enum exit_code store_commit(const char *path, keyfile *kf);

/**
 * store_rows() - the keys of a key file, each once; they have no serial.
 *
 * Lines that are no key are left out without a word.
 *
 * Return: an array of struct key_row, to be freed by g_ptr_array_unref().
 */
GPtrArray *store_rows(keyfile *kf);

/** store_warn() - say who else can get at the key file, where anybody can. */
void store_warn(const keyfile *kf);
