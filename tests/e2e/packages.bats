#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Distribution packages as inputs: a key names their contents, so nothing is shared under it that has others; what
# was resolved stays until it is asked for anew; --locked takes nothing else than versions.lock says. The
# distribution is a small signed mirror made here, and the target an initrd of its packages.

bats_require_minimum_version 1.5.0

load project
load shared_cache

setup() {
  setup_shared_cache
  export KBUILD=${KBUILD:-$REPOSITORY/kbuild} GNUPGHOME=$PROJECT/gpg
  mkdir -m 700 "$GNUPGHOME"
  gpg --batch --quiet --passphrase '' --quick-gen-key 'TEST mirror <mirror@localhost>' ed25519 sign never 2>/dev/null
  gpg --batch --export mirror@localhost >keyring.gpg
  cat >versions.yaml <<'X'
assets: {initrd: {name: debian, version: bookworm}}
X
  mkdir recipes/one
  cat >recipes/one/recipe.yaml <<'X'
description: an initrd of packages
action: initrd
architectures: [x86_64, s390x, aarch64, ppc64le]
needs: [init]
rootfs: {distribution: assets.initrd, packages: [top]}
initrd: {layers: [rootfs, {artifact: init}], output: opt/one.img}
X
  make_recipe init "" 'mkdir -p /out/init; printf "#!/bin/sh\n" >/out/init/init; chmod 755 /out/init/init'
  mirror 1.0
  export REPO_URL=file:$PROJECT/mirror REPO_KEYRING=keyring.gpg
}

teardown() {
  stop_registry
  gpgconf --kill gpg-agent || true
}

deb() { # name version [field]
  mkdir -p "d/DEBIAN" "d/usr/share/$1"
  echo "$1 $2" >"d/usr/share/$1/version"
  printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: d\n%s' \
    "$1" "$2" "${3:+$3
}" >d/DEBIAN/control
  chmod -R go-w d
  find d -exec touch -d @1500000000 {} +
  SOURCE_DATE_EPOCH=1500000000 dpkg-deb --root-owner-group -Znone -b d "mirror/pool/$1_$2.deb" >/dev/null
  rm -r d
}

# A mirror whose package `top` stays, and needs one of this version.
mirror() { # version [architecture]
  local arch index suite=${SUITE:-bookworm}
  local release=mirror/dists/$suite
  arch=${2:-$(dpkg --print-architecture)}
  index=main/binary-$arch/Packages
  rm -rf mirror
  mkdir -p mirror/pool "$release/main/binary-$arch"
  deb top 1.0 "Depends: needed"
  deb needed "$1"
  (cd mirror && dpkg-scanpackages -m pool 2>/dev/null) >"$release/$index"
  {
    printf 'Origin: Example\nSuite: %s\nCodename: %s\nArchitectures: %s\nComponents: main\nSHA256:\n' "$suite" "$suite" "$arch"
    echo " $(sha256sum <"$release/$index" | cut -c1-64) $(stat -c %s "$release/$index") $index"
  } >Release
  gpg --batch --quiet --yes -u mirror@localhost --clearsign -o "$release/InRelease" Release 2>/dev/null
}

build() {
  "$KBUILD" --builder=host --cache "$PROJECT/cache" "$@"
}

made_of() { # version
  [[ "$(content_of build/kata-static-one.tar.xz opt/one.img | zcat | cpio -i --to-stdout --quiet usr/share/needed/version)" == "needed $1" ]]
}

@test "a list stays until it is asked for anew, without the network" {
  build one
  made_of 1.0
  mirror 1.1
  run build one
  echo "$output"
  [[ "$output" == *"one: cached"* ]]
  mv mirror away
  rm -rf build
  build --offline one
  made_of 1.0
  mv away mirror
  run build update one
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"other packages than before"* ]]
  build one
  made_of 1.1
  [ ! -e versions.lock ]
  run build update one
  [[ "$output" == *"the same packages"* ]]
}

@test "another mirror that the user names is asked" {
  build one
  cp -r mirror elsewhere
  mirror 1.1
  REPO_URL=file:$PROJECT/elsewhere build one
  made_of 1.0
  rm -rf build
  mv mirror third
  REPO_URL=file:$PROJECT/third build one
  made_of 1.1
}

@test "a signed old entry is not taken for today's packages" {
  make_keys
  start_registry
  PUSH_TO_REGISTRY=yes KBUILD_SIGNING_KEY=$PROJECT/TEST-builder.pem build --remote=require one
  made_of 1.0
  old=$(curl -sf "http://127.0.0.1:$PORT/v2/_catalog" | jq -r '.repositories[]' | grep cached-rootfs)
  old_tag=$(curl -sf "http://127.0.0.1:$PORT/v2/$old/tags/list" | jq -r '.tags[]' | grep ^kbuild-)
  curl -sf -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://127.0.0.1:$PORT/v2/$old/manifests/$old_tag" >old.json
  # A security update, and a reader that knows nothing.
  forget
  mirror 1.1
  export KBUILD_TRUSTED_KEYS=$PROJECT/builder.pub.pem
  build one
  made_of 1.1
  # Whoever may write to the registry puts the old one under the new key.
  new_tag=kbuild-$(build plan --json one | jq -r 'select(.kind == "rootfs") | .key')
  [ "$new_tag" != "$old_tag" ]
  [ ${#new_tag} -eq 71 ]
  curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary @old.json \
    "http://127.0.0.1:$PORT/v2/$old/manifests/$new_tag"
  forget
  run build one
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" != *"from the shared cache"* ]]
  made_of 1.1
  # While what is of today's packages is shared.
  forget
  PUSH_TO_REGISTRY=yes KBUILD_SIGNING_KEY=$PROJECT/TEST-builder.pem build one
  forget
  run build one
  [[ "$output" == *"from the shared cache"* ]]
  made_of 1.1
}

@test "--locked takes the packages that the lock names, or none" {
  run build --locked one
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *'the package list "top" of debian bookworm'*"--locked"* ]]
  [[ "$output" == *"kbuild lock"* ]]
  build one
  run build --locked one # what is remembered is not what is locked
  [ "$status" -eq 1 ]
  build lock one
  grep -q '^archive packages:debian/bookworm/.*/rootfs?top sha256=' versions.lock
  build --locked one
  # Elsewhere, with the lock: the same, or an error that says why not.
  forget
  build --locked one
  made_of 1.0
  forget
  mirror 1.1
  run build --locked one
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"the distribution's mirrors have other versions"*"kbuild update"* ]]
  build update one
  build --locked one
  made_of 1.1
}

@test "a locked set of packages comes from the shared cache without any index" {
  start_registry
  PUSH_TO_REGISTRY=yes build --remote=require one
  build lock one
  forget
  rm -rf mirror
  build --locked --remote=require one
  made_of 1.0
}

@test "a mirror that is signed by a stranger is refused, and says how to name its keys" {
  REPO_KEYRING="" run build one # as an undefined secret of a CI job arrives: no other keys in their place
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"REPO_KEYRING is set and empty"* ]]
  unset REPO_KEYRING
  run build one
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"is not signed"*REPO_KEYRING* ]]
}

# What a recipe takes out of a package is of the architecture that it is built for, and the name of the package
# may be one that leads to today's.
package_source() { # dependency
  mkdir -p recipes/two
  cat >recipes/two/recipe.yaml <<X
description: what is in a package
architectures: [x86_64, s390x, aarch64, ppc64le]
sources:
  content: {debian: {packages: [gone, top], architecture: target, dependency: "$1"}}
builder: {packages: [bash, coreutils], tools: [bash]}
run: build.sh
X
  SUITE=$(. /etc/os-release && echo "$VERSION_CODENAME") # a source is of this machine's distribution
  printf 'set -eu\nmkdir -p /out/two/opt\ncp /src/content/usr/share/needed/version /out/two/opt/\n' >recipes/two/build.sh
}

foreign() { # an architecture that this machine has not: kbuild's name and Debian's
  [ "$(uname -m)" = s390x ] && echo aarch64 arm64 || echo s390x s390x
}

@test "a source is the package that another one depends on, for the target's architecture" {
  read -r arch debian < <(foreign)
  package_source 'need*'
  mirror 1.0 "$debian"
  build --arch="$arch" two
  [ "$(content_of build/kata-static-two.tar.xz opt/version)" = "needed 1.0" ]
  build provenance two --arch="$arch" -o - | grep -q '"pkg:deb/[a-z]*/needed@1.0'
  # As all packages: it stays until it is asked for anew, it can be pinned, and it is there offline.
  mirror 1.1 "$debian"
  rm -rf build
  build --offline --arch="$arch" two
  [ "$(content_of build/kata-static-two.tar.xz opt/version)" = "needed 1.0" ]
  build --arch="$arch" update two
  build --arch="$arch" lock two
  grep -qF "archive packages:debian/$SUITE/$debian/package?gone,top&dependency=need* sha256=" versions.lock
  build --locked --arch="$arch" two
  [ "$(content_of build/kata-static-two.tar.xz opt/version)" = "needed 1.1" ]
  # This machine's architecture has no such packages, and no others take their place.
  run -1 build two --arch="$(uname -m)"
  echo "$output"
  [[ "$output" == *"has none of these packages: gone top"*"hint: name another package"* ]]
  [[ "$output" != *"upstream"* ]] # there is none
}

@test "a package without such a dependency is an error that says so" {
  read -r arch debian < <(foreign)
  package_source 'linux-image-*'
  mirror 1.0 "$debian"
  run -1 build --arch="$arch" two
  echo "$output"
  [[ "$output" == *"top depends on no package linux-image-*"*"hint: change \`dependency\`"* ]]
}
