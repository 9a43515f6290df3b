#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kbuild merge on tarballs of ours and of others.

REPOSITORY=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
KBUILD=${KBUILD:-$REPOSITORY/kbuild}

setup() {
  cd "$BATS_TEST_TMPDIR" || return 1
  mkdir artifacts
  echo 'assets: {}' >versions.yaml
  echo 3.12.0 >VERSION
  export RELEASE=yes
}

component() { # name path content
  local root
  root=$(mktemp -d tree.XXXXXX)
  mkdir -p "$root/$(dirname "$2")"
  printf '%s' "$3" >"$root/$2"
  tar -C "$root" -cJf "artifacts/kata-static-$1.tar.xz" .
}

merge() {
  "$KBUILD" merge artifacts versions.yaml "$@"
}

@test "components become one tarball with VERSION and versions.yaml" {
  component kernel opt/kata/share/kata-containers/vmlinuz kernel
  component qemu opt/kata/bin/qemu qemu
  merge
  xz -t kata-static.tar.xz
  mkdir out
  tar -xJf kata-static.tar.xz -C out
  [ "$(cat out/opt/kata/VERSION)" = 3.12.0 ]
  cmp versions.yaml out/opt/kata/versions.yaml
  [ "$(cat out/opt/kata/bin/qemu)" = qemu ]
  [ "$(tar -tJf kata-static.tar.xz | sort | uniq -d | wc -l)" -eq 0 ]
}

@test "the same path with the same content is harmless, with another it is an error that names both" {
  component one opt/kata/share/x same
  component two opt/kata/share/x same
  merge
  component two opt/kata/share/x other
  rm kata-static.tar.xz
  run merge
  [ "$status" -eq 1 ]
  [[ "$output" == *"opt/kata/share/x"* ]]
  [[ "$output" == *kata-static-one.tar.xz* ]]
  [[ "$output" == *kata-static-two.tar.xz* ]]
  [ ! -e kata-static.tar.xz ]
}

@test "members that would overwrite a host's configuration are refused" {
  for path in etc/hostname etc/resolv.conf dev/null2 proc/x .dockerenv; do
    rm -f artifacts/*
    component bad "$path" x
    component good opt/kata/x x
    run merge
    [ "$status" -eq 1 ]
    [[ "$output" == *"$path"* ]]
    [ ! -e kata-static.tar.xz ]
  done
}

@test "guest components are left out, with a note" {
  component agent usr/bin/kata-agent agent
  component kernel-confidential-modules kernel/x.ko module
  component kernel opt/kata/x x
  run merge
  [ "$status" -eq 0 ]
  [[ "$output" == *agent* ]]
  ! tar -tJf kata-static.tar.xz | grep -q kata-agent
  ! tar -tJf kata-static.tar.xz | grep -q x.ko
}

@test "the same inputs give the same bytes" {
  component kernel opt/kata/x x
  component qemu opt/kata/y y
  merge -o one.tar.xz
  merge -o two.tar.xz -j 1
  cmp one.tar.xz two.tar.xz
}

@test "hostile, broken and missing inputs are errors" {
  run merge
  [ "$status" -eq 1 ]
  component kernel opt/kata/x x
  head -c 100 artifacts/kata-static-kernel.tar.xz >artifacts/kata-static-broken.tar.xz
  run merge
  [ "$status" -eq 1 ]
  [[ "$output" == *broken* ]]
  python3 - <<'X'
import io, tarfile
with tarfile.open("artifacts/kata-static-broken.tar.xz", "w:xz") as t:
    m = tarfile.TarInfo("../escape")
    m.size = 1
    t.addfile(m, io.BytesIO(b"x"))
X
  run merge
  [ "$status" -eq 1 ]
  [[ "$output" == *escape* ]]
  run "$KBUILD" merge nowhere
  [ "$status" -eq 1 ]
  [ ! -e kata-static.tar.xz ]
}

@test "upstream's script name works" {
  component kernel opt/kata/x x
  "$REPOSITORY/tools/packaging/kata-deploy/local-build/kata-deploy-merge-builds.sh" artifacts versions.yaml
  tar -tJf kata-static.tar.xz | grep -q '^./opt/kata/x$'
}
