// SPDX-License-Identifier: GPL-2.0-or-later
/* Writes the kept corpora of the daemon's targets: make-seeds DIRECTORY. Run it by hand, commit the files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <glib/gstdio.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>

#include <gnutls/x509.h>

#include "certificates.h"
#include "common/recording.h"
#include "netlink/attributes.h"
#include "netlink/upcall.h"
#include "tlshd/shared/ipc.h"
#include "tls13.h"

/* Where something is in a recording of at least two slots. */
#define RECORDED(member) offsetof(struct recording_file, member)

static const char *top;

static void save(const char *target, const char *name, const void *data, size_t len)
{
	g_autofree char *dir = g_strdup_printf("%s/%s", top, target);
	g_autofree char *path = g_build_filename(dir, name, NULL);

	g_mkdir_with_parents(dir, 0755);
	if (!g_file_set_contents(path, data, (gssize)len, NULL))
		exit(EXIT_FAILURE);
}

static void attribute(GByteArray *m, uint16_t type, const void *data, size_t len)
{
	const struct nlattr header = {.nla_len = (uint16_t)(NLA_HDRLEN + len), .nla_type = type};

	g_byte_array_append(m, (const guint8 *)&header, sizeof(header));
	g_byte_array_append(m, data, (guint)len);
	while (m->len % NLA_ALIGNTO)
		g_byte_array_append(m, (const guint8 *)"", 1);
}

static void number(GByteArray *m, uint16_t type, uint32_t value)
{
	attribute(m, type, &value, sizeof(value));
}

static void netlink(const char *name, uint32_t side, uint32_t auth, bool full)
{
	g_autoptr(GByteArray) m = g_byte_array_new();
	const struct genlmsghdr header = {.cmd = HANDSHAKE_CMD_ACCEPT, .version = 1};

	g_byte_array_append(m, (const guint8 *)&header, sizeof(header));
	number(m, HANDSHAKE_ACCEPT_SOCKFD, 9);
	number(m, HANDSHAKE_ACCEPT_MESSAGE_TYPE, side);
	number(m, HANDSHAKE_ACCEPT_TIMEOUT, 10000);
	number(m, HANDSHAKE_ACCEPT_AUTH_MODE, auth);
	number(m, HANDSHAKE_ACCEPT_PEER_IDENTITY, side == HANDSHAKE_CLIENT ? 0x1234567 : 0);
	if (full) {
		g_autoptr(GByteArray) nest = g_byte_array_new();

		number(nest, HANDSHAKE_CERT_CERT, 17);
		number(nest, HANDSHAKE_CERT_PRIVKEY, 18);
		attribute(m, HANDSHAKE_ACCEPT_CERTIFICATE, nest->data, nest->len);
		attribute(m, HANDSHAKE_ACCEPT_PEERNAME, "target.example", 15);
		number(m, HANDSHAKE_ACCEPT_KEYRING, 0x765432);
		number(m, 10, 1); /* KEY_UPDATE_REQUEST and SESSION_ID of a kernel to come */
		attribute(m, 11, "\1\2\3\4\5\6\7", 8);
	}
	save("netlink", name, m->data, m->len);
}

static void ipc(const char *name, uint32_t type, size_t len)
{
	struct {
		uint8_t reader;
		union ipc_message m;
	} __attribute__((packed))
	seed = {.reader = type == IPC_JOB || type == IPC_KEY || type == IPC_BIRTH};

	seed.m.header.type = type;
	seed.m.header.job = 1;
	if (type == IPC_JOB) {
		seed.m.job.side = HANDSHAKE_CLIENT;
		seed.m.job.psk.len = 32;
		strcpy(seed.m.job.identity, TLS13_IDENTITY);
	}
	if (type == IPC_BIRTH) {
		seed.m.birth.role = IPC_ROLE_WORKER;
		strcpy(seed.m.birth.version, "0.1.0");
	}
	save("ipc", name, &seed, 1 + len);
}

static void config(const char *name, const char *text)
{
	save("config", name, text, strlen(text));
}

/* One difference from a good file, of @len bytes. */
static void recorded(const char *name, size_t offset, uint8_t byte, uint8_t len)
{
	const uint8_t header[] = {(uint8_t)offset, (uint8_t)(offset >> 8), (uint8_t)(offset >> 16),
				  len};
	g_autoptr(GByteArray) m = g_byte_array_new();

	g_byte_array_append(m, header, sizeof(header));
	for (uint8_t i = 0; i < len; i++)
		g_byte_array_append(m, &byte, 1);
	save("recording", name, m->data, m->len);
}

static void hello(const char *name, uint8_t piece, const GByteArray *record)
{
	g_autoptr(GByteArray) m = g_byte_array_new();

	g_byte_array_append(m, &piece, 1);
	g_byte_array_append(m, record->data, record->len);
	save("hello", name, m->data, m->len);
}

struct item {
	uint8_t type;
	uint16_t len;
	uint8_t data[512];
};

static void session(const char *target, const char *name, uint8_t flags, const GByteArray *first,
		    const struct item *items, size_t n)
{
	g_autoptr(GByteArray) m = g_byte_array_new();
	const uint8_t header[] = {flags, (uint8_t)(first->len >> 8), (uint8_t)first->len};

	g_byte_array_append(m, header, sizeof(header));
	g_byte_array_append(m, first->data, first->len);
	for (size_t i = 0; i < n; i++) {
		const uint8_t record[] = {items[i].type, (uint8_t)(items[i].len >> 8),
					  (uint8_t)items[i].len};

		g_byte_array_append(m, record, sizeof(record));
		g_byte_array_append(m, items[i].data, items[i].len);
	}
	save(target, name, m->data, m->len);
}

/* The message of a record in records of @piece bytes. */
static GByteArray *cut(const GByteArray *record, size_t piece)
{
	GByteArray *m = g_byte_array_new();

	for (size_t at = 5; at < record->len; at += piece) {
		size_t n = MIN(piece, record->len - at);
		const uint8_t header[] = {22, 3, 1, (uint8_t)(n >> 8), (uint8_t)n};

		g_byte_array_append(m, header, sizeof(header));
		g_byte_array_append(m, record->data + at, (guint)n);
	}
	return m;
}

/* A Certificate with one of these certificates, or with none; a server's has no context. */
static struct item certificate(const char *pem)
{
	gnutls_datum_t text = {(void *)(uintptr_t)pem, pem ? (unsigned int)strlen(pem) : 0};
	gnutls_datum_t der = {NULL, 0};
	unsigned int n;
	struct item item = {.type = 22};

	if (pem && gnutls_pem_base64_decode2("CERTIFICATE", &text, &der) < 0)
		exit(EXIT_FAILURE);
	n = pem ? 3 + der.size + 2 : 0;
	memcpy(item.data,
	       (uint8_t[]){11, 0, (uint8_t)((4 + n) >> 8), (uint8_t)(4 + n), 0, 0,
			   (uint8_t)(n >> 8), (uint8_t)n},
	       8);
	item.len = (uint16_t)(8 + n);
	if (!pem)
		return item;
	memcpy(item.data + 8, (uint8_t[]){0, (uint8_t)(der.size >> 8), (uint8_t)der.size}, 3);
	memcpy(item.data + 11, der.data, der.size);
	gnutls_free(der.data);
	return item;
}

/* The key of a certificate by Ed25519 becomes that of another one; the issuer signs it under the fuzzer. */
static void take_key(struct item *to, const struct item *from)
{
	static const uint8_t before[] = {0x2b, 0x65, 0x70, 3, 0x21, 0};
	uint8_t *ours = memmem(to->data, to->len, before, sizeof(before));
	const uint8_t *theirs = memmem(from->data, from->len, before, sizeof(before));

	if (!ours || !theirs)
		exit(EXIT_FAILURE);
	memcpy(ours, theirs, sizeof(before) + 32);
}

static void certified(void)
{
	const struct item fin = {22, 36, {20, 0, 0, 32}}, alert = {21, 2, {2, 40}};
	const struct item ee = {22, 6, {8, 0, 0, 2, 0, 0}}, ccs = {20 | 0x80, 1, {1}};
	const struct item verify = {22, 72, {15, 0, 0, 68, 8, 7, 0, 64}};
	const struct item ask = {22, 17, {13, 0, 0, 13, 0, 0, 10, 0, 13, 0, 6, 0, 4, 8, 7, 4, 3}};
	const struct item peer = certificate(PEER_PEM);
	struct item odd = certificate(ODD_PEM);
	const struct item stranger = certificate(OWN_PEM), nobody = certificate(NULL);
	const struct item ticket = {22, 18, {4, 0, 0, 14, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 7}};
	g_autoptr(GByteArray) client = tls13_client_hello(true);
	g_autoptr(GByteArray) server = tls13_server_hello(true);
	const struct item plain = {22 | 0x80, 6, {8, 0, 0, 2, 0, 0}};

	take_key(&odd, &peer);
	session("x509-server", "anonymous", 38, client, (struct item[]){ccs, nobody, fin}, 3);
	session("x509-server", "certified", 38, client, (struct item[]){peer, verify, fin}, 3);
	session("x509-server", "bytes", 54, client, (struct item[]){peer, verify, fin}, 3);
	session("x509-server", "forged", 6, client, (struct item[]){peer, verify, fin}, 3);
	session("x509-server", "stranger", 38, client, (struct item[]){stranger, verify, fin}, 3);
	session("x509-server", "no-verify", 38, client, (struct item[]){peer, fin}, 2);
	session("x509-server", "nothing", 38, client, (struct item[]){fin}, 1);
	session("x509-server", "odd", 166, client, (struct item[]){odd, verify, fin}, 3);
	session("x509-server", "alert", 38, client, (struct item[]){alert}, 1);
	session("x509-client", "mutual", 38, server,
		(struct item[]){ccs, ee, ask, peer, verify, fin, ticket}, 7);
	session("x509-client", "server-only", 38, server, (struct item[]){ee, peer, verify, fin},
		4);
	session("x509-client", "unauth", 102, server,
		(struct item[]){ee, ask, peer, verify, fin, ticket}, 6);
	session("x509-client", "forged", 6, server, (struct item[]){ee, peer, verify, fin}, 4);
	session("x509-client", "stranger", 38, server, (struct item[]){ee, stranger, verify, fin},
		4);
	session("x509-client", "nobody", 38, server, (struct item[]){ee, nobody, fin}, 3);
	session("x509-client", "bytes", 54, server, (struct item[]){ee, peer, verify, fin}, 4);
	session("x509-client", "odd", 166, server, (struct item[]){ee, odd, verify, fin, ticket},
		5);
	session("x509-client", "signed", 230, server,
		(struct item[]){ee, peer, verify, fin, ticket}, 5);
	session("x509-client", "plain", 0, server, (struct item[]){plain}, 1);
}

int main(int argc, char **argv)
{
	const struct item ccs = {20 | 0x80, 1, {1}}, sealed_ccs = {20, 1, {1}},
			  fin = {22, 36, {20, 0, 0, 32}};
	const struct item ee = {22, 6, {8, 0, 0, 2, 0, 0}}, alert = {21, 2, {2, 40}};
	const struct item update = {22, 5, {24, 0, 0, 1, 1}}, data = {23, 4, "data"};
	const struct item ticket = {22, 18, {4, 0, 0, 14, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 7}};
	const struct item half = {22, 9, {4, 0, 0, 14, 0, 0, 1}};
	g_autoptr(GByteArray) client = tls13_client_hello(false);
	g_autoptr(GByteArray) server = tls13_server_hello(false);
	g_autoptr(GByteArray) halves = cut(client, client->len / 2), bytes = cut(client, 1);
	GByteArray http = {(guint8 *)"GET / HTTP/1.1\r\n\r\n", 18};

	if (argc != 2)
		return EXIT_FAILURE;
	top = argv[1];
	netlink("server", HANDSHAKE_SERVER, HANDSHAKE_PSK, false);
	netlink("client", HANDSHAKE_CLIENT, HANDSHAKE_PSK, false);
	netlink("x509", HANDSHAKE_CLIENT, HANDSHAKE_X509, true);
	ipc("job", IPC_JOB, sizeof(struct ipc_job));
	ipc("key", IPC_KEY, sizeof(struct ipc_key));
	ipc("ran", IPC_RAN, sizeof(struct ipc_ran));
	ipc("lookup", IPC_LOOKUP, sizeof(struct ipc_lookup));
	ipc("done", IPC_DONE, sizeof(struct ipc_done));
	ipc("log", IPC_LOG, sizeof(struct ipc_log));
	ipc("birth", IPC_BIRTH, sizeof(struct ipc_birth));
	ipc("born", IPC_BORN, sizeof(struct ipc_born));
	config("full", "[debug]\nloglevel=1\ntls=2\nnl=0\n[authenticate]\nkeyrings=.nvme;123\n"
		       "psk.sha384_compat=true\n[tlshd]\nworkers=2\n");
	config("values", "[debug]\nloglevel=1 # all\ntls=13\nnl=-1\n[authenticate]\n"
			 "keyrings=.nvme, \".nfs\" # x\npsk.sha384_compat=Yes\n"
			 "[tlshd]\nworkers=99999999999999999999\n");
	config("x509", "# ktls-utils\n[authenticate.client]\nx509.truststore=/etc/a\n"
		       "x509.private_key=/etc/b\n[authenticate.server]\nx509.certificat=/c\n");
	config("strange", "[debgu]\nlogelvel = 3\n[debug]\nloglevel = 3 x\n");
	recorded("good", RECORDED(head.boot), 1, 1);
	recorded("version", RECORDED(head.version), 2, 1);
	recorded("slots", RECORDED(head.slots), 255, 4);
	recorded("handshakes", RECORDED(state.next), 255, 8);
	recorded("causes", RECORDED(state.causes), 128, 1);
	recorded("keyring", RECORDED(state.keyring), 'x', 64);
	recorded("worker", RECORDED(state.now.worker), 4, 8);
	recorded("half-written", RECORDED(sequence), 1, 1);
	recorded("cause", RECORDED(cause[1].id), 'x', 32);
	recorded("identity", RECORDED(slot[1].entry.identity), 'x', 255);
	hello("whole", 255, client);
	hello("bytes", 0, client);
	hello("http", 3, &http);
	hello("two-records", 255, halves);
	hello("records-of-one-byte", 255, bytes);
	session("server", "handshake", 7, client, (struct item[]){ccs, fin}, 2);
	session("server", "late", 15, client, (struct item[]){fin}, 1);
	session("server", "bytes", 23, client, (struct item[]){fin}, 1);
	session("server", "key-update", 7, client, (struct item[]){update, fin}, 2);
	session("server", "sealed-ccs", 7, client, (struct item[]){sealed_ccs}, 1);
	session("server", "data", 7, client, (struct item[]){fin, data}, 2);
	session("server", "alert", 7, client, (struct item[]){alert}, 1);
	session("server", "plain", 0, client, (struct item[]){ccs, alert}, 2);
	session("server", "http", 0, &http, NULL, 0);
	session("server", "two-records", 6, halves, (struct item[]){fin}, 1);
	session("client", "handshake", 6, server, (struct item[]){ccs, ee, fin}, 3);
	session("client", "data", 6, server, (struct item[]){ee, fin, data}, 3);
	session("client", "key-update", 6, server, (struct item[]){ee, update, fin}, 3);
	session("client", "tickets", 6, server, (struct item[]){ee, fin, ticket}, 3);
	session("client", "half-a-ticket", 6, server, (struct item[]){ee, fin, half, half}, 4);
	session("client", "key-update-behind", 6, server, (struct item[]){ee, fin, update}, 3);
	session("client", "alert", 6, server, (struct item[]){alert}, 1);
	session("client", "plain-alert", 0, server, (struct item[]){alert}, 1);
	session("client", "http", 0, &http, NULL, 0);
	certified();
	return EXIT_SUCCESS;
}
