// SPDX-License-Identifier: GPL-2.0-or-later
/* Authentication by an external pre-shared key (RFC 8446, 2.2). */
#include "tlshd/worker/auth-psk.h"

#include <errno.h>
#include <string.h>

#include "common/keyring.h"
#include "common/log.h"
#include "tlshd/worker/binder.h"

struct auth_psk {
	struct auth auth;
	struct auth_psk_params params;
	char *identity;
	secret psk;
	enum psk_hash hash;
	enum { UNASKED, ASKED, ANSWERED } lookup;
	int err; /* the answer's */
	bool chosen; /* identity and psk are those of the handshake */
};

static int give_server_key(gnutls_session_t tls, const gnutls_datum_t *name, gnutls_datum_t *key)
{
	const struct auth_psk *a = gnutls_session_get_ptr(tls);

	/* GnuTLS asks once, for the identity that hello_read() has foreseen, and ends at an error. */
	if (!a->chosen || name->size != strlen(a->identity) ||
	    memcmp(name->data, a->identity, name->size) != 0)
		return -1;
	key->data = gnutls_malloc(a->psk.len);
	if (!key->data)
		return -1;
	memcpy(key->data, a->psk.data, a->psk.len);
	key->size = (unsigned int)a->psk.len;
	return 0;
}

static int give_client_key(gnutls_session_t tls, gnutls_datum_t *name, gnutls_datum_t *key)
{
	const struct auth_psk *a = gnutls_session_get_ptr(tls);

	name->size = (unsigned int)strlen(a->identity);
	/* One more, for GnuTLS takes it for a C string here and there. */
	name->data = gnutls_malloc(name->size + 1);
	key->data = gnutls_malloc(a->psk.len);
	if (!name->data || !key->data) {
		gnutls_free(name->data);
		gnutls_free(key->data);
		return -1;
	}
	memcpy(name->data, a->identity, name->size + 1);
	memcpy(key->data, a->psk.data, a->psk.len);
	key->size = (unsigned int)a->psk.len;
	return 0;
}

bool auth_psk_has_hash(enum psk_hash hash)
{
#ifdef HAVE_PSK_CREDENTIALS2
	return hash == PSK_HASH_SHA256 || hash == PSK_HASH_SHA384;
#else
	return hash == PSK_HASH_SHA256;
#endif
}

static int allocate(struct auth_psk_shared *c, enum psk_hash hash)
{
	int r;

#ifdef HAVE_PSK_CREDENTIALS2
	gnutls_mac_algorithm_t mac = hash == PSK_HASH_SHA384 ? GNUTLS_MAC_SHA384
							     : GNUTLS_MAC_SHA256;

	r = gnutls_psk_allocate_server_credentials2(&c->server[hash], mac);
	if (r == 0)
		r = gnutls_psk_allocate_client_credentials2(&c->client[hash], mac);
#else
	r = gnutls_psk_allocate_server_credentials(&c->server[hash]);
	if (r == 0)
		r = gnutls_psk_allocate_client_credentials(&c->client[hash]);
#endif
	return r < 0 ? -ENOMEM : 0;
}

int auth_psk_shared_init(struct auth_psk_shared *c, const struct policy *policy, bool sha384_compat)
{
	memset(c, 0, sizeof(*c));
	c->policy = policy;
	c->sha384_compat = sha384_compat;
	for (enum psk_hash hash = PSK_HASH_SHA256; hash <= PSK_HASH_SHA384; hash++) {
		if (!auth_psk_has_hash(hash))
			continue;
		if (allocate(c, hash) < 0) {
			auth_psk_shared_clear(c);
			return -ENOMEM;
		}
		gnutls_psk_set_server_credentials_function2(c->server[hash], give_server_key);
		gnutls_psk_set_client_credentials_function2(c->client[hash], give_client_key);
	}
	return 0;
}

void auth_psk_shared_clear(struct auth_psk_shared *c)
{
	for (enum psk_hash hash = PSK_HASH_NONE; hash <= PSK_HASH_SHA384; hash++) {
		if (c->server[hash])
			gnutls_psk_free_server_credentials(c->server[hash]);
		if (c->client[hash])
			gnutls_psk_free_client_credentials(c->client[hash]);
	}
	memset(c, 0, sizeof(*c));
}

/* Can the key be the one of the identity, with this library? Sets the hash. */
static int check_key(struct auth_psk *a, struct outcome *why)
{
	int hash = identity_hash(a->identity);

	if (hash < 0) {
		outcome_set(why, CAUSE_KEY_LENGTH, "the identity names a hash that does not exist");
		return -EPROTO;
	}
	if (hash == PSK_HASH_NONE) {
		hash = (int)psk_hash_of_size(a->psk.len);
		if (hash == PSK_HASH_NONE) {
			outcome_set(why, CAUSE_KEY_LENGTH,
				    "the key has %zu bytes, a PSK has 32 or 48", a->psk.len);
			return -EPROTO;
		}
	} else if (psk_hash_size((enum psk_hash)hash) != a->psk.len) {
		outcome_set(why, CAUSE_KEY_LENGTH, "the key has %zu bytes, the hash %s needs %zu",
			    a->psk.len, psk_hash_name((enum psk_hash)hash),
			    psk_hash_size((enum psk_hash)hash));
		return -EPROTO;
	}
	a->hash = (enum psk_hash)hash;
	if (!auth_psk_has_hash(a->hash) && !a->params.shared->sha384_compat) {
		outcome_set(why, CAUSE_SHA384_UNSUPPORTED, "this is %s",
			    gnutls_check_version(NULL));
		return -EPROTO;
	}
	a->chosen = true;
	return 0;
}

static enum psk_hash binder_hash(const struct auth_psk *a)
{
	return auth_psk_has_hash(a->hash) ? a->hash : PSK_HASH_SHA256;
}

/* What no key could help, and what GnuTLS would find out only after its ServerHello. */
static int check_offer(const struct hello_offer *offer, struct outcome *why)
{
	enum cause cause;

	if (!offer->n_identities)
		cause = CAUSE_NO_PSK;
	else if (!offer->psk_modes) /* 4.2.9 */
		cause = CAUSE_NO_PSK_MODE;
	else if (!offer->psk_dhe)
		cause = CAUSE_PSK_WITHOUT_DHE;
	else if (!offer->psk_last) /* 4.2.11 */
		cause = CAUSE_ILLEGAL_PARAMETER;
	else if (!offer->identity.data)
		cause = CAUSE_NO_KEY;
	else
		return 0;
	outcome_set(why, cause, NULL);
	if (cause == CAUSE_NO_KEY)
		outcome_set(why, cause,
			    "none of the %zu identities it offers has the ticket age 0 of an external key's",
			    offer->n_identities);
	return -EPROTO;
}

/* Only an identity that a keyring can hold is looked up. */
static int take_identity(struct auth_psk *a, const gnutls_datum_t *name, struct outcome *why)
{
	if (name->size && name->size <= IDENTITY_MAX && !memchr(name->data, '\0', name->size)) {
		a->identity = g_strndup((const char *)name->data, name->size);
		return 0;
	}
	g_autofree char *escaped = log_escape((const char *)name->data,
					      MIN(name->size, (unsigned int)64));

	outcome_set(why, CAUSE_BAD_IDENTITY, "it %s (%u bytes: \"%s\"%s)",
		    !name->size			? "is empty"
		    : name->size > IDENTITY_MAX ? "is longer than any key's"
						: "has a NUL in it",
		    name->size, escaped, name->size > 64 ? "..." : "");
	return -EPROTO;
}

static int ask(struct auth_psk *a)
{
	if (log_level() >= 4) {
		g_autofree char *escaped = log_escape(a->identity, strlen(a->identity));

		log_debug(4, "job %u: looking up \"%s\"", a->params.job, escaped);
	}
	a->lookup = ASKED;
	a->params.lookup(a->params.ctx, a->identity);
	return a->lookup == ANSWERED ? 0 : -EAGAIN;
}

static int judge_answer(struct auth_psk *a, const struct hello_offer *offer, struct outcome *why)
{
	if (a->err == -ENOKEY) {
		outcome_set(why, CAUSE_NO_KEY, NULL);
		if (offer->n_identities > 1)
			outcome_set(why, CAUSE_NO_KEY,
				    "only the first of the %zu that the peer offers is looked up",
				    offer->n_identities);
		return -EPROTO;
	}
	if (a->err < 0) {
		outcome_set(why,
			    a->err == -EKEYREVOKED || a->err == -EKEYEXPIRED ? CAUSE_KEY_ENDED
									     : CAUSE_KEY_UNREADABLE,
			    "%s", key_strerror(a->err));
		return -EPROTO;
	}
	if (check_key(a, why) < 0)
		return -EPROTO;
	log_debug(4, "job %u: a %s key was found", a->params.job, psk_hash_name(a->hash));
	switch (binder_is_right(offer, &a->psk, binder_hash(a))) {
	case 1:
		return 0;
	case 0:
		outcome_set(why, CAUSE_WRONG_KEY, NULL);
		return -EPROTO;
	default:
		outcome_set(why, CAUSE_NO_MEMORY, "to compute the binder");
		return -EPROTO;
	}
}

static int begin(struct auth *auth, const struct hello_offer *offer, struct outcome *why)
{
	struct auth_psk *a = (struct auth_psk *)auth;
	int r;

	if (a->params.side == HANDSHAKE_CLIENT)
		return check_key(a, why);
	if (a->lookup == ASKED)
		return -EAGAIN;
	if (a->lookup == UNASKED) {
		if (check_offer(offer, why) < 0 || take_identity(a, &offer->identity, why) < 0)
			return -EPROTO;
		r = ask(a);
		if (r < 0)
			return r;
	}
	return judge_answer(a, offer, why);
}

void auth_psk_answer(struct auth *auth, int err, const secret *psk)
{
	struct auth_psk *a = (struct auth_psk *)auth;

	if (a->lookup != ASKED)
		return;
	a->lookup = ANSWERED;
	a->err = err;
	if (err == 0)
		secret_set(&a->psk, psk->data, psk->len);
}

/* The binder and the priorities that go with the key's hash. */
static int prepare(struct auth *auth, gnutls_session_t tls, struct outcome *why)
{
	struct auth_psk *a = (struct auth_psk *)auth;
	const struct auth_psk_shared *shared = a->params.shared;
	enum psk_hash binder = binder_hash(a);
	gnutls_priority_t priority = binder == a->hash ? shared->policy->hash[a->hash]
						       : shared->policy->legacy;
	void *credentials = a->params.side == HANDSHAKE_SERVER ? (void *)shared->server[binder]
							       : (void *)shared->client[binder];

	if (!priority || gnutls_priority_set(tls, priority) < 0) {
		outcome_set(why, CAUSE_POLICY, "a %s PSK", psk_hash_name(a->hash));
		return -EPROTO;
	}
	gnutls_session_set_ptr(tls, a);
	if (gnutls_credentials_set(tls, GNUTLS_CRD_PSK, credentials) < 0) {
		outcome_set(why, CAUSE_NO_MEMORY, "for a TLS session");
		return -EPROTO;
	}
	return 0;
}

static bool agreed(const struct auth *auth, gnutls_session_t tls)
{
	gnutls_kx_algorithm_t kx = gnutls_kx_get(tls); /* it tells which kind of group it was */

	return ((const struct auth_psk *)auth)->chosen &&
	       gnutls_auth_get_type(tls) == GNUTLS_CRD_PSK &&
	       (kx == GNUTLS_KX_ECDHE_PSK || kx == GNUTLS_KX_DHE_PSK);
}

static const struct outcome *judged(const struct auth *auth)
{
	return NULL; /* begin() has had all that is to be said */
}

static void free_psk(struct auth *auth)
{
	struct auth_psk *a = (struct auth_psk *)auth;

	g_free(a->identity);
	secret_wipe(&a->psk);
	g_free(a);
}

struct auth *auth_psk_new(const struct auth_psk_params *params)
{
	static const struct auth_kind psk = {begin, prepare, agreed, judged, free_psk, false};
	struct auth_psk *a = g_new0(struct auth_psk, 1);

	a->auth.kind = &psk;
	a->params = *params;
	a->params.identity = NULL;
	a->params.psk = NULL;
	if (params->side == HANDSHAKE_CLIENT) {
		a->identity = g_strdup(params->identity);
		secret_set(&a->psk, params->psk->data, params->psk->len);
	}
	return &a->auth;
}
