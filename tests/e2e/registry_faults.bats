#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The real binary behind tests/support/fault_proxy.py: builds that push, then builds that pull. Each completes,
# and what it makes is what is made without a registry. FAULT_BUILDS (24) pairs; FAULT_SEED (1) says which faults.

load project

setup() {
  command -v docker-registry >/dev/null || skip "docker-registry is not installed"
  make_project
  unset KBUILD_SIGNING_KEY KBUILD_TRUSTED_KEYS PUSH_TO_REGISTRY BUILDER_REGISTRY RELEASE TARGET_BRANCH
  unset ARTEFACT_REGISTRY_USERNAME ARTEFACT_REGISTRY_PASSWORD ARTEFACT_REGISTRY ARTEFACT_REPOSITORY
  export HOME=$PROJECT REGISTRY_AUTH_FILE=$PROJECT/none PROJECT KBUILD
}

teardown() {
  exec 9>&- || true
  [ -z "${REGISTRY_PID:-}" ] || kill "$REGISTRY_PID" 2>/dev/null || true
}

start_servers() {
  local port
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  printf 'version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {inmemory: {}}\nhttp: {addr: "127.0.0.1:%s"}\n' \
    "$port" >registry.yml
  env -u REGISTRY_AUTH_FILE docker-registry serve registry.yml >registry.log 2>&1 3>&- &
  REGISTRY_PID=$!
  for _ in $(seq 100); do
    curl -s -o /dev/null "http://127.0.0.1:$port/v2/" && break
    sleep 0.1
  done
  mkfifo proxy.input
  python3 "$BATS_TEST_DIRNAME/../support/fault_proxy.py" "$port" "${FAULT_SEED:-1}" ${FAULT_PERCENT:-} <proxy.input >proxy.port 2>proxy.log 3>&- &
  exec 9>proxy.input # it ends with this
  for _ in $(seq 100); do
    [ -s proxy.port ] && break
    sleep 0.1
  done
  ARTEFACT_REGISTRY=127.0.0.1:$(cat proxy.port)
  export ARTEFACT_REGISTRY
}

# run NUMBER: two builds of top, the second of them with nothing but the registry. A line of output if something
# is not as it should be.
one_pair() {
  local here=$PROJECT/run-$1 what
  mkdir -p "$here"
  cp -r recipes versions.yaml "$here/"
  cd "$here" || return 1
  export ARTEFACT_REPOSITORY=run-$1/kata
  for what in push pull; do
    rm -rf build
    [ "$what" = push ] || { chmod -R u+w cache; rm -rf cache; }
    PUSH_TO_REGISTRY=$([ "$what" = push ] && echo yes || echo no) \
      timeout 120 "$KBUILD" --builder=host --cache cache top >out 2>&1 9>&- || { echo "run-$1, $what: status $?"; cat out; }
    (cd build && sha256sum -- *.tar.xz) >sums
    cmp sums ../sums || echo "run-$1, $what: made something else"
    "$KBUILD" --cache cache cache verify >verified 2>&1 || { echo "run-$1, $what: wrong things in the store"; cat verified; }
    grep -q STEP-RAN build/logs/*top*.log 2>/dev/null && echo made >>"../$what" || echo found >>"../$what"
  done
}

@test "every build completes, whatever happens on the way to the registry" {
  make_recipe low "" 'echo STEP-RAN; mkdir -p /out/low/opt; seq 30000 >/out/low/opt/low; seq 5 >/out/low/opt/five'
  make_recipe top "needs: [low]" 'echo STEP-RAN; mkdir -p /out/top/opt; sort /deps/low/opt/low >/out/top/opt/top'
  kb --remote=off top
  (cd build && sha256sum -- *.tar.xz) >sums
  rm -rf build
  start_servers
  export -f one_pair
  seq "${FAULT_BUILDS:-24}" | timeout 600 xargs -P 8 -I{} bash -c 'one_pair {}' >wrong 2>&1 || { cat wrong; false; }
  exec 9>&-
  sleep 0.2
  echo "# FAULT_SEED=${FAULT_SEED:-1}, $((2 * ${FAULT_BUILDS:-24})) builds; $(grep -c found pull) found in the registry; $(cat proxy.log)" >&3
  cat wrong
  [ ! -s wrong ]
  # It is not by never using the registry that they complete.
  grep -q found pull
}
