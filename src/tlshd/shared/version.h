/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which build this process runs: two processes that speak ipc must be of the same. */
#pragma once

/* Room for version_of_build(), its end included. */
#define VERSION_SIZE 64

/**
 * version_of_build() - the project's version and the beginning of the linker's build ID, "0.1.0 8a53f2c1e90d7b46".
 *
 * Two packages of one version may differ in what their messages look like, so the version alone
 * would not tell a broker from before an upgrade from a worker of after it. Where the linker writes
 * no build ID, the version stands alone.
 *
 * Return: a static string.
 */
const char *version_of_build(void);
