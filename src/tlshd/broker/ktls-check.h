/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Is a socket what its worker says: TLS 1.3 both ways, with the cipher claimed? The kernel knows. */
#pragma once

/**
 * ktls_check() - ask the kernel before it is told of a success.
 * @fd: the socket of the handshake
 * @cipher: GnuTLS's number of the cipher that the worker reports
 * @why: on failure a static sentence
 *
 * A file of its own, so that a test on a kernel without TLS can put another one in its place.
 *
 * Return: 0; -EBADMSG when the socket is something else.
 */
int ktls_check(int fd, unsigned int cipher, const char **why);
