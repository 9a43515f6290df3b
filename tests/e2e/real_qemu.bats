#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Real QEMU from the distribution's source, natively and for s390x. Slow. `make check-e2e` runs it;
# KBUILD_E2E_CACHE names a cache to start from (default: an empty one).

load real_sources

build() { # target architecture
  run "$KBUILD" -o "$WORK/build" --arch="$2" "$1"
  echo "$output"
  [ "$status" -eq 0 ]
}

# The program of a tarball, at $WORK/program, after what holds for every QEMU.
take() { # target suffix system
  local tarball=$WORK/build/kata-static-$1.tar.xz list
  list=$(tar -tf "$tarball")
  grep -qx "./opt/kata/bin/qemu-system-$3$2" <<<"$list"
  for f in bios-256k.bin efi-virtio.rom kvmvapic.bin linuxboot_dma.bin s390-ccw.img slof.bin vof.bin; do
    grep -qx "./opt/kata/share/kata-qemu$2/qemu/$f" <<<"$list"
  done
  run grep -E 'vgabios|keymaps|applications|pxe-|efi-e1000|openbios|qemu-bridge-helper' <<<"$list"
  [ "$status" -eq 1 ]
  tar -xOf "$tarball" "./opt/kata/bin/qemu-system-$3$2" >"$WORK/program"
  chmod +x "$WORK/program"
  # Static, and nothing of the build's places is in it.
  run grep -c INTERP <(readelf -lW "$WORK/program")
  [ "$output" = 0 ]
  [ "$(grep -ac "/build/objects" "$WORK/program")" -eq 0 ]
}

@test "QEMU for this machine has upstream's names and runs" {
  [ "$(uname -m)" = x86_64 ] || skip "the names below are those of x86_64"
  build qemu x86_64
  take qemu "" x86_64
  [[ "$("$WORK/program" --version)" == *"(kata-static)"* ]]
  "$WORK/program" -machine help | grep -q '^q35 '
  # As upstream's: only with KVM.
  [[ "$("$WORK/program" -accel help)" != *tcg* ]]
}

@test "QEMU for SEV-SNP says what the source is too old for" {
  [ "$(uname -m)" = x86_64 ] || skip "qemu-snp-experimental is for x86_64"
  build qemu-snp-experimental x86_64
  take qemu-snp-experimental -snp-experimental x86_64
  [[ "$("$WORK/program" --version)" == *"(kata-static-snp-experimental)"* ]]
  build qemu-snp-experimental x86_64 # from the cache
  if [[ "$("$WORK/program" -object help)" == *sev-snp-guest* ]]; then
    [[ "$output" != *"built without"*sev-snp-guest* ]]
  else
    [[ "$output" == *"built without"*sev-snp-guest* ]]
  fi
}

@test "QEMU for s390x is built across" {
  build qemu s390x
  take qemu "" s390x
  [[ "$(readelf -hW "$WORK/program")" == *S/390* ]]
  if command -v qemu-s390x-static >/dev/null; then
    qemu-s390x-static "$WORK/program" -machine none -device help | grep -q '"vfio-ap"'
  fi
}
