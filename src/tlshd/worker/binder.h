/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The binder of a ClientHello: does the peer have the key that it names? */
#pragma once

#include <stdbool.h>

#include "common/identity.h"
#include "common/secret.h"
#include "tlshd/worker/hello.h"

/**
 * binder_is_right() - check the binder of the identity that GnuTLS will take (RFC 8446, 4.2.11.2).
 * @psk: the external key of that identity
 * @hash: of the binder
 *
 * GnuTLS has one error for a wrong binder and for much else; with a binder that is known to be right,
 * the error is of something else.
 *
 * Return: 1 when it is right, 0 when it is not, -EIO when GnuTLS cannot compute it.
 */
int binder_is_right(const struct hello_offer *offer, const secret *psk, enum psk_hash hash);
