#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Artifacts of others, and images of others, from a real registry on loopback: taken only when asked
# for by name, checked, and pinned.

bats_require_minimum_version 1.5.0

load project
load shared_cache

setup() {
  setup_shared_cache
  unset KBUILD_PREBUILT
  ARCH=$(uname -m)
}

teardown() {
  stop_registry
}

# What `oras push` of 1.2 leaves: an empty config, one layer a file with its name.
oras_push() { # repository tag file...
  local repository=$1 tag=$2 layers='[]' digest size
  shift 2
  for file in "$@"; do
    digest=$(sha256sum "$file" | cut -d' ' -f1) size=$(stat -c %s "$file")
    upload "$repository" "$file" "$digest"
    layers=$(jq -c --arg d "sha256:$digest" --argjson s "$size" --arg t "${file##*/}" '. + [{mediaType: "application/vnd.oci.image.layer.v1.tar", digest: $d, size: $s, annotations: {"org.opencontainers.image.title": $t}}]' <<<"$layers")
  done
  printf '{}' >empty
  digest=$(sha256sum empty | cut -d' ' -f1)
  upload "$repository" empty "$digest"
  jq -nc --argjson layers "$layers" --arg d "sha256:$digest" '{schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", artifactType: "application/vnd.unknown.artifact.v1", config: {mediaType: "application/vnd.oci.empty.v1+json", digest: $d, size: 2, data: "e30="}, layers: $layers, annotations: {"org.opencontainers.image.created": "2024-12-18T00:00:00Z"}}' >pushed.json
  curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary @pushed.json \
    "http://127.0.0.1:$PORT/v2/kata/$repository/manifests/$tag"
}

upload() { # repository file digest
  local to
  to=$(curl -sf -X POST -D - -o /dev/null "http://127.0.0.1:$PORT/v2/kata/$1/blobs/uploads/" | tr -d '\r' | sed -n 's/^Location: //Ip')
  curl -sf -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$2" "$to&digest=sha256:$3"
}

# The artefact of an upstream pipeline in $PROJECT/upstream: $1 is what is in it.
make_upstream() {
  rm -rf tree upstream
  mkdir -p tree/opt upstream
  printf '%s' "$1" >tree/opt/low
  tar -C tree -cJf upstream/kata-static-low.tar.xz .
  echo "6.7-140-abcdef012-fedcba987" >upstream/low-version
  echo "kernel-abcdef012-$ARCH" >upstream/low-builder-image-version
  (cd upstream && sha256sum kata-static-low.tar.xz >low-sha256sum)
}

push_upstream() { # content
  make_upstream "$1"
  oras_push cached-artefacts/low "latest-main-$ARCH" upstream/*
}

@test "an artefact of upstream's pipeline takes the place of a target that is named, and of no other" {
  start_registry
  push_upstream upstream
  noisy low
  noisy top "needs: [low]" 'mkdir -p /out/top/opt; cp /deps/low/opt/low /out/top/opt/top'
  # Not by itself, though it is where upstream's pipelines look for it.
  kb --remote=require top
  ran low
  [ "$(content_of build/kata-static-top.tar.xz opt/top)" = low ]
  forget
  KBUILD_PREBUILT=low run kb top
  echo "$output"
  [ "$status" -eq 0 ]
  run ! ran low
  ran top
  [ "$(content_of build/kata-static-top.tar.xz opt/top)" = upstream ]
  cmp upstream/kata-static-low.tar.xz build/kata-static-low.tar.xz
  cmp upstream/low-version build/low-version
  cmp upstream/low-builder-image-version build/low-builder-image-version
  (cd build && sha256sum -c low-sha256sum)
  # Where it came from is part of what is said of the results.
  KBUILD_PREBUILT=low kb provenance low
  digest=$(sha256sum pushed.json | cut -d' ' -f1)
  jq -e --arg digest "$digest" '.predicate.buildDefinition.resolvedDependencies | any(.digest.sha256 == $digest)' build/low-provenance.json
  # Without the variable it is made again, and the option is as good as the variable.
  kb top
  [ "$(content_of build/kata-static-top.tar.xz opt/top)" = low ]
  rm -rf build
  kb --prebuilt="low=127.0.0.1:$PORT/kata/cached-artefacts/low" low
  [ "$(content_of build/kata-static-low.tar.xz opt/low)" = upstream ]
}

@test "what is prebuilt is pinned like every other reference" {
  start_registry
  push_upstream first
  noisy low
  export KBUILD_PREBUILT=low
  run kb --locked low
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"--locked"* ]]
  kb low
  grep -q "^archive docker://127.0.0.1:$PORT/kata/cached-artefacts/low:latest-main-$ARCH sha256=$(sha256sum <pushed.json | cut -d' ' -f1)\$" versions.lock
  push_upstream second
  forget
  kb --locked low
  [ "$(content_of build/kata-static-low.tar.xz opt/low)" = first ]
  kb --offline low
  sed -i '/docker:/d' versions.lock
  kb low
  [ "$(content_of build/kata-static-low.tar.xz opt/low)" = second ]
}

@test "an artefact that is not as its sums say is refused" {
  start_registry
  noisy low
  export KBUILD_PREBUILT=low
  refused() { # message
    oras_push cached-artefacts/low "latest-main-$ARCH" upstream/*
    rm -f versions.lock
    run kb low
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"$1"* ]]
    [ ! -e build/kata-static-low.tar.xz ]
  }
  make_upstream one
  sed -i 's/^./x/' upstream/low-sha256sum
  refused "is no sum"
  make_upstream two
  sed -i "s/^.\{64\}/$(printf '0%.0s' $(seq 64))/" upstream/low-sha256sum
  refused "its low-sha256sum says 0000"
  make_upstream three
  : >upstream/low-sha256sum
  refused "does not name kata-static-low.tar"
  make_upstream four
  rm upstream/low-sha256sum
  refused "has no low-sha256sum"
  make_upstream five
  mv upstream/kata-static-low.tar.xz upstream/kata-static-other.tar.xz
  (cd upstream && sha256sum kata-static-other.tar.xz >low-sha256sum)
  refused "does not name kata-static-low.tar"
}

@test "with trusted keys an artefact of upstream's is refused, and a signed one of ours is taken" {
  start_registry
  make_keys
  push_upstream upstream
  noisy low
  export KBUILD_TRUSTED_KEYS=$PROJECT/builder.pub.pem
  KBUILD_PREBUILT=low run kb low
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"no key of KBUILD_TRUSTED_KEYS signed it as low for $ARCH"* ]]
  # Ours, by upstream's tag; what somebody adds to it is left out.
  rm -rf build versions.lock
  PUSH_TO_REGISTRY=yes KBUILD_SIGNING_KEY=$PROJECT/TEST-builder.pem kb --remote=require low
  sum=$(sha256sum <build/kata-static-low.tar.xz)
  forget
  rm -rf recipes/low/build.sh
  noisy low "" 'exit 1'
  export KBUILD_PREBUILT=low
  kb low
  [ "$(sha256sum <build/kata-static-low.tar.xz)" = "$sum" ]
  # The signature does not carry over to another target.
  noisy other
  KBUILD_PREBUILT="other=127.0.0.1:$PORT/kata/cached-artefacts/low" run kb other
  [ "$status" -eq 1 ]
  [[ "$output" == *"no key of KBUILD_TRUSTED_KEYS"* ]]
}

@test "a list of prebuilt artifacts that makes no sense is an error" {
  noisy low
  KBUILD_PREBUILT=lwo run kb low
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *lwo* ]]
  KBUILD_PREBUILT=low run kb low
  [ "$status" -eq 1 ]
  [[ "$output" == *ARTEFACT_REGISTRY* ]]
  KBUILD_PREBUILT=low=UPPER/x//y run kb low
  [ "$status" -eq 1 ]
  start_registry
  KBUILD_PREBUILT=low run kb low
  [ "$status" -eq 1 ]
  [[ "$output" == *"no such tag"* ]]
  push_upstream upstream
  KBUILD_PREBUILT=low run kb verify low
  [ "$status" -eq 1 ]
  [[ "$output" == *"is not made here"* ]]
}

@test "a prebuilt artifact is not pushed as if it had been made here" {
  start_registry
  push_upstream upstream
  noisy low
  before=$(digest_of_tag cached-artefacts/low "latest-main-$ARCH")
  PUSH_TO_REGISTRY=yes KBUILD_PREBUILT=low run kb --remote=require low
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(digest_of_tag cached-artefacts/low "latest-main-$ARCH")" = "$before" ]
  run ! grep -q kbuild- <(curl -s "http://127.0.0.1:$PORT/v2/kata/cached-artefacts/low/tags/list")
}

@test "what is prebuilt was not built here, and proves nothing of a file that somebody handed over" {
  start_registry
  push_upstream upstream
  noisy low
  noisy top "needs: [low]" 'mkdir -p /out/top/opt; cp /deps/low/opt/low /out/top/opt/top'
  openssl genpkey -algorithm ed25519 -out TEST-key.pem 2>/dev/null
  openssl pkey -in TEST-key.pem -pubout -out TEST-key.pub.pem
  KBUILD_SIGNING_KEY=TEST-key.pem "$KBUILD" sign --release 1 upstream/kata-static-low.tar.xz
  run kb check upstream/kata-static-low.tar.xz --trusted-keys TEST-key.pub.pem --reproduce low --prebuilt low
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *$'\n'"bad          reproduction  "*"not made here: low"* ]]
  [[ "$output" != *"good         reproduction"* ]]
  run ! ran low
  # A part of it that was taken is said.
  kb --prebuilt low top
  cp build/kata-static-top.tar.xz .
  KBUILD_SIGNING_KEY=TEST-key.pem "$KBUILD" sign --release 1 kata-static-top.tar.xz
  run kb check kata-static-top.tar.xz --trusted-keys TEST-key.pub.pem --reproduce top --prebuilt low
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *$'\n'"bad          reproduction  "*"not made here: low"* ]]
  run kb check kata-static-top.tar.xz --trusted-keys TEST-key.pub.pem --reproduce top --prebuilt low --trust-cache
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *$'\n'"not checked  reproduction  "*"not made here: low"* ]]
}
