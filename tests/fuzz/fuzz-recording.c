// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzzes the reader of the daemon's recording: whatever the file is, what is taken from it is whole. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "common/recording.h"

/*
 * A file has a hundred thousand bytes, nearly all of them 0. So the input is a list of what is different
 * from a good one: three bytes of an offset, one of a length, and so many bytes.
 */
#define SLOTS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct recording_file *good;

static void make_good(void)
{
	struct recording_entry *entry;

	good = g_malloc0(recording_file_size(SLOTS));
	recording_head_fill(&good->head, SLOTS);
	strcpy(good->state.build, "0.1.0");
	good->state.next = SLOTS + 1;
	good->state.causes = 2;
	good->state.keyrings = 1;
	good->state.now.workers = 1;
	strcpy(good->cause[0].id, "success");
	strcpy(good->cause[1].id, "no-key");
	for (uint64_t n = 1; n <= SLOTS; n++) {
		good->slot[n % SLOTS].sequence = 2 * n + 2;
		entry = &good->slot[n % SLOTS].entry;
		entry->number = n;
		entry->family = n % 2 ? 2 : 10;
		entry->cause = n % 2;
	}
}

static void write_at(int fd, size_t offset, const void *bytes, size_t len)
{
	if (pwrite(fd, bytes, len, (off_t)offset) != (ssize_t)len)
		abort();
}

/* Return: what is left of the input. */
static size_t edit(int fd, const uint8_t **data, size_t size)
{
	size_t offset = (*data)[0] | (size_t)(*data)[1] << 8 | (size_t)(*data)[2] << 16;
	size_t len = MIN((*data)[3], size - 4);

	offset %= recording_file_size(SLOTS);
	write_at(fd, offset, *data + 4, MIN(len, recording_file_size(SLOTS) - offset));
	*data += 4 + len;
	return size - 4 - len;
}

static size_t total; /* of what was read, so that all of it is */

static void walk(const recording *r)
{
	const struct recording_state *s = recording_state(r);

	total += strlen(s->build) + strlen(s->config);
	if (s->keyrings > RECORDING_KEYRINGS_MAX || s->now.workers > RECORDING_WORKERS_MAX)
		abort();
	for (uint32_t i = 0; i < s->keyrings; i++)
		total += strlen(s->keyring[i].name);
	for (int side = 0; side < RECORDING_SIDES; side++)
		total += recording_percentile(s->durations[side], 99);
	for (size_t i = 0; i < recording_entries(r); i++) {
		const struct recording_entry *e = recording_entry_at(r, i);
		const struct recording_cause *c = recording_cause(r, e->cause);
		g_autofree char *peer = recording_peer_text(e);

		if (i && e->number <= recording_entry_at(r, i - 1)->number)
			abort();
		total += strlen(peer) + strlen(e->identity) + strlen(e->detail) +
			 strlen(e->cipher) + strlen(e->group) + strlen(c->id) +
			 strlen(c->sentence) + strlen(c->remedy) +
			 strlen(recording_side_name(e->side));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[64];
	static int fd = -1;
	recording *r = NULL;
	const char *why = NULL;

	if (fd < 0) {
		make_good();
		fd = memfd_create("recording", MFD_CLOEXEC);
		g_snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	write_at(fd, 0, good, recording_file_size(SLOTS));
	while (size >= 4)
		size = edit(fd, &data, size);
	/* What is left makes the file shorter. */
	if (ftruncate(fd, (off_t)(recording_file_size(SLOTS) - size)) < 0)
		abort();
	if (recording_read(path, &r, &why) == 0)
		walk(r);
	else if (!why || r)
		abort();
	recording_free(r);
	return 0;
}
