// SPDX-License-Identifier: GPL-2.0-or-later
/* Where a configured PSK comes from: an option, a file, standard input, or chance. */
#include "nvme-tls/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "common/log.h"

#define TEXT_MAX 4096

typedef struct text {
	char s[TEXT_MAX + 1];
} text;

static inline void text_wipe(text *t)
{
	explicit_bzero(t, sizeof(*t));
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(text, text_wipe)

static int read_text(int fd, text *t)
{
	size_t len = 0;

	while (len < sizeof(t->s)) {
		ssize_t n = read(fd, t->s + len, sizeof(t->s) - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (len > TEXT_MAX)
		return -EFBIG;
	t->s[len] = '\0';
	return 0;
}

/* The one word in what a file or standard input holds. */
static enum exit_code word_of(const char *from, const char *what, text *t, char **why)
{
	bool input = !from || strcmp(from, "-") == 0;
	int fd = STDIN_FILENO, r;

	if (input && isatty(fd))
		log_info("reading %s from standard input; end with Ctrl-D", what);
	if (!input)
		fd = open(from, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	r = fd < 0 ? -errno : read_text(fd, t);
	if (!input && fd >= 0)
		close(fd);
	if (r < 0) {
		log_error("cannot read %s from %s: %s", what, input ? "standard input" : from,
			  r == -EFBIG ? "it is too long for one" : g_strerror(-r));
		return EXIT_FAILED;
	}
	g_strstrip(t->s);
	if (!*t->s) {
		*why = g_strdup_printf("%s is empty", input ? "standard input" : from);
		return EXIT_INVALID;
	}
	return EXIT_OK;
}

static void warn_of_command_line(const char *option)
{
	log_warning("warning: what %s has on the command line, every user can see in the process list and the shell keeps in its history; give a file, or - for standard input",
		    option);
}

enum exit_code source_invalid(const char *why)
{
	log_error("the key is not valid: %s", why);
	return EXIT_INVALID;
}

/*
 * What gen and rotate print is a key, and below it its identity and serial: that file is a key as it
 * is. Cut @t down to the key; false when it is anything else than one key with such lines below it.
 */
static bool first_line_only(text *t)
{
	char *end = t->s + strcspn(t->s, "\r\n");

	if (strstr(end, "NVMeTLSkey-"))
		return false;
	explicit_bzero(end, strlen(end));
	g_strchomp(t->s);
	return !strpbrk(t->s, " \t");
}

enum exit_code source_key(const char *value, bool derived, interchange *ic, char **why)
{
	g_auto(text) t = {0};
	bool input = !value || strcmp(value, "-") == 0;
	enum exit_code r;

	if (!input && g_str_has_prefix(value, "NVMeTLSkey-")) {
		warn_of_command_line("--keydata");
		g_strlcpy(t.s, value, sizeof(t.s));
	} else if (!input && !strchr(value, '/') && strchr(value, ':') && access(value, F_OK) < 0) {
		/* A key whose beginning is misspelt: "no such file" would lead nowhere. */
		g_strlcpy(t.s, value, sizeof(t.s));
	} else {
		r = word_of(value, "a key in interchange format", &t, why);
		if (r != EXIT_OK)
			return r;
	}
	if (!first_line_only(&t)) {
		*why = g_strdup("there is more than one word in its first line, or more than one key; a file of identities and keys is for nvme-tls import");
		return EXIT_INVALID;
	}
	if (interchange_parse(t.s, ic, why) < 0)
		return EXIT_INVALID;
	if (ic->version != 1 && !derived) {
		interchange_wipe(ic);
		*why = g_strdup("format version 0 is none of a configured PSK: nvme-cli writes it for keys that are derived already, which nvme-tls import takes");
		return EXIT_INVALID;
	}
	return EXIT_OK;
}

static bool is_hex(const char *s)
{
	return *s && strspn(s, "0123456789abcdefABCDEF") == strlen(s);
}

static enum exit_code read_secret(const char *value, secret *key)
{
	g_auto(text) t = {0};
	g_autofree char *why = NULL;
	enum exit_code r;
	size_t len;

	if (is_hex(value) && access(value, F_OK) < 0) {
		warn_of_command_line("--secret");
		g_strlcpy(t.s, value, sizeof(t.s));
	} else {
		r = word_of(value, "a secret in hex digits", &t, &why);
		if (r == EXIT_INVALID)
			log_error("the secret is not valid: %s", why);
		if (r != EXIT_OK)
			return r;
	}
	len = strlen(t.s);
	if (!is_hex(t.s)) {
		log_error("the secret is not valid: it has something else than hex digits");
		return EXIT_INVALID;
	}
	if (len != 64 && len != 96) {
		log_error("the secret is not valid: it has %zu hex digits, where 64 (32 bytes) or 96 (48 bytes) belong",
			  len);
		return EXIT_INVALID;
	}
	key->len = len / 2;
	for (size_t i = 0; i < key->len; i++)
		key->data[i] = (uint8_t)(g_ascii_xdigit_value(t.s[2 * i]) << 4 |
					 g_ascii_xdigit_value(t.s[2 * i + 1]));
	return EXIT_OK;
}

enum exit_code source_new(const options *o, interchange *ic)
{
	size_t len;
	enum exit_code r;

	interchange_wipe(ic);
	ic->version = 1;
	ic->hash = o->hmac < 0 ? PSK_HASH_SHA256 : (enum psk_hash)o->hmac;
	len = psk_hash_size(ic->hash);
	if (len && o->length > 0 && (size_t)o->length != len) {
		log_error("--hmac %d (%s) makes keys of %zu bytes, not %d; --length is for --hmac 0",
			  (int)ic->hash, psk_hash_name(ic->hash), len, o->length);
		return EXIT_USAGE;
	}
	if (o->secret) {
		r = read_secret(o->secret, &ic->key);
		if (r != EXIT_OK)
			return r;
		if (!len)
			len = o->length > 0 ? (size_t)o->length : ic->key.len;
		if (ic->key.len != len) {
			log_error("the secret has %zu bytes, where %zu belong%s", ic->key.len, len,
				  o->hmac < 0 ? "; 48 go with --hmac 2" : "");
			return EXIT_INVALID;
		}
		return EXIT_OK;
	}
	ic->key.len = len ? len : o->length > 0 ? (size_t)o->length : 32;
	if (gnutls_rnd(GNUTLS_RND_KEY, ic->key.data, ic->key.len) < 0) {
		log_error("GnuTLS has no random bytes for a key");
		return EXIT_FAILED;
	}
	return EXIT_OK;
}
