/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For cases that need more than an ordinary user has. */
#pragma once

/* cmocka's own skip() prints "not ok # SKIP", which meson takes for a failure. */
#define SKIP_WITHOUT(what)                                       \
	do {                                                     \
		print_message("# not tried without %s\n", what); \
		return;                                          \
	} while (0)
