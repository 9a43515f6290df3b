#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy on loopback that does what bad networks and bad servers do.

fault_proxy.py TARGET_PORT SEED [PERCENT]: prints its port, and serves until standard input ends. Of every
hundred connections PERCENT (60) get one fault: cut after a random number of bytes in either direction,
held up, answered with 429, 500 or 503 at once, ended early but cleanly, a byte of a body changed, or left
without any answer. What comes is drawn from SEED, a connection after the other.
"""
import random
import socket
import sys
import threading
import time

TARGET, SEED = int(sys.argv[1]), int(sys.argv[2])
PERCENT = int(sys.argv[3]) if len(sys.argv) > 3 else 60
# No answer at all costs its victim the most time, so it is rare.
FAULTS = (["cut-answer"] * 4 + ["cut-request"] * 4 + ["delay"] * 2 + ["status"] * 4 + ["end"] * 3 + ["alter"] * 4) * 4 + ["hang"]
draw = random.Random(SEED)


def reset(sock):
    """Ends it with RST, as a machine that died does, also where the other thread waits for bytes."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    except OSError:
        pass
    shut(sock)
    sock.close()


def shut(sock):
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def altered(data, state):
    """Changes one byte, the first of a body that is `at` bytes or more into the answers."""
    start = data.find(b"\r\n\r\n") + 4 if data.startswith(b"HTTP/1.") else 0
    here = max(state["at"] - state["seen"], start)
    state["seen"] += len(data)
    if state["done"] or here >= len(data):
        return data
    state["done"] = True
    return data[:here] + bytes([data[here] ^ state["bit"]]) + data[here + 1:]


def pump(source, target, fault, most, change=None):
    moved = 0
    try:
        while True:
            data = source.recv(1 << 16)
            if not data:
                break
            if change:
                data = altered(data, change)
            if fault and moved + len(data) > most:
                target.sendall(data[:most - moved])
                if fault == "end":
                    break
                reset(source)
                reset(target)
                return
            target.sendall(data)
            moved += len(data)
    except OSError:
        pass
    shut(source)
    shut(target)


def answer(client, status):
    try:
        client.settimeout(2)
        client.recv(1 << 16)
        client.sendall(b"HTTP/1.1 %d Fault\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        shut(client)
    except OSError:
        pass
    client.close()


def serve(client, fault, most, choice, bit):
    if fault == "hang":
        time.sleep(5)
        client.close()
        return
    if fault == "status":
        answer(client, [429, 500, 503][choice])
        return
    if fault == "delay":
        time.sleep(0.05)
    try:
        server = socket.create_connection(("127.0.0.1", TARGET))
    except OSError:
        client.close()
        return
    change = {"seen": 0, "done": False, "at": most, "bit": bit} if fault == "alter" else None
    up = threading.Thread(target=pump, args=(client, server, fault if fault == "cut-request" else None, most), daemon=True)
    up.start()
    pump(server, client, fault if fault in ("cut-answer", "end") else None, most, change)
    up.join()
    client.close()
    server.close()


listener = socket.create_server(("127.0.0.1", 0), backlog=64)
print(listener.getsockname()[1], flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), __import__("os")._exit(0)), daemon=True).start()
while True:
    connection, _ = listener.accept()
    bad = draw.randrange(100) < PERCENT
    plan = (draw.choice(FAULTS) if bad else None, int(2 ** draw.uniform(0, 21)), draw.randrange(3), 1 << draw.randrange(8))
    threading.Thread(target=serve, args=(connection, *plan), daemon=True).start()
