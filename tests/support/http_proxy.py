#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A forward proxy on loopback whose whole world is one server of this machine.

http_proxy.py TARGET_PORT LOG: prints its port, and serves until standard input ends. Plain requests (absolute
URIs), tunnels (CONNECT) and SOCKS5 for any host go to 127.0.0.1:TARGET_PORT. A line of LOG for each connection: the
request line, and the names of the headers in its head.
"""
import os
import re
import socket
import sys
import threading

TARGET = int(sys.argv[1])
log = open(sys.argv[2], "a", buffering=1)


def pump(source, target):
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def exactly(client, count):
    data = b""
    while len(data) < count and (more := client.recv(count - len(data))):
        data += more
    return data


def serve_socks(client):
    """RFC 1928, without a login."""
    exactly(client, exactly(client, 2)[1])
    client.sendall(b"\x05\x00")
    kind = exactly(client, 4)[3]
    length = {1: 4, 4: 16}.get(kind) or exactly(client, 1)[0]
    log.write(f"SOCKS5 {exactly(client, length)!r}\n")
    exactly(client, 2)
    server = socket.create_connection(("127.0.0.1", TARGET))
    client.sendall(b"\x05\x00\x00\x01" + bytes(6))
    threading.Thread(target=pump, args=(client, server), daemon=True).start()
    pump(server, client)


def serve(client):
    if client.recv(1, socket.MSG_PEEK) == b"\x05":
        return serve_socks(client)
    head = b""
    while b"\r\n\r\n" not in head:
        data = client.recv(1 << 16)
        if not data:
            return client.close()
        head += data
    head, _, rest = head.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    log.write(lines[0] + " " + ",".join(line.split(":")[0].lower() for line in lines[1:]) + "\n")
    server = socket.create_connection(("127.0.0.1", TARGET))
    if lines[0].startswith("CONNECT "):
        client.sendall(b"HTTP/1.1 200 Tunnel\r\n\r\n")
        server.sendall(rest)
    else:
        lines[0] = re.sub(r" http://[^/]*", " ", lines[0])
        lines[1:] = [line for line in lines[1:] if not line.lower().startswith("proxy-")] + ["Connection: close"]
        server.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + rest)
    threading.Thread(target=pump, args=(client, server), daemon=True).start()
    pump(server, client)
    return None


listener = socket.create_server(("127.0.0.1", 0), backlog=64)
print(listener.getsockname()[1], flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
