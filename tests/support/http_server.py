#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A web server on loopback that misbehaves as it is told, for the tests of engine/source.

Usage: http_server.py FOLDER [CERTIFICATE.pem]: with a certificate (and its key in the same file) it speaks https. Prints its port, and ends when its standard input does.

  /plain/NAME          the file, with an ETag and ranges
  /cut/BYTES/NAME      the first answer breaks after BYTES; ranges are honoured afterwards
  /cut-blind/BYTES/N   the same, but ranges are ignored: the whole file comes again
  /cut-wrong/BYTES/N   the same, but a range starts 10 bytes late
  /cut-changed/BYTES/N the first answer breaks; afterwards the file is NAME.new with another ETag
  /cut-always/BYTES/N  every answer breaks after BYTES, whatever range was asked for
  /busy/TIMES/NAME     503 with Retry-After: 1 for so many times, then the file
  /status/CODE         that status
  /fresh/NAME          the file, and how often it was asked for: other bytes each time
  /slow/NAME           eight pieces, with pauses
  /stall/NAME          its headers, and then nothing for a minute
  /redirect/PATH       302 to /PATH
  /loop                302 to itself
  /to-file             302 to file:///etc/hostname
  /redirect-to/PORT/P  302 to the same host at that port
  /need/USER/PASS/...  401 unless that login comes, else /...
  /want/NAME/VALUE/... 403 unless that header comes, else /...
  /calm/TIMES/...      429 with Retry-After: 1 for so many requests, then /...
  /dribble/NAME        its headers, and then a byte every 0.2 seconds for a minute
  /dribble-git/...     the same as the start of a git repository's answer
  /dumb/PATH           files below FOLDER as they are: git's dumb protocol
  /git/REPOSITORY/...  git's own http-backend over FOLDER
  /log                 what was asked for so far: "<path> <Range> <If-Range>" lines
  /headers             the same: "<path> <Authorization>" lines
"""
import base64
import http.server
import os
import ssl
import subprocess
import sys
import threading
import time

ROOT = sys.argv[1]
LOG = []
HEADERS = []
SEEN = {}
LOCK = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def content(self, name):
        with open(os.path.join(ROOT, os.path.basename(name)), "rb") as f:
            return f.read()

    def range_start(self, etag):
        value = self.headers.get("Range", "")
        if not value.startswith("bytes=") or self.headers.get("If-Range", etag) != etag:
            return 0
        return int(value[6:].split("-")[0])

    def send_file(self, data, etag='"one"', start=0, shown_start=None, stop=None, pauses=0):
        status = 206 if start else 200
        self.send_response(status)
        self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            first = start if shown_start is None else shown_start
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        body = data[start:] if stop is None else data[start:start + stop]
        step = max(1, len(body) // (pauses or 1))
        for i in range(0, len(body), step):
            self.wfile.write(body[i:i + step])
            self.wfile.flush()
            if pauses:
                time.sleep(0.05)
        if stop is not None and stop < len(data) - start:
            self.close_connection = True

    def send_status(self, code, headers=()):
        self.send_response(code)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def cut(self, kind, stop, name, first):
        data = self.content(name)
        if first or kind == "cut-always":
            return self.send_file(data, start=self.range_start('"one"'), stop=stop)
        if kind == "cut-blind":
            return self.send_file(data)
        if kind == "cut-changed":
            return self.send_file(self.content(name + ".new"), '"two"', self.range_start('"two"'))
        start = self.range_start('"one"')
        late = start + 10 if kind == "cut-wrong" and start else None
        return self.send_file(data, start=start, shown_start=late)

    def gate(self):
        """Takes what asks for something off the front of the path; True if it has answered."""
        while True:
            kind, *rest = self.path.lstrip("/").split("/")
            if kind == "need":
                login = base64.b64encode(f"{rest[0]}:{rest[1]}".encode()).decode()
                if self.headers.get("Authorization") != f"Basic {login}":
                    self.send_status(401, [("WWW-Authenticate", 'Basic realm="TEST"')])
                    return True
                self.path = "/" + "/".join(rest[2:])
            elif kind == "want":
                if self.headers.get(rest[0]) != rest[1]:
                    self.send_status(403)
                    return True
                self.path = "/" + "/".join(rest[2:])
            elif kind == "calm":
                with LOCK:
                    SEEN["calm"] = times = SEEN.get("calm", 0) + 1
                if times <= int(rest[0]):
                    self.send_status(429, [("Retry-After", "1")])
                    return True
                self.path = "/" + "/".join(rest[1:])
            else:
                return False

    def dribble(self, data, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        for i in range(300):
            self.wfile.write(data[i:i + 1])
            self.wfile.flush()
            time.sleep(0.2)
        self.close_connection = True

    def git(self, body):
        path, _, query = self.path[len("/git"):].partition("?")
        env = dict(os.environ, GIT_PROJECT_ROOT=ROOT, GIT_HTTP_EXPORT_ALL="1", PATH_INFO=path,
                   QUERY_STRING=query, REQUEST_METHOD=self.command, REMOTE_ADDR="127.0.0.1",
                   CONTENT_TYPE=self.headers.get("Content-Type", ""),
                   CONTENT_LENGTH=str(len(body)),
                   HTTP_CONTENT_ENCODING=self.headers.get("Content-Encoding", ""))
        done = subprocess.run(["git", "http-backend"], input=body, env=env, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        head, _, rest = done.stdout.partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n") if line]
        status = [v for n, v in headers if n == "Status"]
        self.send_response(int(status[0].split()[0]) if status else 200)
        for name, value in headers:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest)

    def read_body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while True:
            size = int(self.rfile.readline().strip(), 16)
            body += self.rfile.read(size)
            self.rfile.readline()
            if size == 0:
                return body

    def do_POST(self):
        body = self.read_body()
        with LOCK:
            HEADERS.append(f"{self.path} {self.headers.get('Authorization', '-')}")
        if not self.gate():
            self.git(body)

    def do_GET(self):
        with LOCK:
            if self.path != "/log":
                LOG.append(f"{self.path} {self.headers.get('Range', '-')} "
                           f"{self.headers.get('If-Range', '-')}")
            if self.path != "/headers":
                HEADERS.append(f"{self.path} {self.headers.get('Authorization', '-')}")
            SEEN[self.path] = times = SEEN.get(self.path, 0) + 1
        if self.gate():
            return None
        kind, *rest = self.path.lstrip("/").split("/")
        if kind == "log":
            return self.send_file(("\n".join(LOG) + "\n").encode())
        if kind == "headers":
            return self.send_file(("\n".join(HEADERS) + "\n").encode())
        if kind == "redirect-to":
            scheme = "https" if len(sys.argv) > 2 else "http"
            return self.send_status(302, [("Location", f"{scheme}://127.0.0.1:{rest[0]}/" + "/".join(rest[1:]))])
        if kind == "dribble":
            return self.dribble(self.content(rest[0]), "application/octet-stream")
        if kind == "dribble-git":
            start = b"001e# service=git-upload-pack\n0000" + b"003e" + b"0" * 4000
            return self.dribble(start, "application/x-git-upload-pack-advertisement")
        if kind == "dumb":
            path = os.path.join(ROOT, *[part for part in rest if part != ".."]).split("?")[0]
            if not os.path.isfile(path):
                return self.send_status(404)
            with open(path, "rb") as f:
                return self.send_file(f.read())
        if kind == "plain":
            return self.send_file(self.content(rest[0]), start=self.range_start('"one"'))
        if kind.startswith("cut"):
            return self.cut(kind, int(rest[0]), rest[1], times == 1)
        if kind == "busy" and times <= int(rest[0]):
            return self.send_status(503, [("Retry-After", "1")])
        if kind == "busy":
            return self.send_file(self.content(rest[1]))
        if kind == "status":
            return self.send_status(int(rest[0]))
        if kind == "fresh":
            return self.send_file(self.content(rest[0]) + b"%d\n" % times, etag=f'"{times}"')
        if kind == "slow":
            return self.send_file(self.content(rest[0]), pauses=8)
        if kind == "stall":
            self.send_file(self.content(rest[0]), stop=0)
            time.sleep(60)
            return None
        if kind == "redirect":
            return self.send_status(302, [("Location", "/" + "/".join(rest))])
        if kind == "loop":
            return self.send_status(302, [("Location", "/loop")])
        if kind == "to-file":
            return self.send_status(302, [("Location", "file:///etc/hostname")])
        if kind == "git":
            return self.git(b"")
        return self.send_status(404)


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        pass  # clients that hang up are part of the tests


server = Server(("127.0.0.1", 0), Handler)
server.daemon_threads = True
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdout.write(f"{server.server_port}\n")
sys.stdout.flush()
sys.stdin.read()
os._exit(0)
