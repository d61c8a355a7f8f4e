// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel's keyrings and the PSKs in them, over libkeyutils. */
#include "common/keyring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <keyutils.h>

int keyring_find(const char *name)
{
	char *end;
	long serial;

	errno = 0;
	serial = strtol(name, &end, 0);
	if (end != name && !*end) {
		g_auto(key_info) info = {0};
		int r;

		if (errno || serial <= 0 || serial > INT32_MAX)
			return -EINVAL;
		r = key_describe((key_serial)serial, &info);
		if (r < 0)
			return r == -ENOKEY ? -ENOENT : r;
		return strcmp(info.type, "keyring") == 0 ? (int)serial : -ENOTDIR;
	}
	if (g_str_has_prefix(name, "%:"))
		name += 2;
	if (!*name)
		return -EINVAL;
	serial = find_key_by_type_and_desc("keyring", name, 0);
	if (serial >= 0)
		return (int)serial;
	return errno == ENOKEY ? -ENOENT : -errno;
}

int keyring_session_private(void)
{
	return keyctl_join_session_keyring(NULL) < 0 ? -errno : 0;
}

int keyring_link_session(key_serial keyring)
{
	return keyctl_link(keyring, KEY_SPEC_SESSION_KEYRING) < 0 ? -errno : 0;
}

int keyring_process_clear(void)
{
	/* Asking for its serial makes the keyring where there is none yet. */
	if (keyctl_get_keyring_ID(KEY_SPEC_PROCESS_KEYRING, 1) < 0)
		return -errno;
	return keyctl_clear(KEY_SPEC_PROCESS_KEYRING) < 0 ? -errno : 0;
}

int keyring_process_only(void)
{
	key_serial serial[2] = {0};
	long n = keyctl_read(KEY_SPEC_PROCESS_KEYRING, (char *)serial, sizeof(serial));

	if (n < 0)
		return -errno;
	return n >= (long)sizeof(serial[0]) ? serial[0] : 0;
}

int keyring_keys(key_serial keyring, GArray **serials)
{
	g_autofree void *list = NULL;
	int n = keyctl_read_alloc(keyring, &list);

	*serials = NULL;
	if (n < 0)
		return -errno;
	*serials = g_array_new(FALSE, FALSE, sizeof(key_serial));
	g_array_append_vals(*serials, list, (guint)n / sizeof(key_serial));
	return 0;
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

int keyring_lookup(key_serial keyring, const char *type, const char *identity)
{
	g_autoptr(GArray) serials = NULL;
	long found;
	int r;

	found = keyctl_search(keyring, type, identity, 0);
	if (found < 0 && errno != EKEYREVOKED && errno != EKEYEXPIRED)
		return errno == EINVAL ? -ENOKEY : -errno;
	if (found >= 0 && key_is((key_serial)found, type, identity))
		return (int)found;

	r = keyring_keys(keyring, &serials);
	if (r < 0)
		return r;
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
		return "reading it is not permitted";
	case EDQUOT:
		return "the key quota of its owner is used up";
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
