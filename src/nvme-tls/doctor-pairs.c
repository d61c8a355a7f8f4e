// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls doctor, the pairs of a host and a subsystem: has each the key that the other side has. */
#include <string.h>

#include "nvme-tls/controllers.h"
#include "nvme-tls/doctor-checks.h"
#include "nvme-tls/origin.h"
#include "nvme-tls/output.h"
#include "nvme-tls/source.h"

/* A host and a subsystem that this machine is to connect. */
struct pair {
	char *hostnqn, *subsysnqn;
	char *why; /* how we know of it: "nvme0", "port 1", "the command line" */
};

static void pair_free(struct pair *p)
{
	g_free(p->hostnqn);
	g_free(p->subsysnqn);
	g_free(p->why);
	g_free(p);
}

static void add_pair(GPtrArray *pairs, const char *hostnqn, const char *subsysnqn, const char *why)
{
	struct pair *pair;

	for (guint i = 0; i < pairs->len; i++) {
		pair = g_ptr_array_index(pairs, i);
		if (strcmp(pair->hostnqn, hostnqn) == 0 && strcmp(pair->subsysnqn, subsysnqn) == 0)
			return;
	}
	pair = g_new0(struct pair, 1);
	*pair = (struct pair){g_strdup(hostnqn), g_strdup(subsysnqn), g_strdup(why)};
	g_ptr_array_add(pairs, pair);
}

/* The hosts that each subsystem of a port with TLS lets in; of "any host" none is known. */
static void add_target_pairs(const struct doctor *d, GPtrArray *pairs)
{
	static const char nvmet[] = "/sys/kernel/config/nvmet";
	g_autoptr(GPtrArray) ports = doctor_system_list(d->system, "%s/ports", nvmet);

	for (guint i = 0; i < ports->len; i++) {
		const char *port = g_ptr_array_index(ports, i);
		g_autofree char *tsas = doctor_system_read(d->system, "%s/ports/%s/addr_tsas",
							   nvmet, port);
		g_autofree char *why = g_strdup_printf("port %s", port);
		g_autoptr(GPtrArray) names = doctor_system_list(d->system, "%s/ports/%s/subsystems",
								nvmet, port);

		if (g_strcmp0(tsas, "tls1.3") != 0)
			continue;
		for (guint n = 0; n < names->len; n++) {
			const char *name = g_ptr_array_index(names, n);
			g_autoptr(GPtrArray)
				hosts = doctor_system_list(d->system,
							   "%s/subsystems/%s/allowed_hosts", nvmet,
							   name);

			for (guint h = 0; h < hosts->len; h++)
				add_pair(pairs, g_ptr_array_index(hosts, h), name, why);
		}
	}
}

static void add_host_pairs(const struct doctor *d, GPtrArray *pairs)
{
	g_autofree char *sysfs = doctor_system_path(d->system, "/sys");
	g_autoptr(GPtrArray) all = controllers_read(sysfs);

	for (guint i = 0; i < all->len; i++) {
		const controller *c = g_ptr_array_index(all, i);

		add_pair(pairs, c->hostnqn, c->subsysnqn, c->name);
	}
}

static GPtrArray *find_pairs(const struct doctor *d)
{
	GPtrArray *pairs = g_ptr_array_new_with_free_func((GDestroyNotify)pair_free);

	if (d->o->subsysnqn) {
		add_pair(pairs, d->o->hostnqn, d->o->subsysnqn, "the command line");
		return pairs;
	}
	if (d->sides & DOCTOR_HOST)
		add_host_pairs(d, pairs);
	if (d->sides & DOCTOR_TARGET)
		add_target_pairs(d, pairs);
	return pairs;
}

/* The usable keys of a pair. */
static GPtrArray *keys_of(const struct doctor *d, const char *hostnqn, const char *subsysnqn)
{
	GPtrArray *keys = g_ptr_array_new();

	for (guint i = 0; i < d->rows->len; i++) {
		key_row *row = g_ptr_array_index(d->rows, i);

		if (key_row_usable(row) && key_row_of_pair(row, hostnqn, subsysnqn))
			g_ptr_array_add(keys, row);
	}
	return keys;
}

void doctor_pairs_key(struct doctor *d)
{
	g_autoptr(GPtrArray) pairs = find_pairs(d);
	unsigned int without = 0;

	if (d->ring.serial <= 0)
		return; /* the check of the keyring says why there is none */
	for (guint i = 0; i < pairs->len; i++) {
		const struct pair *pair = g_ptr_array_index(pairs, i);
		g_autofree char *names = doctor_pair_options(pair->hostnqn, pair->subsysnqn);
		g_autoptr(GPtrArray) keys = keys_of(d, pair->hostnqn, pair->subsysnqn);

		if (keys->len || ++without > DOCTOR_LISTED_MAX)
			continue;
		doctor_mend(doctor_fault(d, pair->subsysnqn,
					 "no key is loaded for the host %s and the subsystem %s (%s)",
					 pair->hostnqn, pair->subsysnqn, pair->why),
			    "nvme-tls insert %s PSKFILE", names);
	}
	if (without > DOCTOR_LISTED_MAX)
		doctor_mend(doctor_warning(d, d->o->keyring, "%u more pairs have no key",
					   without - DOCTOR_LISTED_MAX),
			    "nvme-tls list");
	if (pairs->len && !without)
		doctor_ok(d, d->o->keyring,
			  pairs->len == 1 ? "the pair of host and subsystem has a key"
					  : "all %u pairs of host and subsystem have a key",
			  pairs->len);
}

/* ---- what the other side has, as the command line says ---- */

/* What of an identity is known. */
struct wanted {
	int version; /* -1: not known */
	int hash; /* the same */
	const char *digest; /* NULL: not known */
};

static bool fits(const key_row *row, const struct wanted *w)
{
	return (w->version < 0 || row->id.version == w->version) &&
	       (w->hash < 0 || (int)row->id.hash == w->hash) &&
	       (!w->digest || g_strcmp0(row->id.digest, w->digest) == 0);
}

static bool any_fits(GPtrArray *keys, const struct wanted *w)
{
	for (guint i = 0; i < keys->len; i++)
		if (fits(g_ptr_array_index(keys, i), w))
			return true;
	return false;
}

/* Keys of the pair are loaded, and none is @w: says in which way they differ. */
static void tell_difference(struct doctor *d, const struct pair *pair, GPtrArray *keys,
			    const struct wanted *w)
{
	const key_row *row = g_ptr_array_index(keys, 0);
	g_autofree char *names = doctor_pair_options(pair->hostnqn, pair->subsysnqn);
	struct wanted version = {w->version, -1, NULL}, hash = {w->version, w->hash, NULL};

	if (!any_fits(keys, &version))
		doctor_mend(doctor_fault(d, pair->subsysnqn,
					 "only a key of identity version %d is loaded for the host %s and the subsystem %s, and the other side uses version %d (%s)",
					 row->id.version, pair->hostnqn, pair->subsysnqn,
					 w->version, pair->why),
			    "nvme-tls insert --identity=%d %s PSKFILE", w->version, names);
	else if (!any_fits(keys, &hash))
		doctor_mend(doctor_fault(d, pair->subsysnqn,
					 "only a key with the hash %s is loaded for the host %s and the subsystem %s, and the other side uses %s (%s)",
					 psk_hash_name(row->id.hash), pair->hostnqn,
					 pair->subsysnqn, psk_hash_name((enum psk_hash)w->hash),
					 pair->why),
			    "nvme-tls insert %s PSKFILE, with a configured PSK of that hash",
			    names);
	else
		doctor_mend(doctor_fault(d, pair->subsysnqn,
					 "the key of the host %s and the subsystem %s has another digest than the other side's (%s): it was made of another configured PSK, or derived in another way",
					 pair->hostnqn, pair->subsysnqn, pair->why),
			    "nvme-tls doctor %s --keydata=PSKFILE", names);
}

/* Return: whether a key of the pair fits; without any key, the check of the pair's key says so. */
static bool check_wanted(struct doctor *d, const struct pair *pair, const struct wanted *w)
{
	g_autoptr(GPtrArray) keys = keys_of(d, pair->hostnqn, pair->subsysnqn);

	if (!keys->len)
		return false;
	if (any_fits(keys, w))
		return true;
	tell_difference(d, pair, keys, w);
	return false;
}

/* Identities that the daemon could not find, as the recording has them: whoever connects may write there. */
static void check_recorded(struct doctor *d)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
	size_t n = d->recording ? recording_entries(d->recording) : 0;
	guint before = d->findings->len;

	while (n--) {
		const struct recording_entry *e = recording_entry_at(d->recording, n);
		g_auto(nvme_identity) id = {0};
		struct pair pair = {.why = (char[]){"a handshake on record"}};

		if (strcmp(recording_cause(d->recording, e->cause)->id, "no-key") != 0 ||
		    !g_hash_table_add(seen, (char *)e->identity) ||
		    nvme_identity_split(e->identity, &id, NULL) < 0)
			continue;
		pair.hostnqn = id.hostnqn;
		pair.subsysnqn = id.subsysnqn;
		check_wanted(d, &pair, &(struct wanted){id.version, (int)id.hash, id.digest});
		if (d->findings->len - before >= DOCTOR_LISTED_MAX)
			return;
	}
}

void doctor_pairs_identity(struct doctor *d)
{
	struct wanted w = {d->o->version, d->o->hmac, NULL};
	struct pair pair = {d->o->hostnqn, d->o->subsysnqn, (char[]){"the command line"}};
	g_auto(nvme_identity) id = {0};

	if (!d->o->subsysnqn) {
		check_recorded(d);
		return;
	}
	if (d->o->identity && nvme_identity_split(d->o->identity, &id, NULL) == 0)
		w = (struct wanted){id.version, (int)id.hash, id.digest};
	if ((w.version >= 0 || w.hash >= 0) && check_wanted(d, &pair, &w))
		doctor_ok(d, d->o->subsysnqn, "a key with the other side's identity is loaded");
}

/* ---- a configured PSK beside what is loaded ---- */

static enum ring_state compare(const char *identity, const secret *psk, key_serial *serial,
			       int *err, void *data)
{
	return ring_compare(data, identity, psk, serial, err);
}

static bool is_as_asked(const struct doctor *d, const interchange *key, const origin *one)
{
	return one->hash == key->hash && one->derivations & 1u << d->o->derivation &&
	       (d->o->version < 0 || one->version == d->o->version);
}

static void tell_origin(struct doctor *d, const interchange *key, const origin *one)
{
	g_autofree char *users = origin_users(one), *option = origin_option(one);
	g_autofree char *names = doctor_pair_options(d->o->hostnqn, d->o->subsysnqn);

	if (is_as_asked(d, key, one)) {
		doctor_ok(d, d->o->subsysnqn, "key " SERIAL " is this configured PSK, version %d",
			  (unsigned int)one->serial, one->version);
		return;
	}
	if (one->hash != key->hash)
		doctor_mend(doctor_fault(d, d->o->subsysnqn,
					 "key " SERIAL
					 " has the bytes of this configured PSK with the hash %s, where the PSK says %s",
					 (unsigned int)one->serial, psk_hash_name(one->hash),
					 psk_hash_name(key->hash)),
			    "nvme-tls insert --force %s PSKFILE", names);
	else if (!(one->derivations & 1u << d->o->derivation))
		doctor_mend(doctor_fault(d, d->o->subsysnqn,
					 "key " SERIAL
					 " is this configured PSK, but derived as by %s: the other side refuses it unless it derives alike",
					 (unsigned int)one->serial, users),
			    "nvme-tls insert --force --identity=%d %s PSKFILE; or on the other side the same with %s",
			    one->version, names, option ? option : "no --compat");
	else
		doctor_mend(doctor_fault(d, d->o->subsysnqn,
					 "key " SERIAL
					 " is this configured PSK, but under identity version %d",
					 (unsigned int)one->serial, one->version),
			    "nvme-tls insert --identity=%d %s PSKFILE", d->o->version, names);
}

void doctor_pairs_derivation(struct doctor *d)
{
	g_auto(interchange) key = {0};
	g_autoptr(GPtrArray) origins = NULL;
	g_autofree char *why = NULL, *names = NULL;
	const origin *other = NULL;
	unsigned int loaded = 0;

	if (!d->o->keydata || d->ring.serial <= 0)
		return;
	if (source_key(d->o->keydata, false, &key, &why) != EXIT_OK) {
		doctor_mend(doctor_fault(d, "configured PSK", "the configured PSK is not valid%s%s",
					 why ? ": " : "", why ? why : ""),
			    "nvme-tls gen, and give both sides the new one");
		return;
	}
	origins = origins_find(&key, d->o->hostnqn, d->o->subsysnqn, compare, &d->ring);
	for (guint i = 0; i < origins->len; i++) {
		const origin *one = g_ptr_array_index(origins, i);

		if (one->state == RING_SAME) {
			tell_origin(d, &key, one);
			loaded++;
		} else if (one->state == RING_DIFFERENT) {
			other = one;
		}
	}
	if (loaded)
		return;
	names = doctor_pair_options(d->o->hostnqn, d->o->subsysnqn);
	if (other)
		doctor_mend(doctor_fault(d, d->o->subsysnqn,
					 "key " SERIAL
					 " is not this configured PSK, in whatever way it is derived",
					 (unsigned int)other->serial),
			    "nvme-tls insert --force %s PSKFILE", names);
	else
		doctor_mend(doctor_fault(d, d->o->subsysnqn,
					 "this configured PSK is not loaded in any way"),
			    "nvme-tls insert %s PSKFILE", names);
}
