#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What kbuild does with a password while it talks to a registry: it is in no core file, no environment, no
# process list, no log and no event; and an interrupt is obeyed at once.

bats_require_minimum_version 1.5.0

load project

SECRET=TEST-secret-5c1e

setup() {
  make_project
  unset KBUILD_SIGNING_KEY KBUILD_TRUSTED_KEYS PUSH_TO_REGISTRY BUILDER_REGISTRY RELEASE TARGET_BRANCH
  unset ARTEFACT_REGISTRY_USERNAME ARTEFACT_REGISTRY_PASSWORD
  mkdir work docker
  export HOME=$PROJECT REGISTRY_AUTH_FILE=$PROJECT/docker/auth.json
  mkfifo input
  python3 "$BATS_TEST_DIRNAME/../support/registry_server.py" "$PROJECT/requests" <input >port 2>/dev/null 3>&- &
  exec 9>input # the server ends with this
  for _ in $(seq 100); do
    [ -s port ] && break
    sleep 0.1
  done
  export ARTEFACT_REGISTRY=127.0.0.1:$(cat port)
  make_recipe hello
  cp -r recipes versions.yaml work/
  cd work || return 1
}

teardown() {
  exec 9>&-
  [ -z "${PID:-}" ] || kill -9 "$PID" 2>/dev/null || true
}

password_in_the_environment() {
  export ARTEFACT_REGISTRY_USERNAME=test-user ARTEFACT_REGISTRY_PASSWORD=$SECRET
}

password_in_a_file() {
  printf '{"auths": {"%s": {"auth": "%s"}}}\n' "$ARTEFACT_REGISTRY" "$(printf 'test-user:%s' "$SECRET" | base64)" >"$REGISTRY_AUTH_FILE"
}

# Starts a build that gets stuck in the registry, with the password sent. $1: "stall" (asking for what is there)
# or "stallpush" (in the process of a node). Sets PID, and CHILD if it is another.
get_stuck() {
  : >../requests
  rm -rf ../cache build
  ARTEFACT_REPOSITORY=$1/x PUSH_TO_REGISTRY=yes kb_exec --json hello >events 2>messages 3>&- 9>&- &
  PID=$!
  for _ in $(seq 300); do
    grep -qE "^(GET|HEAD) /v2/$1/.* basic" ../requests && { [ "$1" = stall ] || grep -q '^HEAD .* basic' ../requests; } && break
    sleep 0.1
  done
  grep -q ' basic ' ../requests
  CHILD=$(pgrep -P "$PID" | head -n 1)
}

cores() {
  find . -maxdepth 1 -name 'core*'
}

must_make_cores() {
  case $(cat /proc/sys/kernel/core_pattern) in
  '|'* | */*) skip "this machine keeps core files elsewhere" ;;
  esac
  ulimit -c unlimited 2>/dev/null || skip "core files are not allowed here"
  bash -c 'kill -ABRT $$' 3>&- 9>&- || true
  [ -n "$(cores)" ] || skip "this machine makes no core files here"
  # shellcheck disable=SC2046 # names without spaces
  rm -f $(cores)
}

@test "a process that has a password leaves no core file" {
  must_make_cores
  for where in environment a_file; do
    [ "$where" = environment ] && password_in_the_environment
    [ "$where" = a_file ] && unset ARTEFACT_REGISTRY_USERNAME ARTEFACT_REGISTRY_PASSWORD && password_in_a_file
    for what in stall stallpush; do
      get_stuck $what
      [ "$what" = stall ] || [ -n "$CHILD" ]
      kill -ABRT "${CHILD:-$PID}"
      sleep 0.3
      kill -ABRT "$PID" || true
      wait "$PID" || true
      [ -z "$(cores)" ]
    done
  done
}

@test "one that has none leaves a core file, as is usual" {
  must_make_cores
  mkfifo wait
  "$KBUILD" --cache ../cache unpack wait out 3>&- 9>&- &
  PID=$!
  sleep 0.5
  kill -ABRT "$PID"
  wait "$PID" || true
  [ -n "$(cores)" ]
}

@test "a password is in no environment, command line, log or event" {
  password_in_the_environment
  encoded=$(printf 'test-user:%s' "$SECRET" | base64)
  for what in stall stallpush; do
    get_stuck $what
    for pid in "$PID" $CHILD; do
      cat "/proc/$pid/environ" "/proc/$pid/cmdline" >seen 2>/dev/null || true
      run ! grep -aF -e "$SECRET" -e "$encoded" seen
    done
    kill -9 "$PID"
    wait "$PID" || true
    run ! grep -rF -e "$SECRET" -e "$encoded" events messages build ../cache
    # It was sent.
    grep -q ' basic ' ../requests
  done
}

@test "an interrupt ends a transfer at once" {
  password_in_the_environment
  mkdir -p tree/opt/kata && cp versions.yaml tree/opt/kata/
  tar -cJf kata-static.tar.xz -C tree ./opt
  for what in stall stallpush payload; do
    if [ "$what" = payload ]; then
      : >../requests
      exec_payload &
      PID=$!
      for _ in $(seq 100); do
        grep -q '/v2/hang/' ../requests && break
        sleep 0.1
      done
    else
      get_stuck $what
    fi
    kill -INT "$PID"
    for _ in $(seq 50); do # the server is silent for a minute, and kbuild would wait for longer than this
      kill -0 "$PID" 2>/dev/null || break
      sleep 0.1
    done
    run ! kill -0 "$PID"
    status=0
    wait "$PID" || status=$?
    [ "$status" -eq 130 ]
  done
}

exec_payload() {
  exec "$KBUILD" --cache ../cache payload push kata-static.tar.xz "$ARTEFACT_REGISTRY/hang/x" latest --base=scratch --commit c0ffee --arch x86_64 >messages 2>&1 3>&- 9>&-
}
