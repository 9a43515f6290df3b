#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tests/support/layout.py, with which the slow tests compare tarballs of real sources: that it finds each kind of difference.

REPOSITORY=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)

setup() {
  cd "$BATS_TEST_TMPDIR" || return 1
  umask 022
  mkdir -p tree/usr/bin tree/.config
  echo x >tree/usr/bin/tool
  chmod 0755 tree/usr/bin/tool
  echo x >tree/.config/.hidden
  ln -s tool tree/usr/bin/link
  cat >layout <<'X'
# a comment
0755 usr/bin/tool
link usr/bin/link to*
0644 .config/.hidden
? 0644 usr/bin/never # may be missing
[s390x,x86_64] 0644 modules/*
X
}

layout() { # architecture
  tar --owner=0 --group=0 --numeric-owner -cf tarball -C tree .
  run "$REPOSITORY/tests/support/layout.py" tarball layout "$1"
  echo "$output"
}

differs() { # line
  layout aarch64
  [ "$status" -eq 1 ]
  [ "$output" = "tarball: $1" ]
}

@test "a tarball that is as its layout says" {
  layout aarch64
  [ "$status" -eq 0 ]
  [ -z "$output" ]
}

@test "a rule for one architecture is required there, and forbidden elsewhere" {
  layout s390x
  [ "$output" = "tarball: missing: modules/*" ]
  mkdir tree/modules
  echo x >tree/modules/one
  layout s390x
  [ "$status" -eq 0 ]
  layout aarch64
  [ "$status" -eq 1 ]
  [[ "$output" == *"not expected: 0644 modules/one"* ]]
}

@test "each kind of difference is found" {
  chmod 0744 tree/usr/bin/tool
  differs "usr/bin/tool: mode 0744, not 0755"
  chmod 0755 tree/usr/bin/tool
  ln -sfn other tree/usr/bin/link
  differs "usr/bin/link: leads to other"
  ln -sfn tool tree/usr/bin/link
  mkdir tree/usr/empty
  differs "not expected: usr/empty/"
  rmdir tree/usr/empty
  chmod 0700 tree/usr/bin
  differs "usr/bin/: mode 0700, not 0755"
  chmod 0755 tree/usr/bin
  # Names that begin with dots are not those without.
  mv tree/.config tree/config
  layout aarch64
  [ "$status" -eq 1 ]
  [[ "$output" == *"not expected: 0644 config/.hidden"*"missing: .config/.hidden"* ]]
}

@test "names, owners and kinds are looked at" {
  tar --owner=5 --group=0 --numeric-owner -cf tarball -C tree .
  run "$REPOSITORY/tests/support/layout.py" tarball layout aarch64
  [ "$status" -eq 1 ]
  [[ "$output" == *"usr/bin/tool: owner 5:0"* ]]
  (cd tree && tar --owner=0 --group=0 -cf ../tarball usr .config)
  run "$REPOSITORY/tests/support/layout.py" tarball layout aarch64
  [ "$status" -eq 1 ]
  [[ "$output" == *"usr/bin/tool: does not begin with ./"* ]]
  rm tree/usr/bin/tool
  mkfifo -m 0755 tree/usr/bin/tool
  differs "usr/bin/tool: a link, or no file at all"
}

@test "each layout is compared by some test, and can be read" {
  cd "$REPOSITORY/tests/e2e"
  for file in layouts/*; do
    grep -qE "(^|[ \"])${file#*/}([: ]|\$)" real_guide.bats
    # Of an empty tarball everything is missing, and nothing else is wrong.
    mkdir -p "$BATS_TEST_TMPDIR/nothing"
    tar --owner=0 --group=0 --numeric-owner -cf "$BATS_TEST_TMPDIR/empty.tar" -C "$BATS_TEST_TMPDIR/nothing" .
    run ../support/layout.py "$BATS_TEST_TMPDIR/empty.tar" "$file" s390x
    [ "$status" -eq 1 ]
    others=$(grep -v ': missing: ' <<<"$output" || :)
    [ -z "$others" ]
  done
}
