/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What nvme-tls doctor has found: findings, and what the checks have in common. */
#pragma once

#include <glib.h>

#include "common/recording.h"
#include "nvme-tls/doctor-system.h"
#include "nvme-tls/options.h"
#include "nvme-tls/ring.h"

/** enum doctor_level - how bad a finding is. */
enum doctor_level { LEVEL_OK, LEVEL_WARNING, LEVEL_FAULT };

/* The sides of a connection that a check is about, as bits. */
enum { DOCTOR_HOST = 1, DOCTOR_TARGET = 2, DOCTOR_BOTH = 3 };

/* Of a kind of findings no more are listed: ten thousand keys can have the same trouble. */
#define DOCTOR_LISTED_MAX 10

/**
 * struct doctor_finding - what a check has found.
 * @check: the name of the check, static
 * @level: how bad it is
 * @subject: what it is about: a unit, a key, a port; owned
 * @cause: a sentence; owned
 * @remedy: the command that mends it; NULL where nothing is to be mended; owned
 */
typedef struct doctor_finding {
	const char *check;
	enum doctor_level level;
	char *subject;
	char *cause;
	char *remedy;
} doctor_finding;

/**
 * struct doctor - the machine that is looked at, and what has been found.
 * @system: where facts come from
 * @o: the command line
 * @sides: the sides that this machine is on
 * @check: the check that is running, static
 * @findings: of doctor_finding
 * @daemons: of doctor_process
 * @ring: the keyring; its serial is a negative errno where there is none
 * @rows: the keys, of struct key_row; empty where there is no keyring
 * @recording: of the daemon's handshakes; NULL where there is none
 */
struct doctor {
	const struct doctor_system *system;
	options *o;
	unsigned int sides;
	const char *check;
	GPtrArray *findings;
	GPtrArray *daemons;
	struct ring ring;
	GPtrArray *rows;
	recording *recording;
};

void doctor_finding_free(doctor_finding *f);

/** doctor_ok() - the check has found nothing wrong with @subject. */
void doctor_ok(struct doctor *d, const char *subject, const char *format, ...) G_GNUC_PRINTF(3, 4);

/**
 * doctor_warning() - something may fail, now or later.
 *
 * Return: the finding, for doctor_mend().
 */
doctor_finding *doctor_warning(struct doctor *d, const char *subject, const char *format, ...)
	G_GNUC_PRINTF(3, 4);

/** doctor_fault() - something fails. Return: the finding, for doctor_mend(). */
doctor_finding *doctor_fault(struct doctor *d, const char *subject, const char *format, ...)
	G_GNUC_PRINTF(3, 4);

/**
 * doctor_mend() - the command that mends a finding.
 *
 * It is copied into a root shell, so names that come from elsewhere go through doctor_pair_options().
 */
void doctor_mend(doctor_finding *f, const char *format, ...) G_GNUC_PRINTF(2, 3);

/**
 * doctor_pair_options() - the options that name a pair, quoted for the shell.
 *
 * Return: "--hostnqn=nqn.h --subsysnqn=nqn.s", to be freed by g_free().
 */
char *doctor_pair_options(const char *hostnqn, const char *subsysnqn);

/** doctor_worst() - the worst level found. */
enum doctor_level doctor_worst(const struct doctor *d);

/** doctor_level_name() - "ok", "warning" or "fault", static. */
const char *doctor_level_name(enum doctor_level level);
