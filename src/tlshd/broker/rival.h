/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Another daemon in our network namespace: the kernel gives each request to whoever asks first. */
#pragma once

#include "netlink/upcall.h"

/**
 * rival_text() - what the log says of another daemon that is there now.
 *
 * Looks not more often than once a second. One that cannot be seen is not there.
 *
 * Return: a clause, until the next call; NULL when we are alone.
 */
const char *rival_text(const struct upcall *kernel);
