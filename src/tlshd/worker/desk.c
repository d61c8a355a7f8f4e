// SPDX-License-Identifier: GPL-2.0-or-later
/* The desk of the signer, where a worker asks for the signature of a handshake and waits for it. */
#include "tlshd/worker/desk.h"

#include <errno.h>
#include <string.h>

#include "tlshd/shared/ipc.h"

static int await_answer(int sock, uint32_t job, gnutls_datum_t *signature)
{
	union ipc_message m;
	const char *why;
	int r;

	/* An answer that came too late for its job may still be in the socket. */
	do
		r = ipc_await(sock, IPC_CUSTOMER, &m, NULL, &why);
	while (r == 0 && m.header.job != job);
	if (r < 0)
		return r == -EAGAIN ? -ETIMEDOUT : r;
	if (m.signature.error)
		return -(int)m.signature.error;
	signature->data = gnutls_malloc(m.signature.len);
	if (!signature->data)
		return -ENOMEM;
	memcpy(signature->data, m.signature.signature, m.signature.len);
	signature->size = m.signature.len;
	return 0;
}

int desk_sign(int sock, uint32_t job, bool pq, gnutls_sign_algorithm_t algorithm,
	      const gnutls_datum_t *hash, gnutls_datum_t *signature)
{
	union ipc_message m = {.sign = {.header = {IPC_SIGN, job}, .pq = pq}};
	int r;

	if (sock < 0)
		return -EPIPE;
	if (hash->size > IPC_HASH_MAX)
		return -EINVAL;
	m.sign.algorithm = algorithm;
	m.sign.len = hash->size;
	memcpy(m.sign.hash, hash->data, hash->size);
	r = ipc_send(sock, &m, -1, false);
	return r < 0 ? r : await_answer(sock, job, signature);
}
