// SPDX-License-Identifier: GPL-2.0-or-later
/* The attributes of an ACCEPT reply as a plain struct. */
#include "netlink/upcall.h"
#include "netlink/attributes.h"

#include <errno.h>
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
			return "an unknown attribute in the certificate";
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
		if (!get_number(attr, &value) || value < HANDSHAKE_UNAUTH || value > HANDSHAKE_X509)
			return "the authentication mode is none of unauth, psk and x509";
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
		return "an attribute that we do not know";
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
