#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""One of two workers is in the hands of an attacker (tests/attack): test-attacked.py FAKE-TLSHD-ATTACKED

Whatever it says, the broker lives, the other worker and its handshakes go on, and the next peer is served.
What calls it may make is for test-sandbox, and for the scenario a-hijacked-worker-gets-nothing.
"""
import os, socket, sys, tempfile
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/../peer")
from kernel import *
from tls13 import client_hello, record

IDENTITY, PSK = "NVMe0R01 nqn.host nqn.io-1", b"\x07" * 32
SERVER_HELLO = b"\x16"
keyring = Keyring()
key = keyring.add(IDENTITY, PSK)

class Peer:
    """Stops half-way through its ClientHello."""
    def __init__(self, daemon):
        self.hello = record(client_hello([IDENTITY.encode()], PSK))
        self.sock = socket.create_connection(("127.0.0.1", daemon.port))
        self.sock.settimeout(PATIENCE)
        self.sock.sendall(self.hello[:100])
        self.request = daemon.next_request()

    def go_on(self):
        try:
            self.sock.sendall(self.hello[100:])
            return self.sock.recv(1)
        except ConnectionError:
            return b""

def attack(mode, line, lost=True, lacks=None):
    """A case: the attacker is ended for it if it is to be lost, and the log has such a line, and lacks others."""
    def run():
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o777) # where root runs this, the attacker is another user
            daemon = Daemon(sys.argv[1], directory, keyring, "[debug]\nloglevel=0\n[tlshd]\nworkers=2\n",
                            environment={"TLSHD_ATTACK": mode, "TLSHD_ATTACK_FLAG": directory + "/flag"})
            try:
                peers = []
                while not daemon.lines("attack: %s begins" % mode):
                    assert len(peers) < 60, "the attacker gets no job; the log:\n" + daemon.log()
                    peers.append(Peer(daemon))
                    time.sleep(0.02)
                daemon.wait_for_line(line)
                # Those of the other worker never notice; a lost one's have failed, with a status that passes.
                if lost:
                    daemon.wait_for_line("worker [0-9]+ is lost")
                    answers = [peer.go_on() for peer in peers]
                    assert SERVER_HELLO in answers, "the other worker's handshakes do not go on"
                    assert len(daemon.lines("^tlshd: worker [0-9]+ is lost")) == 1, daemon.log()
                assert not [p for p in peers if p.request.done.is_set() and p.request.status in (0, 126, 129)]
                assert (got := Peer(daemon).go_on()) == SERVER_HELLO, "the next peer gets %r; the log:\n%s" % (got, daemon.log())
                assert not daemon.lines("succeeded.*a lie"), daemon.log()
                assert not lacks or not daemon.lines(lacks), daemon.log()
                for peer in peers:
                    peer.sock.close()
                assert daemon.stop() == 0, daemon.log()
                assert not daemon.lines("Sanitizer|runtime error"), daemon.log()
            finally:
                daemon.close()
    run.__name__ = "attack_" + mode
    return run

def a_flood_of_lines_forges_none():
    attack("log", "attack: log begins", lost=False, lacks="^lines|\033")()

sys.exit(run_cases([
    attack("short", "is lost: it sent a message cut short"),
    attack("long", "is lost: it sent a message too long"),
    attack("type", "is lost: it sent a message of unknown type"),
    attack("direction", "is lost: it sent a message in the wrong direction"),
    attack("endless", "is lost: it sent an identity without end"),
    attack("emergency", "is lost: it sent a line of a priority"),
    attack("descriptors", "is lost: it sent a descriptor that nobody asked for"),
    attack("unknown", "is lost: it spoke of a job that it does not have"),
    attack("foreign", "is lost: it spoke of a job that it does not have"),
    attack("twice", "is lost: it spoke of a job that it does not have"),
    attack("lookups", "is lost: it asked for keys that are none of its business", lacks="no such key"),
    attack("success", "a success without a key", lost=False),
    a_flood_of_lines_forges_none,
]))
