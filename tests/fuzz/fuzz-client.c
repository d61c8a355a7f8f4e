// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzzes the client's end of a handshake. */
#define SIDE HANDSHAKE_CLIENT
#include "session-target.h"
