// SPDX-License-Identifier: GPL-2.0-or-later
/* What nvme-tls doctor has found: findings, and what the checks have in common. */
#include "nvme-tls/doctor-report.h"

#include <stdarg.h>
#include <string.h>

#include "nvme-tls/output.h"

void doctor_finding_free(doctor_finding *f)
{
	g_free(f->subject);
	g_free(f->cause);
	g_free(f->remedy);
	g_free(f);
}

/* Names of peers, keys and files stand in the texts. Takes @text. */
static char *clean(char *text)
{
	char *fit = output_clean(text);

	g_free(text);
	return fit;
}

static doctor_finding *add(struct doctor *d, enum doctor_level level, const char *subject,
			   const char *format, va_list args)
{
	doctor_finding *f = g_new0(doctor_finding, 1);

	f->check = d->check;
	f->level = level;
	f->subject = output_clean(subject);
	f->cause = clean(g_strdup_vprintf(format, args));
	g_ptr_array_add(d->findings, f);
	return f;
}

void doctor_ok(struct doctor *d, const char *subject, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(d, LEVEL_OK, subject, format, args);
	va_end(args);
}

doctor_finding *doctor_warning(struct doctor *d, const char *subject, const char *format, ...)
{
	doctor_finding *f;
	va_list args;

	va_start(args, format);
	f = add(d, LEVEL_WARNING, subject, format, args);
	va_end(args);
	return f;
}

doctor_finding *doctor_fault(struct doctor *d, const char *subject, const char *format, ...)
{
	doctor_finding *f;
	va_list args;

	va_start(args, format);
	f = add(d, LEVEL_FAULT, subject, format, args);
	va_end(args);
	return f;
}

void doctor_mend(doctor_finding *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_free(f->remedy);
	f->remedy = clean(g_strdup_vprintf(format, args));
	va_end(args);
}

static char *word(const char *name)
{
	static const char harmless[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/@%+,";

	return name[strspn(name, harmless)] ? g_shell_quote(name) : g_strdup(name);
}

char *doctor_pair_options(const char *hostnqn, const char *subsysnqn)
{
	g_autofree char *host = word(hostnqn), *subsystem = word(subsysnqn);

	return g_strdup_printf("--hostnqn=%s --subsysnqn=%s", host, subsystem);
}

enum doctor_level doctor_worst(const struct doctor *d)
{
	enum doctor_level worst = LEVEL_OK;

	for (guint i = 0; i < d->findings->len; i++)
		worst = MAX(worst, ((doctor_finding *)g_ptr_array_index(d->findings, i))->level);
	return worst;
}

const char *doctor_level_name(enum doctor_level level)
{
	static const char *const names[] = {"ok", "warning", "fault"};

	return names[level];
}
