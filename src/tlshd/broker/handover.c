// SPDX-License-Identifier: GPL-2.0-or-later
/* What a broker leaves to the next one: its jobs, as records in a ledger and in a queue. */
#include "tlshd/broker/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <glib.h>

#include "tlshd/shared/cause.h"
#include "tlshd/shared/ipc.h"

/* Not in the headers of every system that we are built on. */
#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

/* The identity, the peer's name and the detail follow, each with its NUL. */
struct record {
	uint32_t version;
	uint32_t fixed; /* sizeof(struct record) of the writer */
	uint32_t id, state, side;
	int32_t worker, keyring, key, named[UPCALL_PEERS_MAX];
	uint32_t n_named, cause, cipher;
	uint64_t start, deadline, socket;
	unsigned char peer[32];
	uint32_t auth, group;
	int32_t certificate, private_key;
	uint32_t certified, pad;
};

/* A record has 4 bytes, its length or 0 for none, and then itself. */
#define PLACE_SIZE (4 + HANDOVER_RECORD_MAX)
#define PLACES_FIRST 64
#define PLACES_MAX 65536
#define MAGIC "tlshd-ledger-1"

/* What a ledger begins with. */
struct head {
	char magic[16];
	uint32_t place_size;
	uint32_t pad;
};

G_STATIC_ASSERT(sizeof(struct record) + IDENTITY_MAX + 1 + UPCALL_PEERNAME_SIZE +
			OUTCOME_DETAIL_MAX <=
		HANDOVER_RECORD_MAX);
G_STATIC_ASSERT(sizeof(union peer) <= 32);

/* ---- a record ---- */

size_t handover_encode(const struct handover *h, void *record)
{
	struct record r = {
		.version = HANDOVER_VERSION,
		.fixed = sizeof(r),
		.id = h->id,
		.state = h->state,
		.side = h->side,
		.worker = h->worker,
		.keyring = h->keyring,
		.key = h->key,
		.n_named = h->n_named,
		.cause = h->cause,
		.cipher = h->cipher,
		.start = h->start,
		.deadline = h->deadline,
		.socket = h->socket,
		.auth = h->auth,
		.group = h->group,
		.certificate = h->certificate,
		.private_key = h->private_key,
		.certified = h->certified,
	};
	char *end = (char *)record + sizeof(r);

	memcpy(r.named, h->named, sizeof(r.named));
	memcpy(r.peer, &h->peer, sizeof(h->peer));
	memcpy(record, &r, sizeof(r));
	end = stpcpy(end, h->identity) + 1;
	end = stpcpy(end, h->peername) + 1;
	end = stpcpy(end, h->detail) + 1;
	return (size_t)(end - (char *)record);
}

static bool is_plausible(const struct handover *h)
{
	if (h->state < HANDOVER_NEW || h->state > HANDOVER_ENDED || h->cause >= CAUSE_N)
		return false;
	if (h->n_named > UPCALL_PEERS_MAX)
		return false;
	/* What is to fail may be of a kernel that is newer. */
	if (h->cause != CAUSE_SUCCESS)
		return true;
	return (h->side == HANDSHAKE_CLIENT || h->side == HANDSHAKE_SERVER) &&
	       h->auth >= HANDSHAKE_UNAUTH && h->auth <= HANDSHAKE_X509;
}

/* Copies the string at *@at, which has to end before @end. Return: false when it does not. */
static bool take_string(const char **at, const char *end, char *out, size_t size)
{
	size_t room = MIN((size_t)(end - *at), size);

	if (!memchr(*at, '\0', room))
		return false;
	*at += g_strlcpy(out, *at, size) + 1;
	return true;
}

int handover_decode(const void *record, size_t len, struct handover *h)
{
	const char *at = record, *end = at + len;
	struct record r = {0};

	if (len < offsetof(struct record, id))
		return -EBADMSG;
	memcpy(&r, record, offsetof(struct record, id));
	if (r.version != HANDOVER_VERSION)
		return -EPROTONOSUPPORT;
	if (r.fixed < offsetof(struct record, id) || r.fixed >= len)
		return -EBADMSG;
	at += r.fixed;
	memcpy(&r, record, MIN(r.fixed, sizeof(r)));
	*h = (struct handover){
		.id = r.id,
		.state = r.state,
		.side = r.side,
		.auth = r.auth,
		.worker = r.worker,
		.keyring = r.keyring,
		.key = r.key,
		.n_named = r.n_named,
		.cause = r.cause,
		.cipher = r.cipher,
		.certified = r.certified,
		.group = r.group,
		.certificate = r.certificate,
		.private_key = r.private_key,
		.start = r.start,
		.deadline = r.deadline,
		.socket = r.socket,
	};
	memcpy(h->named, r.named, sizeof(h->named));
	memcpy(&h->peer, r.peer, sizeof(h->peer));
	if (!take_string(&at, end, h->identity, sizeof(h->identity)) ||
	    !take_string(&at, end, h->peername, sizeof(h->peername)) ||
	    !take_string(&at, end, h->detail, sizeof(h->detail)))
		return -EBADMSG;
	return is_plausible(h) ? 0 : -EBADMSG;
}

static bool read_versions(const char *path)
{
	int ipc = IPC_VERSION, version = HANDOVER_VERSION;
	g_autofree char *text = NULL;

	if (g_file_get_contents(path, &text, NULL, NULL))
		sscanf(text, "%d %d", &ipc, &version);
	return ipc == IPC_VERSION && version == HANDOVER_VERSION;
}

void handover_look(struct handover_file *file, const char *path)
{
	file->fd = open(path, O_PATH | O_CLOEXEC);
	if (file->fd >= 0 && fstat(file->fd, &file->st) < 0)
		handover_forget(file);
	file->agrees = read_versions(path);
}

void handover_forget(struct handover_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

bool handover_agrees(const struct handover_file *file, const char *path)
{
	struct stat st;

	if (file->fd >= 0 && stat(path, &st) == 0 && is_same(&st, &file->st))
		return file->agrees;
	return read_versions(path);
}

uint64_t handover_cookie(int sockfd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	return getsockopt(sockfd, SOL_SOCKET, SO_COOKIE, &cookie, &len) < 0 ? 0 : cookie;
}

/* ---- the ledger ---- */

struct ledger {
	int fd;
	char *map;
	uint32_t places; /* in the file */
	uint32_t used; /* from there on all are free */
	GArray *free; /* of those below */
};

static size_t size_of(uint32_t places)
{
	return sizeof(struct head) + (size_t)places * PLACE_SIZE;
}

/* Places are counted from 1. */
static char *place_at(const struct ledger *l, uint32_t place)
{
	return l->map + size_of(place - 1);
}

static int grow(struct ledger *l, uint32_t places)
{
	void *map;

	if (places > PLACES_MAX)
		return -ENOSPC;
	if (ftruncate(l->fd, (off_t)size_of(places)) < 0)
		return -errno;
	map = l->map ? mremap(l->map, size_of(l->places), size_of(places), MREMAP_MAYMOVE)
		     : mmap(NULL, size_of(places), PROT_READ | PROT_WRITE, MAP_SHARED, l->fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	l->map = map;
	l->places = places;
	return 0;
}

int ledger_new(struct ledger **out)
{
	const struct head head = {.magic = MAGIC, .place_size = PLACE_SIZE};
	struct ledger *l = g_new0(struct ledger, 1);
	int r = 0;

	l->free = g_array_new(FALSE, FALSE, sizeof(uint32_t));
	l->fd = memfd_create("tlshd-ledger", MFD_CLOEXEC);
	if (l->fd < 0)
		r = -errno;
	if (r >= 0)
		r = grow(l, PLACES_FIRST);
	if (r < 0) {
		ledger_free(l);
		return r;
	}
	memcpy(l->map, &head, sizeof(head));
	*out = l;
	return 0;
}

void ledger_free(struct ledger *l)
{
	if (!l)
		return;
	if (l->map)
		munmap(l->map, size_of(l->places));
	if (l->fd >= 0)
		close(l->fd);
	g_array_unref(l->free);
	g_free(l);
}

int ledger_fd(const struct ledger *l)
{
	return l->fd;
}

static uint32_t new_place(struct ledger *l)
{
	uint32_t place;

	if (l->free->len) {
		place = g_array_index(l->free, uint32_t, l->free->len - 1);
		g_array_set_size(l->free, l->free->len - 1);
		return place;
	}
	if (l->used == l->places && grow(l, l->places * 2) < 0)
		return 0;
	return ++l->used;
}

/* The length, which says whether there is a record, is written by itself. */
static void set_length(char *at, uint32_t len)
{
	atomic_thread_fence(memory_order_release);
	memcpy(at, &len, sizeof(len));
	atomic_thread_fence(memory_order_release);
}

uint32_t ledger_write(struct ledger *l, uint32_t place, const struct handover *h)
{
	char *at;
	size_t len;

	if (!place)
		place = new_place(l);
	if (!place)
		return 0;
	at = place_at(l, place);
	set_length(at, 0);
	len = handover_encode(h, at + 4);
	set_length(at, (uint32_t)len);
	return place;
}

void ledger_erase(struct ledger *l, uint32_t place)
{
	if (!place)
		return;
	set_length(place_at(l, place), 0);
	g_array_append_val(l->free, place);
}

/* Read, and not mapped: the file may be shorter than it says. */
static int read_place(int fd, uint32_t place, size_t size, struct handover *h)
{
	char bytes[PLACE_SIZE];
	ssize_t n = pread(fd, bytes, MIN(size, sizeof(bytes)),
			  (off_t)(sizeof(struct head) + (size_t)place * size));
	uint32_t len;

	if (n < 0)
		return -errno;
	if (n < (ssize_t)sizeof(len))
		return -ENODATA;
	memcpy(&len, bytes, sizeof(len));
	if (!len)
		return -ENOENT;
	if (len > (size_t)n - sizeof(len))
		return -EBADMSG;
	return handover_decode(bytes + sizeof(len), len, h);
}

int ledger_read(int fd, void (*each)(void *ctx, const struct handover *h), void *ctx)
{
	struct head head;
	ssize_t n = pread(fd, &head, sizeof(head), 0);
	int bad = 0;

	if (n < 0)
		return -errno;
	if (n != sizeof(head) || strncmp(head.magic, "tlshd-ledger-", 13) != 0)
		return -EBADMSG;
	if (strncmp(head.magic, MAGIC, sizeof(head.magic)) != 0)
		return -EPROTONOSUPPORT;
	if (head.place_size < 4 || head.place_size > 1024 * 1024)
		return -EBADMSG;
	for (uint32_t place = 0; place < PLACES_MAX; place++) {
		struct handover h;
		int r = read_place(fd, place, head.place_size, &h);

		if (r == -ENODATA)
			break;
		if (r == 0)
			each(ctx, &h);
		else if (r != -ENOENT)
			bad = r;
	}
	return bad;
}

/* ---- the queue ---- */

/* Enough for as many jobs as a broker can have descriptors for. */
#define QUEUE_SIZE (128 * 1024 * 1024)

int queue_open(int *read_end, int *write_end)
{
	int fd[2], size = QUEUE_SIZE;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) < 0)
		return -errno;
	if (setsockopt(fd[1], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	*read_end = fd[0];
	*write_end = fd[1];
	return 0;
}

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int queue_send(int write_end, const struct handover *h, int sockfd)
{
	char record[HANDOVER_RECORD_MAX];
	union control control = {0};
	struct iovec vec = {record, handover_encode(h, record)};
	struct msghdr msg = {.msg_iov = &vec,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	ssize_t n;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &sockfd, sizeof(sockfd));
	do
		n = sendmsg(write_end, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int queue_receive(int read_end, struct handover *h, int *sockfd)
{
	char record[HANDOVER_RECORD_MAX];
	union control control;
	struct iovec vec = {record, sizeof(record)};
	struct msghdr msg = {.msg_iov = &vec,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *c;
	ssize_t n;
	int r;

	*sockfd = -1;
	do
		n = recvmsg(read_end, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : -EPIPE;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(sockfd, CMSG_DATA(c), sizeof(*sockfd));
	r = msg.msg_flags & MSG_TRUNC ? -EBADMSG : handover_decode(record, (size_t)n, h);
	if (r < 0 && *sockfd >= 0) {
		close(*sockfd);
		*sockfd = -1;
	}
	return r;
}
