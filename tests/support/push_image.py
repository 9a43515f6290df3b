#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Pushes an index of images, one for each architecture, to a registry over plain http; prints the
# digest of each image's manifest.
# usage: push_image.py HOST:PORT/REPOSITORY:TAG ARCHITECTURE=TEXT...
# Each image has two layers: /pause (executable, TEXT), /etc/text, a link and /etc/gone; then the
# whiteout of /etc/gone. ARCHITECTURE+hostile: a layer with a name outside. One image alone with
# "alone:" before its architecture: without an index. ARCHITECTURE/VARIANT: the index
# names that variant. CREATED in the environment: when their configs
# say that they were made.
import gzip, hashlib, http.client, io, json, os, sys, tarfile
from urllib.parse import urlsplit

place, tag = sys.argv[1].rsplit(":", 1)
host, repository = place.split("/", 1)


def request(method, path, body=None, headers={}):
    c = http.client.HTTPConnection(host, timeout=20)
    c.request(method, path, body, headers)
    r = c.getresponse()
    r.read()
    assert r.status < 300, (method, path, r.status)
    return r


def blob(data):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    at = request("POST", f"/v2/{repository}/blobs/uploads/").getheader("Location")
    parts = urlsplit(at)
    request("PUT", f"{parts.path}?{parts.query + '&' if parts.query else ''}digest={digest}", data,
            {"Content-Type": "application/octet-stream"})
    return {"digest": digest, "size": len(data)}


def manifest(document, type_, name=None):
    data = json.dumps(document).encode()
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    request("PUT", f"/v2/{repository}/manifests/{name or digest}", data, {"Content-Type": type_})
    return {"mediaType": type_, "digest": digest, "size": len(data)}


def layer(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, mode, content in members:
            m = tarfile.TarInfo(name)
            m.mode, m.mtime = mode, 1600000000
            if content is None:
                m.type = tarfile.DIRTYPE
            elif isinstance(content, tuple):
                m.type, m.linkname = tarfile.SYMTYPE, content[0]
            else:
                m.size = len(content)
            tar.addfile(m, io.BytesIO(content) if isinstance(content, bytes) else None)
    data = out.getvalue()
    return {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **blob(gzip.compress(data, mtime=0))}, \
        "sha256:" + hashlib.sha256(data).hexdigest()


MANIFEST = "application/vnd.oci.image.manifest.v1+json"
entries = []
for word in sys.argv[2:]:
    architecture, text = word.split("=", 1)
    alone = architecture.startswith("alone:")
    architecture = architecture[6:] if alone else architecture
    hostile = architecture.endswith("+hostile")
    architecture, _, variant = architecture.split("+")[0].partition("/")
    layers = [layer([("etc", 0o755, None), ("etc/text", 0o644, text.encode()), ("etc/gone", 0o644, b"x"),
                     ("pause", 0o755, text.encode()), ("link", 0o777, ("/nowhere",))]),
              layer([("../out" if hostile else "etc/.wh.gone", 0o644, b"")])]
    config = {"architecture": architecture, "os": "linux", "created": os.environ.get("CREATED", "2024-06-12T19:49:56.123Z"),
              "config": {"Entrypoint": ["/pause"]}, "rootfs": {"type": "layers", "diff_ids": [d for _, d in layers]}}
    c = {"mediaType": "application/vnd.oci.image.config.v1+json", **blob(json.dumps(config).encode())}
    m = {"schemaVersion": 2, "mediaType": MANIFEST, "config": c, "layers": [l for l, _ in layers]}
    entry = manifest(m, MANIFEST, tag if alone else None)
    print(architecture, entry["digest"])
    if not alone:
        entries.append({**entry, "platform": {"architecture": architecture, "os": "linux",
                                                **({"variant": variant} if variant else {})}})
if entries:
    index = "application/vnd.oci.image.index.v1+json"
    manifest({"schemaVersion": 2, "mediaType": index, "manifests": entries}, index, tag)
