#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The guest components from their real source: the files of upstream's tarball, programs that run and say what they
# were built with, no path of the build in them. The source comes from upstream's git host, crates from
# the usual registry, the rest from the distribution's mirror. Slow (half an hour of processor time for each architecture).
# `make check-e2e` runs it; KBUILD_E2E_CACHE names a cache to start from (default: an empty one), KBUILD_E2E_SOURCE
# which sources are upstream's: without guest-components nothing is tried.

bats_require_minimum_version 1.5.0

load real_sources

setup() {
  export KBUILD_SOURCE=${KBUILD_E2E_SOURCE-guest-components=upstream}
  [[ " $KBUILD_SOURCE " == *" guest-components="* ]] || skip "KBUILD_E2E_SOURCE leaves the guest components' source out"
  cd "$REPOSITORY" || return 1
  version=$("$KBUILD" versions get externals.coco-guest-components.version)
}

build() { # architecture
  "$KBUILD" -o "$WORK/components-{arch}" --arch="$1" coco-guest-components
  rm -rf "$WORK/tree"
  mkdir "$WORK/tree"
  tar -xf "$WORK/components-$1/kata-static-coco-guest-components.tar.xz" -C "$WORK/tree"
}

# The files of upstream's tarball, whatever the architecture.
has_upstreams_files() {
  (cd "$WORK/tree" && find . -type f -printf '%m %p\n' | LC_ALL=C sort) >files
  printf '%s\n' '644 ./etc/ocicrypt_config.json' '755 ./usr/local/bin/api-server-rest' '755 ./usr/local/bin/attestation-agent' \
    '755 ./usr/local/bin/confidential-data-hub' '755 ./usr/local/bin/luks-encrypt-storage' >wanted
  diff wanted files
  rm wanted files
  for program in api-server-rest attestation-agent confidential-data-hub; do
    run ! grep -q '\.symtab' <(readelf -SW "$WORK/tree/usr/local/bin/$program")
  done
}

# Libraries that every guest's root file system has.
links_only_to() { # the loader's name
  for program in api-server-rest attestation-agent confidential-data-hub; do
    readelf -dW "$WORK/tree/usr/local/bin/$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' >needed
    [ -s needed ]
    run ! grep -vxE "libgcc_s\.so\.1|libm\.so\.6|libc\.so\.6|$1" needed
    rm needed
  done
}

@test "the guest components run, and say what they are" {
  [ "$(uname -m)" = x86_64 ] || skip "the programs are for x86_64"
  build x86_64
  has_upstreams_files
  links_only_to ld-linux-x86-64.so.2
  cd "$WORK/tree/usr/local/bin"
  ./attestation-agent --version >said
  grep -q "Commit Hash: $version" said
  grep -q "Supported Attesters: TDX_ATTESTER, SNP_ATTESTER" said
  ./confidential-data-hub --version >said
  grep -q "Resource Providers: KBS, SEV" said
  grep -q "Socket Type: TTRPC" said
  ./api-server-rest --version
}

@test "for s390x they are cross-built, with the attester of Secure Execution" {
  build s390x
  has_upstreams_files
  links_only_to ld64.so.1
  readelf -hW "$WORK/tree/usr/local/bin/attestation-agent" | grep -q 'IBM S/390'
  grep -q "Supported Attesters: SE_ATTESTER" "$WORK/tree/usr/local/bin/attestation-agent"
}

@test "a second build gives the same bytes" {
  "$KBUILD" verify coco-guest-components --arch=s390x
}
