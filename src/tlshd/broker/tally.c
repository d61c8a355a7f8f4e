// SPDX-License-Identifier: GPL-2.0-or-later
/* Failures that strangers cause, summed up in the log: a flood of them must not drown the rest. */
#include "tlshd/broker/tally.h"

#include <glib.h>

#include "common/log.h"
#include "tlshd/broker/message-id.h"

struct row {
	uint64_t source;
	enum cause cause;
	union peer peer; /* one of them */
	unsigned int n;
};

struct tally {
	struct row rows[TALLY_ROWS];
	size_t n_rows;
	unsigned int others; /* failures for which there was no row */
};

struct tally *tally_new(void)
{
	return g_new0(struct tally, 1);
}

void tally_free(struct tally *t)
{
	tally_write(t);
	g_free(t);
}

static struct row *find_row(struct tally *t, uint64_t source, enum cause cause)
{
	for (size_t i = 0; i < t->n_rows; i++)
		if (t->rows[i].source == source && t->rows[i].cause == cause)
			return &t->rows[i];
	return NULL;
}

bool tally_count(struct tally *t, const union peer *peer, enum cause cause)
{
	uint64_t source = peer_source(peer);
	struct row *row = find_row(t, source, cause);

	if (!row && t->n_rows == TALLY_ROWS) {
		t->others++;
		return false;
	}
	if (!row) {
		row = &t->rows[t->n_rows++];
		*row = (struct row){.source = source, .cause = cause, .peer = *peer};
	}
	return ++row->n <= TALLY_LINES;
}

static void write_row(const struct row *row)
{
	g_autofree char *source = peer_source_text(&row->peer);
	const struct cause_info *cause = cause_info(row->cause);
	unsigned int more = row->n - TALLY_LINES;
	g_autofree char *count = g_strdup_printf("%u", more);
	const struct log_field fields[] = {
		{"TLSHD_CAUSE", cause->id},
		{"TLSHD_SIDE", "server"},
		{"TLSHD_PEER", source},
		{"TLSHD_COUNT", count},
		{0},
	};

	if (row->cause == CAUSE_GONE_EARLY)
		log_entry(LOG_WARNING, MESSAGE_ID_SUMMED_UP, fields,
			  "%u more connections from %s ended before a ClientHello in the last second [%s]",
			  more, source, cause->id);
	else
		log_entry(LOG_WARNING, MESSAGE_ID_SUMMED_UP, fields,
			  "%u more handshakes with %s failed in the last second: %s [%s]", more,
			  source, cause->sentence, cause->id);
}

void tally_write(struct tally *t)
{
	for (size_t i = 0; i < t->n_rows; i++)
		if (t->rows[i].n > TALLY_LINES)
			write_row(&t->rows[i]);
	if (t->others)
		log_warning("%u more handshakes with other peers failed in the last second",
			    t->others);
	t->n_rows = 0;
	t->others = 0;
}

bool tally_has_some(const struct tally *t)
{
	return t->n_rows;
}
