#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The guide's part about the operator's payload, on real sources and for s390x: its commands, its ten
# tarballs, what is in each, and the merge. Kata's own components come from upstream's git hosts and
# registries, the rest from the distribution's mirror. Very slow. `make check-e2e` runs it;
# KBUILD_E2E_CACHE names a cache to start from (default: an empty one), KBUILD_E2E_SOURCE which sources
# are upstream's: where a host of one cannot be reached, leave it out, and its tarball is skipped.

REPOSITORY=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)

# Tarball, and the source without which it cannot be.
TARBALLS="agent:kata boot-image-se: coco-guest-components:guest-components kernel-confidential-modules:
  kernel-confidential: pause-image:pause qemu: rootfs-initrd-confidential: shim-v2:kata virtiofsd:virtiofsd"

setup_file() {
  export KBUILD_SOURCES=debian
  export KBUILD_SOURCE=${KBUILD_E2E_SOURCE-kata=upstream guest-components=upstream pause=upstream virtiofsd=upstream}
  export WORK=${KBUILD_E2E_WORK:-$BATS_FILE_TMPDIR}
  export KBUILD_CACHE=${KBUILD_E2E_CACHE:-$WORK/cache}
  mkdir -p "$WORK"
  git clone -q "$REPOSITORY" "$WORK/kata"
  make -C "$WORK/kata" kbuild >/dev/null
  cd "$WORK/kata" && ./kbuild se test-key hkd_dir
}

setup() {
  cd "$WORK/kata" || return 1
  export CROSS_BUILD=true TARGET_ARCH=s390x ARCH=s390x
}

expected() { # prints the names of the tarballs that these sources make
  local entry
  for entry in $TARBALLS; do
    [[ -z ${entry#*:} || " $KBUILD_SOURCE " == *" ${entry#*:}="* ]] && echo "${entry%:*}"
  done
  return 0
}

@test "the guide's commands build the image, QEMU, virtiofsd and the runtime" {
  HKD_PATH=hkd_dir SE_KERNEL_PARAMS="agent.log=debug" make boot-image-se-tarball
  make qemu-tarball
  make virtiofsd-tarball
  make shim-v2-tarball
}

@test "its ten tarballs are there" {
  mkdir -p kata-artifacts
  cp -r "$(readlink -f build)"/*.tar.xz kata-artifacts
  expected | sed 's/.*/kata-static-&.tar.xz/' | sort >wanted
  (cd kata-artifacts && ls -1) | sort | diff wanted -
  [ "$(wc -l <wanted)" -eq 10 ] || skip "only $(wc -l <wanted) of the ten: KBUILD_E2E_SOURCE leaves sources out"
}

@test "each holds upstream's names, with upstream's modes, and nothing else" {
  for name in $(expected); do
    "$REPOSITORY/tests/support/layout.py" "kata-artifacts/kata-static-$name.tar.xz" "$REPOSITORY/tests/e2e/layouts/$name"
  done
}

@test "programs are for the architecture that was asked for" {
  for file in agent:usr/bin/kata-agent shim-v2:opt/kata/bin/containerd-shim-kata-v2 \
    shim-v2:opt/kata/runtime-rs/bin/containerd-shim-kata-v2 virtiofsd:opt/kata/libexec/virtiofsd qemu:opt/kata/bin/qemu-system-s390x; do
    [ -e "kata-artifacts/kata-static-${file%:*}.tar.xz" ] || continue
    tar -xOf "kata-artifacts/kata-static-${file%:*}.tar.xz" "./${file#*:}" >program
    readelf -h program | grep -q 'IBM S/390'
  done
}

@test "the merge takes what hosts need, and no file of a guest" {
  ./tools/packaging/kata-deploy/local-build/kata-deploy-merge-builds.sh kata-artifacts
  tar -tf kata-static.tar.xz >merged
  for path in share/kata-containers/kata-containers-se.img bin/qemu-system-s390x VERSION versions.yaml; do
    grep -qx "./opt/kata/$path" merged
  done
  run grep -vE '^\./(opt/(kata/.*)?)?$' merged
  [ "$status" -eq 1 ]
}
