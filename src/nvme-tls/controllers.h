/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The NVMe controllers of this machine and the keys that their connections use, read from sysfs. */
#pragma once

#include <stdbool.h>
#include <glib.h>
#include <json-c/json.h>

#include "common/keyring.h"

/* Where sysfs is mounted; tests have a folder of their own. */
#define SYSFS "/sys"

/**
 * struct controller - an NVMe controller that this machine, as a host, is connected to with TLS.
 * @name: "nvme0"
 * @state: "live", "connecting", ... as the kernel has it
 * @address: "10.9.0.2:4420", "[fd00:9::2]:4420"; what the kernel says where it says it otherwise
 * @hostnqn, @subsysnqn: the pair
 * @mode: "tls", or "concat" for secure channel concatenation
 * @disks: owned strings, "nvme0n1": the name of the multipath disk, not that of a path
 * @key: the serial of the key that the connection uses; 0 while it has none
 * @configured: the serial that was given for it (nvme connect --tls_key), 0 for none; a kernel
 *	that does not tell has 0 here as well
 */
typedef struct controller {
	char *name;
	char *state;
	char *address;
	char *hostnqn;
	char *subsysnqn;
	char *mode;
	GPtrArray *disks;
	key_serial key;
	key_serial configured;
} controller;

void controller_free(controller *c);

/**
 * controllers_read() - the controllers that connect with TLS, whether they have a key just now or not.
 * @sysfs: SYSFS
 *
 * A controller that goes away while it is read is left out.
 *
 * Return: an array of struct controller in the order of their numbers, to be freed by
 * g_ptr_array_unref(); empty where there are none.
 */
GPtrArray *controllers_read(const char *sysfs);

/** controller_uses() - whether it uses the key of this serial, or would when it reconnects. */
bool controller_uses(const controller *c, key_serial key);

/** controller_of_pair() - whether it connects this host to this subsystem. */
bool controller_of_pair(const controller *c, const char *hostnqn, const char *subsysnqn);

/**
 * controller_describe() - what a person wants to know of it.
 *
 * Return: "nvme0 (10.9.0.2:4420, tls, live; nvme0n1)", to be freed by g_free(). What the peer can
 * choose, its address and names, is fit for a terminal.
 */
char *controller_describe(const controller *c);

/** controller_json() - the same for --json. */
struct json_object *controller_json(const controller *c);

/**
 * controllers_warn() - say which controllers use a key that is about to go.
 * @all: of controllers_read()
 *
 * Their connections go on without it, for the kernel has its traffic keys.
 */
void controllers_warn(GPtrArray *all, key_serial key);

/** controllers_has_target() - whether this machine offers the subsystem itself, by nvmet. */
bool controllers_has_target(const char *sysfs, const char *subsysnqn);
