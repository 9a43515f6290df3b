#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The shared cache, builders and payloads on registries with the habits of real ones
# (tests/support/quirk_registry.py names them).

bats_require_minimum_version 1.5.0

load project
load shared_cache

setup() {
  setup_shared_cache
  coproc QUIRKS { exec python3 "$REPOSITORY/tests/support/quirk_registry.py" "$PROJECT/requests" 3>&-; }
  read -r PORT <&"${QUIRKS[0]}"
  export ARTEFACT_REGISTRY=127.0.0.1:$PORT
  LOGIN=(env ARTEFACT_REGISTRY_USERNAME=test-user ARTEFACT_REGISTRY_PASSWORD=TEST-password-7f3a)
}

teardown() {
  kill "$QUIRKS_PID" 2>/dev/null || true
}

kbuild() { # as the user who may push
  "${LOGIN[@]}" "$KBUILD" --builder=host --cache "$PROJECT/cache" "$@"
}

@test "a cache is begun on every registry with --remote=require, and read again" {
  noisy one
  for habit in plain ghcr zot quay dockerhub harbor gitlab artifactory api api406 apiempty apihtml immutable healthcheck nohead; do
    export ARTEFACT_REPOSITORY=$habit/kata
    PUSH_TO_REGISTRY=yes USE_CACHE=no run kbuild --remote=require one
    echo "$habit: $output"
    [ "$status" -eq 0 ]
    # GitLab takes the fallback tag for a digest, and one that is immutable has room for one document.
    [ "$habit" = gitlab ] || [ "$habit" = immutable ] || [[ "$output" != *warning* ]]
    forget
    run kbuild --remote=require one
    echo "$habit: $output"
    [ "$status" -eq 0 ]
    run ! ran one
    forget
  done
}

@test "GitLab accepts results, though not their signatures and documents" {
  noisy one
  export ARTEFACT_REPOSITORY=gitlab/kata
  PUSH_TO_REGISTRY=yes run kbuild one
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(grep -c warning <<<"$output")" -eq 1 ]
  [[ "$output" == *"accepts results, but not their signatures and documents"* ]]
  # A signature is more than a document.
  make_keys
  PUSH_TO_REGISTRY=yes KBUILD_SIGNING_KEY=$PROJECT/TEST-builder.pem run kbuild --remote=require one
  [ "$status" -eq 1 ]
  curl -s "http://127.0.0.1:$PORT/v2/gitlab/kata/cached-artefacts/one/tags/list" | grep -q "latest-main-$(uname -m)"
}

@test "what the registry hides is said once, and reading and pushing continue" {
  noisy one
  noisy two
  export ARTEFACT_REPOSITORY=harbor/kata
  PUSH_TO_REGISTRY=yes run kbuild one two
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(grep -c 'treated as missing' <<<"$output")" -eq 1 ]
  [[ "$output" != *warning* ]]
  forget
  # Whoever is not logged in reads what is there, and is told about what is not.
  noisy three
  run kb one three
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"treated as missing"*"log in"* ]]
  run ! ran one
  ran three
  # A wrong password is no missing entry.
  forget
  ARTEFACT_REGISTRY_USERNAME=test-user ARTEFACT_REGISTRY_PASSWORD=TEST-wrong run kb --remote=require three
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"shared cache cannot be used"*401* ]]
  [[ "$output" != *TEST-wrong* ]]
}

@test "one result that the registry does not take leaves the others" {
  noisy large "" 'mkdir -p /out/large/opt; head -c 3000000 /dev/urandom >/out/large/opt/large'
  noisy small
  export ARTEFACT_REPOSITORY=picky/kata PUSH_TO_REGISTRY=yes
  run kbuild large small
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(grep -c 'this result is only in the local cache: large' <<<"$output")" -eq 1 ]
  forget
  unset PUSH_TO_REGISTRY
  kb --remote=require small large
  run ! ran small
  ran large
}

@test "a full quota is said to be one" {
  noisy one
  export ARTEFACT_REPOSITORY=quota/kata PUSH_TO_REGISTRY=yes
  run kbuild --remote=require one
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"quota of the project is used up"* ]]
  [[ "$output" != *"log in"* ]]
}

@test "signatures are found wherever they are kept, behind any number of bad ones" {
  make_keys
  noisy one
  export KBUILD_TRUSTED_KEYS=$PROJECT/builder.pub.pem
  for habit in api apibare apiempty plain; do
    export ARTEFACT_REPOSITORY=$habit/kata
    PUSH_TO_REGISTRY=yes USE_CACHE=no kbuild --remote=require one
    repository=$habit/kata/cached-artefacts/one tag=latest-main-$(uname -m)
    entry=$(curl -sf "http://127.0.0.1:$PORT/v2/$repository/manifests/$tag" | sha256sum | cut -d' ' -f1)
    # 40 that are no signatures of anybody's, then the good one.
    python3 - "$PORT" "$repository" "$entry" "$habit" <<'P'
import hashlib, json, sys, urllib.request
port, repository, entry, habit = sys.argv[1:]
base = f"http://127.0.0.1:{port}/v2/{repository}"
def put(what, m, t):
    data = json.dumps(m).encode()
    q = urllib.request.Request(f"{base}/manifests/{what or 'sha256:' + hashlib.sha256(data).hexdigest()}", data=data, method="PUT", headers={"Content-Type": t})
    urllib.request.urlopen(q)
    return "sha256:" + hashlib.sha256(data).hexdigest(), len(data)
MANIFEST, INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": "sha256:" + hashlib.sha256(b"{}").hexdigest(), "size": 2}
found = []
for i in range(40):
    notes = {"kbuild.signature.key": f"{i:064x}", "kbuild.signature.ed25519": f"{i:0128x}"}
    m = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/vnd.kbuild.signature.v1", "config": empty, "layers": [empty], "subject": {"mediaType": MANIFEST, "digest": "sha256:" + entry, "size": 1}, "annotations": notes}
    digest, size = put(None, m, MANIFEST)
    found.append({"mediaType": MANIFEST, "digest": digest, "size": size, "artifactType": m["artifactType"], "annotations": notes})
if habit in ("plain", "apiempty"):
    put("sha256-" + entry, {"schemaVersion": 2, "mediaType": INDEX, "manifests": found}, INDEX)
P
    PUSH_TO_REGISTRY=yes KBUILD_SIGNING_KEY=$PROJECT/TEST-builder.pem kbuild --remote=require one
    forget
    run kbuild --remote=require one
    echo "$habit: $output"
    [ "$status" -eq 0 ]
    run ! ran one
    forget
  done
}

@test "a list of signatures without end costs neither memory nor the build" {
  make_keys
  noisy one
  export ARTEFACT_REPOSITORY=endless/kata
  PUSH_TO_REGISTRY=yes kbuild one
  forget
  export KBUILD_TRUSTED_KEYS=$PROJECT/builder.pub.pem
  # 300 MB of address space for data, of which the list alone would take gigabytes.
  run bash -c "ulimit -d 300000; exec \"$KBUILD\" --builder=host --cache \"$PROJECT/cache\" one"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"more than"* ]]
  ran one
}

@test "a payload gets to every registry, twice under the same tags" {
  mkdir -p set/opt/kata .docker
  echo x >set/opt/kata/file
  tar -C set -cJf kata-static.tar.xz .
  unset REGISTRY_AUTH_FILE DOCKER_CONFIG
  printf '{"auths": {"127.0.0.1:%s": {"auth": "%s"}}}' "$PORT" "$(printf test-user:TEST-password-7f3a | base64)" >.docker/config.json
  for habit in plain ghcr zot quay dockerhub harbor gitlab artifactory immutable healthcheck narrow chunks; do
    for _ in once again; do
      run kb payload push --arch=x86_64 --base=scratch --commit=c0ffee kata-static.tar.xz "127.0.0.1:$PORT/$habit/payload" v1
      echo "$habit: $output"
      [ "$status" -eq 0 ]
    done
  done
}
