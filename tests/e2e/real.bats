#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The whole demo on real sources from the distribution's mirror: the guide's commands, word for word.
# Slow. `make check-e2e` runs it; KBUILD_E2E_CACHE names a cache to start from (default: an empty one).

REPOSITORY=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)

setup_file() {
  export KBUILD_SOURCES=debian
  export WORK=${KBUILD_E2E_WORK:-$BATS_FILE_TMPDIR}
  export KBUILD_CACHE=${KBUILD_E2E_CACHE:-$WORK/cache}
  mkdir -p "$WORK"
  # A clone, as a user would have it; build/ and kata-static.tar.xz land there.
  git clone -q "$REPOSITORY" "$WORK/kata"
  make -C "$WORK/kata" kbuild >/dev/null
  cd "$WORK/kata" && ./kbuild se test-key hkd_dir
}

setup() {
  cd "$WORK/kata" || return 1
  SHARE=./opt/kata/share/kata-containers
}

@test "the guide's command builds the image" {
  HKD_PATH=hkd_dir SE_KERNEL_PARAMS="agent.log=debug" make boot-image-se-tarball
  ls build/kata-static-boot-image-se.tar.xz
  [ "$(tar -xOf build/kata-static-boot-image-se.tar.xz $SHARE/kata-containers-se.img | wc -c)" -gt 10000000 ]
  (cd build && sha256sum -c boot-image-se-sha256sum kernel-confidential-sha256sum rootfs-initrd-confidential-sha256sum)
}

@test "the guide's cross build names the same" {
  HKD_PATH=hkd_dir SE_KERNEL_PARAMS="agent.log=debug" CROSS_BUILD=true TARGET_ARCH=s390x ARCH=s390x run make boot-image-se-tarball
  [ "$status" -eq 0 ]
  [[ "$output" != *started* ]]
}

@test "the kernel has upstream's names" {
  tar -tf build/kata-static-kernel-confidential.tar.xz | grep vmlinuz
  kv=$(tar -tf build/kata-static-kernel-confidential.tar.xz | sed -n "s|$SHARE/vmlinuz-\(.*\)-confidential$|\1|p")
  for f in vmlinuz vmlinux config; do
    tar -tf build/kata-static-kernel-confidential.tar.xz | grep -qx "$SHARE/$f-$kv-confidential"
  done
  tar -tvf build/kata-static-kernel-confidential.tar.xz | grep -q "vmlinuz-confidential.container -> vmlinuz-$kv-confidential"
  tar -tf build/kata-static-kernel-confidential-modules.tar.xz | grep -q '^./modules\.'
  tar -tf build/kata-static-rootfs-initrd-confidential.tar.xz | grep -q "$SHARE/kata-containers-initrd-confidential.img"
  # The SE kernel must be able to be a protected guest.
  tar -xOf build/kata-static-kernel-confidential.tar.xz "$SHARE/config-$kv-confidential" | grep -qx CONFIG_PROTECTED_VIRTUALIZATION_GUEST=y
}

@test "the image is proven to boot" {
  HKD_PATH=hkd_dir SE_KERNEL_PARAMS="agent.log=debug" run ./kbuild boot boot-image-se
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(grep -c proven <<<"$output")" -eq 4 ]
}

@test "another key does not open it, and a flipped bit is found" {
  rm -rf other && ./kbuild se test-key other
  tar -xOf build/kata-static-boot-image-se.tar.xz $SHARE/kata-containers-se.img >image
  run ./kbuild boot boot-image-se --image image --host-key other/TEST-host-key.pem
  [ "$status" -ne 0 ]
  printf '\x01' | dd of=image bs=1 seek=20000000 conv=notrunc status=none
  run ./kbuild se open image --host-key hkd_dir/TEST-host-key.pem
  [ "$status" -eq 1 ]
}

@test "the measured disk boots on its hashes, and no changed one does" {
  run ./kbuild boot rootfs-image-confidential --arch=s390x --timeout 300
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(grep -c proven <<<"$output")" -eq 3 ]
  # init's root is the device that dm-verity checks, and the hash is the one in the tarball.
  hash=$(sed -n 's/^Root hash:[[:space:]]*//p' build/rootfs-image-confidential-root_hash.txt)
  grep -q "\"smoke-init\".*sha256 $hash .*root=/dev/dm-0" build/logs/boot-rootfs-image-confidential.log
  tar -xOf build/kata-static-rootfs-image-confidential.tar.xz $SHARE/root_hash.txt | cmp - build/rootfs-image-confidential-root_hash.txt
}

@test "a second run has nothing to do" {
  HKD_PATH=hkd_dir SE_KERNEL_PARAMS="agent.log=debug" run ./kbuild boot-image-se
  [ "$status" -eq 0 ]
  [[ "$output" != *started* ]]
}

@test "fetched once, everything is built offline" {
  HKD_PATH=hkd_dir run ./kbuild --offline boot-image-se
  [ "$status" -eq 0 ]
}

@test "the guide's merge gives one tarball" {
  rm -rf kata-artifacts kata-static.tar.xz
  mkdir kata-artifacts
  cp build/*.tar.xz kata-artifacts
  ./tools/packaging/kata-deploy/local-build/kata-deploy-merge-builds.sh kata-artifacts
  xz -t kata-static.tar.xz
  for f in kata-containers-se.img vmlinuz-confidential.container kata-containers-initrd-confidential.img; do
    tar -tf kata-static.tar.xz | grep -qx "$SHARE/$f"
  done
  tar -xOf kata-static.tar.xz ./opt/kata/VERSION | grep -q .
  tar -xOf kata-static.tar.xz ./opt/kata/versions.yaml | cmp - versions.yaml
}

@test "the cache is valid" {
  ./kbuild cache verify
}
