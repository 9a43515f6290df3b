#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Builder images in a registry, as CI uses them: made of distribution packages once, pushed, pulled
# by everybody else, read by other tools. Needs the distribution's mirror: KBUILD_TEST_MIRROR=1.

bats_require_minimum_version 1.5.0

load project
load shared_cache

setup() {
  [ -n "${KBUILD_TEST_MIRROR:-}" ] || skip "KBUILD_TEST_MIRROR is not set"
  setup_shared_cache
  export KBUILD_SOURCES=debian
  make_recipe one "" 'mkdir -p /out/one/opt; cat /etc/debian_version >/out/one/opt/one'
  sed -i 's|^builder:.*|builder: {packages: [bash, coreutils]}|' recipes/one/recipe.yaml
  start_registry
  unset ARTEFACT_REGISTRY ARTEFACT_REPOSITORY
  export BUILDER_REGISTRY=127.0.0.1:$PORT/kata/builders
}

teardown() {
  stop_registry
}

build() {
  "$KBUILD" --cache "$PROJECT/cache" --remote=require "$@"
}

@test "a builder of packages is made, pushed, pulled elsewhere, and run by other tools" {
  make_keys
  # Two jobs make and push it at once.
  export PUSH_TO_REGISTRY=yes KBUILD_SIGNING_KEY=$PROJECT/TEST-builder.pem
  "$KBUILD" --cache "$PROJECT/c1" -o b1 --remote=require one 3>&- &
  first=$!
  "$KBUILD" --cache "$PROJECT/c2" -o b2 --remote=require one 3>&- &
  second=$!
  wait "$first"
  wait "$second"
  unset PUSH_TO_REGISTRY KBUILD_SIGNING_KEY
  chmod -R u+w c1 c2
  rm -rf c1 c2
  name=$(cat b1/one-builder-image-version)
  # Another machine: nothing is installed, and the step runs in what came.
  export KBUILD_TRUSTED_KEYS=$PROJECT/builder.pub.pem
  run build one
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"builder one $(uname -m): from the shared cache in "* ]]
  cmp b1/kata-static-one.tar.xz build/kata-static-one.tar.xz
  # The image travels compressed, and is the one that is here: the configs are the same.
  here=$(find cache/images -mindepth 1 -maxdepth 1 | head -n 1)
  skopeo inspect --raw --tls-verify=false "docker://$BUILDER_REGISTRY:$name" >there.json
  [ "$(jq -r '.layers[].mediaType' there.json)" = application/vnd.oci.image.layer.v1.tar+gzip ]
  [ "$(skopeo inspect --config --raw "oci:$here" | sha256sum)" = "$(skopeo inspect --config --raw --tls-verify=false "docker://$BUILDER_REGISTRY:$name" | sha256sum)" ]
  skopeo copy -q --src-tls-verify=false "docker://$BUILDER_REGISTRY:$name" oci:again:x
  umoci unpack --rootless --image again:x bundle >/dev/null
  cmp bundle/rootfs/etc/debian_version <(content_of build/kata-static-one.tar.xz opt/one)
  if [ "$(id -u)" -eq 0 ]; then # rootless needs more of a machine
    buildah() { env -u REGISTRY_AUTH_FILE -u DOCKER_CONFIG buildah --root "$PWD/storage" --runroot "$PWD/run" --storage-driver vfs "$@"; }
    container=$(buildah from -q --tls-verify=false "$BUILDER_REGISTRY:$name")
    buildah run --isolation chroot "$container" cat /etc/debian_version >version
    buildah rm "$container" >/dev/null
    [ "$(cat version)" = "$(content_of build/kata-static-one.tar.xz opt/one)" ]
  fi
}

@test "an untrusted builder is not used" {
  make_keys
  PUSH_TO_REGISTRY=yes KBUILD_SIGNING_KEY=$PROJECT/TEST-stranger.pem build one
  forget
  KBUILD_TRUSTED_KEYS=$PROJECT/builder.pub.pem run build one
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"builder one, but no key of KBUILD_TRUSTED_KEYS signed it"* ]]
  [[ "$output" == *"builder one $(uname -m): done in "* ]]
}

@test "a builder of the producer's registry does not count for a file that he handed over" {
  PUSH_TO_REGISTRY=yes build one
  forget
  # It is pulled, and stays in the cache.
  build one
  mkdir handed
  cp build/kata-static-one.tar.xz handed
  kept=$(find cache/actions -type f | sort | xargs cat | sha256sum)
  run "$KBUILD" --cache "$PROJECT/cache" check handed/kata-static-one.tar.xz --unsigned --reproduce one --trust-cache
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *$'\n'"not checked  reproduction  from a registry, and not made here: builder one"* ]]
  [[ "$output" != *"good         reproduction"* ]]
  run "$KBUILD" --cache "$PROJECT/cache" check handed/kata-static-one.tar.xz --unsigned --reproduce one
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"builder one $(uname -m): done in "* ]]
  [[ "$output" == *"good         reproduction  one, built here, is the same"* ]]
  [ "$(find cache/actions -type f | sort | xargs cat | sha256sum)" = "$kept" ]
  # verify says so, too.
  run "$KBUILD" --cache "$PROJECT/cache" verify one
  [ "$status" -eq 0 ]
  [[ "$output" == *"from a registry, and not made by this run: builder one"* ]]
  # An image that is named is no builder that was made here.
  ONE_CONTAINER_BUILDER=$BUILDER_REGISTRY:$(cat build/one-builder-image-version) \
    run "$KBUILD" --cache "$PROJECT/cache" check handed/kata-static-one.tar.xz --unsigned --reproduce one
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"bad          reproduction  taken as it is named "*"and not made here: builder one"* ]]
  [[ "$output" != *"good         reproduction"* ]]
}

@test "why says of another --builder what changed, and not each tool" {
  make_recipe two
  sed -i 's|^builder:.*|builder: {packages: [bash, coreutils], tools: [bash, cat]}|' recipes/two/recipe.yaml
  kb two
  run "$KBUILD" --cache "$PROJECT/cache" why two
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"two is made again because what it is built in (--builder) changed from host to image"* ]]
  [[ "$output" != *removed* && "$output" != *"its input"* ]]
}
