/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the broker counts, and tells systemd. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct stats {
	uint64_t succeeded;
	uint64_t failed;
	uint64_t notified; /* usec, monotonic, of the last STATUS */
};

/** stats_count() - one handshake has ended. */
void stats_count(struct stats *s, bool success);

/** stats_notify() - have systemctl status show it; does nothing within a second of the last. */
void stats_notify(struct stats *s, unsigned int in_flight);
