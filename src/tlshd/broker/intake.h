/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From ACCEPT to a job: its keyring, a client's key, and what happens when no descriptor is left. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "netlink/upcall.h"
#include "tlshd/broker/credentials.h"
#include "tlshd/broker/job.h"
#include "tlshd/broker/keys.h"

/** struct intake - where requests come in. */
struct intake;

/**
 * intake_new() - take requests from @kernel, and make them jobs.
 * @out: set on success, to be freed by intake_free()
 * @kernel, @jobs, @keys, @credentials: borrowed
 *
 * Nothing is taken before intake_drain().
 *
 * Return: 0 or a negative errno.
 */
int intake_new(struct intake **out, sd_event *event, struct upcall *kernel, struct jobs *jobs,
	       struct keys *keys, struct credentials *credentials);
void intake_free(struct intake *in);

/**
 * intake_help() - have a second thread take requests too; see acceptor_start() for when.
 * @second: its connection, taken over
 */
int intake_help(struct intake *in, struct upcall *second);

/** intake_look() - if the kernel has said READY, take all that it has. Costs a call if not. */
void intake_look(struct intake *in);

/** intake_drain() - take all that the kernel has, whatever it has said. */
void intake_drain(struct intake *in);

/** intake_close() - leave the group, take what the kernel had queued before, and no more. */
void intake_close(struct intake *in);

/** intake_release() - certificates and keys are in use, or refused, that jobs have waited for. */
void intake_release(struct intake *in);

/** intake_hurry() - @j is held, and has no more time than it needs: it goes on if it can. */
void intake_hurry(struct intake *in, struct job *j);

/** intake_pause() - take no more, and leave what comes to who takes our place in the group. */
void intake_pause(struct intake *in);

/** intake_judge() - why a request that ACCEPT brought is to fail at once; CAUSE_SUCCESS if it is not. */
enum cause intake_judge(const struct accepted *one);

/** intake_work() - look at the oldest new job: one piece of work. Return: was there one? */
bool intake_work(struct intake *in);

/**
 * intake_wants_room() - the kernel has a request for which there is no descriptor: one is to be
 * freed, and then intake_drain() to be called.
 *
 * Return: true once for each time that it came to that.
 */
bool intake_wants_room(struct intake *in);
