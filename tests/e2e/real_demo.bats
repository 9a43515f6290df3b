#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The demo's first proof as a newcomer sees it, from an empty cache: the distribution's kernel for s390x, an initrd,
# sealed, opened, booted. Then what its parts are good for. Needs the distribution's mirror and QEMU; some two minutes.

bats_require_minimum_version 1.5.0

REPOSITORY=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)

setup_file() {
  export WORK=${KBUILD_E2E_WORK:-$BATS_FILE_TMPDIR}/first-proof KBUILD_SOURCES=debian
  git clone -q "$REPOSITORY" "$WORK"
  cp "$REPOSITORY/kbuild" "$WORK/"
}

setup() {
  cd "$WORK" || return 1
}

@test "the first proof: sealed, not to be read, not opened by another key, opened, booted" {
  run -0 tools/demo --first
  echo "$output"
  [ "$(grep -c '^kbuild: proven: ' <<<"$output")" -eq 4 ]
  [ "$(grep -c '^=> Proven: ' <<<"$output")" -eq 3 ]
  [[ "$output" == *"none of its 1 key slots is for this host key"* ]]
  release=$(sed -n 's/^{"smoke-init":1,"release":"\([^"]*\)","machine":"s390x","cmdline":"panic=1 greeting=hello"}$/\1/p' <<<"$output" | tr -d '\r')
  [ -n "$release" ]
  # That is the kernel of the distribution's package, and its file the package's.
  ./kbuild provenance kernel-distribution --arch=s390x --builder=host -o - | grep "linux-image-$release"
  [ ! -e kata-static.tar.xz ]
}

@test "a second time there is nothing to make, and nothing to ask" {
  HKD_PATH=build/demo-host-key SE_KERNEL_PARAMS=greeting=hello \
    run -0 ./kbuild --offline boot-image-se-smoke --builder=host -o build/first-proof
  echo "$output"
  [[ "$output" == *"0 made, 5 cached"* ]]
}

@test "no release holds what is for trials" {
  rm -rf kata-artifacts && mkdir kata-artifacts
  cp build/first-proof/*.tar.xz kata-artifacts/
  run -1 ./kbuild merge kata-artifacts
  echo "$output"
  [[ "$output" == *boot-image-se-smoke* ]]
}

@test "the same parts boot on x86_64" {
  run -0 ./kbuild boot initrd-smoke --arch=x86_64 --builder=host -o build/x86_64
  echo "$output"
  [[ "$output" == *"proven: kernel, initrd: /init reached, Linux "*"-amd64, command line as expected"* ]]
}
