/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A machine made up of files, which the checks of nvme-tls doctor look at. */
#pragma once

#include "nvme-tls/doctor-checks.h"

/**
 * struct world - a root folder, and a doctor who looks at it.
 * @d: its findings are those of the last world_check()
 */
struct world {
	struct doctor_system system;
	struct doctor d;
	options o;
	char *root;
};

/** world_make(), world_remove() - set-up and tear-down of a cmocka case; *state is the world. */
int world_make(void **state);
int world_remove(void **state);

/** world_put() - a file with this content, and the folders to it. */
void world_put(const struct world *w, const char *path, const char *text);

/** world_folder() - an empty folder. */
void world_folder(const struct world *w, const char *path);

/** world_link() - a symbolic link. */
void world_link(const struct world *w, const char *path, const char *to);

/** world_program() - a shell script in the place of a program. */
void world_program(const struct world *w, const char *path, const char *script);

/** world_key() - a key in the keyring, of the length that fits; its serial is its number from 1. */
key_row *world_key(struct world *w, const char *identity);

/** world_check() - run one check on what the world is now. */
void world_check(struct world *w, void (*check)(struct doctor *d));

/** world_finds() - fails the test unless a finding of this level has both texts in it. */
void world_finds(const struct world *w, enum doctor_level level, const char *cause,
		 const char *remedy);

/** world_is_fine() - fails the test unless there are findings, and all of them are ok. */
void world_is_fine(const struct world *w);

/** world_is_silent() - fails the test unless there is no finding. */
void world_is_silent(const struct world *w);
