// SPDX-License-Identifier: GPL-2.0-or-later
/* Authentication by certificates (RFC 8446, 4.4), of the server alone or of both ends. */
#include "tlshd/worker/auth-x509.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "tlshd/shared/content.h"
#include "tlshd/worker/desk.h"
#include "tlshd/worker/judge.h"
#include "tlshd/worker/transcript.h"

struct auth_x509 {
	struct auth auth;
	struct auth_x509_params params;
	const struct x509_owner *owner;
	const struct x509_pair *pairs[2]; /* that we may show: ours, or the job's and none */
	char *peername;
	bool is_address; /* the peer's name is */
	struct transcript transcript; /* where we sign */
	gnutls_privkey_t keys[2]; /* the signer's, by the pair; NULL where it was not needed */
	bool shown; /* the peer has shown a certificate */
	struct outcome judgement; /* of it, or why we have no signature */
};

/* ---- our certificate ---- */

static bool is_usable(const struct x509_pair *p)
{
	return p->n && p->problem.cause == CAUSE_SUCCESS;
}

static gnutls_pk_algorithm_t kind_of(const struct x509_pair *p, unsigned int *bits)
{
	return (gnutls_pk_algorithm_t)gnutls_pubkey_get_pk_algorithm(p->chain[0].pubkey, bits);
}

/* What GnuTLS wants to know of a key that it does not have. */
static int describe(const struct x509_pair *p, unsigned int flags)
{
	unsigned int bits = 0;
	gnutls_pk_algorithm_t pk = kind_of(p, &bits);

	if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO)
		return (int)pk;
	if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS)
		return (int)bits;
	if (flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO)
		return gnutls_sign_supports_pk_algorithm(GNUTLS_FLAGS_TO_SIGN_ALGO(flags), pk) != 0;
	return -1;
}

static int describe_key(gnutls_privkey_t key, unsigned int flags, void *userdata)
{
	const struct auth_x509 *a = userdata;

	return describe(a->pairs[0], flags);
}

static int describe_pq_key(gnutls_privkey_t key, unsigned int flags, void *userdata)
{
	const struct auth_x509 *a = userdata;

	return describe(a->pairs[1], flags);
}

static int ask_signer(struct auth_x509 *a, gnutls_privkey_t key, gnutls_sign_algorithm_t algorithm,
		      const gnutls_datum_t *hash, gnutls_datum_t *signature)
{
	int r = desk_sign(a->params.x509->desk, a->params.job, key == a->keys[1], algorithm, hash,
			  signature);

	if (r == 0)
		return 0;
	outcome_set(&a->judgement, CAUSE_SIGNER_GONE, "%s", g_strerror(-r));
	return GNUTLS_E_PK_SIGN_FAILED;
}

/* Of algorithms that sign the content itself, EdDSA and ML-DSA; the transcript's hash is its end. */
static int sign_content(gnutls_privkey_t key, gnutls_sign_algorithm_t algorithm, void *userdata,
			unsigned int flags, const gnutls_datum_t *content,
			gnutls_datum_t *signature)
{
	const size_t before = CONTENT_PADDING + CONTENT_CONTEXT;
	gnutls_datum_t hash = {content->data + before, content->size - (unsigned int)before};

	if (content->size <= before)
		return GNUTLS_E_INVALID_REQUEST;
	return ask_signer(userdata, key, algorithm, &hash, signature);
}

/* Of algorithms that sign a digest of the content. */
static int sign_digest(gnutls_privkey_t key, gnutls_sign_algorithm_t algorithm, void *userdata,
		       unsigned int flags, const gnutls_datum_t *digest, gnutls_datum_t *signature)
{
	struct auth_x509 *a = userdata;
	uint8_t bytes[IPC_HASH_MAX];
	int len = transcript_find(&a->transcript, a->params.side, algorithm, digest, bytes);
	gnutls_datum_t hash = {bytes, (unsigned int)len};

	if (len < 0)
		return GNUTLS_E_INVALID_REQUEST;
	return ask_signer(a, key, algorithm, &hash, signature);
}

static int note_message(gnutls_session_t tls, unsigned int type, unsigned int when,
			unsigned int incoming, const gnutls_datum_t *body)
{
	struct auth_x509 *a = gnutls_session_get_ptr(tls);

	transcript_add(&a->transcript, type, body);
	return 0;
}

/* Return: a key that signs by the signer; NULL without memory. */
static gnutls_privkey_t key_of_signer(struct auth_x509 *a, bool pq)
{
	if (!a->keys[pq] && gnutls_privkey_init(&a->keys[pq]) < 0)
		return NULL;
	if (gnutls_privkey_import_ext4(a->keys[pq], a, sign_content, sign_digest, NULL, NULL,
				       pq ? describe_pq_key : describe_key, 0) < 0) {
		gnutls_privkey_deinit(a->keys[pq]);
		a->keys[pq] = NULL;
	}
	return a->keys[pq];
}

/* Has the peer said that it can verify a signature by the key of this pair? */
static bool peer_takes(gnutls_session_t tls, const struct x509_pair *p)
{
	gnutls_pk_algorithm_t pk = kind_of(p, NULL);
	gnutls_sign_algorithm_t algorithm;

	for (size_t i = 0; gnutls_sign_algorithm_get_requested(tls, i, &algorithm) == 0; i++)
		if (gnutls_sign_supports_pk_algorithm(algorithm, pk))
			return true;
	return false;
}

static int retrieve(gnutls_session_t tls, const gnutls_datum_t *issuers, int n_issuers,
		    const gnutls_pk_algorithm_t *pks, int n_pks, gnutls_pcert_st **chain,
		    unsigned int *n, gnutls_privkey_t *key)
{
	struct auth_x509 *a = gnutls_session_get_ptr(tls);
	const struct x509_pair *const *pairs = a->pairs;
	bool pq = is_usable(pairs[1]) && peer_takes(tls, pairs[1]);

	*chain = NULL;
	*n = 0;
	*key = NULL;
	if (a->params.auth == HANDSHAKE_UNAUTH || !is_usable(pairs[pq]))
		return 0;
	*key = key_of_signer(a, pq);
	if (!*key)
		return -1;
	*chain = (gnutls_pcert_st *)(uintptr_t)pairs[pq]->chain; /* GnuTLS does not change it */
	*n = pairs[pq]->n;
	return 0;
}

/* ---- the peer's ---- */

/* Called when the peer has shown its certificate, or, for a server, has said that it has none. */
static int verify(gnutls_session_t tls)
{
	struct auth_x509 *a = gnutls_session_get_ptr(tls);
	unsigned int n = 0;

	if (!gnutls_certificate_get_peers(tls, &n) || !n)
		return a->params.side == HANDSHAKE_SERVER ? 0 : GNUTLS_E_NO_CERTIFICATE_FOUND;
	if (judge_peer(a->owner, a->params.side, tls, a->peername, &a->judgement) < 0)
		return GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
	a->shown = true;
	return 0;
}

/* ---- struct auth ---- */

static int fail_for(const struct outcome *problem, struct outcome *why)
{
	outcome_set(why, problem->cause, "%s", problem->detail);
	return -EPROTO;
}

/* Our own certificate, where the handshake needs one. */
static int check_pairs(const struct auth_x509 *a, struct outcome *why)
{
	const struct x509_pair *const *pairs = a->pairs;

	if (a->params.auth == HANDSHAKE_UNAUTH || is_usable(pairs[0]) || is_usable(pairs[1]))
		return 0;
	for (size_t pq = 0; pq < 2; pq++)
		if (pairs[pq]->problem.cause != CAUSE_SUCCESS)
			return fail_for(&pairs[pq]->problem, why);
	outcome_set(why,
		    a->params.side == HANDSHAKE_SERVER ? CAUSE_NO_CERTIFICATE
						       : CAUSE_NO_CLIENT_CERTIFICATE,
		    NULL);
	return -EPROTO;
}

static int begin(struct auth *auth, const struct hello_offer *offer, struct outcome *why)
{
	struct auth_x509 *a = (struct auth_x509 *)auth;

	if (a->owner->problem.cause != CAUSE_SUCCESS)
		return fail_for(&a->owner->problem, why);
	if (a->params.side == HANDSHAKE_CLIENT && !*a->peername) {
		outcome_set(why, CAUSE_WRONG_NAME,
			    "the kernel does not say whom it wants to speak to");
		return -EPROTO;
	}
	return check_pairs(a, why);
}

static int prepare(struct auth *auth, gnutls_session_t tls, struct outcome *why)
{
	struct auth_x509 *a = (struct auth_x509 *)auth;
	gnutls_priority_t priority = a->params.policy->x509;

	if (!priority || gnutls_priority_set(tls, priority) < 0) {
		outcome_set(why, CAUSE_POLICY, "certificates");
		return -EPROTO;
	}
	gnutls_session_set_ptr(tls, a);
	if (gnutls_credentials_set(tls, GNUTLS_CRD_CERTIFICATE, a->owner->verifying) < 0 ||
	    (a->params.side == HANDSHAKE_CLIENT && !a->is_address &&
	     gnutls_server_name_set(tls, GNUTLS_NAME_DNS, a->peername, strlen(a->peername)) < 0)) {
		outcome_set(why, CAUSE_NO_MEMORY, "for a TLS session");
		return -EPROTO;
	}
	gnutls_session_set_verify_function(tls, verify);
	if (a->params.auth != HANDSHAKE_UNAUTH) {
		if (transcript_init(&a->transcript) < 0) {
			outcome_set(why, CAUSE_NO_MEMORY, "for a hash");
			return -EPROTO;
		}
		gnutls_handshake_set_hook_function(tls, GNUTLS_HANDSHAKE_ANY, GNUTLS_HOOK_PRE,
						   note_message);
	}
	if (a->params.side == HANDSHAKE_SERVER) {
		gnutls_certificate_server_set_request(tls, GNUTLS_CERT_REQUEST);
		/* The names of all that we trust would be some kilobytes, and clients have one certificate. */
		gnutls_certificate_send_x509_rdn_sequence(tls, 1);
	}
	return 0;
}

static bool agreed(const struct auth *auth, gnutls_session_t tls)
{
	const struct auth_x509 *a = (const struct auth_x509 *)auth;
	gnutls_kx_algorithm_t kx = gnutls_kx_get(tls); /* it tells which kind of group it was */
	unsigned int n = 0;
	bool has_shown = gnutls_certificate_get_peers(tls, &n) && n;

	if (a->judgement.cause != CAUSE_SUCCESS || has_shown != a->shown)
		return false;
	if (a->params.side == HANDSHAKE_CLIENT && !a->shown)
		return false;
	return kx == GNUTLS_KX_ECDHE_RSA || kx == GNUTLS_KX_ECDHE_ECDSA || kx == GNUTLS_KX_DHE_RSA;
}

static const struct outcome *judged(const struct auth *auth)
{
	const struct auth_x509 *a = (const struct auth_x509 *)auth;

	return a->shown || a->judgement.cause != CAUSE_SUCCESS ? &a->judgement : NULL;
}

static void free_x509(struct auth *auth)
{
	struct auth_x509 *a = (struct auth_x509 *)auth;

	for (size_t pq = 0; pq < 2; pq++)
		if (a->keys[pq])
			gnutls_privkey_deinit(a->keys[pq]);
	transcript_clear(&a->transcript);
	x509_pair_free(a->params.own);
	g_free(a->peername);
	g_free(a);
}

/* A mount writes an IPv6 address with brackets, and one of a link with its interface; names have neither. */
static char *plain_name(const char *name)
{
	size_t len = strlen(name);
	bool bracketed = len > 2 && name[0] == '[' && name[len - 1] == ']';
	char *plain = bracketed ? g_strndup(name + 1, len - 2) : g_strdup(name);

	if (strchr(plain, ':'))
		plain[strcspn(plain, "%")] = '\0';
	return plain;
}

/* Such a name is not sent to the server (RFC 6066, 3): GnuTLS's refuse the ClientHello for it. */
static bool is_address(const char *name)
{
	struct in6_addr address;

	return inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1;
}

void auth_x509_attach(struct x509 *x)
{
	for (size_t i = 0; i < CREDENTIAL_OWNERS; i++)
		gnutls_certificate_set_retrieve_function2(x->owners[i].verifying, retrieve);
}

struct auth *auth_x509_new(const struct auth_x509_params *params)
{
	static const struct x509_pair none;
	static const struct auth_kind x509 = {begin, prepare, agreed, judged, free_x509, true};
	struct auth_x509 *a = g_new0(struct auth_x509, 1);

	a->auth.kind = &x509;
	a->params = *params;
	a->params.peername = NULL;
	a->owner = &params->x509->owners[credential_owner(params->side)];
	a->pairs[0] = params->own ? params->own : &a->owner->pairs[0];
	a->pairs[1] = params->own ? &none : &a->owner->pairs[1];
	a->judgement = (struct outcome)OUTCOME_INIT;
	if (params->side == HANDSHAKE_CLIENT) {
		a->peername = plain_name(params->peername);
		a->is_address = is_address(a->peername);
	}
	return &a->auth;
}
