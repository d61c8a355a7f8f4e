// SPDX-License-Identifier: GPL-2.0-or-later
/* A connection from user space to a target, in the clear or by TLS 1.3 with a PSK; nothing waits forever. */
#include "nvme-tls/doctor-link.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct doctor_link {
	int fd;
	gint64 patience; /* usec that each step may take */
	gint64 deadline; /* of this step, monotonic */
	gnutls_session_t tls; /* NULL: in the clear */
	gnutls_psk_client_credentials_t credentials;
	char *identity;
	secret psk;
	bool established;
};

static void begin_step(struct doctor_link *link)
{
	link->deadline = g_get_monotonic_time() + link->patience;
}

/* Waits for @events until the step's time is over. Return: false when it is. */
static bool wait_for(const struct doctor_link *link, short events)
{
	struct pollfd p = {.fd = link->fd, .events = events};
	gint64 left = link->deadline - g_get_monotonic_time();
	int r;

	do
		r = left > 0 ? poll(&p, 1, (int)(left / 1000) + 1) : 0;
	while (r < 0 && errno == EINTR);
	return r > 0;
}

/* ---- TCP ---- */

static int connect_to(struct doctor_link *link, const struct addrinfo *address)
{
	int err = 0;
	socklen_t len = sizeof(err);

	link->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (link->fd < 0)
		return -errno;
	if (connect(link->fd, address->ai_addr, address->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	if (!wait_for(link, POLLOUT))
		return -ETIMEDOUT;
	if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return -errno;
	return -err;
}

struct doctor_link *doctor_link_open(const char *host, const char *service, unsigned int seconds,
				     char **why)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	g_autoptr(doctor_link) link = g_new0(struct doctor_link, 1);
	struct addrinfo *all = NULL;
	int r;

	link->fd = -1;
	link->patience = seconds * G_USEC_PER_SEC;
	r = getaddrinfo(host, service, &hints, &all);
	if (r) {
		*why = g_strdup(r == EAI_SYSTEM ? g_strerror(errno) : gai_strerror(r));
		return NULL;
	}
	begin_step(link);
	r = -ENOENT;
	for (const struct addrinfo *a = all; a && r < 0; a = a->ai_next) {
		if (link->fd >= 0)
			close(link->fd);
		r = connect_to(link, a);
	}
	freeaddrinfo(all);
	if (r < 0) {
		*why = g_strdup(g_strerror(-r));
		return NULL;
	}
	return g_steal_pointer(&link);
}

void doctor_link_close(struct doctor_link *link)
{
	if (!link)
		return;
	/* One attempt to say goodbye; a peer that does not listen is not waited for. */
	if (link->established)
		gnutls_bye(link->tls, GNUTLS_SHUT_WR);
	if (link->tls)
		gnutls_deinit(link->tls);
	if (link->credentials)
		gnutls_psk_free_client_credentials(link->credentials);
	if (link->fd >= 0)
		close(link->fd);
	g_free(link->identity);
	secret_wipe(&link->psk);
	g_free(link);
}

/* ---- how it ended ---- */

void doctor_link_end_clear(struct doctor_link_end *end)
{
	g_free(end->text);
	memset(end, 0, sizeof(*end));
}

static int end_late(doctor_link_end *end)
{
	*end = (doctor_link_end){.alert = -1, .late = true};
	end->text = g_strdup("the peer has not answered in time");
	return -EPROTO;
}

static int end_closed(doctor_link_end *end)
{
	*end = (doctor_link_end){.alert = -1, .closed = true};
	end->text = g_strdup("the peer has closed the connection");
	return -EPROTO;
}

static int end_tls(const struct doctor_link *link, int r, doctor_link_end *end)
{
	*end = (doctor_link_end){.alert = -1};
	switch (r) {
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
		end->alert = (int)gnutls_alert_get(link->tls);
		end->text = g_strdup_printf("the peer has sent the TLS alert %d (%s)", end->alert,
					    gnutls_alert_get_name(gnutls_alert_get(link->tls)));
		break;
	case GNUTLS_E_PREMATURE_TERMINATION:
	case GNUTLS_E_PULL_ERROR:
	case GNUTLS_E_PUSH_ERROR:
		return end_closed(end);
	case GNUTLS_E_UNEXPECTED_PACKET_LENGTH:
	case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
	case GNUTLS_E_UNEXPECTED_PACKET:
	case GNUTLS_E_RECORD_OVERFLOW:
		end->plain = !link->established;
		end->text = g_strdup("the peer's bytes are none of TLS");
		break;
	default:
		end->text = g_strdup_printf("TLS has failed: %s", gnutls_strerror(r));
		break;
	}
	return -EPROTO;
}

/* ---- TLS ---- */

static int give_key(gnutls_session_t tls, gnutls_datum_t *name, gnutls_datum_t *key)
{
	const struct doctor_link *link = gnutls_session_get_ptr(tls);

	name->size = (unsigned int)strlen(link->identity);
	/* One more, for GnuTLS takes it for a C string here and there. */
	name->data = gnutls_malloc(name->size + 1);
	key->data = gnutls_malloc(link->psk.len);
	if (!name->data || !key->data) {
		gnutls_free(name->data);
		gnutls_free(key->data);
		return -1;
	}
	memcpy(name->data, link->identity, name->size + 1);
	memcpy(key->data, link->psk.data, link->psk.len);
	key->size = (unsigned int)link->psk.len;
	return 0;
}

static int allocate(struct doctor_link *link, enum psk_hash hash)
{
#ifdef HAVE_PSK_CREDENTIALS2
	return gnutls_psk_allocate_client_credentials2(&link->credentials,
						       hash == PSK_HASH_SHA384 ? GNUTLS_MAC_SHA384
									       : GNUTLS_MAC_SHA256);
#else
	return hash == PSK_HASH_SHA384 ? GNUTLS_E_UNIMPLEMENTED_FEATURE
				       : gnutls_psk_allocate_client_credentials(&link->credentials);
#endif
}

static int prepare(struct doctor_link *link, const struct policy *policy)
{
	enum psk_hash hash = psk_hash_of_size(link->psk.len);

	if (hash == PSK_HASH_NONE || !policy->hash[hash] || allocate(link, hash) < 0)
		return -ENOTSUP;
	if (gnutls_init(&link->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0)
		return -ENOTSUP;
	gnutls_handshake_set_timeout(link->tls, GNUTLS_INDEFINITE_TIMEOUT);
	gnutls_psk_set_client_credentials_function2(link->credentials, give_key);
	gnutls_session_set_ptr(link->tls, link);
	gnutls_transport_set_int(link->tls, link->fd);
	if (gnutls_priority_set(link->tls, policy->hash[hash]) < 0 ||
	    gnutls_credentials_set(link->tls, GNUTLS_CRD_PSK, link->credentials) < 0)
		return -ENOTSUP;
	return 0;
}

/* Waits for what GnuTLS is waiting for. */
static bool wait_for_tls(const struct doctor_link *link)
{
	return wait_for(link, gnutls_record_get_direction(link->tls) ? POLLOUT : POLLIN);
}

static bool try_again(ssize_t r)
{
	return r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED ||
	       r == GNUTLS_E_WARNING_ALERT_RECEIVED || r == GNUTLS_E_GOT_APPLICATION_DATA;
}

int doctor_link_handshake(struct doctor_link *link, const char *identity, const secret *psk,
			  const struct policy *policy, doctor_link_end *end)
{
	int r;

	*end = (doctor_link_end){.alert = -1};
	link->identity = g_strdup(identity);
	secret_set(&link->psk, psk->data, psk->len);
	r = prepare(link, policy);
	if (r < 0)
		return r;
	begin_step(link);
	while ((r = gnutls_handshake(link->tls)) < 0) {
		if (!try_again(r))
			return end_tls(link, r, end);
		if (!wait_for_tls(link))
			return end_late(end);
	}
	/* Whoever does not know the key must not get the names that follow. */
	if (gnutls_auth_get_type(link->tls) != GNUTLS_CRD_PSK)
		return end_tls(link, GNUTLS_E_INSUFFICIENT_CREDENTIALS, end);
	link->established = true;
	return 0;
}

const char *doctor_link_cipher(const struct doctor_link *link)
{
	return gnutls_cipher_get_name(gnutls_cipher_get(link->tls));
}

/* ---- bytes ---- */

/* Return: bytes moved; -EAGAIN; 0 where the peer has closed; -EPROTO with @end filled. */
static ssize_t move(struct doctor_link *link, bool out, void *bytes, size_t len,
		    doctor_link_end *end)
{
	ssize_t r;

	if (!link->tls) {
		r = out ? send(link->fd, bytes, len, MSG_NOSIGNAL) : recv(link->fd, bytes, len, 0);
		if (r < 0 && (errno == EAGAIN || errno == EINTR))
			return -EAGAIN;
		return r < 0 ? end_closed(end) : r;
	}
	r = out ? gnutls_record_send(link->tls, bytes, len)
		: gnutls_record_recv(link->tls, bytes, len);
	if (try_again(r))
		return -EAGAIN;
	return r < 0 ? end_tls(link, (int)r, end) : r;
}

static int move_all(struct doctor_link *link, bool out, void *bytes, size_t len,
		    doctor_link_end *end)
{
	uint8_t *at = bytes;

	begin_step(link);
	while (len) {
		ssize_t r = move(link, out, at, len, end);
		short events = out ? POLLOUT : POLLIN;

		if (r == -EPROTO)
			return -EPROTO;
		if (r == 0)
			return end_closed(end);
		if (r > 0) {
			at += r;
			len -= (size_t)r;
		} else if (link->tls ? !wait_for_tls(link) : !wait_for(link, events)) {
			return end_late(end);
		}
		if (g_get_monotonic_time() > link->deadline)
			return end_late(end);
	}
	return 0;
}

int doctor_link_send(struct doctor_link *link, const void *bytes, size_t len, doctor_link_end *end)
{
	return move_all(link, true, (void *)bytes, len, end);
}

int doctor_link_receive(struct doctor_link *link, void *bytes, size_t len, doctor_link_end *end)
{
	return move_all(link, false, bytes, len, end);
}
