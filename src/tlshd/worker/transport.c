// SPDX-License-Identifier: GPL-2.0-or-later
/* The bytes between GnuTLS and a peer's socket: what is replayed, what is buffered, and how much is taken. */
#include "tlshd/worker/transport.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define ALERT_FATAL 2

void transport_init(struct transport *t, int fd)
{
	memset(t, 0, sizeof(*t));
	t->fd = fd;
	t->out = g_byte_array_new();
}

void transport_clear(struct transport *t)
{
	g_byte_array_unref(t->out);
	if (t->replay)
		g_byte_array_unref(t->replay);
	memset(t, 0, sizeof(*t));
}

static int end(struct transport *t, enum cause cause, int error)
{
	t->cause = cause;
	t->error = error;
	return -EPROTO;
}

/* Follows the records in @bytes. Each byte is looked at once at most, a record's body not at all. */
static void follow(struct transport *t, const uint8_t *bytes, size_t len)
{
	while (len) {
		size_t n;

		if (t->body_left) {
			n = MIN(len, t->body_left);
			t->body_left -= n;
		} else {
			if (t->header_len == RECORD_HEADER)
				t->header_len = 0;
			n = MIN(len, RECORD_HEADER - t->header_len);
			memcpy(t->header + t->header_len, bytes, n);
			t->header_len += n;
			if (t->header_len == RECORD_HEADER) {
				t->body_left = (size_t)t->header[3] << 8 | t->header[4];
				t->records++;
			}
		}
		bytes += n;
		len -= n;
	}
}

bool transport_in_record(const struct transport *t)
{
	return t->body_left || (t->header_len && t->header_len < RECORD_HEADER);
}

ssize_t transport_receive(struct transport *t, void *data, size_t len)
{
	ssize_t n;

	if (t->cause != CAUSE_SUCCESS)
		return -EPROTO;
	if (t->received >= TRANSPORT_BYTES_MAX)
		return end(t, CAUSE_TOO_MUCH, 0);
	/* MSG_DONTWAIT, for the socket's own flags belong to the kernel's consumer. */
	do
		n = recv(t->fd, data, MIN(len, TRANSPORT_BYTES_MAX - t->received), MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -EAGAIN : end(t, CAUSE_CONNECTION_BROKE, errno);
	if (n == 0)
		return end(t, CAUSE_PEER_CLOSED, 0);
	t->received += (size_t)n;
	follow(t, data, (size_t)n);
	return t->records > TRANSPORT_RECORDS_MAX ? end(t, CAUSE_TOO_MANY_RECORDS, 0) : n;
}

int transport_flush(struct transport *t)
{
	while (t->sent < t->out->len) {
		ssize_t n = send(t->fd, t->out->data + t->sent, t->out->len - t->sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return errno == EAGAIN ? -EAGAIN : end(t, CAUSE_CONNECTION_BROKE, errno);
		}
		t->sent += (size_t)n;
	}
	g_byte_array_set_size(t->out, 0);
	t->sent = 0;
	return 0;
}

static size_t replay_left(const struct transport *t)
{
	return t->replay ? t->replay->len - t->replayed : 0;
}

static ssize_t push(gnutls_transport_ptr_t ptr, const giovec_t *vec, int n)
{
	struct transport *t = ptr;
	ssize_t total = 0;

	for (int i = 0; i < n; i++) {
		g_byte_array_append(t->out, vec[i].iov_base, (guint)vec[i].iov_len);
		total += (ssize_t)vec[i].iov_len;
	}
	return total;
}

static ssize_t pull(gnutls_transport_ptr_t ptr, void *data, size_t len)
{
	struct transport *t = ptr;
	ssize_t n = (ssize_t)MIN(len, replay_left(t));

	if (n) {
		memcpy(data, t->replay->data + t->replayed, (size_t)n);
		t->replayed += (size_t)n;
		return n;
	}
	/* The peer answers what it has seen: everything goes out before we listen, and after that
	 * its answer cannot be there yet. */
	if (t->out->len) {
		n = transport_flush(t);
		if (n == 0)
			n = -EAGAIN;
	} else {
		n = transport_receive(t, data, len);
	}
	if (n > 0)
		return n;
	if (t->cause == CAUSE_PEER_CLOSED)
		return 0;
	t->starved = n == -EAGAIN;
	gnutls_transport_set_errno(t->tls, t->starved ? EAGAIN : EIO);
	return -1;
}

static int pull_timeout(gnutls_transport_ptr_t ptr, unsigned int ms)
{
	return 1; /* never asked for: our deadlines are the worker's */
}

void transport_attach(struct transport *t, gnutls_session_t tls)
{
	t->tls = tls;
	gnutls_transport_set_ptr(tls, t);
	gnutls_transport_set_vec_push_function(tls, push);
	gnutls_transport_set_pull_function(tls, pull);
	gnutls_transport_set_pull_timeout_function(tls, pull_timeout);
}

void transport_replay(struct transport *t, const void *message, size_t len)
{
	const uint8_t *from = message;

	t->replay = g_byte_array_new();
	while (len) {
		size_t n = MIN(len, RECORD_MAX);
		const uint8_t header[RECORD_HEADER] = {RECORD_HANDSHAKE, 3, 1, (uint8_t)(n >> 8),
						       (uint8_t)n};

		g_byte_array_append(t->replay, header, sizeof(header));
		g_byte_array_append(t->replay, from, (guint)n);
		from += n;
		len -= n;
	}
}

bool transport_alert(struct transport *t, int alert)
{
	const uint8_t plain[] = {RECORD_ALERT, 3, 3, 0, 2, ALERT_FATAL, (uint8_t)alert};

	if (!t->tls)
		g_byte_array_append(t->out, plain, sizeof(plain));
	else if (gnutls_alert_send(t->tls, GNUTLS_AL_FATAL, (gnutls_alert_description_t)alert) < 0)
		return false;
	return transport_flush(t) == 0;
}

void transport_discard(struct transport *t)
{
	uint8_t bytes[4096];

	for (size_t n = 0; n < TRANSPORT_BYTES_MAX / sizeof(bytes); n++)
		if (recv(t->fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
			break;
}
