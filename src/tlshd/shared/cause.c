// SPDX-License-Identifier: GPL-2.0-or-later
/* Why a handshake ended: every ending has a name, and everything that follows from it is here. */
#include "tlshd/shared/cause.h"

#include <errno.h>
#include <string.h>

/* RFC 8446, section 6. */
enum {
	UNEXPECTED_MESSAGE = 10,
	HANDSHAKE_FAILURE = 40,
	BAD_CERTIFICATE = 42,
	UNSUPPORTED_CERTIFICATE = 43,
	CERTIFICATE_REVOKED = 44,
	CERTIFICATE_EXPIRED = 45,
	ILLEGAL_PARAMETER = 47,
	UNKNOWN_CA = 48,
	DECRYPT_ERROR = 51,
	PROTOCOL_VERSION = 70,
	INTERNAL_ERROR = 80,
	MISSING_EXTENSION = 109,
	UNKNOWN_PSK_IDENTITY = 115,
};

#define NO CAUSE_NO_ALERT
#define BROKER false
#define WORKER true

#define COMPARE \
	"compare \"nvme-tls list\" on both sides: host NQN, subsystem NQN, version and hash must match exactly"
#define SAME_PSK \
	"insert the same configured PSK on both sides, derived the same way (--compat in nvme-tls(8))"
#define MORE_TIME \
	"grant more time (parameter tls_handshake_timeout of nvme_tcp and nvmet_tcp; NFS has none), more CPUs, or a larger share of them (Nice= of tlshd-worker@.service)"
#define NEWER_PEER "update the peer's TLS library, or change its settings"
#define PEERS_LOG "check the peer's log"
#define OUR_LOG "the log says what happened to the worker"

static const struct cause_info causes[CAUSE_N] = {
	[CAUSE_SUCCESS] = {"success", 0, NO, WORKER, "succeeded", ""},

	[CAUSE_NO_KEY] = {"no-key", ENOKEY, UNKNOWN_PSK_IDENTITY, WORKER,
			  "no key for this identity in the keyring", COMPARE},
	[CAUSE_BAD_IDENTITY] = {"bad-identity", ENOKEY, UNKNOWN_PSK_IDENTITY, WORKER,
				"the peer offers an identity that no key can have", COMPARE},
	[CAUSE_KEY_ENDED] = {"key-ended", ENOKEY, UNKNOWN_PSK_IDENTITY, WORKER,
			     "the key of this identity has been revoked or has expired",
			     "insert a new one with \"nvme-tls insert\""},
	[CAUSE_KEY_UNREADABLE] = {"key-unreadable", EACCES, INTERNAL_ERROR, WORKER,
				  "the key of this identity cannot be read",
				  "insert the key again with \"nvme-tls insert\", as root"},
	[CAUSE_KEY_LENGTH] = {"key-length", EKEYREJECTED, UNKNOWN_PSK_IDENTITY, WORKER,
			      "the key of this identity does not fit the identity's hash",
			      "insert the key again with \"nvme-tls insert\""},
	[CAUSE_WRONG_KEY] = {"wrong-key", EKEYREJECTED, DECRYPT_ERROR, WORKER,
			     "the peer's key for this identity is another one (wrong binder)",
			     SAME_PSK},
	[CAUSE_SHA384_UNSUPPORTED] =
		{"sha384-unsupported", EOPNOTSUPP, UNKNOWN_PSK_IDENTITY, WORKER,
		 "a SHA-384 PSK needs GnuTLS 3.8.11 or newer",
		 "use a SHA-256 key (\"nvme-tls gen --hmac 1\") or update GnuTLS; only while migrating from ktls-utils, set psk.sha384_compat=true in [authenticate] of tlshd.conf on both sides"},
	[CAUSE_NO_KEY_NAMED] =
		{"no-key-named", ENOKEY, NO, BROKER, "the kernel names no key for this connection",
		 "insert a key for the host and the subsystem with \"nvme-tls insert\""},
	[CAUSE_NAMED_KEY_MISSING] =
		{"named-key-missing", ENOKEY, NO, BROKER,
		 "the key that the kernel names is not there any more",
		 "insert the key again with \"nvme-tls insert\", then reconnect"},
	[CAUSE_NAMED_KEY_UNREADABLE] = {"named-key-unreadable", EACCES, NO, BROKER,
					"the key that the kernel names cannot be read",
					"insert the key again with \"nvme-tls insert\", as root"},

	[CAUSE_NOT_TLS] = {"not-tls", EPROTO, UNEXPECTED_MESSAGE, WORKER,
			   "the peer does not speak TLS", "connect with \"nvme connect --tls\""},
	[CAUSE_PLAIN_NVME] =
		{"plain-nvme", EPROTO, UNEXPECTED_MESSAGE, WORKER,
		 "the peer speaks NVMe/TCP without TLS",
		 "connect with \"nvme connect --tls\", or set addr_tsas of the target's port to tls1.3; an SPDK host does not use TLS if its derived key begins with a zero byte: use another configured PSK"},
	[CAUSE_PLAIN_HTTP] = {"plain-http", EPROTO, UNEXPECTED_MESSAGE, WORKER,
			      "the peer speaks HTTP",
			      "find out which client or health check uses this port by mistake"},
	[CAUSE_PLAIN_RPC] =
		{"plain-rpc", EPROTO, UNEXPECTED_MESSAGE, WORKER,
		 "the peer speaks ONC RPC without TLS",
		 "mount with xprtsec=tls or xprtsec=mtls, on the port of the NFS server"},
	[CAUSE_NO_TLS13] = {"no-tls13", EPROTO, PROTOCOL_VERSION, WORKER,
			    "the peer offers no TLS 1.3", NEWER_PEER},
	[CAUSE_NO_PSK] =
		{"no-psk", EPROTO, HANDSHAKE_FAILURE, WORKER, "the peer offers no pre-shared key",
		 "insert the key for this subsystem on the peer, if the peer is an NVMe/TCP host"},
	[CAUSE_NO_PSK_MODE] = {"no-psk-mode", EPROTO, MISSING_EXTENSION, WORKER,
			       "the peer offers a pre-shared key and no mode of its exchange",
			       NEWER_PEER},
	[CAUSE_PSK_WITHOUT_DHE] = {"psk-without-dhe", EPROTO, HANDSHAKE_FAILURE, WORKER,
				   "the peer offers pre-shared keys without (EC)DHE only",
				   NEWER_PEER},
	[CAUSE_NOTHING_IN_COMMON] = {"nothing-in-common", EPROTO, HANDSHAKE_FAILURE, WORKER,
				     "no cipher, group or PSK mode in common with the peer",
				     "widen the crypto policy of either side"},
	[CAUSE_POLICY] = {"policy", EOPNOTSUPP, HANDSHAKE_FAILURE, WORKER,
			  "the system's crypto policy leaves no cipher for this key",
			  "widen the system's crypto policy, or use a key of the other hash"},
	[CAUSE_UNEXPECTED_MESSAGE] = {"unexpected-message", EPROTO, UNEXPECTED_MESSAGE, WORKER,
				      "the peer sends a message that has no place here",
				      NEWER_PEER},
	[CAUSE_ILLEGAL_PARAMETER] = {"illegal-parameter", EPROTO, ILLEGAL_PARAMETER, WORKER,
				     "the peer sends a value that TLS forbids", NEWER_PEER},
	[CAUSE_HELLO_TOO_LONG] = {"hello-too-long", EPROTO, ILLEGAL_PARAMETER, WORKER,
				  "the peer announces a ClientHello that is too long", NEWER_PEER},
	[CAUSE_TOO_MANY_RECORDS] = {"too-many-records", EPROTO, UNEXPECTED_MESSAGE, WORKER,
				    "the peer cuts what it says into too many records", NEWER_PEER},
	[CAUSE_TOO_MUCH] = {"too-much", EPROTO, UNEXPECTED_MESSAGE, WORKER,
			    "the peer sends more than any handshake has", NEWER_PEER},
	[CAUSE_EARLY_DATA] = {"early-data", EPROTO, UNEXPECTED_MESSAGE, WORKER,
			      "the peer sent data before the kernel could take it", NEWER_PEER},
	[CAUSE_TLS_ERROR] = {"tls-error", EPROTO, NO, WORKER,
			     "the peer's side of the handshake is not acceptable", NEWER_PEER},
	[CAUSE_NOT_AS_AGREED] = {"not-as-agreed", EPROTO, INTERNAL_ERROR, WORKER,
				 "the handshake ended as something that was not asked for",
				 "report this as a bug of tlshd"},

	[CAUSE_EXPIRED] = {"certificate-expired", EACCES, CERTIFICATE_EXPIRED, WORKER,
			   "the peer's certificate has expired",
			   "give the peer a new certificate, or set this machine's clock"},
	[CAUSE_NOT_YET_VALID] = {"certificate-not-yet-valid", EACCES, CERTIFICATE_EXPIRED, WORKER,
				 "the peer's certificate is not valid yet",
				 "set the clocks of both machines"},
	[CAUSE_WRONG_NAME] =
		{"wrong-name", EACCES, BAD_CERTIFICATE, WORKER,
		 "the server's certificate is for another name",
		 "mount the server by a name that is in its certificate, or give it a certificate with this name or address as a subject alternative name"},
	[CAUSE_UNKNOWN_ISSUER] =
		{"unknown-issuer", EACCES, UNKNOWN_CA, WORKER,
		 "the peer's certificate is from an issuer that is not trusted",
		 "add the issuer to the file that x509.truststore names, or have the peer send its whole chain"},
	[CAUSE_REVOKED] = {"certificate-revoked", EACCES, CERTIFICATE_REVOKED, WORKER,
			   "the peer's certificate has been revoked",
			   "give the peer a new certificate"},
	[CAUSE_WRONG_PURPOSE] =
		{"wrong-purpose", EACCES, UNSUPPORTED_CERTIFICATE, WORKER,
		 "the peer's certificate is for another purpose",
		 "give the peer a certificate whose extended key usage has serverAuth for a server, or clientAuth for a client"},
	[CAUSE_WEAK_CERTIFICATE] =
		{"weak-certificate", EACCES, BAD_CERTIFICATE, WORKER,
		 "the peer's certificate uses an algorithm or a key that the system's policy calls weak",
		 "give the peer a certificate with a longer key and a SHA-2 signature"},
	[CAUSE_BAD_CERTIFICATE] = {"bad-certificate", EACCES, BAD_CERTIFICATE, WORKER,
				   "the peer's certificate is not acceptable",
				   "give the peer a new certificate"},
	[CAUSE_BAD_SIGNATURE] = {"bad-signature", EACCES, DECRYPT_ERROR, WORKER,
				 "the peer has not proved that it has the key of its certificate",
				 "check that the peer's private key belongs to its certificate"},

	[CAUSE_NO_CERTIFICATE] =
		{"no-certificate", EACCES, HANDSHAKE_FAILURE, WORKER,
		 "a server needs a certificate, and none is configured",
		 "set x509.certificate and x509.private_key in [authenticate.server] of tlshd.conf"},
	[CAUSE_NO_CLIENT_CERTIFICATE] =
		{"no-client-certificate", EACCES, NO, WORKER,
		 "the mount needs a client certificate, and none is configured",
		 "set x509.certificate and x509.private_key in [authenticate.client] of tlshd.conf, or mount with xprtsec=tls"},
	[CAUSE_CREDENTIAL_UNREADABLE] =
		{"credential-unreadable", EACCES, INTERNAL_ERROR, WORKER,
		 "a configured certificate, key or list cannot be read",
		 "check the path and the permissions of the file that the log names; /home, /root and /run are hidden from tlshd.service"},
	[CAUSE_CREDENTIAL_MALFORMED] =
		{"credential-malformed", EACCES, INTERNAL_ERROR, WORKER,
		 "a configured certificate, key or list is malformed",
		 "replace the file that the log names by a complete PEM file"},
	[CAUSE_KEY_MISFIT] = {"key-misfit", EACCES, INTERNAL_ERROR, WORKER,
			      "the configured private key does not belong to the certificate",
			      "set x509.certificate and x509.private_key to a pair"},
	[CAUSE_TOKEN] =
		{"token", EACCES, INTERNAL_ERROR, WORKER, "the token does not give the private key",
		 "check the URL with \"p11tool --list-all\", and that the user tlshd-signer may use the token"},
	[CAUSE_TOKEN_LOCKED] = {"token-locked", EACCES, INTERNAL_ERROR, WORKER,
				"the token is locked, or its PIN is wrong",
				"unlock the token, and correct the PIN in the URL (pin-source=)"},
	[CAUSE_SIGNER_GONE] =
		{"signer-gone", EIO, INTERNAL_ERROR, WORKER, "the signer has given no signature",
		 "the log says what happened to the signer; a new one is started by itself"},

	[CAUSE_PEER_REFUSES_CERTIFICATE] =
		{"peer-refuses-certificate", EACCES, NO, WORKER,
		 "the peer does not accept our certificate",
		 "check the peer's log: it knows whether the certificate has expired, was revoked or has the wrong name"},
	[CAUSE_PEER_WANTS_CERTIFICATE] =
		{"peer-wants-certificate", EACCES, NO, WORKER,
		 "the server insists on a client certificate",
		 "mount with xprtsec=mtls, with x509.certificate in [authenticate.client] of tlshd.conf"},
	[CAUSE_PEER_KNOWS_NO_ISSUER] =
		{"peer-knows-no-issuer", EACCES, NO, WORKER,
		 "the peer does not trust the issuer of our certificate",
		 "add our issuer to the peer's trust store, or put the whole chain into the file that x509.certificate names"},
	[CAUSE_PEER_KNOWS_NO_KEY] = {"peer-knows-no-key", EKEYREJECTED, NO, WORKER,
				     "the peer has no key for this identity", COMPARE},
	[CAUSE_PEER_HAS_OTHER_KEY] = {"peer-has-other-key", EKEYREJECTED, NO, WORKER,
				      "the peer's key for this identity is another one", SAME_PSK},
	[CAUSE_PEER_REFUSES_PARAMETER] =
		{"peer-refuses-parameter", EPROTO, NO, WORKER,
		 "the peer does not accept what we sent; its key for this identity may be another one",
		 SAME_PSK},
	[CAUSE_PEER_FINDS_NOTHING_IN_COMMON] =
		{"peer-finds-nothing-in-common", EPROTO, NO, WORKER,
		 "the peer has no cipher, group or key in common with us",
		 "widen the crypto policy of either side, or give the peer the key"},
	[CAUSE_PEER_INTERNAL_ERROR] =
		{"peer-internal-error", EPROTO, NO, WORKER, "the peer cannot go on",
		 "check the peer's log; SPDK's target sends this alert for an unknown identity, and knows identities of version 0 only: insert the key with \"--identity 0\" and connect with --tls_key"},
	[CAUSE_PEER_ALERT] = {"peer-alert", EPROTO, NO, WORKER, "the peer sent an alert",
			      PEERS_LOG},

	[CAUSE_SILENT_PEER] =
		{"silent-peer", ETIMEDOUT, NO, BROKER, "the peer has not sent a byte in time",
		 "connect with \"nvme connect --tls\"; if the peer already does, check the network and the peer's log"},
	[CAUSE_GONE_EARLY] = {"gone-early", ECONNRESET, NO, WORKER,
			      "the peer closed the connection without a ClientHello",
			      "a port scan or a health check does this; otherwise " PEERS_LOG},
	[CAUSE_PEER_CLOSED] = {"peer-closed", ECONNRESET, NO, WORKER,
			       "the peer closed the connection in the middle of the handshake",
			       PEERS_LOG},
	[CAUSE_CONNECTION_BROKE] = {"connection-broke", ECONNRESET, NO, WORKER,
				    "the connection broke in the middle of the handshake",
				    "check the network and the peer's log"},
	[CAUSE_PEER_STALLED] = {"peer-stalled", ETIMEDOUT, NO, WORKER,
				"the peer did not go on in time",
				"check the peer's load and log; " MORE_TIME},
	[CAUSE_CROWDED_OUT] =
		{"crowded-out", ECONNABORTED, NO, BROKER,
		 "the peer had not finished its ClientHello when others needed the room",
		 "find out who opens so many connections; honest peers try again"},
	[CAUSE_GIVEN_UP] = {"given-up", ETIMEDOUT, NO, BROKER,
			    "it was complete, but the kernel had given it up already", MORE_TIME},

	[CAUSE_NO_ROOM] = {"no-room", ETIMEDOUT, NO, BROKER, "no worker had room for it in time",
			   MORE_TIME},
	[CAUSE_NOT_RUN] = {"not-run", ETIMEDOUT, NO, WORKER, "the handshake did not run in time",
			   MORE_TIME},
	[CAUSE_WORKER_LATE] = {"worker-late", ETIMEDOUT, NO, BROKER,
			       "its worker did not come to it in time", MORE_TIME},
	[CAUSE_WORKER_LOST] = {"worker-lost", EIO, NO, BROKER, "its worker is lost", OUR_LOG},
	[CAUSE_WORKER_LIED] =
		{"worker-lied", EIO, NO, BROKER, "its worker reported what is not so",
		 "assume that the peer has taken over the worker: keep the log, and investigate the peer"},
	[CAUSE_NO_WORKER] = {"no-worker", EIO, NO, BROKER, "there is no worker to run it",
			     "the log says why no worker could be started"},
	[CAUSE_NO_MEMORY] =
		{"no-memory", ENOMEM, INTERNAL_ERROR, WORKER, "a worker has no memory for it",
		 "raise MemoryMax= of tlshd-worker@.service, or add memory to the machine"},
	[CAUSE_NO_DESCRIPTOR] = {"no-descriptor", EIO, NO, WORKER,
				 "a worker has no descriptor left for the socket",
				 "raise LimitNOFILE= of tlshd-worker@.service"},
	[CAUSE_NO_TLS_MODULE] = {"no-tls-module", EIO, NO, WORKER,
				 "the kernel's tls module is not loaded",
				 "load the module with \"modprobe tls\""},
	[CAUSE_KTLS] = {"ktls", EIO, NO, WORKER, "the kernel does not take the traffic keys",
			"report this as a bug of tlshd, with the kernel's version"},
	[CAUSE_RECORD_LIMIT] =
		{"record-limit", EOPNOTSUPP, NO, WORKER,
		 "the peer insists on records shorter than this kernel can make",
		 "use a newer kernel (Linux 7.2 can make them), or configure the peer to accept records of 16 KiB"},
	[CAUSE_STOPPING] = {"stopping", ECONNABORTED, NO, BROKER, "tlshd is stopping",
			    "the peer may try again"},

	[CAUSE_BAD_REQUEST] = {"bad-request", EPROTO, NO, BROKER,
			       "the kernel's request is malformed",
			       "report this as a bug of tlshd, with the kernel's version"},
	[CAUSE_UNSUPPORTED_AUTH] = {"unsupported-auth", EOPNOTSUPP, NO, BROKER,
				    "the kernel asks for a kind of authentication that we do not do",
				    "tlshd supports pre-shared keys and x.509 certificates"},
	[CAUSE_NOT_TCP] = {"not-tcp", EOPNOTSUPP, NO, BROKER,
			   "the kernel asks for a handshake on a socket that is not TCP",
			   "tlshd supports TLS over TCP only, not QUIC"},
	[CAUSE_DONE_REFUSED] = {"done-refused", EIO, NO, BROKER,
				"it was complete, but the kernel did not take the report",
				"report this as a bug of tlshd, with the kernel's version"},
};

const struct cause_info *cause_info(enum cause cause)
{
	return &causes[cause];
}

int cause_status(enum cause cause, bool certified)
{
	int status = causes[cause].status;

	if (!certified || !status)
		return status;
	switch (cause) {
	case CAUSE_SIGNER_GONE:
	case CAUSE_NO_WORKER:
	case CAUSE_WORKER_LOST:
	case CAUSE_NO_MEMORY:
	case CAUSE_NO_DESCRIPTOR:
	case CAUSE_STOPPING:
		return ETIMEDOUT;
	default:
		return status == ETIMEDOUT ? ETIMEDOUT : EACCES;
	}
}

bool cause_is_of_worker(unsigned int cause)
{
	return cause < CAUSE_N && causes[cause].of_worker;
}

int cause_from_id(const char *id)
{
	for (int c = 0; c < CAUSE_N; c++)
		if (strcmp(causes[c].id, id) == 0)
			return c;
	return -1;
}
