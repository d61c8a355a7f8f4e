#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Does what RPC over TLS (RFC 9289) has before the handshake, for TLS programs that do not know it.

starttls.py client PORT HOST HOST-PORT           relay: a TLS client connects to PORT, an NFS server is at HOST
starttls.py server PORT HOST HOST-PORT [COUNT]   relay: an NFS client connects to PORT, a TLS server is at HOST;
                                                 with COUNT so many ports from PORT to as many from HOST-PORT
starttls.py connect COUNT HOST HOST-PORT CA-FILE
    is a client itself: so many connections one after the other, each up to the reply to a NULL; prints the
    common name of the server's certificate for each, or what went wrong
"""

import socket
import ssl
import struct
import sys
import threading

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


def connect(address, context):
    with socket.create_connection(address) as plain:
        ask(plain)
        with context.wrap_socket(plain) as secured:
            send_record(secured, CALL)
            if receive_record(secured)[:8] != CALL[:4] + struct.pack(">I", 1):
                raise ValueError("the reply to NULL is none")
            subject = dict(field for part in secured.getpeercert()["subject"] for field in part)
            return subject["commonName"]


def main():
    role, number, host, host_port, *more = sys.argv[1:]
    if role != "connect":
        for i in range(int(more[0]) if more else 1):
            threading.Thread(target=listen, args=(role, int(number) + i, (host, int(host_port) + i))).start()
        return
    context = ssl.create_default_context(cafile=more[0])
    context.check_hostname = False
    for _ in range(int(number)):
        try:
            print(connect((host, int(host_port)), context), flush=True)
        except (OSError, EOFError, ValueError) as error:
            print(f"failed: {error}", flush=True)


main()
