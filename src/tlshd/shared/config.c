// SPDX-License-Identifier: GPL-2.0-or-later
/* tlshd.conf: what an administrator may set, and what we say of it. */
#include "tlshd/shared/config.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "common/log.h"
#include "common/nearest.h"

#define WORKERS_MAX 64

/* The order of ktls-utils: its old place goes before its new one. */
static const char *const places[] = {SYSCONFDIR "/tlshd.conf", SYSCONFDIR "/tlshd/config"};

struct key {
	const char *section;
	const char *name;
	/* Takes the nearest sense of @text and complains of what it had to guess. */
	void (*parse)(config *c, const struct key *key, const char *text);
	size_t place; /* in struct config */
	int max; /* of a number */
};

static void parse_number(config *c, const struct key *key, const char *text);
static void parse_boolean(config *c, const struct key *key, const char *text);
static void parse_list(config *c, const struct key *key, const char *text);
static void parse_path(config *c, const struct key *key, const char *text);

/* The places of credential_owner(), as constants. */
#define CLIENT 0
#define SERVER 1

static const struct key keys[] = {
	{"debug", "loglevel", parse_number, offsetof(config, loglevel), 9},
	{"debug", "tls", parse_number, offsetof(config, tls_debug), 9},
	{"debug", "nl", parse_number, offsetof(config, nl_debug), 9},
	{"authenticate", "keyrings", parse_list, offsetof(config, keyrings)},
	{"authenticate", "psk.sha384_compat", parse_boolean, offsetof(config, sha384_compat)},
	{"authenticate.client", "x509.truststore", parse_path,
	 offsetof(config, x509[CLIENT][CREDENTIAL_TRUST])},
	{"authenticate.client", "x509.crl", parse_path,
	 offsetof(config, x509[CLIENT][CREDENTIAL_CRL])},
	{"authenticate.client", "x509.certificate", parse_path,
	 offsetof(config, x509[CLIENT][CREDENTIAL_CERTIFICATE])},
	{"authenticate.client", "x509.private_key", parse_path,
	 offsetof(config, x509[CLIENT][CREDENTIAL_KEY])},
	{"authenticate.client", "x509.pq.certificate", parse_path,
	 offsetof(config, x509[CLIENT][CREDENTIAL_PQ_CERTIFICATE])},
	{"authenticate.client", "x509.pq.private_key", parse_path,
	 offsetof(config, x509[CLIENT][CREDENTIAL_PQ_KEY])},
	{"authenticate.server", "x509.truststore", parse_path,
	 offsetof(config, x509[SERVER][CREDENTIAL_TRUST])},
	{"authenticate.server", "x509.crl", parse_path,
	 offsetof(config, x509[SERVER][CREDENTIAL_CRL])},
	{"authenticate.server", "x509.certificate", parse_path,
	 offsetof(config, x509[SERVER][CREDENTIAL_CERTIFICATE])},
	{"authenticate.server", "x509.private_key", parse_path,
	 offsetof(config, x509[SERVER][CREDENTIAL_KEY])},
	{"authenticate.server", "x509.pq.certificate", parse_path,
	 offsetof(config, x509[SERVER][CREDENTIAL_PQ_CERTIFICATE])},
	{"authenticate.server", "x509.pq.private_key", parse_path,
	 offsetof(config, x509[SERVER][CREDENTIAL_PQ_KEY])},
	{"tlshd", "workers", parse_number, offsetof(config, workers), WORKERS_MAX},
	{"tlshd", "lock_memory", parse_boolean, offsetof(config, lock_memory)},
};

static void *place_of(config *c, const struct key *key)
{
	return (char *)c + key->place;
}

/* ---- values ---- */

static void complain(config *c, const struct key *key, const char *text, const char *want,
		     const char *taken)
{
	g_autofree char *escaped = log_escape(text, strlen(text));
	g_autofree char *guess = log_escape(taken, strlen(taken));

	log_warning("%s: [%s] %s = \"%s\" is not %s: it is taken for \"%s\"", c->path, key->section,
		    key->name, escaped, want, guess);
	c->complaints++;
}

static void parse_number(config *c, const struct key *key, const char *text)
{
	int *out = place_of(c, key);
	char *rest;
	gint64 value = g_ascii_strtoll(text, &rest, 10);

	*out = (int)CLAMP(value, 0, key->max);
	if (rest == text || *rest || value != *out) {
		g_autofree char *want = g_strdup_printf("a whole number from 0 to %d", key->max);
		g_autofree char *taken = g_strdup_printf("%d", *out);

		complain(c, key, text, want, taken);
	}
}

static void parse_boolean(config *c, const struct key *key, const char *text)
{
	static const char *const yes[] = {"true", "1", "yes", "on", NULL};
	static const char *const no[] = {"false", "0", "no", "off", NULL};
	bool *out = place_of(c, key);
	size_t len = strcspn(text, " \t#");
	g_autofree char *word = g_ascii_strdown(text, (gssize)len);

	*out = g_strv_contains(yes, word);
	if (text[len] || (!*out && !g_strv_contains(no, word)))
		complain(c, key, text, "true or false", *out ? "true" : "false");
}

/* Semicolons stand between words; what else people have put there is taken for one. */
static void parse_list(config *c, const struct key *key, const char *text)
{
	char ***out = place_of(c, key);
	const char *comment = strstr(text, " #");
	g_autofree char *names = g_strndup(text, comment ? (gsize)(comment - text) : strlen(text));
	g_autoptr(GStrvBuilder) list = g_strv_builder_new();
	g_auto(GStrv) items = g_strsplit(names, ";", -1);
	bool odd = comment;

	for (char **item = items; *item; item++) {
		g_auto(GStrv) words = g_strsplit_set(g_strstrip(*item), ", \t\"", -1);

		odd |= g_strv_length(words) > 1;
		for (char **word = words; *word; word++)
			if (**word)
				g_strv_builder_add(list, *word);
	}
	g_strfreev(*out);
	*out = g_strv_builder_end(list);
	if (odd) {
		g_autofree char *taken = g_strjoinv(";", *out);

		complain(c, key, text, "a list of names or serials with semicolons between", taken);
	}
}

/* An empty one is none, as for ktls-utils; quotes are not part of a path. */
static void parse_path(config *c, const struct key *key, const char *text)
{
	char **out = place_of(c, key);
	size_t len = strlen(text);

	g_clear_pointer(out, g_free);
	if (len >= 2 && (*text == '"' || *text == '\'') && text[len - 1] == *text) {
		*out = g_strndup(text + 1, len - 2);
		complain(c, key, text, "a path without quotes", *out);
	} else if (len) {
		*out = g_strdup(text);
	}
}

/* ---- words that are not ours ---- */

/* The names of all sections, or of the keys of @section; NULL-terminated. */
static const char **known_names(const char *section)
{
	const char **names = g_new0(const char *, G_N_ELEMENTS(keys) + 1);
	size_t n = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
		const char *name = section ? keys[i].name : keys[i].section;

		if ((!section || strcmp(keys[i].section, section) == 0) &&
		    !g_strv_contains(names, name))
			names[n++] = name;
	}
	return names;
}

static void warn_unknown(config *c, const char *what, const char *word, const char *section,
			 const char *const *known)
{
	g_autofree char *escaped = log_escape(word, strlen(word));
	const char *nearest = nearest_word(word, known);
	g_autofree char *where = section ? g_strdup_printf(" in [%s]", section) : g_strdup("");

	c->complaints++;
	if (nearest)
		log_warning("%s: unknown %s \"%s\"%s is ignored; did you mean \"%s\"?", c->path,
			    what, escaped, where, nearest);
	else
		log_warning("%s: unknown %s \"%s\"%s is ignored", c->path, what, escaped, where);
}

/* The section in which a key that stands in the wrong one would be known. */
static const char *section_of(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
		if (strcmp(keys[i].name, name) == 0)
			return keys[i].section;
	return NULL;
}

static void warn_key(config *c, const char *section, const char *name, const char *const *known)
{
	const char *home = section_of(name);

	if (home && !nearest_word(name, known)) {
		log_warning("%s: key \"%s\" in [%s] is ignored; it belongs in [%s]", c->path, name,
			    section, home);
		c->complaints++;
	} else {
		warn_unknown(c, "key", name, section, known);
	}
}

static void warn_of_unknown(config *c, GKeyFile *file)
{
	g_autofree const char **sections = known_names(NULL);
	g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);

	for (char **g = groups; *g; g++) {
		g_autofree const char **known = known_names(*g);
		g_auto(GStrv) found = NULL;

		if (!*known) {
			warn_unknown(c, "section", *g, NULL, sections);
			continue;
		}
		found = g_key_file_get_keys(file, *g, NULL, NULL);
		for (char **k = found; k && *k; k++)
			if (!g_strv_contains(known, *k))
				warn_key(c, *g, *k, known);
	}
}

/* ---- the file ---- */

static config *defaults(const char *path)
{
	config *c = g_new0(config, 1);

	c->path = g_strdup(path);
	c->keyrings = g_new0(char *, 1);
	c->lock_memory = true;
	return c;
}

static config *read_keys(const char *path, GKeyFile *file)
{
	config *c = defaults(path);

	for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
		g_autofree char *text = g_key_file_get_value(file, keys[i].section, keys[i].name,
							     NULL);

		if (text)
			keys[i].parse(c, &keys[i], g_strstrip(text));
	}
	warn_of_unknown(c, file);
	return c;
}

/* GLib's message quotes the file. */
static config *unreadable(const char *path, const GError *problem, GError **error)
{
	g_autofree char *escaped = log_escape_line(problem->message);

	g_set_error(error, problem->domain, problem->code, "%s: %s", path, escaped);
	return NULL;
}

static config *understand(const char *path, const char *ignored, GKeyFile *file)
{
	config *c = read_keys(path, file);

	if (ignored) {
		log_warning("%s is ignored, for %s is read before it: merge the two into one",
			    ignored, path);
		c->complaints++;
	}
	return c;
}

config *config_parse(const char *path, const char *ignored, const char *text, gsize len,
		     GError **error)
{
	g_autoptr(GKeyFile) file = g_key_file_new();
	g_autoptr(GError) problem = NULL;

	if (!path)
		return defaults(NULL);
	/* GLib takes an empty text for an error, but not an empty file. */
	if (len && !g_key_file_load_from_data(file, text, len, G_KEY_FILE_NONE, &problem))
		return unreadable(path, problem, error);
	return understand(path, ignored, file);
}

const char *config_find(const char **ignored)
{
	const char *found = NULL;

	*ignored = NULL;
	for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
		if (!g_file_test(places[i], G_FILE_TEST_EXISTS))
			continue;
		if (found)
			*ignored = places[i];
		else
			found = places[i];
	}
	return found;
}

config *config_load(const char *path, GError **error)
{
	g_autoptr(GKeyFile) file = g_key_file_new();
	g_autoptr(GError) problem = NULL;
	const char *ignored = NULL;

	if (!path)
		path = config_find(&ignored);
	if (!path)
		return defaults(NULL);
	if (!g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, &problem))
		return unreadable(path, problem, error);
	return understand(path, ignored, file);
}

bool config_has_credentials(const config *c)
{
	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t kind = 0; kind < CREDENTIAL_KINDS; kind++)
			if (c->x509[owner][kind])
				return true;
	return false;
}

void config_free(config *c)
{
	if (!c)
		return;
	g_free(c->path);
	g_strfreev(c->keyrings);
	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		for (size_t kind = 0; kind < CREDENTIAL_KINDS; kind++)
			g_free(c->x509[owner][kind]);
	g_free(c);
}
