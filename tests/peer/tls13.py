# SPDX-License-Identifier: GPL-2.0-or-later
"""TLS 1.3 by hand, with nothing but the standard library: one PSK, X25519, ChaCha20-Poly1305, SHA-256."""
import hashlib, hmac, os, struct

# --- X25519 (RFC 7748) and ChaCha20-Poly1305 (RFC 8439); slow, and not safe for secrets that matter

P = 2**255 - 19

def x25519(scalar, point):
    k = int.from_bytes(scalar, "little") & ~(7 | 1 << 255) | 1 << 254
    x1 = int.from_bytes(point, "little") & ((1 << 255) - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in range(254, -1, -1):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b = x2 + z2, x2 - z2
        aa, bb = a * a % P, b * b % P
        e, da, cb = aa - bb, (x3 - z3) * a % P, (x3 + z3) * b % P
        x3, z3 = (da + cb)**2 % P, x1 * (da - cb)**2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")

def rotl(v, n):
    return (v << n | v >> (32 - n)) & 0xffffffff

def quarter(s, a, b, c, d):
    for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & 0xffffffff
        s[z] = rotl(s[z] ^ s[x], n)

def chacha20(key, counter, nonce, data):
    out = bytearray()
    for i in range(0, len(data), 64):
        start = list(struct.unpack("<4I", b"expand 32-byte k")) + list(struct.unpack("<8I", key)) \
            + [counter + i // 64] + list(struct.unpack("<3I", nonce))
        s = start[:]
        for _ in range(10):
            for q in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                      (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
                quarter(s, *q)
        stream = struct.pack("<16I", *((a + b) & 0xffffffff for a, b in zip(s, start)))
        out += bytes(a ^ b for a, b in zip(data[i:i + 64], stream))
    return bytes(out)

def poly1305(key, data):
    r = int.from_bytes(key[:16], "little") & 0x0ffffffc0ffffffc0ffffffc0fffffff
    a = 0
    for i in range(0, len(data), 16):
        a = (a + int.from_bytes(data[i:i + 16] + b"\x01", "little")) * r % (2**130 - 5)
    return ((a + int.from_bytes(key[16:], "little")) & (2**128 - 1)).to_bytes(16, "little")

def pad16(data):
    return data + bytes(-len(data) % 16)

def tag(key, nonce, aad, ciphertext):
    return poly1305(chacha20(key, 0, nonce, bytes(32)),
                    pad16(aad) + pad16(ciphertext) + struct.pack("<QQ", len(aad), len(ciphertext)))

# --- the key schedule (RFC 8446, 7.1)

def expand_label(secret, label, context=b"", length=32):
    label = b"tls13 " + label
    info = struct.pack(">HB", length, len(label)) + label + bytes([len(context)]) + context
    return hmac.new(secret, info + b"\x01", hashlib.sha256).digest()[:length]

def extract(salt, key):
    return hmac.new(salt, key, hashlib.sha256).digest()

def digest(data):
    return hashlib.sha256(data).digest()

def finished(secret, messages):
    return hmac.new(expand_label(secret, b"finished"), digest(messages), hashlib.sha256).digest()

class Keys:
    """One direction's record protection."""
    def __init__(self, secret):
        self.secret, self.sequence = secret, 0
        self.key, self.iv = expand_label(secret, b"key"), expand_label(secret, b"iv", length=12)

    def nonce(self):
        n = int.from_bytes(self.iv, "big") ^ self.sequence
        self.sequence += 1
        return n.to_bytes(12, "big")

    def seal(self, kind, data):
        inner, nonce = data + bytes([kind]), self.nonce()
        header = struct.pack(">BHH", 23, 0x303, len(inner) + 16)
        ciphertext = chacha20(self.key, 1, nonce, inner)
        return header + ciphertext + tag(self.key, nonce, header, ciphertext)

    def open(self, record):
        header, ciphertext, mac = record[:5], record[5:-16], record[-16:]
        nonce = self.nonce()
        if tag(self.key, nonce, header, ciphertext) != mac:
            raise ValueError("bad record")
        inner = chacha20(self.key, 1, nonce, ciphertext).rstrip(b"\x00")
        return inner[-1], inner[:-1]

# --- messages

def extension(number, body):
    return struct.pack(">HH", number, len(body)) + body

def message(kind, body):
    return bytes([kind]) + struct.pack(">I", len(body))[1:] + body

def record(data, kind=22, version=0x301):
    return struct.pack(">BHH", kind, version, len(data)) + data

PRIVATE = bytes(range(32))

def key_share(public=None):
    share = struct.pack(">HH", 29, 32) + (public or x25519(PRIVATE, b"\x09" + bytes(31)))
    return extension(51, struct.pack(">H", len(share)) + share)

def psk_extension(identities, binder_size=32, ages=None):
    names = b"".join(struct.pack(">H", len(i)) + i + struct.pack(">I", age)
                     for i, age in zip(identities, ages or [0] * len(identities)))
    binders = (bytes([binder_size]) + bytes(binder_size)) * len(identities)
    return extension(41, struct.pack(">H", len(names)) + names + struct.pack(">H", len(binders)) + binders)

VERSIONS = extension(43, b"\x02\x03\x04")
GROUPS = extension(10, b"\x00\x02\x00\x1d")
MODES = extension(45, b"\x01\x01")

def client_hello(identities, psk, extensions=None, compression=b"\x00", break_binder=False, binder_size=32, ages=None):
    """A ClientHello whose last binder is right unless it is to be broken."""
    parts = [VERSIONS, GROUPS, MODES, key_share()] if extensions is None else list(extensions)
    if identities:
        parts.append(psk_extension(identities, binder_size, ages))
    all_of_them = b"".join(parts)
    body = (b"\x03\x03" + os.urandom(32) + b"\x00" + b"\x00\x02\x13\x03"
            + bytes([len(compression)]) + compression + struct.pack(">H", len(all_of_them)) + all_of_them)
    whole = message(1, body)
    if not identities or break_binder or binder_size != 32:
        return whole
    early = extract(bytes(32), psk)
    truncated = whole[:-(2 + 33 * len(identities))]
    binder = finished(expand_label(early, b"ext binder", digest(b"")), truncated)
    return truncated + struct.pack(">H", 33 * len(identities)) + (b"\x20" + binder) * len(identities)
