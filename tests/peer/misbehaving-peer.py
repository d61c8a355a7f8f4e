#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A client that misbehaves at every point of the handshake.

misbehaving-peer.py TEST-SERVER           starts that program, which says what became of each peer
misbehaving-peer.py PORT IDENTITY KEY     against a kernel's target instead: only the alerts are compared

After each misbehaviour an honest client is served; not so with --alone as the first argument.
"""
import os, random, socket, struct, subprocess, sys, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tls13 import *

ALONE = "--alone" in sys.argv
if ALONE:
    sys.argv.remove("--alone")
IDENTITY, PSK, PORT = b"NVMe0R01 nqn.host nqn.io-1", b"\x07" * 32, 0
if len(sys.argv) == 4:
    PORT, IDENTITY, PSK = int(sys.argv[1]), sys.argv[2].encode(), bytes.fromhex(sys.argv[3])
# What a server may take on an idle machine, in the time of this one (tests/vm/pace.sh).
PATIENCE = 15 * int(os.environ.get("PACE", 100)) / 100
ALERT = {10: "unexpected_message", 20: "bad_record_mac", 22: "record_overflow", 40: "handshake_failure",
         47: "illegal_parameter", 50: "decode_error", 51: "decrypt_error", 70: "protocol_version",
         109: "missing_extension", 115: "unknown_psk_identity"}

class Peer:
    def __init__(self):
        self.s = socket.create_connection(("127.0.0.1", PORT), PATIENCE)
        self.transcript, self.write, self.read = b"", None, None

    def send(self, data):
        try:
            self.s.sendall(data)
        except OSError:
            pass

    def end(self):
        try:
            self.s.shutdown(socket.SHUT_WR)
        except OSError: # it was faster
            pass

    def take(self):
        """The next record; None at the end."""
        data = b""
        while len(data) < 5 or len(data) < 5 + struct.unpack(">H", data[3:5])[0]:
            want = 5 - len(data) if len(data) < 5 else 5 + struct.unpack(">H", data[3:5])[0] - len(data)
            try:
                part = self.s.recv(want)
            except OSError:
                return None
            if not part:
                return None
            data += part
        return data

    def answer(self):
        """What the server says in the end: an alert's number, "hello", "closed"."""
        heard = "closed"
        while (r := self.take()) is not None:
            kind, body = r[0], r[5:]
            if kind == 23 and self.read:
                kind, body = self.read.open(r)
            if kind == 21:
                return body[1]
            if kind == 22 and body[0] == 2:
                return "hello"
        return heard

    def hello(self, whole):
        self.transcript += whole
        self.send(record(whole))

    def keys(self):
        """Through the server's flight, to where Finished is ours to send."""
        early = extract(bytes(32), PSK)
        while not self.transcript_ended():
            r = self.take()
            if r is None:
                raise EOFError
            if r[0] == 21:
                raise ValueError("alert %d" % r[6])
            if r[0] == 22:
                self.transcript += r[5:]
                share = r[r.index(b"\x00\x1d\x00\x20") + 4:][:32]
                handshake = extract(expand_label(early, b"derived", digest(b"")), x25519(PRIVATE, share))
                self.write = Keys(expand_label(handshake, b"c hs traffic", digest(self.transcript)))
                self.read = Keys(expand_label(handshake, b"s hs traffic", digest(self.transcript)))
                master = extract(expand_label(handshake, b"derived", digest(b"")), bytes(32))
                self.master = master
            elif r[0] == 23:
                kind, body = self.read.open(r)
                if kind == 22:
                    self.transcript += body
                    self.last = body
        # What the server says from here on is under its application keys.
        self.read = Keys(expand_label(self.master, b"s ap traffic", digest(self.transcript)))
        return self

    def transcript_ended(self):
        return getattr(self, "last", b"")[-36:-32] == b"\x14\x00\x00\x20"

    def finish(self):
        return message(20, finished(self.write.secret, self.transcript))

def ready(identities=None, **how):
    p = Peer()
    p.hello(client_hello(identities or [IDENTITY], PSK, **how))
    return p.keys()

def good():
    return client_hello([IDENTITY], PSK)

def raw(*parts, end=False):
    def run():
        p = Peer()
        for part in parts:
            p.send(part)
        if end:
            p.s.shutdown(socket.SHUT_WR)
        return p.answer()
    return run

def hello(*identities, **how):
    return lambda: raw(record(client_hello(list(identities), PSK, **how)))()

def encrypted(*messages, before=b"", kind=22):
    def run():
        p = ready()
        p.send(before)
        for m in messages:
            p.send(p.write.seal(kind, m(p) if callable(m) else m))
        return p.answer()
    return run

def reset():
    p = Peer()
    p.send(record(good())[:50])
    time.sleep(0.1)
    p.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    p.s.close()
    return "closed"

def close_half_way(n):
    def run():
        p = Peer()
        p.send(record(good())[:n])
        p.s.close()
        return "closed"
    return run

def stall(n):
    def run():
        p = Peer()
        p.send(record(good())[:n])
        return p.answer()
    return run

def byte_by_byte():
    p = Peer()
    p.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    whole = good()
    p.transcript = whole
    for b in record(whole):
        p.send(bytes([b]))
        time.sleep(0.001)
    p.keys()
    for b in p.write.seal(22, p.finish()):
        p.send(bytes([b]))
        time.sleep(0.001)
    return complete(p)

def complete(p):
    """An honest end: the server takes what is encrypted by the application keys."""
    application = expand_label(p.master, b"c ap traffic", digest(p.transcript))
    p.send(Keys(application).seal(21, b"\x01\x00"))
    return p.answer() if PORT and SERVER else "hello"

def honest():
    p = ready()
    p.send(p.write.seal(22, p.finish()))
    complete(p)
    return "complete"

def corrupted():
    p = ready()
    sealed = bytearray(p.write.seal(22, p.finish()))
    sealed[-1] ^= 1
    p.send(bytes(sealed))
    return p.answer()

def change_cipher_spec_flood():
    p = ready()
    p.send(record(b"\x01", 20, 0x303) * 100000)
    p.send(p.write.seal(22, p.finish()))
    return p.answer()

def after_finished(*messages):
    """The handshake is done: what comes now meets GnuTLS in the test server, kTLS and its consumer in the kernel."""
    def run():
        p = ready()
        p.send(p.write.seal(22, p.finish()))
        application = Keys(expand_label(p.master, b"c ap traffic", digest(p.transcript)))
        for m in messages:
            p.send(application.seal(22, m))
            if m[:1] == b"\x18":
                application = Keys(expand_label(application.secret, b"traffic upd"))
        p.end()
        return p.answer()
    return run

def data_with_finished():
    p = ready()
    application = Keys(expand_label(p.master, b"c ap traffic", digest(p.transcript)))
    p.send(p.write.seal(22, p.finish()) + application.seal(23, b"early bird"))
    p.end()
    return p.answer()

def two_records(at):
    whole = good()
    return raw(record(whole[:at]) + record(whole[at:]))()

others = [b"NVMe0R01 nqn.host nqn.io-%d" % i for i in range(1000, 1099)]
random_bytes = random.Random(1).randbytes
base = [VERSIONS, GROUPS, MODES, key_share()]
tls12 = client_hello([], PSK, extensions=[GROUPS])
padded = lambda n: (lambda: raw(record(client_hello([IDENTITY], PSK, extensions=base + [extension(21, bytes(n))])))())
early = lambda: raw(record(client_hello([IDENTITY], PSK, extensions=base + [extension(42, b"")]))
                    + record(random_bytes(64), 23, 0x303))()

SERVER = None
# A socket that the kernel closes with something unread loses the alert.
RESET = "closed" if len(sys.argv) == 4 else None

# name, what it does, the answers that RFC 8446 allows, statuses for the kernel
CASES = [
    ("closes_at_once", close_half_way(0), ["closed"], [104]),
    ("closes_in_its_hello", close_half_way(100), ["closed"], [104]),
    ("resets_in_its_hello", reset, ["closed"], [104]),
    ("resets_after_its_hello", close_half_way(10000), ["closed"], [104, 32]),
    ("stalls_in_its_hello", stall(60), ["closed"], [110]),
    ("stalls_after_its_hello", stall(10000), ["hello"], [110, 104]),
    ("byte_by_byte", byte_by_byte, [0, "hello"], [0]),
    ("record_of_0_bytes", raw(record(b"")), [10, 50], [71]),
    ("record_of_16384_bytes", padded(16384 - len(good()) - 4), ["hello"], [104]),
    ("record_of_16385_bytes", padded(16385 - len(good()) - 4), [22], [71]),
    ("record_of_65535_bytes", raw(b"\x16\x03\x01\xff\xff\x01\x00\x00\x10"), [22], [71]),
    ("nvme_without_tls", raw(b"\x00\x00\x80\x00\x80\x00\x00\x00" + bytes(120)), [10], [71]),
    ("http", raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), [10], [71]),
    ("random_bytes", raw(b"\x55" + random_bytes(400)), [10, 50], [71]),
    ("random_bytes_like_sslv2", raw(b"\x99" + random_bytes(400)), [10], [71]),
    ("sslv2_hello", raw(b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10" + bytes(40)), [10, 70], [71]),
    ("tls_1_2", raw(record(tls12)), [70], [71]),
    ("alert_first", raw(record(b"\x02\x28", 21)), ["closed", 10], [71]),
    ("close_notify_first", raw(record(b"\x01\x00", 21)), ["closed", 10], [104, 71]),
    ("application_data_first", raw(record(b"hello", 23)), [10], [71]),
    ("change_cipher_spec_first", raw(record(b"\x01", 20)), [10], [71]),
    ("server_hello_first", raw(record(message(2, bytes(40)))), [10], [71]),
    ("no_psk", hello(), [40, 109], [71]),
    ("psk_without_ecdhe", hello(IDENTITY, extensions=[VERSIONS, GROUPS, extension(45, b"\x01\x00"), key_share()]), [40], [71]),
    ("no_psk_modes", hello(IDENTITY, extensions=[VERSIONS, GROUPS, key_share()]), [109, 40], [71]),
    ("psk_not_last", hello(extensions=[VERSIONS, MODES, psk_extension([IDENTITY]), GROUPS, key_share()]), [47], [71]),
    ("extension_twice", hello(IDENTITY, extensions=base + [GROUPS]), [47], [71]),
    ("bad_binder", hello(IDENTITY, break_binder=True), [51], [129]),
    ("binder_of_another_hash", hello(IDENTITY, binder_size=48), [51], [129]),
    ("unknown_identity", hello(IDENTITY + b"0"), [115], [126]),
    ("100_identities", hello(*others, IDENTITY), [115], [126]),
    ("tickets_before_the_identity", hello(b"a ticket", b"another", IDENTITY, ages=[7, 1 << 31, 0]), ["hello"], [104]),
    ("tickets_only", hello(b"a ticket", IDENTITY, ages=[7, 8]), [115], [126]),
    ("binder_of_another_identity", hello(IDENTITY, IDENTITY + b"0", break_binder=True), [51], [129]),
    ("change_cipher_spec_in_a_hello", raw(record(good()[:50]) + record(b"\x01", 20, 0x303) + record(good()[50:])), [10], [71]),
    ("hello_in_two_records", lambda: two_records(100), ["hello"], [104]),
    ("hello_in_records_of_1_byte", lambda: raw(*[record(bytes([b])) for b in good()])(), [10, RESET], [71]),
    ("compressed", hello(IDENTITY, compression=b"\x01"), [47], [71]),
    ("share_of_zeros", hello(IDENTITY, extensions=[VERSIONS, GROUPS, MODES, key_share(bytes(32))]), [47], [71]),
    ("share_cut_short", hello(IDENTITY, extensions=[VERSIONS, GROUPS, MODES, extension(51, b"\x00\x04\x00\x1d\x00\x20")]), [47, 50], [71]),
    ("hello_that_lies_of_its_length", raw(record(b"\x01\x00\x00\x04" + b"\x03\x03\x00\x00")), [50, 47], [71]),
    ("early_data", early, ["hello"], [104, 110, 71]),
    ("finished_without_mac", encrypted(message(20, b"")), [50, 51], [71]),
    ("close_notify_for_finished", encrypted(b"\x01\x00", kind=21), ["closed"], [104]),
    ("alert_for_finished", encrypted(b"\x02\x28", kind=21), ["closed"], [71]),
    ("message_that_never_ends", encrypted(b"\x14\xff\xff\xff" + bytes(12000), *[bytes(16000)] * 30), [10, 22, 50, RESET], [71]),
    ("change_cipher_spec_flood", change_cipher_spec_flood, [10], [71]),
    ("wrong_finished", encrypted(message(20, bytes(32))), [51], [71]),
    ("record_that_does_not_decrypt", corrupted, [20], [71]),
    ("key_update_before_finished", encrypted(message(24, b"\x00")), [10], [71]),
    ("tickets_before_finished", encrypted(*[message(4, bytes(20))] * 20), [10], [71]),
    ("second_client_hello", encrypted(lambda p: good()), [10], [71]),
    ("certificate", encrypted(message(11, b"\x00\x00\x00\x00")), [10], [71]),
    ("end_of_early_data", encrypted(message(5, b"")), [10], [71]),
    ("unknown_message", encrypted(message(99, b"x")), [10], [71]),
    ("application_data_before_finished", encrypted(b"x", kind=23), [10], [71]),
    ("plain_record_after_keys", encrypted(before=record(message(20, bytes(32)), version=0x303)), [10, 20], [71]),
    ("empty_encrypted_handshake", encrypted(b""), [10, 50], [71]),
    ("renegotiation", after_finished(good()), [10, "closed"], [0]),
    ("tickets_after_finished", after_finished(*[message(4, bytes(20))] * 20), [10, 50, "closed"], [0]),
    ("key_update_flood", after_finished(*[message(24, b"\x01")] * 50), [10, 80, "closed"], [0]),
    ("data_with_finished", data_with_finished, ["closed", "hello"], [71, 0]),
]

def result_of(stream):
    words = stream.readline().split(None, 8)
    return int(words[1]), int(words[3]), int(words[7].rstrip(":")), words[8].strip()

def main():
    global PORT, SERVER
    n = bad = 0
    if len(sys.argv) == 2:
        SERVER = subprocess.Popen([sys.argv[1], "--port", "0", IDENTITY.decode(), PSK.hex()],
                                  stdout=subprocess.PIPE, text=True)
        PORT = int(SERVER.stdout.readline().split()[-1])
    baseline = None
    for name, run, answers, statuses in CASES:
        problems = []
        try:
            answer = run()
        except (ValueError, EOFError, OSError) as e:
            answer = "%s: %s" % (type(e).__name__, e)
        if answer not in answers:
            problems.append("answered %s, not %s" % (ALERT.get(answer, answer), [ALERT.get(a, a) for a in answers]))
        cause = ""
        if SERVER:
            status, sent, descriptors, cause = result_of(SERVER.stdout)
            if status not in statuses:
                problems.append("status %d, not %s" % (status, statuses))
            if not cause:
                problems.append("no cause")
            baseline = baseline or descriptors
            if descriptors != baseline:
                problems.append("%d descriptors, not %d" % (descriptors, baseline))
        try:
            if not ALONE:
                honest()
            if SERVER and not ALONE:
                status = result_of(SERVER.stdout)[0]
                if status:
                    problems.append("the honest peer after it got status %d" % status)
        except (ValueError, EOFError, OSError) as e:
            problems.append("the honest peer after it was not served: %s" % e)
        n += 1
        print("%sok %d %s" % ("not " if problems else "", n, name))
        for p in problems + (["%s: %s" % (ALERT.get(answer, answer), cause)] if cause else []):
            print("#", p)
        bad += bool(problems)
        sys.stdout.flush()
    print("1..%d" % n)
    if SERVER:
        SERVER.kill()
    return 1 if bad else 0

sys.exit(main())
