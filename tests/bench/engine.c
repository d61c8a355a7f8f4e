// SPDX-License-Identifier: GPL-2.0-or-later
/* PSK handshakes through our session engine against the same through bare GnuTLS calls. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tlshd/worker/session.h"

#define KEY_FILL 7
#define ROUNDS 20

static const char *const identities[] = {
	[PSK_HASH_SHA256] =
		"NVMe1R01 nqn.2014-08.org.nvmexpress:uuid:befdec4c-2234-11b2-a85c-ca77c773af36 "
		"nqn.io-1 iSbjiStwJ/1TrTvDlt2fjFmzvsytOJelidNnA+X5lEU=",
	[PSK_HASH_SHA384] =
		"NVMe1R02 nqn.2014-08.org.nvmexpress:uuid:befdec4c-2234-11b2-a85c-ca77c773af36 "
		"nqn.io-1 iSbjiStwJ/1TrTvDlt2fjFmzvsytOJelidNnA+X5lEU=",
};

static struct engine engine;
static struct auth_psk_shared bare_credentials;
static enum psk_hash hash;

/* ---- what allocations survive ---- */

static struct {
	long made, freed;
} heap;

#ifndef __SANITIZE_ADDRESS__
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

void *malloc(size_t size)
{
	heap.made++;
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	heap.made++;
	return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	if (!old)
		heap.made++;
	else if (!size)
		heap.freed++;
	return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	heap.made++;
	return __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
	*memory = aligned_alloc(alignment, size);
	return *memory ? 0 : ENOMEM;
}

void free(void *memory)
{
	if (memory)
		heap.freed++;
	__libc_free(memory);
}
#endif

static long heap_alive(void)
{
	return heap.made - heap.freed;
}

static double cpu_usec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static G_NORETURN void die(const char *what, const char *why)
{
	fprintf(stderr, "engine: %s: %s\n", what, why);
	exit(2);
}

/* ---- one end of a handshake, of either kind ---- */

struct end {
	struct session *session;
	gnutls_session_t tls;
	int result; /* 0 or -EAGAIN */
};

struct kind {
	const char *name;
	void (*open)(struct end *e, int fd, enum handshake_side side);
	void (*step)(struct end *e);
	void (*close)(struct end *e);
};

static void lookup(void *ctx, const char *identity)
{
	struct end *e = ctx;
	g_auto(secret) psk = SECRET_INIT;

	psk.len = psk_hash_size(hash);
	memset(psk.data, KEY_FILL, psk.len);
	auth_psk_answer(session_auth(e->session),
			strcmp(identity, identities[hash]) == 0 ? 0 : -ENOKEY, &psk);
}

static void ours_open(struct end *e, int fd, enum handshake_side side)
{
	g_auto(secret) psk = SECRET_INIT;
	struct auth_psk_params auth = {
		.shared = &engine.psk,
		.side = side,
		.identity = identities[hash],
		.psk = &psk,
		.lookup = lookup,
		.ctx = e,
	};
	struct session_params params = {.engine = &engine, .fd = fd, .side = side};

	psk.len = psk_hash_size(hash);
	memset(psk.data, KEY_FILL, psk.len);
	params.auth = auth_psk_new(&auth);
	e->session = session_new(&params);
	e->result = -EAGAIN;
}

static void ours_step(struct end *e)
{
	e->result = session_step(e->session);
	if (e->result != 0 && e->result != -EAGAIN)
		die("our handshake", cause_info(session_outcome(e->session)->cause)->sentence);
}

static void ours_close(struct end *e)
{
	session_free(e->session);
}

/* As little as a program on GnuTLS can do: all that can be built once is. */
static int bare_server_key(gnutls_session_t tls, const gnutls_datum_t *name, gnutls_datum_t *key)
{
	if (name->size != strlen(identities[hash]) ||
	    memcmp(name->data, identities[hash], name->size) != 0)
		return -1;
	key->size = (unsigned int)psk_hash_size(hash);
	key->data = gnutls_malloc(key->size);
	memset(key->data, KEY_FILL, key->size);
	return 0;
}

static int bare_client_key(gnutls_session_t tls, gnutls_datum_t *name, gnutls_datum_t *key)
{
	name->size = (unsigned int)strlen(identities[hash]);
	name->data = gnutls_malloc(name->size + 1);
	memcpy(name->data, identities[hash], name->size + 1);
	key->size = (unsigned int)psk_hash_size(hash);
	key->data = gnutls_malloc(key->size);
	memset(key->data, KEY_FILL, key->size);
	return 0;
}

static void bare_open(struct end *e, int fd, enum handshake_side side)
{
	unsigned int flags = GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS |
			     GNUTLS_NO_AUTO_SEND_TICKET;

	flags |= side == HANDSHAKE_SERVER ? GNUTLS_SERVER : GNUTLS_CLIENT | GNUTLS_KEY_SHARE_TOP;
	gnutls_init(&e->tls, flags);
	gnutls_priority_set(e->tls, engine.policy.hash[hash]);
	gnutls_credentials_set(e->tls, GNUTLS_CRD_PSK,
			       side == HANDSHAKE_SERVER ? (void *)bare_credentials.server[hash]
							: (void *)bare_credentials.client[hash]);
	gnutls_transport_set_int(e->tls, fd);
	gnutls_handshake_set_timeout(e->tls, GNUTLS_INDEFINITE_TIMEOUT);
	e->result = -EAGAIN;
}

static void bare_step(struct end *e)
{
	int r = gnutls_handshake(e->tls);

	if (r == 0)
		e->result = 0;
	else if (r != GNUTLS_E_AGAIN)
		die("the bare handshake", gnutls_strerror(r));
}

static void bare_close(struct end *e)
{
	gnutls_deinit(e->tls);
}

static const struct kind ours = {"ours", ours_open, ours_step, ours_close};
static const struct kind bare = {"bare", bare_open, bare_step, bare_close};

/* ---- many of them ---- */

struct pairing {
	const struct kind *kind[2]; /* by side: client, server */
	double usec[2]; /* the least of all rounds, of one handshake */
	double made; /* allocations of one */
	double surviving; /* of them, those that outlive it */
};

static void handshake(struct pairing *p, double usec[2])
{
	static const enum handshake_side sides[2] = {HANDSHAKE_CLIENT, HANDSHAKE_SERVER};
	struct end ends[2] = {0};
	double begin;
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) < 0)
		die("socketpair", g_strerror(errno));
	for (int i = 0; i < 2; i++) {
		begin = cpu_usec();
		p->kind[i]->open(&ends[i], fd[i], sides[i]);
		usec[i] += cpu_usec() - begin;
	}
	for (int turn = 0; ends[0].result || ends[1].result; turn++) {
		if (turn == 20)
			die(p->kind[0]->name, "no end of a handshake");
		for (int i = 0; i < 2; i++) {
			if (!ends[i].result)
				continue;
			begin = cpu_usec();
			p->kind[i]->step(&ends[i]);
			usec[i] += cpu_usec() - begin;
		}
	}
	for (int i = 0; i < 2; i++) {
		begin = cpu_usec();
		p->kind[i]->close(&ends[i]);
		usec[i] += cpu_usec() - begin;
		close(fd[i]);
	}
}

/* Rounds in turn, and of each the quickest: what disturbs the machine only ever adds. */
static void measure(struct pairing *pairings, size_t n_pairings, int handshakes)
{
	for (size_t i = 0; i < n_pairings; i++)
		for (int n = 0; n < 10; n++)
			handshake(&pairings[i], (double[2]){0, 0});
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < n_pairings; i++) {
			struct pairing *p = &pairings[i];
			double usec[2] = {0, 0};
			long alive = heap_alive(), made = heap.made;

			for (int n = 0; n < handshakes; n++)
				handshake(p, usec);
			p->surviving += (double)(heap_alive() - alive) / handshakes / ROUNDS;
			p->made += (double)(heap.made - made) / handshakes / ROUNDS;
			for (int side = 0; side < 2; side++)
				if (!round || usec[side] / handshakes < p->usec[side])
					p->usec[side] = usec[side] / handshakes;
		}
	}
}

/* Return: whether nothing survives of ours that does not survive of a bare one. */
static bool measure_hash(int handshakes)
{
	struct pairing p[] = {
		{.kind = {&bare, &bare}},
		{.kind = {&ours, &bare}},
		{.kind = {&bare, &ours}},
		{.kind = {&ours, &ours}},
	};
	const char *name = psk_hash_name(hash);
	bool good;

	measure(p, G_N_ELEMENTS(p), handshakes);
	printf("# %s: client bare %.1f us, ours %.1f us, ratio %.3f\n", name, p[0].usec[0],
	       p[1].usec[0], p[1].usec[0] / p[0].usec[0]);
	printf("# %s: server bare %.1f us, ours %.1f us, ratio %.3f\n", name, p[0].usec[1],
	       p[2].usec[1], p[2].usec[1] / p[0].usec[1]);
	printf("# %s: both ends bare %.1f us, ours %.1f us, ratio %.3f\n", name,
	       p[0].usec[0] + p[0].usec[1], p[3].usec[0] + p[3].usec[1],
	       (p[3].usec[0] + p[3].usec[1]) / (p[0].usec[0] + p[0].usec[1]));
	printf("# %s: allocations of a handshake, both ends: bare %.1f, ours %.1f; surviving it: bare %.3f, "
	       "ours %.3f\n",
	       name, p[0].made, p[3].made, p[0].surviving, p[3].surviving);
	good = p[3].surviving <= p[0].surviving && p[1].surviving <= p[0].surviving &&
	       p[2].surviving <= p[0].surviving;
	return good;
}

int main(int argc, char **argv)
{
	int handshakes = argc > 1 ? atoi(argv[1]) : 100;
	g_autofree char *why = NULL;
	bool good = true;
	int n = 0;

	if (handshakes < 1)
		die(argv[1], "a number of handshakes in each round is wanted");
	if (engine_init(&engine, false, &why) < 0)
		die("engine", why);
	if (auth_psk_shared_init(&bare_credentials, &engine.policy, false) < 0)
		die("credentials", "no memory");
	for (hash = PSK_HASH_SHA256; hash <= PSK_HASH_SHA384; hash++) {
		if (!auth_psk_has_hash(hash))
			continue;
		gnutls_psk_set_server_credentials_function2(bare_credentials.server[hash],
							    bare_server_key);
		gnutls_psk_set_client_credentials_function2(bare_credentials.client[hash],
							    bare_client_key);
	}
	printf("# GnuTLS %s, %d rounds of %d handshakes each\n", gnutls_check_version(NULL), ROUNDS,
	       handshakes);
	printf("1..%d\n", auth_psk_has_hash(PSK_HASH_SHA384) ? 2 : 1);
	for (hash = PSK_HASH_SHA256; hash <= PSK_HASH_SHA384; hash++) {
		bool one;

		if (!auth_psk_has_hash(hash))
			continue;
		one = measure_hash(handshakes);
		printf("%s %d - nothing_survives_a_%s_handshake\n", one ? "ok" : "not ok", ++n,
		       hash == PSK_HASH_SHA384 ? "sha384" : "sha256");
		good &= one;
	}
	auth_psk_shared_clear(&bare_credentials);
	engine_clear(&engine);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
