// SPDX-License-Identifier: GPL-2.0-or-later
/* A rotation in three steps, so that host and target need not change at one moment. */
#include "nvme-tls/handover.h"

#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "nvme-tls/aside.h"
#include "nvme-tls/change.h"
#include "nvme-tls/controllers.h"
#include "nvme-tls/output.h"
#include "nvme-tls/pair.h"
#include "nvme-tls/place.h"
#include "nvme-tls/source.h"

/*
 * What there is of the pair, and what is to become of it.
 * @rows: all of the keyring
 * @own: those of the pair that can be used, or are aside
 * @new: the row of the new key where that is loaded
 * @identity, @psk, @serial: the new key
 */
struct handover {
	options *o;
	struct ring ring;
	char *path;
	change *change;
	GPtrArray *rows;
	GPtrArray *own;
	GPtrArray *controllers;
	bool is_host, is_target;
	const key_row *new;
	char *identity;
	secret psk;
	key_serial serial;
};
typedef struct handover handover;

static void handover_clear(handover *h)
{
	change_free(h->change);
	g_clear_pointer(&h->rows, g_ptr_array_unref);
	g_clear_pointer(&h->own, g_ptr_array_unref);
	g_clear_pointer(&h->controllers, g_ptr_array_unref);
	g_free(h->path);
	g_free(h->identity);
	secret_wipe(&h->psk);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(handover, handover_clear)

static bool in_keyring(const key_row *row)
{
	return row->phase != PHASE_ASIDE;
}

static bool is_old(const key_row *row)
{
	return row->phase == PHASE_OLD || row->phase == PHASE_ASIDE;
}

/* Whether the keyring itself has keys of the pair that are no old ones, or that are. */
static guint count(const handover *h, bool old)
{
	guint n = 0;

	for (guint i = 0; i < h->own->len; i++) {
		const key_row *row = g_ptr_array_index(h->own, i);

		n += in_keyring(row) && is_old(row) == old;
	}
	return n;
}

/*
 * Which side of the pair this machine is. A host has a controller of the pair, or the pair has its
 * name; a target has the subsystem. A machine can look like both, or like neither.
 */
static void find_side(handover *h)
{
	g_autofree char *hostnqn = NULL;

	h->controllers = controllers_read(SYSFS);
	for (guint i = 0; i < h->controllers->len; i++)
		h->is_host |= controller_of_pair(g_ptr_array_index(h->controllers, i),
						 h->o->hostnqn, h->o->subsysnqn);
	h->is_target = controllers_has_target(SYSFS, h->o->subsysnqn);
	if (!h->is_target && g_file_get_contents(HOSTNQN_FILE, &hostnqn, NULL, NULL))
		h->is_host |= strcmp(g_strstrip(hostnqn), h->o->hostnqn) == 0;
}

/* The steps have this in common: everything that is to be looked at and locked. */
static enum exit_code begin_step(handover *h, bool create)
{
	enum exit_code r = ring_open(h->o, &h->ring);
	g_autofree char *where = g_strdup_printf("keyring %s", h->o->keyring);

	if (r != EXIT_OK)
		return r;
	h->path = pair_keyfile_path(h->o);
	h->change = change_open(&h->ring, h->path, create);
	if (!h->change)
		return EXIT_FAILED;
	find_side(h);
	h->rows = ring_rows(&h->ring);
	if (!h->rows)
		return EXIT_FAILED;
	h->own = pair_find_keys(h->o, h->rows, where);
	return h->own ? EXIT_OK : EXIT_MISSING;
}

/* The two keys have one name, which a keyring has once. */
static enum exit_code refuse_same_identity(const handover *h, key_serial old)
{
	g_autofree char *clean = output_clean(h->identity);

	log_error("both keys would be \"%s\", and " SERIAL
		  " is the one that is loaded: a keyring has one key of a name, so the target cannot accept both for a while. With --identity 1 each key has a name of its own; in version 0 another hash gives another name (--hmac 2 where both sides have GnuTLS 3.8.11). Else rotate both sides without steps: a connection that is made anew between the two is refused",
		  clean, (unsigned int)old);
	return EXIT_DIFFERENT;
}

/* Derive the new key, and see whether it is loaded. */
static enum exit_code find_new(handover *h, const interchange *configured)
{
	enum exit_code r = place_derive(h->o, configured, &h->identity, &h->psk);

	if (r != EXIT_OK)
		return r;
	for (guint i = 0; i < h->own->len; i++) {
		const key_row *row = g_ptr_array_index(h->own, i);
		g_auto(secret) loaded = SECRET_INIT;

		if (!in_keyring(row) || strcmp(row->identity, h->identity) != 0)
			continue;
		if (key_read_psk(row->serial, &loaded) < 0 || !secret_equal(&loaded, &h->psk))
			return refuse_same_identity(h, row->serial);
		h->new = row;
		h->serial = row->serial;
	}
	return EXIT_OK;
}

/* Without --keydata the new key is the one that a step before has left as no old one. */
static enum exit_code find_staged(handover *h, const char *step)
{
	guint fresh = count(h, false);

	for (guint i = 0; i < h->own->len; i++) {
		const key_row *row = g_ptr_array_index(h->own, i);

		if (in_keyring(row) && !is_old(row))
			h->new = row;
	}
	if (fresh != 1) {
		log_error(fresh ? "rotate --%s: the pair has %u keys, and which of them is the new one is not known: give its configured PSK by --keydata"
				: "rotate --%s: the pair has no new key (%u): give its configured PSK by --keydata",
			  step, fresh);
		return EXIT_MISSING;
	}
	h->identity = g_strdup(h->new->identity);
	h->serial = h->new->serial;
	if (key_read_psk(h->serial, &h->psk) < 0) {
		log_error("rotate --%s: key " SERIAL " cannot be read", step,
			  (unsigned int)h->serial);
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

/* Make all other keys of the pair old ones, and the new one not. */
static enum exit_code mark_others(handover *h)
{
	for (guint i = 0; i < h->own->len; i++) {
		const key_row *row = g_ptr_array_index(h->own, i);
		bool other = strcmp(row->identity, h->identity) != 0;

		if (other != is_old(row) && change_mark(h->change, row->serial, other) != EXIT_OK)
			return EXIT_FAILED;
	}
	return EXIT_OK;
}

static enum exit_code put_new(handover *h)
{
	enum exit_code r = EXIT_OK;

	if (!h->new) {
		ring_warn_of_hash(h->identity);
		r = change_put(h->change, h->identity, &h->psk, 0, &h->serial);
	}
	change_expire(h->change, h->serial, h->o->expires);
	return r;
}

/* The serials of the old keys, as text and as JSON. */
static char *old_serials(const handover *h, struct json_object *list)
{
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < h->own->len; i++) {
		const key_row *row = g_ptr_array_index(h->own, i);

		if (row->serial == h->serial || strcmp(row->identity, h->identity) == 0)
			continue;
		g_string_append_printf(text, "%s" SERIAL, text->len ? ", " : "",
				       (unsigned int)row->serial);
		json_object_array_add(list, json_object_new_int(row->serial));
	}
	return g_string_free(text, FALSE);
}

/*
 * @step: "stage"; @done: what the step has brought about, with a place for the new serial and one for
 * the old ones; @configured: the PSK that nobody has seen yet, or NULL
 */
static void print_step(const handover *h, const char *step, bool changed, const char *done,
		       const interchange *configured)
{
	struct json_object *list = json_object_new_array();
	g_autofree char *old = old_serials(h, list);
	g_auto(interchange_text) text = {0};

	if (configured)
		interchange_format(configured->hash, &configured->key, &text);
	if (h->o->json) {
		struct json_object *out = json_object_new_object();

		json_add_string(out, "step", step);
		json_object_object_add(out, "changed", json_object_new_boolean(changed));
		if (configured)
			json_add_string(out, "configured_psk", text.s);
		json_add_string(out, "identity", h->identity);
		json_add_serial(out, h->serial);
		json_object_object_add(out, "old", list);
		json_add_string(out, "keyfile", h->path);
		json_print(out);
		return;
	}
	if (configured)
		puts(text.s);
	if (!h->o->quiet) {
		g_autofree char *clean = output_clean(h->identity);
		g_autofree char *new = g_strdup_printf(SERIAL, (unsigned int)h->serial);

		puts(clean);
		if (*old)
			printf("%s%s %s %s\n", changed ? "" : "already done: ", new, done, old);
		else
			printf("%s is the only key of the pair\n", new);
	}
	json_object_put(list);
}

static enum exit_code do_stage(handover *h, interchange *configured)
{
	bool given = configured->key.len, changed;
	enum exit_code r = begin_step(h, true);

	if (r != EXIT_OK)
		return r;
	if (h->is_host && !h->is_target && !h->o->force) {
		log_error("this machine is the host of the pair, whose kernel would take one of the two keys by chance: run rotate --stage on the target, then rotate --switch here (--force stages all the same)");
		return EXIT_FAILED;
	}
	if (!given && count(h, true) && count(h, false)) {
		log_error("a new key is staged for this pair already, whose configured PSK was printed then: give it by --keydata to see whether it is the one, or revoke it by its serial, which nvme-tls list shows");
		return EXIT_DIFFERENT;
	}
	if (!given)
		r = source_new(h->o, configured);
	if (r == EXIT_OK)
		r = find_new(h, configured);
	if (r != EXIT_OK)
		return r;
	changed = !h->new || is_old(h->new) || count(h, false) > 1;
	r = mark_others(h);
	if (r == EXIT_OK)
		r = put_new(h);
	if (r == EXIT_OK && h->path)
		store_set(change_keyfile(h->change), h->identity, &h->psk);
	if (r == EXIT_OK)
		r = change_prepare(h->change);
	if (r != EXIT_OK)
		return r;
	print_step(h, "stage", changed, "is accepted beside", given ? NULL : configured);
	return change_commit(h->change);
}

/* What becomes of connections that have an old key. */
static void tell_users(const handover *h)
{
	for (guint i = 0; i < h->controllers->len; i++) {
		const controller *c = g_ptr_array_index(h->controllers, i);
		g_autofree char *text = controller_describe(c);

		for (guint k = 0; k < h->own->len; k++) {
			const key_row *row = g_ptr_array_index(h->own, k);

			if (row->serial == h->serial || !controller_uses(c, row->serial))
				continue;
			if (c->configured == row->serial)
				log_warning("warning: %s was given key " SERIAL
					    " by --tls_key and takes no other: disconnect it, and connect it with the new one, before rotate --finish",
					    text, (unsigned int)row->serial);
			else
				log_info("%s goes on with key " SERIAL
					 " and takes the new one when it connects again",
					 text, (unsigned int)row->serial);
		}
	}
}

static enum exit_code do_switch(handover *h, const interchange *configured)
{
	bool changed;
	enum exit_code r = begin_step(h, true);

	if (r != EXIT_OK)
		return r;
	if (h->is_target && !h->is_host && !h->o->force) {
		log_error("this machine is the target of the pair, which has to accept the old key until the host has switched: run rotate --switch on the host, then rotate --finish here (--force switches all the same)");
		return EXIT_FAILED;
	}
	r = configured->key.len ? find_new(h, configured) : find_staged(h, "switch");
	if (r != EXIT_OK)
		return r;
	changed = !h->new || is_old(h->new) || count(h, false) + count(h, true) > 1;
	r = mark_others(h);
	if (r == EXIT_OK)
		r = put_new(h);
	for (guint i = 0; r == EXIT_OK && i < h->own->len; i++) {
		const key_row *row = g_ptr_array_index(h->own, i);

		if (in_keyring(row) && row->serial != h->serial)
			r = change_retire(h->change, row->serial);
	}
	if (r == EXIT_OK && h->path)
		pair_update_keyfile(change_keyfile(h->change), h->o, h->identity, &h->psk);
	if (r == EXIT_OK)
		r = change_prepare(h->change);
	if (r != EXIT_OK)
		return r;
	tell_users(h);
	print_step(h, "switch", changed, "is what the host takes from now on, in the place of",
		   NULL);
	return change_commit(h->change);
}

/* Whether a connection would be lost with its old key. */
static enum exit_code check_users(const handover *h)
{
	for (guint i = 0; i < h->own->len; i++) {
		const key_row *row = g_ptr_array_index(h->own, i);

		if (row->serial == h->serial)
			continue;
		if (in_keyring(row) && h->is_host && !h->is_target) {
			log_error("the host still takes " SERIAL
				  ": run rotate --switch first (--force lets it end all the same)",
				  (unsigned int)row->serial);
			return EXIT_FAILED;
		}
		for (guint k = 0; k < h->controllers->len; k++) {
			const controller *c = g_ptr_array_index(h->controllers, k);
			g_autofree char *text = controller_describe(c);

			if (c->configured != row->serial)
				continue;
			log_error("%s was given key " SERIAL
				  " by --tls_key and could not connect again: disconnect it, and connect it with " SERIAL
				  " first (--force lets the key end all the same)",
				  text, (unsigned int)row->serial, (unsigned int)h->serial);
			return EXIT_FAILED;
		}
	}
	return EXIT_OK;
}

/* A key that ends within seconds already is left to it: repeating the step does not put it off. */
static bool ends_soon(const key_row *row)
{
	return g_str_has_suffix(row->status.expiry, "s") &&
	       g_ascii_strtoull(row->status.expiry, NULL, 10) <= ASIDE_SECONDS;
}

static enum exit_code do_finish(handover *h, const interchange *configured)
{
	bool changed = false;
	enum exit_code r = begin_step(h, false);

	if (r == EXIT_OK)
		r = configured->key.len ? find_new(h, configured) : find_staged(h, "finish");
	if (r == EXIT_OK && !h->new) {
		g_autofree char *clean = output_clean(h->identity);

		log_error("keyring %s has no key \"%s\": rotate --stage (on the target) or --switch (on the host) puts it there",
			  h->ring.name, clean);
		return EXIT_MISSING;
	}
	if (r == EXIT_OK && !h->o->force)
		r = check_users(h);
	if (r == EXIT_OK)
		r = mark_others(h);
	if (r != EXIT_OK)
		return r;
	for (guint i = 0; i < h->own->len; i++) {
		const key_row *row = g_ptr_array_index(h->own, i);

		if (row->serial == h->serial || ends_soon(row))
			continue;
		change_expire(h->change, row->serial, ASIDE_SECONDS);
		changed = true;
	}
	if (h->path)
		pair_update_keyfile(change_keyfile(h->change), h->o, h->identity, &h->psk);
	r = change_prepare(h->change);
	if (r != EXIT_OK)
		return r;
	print_step(h, "finish", changed,
		   "is the key of the pair; within 20 seconds, when no handshake can still need it, this one ends:",
		   NULL);
	r = change_commit(h->change);
	aside_tidy(h->ring.serial);
	return r;
}

enum exit_code handover_run(options *o, interchange *configured)
{
	g_auto(handover) h = {.o = o};

	if (o->stage + o->change_over + o->finish > 1) {
		log_error("rotate: --stage, --switch and --finish are three steps: give one at a time");
		return EXIT_USAGE;
	}
	if (!o->stage && (o->secret || o->hmac >= 0 || o->length >= 0)) {
		log_error("rotate: --secret, --hmac and --length make a new key, which is done by --stage: give its configured PSK by --keydata here");
		return EXIT_USAGE;
	}
	if (o->stage)
		return do_stage(&h, configured);
	return o->change_over ? do_switch(&h, configured) : do_finish(&h, configured);
}
