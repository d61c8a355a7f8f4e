#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Sends one TLS 1.3 ClientHello with a PSK identity no library would send, and says what came back.

hello.py [--host H] [--port P] [--stall BYTES [--go FILE]] IDENTITY KEY

IDENTITY is text, or hex:... for any bytes; KEY is hexadecimal and makes a right binder (RFC 8446,
section 4.2.11.2): SHA-256, or SHA-384 for one of 48 bytes. Prints "ServerHello", "alert N" or "closed". With --stall only that many
bytes of it are sent; it prints "sent" and waits for the server to end the connection, or for FILE to
appear, upon which it sends the rest.
"""
import argparse, hashlib, hmac, os, socket, struct, time

def expand_label(hash, secret, label, context, length):
    label = b"tls13 " + label
    info = struct.pack(">HB", length, len(label)) + label + bytes([len(context)]) + context
    out, block, i = b"", b"", 1
    while len(out) < length:
        block = hmac.new(secret, block + info + bytes([i]), hash).digest()
        out, i = out + block, i + 1
    return out[:length]

def extension(number, body):
    return struct.pack(">HH", number, len(body)) + body

def client_hello(identity, key):
    hash, cipher = (hashlib.sha384, b"\x13\x02") if len(key) == 48 else (hashlib.sha256, b"\x13\x01")
    size = hash().digest_size
    share = struct.pack(">HH", 29, 32) + os.urandom(32)
    identities = struct.pack(">H", len(identity)) + identity + bytes(4)
    binders = bytes([0, size + 1, size]) + bytes(size)
    extensions = (
        extension(43, b"\x02\x03\x04")                               # TLS 1.3
        + extension(10, b"\x00\x02\x00\x1d")                         # X25519
        + extension(51, struct.pack(">H", len(share)) + share)
        + extension(45, b"\x01\x01")                                 # PSK with (EC)DHE
        + extension(41, struct.pack(">H", len(identities)) + identities + binders))
    body = (b"\x03\x03" + os.urandom(32) + b"\x00" + b"\x00\x02" + cipher + b"\x01\x00"
            + struct.pack(">H", len(extensions)) + extensions)
    message = b"\x01" + struct.pack(">I", len(body))[1:] + body
    early = hmac.new(bytes(size), key, hash).digest()
    binder_key = expand_label(hash, early, b"ext binder", hash(b"").digest(), size)
    finished = expand_label(hash, binder_key, b"finished", b"", size)
    digest = hash(message[:-len(binders)]).digest()
    return message[:-size] + hmac.new(finished, digest, hash).digest()

def records(message):
    for at in range(0, len(message), 16384):
        part = message[at:at + 16384]
        yield b"\x16\x03\x01" + struct.pack(">H", len(part)) + part

def read_exactly(s, n):
    data = b""
    while len(data) < n:
        part = s.recv(n - len(data))
        if not part:
            raise EOFError
        data += part
    return data

def main():
    p = argparse.ArgumentParser()
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int, default=4420)
    p.add_argument("--stall", type=int)
    p.add_argument("--go")
    p.add_argument("identity")
    p.add_argument("key")
    a = p.parse_args()
    identity = bytes.fromhex(a.identity[4:]) if a.identity.startswith("hex:") else a.identity.encode()
    hello = b"".join(records(client_hello(identity, bytes.fromhex(a.key))))
    s = socket.create_connection((a.host, a.port), 600) # for what hangs, not for what is slow
    try:
        s.sendall(hello if a.stall is None else hello[:a.stall])
        if a.stall is not None:
            print("sent", flush=True)
        if a.go:
            while not os.path.exists(a.go):
                time.sleep(0.05)
            s.sendall(hello[a.stall:])
        kind, _, length = struct.unpack(">BHH", read_exactly(s, 5))
        body = read_exactly(s, length)
        if kind == 21:
            print("alert", body[1])
        elif kind == 22 and body[0] == 2:
            print("ServerHello")
        else:
            print("record", kind, body[:1].hex())
    except (EOFError, ConnectionResetError, BrokenPipeError):
        print("closed")
    except socket.timeout:
        print("silence")

main()
