#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The runtime in Go from Kata's real sources: it runs and says its version, its configuration files are whole, a second build gives the
# same bytes, and the one for s390x has KVM's mark. Kata's sources come from upstream's git host, Go from its module
# proxy, the rest from the distribution's mirror. Slow. `make check-e2e` runs it; KBUILD_E2E_CACHE names a cache to start from
# (default: an empty one), KBUILD_E2E_SOURCE which sources are upstream's: without kata nothing is tried.

bats_require_minimum_version 1.5.0

load real_sources

setup() {
  export KBUILD_SOURCE=${KBUILD_E2E_SOURCE-kata=upstream}
  [[ " $KBUILD_SOURCE " == *" kata="* ]] || skip "KBUILD_E2E_SOURCE leaves Kata's source out: there is no runtime"
  cd "$REPOSITORY" || return 1
  version=$("$KBUILD" versions get externals.kata.version)
}

build() { # architecture
  "$KBUILD" -o "$WORK/runtime-{arch}" --arch="$1" shim-v2
  rm -rf "$WORK/tree"
  mkdir "$WORK/tree"
  tar -xf "$WORK/runtime-$1/kata-static-shim-v2.tar.xz" -C "$WORK/tree"
}

@test "the runtime runs, and its configuration files are whole" {
  [ "$(uname -m)" = x86_64 ] || skip "the programs are for x86_64"
  build x86_64
  cd "$WORK/tree/opt/kata"
  bin/kata-runtime --version | grep -q "kata-runtime *: $version\$"
  bin/containerd-shim-kata-v2 --version | grep -q "version: $version"
  [ "$(readlink share/defaults/kata-containers/configuration.toml)" = configuration-qemu.toml ]
  for class in qemu qemu-se qemu-snp qemu-coco-dev remote; do
    [ -s "share/defaults/kata-containers/configuration-$class.toml" ]
  done
  # No template is left, and no path of the build.
  run ! grep -rlE '@[A-Z_]+@' share/defaults
  run ! grep -lF /build/kata bin/containerd-shim-kata-v2 bin/kata-runtime bin/kata-monitor
}

@test "for s390x it is cross-built, with the program header that KVM needs" {
  build s390x
  readelf -hlW "$WORK/tree/opt/kata/bin/containerd-shim-kata-v2" >headers
  grep -q 'IBM S/390' headers
  grep -q S390_PGSTE headers
  rm headers
}

@test "a second build gives the same bytes" {
  "$KBUILD" verify shim-v2 --arch=s390x
}
