#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A registry on loopback that does what a real one does rarely. Prints its port, serves until standard
input ends, and writes a line a request to the file that it is given: method, path, what authorization came
("none", "basic", "bearer"), Range and Content-Range.

The first component of a repository says how it behaves. Every repository has the blob that body() makes.
"""
import base64
import hashlib
import http.server
import json
import os
import sys
import threading
import time
import urllib.parse

USER, PASSWORD, IDENTITY = "test-user", "TEST-password-7f3a", "TEST-identity-91c5"
INDEX = "application/vnd.oci.image.index.v1+json"


def body():
    return bytes(i * 7 % 251 for i in range(3000000 // 12)) * 12


BODY = body()
log = open(sys.argv[1], "a", buffering=1)
lock = threading.Lock()
seen, uploads, manifests, tokens = {}, {}, {}, {}


def an_index(digest):
    platform = {"os": "linux", "architecture": "amd64"}
    item = {"mediaType": INDEX, "size": 2, "digest": "sha256:" + digest, "platform": platform}
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [item]}).encode()


def deep_index(what):
    """An index of an index of an index."""
    below = an_index("b" * 64)
    above = an_index(hashlib.sha256(below).hexdigest())
    return below if what.startswith("sha256:") else above


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, content=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def cut(self, content, n):
        """Announces all and sends n bytes."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:n])
        self.wfile.flush()
        self.close_connection = True

    def read(self, most=1 << 40):
        left, parts = min(int(self.headers.get("Content-Length", 0)), most), []
        while left > 0:
            data = self.rfile.read(min(left, 1 << 20))
            if not data:
                break
            parts.append(data)
            left -= len(data)
        return b"".join(parts)

    def first(self, what, times=1):
        with lock:
            seen[what] = seen.get(what, 0) + 1
            return seen[what] <= times

    def allowed(self, repository):
        """Bearer, with tokens that are good for one request."""
        token = self.headers.get("Authorization", "")[7:]
        with lock:
            if tokens.get(token, 0) > 0:
                tokens[token] -= 1
                return True
        self.read()
        realm = f"http://{self.headers['Host']}/{'oauth' if repository.startswith('oauth') else 'token'}"
        self.reply(401, WWW_Authenticate=f'Bearer realm="{realm}",service="test",scope="repository:{repository}:pull"')
        return False

    def oauth(self):
        """A POST with a refresh token (distribution, "OAuth2 Token Authentication")."""
        form = urllib.parse.parse_qs(self.read().decode())
        wanted = {"grant_type": ["refresh_token"], "refresh_token": [IDENTITY], "service": ["test"], "client_id": ["kbuild"]}
        good = self.command == "POST" and all(form.get(k) == v for k, v in wanted.items())
        if not good or not form.get("scope", [""])[0].startswith("repository:oauth/x:pull"):
            return self.reply(400)
        with lock:
            token = f"TEST-token-{len(tokens)}"
            tokens[token] = 1
        return self.reply(200, json.dumps({"access_token": token, "expires_in": 300}).encode())

    def token(self):
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != expected:
            return self.reply(401)
        with lock:
            token = f"TEST-token-{len(tokens)}"
            tokens[token] = 1
        return self.reply(200, json.dumps({"token": token, "expires_in": 300}).encode())

    def upload(self, kind, repository, rest):
        identity = rest.split("?")[0]
        here = f"/v2/{repository}/blobs/uploads/"
        if self.command == "POST":
            if "mount=" in rest and kind == "mount":
                return self.reply(201)
            name = str(len(uploads))
            uploads[name] = bytearray()
            return self.reply(202, Location=here + name)
        if identity not in uploads:
            self.read()
            return self.reply(404)
        data = uploads[identity]
        if self.command == "PUT" and kind == "cut" and self.first(identity):
            data += self.read(400000)
            self.close_connection = True
            return None
        if self.command in ("PATCH", "PUT"):
            start = self.headers.get("Content-Range", f"{len(data)}-").split("-")[0]
            more = self.read()
            if int(start) != len(data):
                return self.reply(416, Range=f"0-{max(len(data) - 1, 0)}", Location=here + identity)
            data += more
        if self.command == "PUT":
            good = rest.endswith(hashlib.sha256(data).hexdigest())
            return self.reply(201 if good else 400)
        return self.reply(204 if self.command == "GET" else 202, Range=f"0-{max(len(data) - 1, 0)}", Location=here + identity)

    def blob(self, kind, digest):
        if digest != "sha256:" + hashlib.sha256(BODY).hexdigest():
            return self.reply(404)
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        if self.command == "HEAD":
            return self.reply(200)
        if kind == "redirect":
            return self.reply(307, Location=f"http://localhost:{self.server.server_port}/elsewhere")
        if kind == "user":
            return self.reply(307, Location=f"http://a:b@localhost:{self.server.server_port}/elsewhere")
        if kind == "file":
            return self.reply(307, Location="file:///etc/hostname")
        if kind == "loop":
            return self.reply(302, Location=self.path)
        if kind == "lie":
            return self.reply(200, b"?" + BODY[1:])
        if kind == "long":
            return self.reply(200, BODY + b"more")
        if kind in ("broken", "whole", "other") and self.first(kind):
            return self.cut(BODY, len(BODY) // 2)
        if kind == "other" and start:
            start -= 1
        if start and kind != "whole":
            rest = BODY[start:]
            return self.reply(206, rest, Content_Range=f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
        return self.reply(200, BODY)

    def huge(self):
        """100 MB, as long as somebody takes them."""
        self.send_response(200)
        self.send_header("Content-Type", INDEX)
        self.end_headers()
        self.close_connection = True
        for _ in range(100):
            self.wfile.write(b" " * 1000000)

    def referrers(self, rest):
        d = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 2, "artifactType": "application/x-test"}
        if "page=2" in rest:
            found = [{**d, "digest": "sha256:" + "2" * 64}, {**d, "digest": "sha256:" + "3" * 64, "artifactType": "other"}]
            return self.reply(200, json.dumps({"manifests": found}).encode(), Content_Type=INDEX)
        found = [{**d, "digest": "sha256:" + "1" * 64}, {"no": "descriptor"}]
        return self.reply(200, json.dumps({"manifests": found}).encode(), Content_Type=INDEX, Link='</v2/refer/x/referrers/a?page=2>; rel="next"')

    def handle_any(self):
        authorization = self.headers.get("Authorization", "none").split(" ")[0].lower()
        log.write(f"{self.command} {self.path} {authorization} {self.headers.get('Range', '-')} {self.headers.get('Content-Range', '-')}\n")
        if self.path.startswith("/token"):
            return self.token()
        if self.path.startswith("/oauth"):
            return self.oauth()
        if self.path == "/elsewhere":
            return self.reply(200, BODY)
        repository, _, rest = self.path[4:].partition("/blobs/" if "/blobs/" in self.path else "/manifests/" if "/manifests/" in self.path else "/referrers/")
        kind = repository.split("/")[0]
        if kind in ("bearer", "oauth") and not self.allowed(repository):
            return None
        if kind == "echo":
            if "Authorization" not in self.headers:
                return self.reply(401, WWW_Authenticate='Basic realm="test"')
            said = f"you sent {self.headers['Authorization']}, which is {PASSWORD}"
            return self.reply(403, json.dumps({"errors": [{"code": "DENIED", "message": said}]}).encode())
        if kind in ("stall", "stallpush"):
            if "Authorization" not in self.headers:
                return self.reply(401, WWW_Authenticate='Basic realm="test"')
            if kind == "stallpush" and self.command == "GET":
                return self.reply(404)
            time.sleep(60)
        if kind == "hang":
            time.sleep(20)
            self.close_connection = True
            return None
        if kind == "drip":
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b" ")
                time.sleep(0.2)
            return None
        if kind == "busy" and self.first("busy", 2):
            return self.reply(429, Retry_After="1") if seen["busy"] == 1 else self.reply(503)
        if "/referrers/" in self.path:
            return self.referrers(rest) if kind == "refer" else self.reply(404)
        if kind in ("racy", "wrong") and self.command == "PUT":
            self.rfile.read(int(self.headers["Content-Length"]))
            if kind == "racy" and not self.first("racy", 2):
                return self.reply(201)
            return self.reply(400, b'{"errors": [{"code": "DIGEST_INVALID", "message": "no"}]}')
        if "/manifests/" in self.path and kind == "huge":
            return self.huge()
        if "/manifests/" in self.path:
            content = {"deep": deep_index(rest), "self": an_index("a" * 64), "json": b'{"schemaVersion": 2', "both": b'{"manifests": [], "layers": []}'}.get(kind, b"{}")
            return self.reply(200, content, Content_Type=INDEX)
        if rest.startswith("uploads/"):
            return self.upload(kind, repository, rest[8:])
        return self.blob(kind, rest)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = handle_any


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


server = Server(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
server.serve_forever()
