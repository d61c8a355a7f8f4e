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
#include "nvme-tls/output.h"

/* What a file, standard input or the command line has said. */
typedef struct text {
	char *s;
	size_t len, size;
	bool of_file; /* not of standard input, nor of the command line */
} text;

static inline void text_wipe(text *t)
{
	if (t->s)
		explicit_bzero(t->s, t->size);
	g_free(t->s);
	memset(t, 0, sizeof(*t));
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(text, text_wipe)

static void text_set(text *t, const char *value)
{
	t->len = strlen(value);
	t->size = t->len + 1;
	t->s = g_strdup(value);
}

static void text_grow(text *t)
{
	size_t size = t->size ? 2 * t->size : 4096;
	char *s = g_malloc(size);

	/* No realloc(), which leaves a copy behind that nobody wipes. */
	memcpy(s, t->s ? t->s : "", t->len);
	if (t->s)
		explicit_bzero(t->s, t->size);
	g_free(t->s);
	t->s = s;
	t->size = size;
}

static int read_text(int fd, text *t)
{
	for (;;) {
		ssize_t n;

		if (t->len + 1 >= t->size)
			text_grow(t);
		n = read(fd, t->s + t->len, t->size - t->len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		t->len += (size_t)n;
		if (t->len > KEYFILE_MAX)
			return -EFBIG;
	}
	t->s[t->len] = '\0';
	return 0;
}

static enum exit_code text_of_file(const char *path, const char *what, text *t)
{
	bool input = !path;
	int fd = input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), r;
	g_autofree char *clean = NULL;

	if (input && isatty(fd))
		log_info("reading %s from standard input; end with Ctrl-D", what);
	r = fd < 0 ? -errno : read_text(fd, t);
	if (!input && fd >= 0)
		close(fd);
	t->of_file = !input;
	if (r == 0)
		return EXIT_OK;
	clean = output_clean(input ? "standard input" : path);
	log_error("cannot read %s from %s: %s", what, clean,
		  r == -EFBIG ? "it is longer than any key file" : g_strerror(-r));
	return EXIT_FAILED;
}

/*
 * The text that @value means: NULL and "-" standard input, a file that exists what is in it,
 * anything that may be meant for the thing itself that. No message repeats the name of a file that
 * does not exist, for that may be a key with a typing error in it.
 */
static enum exit_code text_of(const char *value, const char *what, bool (*is_literal)(const char *),
			      text *t)
{
	if (!value || strcmp(value, "-") == 0)
		return text_of_file(NULL, what, t);
	if (access(value, F_OK) == 0)
		return text_of_file(value, what, t);
	if (!is_literal(value)) {
		log_error("cannot read %s: %s (the name of the file is not repeated here: it may be a mistyped key)",
			  what, g_strerror(errno));
		return EXIT_FAILED;
	}
	text_set(t, value);
	return EXIT_OK;
}

static void warn_of_command_line(void)
{
	log_warning("warning: a key on the command line can be seen by every user in the process list, and the shell keeps it in its history: give a file, or - for standard input");
}

enum exit_code source_invalid(const char *why)
{
	log_error("the key is not valid: %s", why);
	return EXIT_INVALID;
}

static bool is_key_like(const char *value)
{
	value += strspn(value, " \t");
	return g_ascii_strncasecmp(value, "NVMeTLSkey", 10) == 0 ||
	       g_ascii_strncasecmp(value, "DHHC-", 5) == 0;
}

/* Whether a line is an identity and a key. */
static bool is_pair(const char *line)
{
	const char *key = strstr(line, "NVMeTLSkey-");

	return key && key > line && g_ascii_isspace(key[-1]) && *line != '#';
}

/* Go through the lines of a text, which become strings; blank ones and comments are left out. */
static char *next_line(char **rest)
{
	while (*rest) {
		char *line = *rest, *end = strchr(line, '\n');

		*rest = end ? end + 1 : NULL;
		if (end)
			*end = '\0';
		g_strstrip(line);
		if (*line && *line != '#')
			return line;
	}
	return NULL;
}

static bool has_pairs(const text *t)
{
	g_auto(text) copy = {0};
	char *rest, *line;

	text_set(&copy, t->s);
	rest = copy.s;
	while ((line = next_line(&rest)))
		if (is_pair(line))
			return true;
	return false;
}

static enum exit_code parse_key(text *t, bool derived, interchange *ic, char **why)
{
	char *rest = t->s, *key, *line;
	bool more = false;

	if (strlen(t->s) < t->len) {
		*why = g_strdup("there is a NUL byte in it");
		return EXIT_INVALID;
	}
	key = next_line(&rest);
	if (!key) {
		*why = g_strdup(t->of_file ? "the file is empty" : "standard input is empty");
		return EXIT_INVALID;
	}
	/* What gen and rotate print below it, its identity and serial, makes it no other key. */
	while ((line = next_line(&rest)))
		more |= strstr(line, "NVMeTLSkey-") != NULL;
	if (more || strpbrk(key, " \t\r")) {
		*why = g_strdup("there is more than one word in its first line, or more than one key; a file of identities and keys is for nvme-tls import");
		return EXIT_INVALID;
	}
	if (g_ascii_strncasecmp(key, "DHHC-", 5) == 0) {
		*why = g_strdup("it is a secret for DH-HMAC-CHAP, which authenticates without TLS: nvme check-dhchap-key checks these");
		return EXIT_INVALID;
	}
	if (interchange_parse(key, ic, why) < 0)
		return EXIT_INVALID;
	if (ic->version != 1 && !derived) {
		interchange_wipe(ic);
		*why = g_strdup("format version 0 is none of a configured PSK: nvme-cli writes it for keys that are derived already, which nvme-tls import takes");
		return EXIT_INVALID;
	}
	return EXIT_OK;
}

enum exit_code source_key_or_file(const char *value, bool derived, interchange *ic, keyfile **kf,
				  char **why)
{
	g_auto(text) t = {0};
	enum exit_code r = text_of(value, "a key in interchange format", is_key_like, &t);

	if (r != EXIT_OK)
		return r;
	if (kf && has_pairs(&t)) {
		/* Under the lock, and with what a crash has left of it. */
		if (t.of_file && keyfile_read(value, kf) == 0)
			return EXIT_OK;
		*kf = keyfile_parse(t.s, t.len);
		return EXIT_OK;
	}
	if (value && !t.of_file && strcmp(value, "-") != 0)
		warn_of_command_line();
	return parse_key(&t, derived, ic, why);
}

enum exit_code source_key(const char *value, bool derived, interchange *ic, char **why)
{
	return source_key_or_file(value, derived, ic, NULL, why);
}

static bool is_hex(const char *s)
{
	return *s && strspn(s, "0123456789abcdefABCDEF") == strlen(s);
}

/* Digits, and what people write before them. */
static bool is_secret_like(const char *value)
{
	return is_hex(value) || g_ascii_strncasecmp(value, "0x", 2) == 0;
}

static enum exit_code read_secret(const char *value, secret *key)
{
	g_auto(text) t = {0};
	size_t len;
	enum exit_code r = text_of(value, "a secret in hex digits", is_secret_like, &t);

	if (r != EXIT_OK)
		return r;
	if (!t.of_file && strcmp(value, "-") != 0)
		warn_of_command_line();
	if (strlen(t.s) < t.len) {
		log_error("the secret is not valid: it has a NUL byte in it; --secret takes hex digits");
		return EXIT_INVALID;
	}
	g_strstrip(t.s);
	if (g_ascii_strncasecmp(t.s, "0x", 2) == 0) {
		log_error("the secret is not valid: it is hex digits alone, without the 0x");
		return EXIT_INVALID;
	}
	len = strlen(t.s);
	if (!is_hex(t.s)) {
		log_error(len ? "the secret is not valid: it has something else than hex digits"
			      : "the secret is not valid: it is empty");
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
