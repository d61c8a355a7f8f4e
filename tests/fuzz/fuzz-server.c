// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzzes the server's end of a handshake. */
#define SIDE HANDSHAKE_SERVER
#include "session-target.h"
