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
 * @place: where it is in its list; NULL when it is in none
 */
struct deadline {
	uint64_t at;
	void *owner;
	GSequenceIter *place;
};

/**
 * struct deadlines - a list of them, the next one first.
 *
 * The timer is never set back: it fires, finds that nothing is due, and is set for the next one.
 * So a handshake that ends in time costs no system call here.
 */
struct deadlines {
	GSequence *list;
	sd_event_source *timer;
	uint64_t timer_at; /* UINT64_MAX when it is off */
	void (*passed)(void *owner);
};

/**
 * deadlines_init() - an empty list.
 * @passed: called for the owner of a deadline that has passed and has been removed
 *
 * Each turn of the loop calls @passed for one deadline: when thousands pass at the same moment,
 * whatever else the loop waits for comes in between.
 *
 * Return: 0 or a negative errno.
 */
int deadlines_init(struct deadlines *d, sd_event *event, void (*passed)(void *owner));

/** deadlines_clear() - free the list, not its owners. */
void deadlines_clear(struct deadlines *d);

/** deadlines_add() - add @one, whose @at and @owner are set; O(log n) whatever the order. */
void deadlines_add(struct deadlines *d, struct deadline *one);

/** deadlines_remove() - take @one out; does nothing when it is in no list. */
void deadlines_remove(struct deadline *one);
