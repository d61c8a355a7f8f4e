/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files in memory that nobody can change any more: how one process gives many bytes to another. */
#pragma once

#include <stddef.h>
#include <sys/stat.h>
#include <gnutls/gnutls.h>

/** memfile_of_bytes() - a sealed file with @len bytes. Return: its descriptor, or a negative errno. */
int memfile_of_bytes(const void *bytes, size_t len);

/**
 * memfile_open() - open a regular file to read it; this waits for no other end, as of a pipe.
 *
 * Return: its descriptor, with @st set; -EINVAL for another kind of file; another negative errno.
 */
int memfile_open(const char *path, struct stat *st);

/**
 * memfile_of_file() - a sealed copy of the regular file @fd, from its start.
 * @max: bytes that it may have
 *
 * The bytes go from file to file in the kernel, and never through our own memory.
 *
 * Return: its descriptor; -EFBIG; another negative errno.
 */
int memfile_of_file(int fd, size_t max);

/**
 * memfile_map() - see the bytes of @fd, which may be closed after.
 * @out: set on success, to be unmapped by memfile_unmap(); an empty file has no bytes
 *
 * Return: 0; -EPERM when the file is not sealed, so that its owner could cut it under us; another
 * negative errno.
 */
int memfile_map(int fd, gnutls_datum_t *out);

/**
 * memfile_read() - read the bytes of @fd once, for those who may not map it: a key's, which is short.
 * @out: set on success, to be wiped and freed by memfile_wipe()
 *
 * Return: 0; -EFBIG for one that is empty or has MEMFILE_READ_MAX bytes; another negative errno.
 */
int memfile_read(int fd, gnutls_datum_t *out);
#define MEMFILE_READ_MAX 32768

/** memfile_wipe() - nothing is done for one that is empty. */
void memfile_wipe(gnutls_datum_t *bytes);

/** memfile_unmap() - nothing is done for one that is empty. */
void memfile_unmap(gnutls_datum_t *map);
