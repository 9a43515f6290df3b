#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The demo without what it takes from the network: what it installs, and that it ends where a proof fails. A script
# stands in for kbuild, which makes an image of text; the demo itself, with the real kbuild, is in real_demo.bats.

bats_require_minimum_version 1.5.0

REPOSITORY=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)

setup() {
  PLACE=$BATS_TEST_TMPDIR/checkout
  mkdir -p "$PLACE/tools" && cd "$PLACE" || return 1
  cp "$REPOSITORY/tools/demo" tools/
  export LOG=$BATS_TEST_TMPDIR/calls IMAGE_TEXT=sealed OPEN_ANSWER="none of its 1 key slots is for this host key" OPEN_STATUS=1 BOOT_STATUS=0
  cat >kbuild <<'X'
#!/bin/bash
echo "$*" >>"$LOG"
share=opt/kata/share/kata-containers
case "$1 ${2:-}" in
  "se test-key") mkdir -p "$3"; touch "$3/TEST-host-key.pem" "$3/HKD-TEST-1.crt" ;;
  "se open") echo "$OPEN_ANSWER" >&2; exit "$OPEN_STATUS" ;;
  boot\ *)
    [ "$BOOT_STATUS" -eq 0 ] || exit "$BOOT_STATUS"
    mkdir -p build/first-proof/logs
    printf '[1.0] x{"smoke-init":1,"cmdline":"%s"}\r\n' "$SE_KERNEL_PARAMS" >build/first-proof/logs/boot-boot-image-se-smoke.log ;;
  boot-image-se-smoke\ *)
    mkdir -p "made/$share" build/first-proof
    echo "$IMAGE_TEXT" >"made/$share/kata-containers-se.img"
    tar -cJf build/first-proof/kata-static-boot-image-se-smoke.tar.xz -C made "./$share/kata-containers-se.img" ;;
  *) touch kata-static.tar.xz build/x.tar.xz ;;
esac
X
  chmod +x kbuild
}

@test "the demo installs what it needs to build, run and boot, and no tool of the tests" {
  cd "$REPOSITORY"
  for target in demo first-proof; do
    run -0 make -s -n "$target" MAKE=true
    [[ "${lines[0]}" == "tools/install-dependencies build run demo" ]]
  done
  tools/install-dependencies --list build run demo | sort -u >"$LOG"
  # Each of these is for tests, and for nothing else.
  tools/install-dependencies --list test readers deb >"$BATS_TEST_TMPDIR/tests"
  for package in bats clang clang-tidy cppcheck shellcheck libcmocka-dev skopeo docker-registry slurm-wlm chromium golang-go lintian; do
    grep -qx "$package" "$BATS_TEST_TMPDIR/tests"
    ! grep -qx "$package" "$LOG" || { echo "the demo installs $package"; return 1; }
  done
  grep -q '^qemu-system' "$LOG"
}

# A machine with nothing but this: apt has read no lists, and finds the package $1 once it has; for the user $2.
# shellcheck disable=SC2016 # these scripts' own
bare_machine() {
  mkdir bin
  for tool in env grep touch; do ln -s "$(type -P "$tool")" "bin/$tool"; done
  printf '#!/bin/sh\nexit 1\n' >bin/dpkg-query
  printf '#!/bin/sh\necho x86_64\n' >bin/uname
  printf '#!/bin/sh\necho %s\n' "$2" >bin/id
  printf '#!/bin/sh\n[ ! -e lists ] || [ "$2" != "%s" ] || echo "Package: $2"\n' "$1" >bin/apt-cache
  printf '#!/bin/sh\n[ "$1" != update ] || touch lists\necho "apt-get $*" >>"$LOG"\n' >bin/apt-get
  chmod +x bin/dpkg-query bin/uname bin/id bin/apt-cache bin/apt-get
}

install_dependencies() {
  env PATH="$PWD/bin" "$BASH" "$REPOSITORY/tools/install-dependencies" "$@"
}

@test "without sudo an ordinary user is told what root has to run, on a machine without apt's lists too" {
  bare_machine "" 12321
  run -1 install_dependencies demo
  [ "$output" = "install-dependencies: run as root: apt-get update && apt-get install --no-install-recommends qemu-system-misc" ]
  [ ! -e "$LOG" ]
}

@test "on a machine without apt's lists, they are read before packages are chosen by what there is" {
  bare_machine qemu-system-s390x 0
  run -0 install_dependencies demo
  echo "$output"
  diff - "$LOG" <<'X'
apt-get update -q
apt-get install -y -q --no-install-recommends qemu-system-s390x
X
}

@test "the first proof shows what the guest said, and ends there" {
  run -0 tools/demo --first
  echo "$output"
  [[ "$output" == *'{"smoke-init":1,"cmdline":"greeting=hello"}'* ]]
  [ "$(grep -c '^=> Proven: ' <<<"$output")" -eq 3 ]
  [[ "$output" != *$'\e'* ]] # it is no terminal
  run -1 grep '^merge' "$LOG"
  run -0 tools/demo
  [[ "$output" == *"The real thing"*"kata-static.tar.xz"* ]]
  [ "$(tail -n 3 "$LOG")" = "boot-image-se
boot boot-image-se
merge build" ]
}

@test "where a proof fails the demo fails, and says nothing good after that" {
  IMAGE_TEXT="x greeting=hello" run -1 tools/demo --first
  [[ "$output" == *"demo: the command line can be read in the image"* ]]
  [[ "$output" != *Proven* ]]
  OPEN_STATUS=0 run -1 tools/demo --first
  [[ "$output" == *"demo: another key opened the image"* ]]
  OPEN_ANSWER="no space left" run -1 tools/demo --first
  [[ "$output" == *"not because it is another one"* ]]
  BOOT_STATUS=3 run -3 tools/demo
  echo "$output"
  [[ "$output" != *"that boots"* && "$output" != *"The real thing"* ]]
  run -2 tools/demo --frist
  [[ "$output" == usage:* ]]
}

@test "the image for trials takes the variables of the real one" {
  cd "$REPOSITORY/recipes"
  variables() { sed -n '/^variables:/,/^image:/p' "$1/recipe.yaml"; }
  [ "$(variables boot-image-se | wc -l)" -gt 20 ]
  diff <(variables boot-image-se) <(variables boot-image-se-smoke)
}

# ---- the recording in README.md ----

@test "a recording is drawn as it was printed, and nothing in it can act" {
  cd "$BATS_TEST_TMPDIR"
  cat >frames.json <<'J'
[{"t": 0.0, "lines": ["\u001b[1m$ kbuild t\u001b[0m", "  1 running, 3 s <script>"]},
 {"t": 61.2, "lines": ["\u001b[1m$ kbuild t\u001b[0m", "=> \u001b[32mProven & \u001b]0;x\u0007done\u009b\u001b[39m </text><script>x()</script>"]}]
J
  run -0 "$REPOSITORY/tools/record-demo" --from frames.json out.svg
  [[ "$output" == "out.svg: "*" bytes, 61 s of the run" ]]
  python3 - <<'P'
import xml.etree.ElementTree as tree
svg = tree.parse("out.svg").getroot()
names = {e.tag.split("}")[1] for e in svg.iter()}
assert names == {"svg", "title", "desc", "style", "rect", "g", "text", "tspan"}, names
texts = ["".join(e.itertext()) for e in svg.iter() if e.tag.endswith("}text")]
assert texts == ["make first-proof", "0:00", "1:01", "$ kbuild t", "1 running, 3 s <script>",
                 "=>Proven & done</text><script>x()</script>"], texts
P
  # What does not stay is hidden where nothing moves, and what stays is not.
  grep -qE '^\.f0_1,?.*\{opacity:0\}' out.svg
  run -1 grep -E '\.f1_2[^{]*\{opacity:0\}' out.svg
  # A recording that cannot be read leaves the old file.
  echo '[]' >frames.json
  run -1 "$REPOSITORY/tools/record-demo" --from frames.json out.svg
  [[ "$output" == *"has no frames"* ]]
  [ -s out.svg ]
}

@test "the recording that README.md shows is of this demo, small, and names no machine" {
  svg=$REPOSITORY/docs/first-proof.svg
  grep -qF '(docs/first-proof.svg)' "$REPOSITORY/README.md"
  [ "$(stat -c %s "$svg")" -lt 153600 ]
  run -1 grep -nE '/(tmp|home|root|work|var|mnt|srv)/|<script|<image|@import|url\(|[a-z]+@[a-z]' "$svg"
  [ "$(grep -oE 'https?://[^"< ]*' "$svg" | sort -u)" = http://www.w3.org/2000/svg ]
  # Each sentence of the first proof is in it, and what boot says of a sealed image.
  while read -r sentence; do
    grep -qF "$sentence" "$svg" || { echo "record it again (tools/record-demo): it lacks '$sentence'"; return 1; }
  done < <(sed -n '/^first_proof()/,/^}/s/^  say "\([^$]*\)"$/\1/p' "$REPOSITORY/tools/demo")
  [ "$(sed -n '/<desc>/,/<\/desc>/p' "$svg" | grep -c '^kbuild: proven: ')" -eq 4 ]
}
