#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Which results from a registry are trusted, and which files they may leave. A real registry on loopback.

bats_require_minimum_version 1.5.0

load project
load shared_cache

setup() {
  setup_shared_cache
  make_keys
}

teardown() {
  stop_registry
}

# Puts the manifest on standard input under a tag.
put_manifest() { # repository tag
  curl -sf -o /dev/null -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary @- \
    "http://127.0.0.1:$PORT/v2/kata/$1/manifests/$2"
}

key_tag() { # target
  curl -s "http://127.0.0.1:$PORT/v2/kata/cached-artefacts/$1/tags/list" | grep -o 'kbuild-[0-9a-f]*' | head -n 1
}

@test "an entry writes the names of its own target, and no other" {
  start_registry
  noisy one
  noisy two
  PUSH_TO_REGISTRY=yes kb one
  tag=$(key_tag one)
  manifest cached-artefacts/one "$tag" >good
  digest=$(cut -d' ' -f1 build/one-sha256sum)
  forget
  kb --remote=off two
  before=$(sha256sum <build/kata-static-two.tar.xz)
  # As an output, as a side file, and one beside the right one.
  for name in targets kata-static-two.tar.xz logs two-sha256sum one-version kata-static-one-more.tar.xz; do
    for way in output side more; do
      python3 - good "$name" "$way" "$digest" >forged <<'P'
import json, sys
m, (name, way, digest) = json.load(open(sys.argv[1])), sys.argv[2:]
record = json.loads(m["annotations"]["kbuild.record"])
if way == "more" or way == "side":
    record["outputs"].append({**record["outputs"][0], "name": name, **({"side": True} if way == "side" else {})})
    m["layers"].append({**m["layers"][0], "annotations": {"kbuild.output": name, "org.opencontainers.image.title": name}})
else:
    record["outputs"][0]["name"] = name
    m["layers"][0]["annotations"] = {"kbuild.output": name, "org.opencontainers.image.title": name}
m["annotations"]["kbuild.record"] = json.dumps(record)
print(json.dumps(m), end="")
P
      put_manifest cached-artefacts/one "$tag" <forged
      rm -rf cache
      run kb one
      echo "$name $way: $output"
      [ "$status" -eq 0 ]
      [[ "$output" == *"outputs that one"*"does not have"* ]]
      ran one
      [ "$(sha256sum <build/kata-static-two.tar.xz)" = "$before" ]
      [ ! -e build/kata-static-one-more.tar.xz ]
      run ! grep -q ELF build/targets
    done
  done
}

@test "the files of a prebuilt artifact are those of its target" {
  start_registry
  noisy one
  noisy two
  PUSH_TO_REGISTRY=yes kb one
  tag=latest-main-$(uname -m)
  manifest cached-artefacts/one "$tag" | jq -c '.layers += [.layers[0] | .annotations["org.opencontainers.image.title"] = ("targets", "kata-static-two.tar.xz", "two-version")]' | put_manifest cached-artefacts/one "$tag"
  forget
  kb --remote=off two
  before=$(cd build && sha256sum kata-static-two.tar.xz two-version)
  KBUILD_PREBUILT=one run kb --remote=off one
  echo "$output"
  [ "$status" -eq 0 ]
  for name in targets kata-static-two.tar.xz two-version; do
    [[ "$output" == *"has $name, which is no output of one"* ]]
  done
  run ! ran one
  [ "$(cd build && sha256sum kata-static-two.tar.xz two-version)" = "$before" ]
  [ "$(content_of build/kata-static-one.tar.xz opt/one)" = one ]
}

@test "an entry is judged by the keys of today, whenever it was pulled" {
  start_registry
  noisy one
  noisy two
  PUSH_TO_REGISTRY=yes kb one
  PUSH_TO_REGISTRY=yes KBUILD_SIGNING_KEY=$PROJECT/TEST-builder.pem kb two
  forget
  kb --remote=require one two
  run ! ran one
  export KBUILD_TRUSTED_KEYS=$PROJECT/builder.pub.pem
  # Unsigned: made here. Signed: looked up again, once.
  run kb one two
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"came from a registry, and no key of KBUILD_TRUSTED_KEYS signed it"* ]]
  ran one
  run ! ran two
  # Now both are cached: one is our own, the other's signature is kept here.
  run kb --remote=off one two
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" != *"no key"* ]]
  rm -rf build/logs
  kb --remote=off one two
  run ! ran two
  # Other keys: what the old one signed does not count any more, also without a network.
  export KBUILD_TRUSTED_KEYS=$PROJECT/stranger.pub.pem
  run kb --remote=off one two
  echo "$output"
  [ "$status" -eq 0 ]
  run ! ran one
  ran two
}

@test "a prebuilt artifact that was pulled before there were keys is not cached either" {
  start_registry
  noisy one
  PUSH_TO_REGISTRY=yes kb one
  forget
  KBUILD_PREBUILT=one kb one
  KBUILD_PREBUILT=one KBUILD_TRUSTED_KEYS=$PROJECT/builder.pub.pem run kb one
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"no key of KBUILD_TRUSTED_KEYS signed it"* ]]
}

@test "what a signature does not cover has no effect" {
  start_registry
  noisy one
  PUSH_TO_REGISTRY=yes KBUILD_SIGNING_KEY=$PROJECT/TEST-builder.pem kb --remote=require one
  tag=$(key_tag one)
  good=$(sha256sum <build/kata-static-one.tar.xz)
  entry=$(digest_of_tag cached-artefacts/one "$tag")
  referrers cached-artefacts/one "$entry" >index
  manifest cached-artefacts/one "$tag" | jq -c '.annotations["kbuild.built-by"] = "somebody else" | .layers += [.layers[0] | .annotations = {"org.opencontainers.image.title": ("targets", "logs", "extra")}]' >forged
  put_manifest cached-artefacts/one "$tag" <forged
  curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' --data-binary @index \
    "http://127.0.0.1:$PORT/v2/kata/cached-artefacts/one/manifests/sha256-$(sha256sum <forged | cut -d' ' -f1)"
  forget
  KBUILD_TRUSTED_KEYS=$PROJECT/builder.pub.pem run kb --remote=require one
  echo "$output"
  [ "$status" -eq 0 ]
  run ! ran one
  [ "$(sha256sum <build/kata-static-one.tar.xz)" = "$good" ]
  [ "$(cd build && echo kata-static-one* one-* extra*)" = "kata-static-one.tar.xz one-builder-image-version one-sha256sum one-version extra*" ]
  kb provenance one
  run ! grep -r "somebody else" build cache
}

@test "with keys an image to build in is named by its digest, or signed" {
  start_registry
  command -v umoci >/dev/null && command -v skopeo >/dev/null || skip "umoci or skopeo is not installed"
  umoci init --layout layout
  umoci new --image layout:base
  umoci unpack --rootless --image layout:base first
  mkdir -p first/rootfs/bin
  for program in bash mkdir; do
    cp "$(type -P "$program")" first/rootfs/bin/
    ldd "$(type -P "$program")" | grep -o '/[^ ]*' | while read -r library; do
      mkdir -p "first/rootfs$(dirname "$library")"
      cp -L "$library" "first/rootfs$library"
    done
  done
  umoci repack --image layout:base first
  skopeo copy -q --dest-tls-verify=false oci:layout:base "docker://127.0.0.1:$PORT/base/image:1"
  digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://127.0.0.1:$PORT/base/image:1")
  make_recipe one
  export BUILDER_REGISTRY=127.0.0.1:$PORT/builders ONE_CONTAINER_BUILDER=127.0.0.1:$PORT/base/image:1
  # Without keys it is pinned, pulled and cached, and pushed with a signature of ours.
  PUSH_TO_REGISTRY=yes KBUILD_SIGNING_KEY=$PROJECT/TEST-builder.pem "$KBUILD" --cache "$PROJECT/cache" --remote=require one
  name=$(cat build/one-builder-image-version)
  export KBUILD_TRUSTED_KEYS=$PROJECT/builder.pub.pem
  for _ in cached again; do
    run "$KBUILD" --cache "$PROJECT/cache" --remote=off one
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"no key of KBUILD_TRUSTED_KEYS signed the image 127.0.0.1:$PORT/base/image:1"*"@$digest"* ]]
    forget
  done
  ONE_CONTAINER_BUILDER=127.0.0.1:$PORT/base/image@$digest "$KBUILD" --cache "$PROJECT/cache" --remote=off one
  forget
  # Our own image, which a trusted key signed; and with another key it is nobody's.
  export ONE_CONTAINER_BUILDER=127.0.0.1:$PORT/builders:$name
  "$KBUILD" --cache "$PROJECT/cache" --remote=off one
  "$KBUILD" --cache "$PROJECT/cache" --remote=off --offline one
  KBUILD_TRUSTED_KEYS=$PROJECT/stranger.pub.pem run "$KBUILD" --cache "$PROJECT/cache" --remote=off one
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"no key of KBUILD_TRUSTED_KEYS signed the image"* ]]
}

@test "a variable that trust depends on is not empty" {
  noisy one
  for name in KBUILD_TRUSTED_KEYS KBUILD_SIGNING_KEY KBUILD_KERNEL_KEYRING; do
    run env "$name=" "$KBUILD" --builder=host --cache "$PROJECT/cache" one
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"$name is set and empty"* ]]
    run ! ran one
  done
  make_recipe two "variables: {TWO_FILE: {type: file}, TWO_SWITCH: {type: yes-no}, TWO_TEXT: {type: text}}"
  for name in TWO_FILE TWO_SWITCH; do
    run env "$name=" "$KBUILD" --builder=host --cache "$PROJECT/cache" two
    [ "$status" -eq 1 ]
    [[ "$output" == *"$name is set and empty"* ]]
  done
  TWO_TEXT="" kb two
}

@test "keys that others can write, or read, or that are damaged are refused" {
  start_registry
  noisy one
  refused() { # words of the error
    run kb one
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *$1* ]]
    run ! ran one
  }
  export KBUILD_TRUSTED_KEYS=$PROJECT/builder.pub.pem
  chmod 0666 builder.pub.pem
  refused "builder.pub.pem can be written by everybody"
  chmod 0644 builder.pub.pem
  mkdir keys
  cp builder.pub.pem keys/
  chmod 0777 keys
  KBUILD_TRUSTED_KEYS=$PROJECT/keys refused "keys can be written by everybody"
  # The second of two keys is cut short, in the middle or at its end.
  for lines in 2 3; do
    { cat builder.pub.pem; head -n $((lines - 1)) stranger.pub.pem | cut -c1-40; } >two.pem
    KBUILD_TRUSTED_KEYS=$PROJECT/two.pem refused "damaged"
  done
  unset KBUILD_TRUSTED_KEYS
  chmod 0644 TEST-builder.pem
  PUSH_TO_REGISTRY=yes KBUILD_SIGNING_KEY=$PROJECT/TEST-builder.pem refused "can be read by everybody"
}
