#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Keys and seal secrets in memory: while kbuild holds one, it leaves no core file and no other process of the
# user can look into it. Each program is held where it has read its secret: it waits for a pipe that was named.

bats_require_minimum_version 1.5.0

REPOSITORY=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
KBUILD=${KBUILD:-$REPOSITORY/kbuild}

setup() {
  cd "$BATS_TEST_TMPDIR" || return 1
  "$KBUILD" se test-key hkd >/dev/null 2>&1
  HKD=$(echo hkd/HKD-*.crt)
  (umask 077 && head -c 32 /dev/urandom >k32 && head -c 64 /dev/urandom >secret)
  mkfifo fifo
  mkdir bin
  ln -s "$KBUILD" bin/genprotimg
  ln -s "$KBUILD" bin/pvimg
}

teardown() {
  [ -z "${PID:-}" ] || kill -9 "$PID" 2>/dev/null || true
}

# Runs a program as a user who is not root, whose files in /proc tell whether he may look into it; it is
# started with core files of any size allowed. Sets PID when it waits for the fifo, its secret read.
hold() {
  local as=() asleep=0
  if [ "$(id -u)" -eq 0 ]; then
    chown -R 65534:65534 .
    as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  fi
  (ulimit -c unlimited && exec "${as[@]}" "$@" >out 2>err 3>&-) &
  PID=$!
  for _ in $(seq 200); do
    # wait_for_partner: where open() of a fifo sleeps
    grep -q -e 'wait_for_partner\|fifo_open' "/proc/$PID/wchan" 2>/dev/null && return 0
    # or in openat(), asleep: not waiting for a disk that gives it a library
    [ "$(awk '{ print $1 }' "/proc/$PID/syscall" 2>/dev/null)" = 257 ] && grep -qs '^State:.S' "/proc/$PID/status" && return 0
    # An ordinary user sees neither of a process that he may not look into: then it has to sleep for half a second.
    if [ ! -r "/proc/$PID/syscall" ] && grep -qs '^State:.S' "/proc/$PID/status"; then asleep=$((asleep + 1)); else asleep=0; fi
    [ "$asleep" -lt 10 ] || return 0
    kill -0 "$PID" 2>/dev/null || { echo "it has ended: $(cat out err)"; return 1; }
    sleep 0.05
  done
  echo "it does not wait: $(cat "/proc/$PID/wchan") $(cat err)"
  return 1
}

leaves_nothing() {
  [ "$(stat -c %u "/proc/$PID/environ")" -eq 0 ] || { echo "the user can look into it"; return 1; }
  grep -qE '^Max core file size +0 +0 ' "/proc/$PID/limits" || { grep core "/proc/$PID/limits"; return 1; }
  kill -ABRT "$PID"
  wait "$PID" 2>/dev/null || true
  PID=
  [ -z "$(find . -name 'core*')" ] || { find . -name 'core*'; return 1; }
}

@test "a program that has no secret can be looked into: the test sees the difference" {
  hold cat fifo
  [ "$(id -u)" -ne 0 ] || [ "$(stat -c %u "/proc/$PID/environ")" -eq 65534 ]
  grep -qE '^Max core file size +unlimited' "/proc/$PID/limits"
}

@test "no core file holds a seal secret, a header key or a private key, whatever reads it" {
  seal=(-k "$HKD" -i fifo --no-verify -o image)
  hold "$KBUILD" se seal "${seal[@]}" --seal-secret secret
  leaves_nothing
  hold bin/genprotimg "${seal[@]}" --x-header-key k32
  leaves_nothing
  hold bin/pvimg create "${seal[@]}" --cck k32
  leaves_nothing
  hold bin/pvimg info fifo --hdr-key k32
  leaves_nothing
  hold "$KBUILD" se open fifo --host-key hkd/TEST-host-key.pem
  leaves_nothing
}
