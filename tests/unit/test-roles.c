// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of the roles' lists of system calls: they are right for arm64 too, whatever machine builds this. */
#include <glib.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tlshd/shared/roles.h"

static const struct role *const roles[] = {&role_broker, &role_worker, &role_signer,
					   &role_signer_of_tokens};

/*
 * Calls that arm64 does not have, and what its libc calls for the same purpose; NULL: there is nothing
 * for that purpose on arm64, or its list of numbers ends before.
 */
static const struct {
	const char *name, *arm64;
} elsewhere[] = {
	{"epoll_wait", "epoll_pwait"},
	{"time", "clock_gettime"},
	{"open", "openat"},
	{"stat", "newfstatat"},
	{"lstat", "newfstatat"},
	{"access", "faccessat"},
	{"poll", "ppoll"},
	{"select", "pselect6"},
	{"mknod", "mknodat"},
	{"link", "linkat"},
	{"symlink", "symlinkat"},
	{"rename", "renameat"},
	{"unlink", "unlinkat"},
	{"rmdir", "unlinkat"},
	{"mkdir", "mkdirat"},
	{"chmod", "fchmodat"},
	{"chown", "fchownat"},
	{"lchown", "fchownat"},
	{"umount", "umount2"},
	{"stime", "settimeofday"},
	{"clock_settime64", "clock_settime"},
	{"create_module", NULL},
	{"clock_adjtime64", "clock_adjtime"},
	{"modify_ldt", NULL},
	{"iopl", NULL},
	{"ioperm", NULL},
	{"uselib", NULL},
};

/* Calls that are younger than the oldest libseccomp we build with. */
static const char *const young[] = {"fchmodat2", NULL};

static int number(const char *name, uint32_t arch)
{
	return seccomp_syscall_resolve_name_arch(arch, name);
}

static bool is_young(const char *name)
{
	for (size_t i = 0; young[i]; i++)
		if (strcmp(young[i], name) == 0)
			return true;
	return false;
}

/* Is the call of that name in the list of the role, of calls that it may or may not use? */
static bool lists(const struct role *role, const char *name)
{
	for (const struct role_call *const *list = role->may; *list; list++)
		for (const struct role_call *call = *list; call->name; call++)
			if (strcmp(call->name, name) == 0)
				return true;
	for (const char *const *not = role->may_not; not &&*not ; not ++)
		if (strcmp(*not, name) == 0)
			return true;
	return false;
}

typedef void name_check(const struct role *role, const char *name);

static void for_each_name(name_check *check)
{
	for (size_t i = 0; i < G_N_ELEMENTS(roles); i++) {
		for (const struct role_call *const *list = roles[i]->may; *list; list++)
			for (const struct role_call *call = *list; call->name; call++)
				check(roles[i], call->name);
		for (const char *const *not = roles[i]->may_not; not &&*not ; not ++)
			check(roles[i], *not );
	}
}

/* libseccomp knows a call of any machine by a number, of another machine by one below zero. */
static void check_known(const struct role *role, const char *name)
{
	if (number(name, SCMP_ARCH_X86_64) == __NR_SCMP_ERROR && !is_young(name))
		fail_msg("libseccomp knows no system call '%s'", name);
}

static void a_misspelt_call_is_found(void **state)
{
	for_each_name(check_known);
}

static void check_arm64(const struct role *role, const char *name)
{
	if (number(name, SCMP_ARCH_AARCH64) >= 0 || is_young(name))
		return;
	for (size_t i = 0; i < G_N_ELEMENTS(elsewhere); i++) {
		if (strcmp(elsewhere[i].name, name) != 0)
			continue;
		if (elsewhere[i].arm64 && !lists(role, elsewhere[i].arm64))
			fail_msg("'%s' is in a list, and '%s', which is called instead on arm64, is not",
				 name, elsewhere[i].arm64);
		return;
	}
	fail_msg("arm64 has no system call '%s': what does it call instead?", name);
}

static void a_call_that_arm64_lacks_is_listed_by_its_other_name(void **state)
{
	for_each_name(check_arm64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_misspelt_call_is_found),
		cmocka_unit_test(a_call_that_arm64_lacks_is_listed_by_its_other_name),
	};

	return cmocka_run_group_tests_name("roles", tests, NULL, NULL);
}
