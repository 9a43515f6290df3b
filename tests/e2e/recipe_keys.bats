#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What recipes can say beyond scripts and packages: sources that are there only with some --sources, and
# what a script tells the user.

load project

setup() {
  make_project
}

@test "a source that is for the distribution's sources only is not there with upstream's" {
  make_recipe one 'sources: {blobs: {debian: {packages: [blobs]}, when: debian}}' \
    'mkdir -p /out/one/opt; ls /src >/out/one/opt/src 2>/dev/null || :'
  run kb one
  [ "$status" -eq 0 ]
  [ -z "$(content_of build/kata-static-one.tar.xz opt/src)" ]
  run kb --sources=debian --offline one
  [ "$status" -eq 1 ]
  [[ "$output" == *blobs* ]]
}

@test "a source that is for upstream's sources only is not there with the distribution's" {
  make_recipe one 'sources: {greet: {version: externals.greet, git: "{url}", ref: "{version}", when: upstream}}' \
    'mkdir -p /out/one/opt; ls /src >/out/one/opt/src 2>/dev/null || :'
  run kb --sources=debian one
  [ "$status" -eq 0 ]
  [ -z "$(content_of build/kata-static-one.tar.xz opt/src)" ]
  run kb --offline one
  [ "$status" -eq 1 ]
  [[ "$output" == *greet* ]]
}

@test "what a script says of its result is shown, also when it comes from the cache" {
  make_recipe one "" 'echo "no sev-snp-guest in it" >summary; mkdir -p /out/one/opt; : >/out/one/opt/one'
  run kb one
  [[ "$output" == *"one: no sev-snp-guest in it"* ]]
  rm -rf build
  run kb one
  [[ "$output" == *"one: cached"* ]]
  [[ "$output" == *"one: no sev-snp-guest in it"* ]]
}

@test "what a script says is one line without control characters, and no file of the host" {
  make_recipe one "" 'printf "a\033[31mb\nsecond\n" >summary; mkdir -p /out/one/opt; : >/out/one/opt/one'
  run kb one
  [[ "$output" == *"one: a?[31mb"* ]]
  [[ "$output" != *second* ]]
  make_recipe two "" 'ln -s /etc/os-release summary; mkdir -p /out/two/opt; : >/out/two/opt/two'
  run kb two
  [ "$status" -eq 0 ]
  [[ "$output" != *PRETTY_NAME* ]]
}
