#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The registry client (through tests/support/registry_client.c) with clients that did not come from us: what
# one pushes the other pulls. Debian's docker-registry on loopback.

setup_file() {
  for tool in docker-registry skopeo umoci buildah; do
    command -v "$tool" >/dev/null || { echo "# SKIPPED: $tool is not installed" >&3; export MISSING=$tool; return 0; }
  done
  export WORK=$BATS_FILE_TMPDIR HOME=$BATS_FILE_TMPDIR
  for _ in 1 2 3 4 5; do
    PORT=$((20000 + RANDOM % 20000))
    cat >"$WORK/config.yml" <<X
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $WORK/store}}
http: {addr: "127.0.0.1:$PORT"}
X
    docker-registry serve "$WORK/config.yml" >"$WORK/registry.log" 2>&1 3>&- &
    REGISTRY_PID=$!
    for _ in $(seq 50); do
      kill -0 "$REGISTRY_PID" 2>/dev/null || break
      (: <"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null && break 2
      sleep 0.1
    done
    kill "$REGISTRY_PID" 2>/dev/null || true
  done
  export PORT REGISTRY_PID R=localhost:$PORT
  make_image
}

# An image of two layers made by umoci.
make_image() {
  cd "$WORK" || return 1
  umoci init --layout made
  umoci new --image made:one
  mkdir -p tree/etc
  echo hello >tree/etc/greeting
  umoci insert --rootless --image made:one tree/etc /etc
  head -c 3000000 /dev/urandom >tree/large
  umoci insert --rootless --image made:one tree/large /large
}

teardown_file() {
  [ -z "${REGISTRY_PID:-}" ] || kill "$REGISTRY_PID"
  # What an ordinary user's buildah leaves belongs to others.
  [ -n "${MISSING:-}" ] || buildah unshare rm -rf "$WORK/b" "$WORK/br" "$WORK/b2" "$WORK/br2" 2>/dev/null || true
}

setup() {
  [ -z "${MISSING:-}" ] || skip "$MISSING is not installed"
  cd "$WORK" || return 1
  CLIENT=${REGISTRY_CLIENT:-$BATS_TEST_DIRNAME/../../obj/registry_client}
  [ -x "$CLIENT" ] || { echo "no $CLIENT: run make e2e" >&2; return 1; }
}

digest_of() { # skopeo reference
  skopeo inspect --tls-verify=false --format '{{.Digest}}' "$1"
}

digest_here() { # layout
  sed -n 's/.*"digest": *"\(sha256:[0-9a-f]*\)".*/\1/p' "$1/index.json" | head -n 1
}

@test "what we push, skopeo and umoci read" {
  "$CLIENT" push made "$R/ours/image:v1"
  skopeo copy --src-tls-verify=false "docker://$R/ours/image:v1" oci:by-skopeo:one
  umoci unpack --rootless --image by-skopeo:one unpacked
  cmp tree/etc/greeting unpacked/rootfs/etc/greeting
  cmp tree/large unpacked/rootfs/large
}

@test "what we push, buildah reads" {
  "$CLIENT" push made "$R/ours/image:v2"
  buildah --root "$WORK/b" --runroot "$WORK/br" --storage-driver vfs pull --tls-verify=false "docker://$R/ours/image:v2" \
    || skip "buildah cannot keep images here"
  buildah --root "$WORK/b" --runroot "$WORK/br" --storage-driver vfs images | grep -F "$R/ours/image"
}

@test "what skopeo pushes, we read: OCI" {
  skopeo copy --dest-tls-verify=false oci:made:one "docker://$R/theirs/oci:v1"
  "$CLIENT" pull "$R/theirs/oci:v1" pulled-oci
  [ "$(digest_of "docker://$R/theirs/oci:v1")" = "$(digest_of oci:pulled-oci:pulled)" ]
  umoci unpack --rootless --image pulled-oci:pulled unpacked-oci
  cmp tree/large unpacked-oci/rootfs/large
}

@test "what skopeo pushes, we read: docker's schema 2" {
  skopeo copy --dest-tls-verify=false --format v2s2 oci:made:one "docker://$R/theirs/docker:v1"
  "$CLIENT" pull "$R/theirs/docker:v1" pulled-docker
  [ "$(digest_of "docker://$R/theirs/docker:v1")" = "$(digest_here pulled-docker)" ]
  grep -q 'vnd.docker.distribution.manifest.v2+json' pulled-docker/index.json
}

@test "an index with all its images goes both ways" {
  "$CLIENT" push made "$R/ours/list:one"
  digest=$(digest_of "docker://$R/ours/list:one")
  size=$(stat -c %s "made/blobs/sha256/${digest#sha256:}")
  mkdir -p index && cp -r made/blobs made/oci-layout index/
  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"%s","size":%s,"platform":{"architecture":"amd64","os":"linux"}}]}' \
    "$digest" "$size" >list
  sum=$(sha256sum list | cut -d' ' -f1)
  cp list "index/blobs/sha256/$sum"
  printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"sha256:%s","size":%s}]}' \
    "$sum" "$(stat -c %s list)" >index/index.json
  "$CLIENT" push index "$R/ours/list:all"
  skopeo copy --all --src-tls-verify=false "docker://$R/ours/list:all" oci:list-by-skopeo:all
  [ "$(skopeo inspect --raw --tls-verify=false "docker://$R/ours/list:all" | sha256sum | cut -d' ' -f1)" = "$sum" ]
  "$CLIENT" pull "$R/ours/list@sha256:$sum" list-pulled
  cmp list "list-pulled/blobs/sha256/$sum"
  [ -f "list-pulled/blobs/sha256/${digest#sha256:}" ]
}

@test "a second push of what is there sends no blob" {
  head -c 100000 /dev/urandom >blob
  run "$CLIENT" push-blob "$R/ours/blob" blob
  [ "$status" -eq 0 ]
  [[ $output == *" sent" ]]
  run "$CLIENT" push-blob "$R/ours/blob" blob
  [ "$status" -eq 0 ]
  [[ $output == *" known" ]]
}

# Two layers as Dockerfiles make them: a merged /usr below, and above it names that lead through its links.
make_layers() {
  python3 - <<'X'
import io, tarfile

def add(tar, name, content=None, link=None, **pax):
    info = tarfile.TarInfo(name)
    info.mode, info.pax_headers = 0o755, pax
    if link:
        info.type, info.linkname = tarfile.SYMTYPE, link
    elif content is None:
        info.type = tarfile.DIRTYPE
    else:
        info.size = len(content)
    tar.addfile(info, io.BytesIO(content or b""))

# cap_net_raw=ep, revision 2 (capabilities(7)), as a string of pax
capability = b"\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0".decode("latin-1")
with tarfile.open("below.tar", "w", format=tarfile.PAX_FORMAT) as tar:
    for name in ("usr", "usr/lib", "usr/bin", "var", "opaque"):
        add(tar, name)
    add(tar, "lib", link="usr/lib")
    add(tar, "bin", link="/usr/bin")
    add(tar, "usr/lib/old", b"old")
    add(tar, "opaque/old", b"old")
    add(tar, "usr/bin/ping", b"ping", **{"SCHILY.xattr.security.capability": capability})
    add(tar, "usr/bin/noted", b"noted", **{"SCHILY.xattr.user.note": "kept"})
with tarfile.open("above.tar", "w", format=tarfile.PAX_FORMAT) as tar:
    add(tar, "lib/new", b"new")
    add(tar, "lib/.wh.old", b"")
    add(tar, "bin/tool", b"tool")
    add(tar, "opaque")
    add(tar, "opaque/.wh..wh..opq", b"")
    add(tar, "opaque/new", b"new")
    add(tar, "/opt/absolute", b"absolute")
with tarfile.open("hostile.tar", "w") as tar:
    add(tar, "out", link="/not/there")
    add(tar, "out/file", b"x")
X
}

@test "layers through links, with attributes and whiteouts, unpack as umoci unpacks them" {
  make_layers
  umoci init --layout layers
  umoci new --image layers:one
  umoci raw add-layer --image layers:one below.tar
  umoci raw add-layer --image layers:one above.tar
  skopeo copy --dest-tls-verify=false oci:layers:one "docker://$R/theirs/layers:v1"
  "$CLIENT" unpack "$R/theirs/layers:v1" rootfs cache
  umoci raw unpack --rootless --image layers:one theirs
  diff <(cd theirs && find . -mindepth 1 -printf '%P %y %l\n' | sort) <(cd rootfs && find . -mindepth 1 -printf '%P %y %l\n' | sort)
  diff -r --no-dereference theirs rootfs
  [ "$(cat rootfs/usr/lib/new rootfs/usr/bin/tool rootfs/opt/absolute rootfs/opaque/new)" = newtoolabsolutenew ]
  python3 - <<'X'
import errno, os
try:
    assert os.getxattr("rootfs/usr/bin/noted", "user.note") == b"kept"
    if os.getuid() == 0:
        assert os.getxattr("rootfs/usr/bin/ping", "security.capability")[:6] == b"\1\0\0\2\0\x20"
except OSError as e:
    assert e.errno == errno.ENOTSUP, e
X
}

@test "an image that buildah commits unpacks as it was made" {
  run buildah --root "$WORK/b2" --runroot "$WORK/br2" --storage-driver vfs from --name made scratch
  [ "$status" -eq 0 ] || skip "buildah cannot keep images here"
  b() { buildah --root "$WORK/b2" --runroot "$WORK/br2" --storage-driver vfs "$@"; }
  b copy made tree/etc/greeting /etc/greeting
  b commit --quiet --rm made first || skip "buildah cannot commit here"
  b from --name again first
  b copy again tree/large /usr/share/large
  b commit --quiet --rm --tls-verify=false again "docker://$R/theirs/buildah:v1" || skip "buildah cannot push here"
  "$CLIENT" unpack "$R/theirs/buildah:v1" by-buildah cache
  cmp tree/etc/greeting by-buildah/etc/greeting
  cmp tree/large by-buildah/usr/share/large
}

@test "a layer through a link to nowhere is one clear error" {
  make_layers
  umoci init --layout hostile
  umoci new --image hostile:one
  umoci raw add-layer --image hostile:one hostile.tar
  skopeo copy --dest-tls-verify=false oci:hostile:one "docker://$R/theirs/hostile:v1"
  run "$CLIENT" unpack "$R/theirs/hostile:v1" refused cache
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *'"out/file": out above it is a link to nothing'* ]]
}
