// SPDX-License-Identifier: GPL-2.0-or-later
/* The commands of nvme-tls and their options, as data: parser, help and completion read them. */
#include "nvme-tls/table.h"

#include <string.h>
#include <glib.h>

#include "common/recording.h"
#include "nvme-tls/options.h"
#include "nvme-tls/tool.h"

const struct command commands[] = {
	{COMMAND_GEN, "gen", "", 0, "make a new configured PSK",
	 "Make a configured PSK and print it in interchange format. With --subsysnqn its\n"
	 "identity follows on the next line; --insert puts the derived key into the\n"
	 "keyring, --keyfile into a key file."},
	{COMMAND_CHECK, "check", "[FILE]", 1, "is a key valid, and is it loaded",
	 "Check a configured PSK in interchange format. With --subsysnqn its identity is\n"
	 "shown, whether the keyring has that key, and if the key is there as an older\n"
	 "nvme-cli derives it, which option makes the same and what the other side needs.\n"
	 "With a whole --identity the key is taken as derived already. Of a key file every\n"
	 "line is looked up. Nothing is changed. The key comes from --keydata, FILE, or\n"
	 "standard input."},
	{COMMAND_INSERT, "insert", "[FILE]", 1, "put a key into the keyring",
	 "Derive the key of a configured PSK for a host and a subsystem and put it into\n"
	 "the keyring. With a whole --identity the key is taken as derived already. The\n"
	 "key comes from --keydata, FILE, or standard input."},
	{COMMAND_LIST, "list", "", 0, "what keys the keyring has, and what is wrong with them",
	 "List the keys of the keyring and what is wrong with them. A * marks the key that\n"
	 "the kernel's NVMe host takes for its host NQN and subsystem NQN; \"used by\" names\n"
	 "the controllers that use a key. With --keyfile the keys of that file are listed,\n"
	 "and where it and the keyring differ."},
	{COMMAND_IMPORT, "import", "[FILE]", 1, "put the keys of a key file into the keyring",
	 "Put the keys of a key file into the keyring: one \"identity key\" pair a line, as\n"
	 "nvme-tls export and nvme tls-key --export write them. The lines come from\n"
	 "--keyfile, FILE, or standard input."},
	{COMMAND_EXPORT, "export", "", 0, "write the keys of the keyring as a key file",
	 "Write the keys of the keyring, one \"identity key\" pair a line, to standard\n"
	 "output or into --keyfile, which keeps its other lines. --hostnqn, --subsysnqn\n"
	 "and --identity choose keys. The lines are as secret as the keys."},
	{COMMAND_REVOKE, "revoke", "[IDENTITY|SERIAL]…", -1, "take keys out of use",
	 "Make keys unusable and take them out of the keyring: by identity or serial,\n"
	 "those of a pair of NQNs, or with --hostnqn alone those of a host. --keyfile\n"
	 "takes their lines out of that as well. Connections that stand go on."},
	{COMMAND_ROTATE, "rotate", "", 0, "give a host and a subsystem a new key",
	 "Replace the key of a pair of NQNs, in the keyring and in the key file, and print\n"
	 "the new configured PSK. The other side takes it with rotate --keydata. The key\n"
	 "file is --keyfile, or " KEYFILE_DEFAULT " where that has a key of the pair.\n"
	 "In steps no connection is refused between the two sides' changes: --stage on the\n"
	 "target, --switch on the host, --finish on both, each with the same --keydata."},
	{COMMAND_DOCTOR, "doctor", "[CHECK]…", -1, "why a connection fails, and what mends it",
	 "Check the kernel, the daemon, the keys, the target's ports and the next boot,\n"
	 "and name the command that mends each fault. Nothing is changed. With a pair of\n"
	 "NQNs its key is checked: --identity and --hmac say what the other side has,\n"
	 "--keydata gives the configured PSK. --connect makes a TLS connection to a target\n"
	 "and says what came back. With CHECK only the checks of these names are made."},
	{COMMAND_STATUS, "status", "", 0, "how tlshd is, and how its handshakes have gone",
	 "Show how tlshd is: since when it runs, its configuration, its workers and what\n"
	 "they have to do, the keyrings that it uses, and how many handshakes have ended\n"
	 "for which cause. Where it does not run, this is what it was. The exit code is 0\n"
	 "when it is well, 7 when it is not."},
	{COMMAND_LOG, "log", "", 0, "the last handshakes, and why they failed",
	 "Show the last handshakes of tlshd: when, on which side, with whom, how it ended,\n"
	 "how long it took, cipher, group, key and identity. For one that failed the cause\n"
	 "is told in words, and what to do about it the first time that it comes."},
	{COMMAND_TLS_KEY, "tls-key", "[FILE]", 1, NULL,
	 "Import, export or revoke keys, as \"nvme tls-key\" does: the commands of nvme-tls\n"
	 "that do so are import, export and revoke."},
	{COMMAND_KEYS_IMPORT, "keys import", "[FILE]", 1, NULL,
	 "Import the keys of a key file, or with --identity one derived key, as \"nvme keys\n"
	 "import\" does: the commands of nvme-tls that do so are import and insert."},
	{COMMAND_KEYS_REVOKE, "keys revoke", "", 0, NULL,
	 "Take a key out of use, as \"nvme keys revoke\" does: the command of nvme-tls that\n"
	 "does so is revoke."},
	{0},
};

/* The names of nvme-cli 2, of nvme-cli 3 and of its development. */
static const struct {
	const char *name;
	enum command_id id;
	enum wording wording;
} names_of_nvme_cli[] = {
	{"gen-tls-key", COMMAND_GEN, WORDING_NVME_2},
	{"check-tls-key", COMMAND_CHECK, WORDING_NVME_2},
	{"check-tls-key --insert", COMMAND_INSERT, WORDING_NVME_2},
	{"tls-key", COMMAND_TLS_KEY, WORDING_NVME_2},
	{"tls", COMMAND_TLS_KEY, WORDING_NVME_2},
	{"keys gen-tls-psk", COMMAND_GEN, WORDING_NVME_3},
	{"keys gen-tls", COMMAND_GEN, WORDING_NVME_3},
	{"keys check-tls-psk", COMMAND_CHECK, WORDING_NVME_3},
	{"keys check-tls", COMMAND_CHECK, WORDING_NVME_3},
	{"keys insert-tls-psk", COMMAND_INSERT, WORDING_NVME_3},
	{"keys insert-tls", COMMAND_INSERT, WORDING_NVME_3},
	{"keys import", COMMAND_KEYS_IMPORT, WORDING_NVME_3},
	{"keys export", COMMAND_EXPORT, WORDING_NVME_3},
	{"keys revoke", COMMAND_KEYS_REVOKE, WORDING_NVME_3},
};

const struct command *command_find(const char *name, enum wording *wording)
{
	for (const struct command *c = commands; c->name; c++) {
		if (c->summary && strcmp(c->name, name) == 0) {
			if (wording)
				*wording = WORDING_OWN;
			return c;
		}
	}
	for (size_t i = 0; i < G_N_ELEMENTS(names_of_nvme_cli); i++) {
		if (strcmp(names_of_nvme_cli[i].name, name) == 0) {
			if (wording)
				*wording = names_of_nvme_cli[i].wording;
			return &commands[names_of_nvme_cli[i].id];
		}
	}
	return NULL;
}

#define GEN (1u << COMMAND_GEN)
#define CHECK (1u << COMMAND_CHECK)
#define INSERT (1u << COMMAND_INSERT)
#define LIST (1u << COMMAND_LIST)
#define IMPORT (1u << COMMAND_IMPORT)
#define EXPORT (1u << COMMAND_EXPORT)
#define REVOKE (1u << COMMAND_REVOKE)
#define ROTATE (1u << COMMAND_ROTATE)
#define DOCTOR (1u << COMMAND_DOCTOR)
#define STATUS (1u << COMMAND_STATUS)
#define LOG (1u << COMMAND_LOG)
#define TLS_KEY (1u << COMMAND_TLS_KEY)
#define KEYS_IMPORT (1u << COMMAND_KEYS_IMPORT)
#define KEYS_REVOKE (1u << COMMAND_KEYS_REVOKE)
#define ALL (~0u)
#define OF_KEYS (ALL & ~(STATUS | LOG))

#define IN(field) offsetof(struct options, field)

/* Names and letters are those of nvme-cli. */
const struct option_row option_rows[] = {
	{"hostnqn", 'n', OPTION_WORD, IN(hostnqn), GEN | CHECK | INSERT | ROTATE, "NQN",
	 "Host NQN (default: that in " HOSTNQN_FILE ")"},
	{"hostnqn", 'n', OPTION_WORD, IN(hostnqn), REVOKE, "NQN",
	 "Host NQN; without --subsysnqn all keys of this host (default with it: the host NQN in " HOSTNQN_FILE
	 ")"},
	{"hostnqn", 'n', OPTION_WORD, IN(hostnqn), LIST | EXPORT, "NQN", "Only keys of this host"},
	/* The letters of doctor are those of "nvme connect". */
	{"hostnqn", 'q', OPTION_WORD, IN(hostnqn), DOCTOR, "NQN",
	 "Host NQN (default: that in " HOSTNQN_FILE ")"},
	{"subsysnqn", 'c', OPTION_WORD, IN(subsysnqn), DOCTOR, "NQN",
	 "Subsystem NQN: check the key of this pair"},
	{"nqn", 'n', OPTION_WORD, IN(nqn), DOCTOR, "NQN", "The same as --subsysnqn"},
	{"connect", 0, OPTION_WORD, IN(connect), DOCTOR, "ADDR:PORT",
	 "Connect to this target with the key of the pair"},
	{"traddr", 'a', OPTION_WORD, IN(connect), DOCTOR, "ADDR", "The same as --connect"},
	{"trsvcid", 's', OPTION_WORD, IN(trsvcid), DOCTOR, "PORT", "Port (default: 4420)"},
	{"hostid", 0, OPTION_WORD, IN(hostid), DOCTOR, "UUID",
	 "Host ID for --connect (default: that in /etc/nvme/hostid)"},
	{"host", 0, OPTION_FLAG, IN(host), DOCTOR, NULL, "This machine is an NVMe host"},
	{"target", 0, OPTION_FLAG, IN(target), DOCTOR, NULL, "This machine is an NVMe target"},
	{"root", 0, OPTION_WORD, IN(root), DOCTOR, "DIR", NULL}, /* for tests */
	{"subsysnqn", 'c', OPTION_WORD, IN(subsysnqn), GEN | CHECK | INSERT | REVOKE | ROTATE,
	 "NQN", "Subsystem NQN"},
	{"subsysnqn", 'c', OPTION_WORD, IN(subsysnqn), LIST | EXPORT, "NQN",
	 "Only keys of this subsystem"},
	{"identity", 'I', OPTION_IDENTITY, 0, GEN, "0|1",
	 "Identity version: 1 where both sides are Linux; 0 (default) where one is SPDK, or not "
	 "known to have version 1"},
	{"identity", 'I', OPTION_IDENTITY, 0, CHECK, "0|1|IDENTITY",
	 "Identity version (default: the one that is loaded, or 0), or the whole identity of a "
	 "derived key"},
	{"identity", 'I', OPTION_IDENTITY, 0, INSERT, "0|1|IDENTITY",
	 "Identity version, 0 (default) or 1, or the whole identity of a derived key"},
	{"identity", 'I', OPTION_IDENTITY, 0, EXPORT, "0|1|IDENTITY",
	 "Only keys of this identity version, or the one key of a whole identity"},
	{"identity", 'I', OPTION_IDENTITY, 0, REVOKE, "IDENTITY", "The key of this identity"},
	{"identity", 'I', OPTION_IDENTITY, 0, ROTATE, "0|1",
	 "Identity version (default: that of the old key)"},
	{"identity", 'I', OPTION_IDENTITY, 0, DOCTOR, "0|1|IDENTITY",
	 "The identity version of the other side, or the identity that its log shows"},
	{"identity", 'i', OPTION_IDENTITY, 0, KEYS_IMPORT, "IDENTITY",
	 "Import one key, under this identity"},
	{"identity", 'i', OPTION_IDENTITY, 0, KEYS_REVOKE, "IDENTITY", "The key of this identity"},
	{"hmac", 'm', OPTION_NUMBER, IN(hmac), GEN, "0|1|2",
	 "Hash: 0 none, 1 SHA-256 (default), 2 SHA-384"},
	{"hmac", 'm', OPTION_NUMBER, IN(hmac), ROTATE, "0|1|2",
	 "Hash: 0 none, 1 SHA-256, 2 SHA-384 (default: that of the old key)"},
	{"hmac", 'm', OPTION_NUMBER, IN(hmac), DOCTOR, "1|2",
	 "Hash of the other side's key: 1 SHA-256, 2 SHA-384"},
	{"length", 'l', OPTION_NUMBER, IN(length), GEN | ROTATE, "32|48",
	 "Bytes of the key with --hmac=0: 32 (default) or 48"},
	{"secret", 's', OPTION_SECRET, IN(secret), GEN | ROTATE, "FILE|-|HEX",
	 "Bytes of the key in hex digits (default: random ones); - is standard input"},
	{"keydata", 'd', OPTION_SECRET, IN(keydata), CHECK | INSERT, "FILE|-|KEY",
	 "The key in interchange format; - is standard input"},
	{"key", 0, OPTION_SECRET, IN(keydata), CHECK, "KEY", NULL}, /* nvme-cli up to 2.6 */
	{"keydata", 'd', OPTION_SECRET, IN(keydata), KEYS_IMPORT, "FILE|-|KEY",
	 "The derived key of --identity; - is standard input"},
	{"keydata", 'd', OPTION_SECRET, IN(keydata), ROTATE, "FILE|-|KEY",
	 "The new configured PSK (default: a random one); - is standard input"},
	{"keydata", 'd', OPTION_SECRET, IN(keydata), DOCTOR, "FILE|-",
	 "The configured PSK: is the loaded key made of it; - is standard input"},
	{"insert", 'i', OPTION_FLAG, IN(insert), GEN, NULL, "Put the derived key into the keyring"},
	{"insert", 'i', OPTION_FLAG, IN(insert), CHECK, NULL,
	 "Put the derived key into the keyring, as the command insert does"},
	{"insert", 'i', OPTION_FLAG, IN(insert), INSERT, NULL, NULL},
	{"force", 0, OPTION_FLAG, IN(force), GEN | CHECK | INSERT, NULL,
	 "Replace another key of the same identity"},
	{"force", 0, OPTION_FLAG, IN(force), ROTATE, NULL,
	 "Do a step that this side of the connection does not seem to be ready for"},
	{"stage", 0, OPTION_FLAG, IN(stage), ROTATE, NULL,
	 "Step 1, on the target: accept the new key beside the old one"},
	{"switch", 0, OPTION_FLAG, IN(change_over), ROTATE, NULL,
	 "Step 2, on the host: take the new key from now on"},
	{"finish", 0, OPTION_FLAG, IN(finish), ROTATE, NULL, "Step 3, on both: the old key ends"},
	{"compat", 'C', OPTION_ERA, IN(derivation), GEN | CHECK | INSERT | ROTATE | DOCTOR, "ERA",
	 "Derive as an older nvme-cli does: 2.11 (default; 2.11 to 2.15), 2.7 (2.7 to 2.10), "
	 "or 2.7-openssl3.0 or 2.11-openssl3.0 with OpenSSL 3.0"},
	{"keyfile", 'f', OPTION_WORD, IN(keyfile), GEN | INSERT, "FILE",
	 "Put the derived key into this key file"},
	{"keyfile", 'f', OPTION_WORD, IN(keyfile), CHECK, "FILE",
	 "With --insert: put the derived key into this key file as well"},
	{"import", 'i', OPTION_FLAG, IN(import), TLS_KEY, NULL, "Import the keys of the key file"},
	{"export", 'e', OPTION_FLAG, IN(export), TLS_KEY, NULL, "Write the keys of the keyring"},
	{"revoke", 'r', OPTION_WORD, IN(revoke), TLS_KEY, "IDENTITY", "Take this key out of use"},
	{"keyfile", 'f', OPTION_WORD, IN(keyfile), TLS_KEY, "FILE",
	 "Key file to read or write (default: standard input or output)"},
	{"keyfile", 'f', OPTION_WORD, IN(keyfile), IMPORT | KEYS_IMPORT, "FILE",
	 "Key file to read"},
	{"keyfile", 'f', OPTION_WORD, IN(keyfile), LIST, "FILE",
	 "List the keys of this key file, and where it and the keyring differ"},
	{"keyfile", 'f', OPTION_WORD, IN(keyfile), DOCTOR, "FILE",
	 "Key file to check (default: " KEYFILE_DEFAULT ")"},
	{"keyfile", 'f', OPTION_WORD, IN(keyfile), EXPORT, "FILE", "Key file to write into"},
	{"keyfile", 'f', OPTION_WORD, IN(keyfile), REVOKE, "FILE",
	 "Key file to take the keys' lines out of"},
	{"keyfile", 'f', OPTION_WORD, IN(keyfile), ROTATE, "FILE",
	 "Key file to change (default: " KEYFILE_DEFAULT " where it has a key of the pair)"},
	{"expires", 0, OPTION_DURATION, IN(expires), GEN | INSERT | IMPORT | ROTATE, "TIME",
	 "The key in the keyring ends by itself after this time: 90s, 30m, 12h, 7d, 4w"},
	{"keyring", 'k', OPTION_WORD, IN(keyring), INSERT | LIST | REVOKE | ROTATE, "NAME",
	 "Keyring, by name or serial (default: .nvme); none: only the key file"},
	{"keyring", 'k', OPTION_WORD, IN(keyring), OF_KEYS & ~(INSERT | LIST | REVOKE | ROTATE),
	 "NAME", "Keyring, by name or serial (default: .nvme)"},
	{"keytype", 't', OPTION_WORD, IN(keytype), OF_KEYS & ~DOCTOR, "TYPE",
	 "Type of the keys (default: psk)"},
	{"keytype", 0, OPTION_WORD, IN(keytype), DOCTOR, "TYPE", "Type of the keys (default: psk)"},
	{"transport", 't', OPTION_IGNORED_VALUE, 0, DOCTOR, "tcp", NULL},
	{"tls", 0, OPTION_IGNORED, 0, DOCTOR, NULL, NULL},
	{"dry-run", 0, OPTION_FLAG, IN(dry_run), IMPORT, NULL, "Only say what would be done"},
	{"boot", 0, OPTION_FLAG, IN(boot), IMPORT, NULL,
	 "What there is at boot; quiet when there is nothing"},
	{"quiet", 'q', OPTION_FLAG, IN(quiet), GEN | ROTATE, NULL,
	 "Print the configured PSK and nothing else"},
	{"side", 0, OPTION_CHOICE, IN(side), LOG, "client|server",
	 "Only handshakes of this side: client for an NVMe host, server for a target"},
	{"cause", 0, OPTION_WORD, IN(cause), LOG, "CAUSE",
	 "Only handshakes that ended for this cause, such as no-key; tlshd(8) lists them"},
	{"failed", 0, OPTION_FLAG, IN(failed), LOG, NULL, "Only handshakes that failed"},
	{"peer", 0, OPTION_WORD, IN(peer), LOG, "ADDRESS",
	 "Only handshakes with this peer: 192.0.2.7, 192.0.2.7:4420, 2001:db8::1"},
	{"identity", 'I', OPTION_WORD, IN(identity), LOG, "IDENTITY",
	 "Only handshakes with this identity, all of it"},
	{"hostnqn", 0, OPTION_WORD, IN(hostnqn), LOG, "NQN", "Only handshakes of this host"},
	{"subsysnqn", 'c', OPTION_WORD, IN(subsysnqn), LOG, "NQN",
	 "Only handshakes for this subsystem"},
	{"since", 0, OPTION_DURATION, IN(since), LOG, "TIME",
	 "Only handshakes of this time until now: 90s, 30m, 12h, 7d"},
	{"lines", 'n', OPTION_COUNT, IN(lines), LOG, "N",
	 "The last N handshakes (default: 20); 0 for all that are recorded"},
	{"follow", 'f', OPTION_FLAG, IN(follow), LOG, NULL,
	 "Go on with new handshakes as they end"},
	{"prometheus", 0, OPTION_FLAG, IN(prometheus), STATUS, NULL,
	 "Print metrics for the textfile collector of Prometheus' node exporter"},
	{"recording", 0, OPTION_WORD, IN(recording), STATUS | LOG, "FILE",
	 "Read this recording (default: that of this network namespace in " RECORDING_DIR ")"},
	{"json", 'j', OPTION_FLAG, IN(json), ALL, NULL, "Print JSON"},
	{"output-format", 'o', OPTION_FORMAT, IN(json), ALL, "normal|json",
	 "json is the same as --json"},
	/* Scripts of nvme-cli give these to any of its commands. */
	{"verbose", 'v', OPTION_IGNORED, 0, ALL, NULL, NULL},
	{"no-retries", 0, OPTION_IGNORED, 0, ALL, NULL, NULL},
	{"timeout", 0, OPTION_IGNORED_VALUE, 0, ALL, "MS", NULL},
	{"output-format-version", 0, OPTION_IGNORED_VALUE, 0, ALL, "1|2", NULL},
	{0},
};
