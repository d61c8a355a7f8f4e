// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls doctor, the daemon's recording: peers whose last handshake failed, and handshakes that take too long. */
#include <stdio.h>
#include <string.h>

#include "nvme-tls/doctor-checks.h"

/* What failed longer ago is history. */
#define RECENT_USEC (24 * 60 * 60 * UINT64_C(1000000))

/* Peers whose last handshake has ended for one cause. */
struct group {
	uint32_t side, cause;
	unsigned int peers;
	const struct recording_entry *last;
};

/* A peer is an address, whichever port it comes from. */
static char *name_peer(const struct recording_entry *e)
{
	g_autofree char *peer = recording_peer_text(e);
	char *port = strrchr(peer, ':');

	if (port)
		*port = '\0';
	return g_strdup_printf("%u %s", e->side, peer);
}

static bool is_recent(const struct doctor *d, const struct recording_entry *e)
{
	uint64_t now = d->system->now ? (uint64_t)d->system->now * G_USEC_PER_SEC
				      : (uint64_t)g_get_real_time();

	return e->ended + RECENT_USEC > now;
}

static void count(GArray *groups, const struct recording_entry *e)
{
	struct group new = {e->side, e->cause, 1, e};

	for (guint i = 0; i < groups->len; i++) {
		struct group *g = &g_array_index(groups, struct group, i);

		if (g->side == e->side && g->cause == e->cause) {
			g->peers++;
			return;
		}
	}
	g_array_append_val(groups, new);
}

static void tell_group(struct doctor *d, const struct group *g)
{
	const struct recording_cause *cause = recording_cause(d->recording, g->cause);
	g_autofree char *peer = recording_peer_text(g->last);
	const char *identity = g->last->identity;
	g_autofree char *others = g->peers > 1 ? g_strdup_printf(" and %u other%s", g->peers - 1,
								 g->peers > 2 ? "s" : "")
					       : g_strdup("");
	doctor_finding *f = doctor_warning(d, cause->id,
					   "the last %s handshake with %s%s failed: %s%s%s%s [%s]",
					   recording_side_name(g->side), peer, others,
					   cause->sentence, *identity ? ", identity \"" : "",
					   identity, *identity ? "\"" : "", cause->id);

	doctor_mend(f, "%s", *cause->remedy ? cause->remedy : "journalctl -u tlshd");
}

void doctor_record_failures(struct doctor *d)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GArray) groups = g_array_new(FALSE, FALSE, sizeof(struct group));
	size_t n = d->recording ? recording_entries(d->recording) : 0, recent = 0;

	/* The newest first: only the last handshake of each peer counts. */
	while (n--) {
		const struct recording_entry *e = recording_entry_at(d->recording, n);

		if (!is_recent(d, e))
			continue;
		recent++;
		if (g_hash_table_add(seen, name_peer(e)) && e->cause)
			count(groups, e);
	}
	for (guint i = 0; i < MIN(groups->len, DOCTOR_LISTED_MAX); i++)
		tell_group(d, &g_array_index(groups, struct group, i));
	if (recent && !groups->len)
		doctor_ok(d, "handshakes",
			  "the last handshake of each peer on record has succeeded");
}

/* ---- time ---- */

/* The causes for which more time would have helped. */
static bool is_for_want_of_time(const char *cause)
{
	static const char *const ids[] = {"given-up", "no-room", "not-run", "worker-late", NULL};

	return g_strv_contains(ids, cause);
}

static unsigned int count_late(const struct doctor *d, uint32_t side)
{
	unsigned int late = 0;

	for (size_t i = 0; i < recording_entries(d->recording); i++) {
		const struct recording_entry *e = recording_entry_at(d->recording, i);

		late += e->side == side && is_recent(d, e) &&
			is_for_want_of_time(recording_cause(d->recording, e->cause)->id);
	}
	return late;
}

static void check_side(struct doctor *d, uint32_t side, const char *module)
{
	const struct recording_state *state = recording_state(d->recording);
	g_autofree char *parameter =
		g_strdup_printf("/sys/module/%s/parameters/tls_handshake_timeout", module);
	g_autofree char *text = doctor_system_read(d->system, "%s", parameter);
	uint64_t slow = recording_percentile(state->durations[side], 99);
	unsigned int late = count_late(d, side);
	guint64 granted;

	if (!text || !g_ascii_string_to_unsigned(text, 10, 1, 3600, &granted, NULL) ||
	    (!slow && !late))
		return;
	if (late)
		doctor_mend(doctor_fault(d, module,
					 "%u %s handshake%s of the last day did not end within the %u s that %s gives",
					 late, recording_side_name(side), late > 1 ? "s" : "",
					 (unsigned int)granted, module),
			    "echo %u > %s, and options %s tls_handshake_timeout=%u in /etc/modprobe.d",
			    (unsigned int)granted * 2, parameter, module,
			    (unsigned int)granted * 2);
	else if (slow > granted * G_USEC_PER_SEC / 2)
		doctor_mend(doctor_warning(d, module,
					   "one %s handshake in a hundred takes %.1f s or more, of the %u s that %s gives",
					   recording_side_name(side), (double)slow / G_USEC_PER_SEC,
					   (unsigned int)granted, module),
			    "echo %u > %s, and options %s tls_handshake_timeout=%u in /etc/modprobe.d",
			    (unsigned int)granted * 2, parameter, module,
			    (unsigned int)granted * 2);
	else
		doctor_ok(d, module,
			  "%s gives handshakes %u s, and 99 %% of them take less than %.3f s",
			  module, (unsigned int)granted, (double)slow / G_USEC_PER_SEC);
}

void doctor_record_timeout(struct doctor *d)
{
	if (!d->recording)
		return;
	check_side(d, RECORDING_CLIENT, "nvme_tcp");
	check_side(d, RECORDING_SERVER, "nvmet_tcp");
}
