// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls status: how the daemon is, from its recording. */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "nvme-tls/output.h"
#include "nvme-tls/recorded.h"

#define HEAD "%-15s "

static const char *const phases[] = {"starting", "serving", "stopping", "stopped"};
static const char *const works[] = {"unborn", "serving", "retired", "leaving"};

static unsigned int serving(const struct recording_state *s)
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < s->now.workers; i++)
		n += s->now.worker[i].work == RECORDING_WORKS;
	return n;
}

/* Return: why it is not well and what to do, to be freed by g_free(); NULL when it is. */
static char *complaint(const recording *r)
{
	const struct recording_state *s = recording_state(r);

	if (!recording_pid(r))
		return recorded_why_down(r);
	if (recorded_is_suspended(r))
		return g_strdup_printf("tlshd was stopped by a signal, and answers no handshake; continue it with \"kill -CONT %d\"",
				       recording_pid(r));
	switch (s->now.phase) {
	case RECORDING_STARTING:
		return g_strdup("tlshd is starting: no worker has been born yet; \"journalctl -u tlshd -u 'tlshd-worker@*'\" says why if it stays so");
	case RECORDING_SERVING:
		break;
	default:
		return g_strdup("tlshd is stopping: what is in flight goes on for two seconds at most");
	}
	if (!serving(s))
		return g_strdup("tlshd has no worker: \"journalctl -u tlshd -u 'tlshd-worker@*'\" says why none can be started");
	return NULL;
}

/* ---- for people ---- */

static void print_daemon(const recording *r)
{
	const struct recording_state *s = recording_state(r);
	g_autofree char *build = output_clean(s->build), *config = output_clean(s->config);
	g_autofree char *started = recorded_time(s->started, false);
	g_autofree char *configured = recorded_time(s->configured, false);
	g_autofree char *made = recorded_time(s->made, false);
	int pid = recording_pid(r);

	if (pid)
		printf(HEAD "%s, process %d, since %s\n", "tlshd", phases[s->now.phase],
		       pid > 0 ? pid : s->pid, started);
	else
		printf(HEAD "not running\n", "tlshd");
	printf(HEAD "%s\n", "Build", build);
	printf(HEAD "%s, read on %s\n", "Configuration", *config ? config : "defaults", configured);
	printf(HEAD "%s, by %" G_GUINT64_FORMAT " starts of tlshd\n", "Recorded since", made,
	       s->starts);
}

static void print_workers(const struct recording_state *s)
{
	printf(HEAD "%u of %u are serving, %u were lost since the start\n", "Workers", serving(s),
	       s->now.wanted, s->now.lost);
	for (uint32_t i = 0; i < s->now.workers; i++) {
		const struct recording_worker *w = &s->now.worker[i];
		g_autofree char *since = recorded_time(w->since, false);

		printf(HEAD "%d, %s, %u handshakes, of which %u not begun, since %s\n", "", w->pid,
		       works[w->work], w->jobs, w->unrun, since);
	}
}

static void print_load(const recording *r)
{
	const struct recording_state *s = recording_state(r);

	if (!recording_pid(r))
		return;
	printf(HEAD "%u handshakes; %u wait for their peer's first byte, %u for a worker\n",
	       "In flight", s->now.in_flight, s->now.waiting, s->now.ready);
	print_workers(s);
	for (uint32_t i = 0; i < s->keyrings; i++) {
		g_autofree char *name = output_clean(s->keyring[i].name);

		printf(HEAD "%s (" SERIAL ")\n", i ? "" : "Keyrings", name,
		       (unsigned int)s->keyring[i].serial);
	}
	if (!s->keyrings)
		printf(HEAD "none yet; tlshd looks for them again at each handshake\n", "Keyrings");
}

static uint64_t of_all_sides(const struct recording_state *s, uint32_t cause)
{
	uint64_t n = 0;

	for (uint32_t side = 0; side < RECORDING_SIDES; side++)
		n += s->counts[side][cause];
	return n;
}

static void print_durations(const struct recording_state *s, unsigned int percent)
{
	g_autofree char *head = g_strdup_printf("duration, %u %%", percent);

	printf("  %-28s", head);
	for (uint32_t side = 0; side <= RECORDING_SERVER; side++) {
		uint64_t usec = recording_percentile(s->durations[side], percent);
		g_autofree char *text = usec ? recorded_duration(usec) : g_strdup("-");

		printf(" %10s", text);
	}
	putchar('\n');
}

static void print_counts(const recording *r)
{
	const struct recording_state *s = recording_state(r);

	printf("%s%-30s %10s %10s%s\n", colour(COLOUR_HEAD), "Handshakes", "client", "server",
	       colour(COLOUR_NONE));
	for (uint32_t c = 0; c < s->causes; c++) {
		if (c && !of_all_sides(s, c))
			continue;
		printf("  %-28s %10" G_GUINT64_FORMAT " %10" G_GUINT64_FORMAT "\n",
		       c ? recording_cause(r, c)->id : "succeeded", s->counts[RECORDING_CLIENT][c],
		       s->counts[RECORDING_SERVER][c]);
	}
	print_durations(s, 50);
	print_durations(s, 99);
}

static void print_last_failure(const recording *r)
{
	for (size_t i = recording_entries(r); i-- > 0;) {
		const struct recording_entry *e = recording_entry_at(r, i);
		const struct recording_cause *c = recording_cause(r, e->cause);
		g_autofree char *when = NULL, *peer = NULL, *sentence = NULL, *remedy = NULL;

		if (!e->cause)
			continue;
		when = recorded_time(e->ended, false);
		peer = recording_peer_text(e);
		sentence = output_clean(c->sentence);
		remedy = output_clean(c->remedy);
		printf(HEAD "%s, %s handshake with %s [%s]: %s; %s\n", "Last failure", when,
		       recording_side_name(e->side), peer, c->id, sentence, remedy);
		return;
	}
}

static void print_text(const recording *r)
{
	print_daemon(r);
	print_load(r);
	print_counts(r);
	print_last_failure(r);
}

/* ---- for programs ---- */

static void add_int(struct json_object *object, const char *name, uint64_t n)
{
	json_object_object_add(object, name, json_object_new_int64((int64_t)n));
}

static struct json_object *workers_json(const struct recording_state *s)
{
	struct json_object *array = json_object_new_array();

	for (uint32_t i = 0; i < s->now.workers; i++) {
		const struct recording_worker *w = &s->now.worker[i];
		struct json_object *out = json_object_new_object();

		json_object_object_add(out, "pid", json_object_new_int(w->pid));
		json_add_string(out, "state", works[w->work]);
		add_int(out, "handshakes", w->jobs);
		add_int(out, "not_begun", w->unrun);
		json_add_time(out, "since", w->since);
		json_object_array_add(array, out);
	}
	return array;
}

static struct json_object *keyrings_json(const struct recording_state *s)
{
	struct json_object *array = json_object_new_array();

	for (uint32_t i = 0; i < s->keyrings; i++) {
		struct json_object *out = json_object_new_object();

		json_add_string(out, "name", s->keyring[i].name);
		json_add_serial(out, s->keyring[i].serial);
		json_object_array_add(array, out);
	}
	return array;
}

static struct json_object *counts_json(const recording *r)
{
	const struct recording_state *s = recording_state(r);
	struct json_object *array = json_object_new_array();

	for (uint32_t side = 0; side < RECORDING_SIDES; side++) {
		for (uint32_t c = 0; c < s->causes; c++) {
			struct json_object *out;

			if (!s->counts[side][c])
				continue;
			out = json_object_new_object();
			json_add_string(out, "side", recording_side_name(side));
			json_add_string(out, "cause", recording_cause(r, c)->id);
			add_int(out, "count", s->counts[side][c]);
			json_object_array_add(array, out);
		}
	}
	return array;
}

static struct json_object *durations_json(const struct recording_state *s)
{
	struct json_object *sides = json_object_new_object();

	for (uint32_t side = 0; side <= RECORDING_SERVER; side++) {
		struct json_object *out = json_object_new_object();

		add_int(out, "count", s->counts[side][0]);
		add_int(out, "p50_usec", recording_percentile(s->durations[side], 50));
		add_int(out, "p99_usec", recording_percentile(s->durations[side], 99));
		json_object_object_add(sides, recording_side_name(side), out);
	}
	return sides;
}

static void print_json(const recording *r, const char *why)
{
	const struct recording_state *s = recording_state(r);
	struct json_object *out = json_object_new_object();
	bool running = recording_pid(r) != 0;

	json_object_object_add(out, "healthy", json_object_new_boolean(!why));
	json_add_string(out, "complaint", why);
	json_object_object_add(out, "running", json_object_new_boolean(running));
	json_add_string(out, "phase", running ? phases[s->now.phase] : "stopped");
	json_object_object_add(out, "pid", running ? json_object_new_int(s->pid) : NULL);
	json_add_string(out, "build", s->build);
	json_add_string(out, "configuration", *s->config ? s->config : NULL);
	json_add_time(out, "configured", s->configured);
	json_add_time(out, "started", s->started);
	json_add_time(out, "updated", s->updated);
	json_add_time(out, "recorded_since", s->made);
	add_int(out, "starts", s->starts);
	add_int(out, "in_flight", running ? s->now.in_flight : 0);
	add_int(out, "waiting_for_first_byte", running ? s->now.waiting : 0);
	add_int(out, "waiting_for_worker", running ? s->now.ready : 0);
	add_int(out, "workers_wanted", s->now.wanted);
	add_int(out, "workers_lost", s->now.lost);
	json_object_object_add(out, "workers", workers_json(s));
	json_object_object_add(out, "keyrings", keyrings_json(s));
	json_object_object_add(out, "handshakes", counts_json(r));
	json_object_object_add(out, "durations", durations_json(s));
	json_print(out);
}

/* ---- for Prometheus: the text format, version 0.0.4 ---- */

static void metric(const char *name, const char *type, const char *help)
{
	printf("# HELP tlshd_%s %s\n# TYPE tlshd_%s %s\n", name, help, name, type);
}

static void gauge(const char *name, const char *help, uint64_t n)
{
	metric(name, "gauge", help);
	printf("tlshd_%s %" G_GUINT64_FORMAT "\n", name, n);
}

static char *label_value(const char *text)
{
	g_autofree char *clean = output_clean(text);
	g_auto(GStrv) parts = g_strsplit(clean, "\\", -1);
	g_autofree char *slashes = g_strjoinv("\\\\", parts);
	g_auto(GStrv) quotes = g_strsplit(slashes, "\"", -1);

	return g_strjoinv("\\\"", quotes);
}

/* Powers of two from a quarter of a millisecond to 17 seconds are ends of buckets. */
static void print_histogram(const struct recording_state *s, uint32_t side)
{
	const char *name = recording_side_name(side);
	uint64_t below = 0;
	unsigned int b = 0;

	for (uint64_t usec = 256; usec <= UINT64_C(1) << 24; usec *= 2) {
		for (; recording_bucket_floor(b) < usec; b++)
			below += s->durations[side][b];
		printf("tlshd_handshake_duration_seconds_bucket{side=\"%s\",le=\"%.6f\"} %" G_GUINT64_FORMAT
		       "\n",
		       name, (double)usec / G_USEC_PER_SEC, below);
	}
	for (; b < RECORDING_BUCKETS; b++)
		below += s->durations[side][b];
	printf("tlshd_handshake_duration_seconds_bucket{side=\"%s\",le=\"+Inf\"} %" G_GUINT64_FORMAT
	       "\n"
	       "tlshd_handshake_duration_seconds_sum{side=\"%s\"} %.6f\n"
	       "tlshd_handshake_duration_seconds_count{side=\"%s\"} %" G_GUINT64_FORMAT "\n",
	       name, below, name, (double)s->duration_sums[side] / G_USEC_PER_SEC, name, below);
}

static void print_prometheus(const recording *r, bool healthy)
{
	const struct recording_state *s = recording_state(r);
	bool up = recording_pid(r) != 0;
	g_autofree char *build = label_value(s->build);

	gauge("up", "Whether tlshd runs.", up);
	gauge("healthy", "Whether tlshd runs, is not stopped by a signal, and has a worker.",
	      healthy);
	metric("info", "gauge", "The build of tlshd that wrote the recording.");
	printf("tlshd_info{build=\"%s\"} 1\n", build);
	gauge("start_time_seconds", "When tlshd was started.", s->started / G_USEC_PER_SEC);
	gauge("in_flight", "Handshakes that the kernel waits for.", up ? s->now.in_flight : 0);
	gauge("waiting_for_first_byte", "Handshakes whose peer has not sent a byte.",
	      up ? s->now.waiting : 0);
	gauge("waiting_for_worker", "Handshakes that no worker has taken yet.",
	      up ? s->now.ready : 0);
	gauge("workers", "Workers that are serving.", up ? serving(s) : 0);
	gauge("workers_wanted", "Workers that there are to be.", s->now.wanted);
	metric("workers_lost_total", "counter", "Workers that were lost since the start of tlshd.");
	printf("tlshd_workers_lost_total %u\n", s->now.lost);
	metric("handshakes_total", "counter", "Handshakes that have ended, by side and cause.");
	for (uint32_t side = 0; side < RECORDING_SIDES; side++)
		for (uint32_t c = 0; c < s->causes; c++)
			if (s->counts[side][c])
				printf("tlshd_handshakes_total{side=\"%s\",cause=\"%s\"} %" G_GUINT64_FORMAT
				       "\n",
				       recording_side_name(side), recording_cause(r, c)->id,
				       s->counts[side][c]);
	metric("handshake_duration_seconds", "histogram",
	       "How long handshakes took that succeeded, from the kernel's request on.");
	for (uint32_t side = 0; side <= RECORDING_SERVER; side++)
		print_histogram(s, side);
}

enum exit_code cmd_status(int argc, char **argv)
{
	g_auto(options) o = OPTIONS_INIT;
	g_autoptr(recording) r = NULL;
	g_autofree char *why = NULL;
	enum exit_code code;

	if (!options_parse(&o, &argc, &argv))
		return EXIT_USAGE;
	code = recorded_open(&o, &r);
	if (code != EXIT_OK) {
		if (o.prometheus && code == EXIT_MISSING)
			gauge("up", "Whether tlshd runs.", 0);
		return code;
	}
	why = complaint(r);
	if (o.prometheus)
		print_prometheus(r, !why);
	else if (o.json)
		print_json(r, why);
	else
		print_text(r);
	if (why)
		log_error("%s", why);
	return why ? EXIT_UNHEALTHY : EXIT_OK;
}
