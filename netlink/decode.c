// SPDX-License-Identifier: GPL-2.0-or-later
/* The attributes of an ACCEPT reply as a plain struct. */
#include "netlink/upcall.h"
#include "netlink/attributes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>

static bool get_number(struct nlattr *attr, uint32_t *out)
{
	if (nla_len(attr) != (int)sizeof(*out))
		return false;
	*out = nla_get_u32(attr);
	return true;
}

static bool get_serial(struct nlattr *attr, int32_t *out)
{
	uint32_t value;

	if (!get_number(attr, &value) || value > INT32_MAX)
		return false;
	*out = (int32_t)value;
	return true;
}

/* The width of struct upcall_request's @unknown. */
#define UNKNOWN_BITS 64

static void note_unknown(struct upcall_request *req, int type)
{
	req->unknown |= UINT64_C(1) << (type < UNKNOWN_BITS ? type : UNKNOWN_BITS - 1);
}

static const char *decode_certificate(struct nlattr *nest, struct upcall_request *req)
{
	struct nlattr *attr;
	int rest;

	nla_for_each_nested (attr, nest, rest) {
		switch (nla_type(attr)) {
		case HANDSHAKE_CERT_CERT:
			if (!get_serial(attr, &req->certificate))
				return "the certificate is not a key serial";
			break;
		case HANDSHAKE_CERT_PRIVKEY:
			if (!get_serial(attr, &req->private_key))
				return "the private key is not a key serial";
			break;
		default:
			note_unknown(req, HANDSHAKE_ACCEPT_CERTIFICATE);
		}
	}
	return rest ? "bytes left over in the certificate" : NULL;
}

static const char *decode_attribute(struct nlattr *attr, struct upcall_request *req)
{
	uint32_t value;

	switch (nla_type(attr)) {
	case HANDSHAKE_ACCEPT_SOCKFD:
		if (!get_number(attr, &value) || value > INT32_MAX)
			return "the descriptor is malformed";
		if (req->sockfd >= 0)
			return "two descriptors";
		req->sockfd = (int)value;
		return NULL;
	case HANDSHAKE_ACCEPT_MESSAGE_TYPE:
		if (!get_number(attr, &value) ||
		    (value != HANDSHAKE_CLIENT && value != HANDSHAKE_SERVER))
			return "the message type is neither client hello nor server hello";
		req->side = value;
		return NULL;
	case HANDSHAKE_ACCEPT_TIMEOUT:
		if (!get_number(attr, &req->timeout_ms))
			return "the timeout is malformed";
		return NULL;
	case HANDSHAKE_ACCEPT_AUTH_MODE:
		if (!get_number(attr, &value))
			return "the authentication mode is malformed";
		req->auth = value;
		return NULL;
	case HANDSHAKE_ACCEPT_PEER_IDENTITY: {
		int32_t serial;

		if (!get_serial(attr, &serial))
			return "a peer identity is not a key serial";
		if (!serial) /* a server request carries one of 0 */
			return NULL;
		if (req->n_peers == UPCALL_PEERS_MAX)
			return "more than five peer identities";
		req->peers[req->n_peers++] = serial;
		return NULL;
	}
	case HANDSHAKE_ACCEPT_CERTIFICATE:
		return decode_certificate(attr, req);
	case HANDSHAKE_ACCEPT_PEERNAME: {
		size_t len = strnlen(nla_data(attr), (size_t)nla_len(attr));

		if (len >= sizeof(req->peername) || len + 1 < (size_t)nla_len(attr))
			return "the peer name is malformed or too long";
		memcpy(req->peername, nla_data(attr), len);
		req->peername[len] = '\0';
		return NULL;
	}
	case HANDSHAKE_ACCEPT_KEYRING:
		if (!get_serial(attr, &req->keyring))
			return "the keyring is not a key serial";
		return NULL;
	default:
		note_unknown(req, nla_type(attr));
		return NULL;
	}
}

int upcall_decode(struct nlmsghdr *msg, struct upcall_request *req, const char **why)
{
	const char *problem = NULL;
	struct nlattr *attr;
	int rest;

	memset(req, 0, sizeof(*req));
	req->sockfd = -1;
	if (!genlmsg_valid_hdr(msg, 0)) {
		*why = "the generic netlink header is cut short";
		return -EBADMSG;
	}
	/* Go on after a problem: to fail the request we need its descriptor. */
	nla_for_each_attr (attr, genlmsg_attrdata(genlmsg_hdr(msg), 0),
			   genlmsg_attrlen(genlmsg_hdr(msg), 0), rest) {
		const char *found = decode_attribute(attr, req);

		problem = problem ? problem : found;
	}
	if (!problem && rest)
		problem = "bytes left over behind the last attribute";
	if (!problem && req->sockfd < 0)
		problem = "no descriptor";
	if (!problem && !req->side)
		problem = "no message type";
	if (!problem && !req->auth)
		problem = "no authentication mode";
	if (!problem)
		return 0;
	*why = problem;
	return -EBADMSG;
}

static const char *name_of(const char *const *names, size_t n, unsigned int number)
{
	return number < n && names[number] ? names[number] : "unknown";
}

void upcall_describe(const struct upcall_request *req, char *text, size_t size)
{
	static const char *const sides[] = {
		[HANDSHAKE_CLIENT] = "client hello", [HANDSHAKE_SERVER] = "server hello"};
	static const char *const auths[] = {
		[HANDSHAKE_UNAUTH] = "unauth", [HANDSHAKE_PSK] = "psk", [HANDSHAKE_X509] = "x509"};
	FILE *out = fmemopen(text, size, "w");

	*text = '\0';
	if (!out)
		return;
	fprintf(out, "socket %d, message type %u (%s), timeout %u ms, authentication %u (%s)",
		req->sockfd, req->side, name_of(sides, 3, req->side), req->timeout_ms, req->auth,
		name_of(auths, 4, req->auth));
	for (size_t i = 0; i < req->n_peers; i++)
		fprintf(out, ", peer identity 0x%08x", (unsigned int)req->peers[i]);
	if (req->certificate || req->private_key)
		fprintf(out, ", certificate 0x%08x with private key 0x%08x",
			(unsigned int)req->certificate, (unsigned int)req->private_key);
	if (*req->peername)
		fprintf(out, ", peer name %s", req->peername);
	if (req->keyring)
		fprintf(out, ", keyring 0x%08x", (unsigned int)req->keyring);
	if (req->unknown)
		fprintf(out, ", unknown attributes 0x%" PRIx64, req->unknown);
	fclose(out);
	text[size - 1] = '\0';
}
