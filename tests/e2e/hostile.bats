#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Steps that attack the machine that runs them. Each line of docs/sandbox.md, "What a hostile step can and
# can not do", is one test here or in tests/unit/sandbox_*.c. HOSTILE_RUNS sets how often a race is tried.

load project
bats_require_minimum_version 1.5.0

RUNS=${HOSTILE_RUNS:-10}

setup() {
  make_project
  mkdir "$PROJECT/host"
  for i in $(seq 20); do echo "TEST secret of the host" >"$PROJECT/host/$i.ko"; done
}

# Nothing of the host got into a result, and no file of the host was changed.
host_is_untouched() {
  [ "$(cat "$PROJECT"/host/*.ko | sort -u)" = "TEST secret of the host" ]
  for t in build/*.tar.xz; do
    [ ! -e "$t" ] || ! tar -xOf "$t" | grep -q -a "secret of the host" || return 1
  done
}

@test "an output that is a link is refused, whatever it leads to" {
  make_recipe x "" 'rm -rf /out/x; ln -s /etc/ssl /out/x'
  run -3 kb x
  [[ "$output" == *"/out/x is a link"* ]]
  make_recipe x "" 'rm -rf /out/x; ln -s /proc/self/root/etc /out/x'
  run -3 kb x
  [[ "$output" == *"/out/x is a link"* ]]
  make_recipe x "" 'rm -rf /out/x; echo text >/out/x'
  run -3 kb x
  [[ "$output" == *"/out/x is no real directory"* ]]
  make_recipe x "" 'rm -rf /out/x; mkdir /out/y; echo text >/out/y/f; ln -s y /out/x'
  run -3 kb x
  [[ "$output" == *"/out/x is a link"* ]]
  [ ! -e build/kata-static-x.tar.xz ]
}

@test "a link inside an output stays a link" {
  make_recipe x "" "mkdir -p /out/x; ln -s $PROJECT/host /out/x/dir; ln -s $PROJECT/host/1.ko /out/x/file"
  kb x
  [ "$(tar -tvf build/kata-static-x.tar.xz | grep -c '^l')" -eq 2 ]
  host_is_untouched
}

@test "three thousand levels in /build are removed, with few descriptors" {
  make_recipe x "" 'mkdir -p /out/x; echo x >/out/x/x
python3 -c "
import os
for i in range(3000): os.mkdir(\"d\"); os.chdir(\"d\")"'
  (ulimit -n 64; kb x)
  [ -z "$(find cache/tmp -mindepth 2 -maxdepth 2)" ]
}
