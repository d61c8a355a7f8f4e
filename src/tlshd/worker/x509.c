// SPDX-License-Identifier: GPL-2.0-or-later
/* The credentials that all sessions of a worker share which authenticate by certificates. */
#include "tlshd/worker/x509.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <glib.h>

#include "tlshd/shared/memfile.h"

/* What a peer's chain may cost us: the longest keys, and certificates of it that are looked at. */
#define VERIFY_BITS_MAX 8192
#define VERIFY_DEPTH_MAX 8

int x509_init(struct x509 *x)
{
	memset(x, 0, sizeof(*x));
	x->desk = -1;
	for (size_t i = 0; i < CREDENTIAL_OWNERS; i++) {
		struct x509_owner *o = &x->owners[i];

		if (gnutls_certificate_allocate_credentials(&o->verifying) < 0) {
			x509_clear(x);
			return -ENOMEM;
		}
		gnutls_certificate_set_verify_limits(o->verifying, VERIFY_BITS_MAX,
						     VERIFY_DEPTH_MAX);
	}
	return 0;
}

void x509_clear(struct x509 *x)
{
	for (size_t i = 0; i < CREDENTIAL_OWNERS; i++) {
		struct x509_owner *o = &x->owners[i];

		if (o->verifying)
			gnutls_certificate_free_credentials(o->verifying);
		for (size_t pq = 0; pq < 2; pq++)
			for (unsigned int n = 0; n < o->pairs[pq].n; n++)
				gnutls_pcert_deinit(&o->pairs[pq].chain[n]);
		memfile_unmap(&o->revoked);
	}
	if (x->desk >= 0)
		close(x->desk);
	memset(x, 0, sizeof(*x));
	x->desk = -1;
}

/* The signer has been through it, so what fails here is not the administrator's. */
static void fail(struct outcome *problem, const char *what, int err)
{
	outcome_set(problem, CAUSE_CREDENTIAL_MALFORMED, "%s: %s", what, gnutls_strerror(err));
}

static void take_trust(struct x509_owner *o, const gnutls_datum_t *pem)
{
	int r = pem->size ? gnutls_certificate_set_x509_trust_mem(o->verifying, pem,
								  GNUTLS_X509_FMT_PEM)
			  : 0;

	if (r < 0)
		fail(&o->problem, "the trust store", r);
}

static void take_certificate(struct x509_pair *p, const gnutls_datum_t *pem)
{
	unsigned int n = X509_CHAIN_MAX;
	int r = gnutls_pcert_list_import_x509_raw(p->chain, &n, pem, GNUTLS_X509_FMT_PEM, 0);

	if (r < 0)
		fail(&p->problem, "the certificate", r);
	else
		p->n = n;
}

/* A pair whose certificate or key has a problem has this one, and the first is the one that counts. */
static void note_problem(struct outcome *problem, const struct ipc_credential *c)
{
	if (problem->cause == CAUSE_SUCCESS)
		outcome_set(problem, c->cause, "%s", c->text);
}

static struct outcome *problem_of(struct x509_owner *o, uint32_t kind)
{
	switch (kind) {
	case CREDENTIAL_CERTIFICATE:
	case CREDENTIAL_KEY:
		return &o->pairs[0].problem;
	case CREDENTIAL_PQ_CERTIFICATE:
	case CREDENTIAL_PQ_KEY:
		return &o->pairs[1].problem;
	default:
		return &o->problem;
	}
}

static void take_content(struct x509_owner *o, const struct ipc_credential *c, int fd)
{
	gnutls_datum_t content;
	int r = memfile_map(fd, &content);

	if (r < 0) {
		outcome_set(problem_of(o, c->kind), CAUSE_NO_MEMORY, "%s", g_strerror(-r));
		return;
	}
	switch (c->kind) {
	case CREDENTIAL_TRUST:
		take_trust(o, &content);
		break;
	case CREDENTIAL_CRL: /* it stays mapped */
		memfile_unmap(&o->revoked);
		o->revoked = content;
		return;
	case CREDENTIAL_CERTIFICATE:
		take_certificate(&o->pairs[0], &content);
		break;
	case CREDENTIAL_PQ_CERTIFICATE:
		take_certificate(&o->pairs[1], &content);
		break;
	}
	memfile_unmap(&content);
}

struct x509_pair *x509_pair_of_der(int fd)
{
	struct x509_pair *p = g_new0(struct x509_pair, 1);
	gnutls_datum_t der = {NULL, 0};
	int r = fd < 0 ? -EBADF : memfile_read(fd, &der);

	if (r < 0) {
		outcome_set(&p->problem, CAUSE_CREDENTIAL_UNREADABLE, "%s", g_strerror(-r));
	} else {
		r = gnutls_pcert_import_x509_raw(&p->chain[0], &der, GNUTLS_X509_FMT_DER, 0);
		if (r < 0)
			fail(&p->problem, "the certificate of the mount", r);
		else
			p->n = 1;
	}
	memfile_wipe(&der);
	if (fd >= 0)
		close(fd);
	return p;
}

void x509_pair_free(void *ptr)
{
	struct x509_pair *p = ptr;

	if (p && p->n)
		gnutls_pcert_deinit(&p->chain[0]);
	g_free(p);
}

void x509_take(struct x509 *x, const struct ipc_credential *c, int fd)
{
	struct x509_owner *o = &x->owners[credential_owner(c->side)];

	if (c->kind == IPC_KIND_DESK) {
		if (x->desk >= 0)
			close(x->desk);
		x->desk = fd;
		return;
	}
	if (c->cause != CAUSE_SUCCESS)
		note_problem(problem_of(o, c->kind), c);
	else if (fd >= 0)
		take_content(o, c, fd);
	if (fd >= 0)
		close(fd);
}
