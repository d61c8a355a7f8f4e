/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Thousands of deadlines on one timer. */
#pragma once

#include <stdint.h>
#include <glib.h>
#include <systemd/sd-event.h>

/**
 * struct deadline - one, inside of what it is for.
 * @at: usec, monotonic
 * @owner: what it is for
 */
struct deadline {
	uint64_t at;
	void *owner;
	GList link;
};

/**
 * struct deadlines - all of a process, the next one first.
 *
 * The timer is never set back: it fires, finds that nothing is due, and is set for the next one.
 * So a handshake that ends in time costs no system call here.
 */
struct deadlines {
	GQueue queue;
	sd_event_source *timer;
	uint64_t timer_at; /* UINT64_MAX when it is off */
	void (*passed)(void *owner);
};

/**
 * deadlines_init() - an empty list.
 * @passed: called for each owner whose deadline has come; must remove it
 *
 * Return: 0 or a negative errno.
 */
int deadlines_init(struct deadlines *d, sd_event *event, void (*passed)(void *owner));
void deadlines_clear(struct deadlines *d);

/** deadlines_add() - add @one, whose @at and @owner are set. */
void deadlines_add(struct deadlines *d, struct deadline *one);

/** deadlines_remove() - it is over in time. */
void deadlines_remove(struct deadlines *d, struct deadline *one);
