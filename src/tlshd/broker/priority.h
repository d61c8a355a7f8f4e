/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The broker's real-time priority, and the fuse that takes it away from a broker that spins. */
#pragma once

#include <stdint.h>
#include <glib.h>
#include <systemd/sd-event.h>

/* The broker sleeps within milliseconds; after this much CPU time without sleep it is in a loop. */
#define PRIORITY_FUSE_USEC ((uint64_t)2 * G_USEC_PER_SEC)
/* How long it then runs at an ordinary priority: 2 s in a minute leave the machine usable. */
#define PRIORITY_PAUSE_USEC ((uint64_t)60 * G_USEC_PER_SEC)

/**
 * priority_raise() - make the calling process real-time, and arm the fuse.
 * @fuse_usec: CPU time of a thread without sleep after which all are demoted
 *
 * The kernel drops connections when its queue of a handful is not drained at once, so the broker goes
 * first. Without CAP_SYS_NICE it takes RLIMIT_RTPRIO (LimitRTPRIO=1 of the unit), which priority_raise()
 * sets where it may, because the capability is given up later. Where neither is to be had the log
 * says so and the process goes on as it is. A scheduling policy that somebody has set stays.
 *
 * Call once, from the main thread, before there is another.
 */
void priority_raise(uint64_t fuse_usec);

/** priority_join() - the calling thread, which has inherited the priority, is demoted and raised too. */
void priority_join(void);

/** priority_leave() - the calling thread ends. */
void priority_leave(void);

/**
 * priority_watch() - have the priority come back after the fuse has blown, and the log say so.
 * @pause_usec: after so long
 *
 * Return: 0 or a negative errno.
 */
int priority_watch(sd_event *event, uint64_t pause_usec);
