#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A signal that comes while no step runs ends a run in order, too: the last event, the record for the report, the status.

bats_require_minimum_version 1.5.0

load project

setup() {
  make_project
  unset KBUILD_SIGNING_KEY KBUILD_TRUSTED_KEYS PUSH_TO_REGISTRY BUILDER_REGISTRY RELEASE TARGET_BRANCH
  export HOME=$PROJECT REGISTRY_AUTH_FILE=$PROJECT/none
  make_recipe one
  make_recipe two "needs: [one]"
}

teardown() {
  exec 9>&- || true
}

# $1: the method of requests that get no answer.
start_silent() {
  rm -f silent.input silent.port silent.came
  mkfifo silent.input
  python3 "$BATS_TEST_DIRNAME/../support/silent_registry.py" "$1" <silent.input >silent.port 2>silent.came 3>&- &
  exec 9>silent.input # it ends with this
  for _ in $(seq 100); do
    [ -s silent.port ] && break
    sleep 0.1
  done
  ARTEFACT_REGISTRY=127.0.0.1:$(cat silent.port)
  export ARTEFACT_REGISTRY ARTEFACT_REPOSITORY=kata
}

# Waits until kbuild waits for the registry, sends the signal $1, and looks at what is left. The rest: words of kbuild.
interrupt_while_silent() {
  local signal=$1 pid status=0
  shift
  : >silent.came
  # A shell ignores SIGINT for its background jobs, and what is ignored on entry stays so.
  python3 -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])' \
    "$KBUILD" --builder=host --cache "$PROJECT/cache" --json "$@" >events 2>errors 3>&- 9>&- &
  pid=$!
  for _ in $(seq 200); do
    [ -s silent.came ] && break
    sleep 0.05
  done
  [ -s silent.came ]
  kill -"$signal" "$pid"
  wait "$pid" || status=$?
  echo "$signal $*: status $status"
  tail -n 2 events errors
  [ "$status" -eq 130 ]
  [ "$(jq -rs 'first.event + " " + last.event + " " + last.outcome' events)" = "run summary interrupted" ]
  [ "$(jq -s 'map(select(.event == "summary")) | length' events)" -eq 1 ]
  grep -q '^kbuild: error: .*interrupted' errors
}

@test "while results are pushed" {
  kb two # without a registry
  start_silent POST
  export PUSH_TO_REGISTRY=yes
  for signal in INT TERM HUP; do
    interrupt_while_silent "$signal" -o "out-$signal" two
    [ "$(jq -r .outcome "out-$signal/run.json")" = interrupted ]
    [ "$(jq -r '.nodes | length' "out-$signal/run.json")" -ge 2 ]
  done
}

@test "while a registry is asked what it has" {
  start_silent GET
  for signal in INT TERM HUP; do
    interrupt_while_silent "$signal" -o "out-$signal" two
    [ "$(jq -r .outcome "out-$signal/run.json")" = interrupted ]
    # An interrupted run places nothing.
    [ -z "$(find "out-$signal" -name '*.tar.xz')" ]
  done
}

@test "while one node is looked for" {
  start_silent GET
  for signal in INT TERM HUP; do
    interrupt_while_silent "$signal" run "one:$(uname -m)"
  done
}

@test "a signal that is ignored on entry stays so" {
  kb two
  start_silent POST
  export PUSH_TO_REGISTRY=yes
  : >silent.came
  (
    trap '' HUP TERM
    exec "$KBUILD" --builder=host --cache "$PROJECT/cache" --json two >events 2>errors 3>&- 9>&-
  ) &
  pid=$!
  for _ in $(seq 200); do
    [ -s silent.came ] && break
    sleep 0.05
  done
  kill -HUP "$pid"
  kill -TERM "$pid"
  sleep 1
  kill -0 "$pid"
  exec 9>&- # the registry ends
  status=0
  wait "$pid" || status=$?
  [ "$(jq -rs 'last.event + " " + last.outcome' events)" = "summary done" ]
  [ "$status" -eq 0 ]
}
