#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon's processes, when signals come and workers die: test-processes.py FAKE-TLSHD"""
import os, signal, socket, sys, tempfile
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/../peer")
from kernel import *
from tls13 import client_hello, record

IDENTITY, PSK = "NVMe0R01 nqn.host nqn.io-1", b"\x07" * 32
SETTINGS = "[debug]\nloglevel=2\n[tlshd]\nworkers=2\n"
keyring = Keyring()
key = keyring.add(IDENTITY, PSK)

class Peer:
    """Sends a part of its ClientHello, and stops."""
    def __init__(self, daemon, size=60):
        self.hello = record(client_hello([IDENTITY.encode()], PSK))
        self.sock = socket.create_connection(("127.0.0.1", daemon.port))
        self.sock.settimeout(PATIENCE)
        self.size = size
        self.sock.sendall(self.hello[:size])
        self.request = daemon.next_request()

    def go_on(self):
        """Return: the first byte of the answer; b"" when the connection was closed."""
        try:
            self.sock.sendall(self.hello[self.size:])
            return self.sock.recv(1)
        except ConnectionError:
            return b""

SERVER_HELLO, ALERT = b"\x16", b"\x15"

def is_served(peer, daemon):
    """Or has the slow machine taken up the two seconds that a stop lasts?"""
    return peer.go_on() == SERVER_HELLO or daemon.stopped_for() > 1.9

def with_daemon(case):
    """Runs @case with a daemon of its own, which must live until then and end by SIGTERM."""
    def run():
        with tempfile.TemporaryDirectory() as directory:
            daemon = Daemon(sys.argv[1], directory, keyring, SETTINGS, environment={"FAKE_SLOW_DISK": directory + "/away"})
            try:
                case(daemon)
                assert daemon.stop() == 0, "exit code; the log:\n" + daemon.tail()
                assert not daemon.lines("Sanitizer|runtime error"), daemon.tail()
            finally:
                daemon.close()
    run.__name__ = case.__name__
    return run

def handed_over(daemon, count):
    daemon.wait_for_line("handed to worker", count)

def worker_of(daemon, line=-1):
    return int(daemon.lines("handed to worker")[line].split("worker ")[1].split(",")[0])

@with_daemon
def a_killed_worker_costs_its_own_handshakes(daemon):
    peer = Peer(daemon)
    handed_over(daemon, 1)
    before = daemon.workers()
    os.kill(worker_of(daemon), signal.SIGKILL)
    assert peer.request.outcome() not in (0, 126, 129), "a lost worker is no final cause"
    daemon.wait(lambda: len(daemon.workers()) == 2 and daemon.workers() != before, "it is not replaced")
    assert Peer(daemon).go_on() == SERVER_HELLO

@with_daemon
def a_reload_brings_new_workers_and_the_old_ones_finish(daemon):
    peer = Peer(daemon)
    handed_over(daemon, 1)
    old = daemon.workers()
    daemon.configure("[debug]\nloglevel=2\n[tlshd]\nworkers=3\n")
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_line("configuration read again")
    daemon.wait(lambda: len(set(daemon.workers()) - set(old)) == 3, "there are no three new workers")
    assert peer.go_on() == SERVER_HELLO
    peer.sock.close()
    peer.request.outcome()
    daemon.wait(lambda: not set(daemon.workers()) & set(old), "the old workers are left")

@with_daemon
def a_bad_configuration_changes_nothing(daemon):
    before = daemon.workers()
    daemon.configure("[debug]\nloglevel 99\n")
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_line("the old one stays")
    assert daemon.workers() == before

class Away:
    """A disk that reloads wait for, as long as they are in here."""
    def __init__(self, daemon):
        self.flag = os.path.dirname(daemon.config) + "/away"

    def __enter__(self):
        open(self.flag, "w").close()

    def __exit__(self, *_):
        os.unlink(self.flag)

def wait_for_reload(daemon):
    daemon.wait(lambda: len(daemon.children("(tlshd-reload)")) == 1, "there is not one process that reads the file")

@with_daemon
def a_reload_whose_disk_is_away_stalls_nobody_and_is_done_later(daemon):
    with Away(daemon):
        daemon.configure(SETTINGS.replace("workers=2", "workers=3"))
        daemon.signal(signal.SIGHUP)
        wait_for_reload(daemon)
        daemon.signal(signal.SIGHUP) # is for what is in the file by now
        daemon.signal(signal.SIGHUP)
        peer = Peer(daemon)
        assert peer.go_on() == SERVER_HELLO
        peer.sock.close()
        wait_for_reload(daemon)
        assert not daemon.lines("configuration read again"), daemon.tail()
        daemon.configure(SETTINGS.replace("workers=2", "workers=1"))
    daemon.wait_for_line("configuration read again", 2)
    daemon.wait_for_workers(1)
    assert len(daemon.lines("configuration read again")) == 2, daemon.tail()

@with_daemon
def a_reload_that_dies_is_named_and_the_next_one_works(daemon):
    with Away(daemon):
        daemon.signal(signal.SIGHUP)
        wait_for_reload(daemon)
        os.kill(daemon.children("(tlshd-reload)")[0], signal.SIGKILL)
        daemon.wait_for_line("the new configuration is refused, the old one stays: the process that reads it has died")
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_line("configuration read again")

@with_daemon
def a_stop_does_not_wait_for_a_reload_whose_disk_is_away(daemon):
    with Away(daemon):
        daemon.signal(signal.SIGHUP)
        wait_for_reload(daemon)
        daemon.signal(signal.SIGTERM)
        daemon.process.wait(PATIENCE)

@with_daemon
def a_stop_lets_what_runs_finish(daemon):
    peer = Peer(daemon)
    handed_over(daemon, 1)
    daemon.signal(signal.SIGTERM)
    daemon.wait_for_line("stopping; 1 handshakes in flight")
    assert is_served(peer, daemon)
    peer.sock.close()
    peer.request.outcome()
    daemon.process.wait(PATIENCE)

@with_daemon
def a_stop_fails_who_waits_at_once_and_goes_on_accepting(daemon):
    running = Peer(daemon)
    silent = socket.create_connection(("127.0.0.1", daemon.port))
    request = daemon.next_request()
    daemon.wait_for_line("ACCEPTed", 2)
    handed_over(daemon, 1)
    daemon.signal(signal.SIGTERM)
    late = Peer(daemon)
    assert request.outcome() not in (0, 126, 129)
    assert daemon.lines(r"\[stopping\]")
    assert is_served(late, daemon)
    for peer in (late, running):
        peer.sock.close()
        peer.request.outcome()
    silent.close()
    daemon.process.wait(PATIENCE)

@with_daemon
def a_stop_does_not_wait_for_a_peer_that_stalls(daemon):
    peers = [Peer(daemon) for _ in range(3)]
    handed_over(daemon, 3)
    daemon.signal(signal.SIGTERM)
    daemon.process.wait(PATIENCE)
    for peer in peers:
        assert peer.request.outcome() not in (0, 126, 129)
        assert peer.request.took * 1000 < GRANTED_MS / 2, "it took %.1f s" % peer.request.took
        peer.sock.close()
    assert len(daemon.lines(r"\[stopping\]")) == 3, daemon.tail()

@with_daemon
def a_second_stop_does_not_wait(daemon):
    peer = Peer(daemon)
    handed_over(daemon, 1)
    workers = daemon.workers()
    daemon.signal(signal.SIGTERM)
    daemon.wait_for_line("stopping; 1 handshakes in flight")
    daemon.signal(signal.SIGTERM)
    daemon.process.wait(PATIENCE)
    daemon.wait(lambda: not any(map(alive, workers)), "the workers outlive the end")
    peer.sock.close()

@with_daemon
def workers_end_with_a_broker_that_is_killed(daemon):
    workers = daemon.workers()
    daemon.signal(signal.SIGKILL)
    daemon.process.wait(PATIENCE)
    daemon.wait(lambda: not any(map(alive, workers)), "the workers outlive the end of the broker")
    daemon.process.returncode = 0

@with_daemon
def a_silent_peer_is_nobodys_work(daemon):
    peers = [socket.create_connection(("127.0.0.1", daemon.port)) for _ in range(50)]
    requests = [daemon.next_request() for _ in peers]
    daemon.wait_for_line("ACCEPTed", 50)
    assert Peer(daemon).go_on() == SERVER_HELLO
    assert len(daemon.lines("handed to worker")) == 1
    for peer in peers:
        peer.close()
    for request in requests:
        assert request.outcome() != 0

sys.exit(run_cases([
    a_killed_worker_costs_its_own_handshakes,
    a_reload_brings_new_workers_and_the_old_ones_finish,
    a_bad_configuration_changes_nothing,
    a_reload_whose_disk_is_away_stalls_nobody_and_is_done_later,
    a_reload_that_dies_is_named_and_the_next_one_works,
    a_stop_does_not_wait_for_a_reload_whose_disk_is_away,
    a_stop_lets_what_runs_finish,
    a_stop_fails_who_waits_at_once_and_goes_on_accepting,
    a_stop_does_not_wait_for_a_peer_that_stalls,
    a_second_stop_does_not_wait,
    workers_end_with_a_broker_that_is_killed,
    a_silent_peer_is_nobodys_work,
]))
