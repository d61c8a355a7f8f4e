// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls doctor --connect: a TLS handshake with a target and NVMe's Connect, and what comes of it in words. */
#include <errno.h>
#include <string.h>

#include "common/policy.h"
#include "nvme-tls/doctor-checks.h"
#include "nvme-tls/doctor-link.h"
#include "nvme-tls/doctor-pdu.h"
#include "nvme-tls/output.h"

#define HOSTID_FILE "/etc/nvme/hostid"
/* What the kernel's host gives a handshake. */
#define STEP_SECONDS 10

/* A try to connect. */
struct attempt {
	struct doctor *d;
	char *host, *service;
	char *peer; /* "192.0.2.1:4420" */
	const key_row *key;
};

/* "ADDR", "ADDR:PORT", "[ADDR]:PORT" or an IPv6 address; a port of --trsvcid counts. */
static void split_address(struct attempt *a)
{
	const char *text = a->d->o->connect;
	const char *colon = strrchr(text, ':'), *bracket = strrchr(text, ']');
	bool port = colon && (bracket ? bracket < colon : strchr(text, ':') == colon);

	a->host = port ? g_strndup(text, (gsize)(colon - text)) : g_strdup(text);
	if (*a->host == '[' && bracket) {
		a->host[strcspn(a->host, "]")] = '\0';
		memmove(a->host, a->host + 1, strlen(a->host));
	}
	a->service = g_strdup(a->d->o->trsvcid ? a->d->o->trsvcid : port ? colon + 1 : "4420");
	a->peer = g_strdup_printf(strchr(a->host, ':') ? "[%s]:%s" : "%s:%s", a->host, a->service);
}

/* Whether the host would rather take @a: version 1 before 0, SHA-384 before SHA-256. */
static bool is_preferred(const key_row *a, const key_row *b)
{
	if (a->id.version != b->id.version)
		return a->id.version > b->id.version;
	return a->id.hash > b->id.hash;
}

/* What the command line asks for, else what the kernel's host takes. */
static const key_row *choose_key(const struct doctor *d)
{
	const key_row *best = NULL;

	for (guint i = 0; i < d->rows->len; i++) {
		const key_row *row = g_ptr_array_index(d->rows, i);

		if (!key_row_usable(row) || row->id.generated ||
		    !key_row_of_pair(row, d->o->hostnqn, d->o->subsysnqn))
			continue;
		if (d->o->identity ? strcmp(row->identity, d->o->identity) != 0
				   : (d->o->version >= 0 && row->id.version != d->o->version) ||
					     (d->o->hmac >= 0 && (int)row->id.hash != d->o->hmac))
			continue;
		if (row->chosen)
			return row;
		if (!best || is_preferred(row, best))
			best = row;
	}
	return best;
}

/* ---- TLS ---- */

/* What the alerts mean that targets send here (RFC 8446, 6.2). */
static const struct {
	int alert;
	const char *meaning;
	const char *remedy; /* NULL: that of a missing key */
} alerts[] = {
	{GNUTLS_A_UNKNOWN_PSK_IDENTITY, "the target has no key of this identity", NULL},
	{GNUTLS_A_DECRYPT_ERROR, "the target has another key under this identity", NULL},
	{GNUTLS_A_ILLEGAL_PARAMETER, "the target has another key under this identity", NULL},
	{GNUTLS_A_ACCESS_DENIED, "the target's key has been revoked or has expired", NULL},
	{GNUTLS_A_HANDSHAKE_FAILURE, "the target has no cipher, group or key in common with us",
	 NULL},
	{GNUTLS_A_INSUFFICIENT_SECURITY, "the target wants other ciphers or groups",
	 "nvme-tls doctor --target, on the target"},
	{GNUTLS_A_PROTOCOL_VERSION, "the target does not speak TLS 1.3",
	 "nvme-tls doctor --target, on the target"},
	{GNUTLS_A_INTERNAL_ERROR,
	 "the target has failed; SPDK says this of an identity that it does not know, and knows none of version 1",
	 "nvme-tls insert --identity=0 on both sides if the target is SPDK; else the target's log"},
	{GNUTLS_A_UNEXPECTED_MESSAGE, "the target expected something else",
	 "journalctl -u tlshd, on the target"},
};

static void mend_key(const struct attempt *a, doctor_finding *f)
{
	g_autofree char *names = doctor_pair_options(a->d->o->hostnqn, a->d->o->subsysnqn);

	doctor_mend(f,
		    "nvme-tls insert --identity=%d %s PSKFILE, on the target, with this side's configured PSK",
		    a->key->id.version, names);
}

static void tell_alert(struct attempt *a, const doctor_link_end *end)
{
	doctor_finding *f;

	for (size_t i = 0; i < G_N_ELEMENTS(alerts); i++) {
		if (alerts[i].alert != end->alert)
			continue;
		f = doctor_fault(a->d, a->peer, "TLS with %s: %s: %s", a->peer, end->text,
				 alerts[i].meaning);
		if (alerts[i].remedy)
			doctor_mend(f, "%s", alerts[i].remedy);
		else
			mend_key(a, f);
		return;
	}
	doctor_mend(doctor_fault(a->d, a->peer, "TLS with %s: %s", a->peer, end->text),
		    "journalctl -u tlshd, on the target");
}

/* Whether the port takes a connection in the clear: then it is TLS that it does not know. */
static bool answers_in_the_clear(const struct attempt *a)
{
	uint8_t icreq[DOCTOR_PDU_ICREQ], answer[DOCTOR_PDU_MAX];
	g_auto(doctor_link_end) end = {0};
	g_autofree char *why = NULL;
	g_autoptr(doctor_link) link = doctor_link_open(a->host, a->service, STEP_SECONDS, &why);

	doctor_pdu_icreq(icreq);
	return link && doctor_link_send(link, icreq, sizeof(icreq), &end) == 0 &&
	       doctor_link_receive(link, answer, DOCTOR_PDU_HEAD, &end) == 0 &&
	       doctor_pdu_size(answer) > 0 && answer[0] == DOCTOR_PDU_ICRESP;
}

static void tell_tls(struct attempt *a, const doctor_link_end *end)
{
	if (end->alert >= 0)
		tell_alert(a, end);
	else if ((end->closed || end->plain) && answers_in_the_clear(a))
		doctor_mend(doctor_fault(a->d, a->peer,
					 "TLS with %s: the port has no TLS, and answers in the clear",
					 a->peer),
			    "echo tls1.3 > /sys/kernel/config/nvmet/ports/PORT/addr_tsas, on the target");
	else if (end->closed || end->late)
		doctor_mend(doctor_fault(a->d, a->peer,
					 "TLS with %s: %s without an alert: most likely no daemon runs there",
					 a->peer, end->text),
			    "nvme-tls doctor --target, on the target");
	else
		doctor_mend(doctor_fault(a->d, a->peer, "TLS with %s: %s", a->peer, end->text),
			    "nvme-tls doctor --target, on the target");
}

/* Return: whether the connection is encrypted. */
static bool shake_hands(struct attempt *a, struct doctor_link *link)
{
	g_auto(doctor_link_end) end = {0};
	g_auto(secret) psk = SECRET_INIT;
	g_autofree char *why = NULL;
	struct policy policy;
	int r = key_read_psk(a->key->serial, &psk);

	if (r < 0) {
		doctor_mend(doctor_fault(a->d, a->peer, "cannot read key " SERIAL ": %s",
					 (unsigned int)a->key->serial, key_strerror(r)),
			    "run nvme-tls doctor as root");
		return false;
	}
	if (policy_init(&policy, &why) < 0)
		return false; /* the check of the policy says so */
	r = doctor_link_handshake(link, a->key->identity, &psk, &policy, &end);
	policy_clear(&policy);
	if (r == -ENOTSUP)
		doctor_mend(doctor_fault(a->d, a->peer,
					 "GnuTLS %s and the crypto policy of this machine cannot use key " SERIAL
					 " of %s",
					 gnutls_check_version(NULL), (unsigned int)a->key->serial,
					 psk_hash_name(psk_hash_of_size(psk.len))),
			    "nvme-tls rotate --hmac=1 on both sides, or install GnuTLS 3.8.11 or newer");
	else if (r < 0)
		tell_tls(a, &end);
	else
		doctor_ok(a->d, a->peer, "TLS 1.3 with %s: cipher %s, identity \"%s\", key " SERIAL,
			  a->peer, doctor_link_cipher(link), a->key->identity,
			  (unsigned int)a->key->serial);
	return r == 0;
}

/* ---- NVMe ---- */

/* Return: whether an answer of this type has come; else a finding says what came. */
static bool receive(struct attempt *a, struct doctor_link *link, const char *what,
		    enum doctor_pdu_type type, struct doctor_pdu *pdu)
{
	uint8_t bytes[DOCTOR_PDU_MAX];
	g_auto(doctor_link_end) end = {0};
	const char *why = "it is no PDU that can come here";
	int size = -EPROTO;
	int r = doctor_link_receive(link, bytes, DOCTOR_PDU_HEAD, &end);

	if (r == 0) {
		size = doctor_pdu_size(bytes);
		if (size > 0)
			r = doctor_link_receive(link, bytes + DOCTOR_PDU_HEAD,
						(size_t)size - DOCTOR_PDU_HEAD, &end);
	}
	if (r < 0) {
		if (end.alert >= 0)
			tell_alert(a, &end);
		else
			doctor_mend(doctor_fault(a->d, a->peer, "%s: %s", what, end.text),
				    "dmesg, and journalctl -u tlshd, on the target");
		return false;
	}
	if (size < 0 || doctor_pdu_parse(bytes, (size_t)size, pdu, &why) < 0) {
		doctor_mend(doctor_fault(a->d, a->peer, "%s: the answer makes no sense: %s", what,
					 why),
			    "check that %s is the address of an NVMe/TCP target", a->peer);
		return false;
	}
	if (pdu->type == type)
		return true;
	if (pdu->type == DOCTOR_PDU_TERM)
		doctor_mend(doctor_fault(a->d, a->peer, "%s: the target ends the connection: %s",
					 what, doctor_pdu_fatal(pdu->fatal)),
			    "dmesg, on the target");
	else
		doctor_mend(doctor_fault(a->d, a->peer, "%s: another answer came, PDU type %d",
					 what, (int)pdu->type),
			    "dmesg, on the target");
	return false;
}

/* --hostid or the file of nvme-cli; where neither has one, one of zeros and a one, as of nobody. */
static bool read_hostid(const struct doctor *d, uint8_t hostid[16])
{
	g_autofree char *file = d->o->hostid ? NULL : doctor_system_read(d->system, HOSTID_FILE);
	const char *text = d->o->hostid ? d->o->hostid : file;
	size_t digits = 0;

	memset(hostid, 0, 16);
	hostid[15] = 1;
	for (; text && *text && digits < 32; text++) {
		int value = g_ascii_xdigit_value(*text);

		if (value < 0)
			continue;
		hostid[digits / 2] = (uint8_t)(digits % 2 ? hostid[digits / 2] | value
							  : value << 4);
		digits++;
	}
	return !d->o->hostid || digits == 32;
}

static void tell_status(struct attempt *a, const struct doctor_pdu *pdu)
{
	const char *host = a->d->o->hostnqn, *subsystem = a->d->o->subsysnqn;
	g_autofree char *status = doctor_pdu_status(pdu);
	g_autofree char *quoted_host = g_shell_quote(host);
	g_autofree char *quoted_subsystem = g_shell_quote(subsystem);

	if (pdu->status == 0 && pdu->result >> 16)
		doctor_mend(doctor_warning(a->d, a->peer,
					   "Connect: the target takes the host, but asks for DH-HMAC-CHAP authentication before anything else"),
			    "nvme connect --dhchap-secret=...");
	else if (pdu->status == 0)
		doctor_ok(a->d, a->peer,
			  "Connect: the target takes the host %s for the subsystem %s, controller %u",
			  host, subsystem, pdu->result & 0xffff);
	else if (g_str_has_prefix(status, "invalid host") || strstr(status, "host NQN"))
		doctor_mend(doctor_fault(a->d, a->peer,
					 "Connect: the target refuses (%s): it does not let the host %s use the subsystem %s",
					 status, host, subsystem),
			    "H=%s S=%s; cd /sys/kernel/config/nvmet; mkdir -p hosts/$H; ln -s $PWD/hosts/$H subsystems/$S/allowed_hosts/, on the target",
			    quoted_host, quoted_subsystem);
	else if (strstr(status, "subsystem NQN"))
		doctor_mend(doctor_fault(a->d, a->peer,
					 "Connect: the target refuses (%s): this port does not export the subsystem %s",
					 status, subsystem),
			    "ls /sys/kernel/config/nvmet/ports/*/subsystems, on the target");
	else
		doctor_mend(doctor_fault(a->d, a->peer, "Connect: the target refuses: %s", status),
			    "dmesg, on the target");
}

static void talk(struct attempt *a, struct doctor_link *link)
{
	uint8_t icreq[DOCTOR_PDU_ICREQ], connect[DOCTOR_PDU_CONNECT], hostid[16];
	g_auto(doctor_link_end) end = {0};
	struct doctor_pdu pdu;

	if (!read_hostid(a->d, hostid)) {
		doctor_mend(doctor_fault(a->d, "host ID", "--hostid is no UUID"),
			    "cat " HOSTID_FILE);
		return;
	}
	/* A peer that has closed is told of by the answer that does not come. */
	doctor_pdu_icreq(icreq);
	doctor_link_send(link, icreq, sizeof(icreq), &end);
	if (!receive(a, link, "ICReq", DOCTOR_PDU_ICRESP, &pdu))
		return;
	doctor_link_end_clear(&end);
	doctor_pdu_connect(connect, hostid, a->d->o->hostnqn, a->d->o->subsysnqn);
	doctor_link_send(link, connect, sizeof(connect), &end);
	if (receive(a, link, "Connect", DOCTOR_PDU_RESPONSE, &pdu))
		tell_status(a, &pdu);
}

static void attempt_clear(struct attempt *a)
{
	g_free(a->host);
	g_free(a->service);
	g_free(a->peer);
}

void doctor_connect(struct doctor *d)
{
	struct attempt a = {.d = d};
	g_autoptr(doctor_link) link = NULL;
	g_autofree char *why = NULL, *names = NULL;

	if (!d->o->connect)
		return;
	split_address(&a);
	a.key = choose_key(d);
	names = doctor_pair_options(d->o->hostnqn, d->o->subsysnqn);
	if (!a.key)
		doctor_mend(doctor_fault(d, a.peer,
					 "cannot connect to %s: no key for the host %s and the subsystem %s is loaded",
					 a.peer, d->o->hostnqn, d->o->subsysnqn),
			    "nvme-tls insert %s PSKFILE", names);
	else if (!(link = doctor_link_open(a.host, a.service, STEP_SECONDS, &why)))
		doctor_mend(doctor_fault(d, a.peer, "cannot connect to %s: %s", a.peer, why),
			    "ping %s, and ss -ltn on the target", a.host);
	else if (shake_hands(&a, link))
		talk(&a, link);
	attempt_clear(&a);
}
