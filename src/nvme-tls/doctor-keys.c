// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls doctor, the keyring: is it there, are its keys usable, and which would the kernel's host take. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "nvme-tls/doctor-checks.h"
#include "nvme-tls/output.h"

void doctor_keys_keyring(struct doctor *d)
{
	const char *name = d->o->keyring;
	int r = d->ring.serial;

	if (r > 0)
		doctor_ok(d, name, "the keyring %s is there and has %u key%s", name, d->rows->len,
			  d->rows->len == 1 ? "" : "s");
	else if (r == -ENOENT && getuid() != 0)
		doctor_mend(doctor_warning(d, name,
					   "keyring %s not found among those that this user may see",
					   name),
			    "run nvme-tls doctor as root");
	else if (r == -ENOENT && strcmp(name, ".nvme") == 0)
		doctor_mend(doctor_fault(d, name,
					 "keyring .nvme not found: its module is not loaded, so there is no key"),
			    "modprobe %s && nvme-tls import --boot",
			    d->sides & DOCTOR_HOST ? "nvme-tcp" : "nvmet-tcp");
	else
		doctor_mend(doctor_fault(d, name, "keyring %s: %s", name, keyring_find_strerror(r)),
			    "cat /proc/keys, to see which keyrings there are");
}

/* The pair and the serial of a key, for people. */
static char *name_row(const key_row *row)
{
	return g_strdup_printf("key " SERIAL " (%s)", (unsigned int)row->serial, row->identity);
}

static void mend_ended(doctor_finding *f, const key_row *row)
{
	g_autofree char *pair = row->id.hostnqn
					? doctor_pair_options(row->id.hostnqn, row->id.subsysnqn)
					: g_strdup("");

	doctor_mend(f, "nvme-tls insert %s PSKFILE", pair);
}

/* Whether the row's pair, or the identity of one that is malformed, has a usable key besides. */
static bool is_replaced(const struct doctor *d, const key_row *row)
{
	for (guint i = 0; row->id.hostnqn && i < d->rows->len; i++) {
		const key_row *other = g_ptr_array_index(d->rows, i);

		if (other != row && key_row_usable(other) &&
		    key_row_of_pair(other, row->id.hostnqn, row->id.subsysnqn))
			return true;
	}
	return false;
}

static void tell(struct doctor *d, const key_row *row, const key_problem *problem)
{
	g_autofree char *name = name_row(row);
	doctor_finding *f;

	switch (problem->kind) {
	case PROBLEM_ENDED:
	case PROBLEM_LENGTH:
		f = doctor_fault(d, name, "%s: %s", name, problem->text);
		mend_ended(f, row);
		break;
	case PROBLEM_MALFORMED:
		f = doctor_warning(d, name, "%s: %s", name, problem->text);
		doctor_mend(f, "nvme-tls revoke " SERIAL, (unsigned int)row->serial);
		break;
	case PROBLEM_UNREADABLE:
		f = doctor_fault(d, name, "%s: %s", name, problem->text);
		doctor_mend(f, "run nvme-tls doctor as root");
		break;
	case PROBLEM_NOT_CHOSEN:
		f = doctor_warning(d, name, "%s: %s", name, problem->text);
		doctor_mend(f, "nvme-tls revoke " SERIAL ", or nvme connect --tls_key=" SERIAL,
			    (unsigned int)row->serial, (unsigned int)row->serial);
		break;
	case PROBLEM_CHANCE:
		f = doctor_warning(d, name, "%s: %s", name, problem->text);
		doctor_mend(f,
			    "nvme-tls list, and nvme-tls revoke SERIAL of the keys that are old");
		break;
	case PROBLEM_SHADOWED:
		f = doctor_fault(d, name, "%s: %s", name, problem->text);
		doctor_mend(f, "nvme connect --tls_key=" SERIAL, (unsigned int)row->serial);
		break;
	case PROBLEM_NEARLY_SHADOWED:
		f = doctor_warning(d, name, "%s: %s", name, problem->text);
		doctor_mend(f, "nvme connect --tls_key=" SERIAL, (unsigned int)row->serial);
		break;
	case PROBLEM_SHA384: /* the check of GnuTLS says so once for all keys */
	case PROBLEM_DIFFERENCE:
		break;
	}
}

/* Whether a row has a problem of these kinds that is worth a word. */
static bool has_problem(const struct doctor *d, const key_row *row, unsigned int kinds)
{
	for (guint p = 0; p < row->problems->len; p++) {
		const key_problem *problem = g_ptr_array_index(row->problems, p);

		/* The kernel sweeps an ended key after some minutes; one that was replaced is no loss. */
		if (kinds & 1u << problem->kind &&
		    !(problem->kind == PROBLEM_ENDED && is_replaced(d, row)))
			return true;
	}
	return false;
}

/* Tells of the problems whose bits (1 << kind) @kinds has. Return: how many rows have one. */
static unsigned int tell_kinds(struct doctor *d, unsigned int kinds)
{
	unsigned int rows = 0;

	for (guint i = 0; i < d->rows->len; i++) {
		const key_row *row = g_ptr_array_index(d->rows, i);

		if (!has_problem(d, row, kinds) || ++rows > DOCTOR_LISTED_MAX)
			continue;
		for (guint p = 0; p < row->problems->len; p++) {
			const key_problem *problem = g_ptr_array_index(row->problems, p);

			if (kinds & 1u << problem->kind)
				tell(d, row, problem);
		}
	}
	if (rows > DOCTOR_LISTED_MAX)
		doctor_mend(doctor_warning(d, d->o->keyring, "%u more keys have such a problem",
					   rows - DOCTOR_LISTED_MAX),
			    "nvme-tls list");
	return rows;
}

void doctor_keys_usable(struct doctor *d)
{
	unsigned int kinds = 1u << PROBLEM_ENDED | 1u << PROBLEM_LENGTH | 1u << PROBLEM_MALFORMED |
			     1u << PROBLEM_UNREADABLE;

	if (!tell_kinds(d, kinds) && d->rows->len)
		doctor_ok(d, d->o->keyring, "every key can be used");
}

void doctor_keys_choice(struct doctor *d)
{
	if (!tell_kinds(d, 1u << PROBLEM_NOT_CHOSEN | 1u << PROBLEM_CHANCE) && d->rows->len)
		doctor_ok(d, d->o->keyring, "no pair of NQNs has more than one key to choose from");
}

void doctor_keys_prefix(struct doctor *d)
{
	if (!tell_kinds(d, 1u << PROBLEM_SHADOWED | 1u << PROBLEM_NEARLY_SHADOWED) && d->rows->len)
		doctor_ok(d, d->o->keyring,
			  "no key is taken for another one whose identity begins alike");
}
