// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of what nvme-tls does not let through to standard error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glib.h>

#include "nvme-tls/message.h"

#define BASE64 "VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ:"
#define HEX "5512DBB6737D0106F65975B773DFB011FFC344BCF442E2DD6D8BC4870B5D5B03"

static void is(const char *line, const char *expected)
{
	g_autofree char *clean = message_clean(line);

	assert_string_equal(clean, expected);
}

static void keys_of_any_spelling_are_hidden(void **state)
{
	is("there is no NVMeTLSkey-1:01:" BASE64 " here",
	   "there is no NVMeTLSkey-1:[not shown] here");
	is("\"nvmetlskey-0:01:" BASE64 "\"", "\"nvmetlskey-0:[not shown]\"");
	is("NVMETLSKEY-1:" BASE64 ", and more", "NVMETLSKEY-1:[not shown], and more");
	is("DHHC-1:00:" BASE64, "DHHC-1:[not shown]");
	is("x=dhhc-1:00:" BASE64, "x=dhhc-1:[not shown]");
	is("0x" HEX " " HEX HEX ".", "0x[not shown] [not shown].");
}

static void what_only_looks_alike_is_shown(void **state)
{
	is("it does not begin with NVMeTLSkey-1:", "it does not begin with NVMeTLSkey-1:");
	is("NVMeTLSkey-1:hh:...: is the format", "NVMeTLSkey-1:hh:...: is the format");
	is("nqn.2014-08.org.nvmexpress:uuid:befdec4c-2234-11b2-a85c-ca77c773af36",
	   "nqn.2014-08.org.nvmexpress:uuid:befdec4c-2234-11b2-a85c-ca77c773af36");
	is("nqn.x:0123456789abcdef0123456789abcdef", "nqn.x:0123456789abcdef0123456789abcdef");
	is("NVMe1R01 nqn.h nqn.s 4IOYNS/rg/PX4rbiebj0LCEBFQ1X5IMI1GlO5s/yS7w=",
	   "NVMe1R01 nqn.h nqn.s 4IOYNS/rg/PX4rbiebj0LCEBFQ1X5IMI1GlO5s/yS7w=");
	is("/etc/nvme/tls-keys", "/etc/nvme/tls-keys");
}

static void control_characters_do_not_pass(void **state)
{
	is("a\nb\033[31m\177\xc2\x9b", "a?b?[31m??");
	is("\xff", "\xef\xbf\xbd");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_of_any_spelling_are_hidden),
		cmocka_unit_test(what_only_looks_alike_is_shown),
		cmocka_unit_test(control_characters_do_not_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
