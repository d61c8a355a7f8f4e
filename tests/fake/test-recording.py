#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the whole daemon records, as nvme-tls shows it: test-recording.py FAKE-TLSHD NVME-TLS"""
import glob, json, os, signal, socket, subprocess, sys, tempfile
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kernel import *

IDENTITY, PSK, WRONG = "NVMe0R01 nqn.host nqn.io-1", b"\x07" * 32, b"\x08" * 32
HEALTHY, UNHEALTHY = 0, 7
keyring = Keyring()
key = keyring.add(IDENTITY, PSK)

def tool(daemon, command, *options, code=HEALTHY):
    """Return: what "nvme-tls COMMAND --json" says of the daemon's recording."""
    path, = glob.glob(daemon.config + ".recording/recording-*")
    run = subprocess.run([sys.argv[2], command, "--json", "--recording=" + path, *options], capture_output=True, text=True)
    assert code is None or run.returncode == code, "%s: %d, %s" % (command, run.returncode, run.stderr)
    return json.loads(run.stdout)

def connect(daemon, identity=IDENTITY, psk=PSK):
    peer = subprocess.Popen(
        ["openssl", "s_client", "-connect", "127.0.0.1:%d" % daemon.port, "-tls1_3", "-quiet", "-no_ign_eof",
         "-psk_identity", identity, "-psk", psk.hex(), "-ciphersuites", "TLS_AES_128_GCM_SHA256"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    daemon.next_request().outcome()
    peer.communicate()

def scan(daemon):
    """A peer that says nothing and goes."""
    socket.create_connection(("127.0.0.1", daemon.port)).close()
    daemon.next_request().outcome()

def counts(daemon, **how):
    return {(row["side"], row["cause"]): row["count"] for row in tool(daemon, "status", **how)["handshakes"]}

def wait_for_counts(daemon, expected):
    daemon.wait(lambda: counts(daemon) == expected, "not counted")

def with_directory(case):
    def run():
        with tempfile.TemporaryDirectory() as directory:
            case(directory)
    run.__name__ = case.__name__
    return run

def start(directory):
    return Daemon(sys.argv[1], directory, keyring, "[tlshd]\nworkers=2\n")

@with_directory
def each_handshake_is_recorded_with_what_there_is_to_know(directory):
    daemon = start(directory)
    connect(daemon)
    connect(daemon, psk=WRONG)
    connect(daemon, "NVMe0R01 nqn.host nqn.io-2")
    wait_for_counts(daemon, {("server", "success"): 1, ("server", "wrong-key"): 1, ("server", "no-key"): 1})
    good, wrong, unknown = tool(daemon, "log")
    assert good["identity"] == IDENTITY and good["cipher"] == "AES-128-GCM" and good["group"], good
    assert good["serial"] == key and wrong["serial"] == key and "serial" not in unknown
    assert good["peer"].startswith("127.0.0.1:") and good["duration_usec"] > 0, good
    assert good["worker"] in daemon.workers(), (good, daemon.workers())
    assert wrong["cause"] == "wrong-key" and wrong["alert"] == 51 and wrong["remedy"], wrong
    assert unknown["identity"] == "NVMe0R01 nqn.host nqn.io-2" and unknown["status"] == 126, unknown
    daemon.stop()

@with_directory
def a_flood_is_counted_to_the_last_peer(directory):
    daemon = start(directory)
    for _ in range(30):
        scan(daemon)
    wait_for_counts(daemon, {("server", "gone-early"): 30})
    assert len(daemon.lines(r"\[gone-early\]")) < 30
    assert len(tool(daemon, "log", "--lines=0", "--failed")) == 30
    daemon.stop()

@with_directory
def what_is_going_on_is_in_the_status(directory):
    daemon = start(directory)
    peers = [socket.create_connection(("127.0.0.1", daemon.port)) for _ in range(3)]
    requests = [daemon.next_request() for _ in peers]
    daemon.wait(lambda: tool(daemon, "status")["waiting_for_first_byte"] == 3, "the peers are not seen")
    daemon.wait(lambda: [w["state"] for w in tool(daemon, "status")["workers"]] == ["serving"] * 2, "no two workers serve")
    status = tool(daemon, "status")
    assert status["in_flight"] == 3 and status["workers_wanted"] == 2, status
    assert sorted(w["pid"] for w in status["workers"]) == sorted(daemon.workers()), status
    assert {w["state"] for w in status["workers"]} == {"serving"}, status
    assert keyring.serial in [k["serial"] for k in status["keyrings"]], status
    assert status["configuration"] == daemon.config, status
    for peer in peers:
        peer.close()
    for request in requests:
        request.outcome()
    daemon.wait(lambda: tool(daemon, "status")["in_flight"] == 0, "they are still there")
    os.kill(daemon.workers()[0], signal.SIGKILL)
    daemon.wait(lambda: tool(daemon, "status")["workers_lost"] == 1, "the worker is not lost")
    daemon.stop()

@with_directory
def a_daemon_that_a_signal_has_stopped_is_not_healthy(directory):
    daemon = start(directory)
    assert tool(daemon, "status")["healthy"]
    daemon.signal(signal.SIGSTOP)
    daemon.wait(lambda: "stopped by a signal" in str(tool(daemon, "status", code=None)["complaint"]), "it counts as healthy")
    tool(daemon, "status", code=UNHEALTHY)
    daemon.signal(signal.SIGCONT)
    daemon.wait(lambda: tool(daemon, "status", code=None)["healthy"], "it does not recover")
    daemon.stop()

@with_directory
def counts_go_on_over_a_crash_and_a_restart(directory):
    daemon = start(directory)
    scan(daemon)
    wait_for_counts(daemon, {("server", "gone-early"): 1})
    daemon.process.kill()
    daemon.process.wait()
    daemon.close()
    assert counts(daemon, code=UNHEALTHY) == {("server", "gone-early"): 1}
    for starts in (2, 3):
        daemon = start(directory)
        scan(daemon)
        wait_for_counts(daemon, {("server", "gone-early"): starts})
        assert tool(daemon, "status")["starts"] == starts
        daemon.stop()
    assert [e["number"] for e in tool(daemon, "log")] == [0, 1, 2]

sys.exit(run_cases([
    each_handshake_is_recorded_with_what_there_is_to_know,
    a_flood_is_counted_to_the_last_peer,
    what_is_going_on_is_in_the_status,
    a_daemon_that_a_signal_has_stopped_is_not_healthy,
    counts_go_on_over_a_crash_and_a_restart,
]))
