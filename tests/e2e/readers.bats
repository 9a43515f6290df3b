#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A merged tarball as Go's and Rust's libraries read it. Skipped where the distribution's packages of
# them are not installed (tools/install-dependencies readers; make check-e2e does that).

REPOSITORY=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
KBUILD=${KBUILD:-$REPOSITORY/kbuild}
READERS=$REPOSITORY/tests/support/readers

# Two components, one of them in several blocks, and what is in the result: "<sha256>  ./<path>".
setup() {
  cd "$BATS_TEST_TMPDIR" || return 1
  export RELEASE=yes
  echo 3.12.0 >VERSION
  echo 'assets: {}' >versions.yaml
  mkdir -p artifacts one/opt/kata/share two/opt/kata/bin
  seq 2500000 >one/opt/kata/share/large
  ln -s large one/opt/kata/share/link
  cp /bin/sh two/opt/kata/bin/program
  "$KBUILD" pack one artifacts/kata-static-one.tar.xz
  "$KBUILD" pack two artifacts/kata-static-two.tar.xz
  "$KBUILD" merge artifacts versions.yaml
  mkdir expected
  tar -xJf kata-static.tar.xz -C expected
  (cd expected && find . -type f -exec sha256sum {} + | sort) >sums
  [ "$(wc -l <sums)" -eq 4 ]
  [ "$(xz --robot -l kata-static.tar.xz | awk '$1 == "file" { print $3 }')" -ge 4 ]
}

@test "Go reads it" {
  command -v go >/dev/null || skip "no go"
  [ -d /usr/share/gocode/src/github.com/ulikunitz/xz ] || skip "no golang-github-ulikunitz-xz-dev"
  env GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="$PWD/go-cache" GOFLAGS= \
    go build -o reader-go "$READERS/reader.go"
  ./reader-go kata-static.tar.xz | sort >read
  diff read sums
}

@test "Rust reads it" {
  command -v cargo >/dev/null || skip "no cargo"
  for crate in xz2 tar; do
    compgen -G "/usr/share/cargo/registry/$crate-[0-9]*" >/dev/null || skip "no librust-$crate-dev"
  done
  mkdir -p crate/src crate/.cargo out
  cp "$READERS/reader.rs" crate/src/main.rs
  printf '%s\n' '[package]' 'name = "reader"' 'version = "0.0.0"' 'edition = "2018"' '[dependencies]' \
    'xz2 = "*"' 'tar = "*"' >crate/Cargo.toml
  printf '%s\n' '[source.crates-io]' 'replace-with = "distribution"' '[source.distribution]' \
    'directory = "/usr/share/cargo/registry"' >crate/.cargo/config.toml
  (cd crate && CARGO_HOME=$PWD/home cargo build --offline --quiet)
  crate/target/debug/reader kata-static.tar.xz out
  diff -r --no-dereference out expected
}
