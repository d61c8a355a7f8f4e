// SPDX-License-Identifier: GPL-2.0-or-later
/* The recording of the daemon's handshakes: what its file looks like, and how it is read. */
#include "common/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/stat.h>
#include <systemd/sd-id128.h>

/* A write takes less than a microsecond, unless the daemon loses its CPU in the middle: then it is waited for. */
#define TRIES_AT_ONCE 100
#define TRIES 1000
#define WAIT_USEC 1000

/* Buckets for each power of two. */
#define PARTS_LOG2 3
#define PARTS (1u << PARTS_LOG2)

#define OFFSET(member) offsetof(struct recording_file, member)

G_STATIC_ASSERT(sizeof(struct recording_head) % sizeof(uint64_t) == 0);
G_STATIC_ASSERT(sizeof(struct recording_state) % sizeof(uint64_t) == 0);
G_STATIC_ASSERT(sizeof(struct recording_cause) % sizeof(uint64_t) == 0);
G_STATIC_ASSERT(sizeof(struct recording_slot) == sizeof(uint64_t) + sizeof(struct recording_entry));

struct recording {
	struct recording_state state;
	struct recording_cause cause[RECORDING_CAUSES_MAX];
	GArray *entries; /* of struct recording_entry */
	int pid;
};

/* ---- the layout ---- */

size_t recording_file_size(uint32_t slots)
{
	return OFFSET(slot) + slots * sizeof(struct recording_slot);
}

/* The first eight hold one duration each; from there on each power of two has eight parts. */
unsigned int recording_bucket(uint64_t usec)
{
	unsigned int log2, bucket;

	if (usec < PARTS)
		return (unsigned int)usec;
	log2 = 63 - (unsigned int)__builtin_clzll(usec);
	bucket = ((log2 - PARTS_LOG2 + 1) << PARTS_LOG2) +
		 ((unsigned int)(usec >> (log2 - PARTS_LOG2)) & (PARTS - 1));
	return MIN(bucket, RECORDING_BUCKETS - 1u);
}

uint64_t recording_bucket_floor(unsigned int bucket)
{
	if (bucket < PARTS)
		return bucket;
	return (uint64_t)(PARTS + bucket % PARTS) << (bucket / PARTS - 1);
}

uint64_t recording_percentile(const uint64_t *durations, unsigned int percent)
{
	uint64_t all = 0, below = 0;

	for (unsigned int i = 0; i < RECORDING_BUCKETS; i++)
		all += durations[i];
	for (unsigned int i = 0; all && i < RECORDING_BUCKETS; i++) {
		below += durations[i];
		if ((double)below * 100 >= (double)all * percent)
			return recording_bucket_floor(i + 1);
	}
	return 0;
}

char *recording_path(const char *dir)
{
	struct stat st;

	if (stat("/proc/self/ns/net", &st) < 0)
		st.st_ino = 0;
	return g_strdup_printf("%s/recording-%ju", dir, (uintmax_t)st.st_ino);
}

void recording_head_fill(struct recording_head *head, uint32_t slots)
{
	sd_id128_t boot = {0};

	sd_id128_get_boot(&boot);
	*head = (struct recording_head){
		.version = RECORDING_VERSION,
		.head_size = sizeof(struct recording_head),
		.state_size = sizeof(struct recording_state),
		.cause_size = sizeof(struct recording_cause),
		.slot_size = sizeof(struct recording_slot),
		.slots = slots,
	};
	memcpy(head->magic, RECORDING_MAGIC, sizeof(head->magic));
	memcpy(head->boot, boot.bytes, sizeof(head->boot));
}

/* ---- checks ---- */

#define IS_STRING(array) (memchr(array, '\0', sizeof(array)) != NULL)

static const char *check_head(const struct recording_head *head, off_t size)
{
	if (head->head_size != sizeof(*head) ||
	    head->state_size != sizeof(struct recording_state) ||
	    head->cause_size != sizeof(struct recording_cause) ||
	    head->slot_size != sizeof(struct recording_slot))
		return "its parts have other sizes than those of its version";
	if (!head->slots || head->slots > RECORDING_SLOTS_MAX)
		return "it has an impossible number of slots";
	if (size < 0 || (uint64_t)size != recording_file_size(head->slots))
		return "it is longer or shorter than its slots";
	return NULL;
}

static bool is_worker(const struct recording_worker *worker)
{
	return worker->work < RECORDING_WORKS_N;
}

const char *recording_state_check(const struct recording_state *state)
{
	const struct recording_gauges *now = &state->now;

	if (!IS_STRING(state->build) || !IS_STRING(state->config))
		return "a text in it has no end";
	if (state->keyrings > RECORDING_KEYRINGS_MAX || state->causes > RECORDING_CAUSES_MAX ||
	    now->workers > RECORDING_WORKERS_MAX || now->phase > RECORDING_STOPPED)
		return "a number in it is out of its range";
	for (uint32_t i = 0; i < state->keyrings; i++)
		if (!IS_STRING(state->keyring[i].name))
			return "the name of a keyring in it has no end";
	for (uint32_t i = 0; i < now->workers; i++)
		if (!is_worker(&now->worker[i]))
			return "a worker in it is in no state that there is";
	return NULL;
}

const char *recording_cause_check(const struct recording_cause *cause)
{
	if (!IS_STRING(cause->id) || !IS_STRING(cause->sentence) || !IS_STRING(cause->remedy))
		return "the text of a cause in it has no end";
	if (!*cause->id || cause->id[strspn(cause->id, "abcdefghijklmnopqrstuvwxyz0123456789-")])
		return "the name of a cause in it is no such name";
	return NULL;
}

static bool is_entry(const recording *r, const struct recording_entry *entry, uint64_t number)
{
	return entry->number == number && number < r->state.next && entry->side < RECORDING_SIDES &&
	       entry->cause < r->state.causes && IS_STRING(entry->cipher) &&
	       IS_STRING(entry->group) && IS_STRING(entry->identity) && IS_STRING(entry->detail);
}

/* ---- reading ---- */

static int read_all(int fd, void *to, size_t size, size_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, (char *)to + done, size - done, (off_t)(offset + done));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -EBADMSG; /* cut short meanwhile */
		if (n > 0)
			done += (size_t)n;
	}
	return 0;
}

/* Asks who holds the lock, without taking it: a daemon that starts just now must get it. */
static int lock_holder(int fd)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		return 0;
	return lock.l_pid > 0 ? lock.l_pid : -1;
}

/* Return: 1 when the copy is of one moment, 0 when it is not, or a negative errno. */
static int try_state(recording *r, int fd)
{
	uint64_t before, after;
	int e = read_all(fd, &before, sizeof(before), OFFSET(sequence));

	atomic_thread_fence(memory_order_acquire);
	if (e == 0)
		e = read_all(fd, &r->state, sizeof(r->state), OFFSET(state));
	atomic_thread_fence(memory_order_acquire);
	if (e == 0)
		e = read_all(fd, &after, sizeof(after), OFFSET(sequence));
	return e < 0 ? e : before == after && before % 2 == 0;
}

/*
 * A daemon that was killed in the middle of a write has left an odd number for good. Each word is whole
 * all the same, and a count may be one too small.
 */
static int read_state(recording *r, int fd)
{
	for (int i = 0; i < TRIES; i++) {
		int e = try_state(r, fd);

		if (e)
			return MIN(e, 0);
		if (!lock_holder(fd))
			break;
		if (i >= TRIES_AT_ONCE)
			g_usleep(WAIT_USEC);
	}
	return MIN(try_state(r, fd), 0);
}

/* The ring, three times: the first and the last tell which entries of the one between are whole. */
static int read_ring(int fd, struct recording_slot *ring[3], size_t size)
{
	int e = 0;

	for (int i = 0; i < 3 && e == 0; i++) {
		e = read_all(fd, ring[i], size, OFFSET(slot));
		atomic_thread_fence(memory_order_acquire);
	}
	return e;
}

/* What was being written while we read is left out, and what no daemon can have written. */
static void take_entries(recording *r, struct recording_slot *ring[3], uint32_t slots)
{
	uint64_t first = r->state.next > slots ? r->state.next - slots : 0;

	for (uint64_t number = first; number < r->state.next; number++) {
		uint32_t at = (uint32_t)(number % slots);
		uint64_t whole = 2 * number + 2;

		if (ring[0][at].sequence == whole && ring[2][at].sequence == whole &&
		    is_entry(r, &ring[1][at].entry, number))
			g_array_append_val(r->entries, ring[1][at].entry);
	}
}

static int read_entries(recording *r, int fd, uint32_t slots)
{
	size_t size = slots * sizeof(struct recording_slot);
	g_autofree void *first = g_malloc(size), *second = g_malloc(size), *third = g_malloc(size);
	struct recording_slot *ring[] = {first, second, third};
	int e = read_ring(fd, ring, size);

	if (e == 0)
		take_entries(r, ring, slots);
	return e;
}

static int read_causes(recording *r, int fd, const char **why)
{
	int e = read_all(fd, r->cause, sizeof(r->cause), OFFSET(cause));

	for (uint32_t i = 0; e == 0 && i < r->state.causes; i++) {
		const char *wrong = recording_cause_check(&r->cause[i]);

		if (wrong) {
			*why = wrong;
			e = -EBADMSG;
		}
	}
	return e;
}

static int check_file(int fd, struct recording_head *head, const char **why)
{
	const char *wrong;
	struct stat st;
	int e;

	if (fstat(fd, &st) < 0)
		return -errno;
	*why = "it is no recording of tlshd";
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	e = read_all(fd, head, sizeof(*head), 0);
	if (e < 0)
		return e;
	if (memcmp(head->magic, RECORDING_MAGIC, sizeof(head->magic)) != 0)
		return -EBADMSG;
	if (head->version != RECORDING_VERSION) {
		*why = "it is of another version of tlshd";
		return -EPROTONOSUPPORT;
	}
	wrong = check_head(head, st.st_size);
	if (wrong)
		*why = wrong;
	return wrong ? -EBADMSG : 0;
}

static int read_file(recording *r, int fd, const char **why)
{
	struct recording_head head;
	const char *wrong;
	int e = check_file(fd, &head, why);

	if (e == 0)
		e = read_state(r, fd);
	if (e < 0)
		return e;
	wrong = recording_state_check(&r->state);
	if (wrong) {
		*why = wrong;
		return -EBADMSG;
	}
	atomic_thread_fence(memory_order_acquire);
	e = read_causes(r, fd, why);
	if (e == 0)
		e = read_entries(r, fd, head.slots);
	r->pid = lock_holder(fd);
	return e;
}

int recording_read(const char *path, recording **out, const char **why)
{
	g_autoptr(recording) r = g_new0(recording, 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), e;

	if (fd < 0) {
		e = -errno;
		*why = g_strerror(-e);
		return e;
	}
	*why = "it cannot be read";
	r->entries = g_array_new(FALSE, FALSE, sizeof(struct recording_entry));
	e = read_file(r, fd, why);
	close(fd);
	if (e < 0)
		return e;
	*out = g_steal_pointer(&r);
	return 0;
}

void recording_free(recording *r)
{
	if (!r)
		return;
	if (r->entries)
		g_array_unref(r->entries);
	g_free(r);
}

/* ---- what it says ---- */

const struct recording_state *recording_state(const recording *r)
{
	return &r->state;
}

int recording_pid(const recording *r)
{
	return r->pid;
}

const struct recording_cause *recording_cause(const recording *r, uint32_t cause)
{
	static const struct recording_cause unknown = {.id = "unknown"};

	return cause < r->state.causes ? &r->cause[cause] : &unknown;
}

size_t recording_entries(const recording *r)
{
	return r->entries->len;
}

const struct recording_entry *recording_entry_at(const recording *r, size_t i)
{
	return &g_array_index(r->entries, struct recording_entry, i);
}

const char *recording_side_name(uint32_t side)
{
	return side == RECORDING_CLIENT	  ? "client"
	       : side == RECORDING_SERVER ? "server"
					  : "unknown";
}

char *recording_peer_text(const struct recording_entry *entry)
{
	char host[INET6_ADDRSTRLEN];

	if (entry->family == AF_INET) {
		inet_ntop(AF_INET, entry->address, host, sizeof(host));
		return g_strdup_printf("%s:%u", host, entry->port & 0xffff);
	}
	if (entry->family == AF_INET6) {
		inet_ntop(AF_INET6, entry->address, host, sizeof(host));
		return g_strdup_printf("[%s]:%u", host, entry->port & 0xffff);
	}
	return g_strdup("-");
}
