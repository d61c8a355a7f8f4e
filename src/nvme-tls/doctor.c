// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls doctor: why does a connection fail, found out by one check after the other. */
#include <stdio.h>
#include <string.h>

#include "common/keyfile.h"
#include "common/log.h"
#include "common/nearest.h"
#include "netlink/upcall.h"
#include "nvme-tls/columns.h"
#include "nvme-tls/doctor.h"
#include "nvme-tls/doctor-checks.h"
#include "nvme-tls/output.h"
#include "nvme-tls/place.h"

/* In the order in which one thing needs the other. */
static const struct {
	const char *name;
	unsigned int sides;
	void (*run)(struct doctor *d);
} checks[] = {
	{"handshake-family", DOCTOR_BOTH, doctor_kernel_family},
	{"nvme-tls-support", DOCTOR_BOTH, doctor_kernel_tls},
	{"nvme-tcp-module", DOCTOR_HOST, doctor_kernel_host_module},
	{"nvmet-tcp-module", DOCTOR_TARGET, doctor_kernel_target_module},
	{"tls-module", DOCTOR_BOTH, doctor_kernel_tls_module},
	{"daemon", DOCTOR_BOTH, doctor_daemon_serves},
	{"workers", DOCTOR_BOTH, doctor_daemon_workers},
	{"restarts", DOCTOR_BOTH, doctor_daemon_restarts},
	{"configuration", DOCTOR_BOTH, doctor_daemon_configuration},
	{"handshakes", DOCTOR_BOTH, doctor_record_failures},
	{"handshake-timeout", DOCTOR_BOTH, doctor_record_timeout},
	{"crypto-policy", DOCTOR_BOTH, doctor_policy_ciphers},
	{"sha384", DOCTOR_BOTH, doctor_policy_sha384},
	{"keyring", DOCTOR_BOTH, doctor_keys_keyring},
	{"usable-keys", DOCTOR_BOTH, doctor_keys_usable},
	{"pair-key", DOCTOR_BOTH, doctor_pairs_key},
	{"identity", DOCTOR_BOTH, doctor_pairs_identity},
	{"derivation", DOCTOR_BOTH, doctor_pairs_derivation},
	{"key-choice", DOCTOR_HOST, doctor_keys_choice},
	{"key-prefix", DOCTOR_HOST, doctor_keys_prefix},
	{"port-tls", DOCTOR_TARGET, doctor_target_tls},
	{"port-plain-text", DOCTOR_TARGET, doctor_target_plain},
	{"key-file", DOCTOR_BOTH, doctor_boot_keyfile},
	{"boot-unit", DOCTOR_BOTH, doctor_boot_unit},
	{"udev-rule", DOCTOR_BOTH, doctor_boot_rule},
	{"certificates", DOCTOR_BOTH, doctor_x509_certificates},
	{"signer", DOCTOR_BOTH, doctor_x509_signer},
	{"clock", DOCTOR_BOTH, doctor_x509_clock},
	{"connect", DOCTOR_BOTH, doctor_connect},
};

const char *doctor_check_name(size_t n)
{
	return n < G_N_ELEMENTS(checks) ? checks[n].name : NULL;
}

/* ---- which sides this machine is on ---- */

/* A line of the key file with this machine's host NQN is a host's, any other one a target's. */
static unsigned int sides_of_keyfile(const struct doctor_system *s)
{
	g_autofree char *path = doctor_system_path(s, KEYFILE_DEFAULT);
	g_autofree char *own = doctor_system_read(s, HOSTNQN_FILE);
	g_autoptr(keyfile) kf = NULL;
	unsigned int sides = 0;

	if (keyfile_read(path, &kf) < 0)
		return 0;
	for (size_t i = 0; i < keyfile_lines(kf) && sides != DOCTOR_BOTH; i++) {
		g_auto(keyfile_entry) entry = {0};
		g_auto(nvme_identity) id = {0};

		if (keyfile_line(kf, i, &entry) == KEYFILE_ENTRY &&
		    nvme_identity_split(entry.identity, &id, NULL) == 0)
			sides |= g_strcmp0(own, id.hostnqn) == 0 ? DOCTOR_HOST : DOCTOR_TARGET;
	}
	return sides;
}

static unsigned int find_sides(const struct doctor_system *s, const options *o)
{
	unsigned int sides = (o->host || o->connect ? DOCTOR_HOST : 0) |
			     (o->target ? DOCTOR_TARGET : 0);
	g_autoptr(GPtrArray) ports = NULL;

	if (sides)
		return sides;
	ports = doctor_system_list(s, "/sys/kernel/config/nvmet/ports");
	if (doctor_system_has(s, "/sys/module/nvme_tcp") ||
	    doctor_system_has(s, "/etc/nvme/config.json") ||
	    doctor_system_has(s, "/etc/nvme/discovery.conf"))
		sides |= DOCTOR_HOST;
	if (doctor_system_has(s, "/sys/module/nvmet_tcp") || ports->len)
		sides |= DOCTOR_TARGET;
	sides |= sides_of_keyfile(s);
	return sides ? sides : DOCTOR_BOTH;
}

static const char *sides_text(unsigned int sides)
{
	return sides == DOCTOR_BOTH ? "host and target" : sides == DOCTOR_HOST ? "host" : "target";
}

/* ---- what is printed ---- */

static void print_finding(const doctor_finding *f)
{
	static const enum colour colours[] = {COLOUR_GOOD, COLOUR_HEAD, COLOUR_BAD};
	const char *level = doctor_level_name(f->level);
	g_autofree char *text = g_strdup_printf("%s: %s", f->check, f->cause);

	printf("%s%-8s%s", colour(colours[f->level]), level, colour(COLOUR_NONE));
	columns_wrap(text, 8, 8, COLUMNS_WIDTH, stdout);
	/* In one piece, to be copied. */
	if (f->remedy)
		printf("%8s-> %s\n", "", f->remedy);
}

static void print_text(const struct doctor *d)
{
	unsigned int count[LEVEL_FAULT + 1] = {0};

	for (guint i = 0; i < d->findings->len; i++) {
		const doctor_finding *f = g_ptr_array_index(d->findings, i);

		print_finding(f);
		count[f->level]++;
	}
	printf("%s: %u fault%s, %u warning%s, %u ok\n", sides_text(d->sides), count[LEVEL_FAULT],
	       count[LEVEL_FAULT] == 1 ? "" : "s", count[LEVEL_WARNING],
	       count[LEVEL_WARNING] == 1 ? "" : "s", count[LEVEL_OK]);
}

static void print_json(const struct doctor *d)
{
	struct json_object *out = json_object_new_object(), *sides = json_object_new_array();
	struct json_object *findings = json_object_new_array();

	if (d->sides & DOCTOR_HOST)
		json_array_add_string(sides, "host");
	if (d->sides & DOCTOR_TARGET)
		json_array_add_string(sides, "target");
	for (guint i = 0; i < d->findings->len; i++) {
		const doctor_finding *f = g_ptr_array_index(d->findings, i);
		struct json_object *row = json_object_new_object();

		json_add_string(row, "check", f->check);
		json_add_string(row, "level", doctor_level_name(f->level));
		json_add_string(row, "subject", f->subject);
		json_add_string(row, "cause", f->cause);
		json_add_string(row, "remedy", f->remedy);
		json_object_array_add(findings, row);
	}
	json_object_object_add(out, "sides", sides);
	json_add_string(out, "worst", doctor_level_name(doctor_worst(d)));
	json_object_object_add(out, "findings", findings);
	json_print(out);
}

/* ---- the command ---- */

/* "nvme connect" calls the subsystem's name --nqn, everything else here --subsysnqn. */
static bool take_nqn(options *o)
{
	if (o->nqn && o->subsysnqn) {
		log_error("doctor: -n and --nqn are the subsystem NQN, as in nvme connect, and so is --subsysnqn: leave out one; the host NQN is -q or --hostnqn");
		return false;
	}
	if (o->nqn)
		o->subsysnqn = g_steal_pointer(&o->nqn);
	return true;
}

/* A whole identity names the pair. */
static void take_identity(options *o)
{
	g_auto(nvme_identity) id = {0};

	if (!o->identity || o->subsysnqn || nvme_identity_split(o->identity, &id, NULL) < 0)
		return;
	g_free(o->hostnqn);
	o->hostnqn = g_steal_pointer(&id.hostnqn);
	o->subsysnqn = g_steal_pointer(&id.subsysnqn);
}

static enum exit_code take_options(options *o)
{
	if (!take_nqn(o))
		return EXIT_USAGE;
	take_identity(o);
	/* Other users see a command line. */
	if (o->keydata && g_str_has_prefix(o->keydata, "NVMeTLSkey-")) {
		log_error("doctor: --keydata takes a file, or - for standard input, and no key");
		return EXIT_USAGE;
	}
	if ((o->connect || o->keydata || o->hostnqn || o->version >= 0 || o->hmac >= 0 ||
	     o->identity) &&
	    !o->subsysnqn) {
		log_error("doctor: which pair of NQNs is this about? give --subsysnqn");
		return EXIT_USAGE;
	}
	return o->subsysnqn ? place_names(o) : EXIT_OK;
}

static bool is_check(const char *name)
{
	const char *known[G_N_ELEMENTS(checks) + 1] = {0}, *meant;

	for (size_t i = 0; i < G_N_ELEMENTS(checks); i++) {
		if (strcmp(checks[i].name, name) == 0)
			return true;
		known[i] = checks[i].name;
	}
	meant = options_is_name(name) ? nearest_word(name, known) : NULL;
	if (meant)
		log_error("doctor: there is no check \"%s\"; did you mean %s?", name, meant);
	else
		log_error("doctor: there is no check of that name; nvme-tls(8) lists them");
	return false;
}

static int search(const char *text, void *data)
{
	const struct ring *ring = data;

	return keyring_search(ring->serial, ring->keytype, text);
}

static void read_keys(struct doctor *d)
{
	int r = ring_find(d->o, &d->ring);

	if (r < 0)
		d->ring.serial = r;
	else
		d->rows = ring_rows(&d->ring);
	if (!d->rows)
		d->rows = g_ptr_array_new_with_free_func((GDestroyNotify)key_row_free);
	rows_examine(d->rows, search, &d->ring);
}

/* One that cannot be read is as good as none: nvme-tls status says why. */
static recording *read_recording(const struct doctor_system *s)
{
	g_autofree char *dir = doctor_system_path(s, RECORDING_DIR);
	g_autofree char *path = recording_path(dir);
	recording *r = NULL;
	const char *why;

	return recording_read(path, &r, &why) < 0 ? NULL : r;
}

enum exit_code cmd_doctor(int argc, char **argv)
{
	static const enum exit_code codes[] = {EXIT_OK, EXIT_WARNINGS, EXIT_FAILED};
	g_auto(options) o = OPTIONS_INIT;
	g_autoptr(GPtrArray)
		findings = g_ptr_array_new_with_free_func((GDestroyNotify)doctor_finding_free);
	g_autoptr(GPtrArray) daemons = NULL, rows = NULL;
	g_autoptr(recording) record = NULL;
	struct doctor_system system = {"", upcall_group, doctor_system_clock, 0};
	struct doctor d = {.system = &system, .o = &o, .findings = findings};
	enum exit_code r;

	if (!options_parse(&o, &argc, &argv))
		return EXIT_USAGE;
	for (int i = 1; i < argc; i++)
		if (!is_check(argv[i]))
			return EXIT_USAGE;
	r = take_options(&o);
	if (r != EXIT_OK)
		return r;
	if (o.root)
		system.root = o.root;
	d.sides = find_sides(&system, &o);
	d.daemons = daemons = doctor_system_daemons(&system);
	read_keys(&d);
	rows = d.rows;
	d.recording = record = read_recording(&system);
	for (size_t i = 0; i < G_N_ELEMENTS(checks); i++) {
		bool wanted = checks[i].sides & d.sides;

		if (argc > 1)
			wanted = g_strv_contains((const char *const *)argv + 1, checks[i].name);
		d.check = checks[i].name;
		if (wanted)
			checks[i].run(&d);
	}
	if (o.json)
		print_json(&d);
	else
		print_text(&d);
	return codes[doctor_worst(&d)];
}
