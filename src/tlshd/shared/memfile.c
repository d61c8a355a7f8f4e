// SPDX-License-Identifier: GPL-2.0-or-later
/* Files in memory that nobody can change any more: how one process gives many bytes to another. */
#include "tlshd/shared/memfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include <glib.h>

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK)

static int new_file(void)
{
	int fd = memfd_create("tlshd", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd < 0 ? -errno : fd;
}

static int seal(int fd)
{
	int r;

	if (fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

int memfile_of_bytes(const void *bytes, size_t len)
{
	const char *at = bytes;
	int fd = new_file();

	while (fd >= 0 && len) {
		ssize_t n = write(fd, at, len);

		if (n < 0) {
			n = -errno;
			close(fd);
			return (int)n;
		}
		at += n;
		len -= (size_t)n;
	}
	if (fd >= 0)
		lseek(fd, 0, SEEK_SET); /* for memfile_read() */
	return fd < 0 ? fd : seal(fd);
}

int memfile_open(const char *path, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (fstat(fd, st) == 0 && S_ISREG(st->st_mode))
		return fd;
	close(fd);
	return -EINVAL;
}

int memfile_of_file(int fd, size_t max)
{
	size_t total = 0;
	off_t from = 0;
	int copy = new_file();
	ssize_t n = copy;

	while (copy >= 0 && (n = sendfile(copy, fd, &from, max + 1 - total)) > 0) {
		total += (size_t)n;
		if (total > max)
			break;
	}
	if (copy >= 0 && (n < 0 || total > max)) {
		n = n < 0 ? -errno : -EFBIG;
		close(copy);
		return (int)n;
	}
	return copy < 0 ? copy : seal(copy);
}

int memfile_map(int fd, gnutls_datum_t *out)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *map;

	*out = (gnutls_datum_t){NULL, 0};
	if (seals < 0 || (seals & SEALS) != SEALS)
		return -EPERM;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size > UINT_MAX)
		return -EFBIG;
	if (!st.st_size)
		return 0;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	*out = (gnutls_datum_t){map, (unsigned int)st.st_size};
	return 0;
}

int memfile_read(int fd, gnutls_datum_t *out)
{
	uint8_t *bytes = g_malloc(MEMFILE_READ_MAX);
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, bytes + len, MEMFILE_READ_MAX - len)) > 0)
		len += (size_t)n;
	*out = (gnutls_datum_t){bytes, (unsigned int)len};
	if (n == 0 && len && len < MEMFILE_READ_MAX)
		return 0;
	memfile_wipe(out);
	return n < 0 ? -errno : -EFBIG;
}

void memfile_wipe(gnutls_datum_t *bytes)
{
	if (bytes->data)
		explicit_bzero(bytes->data, bytes->size);
	g_free(bytes->data);
	*bytes = (gnutls_datum_t){NULL, 0};
}

void memfile_unmap(gnutls_datum_t *map)
{
	if (map->data)
		munmap(map->data, map->size);
	*map = (gnutls_datum_t){NULL, 0};
}
