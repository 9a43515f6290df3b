#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The shared cache: a real registry (docker-registry) on loopback, and ones that fail in every way.

bats_require_minimum_version 1.5.0

load project
load shared_cache

setup() {
  setup_shared_cache
}

teardown() {
  stop_registry
  [ -z "${GIT_PID:-}" ] || kill "$GIT_PID" 2>/dev/null || true
  [ -z "${FALSE_PID:-}" ] || kill "$FALSE_PID" 2>/dev/null || true
}

# A server that does what the Python code in $1 says with each connection `c`.
start_false() {
  PORT=$(free_port)
  python3 - "$PORT" "$1" 3>&- <<'X' &
import socket, sys, threading, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen(50)
keep = []
while True:
    c, _ = s.accept()
    keep.append(c)
    threading.Thread(target=lambda c=c: exec(sys.argv[2], {"c": c, "time": time}), daemon=True).start()
X
  FALSE_PID=$!
  for _ in $(seq 50); do
    (exec 4<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null && break
    sleep 0.1
  done
  export ARTEFACT_REGISTRY=127.0.0.1:$PORT ARTEFACT_REPOSITORY=kata
}

@test "a cold cache gets everything from the registry and builds nothing" {
  make_repositories
  serve_repositories
  sed -i "s/127.0.0.1:[0-9]*/127.0.0.1:$GIT_PORT/" versions.yaml
  start_registry
  make_recipe hello "sources: {greet: {version: externals.greet, git: \"{url}\", ref: \"{version}\"}}" \
    'echo STEP-RAN; mkdir -p /out/hello/opt; cp /src/greet/greet.c /out/hello/opt/'
  noisy top "needs: [hello]" 'mkdir -p /out/top/opt; cp /deps/hello/opt/greet.c /out/top/opt/top.c'
  PUSH_TO_REGISTRY=yes kb top hello
  ran top && ran hello
  before=$(sha256sum build/*.tar.xz build/*-version build/*-sha256sum)
  forget
  run kb --remote=require top hello
  echo "$output"
  [ "$status" -eq 0 ]
  run ! ran top
  run ! ran hello
  [ "$(sha256sum build/*.tar.xz build/*-version build/*-sha256sum)" = "$before" ]
  # Their logs stayed where they were made.
  run kb log hello
  [ "$status" -eq 1 ]
  [[ "$output" == *"the log of hello"*"is not here"* ]]
  # The source was not needed, and did not come.
  [ -z "$(ls -A cache/trees 2>/dev/null)" ]
}

@test "what changed is built from sources that the registry has" {
  make_repositories
  serve_repositories
  sed -i "s/127.0.0.1:[0-9]*/127.0.0.1:$GIT_PORT/" versions.yaml
  start_registry
  sources="sources: {greet: {version: externals.greet, git: \"{url}\", ref: \"{version}\"}}"
  make_recipe hello "$sources" 'mkdir -p /out/hello/opt; cp /src/greet/greet.c /out/hello/opt/'
  PUSH_TO_REGISTRY=yes kb hello
  forget
  kill "$GIT_PID"
  GIT_PID=
  make_recipe hello "$sources" 'echo STEP-RAN; mkdir -p /out/hello/opt; cp /src/greet/shout/shout.h /out/hello/opt/'
  run kb hello
  echo "$output"
  [ "$status" -eq 0 ]
  ran hello
  content_of build/kata-static-hello.tar.xz opt/shout.h | grep -q SHOUT
}

# Somebody who may push puts the tree of another commit under the key of a good one.
@test "a source that a registry gives for a commit is not believed with --locked, nor by verify" {
  make_repositories
  serve_repositories
  sed -i "s/127.0.0.1:[0-9]*/127.0.0.1:$GIT_PORT/" versions.yaml
  start_registry
  make_recipe hello "sources: {greet: {version: externals.greet, git: \"{url}\", ref: \"{version}\"}}" \
    'mkdir -p /out/hello/opt; cp /src/greet/greet.c /out/hello/opt/'
  PUSH_TO_REGISTRY=yes kb --remote=require hello
  good=$(curl -sf "http://127.0.0.1:$PORT/v2/kata/cached-sources/greet/tags/list" | jq -r '.tags[]' | grep ^kbuild-)
  sed -i 's/hello/EVIL/' git/greet/greet.c
  git_here -C git/greet commit -q -a -m evil
  git_here -C git/greet tag evil
  sed -i 's/v1/evil/' versions.yaml
  PUSH_TO_REGISTRY=yes kb --remote=require hello
  evil=$(curl -sf "http://127.0.0.1:$PORT/v2/kata/cached-sources/greet/tags/list" | jq -r '.tags[]' | grep ^kbuild- | grep -v "$good")
  sed -i 's/evil/v1/' versions.yaml
  manifest cached-sources/greet "$good" >good.json
  manifest cached-sources/greet "$evil" >evil.json
  jq -c --slurpfile good good.json '.annotations["kbuild.record"] as $evil
    | .annotations["kbuild.record"] = ($good[0].annotations["kbuild.record"] | fromjson
      | .outputs = ($evil | fromjson | .outputs) | tojson)' evil.json >forged.json
  curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary @forged.json \
    "http://127.0.0.1:$PORT/v2/kata/cached-sources/greet/manifests/$good"
  forget
  kb --locked --remote=require hello
  [[ "$(content_of build/kata-static-hello.tar.xz opt/greet.c)" == *hello* ]]
  # Without it, and without keys, whoever may push is believed: so the forgery is a good one.
  forget
  kb --remote=require hello
  [[ "$(content_of build/kata-static-hello.tar.xz opt/greet.c)" == *EVIL* ]]
  run kb verify hello
  echo "$output"
  [ "$status" -eq 3 ]
  [[ "$output" == *"source greet: its tree in the shared cache is not that of its origin"* ]]
  # What is in the local cache by now is from the origin; with --locked it had not counted either.
  kb --remote=off hello
  [[ "$(content_of build/kata-static-hello.tar.xz opt/greet.c)" == *hello* ]]
  forget
  kb --remote=require hello
  kb --locked --remote=off hello
  [[ "$(content_of build/kata-static-hello.tar.xz opt/greet.c)" == *hello* ]]
}

@test "nothing is asked when everything is in the local cache" {
  noisy one
  kb one
  export ARTEFACT_REGISTRY=127.0.0.1:1 ARTEFACT_REPOSITORY=kata
  run kb --remote=require one
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" != *"shared cache"* ]]
}

@test "an entry has upstream's files and tags" {
  start_registry
  noisy one
  TARGET_BRANCH=my/branch RELEASE=yes PUSH_TO_REGISTRY=yes
  export TARGET_BRANCH RELEASE PUSH_TO_REGISTRY
  echo 3.12.0 >VERSION
  kb one
  m=$(uname -m)
  for tag in "latest-my_branch-$m" "3.12.0-$m"; do
    manifest cached-artefacts/one "$tag" | python3 -c '
import json, sys
layers = json.load(sys.stdin)["layers"]
print(*sorted(l["annotations"]["org.opencontainers.image.title"] for l in layers))' >titles
    [ "$(cat titles)" = "kata-static-one.tar.xz one-builder-image-version one-sha256sum one-version" ]
  done
  # As `oras pull` would write them, they check.
  mkdir pulled
  manifest cached-artefacts/one "latest-my_branch-$m" | python3 -c '
import json, sys
for l in json.load(sys.stdin)["layers"]: print(l["digest"], l["annotations"]["org.opencontainers.image.title"])' |
    while read -r digest name; do
      curl -sf "http://127.0.0.1:$PORT/v2/kata/cached-artefacts/one/blobs/$digest" -o "pulled/$name"
    done
  (cd pulled && sha256sum -c one-sha256sum)
  cmp pulled/one-version build/one-version
  if command -v skopeo >/dev/null; then
    skopeo inspect --raw --tls-verify=false "docker://127.0.0.1:$PORT/kata/cached-artefacts/one:3.12.0-$m" >/dev/null
  fi
}

@test "an artifact carries its provenance and a list of what is in it, and the signature covers both" {
  start_registry
  make_keys
  noisy one
  PUSH_TO_REGISTRY=yes KBUILD_SIGNING_KEY=$PROJECT/TEST-builder.pem kb --remote=require one
  kb provenance one
  repository=cached-artefacts/one tag=latest-main-$(uname -m)
  entry=$(digest_of_tag $repository "$tag")
  referrers $repository "$entry" >index
  [ "$(jq -r '.manifests[].artifactType' index | sort | xargs)" = "application/spdx+json application/vnd.in-toto+json application/vnd.kbuild.signature.v1" ]
  for kind in vnd.in-toto+json:provenance spdx+json:spdx; do
    digest=$(jq -r --arg type "application/${kind%:*}" '.manifests[] | select(.artifactType == $type) | .digest' index)
    skopeo inspect --raw --tls-verify=false "docker://127.0.0.1:$PORT/kata/$repository@$digest" >referrer
    jq -e --arg entry "sha256:$entry" '.subject.digest == $entry' referrer
    [ "$(jq -r '.layers[0].annotations["org.opencontainers.image.title"]' referrer)" = "one-${kind#*:}.json" ]
    layer=$(jq -r '.layers[0].digest' referrer)
    curl -sf "http://127.0.0.1:$PORT/v2/kata/$repository/blobs/$layer" -o document
    cmp document "build/one-${kind#*:}.json"
    # The entry names it, and with that the signature does.
    [ "$(manifest $repository "$tag" | jq -r --arg name "kbuild.${kind#*:}" '.annotations[$name]')" = "$layer" ]
  done
  # An entry that names another provenance is not the one that was signed.
  export KBUILD_TRUSTED_KEYS=$PROJECT/builder.pub.pem
  key=$(curl -s "http://127.0.0.1:$PORT/v2/kata/$repository/tags/list" | grep -o 'kbuild-[0-9a-f]*' | head -n 1)
  forget
  kb --remote=require one
  run ! ran one
  manifest $repository "$key" | sed 's/"kbuild.provenance":"sha256:[0-9a-f]*"/"kbuild.provenance":"sha256:'"$entry"'"/' >forged
  curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary @forged \
    "http://127.0.0.1:$PORT/v2/kata/$repository/manifests/$key"
  # ... even if somebody says that the signature is about it.
  curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' --data-binary @index \
    "http://127.0.0.1:$PORT/v2/kata/$repository/manifests/sha256-$(sha256sum <forged | cut -d' ' -f1)"
  forget
  run kb one
  [[ "$output" == *"no key of KBUILD_TRUSTED_KEYS signed it"* ]]
  ran one
}

@test "a registry that alters bytes is found out, and the build continues" {
  start_registry
  noisy one
  PUSH_TO_REGISTRY=yes kb one
  good=$(sha256sum <build/kata-static-one.tar.xz)
  digest=$(cut -d' ' -f1 build/one-sha256sum)
  blob=$BLOBS/docker/registry/v2/blobs/sha256/${digest:0:2}/$digest/data
  printf X | dd of="$blob" bs=1 seek=40 conv=notrunc 2>/dev/null
  forget
  run kb one
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"shared cache cannot be used"*"$digest"* ]]
  ran one
  [ "$(sha256sum <build/kata-static-one.tar.xz)" = "$good" ]
  forget
  run kb --remote=require one
  [ "$status" -eq 1 ]
  [ ! -e build/kata-static-one.tar.xz ]
}

@test "an entry under the wrong key is refused" {
  start_registry
  noisy one
  noisy two
  PUSH_TO_REGISTRY=yes kb one two
  tag_of() { curl -s "http://127.0.0.1:$PORT/v2/kata/cached-artefacts/$1/tags/list" | grep -o 'kbuild-[0-9a-f]*' | head -n 1; }
  # Somebody puts the result of "one" with a changed record under its own key again.
  manifest cached-artefacts/one "$(tag_of one)" | sed 's/node artifact one/node artifact bad/' >forged
  curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary @forged \
    "http://127.0.0.1:$PORT/v2/kata/cached-artefacts/one/manifests/$(tag_of one)"
  forget
  run kb one
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"has the key"*"instead of"* ]]
  ran one
}

@test "a registry that is not there is one warning, or an error if it is required" {
  noisy one
  noisy two
  PORT=$(free_port)
  export ARTEFACT_REGISTRY=127.0.0.1:$PORT ARTEFACT_REPOSITORY=kata PUSH_TO_REGISTRY=yes
  run kb one two
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(grep -c 'shared cache cannot be used' <<<"$output")" -eq 1 ]
  [ "$(grep -c 'shared cache could not be written' <<<"$output")" -le 1 ]
  # Nothing is left to be made, and what is cached cannot be pushed.
  run kb one two
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(grep -c 'shared cache could not be written' <<<"$output")" -eq 1 ]
  run kb --remote=require one two
  [ "$status" -eq 1 ]
  [ -e build/kata-static-one.tar.xz ]
  forget
  run kb --remote=require one
  [ "$status" -eq 1 ]
  [[ "$output" == *"shared cache cannot be used"* ]]
  forget
  run kb --remote=off one
  [ "$status" -eq 0 ]
  [[ "$output" != *"shared cache"* ]]
}

@test "a registry that never answers costs a few seconds, once" {
  start_false 'time.sleep(600)'
  noisy one
  noisy two
  started=$SECONDS
  run kb one two
  echo "$output"
  [ "$status" -eq 0 ]
  [ $((SECONDS - started)) -lt 20 ]
  [ "$(grep -c 'shared cache cannot be used' <<<"$output")" -eq 1 ]
}

@test "a registry that answers rubbish fails no build" {
  start_false 'c.recv(9999); c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"a\": 1}\n"); c.close()'
  noisy one
  run kb one
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(grep -c 'shared cache cannot be used' <<<"$output")" -eq 1 ]
  ran one
  forget
  run kb --remote=require one
  [ "$status" -eq 1 ]
  run ! ran one
}

@test "a registry that can take no more does not fail the build" {
  start_false 'd = c.recv(99999)
c.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" if d[:3] == b"GET" or d[:4] == b"HEAD" else b"HTTP/1.1 507 Insufficient Storage\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"); c.close()'
  noisy one
  PUSH_TO_REGISTRY=yes run kb one
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(grep -c 'shared cache could not be written' <<<"$output")" -eq 1 ]
  forget
  PUSH_TO_REGISTRY=yes run kb --remote=require one
  [ "$status" -eq 1 ]
}

@test "pushing without credentials is one warning, and reading continues" {
  command -v htpasswd >/dev/null || skip "htpasswd is not installed"
  htpasswd -Bbc "$BATS_TEST_TMPDIR/passwords" tester TESTPASSWORD 2>/dev/null
  start_registry "auth: {htpasswd: {realm: test, path: $BATS_TEST_TMPDIR/passwords}}"
  noisy one
  PUSH_TO_REGISTRY=yes run kb one
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *warning:*"shared cache"* ]]
  forget
  export ARTEFACT_REGISTRY_USERNAME=tester ARTEFACT_REGISTRY_PASSWORD=TESTPASSWORD
  PUSH_TO_REGISTRY=yes run kb --remote=require one
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" != *TESTPASSWORD* ]]
  run ! grep -r TESTPASSWORD build cache
  forget
  kb --remote=require one
  run ! ran one
}

@test "two builds that push the same key at once both succeed" {
  start_registry
  noisy one "" 'sleep 1; mkdir -p /out/one/opt; echo one >/out/one/opt/one'
  export PUSH_TO_REGISTRY=yes
  "$KBUILD" --builder=host --cache "$PROJECT/c1" -o b1 --remote=require one 3>&- &
  first=$!
  "$KBUILD" --builder=host --cache "$PROJECT/c2" -o b2 --remote=require one 3>&- &
  second=$!
  wait "$first"
  wait "$second"
  unset PUSH_TO_REGISTRY
  kb --remote=require one
  run ! ran one
  cmp build/kata-static-one.tar.xz b1/kata-static-one.tar.xz
}

@test "what is in the local cache is pushed later, once, and upstream's tags follow" {
  start_registry
  noisy low
  noisy one "needs: [low]" 'mkdir -p /out/one/opt; cp /deps/low/opt/low /out/one/opt/one'
  (unset ARTEFACT_REGISTRY && kb one)
  export PUSH_TO_REGISTRY=yes
  rm -r build/logs
  run kb --remote=require one
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"2 results of the local cache pushed"* ]]
  run ! ran one
  run kb --remote=require one
  [[ "$output" != *pushed* ]]
  # Another branch, on a machine that takes the result from the registry: its tag appears.
  forget
  TARGET_BRANCH=stable run kb --remote=require one
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"one $(uname -m): from the shared cache in "* ]]
  [[ "$output" == *"one: pulling"* && "$output" != *started* ]]
  [[ "$output" != *pushed* ]]
  tag=$(uname -m)
  [ "$(digest_of_tag cached-artefacts/one "latest-stable-$tag")" = "$(digest_of_tag cached-artefacts/one "latest-main-$tag")" ]
  [ "$(digest_of_tag cached-artefacts/low "latest-stable-$tag")" = "$(digest_of_tag cached-artefacts/low "latest-main-$tag")" ]
  # Back to an older recipe, whose result is cached: the tag goes back to it.
  before=$(digest_of_tag cached-artefacts/one "latest-main-$tag")
  cp recipes/one/build.sh old.sh
  echo '# changed' >>recipes/one/build.sh
  kb --remote=require one
  [ "$(digest_of_tag cached-artefacts/one "latest-main-$tag")" != "$before" ]
  cp old.sh recipes/one/build.sh
  kb --remote=require one
  [ "$(digest_of_tag cached-artefacts/one "latest-main-$tag")" = "$before" ]
}

@test "a signing key signs what was made here, and nothing that came from a registry" {
  start_registry
  make_keys
  noisy one
  PUSH_TO_REGISTRY=yes kb --remote=require one
  # Made here before there was a key: pushed again, signed.
  export PUSH_TO_REGISTRY=yes KBUILD_SIGNING_KEY=$PROJECT/TEST-builder.pem
  run kb --remote=require one
  [[ "$output" == *"1 result of the local cache pushed"* ]]
  run kb --remote=require one
  [[ "$output" != *pushed* ]]
  tag=latest-main-$(uname -m)
  referrers cached-artefacts/one "$(digest_of_tag cached-artefacts/one "$tag")" | grep -q vnd.kbuild.signature
  # Somebody else's, which this machine takes: not signed, neither at once nor later.
  noisy two
  (unset KBUILD_SIGNING_KEY && kb --remote=require two)
  forget
  kb --remote=require two
  kb --remote=require two
  run ! ran two
  run referrers cached-artefacts/two "$(digest_of_tag cached-artefacts/two "$tag")"
  [[ "$output" != *vnd.kbuild.signature* ]]
}

@test "to push without saying where to is an error before anything is made" {
  noisy one
  export PUSH_TO_REGISTRY=yes
  run kb one
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"PUSH_TO_REGISTRY=yes, but no registry is named"*ARTEFACT_REGISTRY* ]]
  [ ! -e build/logs/one.log ]
  kb --remote=off one
  kb --offline one
  kb list
  PUSH_TO_REGISTRY=true run kb one
  [ "$status" -eq 1 ]
  [[ "$output" == *"yes or no"* ]]
}

@test "with trusted keys only what they signed is used" {
  start_registry
  make_keys
  noisy one
  export KBUILD_TRUSTED_KEYS=$PROJECT/builder.pub.pem
  # Unsigned, then signed by a stranger: built again, and said.
  for key in "" "$PROJECT/TEST-stranger.pem"; do
    env -u KBUILD_TRUSTED_KEYS PUSH_TO_REGISTRY=yes ${key:+KBUILD_SIGNING_KEY="$key"} USE_CACHE=no \
      "$KBUILD" --builder=host --cache "$PROJECT/cache" one
    forget
    run kb --remote=require one
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" == *"no key of KBUILD_TRUSTED_KEYS signed it"* ]]
    ran one
    forget
  done
  PUSH_TO_REGISTRY=yes KBUILD_SIGNING_KEY=$PROJECT/TEST-builder.pem USE_CACHE=no kb --remote=require one
  forget
  run kb --remote=require one
  echo "$output"
  [ "$status" -eq 0 ]
  run ! ran one
  # The signature is of the record as it is: another one under the same key is not covered.
  tag=$(curl -s "http://127.0.0.1:$PORT/v2/kata/cached-artefacts/one/tags/list" | grep -o 'kbuild-[0-9a-f]*' | head -n 1)
  manifest cached-artefacts/one "$tag" | sed 's/built_by\\":\\"/&x/' >forged
  curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary @forged \
    "http://127.0.0.1:$PORT/v2/kata/cached-artefacts/one/manifests/$tag"
  forget
  run kb one
  [[ "$output" == *"no key of KBUILD_TRUSTED_KEYS signed it"* ]]
  ran one
}

@test "a wrong key file is an error, not a build without trust" {
  start_registry
  noisy one
  KBUILD_TRUSTED_KEYS=$PROJECT/none.pem run kb one
  [ "$status" -eq 1 ]
  [[ "$output" == *KBUILD_TRUSTED_KEYS*none.pem* ]]
  echo SECRETTEXT >bad.pem
  PUSH_TO_REGISTRY=yes KBUILD_SIGNING_KEY=bad.pem run kb one
  [ "$status" -eq 1 ]
  [[ "$output" == *KBUILD_SIGNING_KEY* ]]
  [[ "$output" != *SECRETTEXT* ]]
}

@test "contents that vanished from the registry are made from the inputs" {
  start_registry
  noisy low
  noisy high "needs: [low]" 'mkdir -p /out/high/opt; cp /deps/low/opt/low /out/high/opt/high'
  PUSH_TO_REGISTRY=yes kb high low
  digest=$(cut -d' ' -f1 build/high-sha256sum)
  rm -r "$BLOBS/docker/registry/v2/blobs/sha256/${digest:0:2}/$digest"
  forget
  run kb high
  echo "$output"
  [ "$status" -eq 0 ]
  ran high
  run ! ran low
  [[ "$output" != *warning* ]]
  [ "$(content_of build/kata-static-high.tar.xz opt/high)" = low ]
}

# An image of two layers with a bash and a few tools of this machine, made by umoci, pushed by skopeo.
push_foreign_image() {
  command -v umoci >/dev/null && command -v skopeo >/dev/null || skip "umoci or skopeo is not installed"
  umoci init --layout layout
  umoci new --image layout:base
  umoci unpack --rootless --image layout:base first
  mkdir -p first/rootfs/bin first/rootfs/etc
  for program in bash mkdir cat rm; do
    cp "$(type -P "$program")" first/rootfs/bin/
    ldd "$(type -P "$program")" | grep -o '/[^ ]*' | while read -r library; do
      mkdir -p "first/rootfs$(dirname "$library")"
      cp -L "$library" "first/rootfs$library"
    done
  done
  ln -s /nowhere/absolute first/rootfs/etc/link
  echo old >first/rootfs/etc/gone
  umoci repack --image layout:base first
  umoci unpack --rootless --image layout:base second
  rm second/rootfs/etc/gone
  umoci repack --image layout:base second
  skopeo copy -q --dest-tls-verify=false oci:layout:base "docker://127.0.0.1:$PORT/base/image:1"
}

@test "a step runs in an image that somebody else made, and the builder is shared" {
  start_registry
  push_foreign_image
  make_recipe one "" 'mkdir -p /out/one/opt; [ ! -e /etc/gone ] && [ -L /etc/link ] && echo inside >/out/one/opt/one'
  sed -i "s|^builder:.*|builder: {image: \"127.0.0.1:$PORT/base/image:1\"}|" recipes/one/recipe.yaml
  export BUILDER_REGISTRY=127.0.0.1:$PORT/builders
  PUSH_TO_REGISTRY=yes run "$KBUILD" --cache "$PROJECT/cache" --remote=require one
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(content_of build/kata-static-one.tar.xz opt/one)" = inside ]
  name=$(cat build/one-builder-image-version)
  # Ours, under upstream's name, as others read it.
  skopeo inspect --tls-verify=false "docker://127.0.0.1:$PORT/builders:$name" | grep -q '"Architecture"'
  skopeo copy -q --src-tls-verify=false "docker://127.0.0.1:$PORT/builders:$name" oci:again:x
  umoci unpack --rootless --image again:x bundle >/dev/null
  [ -x bundle/rootfs/bin/bash ]
  [ ! -e bundle/rootfs/etc/gone ]
  if [ "$(id -u)" -eq 0 ] && command -v buildah >/dev/null; then # rootless needs more of a machine
    buildah() { env -u REGISTRY_AUTH_FILE -u DOCKER_CONFIG buildah --root "$PWD/storage" --runroot "$PWD/run" --storage-driver vfs "$@"; }
    # Its own limits may be above what this machine allows.
    container=$(buildah from -q --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --tls-verify=false "127.0.0.1:$PORT/builders:$name")
    [ "$(buildah run --isolation chroot "$container" -- bash -c 'echo run by buildah')" = "run by buildah" ]
    buildah rm "$container" >/dev/null
  fi
  # Another machine, which cannot reach the first image any more, and has something else to build.
  forget
  rm -rf "$BLOBS/docker/registry/v2/repositories/base"
  make_recipe one "" 'mkdir -p /out/one/opt; echo other >/out/one/opt/one'
  sed -i "s|^builder:.*|builder: {image: \"127.0.0.1:$PORT/base/image:1\"}|" recipes/one/recipe.yaml
  run "$KBUILD" --cache "$PROJECT/cache" --remote=require one
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(content_of build/kata-static-one.tar.xz opt/one)" = other ]
}

@test "an upstream variable names the image to build in" {
  start_registry
  make_recipe one-two
  unset ARTEFACT_REGISTRY
  ONE_TWO_CONTAINER_BUILDER=127.0.0.1:$PORT/none:1 run "$KBUILD" --cache "$PROJECT/cache" one-two
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"127.0.0.1:$PORT/none:1: the registry has no such tag"* ]]
}

@test "an image to build in is pinned, and a tag that moves is noticed when its line is removed" {
  start_registry
  push_foreign_image
  make_recipe one "" 'mkdir -p /out/one/opt; if [ -e /etc/moved ]; then echo new; else echo old; fi >/out/one/opt/one'
  export ONE_CONTAINER_BUILDER=127.0.0.1:$PORT/base/image:1
  run "$KBUILD" --cache "$PROJECT/cache" --locked one
  [ "$status" -eq 1 ]
  [[ "$output" == *"base/image:1"*"--locked"* ]]
  "$KBUILD" --cache "$PROJECT/cache" one
  grep -q "^archive docker://127.0.0.1:$PORT/base/image:1 sha256=" versions.lock
  umoci unpack --rootless --image layout:base third
  : >third/rootfs/etc/moved
  umoci repack --image layout:base third
  skopeo copy -q --dest-tls-verify=false oci:layout:base "docker://127.0.0.1:$PORT/base/image:1"
  forget
  "$KBUILD" --cache "$PROJECT/cache" --locked one
  [ "$(content_of build/kata-static-one.tar.xz opt/one)" = old ]
  sed -i '/docker:/d' versions.lock
  "$KBUILD" --cache "$PROJECT/cache" one
  [ "$(content_of build/kata-static-one.tar.xz opt/one)" = new ]
}

@test "verify builds again, and takes nothing from the shared cache for it" {
  start_registry
  noisy steady
  noisy loose "" 'mkdir -p /out/loose/opt; id -u >/out/loose/opt/loose'
  PUSH_TO_REGISTRY=yes kb steady loose
  run kb verify steady
  [ "$status" -eq 0 ]
  [[ "$output" == *"kata-static-steady.tar.xz is the same"* ]]
  run kb verify --no-diffoscope loose
  [ "$status" -eq 1 ]
  [[ "$output" == *"opt/loose: its content differs"* ]]
  # What the second build made is not pushed either: another machine gets the first.
  forget
  kb loose
  [ "$(content_of build/kata-static-loose.tar.xz opt/loose)" = 0 ]
}
