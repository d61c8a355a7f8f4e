// SPDX-License-Identifier: GPL-2.0-or-later
/* The NVMe controllers of this machine and the keys that their connections use, read from sysfs. */
#include "nvme-tls/controllers.h"

#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "nvme-tls/output.h"

void controller_free(controller *c)
{
	g_free(c->name);
	g_free(c->state);
	g_free(c->address);
	g_free(c->hostnqn);
	g_free(c->subsysnqn);
	g_free(c->mode);
	g_ptr_array_unref(c->disks);
	g_free(c);
}

/* The text of an attribute; "" for one that this kernel or this controller does not have. */
static char *attribute(const char *dir, const char *name)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	char *text = NULL;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return g_strdup("");
	return g_strstrip(text);
}

/* The kernel prints a serial as eight hex digits without 0x, and nothing where there is none. */
static key_serial serial_attribute(const char *dir, const char *name)
{
	g_autofree char *text = attribute(dir, name);
	guint64 serial;

	if (!g_ascii_string_to_unsigned(text, 16, 1, INT32_MAX, &serial, NULL))
		return 0;
	return (key_serial)serial;
}

/* "traddr=10.9.0.2,trsvcid=4420,…" to "10.9.0.2:4420". */
static char *address_attribute(const char *dir)
{
	g_autofree char *text = attribute(dir, "address");
	g_auto(GStrv) field = g_strsplit(text, ",", -1);
	const char *host = NULL, *port = NULL;

	for (char **f = field; *f; f++) {
		if (g_str_has_prefix(*f, "traddr="))
			host = strchr(*f, '=') + 1;
		else if (g_str_has_prefix(*f, "trsvcid="))
			port = strchr(*f, '=') + 1;
	}
	if (!host || !port)
		return g_steal_pointer(&text);
	return g_strdup_printf(strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

/* The disk of an entry "nvme0n1", or "nvme0c1n1" for a path of a multipath disk; NULL: it is none. */
static char *disk_name(const char *entry)
{
	unsigned int instance, path, namespace;
	int end = -1;

	if (sscanf(entry, "nvme%un%u%n", &instance, &namespace, &end) != 2 &&
	    sscanf(entry, "nvme%uc%un%u%n", &instance, &path, &namespace, &end) != 3)
		return NULL;
	return entry[end] ? NULL : g_strdup_printf("nvme%un%u", instance, namespace);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static GPtrArray *disks_of(const char *path)
{
	GPtrArray *disks = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *entry;

	while (dir && (entry = g_dir_read_name(dir))) {
		char *disk = disk_name(entry);

		if (disk)
			g_ptr_array_add(disks, disk);
	}
	g_ptr_array_sort(disks, by_text);
	return disks;
}

static controller *controller_read(const char *path, const char *name)
{
	controller *c = g_new0(controller, 1);

	c->name = g_strdup(name);
	c->state = attribute(path, "state");
	c->address = address_attribute(path);
	c->hostnqn = attribute(path, "hostnqn");
	c->subsysnqn = attribute(path, "subsysnqn");
	c->mode = attribute(path, "tls_mode");
	c->disks = disks_of(path);
	c->key = serial_attribute(path, "tls_key");
	c->configured = serial_attribute(path, "tls_configured_key");
	/* A kernel without that attribute, 6.12 for one, has no concatenation either. */
	if (!*c->mode) {
		g_free(c->mode);
		c->mode = g_strdup("tls");
	}
	return c;
}

/* The kernel has the attribute for such controllers only, and empty while they connect again. */
static bool speaks_tls(const char *path)
{
	g_autofree char *key = g_build_filename(path, "tls_key", NULL);

	return g_file_test(key, G_FILE_TEST_EXISTS);
}

static int number(const char *name)
{
	return (int)g_ascii_strtoll(name + strlen("nvme"), NULL, 10);
}

static int by_number(const void *a, const void *b)
{
	int left = number((*(controller *const *)a)->name);
	int right = number((*(controller *const *)b)->name);

	return (left > right) - (left < right);
}

GPtrArray *controllers_read(const char *sysfs)
{
	GPtrArray *all = g_ptr_array_new_with_free_func((GDestroyNotify)controller_free);
	g_autofree char *folder = g_build_filename(sysfs, "class/nvme", NULL);
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(folder, name, NULL);
		controller *c;

		if (!g_str_has_prefix(name, "nvme") || !speaks_tls(path))
			continue;
		c = controller_read(path, name);
		if (*c->subsysnqn)
			g_ptr_array_add(all, c);
		else
			controller_free(c);
	}
	g_ptr_array_sort(all, by_number);
	return all;
}

bool controller_uses(const controller *c, key_serial key)
{
	return key && (c->key == key || c->configured == key);
}

bool controller_of_pair(const controller *c, const char *hostnqn, const char *subsysnqn)
{
	return strcmp(c->hostnqn, hostnqn) == 0 && strcmp(c->subsysnqn, subsysnqn) == 0;
}

char *controller_describe(const controller *c)
{
	g_autofree char *address = output_clean(c->address);
	GString *text = g_string_new(NULL);

	g_string_append_printf(text, "%s (%s, %s, %s", c->name, address, c->mode, c->state);
	for (guint i = 0; i < c->disks->len; i++)
		g_string_append_printf(text, "%s %s", i ? "," : ";",
				       (char *)g_ptr_array_index(c->disks, i));
	g_string_append_c(text, ')');
	return g_string_free(text, FALSE);
}

struct json_object *controller_json(const controller *c)
{
	struct json_object *out = json_object_new_object(), *disks = json_object_new_array();

	json_add_string(out, "name", c->name);
	json_add_string(out, "state", c->state);
	json_add_string(out, "address", c->address);
	json_add_string(out, "hostnqn", c->hostnqn);
	json_add_string(out, "subsysnqn", c->subsysnqn);
	json_add_string(out, "mode", c->mode);
	json_object_object_add(out, "configured", json_object_new_boolean(c->configured != 0));
	for (guint i = 0; i < c->disks->len; i++)
		json_array_add_string(disks, g_ptr_array_index(c->disks, i));
	json_object_object_add(out, "disks", disks);
	return out;
}

void controllers_warn(GPtrArray *all, key_serial key)
{
	for (guint i = 0; i < all->len; i++) {
		const controller *c = g_ptr_array_index(all, i);
		g_autofree char *text = NULL;

		if (!controller_uses(c, key))
			continue;
		text = controller_describe(c);
		log_warning("warning: %s uses key " SERIAL
			    ": its connection goes on, but when it is made anew it needs another key of this pair",
			    text, (unsigned int)key);
	}
}

bool controllers_has_target(const char *sysfs, const char *subsysnqn)
{
	g_autofree char *folder = g_build_filename(sysfs, "kernel/config/nvmet/subsystems", NULL);
	g_autofree char *path = g_build_filename(folder, subsysnqn, NULL);

	/* A name of the command line is one folder, never a way to another. */
	return *subsysnqn && *subsysnqn != '.' && !strchr(subsysnqn, '/') &&
	       g_file_test(path, G_FILE_TEST_IS_DIR);
}
