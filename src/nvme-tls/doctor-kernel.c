// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls doctor, the kernel: its handshake family, its modules, and what they were built with. */
#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "nvme-tls/doctor-checks.h"

/* A kernel's configuration has 300 KB. */
#define CONFIG_MAX (4 * 1024 * 1024)

void doctor_kernel_family(struct doctor *d)
{
	int r = d->system->handshake_group();

	if (r > 0)
		doctor_ok(d, "kernel", "the kernel can ask for TLS handshakes");
	else if (r == -EPROTONOSUPPORT)
		doctor_mend(doctor_fault(d, "kernel",
					 "this kernel has no handshake family (CONFIG_NET_HANDSHAKE): nothing can ask for a TLS handshake"),
			    "install Linux 6.7 or newer with CONFIG_NVME_TCP_TLS or CONFIG_NVME_TARGET_TCP_TLS");
	else
		doctor_mend(doctor_warning(d, "kernel",
					   "cannot ask the kernel for its handshake family: %s",
					   g_strerror(-r)),
			    "run nvme-tls doctor as root");
}

/* The first configuration of the running kernel that can be read, compressed or not. */
static char *kernel_config(const struct doctor_system *s)
{
	static const char *const places[] = {"/boot/config-%s", "/lib/modules/%s/config",
					     "/proc/config.gz"};
	g_autofree char *release = doctor_system_read(s, "/proc/sys/kernel/osrelease");

	for (size_t i = 0; release && i < G_N_ELEMENTS(places); i++) {
		g_auto(GStrv) parts = g_strsplit(places[i], "%s", 2);
		g_autofree char *place = g_strjoinv(release, parts);
		g_autofree char *path = doctor_system_path(s, "%s", place);
		gzFile file = gzopen(path, "re");
		char *text;
		int len;

		if (!file)
			continue;
		text = g_malloc(CONFIG_MAX + 1);
		len = gzread(file, text, CONFIG_MAX);
		gzclose(file);
		text[MAX(len, 0)] = '\0';
		if (len > 0)
			return text;
		g_free(text);
	}
	return NULL;
}

enum built { BUILT_WITH, BUILT_WITHOUT, BUILT_UNKNOWN };

/* A loaded module tells by its parameter, which it has only with TLS; else the configuration does. */
static enum built built_with_tls(const struct doctor_system *s, const char *module,
				 const char *symbol)
{
	g_autofree char *config = NULL, *yes = NULL, *no = NULL;

	if (doctor_system_has(s, "/sys/module/%s/parameters", module))
		return doctor_system_has(s, "/sys/module/%s/parameters/tls_handshake_timeout",
					 module)
			       ? BUILT_WITH
			       : BUILT_WITHOUT;
	config = kernel_config(s);
	if (!config)
		return BUILT_UNKNOWN;
	yes = g_strdup_printf("\n%s=y", symbol);
	no = g_strdup_printf("\n# %s is not set", symbol);
	if (strstr(config, yes))
		return BUILT_WITH;
	/* A configuration from before the symbol came has neither line. */
	return strstr(config, no) || strstr(config, "\nCONFIG_NET=y") ? BUILT_WITHOUT
								      : BUILT_UNKNOWN;
}

void doctor_kernel_tls(struct doctor *d)
{
	static const struct {
		unsigned int side;
		const char *module, *symbol, *what;
	} parts[] = {
		{DOCTOR_HOST, "nvme_tcp", "CONFIG_NVME_TCP_TLS", "host"},
		{DOCTOR_TARGET, "nvmet_tcp", "CONFIG_NVME_TARGET_TCP_TLS", "target"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
		if (!(d->sides & parts[i].side))
			continue;
		switch (built_with_tls(d->system, parts[i].module, parts[i].symbol)) {
		case BUILT_WITH:
			doctor_ok(d, parts[i].what, "the kernel's NVMe/TCP %s has TLS",
				  parts[i].what);
			break;
		case BUILT_WITHOUT:
			doctor_mend(doctor_fault(d, parts[i].what,
						 "the kernel's NVMe/TCP %s was built without TLS (%s)",
						 parts[i].what, parts[i].symbol),
				    "install a kernel with %s=y, Linux 6.7 or newer",
				    parts[i].symbol);
			break;
		case BUILT_UNKNOWN:
			break; /* the check of the module says what is to be done */
		}
	}
}

/* @module with underscores; @why: what does not work without it. */
static void check_module(struct doctor *d, const char *module, const char *why)
{
	g_autofree char *name = g_strdelimit(g_strdup(module), "_", '-');

	switch (doctor_system_module(d->system, module)) {
	case MODULE_LOADED:
		doctor_ok(d, module, "the module %s is loaded", module);
		break;
	case MODULE_THERE:
		doctor_mend(doctor_warning(d, module, "the module %s is not loaded", module),
			    "modprobe %s", name);
		break;
	case MODULE_BLOCKED:
		doctor_mend(doctor_fault(d, module,
					 "an install line keeps the module %s from being loaded: %s",
					 module, why),
			    "grep -rE 'install +%s' /etc/modprobe.d /run/modprobe.d /usr/lib/modprobe.d /lib/modprobe.d; remove that line",
			    module);
		break;
	case MODULE_MISSING:
		doctor_mend(doctor_fault(d, module, "this kernel has no module %s: %s", module,
					 why),
			    "install all modules of the running kernel, or reboot into the installed one; then modprobe %s",
			    name);
		break;
	case MODULE_UNKNOWN:
		doctor_mend(doctor_warning(d, module,
					   "the module %s is not loaded, and there is no modprobe to ask",
					   module),
			    "install kmod, then modprobe %s", name);
		break;
	}
}

void doctor_kernel_host_module(struct doctor *d)
{
	check_module(d, "nvme_tcp", "this machine cannot be an NVMe/TCP host");
}

void doctor_kernel_target_module(struct doctor *d)
{
	check_module(d, "nvmet_tcp", "this machine cannot be an NVMe/TCP target");
}

/* tlshd has it loaded when it starts, so a module that is only there is fine. */
void doctor_kernel_tls_module(struct doctor *d)
{
	if (doctor_system_module(d->system, "tls") == MODULE_THERE)
		doctor_ok(d, "tls", "the module tls is loaded when the first connection needs it");
	else
		check_module(d, "tls", "no connection can be encrypted");
}
