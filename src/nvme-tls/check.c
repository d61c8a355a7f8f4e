// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls check: is a key valid, is it loaded, and in which way was it derived. */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "nvme-tls/origin.h"
#include "nvme-tls/output.h"
#include "nvme-tls/place.h"
#include "nvme-tls/source.h"

static const char *const state_words[] = {
	[RING_NONE] = "not loaded",
	[RING_SAME] = "loaded",
	[RING_DIFFERENT] = "another key is loaded under this identity",
	[RING_UNREADABLE] = "loaded, but cannot be read",
};

static const enum exit_code state_codes[] = {
	[RING_NONE] = EXIT_MISSING,
	[RING_SAME] = EXIT_OK,
	[RING_DIFFERENT] = EXIT_DIFFERENT,
	[RING_UNREADABLE] = EXIT_FAILED,
};

static void json_add_state(struct json_object *out, enum ring_state state, key_serial serial)
{
	json_object_object_add(out, "loaded", json_object_new_boolean(serial != 0));
	if (!serial)
		return;
	json_add_serial(out, serial);
	if (state != RING_UNREADABLE)
		json_object_object_add(out, "same", json_object_new_boolean(state == RING_SAME));
}

static void print_state(enum ring_state state, key_serial serial)
{
	fputs(state_words[state], stdout);
	if (serial)
		printf(", serial " SERIAL "%s", (unsigned int)serial,
		       state == RING_SAME ? ", the same bytes" : "");
	putchar('\n');
}

static void tell_unreadable(const struct ring *ring, key_serial serial, int err)
{
	g_autofree char *what = g_strdup_printf("cannot compare with key " SERIAL,
						(unsigned int)serial);

	ring_error(ring, what, err);
}

static enum ring_state compare(const char *identity, const secret *psk, key_serial *serial,
			       int *err, void *data)
{
	return ring_compare(data, identity, psk, serial, err);
}

/* A key that is derived already, under the identity it has. */
static enum exit_code check_derived(const options *o, const interchange *key,
				    struct json_object *out)
{
	struct ring ring;
	key_serial serial;
	enum ring_state state;
	enum exit_code r = place_fits(o->identity, &key->key);
	int err;

	if (r == EXIT_OK)
		r = ring_open(o, &ring);
	if (r != EXIT_OK)
		return r;
	state = ring_compare(&ring, o->identity, &key->key, &serial, &err);
	json_add_string(out, "identity", o->identity);
	json_add_state(out, state, serial);
	if (!o->json)
		print_state(state, serial);
	if (state == RING_UNREADABLE)
		tell_unreadable(&ring, serial, err);
	return state_codes[state];
}

/* The lines of a key file beside the keyring. */
static enum exit_code check_file(const options *o, const keyfile *kf)
{
	static const enum exit_code worst_first[] = {EXIT_FAILED, EXIT_INVALID, EXIT_DIFFERENT,
						     EXIT_MISSING};
	g_autoptr(GPtrArray) rows = NULL;
	g_autoptr(GHashTable) loaded = NULL;
	struct json_object *out, *keys, *problems;
	bool seen[EXIT_DIFFERENT + 1] = {false};
	unsigned int shown = 0;
	struct ring ring;

	if (ring_open(o, &ring) != EXIT_OK)
		return EXIT_FAILED;
	rows = ring_rows(&ring);
	if (!rows)
		return EXIT_FAILED;
	loaded = ring_index(rows);
	keys = json_object_new_array();
	problems = json_object_new_array();
	for (size_t i = 0; i < keyfile_lines(kf); i++) {
		g_auto(keyfile_entry) entry = {0};
		enum keyfile_kind kind = keyfile_line(kf, i, &entry);
		struct json_object *row = NULL;
		g_autofree char *clean = NULL;
		enum ring_state state;
		key_serial serial;
		int err;

		if (kind == KEYFILE_BLANK || kind == KEYFILE_CHAP ||
		    (o->identity && g_strcmp0(entry.identity, o->identity) != 0))
			continue;
		shown++;
		row = json_object_new_object();
		json_object_object_add(row, "line", json_object_new_int64((int64_t)i + 1));
		if (kind == KEYFILE_BAD) {
			clean = output_clean(entry.why);
			log_error("line %zu: %s", i + 1, clean);
			seen[EXIT_INVALID] = true;
			json_add_string(row, "problem", entry.why);
			json_object_array_add(problems, row);
			continue;
		}
		state = ring_compare_row(g_hash_table_lookup(loaded, entry.identity),
					 &entry.key.key, &serial, &err);
		seen[state_codes[state]] = true;
		json_add_string(row, "identity", entry.identity);
		json_add_state(row, state, serial);
		json_object_array_add(keys, row);
		clean = output_clean(entry.identity);
		if (!o->json) {
			puts(clean);
			print_state(state, serial);
		}
		if (state == RING_UNREADABLE)
			tell_unreadable(&ring, serial, err);
	}
	if (o->identity && !shown) {
		log_error("the key file has no line of that identity");
		seen[EXIT_MISSING] = true;
	}
	out = json_object_new_object();
	json_object_object_add(out, "valid", json_object_new_boolean(!seen[EXIT_INVALID]));
	json_object_object_add(out, "keys", keys);
	json_object_object_add(out, "problems", problems);
	if (o->json)
		json_print(out);
	else
		json_object_put(out);
	for (size_t i = 0; i < G_N_ELEMENTS(worst_first); i++)
		if (seen[worst_first[i]])
			return worst_first[i];
	return EXIT_OK;
}

/* What was asked for by --identity, --compat and the key's own hash. */
static bool is_asked(const options *o, const interchange *key, const origin *one)
{
	return (o->version < 0 || one->version == o->version) && one->hash == key->hash &&
	       one->derivations & 1u << o->derivation;
}

/* The one to tell of: of those asked for one that is loaded, else the one that gen would make. */
static const origin *pick_asked(const options *o, const interchange *key, GPtrArray *origins)
{
	const origin *picked = NULL;

	for (guint i = 0; i < origins->len; i++) {
		const origin *one = g_ptr_array_index(origins, i);

		if (is_asked(o, key, one) &&
		    (!picked || (one->state == RING_SAME && picked->state != RING_SAME)))
			picked = one;
	}
	return picked;
}

static void json_add_origin(struct json_object *out, const origin *one)
{
	struct json_object *eras = json_object_new_array();
	g_autofree char *users = origin_users(one);

	for (int d = 0; d < PSK_DERIVATIONS; d++)
		if (one->derivations & 1u << d)
			json_array_add_string(eras,
					      d == PSK_RFC8446
						      ? "RFC 8446"
						      : psk_derivation_era((enum psk_derivation)d));
	json_object_object_add(out, "version", json_object_new_int(one->version));
	json_object_object_add(out, "derivations", eras);
	json_add_string(out, "derived_by", users);
}

/* Who else derives like this: what the other side has to be. */
static void print_derivation(const origin *one)
{
	g_autofree char *users = origin_users(one), *option = origin_option(one);
	bool nvme_cli = one->derivations & 1u << PSK_COMPAT_2_11;

	if (!option)
		return;
	printf("derived as by %s: %s makes the same here\n", users, option);
	printf("the other side needs one of these%s, or nvme-tls with %s\n",
	       nvme_cli ? ", nvme-cli 2.16 or newer with --compat" : "", option);
}

static void print_origin(const interchange *key, const origin *one)
{
	puts(one->identity);
	print_state(one->state, one->serial);
	if (one->state != RING_SAME)
		return;
	if (one->hash != key->hash)
		printf("made of the same bytes with hash %02d (%s), where this configured PSK says %02d (%s)\n",
		       (int)one->hash, psk_hash_name(one->hash), (int)key->hash,
		       psk_hash_name(key->hash));
	print_derivation(one);
}

/*
 * Tell of every other way in which this key is loaded. Return: whether one of them, @asked or
 * another, is as it was asked for.
 */
static bool tell_loaded(const options *o, const interchange *key, GPtrArray *origins,
			const origin *asked, struct json_object *out)
{
	struct json_object *loaded = json_object_new_array();
	bool as_asked = false;

	for (guint i = 0; i < origins->len; i++) {
		const origin *one = g_ptr_array_index(origins, i);
		struct json_object *row;

		if (one->state != RING_SAME)
			continue;
		as_asked |= is_asked(o, key, one);
		row = json_object_new_object();
		json_add_string(row, "identity", one->identity);
		json_add_serial(row, one->serial);
		json_object_object_add(row, "hmac", json_object_new_int((int)one->hash));
		json_add_origin(row, one);
		json_object_array_add(loaded, row);
		if (one != asked && !o->json)
			print_origin(key, one);
	}
	json_object_object_add(out, "loaded_as", loaded);
	return as_asked;
}

static bool is_any_loaded(GPtrArray *origins)
{
	for (guint i = 0; i < origins->len; i++)
		if (((const origin *)g_ptr_array_index(origins, i))->state == RING_SAME)
			return true;
	return false;
}

static enum exit_code look_up(options *o, const interchange *key, struct json_object *out)
{
	g_autoptr(GPtrArray) origins = NULL;
	const origin *asked;
	struct ring ring;
	enum exit_code r = place_names(o);

	if (r == EXIT_OK)
		r = ring_open(o, &ring);
	if (r != EXIT_OK)
		return r;
	origins = origins_find(key, o->hostnqn, o->subsysnqn, compare, &ring);
	asked = pick_asked(o, key, origins);
	if (!asked)
		return place_too_long();
	json_add_string(out, "identity", asked->identity);
	json_add_origin(out, asked);
	json_add_state(out, asked->state, asked->serial);
	if (!o->json) {
		/* "Another key" would be wrong of this one. */
		if (asked->state == RING_SAME || !is_any_loaded(origins))
			print_origin(key, asked);
		else
			puts("not loaded as asked for, but in another way:");
	}
	if (asked->state == RING_UNREADABLE)
		tell_unreadable(&ring, asked->serial, asked->err);
	if (tell_loaded(o, key, origins, asked, out))
		return EXIT_OK;
	if (is_any_loaded(origins))
		return EXIT_DIFFERENT;
	/* To nvme-cli a valid key is all that is needed. */
	if (asked->state == RING_NONE && o->wording == WORDING_NVME_3)
		return EXIT_OK;
	return state_codes[asked->state];
}

/* nvme-cli 2 looks at no keyring: it prints the identity, which scripts take as it comes. */
static enum exit_code print_identity(options *o, const interchange *key, struct json_object *out)
{
	g_auto(secret) psk = SECRET_INIT;
	g_autofree char *identity = NULL;
	enum exit_code r = place_derive(o, key, &identity, &psk);

	if (r != EXIT_OK)
		return r;
	json_add_string(out, "identity", identity);
	if (!o->json)
		puts(identity);
	return EXIT_OK;
}

/*
 * An identity of version 1 has a digest of the configured PSK: one that a log shows, of the other
 * side say, tells how that side derives. Return: whether this PSK has that identity in any way.
 */
static bool check_digest(const options *o, const interchange *key, struct json_object *out,
			 enum exit_code *r)
{
	g_autoptr(GPtrArray) origins = NULL;
	g_auto(nvme_identity) id = {0};
	struct json_object *ways;
	struct ring ring;

	if (nvme_identity_split(o->identity, &id, NULL) < 0 || id.version == 0)
		return false;
	*r = ring_open(o, &ring);
	if (*r != EXIT_OK)
		return true;
	origins = origins_find(key, id.hostnqn, id.subsysnqn, compare, &ring);
	ways = json_object_new_array();
	for (guint i = 0; i < origins->len; i++) {
		const origin *one = g_ptr_array_index(origins, i);
		g_autofree char *users = origin_users(one), *option = origin_option(one);
		struct json_object *way;

		if (strcmp(one->identity, o->identity) != 0)
			continue;
		way = json_object_new_object();
		json_add_origin(way, one);
		json_add_state(way, one->state, one->serial);
		/* The eras that have this identity in common are told from one another by the key. */
		if (json_object_array_length(ways) == 0 || one->state == RING_SAME)
			*r = state_codes[one->state];
		json_object_array_add(ways, way);
		if (o->json)
			continue;
		printf("this configured PSK has the identity, derived as by %s%s%s\n", users,
		       option ? ": " : "", option ? option : "");
		print_state(one->state, one->serial);
	}
	if (json_object_array_length(ways) == 0) {
		json_object_put(ways);
		return false;
	}
	json_object_object_add(out, "derived_as", ways);
	return true;
}

static enum exit_code check_psk(options *o, const interchange *key, struct json_object *out)
{
	enum exit_code r = EXIT_OK;

	if (!o->json && o->wording == WORDING_NVME_3)
		printf("Configured PSK is valid (HMAC %d, length %zu)\n", (int)key->hash,
		       key->key.len);
	else if (!o->json && !(o->wording == WORDING_NVME_2 && o->subsysnqn))
		printf("Key is valid (HMAC %d, length %zu, CRC %08x)\n", (int)key->hash,
		       key->key.len, key->crc);
	json_object_object_add(out, "hmac", json_object_new_int((int)key->hash));
	json_object_object_add(out, "length", json_object_new_int((int)key->key.len));
	if (o->identity)
		return check_digest(o, key, out, &r) ? r : check_derived(o, key, out);
	if (o->subsysnqn)
		return o->wording == WORDING_NVME_2 ? print_identity(o, key, out)
						    : look_up(o, key, out);
	return EXIT_OK;
}

static bool makes_sense(const options *o, int argc)
{
	if (o->keyfile) {
		log_error("%s: --keyfile goes with --insert; a key file to check is an argument",
			  o->name);
		return false;
	}
	if (o->keydata && argc > 1) {
		log_error("%s: the key is given by --keydata and by an argument: leave out one",
			  o->name);
		return false;
	}
	if (o->identity && (o->hostnqn || o->subsysnqn || o->derivation)) {
		log_error("%s: with a whole identity the key is not derived: leave out --hostnqn, --subsysnqn and --compat",
			  o->name);
		return false;
	}
	return true;
}

enum exit_code cmd_check(int argc, char **argv)
{
	g_auto(options) o = OPTIONS_INIT;
	g_auto(interchange) key = {0};
	g_autoptr(keyfile) kf = NULL;
	g_autofree char *why = NULL;
	struct json_object *out;
	g_autofree char **copy = g_memdup2(argv, ((size_t)argc + 1) * sizeof(*argv));
	int copied = argc;
	enum exit_code r;

	if (!options_parse(&o, &argc, &argv))
		return EXIT_USAGE;
	if (o.insert) {
		copy[0] = o.wording == WORDING_NVME_2 ? (char[]){"check-tls-key --insert"}
						      : (char[]){"insert"};
		return cmd_insert(copied, copy);
	}
	if (!makes_sense(&o, argc))
		return EXIT_USAGE;
	r = source_key_or_file(o.keydata ? o.keydata : argv[1], o.identity != NULL, &key, &kf,
			       &why);
	if (r == EXIT_FAILED)
		return r;
	if (kf)
		return check_file(&o, kf);
	out = json_object_new_object();
	json_object_object_add(out, "valid", json_object_new_boolean(r == EXIT_OK));
	if (r == EXIT_OK) {
		r = check_psk(&o, &key, out);
	} else {
		json_add_string(out, "problem", why);
		source_invalid(why);
	}
	if (o.json)
		json_print(out);
	else
		json_object_put(out);
	return r;
}
