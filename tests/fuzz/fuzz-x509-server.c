// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzzes the server's end of a handshake with certificates. */
#define SIDE HANDSHAKE_SERVER
#define CERTIFIED true
#include "session-target.h"
