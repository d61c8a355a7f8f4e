// SPDX-License-Identifier: GPL-2.0-or-later
/* The keys that a rotation replaces: a keyring inside the keyring, which the kernel does not search. */
#include "nvme-tls/aside.h"

#include <errno.h>
#include <keyutils.h>

/* Return: the serial of the keyring of old keys; -ENOENT when there is none. */
static int find(key_serial keyring)
{
	long found = keyctl_search(keyring, "keyring", ASIDE_NAME, 0);

	if (found >= 0)
		return (int)found;
	return errno == ENOKEY || errno == EKEYEXPIRED || errno == EKEYREVOKED ? -ENOENT : -errno;
}

int aside_keys(key_serial keyring, GArray **serials)
{
	int aside = find(keyring);

	*serials = NULL;
	if (aside >= 0)
		return keyring_keys(aside, serials);
	if (aside != -ENOENT)
		return aside;
	*serials = g_array_new(FALSE, FALSE, sizeof(key_serial));
	return 0;
}

int aside_mark(key_serial keyring, key_serial key)
{
	int aside = find(keyring);

	if (aside == -ENOENT) {
		aside = add_key("keyring", ASIDE_NAME, NULL, 0, keyring);
		if (aside < 0)
			return -errno;
	}
	if (aside < 0)
		return aside;
	return keyctl_link(key, aside) < 0 ? -errno : 0;
}

int aside_unmark(key_serial keyring, key_serial key)
{
	int aside = find(keyring);

	if (aside < 0)
		return aside == -ENOENT ? 0 : aside;
	return keyctl_unlink(key, aside) < 0 && errno != ENOENT ? -errno : 0;
}

void aside_tidy(key_serial keyring)
{
	g_autoptr(GArray) serials = NULL;
	int aside = find(keyring);

	if (aside < 0 || keyring_keys(aside, &serials) < 0)
		return;
	for (guint i = 0; i < serials->len; i++) {
		g_auto(key_info) info = {0};

		if (key_describe(g_array_index(serials, key_serial, i), &info) == 0)
			return;
	}
	keyctl_unlink(aside, keyring);
}
