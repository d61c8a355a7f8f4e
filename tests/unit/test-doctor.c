// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of nvme-tls doctor: each check on machines that are made up of files, well and ill. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <gnutls/gnutls.h>

#include "doctor-world.h"

#define D256 "4IOYNS/rg/PX4rbiebj0LCEBFQ1X5IMI1GlO5s/yS7w="
#define E256 "BOvuFx6+m9BCA/zhpuZQxMQRoPuUVv8OUiigLaQt0AI="

/* ---- the kernel ---- */

static int no_family(void)
{
	return -EPROTONOSUPPORT;
}

static void kernel_without_handshake_family_is_named(void **state)
{
	struct world *w = *state;

	world_check(w, doctor_kernel_family);
	world_is_fine(w);
	w->system.handshake_group = no_family;
	world_check(w, doctor_kernel_family);
	world_finds(w, LEVEL_FAULT, "no handshake family", "Linux 6.7");
}

static void kernel_without_nvme_tls_is_named_for_each_side(void **state)
{
	struct world *w = *state;

	world_put(w, "/proc/sys/kernel/osrelease", "6.12.1\n");
	world_put(w, "/boot/config-6.12.1",
		  "\nCONFIG_NET=y\nCONFIG_NVME_TCP_TLS=y\n# CONFIG_NVME_TARGET_TCP_TLS is not set\n");
	world_check(w, doctor_kernel_tls);
	world_finds(w, LEVEL_OK, "host has TLS", NULL);
	world_finds(w, LEVEL_FAULT, "target was built without TLS", "CONFIG_NVME_TARGET_TCP_TLS=y");
	w->d.sides = DOCTOR_HOST;
	world_check(w, doctor_kernel_tls);
	world_is_fine(w);
}

static void loaded_module_tells_whether_it_has_tls(void **state)
{
	struct world *w = *state;

	w->d.sides = DOCTOR_HOST;
	world_put(w, "/proc/sys/kernel/osrelease", "6.6.0\n");
	world_put(w, "/boot/config-6.6.0", "\nCONFIG_NET=y\nCONFIG_NVME_TCP_TLS=y\n");
	world_folder(w, "/sys/module/nvme_tcp/parameters");
	world_check(w, doctor_kernel_tls);
	world_finds(w, LEVEL_FAULT, "host was built without TLS", NULL);
	world_put(w, "/sys/module/nvme_tcp/parameters/tls_handshake_timeout", "10\n");
	world_check(w, doctor_kernel_tls);
	world_is_fine(w);
}

static void kernel_of_which_nothing_is_known_is_not_judged(void **state)
{
	struct world *w = *state;

	world_check(w, doctor_kernel_tls);
	world_is_silent(w);
}

static void missing_modules_are_named(void **state)
{
	static const struct {
		void (*check)(struct doctor *d);
		const char *name, *remedy;
	} modules[] = {
		{doctor_kernel_host_module, "nvme_tcp", "modprobe nvme-tcp"},
		{doctor_kernel_target_module, "nvmet_tcp", "modprobe nvmet-tcp"},
		{doctor_kernel_tls_module, "tls", "modprobe tls"},
	};
	struct world *w = *state;

	for (size_t i = 0; i < G_N_ELEMENTS(modules); i++) {
		g_autofree char *folder = g_strconcat("/sys/module/", modules[i].name, NULL);

		world_program(w, "/usr/sbin/modprobe", "exit 1");
		world_check(w, modules[i].check);
		world_finds(w, LEVEL_FAULT, "no module", modules[i].remedy);
		world_finds(w, LEVEL_FAULT, modules[i].name, NULL);
		world_program(w, "/usr/sbin/modprobe",
			      "echo 'insmod /a.ko'; echo 'install /bin/false '");
		world_check(w, modules[i].check);
		world_finds(w, LEVEL_FAULT, "an install line keeps the module", "/etc/modprobe.d");
		world_folder(w, folder);
		world_check(w, modules[i].check);
		world_is_fine(w);
	}
}

static void module_that_is_there_is_to_be_loaded(void **state)
{
	struct world *w = *state;

	world_program(w, "/usr/sbin/modprobe", "echo 'insmod /lib/modules/1/x.ko'");
	world_check(w, doctor_kernel_host_module);
	world_finds(w, LEVEL_WARNING, "nvme_tcp is not loaded", "modprobe nvme-tcp");
	/* tlshd loads this one. */
	world_check(w, doctor_kernel_tls_module);
	world_is_fine(w);
	world_program(w, "/usr/sbin/modprobe", "echo 'builtin tls'");
	world_check(w, doctor_kernel_host_module);
	world_is_fine(w);
}

/* ---- the daemon ---- */

#define LIST_HEAD \
	"sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"

/* A daemon with a socket of its number times ten, as /proc shows it. */
static void put_process(struct world *w, int pid, const char *version, const char *netns)
{
	g_autofree char *folder = g_strdup_printf("/proc/%d", pid);
	g_autofree char *comm = g_strconcat(folder, "/comm", NULL);
	g_autofree char *status = g_strconcat(folder, "/status", NULL);
	g_autofree char *exe = g_strconcat(folder, "/exe", NULL);
	g_autofree char *cmdline = g_strconcat(folder, "/cmdline", NULL);
	g_autofree char *ns = g_strconcat(folder, "/ns/net", NULL);
	g_autofree char *fd = g_strconcat(folder, "/fd/3", NULL);
	g_autofree char *socket = g_strdup_printf("socket:[%d]", pid * 10);
	g_autofree char *script = g_strdup_printf("echo '%s'", version);

	world_put(w, comm, "tlshd\n");
	world_put(w, status, "Name:\ttlshd\nPPid:\t1\nUid:\t0\t0\t0\t0\n");
	world_put(w, cmdline, "/usr/sbin/tlshd");
	world_program(w, exe, script);
	world_link(w, ns, netns);
	world_link(w, fd, socket);
}

static void put_worker(struct world *w, int pid, int parent)
{
	g_autofree char *comm = g_strdup_printf("/proc/%d/comm", pid);
	g_autofree char *path = g_strdup_printf("/proc/%d/status", pid);
	g_autofree char *status = g_strdup_printf("PPid:\t%d\nUid:\t990\t990\t990\t990\n", parent);

	world_put(w, comm, "tlshd\n");
	world_put(w, path, status);
}

/* The sockets of the group, by their owners' numbers; ended by 0. */
static void put_group(struct world *w, const int *pids)
{
	g_autoptr(GString) text = g_string_new(LIST_HEAD);

	for (; *pids; pids++)
		g_string_append_printf(text, "0 16 %d 00001000 0 0 0 2 0 %d\n", *pids, *pids * 10);
	/* NetworkManager listens to other groups. */
	g_string_append(text, "0 16 77 00000010 0 0 0 2 0 770\n");
	world_put(w, "/proc/net/netlink", text->str);
	world_link(w, "/proc/self/ns/net", "net:[1]");
}

#define OURS "tlshd 0.1.0, in place of ktls-utils 1.4.0"
#define THEIRS "ktls-utils 1.4.0"

static void put_unit(struct world *w, const char *show)
{
	g_autofree char *script = g_strdup_printf("printf '%s'", show);

	world_folder(w, "/run/systemd/system");
	world_program(w, "/usr/bin/systemctl", script);
}

static void our_daemon_serves(void **state)
{
	struct world *w = *state;

	put_process(w, 100, OURS, "net:[1]");
	put_group(w, (const int[]){100, 0});
	world_check(w, doctor_daemon_serves);
	world_is_fine(w);
}

/* A socket from systemd's descriptor store has the port of the process that opened it. */
static void daemon_is_known_by_its_socket_not_by_its_port(void **state)
{
	struct world *w = *state;

	put_process(w, 100, OURS, "net:[1]");
	world_link(w, "/proc/100/fd/7", "socket:[90]");
	world_put(w, "/proc/net/netlink", LIST_HEAD "0 16 9 00001000 0 0 0 2 0 90\n");
	world_link(w, "/proc/self/ns/net", "net:[1]");
	world_check(w, doctor_daemon_serves);
	world_is_fine(w);
	world_finds(w, LEVEL_OK, "process 100", NULL);
}

/* The word that tells it from the other one can be anywhere in its file. */
static void our_program_is_known_wherever_its_word_is(void **state)
{
	struct world *w = *state;

	put_process(w, 100, OURS, "net:[1]");
	put_group(w, (const int[]){100, 0});
	for (size_t at = 64 * 1024 - 30; at < 64 * 1024 + 30; at++) {
		g_autofree char *blanks = g_strnfill(at, ' ');
		g_autofree char *text = g_strconcat(blanks, OURS, NULL);

		world_put(w, "/proc/100/exe", text);
		world_check(w, doctor_daemon_serves);
		world_is_fine(w);
	}
}

static void no_daemon_is_named_with_what_systemd_says(void **state)
{
	static const struct {
		const char *show, *cause, *remedy;
	} units[] = {
		{"LoadState=not-found\\nActiveState=inactive\\n", "not installed", "install tlshd"},
		{"LoadState=masked\\nActiveState=inactive\\n", "masked", "systemctl unmask tlshd"},
		{"LoadState=loaded\\nActiveState=failed\\n", "failed", "journalctl -u tlshd"},
		{"LoadState=loaded\\nActiveState=inactive\\n", "no daemon is running",
		 "systemctl enable --now tlshd"},
	};
	struct world *w = *state;

	put_group(w, (const int[]){0});
	world_check(w, doctor_daemon_serves);
	world_finds(w, LEVEL_FAULT, "no daemon is running", "tlshd");
	for (size_t i = 0; i < G_N_ELEMENTS(units); i++) {
		put_unit(w, units[i].show);
		world_check(w, doctor_daemon_serves);
		world_finds(w, LEVEL_FAULT, units[i].cause, units[i].remedy);
	}
}

/* Nobody reads what systemd keeps. */
static void socket_in_the_descriptor_store_serves_nobody(void **state)
{
	struct world *w = *state;

	put_group(w, (const int[]){100, 0});
	world_check(w, doctor_daemon_serves);
	world_finds(w, LEVEL_FAULT, "no daemon is running", NULL);
}

static void daemon_of_ktls_utils_is_named_alone_and_beside_ours(void **state)
{
	struct world *w = *state;

	put_process(w, 200, THEIRS, "net:[1]");
	put_group(w, (const int[]){200, 0});
	world_check(w, doctor_daemon_serves);
	world_finds(w, LEVEL_WARNING, "tlshd of ktls-utils (process 200)", "remove ktls-utils");
	put_process(w, 100, OURS, "net:[1]");
	put_group(w, (const int[]){100, 200, 0});
	world_check(w, doctor_daemon_serves);
	world_finds(w, LEVEL_FAULT, "takes some of the handshakes", "kill 200");
}

static void two_of_ours_are_one_too_many(void **state)
{
	struct world *w = *state;

	put_process(w, 100, OURS, "net:[1]");
	put_process(w, 101, OURS, "net:[1]");
	put_group(w, (const int[]){100, 101, 0});
	world_check(w, doctor_daemon_serves);
	world_finds(w, LEVEL_FAULT, "2 daemons serve", "stop all but one");
}

/* A broker may have more than one socket in the group, one that it was handed over among them. */
static void daemon_with_two_sockets_is_one(void **state)
{
	struct world *w = *state;

	put_process(w, 100, OURS, "net:[1]");
	world_link(w, "/proc/100/fd/7", "socket:[90]");
	put_group(w, (const int[]){100, 9, 0});
	world_check(w, doctor_daemon_serves);
	world_is_fine(w);
	assert_int_equal(w->d.findings->len, 1);
}

/* The process that opened a socket has ended, and its number is another one's now. */
static void number_that_was_used_again_is_no_daemon(void **state)
{
	struct world *w = *state;

	put_process(w, 100, OURS, "net:[1]");
	put_group(w, (const int[]){100, 9, 0});
	world_link(w, "/proc/9/fd/0", "socket:[91]");
	world_check(w, doctor_daemon_serves);
	world_is_fine(w);
	/* It is one that has the socket, whatever its name. */
	world_link(w, "/proc/9/fd/1", "socket:[90]");
	world_check(w, doctor_daemon_serves);
	world_finds(w, LEVEL_FAULT, "another daemon takes some", "kill 9");
}

static void daemon_in_another_network_namespace_is_named(void **state)
{
	struct world *w = *state;

	put_process(w, 100, OURS, "net:[2]");
	put_worker(w, 101, 100);
	put_group(w, (const int[]){0});
	world_check(w, doctor_daemon_serves);
	world_finds(w, LEVEL_FAULT, "process 100) serves another network namespace",
		    "NetworkNamespacePath=");
	/* Nor is it asked for its workers here. */
	world_check(w, doctor_daemon_workers);
	world_is_silent(w);
}

static void daemon_without_workers_is_named_with_the_reason(void **state)
{
	struct world *w = *state;

	put_process(w, 100, OURS, "net:[1]");
	put_group(w, (const int[]){100, 0});
	put_worker(w, 101, 100);
	world_check(w, doctor_daemon_workers);
	world_is_fine(w);
	put_worker(w, 101, 1);
	world_check(w, doctor_daemon_workers);
	world_finds(w, LEVEL_FAULT, "no worker", "journalctl -u tlshd");
	put_unit(w, "LoadState=loaded\\nActiveState=failed\\n");
	world_check(w, doctor_daemon_workers);
	world_finds(w, LEVEL_FAULT, "tlshd-worker.socket is failed", "systemctl restart");
	put_unit(w, "LoadState=masked\\nActiveState=inactive\\n");
	world_check(w, doctor_daemon_workers);
	world_finds(w, LEVEL_FAULT, "masked", "systemctl unmask tlshd-worker.socket");
	world_put(w, "/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
	world_check(w, doctor_daemon_workers);
	world_finds(w, LEVEL_FAULT, "there is no user", "systemd-sysusers");
}

static void worker_of_systemd_is_told_by_its_argument_or_name(void **state)
{
	struct world *w = *state;
	g_autofree char *path = g_strconcat(w->root, "/proc/101/cmdline", NULL);

	put_process(w, 100, OURS, "net:[1]");
	put_group(w, (const int[]){100, 0});
	put_worker(w, 101, 1);
	assert_true(g_file_set_contents(path, "tlshd\0--worker", sizeof("tlshd\0--worker"), NULL));
	world_check(w, doctor_daemon_workers);
	world_is_fine(w);
	/* Later it has a name of its own. */
	assert_true(g_file_set_contents(path, "tlshd", sizeof("tlshd"), NULL));
	world_put(w, "/proc/101/comm", "tlshd-worker\n");
	world_check(w, doctor_daemon_workers);
	world_is_fine(w);
}

static void unit_that_restarts_is_named(void **state)
{
	struct world *w = *state;

	world_check(w, doctor_daemon_restarts);
	world_is_silent(w);
	put_unit(w, "LoadState=loaded\\nActiveState=active\\nSubState=running\\nNRestarts=0\\n");
	world_check(w, doctor_daemon_restarts);
	world_is_fine(w);
	put_unit(w, "LoadState=loaded\\nActiveState=active\\nSubState=running\\nNRestarts=3\\n");
	world_check(w, doctor_daemon_restarts);
	world_finds(w, LEVEL_WARNING, "3 times", "journalctl -u tlshd");
	put_unit(w,
		 "LoadState=loaded\\nActiveState=activating\\nSubState=auto-restart\\nNRestarts=7\\n");
	world_check(w, doctor_daemon_restarts);
	world_finds(w, LEVEL_FAULT, "again and again", "journalctl -u tlshd");
}

static void configuration_faults_are_those_of_check_config(void **state)
{
	struct world *w = *state;
	g_autofree char *path = g_strconcat(w->root, "/proc/100/cmdline", NULL);

	put_process(w, 100, OURS, "net:[1]");
	put_group(w, (const int[]){100, 0});
	assert_true(g_file_set_contents(path, "tlshd\0-c\0/etc/other.conf",
					sizeof("tlshd\0-c\0/etc/other.conf"), NULL));
	world_program(w, "/usr/sbin/tlshd",
		      "case $1 in --version) echo '" OURS
		      "';; *) echo \"$*: bad value\" >&2; exit 1;; esac");
	world_check(w, doctor_daemon_configuration);
	world_finds(w, LEVEL_WARNING, "--check-config --config=/etc/other.conf: bad value",
		    "reload tlshd");
	world_program(w, "/usr/sbin/tlshd",
		      "case $1 in --version) echo '" OURS "';; *) echo broken >&2; exit 78;; esac");
	world_check(w, doctor_daemon_configuration);
	world_finds(w, LEVEL_FAULT, "broken", "restart tlshd");
}

static void configuration_is_checked_without_a_running_daemon(void **state)
{
	struct world *w = *state;

	world_program(w, "/usr/sbin/tlshd", "echo '" OURS "'");
	world_check(w, doctor_daemon_configuration);
	world_is_fine(w);
	/* Theirs knows no such option. */
	world_program(w, "/usr/sbin/tlshd", "echo '" THEIRS "' >&2");
	world_check(w, doctor_daemon_configuration);
	world_is_silent(w);
}

/* ---- keys ---- */

static void missing_keyring_is_named(void **state)
{
	struct world *w = *state;

	world_check(w, doctor_keys_keyring);
	world_is_fine(w);
	w->d.ring.serial = -ENOENT;
	world_check(w, doctor_keys_keyring);
	if (getuid() == 0)
		world_finds(w, LEVEL_FAULT, ".nvme not found", "modprobe nvme-tcp");
	else
		world_finds(w, LEVEL_WARNING, ".nvme not found", "as root");
}

static void revoked_and_expired_keys_are_named(void **state)
{
	struct world *w = *state;
	key_row *row = world_key(w, "NVMe0R01 nqn.h nqn.s");

	world_check(w, doctor_keys_usable);
	world_is_fine(w);
	row->status.revoked = true;
	world_check(w, doctor_keys_usable);
	world_finds(w, LEVEL_FAULT, "it is revoked", "nvme-tls insert --hostnqn=nqn.h");
	row->status.revoked = false;
	row->status.expired = true;
	world_check(w, doctor_keys_usable);
	world_finds(w, LEVEL_FAULT, "it has expired", "--subsysnqn=nqn.s");
	/* The kernel lists the old key for minutes beside the one that came in its place. */
	world_key(w, "NVMe0R01 nqn.h nqn.s");
	world_check(w, doctor_keys_usable);
	world_finds(w, LEVEL_OK, "every key can be used", NULL);
}

static void key_that_does_not_fit_its_hash_is_named(void **state)
{
	struct world *w = *state;

	world_key(w, "NVMe0R01 nqn.h nqn.s")->length = 48;
	world_check(w, doctor_keys_usable);
	world_finds(w, LEVEL_FAULT, "SHA-256 goes with keys of 32 bytes", "nvme-tls insert");
}

static void key_of_another_subsystem_that_shadows_is_named(void **state)
{
	struct world *w = *state;

	world_key(w, "NVMe0R01 nqn.h nqn.io-10");
	world_check(w, doctor_keys_prefix);
	world_is_fine(w);
	world_key(w, "NVMe0R01 nqn.h nqn.io-1");
	world_check(w, doctor_keys_prefix);
	world_finds(w, LEVEL_FAULT, "shadowed: the host takes 0x00000001 of nqn.io-10",
		    "--tls_key=0x00000002");
}

static void several_keys_of_a_pair_are_named_with_the_kernels_choice(void **state)
{
	struct world *w = *state;

	world_key(w, "NVMe0R01 nqn.h nqn.s");
	world_check(w, doctor_keys_choice);
	world_is_fine(w);
	world_key(w, "NVMe1R01 nqn.h nqn.s " D256);
	world_check(w, doctor_keys_choice);
	world_finds(w, LEVEL_WARNING, "key 0x00000001", "nvme-tls revoke 0x00000001");
	world_finds(w, LEVEL_WARNING, "it takes 0x00000002", NULL);
	world_key(w, "NVMe1R01 nqn.h nqn.s " E256);
	world_check(w, doctor_keys_choice);
	world_finds(w, LEVEL_WARNING, "is chance", "nvme-tls list");
}

/* A line each for ten thousand keys would hide everything else. */
static void many_keys_of_one_trouble_are_counted(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 50; i++) {
		g_autofree char *identity = g_strdup_printf("NVMe0R01 nqn.h nqn.s%02d", i);

		world_key(w, identity)->status.expired = true;
	}
	world_check(w, doctor_keys_usable);
	assert_int_equal(w->d.findings->len, DOCTOR_LISTED_MAX + 1);
	world_finds(w, LEVEL_WARNING, "40 more keys", "nvme-tls list");
}

static void ask_for_pair(struct world *w, const char *hostnqn, const char *subsysnqn)
{
	w->o.hostnqn = g_strdup(hostnqn);
	w->o.subsysnqn = g_strdup(subsysnqn);
}

static void pair_without_a_key_is_named(void **state)
{
	struct world *w = *state;

	ask_for_pair(w, "nqn.h", "nqn.s");
	world_key(w, "NVMe0R01 nqn.h nqn.s2");
	world_check(w, doctor_pairs_key);
	world_finds(w, LEVEL_FAULT, "no key is loaded for the host nqn.h and the subsystem nqn.s",
		    "nvme-tls insert --hostnqn=nqn.h --subsysnqn=nqn.s");
	world_key(w, "NVMe0R01 nqn.h nqn.s");
	world_check(w, doctor_pairs_key);
	world_is_fine(w);
}

static void put_port(struct world *w, const char *tsas, const char *treq)
{
	world_put(w, "/sys/kernel/config/nvmet/ports/1/addr_trtype", "tcp\n");
	world_put(w, "/sys/kernel/config/nvmet/ports/1/addr_traddr", "192.0.2.1\n");
	world_put(w, "/sys/kernel/config/nvmet/ports/1/addr_trsvcid", "4420\n");
	world_put(w, "/sys/kernel/config/nvmet/ports/1/addr_tsas", tsas);
	world_put(w, "/sys/kernel/config/nvmet/ports/1/addr_treq", treq);
	world_folder(w, "/sys/kernel/config/nvmet/ports/1/subsystems/nqn.s");
	world_folder(w, "/sys/kernel/config/nvmet/subsystems/nqn.s/allowed_hosts/nqn.h");
}

static void pairs_of_ports_and_controllers_need_keys(void **state)
{
	struct world *w = *state;

	put_port(w, "tls1.3\n", "required\n");
	world_put(w, "/sys/class/nvme/nvme0/tls_key", "\n");
	world_put(w, "/sys/class/nvme/nvme0/hostnqn", "nqn.h\n");
	world_put(w, "/sys/class/nvme/nvme0/subsysnqn", "nqn.t\n");
	world_check(w, doctor_pairs_key);
	world_finds(w, LEVEL_FAULT, "the subsystem nqn.s (port 1)", NULL);
	world_finds(w, LEVEL_FAULT, "the subsystem nqn.t (nvme0)", NULL);
	world_key(w, "NVMe0R01 nqn.h nqn.s");
	world_key(w, "NVMe0R01 nqn.h nqn.t");
	world_check(w, doctor_pairs_key);
	world_is_fine(w);
	/* Whoever connects to this port needs no key. */
	g_ptr_array_set_size(w->d.rows, 0);
	w->d.sides = DOCTOR_TARGET;
	put_port(w, "none\n", "not required\n");
	world_check(w, doctor_pairs_key);
	world_is_silent(w);
}

static void other_identity_version_is_named(void **state)
{
	struct world *w = *state;

	ask_for_pair(w, "nqn.h", "nqn.s");
	world_key(w, "NVMe0R01 nqn.h nqn.s");
	world_check(w, doctor_pairs_identity);
	world_is_silent(w);
	w->o.version = 1;
	world_check(w, doctor_pairs_identity);
	world_finds(w, LEVEL_FAULT, "only a key of identity version 0",
		    "nvme-tls insert --identity=1");
	w->o.version = 0;
	world_check(w, doctor_pairs_identity);
	world_is_fine(w);
}

static void other_hash_is_named(void **state)
{
	struct world *w = *state;

	ask_for_pair(w, "nqn.h", "nqn.s");
	world_key(w, "NVMe0R01 nqn.h nqn.s");
	w->o.hmac = 2;
	world_check(w, doctor_pairs_identity);
	world_finds(w, LEVEL_FAULT, "and the other side uses SHA-384", "nvme-tls insert");
}

static void identity_of_the_other_sides_log_is_compared(void **state)
{
	struct world *w = *state;

	ask_for_pair(w, "nqn.h", "nqn.s");
	world_key(w, "NVMe1R01 nqn.h nqn.s " D256);
	w->o.identity = g_strdup("NVMe1R01 nqn.h nqn.s " E256);
	world_check(w, doctor_pairs_identity);
	world_finds(w, LEVEL_FAULT, "another digest", "--keydata=PSKFILE");
	world_key(w, "NVMe1R01 nqn.h nqn.s " E256);
	world_check(w, doctor_pairs_identity);
	world_is_fine(w);
}

/* ---- what the daemon has recorded ---- */

enum { OK, NO_KEY, LATE };

/* A handshake on record, as a daemon writes it. */
struct handshake {
	enum recording_side side;
	unsigned int cause;
	uint8_t peer; /* the last byte of its address */
	const char *identity;
};

static void record(struct world *w, const struct handshake *shakes, uint32_t n, uint64_t usec)
{
	static const char *const ids[] = {"success", "no-key", "worker-late"};
	static const char *const sentences[] = {"succeeded", "no key for this identity",
						"too late"};
	size_t size = recording_file_size(n);
	g_autofree struct recording_file *file = g_malloc0(size);
	g_autofree char *path = g_strconcat(w->root, "/recording", NULL);
	const char *why;

	recording_head_fill(&file->head, n);
	file->state.causes = G_N_ELEMENTS(ids);
	file->state.next = n;
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
		g_strlcpy(file->cause[i].id, ids[i], sizeof(file->cause[i].id));
		g_strlcpy(file->cause[i].sentence, sentences[i], sizeof(file->cause[i].sentence));
		g_strlcpy(file->cause[i].remedy, "do something", sizeof(file->cause[i].remedy));
	}
	for (uint32_t i = 0; i < n; i++) {
		struct recording_entry *e = &file->slot[i].entry;

		file->slot[i].sequence = 2 * (uint64_t)i + 2;
		e->number = i;
		e->ended = (uint64_t)g_get_real_time();
		e->duration = usec;
		e->side = shakes[i].side;
		e->cause = shakes[i].cause;
		e->family = AF_INET;
		e->port = 1000 + i;
		memcpy(e->address, (const uint8_t[]){192, 0, 2, shakes[i].peer}, 4);
		g_strlcpy(e->identity, shakes[i].identity, sizeof(e->identity));
		if (e->cause == OK)
			file->state.durations[e->side][recording_bucket(usec)]++;
	}
	assert_true(g_file_set_contents(path, (const char *)file, (gssize)size, NULL));
	if (w->d.recording)
		recording_free(w->d.recording);
	assert_int_equal(recording_read(path, &w->d.recording, &why), 0);
}

#define IDENTITY_1 "NVMe1R01 nqn.h nqn.s " D256

static void last_failure_of_each_peer_is_told_with_its_cause(void **state)
{
	const struct handshake failed[] = {{RECORDING_SERVER, OK, 1, IDENTITY_1},
					   {RECORDING_SERVER, NO_KEY, 1, IDENTITY_1},
					   {RECORDING_SERVER, NO_KEY, 2, IDENTITY_1}};
	const struct handshake mended[] = {{RECORDING_SERVER, NO_KEY, 1, IDENTITY_1},
					   {RECORDING_SERVER, OK, 1, IDENTITY_1}};
	struct world *w = *state;

	world_check(w, doctor_record_failures);
	world_is_silent(w);
	record(w, failed, 3, 1000);
	world_check(w, doctor_record_failures);
	world_finds(w, LEVEL_WARNING,
		    "server handshake with 192.0.2.2:1002 and 1 other failed: no key",
		    "do something");
	assert_int_equal(w->d.findings->len, 1);
	record(w, mended, 2, 1000);
	world_check(w, doctor_record_failures);
	world_is_fine(w);
	/* What failed the day before yesterday is history. */
	record(w, failed, 3, 1000);
	w->system.now = time(NULL) + 2 * 86400;
	world_check(w, doctor_record_failures);
	world_is_silent(w);
}

static void identity_on_record_is_compared_with_the_keys(void **state)
{
	const struct handshake failed[] = {
		{RECORDING_SERVER, NO_KEY, 1, IDENTITY_1},
		{RECORDING_SERVER, NO_KEY, 1, "\033[31mno identity"},
	};
	struct world *w = *state;

	record(w, failed, 2, 1000);
	world_key(w, "NVMe0R01 nqn.h nqn.s");
	world_check(w, doctor_pairs_identity);
	world_finds(w, LEVEL_FAULT, "only a key of identity version 0", "--identity=1");
	world_key(w, IDENTITY_1);
	world_check(w, doctor_pairs_identity);
	world_is_silent(w);
	world_check(w, doctor_record_failures);
	for (guint i = 0; i < w->d.findings->len; i++)
		assert_null(strchr(((doctor_finding *)g_ptr_array_index(w->d.findings, i))->cause,
				   '\033'));
}

static void timeout_that_handshakes_do_not_keep_is_named(void **state)
{
	const struct handshake good[] = {{RECORDING_CLIENT, OK, 1, ""}};
	const struct handshake late[] = {{RECORDING_CLIENT, OK, 1, ""},
					 {RECORDING_CLIENT, LATE, 1, ""}};
	struct world *w = *state;

	record(w, good, 1, 5000);
	world_check(w, doctor_record_timeout);
	world_is_silent(w);
	world_put(w, "/sys/module/nvme_tcp/parameters/tls_handshake_timeout", "10\n");
	world_check(w, doctor_record_timeout);
	world_is_fine(w);
	record(w, good, 1, 6 * G_USEC_PER_SEC);
	world_check(w, doctor_record_timeout);
	world_finds(w, LEVEL_WARNING, "one client handshake in a hundred takes",
		    "echo 20 > /sys/module");
	record(w, late, 2, 5000);
	world_check(w, doctor_record_timeout);
	world_finds(w, LEVEL_FAULT,
		    "1 client handshake of the last day did not end within the 10 s",
		    "echo 20 > /sys/module/nvme_tcp/parameters/tls_handshake_timeout");
}

/* ---- cryptography ---- */

static void sha384_keys_need_a_new_gnutls(void **state)
{
	struct world *w = *state;

	world_check(w, doctor_policy_sha384);
	world_is_fine(w);
	world_key(w, "NVMe0R02 nqn.h nqn.s");
	world_check(w, doctor_policy_sha384);
	if (gnutls_check_version("3.8.11"))
		world_is_fine(w);
	else
		world_finds(w, LEVEL_FAULT, "cannot use SHA-384 keys", "3.8.11");
}

static void default_policy_leaves_ciphers(void **state)
{
	struct world *w = *state;

	world_check(w, doctor_policy_ciphers);
	world_is_fine(w);
}

/* ---- the target ---- */

static void port_without_tls_is_named(void **state)
{
	struct world *w = *state;

	world_check(w, doctor_target_tls);
	world_is_silent(w);
	put_port(w, "none\n", "not required\n");
	world_check(w, doctor_target_tls);
	world_finds(w, LEVEL_WARNING, "port 1 (192.0.2.1:4420) does not offer TLS",
		    "echo tls1.3 > addr_tsas");
	/* With a key somebody expects it to be encrypted. */
	world_key(w, "NVMe0R01 nqn.h nqn.s");
	world_check(w, doctor_target_tls);
	world_finds(w, LEVEL_FAULT, "does not offer TLS", "echo tls1.3 > addr_tsas");
	put_port(w, "tls1.3\n", "required\n");
	world_check(w, doctor_target_tls);
	world_is_fine(w);
}

static void port_that_lets_plain_text_in_is_named(void **state)
{
	struct world *w = *state;

	put_port(w, "tls1.3\n", "not required\n");
	world_check(w, doctor_target_plain);
	world_finds(w, LEVEL_FAULT, "without TLS (addr_treq is \"not required\")",
		    "echo required > addr_treq");
	put_port(w, "tls1.3\n", "required\n");
	world_check(w, doctor_target_plain);
	world_is_fine(w);
}

/* ---- the next boot ---- */

/* The derived key of identity version 0, SHA-256, that facts of nvme-cli have; any valid one will do. */
#define LINE \
	"NVMe0R01 nqn.h nqn.s NVMeTLSkey-1:01:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ:\n"

static void key_file_is_judged(void **state)
{
	struct world *w = *state;
	g_autofree char *path = g_strconcat(w->root, "/etc/nvme/tls-keys", NULL);

	world_check(w, doctor_boot_keyfile);
	world_is_silent(w);
	world_key(w, "NVMe0R01 nqn.h nqn.s");
	world_check(w, doctor_boot_keyfile);
	world_finds(w, LEVEL_WARNING, "gone after a reboot", "nvme-tls export --keyfile");

	world_put(w, "/etc/nvme/tls-keys", LINE);
	if (getuid() == 0) {
		world_check(w, doctor_boot_keyfile);
		world_is_fine(w);
	}
	assert_int_equal(chmod(path, 0644), 0);
	world_check(w, doctor_boot_keyfile);
	world_finds(w, LEVEL_FAULT, "tls-keys", "chmod 600");

	world_put(w, "/etc/nvme/tls-keys", LINE "NVMe0R01 nqn.h\n");
	world_check(w, doctor_boot_keyfile);
	world_finds(w, LEVEL_FAULT, "line 2 of the key file", "nvme-tls check");

	g_ptr_array_set_size(w->d.rows, 0);
	world_check(w, doctor_boot_keyfile);
	world_finds(w, LEVEL_WARNING, "1 of the keys", "nvme-tls import");

	unlink(path);
	assert_int_equal(symlink("/nowhere/at/all", path), 0);
	world_check(w, doctor_boot_keyfile);
	world_finds(w, LEVEL_FAULT, "a link to a file that is not there", "ls -l");
	unlink(path);
	world_folder(w, "/etc/nvme/tls-keys");
	world_check(w, doctor_boot_keyfile);
	world_finds(w, LEVEL_FAULT, "cannot be read", NULL);
}

static void key_file_never_gets_into_a_finding(void **state)
{
	struct world *w = *state;

	world_put(w, "/etc/nvme/tls-keys",
		  "NVMe0R01 nqn.h nqn.s NVMeTLSkey-1:01:VRLbtnN9AQb2WXW3c9+wEf:\n"
		  "NVMeTLSkey-1:01:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ:\n");
	world_check(w, doctor_boot_keyfile);
	world_finds(w, LEVEL_FAULT, "line 1", NULL);
	for (guint i = 0; i < w->d.findings->len; i++) {
		const doctor_finding *f = g_ptr_array_index(w->d.findings, i);

		assert_null(strstr(f->cause, "VRLb"));
		assert_null(strstr(f->subject, "VRLb"));
		assert_null(strstr(f->remedy, "VRLb"));
	}
}

static void credential_takes_the_place_of_a_key_file(void **state)
{
	struct world *w = *state;

	world_key(w, "NVMe0R01 nqn.h nqn.s");
	world_put(w, "/etc/credstore.encrypted/nvme-tls-keys", "sealed");
	world_check(w, doctor_boot_keyfile);
	world_is_fine(w);
}

static void units_of_the_boot_are_judged(void **state)
{
	static const struct {
		const char *show;
		enum doctor_level level;
		const char *cause, *remedy;
	} units[] = {
		{"LoadState=not-found\\n", LEVEL_FAULT, "there is no unit nvme-tls-keys.service",
		 "install tlshd again"},
		{"LoadState=masked\\n", LEVEL_FAULT, "nvme-tls-keys.service is masked",
		 "systemctl unmask nvme-tls-keys.service"},
		{"LoadState=loaded\\nActiveState=failed\\n", LEVEL_FAULT,
		 "nvme-tls-keys.service has failed", "journalctl -u nvme-tls-keys.service"},
		{"LoadState=loaded\\nUnitFileState=disabled\\n", LEVEL_WARNING,
		 "tlshd.service is not enabled", "systemctl enable tlshd"},
	};
	struct world *w = *state;

	world_check(w, doctor_boot_unit);
	world_is_silent(w);
	put_unit(w, "LoadState=loaded\\nUnitFileState=enabled\\nActiveState=active\\n");
	world_check(w, doctor_boot_unit);
	world_is_fine(w);
	for (size_t i = 0; i < G_N_ELEMENTS(units); i++) {
		put_unit(w, units[i].show);
		world_check(w, doctor_boot_unit);
		world_finds(w, units[i].level, units[i].cause, units[i].remedy);
	}
}

static void udev_rule_is_judged(void **state)
{
	struct world *w = *state;

	world_check(w, doctor_boot_rule);
	world_is_silent(w);
	world_folder(w, "/run/udev");
	world_check(w, doctor_boot_rule);
	world_finds(w, LEVEL_FAULT, "there is no udev rule", "udevadm control --reload");
	world_put(w, "/usr/lib/udev/rules.d/70-nvme-tls-keys.rules", "ACTION\n");
	world_check(w, doctor_boot_rule);
	world_is_fine(w);
	world_link(w, "/etc/udev/rules.d/70-nvme-tls-keys.rules", "/dev/null");
	world_check(w, doctor_boot_rule);
	world_finds(w, LEVEL_FAULT, "masks the udev rule",
		    "rm /etc/udev/rules.d/70-nvme-tls-keys.rules");
}

/* ---- certificates ---- */

/* Self-signed, of 2026-11-25, for 3650 days. */
#define CERTIFICATE                                                          \
	"-----BEGIN CERTIFICATE-----\n"                                      \
	"MIIBcjCCARmgAwIBAgIUfKVxfLKb9I5gEg2rCutIpblGkIkwCgYIKoZIzj0EAwIw\n" \
	"DzENMAsGA1UEAwwEdGVzdDAeFw0yNjExMjUxNjQ4NTlaFw0zNjExMjIxNjQ4NTla\n" \
	"MA8xDTALBgNVBAMMBHRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ9cjj/\n" \
	"xKo2r16vohnbaQO+fA5AHR4bsxDP0lv4uADoqYKcmdPXb+4kd43FsxmAdvGF0t2D\n" \
	"v6d3Ee8qf7ai0TUDo1MwUTAdBgNVHQ4EFgQUj6OJXfVSjQJtXpo7t2R47wVQAbAw\n" \
	"HwYDVR0jBBgwFoAUj6OJXfVSjQJtXpo7t2R47wVQAbAwDwYDVR0TAQH/BAUwAwEB\n" \
	"/zAKBggqhkjOPQQDAgNHADBEAiBAmWfUuxCTmZRvI7eCAtGXTgoFta4YB8VBMlEh\n" \
	"eW3T2AIgTsIjhFtdb7FdW+lAGA+c8gYuHpWoCaMCXgtr2EiNh5k=\n"             \
	"-----END CERTIFICATE-----\n"
#define ISSUED INT64_C(1795625339)
#define DAY INT64_C(86400)

/* To be renewed after 30 days. */
#define CRL                                                                  \
	"-----BEGIN X509 CRL-----\n"                                         \
	"MIGmME4CAQEwCgYIKoZIzj0EAwIwDzENMAsGA1UEAwwEdGVzdBcNMjYxMTI1MTcy\n" \
	"NDAyWhcNMjYxMjI1MTcyNDAyWqAOMAwwCgYDVR0UBAMCAQEwCgYIKoZIzj0EAwID\n" \
	"SAAwRQIhAMx/Dd3XgjMU6CRBCVK441cZ48sTcIHfeSM1fpIqblaUAiAsSDk7B9ny\n" \
	"WHMLzbAq66HmXgcG3jf+mvAONaOwU2l9hQ==\n"                             \
	"-----END X509 CRL-----\n"
#define CRL_ISSUED INT64_C(1795627442)

static bool clock_is_wrong(void)
{
	return false;
}

static void certificates_are_judged_by_their_dates(void **state)
{
	static const char conf[] = "[authenticate.server]\nx509.certificate=/etc/tlshd/cert.pem\n";
	struct world *w = *state;

	world_check(w, doctor_x509_certificates);
	world_is_silent(w);
	world_check(w, doctor_x509_clock);
	world_is_silent(w);
	world_put(w, SYSCONFDIR "/tlshd.conf", conf);
	world_check(w, doctor_x509_certificates);
	world_finds(w, LEVEL_FAULT, "[authenticate.server] x509.certificate", "reload tlshd");
	world_put(w, "/etc/tlshd/cert.pem", "no certificate\n");
	world_check(w, doctor_x509_certificates);
	world_finds(w, LEVEL_FAULT, "no certificate in PEM", "head -1");

	world_put(w, "/etc/tlshd/cert.pem", CERTIFICATE);
	w->system.now = ISSUED + DAY;
	world_check(w, doctor_x509_certificates);
	world_is_fine(w);
	w->system.now = ISSUED + 3645 * DAY;
	world_check(w, doctor_x509_certificates);
	world_finds(w, LEVEL_WARNING, "in 5 days", "new certificate");
	w->system.now = ISSUED + 3651 * DAY;
	world_check(w, doctor_x509_certificates);
	world_finds(w, LEVEL_FAULT, "expired at", "new certificate");
	w->system.now = ISSUED - DAY;
	world_check(w, doctor_x509_certificates);
	world_finds(w, LEVEL_FAULT, "the clock is wrong", "timedatectl");
}

static void old_revocation_list_and_open_private_key_are_named(void **state)
{
	struct world *w = *state;
	g_autofree char *key = g_strconcat(w->root, "/etc/tlshd/key.pem", NULL);

	world_put(w, SYSCONFDIR "/tlshd.conf",
		  "[authenticate.client]\nx509.crl=/etc/tlshd/crl.pem\nx509.certificate=pkcs11:object=nfs\n"
		  "[authenticate.server]\nx509.private_key=/etc/tlshd/key.pem\n");
	world_put(w, "/etc/tlshd/crl.pem", CRL);
	world_check(w, doctor_x509_certificates);
	world_finds(w, LEVEL_FAULT, "[authenticate.server] x509.private_key: /etc/tlshd/key.pem",
		    "put the file there");
	world_put(w, "/etc/tlshd/key.pem", "secret\n");
	w->system.now = CRL_ISSUED + DAY;
	world_check(w, doctor_x509_certificates);
	world_is_fine(w);
	assert_int_equal(chmod(key, 0644), 0);
	world_check(w, doctor_x509_certificates);
	world_finds(w, LEVEL_FAULT, "every user has access to /etc/tlshd/key.pem", "chmod o=");
	w->system.now = CRL_ISSUED + 31 * DAY;
	world_check(w, doctor_x509_certificates);
	world_finds(w, LEVEL_FAULT, "was to be renewed at", "the issuer's new list");
	world_put(w, "/etc/tlshd/crl.pem", CERTIFICATE);
	world_check(w, doctor_x509_certificates);
	world_finds(w, LEVEL_FAULT, "no revocation list in PEM", "head -1");
}

static void signer_that_cannot_be_born_is_named(void **state)
{
	struct world *w = *state;

	put_unit(w, "LoadState=loaded\\nActiveState=failed\\n");
	world_check(w, doctor_x509_signer);
	world_is_silent(w);
	world_put(w, SYSCONFDIR "/tlshd.conf",
		  "[authenticate.server]\nx509.private_key=pkcs11:object=nfs\n");
	world_check(w, doctor_x509_signer);
	world_finds(w, LEVEL_FAULT, "tlshd-signer.socket is failed", "systemctl restart");
	put_unit(w, "LoadState=masked\\nActiveState=inactive\\n");
	world_check(w, doctor_x509_signer);
	world_finds(w, LEVEL_FAULT, "masked", "systemctl unmask tlshd-signer.socket");
	put_unit(w, "LoadState=not-found\\nActiveState=inactive\\n");
	world_check(w, doctor_x509_signer);
	world_finds(w, LEVEL_FAULT, "there is no unit", "install tlshd again");
	put_unit(w, "LoadState=loaded\\nActiveState=active\\n");
	world_check(w, doctor_x509_signer);
	world_is_fine(w);
}

static void clock_is_judged_where_there_are_certificates(void **state)
{
	struct world *w = *state;

	world_put(w, SYSCONFDIR "/tlshd.conf",
		  "[authenticate.client]\nx509.truststore=/etc/tlshd/ca.pem\n");
	world_put(w, "/etc/tlshd/ca.pem", CERTIFICATE);
	world_check(w, doctor_x509_clock);
	world_is_fine(w);
	w->system.clock_is_set = clock_is_wrong;
	world_check(w, doctor_x509_clock);
	world_finds(w, LEVEL_WARNING, "nothing keeps the clock right", "timedatectl");
	w->system.now = ISSUED - 3000 * DAY;
	world_check(w, doctor_x509_clock);
	world_finds(w, LEVEL_FAULT, "the clock is behind", "timedatectl");
	/* A bundle of authorities has expired ones at all times. */
	w->system.now = ISSUED + 4000 * DAY;
	world_check(w, doctor_x509_certificates);
	world_is_fine(w);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_make, world_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(kernel_without_handshake_family_is_named),
		CASE(kernel_without_nvme_tls_is_named_for_each_side),
		CASE(loaded_module_tells_whether_it_has_tls),
		CASE(kernel_of_which_nothing_is_known_is_not_judged),
		CASE(missing_modules_are_named),
		CASE(module_that_is_there_is_to_be_loaded),
		CASE(our_daemon_serves),
		CASE(daemon_is_known_by_its_socket_not_by_its_port),
		CASE(our_program_is_known_wherever_its_word_is),
		CASE(no_daemon_is_named_with_what_systemd_says),
		CASE(socket_in_the_descriptor_store_serves_nobody),
		CASE(daemon_of_ktls_utils_is_named_alone_and_beside_ours),
		CASE(two_of_ours_are_one_too_many),
		CASE(daemon_with_two_sockets_is_one),
		CASE(number_that_was_used_again_is_no_daemon),
		CASE(daemon_in_another_network_namespace_is_named),
		CASE(daemon_without_workers_is_named_with_the_reason),
		CASE(worker_of_systemd_is_told_by_its_argument_or_name),
		CASE(unit_that_restarts_is_named),
		CASE(configuration_faults_are_those_of_check_config),
		CASE(configuration_is_checked_without_a_running_daemon),
		CASE(missing_keyring_is_named),
		CASE(revoked_and_expired_keys_are_named),
		CASE(key_that_does_not_fit_its_hash_is_named),
		CASE(key_of_another_subsystem_that_shadows_is_named),
		CASE(several_keys_of_a_pair_are_named_with_the_kernels_choice),
		CASE(many_keys_of_one_trouble_are_counted),
		CASE(pair_without_a_key_is_named),
		CASE(pairs_of_ports_and_controllers_need_keys),
		CASE(other_identity_version_is_named),
		CASE(other_hash_is_named),
		CASE(identity_of_the_other_sides_log_is_compared),
		CASE(last_failure_of_each_peer_is_told_with_its_cause),
		CASE(identity_on_record_is_compared_with_the_keys),
		CASE(timeout_that_handshakes_do_not_keep_is_named),
		CASE(sha384_keys_need_a_new_gnutls),
		CASE(default_policy_leaves_ciphers),
		CASE(port_without_tls_is_named),
		CASE(port_that_lets_plain_text_in_is_named),
		CASE(key_file_is_judged),
		CASE(key_file_never_gets_into_a_finding),
		CASE(credential_takes_the_place_of_a_key_file),
		CASE(units_of_the_boot_are_judged),
		CASE(udev_rule_is_judged),
		CASE(certificates_are_judged_by_their_dates),
		CASE(old_revocation_list_and_open_private_key_are_named),
		CASE(signer_that_cannot_be_born_is_named),
		CASE(clock_is_judged_where_there_are_certificates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
