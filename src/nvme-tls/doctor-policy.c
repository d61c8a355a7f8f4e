// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls doctor, cryptography: what GnuTLS and the system's crypto policy leave of TLS 1.3. */
#include <gnutls/gnutls.h>

#include "common/policy.h"
#include "nvme-tls/doctor-checks.h"

static const char mend_policy[] =
	"update-crypto-policies --set DEFAULT, or correct /etc/gnutls/config; then systemctl restart tlshd";

/* How many keys there are of a hash. */
static unsigned int keys_of(const struct doctor *d, enum psk_hash hash)
{
	unsigned int n = 0;

	for (guint i = 0; i < d->rows->len; i++) {
		const key_row *row = g_ptr_array_index(d->rows, i);

		n += !row->malformed && key_row_usable(row) && row->id.hash == hash;
	}
	return n;
}

void doctor_policy_ciphers(struct doctor *d)
{
	g_autofree char *why = NULL;
	bool whole = true;
	struct policy p;

	if (policy_init(&p, &why) < 0) {
		doctor_mend(doctor_fault(d, "crypto policy", "no handshake can succeed: %s", why),
			    "%s", mend_policy);
		return;
	}
	for (enum psk_hash hash = PSK_HASH_SHA256; hash <= PSK_HASH_SHA384; hash++) {
		unsigned int keys = keys_of(d, hash);

		if (p.hash[hash])
			continue;
		whole = false;
		if (keys)
			doctor_mend(doctor_fault(d, "crypto policy",
						 "the system's crypto policy leaves no cipher for %s keys, of which %u %s loaded",
						 psk_hash_name(hash), keys,
						 keys > 1 ? "are" : "is"),
				    "%s", mend_policy);
		else
			doctor_mend(doctor_warning(d, "crypto policy",
						   "the system's crypto policy leaves no cipher for %s keys",
						   psk_hash_name(hash)),
				    "%s", mend_policy);
	}
	if (whole)
		doctor_ok(d, "crypto policy",
			  "the system's crypto policy has ciphers for all keys");
	policy_clear(&p);
}

void doctor_policy_sha384(struct doctor *d)
{
	const char *version = gnutls_check_version(NULL);
	unsigned int keys = keys_of(d, PSK_HASH_SHA384);

	if (gnutls_check_version("3.8.11"))
		doctor_ok(d, "GnuTLS", "GnuTLS %s can use SHA-256 and SHA-384 keys", version);
	else if (keys)
		doctor_mend(doctor_fault(d, "GnuTLS",
					 "GnuTLS %s cannot use SHA-384 keys, of which %u %s loaded",
					 version, keys, keys > 1 ? "are" : "is"),
			    "nvme-tls rotate --hmac=1 on both sides, or install GnuTLS 3.8.11 or newer");
	else
		doctor_ok(d, "GnuTLS",
			  "GnuTLS %s can use SHA-256 keys, and no SHA-384 key is loaded", version);
}
