#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What this machine's files say about registries counts: registries.conf, logins, helpers. And what others call
# images: names of layouts, indexes in indexes.

bats_require_minimum_version 1.5.0

load project
load shared_cache

setup() {
  setup_shared_cache
  unset XDG_RUNTIME_DIR XDG_CONFIG_HOME CONTAINERS_REGISTRIES_CONF REGISTRY_AUTH_FILE
  CLIENT=${REGISTRY_CLIENT:-$BATS_TEST_DIRNAME/../../obj/registry_client}
  coproc QUIRKS { exec python3 "$REPOSITORY/tests/support/quirk_registry.py" "$PROJECT/requests" 3>&-; }
  read -r PORT <&"${QUIRKS[0]}"
  R=127.0.0.1:$PORT
}

teardown() {
  kill "$QUIRKS_PID" ${MIRROR_PID:-} 2>/dev/null || true
}

# $1: registries.conf of the user
conf() {
  mkdir -p .config/containers/registries.conf.d
  printf '%s\n' "$1" >.config/containers/registries.conf
}

second_registry() {
  coproc MIRROR { exec python3 "$REPOSITORY/tests/support/quirk_registry.py" "$PROJECT/mirrored" 3>&-; }
  read -r SECOND <&"${MIRROR[0]}"
  SECOND=127.0.0.1:$SECOND
}

@test "registries.conf says where a registry is, and by plain http" {
  head -c 100000 /dev/urandom >blob
  digest=$(sha256sum blob | cut -d' ' -f1)
  # A name that resolves to nothing, and one of this machine that is not 127.0.0.1: neither is plain http by itself.
  conf "[[registry]]
prefix = \"in.house.test/kata\"
location = \"$R/plain/team\"
[[registry]]
location = \"other.test\"
blocked = true
[[registry]]
prefix = \"*.wild.test\"
location = \"$R/plain\"
insecure = true"
  "$CLIENT" push-blob in.house.test/kata/x blob
  grep -q "PUT /v2/plain/team/x/blobs/uploads/.* 201" requests
  "$CLIENT" pull-blob "$R/plain/team/x" "$digest" 100000 back
  cmp blob back
  "$CLIENT" push-blob a.wild.test/y blob
  grep -q "PUT /v2/plain/y/blobs/uploads/.* 201" requests
  run "$CLIENT" push-blob other.test/x blob
  [ "$status" -eq 1 ]
  [[ "$output" == *"registries.conf blocks other.test"* ]]
  # The longest prefix, at the end of a component.
  run "$CLIENT" push-blob in.house.test/kataX/x blob
  [ "$status" -eq 1 ]
  # A drop-in stands in for the table of the same prefix.
  printf '[[registry]]\nprefix = "in.house.test/kata"\nlocation = "%s/plain/elsewhere"\n' "$R" >.config/containers/registries.conf.d/50.conf
  "$CLIENT" push-blob in.house.test/kata/x blob
  grep -q "PUT /v2/plain/elsewhere/x/blobs/uploads/.* 201" requests
  # The shared cache as well.
  noisy one
  export ARTEFACT_REGISTRY=in.house.test ARTEFACT_REPOSITORY=kata
  PUSH_TO_REGISTRY=yes kb --remote=require one
  grep -q "PUT /v2/plain/elsewhere/cached-artefacts/one/manifests/latest-main" requests
}

@test "insecure means plain http, or TLS with any certificate" {
  name=$(hostname)
  address=$(getent ahostsv4 "$name" | head -n 1 | cut -d' ' -f1) || true
  [ -n "$address" ] || skip "the name of this machine has no address"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout TEST.key -out TEST.crt -days 1 -subj /CN=somebody.else 2>/dev/null
  python3 - "$address" 3>&- <<'P' >port &
import http.server, ssl, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(404 if "blobs" in self.path else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_HEAD = do_GET
    def log_message(self, *_): pass
s = http.server.ThreadingHTTPServer((sys.argv[1], 0), H)
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
c.load_cert_chain("TEST.crt", "TEST.key")
s.socket = c.wrap_socket(s.socket, server_side=True)
print(s.server_port, flush=True)
s.serve_forever()
P
  MIRROR_PID=$!
  for _ in $(seq 50); do [ -s port ] && break; sleep 0.1; done
  there="$name:$(cat port)"
  conf "[[registry]]
location = \"$there\"
insecure = false"
  digest=$(printf x | sha256sum | cut -d' ' -f1)
  run "$CLIENT" pull-blob "$there/a" "$digest" 1 back
  [ "$status" -eq 1 ]
  [[ "$output" == *[Cc]ertificate* ]]
  conf "[[registry]]
location = \"$there\"
insecure = true"
  run "$CLIENT" pull-blob "$there/a" "$digest" 1 back
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"the registry has none"* ]]
}

@test "mirrors are read from, never written to, and never believed" {
  second_registry
  head -c 50000 /dev/urandom >blob
  digest=$(sha256sum blob | cut -d' ' -f1)
  "$CLIENT" push-blob "$R/plain/x" blob
  conf "[[registry]]
location = \"$R\"
[[registry.mirror]]
location = \"127.0.0.1:1\"
[[registry.mirror]]
location = \"$SECOND/plain/mirrored\""
  # It has nothing yet: the registry itself is asked.
  "$CLIENT" pull-blob "$R/plain/x" "$digest" 50000 back
  cmp blob back
  grep -q "GET /v2/plain/mirrored/plain/x/blobs/.* 404" mirrored
  "$CLIENT" push-blob "$SECOND/plain/mirrored/plain/x" blob
  before=$(grep -c GET requests)
  "$CLIENT" pull-blob "$R/plain/x" "$digest" 50000 back
  cmp blob back
  [ "$(grep -c GET requests)" -eq "$before" ]
  # What is pushed goes to the registry.
  head -c 1000 /dev/urandom >another
  "$CLIENT" push-blob "$R/plain/x" another
  grep -q "PUT /v2/plain/x/blobs/uploads/.*$(sha256sum another | cut -d' ' -f1) 201" requests
  run ! grep -q "$(sha256sum another | cut -d' ' -f1)" mirrored
  # A lie is found out by the digest, and the truth is where it was.
  kill "$MIRROR_PID"
  python3 - 3>&- <<'P' >port &
import http.server
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "50000")
        self.end_headers()
        self.wfile.write(b"x" * 50000)
    def log_message(self, *_): pass
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H)
print(s.server_port, flush=True)
s.serve_forever()
P
  MIRROR_PID=$!
  for _ in $(seq 50); do [ -s port ] && break; sleep 0.1; done
  conf "[[registry]]
location = \"$R\"
[[registry.mirror]]
location = \"127.0.0.1:$(cat port)\""
  rm back
  "$CLIENT" pull-blob "$R/plain/x" "$digest" 50000 back
  cmp blob back
}

@test "a registries.conf that makes no sense is an error that names it" {
  for text in '[[registry]]' 'registry = [{location = "a.test"}]' '[registries.insecure]
registries = ["a.test"]' '[[registry]]
location = 5' '[[registry]
location = "a.test"' '[[registry]]
location = "http://a.test"' '[[registry]]
location = "a.test"
[[registry.mirror]]
location = "https://b.test"' '[[registry]]
prefix = "*"
location = "a.test"' '[[registry]]
location = "a.test"
blocked = true
[[registry]]
location = "a.test"'; do
    conf "$text"
    run "$CLIENT" pull-blob "$R/plain/x" "$(printf '%064d' 0)" 1 back
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"registries.conf"* ]]
  done
}

login() { # file
  mkdir -p "$(dirname "$1")"
  printf '{"auths": {"%s": {"auth": "%s"}}}' "$R" "$(printf test-user:TEST-password-7f3a | base64)" >"$1"
}

@test "a login without XDG_RUNTIME_DIR is found where skopeo leaves it" {
  unshare -m true 2>/dev/null || skip "no mount namespace of one's own here"
  head -c 1000 /dev/urandom >blob
  run "$CLIENT" push-blob "$R/artifactory/x" blob
  [ "$status" -eq 1 ]
  for file in "/run/containers/$(id -u)/auth.json" "/run/user/$(id -u)/containers/auth.json"; do
    run unshare -m bash -euc "mount -t tmpfs none /run; $(declare -f login); R=$R; login $file; \"$CLIENT\" push-blob $R/artifactory/x blob"
    echo "$output"
    [ "$status" -eq 0 ]
  done
  if command -v skopeo >/dev/null; then # by its own hand
    run unshare -m bash -euc "mount -t tmpfs none /run; unset DOCKER_CONFIG; skopeo login --tls-verify=false -u test-user -p TEST-password-7f3a $R && \"$CLIENT\" push-blob $R/artifactory/z blob"
    echo "$output"
    [ "$status" -eq 0 ]
  fi
  login .dockercfg
  jq -c .auths .dockercfg >flat && mv flat .dockercfg
  "$CLIENT" push-blob "$R/artifactory/y" blob
}

@test "a helper that is not installed does not keep anybody from reading" {
  head -c 1000 /dev/urandom >blob
  digest=$(sha256sum blob | cut -d' ' -f1)
  "$CLIENT" push-blob "$R/plain/x" blob
  mkdir -p docker
  echo '{"credsStore": "not-here"}' >docker/config.json
  login .config/containers/auth.json
  TEST_REGISTRY_USER=test-user TEST_REGISTRY_PASSWORD=TEST-password-7f3a "$CLIENT" push-blob "$R/quay/x" blob
  rm -r .config
  run "$CLIENT" pull-blob "$R/quay/x" "$digest" 1000 back
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"docker-credential-not-here"*"not installed"* ]]
  cmp blob back
}

# A layout with an image in an index in an index, whose entries do not say what they are for.
deep_index() { # depth
  python3 - "$1" <<'P'
import hashlib, io, json, os, sys, tarfile
os.makedirs("deep/blobs/sha256", exist_ok=True)
def put(data):
    digest = hashlib.sha256(data).hexdigest()
    open(f"deep/blobs/sha256/{digest}", "wb").write(data)
    return {"digest": "sha256:" + digest, "size": len(data)}
def image(architecture, text):
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as t:
        info = tarfile.TarInfo("which")
        info.size = len(text)
        t.addfile(info, io.BytesIO(text))
    layer = put(tar.getvalue())
    config = put(json.dumps({"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}, "config": {}}).encode())
    m = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config}, "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **layer}]}
    return {"mediaType": m["mediaType"], **put(json.dumps(m).encode())}
entries = [image("s390x", b"s390x"), image("amd64", b"amd64")]
for _ in range(int(sys.argv[1])):
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries}
    entries = [{"mediaType": index["mediaType"], **put(json.dumps(index).encode())}]
open("deep/index.json", "w").write(json.dumps({"schemaVersion": 2, "manifests": entries}))
open("deep/oci-layout", "w").write('{"imageLayoutVersion": "1.0.0"}')
P
}

@test "an index in an index is followed, and an image says itself what it is for" {
  [ "$(uname -m)" = x86_64 ] || skip "the image is for amd64"
  deep_index 3
  "$CLIENT" push deep "$R/plain/deep:1"
  "$CLIENT" unpack "$R/plain/deep:1" root cache
  [ "$(cat root/which)" = amd64 ]
  mkdir -p set/opt/kata
  echo x >set/opt/kata/file
  tar -C set -cJf kata-static.tar.xz .
  kb payload push --arch=x86_64 --commit=0123456789abcdef0123456789abcdef01234567 --base="$R/plain/deep:1" --any-base --output=oci:layout kata-static.tar.xz
  run kb payload push --arch=aarch64 --commit=0123456789abcdef0123456789abcdef01234567 --base="$R/plain/deep:1" --any-base --output=oci:layout kata-static.tar.xz
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"it has no image for linux/arm64"* ]]
  rm -rf deep root
  deep_index 7
  "$CLIENT" push deep "$R/plain/deep:2"
  run "$CLIENT" unpack "$R/plain/deep:2" root cache
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"more than 4 deep"* ]]
}

@test "a credential helper that fails is asked once, and one that hangs ends with an interrupt" {
  noisy one
  mkdir bin
  export PATH=$PROJECT/bin:$PATH REGISTRY_AUTH_FILE=$PROJECT/auth.json ARTEFACT_REGISTRY=$R ARTEFACT_REPOSITORY=harbor/kata
  export PUSH_TO_REGISTRY=yes USE_CACHE=no
  echo "{\"credHelpers\": {\"$R\": \"test\"}}" >auth.json
  printf '#!/bin/sh\necho x >>%s/asked\nexit 1\n' "$PROJECT" >bin/docker-credential-test
  chmod +x bin/docker-credential-test
  run kb --remote=require one
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"docker-credential-test"* ]]
  [ "$(wc -l <asked)" -eq 1 ]
  rm asked
  printf '#!/bin/sh\necho x >>%s/asked\nexec sleep 20\n' "$PROJECT" >bin/docker-credential-test
  kb_exec --remote=require one >out 2>&1 3>&- &
  until [ -s asked ]; do sleep 0.05; done
  kill -TERM $!
  status=0
  wait $! || status=$?
  cat out
  [ "$status" -eq 130 ]
  [ "$(wc -l <asked)" -eq 1 ]
}

@test "a login in the name of a registry is refused and not shown" {
  noisy one
  local name
  for name in "me:TESTsecret@$R" "https://me:TESTsecret@$R" "me:TEST@secret@$R/x@sha256:0"; do
    ARTEFACT_REGISTRY=$name run kb one
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"$R"*"skopeo login"* ]]
    [[ "$output" != *secret* ]]
  done
}

@test "a login file that is empty has no login, and one of odd types is an error that names it" {
  noisy one
  export REGISTRY_AUTH_FILE=$PROJECT/auth.json ARTEFACT_REGISTRY=$R USE_CACHE=no PUSH_TO_REGISTRY=yes
  local odd
  : >auth.json
  ARTEFACT_REPOSITORY=plain/kata run kb --remote=require one
  echo "$output"
  [ "$status" -eq 0 ]
  for odd in '{"auths": []}' '{"credHelpers": ["x"]}' '{"credsStore": 5}' "{\"auths\": {\"$R\": {\"auth\": 5}}}" "{\"credHelpers\": {\"$R\": 5}}"; do
    echo "$odd" >auth.json
    ARTEFACT_REPOSITORY=harbor/kata run kb --remote=require one
    echo "$odd: $output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"auth.json"*"is not a"* ]]
  done
  run kb --offline --remote=require one
  [ "$status" -eq 2 ]
}

@test "oci:DIR:NAME is split at the first colon, and payload push says what it does" {
  mkdir -p set/opt/kata
  echo x >set/opt/kata/file
  tar -C set -cJf kata-static.tar.xz .
  commit=--commit=0123456789abcdef0123456789abcdef01234567
  kb payload push --arch=x86_64 --base=scratch $commit --output=oci:od:quay.io/kata/p:v1 kata-static.tar.xz
  [ -d od/blobs ]
  [ "$(jq -r '.manifests[].annotations["org.opencontainers.image.ref.name"]' od/index.json | sort | tail -n 1)" = quay.io/kata/p:v1 ]
  if command -v skopeo >/dev/null; then
    skopeo inspect --raw oci:od:quay.io/kata/p:v1 >/dev/null
  fi
  # As a base, too.
  kb payload push --arch=x86_64 --base=oci:od:quay.io/kata/p:v1 --any-base $commit --output=oci:on:v2 kata-static.tar.xz
  run kb payload push --arch=x86_64 --base=scratch $commit --output='oci:od:a b' kata-static.tar.xz
  [ "$status" -ne 0 ]
  head -c 17000000 /dev/urandom >set/opt/kata/file
  XZ_OPT=-0 tar -C set -cJf kata-static.tar.xz .
  run kb payload push --arch=x86_64 --base=scratch $commit kata-static.tar.xz "$R/plain/payload" v1
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"pushing "*" blobs with "*" MB to $R/plain/payload"* ]]
  # With keys, a base of a registry is named by its digest.
  make_keys
  KBUILD_TRUSTED_KEYS=$PROJECT/builder.pub.pem run kb payload push --arch=x86_64 --base="$R/plain/payload:v1" --any-base $commit --output=oci:on kata-static.tar.xz
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"named by a tag"* ]]
}
