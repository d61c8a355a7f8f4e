/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's tls module, which only a process with CAP_NET_ADMIN can have loaded. */
#pragma once

/**
 * tls_module_need() - have the kernel load its tls module, which only a process with
 * CAP_NET_ADMIN can.
 * @lost: a connected TCP socket that is good for closing only, -1 for none; where the unit forbids
 *	us Internet sockets of our own, it serves
 *
 * What a failure means is in the log. It is then not tried again for a second, for the kernel starts
 * modprobe, and we wait for it.
 */
void tls_module_need(int lost);
