/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The flight recorder: writes into a mapped file what the broker does, for "nvme-tls status" and "log". */
#pragma once

#include <stddef.h>

#include "common/recording.h"
#include "tlshd/shared/cause.h"

/**
 * struct recorder - the file, see common/recording.h.
 *
 * All functions but recorder_open() take NULL for a recorder that could not be opened, and do nothing.
 * None but recorder_open() and recorder_close() makes a system call.
 */
struct recorder;

/**
 * recorder_open() - go on in the file of our network namespace, or make it.
 * @dir: RECORDING_DIR but in tests; made if need be
 * @slots: RECORDING_SLOTS but in tests
 * @build: version_of_build()
 *
 * A file of this boot and this RECORDING_VERSION goes on, whichever build has made it. Any other is
 * emptied: what it has cannot be added to, and the journal has its handshakes too. The file has all its
 * pages from now on, so that a full /run cannot end us later. Its lock keeps a second daemon of this
 * network namespace out.
 *
 * Return: the recorder, to be freed by recorder_close(); NULL after a warning: then nothing is recorded.
 */
struct recorder *recorder_open(const char *dir, uint32_t slots, const char *build);

/** recorder_close() - note that the daemon has stopped. The file stays. */
void recorder_close(struct recorder *r);

/** recorder_configured() - a configuration is in force from now on; @path is NULL for none. */
void recorder_configured(struct recorder *r, const char *path);

/**
 * recorder_add() - a handshake has ended.
 * @entry: all but its number and its cause's number, which are set
 */
void recorder_add(struct recorder *r, struct recording_entry *entry, enum cause cause);

/** recorder_gauge() - what is going on now; cheap when it is what it was. */
void recorder_gauge(struct recorder *r, const struct recording_gauges *now);

/** recorder_keyrings() - the keyrings that are linked; those beyond RECORDING_KEYRINGS_MAX are left out. */
void recorder_keyrings(struct recorder *r, const struct recording_keyring *keyrings, size_t n);
