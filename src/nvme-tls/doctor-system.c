// SPDX-License-Identifier: GPL-2.0-or-later
/* What nvme-tls doctor knows of the machine: files, processes and programs, below a root that tests choose. */
#include "nvme-tls/doctor-system.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <sys/wait.h>

/* What --version of our daemon says, and so its program has in it, and that of ktls-utils has not. */
#define OURS "in place of ktls-utils"
/* A program is read so far for it: ours has 1 MB, and 20 with a sanitizer. */
#define PROGRAM_MAX (64 * 1024 * 1024)
#define PIECE (64 * 1024)

/* What a worker calls itself when it gives up its rights. */
#define WORKER_NAME "tlshd-worker"

bool doctor_system_clock(void)
{
	struct timex clock = {0};

	return adjtimex(&clock) != TIME_ERROR && !(clock.status & STA_UNSYNC);
}

static char *below(const struct doctor_system *s, const char *format, va_list args)
{
	g_autofree char *path = g_strdup_vprintf(format, args);

	return g_strconcat(s->root, path, NULL);
}

char *doctor_system_path(const struct doctor_system *s, const char *format, ...)
{
	va_list args;
	char *path;

	va_start(args, format);
	path = below(s, format, args);
	va_end(args);
	return path;
}

char *doctor_system_read(const struct doctor_system *s, const char *format, ...)
{
	g_autofree char *path = NULL;
	char *text = NULL;
	va_list args;

	va_start(args, format);
	path = below(s, format, args);
	va_end(args);
	return g_file_get_contents(path, &text, NULL, NULL) ? g_strstrip(text) : NULL;
}

bool doctor_system_has(const struct doctor_system *s, const char *format, ...)
{
	g_autofree char *path = NULL;
	va_list args;

	va_start(args, format);
	path = below(s, format, args);
	va_end(args);
	return g_file_test(path, G_FILE_TEST_EXISTS);
}

char *doctor_system_link(const struct doctor_system *s, const char *format, ...)
{
	g_autofree char *path = NULL;
	va_list args;

	va_start(args, format);
	path = below(s, format, args);
	va_end(args);
	return g_file_read_link(path, NULL);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

GPtrArray *doctor_system_list(const struct doctor_system *s, const char *format, ...)
{
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *path = NULL;
	g_autoptr(GDir) dir = NULL;
	const char *name;
	va_list args;

	va_start(args, format);
	path = below(s, format, args);
	va_end(args);
	dir = g_dir_open(path, 0, NULL);
	while (dir && (name = g_dir_read_name(dir)))
		g_ptr_array_add(names, g_strdup(name));
	g_ptr_array_sort(names, by_text);
	return names;
}

/* ---- programs ---- */

/* Not by PATH: root's doctor starts only what root has installed. */
static char *find_program(const struct doctor_system *s, const char *name)
{
	static const char *const folders[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
					      "/usr/bin",	 "/sbin",	   "/bin"};

	if (strchr(name, '/'))
		return g_strdup(name);
	for (size_t i = 0; i < G_N_ELEMENTS(folders); i++) {
		g_autofree char *path = g_strconcat(s->root, folders[i], "/", name, NULL);

		if (g_file_test(path, G_FILE_TEST_IS_EXECUTABLE))
			return g_steal_pointer(&path);
	}
	return NULL;
}

int doctor_system_run(const struct doctor_system *s, char **out, const char *program, ...)
{
	g_autofree char *path = find_program(s, program), *text = NULL, *errors = NULL;
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	g_auto(GStrv) environment = g_environ_setenv(g_get_environ(), "LC_ALL", "C", TRUE);
	char *argument;
	va_list args;
	int status;

	*out = NULL;
	if (!path)
		return -ENOENT;
	g_ptr_array_add(argv, path);
	va_start(args, program);
	while ((argument = va_arg(args, char *)))
		g_ptr_array_add(argv, argument);
	va_end(args);
	g_ptr_array_add(argv, NULL);
	if (!g_spawn_sync("/", (char **)argv->pdata, environment, 0, NULL, NULL, &text, &errors,
			  &status, NULL))
		return -ENOENT;
	if (!WIFEXITED(status))
		return -EIO;
	*out = g_strstrip(g_strconcat(text, errors, NULL));
	return WEXITSTATUS(status);
}

enum doctor_module doctor_system_module(const struct doctor_system *s, const char *name)
{
	g_autofree char *out = NULL;
	int r;

	if (doctor_system_has(s, "/sys/module/%s", name))
		return MODULE_LOADED;
	r = doctor_system_run(s, &out, "modprobe", "--show-depends", name, NULL);
	if (r < 0)
		return MODULE_UNKNOWN;
	if (r > 0)
		return MODULE_MISSING;
	if (g_str_has_prefix(out, "builtin"))
		return MODULE_LOADED;
	/* The last line is about the module itself, those before it are about what it needs. */
	return g_strrstr(out, "install ") > g_strrstr(out, "insmod ") ? MODULE_BLOCKED
								      : MODULE_THERE;
}

void doctor_unit_clear(struct doctor_unit *unit)
{
	g_free(unit->load);
	g_free(unit->file);
	g_free(unit->active);
	g_free(unit->sub);
	memset(unit, 0, sizeof(*unit));
}

/* The value of "NAME=value" among lines; "" where there is none. */
static char *property(char *const *lines, const char *name)
{
	size_t len = strlen(name);

	for (; *lines; lines++)
		if (strncmp(*lines, name, len) == 0 && (*lines)[len] == '=')
			return g_strdup(*lines + len + 1);
	return g_strdup("");
}

bool doctor_system_unit(const struct doctor_system *s, const char *name, struct doctor_unit *unit)
{
	g_autofree char *out = NULL, *restarts = NULL;
	g_auto(GStrv) lines = NULL;

	memset(unit, 0, sizeof(*unit));
	if (!doctor_system_has(s, "/run/systemd/system") ||
	    doctor_system_run(s, &out, "systemctl", "show",
			      "--property=LoadState,UnitFileState,ActiveState,SubState,NRestarts",
			      name, NULL) != 0)
		return false;
	lines = g_strsplit(out, "\n", -1);
	restarts = property(lines, "NRestarts");
	*unit = (struct doctor_unit){
		.load = property(lines, "LoadState"),
		.file = property(lines, "UnitFileState"),
		.active = property(lines, "ActiveState"),
		.sub = property(lines, "SubState"),
		.restarts = (unsigned int)strtoul(restarts, NULL, 10),
	};
	return true;
}

/* ---- daemons ---- */

void doctor_process_free(doctor_process *p)
{
	g_free(p->config);
	g_free(p->netns);
	if (p->sockets)
		g_array_unref(p->sockets);
	g_free(p);
}

/* The effective user and the parent, from /proc/PID/status. */
static void read_status(const struct doctor_system *s, pid_t pid, unsigned int *uid, int *parent)
{
	g_autofree char *status = doctor_system_read(s, "/proc/%d/status", pid);
	g_auto(GStrv) lines = g_strsplit(status ? status : "", "\n", -1);

	*uid = UINT_MAX;
	*parent = 0;
	for (char **line = lines; *line; line++) {
		if (sscanf(*line, "Uid: %*u %u", uid) != 1)
			sscanf(*line, "PPid: %d", parent);
	}
}

/* What the command line says: arguments are ended by NUL. */
static void read_arguments(const struct doctor_system *s, doctor_process *p)
{
	g_autofree char *path = doctor_system_path(s, "/proc/%d/cmdline", p->pid);
	g_autofree char *text = NULL;
	gsize len = 0;

	if (!g_file_get_contents(path, &text, &len, NULL))
		return;
	for (const char *arg = text, *end = text + len; arg < end; arg += strlen(arg) + 1) {
		const char *value = NULL;

		if (strcmp(arg, "--worker") == 0)
			p->worker = true;
		else if (g_str_has_prefix(arg, "--config="))
			value = arg + strlen("--config=");
		else if (strcmp(arg, "--config") == 0 || strcmp(arg, "-c") == 0)
			value = arg + strlen(arg) + 1;
		else if (g_str_has_prefix(arg, "-c"))
			value = arg + strlen("-c");
		if (value && value < end && !p->config)
			p->config = g_strdup(value);
	}
}

/* A broker may hold a descriptor for each of ten thousand peers: readlink costs a microsecond each. */
static GArray *read_sockets(const struct doctor_system *s, pid_t pid)
{
	g_autoptr(GPtrArray) fds = doctor_system_list(s, "/proc/%d/fd", pid);
	GArray *sockets = g_array_new(FALSE, FALSE, sizeof(unsigned long));

	for (guint i = 0; i < fds->len; i++) {
		g_autofree char *link = doctor_system_link(s, "/proc/%d/fd/%s", pid,
							   (const char *)g_ptr_array_index(fds, i));
		unsigned long inode;

		if (link && sscanf(link, "socket:[%lu]", &inode) == 1)
			g_array_append_val(sockets, inode);
	}
	return sockets;
}

static bool has_socket(const GArray *sockets, unsigned long inode)
{
	for (guint i = 0; i < sockets->len; i++)
		if (g_array_index(sockets, unsigned long, i) == inode)
			return true;
	return false;
}

bool doctor_process_has_socket(const doctor_process *p, unsigned long inode)
{
	return p->sockets && has_socket(p->sockets, inode);
}

bool doctor_system_has_socket(const struct doctor_system *s, pid_t pid, unsigned long inode)
{
	g_autoptr(GArray) sockets = read_sockets(s, pid);

	return doctor_system_has(s, "/proc/%d", pid) &&
	       (!sockets->len || has_socket(sockets, inode));
}

/* Reads and does not map: a file that is cut short meanwhile would end us. */
static bool has_text(FILE *file, const char *text)
{
	size_t len = strlen(text), kept = 0, got, end;
	g_autofree char *piece = g_malloc(len + PIECE);

	for (size_t total = 0; total < PROGRAM_MAX; total += got) {
		got = fread(piece + kept, 1, PIECE, file);
		if (got == 0)
			return false;
		if (memmem(piece, kept + got, text, len))
			return true;
		/* The text may begin at the end of a piece. */
		end = kept + got;
		kept = MIN(end, len);
		memmove(piece, piece + end - kept, kept);
	}
	return false;
}

/*
 * The file that runs is read, for an upgrade may have replaced the one that is installed. It is never
 * started to ask for its version: the process may be that of a container, and its file anything.
 */
static bool is_ours(const struct doctor_system *s, pid_t pid)
{
	g_autofree char *path = doctor_system_path(s, "/proc/%d/exe", pid);
	FILE *program = fopen(path, "re");
	bool ours = program && has_text(program, OURS);

	if (program)
		fclose(program);
	return ours;
}

static doctor_process *read_process(const struct doctor_system *s, pid_t pid, int *parent)
{
	doctor_process *p = g_new0(doctor_process, 1);
	unsigned int uid;

	p->pid = pid;
	read_status(s, pid, &uid, parent);
	p->root = uid == 0;
	p->netns = doctor_system_link(s, "/proc/%d/ns/net", pid);
	read_arguments(s, p);
	return p;
}

static bool is_daemon(const GPtrArray *all, int pid)
{
	for (guint i = 0; i < all->len; i++)
		if (((doctor_process *)g_ptr_array_index(all, i))->pid == pid)
			return true;
	return false;
}

GPtrArray *doctor_system_daemons(const struct doctor_system *s)
{
	GPtrArray *all = g_ptr_array_new_with_free_func((GDestroyNotify)doctor_process_free);
	g_autoptr(GPtrArray) names = doctor_system_list(s, "/proc");
	g_autoptr(GArray) parents = g_array_new(FALSE, FALSE, sizeof(int));

	for (guint i = 0; i < names->len; i++) {
		pid_t pid = atoi(g_ptr_array_index(names, i));
		g_autofree char *comm = NULL;
		doctor_process *p;
		int parent;

		if (pid <= 0)
			continue;
		comm = doctor_system_read(s, "/proc/%d/comm", pid);
		if (g_strcmp0(comm, "tlshd") != 0 && g_strcmp0(comm, WORKER_NAME) != 0)
			continue;
		p = read_process(s, pid, &parent);
		p->worker |= strcmp(comm, WORKER_NAME) == 0;
		g_ptr_array_add(all, p);
		g_array_append_val(parents, parent);
	}
	for (guint i = 0; i < all->len; i++) {
		doctor_process *p = g_ptr_array_index(all, i);

		p->worker |= is_daemon(all, g_array_index(parents, int, i));
		if (p->worker)
			continue;
		p->sockets = read_sockets(s, p->pid);
		p->ours = p->root && is_ours(s, p->pid);
	}
	return all;
}
