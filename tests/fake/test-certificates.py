#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Handshakes with certificates, the whole daemon and OpenSSL: test-certificates.py FAKE-TLSHD MAKE-CERTIFICATE"""
import os, shutil, signal, socket, subprocess, sys, tempfile, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kernel
from kernel import CLIENT, SERVER, UNAUTH, X509, Daemon, Keyring, Request, run_cases

EACCES, ETIMEDOUT = 13, 110
MAKE = sys.argv[2]
home = tempfile.TemporaryDirectory()
certs = home.name + "/certs"
os.mkdir(certs)
os.chmod(home.name, 0o755)

def make(name, *words):
    return subprocess.run([MAKE, certs, name, *words]).returncode

NAMES = ["dns=server.test", "ip=127.0.0.1"]
make("ca", "ca")
make("other-ca", "ca")
make("middle", "ca", "issuer=ca")
make("server", "issuer=ca", "usage=server", *NAMES)
make("client", "issuer=ca", "usage=client")

def held(side, name=""):
    return "%s/held-%s%s" % (home.name, side, name)

def put(source, target):
    """In one step, as certificate managers do."""
    shutil.copy(source, target + ".new")
    os.rename(target + ".new", target)

def holds(side, name):
    put("%s/%s.key" % (certs, name), held(side, ".key"))
    put("%s/%s.pem" % (certs, name), held(side, ".pem"))

def config(*lines):
    text = ""
    for side in "client", "server":
        text += "[authenticate.%s]\nx509.truststore=%s\nx509.certificate=%s\nx509.private_key=%s\n" % (
            side, held(side, "-ca.pem"), held(side, ".pem"), held(side, ".key"))
    return text + "\n".join(lines) + "\n"

for side in "client", "server":
    put(certs + "/ca.pem", held(side, "-ca.pem"))
    holds(side, side)
keyring = Keyring()
daemon = Daemon(sys.argv[1], home.name, keyring, config())
daemon.auth = X509

def same(what, expected, got):
    assert expected == got, "%s: expected %r, got %r; the log ends:\n%s" % (what, expected, got, daemon.tail())

mark = 0

def marked(case):
    def run():
        global mark
        mark = len(daemon.log().splitlines())
        case()
    run.__name__ = case.__name__
    return run

def logged(text):
    daemon.wait(lambda: any(text in line for line in daemon.log().splitlines()[mark:]), "no line has '%s'" % text)

class Server:
    """openssl s_server with this certificate."""
    def __init__(self, name="server", *options):
        self.process = subprocess.Popen(
            ["openssl", "s_server", "-accept", "127.0.0.1:0", "-tls1_3", "-cert", "%s/%s.pem" % (certs, name),
             "-cert_chain", "%s/%s.pem" % (certs, name), "-key", "%s/%s.key" % (certs, name), "-CAfile", certs + "/ca.pem", "-num_tickets", "0", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.process.stdout:
            if line.startswith("ACCEPT"):
                self.port = int(line.rsplit(":", 1)[1])
                break

    def end(self):
        self.process.kill()
        return self.process.communicate()[0]

def our_client(name="server", *options, auth=UNAUTH, peername="server.test"):
    """Return: the request, what the server said."""
    server = Server(name, *options)
    request = daemon.connect(server.port, auth=auth, peername=peername)
    request.outcome()
    time.sleep(0)
    return request, server.end()

def s_client(*options, cert=None):
    shown = ["-cert", "%s/%s.pem" % (certs, cert), "-cert_chain", "%s/%s.pem" % (certs, cert), "-key", "%s/%s.key" % (certs, cert)] if cert else []
    peer = subprocess.Popen(
        ["openssl", "s_client", "-connect", "127.0.0.1:%d" % daemon.port, "-tls1_3", "-CAfile", certs + "/ca.pem",
         "-verify_return_error", "-no_ign_eof", *shown, *options],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    request = daemon.next_request()
    request.outcome()
    return request, peer.communicate(timeout=kernel.PATIENCE)[0]

# --- what succeeds

def a_client_verifies_a_server_by_its_name():
    request, _ = our_client()
    same("status", 0, request.status)
    logged('succeeded')

def a_client_verifies_a_server_by_its_address():
    same("status", 0, our_client(peername="127.0.0.1")[0].status)

def a_client_shows_its_certificate():
    request, said = our_client("server", "-Verify", "1", auth=X509)
    same("status", 0, request.status)

def a_server_serves_a_client_without_a_certificate():
    request, said = s_client()
    same("status", 0, request.status)
    same("remote", 0, request.remote)
    assert "Verification: OK" in said, said

def a_server_verifies_a_client():
    request, said = s_client(cert="client")
    same("status", 0, request.status)
    same("remote", -1, request.remote)
    logged('certificate of CN=client')

def the_daemon_ends_cleanly():
    same("exit code", 0, daemon.stop())
    assert not daemon.lines("Sanitizer|runtime error"), daemon.tail()

sys.exit(run_cases([marked(case) for case in [
    a_client_verifies_a_server_by_its_name,
    a_client_verifies_a_server_by_its_address,
    a_client_shows_its_certificate,
    a_server_serves_a_client_without_a_certificate,
    a_server_verifies_a_client,
    the_daemon_ends_cleanly,
]]))
