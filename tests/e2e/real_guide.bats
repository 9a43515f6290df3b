#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The guide's part about the operator's payload, on real sources and for s390x: its commands, its ten
# tarballs, what is in each, and the merge; the image of ordinary guests, and all that a release holds. Kata's own components come from upstream's git hosts and
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

has_its_layout() { # folder, names
  local folder=$1 name
  shift
  for name in "$@"; do
    "$REPOSITORY/tests/support/layout.py" "$folder/kata-static-$name.tar.xz" "$REPOSITORY/tests/e2e/layouts/$name" s390x
  done
}

@test "each holds what its layout says, which names what differs from upstream's, and nothing else" {
  # shellcheck disable=SC2046 # names
  has_its_layout kata-artifacts $(expected)
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

@test "the guide's command makes the image of ordinary guests" {
  make rootfs-image-tarball
  has_its_layout build rootfs-image
}

@test "everything that a release holds is built, and the merge of it misses nothing" {
  HKD_PATH=hkd_dir SE_KERNEL_PARAMS="agent.log=debug" make kata-tarball
  has_its_layout build rootfs-image-confidential rootfs-initrd
  grep -q '^root_hash=\|^Root hash:' build/rootfs-image-confidential-root_hash.txt
  rm kata-static.tar.xz
  ./kbuild merge build --target=all
  tar -tf kata-static.tar.xz >merged
  for path in kata-containers.img kata-containers-confidential.img kata-containers-initrd.img kata-containers-initrd-confidential.img \
    kata-containers-se.img vmlinuz.container vmlinuz-confidential.container; do
    grep -qx "./opt/kata/share/kata-containers/$path" merged
  done
  run grep -vE '^\./(opt/(kata/.*)?)?$' merged
  [ "$status" -eq 1 ]
  # One that is missing is named, and nothing is merged.
  mv build/kata-static-rootfs-image.tar.xz away.tar.xz
  rm kata-static.tar.xz
  run ./kbuild merge build --target=all
  mv away.tar.xz build/kata-static-rootfs-image.tar.xz
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *rootfs-image* ]]
  [ ! -e kata-static.tar.xz ]
}
