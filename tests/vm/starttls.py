#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Does what RPC over TLS (RFC 9289) has before the handshake, for TLS programs that do not know it.

starttls.py client PORT HOST HOST-PORT           relay: a TLS client connects to PORT, an NFS server is at HOST
starttls.py server PORT HOST HOST-PORT [COUNT]   relay: an NFS client connects to PORT, a TLS server is at HOST;
                                                 with COUNT so many ports from PORT to as many from HOST-PORT
starttls.py connect COUNT HOST HOST-PORT CA-FILE
    is a client itself: so many connections one after the other, each up to the reply to a NULL; prints the
    common name of the server's certificate for each, or what went wrong
starttls.py stall FILE HOST HOST-PORT CA-FILE
    the same for one connection, which stops in the middle of its ClientHello until FILE exists; prints the
    name after the handshake, and "answered" after the reply
"""

import os
import socket
import ssl
import struct
import sys
import threading
import time

# NULL of NFS 4; the credential is AUTH_TLS, or none.
PROBE = struct.pack(">10I", 0x746C7368, 0, 2, 100003, 4, 0, 7, 0, 0, 0)
CALL = PROBE[:24] + bytes(16)


def receive(sock, count):
    data = b""
    while len(data) < count:
        some = sock.recv(count - len(data))
        if not some:
            raise EOFError("the peer closed the connection")
        data += some
    return data


def receive_record(sock):
    (mark,) = struct.unpack(">I", receive(sock, 4))
    return receive(sock, mark & 0x7FFFFFFF)


def send_record(sock, data):
    sock.sendall(struct.pack(">I", 0x80000000 | len(data)) + data)


def ask(server):
    """What an NFS client does before its ClientHello."""
    send_record(server, PROBE)
    reply = receive_record(server)
    if not reply.startswith(PROBE[:4] + struct.pack(">4I", 1, 0, 0, 8) + b"STARTTLS"):
        raise ValueError(f"the server does not offer TLS: {reply.hex()}")


def answer(client):
    """What an NFS server says to that."""
    call = receive_record(client)
    if call[24:28] != struct.pack(">I", 7):
        raise ValueError(f"the client does not ask for TLS: {call.hex()}")
    send_record(client, call[:4] + struct.pack(">4I", 1, 0, 0, 8) + b"STARTTLS" + struct.pack(">I", 0))


def copy(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def relay(near, role, address):
    with near, socket.create_connection(address) as far:
        ask(far) if role == "client" else answer(near)
        back = threading.Thread(target=copy, args=(far, near))
        back.start()
        copy(near, far)
        back.join()


def listen(role, port, address):
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            near, _ = listener.accept()
            threading.Thread(target=relay, args=(near, role, address), daemon=True).start()


def common_name(secured):
    subject = dict(field for part in secured.getpeercert()["subject"] for field in part)
    return subject["commonName"]


def call(secured):
    """A NULL, over TLS."""
    send_record(secured, CALL)
    if receive_record(secured)[:8] != CALL[:4] + struct.pack(">I", 1):
        raise ValueError("the reply to NULL is none")


def connect(address, context):
    with socket.create_connection(address) as plain:
        ask(plain)
        with context.wrap_socket(plain) as secured:
            call(secured)
            return common_name(secured)


class Stalling:
    """A socket under TLS whose first flight stops in the middle until the file @go exists."""

    def __init__(self, plain, context, go):
        self.plain, self.go = plain, go
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing)
        self.until_done(self.tls.do_handshake)
        self.getpeercert = self.tls.getpeercert

    def flush(self):
        data = self.outgoing.read()
        if self.go:
            self.plain.sendall(data[: len(data) // 2])
            while not os.path.exists(self.go):
                time.sleep(0.05)
            data, self.go = data[len(data) // 2 :], None
        self.plain.sendall(data)

    def until_done(self, step, *args):
        while True:
            try:
                result = step(*args)
                self.flush()
                return result
            except ssl.SSLWantReadError:
                self.flush()
                data = self.plain.recv(65536)
                if not data:
                    raise EOFError("the peer closed the connection")
                self.incoming.write(data)

    def sendall(self, data):
        self.until_done(self.tls.write, data)

    def recv(self, count):
        return self.until_done(self.tls.read, count)


def stall(address, context, go):
    with socket.create_connection(address) as plain:
        ask(plain)
        secured = Stalling(plain, context, go)
        print(common_name(secured), flush=True)
        call(secured)
        return "answered"


def main():
    role, number, host, host_port, *more = sys.argv[1:]
    if role not in ("connect", "stall"):
        for i in range(int(more[0]) if more else 1):
            threading.Thread(target=listen, args=(role, int(number) + i, (host, int(host_port) + i))).start()
        return
    context = ssl.create_default_context(cafile=more[0])
    context.check_hostname = False
    for _ in range(1 if role == "stall" else int(number)):
        try:
            address = (host, int(host_port))
            print(stall(address, context, number) if role == "stall" else connect(address, context), flush=True)
        except (OSError, EOFError, ValueError) as error:
            print(f"failed: {error}", flush=True)


main()
