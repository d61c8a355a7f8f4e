// SPDX-License-Identifier: GPL-2.0-or-later
/* Thousands of deadlines on one timer. */
#include "tlshd/shared/deadlines.h"

#include <time.h>

#define ACCURACY_USEC 1000

static struct deadline *first(struct deadlines *d)
{
	GSequenceIter *begin = g_sequence_get_begin_iter(d->list);

	return g_sequence_iter_is_end(begin) ? NULL : g_sequence_get(begin);
}

static void arm(struct deadlines *d)
{
	const struct deadline *next = first(d);

	if (!next || next->at >= d->timer_at)
		return;
	d->timer_at = next->at;
	sd_event_source_set_time(d->timer, next->at);
	sd_event_source_set_enabled(d->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct deadlines *d = userdata;
	struct deadline *one = first(d);

	d->timer_at = UINT64_MAX;
	if (one && one->at <= (uint64_t)g_get_monotonic_time()) {
		deadlines_remove(one);
		d->passed(one->owner);
	}
	arm(d);
	return 0;
}

int deadlines_init(struct deadlines *d, sd_event *event, void (*passed)(void *owner))
{
	int r;

	d->list = g_sequence_new(NULL);
	d->passed = passed;
	d->timer_at = UINT64_MAX;
	r = sd_event_add_time(event, &d->timer, CLOCK_MONOTONIC, UINT64_MAX, ACCURACY_USEC,
			      on_timer, d);
	return r < 0 ? r : sd_event_source_set_enabled(d->timer, SD_EVENT_OFF);
}

void deadlines_clear(struct deadlines *d)
{
	d->timer = sd_event_source_disable_unref(d->timer);
	g_clear_pointer(&d->list, g_sequence_free);
}

static int compare(const void *a, const void *b, void *ctx)
{
	const struct deadline *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

void deadlines_add(struct deadlines *d, struct deadline *one)
{
	one->place = g_sequence_insert_sorted(d->list, one, compare, NULL);
	arm(d);
}

void deadlines_remove(struct deadline *one)
{
	if (one->place)
		g_sequence_remove(g_steal_pointer(&one->place));
}
