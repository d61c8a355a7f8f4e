// SPDX-License-Identifier: GPL-2.0-or-later
/* tlshd.conf: what an administrator may set, and what we say of it. */
#include "tlshd/shared/config.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "common/nearest.h"

#define WORKERS_MAX 64

/* A file that is no file, or larger than this, is a mistake. */
#define FILE_MAX (1024 * 1024)

static const char *const places[] = {SYSCONFDIR "/tlshd/config", SYSCONFDIR "/tlshd.conf"};

static const char *const debug_keys[] = {"loglevel", "tls", "nl", NULL};
static const char *const authenticate_keys[] = {"keyrings", "psk.sha384_compat", NULL};
static const char *const x509_keys[] = {"x509.truststore",
					"x509.crl",
					"x509.certificate",
					"x509.private_key",
					"x509.pq.certificate",
					"x509.pq.private_key",
					NULL};
static const char *const tlshd_keys[] = {"workers", NULL};

static const struct {
	const char *name;
	const char *const *keys;
} sections[] = {
	{"debug", debug_keys},
	{"authenticate", authenticate_keys},
	{"authenticate.client", x509_keys},
	{"authenticate.server", x509_keys},
	{"tlshd", tlshd_keys},
};

static const char *const *known_keys(const char *section)
{
	for (size_t i = 0; i < G_N_ELEMENTS(sections); i++)
		if (strcmp(section, sections[i].name) == 0)
			return sections[i].keys;
	return NULL;
}

static void warn_unknown(const char *name, const char *what, const char *word, const char *section,
			 const char *const *known)
{
	g_autofree char *escaped = log_escape(word, strlen(word));
	const char *nearest = nearest_word(word, known);
	g_autofree char *where = section ? g_strdup_printf(" in [%s]", section) : g_strdup("");

	if (nearest)
		log_warning("%s: unknown %s \"%s\"%s is ignored; did you mean \"%s\"?", name, what,
			    escaped, where, nearest);
	else
		log_warning("%s: unknown %s \"%s\"%s is ignored", name, what, escaped, where);
}

/* The section in which a key that stands in the wrong one would be known. */
static const char *section_of(const char *key)
{
	for (size_t i = 0; i < G_N_ELEMENTS(sections); i++)
		if (g_strv_contains(sections[i].keys, key))
			return sections[i].name;
	return NULL;
}

static void warn_key(const char *name, const char *section, const char *key,
		     const char *const *keys)
{
	const char *home = section_of(key);

	if (home && !nearest_word(key, keys))
		log_warning("%s: key \"%s\" in [%s] is ignored; it belongs in [%s]", name, key,
			    section, home);
	else
		warn_unknown(name, "key", key, section, keys);
}

static void warn_of_unknown(const char *name, GKeyFile *file)
{
	const char *names[G_N_ELEMENTS(sections) + 1] = {0};
	g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(sections); i++)
		names[i] = sections[i].name;
	for (char **g = groups; *g; g++) {
		const char *const *keys = known_keys(*g);
		g_auto(GStrv) found = NULL;

		if (!keys) {
			warn_unknown(name, "section", *g, NULL, names);
			continue;
		}
		found = g_key_file_get_keys(file, *g, NULL, NULL);
		for (char **k = found; k && *k; k++)
			if (!g_strv_contains(keys, *k))
				warn_key(name, *g, *k, keys);
	}
}

static void bad_value(const char *name, const char *section, const char *key, const char *value,
		      const char *want, GError **error)
{
	g_autofree char *escaped = log_escape(value, strlen(value));

	g_set_error(error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_INVALID_VALUE,
		    "%s: [%s] %s = \"%s\" is not %s", name, section, key, escaped, want);
}

static bool get_number(const char *name, GKeyFile *file, const char *section, const char *key,
		       int max, int *out, GError **error)
{
	g_autofree char *text = g_key_file_get_value(file, section, key, NULL);
	g_autofree char *want = g_strdup_printf("a whole number from 0 to %d", max);
	guint64 value;

	if (!text)
		return true;
	g_strchomp(text);
	if (!g_ascii_string_to_unsigned(text, 10, 0, (guint64)max, &value, NULL)) {
		bad_value(name, section, key, text, want, error);
		return false;
	}
	*out = (int)value;
	return true;
}

static bool get_boolean(const char *name, GKeyFile *file, const char *section, const char *key,
			bool *out, GError **error)
{
	g_autofree char *text = g_key_file_get_value(file, section, key, NULL);
	g_autoptr(GError) problem = NULL;

	if (!text)
		return true;
	*out = g_key_file_get_boolean(file, section, key, &problem);
	if (!problem)
		return true;
	bad_value(name, section, key, text, "true or false", error);
	return false;
}

static bool get_keyrings(const char *name, GKeyFile *file, config *c, GError **error)
{
	g_autofree char *text = g_key_file_get_value(file, "authenticate", "keyrings", NULL);
	g_autoptr(GStrvBuilder) list = g_strv_builder_new();
	g_auto(GStrv) words = NULL;

	if (text) {
		words = g_strsplit(text, ";", -1);
		for (char **w = words; *w; w++) {
			g_strstrip(*w);
			if (!**w)
				continue;
			if (strpbrk(*w, " \t,")) {
				bad_value(name, "authenticate", "keyrings", text,
					  "a list of keyring names or serials with semicolons between",
					  error);
				return false;
			}
			g_strv_builder_add(list, *w);
		}
	}
	c->keyrings = g_strv_builder_end(list);
	return true;
}

config *config_parse(const char *name, const char *text, gsize len, GError **error)
{
	g_autoptr(config) c = g_new0(config, 1);
	g_autoptr(GKeyFile) file = g_key_file_new();
	g_autoptr(GError) problem = NULL;

	c->path = g_strdup(name);
	/* GLib takes an empty text for an error. */
	if (len && !g_key_file_load_from_data(file, text, len, G_KEY_FILE_NONE, &problem)) {
		g_autofree char *escaped =
			log_escape_line(problem->message); /* it quotes the file */

		g_set_error(error, problem->domain, problem->code, "%s: %s", name, escaped);
		return NULL;
	}
	if (!get_number(name, file, "debug", "loglevel", 9, &c->loglevel, error) ||
	    !get_number(name, file, "debug", "tls", 9, &c->tls_debug, error) ||
	    !get_number(name, file, "debug", "nl", 9, &c->nl_debug, error) ||
	    !get_number(name, file, "tlshd", "workers", WORKERS_MAX, &c->workers, error) ||
	    !get_boolean(name, file, "authenticate", "psk.sha384_compat", &c->sha384_compat,
			 error) ||
	    !get_keyrings(name, file, c, error))
		return NULL;
	warn_of_unknown(name, file);
	return g_steal_pointer(&c);
}

config *config_load(const char *path, GError **error)
{
	g_autofree char *text = NULL;
	g_autoptr(GError) problem = NULL;
	gsize len;

	for (size_t i = 0; !path && i < G_N_ELEMENTS(places); i++)
		if (g_file_test(places[i], G_FILE_TEST_EXISTS))
			path = places[i];
	if (!path) {
		config *c = config_parse("(no file)", "", 0, error);

		g_clear_pointer(&c->path, g_free);
		return c;
	}
	if (!g_file_get_contents(path, &text, &len, &problem)) {
		g_set_error(error, problem->domain, problem->code, "%s: cannot be read: %s", path,
			    problem->message);
		return NULL;
	}
	if (len > FILE_MAX) {
		g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
			    "%s: %zu bytes are too many for a configuration", path, (size_t)len);
		return NULL;
	}
	return config_parse(path, text, len, error);
}

void config_free(config *c)
{
	if (!c)
		return;
	g_free(c->path);
	g_strfreev(c->keyrings);
	g_free(c);
}
