// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls log: the last handshakes, from the daemon's recording. */
#include <stdio.h>
#include <string.h>

#include "common/identity.h"
#include "common/log.h"
#include "common/nearest.h"
#include "nvme-tls/columns.h"
#include "nvme-tls/output.h"
#include "nvme-tls/recorded.h"

#define INDENT 8
/* --follow looks for new handshakes this often. */
#define LOOK_USEC (G_USEC_PER_SEC / 2)

/* What is being shown. */
struct view {
	const options *o;
	uint64_t next; /* number of the next handshake that is new to us */
	uint64_t since; /* usec, real time: none that ended earlier */
	bool *told; /* causes whose remedy has been printed */
	struct json_list list;
};

/* ---- which ---- */

/* "192.0.2.7" stands for all ports, "[2001:db8::1]:4420" and "192.0.2.7:4420" for one. */
static bool is_peer(const struct recording_entry *e, const char *wanted)
{
	g_autofree char *whole = recording_peer_text(e), *host = g_strdup(whole);
	char *colon = strrchr(host, ':');

	if (colon)
		*colon = '\0';
	if (strcmp(wanted, whole) == 0 || strcmp(wanted, host) == 0)
		return true;
	/* Without the brackets. */
	return *host == '[' && strlen(host) == strlen(wanted) + 2 &&
	       strncmp(host + 1, wanted, strlen(wanted)) == 0;
}

static bool is_of_pair(const struct recording_entry *e, const options *o)
{
	g_auto(nvme_identity) id = {0};

	if (!o->hostnqn && !o->subsysnqn)
		return true;
	return nvme_identity_split(e->identity, &id, NULL) == 0 &&
	       (!o->hostnqn || strcmp(id.hostnqn, o->hostnqn) == 0) &&
	       (!o->subsysnqn || strcmp(id.subsysnqn, o->subsysnqn) == 0);
}

static bool is_wanted(const struct view *v, const recording *r, const struct recording_entry *e)
{
	const options *o = v->o;

	return e->number >= v->next && e->ended >= v->since && (!o->failed || e->cause) &&
	       (!o->side || strcmp(recording_side_name(e->side), o->side) == 0) &&
	       (!o->cause || strcmp(recording_cause(r, e->cause)->id, o->cause) == 0) &&
	       (!o->peer || is_peer(e, o->peer)) &&
	       (!o->identity || strcmp(e->identity, o->identity) == 0) && is_of_pair(e, o);
}

/* A cause that is mistyped would never be found. */
static bool is_cause(const recording *r, const char *name)
{
	const char *known[RECORDING_CAUSES_MAX + 1] = {0}, *meant;

	for (uint32_t c = 0; c < recording_state(r)->causes; c++) {
		known[c] = recording_cause(r, c)->id;
		if (strcmp(known[c], name) == 0)
			return true;
	}
	meant = options_is_name(name) ? nearest_word(name, known) : NULL;
	if (meant)
		log_error("there is no cause \"%s\"; did you mean %s?", name, meant);
	else
		log_error("there is no such cause; tlshd(8) lists them");
	return false;
}

/* ---- how ---- */

/* The cause's sentence for each, and what to do about it the first time. */
static void print_why(struct view *v, const recording *r, const struct recording_entry *e)
{
	const struct recording_cause *c = recording_cause(r, e->cause);
	g_autofree char *sentence = output_clean(c->sentence), *detail = output_clean(e->detail);
	g_autofree char *text = g_strconcat(sentence, *detail ? ": " : "", detail, NULL);

	printf("%*s%s", INDENT, "", colour(COLOUR_BAD));
	columns_wrap(text, INDENT, INDENT, COLUMNS_WIDTH, stdout);
	fputs(colour(COLOUR_NONE), stdout);
	if (!v->told[e->cause] && *c->remedy) {
		g_autofree char *remedy = output_clean(c->remedy);

		printf("%*s", INDENT, "");
		columns_wrap(remedy, INDENT, INDENT, COLUMNS_WIDTH, stdout);
	}
	v->told[e->cause] = true;
}

static void print_entry(struct view *v, const recording *r, const struct recording_entry *e)
{
	g_autofree char *when = recorded_time(e->ended, true), *peer = recording_peer_text(e);
	g_autofree char *took = recorded_duration(e->duration);
	g_autofree char *cipher = output_clean(e->cipher), *group = output_clean(e->group);
	g_autofree char *identity = output_clean(e->identity);

	printf("%s %s %s %s, %s", when, recording_side_name(e->side), peer,
	       recording_cause(r, e->cause)->id, took);
	if (*cipher)
		printf(", %s", cipher);
	if (*group)
		printf(", %s", group);
	if (e->key)
		printf(", key " SERIAL, (unsigned int)e->key);
	if (*identity)
		printf(", identity \"%s\"", identity);
	putchar('\n');
	if (e->cause)
		print_why(v, r, e);
}

static void add_text(struct json_object *out, const char *name, const char *text)
{
	json_add_string(out, name, *text ? text : NULL);
}

static struct json_object *entry_json(const recording *r, const struct recording_entry *e)
{
	struct json_object *out = json_object_new_object();
	g_autofree char *peer = recording_peer_text(e);
	const struct recording_cause *c = recording_cause(r, e->cause);

	json_object_object_add(out, "number", json_object_new_int64((int64_t)e->number));
	json_add_time(out, "time", e->ended);
	json_add_string(out, "side", recording_side_name(e->side));
	json_add_string(out, "peer", e->family ? peer : NULL);
	json_add_string(out, "cause", c->id);
	json_add_string(out, "sentence", c->sentence);
	add_text(out, "detail", e->detail);
	add_text(out, "remedy", c->remedy);
	add_text(out, "identity", e->identity);
	add_text(out, "cipher", e->cipher);
	add_text(out, "group", e->group);
	if (e->key)
		json_add_serial(out, e->key);
	json_object_object_add(out, "duration_usec", json_object_new_int64((int64_t)e->duration));
	json_object_object_add(out, "status", json_object_new_int(e->status));
	json_object_object_add(out, "alert", e->alert < 0 ? NULL : json_object_new_int(e->alert));
	json_object_object_add(out, "worker", e->worker ? json_object_new_int(e->worker) : NULL);
	return out;
}

static void show(struct view *v, const recording *r, const struct recording_entry *e)
{
	if (v->o->json && v->o->follow) /* a line each, for there is no end of it */
		json_print_line(entry_json(r, e));
	else if (v->o->json)
		json_list_add(&v->list, entry_json(r, e));
	else
		print_entry(v, r, e);
}

/* Shows the last of those that are wanted and new; @most is 0 for all. Return: how many. */
static size_t show_last(struct view *v, const recording *r, unsigned int most)
{
	size_t first = recording_entries(r), n = 0;

	while (first > 0 && (!most || n < most))
		n += is_wanted(v, r, recording_entry_at(r, --first));
	n = 0;
	for (size_t i = first; i < recording_entries(r); i++) {
		if (!is_wanted(v, r, recording_entry_at(r, i)))
			continue;
		show(v, r, recording_entry_at(r, i));
		n++;
	}
	v->next = recording_state(r)->next;
	return n;
}

/* Until nobody reads us any more. A daemon that starts anew begins at 0. */
static enum exit_code follow(struct view *v)
{
	enum exit_code code = output_flush();

	while (code == EXIT_OK) {
		g_autoptr(recording) r = NULL;

		g_usleep(LOOK_USEC);
		code = recorded_open(v->o, &r);
		if (code != EXIT_OK)
			break;
		if (recording_state(r)->next < v->next)
			v->next = 0;
		show_last(v, r, 0);
		code = output_flush();
	}
	return code;
}

static bool is_filtered(const options *o)
{
	return o->side || o->cause || o->peer || o->identity || o->hostnqn || o->subsysnqn ||
	       o->failed || o->since;
}

static enum exit_code show_all(struct view *v, const recording *r)
{
	const options *o = v->o;
	size_t n = show_last(v, r, o->lines);

	if (o->follow)
		return follow(v);
	if (o->json)
		json_list_end(&v->list);
	if (n)
		return EXIT_OK;
	log_info(is_filtered(o) ? "no such handshake is recorded"
				: "no handshake has been recorded yet");
	return is_filtered(o) ? EXIT_MISSING : EXIT_OK;
}

enum exit_code cmd_log(int argc, char **argv)
{
	g_auto(options) o = OPTIONS_INIT;
	bool told[RECORDING_CAUSES_MAX] = {false};
	struct view v = {.o = &o, .told = told};
	g_autoptr(recording) r = NULL;
	g_autofree char *down = NULL;
	enum exit_code code;

	if (!options_parse(&o, &argc, &argv))
		return EXIT_USAGE;
	code = recorded_open(&o, &r);
	if (code != EXIT_OK)
		return code;
	if (o.cause && !is_cause(r, o.cause))
		return EXIT_USAGE;
	if (o.since)
		v.since = (uint64_t)g_get_real_time() - o.since * (uint64_t)G_USEC_PER_SEC;
	down = recorded_why_down(r);
	if (down)
		log_info("%s", down);
	return show_all(&v, r);
}
