// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls doctor, the next boot: the key file, the units that read it, and the udev rule. */
#include <errno.h>
#include <string.h>

#include "common/keyfile.h"
#include "nvme-tls/doctor-checks.h"

#define RULE "70-nvme-tls-keys.rules"

static char *keyfile_path(const struct doctor *d)
{
	return doctor_system_path(d->system, "%s", d->o->keyfile ? d->o->keyfile : KEYFILE_DEFAULT);
}

static void tell_unreadable(struct doctor *d, const char *path, int r)
{
	doctor_finding *f = doctor_fault(d, path, "the key file %s cannot be read: %s", path,
					 r == -ENOLINK ? "it is a link to a file that is not there"
						       : g_strerror(-r));

	if (r == -EACCES)
		doctor_mend(f,
			    "run nvme-tls doctor as root; the file belongs to root with mode 0600");
	else if (r == -EFBIG)
		doctor_mend(f, "nvme-tls export > FILE, and put it in its place");
	else
		doctor_mend(f, "ls -l %s, and put the key file there", path);
}

/* Without a file, what is loaded now is gone after the next boot. */
static void tell_missing(struct doctor *d, const char *path)
{
	bool credential = doctor_system_has(d->system, "/etc/credstore.encrypted/nvme-tls-keys") ||
			  doctor_system_has(d->system, "/etc/credstore/nvme-tls-keys");

	if (credential)
		doctor_ok(d, path, "the keys of the next boot come from a credential");
	else if (d->rows->len)
		doctor_mend(doctor_warning(d, path,
					   "there is no key file: the keys that are loaded are gone after a reboot"),
			    "nvme-tls export --keyfile %s", path);
}

/* Return: whether all lines are good. */
static bool tell_lines(struct doctor *d, const char *path, const keyfile *kf)
{
	unsigned int bad = 0;

	for (size_t i = 0; i < keyfile_lines(kf); i++) {
		g_auto(keyfile_entry) entry = {0};

		if (keyfile_line(kf, i, &entry) != KEYFILE_BAD || ++bad > DOCTOR_LISTED_MAX)
			continue;
		doctor_mend(doctor_fault(d, path, "line %zu of the key file %s: %s", i + 1, path,
					 entry.why),
			    "correct the line, then nvme-tls check %s", path);
	}
	if (bad > DOCTOR_LISTED_MAX)
		doctor_mend(doctor_fault(d, path, "%u more lines of the key file %s are bad",
					 bad - DOCTOR_LISTED_MAX, path),
			    "nvme-tls check %s", path);
	return !bad;
}

/* How many of its keys the keyring does not have. */
static unsigned int count_missing(const struct doctor *d, const keyfile *kf)
{
	g_autoptr(GHashTable) loaded = ring_index(d->rows);
	unsigned int missing = 0;

	for (size_t i = 0; i < keyfile_lines(kf); i++) {
		g_auto(keyfile_entry) entry = {0};

		if (keyfile_line(kf, i, &entry) == KEYFILE_ENTRY)
			missing += !g_hash_table_contains(loaded, entry.identity);
	}
	return missing;
}

void doctor_boot_keyfile(struct doctor *d)
{
	g_autofree char *path = keyfile_path(d), *open_to = NULL;
	g_autoptr(keyfile) kf = NULL;
	unsigned int missing;
	int r = keyfile_read(path, &kf);
	bool good;

	if (r == -ENOENT) {
		tell_missing(d, path);
		return;
	}
	if (r < 0) {
		tell_unreadable(d, path, r);
		return;
	}
	good = tell_lines(d, path, kf);
	open_to = keyfile_problem(kf);
	if (open_to)
		doctor_mend(doctor_fault(d, path, "%s", open_to), "chown root: %s && chmod 600 %s",
			    path, path);
	missing = d->ring.serial > 0 ? count_missing(d, kf) : 0;
	if (missing)
		doctor_mend(doctor_warning(d, path, "%u of the keys of %s %s not loaded", missing,
					   path, missing > 1 ? "are" : "is"),
			    "nvme-tls import %s", path);
	if (good && !open_to && !missing)
		doctor_ok(d, path, "the key file %s is as it should be", path);
}

/* What is wrong with a unit that has to start at boot; NULL when nothing is. */
static void check_unit(struct doctor *d, const char *name, const char *why, bool enabled)
{
	g_auto(doctor_unit) unit = {0};

	if (!doctor_system_unit(d->system, name, &unit))
		return;
	if (strcmp(unit.load, "not-found") == 0)
		doctor_mend(doctor_fault(d, name, "there is no unit %s: %s", name, why),
			    "install tlshd again, then systemctl daemon-reload");
	else if (strcmp(unit.load, "masked") == 0)
		doctor_mend(doctor_fault(d, name, "the unit %s is masked: %s", name, why),
			    "systemctl unmask %s", name);
	else if (strcmp(unit.active, "failed") == 0)
		doctor_mend(doctor_fault(d, name, "the unit %s has failed: %s", name, why),
			    "journalctl -u %s -n 20; then systemctl restart %s", name, name);
	else if (enabled && strcmp(unit.file, "disabled") == 0)
		doctor_mend(doctor_warning(d, name, "the unit %s is not enabled: %s", name, why),
			    "systemctl enable %s", name);
	else
		doctor_ok(d, name, "the unit %s is there for the next boot", name);
}

/* nvme-tls-keys.service is pulled in by tlshd.service, and needs no enabling of its own. */
void doctor_boot_unit(struct doctor *d)
{
	check_unit(d, "tlshd.service", "after the next boot no daemon is running", true);
	check_unit(d, "nvme-tls-keys.service", "after the next boot no key is loaded", false);
}

void doctor_boot_rule(struct doctor *d)
{
	static const char *const folders[] = {"/etc/udev/rules.d", "/run/udev/rules.d",
					      "/usr/local/lib/udev/rules.d",
					      "/usr/lib/udev/rules.d", "/lib/udev/rules.d"};
	static const char why[] =
		"keys are not loaded when the module comes later than the boot's import";

	if (!doctor_system_has(d->system, "/run/udev"))
		return;
	/* The first one of a name counts; an empty one, or a link to /dev/null, masks the others. */
	for (size_t i = 0; i < G_N_ELEMENTS(folders); i++) {
		g_autofree char *link = doctor_system_link(d->system, "%s/" RULE, folders[i]);
		g_autofree char *text = doctor_system_read(d->system, "%s/" RULE, folders[i]);

		if (!text && !link)
			continue;
		if (g_strcmp0(link, "/dev/null") == 0 || !text || !*text)
			doctor_mend(doctor_fault(d, RULE, "%s/" RULE " masks the udev rule: %s",
						 folders[i], why),
				    "rm %s/" RULE " && udevadm control --reload", folders[i]);
		else
			doctor_ok(d, RULE,
				  "the udev rule imports the keys when their keyring appears");
		return;
	}
	doctor_mend(doctor_fault(d, RULE, "there is no udev rule " RULE ": %s", why),
		    "install tlshd again, then udevadm control --reload");
}
