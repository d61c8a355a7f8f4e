/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The signer: holds the private keys of certificates, and never meets a byte that a peer sent. */
#pragma once

#include <stdnoreturn.h>
#include <sys/types.h>

/**
 * signer_main() - the whole life of a signer, in a process of its own.
 * @sock: to the broker, which sends what it is first
 * @uid, @gid: whom to become, where we may
 *
 * It checks every credential that it is given, and tells the broker what has become of it. Without a
 * private key among them that is all.
 */
noreturn void signer_main(int sock, uid_t uid, gid_t gid);

/** signer_main_started() - the same of one that systemd has started for a broker's RING. */
noreturn void signer_main_started(void);
