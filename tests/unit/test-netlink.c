// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of the ACCEPT reply's decoder. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <linux/genetlink.h>
#include <linux/netlink.h>

#include "netlink/attributes.h"
#include "netlink/upcall.h"

/* A message is laid out by hand here, byte by byte as <linux/netlink.h> has it. */
struct reply {
	_Alignas(8) unsigned char bytes[1024];
};

static struct nlmsghdr *begin(struct reply *m)
{
	struct nlmsghdr *h = (void *)m->bytes;
	struct genlmsghdr genl = {.cmd = HANDSHAKE_CMD_ACCEPT, .version = 1};

	memset(m, 0, sizeof(*m));
	memcpy(NLMSG_DATA(h), &genl, sizeof(genl));
	h->nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
	return h;
}

static void put(struct nlmsghdr *h, uint16_t type, const void *data, uint16_t len)
{
	struct nlattr attr = {.nla_len = NLA_HDRLEN + len, .nla_type = type};
	unsigned char *at = (unsigned char *)h + h->nlmsg_len;

	memcpy(at, &attr, sizeof(attr));
	memcpy(at + NLA_HDRLEN, data, len);
	h->nlmsg_len += NLA_ALIGN(attr.nla_len);
}

static void put_number(struct nlmsghdr *h, uint16_t type, uint32_t value)
{
	put(h, type, &value, sizeof(value));
}

static struct nlmsghdr *begin_client(struct reply *m)
{
	struct nlmsghdr *h = begin(m);

	put_number(h, HANDSHAKE_ACCEPT_SOCKFD, 17);
	put_number(h, HANDSHAKE_ACCEPT_MESSAGE_TYPE, 1);
	put_number(h, HANDSHAKE_ACCEPT_TIMEOUT, 10000);
	put_number(h, HANDSHAKE_ACCEPT_AUTH_MODE, 2);
	return h;
}

static void request_of_a_client_is_decoded_whole(void **state)
{
	struct reply m;
	struct nlmsghdr *h = begin_client(&m);
	struct upcall_request req;
	const char *why = NULL;

	put_number(h, HANDSHAKE_ACCEPT_PEER_IDENTITY, 4711);
	put_number(h, HANDSHAKE_ACCEPT_PEER_IDENTITY, 4712);
	put(h, HANDSHAKE_ACCEPT_PEERNAME, "target.example", sizeof("target.example"));
	put_number(h, HANDSHAKE_ACCEPT_KEYRING, 99);
	assert_int_equal(upcall_decode(h, &req, &why), 0);
	assert_int_equal(req.sockfd, 17);
	assert_int_equal(req.side, HANDSHAKE_CLIENT);
	assert_int_equal(req.auth, HANDSHAKE_PSK);
	assert_int_equal(req.timeout_ms, 10000);
	assert_int_equal(req.n_peers, 2);
	assert_int_equal(req.peers[0], 4711);
	assert_int_equal(req.peers[1], 4712);
	assert_int_equal(req.keyring, 99);
	assert_string_equal(req.peername, "target.example");
}

static void serial_of_0_is_no_key(void **state)
{
	struct reply m;
	struct nlmsghdr *h = begin_client(&m);
	struct upcall_request req;
	const char *why = NULL;

	put_number(h, HANDSHAKE_ACCEPT_PEER_IDENTITY, 0);
	assert_int_equal(upcall_decode(h, &req, &why), 0);
	assert_int_equal(req.n_peers, 0);
}

static void certificate_of_an_x509_request_is_decoded(void **state)
{
	struct reply m;
	struct nlmsghdr *h = begin_client(&m);
	uint32_t nest[4] = {8 | HANDSHAKE_CERT_CERT << 16, 5, 8 | HANDSHAKE_CERT_PRIVKEY << 16, 6};
	struct upcall_request req;
	const char *why = NULL;

	put(h, HANDSHAKE_ACCEPT_CERTIFICATE | NLA_F_NESTED, nest, sizeof(nest));
	assert_int_equal(upcall_decode(h, &req, &why), 0);
	assert_int_equal(req.certificate, 5);
	assert_int_equal(req.private_key, 6);
}

static void refused(struct nlmsghdr *h, int sockfd)
{
	struct upcall_request req;
	const char *why = NULL;

	assert_int_equal(upcall_decode(h, &req, &why), -EBADMSG);
	assert_non_null(why);
	assert_int_equal(req.sockfd, sockfd);
}

static void malformed_request_is_refused_and_its_descriptor_kept(void **state)
{
	struct reply m;
	struct nlmsghdr *h;
	char name[300];

	h = begin_client(&m); /* unknown */
	put_number(h, 77, 1);
	refused(h, 17);

	h = begin_client(&m); /* too short a number */
	put(h, HANDSHAKE_ACCEPT_KEYRING, "ab", 2);
	refused(h, 17);

	h = begin_client(&m); /* six keys */
	for (uint32_t i = 1; i <= 6; i++)
		put_number(h, HANDSHAKE_ACCEPT_PEER_IDENTITY, i);
	refused(h, 17);

	h = begin_client(&m); /* a negative serial */
	put_number(h, HANDSHAKE_ACCEPT_PEER_IDENTITY, 0x80000001);
	refused(h, 17);

	h = begin_client(&m); /* an endless name */
	memset(name, 'x', sizeof(name));
	put(h, HANDSHAKE_ACCEPT_PEERNAME, name, sizeof(name));
	refused(h, 17);

	h = begin_client(&m); /* two sockets: the first counts */
	put_number(h, HANDSHAKE_ACCEPT_SOCKFD, 18);
	refused(h, 17);

	h = begin_client(&m); /* half an attribute at the end */
	h->nlmsg_len += 2;
	refused(h, 17);

	h = begin(&m); /* the problem first, the descriptor after it */
	put_number(h, HANDSHAKE_ACCEPT_MESSAGE_TYPE, 3);
	put_number(h, HANDSHAKE_ACCEPT_SOCKFD, 17);
	refused(h, 17);
}

static void request_without_its_parts_is_refused(void **state)
{
	struct reply m;
	struct nlmsghdr *h;

	h = begin(&m);
	refused(h, -1);

	h = begin(&m);
	put_number(h, HANDSHAKE_ACCEPT_SOCKFD, 17);
	put_number(h, HANDSHAKE_ACCEPT_AUTH_MODE, 2);
	refused(h, 17);

	h = begin(&m);
	put_number(h, HANDSHAKE_ACCEPT_SOCKFD, 17);
	put_number(h, HANDSHAKE_ACCEPT_MESSAGE_TYPE, 2);
	refused(h, 17);

	h = begin(&m);
	h->nlmsg_len = NLMSG_HDRLEN + 2;
	refused(h, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_of_a_client_is_decoded_whole),
		cmocka_unit_test(serial_of_0_is_no_key),
		cmocka_unit_test(certificate_of_an_x509_request_is_decoded),
		cmocka_unit_test(malformed_request_is_refused_and_its_descriptor_kept),
		cmocka_unit_test(request_without_its_parts_is_refused),
	};

	return cmocka_run_group_tests_name("netlink", tests, NULL, NULL);
}
