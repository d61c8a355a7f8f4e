// SPDX-License-Identifier: GPL-2.0-or-later
/* The broker's keyrings: which ones it may read, and the key of exactly one identity. */
#include "tlshd/broker/keys.h"

#include <errno.h>
#include <string.h>
#include <keyutils.h>

#include "common/log.h"
#include "tlshd/broker/keyindex.h"

/* Where consumers in the kernel keep their keys. */
static const char *const kernel_keyrings[] = {".nvme", ".nfs", ".nfsd"};

/* Who may read a key without possessing it. */
#define READ_BY_OTHERS (KEY_USR_READ | KEY_GRP_READ | KEY_OTH_READ)

/* Keyrings whose keys are indexed at a time. */
#define INDEXES_MAX 64

/* A keyring that the configuration names. */
struct named {
	char *name;
	key_serial serial; /* 0 while there is none that may be used */
	int error; /* why: that of keyring_find(), which the log has been told */
};

struct keys {
	const char *type; /* of the keys: psk */
	GHashTable *linked; /* keyrings in our session keyring */
	GHashTable *indexes; /* keyring to struct keyindex */
	GArray *own; /* serials of kernel_keyrings, as far as they exist */
	GArray *configured; /* of struct named */
	uint64_t looked_at; /* usec, monotonic */
	bool changed; /* what is linked, since keys_gauge() */
};

/* Link into our session keyring, which is how we come to possess, and so to read, its keys. */
static void link_keyring(struct keys *k, key_serial keyring, const char *name)
{
	int r = keyring_link_session(keyring);

	if (r == 0)
		k->changed |= g_hash_table_add(k->linked, GINT_TO_POINTER(keyring));
	else
		log_warning("keyring %s (0x%08x) cannot be linked: %s", name, (unsigned int)keyring,
			    key_strerror(r));
}

/* The log hears of a keyring that may not be used once, not at each look for it. */
static void find_named(struct keys *k, struct named *n)
{
	int r = keyring_find(n->name);

	n->serial = MAX(r, 0);
	if (r < 0 && r != n->error)
		log_warning("keyring \"%s\" of [authenticate] keyrings is not used: %s", n->name,
			    keyring_find_strerror(r));
	n->error = MIN(r, 0);
	if (n->serial)
		link_keyring(k, n->serial, n->name);
}

/* Finds the keyrings that have appeared since; not more often than once a second. */
static void find_keyrings(struct keys *k, bool now_please)
{
	uint64_t t = (uint64_t)g_get_monotonic_time();

	/* A serial is used again one day: what we believe of it must not grow without bound. */
	if (g_hash_table_size(k->linked) >= INDEXES_MAX)
		g_hash_table_remove_all(k->linked);
	if (!now_please && t - k->looked_at < G_USEC_PER_SEC)
		return;
	k->looked_at = t;
	g_array_set_size(k->own, 0);
	for (size_t i = 0; i < G_N_ELEMENTS(kernel_keyrings); i++) {
		key_serial serial = keyring_find(kernel_keyrings[i]);

		if (serial <= 0)
			continue;
		link_keyring(k, serial, kernel_keyrings[i]);
		g_array_append_val(k->own, serial);
	}
	for (guint i = 0; i < k->configured->len; i++)
		find_named(k, &g_array_index(k->configured, struct named, i));
}

static int lookup_in(struct keys *k, key_serial keyring, const char *identity, uint64_t since)
{
	struct keyindex *index = g_hash_table_lookup(k->indexes, GINT_TO_POINTER(keyring));
	int r;

	if (!index) {
		/* Keyrings come and go with modules and namespaces: start afresh now and then. */
		if (g_hash_table_size(k->indexes) >= INDEXES_MAX)
			g_hash_table_remove_all(k->indexes);
		index = keyindex_new(keyring, k->type);
		g_hash_table_insert(k->indexes, GINT_TO_POINTER(keyring), index);
	}
	r = keyindex_lookup(index, identity, since);
	if (r < 0 && keys_status(r) != ENOKEY)
		g_hash_table_remove(k->indexes, GINT_TO_POINTER(keyring));
	return r;
}

/* Those of the kernel's own. */
static int lookup_in_own(struct keys *k, const char *identity, uint64_t since)
{
	for (guint i = 0; i < k->own->len; i++) {
		int r = lookup_in(k, g_array_index(k->own, key_serial, i), identity, since);

		if (r != -ENOKEY)
			return r;
	}
	return -ENOKEY;
}

/*
 * Those of the configuration. Each is checked again, because its owner can revoke it or open it to
 * others, and a revoked keyring's serial may be another user's next.
 */
static int lookup_in_configured(struct keys *k, const char *identity, uint64_t since)
{
	for (guint i = 0; i < k->configured->len; i++) {
		struct named *n = &g_array_index(k->configured, struct named, i);
		int r;

		if (!n->serial || keyring_check(n->serial) < 0)
			find_keyrings(k, false);
		if (!n->serial || keyring_check(n->serial) < 0)
			continue;
		r = lookup_in(k, n->serial, identity, since);
		if (r != -ENOKEY)
			return r;
	}
	return -ENOKEY;
}

static int lookup(struct keys *k, key_serial keyring, const char *identity, uint64_t since)
{
	int r = keyring ? lookup_in(k, keyring, identity, since)
			: lookup_in_own(k, identity, since);

	return r == -ENOKEY ? lookup_in_configured(k, identity, since) : r;
}

/* A keyring that got the serial of one that is gone looks linked and is not: hence twice. */
int keys_read(struct keys *k, key_serial keyring, key_serial key, secret *psk)
{
	int r = key_read_psk(key, psk);

	if (r != -EACCES)
		return r;
	if (keyring)
		link_keyring(k, keyring, "of the request");
	find_keyrings(k, false);
	return key_read_psk(key, psk);
}

int keys_read_bytes(struct keys *k, key_serial key, blob *out)
{
	int r = key_read_bytes(key, out);

	if (r != -EACCES)
		return r;
	find_keyrings(k, false);
	return key_read_bytes(key, out);
}

/*
 * The key that an index knows from before, where reading it proves that it is still in its keyring, for
 * only its possessor can read it, and we possess nothing but what is in that one. So a keyring of ten
 * thousand keys is not read for each handshake. Return: its serial; 0 when it is not so simple.
 */
static int find_known(struct keys *k, key_serial keyring, const char *identity, secret *psk)
{
	key_serial only = keyring_session_only();
	struct keyindex *index = g_hash_table_lookup(k->indexes, GINT_TO_POINTER(only));
	key_serial key = index ? keyindex_known(index, identity) : 0;
	g_auto(key_info) info = {0};

	if (!key || (keyring && keyring != only) || key_describe(key, &info) < 0 ||
	    (info.perm & READ_BY_OTHERS) || strcmp(info.description, identity) != 0)
		return 0;
	return key_read_psk(key, psk) < 0 ? 0 : key;
}

int keys_find(struct keys *k, key_serial keyring, const char *identity, uint64_t since, secret *psk)
{
	int key = find_known(k, keyring, identity, psk), fresh, r;

	if (key)
		return key;
	key = lookup(k, keyring, identity, since);
	r = key > 0 ? keys_read(k, keyring, key, psk) : key;
	if (r == 0)
		return key;
	if (key < 0)
		return r;
	log_debug(1, "key 0x%08x cannot be read: %s", (unsigned int)key, key_strerror(r));
	fresh = lookup(k, keyring, identity, (uint64_t)g_get_monotonic_time());
	if (fresh > 0 && fresh != key) {
		r = keys_read(k, keyring, fresh, psk);
		return r < 0 ? r : fresh;
	}
	return fresh < 0 ? fresh : r;
}

int keys_identity(struct keys *k, key_serial key, char **identity)
{
	g_auto(key_info) info = {0};
	int r = key_describe(key, &info);

	if (r == -EACCES) {
		find_keyrings(k, false);
		r = key_describe(key, &info);
	}
	if (r == 0)
		*identity = g_steal_pointer(&info.description);
	return r;
}

void keys_use_keyring(struct keys *k, key_serial keyring)
{
	if (!keyring)
		find_keyrings(k, false);
	else if (!g_hash_table_contains(k->linked, GINT_TO_POINTER(keyring)))
		link_keyring(k, keyring, "of the request");
}

static void named_clear(void *named)
{
	g_free(((struct named *)named)->name);
}

void keys_configure(struct keys *k, char **names)
{
	/* What the configuration names no longer is readable no longer. */
	keyring_session_clear();
	g_hash_table_remove_all(k->linked);
	k->changed = true;
	g_array_set_size(k->configured, 0);
	for (char **name = names; name && *name; name++) {
		struct named n = {.name = g_strdup(*name)};

		g_array_append_val(k->configured, n);
	}
	find_keyrings(k, true);
}

int keys_open(struct keys **out, const char *type, char **names)
{
	struct keys *k;
	int r = keyring_session_private();

	if (r < 0)
		return r;
	*out = k = g_new0(struct keys, 1);
	k->type = type;
	k->linked = g_hash_table_new(NULL, NULL);
	k->indexes = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)keyindex_free);
	k->own = g_array_new(FALSE, FALSE, sizeof(key_serial));
	k->configured = g_array_new(FALSE, FALSE, sizeof(struct named));
	g_array_set_clear_func(k->configured, named_clear);
	keys_configure(k, names);
	return 0;
}

void keys_close(struct keys *k)
{
	if (!k)
		return;
	g_hash_table_destroy(k->linked);
	g_hash_table_destroy(k->indexes);
	g_array_unref(k->own);
	g_array_unref(k->configured);
	g_free(k);
}

size_t keys_gauge(struct keys *k, struct recording_keyring *out, size_t max)
{
	GHashTableIter iter;
	gpointer serial;
	size_t n = 0;

	k->changed = false;
	g_hash_table_iter_init(&iter, k->linked);
	while (n < max && g_hash_table_iter_next(&iter, &serial, NULL)) {
		g_auto(key_info) info = {0};

		out[n] = (struct recording_keyring){.serial = GPOINTER_TO_INT(serial)};
		if (key_describe(out[n].serial, &info) < 0)
			continue; /* it is gone */
		g_strlcpy(out[n].name, info.description, sizeof(out[n].name));
		n++;
	}
	return n;
}

bool keys_changed(const struct keys *k)
{
	return k->changed;
}

int keys_status(int err)
{
	switch (-err) {
	case ENOKEY:
	case ENOENT:
	case EKEYREVOKED:
	case EKEYEXPIRED:
		return ENOKEY;
	default:
		return -err;
	}
}
