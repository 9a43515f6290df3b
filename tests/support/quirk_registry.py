#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A registry on loopback that keeps what it is given, with the habits of real ones: the first component of a
repository's name says whose. Prints its port, serves until standard input ends, and writes a line a request
to the file that it is given: method, path, status, Content-Range, length of the body.

QUIRKS says what each habit is, and where it was reported. One user may write: test-user.
"""
import base64
import hashlib
import http.server
import json
import os
import re
import sys
import threading
import urllib.parse

USER, PASSWORD = "test-user", "TEST-password-7f3a"
INDEX = "application/vnd.oci.image.index.v1+json"
MIB = 1 << 20

# What is different from the specification's registry without a referrers API.
QUIRKS = {
    "plain": {},
    # PATCHes over 4 MiB with a Content-Range are 416 (regclient#961, rust-oci-client#35).
    "ghcr": {"patch_max": 4 * MIB},
    # The same, and no request is longer than 5 MiB, as behind many front ends.
    "narrow": {"patch_max": 4 * MIB, "body_max": 5 * MIB},
    # A PUT with a body is refused: chunks only.
    "chunks": {"put_body": 400},
    # The Range in the answer to a PATCH is that of the chunk.
    "zot": {"body_max": 5 * MIB, "range_of_chunk": True, "api": "subject"},
    # OCI-Chunk-Min-Length
    "least": {"put_body": 413, "least": 5 * MIB},
    # The connection ends in the middle of a long body, without an answer.
    "reset": {"reset": 5 * MIB},
    # What does not exist is 401, whoever asks (oc-mirror#273, cosign#2973).
    "quay": {"auth": "bearer", "missing": 401, "healthcheck": True},
    "dockerhub": {"auth": "bearer", "missing": 401},
    "harbor": {"auth": "bearer", "missing": 401, "api": "subject"},
    "quota": {"auth": "bearer", "missing": 401, "quota": True},
    # The token service itself gives nothing for what does not exist.
    "gitlab": {"auth": "bearer", "missing": 401, "no_token": 403, "types": True, "tag_is_digest": True},
    # Basic; what does not exist is 403 without a challenge.
    "artifactory": {"auth": "basic", "missing": 403},
    # The API: 406 (go-containerregistry#2026), an empty index without OCI-Subject (sigstore-js#1187), HTML.
    "api406": {"api": 406},
    "apiempty": {"api": "empty"},
    "apihtml": {"api": "html"},
    "api": {"api": "subject"},
    # Descriptors come without annotations.
    "apibare": {"api": "bare"},
    # A tag is written once, also with the same bytes (kots#5940).
    "immutable": {"immutable": True},
    # Documents about others are refused, the rest is not.
    "nosubject": {"no_subject": True},
    # A front end answers instead of the registry now and then (kubevirt#17064).
    "healthcheck": {"healthcheck": True},
    # The referrers have no end: they page for ever, 3 MB each.
    "endless": {"api": "endless"},
    # HEAD is refused by a front end that knows GET, PUT, POST and PATCH only.
    "nohead": {"nohead": True},
    # One blob is refused whatever is done: the one that is longer than 1 MiB.
    "picky": {"body_max": MIB, "patch_max": 1},
}
KNOWN_TYPES = ("application/vnd.oci.image.", "application/vnd.docker.", "application/octet-stream")

log = open(sys.argv[1], "a", buffering=1)
lock = threading.RLock()
blobs, manifests, tags, uploads, seen = {}, {}, {}, {}, {}


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, content=b"", **headers):
        log.write(f"{self.command} {self.path} {status} {self.headers.get('Content-Range', '-')} {self.headers.get('Content-Length', '-')}\n")
        if not self.taken:
            self.close_connection = True
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def refuse(self, status, code, message="no"):
        self.drain()
        self.reply(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode(), Content_Type="application/json")

    def body(self):
        self.taken = True
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def drain(self):
        left = int(self.headers.get("Content-Length", 0)) if not self.taken else 0
        while left > 0:
            left -= len(self.rfile.read(min(left, MIB))) or left
        self.taken = True

    def first(self, what):
        with lock:
            seen[what] = seen.get(what, 0) + 1
            return seen[what] == 1

    # ---- who is it ----
    def user(self):
        """The user, "" for anonymous, None for a wrong password."""
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return ""
        text = base64.b64decode(value).decode()
        if scheme == "Basic":
            return USER if text == f"{USER}:{PASSWORD}" else None
        return json.loads(text)["user"]

    def token(self, query):
        user, asked = self.user(), query.get("scope", [""])[0]
        if user is None:
            return self.refuse(401, "UNAUTHORIZED")
        name = asked.split(":")[1] if ":" in asked else ""
        quirk = QUIRKS.get(name.split("/")[0], {})
        if asked and quirk.get("no_token") and not self.exists(name) and not (user and "push" in asked):
            return self.refuse(quirk["no_token"], "DENIED", "access forbidden")
        text = base64.b64encode(json.dumps({"user": user}).encode()).decode()
        return self.reply(200, json.dumps({"token": text, "expires_in": 300}).encode(), Content_Type="application/json")

    def challenge(self, status=401):
        kind = self.quirk.get("auth")
        value = 'Basic realm="test"' if kind == "basic" else f'Bearer realm="http://{self.headers["Host"]}/token",service="test"'
        self.drain()
        self.reply(status, b'{"errors": [{"code": "UNAUTHORIZED"}]}', WWW_Authenticate=value)

    def exists(self, name):
        with lock:
            return bool(manifests.get(name) or blobs.get(name) or name in uploads.values())

    def allowed(self):
        writes = self.command not in ("GET", "HEAD")
        if not self.quirk.get("auth"):
            return True
        user = self.user()
        bearer = self.headers.get("Authorization", "").startswith("Bearer")
        if user is None or (self.quirk["auth"] == "bearer" and not bearer) or (writes and not user):
            self.challenge()
            return False
        if not writes and not self.exists(self.name):
            self.challenge() if self.quirk["missing"] == 401 else self.refuse(403, "DENIED")
            return False
        return True

    # ---- uploads ----
    def upload(self, rest):
        here = f"/v2/{self.name}/blobs/uploads/"
        identity, _, query = rest.partition("?")
        length = int(self.headers.get("Content-Length", 0))
        if self.command == "POST":
            if self.quirk.get("healthcheck") and self.first("POST " + self.name):
                return self.reply(200, b"Healthcheck requested", Content_Type="text/plain")
            with lock:
                identity = f"u{len(seen)}-{len(uploads)}-{os.urandom(4).hex()}"
                uploads[identity] = self.name
                blobs.setdefault(identity, bytearray())
            extra = {"OCI_Chunk_Min_Length": str(self.quirk["least"])} if "least" in self.quirk else {}
            return self.reply(202, Location=here + identity, **extra)
        if uploads.get(identity) != self.name:
            return self.refuse(404, "BLOB_UPLOAD_UNKNOWN")
        data, where = blobs[identity], here + identity
        if self.command == "GET":
            return self.reply(204, Range=f"0-{max(len(data) - 1, 0)}", Location=where)
        if length > self.quirk.get("body_max", 1 << 40):
            return self.refuse(413, "SIZE_INVALID")
        if "reset" in self.quirk and length > self.quirk["reset"]:
            self.rfile.read(self.quirk["reset"] // 2)
            log.write(f"{self.command} {self.path} reset\n")
            self.close_connection = True
            return None
        given = self.headers.get("Content-Range")
        if self.command == "PUT" and length and "put_body" in self.quirk:
            return self.refuse(self.quirk["put_body"], "BLOB_UPLOAD_INVALID")
        if self.command == "PATCH" and given:
            start, end = map(int, given.split("-"))
            if start != len(data) or end - start + 1 != length or length > self.quirk.get("patch_max", 1 << 40):
                self.drain()
                return self.reply(416, Range=f"0-{max(len(data) - 1, 0)}", Location=where)
            if "least" in self.quirk and seen.get("short " + identity):
                return self.refuse(416, "BLOB_UPLOAD_INVALID")
            if length < self.quirk.get("least", 0):
                seen["short " + identity] = 1  # only the last one may be
        data += self.body()
        if self.command == "PATCH":
            start = len(data) - length if self.quirk.get("range_of_chunk") else 0
            last = length - 1 if self.quirk.get("range_of_chunk") else len(data) - 1
            return self.reply(202, Range=f"{0 if start else start}-{last}", Location=where)
        wanted = urllib.parse.parse_qs(query).get("digest", [""])[0]
        if digest_of(data) != wanted:
            return self.refuse(400, "DIGEST_INVALID")
        with lock:
            blobs.setdefault(self.name, {})[wanted] = bytes(data)
            del uploads[identity], blobs[identity]
        return self.reply(201, Location=f"/v2/{self.name}/blobs/{wanted}", Docker_Content_Digest=wanted)

    def blob(self, digest):
        data = blobs.get(self.name, {}).get(digest)
        if data is None:
            return self.refuse(404, "BLOB_UNKNOWN")
        headers = {"Docker_Content_Digest": digest, "Content_Type": "application/octet-stream"}
        if self.command == "HEAD":
            return self.reply(200, Content_Length=str(len(data)), **headers)
        start = self.headers.get("Range")
        if start:
            n = int(start[6:-1])
            return self.reply(206, data[n:], Content_Range=f"bytes {n}-{len(data) - 1}/{len(data)}", **headers)
        return self.reply(200, data, **headers)

    # ---- manifests ----
    def check(self, content):
        """Why it is refused, or None."""
        m = json.loads(content)
        have = blobs.get(self.name, {})
        for d in ([m["config"]] if "config" in m else []) + m.get("layers", []):
            if d["digest"] not in have:
                return "MANIFEST_BLOB_UNKNOWN"
        for d in m.get("manifests", []):
            if d["digest"] not in manifests.get(self.name, {}):
                return "MANIFEST_UNKNOWN"
        types = [m.get("artifactType")] + [d.get("mediaType") for d in [m.get("config", {})] + m.get("layers", [])]
        if self.quirk.get("types") and any(t and not t.startswith(KNOWN_TYPES) for t in types):
            return "MANIFEST_INVALID"
        return "MANIFEST_INVALID" if self.quirk.get("no_subject") and "subject" in m else None

    def put(self, what):
        content = self.body()
        digest = digest_of(content)
        if self.quirk.get("tag_is_digest") and re.fullmatch("sha256-[0-9a-f]{64}", what):
            what = what.replace("-", ":")
        if what.startswith("sha256:") and what != digest:
            return self.refuse(400, "DIGEST_INVALID")
        why = self.check(content)
        if why:
            return self.refuse(400, why)
        with lock:
            named = tags.setdefault(self.name, {})
            if not what.startswith("sha256:"):
                if self.quirk.get("immutable") and what in named:
                    return self.refuse(400, "TAG_INVALID", "the tag is immutable")
                named[what] = digest
            manifests.setdefault(self.name, {})[digest] = (self.headers.get("Content-Type"), content)
        subject = json.loads(content).get("subject", {}).get("digest")
        extra = {"OCI_Subject": subject} if subject and self.quirk.get("api") in ("subject", "bare") else {}
        return self.reply(201, Docker_Content_Digest=digest, Location=f"/v2/{self.name}/manifests/{digest}", **extra)

    def manifest(self, what):
        if self.command == "PUT":
            return self.put(what)
        if self.quirk.get("healthcheck") and self.command == "GET" and self.first("GET " + self.name):
            return self.reply(200, b"Healthcheck requested", Content_Type="text/plain")
        if self.quirk.get("tag_is_digest") and re.fullmatch("sha256-[0-9a-f]{64}", what):
            what = what.replace("-", ":")
        with lock:
            digest = what if what.startswith("sha256:") else tags.get(self.name, {}).get(what)
            found = manifests.get(self.name, {}).get(digest)
        if not found:
            return self.refuse(404, "MANIFEST_UNKNOWN")
        headers = {"Docker_Content_Digest": digest, "Content_Type": found[0]}
        return self.reply(200, found[1] if self.command == "GET" else b"", **headers)

    def referrers(self, rest):
        kind, digest = self.quirk.get("api"), rest.split("?")[0]
        empty = {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
        if kind is None:
            return self.refuse(404, "NOT_FOUND")
        if kind == "html":
            return self.reply(200, b"<html>hello</html>", Content_Type="text/html")
        if kind == "empty":
            return self.reply(200, json.dumps(empty).encode(), Content_Type=INDEX)
        if kind == "endless":
            one = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 2, "digest": "sha256:" + "1" * 64, "artifactType": "application/vnd.kbuild.signature.v1", "annotations": {"x": "y" * 200}}
            content = json.dumps({**empty, "manifests": [one] * 8000}).encode()
            return self.reply(200, content, Content_Type=INDEX, Link=f'<{self.path.split("?")[0]}?n={os.urandom(4).hex()}>; rel="next"')
        if kind not in ("subject", "bare"):
            return self.refuse(kind, "UNSUPPORTED")
        found = []
        with lock:
            for other, (media_type, content) in manifests.get(self.name, {}).items():
                m = json.loads(content)
                if m.get("subject", {}).get("digest") == digest:
                    d = {"mediaType": media_type, "digest": other, "size": len(content), "artifactType": m.get("artifactType") or m["config"]["mediaType"]}
                    if kind == "subject":
                        d["annotations"] = m.get("annotations", {})
                    found.append(d)
        return self.reply(200, json.dumps({**empty, "manifests": found}).encode(), Content_Type=INDEX)

    def handle_any(self):
        self.taken = not int(self.headers.get("Content-Length", 0))
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/token":
            return self.token(urllib.parse.parse_qs(url.query))
        if url.path == "/v2/":
            self.quirk = {"auth": "basic"} if self.headers.get("Authorization", "Basic").startswith("Basic") else {}
            return self.reply(200, b"{}") if self.user() else self.challenge()
        found = re.fullmatch("/v2/(.+?)/(blobs/uploads|blobs|manifests|referrers|tags)/(.*)", self.path)
        if not found:
            return self.refuse(404, "NAME_INVALID")
        self.name, what, rest = found.groups()
        self.quirk = QUIRKS.get(self.name.split("/")[0], {})
        if self.command == "HEAD" and self.quirk.get("nohead"):
            return self.refuse(405, "UNSUPPORTED")
        if what != "tags" and not self.allowed():
            return None
        if what == "tags":
            return self.reply(200, json.dumps({"name": self.name, "tags": sorted(tags.get(self.name, {}))}).encode())
        if self.quirk.get("quota") and self.command == "PUT" and what == "blobs/uploads":
            return self.refuse(403, "DENIED", "adding 1.0 MiB of storage resource will exceed the configured upper limit of 1.0 MiB")
        return {"blobs/uploads": self.upload, "blobs": self.blob, "manifests": self.manifest, "referrers": self.referrers}[what](rest)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = handle_any


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 50

    def handle_error(self, *_):
        pass


server = Server(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
server.serve_forever()
