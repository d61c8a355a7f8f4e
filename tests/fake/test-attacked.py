#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""One of two workers is in the hands of an attacker (tests/attack): test-attacked.py FAKE-TLSHD-ATTACKED

Whatever it says, the broker lives, the other worker and its handshakes go on, and the next peer is served.
What calls it may make is for test-sandbox, and for the scenario a-hijacked-worker-gets-nothing.
"""
import os, select, signal, socket, sys, tempfile, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/../peer")
from kernel import *
from tls13 import client_hello, record

IDENTITY, PSK = "NVMe0R01 nqn.host nqn.io-1", b"\x07" * 32
SERVER_HELLO = b"\x16"
keyring = Keyring()
key = keyring.add(IDENTITY, PSK)
keyring.add("NVMe0R01 nqn.host nqn.io-2", PSK)

class Peer:
    """Stops half-way through its ClientHello."""
    def __init__(self, daemon):
        self.hello = record(client_hello([IDENTITY.encode()], PSK))
        self.sock = socket.create_connection(("127.0.0.1", daemon.port))
        self.sock.settimeout(PATIENCE)
        self.sock.sendall(self.hello[:100])
        self.request = daemon.next_request()

    def send_rest(self):
        self.sock.sendall(self.hello[100:])

    def go_on(self):
        try:
            self.send_rest()
            return self.sock.recv(1)
        except ConnectionError:
            return b""

class Attacked:
    """A daemon whose attacker has got the job that it waits for, and others, as its worker has."""
    def __init__(self, mode, granted_ms=GRANTED_MS):
        self.directory = tempfile.TemporaryDirectory()
        os.chmod(self.directory.name, 0o777) # where root runs this, the attacker is another user
        self.daemon = daemon = Daemon(
            sys.argv[1], self.directory.name, keyring, "[debug]\nloglevel=0\n[tlshd]\nworkers=2\n",
            environment={"TLSHD_ATTACK": mode, "TLSHD_ATTACK_FLAG": self.directory.name + "/flag"})
        daemon.wait_for_workers(2) # or the attacker has all the jobs
        daemon.timeout_ms = granted_ms
        self.peers = []
        while not daemon.lines("attack: %s begins" % mode):
            assert len(self.peers) < 60, "the attacker gets no job; the log:\n" + daemon.tail()
            self.peers.append(Peer(daemon))
            time.sleep(0.02)
        self.pid = int(daemon.lines("attack: %s begins" % mode)[0].split("worker ")[1].split(":")[0])
        daemon.timeout_ms = GRANTED_MS

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.daemon.close()
        self.directory.cleanup()

    def others_go_on(self):
        """Those of the other worker have noticed nothing."""
        assert SERVER_HELLO in [peer.go_on() for peer in self.peers], "the other worker's handshakes do not go on"

    def next_peer_is_served(self):
        """The one that is given to the attacker, where it still runs, is not."""
        peers = [Peer(self.daemon) for _ in range(1 if self.daemon.lines("is lost") else 6)]
        for peer in peers:
            peer.send_rest()
        ready, _, _ = select.select([peer.sock for peer in peers], [], [], PATIENCE)
        got = {sock.recv(1) for sock in ready}
        assert got == {SERVER_HELLO}, "the next peers get %r; the log ends:\n%s" % (got, self.daemon.tail())
        self.peers += peers

    def end(self):
        """What is promised in every case."""
        daemon = self.daemon
        told = {p.request.status for p in self.peers if p.request.done.is_set()}
        assert not told & {0, 126, 129}, "the kernel was told %s, of peers that had not gone on" % told
        self.next_peer_is_served()
        for peer in self.peers:
            peer.sock.close()
        assert daemon.stop() == 0, daemon.tail()
        assert not daemon.lines("Sanitizer|runtime error"), daemon.tail()

def attack(mode, line, lost=True, lacks=None):
    """A case: the log has such a line, and lacks others; if it is to be lost, the attacker, and it alone, is ended."""
    def run():
        with Attacked(mode) as a:
            a.daemon.wait_for_line(line)
            if lost:
                a.daemon.wait_for_line("worker [0-9]+ is lost")
                a.others_go_on()
                assert len(a.daemon.lines("^tlshd: worker [0-9]+ is lost")) == 1, a.daemon.tail()
            a.end()
            assert not lacks or not a.daemon.lines(lacks), a.daemon.tail()
    run.__name__ = "attack_" + mode
    return run

def a_second_key_is_not_given_and_the_first_is_in_the_log():
    with Attacked("keys") as a:
        a.daemon.wait_for_line("is lost: it asked for keys that are none of its business")
        a.others_go_on()
        a.end()
        assert a.daemon.lines('failed: .*identity "%s", key 0x%08x' % (IDENTITY, key)), a.daemon.tail()
        assert not a.daemon.lines("nqn.io-2"), a.daemon.tail()

def a_flood_of_lines_is_cut_and_forges_none():
    with Attacked("log") as a:
        a.daemon.wait_for_line("and a lie")
        a.end()
        assert not a.daemon.lines("^lines|\033"), a.daemon.tail()
        lines = len(a.daemon.lines("and a lie"))
        assert lines < 2000, "%d lines of 20000" % lines

def a_deaf_worker_does_not_outlive_a_reload():
    with Attacked("deaf", granted_ms=4000) as a: # a worker that is dismissed has the time of its jobs
        a.daemon.signal(signal.SIGHUP)
        a.daemon.wait(lambda: not alive(a.pid), "it runs on")
        a.end()

def a_deaf_worker_does_not_outlive_a_stop():
    with Attacked("deaf") as a:
        a.daemon.signal(signal.SIGTERM)
        a.daemon.wait_for_line("stopping")
        a.daemon.signal(signal.SIGTERM)
        a.daemon.process.wait(PATIENCE)
        a.daemon.wait(lambda: not alive(a.pid), "it runs on after the end")

def a_deaf_worker_does_not_outlive_a_broker_that_is_killed():
    with Attacked("deaf") as a:
        a.daemon.signal(signal.SIGKILL)
        a.daemon.process.wait(PATIENCE)
        a.daemon.wait(lambda: not alive(a.pid), "it runs on after the end")

cases = [
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
    a_second_key_is_not_given_and_the_first_is_in_the_log,
    attack("success", r"\[worker-lied\]"),
    attack("plain", r"\[worker-lied\]"),
    attack("half", r"\[worker-lied\]"),
    attack("cipher", r"\[worker-lied\]"),
    attack("ran", "is lost: it spoke out of turn"),
    a_flood_of_lines_is_cut_and_forges_none,
    a_deaf_worker_does_not_outlive_a_reload,
    a_deaf_worker_does_not_outlive_a_stop,
    a_deaf_worker_does_not_outlive_a_broker_that_is_killed,
]
# A sanitizer's reports have no other way out, so that build keeps a worker's standard error.
if "SANITIZED" not in os.environ:
    cases.append(attack("stderr", "attack: stderr ends", lost=False, lacks="^<0>|^everybody"))
sys.exit(run_cases([], beside=cases))
