#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A registry on loopback that has one image for amd64 under every name, with a fault. Prints its port, serves
until it is killed. The first component of a repository says what is wrong; what is looked up by a tag is fine.

  good        nothing
  negative    the layer's size is -1
  short, long the layer has more, or fewer, bytes than its size says
  other       the layer's bytes are others than its digest says
  lost        the manifest of this digest is not there
  lost-layer  nor is the layer
  changed     the manifest's bytes are others
  denied      the manifest of this digest is shown to nobody
  busy        the layer is answered with status 503
  away        the connection ends without an answer
"""
import gzip
import hashlib
import http.server
import io
import json
import tarfile

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def make_layer():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo("pause")
        member.size = 5
        tar.addfile(member, io.BytesIO(b"text\n"))
    return gzip.compress(out.getvalue(), mtime=0)


LAYER = make_layer()
CONFIG = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
SIZES = {"negative": -1, "short": len(LAYER) - 1, "long": len(LAYER) + 1}


def manifest_of(fault):
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest_of(LAYER),
             "size": SIZES.get(fault, len(LAYER))}
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(CONFIG), "size": len(CONFIG)}
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer],
                       "annotations": {"fault": fault}}).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, content=b"", kind="application/octet-stream"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def send_manifest(self, fault, by_digest):
        status = {"lost": 404, "denied": 403}.get(fault, 200) if by_digest else 200
        content = manifest_of(fault) + (b" " if by_digest and fault == "changed" else b"")
        self.reply(status, content if status == 200 else b"", MANIFEST)

    def send_layer(self, fault):
        if fault == "away":
            self.close_connection = True
            return
        status = {"lost-layer": 404, "busy": 503}.get(fault, 200)
        content = bytes(len(LAYER)) if fault == "other" else LAYER
        self.reply(status, content if status == 200 else b"")

    def do_GET(self):
        parts = self.path.split("/")  # /v2/FAULT/NAME/manifests|blobs/WHAT
        if len(parts) < 6:
            return self.reply(200, b"{}", "application/json")
        fault, kind, what = parts[2], parts[4], parts[5]
        if kind == "manifests":
            return self.send_manifest(fault, what.startswith("sha256:"))
        if what == digest_of(CONFIG):
            return self.reply(200, CONFIG)
        return self.send_layer(fault)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
