#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kbuild merge on tarballs of ours and of others.

REPOSITORY=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
KBUILD=${KBUILD:-$REPOSITORY/kbuild}

setup() {
  cd "$BATS_TEST_TMPDIR" || return 1
  mkdir artifacts
  echo 'assets: {}' >versions.yaml
  echo 3.12.0 >VERSION
  export RELEASE=yes
}

component() { # name path content
  local root
  root=$(mktemp -d tree.XXXXXX)
  mkdir -p "$root/$(dirname "$2")"
  printf '%s' "$3" >"$root/$2"
  tar -C "$root" -cJf "artifacts/kata-static-$1.tar.xz" .
}

merge() {
  "$KBUILD" merge artifacts versions.yaml "$@"
}

@test "components become one tarball with VERSION and versions.yaml" {
  component kernel opt/kata/share/kata-containers/vmlinuz kernel
  component qemu opt/kata/bin/qemu qemu
  merge
  xz -t kata-static.tar.xz
  mkdir out
  tar -xJf kata-static.tar.xz -C out
  [ "$(cat out/opt/kata/VERSION)" = 3.12.0 ]
  cmp versions.yaml out/opt/kata/versions.yaml
  [ "$(cat out/opt/kata/bin/qemu)" = qemu ]
  # Components share directories; a splice keeps each one's own. Nothing else is there twice.
  [ "$(tar -tJf kata-static.tar.xz | grep -v '/$' | sort | uniq -d | wc -l)" -eq 0 ]
}

@test "VERSION is the version of Kata that the components are of, not that of where the merge runs" {
  unset RELEASE
  component qemu opt/kata/bin/qemu qemu
  said() { # what the merge wrote
    rm -rf out
    mkdir out
    tar -xJf kata-static.tar.xz -C out
    cat out/opt/kata/VERSION
  }
  # Some other project's tag and VERSION are not Kata's.
  git -c init.defaultBranch=main init -q .
  git -c user.name=T -c user.email=t@localhost commit -q --allow-empty -m T
  git -c user.name=T -c user.email=t@localhost tag -a -m T 0.1.0
  run "$KBUILD" merge artifacts versions.yaml
  [ "$status" -eq 0 ]
  [[ "$output" == *"version of Kata Containers is not known"* ]]
  [ "$(said)" = unknown ]
  printf 'externals:\n  kata: {version: "3.20.0"}\n' >pinned.yaml
  "$KBUILD" merge artifacts pinned.yaml
  [ "$(said)" = 3.20.0 ]
  # A checkout of Kata, from wherever.
  mkdir -p kata/src/agent kata/src/runtime
  cp versions.yaml kata
  echo 3.28.0 >kata/VERSION
  git -c init.defaultBranch=main init -q kata
  git -C kata -c user.name=T -c user.email=t@localhost commit -q --allow-empty -m T
  "$KBUILD" merge artifacts kata/versions.yaml
  [ "$(said)" = 3.28.0 ]
  git -C kata tag 3.28.1
  "$KBUILD" merge artifacts kata/versions.yaml
  [ "$(said)" = 3.28.1 ]
  RELEASE=yes "$KBUILD" merge artifacts kata/versions.yaml
  [ "$(said)" = 3.28.0 ]
  # What a checkout is, the recipes say; what cannot be read of them says nothing.
  mkdir -p recipes/one broken/two lamp/wick
  printf 'description: x\nsources: {lamp: {version: externals.lamp, git: "{url}", ref: "{version}", checkout: [wick]}}\nbuilder: {packages: [bash]}\nrun: run.sh\n' >recipes/one/recipe.yaml
  touch recipes/one/run.sh
  echo nonsense >broken/two/recipe.yaml
  cp versions.yaml lamp
  echo 1.2 >lamp/VERSION
  git init -q lamp # without a tag
  for given in "lamp recipes 1.2" "kata recipes unknown" "lamp broken unknown" "kata $REPOSITORY/recipes 3.28.1"; do
    read -r folder recipes wanted <<<"$given"
    "$KBUILD" merge artifacts "$folder/versions.yaml" --components=qemu --recipes "$recipes"
    echo "$given: $(said)"
    [ "$(said)" = "$wanted" ]
  done
  run "$KBUILD" merge artifacts lamp/versions.yaml --components=qemu --recipes none
  [ "$status" -eq 1 ]
  [[ "$output" == *"opening the recipes in none"* ]]
}

@test "VERSION says where it comes from, and what contradicts it" {
  unset RELEASE
  component qemu opt/kata/bin/qemu qemu
  printf 'externals:\n  kata: {version: "3.20.0"}\n' >pinned.yaml
  run "$KBUILD" merge artifacts pinned.yaml
  [[ "$output" == *"VERSION is 3.20.0: externals.kata.version of pinned.yaml"* ]]
  [[ "$output" != *warning* ]]
  # Another release beside it, in a checkout of Kata.
  mkdir -p kata/src/agent kata/src/runtime
  cp pinned.yaml kata/versions.yaml
  echo 3.28.0 >kata/VERSION
  run "$KBUILD" merge artifacts kata/versions.yaml
  [ "$status" -eq 0 ]
  [[ "$output" == *"warning: VERSION will be 3.20.0 (externals.kata.version of kata/versions.yaml), but the file $PWD/kata/VERSION is 3.28.0"* ]]
  # A project of its own may have any VERSION.
  echo 0.1 >VERSION
  run "$KBUILD" merge artifacts pinned.yaml
  [[ "$output" != *warning* ]]
  # What the components are made of counts more than what was pinned.
  echo 3.24.0 >kata/VERSION
  run "$KBUILD" --recipes "$REPOSITORY/recipes" merge artifacts pinned.yaml --source "kata=$PWD/kata"
  [ "$status" -eq 0 ]
  [[ "$output" == *"VERSION is 3.24.0: the file $PWD/kata/VERSION, where the source kata comes from"* ]]
  [[ "$output" == *"warning: VERSION will be 3.24.0 "*", but externals.kata.version of pinned.yaml is 3.20.0"* ]]
  [ "$(tar -xJOf kata-static.tar.xz ./opt/kata/VERSION)" = 3.24.0 ]
  # A development version follows its release.
  echo 3.20.0-12-gc0ffee >kata/VERSION
  KBUILD_SOURCE="kata=$PWD/kata" run "$KBUILD" --recipes "$REPOSITORY/recipes" merge artifacts pinned.yaml
  [[ "$output" == *"VERSION is 3.20.0-12-gc0ffee"* ]]
  [[ "$output" != *warning* ]]
}

@test "the same path with the same content is harmless, with another it is an error that names both" {
  component one opt/kata/share/x same
  component two opt/kata/share/x same
  merge
  component two opt/kata/share/x other
  rm kata-static.tar.xz
  run merge
  [ "$status" -eq 1 ]
  [[ "$output" == *"opt/kata/share/x"* ]]
  [[ "$output" == *kata-static-one.tar.xz* ]]
  [[ "$output" == *kata-static-two.tar.xz* ]]
  [ ! -e kata-static.tar.xz ]
}

@test "members that would overwrite a host's configuration are refused" {
  for path in etc/hostname etc/resolv.conf dev/null2 proc/x .dockerenv; do
    rm -f artifacts/*
    component bad "$path" x
    component good opt/kata/x x
    run merge
    [ "$status" -eq 1 ]
    [[ "$output" == *"$path"* ]]
    [ ! -e kata-static.tar.xz ]
  done
}

@test "guest components are left out, with a note" {
  component agent usr/bin/kata-agent agent
  component kernel-confidential-modules kernel/x.ko module
  component kernel opt/kata/x x
  run merge
  [ "$status" -eq 0 ]
  [[ "$output" == *agent* ]]
  ! tar -tJf kata-static.tar.xz | grep -q kata-agent || false
  ! tar -tJf kata-static.tar.xz | grep -q x.ko || false
}

@test "what goes into guests is what the recipes say" {
  members() { tar -tJf kata-static.tar.xz | grep -v '/$' | sort | tr '\n' ' '; }
  mkdir -p recipes/lamp recipes/light
  printf 'description: x\nguest: [lamp, "wick-*"]\nbuilder: {packages: [bash]}\nrun: run.sh\noutputs: [lamp, oil]\n' >recipes/lamp/recipe.yaml
  printf 'description: x\naction: group\nmembers: [lamp]\n' >recipes/light/recipe.yaml
  touch recipes/lamp/run.sh
  component lamp lamp guest
  component wick-long wick guest
  component oil opt/kata/oil host
  component agent opt/kata/agent host
  merge
  [ "$(members)" = "./opt/kata/VERSION ./opt/kata/agent ./opt/kata/oil ./opt/kata/versions.yaml " ]
  merge --target=light
  [ "$(members)" = "./opt/kata/VERSION ./opt/kata/oil ./opt/kata/versions.yaml " ]
  merge --components=lamp,oil # asked for by name, it is taken
  [ "$(members)" = "./lamp ./opt/kata/VERSION ./opt/kata/oil ./opt/kata/versions.yaml " ]
  merge --components=lamp --recipes recipes # they say, too, what a checkout is
  [ "$(members)" = "./lamp ./opt/kata/VERSION ./opt/kata/versions.yaml " ]
  # Nothing is guessed where the recipes cannot be read.
  echo 'guest: [a/b]' >>recipes/light/recipe.yaml
  run merge
  [ "$status" -eq 1 ]
  [[ "$output" == *"light/recipe.yaml"*"a/b"* ]]
}

@test "the same inputs give the same bytes" {
  component kernel opt/kata/x x
  component qemu opt/kata/y y
  merge -o one.tar.xz
  merge -o two.tar.xz -j 1
  cmp one.tar.xz two.tar.xz
}

@test "hostile, broken and missing inputs are errors" {
  run merge
  [ "$status" -eq 1 ]
  component kernel opt/kata/x x
  head -c 100 artifacts/kata-static-kernel.tar.xz >artifacts/kata-static-broken.tar.xz
  run merge
  [ "$status" -eq 1 ]
  [[ "$output" == *broken* ]]
  python3 - <<'X'
import io, tarfile
with tarfile.open("artifacts/kata-static-broken.tar.xz", "w:xz") as t:
    m = tarfile.TarInfo("../escape")
    m.size = 1
    t.addfile(m, io.BytesIO(b"x"))
X
  run merge
  [ "$status" -eq 1 ]
  [[ "$output" == *escape* ]]
  run "$KBUILD" merge nowhere
  [ "$status" -eq 1 ]
  [ ! -e kata-static.tar.xz ]
}

@test "upstream's script name works" {
  component kernel opt/kata/x x
  "$REPOSITORY/tools/packaging/kata-deploy/local-build/kata-deploy-merge-builds.sh" artifacts versions.yaml
  tar -tJf kata-static.tar.xz | grep -q '^./opt/kata/x$'
}

pack() { # name path content: as kbuild packs it
  local root
  root=$(mktemp -d tree.XXXXXX)
  mkdir -p "$root/$(dirname "$2")"
  printf '%s' "$3" >"$root/$2"
  "$KBUILD" pack "$root" "artifacts/kata-static-$1.${4:-tar.xz}"
}

@test "what kbuild packed is spliced, and every reader there is opens the result" {
  pack kernel opt/kata/share/vmlinuz kernel
  pack qemu opt/kata/bin/qemu qemu
  run merge
  [ "$status" -eq 0 ]
  [[ "$output" != *recompressed* ]]
  xz -t kata-static.tar.xz
  expected=$'qemu\nkernel\n3.12.0'
  readers=(
    'tar -xJf kata-static.tar.xz -C out'
    'xz -dc -T2 kata-static.tar.xz | tar -x -C out'
    'bsdtar -xf kata-static.tar.xz -C out'
    'busybox tar -xJf kata-static.tar.xz -C out'
    'busybox xzcat kata-static.tar.xz | busybox tar -x -C out'
    'python3 -c "import tarfile; tarfile.open(\"kata-static.tar.xz\").extractall(\"out\")"'
    '7z x -so kata-static.tar.xz | tar -x -C out'
  )
  opened=0
  for reader in "${readers[@]}"; do
    program=${reader%% *}
    command -v "$program" >/dev/null || continue
    rm -rf out
    mkdir out
    echo "$reader"
    eval "$reader"
    [ "$(cat out/opt/kata/bin/qemu <(echo) out/opt/kata/share/vmlinuz <(echo) out/opt/kata/VERSION)" = "$expected" ]
    opened=$((opened + 1))
  done
  [ "$opened" -ge 5 ]
}

@test "tar.zst is merged in the same way" {
  pack kernel opt/kata/share/vmlinuz kernel tar.zst
  pack qemu opt/kata/bin/qemu qemu tar.zst
  run merge --format=tar.zst
  [ "$status" -eq 0 ]
  [[ "$output" != *recompressed* ]]
  zstd -t kata-static.tar.zst
  mkdir out
  tar -I zstd -xf kata-static.tar.zst -C out
  [ "$(cat out/opt/kata/VERSION)" = 3.12.0 ]
  # And xz components into tar.zst, by recompressing.
  pack virtiofsd opt/kata/libexec/virtiofsd v
  run merge -o mixed.tar.zst
  [ "$status" -eq 0 ]
  [[ "$output" == *"virtiofsd.tar.xz cannot be spliced"* ]]
  tar -I zstd -tf mixed.tar.zst | grep -qx ./opt/kata/libexec/virtiofsd
}

@test "a listing that is kept is used, and one that does not fit the file any more is not" {
  pack kernel opt/kata/share/vmlinuz kernel
  pack qemu opt/kata/bin/qemu qemu
  "$KBUILD" --cache cache merge artifacts versions.yaml -o one.tar.xz
  "$KBUILD" --cache cache merge artifacts versions.yaml -o two.tar.xz
  cmp one.tar.xz two.tar.xz
  # Another component of the same name and size, changed behind kbuild's back.
  pack qemu opt/kata/share/vmlinuz other
  run "$KBUILD" --cache cache merge artifacts versions.yaml -o three.tar.xz
  [ "$status" -eq 1 ]
  [[ "$output" == *disagree* ]]
}

@test "a flipped bit in what is spliced is found by its digest" {
  pack kernel opt/kata/share/vmlinuz "$(head -c 60000 /dev/urandom | base64)"
  "$KBUILD" --cache cache merge artifacts versions.yaml
  cp artifacts/kata-static-kernel.tar.xz good
  for at in 100 20000 60000; do
    cp good artifacts/kata-static-kernel.tar.xz
    printf 'X' | dd of=artifacts/kata-static-kernel.tar.xz bs=1 seek=$at conv=notrunc 2>/dev/null
    cmp -s good artifacts/kata-static-kernel.tar.xz && continue
    run "$KBUILD" --cache cache merge artifacts versions.yaml
    [ "$status" -eq 1 ]
    [[ "$output" == *kata-static-kernel.tar.xz* ]]
  done
}

@test "a component that is asked for has to be there, and others are left out" {
  pack kernel opt/kata/share/vmlinuz kernel
  pack qemu opt/kata/bin/qemu qemu
  run merge --components=kernel,kata-static-ovmf.tar.xz
  [ "$status" -eq 1 ]
  [[ "$output" == *"no kata-static tarball of ovmf"* ]]
  [ ! -e kata-static.tar.xz ]
  merge --components=kernel
  run tar -tJf kata-static.tar.xz
  [[ "$output" == *vmlinuz* ]]
  [[ "$output" != *qemu* ]]
}

@test "what was built and is gone is an error, never a smaller release" {
  pack kernel opt/kata/share/vmlinuz kernel
  pack qemu opt/kata/bin/qemu qemu
  for c in kernel qemu; do
    echo "$(sha256sum <"artifacts/kata-static-$c.tar.xz" | cut -c 1-64) kata-static-$c.tar.xz $c x86_64"
  done >artifacts/targets
  merge -o whole.tar.xz
  rm artifacts/kata-static-qemu.tar.xz
  run merge
  [ "$status" -eq 1 ]
  [[ "$output" == *"kata-static-qemu.tar.xz was built in artifacts, but no longer exists"* ]]
}

@test "killed at any moment, a merge leaves the old file or the new one" {
  pack kernel opt/kata/share/vmlinuz "$(head -c 3000000 /dev/urandom | base64)"
  pack qemu opt/kata/bin/qemu qemu
  merge
  cp kata-static.tar.xz whole
  for i in $(seq 40); do
    "$KBUILD" merge artifacts versions.yaml 2>/dev/null &
    sleep "0.0$((RANDOM % 10))"
    kill -9 $! 2>/dev/null || true
    wait $! || true
    cmp whole kata-static.tar.xz
  done
}

@test "a full disk is an error that names the file, and leaves nothing" {
  pack kernel opt/kata/share/vmlinuz "$(head -c 3000000 /dev/urandom | base64)"
  [ "$(id -u)" -eq 0 ] || skip "needs a small file system, which only root can mount"
  mkdir small
  mount -t tmpfs -o size=1m tmpfs small
  run merge -o small/kata-static.tar.xz
  left=$(ls -A small)
  umount small
  [ "$status" -eq 1 ]
  [[ "$output" == *"No space left on device"* ]]
  [ -z "$left" ]
}

@test "pack and unpack are each other's inverse" {
  mkdir -p tree/a/b
  echo one >tree/a/one
  ln tree/a/one tree/a/b/two
  ln -s ../one tree/a/b/link
  "$KBUILD" pack tree tree.tar.xz
  "$KBUILD" unpack tree.tar.xz out/new
  diff -r --no-dereference tree out/new
  run "$KBUILD" unpack tree.tar.xz out/new
  [ "$status" -eq 1 ]
  [[ "$output" == *"there is something already"* ]]
  "$KBUILD" pack tree again.tar.xz -j 1
  cmp tree.tar.xz again.tar.xz
}

@test "a small archive that goes to and fro between deep folders takes little memory" {
  python3 - <<'END'
import tarfile
with tarfile.open("deep.tar.xz", "w:xz", format=tarfile.PAX_FORMAT) as archive:
    for i in range(3000):
        archive.addfile(tarfile.TarInfo("/".join(["ab"[i % 2] * 30] * 120) + f"/{i}"))
END
  python3 - "$KBUILD" unpack deep.tar.xz out <<'END'
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
sys.exit(f"{used} KiB" if used > 300000 else 0)
END
}

@test "a result never takes the place of what it is made of" {
  component a opt/kata/a a
  component b opt/kata/b b
  cp artifacts/kata-static-a.tar.xz before
  ln -s artifacts/kata-static-a.tar.xz link
  for result in artifacts/kata-static-a.tar.xz ./artifacts/../artifacts/kata-static-a.tar.xz link; do
    run merge -o "$result"
    [ "$status" -eq 1 ]
    [[ "$output" == *"would replace its component"* ]]
  done
  cmp before artifacts/kata-static-a.tar.xz
  run merge -o versions.yaml
  [ "$status" -eq 2 ]
  [ "$(cat versions.yaml)" = 'assets: {}' ]
}

@test "a list of components that names none is an error, and so is a list of targets that cannot be read" {
  component a opt/kata/a a
  run merge --components=,
  [ "$status" -eq 2 ]
  for target in nowhere targets "$PWD/versions.yaml"; do
    ln -sf "$target" artifacts/targets
    run merge
    [ "$status" -eq 1 ]
    [[ "$output" == *"targets: it is a link"* ]]
    [ ! -e kata-static.tar.xz ]
  done
}
