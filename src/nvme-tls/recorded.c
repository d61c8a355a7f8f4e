// SPDX-License-Identifier: GPL-2.0-or-later
/* The daemon's recording, for the commands that show it. */
#include "nvme-tls/recorded.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"

static enum exit_code refuse(int error, const char *path, const char *why)
{
	switch (-error) {
	case ENOENT:
		log_error("there is no recording %s: tlshd has not run in this network namespace since the boot; start it with \"systemctl start tlshd\"",
			  path);
		return EXIT_MISSING;
	case EACCES:
	case EPERM:
		log_error("the recording %s is root's alone: call nvme-tls as root", path);
		return EXIT_FAILED;
	case EPROTONOSUPPORT:
		log_error("the recording %s cannot be read, %s: use the nvme-tls that was installed with that tlshd",
			  path, why);
		return EXIT_INVALID;
	case EBADMSG:
		log_error("the recording %s cannot be read, %s: restart tlshd, which starts a new one",
			  path, why);
		return EXIT_INVALID;
	default:
		log_error("the recording %s cannot be read: %s", path, g_strerror(-error));
		return EXIT_FAILED;
	}
}

enum exit_code recorded_open(const options *o, recording **out)
{
	g_autofree char *path = o->recording ? g_strdup(o->recording)
					     : recording_path(RECORDING_DIR);
	const char *why = NULL;
	int r = recording_read(path, out, &why);

	return r < 0 ? refuse(r, path, why) : EXIT_OK;
}

char *recorded_why_down(const recording *r)
{
	const struct recording_state *s = recording_state(r);
	g_autofree char *when = recorded_time(s->updated, false);

	if (recording_pid(r))
		return NULL;
	if (s->now.phase == RECORDING_STOPPED)
		return g_strdup_printf("tlshd was stopped on %s; start it with \"systemctl start tlshd\"",
				       when);
	return g_strdup_printf("tlshd is not running, and did not stop by itself: it was last seen on %s; \"systemctl status tlshd\" says more",
			       when);
}

bool recorded_is_suspended(const recording *r)
{
	int pid = recording_pid(r);
	g_autofree char *path = g_strdup_printf("/proc/%d/stat", pid);
	g_autofree char *stat = NULL;
	const char *name_end;

	if (pid <= 0 || !g_file_get_contents(path, &stat, NULL, NULL))
		return false;
	name_end = strrchr(stat, ')'); /* the state is behind it: proc_pid_stat(5) */
	return name_end && strncmp(name_end, ") T", 3) == 0;
}

char *recorded_time(uint64_t usec, bool exact)
{
	g_autoptr(GDateTime) t = g_date_time_new_from_unix_local((gint64)(usec / G_USEC_PER_SEC));
	g_autofree char *text = t ? g_date_time_format(t, "%Y-%m-%d %H:%M:%S") : NULL;

	if (!text)
		return g_strdup("-");
	if (!exact)
		return g_steal_pointer(&text);
	return g_strdup_printf("%s.%03u", text, (unsigned int)(usec % G_USEC_PER_SEC / 1000));
}

char *recorded_duration(uint64_t usec)
{
	if (usec < 1000)
		return g_strdup_printf("%" G_GUINT64_FORMAT " us", usec);
	if (usec < 10 * 1000)
		return g_strdup_printf("%.1f ms", (double)usec / 1000);
	if (usec < 10 * G_USEC_PER_SEC)
		return g_strdup_printf("%" G_GUINT64_FORMAT " ms", usec / 1000);
	return g_strdup_printf("%" G_GUINT64_FORMAT " s", usec / G_USEC_PER_SEC);
}

void json_add_time(struct json_object *object, const char *name, uint64_t usec)
{
	g_autoptr(GDateTime) t = g_date_time_new_from_unix_utc((gint64)(usec / G_USEC_PER_SEC));
	g_autoptr(GDateTime) exact = t ? g_date_time_add(t, (GTimeSpan)(usec % G_USEC_PER_SEC))
				       : NULL;
	g_autofree char *text = usec && exact ? g_date_time_format_iso8601(exact) : NULL;

	json_add_string(object, name, text);
}
