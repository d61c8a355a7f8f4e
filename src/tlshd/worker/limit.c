// SPDX-License-Identifier: GPL-2.0-or-later
/* How long the records may be that the kernel will send: record_size_limit and max_fragment_length. */
#include "tlshd/worker/limit.h"

#include <errno.h>

#include "tlshd/worker/hello.h"
#include "tlshd/worker/transport.h"

/* RFC 8449, 4: from 64 bytes to 2^14 and the content type. */
#define LIMIT_MIN 64
#define LIMIT_MAX (RECORD_MAX + 1)
/* RFC 6066, 4: 2^9 to 2^12 bytes. */
#define FRAGMENT_CODE_MIN 1
#define FRAGMENT_CODE_MAX 4
#define FRAGMENT_SHIFT 8

static struct transport *transport_of(gnutls_session_t tls)
{
	return gnutls_transport_get_ptr(tls);
}

static int take_limit(struct transport *t, const unsigned char *data, size_t len)
{
	size_t bytes;

	if (len != 2)
		return GNUTLS_E_UNEXPECTED_PACKET_LENGTH;
	bytes = (size_t)data[0] << 8 | data[1];
	if (bytes < LIMIT_MIN)
		return GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER;
	t->limit = bytes < LIMIT_MAX ? bytes : 0;
	t->limit_offered = true;
	return 0;
}

static int take_record_size_limit(gnutls_session_t tls, const unsigned char *data, size_t len)
{
	return take_limit(transport_of(tls), data, len);
}

static int give_record_size_limit(gnutls_session_t tls, gnutls_buffer_t to)
{
	static const unsigned char all[] = {LIMIT_MAX >> 8, LIMIT_MAX & 0xff};

	if (!transport_of(tls)->limit_offered)
		return 0;
	return gnutls_buffer_append_data(to, all, sizeof(all)) < 0 ? GNUTLS_E_MEMORY_ERROR
								   : (int)sizeof(all);
}

static int take_max_fragment_length(gnutls_session_t tls, const unsigned char *data, size_t len)
{
	if (len != 1)
		return GNUTLS_E_UNEXPECTED_PACKET_LENGTH;
	if (data[0] < FRAGMENT_CODE_MIN || data[0] > FRAGMENT_CODE_MAX)
		return GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER;
	transport_of(tls)->fragment_code = data[0];
	return 0;
}

/* Of both, record_size_limit counts (RFC 8449, 5). */
static int give_max_fragment_length(gnutls_session_t tls, gnutls_buffer_t to)
{
	struct transport *t = transport_of(tls);

	if (!t->fragment_code || t->limit_offered)
		return 0;
	t->limit = (size_t)1 << (FRAGMENT_SHIFT + t->fragment_code);
	return gnutls_buffer_append_data(to, &t->fragment_code, 1) < 0 ? GNUTLS_E_MEMORY_ERROR : 1;
}

static int decline(gnutls_session_t tls, const unsigned char *data, size_t len)
{
	return 0;
}

static int say_nothing(gnutls_session_t tls, gnutls_buffer_t to)
{
	return 0;
}

static int answer(gnutls_session_t tls, const char *name, int id, gnutls_ext_recv_func take,
		  gnutls_ext_send_func give)
{
	return gnutls_session_ext_register(tls, name, id, GNUTLS_EXT_TLS, take, give, NULL, NULL,
					   NULL,
					   GNUTLS_EXT_FLAG_OVERRIDE_INTERNAL |
						   GNUTLS_EXT_FLAG_CLIENT_HELLO |
						   GNUTLS_EXT_FLAG_EE | GNUTLS_EXT_FLAG_TLS) < 0
		       ? -ENOMEM
		       : 0;
}

static int read_answer(void *ctx, unsigned int type, const unsigned char *data, unsigned int size)
{
	return type == HELLO_RECORD_SIZE_LIMIT ? take_limit(ctx, data, size) : 0;
}

/* GnuTLS reads the message itself, and says what is wrong with a malformed one. */
static int on_encrypted_extensions(gnutls_session_t tls, unsigned int type, unsigned int when,
				   unsigned int incoming, const gnutls_datum_t *message)
{
	gnutls_ext_raw_parse(transport_of(tls), read_answer, message, 0);
	return 0;
}

int limit_attach(gnutls_session_t tls, enum handshake_side side, bool can_keep)
{
	int r;

	if (side == HANDSHAKE_CLIENT) {
		gnutls_handshake_set_hook_function(tls, GNUTLS_HANDSHAKE_ENCRYPTED_EXTENSIONS,
						   GNUTLS_HOOK_PRE, on_encrypted_extensions);
		return 0;
	}
	r = answer(tls, "record_size_limit", HELLO_RECORD_SIZE_LIMIT,
		   can_keep ? take_record_size_limit : decline,
		   can_keep ? give_record_size_limit : say_nothing);
	if (r < 0)
		return r;
	return answer(tls, "max_fragment_length", HELLO_MAX_FRAGMENT_LENGTH,
		      can_keep ? take_max_fragment_length : decline,
		      can_keep ? give_max_fragment_length : say_nothing);
}
