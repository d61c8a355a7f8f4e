#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A server that misbehaves at every point of the handshake: misbehaving-server.py TEST-SERVER

That program is started as a client for each misbehaviour, and says what became of it.
"""
import os, random, shutil, socket, struct, subprocess, sys, tempfile
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tls13 import *

IDENTITY, PSK = b"NVMe0R01 nqn.host nqn.io-1", b"\x07" * 32
ALERT = {0: "close_notify", 10: "unexpected_message", 20: "bad_record_mac", 22: "record_overflow",
         40: "handshake_failure", 47: "illegal_parameter", 50: "decode_error", 51: "decrypt_error",
         70: "protocol_version", 109: "missing_extension", 110: "unsupported_extension"}
RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
SCRATCH = tempfile.mkdtemp()
CHACHA, AES_256, AES_CCM_8 = 0x1303, 0x1302, 0x1305

class Peer:
    """One connection, its ClientHello read."""
    def __init__(self, listener):
        self.s, _ = listener.accept()
        self.s.settimeout(8)
        self.read = None
        hello = self.take()
        self.transcript = hello[5:]
        self.session = hello[44:44 + hello[43]]
        shares = self.extensions()[51][2:]
        while shares[:2] != b"\x00\x1d":
            shares = shares[4 + struct.unpack(">H", shares[2:4])[0]:]
        self.share = shares[4:36]

    def extensions(self):
        rest = self.transcript[39 + len(self.session):]
        rest = rest[2 + struct.unpack(">H", rest[:2])[0]:]
        rest = rest[1 + rest[0] + 2:]
        found = {}
        while rest:
            number, size = struct.unpack(">HH", rest[:4])
            found[number], rest = rest[4:4 + size], rest[4 + size:]
        return found

    def take(self):
        data = b""
        while len(data) < 5 or len(data) < 5 + struct.unpack(">H", data[3:5])[0]:
            part = self.s.recv(1 if len(data) < 5 else 5 + struct.unpack(">H", data[3:5])[0] - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def send(self, *data):
        try:
            self.s.sendall(b"".join(data))
        except OSError:
            pass

    def answer(self):
        """What the client says in the end: an alert's number, "finished", "closed"."""
        while True:
            try:
                r = self.take()
            except (EOFError, OSError):
                return "closed"
            kind, body = r[0], r[5:]
            if kind == 22 and body[0] == 1:
                return "hello"
            if kind == 23 and self.read:
                try:
                    kind, body = self.read.open(r)
                except ValueError:
                    return "unreadable"
            if kind == 21:
                return body[1]
            if kind == 22 and body[0] == 20:
                assert body == message(20, finished(self.read.secret, self.transcript))
                return "finished"

    def hello(self, cipher=CHACHA, share=None, group=29, identity=0, psk=True, version=0x304, legacy=0x303,
              compression=0, session=None, random=None, retry=False, extra=b""):
        extensions = extension(43, struct.pack(">H", version)) if version else b""
        if retry:
            extensions += extension(51, struct.pack(">H", group))
        elif group:
            share = share or x25519(PRIVATE, b"\x09" + bytes(31))
            extensions += extension(51, struct.pack(">HH", group, len(share)) + share)
        if psk and not retry:
            extensions += extension(41, struct.pack(">H", identity))
        extensions += extra
        session = self.session if session is None else session
        whole = message(2, struct.pack(">H", legacy) + (RETRY if retry else random or os.urandom(32))
                        + bytes([len(session)]) + session + struct.pack(">HB", cipher, compression)
                        + struct.pack(">H", len(extensions)) + extensions)
        self.transcript += whole
        return record(whole, version=0x303)

    def keys(self, psk=PSK):
        """After hello(): what comes next is encrypted."""
        early = extract(bytes(32), psk)
        handshake = extract(expand_label(early, b"derived", digest(b"")), x25519(PRIVATE, self.share))
        self.write = Keys(expand_label(handshake, b"s hs traffic", digest(self.transcript)))
        self.read = Keys(expand_label(handshake, b"c hs traffic", digest(self.transcript)))
        self.master = extract(expand_label(handshake, b"derived", digest(b"")), bytes(32))
        return self

    def seal(self, whole, kind=22):
        if kind == 22:
            self.transcript += whole
        return self.write.seal(kind, whole)

    def finished(self):
        return message(20, finished(self.write.secret, self.transcript))

EMPTY = message(8, b"\x00\x00")

def says(*parts, end=False, cut=None):
    """In the clear; a part may be what makes it from the peer."""
    def run(p):
        p.send(b"".join(part(p) if callable(part) else part for part in parts)[:cut])
        if end:
            p.s.close()
            return "closed"
        return p.answer()
    return run

def hello(**how):
    """A ServerHello, and whatever fits behind it as long as the client goes on."""
    def run(p):
        p.send(p.hello(**how))
        p.keys()
        p.send(p.seal(EMPTY), p.seal(p.finished()))
        return p.answer()
    return run

def encrypted(*messages, kind=22):
    def run(p):
        p.send(p.hello())
        p.keys()
        for m in messages:
            p.send(p.seal(m(p) if callable(m) else m, kind))
        return p.answer()
    return run

def without_psk(*messages):
    """As by a server that does not know the PSK."""
    def run(p):
        p.send(p.hello(psk=False))
        p.keys(bytes(32))
        for m in messages:
            p.send(p.seal(m(p) if callable(m) else m))
        return p.answer()
    return run

def change_cipher_spec_flood(p):
    p.send(p.hello())
    p.keys()
    p.send(record(b"\x01", 20, 0x303) * 100000)
    p.send(p.seal(EMPTY), p.seal(p.finished()))
    return p.answer()

def after_finished(*messages, kind=22):
    """All of it in the segment of the server's Finished."""
    def run(p):
        out = p.hello()
        p.keys()
        out += p.seal(EMPTY) + p.seal(p.finished())
        application = Keys(expand_label(p.master, b"s ap traffic", digest(p.transcript)))
        for m in messages:
            out += application.seal(kind, m)
            if m[:1] == b"\x18":
                application = Keys(expand_label(application.secret, b"traffic upd"))
        p.send(out)
        return p.answer()
    return run

def byte_by_byte(p):
    p.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    out = p.hello()
    p.keys()
    out += p.seal(EMPTY) + p.seal(p.finished())
    for b in out:
        p.send(bytes([b]))
    return p.answer()

def corrupted(p):
    p.send(p.hello())
    p.keys()
    sealed = bytearray(p.seal(EMPTY))
    sealed[-1] ^= 1
    p.send(bytes(sealed))
    return p.answer()

def resets(p):
    p.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    p.s.close()
    return "closed"

def retries_twice(p):
    """For a group that it has, and did not send a share for."""
    groups = p.extensions()[10][2:]
    offered = [struct.unpack(">H", groups[i:i + 2])[0] for i in range(0, len(groups), 2)]
    group = next(g for g in reversed(offered) if struct.pack(">H", g) not in p.extensions()[51][2:4] and 22 < g < 26)
    p.send(p.hello(retry=True, group=group))
    while (r := p.take())[0] != 22:
        pass
    p.send(p.hello(retry=True, group=group))
    return p.answer()

def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *arguments], input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=True).stdout

def certificate_of_somebody(p):
    der = openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x",
                  "-keyout", SCRATCH + "/key", "-outform", "DER")
    size = lambda n: struct.pack(">I", n)[1:]
    return message(11, b"\x00" + size(len(der) + 5) + size(len(der)) + der + b"\x00\x00")

def verify(p):
    signature = openssl("dgst", "-sha256", "-sign", SCRATCH + "/key", data=b" " * 64
                        + b"TLS 1.3, server CertificateVerify\x00" + digest(p.transcript))
    return message(15, b"\x04\x03" + struct.pack(">H", len(signature)) + signature)

random_bytes = random.Random(1).randbytes
certificate = message(11, b"\x00\x00\x00\x00")
request = message(13, b"\x00" + struct.pack(">H", 8) + extension(13, b"\x00\x02\x04\x03"))
ticket = message(4, struct.pack(">II", 7200, 1) + b"\x01\x00" + b"\x00\x10" + bytes(16) + b"\x00\x00")
update = message(24, b"\x00")

# name, what it does, the answers that RFC 8446 allows, statuses for the kernel
CASES = [
    ("honest", encrypted(EMPTY, Peer.finished), ["finished"], [0]),
    ("byte_by_byte", byte_by_byte, ["finished"], [0]),
    ("closes_at_once", says(end=True), ["closed"], [104]),
    ("closes_in_its_hello", says(Peer.hello, end=True, cut=60), ["closed"], [104]),
    ("closes_after_its_hello", says(Peer.hello, end=True), ["closed"], [104]),
    ("resets", resets, ["closed"], [104]),
    ("stalls", says(), ["closed"], [110]),
    ("stalls_in_its_hello", says(Peer.hello, cut=60), ["closed"], [110]),
    ("http", says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), [10, 22, 70], [71]),
    ("nvme_without_tls", says(b"\x01\x00\x80\x00\x80\x00\x00\x00" + bytes(120)), [10], [71]),
    ("random_bytes", says(b"\x55" + random_bytes(400)), [10, 50], [71]),
    ("record_of_0_bytes", says(record(b"", version=0x303)), [10, 50], [71]),
    ("record_of_65535_bytes", says(b"\x16\x03\x03\xff\xff\x02\x00\x00\x10"), [22], [71]),
    ("alert_handshake_failure", says(record(b"\x02\x28", 21)), ["closed"], [71]),
    ("alert_unknown_psk_identity", says(record(b"\x02\x73", 21)), ["closed"], [126, 129]),
    ("alert_decrypt_error", says(record(b"\x02\x33", 21)), ["closed"], [129]),
    ("alert_close_notify", says(record(b"\x01\x00", 21)), ["closed"], [104]),
    ("client_hello_back", says(lambda p: record(p.transcript)), [10], [71]),
    ("application_data_first", says(record(b"hello", 23, 0x303)), [10], [71]),
    ("tls_1_2", hello(version=None, group=None, psk=False), [70, 47], [71]),
    ("tls_1_1", hello(version=None, legacy=0x302, group=None, psk=False), [70, 47], [71]),
    ("tls_1_2_in_its_extension", hello(version=0x303), [47, 70], [71]),
    ("retries_twice", retries_twice, [10], [71]),
    ("retries_for_what_it_has", says(lambda p: p.hello(retry=True)), [47, "hello"], [71, 104]), # GnuTLS sends it once more
    ("retries_for_a_group_not_offered", hello(retry=True, group=0x105), [47], [71]),
    ("identity_not_offered", hello(identity=1), [47, "unreadable"], [71]), # GnuTLS goes on as without a PSK
    ("psk_not_taken", hello(psk=False), ["unreadable"], [71]),
    ("psk_not_taken_and_no_certificate", without_psk(EMPTY, Peer.finished), [10], [71]),
    ("psk_not_taken_but_an_empty_certificate", without_psk(EMPTY, certificate, Peer.finished), [10, 40, 50], [71]),
    ("psk_not_taken_but_a_certificate", without_psk(EMPTY, certificate_of_somebody, verify, Peer.finished), [10, 40, 42, 47, 51], [71]),
    ("psk_without_ecdhe", hello(group=None), [40, 47, 109], [71]),
    ("cipher_not_offered", hello(cipher=AES_CCM_8), [47], [71]),
    ("cipher_of_another_hash", hello(cipher=AES_256), [47], [71]),
    ("compressed", hello(compression=1), [47, 50], [71]),
    ("share_of_zeros", hello(share=bytes(32)), [47, 20, 51], [71, 129]),
    ("share_cut_short", hello(share=bytes(7)), [47, 50], [71]),
    ("share_of_another_group", hello(group=0x105), [47], [71]),
    ("wrong_finished", encrypted(EMPTY, message(20, bytes(32))), [51], [71, 129]),
    ("finished_without_mac", encrypted(EMPTY, message(20, b"")), [50, 51], [71, 129]),
    ("finished_at_once", encrypted(Peer.finished), [10], [71]),
    ("record_that_does_not_decrypt", corrupted, [20], [71]),
    ("certificate", encrypted(EMPTY, certificate), [10], [71]),
    ("certificate_request", encrypted(EMPTY, request), [10], [71]),
    ("early_data_accepted", encrypted(message(8, b"\x00\x04" + extension(42, b"")), Peer.finished), [110, 47], [71]),
    ("key_update_before_finished", encrypted(EMPTY, update), [10], [71]),
    ("tickets_before_finished", encrypted(EMPTY, *[ticket] * 20), [10], [71]),
    ("hello_request", encrypted(EMPTY, message(0, b"")), [10], [71]),
    ("second_server_hello", encrypted(EMPTY, lambda p: p.hello()[5:]), [10], [71]),
    ("unknown_message", encrypted(EMPTY, message(99, b"x")), [10], [71]),
    ("application_data_before_finished", encrypted(b"x", kind=23), [10], [71]),
    ("message_that_never_ends", encrypted(b"\x08\xff\xff\xff" + bytes(12000), *[bytes(16000)] * 30), [10, 22, 50], [71]),
    ("change_cipher_spec_flood", change_cipher_spec_flood, [10], [71]),
    ("record_of_17000_encrypted_bytes", encrypted(EMPTY + bytes(17000)), [22], [71]),
    # What comes behind Finished is the consumer's: the handshake takes none of it.
    ("tickets_after_finished", after_finished(ticket, ticket), ["finished"], [0]),
    ("tickets_in_a_record_after_finished", after_finished(ticket * 3), ["finished"], [0]),
    ("ticket_in_two_records_after_finished", after_finished(ticket[:20], ticket[20:]), ["finished"], [0]),
    ("half_a_ticket_after_finished", after_finished(ticket[:20]), ["finished"], [104, 110]),
    ("data_after_finished", after_finished(b"an early bird", kind=23), ["finished"], [71]),
    ("alert_after_finished", after_finished(b"\x02\x33", kind=21), ["finished"], [129]),
    ("ticket_flood_after_finished", after_finished(*[ticket] * 200), ["finished"], [71]),
    ("key_update_after_finished", after_finished(update), ["finished"], [71]),
    ("certificate_request_after_finished", after_finished(message(13, b"\x00\x00\x00")), ["finished"], [71]),
]

def main():
    listener = socket.create_server(("127.0.0.1", 0))
    baseline, bad = None, 0
    for n, (name, run, answers, statuses) in enumerate(CASES, 1):
        client = subprocess.Popen([sys.argv[1], "--client", "--port", str(listener.getsockname()[1]),
                                   *(["--timeout", "500"] if statuses == [110] else []),
                                   IDENTITY.decode(), PSK.hex()], stdout=subprocess.PIPE, text=True)
        problems = []
        try:
            peer = Peer(listener)
            answer = run(peer)
            # A client may be slow to come out of the handshake; that is over when it sends its line.
            if answer == "finished" and statuses == [0]:
                peer.take()
        except (ValueError, EOFError, OSError) as e:
            answer = "%s: %s" % (type(e).__name__, e)
        peer.s.close()
        words = client.communicate(timeout=20)[0].split(None, 8)
        status, descriptors, cause = int(words[1]), int(words[7].rstrip(":")), words[8].strip()
        if client.returncode < 0:
            problems.append("ended by signal %d" % -client.returncode)
        if answer not in answers:
            problems.append("answered %s, not %s" % (ALERT.get(answer, answer), [ALERT.get(a, a) for a in answers]))
        if status not in statuses:
            problems.append("status %d, not %s" % (status, statuses))
        baseline = baseline or descriptors
        if descriptors != baseline:
            problems.append("%d descriptors, not %d" % (descriptors, baseline))
        bad += bool(problems)
        print("%sok %d %s" % ("not " if problems else "", n, name))
        for p in problems + ["%s: %s" % (ALERT.get(answer, answer), cause)]:
            print("#", p)
        sys.stdout.flush()
    print("1..%d" % len(CASES))
    shutil.rmtree(SCRATCH)
    return 1 if bad else 0

sys.exit(main())
