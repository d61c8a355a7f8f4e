/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What each process may do: the policy, to be read aloud; sandbox.c enforces it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <seccomp.h>

/* Jobs of one worker in all, those that wait for their peer included: each is a descriptor. */
#define ROLE_WORKER_JOBS 8192

/* Lists of system calls that a role may have. */
#define ROLE_LISTS 3
/* The end of a list of capabilities. */
#define ROLE_END (~0U)
/* In the argument of a call: the number of the process itself. */
#define ROLE_SELF UINT64_MAX

/* What an argument of a system call must be. */
struct role_argument {
	unsigned int at; /* which, from 0 */
	enum scmp_compare op;
	uint64_t a, b;
};

/** struct role_call - a system call and its arguments; one that has several ways has an entry for each. */
struct role_call {
	const char *name;
	struct role_argument args[2];
	unsigned int n_args;
};

/** struct role_limit - a resource limit, soft and hard; one that is lower already stays. */
struct role_limit {
	int resource; /* RLIMIT_... */
	uint64_t value;
	const char *name;
	bool always; /* else not where a sanitizer is built in, which forks and writes */
};

/**
 * struct role - what a process is left with.
 * @name: as ps shows it; NULL: as it was started
 * @capabilities: those it keeps where it has them, up to ROLE_END
 * @limits: up to one without a name
 * @may: lists of the only system calls it may use, each up to one without a name; none: see @may_not
 * @may_not: those it may not, and all others it may; up to NULL
 * @files: may it open files, and use TCP ports that it binds or connects? Else Landlock forbids it.
 */
struct role {
	const char *name;
	const unsigned int *capabilities;
	const struct role_limit *limits;
	const struct role_call *may[ROLE_LISTS + 1];
	const char *const *may_not;
	bool files;
};

extern const struct role role_broker;
extern const struct role role_worker;
extern const struct role role_signer;
/* A token's module opens and locks files of its own, and asks a daemon over a socket. */
extern const struct role role_signer_of_tokens;
