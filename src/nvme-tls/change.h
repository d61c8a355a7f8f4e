/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A change of keyring and key file: all of it is done, or nothing. */
#pragma once

#include <stdbool.h>

#include "nvme-tls/ring.h"
#include "nvme-tls/store.h"
#include "nvme-tls/tool.h"

/**
 * struct change - a change on its way.
 *
 * Every command that changes something goes through the same steps:
 *
 *	change_open()		takes the locks, so that what is read next stays true
 *	change_put(), change_drop(), keyfile_set() on change_keyfile() and the like
 *				collect what is to be done; new keys are made where only this
 *				process can find them, so a used-up quota shows now
 *	change_prepare()	writes the key file beside the old one, so a full disk shows now
 *	(the command prints)	a new key that nobody has seen would be lost
 *	change_commit()		sees that the output went out, and does it all
 *
 * A change that is freed before change_commit() has touched neither keyring nor key file.
 */
typedef struct change change;

/**
 * change_open() - begin a change.
 * @ring: the keyring, or NULL
 * @path: the key file, or NULL
 * @create: make the key file where there is none
 *
 * Changes of keyrings follow one another even without a key file: there is one lock for all of them.
 *
 * Return: the change, or NULL after a message (EXIT_FAILED).
 */
change *change_open(const struct ring *ring, const char *path, bool create);

/** change_free() - end it, and give the locks back. NULL is fine. */
void change_free(change *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(change, change_free)

/** change_keyfile() - the key file, or NULL. */
keyfile *change_keyfile(change *c);

/**
 * change_put() - put a key into the keyring.
 * @old: the key that has this identity there, or 0
 * @serial: set to the serial that it will have
 *
 * Return: EXIT_OK, or EXIT_FAILED after a message; the other steps of the change stand.
 */
enum exit_code change_put(change *c, const char *identity, const secret *psk, key_serial old,
			  key_serial *serial);

/**
 * change_drop() - take a key out of the keyring, and make it unusable for everybody at the end.
 *
 * The key that change_put() was told of as the old one can be dropped as well.
 *
 * Return: EXIT_OK, or EXIT_FAILED after a message.
 */
enum exit_code change_drop(change *c, key_serial key);

/**
 * change_mark() - make a key an old one of a rotation, or no longer one; see aside.h.
 *
 * Return: EXIT_OK, or EXIT_FAILED after a message.
 */
enum exit_code change_mark(change *c, key_serial key, bool old);

/** change_retire() - take a key that is an old one out of the keyring above; it stays usable. */
enum exit_code change_retire(change *c, key_serial key);

/** change_expire() - let a key end by itself, @seconds after the change is done; 0 does nothing. */
void change_expire(change *c, key_serial key, unsigned int seconds);

/** change_prepare() - write the new key file beside the old one. Return: as the others. */
enum exit_code change_prepare(change *c);

/**
 * change_commit() - do it, once what was printed has gone out.
 *
 * Return: EXIT_OK; EXIT_FAILED after a message: then keyring and key file are as they were, and old
 * keys have kept their serials. One thing cannot be undone and only costs a message: that the kernel
 * refuses to make a dropped key unusable, which is out of the keyring by then.
 */
enum exit_code change_commit(change *c);

/** change_error() - the negative errno of the change_put() that failed last. */
int change_error(const change *c);

/**
 * change_apply() - change the keyring, one key after the other: what fails is left out.
 * @failed: called for each change_put() that has no effect, with its number from 0 and the negative
 *	errno
 *
 * For import, where each key stands for itself: the file still has what fails. Afterwards either
 * change_undo() takes all of it back, or change_settle() does what cannot be undone.
 */
void change_apply(change *c, void (*failed)(guint at, int err, void *data), void *data);
void change_undo(change *c);
void change_settle(change *c);
