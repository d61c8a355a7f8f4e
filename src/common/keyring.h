/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's keyrings and the PSKs in them, over libkeyutils. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <glib.h>

#include "common/blob.h"
#include "common/secret.h"

/** A key's or a keyring's serial, as the kernel gives it; positive. */
typedef int32_t key_serial;

/**
 * key_serial_parse() - the serials that a word can mean.
 * @serials: filled
 *
 * Everybody prints them differently: keyctl in decimal, we with 0x, sysfs and /proc/keys as eight hex
 * digits without it. So "12345678" can be one of two, and whoever asks sees which of them there is.
 *
 * Return: how many of @serials there are: 0 when the word is no serial, 1 or 2.
 */
unsigned int key_serial_parse(const char *word, key_serial serials[2]);

/**
 * keyring_find() - the serial of a keyring that is root's, or the caller's, alone.
 * @name: ".nvme" and the like as /proc/keys shows it, "%:NAME", a serial as key_serial_parse() takes
 *	it, or as in keyctl(1) "@s" for the session's keyring, "@u" the user's, "@us" the user's session
 *
 * Any user may give a keyring any name that does not begin with a dot, so neither a name nor a serial,
 * which is used again one day, proves anything: keyrings that another user owns, or that another
 * user may write to, link or change the permissions of, are passed over. Of several of a name the one
 * in the caller's session counts. What begins with @ is the caller's by itself.
 *
 * Return: the serial; -ENOENT when there is no such keyring; -EPERM when there are only such that
 * are not ours alone; -ENOTUNIQ when several are; -EINVAL when the name is none; -ENOTDIR when the
 * serial is that of a key; -EKEYREVOKED and -EACCES as the kernel says. keyring_find_strerror() puts
 * them into words.
 */
int keyring_find(const char *name);

/** keyring_find_strerror() - what an error of keyring_find() means to a person, static. */
const char *keyring_find_strerror(int err);

/**
 * keyring_check() - may nobody but root and the caller put keys into @keyring?
 *
 * Return: 0; -EPERM when somebody else may; -ENOENT; -ENOTDIR; -EKEYREVOKED, -EACCES.
 */
int keyring_check(key_serial keyring);

/**
 * keyring_possess() - make this process possess a keyring and the keys in it, or a single key.
 *
 * Possession lasts until the process ends, and what is possessed lives as long.
 *
 * Only a possessor may read the keys of .nvme (their permission is 3b010000). The link goes into the
 * process keyring, so that the session keyring stays the user's, and what the user possesses by it
 * stays possessed.
 *
 * Return: 0 or a negative errno; -EACCES when the keyring is neither of the process's session nor of
 * its user, nor lets itself be linked.
 */
int keyring_possess(key_serial keyring);

/**
 * keyring_session_private() - give this process a session keyring of its own, empty.
 *
 * Return: 0 or a negative errno.
 */
int keyring_session_private(void);

/** keyring_session_clear() - take out all that is linked into it. Return: 0 or a negative errno. */
int keyring_session_clear(void);

/**
 * keyring_link_session() - link @keyring into this process's session keyring.
 *
 * Possession is what lets a process read the keys of .nvme (their permission is 3b010000), and
 * the link gives it. Linking twice is fine.
 *
 * Return: 0 or a negative errno.
 */
int keyring_link_session(key_serial keyring);

/**
 * keyring_process_clear() - empty the process keyring, so that keyring_process_only() can tell
 * which keyring the next ACCEPT links into it.
 */
int keyring_process_clear(void);

/**
 * keyring_process_only() - the one serial in the process keyring.
 *
 * Return: the serial; 0 when there is none, or more than one, or the keyring cannot be read.
 */
key_serial keyring_process_only(void);

/** keyring_session_only() - the same of the session keyring. */
key_serial keyring_session_only(void);

/**
 * keyring_keys() - the serials in a keyring.
 * @serials: set to a new array of key_serial (element size 4), to be freed by g_array_unref()
 *
 * Return: 0 or a negative errno.
 */
int keyring_keys(key_serial keyring, GArray **serials);

/**
 * struct key_info - what the kernel says of a key, without its bytes.
 * @type: "psk", "user", "keyring"
 * @uid, @gid, @perm: owner and permission bits
 * @description: the whole description, semicolons included; of a PSK its identity
 */
typedef struct key_info {
	char *type;
	uint32_t uid, gid, perm;
	char *description;
} key_info;

void key_info_clear(key_info *info);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(key_info, key_info_clear)

/**
 * key_describe() - fill @info for @key; clear it by key_info_clear().
 *
 * Return: 0; -ENOKEY, -EKEYREVOKED, -EKEYEXPIRED, -EACCES.
 */
int key_describe(key_serial key, key_info *info);

/**
 * keyring_lookup() - the key of exactly this type and identity in exactly this keyring.
 *
 * The psk type's own search matches by prefix, so what it finds is compared whole, and on a
 * mismatch all keys of the keyring are described one by one. What is only in a keyring inside this
 * one is not found, as the kernel's NVMe host and target do not find it.
 *
 * Return: its serial; -ENOKEY when there is none; -EKEYREVOKED, -EKEYEXPIRED, -EACCES.
 */
int keyring_lookup(key_serial keyring, const char *type, const char *identity);

/**
 * key_read_psk() - read the bytes of @key.
 * @psk: set to them; wiped on failure
 *
 * Return: 0; -EMSGSIZE when it is longer than SECRET_MAX, -ENOKEY, -EKEYREVOKED, -EKEYEXPIRED,
 * -EACCES.
 */
int key_read_psk(key_serial key, secret *psk);

/**
 * key_read_bytes() - read a key that is longer than any pre-shared key.
 * @out: set to its bytes; empty on failure
 *
 * Return: as key_read_psk().
 */
int key_read_bytes(key_serial key, blob *out);

/**
 * keyring_add() - put a key into a keyring.
 *
 * A key of the same type and description is replaced: the kernel exchanges the link in one step,
 * so that a search finds the old key or the new one, never none.
 *
 * Return: the new serial; -ENODEV when the kernel has no such key type, -EDQUOT when its owner's
 * quota is used up, -EACCES, -EKEYREVOKED.
 */
int keyring_add(key_serial keyring, const char *type, const char *identity, const secret *psk);

/** keyring_add_text() - the same with a payload that is text. */
int keyring_add_text(key_serial keyring, const char *type, const char *description,
		     const blob *text);

/** key_is_text() - whether the payload of @key is this text. */
bool key_is_text(key_serial key, const blob *text);

/**
 * key_invalidate() - make @key unusable for everybody, and have the kernel drop it.
 *
 * keyctl_unlink() would not do: it goes by type and description, and of a key that another one
 * has just replaced in the keyring it takes out the new one.
 *
 * Return: 0 or a negative errno.
 */
int key_invalidate(key_serial key);

/**
 * keyring_stage() - make a key that nobody but this process can find, for keyring_link().
 *
 * Everything that can be wrong with a new key (its type, its owner's quota) comes out here.
 *
 * Return: the serial; errors as keyring_add().
 */
int keyring_stage(const char *type, const char *identity, const secret *psk);

/**
 * keyring_link() - put an existing key into a keyring, in one step in the place of another one of
 * its type and description.
 *
 * Return: 0; -EACCES, -EDQUOT (the keyring grows), -EKEYREVOKED, -EKEYEXPIRED, -ENOKEY.
 */
int keyring_link(key_serial keyring, key_serial key);

/**
 * keyring_unlink() - take a key out of a keyring; who holds it elsewhere can put it back.
 *
 * The kernel goes by type and description here, so @key must still be the one that the keyring
 * has under its description.
 *
 * Return: 0 or a negative errno.
 */
int keyring_unlink(key_serial keyring, key_serial key);

/**
 * key_expire() - let @key end by itself.
 * @seconds: from now; not 0
 *
 * Return: 0 or a negative errno.
 */
int key_expire(key_serial key, unsigned int seconds);

/**
 * keyring_search() - what the kernel's own search finds first.
 *
 * For the psk type that is a key whose description begins with @text: this is how the kernel's
 * NVMe host looks for its key. Who wants exactly one identity takes keyring_lookup().
 *
 * Return: a serial; -ENOKEY; -EKEYREVOKED, -EKEYEXPIRED, -EACCES.
 */
int keyring_search(key_serial keyring, const char *type, const char *text);

/**
 * struct key_status - what /proc/keys says of a key and keyctl does not.
 * @revoked, @expired: unusable, and gone as soon as the kernel has swept
 * @expiry: the time it has left as the kernel shows it ("3d", "40m"), "expired", or "never"
 * @description: the description, also of a revoked key; owned
 */
typedef struct key_status {
	bool revoked;
	bool expired;
	char expiry[16];
	char *description;
} key_status;

void key_status_clear(key_status *status);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(key_status, key_status_clear)

/**
 * key_status_table() - what /proc/keys says of all keys that it shows, read once.
 *
 * Return: serials (GINT_TO_POINTER) to struct key_status, to be freed by g_hash_table_unref();
 * empty where /proc/keys cannot be read.
 */
GHashTable *key_status_table(void);

/** key_status_parse() - the same from one line of /proc/keys. Return: its serial or -EINVAL. */
int key_status_parse(const char *line, key_status *status);

/**
 * key_strerror() - what a keyring error means to a person, static: "the key has expired".
 * @err: a negative errno of these functions
 */
const char *key_strerror(int err);
