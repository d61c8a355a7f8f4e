#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Handshakes of the whole daemon with OpenSSL, both sides: test-handshakes.py FAKE-TLSHD"""
import os, re, socket, subprocess, sys, tempfile, threading, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kernel
from kernel import Daemon, Keyring, Request, run_cases

IDENTITY, PSK, WRONG = "NVMe0R01 nqn.host nqn.io-1", b"\x07" * 32, b"\x08" * 32
ENOKEY, EKEYREJECTED, ETIMEDOUT, EOPNOTSUPP, ECONNRESET, EPROTO = 126, 129, 110, 95, 104, 71

directory = tempfile.TemporaryDirectory()
keyring = Keyring()
key = keyring.add(IDENTITY, PSK)
daemon = Daemon(sys.argv[1], directory.name, keyring)

def s_client(identity=IDENTITY, psk=PSK, *options, port=None):
    return subprocess.Popen(
        ["openssl", "s_client", "-connect", "127.0.0.1:%d" % (port or daemon.port), "-tls1_3", "-quiet", "-no_ign_eof",
         "-psk_identity", identity, "-psk", psk.hex(), "-ciphersuites", "TLS_AES_128_GCM_SHA256", *options],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

def client(*how, **options):
    """An OpenSSL client. Return: the daemon's request, what OpenSSL said."""
    peer = s_client(*how, **options)
    request = daemon.next_request()
    request.outcome()
    return request, peer.communicate(timeout=kernel.PATIENCE)[1]

class Server:
    """An OpenSSL server that expects this key."""
    def __init__(self, psk=PSK, *options):
        self.process = subprocess.Popen(
            ["openssl", "s_server", "-accept", "127.0.0.1:0", "-tls1_3", "-nocert", "-psk_identity", IDENTITY,
             "-psk", psk.hex(), "-ciphersuites", "TLS_AES_128_GCM_SHA256", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.process.stdout:
            if line.startswith("ACCEPT"):
                self.port = int(line.rsplit(":", 1)[1])
                break

    def end(self):
        self.process.kill()
        return self.process.communicate()[0]

marked, logged, same = daemon.marked, daemon.logged, daemon.same

def contains(what, text):
    assert what in text, "no '%s' in: %s" % (what, text)

# --- a target's side

def an_openssl_client_connects():
    request, said = client()
    same("status", 0, request.status)
    same("the key that the kernel is told", key, request.remote)
    assert "alert" not in said, said
    logged('succeeded: cipher AES-128-GCM, identity "%s", key 0x%08x' % (IDENTITY, key))

def a_wrong_key_is_final_and_gets_decrypt_error():
    request, said = client(IDENTITY, WRONG)
    same("status", EKEYREJECTED, request.status)
    contains("decrypt error", said)
    logged("[wrong-key]")

def an_unknown_identity_is_final_and_named():
    request, said = client(IDENTITY + "0", PSK)
    same("status", ENOKEY, request.status)
    contains("unknown psk identity", said)
    logged('identity "%s0"' % IDENTITY)
    logged("[no-key]")

def a_prefix_of_an_identity_is_another_identity():
    same("status", ENOKEY, client(IDENTITY[:-1], PSK)[0].status)

def a_revoked_key_is_named():
    old = keyring.add("NVMe0R01 nqn.host nqn.revoked", PSK)
    same("status", 0, client("NVMe0R01 nqn.host nqn.revoked", PSK)[0].status)
    keyring.revoke(old)
    same("status", ENOKEY, client("NVMe0R01 nqn.host nqn.revoked", PSK)[0].status)
    logged("revoked")

def a_key_that_is_replaced_is_not_used_again():
    name = "NVMe0R01 nqn.host nqn.replaced"
    first = keyring.add(name, PSK)
    same("status", 0, client(name, PSK)[0].status)
    keyring.remove(first)
    keyring.add(name, WRONG)
    same("status with the old bytes", EKEYREJECTED, client(name, PSK)[0].status)
    same("status with the new ones", 0, client(name, WRONG)[0].status)

def a_hello_in_small_records_is_answered():
    request, _ = client(IDENTITY, PSK, "-max_send_frag", "512", "-alpn", ",".join("p%03d" % i for i in range(250)))
    same("status", 0, request.status)

def another_group_and_cipher_are_agreed_on():
    same("status", 0, client(IDENTITY, PSK, "-groups", "P-256")[0].status)
    request, _ = client(IDENTITY, PSK, "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256")
    same("status", 0, request.status)
    logged("CHACHA20")

def tls_1_2_is_refused():
    peer = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % daemon.port, "-tls1_2", "-cipher", "ALL:@SECLEVEL=0"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert daemon.next_request().outcome() not in (0, ENOKEY, EKEYREJECTED)
    contains("protocol version", peer.stderr)

def fifty_at_once_complete():
    peers = [s_client() for _ in range(50)]
    requests = [daemon.next_request() for _ in peers]
    same("statuses", {0}, {r.outcome() for r in requests})
    for peer in peers:
        peer.communicate(timeout=kernel.PATIENCE)

def a_silent_peer_ends_in_its_time():
    daemon.timeout_ms = 1500
    try:
        peer = kernel.socket.create_connection(("127.0.0.1", daemon.port))
        request = daemon.next_request()
        same("status", ETIMEDOUT, request.outcome())
        # an eighth before the time that is granted, when the consumer has a timer of its own
        assert request.took >= 1.2, "after %.1f s" % request.took
        logged("[silent-peer]")
        peer.close()
    finally:
        daemon.timeout_ms = kernel.GRANTED_MS

def a_failure_is_not_reported_before_the_target_is_ready():
    peer = kernel.socket.create_connection(("127.0.0.1", daemon.port))
    peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
    request = daemon.next_request()
    assert request.outcome() != 0
    assert request.took >= 0.05, "after %.3f s" % request.took
    peer.close()

def keyrings_are_found_where_requests_do_not_name_them():
    with tempfile.TemporaryDirectory() as other:
        old = Daemon(sys.argv[1], other, keyring, links=True)
        peer = s_client(port=old.port)
        request = old.next_request()
        same("status", 0, request.outcome())
        same("the key", key, request.remote)
        peer.communicate(timeout=kernel.PATIENCE)
        same("exit code", 0, old.stop())

# --- a kernel to come

def connection():
    """A TCP connection. Return: both ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname())
        return listener.accept()[0], peer

def refused_by_name(status, cause, side=kernel.SERVER, **how):
    sock, peer = connection()
    same("status", status, daemon.ask(Request(sock, side, **how)).outcome())
    logged("with 127.0.0.1:%d failed" % peer.getsockname()[1])
    logged(cause)

def an_unknown_message_type_fails_that_request_and_names_its_peer():
    refused_by_name(EPROTO, "[bad-request]", side=3)
    an_openssl_client_connects()

def an_unknown_authentication_fails_that_request_and_names_its_peer():
    refused_by_name(EOPNOTSUPP, "[unsupported-auth]", auth=4)
    an_openssl_client_connects()

def a_socket_that_is_not_tcp_fails_that_request_and_names_its_peer():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        peer.bind(("127.0.0.1", 0))
        ours.connect(peer.getsockname())
        same("status", EOPNOTSUPP, daemon.ask(Request(ours, kernel.CLIENT, key)).outcome())
        logged("client handshake with 127.0.0.1:%d failed" % peer.getsockname()[1])
        logged("[not-tcp]")
    an_openssl_client_connects()

def unknown_attributes_are_ignored_and_logged_once():
    server = Server()
    for _ in range(2):
        same("status", 0, daemon.connect(server.port, key, unknown=1 << 10 | 1 << 11).outcome())
    server.end()
    same("lines", 1, len(daemon.lines(r"attributes that this tlshd does not know \(10, 11\)")))

# --- what else is said

def with_another(check, config="", environment={}):
    with tempfile.TemporaryDirectory() as directory:
        other = Daemon(sys.argv[1], directory, keyring, config, environment=environment)
        try:
            server = Server(WRONG)
            assert other.connect(server.port, key).outcome() != 0
            server.end()
            check(other)
            same("exit code", 0, other.stop())
        finally:
            other.close()

def another_daemon_is_named_at_the_start_and_by_a_failure():
    def check(other):
        other.wait_for_line("another daemon takes some .*process 283,.*: stop one of the two")
        other.wait_for_line("handshake with .* failed: .*; another daemon takes some .*process 283,")
    with_another(check, environment={"FAKE_OTHER": "520093979"})

def messages_of_the_kernel_are_logged_with_nl_and_only_then():
    messages = r"netlink: [0-9]+ READY|netlink: ACCEPT: socket [0-9]+, message type 1 \(client hello\)|netlink: DONE: socket"
    with_another(lambda other: [other.wait_for_line(m) for m in messages.split("|")], config="[debug]\nnl=1\n")
    with_another(lambda other: same("lines", [], other.lines("netlink")), config="[debug]\nnl=0\n")

# --- a host's side

def our_client_and_an_openssl_server_connect():
    server = Server()
    request = daemon.connect(server.port, key)
    same("status", 0, request.outcome())
    same("the key that the kernel is told", key, request.remote)
    server.end()
    logged("client handshake with 127.0.0.1:%d succeeded" % server.port)

def our_client_with_another_key_is_refused():
    server = Server(WRONG)
    request = daemon.connect(server.port, key)
    assert request.outcome() != 0
    server.end()
    logged("the peer")

def tickets_are_taken_and_a_server_is_remembered_by_their_number():
    with tempfile.TemporaryDirectory() as other:
        talking = Daemon(sys.argv[1], other, keyring, "[debug]\nloglevel=3\n")
        for options, some in ((), True), (("-num_tickets", "0"), False):
            server = Server(PSK, *options)
            for _ in range(5):
                same("status", 0, talking.connect(server.port, key).outcome())
            server.end()
            came = [re.search(r"(\d+) session tickets came within (\d+) ms", line)
                    for line in talking.lines("session tickets came")[-5:]]
            same("numbers of tickets", 1, len({m[1] for m in came}))
            same("whether tickets came", some, int(came[0][1]) > 0)
            waits = [int(m[2]) for m in came]
            # One that is not known is waited for; then the last ticket ends the wait, and on a busy machine it
            # may be late now and then.
            assert waits[0] >= 100 and min(waits[1:]) < 100, waits
        same("exit code", 0, talking.stop())

def a_client_without_a_key_fails_for_good():
    server = Server()
    request = daemon.connect(server.port, 0)
    same("status", ENOKEY, request.outcome())
    server.end()
    logged("[no-key-named]")

def the_daemon_ends_cleanly():
    same("exit code", 0, daemon.stop())
    contains("stopped", daemon.tail().splitlines()[-1])
    assert not daemon.lines("Sanitizer|runtime error"), daemon.tail()

sys.exit(run_cases([marked(case) for case in [
    an_openssl_client_connects,
    a_wrong_key_is_final_and_gets_decrypt_error,
    an_unknown_identity_is_final_and_named,
    a_prefix_of_an_identity_is_another_identity,
    a_revoked_key_is_named,
    a_key_that_is_replaced_is_not_used_again,
    a_hello_in_small_records_is_answered,
    another_group_and_cipher_are_agreed_on,
    tls_1_2_is_refused,
    fifty_at_once_complete,
    a_silent_peer_ends_in_its_time,
    a_failure_is_not_reported_before_the_target_is_ready,
    keyrings_are_found_where_requests_do_not_name_them,
    our_client_and_an_openssl_server_connect,
    our_client_with_another_key_is_refused,
    tickets_are_taken_and_a_server_is_remembered_by_their_number,
    a_client_without_a_key_fails_for_good,
    an_unknown_message_type_fails_that_request_and_names_its_peer,
    an_unknown_authentication_fails_that_request_and_names_its_peer,
    a_socket_that_is_not_tcp_fails_that_request_and_names_its_peer,
    unknown_attributes_are_ignored_and_logged_once,
    another_daemon_is_named_at_the_start_and_by_a_failure,
    messages_of_the_kernel_are_logged_with_nl_and_only_then,
    the_daemon_ends_cleanly,
]]))
