#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Handshakes with certificates, the whole daemon and OpenSSL: test-certificates.py FAKE-TLSHD MAKE-CERTIFICATE"""
import os, re, shutil, signal, socket, ssl, subprocess, sys, tempfile, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kernel
from kernel import CLIENT, PSK, SERVER, UNAUTH, X509, Daemon, Keyring, Request, run_cases

EACCES, ETIMEDOUT = 13, 110
MAKE = sys.argv[2]
home = tempfile.TemporaryDirectory()
certs = home.name + "/certs"
os.mkdir(certs)
os.chmod(home.name, 0o755)

def make(name, *words):
    return subprocess.run([MAKE, certs, name, *words]).returncode

NAMES = ["dns=server.test", "ip=127.0.0.1", "ip=fd00::1"]
make("ca", "ca")
make("other-ca", "ca")
make("middle", "ca", "issuer=ca")
make("server", "issuer=ca", "usage=server", *NAMES)
make("client", "issuer=ca", "usage=client")
make("chained", "issuer=middle", "usage=server", "chain", *NAMES)
make("chained-client", "issuer=middle", "usage=client", "chain")
make("expired", "issuer=ca", "from=-200000", "to=-100000", *NAMES)
make("expired-client", "issuer=ca", "from=-200000", "to=-100000", "usage=client")
make("future", "issuer=ca", "from=300000", *NAMES)
make("named", "issuer=ca", "dns=another.test", "dns=*.third.test", "ip=10.0.0.1")
make("stranger", "issuer=other-ca", *NAMES)
make("stranger-client", "issuer=other-ca", "usage=client")
make("client-as-server", "issuer=ca", "usage=client", *NAMES)
make("weak", "issuer=ca", "key=rsa:512", *NAMES)
make("sha1", "issuer=ca", "hash=sha1", *NAMES)
make("clean", "issuer=ca", "crl=none")
make("revoking", "issuer=ca", "crl=server,client")
make("client2", "issuer=ca", "usage=client")

def held(side, name=""):
    return "%s/held-%s%s" % (home.name, side, name)

def put(source, target):
    """In one step, as certificate managers do."""
    shutil.copy(source, target + ".new")
    os.rename(target + ".new", target)

def holds(side, name):
    put("%s/%s.key" % (certs, name), held(side, ".key"))
    put("%s/%s.pem" % (certs, name), held(side, ".pem"))

def config(*lines, crl=True):
    text = ""
    for side in "client", "server":
        text += "" if not crl else "[authenticate.%s]\nx509.crl=%s\n" % (side, held(side, ".crl"))
        text += "[authenticate.%s]\nx509.truststore=%s\nx509.certificate=%s\nx509.private_key=%s\n" % (
            side, held(side, "-ca.pem"), held(side, ".pem"), held(side, ".key"))
    return text + "\n".join(lines) + "\n"

for side in "client", "server":
    put(certs + "/ca.pem", held(side, "-ca.pem"))
    put(certs + "/clean.crl", held(side, ".crl"))
    holds(side, side)
keyring = Keyring()
IDENTITY, KEY = "NVMe0R01 nqn.host nqn.subsystem", bytes(range(32))
keyring.add(IDENTITY, KEY)
daemon = Daemon(sys.argv[1], home.name, keyring, config())
daemon.auth = X509

marked, logged, same = daemon.marked, daemon.logged, daemon.same

class Server:
    """openssl s_server with this certificate, for one client."""
    def __init__(self, name="server", *options, version="-tls1_3"):
        self.process = subprocess.Popen(
            ["openssl", "s_server", "-accept", "127.0.0.1:0", version, "-cert", "%s/%s.pem" % (certs, name),
             "-cert_chain", "%s/%s.pem" % (certs, name), "-key", "%s/%s.key" % (certs, name), "-CAfile", certs + "/ca.pem", "-num_tickets", "0",
             "-cipher", "DEFAULT@SECLEVEL=0", "-naccept", "1", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.process.stdout:
            if line.startswith("ACCEPT"):
                self.port = int(line.rsplit(":", 1)[1])
                break

    def end(self):
        """Return: what it has said."""
        return self.process.communicate(timeout=kernel.PATIENCE)[0]

def our_client(name="server", *options, auth=UNAUTH, peername="server.test"):
    """Return: the request, what the server said."""
    server = Server(name, *options)
    request = daemon.connect(server.port, auth=auth, peername=peername)
    request.outcome()
    return request, server.end()

def refused(cause, *words, status=EACCES, alert=None, **how):
    """Our client refuses the server. NFS gives up at once for this status."""
    request, said = our_client(**how)
    same("status", status, request.status)
    logged("[%s]" % cause)
    for word in words:
        logged(word)
    assert not alert or alert in said, "no '%s' in: %s" % (alert, said)
    same("remote", 0, request.remote)

def refuses_client(cause, cert, alert, *words):
    """Our server refuses the client: with an alert, so that its kernel knows."""
    request, said = s_client(cert=cert)
    assert request.status, request.status
    same("remote", 0, request.remote)
    logged("[%s]" % cause)
    for word in words:
        logged(word)
    assert alert in said, "no '%s' in: %s" % (alert, said)

def start_s_client(*options, cert=None, port=None, version="-tls1_3"):
    shown = ["-cert", "%s/%s.pem" % (certs, cert), "-cert_chain", "%s/%s.pem" % (certs, cert), "-key", "%s/%s.key" % (certs, cert)] if cert else []
    return subprocess.Popen(
        ["openssl", "s_client", "-connect", "127.0.0.1:%d" % (port or daemon.port), version, "-CAfile", certs + "/ca.pem",
         "-verify_return_error", "-no_ign_eof", *shown, *options],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

def s_client(*options, cert=None):
    """Return: the request, what OpenSSL said."""
    peer = start_s_client(*options, cert=cert)
    request = daemon.next_request()
    request.outcome()
    return request, peer.communicate(timeout=kernel.PATIENCE)[0]

# --- what succeeds

def a_client_verifies_a_server_by_its_name():
    request, _ = our_client()
    same("status", 0, request.status)
    logged('succeeded')

def a_client_verifies_a_server_by_its_address():
    for name in "127.0.0.1", "fd00::1", "[fd00::1]":
        same("status with " + name, 0, our_client(peername=name)[0].status)
    refused("wrong-name", "mounted as fd00::2", peername="[fd00::2]")

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

def chains_are_verified_up_to_the_trusted_issuer():
    same("status", 0, our_client("chained")[0].status)
    request, _ = s_client(cert="chained-client")
    same("status", 0, request.status)
    same("remote", -1, request.remote)

def our_own_chain_is_sent():
    holds("server", "chained")
    request, said = s_client()
    same("status", 0, request.status)
    assert "Verification: OK" in said, said
    holds("server", "server")

def each_kind_of_key_signs():
    for kind in "rsa:2048", "rsa-pss:2048", "ed25519", "ed448", "ec:384", "ec:521", "mldsa65":
        if make("other-key", "issuer=ca", "key=" + {"ec:384": "ec:%d" % (1 << 31 | 3), "ec:521": "ec:%d" % (1 << 31 | 4)}.get(kind, kind), *NAMES) == 77:
            continue # not of this GnuTLS
        holds("server", "other-key")
        request, said = s_client()
        same("status with " + kind, 0, request.status)
        assert "Verification: OK" in said, said
    holds("server", "server")

def every_cipher_and_a_second_hello_lead_to_the_right_signature():
    for options in ["-ciphersuites", "TLS_AES_256_GCM_SHA384"], ["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"], ["-groups", "P-521"], \
                   ["-groups", "P-521", "-ciphersuites", "TLS_AES_256_GCM_SHA384"]:
        request, said = s_client(*options, cert="client")
        same("status with %s" % options, 0, request.status)
        assert "Verification: OK" in said, said

def der(name):
    """A certificate and its private key as a mount's keys have them."""
    return (subprocess.run(["openssl", "x509", "-in", "%s/%s.pem" % (certs, name), "-outform", "DER"], stdout=subprocess.PIPE, check=True).stdout,
            subprocess.run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", "%s/%s.key" % (certs, name), "-outform", "DER"], stdout=subprocess.PIPE, check=True).stdout)

def mount_with_keys(on, name, **how):
    certificate, private_key = der(name)
    server = Server("server", "-Verify", "1", "-verify_return_error")
    request = on.connect(server.port, auth=X509, peername="server.test", **dict(
        {"certificate": keyring.add_bytes(name, certificate), "private_key": keyring.add_bytes(name + "-key", private_key)}, **how))
    request.outcome()
    return request, server.end()

def a_mount_shows_the_certificate_whose_keys_it_names():
    request, said = mount_with_keys(daemon, "client2")
    same("status", 0, request.status)
    assert re.search("CN ?= ?client2", said), said

def a_mount_that_names_its_keys_needs_no_configuration():
    with tempfile.TemporaryDirectory() as directory:
        other = Daemon(sys.argv[1], directory, keyring, "[authenticate.client]\nx509.truststore=%s/ca.pem\n" % certs)
        request, said = mount_with_keys(other, "client2")
        same("status", 0, request.status)
        assert re.search("CN ?= ?client2", said), said
        same("exit code", 0, other.stop())

def a_mount_whose_keys_are_gone_or_no_keys_ends_at_once():
    same("status", EACCES, mount_with_keys(daemon, "client2", private_key=keyring.serial - 1)[0].status)
    logged("[credential-unreadable]")
    nonsense = keyring.add_bytes("nonsense", b"nonsense")
    same("status", EACCES, mount_with_keys(daemon, "client2", certificate=nonsense)[0].status)
    logged("[credential-malformed]")
    assert mount_with_keys(daemon, "client2", private_key=nonsense)[0].status
    logged("no private key in DER")

def many_at_once_complete():
    peers = [start_s_client(cert="client") for _ in range(20)]
    requests = [daemon.next_request() for _ in peers]
    same("statuses", {0}, {r.outcome() for r in requests})
    same("remotes", {-1}, {r.remote for r in requests})
    for peer in peers:
        peer.communicate(timeout=kernel.PATIENCE)

# --- what does not

def an_expired_server_is_refused_and_its_date_is_named():
    refused("certificate-expired", "ended 28 hours ago", "our clock says", name="expired", alert="certificate expired")

def a_server_of_tomorrow_is_refused_and_the_clock_is_named():
    refused("certificate-not-yet-valid", "begins in 3 days", name="future", alert="certificate expired")

def a_server_of_another_name_is_refused_and_its_names_are_listed():
    refused("wrong-name", "mounted as server.test", "another.test, *.third.test, 10.0.0.1", name="named", alert="bad certificate")
    refused("wrong-name", "mounted as 127.0.0.2", peername="127.0.0.2")

def a_server_of_an_unknown_issuer_is_refused_and_the_issuer_is_named():
    refused("unknown-issuer", "CN=other-ca", name="stranger", alert="unknown ca")

def a_certificate_for_another_purpose_is_refused():
    refused("wrong-purpose", "1.3.6.1.5.5.7.3.2", name="client-as-server", alert="unsupported certificate")

def a_weak_certificate_is_refused():
    refused("weak-certificate", name="sha1", alert="bad certificate")

def a_server_without_the_name_of_its_peer_is_refused():
    refused("wrong-name", peername="")

def a_revoked_server_is_refused_at_the_next_connection():
    same("status", 0, our_client()[0].status)
    put(certs + "/revoking.crl", held("client", ".crl"))
    refused("certificate-revoked", "CN=server", alert="certificate revoked")
    put(certs + "/clean.crl", held("client", ".crl"))
    same("status", 0, our_client()[0].status)

def bad_clients_are_refused_with_an_alert():
    refuses_client("certificate-expired", "expired-client", "certificate expired")
    refuses_client("unknown-issuer", "stranger-client", "unknown ca", "CN=other-ca")
    refuses_client("wrong-purpose", "server", "unsupported certificate")
    put(certs + "/revoking.crl", held("server", ".crl"))
    refuses_client("certificate-revoked", "client", "certificate revoked")
    request, _ = s_client(cert="client2")
    same("status of one that is not revoked", 0, request.status)
    put(certs + "/clean.crl", held("server", ".crl"))

def a_mount_with_mtls_and_no_certificate_ends_at_once():
    for suffix in ".pem", ".key":
        os.rename(held("client", suffix), held("client", suffix + ".away"))
    refused("no-client-certificate", auth=X509)
    same("status of a mount with tls", 0, our_client()[0].status)
    for suffix in ".pem", ".key":
        os.rename(held("client", suffix + ".away"), held("client", suffix))
    same("status", 0, our_client(auth=X509)[0].status)

def a_server_without_a_certificate_refuses_with_an_alert():
    for suffix in ".pem", ".key":
        os.unlink(held("server", suffix))
    request, said = s_client()
    assert request.status
    assert "alert" in said, said
    logged("[no-certificate]")
    os.mkdir(held("server", ".pem"))
    assert s_client()[0].status
    logged("it is no regular file")
    os.rmdir(held("server", ".pem"))
    holds("server", "server")
    same("status", 0, s_client()[0].status)

def what_the_peer_says_of_our_certificate_is_in_the_log():
    holds("client", "stranger-client")
    request, _ = our_client("server", "-Verify", "1", "-verify_return_error", auth=X509)
    same("status", EACCES, request.status)
    logged("[peer-knows-no-issuer]")
    holds("client", "client")

def names_in_a_certificate_forge_no_line():
    evil = "evil\ntlshd: client handshake with everybody succeeded\033[31m"
    make(evil, "issuer=other-ca", "usage=client")
    make("evil-names", "issuer=ca", "dns=two\nlines", "dns=" + "x" * 200)
    refuses_client("unknown-issuer", evil, "unknown ca", "tlshd: client handshake with everybody succeeded")
    refused("wrong-name", "x" * 80 + "...", name="evil-names")
    assert not daemon.lines("^tlshd: client handshake with everybody|^lines|\033"), daemon.tail()

def a_client_without_tls_1_3_is_refused():
    for cert in None, "client":
        peer = start_s_client(cert=cert, version="-tls1_2")
        assert daemon.next_request().outcome()
        said = peer.communicate(timeout=kernel.PATIENCE)[0]
        assert "protocol version" in said, said
    logged("[no-tls13]", 2)

def a_server_without_tls_1_3_is_refused():
    for auth in UNAUTH, X509:
        server = Server("server", version="-tls1_2")
        request = daemon.connect(server.port, auth=auth, peername="server.test")
        same("status", EACCES, request.outcome())
        server.end()
    logged("[no-tls13]", 2)

def a_downgrade_on_the_way_is_refused():
    """A ServerHello of TLS 1.2, as a server that has been told that we know no other version would send."""
    for random in bytes(32), bytes(24) + b"DOWNGRD\x01":
        with socket.create_server(("127.0.0.1", 0)) as listener:
            request = daemon.connect(listener.getsockname()[1], auth=X509, peername="server.test")
            peer = listener.accept()[0]
        with peer, peer.makefile("rb") as said:
            hello = said.read(int.from_bytes(said.read(5)[3:], "big"))
            session = hello[38:39 + hello[38]]
            body = b"\x03\x03" + random + session + b"\xc0\x2b\x00"
            message = b"\x02" + len(body).to_bytes(3, "big") + body
            peer.sendall(b"\x16\x03\x03" + len(message).to_bytes(2, "big") + message)
            same("status", EACCES, request.outcome())
            same("alert", b"\x02\x46", said.read()[-2:]) # fatal, protocol_version
    logged("[no-tls13]", 2)

# --- credentials that change

def shows(name):
    """The server's certificate is this one; OpenSSL 3.2 writes it differently."""
    said = s_client()[1]
    assert re.search("subject=CN ?= ?" + name, said), said

def a_certificate_that_is_replaced_is_shown_to_the_next_peer():
    make("renewed", "issuer=ca", "usage=server", *NAMES)
    shows("server")
    holds("server", "renewed")
    shows("renewed")
    holds("server", "server")

class Slow:
    """A daemon with a server's certificate in a folder of its own, a signer that is slow while we say so, and a disk that is away."""
    def __init__(self, slow=False):
        self.begins_slow = slow

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory()
        os.chmod(self.directory.name, 0o755)
        self.flag = self.directory.name + "/slow"
        self.away = self.directory.name + "/away"
        self.holds("server")
        self.revokes("clean")
        if self.begins_slow:
            self.slow()
        text = "".join("x509.%s=%s/server%s\n" % (key, self.directory.name, suffix) for key, suffix in [
            ("certificate", ".pem"), ("private_key", ".key"), ("crl", ".crl")])
        self.daemon = Daemon(sys.argv[1], self.directory.name, keyring, "[debug]\nloglevel=2\n[authenticate.server]\nx509.truststore=%s/ca.pem\n%s" % (certs, text),
                             environment={"FAKE_SLOW_KEYS": self.flag, "FAKE_SLOW_DISK": self.away})
        self.daemon.auth = X509
        return self

    def __exit__(self, *_):
        self.fast()
        self.gives_disk_back()
        same("exit code", 0, self.daemon.stop())
        self.directory.cleanup()

    def holds(self, name):
        for suffix in ".key", ".pem":
            put(certs + "/" + name + suffix, self.directory.name + "/server" + suffix)

    def revokes(self, name):
        put("%s/%s.crl" % (certs, name), self.directory.name + "/server.crl")

    def slow(self):
        open(self.flag, "w").close()

    def fast(self):
        if os.path.exists(self.flag):
            os.unlink(self.flag)

    def takes_disk_away(self):
        open(self.away, "w").close()

    def gives_disk_back(self):
        if os.path.exists(self.away):
            os.unlink(self.away)

    def readers(self):
        return self.daemon.children("(tlshd-reader)")

    def wait_for_reader(self):
        """Return: the one."""
        self.daemon.wait(lambda: len(self.readers()) == 1, "there is not one reader")
        return self.readers()[0]

    def connect_by_key(self):
        self.daemon.auth = PSK
        peer = subprocess.Popen(["openssl", "s_client", "-connect", "127.0.0.1:%d" % self.daemon.port, "-tls1_3", "-quiet", "-no_ign_eof", "-psk_identity", IDENTITY,
                                 "-psk", KEY.hex(), "-ciphersuites", "TLS_AES_128_GCM_SHA256"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        request = self.daemon.next_request()
        same("status by a pre-shared key", 0, request.outcome())
        peer.communicate(timeout=kernel.PATIENCE)
        self.daemon.auth = X509

    def connect(self, cert=None):
        """Return: the request, and the name in the server's certificate or None."""
        peer = start_s_client(port=self.daemon.port, cert=cert)
        request = self.daemon.next_request()
        request.outcome()
        shown = re.search("subject=CN ?= ?([a-z]+)", peer.communicate(timeout=kernel.PATIENCE)[0])
        return request, shown and shown[1]

def workers_are_born_once_with_what_is_loaded_first():
    began = time.monotonic()
    with Slow() as s:
        wanted = int(re.search(r"with (\d+) workers", s.daemon.lines("ready, with")[0])[1])
        for births in wanted, 2 * wanted:
            s.daemon.wait(lambda: len(s.daemon.lines(r"worker \d+ started")) >= births, "there are no %d births" % births)
            if time.monotonic() - began > 1.9: # a machine so slow has not loaded them in the two seconds that births are put off
                return
            s.daemon.wait_for_workers(wanted)
            same("certificate", "server", s.connect()[1])
            same("births", births, len(s.daemon.lines(r"worker \d+ started")))
            began = time.monotonic()
            s.daemon.signal(signal.SIGHUP) # the files are loaded again, whether they have changed or not

def a_token_that_is_slow_at_the_start_holds_up_no_pre_shared_key():
    with Slow(slow=True) as s: # it says that it is ready, or this would not be reached
        s.fast()
        same("certificate", "server", s.connect()[1])

def a_certificate_that_takes_long_to_load_stalls_nobody():
    with Slow() as s:
        same("certificate", "server", s.connect()[1])
        s.slow()
        s.holds("chained")
        s.daemon.timeout_ms = 6000
        for _ in range(2):
            request, shown = s.connect()
            same("status", 0, request.status)
            same("certificate", "server", shown)
        s.fast()
        s.daemon.wait_for_line("certificates and keys were loaded again, and are in use")
        s.daemon.timeout_ms = kernel.GRANTED_MS
        same("certificate", "chained", s.connect()[1])

def a_disk_that_is_away_stalls_no_pre_shared_key():
    with Slow() as s:
        same("certificate", "server", s.connect()[1])
        s.takes_disk_away()
        s.holds("chained")
        s.daemon.timeout_ms = 6000
        request, shown = s.connect() # whom we believe has not changed, so the certificate of before serves
        same("status", 0, request.status)
        same("certificate", "server", shown)
        s.wait_for_reader()
        s.connect_by_key()
        s.revokes("clean")
        s.daemon.timeout_ms = 2000
        peer = start_s_client(port=s.daemon.port)
        held = s.daemon.next_request()
        s.connect_by_key()
        assert held.outcome()
        peer.communicate(timeout=kernel.PATIENCE)
        s.daemon.wait_for_line(r"their disk may not answer.*\[signer-gone\]")
        s.daemon.timeout_ms = kernel.GRANTED_MS
        s.gives_disk_back()
        same("certificate", "chained", s.connect()[1])
        s.connect_by_key()
        s.daemon.wait(lambda: not s.readers(), "a reader stays")

def a_reader_that_hangs_is_left_behind_by_a_reload():
    with Slow() as s:
        s.takes_disk_away()
        s.holds("chained")
        peer = start_s_client(port=s.daemon.port)
        request = s.daemon.next_request()
        hangs = s.wait_for_reader()
        os.kill(hangs, signal.SIGSTOP)
        s.gives_disk_back()
        s.daemon.signal(signal.SIGHUP)
        same("status", 0, request.outcome())
        peer.communicate(timeout=kernel.PATIENCE)
        same("certificate", "chained", s.connect()[1])
        s.daemon.wait(lambda: not os.path.exists("/proc/%d" % hangs), "the reader that hung is there, or has not been waited for")

def a_signer_that_dies_while_the_disk_is_away_stalls_no_pre_shared_key():
    with Slow() as s:
        same("certificate", "server", s.connect()[1])
        s.takes_disk_away()
        s.daemon.wait(lambda: len(s.daemon.children("tlshd-signer")) == 1, "there is not one signer")
        os.kill(s.daemon.children("tlshd-signer")[0], signal.SIGKILL)
        s.daemon.wait_for_line("the signer is lost")
        s.daemon.timeout_ms = 2000
        def reads():
            assert s.connect()[0].status
            return s.readers()
        s.daemon.wait(reads, "nobody reads the files")
        s.connect_by_key()
        os.kill(s.wait_for_reader(), signal.SIGKILL)
        s.daemon.wait_for_line("certificates and keys cannot be read: the process that reads them has died")
        s.connect_by_key()
        s.daemon.timeout_ms = kernel.GRANTED_MS
        s.gives_disk_back()
        s.daemon.wait(lambda: s.connect()[1] == "server", "no new signer signs")

def a_handshake_that_has_begun_ends_with_the_certificate_of_its_beginning():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) # the default context of newer Pythons wants more of a certificate
    context.load_verify_locations(certs + "/ca.pem")
    tls = context.wrap_bio(incoming, outgoing, server_hostname="server.test")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        hello = outgoing.read()
    with Slow() as s, socket.create_connection(("127.0.0.1", s.daemon.port)) as peer:
        peer.sendall(hello[:100])
        request = s.daemon.next_request()
        s.daemon.wait_for_line("handed to worker")
        s.holds("chained")
        s.daemon.wait(lambda: s.connect()[1] == "chained", "the new certificate is not shown")
        peer.sendall(hello[100:])
        while tls.version() is None:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                incoming.write(peer.recv(65536))
        peer.sendall(outgoing.read())
        same("status", 0, request.outcome())
        same("certificate", ((("commonName", "server"),),), tls.getpeercert()["subject"])

def who_is_revoked_gets_in_by_no_slow_signer():
    with Slow() as s:
        same("status", 0, s.connect("client")[0].status)
        s.slow()
        s.revokes("revoking")
        s.daemon.timeout_ms = 2000
        assert s.connect("client")[0].status
        s.daemon.wait_for_line(r"not in use in time.*\[signer-gone\]")
        s.fast()
        s.daemon.timeout_ms = kernel.GRANTED_MS
        assert s.connect("client")[0].status
        s.daemon.wait_for_line(r"\[certificate-revoked\]")

def who_is_revoked_gets_in_by_no_reader_or_signer_that_dies():
    with Slow() as s:
        for n, (hinder, end, victim) in enumerate([(s.takes_disk_away, s.gives_disk_back, "(tlshd-reader)"), (s.slow, s.fast, "tlshd-signer")], 1):
            s.revokes("clean")
            same("status", 0, s.connect("client")[0].status)
            before = s.daemon.children(victim)
            hinder()
            s.revokes("revoking")
            s.daemon.timeout_ms = 8000
            peer = start_s_client(port=s.daemon.port, cert="client")
            request = s.daemon.next_request()
            s.daemon.wait(lambda: set(s.daemon.children(victim)) - set(before), "nobody loads the list")
            for process in set(s.daemon.children(victim)) - set(before):
                os.kill(process, signal.SIGKILL)
            s.daemon.wait_for_line("cannot be read: the process|is lost before", n)
            end()
            assert request.outcome()
            peer.communicate(timeout=kernel.PATIENCE)
            s.daemon.wait_for_line(r"\[certificate-revoked\]", n) # tried again at half of its time
            s.daemon.timeout_ms = kernel.GRANTED_MS

def half_of_a_certificate_changes_nothing():
    whole = open(held("server", ".pem")).read()
    for n in len(whole) // 2, 0, len(whole) - 30:
        with open(held("server", ".pem"), "w") as file:
            file.write(whole[:n])
        same("status with %d bytes" % n, 0, s_client()[0].status)
    logged("stay in use")
    put(certs + "/server.pem", held("server", ".pem"))
    same("status", 0, s_client()[0].status)

def a_key_that_is_replaced_first_waits_for_its_certificate():
    make("renewed", "issuer=ca", "usage=server", *NAMES)
    put(certs + "/renewed.key", held("server", ".key"))
    shows("server")
    logged("[key-misfit]")
    put(certs + "/renewed.pem", held("server", ".pem"))
    shows("renewed")
    holds("server", "server")
    shows("server")

def who_is_revoked_is_refused_beside_a_pair_that_is_half_replaced():
    make("renewed", "issuer=ca", "usage=server", *NAMES)
    put(certs + "/renewed.key", held("server", ".key"))
    put(certs + "/revoking.crl", held("server", ".crl"))
    refuses_client("certificate-revoked", "client", "certificate revoked")
    logged("[key-misfit]")
    shows("server")
    put(certs + "/server.key", held("server", ".key"))
    put(certs + "/clean.crl", held("server", ".crl"))
    same("status", 0, s_client(cert="client")[0].status)

def signers():
    return daemon.children("tlshd-signer")

def a_signer_that_dies_is_replaced():
    daemon.wait(lambda: len(signers()) == 1, "the signers of before do not end")
    old = signers()[0]
    os.kill(old, signal.SIGKILL)
    logged("the signer is lost")
    def served():
        status = s_client()[0].status
        return status == 0
    daemon.wait(served, "no new signer signs")
    assert signers() != [old]

def without_keys_no_signer_runs():
    with tempfile.TemporaryDirectory() as directory:
        other = Daemon(sys.argv[1], directory, keyring, "[authenticate.client]\nx509.truststore=%s/ca.pem\n" % certs)
        server = Server()
        same("status", 0, other.connect(server.port, auth=UNAUTH, peername="server.test").outcome())
        server.end()
        names = [open("/proc/%d/comm" % p).read() for p in other.workers()]
        same("processes", {"tlshd-worker\n"}, set(names))
        same("exit code", 0, other.stop())

def a_pair_that_was_never_usable_holds_up_no_other():
    with tempfile.TemporaryDirectory() as directory:
        open(directory + "/nonsense.pem", "w").write("nonsense\n")
        for suffix in ".pem", ".key":
            put(certs + "/server" + suffix, directory + "/server" + suffix)
        text = "".join("x509.%s=%s/%s\n" % (key, directory, file) for key, file in [
            ("certificate", "server.pem"), ("private_key", "server.key"), ("pq.certificate", "nonsense.pem"), ("pq.private_key", "nonsense.pem")])
        other = Daemon(sys.argv[1], directory, keyring, "[authenticate.server]\n" + text)
        other.auth = X509
        def shown():
            peer = start_s_client(port=other.port)
            other.next_request().outcome()
            return re.search("subject=CN ?= ?([a-z]+)", peer.communicate(timeout=kernel.PATIENCE)[0])[1]
        same("certificate", "server", shown())
        other.wait_for_line(r"x509.pq.certificate.*\[credential-malformed\]")
        for suffix in ".key", ".pem":
            put(certs + "/chained" + suffix, directory + "/server" + suffix)
        same("certificate after it was replaced", "chained", shown())
        same("exit code", 0, other.stop())

def a_pin_is_in_no_line():
    with tempfile.TemporaryDirectory() as directory:
        url = "pkcs11:token=nobody-has-this;object=server;type=private?pin-value=271828&module-name=none"
        other = Daemon(sys.argv[1], directory, keyring, "[authenticate.server]\nx509.certificate=%s/server.pem\nx509.private_key=%s\n" % (certs, url))
        other.auth = X509
        peer = socket.create_connection(("127.0.0.1", other.port))
        peer.sendall(b"\x16\x03\x01\x00\x04\x01\x00\x00\x00")
        assert other.next_request().outcome()
        peer.close()
        other.wait_for_line("pin-value=\\.\\.\\.&module-name.*\\[token\\]")
        same("exit code", 0, other.stop())
        assert "271828" not in other.log(), other.tail()

def a_large_list_costs_a_handshake_nothing():
    make("large", "issuer=ca", "crl=20000")
    put(certs + "/large.crl", held("server", ".crl"))
    same("status", 0, s_client(cert="client")[0].status)
    request, _ = s_client(cert="client")
    same("status", 0, request.status)
    put(certs + "/clean.crl", held("server", ".crl"))

def the_daemon_ends_cleanly():
    same("exit code", 0, daemon.stop())
    assert not daemon.lines("Sanitizer|runtime error"), daemon.tail()

sys.exit(run_cases([marked(case) for case in [
    a_client_verifies_a_server_by_its_name,
    a_client_verifies_a_server_by_its_address,
    a_client_shows_its_certificate,
    a_server_serves_a_client_without_a_certificate,
    a_server_verifies_a_client,
    chains_are_verified_up_to_the_trusted_issuer,
    our_own_chain_is_sent,
    each_kind_of_key_signs,
    every_cipher_and_a_second_hello_lead_to_the_right_signature,
    many_at_once_complete,
    a_mount_shows_the_certificate_whose_keys_it_names,
    a_mount_that_names_its_keys_needs_no_configuration,
    a_mount_whose_keys_are_gone_or_no_keys_ends_at_once,
    an_expired_server_is_refused_and_its_date_is_named,
    a_server_of_tomorrow_is_refused_and_the_clock_is_named,
    a_server_of_another_name_is_refused_and_its_names_are_listed,
    a_server_of_an_unknown_issuer_is_refused_and_the_issuer_is_named,
    a_certificate_for_another_purpose_is_refused,
    a_weak_certificate_is_refused,
    a_server_without_the_name_of_its_peer_is_refused,
    a_revoked_server_is_refused_at_the_next_connection,
    bad_clients_are_refused_with_an_alert,
    a_mount_with_mtls_and_no_certificate_ends_at_once,
    a_server_without_a_certificate_refuses_with_an_alert,
    what_the_peer_says_of_our_certificate_is_in_the_log,
    names_in_a_certificate_forge_no_line,
    a_client_without_tls_1_3_is_refused,
    a_server_without_tls_1_3_is_refused,
    a_downgrade_on_the_way_is_refused,
    a_certificate_that_is_replaced_is_shown_to_the_next_peer,
    workers_are_born_once_with_what_is_loaded_first,
    half_of_a_certificate_changes_nothing,
    a_key_that_is_replaced_first_waits_for_its_certificate,
    who_is_revoked_is_refused_beside_a_pair_that_is_half_replaced,
    a_signer_that_dies_is_replaced,
    without_keys_no_signer_runs,
    a_pair_that_was_never_usable_holds_up_no_other,
    a_pin_is_in_no_line,
    a_large_list_costs_a_handshake_nothing,
    the_daemon_ends_cleanly,
]], beside=[
    a_token_that_is_slow_at_the_start_holds_up_no_pre_shared_key,
    a_certificate_that_takes_long_to_load_stalls_nobody,
    a_disk_that_is_away_stalls_no_pre_shared_key,
    a_reader_that_hangs_is_left_behind_by_a_reload,
    a_signer_that_dies_while_the_disk_is_away_stalls_no_pre_shared_key,
    a_handshake_that_has_begun_ends_with_the_certificate_of_its_beginning,
    who_is_revoked_gets_in_by_no_slow_signer,
    who_is_revoked_gets_in_by_no_reader_or_signer_that_dies,
]))
