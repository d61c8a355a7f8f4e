// SPDX-License-Identifier: GPL-2.0-or-later
/* What all sessions of a process share, built once at its start. */
#include "tlshd/worker/engine.h"

#include <string.h>

#include "tlshd/worker/auth-x509.h"

/* Read before the fork; no hash is there if it was not. */
static struct policy prepared;

static bool is_prepared(void)
{
	return prepared.hash[PSK_HASH_NONE];
}

void engine_prepare(void)
{
	g_autofree char *why = NULL;

	policy_clear(&prepared);
	policy_init(&prepared, &why);
}

int engine_init(struct engine *e, bool sha384_compat, char **why)
{
	int r = 0;

	memset(e, 0, sizeof(*e));
	e->x509.desk = -1;
	if (is_prepared())
		e->policy = prepared;
	else
		r = policy_init(&e->policy, why);
	if (r < 0)
		return r;
	r = auth_psk_shared_init(&e->psk, &e->policy, sha384_compat);
	if (r == 0)
		r = x509_init(&e->x509);
	if (r == 0) {
		auth_x509_attach(&e->x509);
	} else {
		*why = g_strdup("GnuTLS has no memory for its credentials");
		engine_clear(e);
	}
	return r;
}

void engine_clear(struct engine *e)
{
	if (!is_prepared())
		policy_clear(&e->policy);
	auth_psk_shared_clear(&e->psk);
	x509_clear(&e->x509);
}
