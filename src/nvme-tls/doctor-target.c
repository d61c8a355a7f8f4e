// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls doctor, the target: which of its ports offer TLS, and which let plain text in. */
#include <string.h>

#include "nvme-tls/doctor-checks.h"

#define PORTS "/sys/kernel/config/nvmet/ports"

/* A port of the target that speaks NVMe/TCP and exports something. */
struct port {
	char *id, *address, *tsas, *treq;
	GPtrArray *subsystems;
};

static void port_free(struct port *p)
{
	g_free(p->id);
	g_free(p->address);
	g_free(p->tsas);
	g_free(p->treq);
	g_ptr_array_unref(p->subsystems);
	g_free(p);
}

static char *attribute(const struct doctor *d, const char *port, const char *name)
{
	char *text = doctor_system_read(d->system, PORTS "/%s/%s", port, name);

	return text ? text : g_strdup("");
}

static char *read_address(const struct doctor *d, const char *port)
{
	g_autofree char *host = attribute(d, port, "addr_traddr");
	g_autofree char *service = attribute(d, port, "addr_trsvcid");

	return g_strdup_printf(strchr(host, ':') ? "port %s ([%s]:%s)" : "port %s (%s:%s)", port,
			       host, service);
}

static GPtrArray *read_ports(const struct doctor *d)
{
	GPtrArray *ports = g_ptr_array_new_with_free_func((GDestroyNotify)port_free);
	g_autoptr(GPtrArray) ids = doctor_system_list(d->system, PORTS);

	for (guint i = 0; i < ids->len; i++) {
		const char *id = g_ptr_array_index(ids, i);
		g_autofree char *transport = attribute(d, id, "addr_trtype");
		struct port *port;

		if (strcmp(transport, "tcp") != 0)
			continue;
		port = g_new0(struct port, 1);
		*port = (struct port){
			.id = g_strdup(id),
			.address = read_address(d, id),
			.tsas = attribute(d, id, "addr_tsas"),
			.treq = attribute(d, id, "addr_treq"),
			.subsystems = doctor_system_list(d->system, PORTS "/%s/subsystems", id),
		};
		g_ptr_array_add(ports, port);
	}
	return ports;
}

/* Whether somebody expects TLS of the port: there are keys for one of its subsystems. */
static bool has_keys(const struct doctor *d, const struct port *port)
{
	for (guint i = 0; i < d->rows->len; i++) {
		const key_row *row = g_ptr_array_index(d->rows, i);

		for (guint n = 0; row->id.subsysnqn && n < port->subsystems->len; n++)
			if (!row->id.generated &&
			    strcmp(row->id.subsysnqn, g_ptr_array_index(port->subsystems, n)) == 0)
				return true;
	}
	return false;
}

/* The kernel refuses to change a port that exports something. */
static void mend_port(doctor_finding *f, const struct port *port, const char *attribute,
		      const char *value)
{
	doctor_mend(f,
		    "cd " PORTS "/%s; rm subsystems/*; echo %s > %s; and link the subsystems again",
		    port->id, value, attribute);
}

void doctor_target_tls(struct doctor *d)
{
	g_autoptr(GPtrArray) ports = read_ports(d);

	for (guint i = 0; i < ports->len; i++) {
		const struct port *port = g_ptr_array_index(ports, i);

		if (strcmp(port->tsas, "tls1.3") == 0)
			doctor_ok(d, port->address, "%s offers TLS", port->address);
		else if (has_keys(d, port))
			mend_port(doctor_fault(d, port->address,
					       "%s does not offer TLS (addr_tsas is \"%s\"), though there are keys for what it exports: everybody connects in the clear",
					       port->address, port->tsas),
				  port, "addr_tsas", "tls1.3");
		else
			mend_port(doctor_warning(d, port->address,
						 "%s does not offer TLS (addr_tsas is \"%s\"): everybody connects in the clear",
						 port->address, port->tsas),
				  port, "addr_tsas", "tls1.3");
	}
}

void doctor_target_plain(struct doctor *d)
{
	g_autoptr(GPtrArray) ports = read_ports(d);

	for (guint i = 0; i < ports->len; i++) {
		const struct port *port = g_ptr_array_index(ports, i);

		if (strcmp(port->tsas, "tls1.3") != 0)
			continue; /* the check above says so */
		if (strcmp(port->treq, "required") == 0)
			doctor_ok(d, port->address, "%s lets nobody in without TLS", port->address);
		else
			mend_port(doctor_fault(d, port->address,
					       "%s lets hosts in without TLS (addr_treq is \"%s\")",
					       port->address, port->treq),
				  port, "addr_treq", "required");
	}
}
