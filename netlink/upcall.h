/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's handshake family over generic netlink: a request in, its outcome back. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct nlmsghdr;

/* The kernel names at most this many keys in one request. */
#define UPCALL_PEERS_MAX 5
/* Room for a peer name: a DNS name has at most 255 bytes. */
#define UPCALL_PEERNAME_SIZE 256

/* The numbers are those of the kernel (Documentation/netlink/specs/handshake.yaml). */
enum handshake_side { HANDSHAKE_CLIENT = 1, HANDSHAKE_SERVER = 2 };
enum handshake_auth { HANDSHAKE_UNAUTH = 1, HANDSHAKE_PSK = 2, HANDSHAKE_X509 = 3 };

/**
 * struct upcall_request - one ACCEPT, free of attributes.
 * @sockfd: the connected socket, now in this process's table and the caller's to close;
 *	-1 when the kernel gave none
 * @side: the role we play
 * @auth: how the peers authenticate; may be a number that we do not know
 * @timeout_ms: time the consumer grants, 0 when it does not say
 * @peers, @n_peers: serials of the keys a client may use
 * @keyring: serial of the consumer's keyring, 0 when the kernel does not say (before 7.x)
 * @certificate, @private_key: serials of an x.509 pair, 0 when there is none
 * @peername: the peer's name as the consumer knows it, "" when it does not say
 * @unknown: a bit for each attribute of the kernel that we do not know and have ignored, by its
 *	number, the last bit for all beyond; that of the certificate for one inside it
 */
struct upcall_request {
	int sockfd;
	enum handshake_side side;
	enum handshake_auth auth;
	uint32_t timeout_ms;
	int32_t peers[UPCALL_PEERS_MAX];
	size_t n_peers;
	int32_t keyring;
	int32_t certificate;
	int32_t private_key;
	char peername[UPCALL_PEERNAME_SIZE];
	uint64_t unknown;
};

/** struct upcall - the connection to the kernel: one socket for READY, one for the rest. */
struct upcall;

/**
 * upcall_open() - resolve the family and join its group.
 * @out: set on success, to be closed by upcall_close()
 * @member: the descriptor of upcall_fd() of a process before us, which is in the group; taken over,
 *	also on failure. -1 for none. It is not used if it is of another network namespace
 *
 * From here on the kernel counts on us. Requests may already be queued: drain once by
 * upcall_accept() without waiting for READY.
 *
 * Return: 0; -EPROTONOSUPPORT when this kernel has no handshake family (Linux 6.5 with
 * CONFIG_NET_HANDSHAKE has one); another negative errno.
 */
int upcall_open(struct upcall **out, int member);

/**
 * upcall_open_second() - a connection for a second thread, which shares the READYs of @first.
 * @out: set on success, to be closed by upcall_close() before @first is left or closed
 *
 * Return: 0 or a negative errno.
 */
int upcall_open_second(struct upcall **out, const struct upcall *first);

/** upcall_leave() - leave the group: the kernel refuses new requests, DONE goes on working. */
void upcall_leave(struct upcall *u);

/** upcall_close() - close the sockets that are @u's own and free it. NULL is fine. */
void upcall_close(struct upcall *u);

/** upcall_fd() - the descriptor that is readable after a READY; -1 after upcall_leave(). */
int upcall_fd(const struct upcall *u);

/**
 * upcall_ready() - read all that stands on upcall_fd() and forget it.
 *
 * READY is a hint and never a count: after it, whatever this returns, call upcall_accept()
 * until -EAGAIN.
 *
 * Return: READYs read; -ENOBUFS when the kernel dropped some; another negative errno.
 */
int upcall_ready(struct upcall *u);

/**
 * upcall_accept() - take one request.
 * @req: filled
 * @why: on -EBADMSG a static sentence that says what is wrong with the request
 *
 * Return: 0; -EAGAIN when none is queued; -EBADMSG when the request is malformed or of a message
 * type that we do not know: it is to be failed by upcall_done() where @req->sockfd is not -1;
 * another negative errno.
 */
int upcall_accept(struct upcall *u, struct upcall_request *req, const char **why);

/**
 * upcall_done() - tell the kernel how a request ended, and read its acknowledgement.
 * @sockfd: any descriptor of the request's socket
 * @status: 0 or a positive errno. The NVMe host never tries again after EKEYREJECTED and ENOKEY
 * @remote: serial of the key that the peer authenticated with, 0 for none
 *
 * Return: 0; -EBUSY when the consumer has cancelled the request, which is no fault of ours;
 * another negative errno.
 */
int upcall_done(struct upcall *u, int sockfd, int status, int32_t remote);

/**
 * upcall_others() - who else is in the group: another daemon, which is given requests as we are.
 * @port: the netlink port of one of them; the lower 22 bits are its process number where libnl chose
 *	it. Unset when there is none
 *
 * Return: their number; a negative errno when the kernel's list cannot be read, -ERANGE when it does
 * not show our group.
 */
int upcall_others(const struct upcall *u, uint32_t *port);

/* More daemons than this in one namespace are counted, and not named. */
#define UPCALL_MEMBERS_MAX 16

/**
 * struct upcall_member - a socket in the group.
 * @port: its netlink port, see upcall_others()
 * @inode: by which /proc/PID/fd tells whose it is
 */
struct upcall_member {
	uint32_t port;
	unsigned long inode;
};

/**
 * upcall_group() - number of the multicast group that daemons are in, without joining it.
 *
 * Return: the number; -EPROTONOSUPPORT when this kernel has no handshake family; another negative
 * errno.
 */
int upcall_group(void);

/**
 * upcall_members_in() - all sockets in the group, of an open /proc/net/netlink.
 * @group: number of the multicast group, 1 to 32
 * @members: filled with the first @room of them
 *
 * Return: how many there are, which can be more than @room.
 */
int upcall_members_in(FILE *list, unsigned int group, struct upcall_member *members, size_t room);

/**
 * upcall_others_in() - upcall_others() of an open /proc/net/netlink, for tests.
 * @group: number of the multicast group, 1 to 32
 * @inode: of our own socket
 */
int upcall_others_in(FILE *list, unsigned int group, unsigned long inode, uint32_t *port);

/**
 * upcall_decode() - the reply to ACCEPT as a plain struct; upcall_accept() without its
 * sockets, for tests.
 * @msg: a whole netlink message, its nlmsg_len within what was received
 *
 * Kernels to come send more attributes than these: what is not known changes nothing.
 *
 * Return: 0, or -EBADMSG with @why set; @req is filled with what was understood either way.
 */
int upcall_decode(struct nlmsghdr *msg, struct upcall_request *req, const char **why);

/**
 * upcall_describe() - a request in words, for the log.
 * @text: filled, cut to @size; the peer's name stands in it as it came, so escape it
 */
void upcall_describe(const struct upcall_request *req, char *text, size_t size);
