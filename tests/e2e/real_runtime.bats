#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The runtimes in Go and in Rust from Kata's real sources: they run and say their version, their configuration files are whole, a second build
# gives the same bytes, and the one in Go for s390x has KVM's mark. Kata's sources come from upstream's git host, Go from its module
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

# Of the system only the C library's family.
only_libc() { # program
  [ "$(readelf -dW "$1" | grep NEEDED | grep -cvE 'libc\.so|libm\.so|libgcc_s\.so|ld64\.so|ld-linux')" -eq 0 ]
}

@test "the runtime runs, and its configuration files are whole" {
  [ "$(uname -m)" = x86_64 ] || skip "the programs are for x86_64"
  build x86_64
  cd "$WORK/tree/opt/kata"
  bin/kata-runtime --version | grep -q "kata-runtime *: $version\$"
  bin/containerd-shim-kata-v2 --version | grep -q "version: $version"
  runtime-rs/bin/containerd-shim-kata-v2 --version | grep -qF "version: $version, commit: unknown"
  [ "$(readlink share/defaults/kata-containers/configuration.toml)" = configuration-qemu.toml ]
  [ -s share/defaults/kata-containers/runtime-rs/configuration.toml ]
  for class in dragonball qemu-runtime-rs; do
    [ -s "share/defaults/kata-containers/runtime-rs/configuration-$class.toml" ]
  done
  only_libc runtime-rs/bin/containerd-shim-kata-v2
  for class in qemu qemu-se qemu-snp qemu-coco-dev remote; do
    [ -s "share/defaults/kata-containers/configuration-$class.toml" ]
  done
  # No template is left (but for a comment in a file of upstream's), and no path of the build.
  run ! grep -rE '^[^#]*@[A-Z_]+@' share/defaults
  run ! grep -lF /build/kata bin/containerd-shim-kata-v2 bin/kata-runtime bin/kata-monitor runtime-rs/bin/containerd-shim-kata-v2
}

@test "for s390x it is cross-built, with the program header that KVM needs" {
  build s390x
  readelf -hlW "$WORK/tree/opt/kata/bin/containerd-shim-kata-v2" >headers
  grep -q 'IBM S/390' headers
  grep -q S390_PGSTE headers
  rm headers
  local rust=$WORK/tree/opt/kata/runtime-rs/bin/containerd-shim-kata-v2 configurations=$WORK/tree/opt/kata/share/defaults/kata-containers/runtime-rs
  readelf -hW "$rust" | grep -q 'IBM S/390'
  only_libc "$rust"
  [ "$(readlink "$configurations/configuration.toml")" = configuration-qemu-runtime-rs.toml ]
  grep -qF 'path = "/opt/kata/bin/qemu-system-s390x"' "$configurations/configuration.toml"
  [ -s "$configurations/configuration-qemu-se-runtime-rs.toml" ]
}

@test "a second build gives the same bytes" {
  "$KBUILD" verify shim-v2 --arch=s390x
  "$KBUILD" verify shim-v2-rust --arch=s390x
}
