#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kbuild verify: the same bytes from a second build in another environment, or a difference that is shown.

load project

setup() {
  make_project
}

write() { # what the script writes into the one file
  make_recipe one "" "mkdir -p /out/one/opt; $1"
}

@test "a recipe that depends on nothing but its inputs passes" {
  write 'echo steady >/out/one/opt/file; chmod 755 /out/one/opt/file; ln /out/one/opt/file /out/one/opt/again'
  run kb verify one
  [ "$status" -eq 0 ]
  [[ "$output" == *"kata-static-one.tar.xz is the same: "* ]]
  # The second build is not kept: the record is the first one's.
  run kb one
  [[ "$output" == *"one: cached"* ]]
}

@test "each way to depend on the world is found and shown" {
  command -v dpkg >/dev/null && [ -e /usr/lib/*/faketime/libfaketime.so.1 ] || skip "libfaketime is not installed"
  declare -A ways=(
    [clock]='date +%Y >/out/one/opt/file'
    [user]='id -u >/out/one/opt/file'
    [umask]='umask >/out/one/opt/file'
    [zone]='date -d @0 >/out/one/opt/file'
    [locale]='echo "$LANG" >/out/one/opt/file'
    [path]='echo "$PATH" >/out/one/opt/file'
    [home]='echo ~ >/out/one/opt/file'
    [host]='cat /proc/sys/kernel/hostname >/out/one/opt/file'
    [makeflags]='echo "$MAKEFLAGS" >/out/one/opt/file'
    [jobs]='echo "$JOBS" >/out/one/opt/file'
  )
  [ "$(nproc)" -lt 2 ] || ways[processors]='nproc >/out/one/opt/file'
  for way in "${!ways[@]}"; do
    echo "$way"
    write "${ways[$way]}"
    run kb verify one
    [ "$status" -eq 1 ]
    [[ "$output" == *"opt/file: its content differs"* ]]
    [[ "$output" == *"the first build"* ]]
    [[ "$output" == *"one is not reproducible: 1 of its outputs differ"* ]]
  done
}

@test "the clock is left alone if that is asked for" {
  write 'date +%Y >/out/one/opt/file'
  run kb verify --keep-clock one
  [ "$status" -eq 0 ]
  [[ "$output" == *"not in clock: left as it is, as was asked for"* ]]
}

@test "the first bytes that differ are shown in their context" {
  write '{ head -c 1000 /dev/zero; date +%Y; } >/out/one/opt/file'
  [ -e /usr/lib/*/faketime/libfaketime.so.1 ] || skip "libfaketime is not installed"
  run kb verify --no-diffoscope one
  [ "$status" -eq 1 ]
  [[ "$output" == *"from byte 1003 on"* ]]
  [[ "$output" == *"the second build 000003e0"* ]]
}

@test "a name that differs is named" {
  write 'echo x >"/out/one/opt/$(id -u)"'
  run kb verify --no-diffoscope one
  [ "$status" -eq 1 ]
  [[ "$output" == *"opt/0 is only in the first build"* ]]
  [[ "$output" == *"opt/1234 is only in the second build"* ]]
}

@test "with --all the artifacts that it is made of are built again too" {
  make_recipe low "" 'mkdir -p /out/low/opt; id -u >/out/low/opt/low'
  make_recipe high "needs: [low]" 'mkdir -p /out/high/opt; wc -l </deps/low/opt/low >/out/high/opt/high'
  kb verify high
  run kb verify --all high
  [ "$status" -eq 1 ]
  [[ "$output" == *"kata-static-low.tar.xz differs"* ]]
}

@test "with --against somebody else's tarball is compared" {
  write 'echo steady >/out/one/opt/file'
  kb one
  cp build/kata-static-one.tar.xz theirs.tar.xz
  kb verify --against theirs.tar.xz one
  USE_CACHE=no run kb verify --against nosuch.tar.xz one # said before anything is built
  [ "$status" -eq 1 ]
  [[ "$output" == *"reading nosuch.tar.xz: No such file"* && "$output" != *"started"* ]]
  # The same members in other compressed bytes are told apart from other content.
  xz -dc theirs.tar.xz | xz -1 >repacked.tar.xz
  run kb verify --against repacked.tar.xz one
  [ "$status" -eq 1 ]
  [[ "$output" == *"every member is the same; only the compressed bytes differ"* ]]
  mkdir -p other/opt
  echo forged >other/opt/file
  "$KBUILD" pack other forged.tar.xz
  run kb verify --against forged.tar.xz one
  [ "$status" -eq 1 ]
  [[ "$output" == *"opt/file: its content differs, 7 and 7 bytes"* ]]
  # A file of somebody else's says nothing about this build.
  [[ "$output" != *"not reproducible"* ]]
  [[ "$output" == *"forged.tar.xz differs from the result of one here"* ]]
  run kb verify --against forged.tar.xz --all one
  [ "$status" -eq 2 ]
  [[ "$output" == *"--all is not used for comparing with a file"* ]]
  run kb verify --against nothing.tar.xz one
  [ "$status" -eq 1 ]
  [[ "$output" == *nothing.tar.xz* ]]
}
