// SPDX-License-Identifier: GPL-2.0-or-later
/* The options of nvme-tls: one table, so that a letter means the same in every subcommand. */
#include "nvme-tls/options.h"

#include <stdlib.h>
#include <string.h>

#include "common/identity.h"
#include "common/log.h"
#include "nvme-tls/tool.h"

#define IN(field) GINT_TO_POINTER(G_STRUCT_OFFSET(options, field))

/*
 * Letters are those of nvme-cli; an option without one has a name in @which all the same. The
 * pointer is the offset in struct options.
 */
static const struct {
	char name; /* in @which */
	GOptionEntry entry;
} table[] = {
	{'n',
	 {"hostnqn", 'n', 0, G_OPTION_ARG_STRING, IN(hostnqn),
	  "Host NQN (default: that in " HOSTNQN_FILE ")", "NQN"}},
	{'c', {"subsysnqn", 'c', 0, G_OPTION_ARG_STRING, IN(subsysnqn), "Subsystem NQN", "NQN"}},
	{'I',
	 {"identity", 'I', 0, G_OPTION_ARG_STRING, IN(identity),
	  "Identity version 0 (default) or 1, or whole", "ID"}},
	{'m',
	 {"hmac", 'm', 0, G_OPTION_ARG_INT, IN(hmac),
	  "Hash: 0 none, 1 SHA-256 (default), 2 SHA-384", "N"}},
	{'l',
	 {"length", 'l', 0, G_OPTION_ARG_INT, IN(length),
	  "Key bytes with --hmac=0: 32 (default) or 48", "N"}},
	{'s',
	 {"secret", 's', 0, G_OPTION_ARG_STRING, IN(secret),
	  "Key bytes in hex; - is standard input", "FILE|-|HEX"}},
	{'d',
	 {"keydata", 'd', 0, G_OPTION_ARG_STRING, IN(keydata),
	  "Interchange format; - is standard input", "FILE|-|KEY"}},
	{'i',
	 {"insert", 'i', 0, G_OPTION_ARG_NONE, IN(insert), "Put the derived key into the keyring",
	  NULL}},
	{'C',
	 {"compat", 'C', 0, G_OPTION_ARG_NONE, IN(compat), "Derive as nvme-cli before 2.16 does",
	  NULL}},
	{'f', {"keyfile", 'f', 0, G_OPTION_ARG_FILENAME, IN(keyfile), "Key file", "FILE"}},
	{'k',
	 {"keyring", 'k', 0, G_OPTION_ARG_STRING, IN(keyring),
	  "Keyring, by name or serial (default: .nvme)", "NAME"}},
	{'t',
	 {"keytype", 't', 0, G_OPTION_ARG_STRING, IN(keytype), "Type of its keys (default: psk)",
	  "TYPE"}},
	{'D',
	 {"dry-run", 0, 0, G_OPTION_ARG_NONE, IN(dry_run), "Only say what would be done", NULL}},
	{'B',
	 {"boot", 0, 0, G_OPTION_ARG_NONE, IN(boot), "What there is at boot; quiet when nothing is",
	  NULL}},
	{'j', {"json", 'j', 0, G_OPTION_ARG_NONE, IN(json), "Print JSON", NULL}},
};

static void wipe_string(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	g_free(s);
}

void options_clear(options *o)
{
	g_free(o->keyring);
	g_free(o->keytype);
	g_free(o->hostnqn);
	g_free(o->subsysnqn);
	g_free(o->identity);
	g_free(o->keyfile);
	wipe_string(o->keydata);
	wipe_string(o->secret);
	memset(o, 0, sizeof(*o));
}

/* --identity takes a version as in nvme-cli, or a whole identity. */
static bool split_identity(options *o)
{
	if (!o->identity)
		return true;
	if (strcmp(o->identity, "0") == 0 || strcmp(o->identity, "1") == 0) {
		o->version = o->identity[0] - '0';
		g_clear_pointer(&o->identity, g_free);
		return true;
	}
	if (g_str_has_prefix(o->identity, "NVMe"))
		return true;
	log_error("--identity \"%s\" is neither a version (0, 1) nor an identity (\"NVMe0R01 …\")",
		  o->identity);
	return false;
}

bool options_parse(options *o, const char *which, const char *arguments, int max_arguments,
		   const char *about, int *argc, char ***argv)
{
	g_autofree char *name = g_strdup((*argv)[0]);
	g_autofree char *program = g_strconcat("nvme-tls ", name, NULL);
	g_autoptr(GOptionContext) context = g_option_context_new(arguments);
	g_autoptr(GArray) entries = g_array_new(TRUE, TRUE, sizeof(GOptionEntry));
	g_autoptr(GError) error = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
		GOptionEntry entry = table[i].entry;

		if (!strchr(which, table[i].name))
			continue;
		entry.arg_data = (char *)o + GPOINTER_TO_INT(entry.arg_data);
		g_array_append_val(entries, entry);
	}
	g_set_prgname(program); /* --help prints it */
	g_option_context_set_summary(context, about);
	g_option_context_add_main_entries(context, (GOptionEntry *)(void *)entries->data, NULL);
	if (!g_option_context_parse(context, argc, argv, &error)) {
		log_error("%s: %s; see nvme-tls %s --help", name, error->message, name);
		return false;
	}
	if (*argc > 1 && strcmp((*argv)[1], "--") == 0) {
		(*argv)++;
		(*argc)--;
	}
	if (max_arguments >= 0 && *argc - 1 > max_arguments) {
		log_error("%s: what is \"%s\" for? See nvme-tls %s --help", name,
			  (*argv)[1 + max_arguments], name);
		return false;
	}
	if (!split_identity(o))
		return false;
	if (o->hmac != -1 && (o->hmac < 0 || o->hmac > 2)) {
		log_error("--hmac %d is none of 0 (none), 1 (SHA-256), 2 (SHA-384)", o->hmac);
		return false;
	}
	if (o->length != -1 && o->length != 32 && o->length != 48) {
		log_error("--length %d is neither 32 nor 48", o->length);
		return false;
	}
	if (!o->keyring)
		o->keyring = g_strdup(".nvme");
	if (!o->keytype)
		o->keytype = g_strdup("psk");
	return true;
}

/* What no identity can hold is refused; a name that only is no NQN works, and gets a warning. */
static bool nqn_usable(const char *what, const char *nqn)
{
	g_autofree char *as_nqn = g_str_has_prefix(nqn, "nqn.") ? g_strdup(nqn)
								: g_strconcat("nqn.", nqn, NULL);
	const char *why = *nqn ? nqn_check(as_nqn) : nqn_check(nqn);

	if (why) {
		log_error("%s \"%s\": %s", what, nqn, why);
		return false;
	}
	if (!g_str_has_prefix(nqn, "nqn."))
		log_warning("warning: %s \"%s\" does not begin with \"nqn.\" as an NQN does", what,
			    nqn);
	return true;
}

const char *options_hostnqn(options *o)
{
	if (!o->hostnqn) {
		g_autoptr(GError) error = NULL;

		if (!g_file_get_contents(HOSTNQN_FILE, &o->hostnqn, NULL, &error)) {
			log_error("no host NQN: %s; give --hostnqn, or make the file with `nvme gen-hostnqn > %s`",
				  error->message, HOSTNQN_FILE);
			return NULL;
		}
		g_strstrip(o->hostnqn);
		return nqn_usable("the host NQN in " HOSTNQN_FILE, o->hostnqn) ? o->hostnqn : NULL;
	}
	return nqn_usable("--hostnqn", o->hostnqn) ? o->hostnqn : NULL;
}

const char *options_subsysnqn(options *o)
{
	if (!o->subsysnqn) {
		log_error("no subsystem NQN: give --subsysnqn");
		return NULL;
	}
	return nqn_usable("--subsysnqn", o->subsysnqn) ? o->subsysnqn : NULL;
}
