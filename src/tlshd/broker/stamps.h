/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the files of certificates, keys and lists are told from their successors, with and without the disk. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "tlshd/shared/config.h"

/* Where the system's trust store may be. */
#define STAMPS_STORES 5

/** struct stamp - one file; all zeros where there is none. */
struct stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
};

/** struct stamps - all files that the settings name, and the system's trust store where they name none. */
struct stamps {
	struct stamp files[CREDENTIAL_OWNERS][CREDENTIAL_KINDS];
	struct stamp system[STAMPS_STORES];
};

/* A link, and what it leads to, for each file. */
#define STAMPS_HELD_MAX (2 * (CREDENTIAL_OWNERS * CREDENTIAL_KINDS + STAMPS_STORES))

/**
 * struct stamps_hold - descriptors of the files, which are not open for reading.
 * @fds, @n: what is held
 * @stores: where the system's trust store is looked for
 *
 * What is held stays in the kernel's caches, with the directories that lead to it. So a glance at it finds it,
 * although the disk may be the one that is waiting for this daemon's next handshake.
 */
struct stamps_hold {
	int fds[STAMPS_HELD_MAX];
	size_t n;
	bool stores[STAMPS_STORES];
};

/** stamps_hold() - hold what the settings name and what is there now; @hold is to be let go. */
void stamps_hold(struct stamps_hold *hold, const config *settings);

/** stamps_let_go() - then @hold holds nothing; all zeros are fine. */
void stamps_let_go(struct stamps_hold *hold);

/**
 * stamps_look() - what the files are like now; for that a disk may have to be waited for.
 * @hold: of these settings
 *
 * Of the places where the system's trust store may be, only those are looked at where there was one when
 * @hold was made, if there was any: only what exists can be held.
 */
void stamps_look(struct stamps *out, const config *settings, const struct stamps_hold *hold);

/**
 * stamps_glance() - the same without ever waiting, by what the kernel has in its caches. Where there is no openat2(),
 * as under the unit's RestrictSUIDSGID=, it is a look, and only what is held is found without the disk.
 *
 * The stamp of a file of which that does not tell enough is equal to none that stamps_look() gives.
 */
void stamps_glance(struct stamps *out, const config *settings, const struct stamps_hold *hold);

/** stamps_is_file() - does a setting name a file? A URL, of a token for one, does not. */
bool stamps_is_file(const char *text);

/** stamps_are_equal() - is nothing replaced? */
bool stamps_are_equal(const struct stamps *a, const struct stamps *b);

/** stamps_trust_is_equal() - is nothing replaced that says whom we believe? */
bool stamps_trust_is_equal(const struct stamps *a, const struct stamps *b);
