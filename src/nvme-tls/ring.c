// SPDX-License-Identifier: GPL-2.0-or-later
/* The keyring that nvme-tls works on, and what goes wrong with it, said with the next step. */
#include "nvme-tls/ring.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <gnutls/gnutls.h>

#include "common/log.h"
#include "nvme-tls/aside.h"
#include "nvme-tls/output.h"

int ring_find(const options *o, struct ring *ring)
{
	int r = keyring_find(o->keyring);

	*ring = (struct ring){.serial = r, .name = o->keyring, .keytype = o->keytype};
	return r < 0 ? r : keyring_possess(ring->serial);
}

enum exit_code ring_open(const options *o, struct ring *ring)
{
	int r = ring_find(o, ring);

	if (r == 0)
		return EXIT_OK;
	if (r == -ENOENT && getuid() != 0)
		log_error("keyring %s not found among those that uid %u may see: run nvme-tls as root",
			  ring->name, (unsigned int)getuid());
	else if (r == -ENOENT && strcmp(ring->name, ".nvme") == 0)
		log_error("keyring .nvme not found: load the nvme_tcp (host) or nvmet_tcp (target) module first: modprobe nvme-tcp%s",
			  o->keyfile ? "; or change the key file alone with --keyring=none" : "");
	else if (r == -ENOENT)
		log_error("keyring %s not found: /proc/keys shows which there are", ring->name);
	else if (r == -EINVAL)
		log_error("keyring \"%s\" is neither a name nor a serial; @s and @u are the session's and the user's",
			  ring->name);
	else if (ring->serial == -EPERM || ring->serial == -ENOTUNIQ)
		log_error("keyring \"%s\": %s", ring->name, keyring_find_strerror(ring->serial));
	else
		ring_error(ring, "cannot open the keyring", r);
	return EXIT_FAILED;
}

bool ring_is_none(const options *o)
{
	return strcmp(o->keyring, "none") == 0;
}

enum exit_code ring_open_if_any(const options *o, struct ring *ring)
{
	if (!ring_is_none(o))
		return ring_open(o, ring);
	*ring = (struct ring){.name = o->keyring, .keytype = o->keytype};
	if (o->keyfile)
		return EXIT_OK;
	log_error("%s: with --keyring=none only a key file can be changed: give --keyfile",
		  o->name);
	return EXIT_USAGE;
}

void ring_error(const struct ring *ring, const char *what, int err)
{
	const char *next = "";

	switch (-err) {
	case ENODEV:
		next = strcmp(ring->keytype, "psk") == 0
			       ? ": modprobe nvme-keyring (it comes with nvme-tcp and nvmet-tcp)"
			       : ": --keytype psk is the one of NVMe/TCP";
		break;
	case EDQUOT:
		next = ": revoke keys that are no longer needed, or raise kernel.keys.root_maxkeys and kernel.keys.root_maxbytes (kernel.keys.maxkeys and maxbytes for others) with sysctl; /proc/key-users shows what is used";
		break;
	case EACCES:
	case EPERM:
		next = getuid() ? ": run nvme-tls as root" : "";
		break;
	case EKEYREVOKED:
	case EKEYEXPIRED:
		next = ": insert a new one (nvme-tls insert, or nvme-tls import)";
		break;
	}
	log_error("%s (keyring %s): %s%s", what, ring->name, key_strerror(err), next);
}

/* @r: the serial of the key, or why there is none. */
static enum ring_state compare(int r, const secret *psk, key_serial *serial, int *err)
{
	g_auto(secret) loaded = SECRET_INIT;

	*serial = r > 0 ? r : 0;
	*err = 0;
	if (r == -ENOKEY)
		return RING_NONE;
	if (r > 0)
		r = key_read_psk(r, &loaded);
	if (r < 0) {
		*err = r;
		return RING_UNREADABLE;
	}
	return secret_equal(&loaded, psk) ? RING_SAME : RING_DIFFERENT;
}

enum ring_state ring_compare(const struct ring *ring, const char *identity, const secret *psk,
			     key_serial *serial, int *err)
{
	return compare(keyring_lookup(ring->serial, ring->keytype, identity), psk, serial, err);
}

enum ring_state ring_compare_row(const key_row *row, const secret *psk, key_serial *serial,
				 int *err)
{
	return compare(row && key_row_usable(row) ? row->serial : -ENOKEY, psk, serial, err);
}

static key_row *row_new(const struct ring *ring, key_serial serial, GHashTable *statuses)
{
	const key_status *status = g_hash_table_lookup(statuses, GINT_TO_POINTER(serial));
	g_auto(key_info) info = {0};
	g_auto(secret) psk = SECRET_INIT;
	key_row *row;
	int r;

	r = key_describe(serial, &info);
	/* A revoked key is no longer described, but still in /proc/keys. */
	if (r == 0 ? strcmp(info.type, ring->keytype) != 0
		   : !status || !(r == -EKEYREVOKED || r == -EKEYEXPIRED))
		return NULL;
	row = key_row_new(serial, r == 0 ? info.description : status->description);
	if (status) {
		row->status = *status;
		row->status.description = NULL;
	}
	row->status.revoked |= r == -EKEYREVOKED;
	row->status.expired |= r == -EKEYEXPIRED;
	r = key_read_psk(serial, &psk);
	row->length = r < 0 ? r : (int)psk.len;
	return row;
}

static bool is_over(const key_row *row)
{
	return row->status.revoked || row->status.expired;
}

/* The old keys among @rows get their phase, and those that are nowhere else a row at the end. */
static void add_old(const struct ring *ring, GPtrArray *rows, const GArray *old,
		    GHashTable *statuses)
{
	g_autoptr(GHashTable) by_serial = g_hash_table_new(NULL, NULL);

	for (guint i = 0; i < rows->len; i++) {
		key_row *row = g_ptr_array_index(rows, i);

		g_hash_table_insert(by_serial, GINT_TO_POINTER(row->serial), row);
	}
	for (guint i = 0; i < old->len; i++) {
		key_serial serial = g_array_index(old, key_serial, i);
		key_row *row = g_hash_table_lookup(by_serial, GINT_TO_POINTER(serial));

		/* One that has ended is swept by the kernel after some minutes, and has no say any more. */
		if (row && is_over(row)) {
			g_ptr_array_remove(rows, row);
			continue;
		}
		if (row) {
			row->phase = PHASE_OLD;
			continue;
		}
		row = row_new(ring, serial, statuses);
		if (row && is_over(row))
			g_clear_pointer(&row, key_row_free);
		if (!row)
			continue;
		row->phase = PHASE_ASIDE;
		g_ptr_array_add(rows, row);
	}
	rows_mark(rows);
}

GPtrArray *ring_rows(const struct ring *ring)
{
	g_autoptr(GArray) serials = NULL, old = NULL;
	g_autoptr(GHashTable) statuses = NULL;
	GPtrArray *rows;
	int r;

	if (!ring->serial)
		return g_ptr_array_new_with_free_func((GDestroyNotify)key_row_free);
	r = keyring_keys(ring->serial, &serials);
	if (r == 0)
		r = aside_keys(ring->serial, &old);
	if (r < 0) {
		ring_error(ring, "cannot list the keys", r);
		return NULL;
	}
	statuses = key_status_table();
	rows = g_ptr_array_new_with_free_func((GDestroyNotify)key_row_free);
	for (guint i = 0; i < serials->len; i++) {
		key_row *row = row_new(ring, g_array_index(serials, key_serial, i), statuses);

		if (row)
			g_ptr_array_add(rows, row);
	}
	if (old->len)
		add_old(ring, rows, old, statuses);
	return rows;
}

GHashTable *ring_index(GPtrArray *rows)
{
	GHashTable *index = g_hash_table_new(g_str_hash, g_str_equal);

	for (guint i = 0; i < rows->len; i++) {
		key_row *row = g_ptr_array_index(rows, i);

		if (row->phase == PHASE_ASIDE)
			continue;
		if (key_row_usable(row) || !g_hash_table_contains(index, row->identity))
			g_hash_table_replace(index, row->identity, row);
	}
	return index;
}

void ring_warn_of_hash(const char *identity)
{
	if (identity_hash(identity) == PSK_HASH_SHA384 && !gnutls_check_version("3.8.11"))
		log_warning("warning: GnuTLS %s on this machine cannot use SHA-384 keys; take --hmac 1, or install GnuTLS 3.8.11",
			    gnutls_check_version(NULL));
}
