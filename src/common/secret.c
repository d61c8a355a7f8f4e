// SPDX-License-Identifier: GPL-2.0-or-later
/* A buffer for key material that wipes itself. */
#include "common/secret.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include <gnutls/gnutls.h>

int secret_set(secret *s, const void *data, size_t len)
{
	secret_wipe(s);
	if (len > sizeof(s->data))
		return -EMSGSIZE;
	if (len)
		memcpy(s->data, data, len);
	s->len = len;
	return 0;
}

bool secret_equal(const secret *a, const secret *b)
{
	return a->len == b->len && gnutls_memcmp(a->data, b->data, a->len) == 0;
}

static size_t round_to_pages(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

void *secret_pages_new(size_t size)
{
	size_t len = round_to_pages(size);
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (madvise(p, len, MADV_DONTDUMP) < 0 || madvise(p, len, MADV_WIPEONFORK) < 0) {
		int err = errno;

		munmap(p, len);
		errno = err;
		return NULL;
	}
	mlock(p, len); /* a courtesy: without it the page may be swapped, no more */
	return p;
}

void secret_pages_free(void *pages, size_t size)
{
	if (!pages)
		return;
	explicit_bzero(pages, size);
	munmap(pages, round_to_pages(size));
}
