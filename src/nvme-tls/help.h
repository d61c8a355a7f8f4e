/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What --help prints. */
#pragma once

#include <stdio.h>

#include "nvme-tls/table.h"

/** help_program() - the list of commands. */
void help_program(FILE *to);

/**
 * help_command() - what a command does and which options it has, in lines of 80 columns.
 * @name: the name it was called by
 */
void help_command(const struct command *command, const char *name, FILE *to);
