#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A worker in the hands of an attacker and the private key: test-signer-attacked.py FAKE-TLSHD-ATTACKED MAKE-CERTIFICATE

Whatever it asks, it gets one signature for the handshake that it was given, over what can be used for nothing
else; and the next peer is served.
"""
import os, socket, subprocess, sys, tempfile, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kernel
from kernel import X509, Daemon, Keyring, run_cases

home = tempfile.TemporaryDirectory()
os.chmod(home.name, 0o755)
for words in ["ca", "ca"], ["server", "issuer=ca", "dns=server.test"]:
    subprocess.run([sys.argv[2], home.name, *words], check=True)
CONFIG = ("[authenticate.server]\nx509.truststore=%(d)s/ca.pem\nx509.certificate=%(d)s/server.pem\nx509.private_key=%(d)s/server.key\n"
          "[tlshd]\nworkers=2\n" % {"d": home.name})
keyring = Keyring()
keyring.add("NVMe0R01 nqn.host nqn.io-1", b"\x07" * 32)

class Attacked:
    """A daemon whose attacker has got a handshake with certificates, as its other worker has."""
    def __init__(self, mode):
        self.directory = tempfile.TemporaryDirectory()
        os.chmod(self.directory.name, 0o777) # where root runs this, the attacker is another user
        self.daemon = Daemon(sys.argv[1], self.directory.name, keyring, CONFIG,
                             environment={"TLSHD_ATTACK": mode, "TLSHD_ATTACK_DESK": "1", "TLSHD_ATTACK_FLAG": self.directory.name + "/flag"})
        self.daemon.auth = X509
        # Workers are born again once the certificates are loaded; and the attacker is not to have all the jobs.
        self.daemon.wait(self.a_peer_is_served, "nobody is served")
        self.daemon.wait_for_workers(2)
        self.peers = []
        # Whoever is ended for what it asked the signer leaves lines behind that nobody reads.
        while not self.daemon.lines("attack: %s begins|is lost" % mode):
            assert len(self.peers) < 60, "the attacker gets no job; the log:\n" + self.daemon.tail()
            self.peers.append(self.half_a_hello())
            time.sleep(0.02)

    def half_a_hello(self):
        peer = socket.create_connection(("127.0.0.1", self.daemon.port))
        peer.sendall(b"\x16\x03\x01\x00\xff\x01\x00\x00\xfb\x03\x03")
        return peer, self.daemon.next_request()

    def a_peer_is_served(self):
        peer = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % self.daemon.port, "-tls1_3", "-CAfile", home.name + "/ca.pem",
                               "-no_ign_eof"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return self.daemon.next_request().outcome() == 0 and "Verification: OK" in peer.stdout

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.daemon.close()
        self.directory.cleanup()

def attack(mode, line, signatures=0):
    """A case: the log has such a line, the attacker is ended, and has so many signatures."""
    def run():
        with Attacked(mode) as a:
            a.daemon.wait_for_line(line)
            a.daemon.wait_for_line("worker [0-9]+ is lost")
            assert len(a.daemon.lines("attack: a SIGNATURE")) == signatures, a.daemon.tail()
            a.daemon.wait(a.a_peer_is_served, "no peer is served any more")
            assert len(a.daemon.lines("^tlshd: worker [0-9]+ is lost")) == 1, a.daemon.tail()
            assert not a.daemon.lines("the signer is lost"), a.daemon.tail()
            told = {r.status for _, r in a.peers if r.done.is_set()}
            assert 0 not in told, "the kernel was told of a success"
            assert not {r.remote for _, r in a.peers if r.done.is_set()} - {0}, "the kernel was told of a certificate"
            for peer, _ in a.peers:
                peer.close()
            assert a.daemon.stop() == 0, a.daemon.tail()
            assert not a.daemon.lines("Sanitizer|runtime error"), a.daemon.tail()
    run.__name__ = "attack_" + mode.replace("-", "_")
    return run

THEIRS = "is lost: it asked for signatures that are none of its business"
sys.exit(run_cases([
    attack("signatures", THEIRS, signatures=1),
    attack("foreign-signatures", THEIRS),
    attack("old-signatures", THEIRS),
    attack("odd-hash", THEIRS),
    attack("grant", THEIRS),
    attack("certified", r"\[worker-lied\]"),
    attack("keys-of-nvme", "is lost: it asked for keys that are none of its business"),
]))
