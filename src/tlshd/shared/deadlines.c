// SPDX-License-Identifier: GPL-2.0-or-later
/* Thousands of deadlines on one timer. */
#include "tlshd/shared/deadlines.h"

#include <time.h>

#define ACCURACY_USEC 1000

static struct deadline *first(struct deadlines *d)
{
	return d->queue.head ? d->queue.head->data : NULL;
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
	struct deadline *one;

	d->timer_at = UINT64_MAX;
	while ((one = first(d)) && one->at <= (uint64_t)g_get_monotonic_time())
		d->passed(one->owner);
	arm(d);
	return 0;
}

int deadlines_init(struct deadlines *d, sd_event *event, void (*passed)(void *owner))
{
	int r;

	g_queue_init(&d->queue);
	d->passed = passed;
	d->timer_at = UINT64_MAX;
	r = sd_event_add_time(event, &d->timer, CLOCK_MONOTONIC, UINT64_MAX, ACCURACY_USEC,
			      on_timer, d);
	return r < 0 ? r : sd_event_source_set_enabled(d->timer, SD_EVENT_OFF);
}

void deadlines_clear(struct deadlines *d)
{
	d->timer = sd_event_source_disable_unref(d->timer);
}

/* The newest is mostly the latest: the requests of one consumer all grant the same time. */
void deadlines_add(struct deadlines *d, struct deadline *one)
{
	GList *before = d->queue.tail;

	one->link.data = one;
	while (before && ((struct deadline *)before->data)->at > one->at)
		before = before->prev;
	if (before)
		g_queue_insert_after_link(&d->queue, before, &one->link);
	else
		g_queue_push_head_link(&d->queue, &one->link);
	arm(d);
}

void deadlines_remove(struct deadlines *d, struct deadline *one)
{
	g_queue_unlink(&d->queue, &one->link);
}
