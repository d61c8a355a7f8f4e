/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A rotation in three steps, so that host and target need not change at one moment. */
#pragma once

#include "common/interchange.h"
#include "nvme-tls/options.h"
#include "nvme-tls/tool.h"

/**
 * handover_run() - rotate --stage, --switch or --finish.
 * @o: with its pair; what it leaves open of the new key is filled in
 * @configured: the PSK of --keydata, or all zero
 *
 * The target looks up exactly the identity that a host offers, so it can have two keys at a time; the
 * host's kernel takes one key of its own choice. Hence the order: the target accepts the new key
 * beside the old one (stage), the host takes it (switch), the old one ends on both (finish).
 *
 * A step that is done already changes nothing and succeeds.
 *
 * Return: an exit_code, after a message where it is not EXIT_OK.
 */
enum exit_code handover_run(options *o, interchange *configured);
