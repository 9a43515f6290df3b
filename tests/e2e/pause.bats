#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The recipe pause-image on a small made-up image in a registry on loopback, which registries.conf puts in upstream's place: the
# bundle that the agent reads, with upstream's names and modes.

bats_require_minimum_version 1.5.0

load project
load shared_cache

setup() {
  command -v jq >/dev/null || skip "jq is not installed"
  setup_shared_cache
  start_registry
  unset ARTEFACT_REGISTRY ARTEFACT_REPOSITORY
  printf 'externals:\n  pause: {repo: "docker://registry.test/pause", version: "3.9"}\n' >versions.yaml
  cp -R "$REPOSITORY/recipes/pause-image" recipes/
  mkdir -p .config/containers
  printf '[[registry]]\nprefix = "registry.test"\nlocation = "127.0.0.1:%s/up"\ninsecure = true\n' "$PORT" >.config/containers/registries.conf
  python3 "$REPOSITORY/tests/support/push_image.py" "127.0.0.1:$PORT/up/pause:3.9" amd64=intel s390x=zet
}

teardown() {
  stop_registry
}

config() {
  content_of build/kata-static-pause-image.tar.xz pause_bundle/config.json
}

@test "an image becomes the bundle that the agent reads, with upstream's names and modes" {
  kb pause-image --arch=s390x
  tar -tvf build/kata-static-pause-image.tar.xz >list
  cat list
  grep -q '^drwxr-xr-x .* \./pause_bundle/$' list # umoci: 0700; kbuild's folders are 0755
  grep -q '^-rw-r--r-- .* \./pause_bundle/config.json$' list
  grep -q '^drwxr-xr-x .* \./pause_bundle/rootfs/$' list
  grep -q '^-rwxr-xr-x .* \./pause_bundle/rootfs/pause$' list
  refute_grep mtree list
  [ "$(content_of build/kata-static-pause-image.tar.xz pause_bundle/rootfs/pause)" = zet ]
  # What the agent takes of it (src/agent/src/confidential_data_hub/image.rs).
  [ "$(config | jq -c '[.ociVersion, .process.args, .process.cwd, .root.path, .annotations["org.opencontainers.image.architecture"]]')" = \
    '["1.0.0",["/pause"],"/","rootfs","s390x"]' ]
  grep -q 'docker://registry.test/pause:3.9#linux/s390x' versions.lock
}

@test "the runtime specification is the one that umoci makes" {
  command -v umoci >/dev/null && command -v skopeo >/dev/null || skip "umoci or skopeo is not installed"
  [ "$(id -u)" -eq 0 ] || skip "umoci writes the user's own number into it unless root runs it"
  kb pause-image --arch=x86_64
  skopeo copy -q --override-arch=amd64 --src-tls-verify=false "docker://127.0.0.1:$PORT/up/pause:3.9" oci:copy:x
  umoci unpack --rootless --image copy:x bundle >/dev/null
  config | jq -S . >ours
  jq -S . bundle/config.json | diff - ours
}

@test "an image that is no pause image is an error that says why" {
  while IFS='|' read -r config text; do
    echo "$config" >config.json
    run jq -f "$REPOSITORY/recipes/pause-image/bundle.jq" config.json
    [ "$status" -ne 0 ]
    [[ "$output" == *"$text"* ]]
  done <<'X'
{"config":{"Entrypoint":["/pause"],"User":"nobody"}}|'nobody'
{"config":{"User":"1:2"}}|names no program
{"config":{"Entrypoint":["/pause"],"User":"1:2:3"}}|'1:2:3'
X
  [ "$(echo '{"config":{"Cmd":["/x","y"],"User":"7","Env":["A=b=c","PATH=/x"],"WorkingDir":"/w"}}' |
    jq -c -f "$REPOSITORY/recipes/pause-image/bundle.jq" | jq -c '[.process.user, .process.args, .process.env, .process.cwd]')" = \
    '[{"uid":7,"gid":0},["/x","y"],["PATH=/x","TERM=xterm","A=b=c"],"/w"]' ]
}

refute_grep() {
  if grep -q "$@"; then return 1; fi
}
