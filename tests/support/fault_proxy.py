#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy on loopback that does what bad networks and bad servers do.

fault_proxy.py TARGET_PORT SEED [PERCENT]: prints its port, and serves until standard input ends; then it
says on standard error how often it did what. Of every hundred connections PERCENT (60) get one fault:
cut after a random number of bytes in either direction, held up, answered with 429, 500 or 503 at once, ended
early but cleanly, a bit of a body changed in either direction, sent drop by drop, or left without any answer.

What a connection gets follows from SEED, from the number in "run-<number>" of the first path that it asks
for, and from how many connections that run has had: runs are made side by side, and each can be done again alone.
"""
import asyncio
import collections
import random
import re
import socket
import struct
import sys
import threading

TARGET, SEED = int(sys.argv[1]), int(sys.argv[2])
PERCENT = int(sys.argv[3]) if len(sys.argv) > 3 else 60
# What costs its victim the most time is rare.
FAULTS = (["cut-answer"] * 4 + ["cut-request"] * 4 + ["delay"] * 3 + ["status"] * 4 + ["end"] * 3
          + ["alter-answer"] * 4 + ["alter-request"] * 2) * 6 + ["hang", "drip"]
loop = asyncio.new_event_loop()
connections, done = collections.Counter(), collections.Counter()


class Plan:
    def __init__(self, run):
        draw = random.Random(f"{SEED}/{run}/{connections[run]}")
        connections[run] += 1
        self.fault = draw.choice(FAULTS) if draw.randrange(100) < PERCENT else "none"
        self.at = int(2 ** draw.uniform(0, 19))  # bytes until then
        self.status = draw.choice([429, 500, 503])
        self.again = draw.choice(["Retry-After: 0\r\n", ""])
        self.bit = 1 << draw.randrange(8)
        self.seconds = draw.uniform(0.001, 0.05)
        done[self.fault] += 1


def reset(sock):
    """Ends it with RST, as a machine that died does."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    shut(sock)
    sock.close()


def shut(sock):
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


class Altered:
    """Changes one bit, in the first body that is `at` bytes or more into the stream."""

    def __init__(self, plan):
        self.at, self.bit, self.seen = plan.at, plan.bit, 0

    def __call__(self, data):
        head = re.match(rb"(HTTP/1|GET |HEAD |PUT |POST |PATCH ).*?\r\n\r\n", data, re.DOTALL)
        here = max(self.at - self.seen, head.end() if head else 0)
        self.seen += len(data)
        if not self.bit or here >= len(data):
            return data
        bit, self.bit = self.bit, 0
        return data[:here] + bytes([data[here] ^ bit]) + data[here + 1:]


async def pump(source, target, data, cut, most, change):
    """Until one of them ends. `cut`: "reset" or "end" after `most` bytes, or None."""
    moved = 0
    try:
        while data := data or await loop.sock_recv(source, 1 << 16):
            if change:
                data = change(data)
            if cut and moved + len(data) > most:
                await loop.sock_sendall(target, data[:most - moved])
                if cut == "reset":
                    reset(source)
                    reset(target)
                break
            await loop.sock_sendall(target, data)
            moved += len(data)
            data = b""
    except OSError:
        pass
    shut(source)
    shut(target)


async def until_closed(sock, seconds):
    async def read():
        while await loop.sock_recv(sock, 1 << 16):
            pass
    try:
        await asyncio.wait_for(read(), seconds)
    except (OSError, asyncio.TimeoutError):
        pass


async def drip(client):
    await loop.sock_sendall(client, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    for _ in range(100):
        await loop.sock_sendall(client, b" ")
        await asyncio.sleep(0.2)


async def carry(client, first, plan):
    if plan.fault == "hang":
        return await until_closed(client, 30)
    if plan.fault == "drip":
        return await drip(client)
    if plan.fault == "status":
        await loop.sock_sendall(client, f"HTTP/1.1 {plan.status} Fault\r\n{plan.again}Content-Length: 0\r\n"
                                "Connection: close\r\n\r\n".encode())
        client.shutdown(socket.SHUT_WR)
        return await until_closed(client, 0.5)
    if plan.fault == "delay":
        await asyncio.sleep(plan.seconds)
    server = socket.socket()
    server.setblocking(False)
    try:
        await loop.sock_connect(server, ("127.0.0.1", TARGET))
        change = Altered(plan)
        up = pump(client, server, first, "reset" if plan.fault == "cut-request" else None, plan.at,
                  change if plan.fault == "alter-request" else None)
        down = pump(server, client, b"", {"cut-answer": "reset", "end": "end"}.get(plan.fault), plan.at,
                    change if plan.fault == "alter-answer" else None)
        await asyncio.gather(up, down)
    finally:
        server.close()
    return None


async def serve(client):
    client.setblocking(False)
    try:
        first = await loop.sock_recv(client, 1 << 16)
        run = re.search(rb"run-(\d+)", first.split(b"\n")[0])
        if first:
            await carry(client, first, Plan(int(run[1]) if run else 0))
    except OSError:
        pass
    finally:
        client.close()


async def main():
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    listener.setblocking(False)
    print(listener.getsockname()[1], flush=True)
    tasks = set()
    while True:
        client, _ = await loop.sock_accept(listener)
        task = loop.create_task(serve(client))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


def wait_for_end():
    sys.stdin.read()
    print("faults:", ", ".join(f"{n} {what}" for what, n in sorted(done.items())), file=sys.stderr, flush=True)
    __import__("os")._exit(0)


threading.Thread(target=wait_for_end, daemon=True).start()
loop.run_until_complete(main())
