#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What recipes can say beyond scripts and packages: sources that are there only with some --sources, and
# what a script tells the user.

load project

setup() {
  make_project
}

@test "a source that is for the distribution's sources only is not there with upstream's" {
  make_recipe one 'sources: {blobs: {debian: {packages: [blobs]}, when: debian}}' \
    'mkdir -p /out/one/opt; ls /src >/out/one/opt/src 2>/dev/null || :'
  run kb one
  [ "$status" -eq 0 ]
  [ -z "$(content_of build/kata-static-one.tar.xz opt/src)" ]
  run kb --sources=debian --offline one
  [ "$status" -eq 1 ]
  [[ "$output" == *blobs* ]]
}

@test "a source that is for upstream's sources only is not there with the distribution's" {
  make_recipe one 'sources: {greet: {version: externals.greet, git: "{url}", ref: "{version}", when: upstream}}' \
    'mkdir -p /out/one/opt; ls /src >/out/one/opt/src 2>/dev/null || :'
  run kb --sources=debian one
  [ "$status" -eq 0 ]
  [ -z "$(content_of build/kata-static-one.tar.xz opt/src)" ]
  run kb --offline one
  [ "$status" -eq 1 ]
  [[ "$output" == *greet* ]]
}

@test "what a script says of its result is shown, also when it comes from the cache" {
  make_recipe one "" 'echo "no sev-snp-guest in it" >summary; mkdir -p /out/one/opt; : >/out/one/opt/one'
  run kb one
  [[ "$output" == *"one: no sev-snp-guest in it"* ]]
  rm -rf build
  run kb one
  [[ "$output" == *"one: cached"* ]]
  [[ "$output" == *"one: no sev-snp-guest in it"* ]]
}

@test "what a script says is one line without control characters, and no file of the host" {
  make_recipe one "" 'printf "a\033[31mb\nsecond\n" >summary; mkdir -p /out/one/opt; : >/out/one/opt/one'
  run kb one
  [[ "$output" == *"one: a?[31mb"* ]]
  [[ "$output" != *second* ]]
  make_recipe two "" 'ln -s /etc/os-release summary; mkdir -p /out/two/opt; : >/out/two/opt/two'
  run kb two
  [ "$status" -eq 0 ]
  [[ "$output" != *PRETTY_NAME* ]]
}

@test "two inputs never share a key: bytes that are no text, names with line breaks, empty folders" {
  local text
  make_recipe one "variables: {TEXT: {}, DIR: {type: directory, pattern: '*'}}" \
    'mkdir -p /out/one; printf "%s" "$TEXT" >/out/one/text; ls /recipe >/out/one/names'
  for text in $'a\xff' $'b\xfe' $'\xc2'; do
    TEXT=$text run kb one
    [ "$status" -eq 1 ]
    [[ "$output" == *"TEXT is not UTF-8 text"* ]]
  done
  kb one
  mkdir recipes/one/flag
  run kb one
  [[ "$output" == *"one: started"* ]]
  kb explain one | grep -q '^file recipe flag d '
  content_of build/kata-static-one.tar.xz names | grep -q flag
  touch recipes/one/$'x - 0\nfile recipe y'
  run kb one
  [ "$status" -eq 1 ]
  [[ "$output" == *"has a line break in its name"* ]]
  rm recipes/one/x*
  mkdir d
  touch d/$'a\nvariable DIR file b'
  DIR=d run kb one
  [ "$status" -eq 1 ]
  [[ "$output" == *"has a line break in it"* ]]
}

@test "two files of one name do not take each other's place" {
  make_recipe one "variables: {FILES: {type: file, list: yes}}" \
    'mkdir -p /out/one; cat ${FILES//,/ } >/out/one/all'
  mkdir a b
  echo 1 >a/x
  echo 2 >b/x
  cp b/x b/y
  FILES=a/x,b/y kb one
  [ "$(content_of build/kata-static-one.tar.xz all | tr -d '\n')" = 12 ]
  FILES=a/x,b/x run kb one
  [ "$status" -eq 1 ]
  [[ "$output" == *"two files that are called x"* ]]
}

# ---- conditions: when: {variable, is} ----

# An initrd that differs by variables. Its content: names of files.
make_conditional() {
  local layer
  make_recipe init "" 'mkdir -p /out/init; printf "#!/bin/sh\n" >/out/init/init; chmod 755 /out/init/init'
  make_recipe extra
  mkdir -p recipes/one/yes recipes/one/no
  for layer in yes no; do echo "$layer" >"recipes/one/$layer/mode-$layer"; done
  cat >recipes/one/recipe.yaml <<'Y'
description: an initrd that differs by variables
action: initrd
architectures: [x86_64, s390x, aarch64, ppc64le]
needs: [init, {any: extra, when: {variable: TARBALL, is: ""}}]
variables: {MODE: {type: yes-no, default: "no"}, TARBALL: {type: file}}
initrd:
  layers:
    - artifact: init
    - artifact: extra
    - {overlay: "yes", when: {variable: MODE, is: "yes"}}
    - {overlay: "no", when: {variable: MODE, is: "no"}}
  output: opt/one.img
Y
}

initrd_names() {
  content_of build/kata-static-one.tar.xz opt/one.img | gzip -d | cpio -t --quiet | sort | tr '\n' ' '
}

@test "layers and needs can depend on a variable" {
  make_conditional
  kb one
  [[ "$(initrd_names)" == *"mode-no opt opt/extra "* ]]
  [[ "$(initrd_names)" != *mode-yes* ]]
  MODE=yes kb one
  [[ "$(initrd_names)" == *mode-yes* ]]
  [[ "$(initrd_names)" != *mode-no* ]]
  : >file
  # What is not needed is not made.
  make_recipe extra "" 'exit 1'
  TARBALL=file kb one
  [[ "$(initrd_names)" != *extra* ]]
  run kb one
  [ "$status" -eq 3 ]
  [[ "$output" == *"extra: failed"* ]]
}

# ---- what variables can be, and which have no effect ----

@test "a value that a variable cannot have is refused before anything is fetched" {
  make_recipe one 'sources: {greet: {version: externals.greet, git: "{url}", ref: "{version}"}}
variables:
  KIND: {default: both, values: [go, both]}
  LIBRARY:
    values: [gnu]
    refused: [{is: musl, why: nobody has it}]
  MEASURED:
    type: yes-no
    default: "no"
    refused: [{is: "yes", architectures: [ppc64le], why: there is no disk for it}]'
  make_recipe two
  refused() { # words of the message
    run kb two one --arch="${ARCHITECTURE:-x86_64}"
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"$1"* && "$output" != *greet* ]]
    [ ! -e build ]
  }
  KIND=rust refused "one: KIND is 'rust'"
  [[ "$output" == *"it is one of: go, both"* ]]
  LIBRARY=musl refused "one: LIBRARY=musl cannot be made: nobody has it"
  MEASURED=yes ARCHITECTURE=ppc64le refused "one: MEASURED=yes cannot be made for ppc64le: there is no disk for it"
  MEASURED=yes KIND='' LIBRARY='' run kb plan one --arch=s390x
  [ "$status" -eq 0 ]
}

@test "a default can follow the release" {
  make_recipe one 'variables: {FORM: {default: {before: "3.27", is: old, else: new}, values: [old, new]}}' \
    'mkdir -p /out/one/opt; echo "$FORM" >/out/one/opt/form'
  form() { # version of the release
    echo "externals: {kata: {version: \"$1\"}}" >versions.yaml
    kb one
    content_of build/kata-static-one.tar.xz opt/form
  }
  [ "$(form 3.26.0)" = old ]
  [ "$(form 3.27.0)" = new ]
  [ "$(form 4.1.0)" = new ]
  [ "$(FORM=old form 4.1.0)" = old ]
  [ "$(FORM='' form 3.20.0)" = old ]
  # Where nothing says which release it is, it is a late one.
  echo 'externals: {}' >versions.yaml
  kb one
  [ "$(content_of build/kata-static-one.tar.xz opt/form)" = new ]
}

@test "a variable that has no effect is named once, and is neither in the step nor in its key" {
  local script='mkdir -p "/out/$TARGET/opt"; echo "${EXTRA:-none}" >"/out/$TARGET/opt/extra"'
  make_recipe one 'ignored: {EXTRA: "packages are those of the recipe", SYSTEM: {value: ext4, why: "it is ext4"}}' "$script"
  make_recipe two 'needs: [one]
ignored: {EXTRA: "packages are those of the recipe"}' "$script"
  kb two
  EXTRA=vim SYSTEM=ext4 run kb two one
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(grep -c 'EXTRA' <<<"$output")" -eq "$(grep -c 'EXTRA is set and has no effect on two, one: packages are those of the recipe' <<<"$output")" ]
  [[ "$output" == *"EXTRA is set and has no effect on two, one"* && "$output" == *"two: cached"* && "$output" != *SYSTEM* ]]
  [ "$(content_of build/kata-static-two.tar.xz opt/extra)" = none ]
  SYSTEM=erofs run kb plan two
  [[ "$output" == *"SYSTEM is set and has no effect on one: it is ext4"* ]]
  # Of all targets; a merge says it, too.
  echo 'LEVEL: {value: "10", why: "it is always 10"}' >recipes/ignored.yaml
  LEVEL=10 run kb two
  [[ "$output" != *LEVEL* ]]
  LEVEL=19 run kb two
  [[ "$output" == *"LEVEL is set and has no effect: it is always 10"* ]]
  mkdir -p tarball/opt/kata/bin
  : >tarball/opt/kata/bin/x
  mkdir all
  kb pack tarball all/kata-static-x.tar.xz
  LEVEL=19 run kb merge all
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"LEVEL is set and has no effect: it is always 10"* ]]
  # A file that cannot be read is no file without entries; without recipes there is none.
  echo 'LEVEL: {value: [1]}' >recipes/ignored.yaml
  rm kata-static.tar.xz
  run kb merge all
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"recipes/ignored.yaml"* ]]
  [ ! -e kata-static.tar.xz ]
  # Recipes that were named have to be there; names of components need none.
  run kb --recipes nowhere merge all --components=x
  [ "$status" -eq 1 ]
  [[ "$output" == *nowhere* ]]
  rm -r recipes
  kb merge all --components=x
}

# ---- this project's recipes ----

real_plan() { # words of plan; the distribution's sources, so that nobody is asked
  "$KBUILD" --offline --recipes "$REPOSITORY/recipes" --versions "$REPOSITORY/versions.yaml" --cache "$PROJECT/cache" \
    --sources=debian --source kata=upstream plan "$@"
}

@test "upstream's variables without an effect are named, and what is made anyway is not" {
  EXTRA_PKGS=vim FS_TYPE=erofs SELINUX=no BLOCK_SIZE=4096 TARGET_OS=linux USE_PODMAN=1 \
    run real_plan rootfs-image rootfs-initrd-confidential --arch=x86_64
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(grep -c 'has no effect' <<<"$output")" -eq 3 ]
  [[ "$output" == *"USE_PODMAN is set and has no effect: no container engine is used"* ]]
  [[ "$output" == *"FS_TYPE is set and has no effect on rootfs-image: the file system is ext4"* ]]
  [[ "$output" == *"EXTRA_PKGS is set and has no effect on rootfs-image, rootfs-initrd-confidential: packages"* ]]
  CONFIDENTIAL_GUEST=yes run real_plan rootfs-initrd --arch=x86_64
  [[ "$output" == *"CONFIDENTIAL_GUEST is set and has no effect on rootfs-initrd, kernel: "* ]]
}

@test "docs/components.md lists each of them" {
  sed -n '/^### Without an effect/,/^Not named/p' "$REPOSITORY/docs/components.md" | grep '^| `' | cut -d'|' -f2 | grep -o '[A-Z_0-9]*' | sort -u >listed
  {
    grep -oE '^[A-Z_0-9]+:' "$REPOSITORY/recipes/ignored.yaml"
    for file in "$REPOSITORY"/recipes/*/recipe.yaml; do
      sed -n '/^ignored:/,/^[a-z]/p' "$file" | grep -oE '^  [A-Z_0-9]+:' || :
    done
  } | tr -d ' :' | sort -u >declared
  [ -s declared ]
  diff declared listed
}

@test "values that Kata's components cannot have are refused at once, and the reason is said" {
  local wrong target
  while read -r wrong target arch message; do
    run env "$wrong" "$KBUILD" --offline --recipes "$REPOSITORY/recipes" --versions "$REPOSITORY/versions.yaml" \
      --cache "$PROJECT/cache" --sources=debian --source kata=upstream "$target" --arch="$arch"
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"$target: $message"* && "$output" != *git* ]]
  done <<'X'
LIBC=musl agent x86_64 LIBC=musl cannot be made: no distribution has Rust's standard library for musl
LIBC=uclibc agent x86_64 LIBC is 'uclibc'
RUST_TOOLCHAIN=nightly virtiofsd s390x RUST_TOOLCHAIN is 'nightly'
RUNTIME_CHOICE=bad shim-v2 s390x RUNTIME_CHOICE is 'bad'
STATIC_RUNTIME=maybe shim-v2 x86_64 STATIC_RUNTIME is 'maybe'
STATIC_RUNTIME=yes shim-v2 s390x STATIC_RUNTIME=yes cannot be made for s390x: KVM needs
MEASURED_ROOTFS=yes shim-v2 ppc64le MEASURED_ROOTFS=yes cannot be made for ppc64le: there is no rootfs-image-confidential for it
ROOT_HASH_FORMAT=bad rootfs-image x86_64 ROOT_HASH_FORMAT is 'bad'
X
}

@test "the form of a root hash follows the release" {
  local release
  for release in 3.26.0:veritysetup 3.27.0:line; do
    sed "s/version: \"3.20.0\"/version: \"${release%:*}\"/" "$REPOSITORY/versions.yaml" >versions.yaml
    "$KBUILD" --offline --recipes "$REPOSITORY/recipes" --cache "$PROJECT/cache" --sources=debian explain rootfs-image-confidential \
      --arch=s390x | grep -qx "variable ROOT_HASH_FORMAT \"${release#*:}\""
  done
}
