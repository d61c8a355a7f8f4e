// SPDX-License-Identifier: GPL-2.0-or-later
/* The flight recorder: writes into a mapped file what the broker does, for "nvme-tls status" and "log". */
#include "tlshd/broker/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/log.h"

G_STATIC_ASSERT(CAUSE_N <= RECORDING_CAUSES_MAX);
G_STATIC_ASSERT(CAUSE_SUCCESS == 0);

/* What a reader may read meanwhile is written word by word. */
typedef _Atomic uint64_t word;

struct recorder {
	char *path;
	int fd; /* keeps the lock */
	size_t size;
	uint32_t slots;
	struct recording_file *file; /* mapped; read once, when we go on in it */
	uint64_t sequence; /* of the state */
	struct recording_state state; /* ours; the file gets what changes in it */
	uint32_t number_of[CAUSE_N]; /* in this file */
};

/* ---- writing ---- */

static void copy_words(void *to, const void *from, size_t size)
{
	word *out = to;

	for (size_t i = 0; i < size / sizeof(*out); i++) {
		uint64_t value;

		memcpy(&value, (const char *)from + i * sizeof(value), sizeof(value));
		atomic_store_explicit(&out[i], value, memory_order_relaxed);
	}
}

/* A reader that sees any of what follows sees @odd, and one that sees the number of close() sees it all. */
static void open_sequence(uint64_t *sequence, uint64_t odd)
{
	atomic_store_explicit((word *)sequence, odd, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

static void close_sequence(uint64_t *sequence, uint64_t even)
{
	atomic_store_explicit((word *)sequence, even, memory_order_release);
}

static void begin(struct recorder *r)
{
	open_sequence(&r->file->sequence, r->sequence + 1);
}

/* Writes a part of our state, whole words of it. */
static void publish(struct recorder *r, const void *part, size_t size)
{
	size_t offset = (size_t)((const char *)part - (const char *)&r->state);

	copy_words((char *)&r->file->state + offset, part, size);
}

static void end(struct recorder *r)
{
	r->sequence += 2;
	close_sequence(&r->file->sequence, r->sequence);
}

static uint64_t real_time(void)
{
	return (uint64_t)g_get_real_time();
}

static void publish_update(struct recorder *r)
{
	r->state.updated = real_time();
	publish(r, &r->state.updated, sizeof(r->state.updated));
}

static void add_one(struct recorder *r, uint64_t *counter, uint64_t n)
{
	*counter += n;
	publish(r, counter, sizeof(*counter));
}

void recorder_add(struct recorder *r, struct recording_entry *entry, enum cause cause)
{
	struct recording_slot *slot;
	struct recording_state *s;

	if (!r)
		return;
	s = &r->state;
	entry->number = s->next;
	entry->cause = r->number_of[cause];
	slot = &r->file->slot[s->next % r->slots];
	open_sequence(&slot->sequence, 2 * s->next + 1);
	copy_words(&slot->entry, entry, sizeof(*entry));
	close_sequence(&slot->sequence, 2 * s->next + 2);

	begin(r);
	add_one(r, &s->next, 1);
	add_one(r, &s->counts[entry->side][entry->cause], 1);
	if (cause == CAUSE_SUCCESS) {
		add_one(r, &s->durations[entry->side][recording_bucket(entry->duration)], 1);
		add_one(r, &s->duration_sums[entry->side], entry->duration);
	}
	publish_update(r);
	end(r);
}

void recorder_gauge(struct recorder *r, const struct recording_gauges *now)
{
	size_t size;

	if (!r)
		return;
	size = offsetof(struct recording_gauges, worker) + now->workers * sizeof(now->worker[0]);
	if (memcmp(&r->state.now, now, size) == 0)
		return;
	memcpy(&r->state.now, now, size);
	begin(r);
	publish(r, &r->state.now, size);
	publish_update(r);
	end(r);
}

void recorder_keyrings(struct recorder *r, const struct recording_keyring *keyrings, size_t n)
{
	struct recording_state *s;

	if (!r)
		return;
	s = &r->state;
	s->keyrings = (uint32_t)MIN(n, (size_t)RECORDING_KEYRINGS_MAX);
	memcpy(s->keyring, keyrings, s->keyrings * sizeof(*keyrings));
	begin(r);
	publish(r, s, offsetof(struct recording_state, now));
	end(r);
}

void recorder_configured(struct recorder *r, const char *path)
{
	struct recording_state *s;

	if (!r)
		return;
	s = &r->state;
	s->configured = real_time();
	memset(s->config, 0, sizeof(s->config));
	g_strlcpy(s->config, path ? path : "", sizeof(s->config));
	begin(r);
	publish(r, s, offsetof(struct recording_state, now));
	publish_update(r);
	end(r);
}

/* ---- opening ---- */

static bool is_ours(const struct recording_head *head, uint32_t slots)
{
	struct recording_head wanted;

	recording_head_fill(&wanted, slots);
	return memcmp(head, &wanted, sizeof(wanted)) == 0;
}

static int map(struct recorder *r)
{
	void *at;
	int e = posix_fallocate(r->fd, 0, (off_t)r->size);

	if (e)
		return -e;
	/* With its pages, so that no handshake waits for one. */
	at = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	r->file = at;
	/* A worker that is forked would have it too. */
	return madvise(at, r->size, MADV_DONTFORK) < 0 ? -errno : 0;
}

/* The causes by their numbers in the file, as far as it has them; the others get the next numbers. */
static int number_causes(struct recorder *r, struct recording_cause *known)
{
	struct recording_state *s = &r->state;

	for (int c = 0; c < CAUSE_N; c++) {
		const struct cause_info *info = cause_info((enum cause)c);
		struct recording_cause text = {0};
		uint32_t n = 0;

		g_strlcpy(text.id, info->id, sizeof(text.id));
		g_strlcpy(text.sentence, info->sentence, sizeof(text.sentence));
		g_strlcpy(text.remedy, info->remedy, sizeof(text.remedy));
		while (n < s->causes && strcmp(known[n].id, text.id) != 0)
			n++;
		if (n == RECORDING_CAUSES_MAX)
			return -ENOSPC;
		known[n] = text;
		s->causes = MAX(s->causes, n + 1);
		r->number_of[c] = n;
	}
	return r->number_of[CAUSE_SUCCESS] == 0 ? 0 : -EBADMSG;
}

/* Whoever has written the file before may have been killed in the middle, or have been somebody else. */
static int go_on(struct recorder *r, struct recording_cause *known)
{
	memcpy(&r->state, &r->file->state, sizeof(r->state));
	memcpy(known, r->file->cause, sizeof(r->file->cause));
	r->sequence = (r->file->sequence + 1) & ~UINT64_C(1);
	if (recording_state_check(&r->state))
		return -EBADMSG;
	for (uint32_t i = 0; i < r->state.causes; i++)
		if (recording_cause_check(&known[i]))
			return -EBADMSG;
	return number_causes(r, known);
}

static int start_anew(struct recorder *r, struct recording_cause *known)
{
	int e;

	if (r->file)
		munmap(r->file, r->size);
	r->file = NULL;
	e = ftruncate(r->fd, 0) < 0 ? -errno : map(r);
	if (e < 0) {
		unlink(r->path); /* a part of it would only use up what is left of /run */
		return e;
	}
	memset(&r->state, 0, sizeof(r->state));
	memset(known, 0, RECORDING_CAUSES_MAX * sizeof(*known));
	r->sequence = 0;
	r->state.made = real_time();
	return number_causes(r, known);
}

/* The head comes last: it makes a recording of the file. */
static void write_start(struct recorder *r, const struct recording_cause *known, const char *build)
{
	struct recording_state *s = &r->state;
	struct recording_head head;

	s->starts++;
	s->started = s->updated = real_time();
	s->pid = getpid();
	s->keyrings = 0;
	memset(&s->now, 0, sizeof(s->now));
	memset(s->build, 0, sizeof(s->build));
	g_strlcpy(s->build, build, sizeof(s->build));
	copy_words(r->file->cause, known, RECORDING_CAUSES_MAX * sizeof(*known));
	begin(r);
	publish(r, s, sizeof(*s));
	end(r);
	recording_head_fill(&head, r->slots);
	copy_words(&r->file->head, &head, sizeof(head));
}

static int fill(struct recorder *r, const char *build)
{
	g_autofree struct recording_cause *known = g_new0(struct recording_cause,
							  RECORDING_CAUSES_MAX);
	struct recording_head head;
	struct stat st;
	int e;

	if (fstat(r->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
		return -EPERM;
	e = -EBADMSG;
	if (st.st_size == (off_t)r->size && pread(r->fd, &head, sizeof(head), 0) == sizeof(head) &&
	    is_ours(&head, r->slots)) {
		e = map(r);
		if (e == 0)
			e = go_on(r, known);
	}
	if (e < 0)
		e = start_anew(r, known);
	if (e == 0)
		write_start(r, known, build);
	return e;
}

/* The lock of a process: one that forks cannot pass it on. */
static int open_locked(struct recorder *r)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	r->fd = open(r->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	if (r->fd < 0)
		return -errno;
	if (fcntl(r->fd, F_SETLK, &lock) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

static void free_recorder(struct recorder *r)
{
	if (r->file)
		munmap(r->file, r->size);
	if (r->fd >= 0)
		close(r->fd);
	g_free(r->path);
	g_free(r);
}

struct recorder *recorder_open(const char *dir, uint32_t slots, const char *build)
{
	struct recorder *r = g_new0(struct recorder, 1);
	int e;

	mkdir(dir, 0755);
	r->path = recording_path(dir);
	r->slots = slots;
	r->size = recording_file_size(slots);
	e = open_locked(r);
	if (e == -EBUSY) {
		log_warning("%s is written by another daemon of this network namespace: \"nvme-tls status\" and \"nvme-tls log\" do not show our handshakes",
			    r->path);
	} else {
		if (e == 0)
			e = fill(r, build);
		if (e < 0)
			log_warning("%s cannot be written, so \"nvme-tls status\" and \"nvme-tls log\" show nothing; handshakes are served all the same: %s",
				    r->path, g_strerror(-e));
	}
	if (e == 0)
		return r;
	free_recorder(r);
	return NULL;
}

void recorder_close(struct recorder *r)
{
	if (!r)
		return;
	r->state.now.phase = RECORDING_STOPPED;
	r->state.now.in_flight = r->state.now.waiting = r->state.now.ready = 0;
	r->state.now.workers = 0;
	r->state.keyrings = 0;
	begin(r);
	publish(r, &r->state, offsetof(struct recording_state, counts));
	publish_update(r);
	end(r);
	free_recorder(r);
}
