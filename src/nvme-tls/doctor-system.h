/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What nvme-tls doctor knows of the machine: files, processes and programs, below a root that tests choose. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>
#include <glib.h>

/**
 * struct doctor_system - where the facts come from.
 * @root: what every path begins with; "" for this machine itself
 * @handshake_group: number of the handshake family's group, as upcall_group() says
 * @clock_is_set: whether something keeps the clock right, as doctor_system_clock() says
 * @now: seconds since 1970; 0 for the time it is
 */
struct doctor_system {
	const char *root;
	int (*handshake_group)(void);
	bool (*clock_is_set)(void);
	time_t now;
};

/** doctor_system_clock() - whether the kernel's clock is kept by something: NTP, PTP, a hypervisor. */
bool doctor_system_clock(void);

/** doctor_system_path() - a path below the root, to be freed by g_free(). */
char *doctor_system_path(const struct doctor_system *s, const char *format, ...)
	G_GNUC_PRINTF(2, 3);

/**
 * doctor_system_read() - a small text file without the white space at its ends.
 *
 * Return: the text, to be freed by g_free(); NULL when the file cannot be read.
 */
char *doctor_system_read(const struct doctor_system *s, const char *format, ...)
	G_GNUC_PRINTF(2, 3);

/** doctor_system_has() - whether there is a file or a folder of that name. */
bool doctor_system_has(const struct doctor_system *s, const char *format, ...) G_GNUC_PRINTF(2, 3);

/**
 * doctor_system_link() - what a symbolic link says.
 *
 * Return: its text, to be freed by g_free(); NULL when there is no such link.
 */
char *doctor_system_link(const struct doctor_system *s, const char *format, ...)
	G_GNUC_PRINTF(2, 3);

/**
 * doctor_system_list() - the names in a folder, sorted.
 *
 * Return: an array of strings, to be freed by g_ptr_array_unref(); empty without such a folder.
 */
GPtrArray *doctor_system_list(const struct doctor_system *s, const char *format, ...)
	G_GNUC_PRINTF(2, 3);

/**
 * doctor_system_run() - run a program and read what it says on standard output and standard error.
 * @out: set to the text, without the white space at its ends, to be freed by g_free(); NULL where it
 *	did not run
 * @program: a path, or a name that is looked for where system programs are
 * ...: its arguments, ended by NULL
 *
 * Return: its exit status; -ENOENT when there is no such program; -EIO when it was killed.
 */
int doctor_system_run(const struct doctor_system *s, char **out, const char *program,
		      ...) G_GNUC_NULL_TERMINATED;

/**
 * doctor_system_module() - where a kernel module stands.
 * @name: with underscores
 */
enum doctor_module {
	MODULE_LOADED, /* or built in */
	MODULE_THERE, /* to be loaded when it is needed */
	MODULE_BLOCKED, /* an install line in /etc/modprobe.d keeps it out */
	MODULE_MISSING, /* this kernel has none */
	MODULE_UNKNOWN, /* modprobe cannot be asked */
};
enum doctor_module doctor_system_module(const struct doctor_system *s, const char *name);

/**
 * struct doctor_unit - a unit of systemd.
 * @load: "loaded", "not-found", "masked"
 * @file: "enabled", "disabled", "static"; "" where systemd does not say
 * @active: "active", "inactive", "failed", "activating"
 * @sub: "running", "dead", "auto-restart", ...
 * @restarts: how often systemd has restarted it by itself
 */
struct doctor_unit {
	char *load;
	char *file;
	char *active;
	char *sub;
	unsigned int restarts;
};

void doctor_unit_clear(struct doctor_unit *unit);
typedef struct doctor_unit doctor_unit;
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(doctor_unit, doctor_unit_clear)

/** doctor_system_unit() - ask systemd for a unit. Return: false where systemd does not answer. */
bool doctor_system_unit(const struct doctor_system *s, const char *name, struct doctor_unit *unit);

/**
 * struct doctor_process - a process of a tlshd.
 * @pid: its number
 * @root: it runs as root, as a broker does
 * @worker: it is a worker, or the child of another tlshd
 * @ours: its program is this tlshd, not the one of ktls-utils
 * @config: the file of --config, NULL for the default ones
 * @netns: its network namespace, as /proc/PID/ns/net has it; NULL when that cannot be read
 * @sockets: inodes of its sockets, unsigned long; NULL of a worker
 */
typedef struct doctor_process {
	pid_t pid;
	bool root;
	bool worker;
	bool ours;
	char *config;
	char *netns;
	GArray *sockets;
} doctor_process;

void doctor_process_free(doctor_process *p);

/** doctor_process_has_socket() - whether it has the socket of this inode. */
bool doctor_process_has_socket(const doctor_process *p, unsigned long inode);

/**
 * doctor_system_has_socket() - the same of any process.
 *
 * Return: false when there is no such process; true when we may not see its sockets.
 */
bool doctor_system_has_socket(const struct doctor_system *s, pid_t pid, unsigned long inode);

/** doctor_system_daemons() - every process of a tlshd, ours or not, to be freed by g_ptr_array_unref(). */
GPtrArray *doctor_system_daemons(const struct doctor_system *s);
