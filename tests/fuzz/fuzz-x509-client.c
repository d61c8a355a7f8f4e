// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzzes the client's end of a handshake with certificates. */
#define SIDE HANDSHAKE_CLIENT
#define CERTIFIED true
#include "session-target.h"
