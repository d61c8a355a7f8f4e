// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel's keyrings and the PSKs in them, over libkeyutils. */
#include "common/keyring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <keyutils.h>

/* Keys of a keyring that are read in one go. */
#define KEYS_GUESS 256

unsigned int key_serial_parse(const char *word, key_serial serials[2])
{
	bool prefixed = g_str_has_prefix(word, "0x") || g_str_has_prefix(word, "0X");
	unsigned int n = 0;
	guint64 value;

	if (!prefixed && g_ascii_string_to_unsigned(word, 10, 1, INT32_MAX, &value, NULL))
		serials[n++] = (key_serial)value;
	if ((prefixed || strlen(word) == 8) &&
	    g_ascii_string_to_unsigned(prefixed ? word + 2 : word, 16, 1, INT32_MAX, &value, NULL))
		serials[n++] = (key_serial)value;
	return n;
}

/* What lets another user put keys into a keyring, now or after a chmod. */
#define CHANGE_BY_OTHERS                                                                 \
	(KEY_GRP_WRITE | KEY_GRP_LINK | KEY_GRP_SETATTR | KEY_OTH_WRITE | KEY_OTH_LINK | \
	 KEY_OTH_SETATTR)

static bool is_ours_alone(const key_info *info)
{
	return (info->uid == 0 || info->uid == geteuid()) && !(info->perm & CHANGE_BY_OTHERS);
}

int keyring_check(key_serial keyring)
{
	g_auto(key_info) info = {0};
	int r = key_describe(keyring, &info);

	if (r < 0)
		return r == -ENOKEY ? -ENOENT : r;
	if (strcmp(info.type, "keyring") != 0)
		return -ENOTDIR;
	return is_ours_alone(&info) ? 0 : -EPERM;
}

/*
 * Takes @serial for the keyring @name if it is one. A description may hold a line break, and so a
 * line of /proc/keys may be forged: it only says which serials are worth a question.
 */
static int consider(key_serial serial, const char *name, int found)
{
	g_auto(key_info) info = {0};

	if (serial == found || key_describe(serial, &info) < 0 ||
	    strcmp(info.type, "keyring") != 0 || strcmp(info.description, name) != 0)
		return found;
	if (!is_ours_alone(&info))
		return found == -ENOENT ? -EPERM : found;
	return found > 0 || found == -ENOTUNIQ ? -ENOTUNIQ : serial;
}

/*
 * What we have in our session comes first. Other users' keyrings of that name are passed over, else
 * they could take ours away.
 */
static int find_by_name(const char *name)
{
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;
	int found = -ENOENT;
	long own;

	if (!*name)
		return -EINVAL;
	own = keyctl_search(KEY_SPEC_SESSION_KEYRING, "keyring", name, 0);
	if (own > 0 && keyring_check((key_serial)own) == 0)
		return (int)own;
	if (!g_file_get_contents("/proc/keys", &text, NULL, NULL))
		return -ENOENT;
	lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line; line++) {
		g_auto(key_status) status = {0};
		int serial = strstr(*line, name) ? key_status_parse(*line, &status) : 0;

		if (serial > 0)
			found = consider(serial, name, found);
	}
	return found;
}

/* The keyring that a serial means; -ENOENT when there is no such key at all. */
static int find_by_serial(const char *word)
{
	key_serial serials[2];
	unsigned int n = key_serial_parse(word, serials);
	int r = -ENOENT;

	for (unsigned int i = 0; i < n; i++) {
		int one = keyring_check(serials[i]);

		if (one == 0)
			return serials[i];
		if (r == -ENOENT)
			r = one;
	}
	return r;
}

static int find_special(const char *name)
{
	static const struct {
		const char *name;
		key_serial special;
	} specials[] = {
		{"@s", KEY_SPEC_SESSION_KEYRING},
		{"@u", KEY_SPEC_USER_KEYRING},
		{"@us", KEY_SPEC_USER_SESSION_KEYRING},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(specials); i++) {
		if (strcmp(specials[i].name, name) == 0) {
			key_serial serial = keyctl_get_keyring_ID(specials[i].special, 0);

			return serial < 0 ? -errno : serial;
		}
	}
	return -EINVAL;
}

int keyring_find(const char *name)
{
	int r;

	if (*name == '@')
		return find_special(name);
	if (g_str_has_prefix(name, "%:"))
		return find_by_name(name + 2);
	r = find_by_serial(name);
	/* What is no serial of today's is a name: one in hex digits is as good as another. */
	return r == -ENOENT ? find_by_name(name) : r;
}

const char *keyring_find_strerror(int err)
{
	switch (-err) {
	case ENOENT:
		return "there is none of that name";
	case EPERM:
		return "other users own it, or may write to it, link it or change its permissions: take one that is root's alone (keyctl setperm)";
	case ENOTUNIQ:
		return "there are several of that name: name it by its serial, which /proc/keys shows";
	case EINVAL:
		return "that is neither a name nor a serial";
	default:
		return key_strerror(err);
	}
}

int keyring_possess(key_serial keyring)
{
	if (keyctl_link(keyring, KEY_SPEC_PROCESS_KEYRING) == 0)
		return 0;
	if (errno != EACCES)
		return -errno;
	/* Not every session has the user's keyring in it, and what is in that becomes ours with it. */
	if (keyctl_link(KEY_SPEC_USER_KEYRING, KEY_SPEC_PROCESS_KEYRING) < 0)
		return -EACCES;
	return keyctl_link(keyring, KEY_SPEC_PROCESS_KEYRING) < 0 ? -errno : 0;
}

int keyring_session_private(void)
{
	return keyctl_join_session_keyring(NULL) < 0 ? -errno : 0;
}

int keyring_session_clear(void)
{
	return keyctl_clear(KEY_SPEC_SESSION_KEYRING) < 0 ? -errno : 0;
}

int keyring_link_session(key_serial keyring)
{
	return keyctl_link(keyring, KEY_SPEC_SESSION_KEYRING) < 0 ? -errno : 0;
}

int keyring_process_clear(void)
{
	return keyctl_clear(KEY_SPEC_PROCESS_KEYRING) < 0 && errno != ENOKEY ? -errno : 0;
}

static key_serial only_of(key_serial keyring)
{
	key_serial serial[2] = {0};

	return keyctl_read(keyring, (char *)serial, sizeof(serial)) == sizeof(serial[0]) ? serial[0]
											 : 0;
}

key_serial keyring_process_only(void)
{
	return only_of(KEY_SPEC_PROCESS_KEYRING);
}

key_serial keyring_session_only(void)
{
	return only_of(KEY_SPEC_SESSION_KEYRING);
}

int keyring_keys(key_serial keyring, GArray **serials)
{
	g_autoptr(GArray) list = g_array_sized_new(FALSE, FALSE, sizeof(key_serial), KEYS_GUESS);
	size_t room = KEYS_GUESS;

	*serials = NULL;
	for (;;) {
		long n;

		g_array_set_size(list, (guint)room);
		n = keyctl_read(keyring, list->data, room * sizeof(key_serial));
		if (n < 0)
			return -errno;
		if ((size_t)n <= room * sizeof(key_serial)) {
			g_array_set_size(list, (guint)((size_t)n / sizeof(key_serial)));
			*serials = g_steal_pointer(&list);
			return 0;
		}
		room = (size_t)n / sizeof(key_serial) + KEYS_GUESS; /* more may come meanwhile */
	}
}

void key_info_clear(key_info *info)
{
	g_free(info->type);
	g_free(info->description);
	memset(info, 0, sizeof(*info));
}

int key_describe(key_serial key, key_info *info)
{
	char text[4096 + 128]; /* the kernel's limit on a description is 4095 bytes */
	char *field[5];
	long n;

	memset(info, 0, sizeof(*info));
	n = keyctl_describe(key, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[MIN((size_t)n, sizeof(text) - 1)] = '\0';

	field[0] = text;
	for (int i = 1; i < 5; i++) {
		char *semicolon = strchr(field[i - 1], ';');

		if (!semicolon)
			return -EBADMSG;
		*semicolon = '\0';
		field[i] = semicolon + 1;
	}
	info->type = g_strdup(field[0]);
	info->uid = (uint32_t)strtoul(field[1], NULL, 10);
	info->gid = (uint32_t)strtoul(field[2], NULL, 10);
	info->perm = (uint32_t)strtoul(field[3], NULL, 16);
	info->description = g_strdup(field[4]);
	return 0;
}

static bool key_is(key_serial key, const char *type, const char *identity)
{
	g_auto(key_info) info = {0};

	return key_describe(key, &info) == 0 && strcmp(info.type, type) == 0 &&
	       strcmp(info.description, identity) == 0;
}

static bool has_serial(const GArray *serials, key_serial key)
{
	for (guint i = 0; i < serials->len; i++)
		if (g_array_index(serials, key_serial, i) == key)
			return true;
	return false;
}

int keyring_lookup(key_serial keyring, const char *type, const char *identity)
{
	g_autoptr(GArray) serials = NULL;
	long found;
	int r;

	found = keyctl_search(keyring, type, identity, 0);
	if (found < 0 && errno != EKEYREVOKED && errno != EKEYEXPIRED)
		return errno == EINVAL ? -ENOKEY : -errno;
	r = keyring_keys(keyring, &serials);
	if (r < 0)
		return r;
	if (found >= 0 && key_is((key_serial)found, type, identity) &&
	    has_serial(serials, (key_serial)found))
		return (int)found;
	r = -ENOKEY;
	for (guint i = 0; i < serials->len; i++) {
		key_serial key = g_array_index(serials, key_serial, i);
		g_auto(key_info) info = {0};

		if (key_describe(key, &info) < 0 || strcmp(info.type, type) != 0 ||
		    strcmp(info.description, identity) != 0)
			continue;
		return key;
	}
	return r;
}

int key_read_psk(key_serial key, secret *psk)
{
	long n;

	secret_wipe(psk);
	n = keyctl_read(key, (char *)psk->data, sizeof(psk->data));
	if (n < 0 || (size_t)n > sizeof(psk->data)) {
		int err = n < 0 ? errno : EMSGSIZE;

		secret_wipe(psk);
		return -err;
	}
	psk->len = (size_t)n;
	return 0;
}

/* What the kernel takes in a key of type user (keyrings(7)). */
#define KEY_BYTES_MAX 32767

int key_read_bytes(key_serial key, blob *out)
{
	g_auto(blob) bytes = blob_new(KEY_BYTES_MAX);
	long n = keyctl_read(key, bytes.data, KEY_BYTES_MAX);

	*out = (blob){0};
	if (n < 0)
		return -errno;
	if (n > KEY_BYTES_MAX)
		return -EMSGSIZE;
	*out = blob_copy(bytes.data, (size_t)n);
	return 0;
}

int keyring_add(key_serial keyring, const char *type, const char *identity, const secret *psk)
{
	key_serial serial = add_key(type, identity, psk->data, psk->len, keyring);

	return serial < 0 ? -errno : serial;
}

int keyring_add_text(key_serial keyring, const char *type, const char *description,
		     const blob *text)
{
	key_serial serial = add_key(type, description, text->data, text->len, keyring);

	return serial < 0 ? -errno : serial;
}

bool key_is_text(key_serial key, const blob *text)
{
	g_auto(blob) loaded = blob_new(text->len);
	long n = keyctl_read(key, loaded.data, text->len);

	if (n < 0 || (size_t)n != text->len)
		return false;
	loaded.len = text->len;
	return blob_equal(&loaded, text);
}

int key_invalidate(key_serial key)
{
	return keyctl_invalidate(key) < 0 ? -errno : 0;
}

int keyring_stage(const char *type, const char *identity, const secret *psk)
{
	return keyring_add(KEY_SPEC_THREAD_KEYRING, type, identity, psk);
}

int keyring_link(key_serial keyring, key_serial key)
{
	return keyctl_link(key, keyring) < 0 ? -errno : 0;
}

int keyring_unlink(key_serial keyring, key_serial key)
{
	return keyctl_unlink(key, keyring) < 0 ? -errno : 0;
}

int key_expire(key_serial key, unsigned int seconds)
{
	return keyctl_set_timeout(key, seconds) < 0 ? -errno : 0;
}

int keyring_search(key_serial keyring, const char *type, const char *text)
{
	long found = keyctl_search(keyring, type, text, 0);

	return found < 0 ? -errno : (int)found;
}

void key_status_clear(key_status *status)
{
	g_free(status->description);
	memset(status, 0, sizeof(*status));
}

int key_status_parse(const char *line, key_status *status)
{
	char flags[16], expiry[16], type[32];
	unsigned int serial;
	int at = -1;
	char *colon;

	memset(status, 0, sizeof(*status));
	/* serial, flags, users, time left, permissions, uid, gid, type, description */
	if (sscanf(line, "%x %15s %*s %15s %*s %*s %*s %31s %n", &serial, flags, expiry, type,
		   &at) != 4 ||
	    at < 0 || serial == 0 || serial > INT32_MAX)
		return -EINVAL;
	status->revoked = strchr(flags, 'R') != NULL;
	status->expired = strcmp(expiry, "expd") == 0;
	g_strlcpy(status->expiry,
		  status->expired		? "expired"
		  : strcmp(expiry, "perm") == 0 ? "never"
						: expiry,
		  sizeof(status->expiry));
	status->description = g_strchomp(g_strdup(line + at));
	/* Behind the description of a key that has bytes comes their number, ": 32". */
	colon = g_strrstr(status->description, ": ");
	if (colon && colon[2] && strspn(colon + 2, "0123456789") == strlen(colon + 2))
		*colon = '\0';
	return (int)serial;
}

static void status_free(void *data)
{
	key_status_clear(data);
	g_free(data);
}

GHashTable *key_status_table(void)
{
	GHashTable *table = g_hash_table_new_full(NULL, NULL, NULL, status_free);
	FILE *keys = fopen("/proc/keys", "re");
	char *line = NULL;
	size_t room = 0;

	while (keys && getline(&line, &room, keys) > 0) {
		key_status status;
		int serial = key_status_parse(line, &status);

		if (serial > 0)
			g_hash_table_replace(table, GINT_TO_POINTER(serial),
					     g_memdup2(&status, sizeof(status)));
	}
	free(line);
	if (keys)
		fclose(keys);
	return table;
}

const char *key_strerror(int err)
{
	switch (-err) {
	case ENOKEY:
	case ENOENT:
		return "there is no such key";
	case EKEYREVOKED:
		return "the key has been revoked";
	case EKEYEXPIRED:
		return "the key has expired";
	case EKEYREJECTED:
		return "the key has been rejected";
	case EACCES:
		return "permission denied";
	case EDQUOT:
		return "the key quota of its owner is used up";
	case ENODEV:
		return "the kernel does not know this type of key";
	case EPERM:
		return "it is not permitted";
	case EMSGSIZE:
		return "the key is longer than any PSK";
	case ENOTDIR:
		return "it is a key, not a keyring";
	case EBADMSG:
		return "the kernel describes it in a form we do not know";
	default:
		return g_strerror(-err);
	}
}
