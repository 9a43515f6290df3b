#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Real firmware from the distribution's edk2, and a kernel started from it. Slow. `make check-e2e` runs
# it; KBUILD_E2E_CACHE names a cache to start from (default: an empty one).

load real_sources

build() { # target architecture
  "$KBUILD" -o "$WORK/build" --arch="$2" "$1"
}

take() { # target, member below share/, file
  tar -xOf "$WORK/build/kata-static-$1.tar.xz" "./opt/kata/share/$2" >"$WORK/$3"
  tar -tvf "$WORK/build/kata-static-$1.tar.xz" "./opt/kata/share/$2" | grep -q '^-rwxr-xr-x'
}

@test "firmware for AMD SEV has what a measured launch needs" {
  build ovmf-sev x86_64
  take ovmf-sev ovmf/AMDSEV.fd AMDSEV.fd
  python3 recipes/ovmf-common/check-firmware.py sev x86_64 "$WORK/AMDSEV.fd"
}

@test "firmware for Intel TDX has its metadata" {
  build ovmf-tdx x86_64
  take ovmf-tdx ovmf/OVMF.inteltdx.fd OVMF.inteltdx.fd
  python3 recipes/ovmf-common/check-firmware.py tdx x86_64 "$WORK/OVMF.inteltdx.fd"
}

@test "firmware for ordinary guests starts" {
  command -v qemu-system-x86_64 >/dev/null || skip "qemu-system-x86_64 is not installed"
  build ovmf x86_64
  take ovmf ovmf/OVMF.fd OVMF.fd
  # Its boot manager finds nothing to start and says so on the console.
  timeout 300 qemu-system-x86_64 -machine q35 -accel tcg -m 256 -nic none -display none -no-reboot \
    -bios "$WORK/OVMF.fd" -serial file:"$WORK/serial" -monitor none &
  pid=$!
  for _ in $(seq 280); do
    grep -aq "BdsDxe: " "$WORK/serial" 2>/dev/null && break
    sleep 1
  done
  kill "$pid"
  grep -a "BdsDxe: " "$WORK/serial"
}

@test "firmware for aarch64 starts" {
  command -v qemu-system-aarch64 >/dev/null || skip "qemu-system-aarch64 is not installed"
  build ovmf aarch64
  take ovmf aavmf/AAVMF_CODE.fd AAVMF_CODE.fd
  take ovmf aavmf/AAVMF_VARS.fd AAVMF_VARS.fd
  [ "$(stat -c %s "$WORK/AAVMF_CODE.fd" "$WORK/AAVMF_VARS.fd" | sort -u)" = 67108864 ]
  timeout 300 qemu-system-aarch64 -machine virt -cpu cortex-a57 -accel tcg -m 512 -nic none -display none \
    -drive if=pflash,format=raw,readonly=on,file="$WORK/AAVMF_CODE.fd" \
    -drive if=pflash,format=raw,file="$WORK/AAVMF_VARS.fd" -serial file:"$WORK/serial-arm" -monitor none &
  pid=$!
  for _ in $(seq 280); do
    grep -aq "UEFI firmware" "$WORK/serial-arm" 2>/dev/null && break
    sleep 1
  done
  kill "$pid"
  grep -a "UEFI firmware" "$WORK/serial-arm"
}

@test "the same bytes come out in another environment" {
  "$KBUILD" verify -o "$WORK/build" ovmf-sev
}
