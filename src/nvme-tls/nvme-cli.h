/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands of nvme-cli that are several of ours, or none. */
#pragma once

#include <stdbool.h>

/**
 * nvme_cli_hint() - say what does the work of a command that nvme-cli has, or other tools call so.
 * @name: as typed; "keys NAME" for those below "keys"
 *
 * Return: whether there was something to say.
 */
bool nvme_cli_hint(const char *name);
