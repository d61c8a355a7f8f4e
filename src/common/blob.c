// SPDX-License-Identifier: GPL-2.0-or-later
/* Bytes of any length that may be secret: they are wiped before their memory is given back. */
#include "common/blob.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOM_MIN 4096

blob blob_new(size_t len)
{
	blob b = {.data = g_malloc(len + 1)};

	b.data[0] = '\0';
	return b;
}

blob blob_copy(const void *data, size_t len)
{
	blob b = blob_new(len);

	blob_add(&b, data, len);
	return b;
}

void blob_clear(blob *b)
{
	if (b->data)
		explicit_bzero(b->data, b->len);
	g_free(b->data);
	*b = (blob){0};
}

void blob_add(blob *b, const void *data, size_t len)
{
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

bool blob_equal(const blob *a, const blob *b)
{
	return a->len == b->len && (!a->len || memcmp(a->data, b->data, a->len) == 0);
}

/* realloc() would leave the old bytes behind. */
static void grow(blob *b, size_t room)
{
	blob larger = blob_new(room);

	blob_add(&larger, b->data, b->len);
	blob_clear(b);
	*b = larger;
}

int blob_read(int fd, size_t max, blob *out)
{
	struct stat st;
	size_t room = ROOM_MIN;
	int r = 0;

	*out = (blob){0};
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		if ((size_t)st.st_size > max)
			return -EFBIG;
		/* One byte more shows the end without another round. */
		room = MAX(room, (size_t)st.st_size + 1);
		if (lseek(fd, 0, SEEK_SET) < 0)
			return -errno;
	}
	*out = blob_new(room);
	for (;;) {
		ssize_t n = read(fd, out->data + out->len, room - out->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = -errno;
		if (n <= 0)
			break;
		out->len += (size_t)n;
		if (out->len > max) {
			r = -EFBIG;
			break;
		}
		if (out->len == room) {
			room *= 2;
			grow(out, room);
		}
	}
	out->data[out->len] = '\0';
	if (r < 0)
		blob_clear(out);
	return r;
}

int blob_write(int fd, const blob *b)
{
	for (size_t at = 0; at < b->len;) {
		ssize_t n = write(fd, b->data + at, b->len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += (size_t)n;
	}
	return 0;
}

bool blob_next_line(const blob *b, size_t *at, const char **line, size_t *len)
{
	const char *end;

	if (*at >= b->len)
		return false;
	*line = b->data + *at;
	end = memchr(*line, '\n', b->len - *at);
	*len = end ? (size_t)(end - *line) : b->len - *at;
	*at += *len + 1;
	return true;
}
