#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What kbuild is told to write: it never takes the place of an input of the project, and "-" means standard
# output wherever a result is one document.
# shellcheck disable=SC2030,SC2031 # each test has its own environment
bats_require_minimum_version 1.5.0
load project

setup() {
  make_project
  make_recipe one "variables: {ITS_FILE: {type: file}, ITS_FILES: {type: file, list: true}, ITS_DIRECTORY: {type: directory, pattern: '*'}}"
  cd "$PROJECT" || return
  echo 'externals: {}' >versions.yaml
}

teardown() {
  rm -rf "$PROJECT"
}

# $1: what the message calls the input; then a command that would replace it.
refused() {
  local what=$1
  shift
  run -2 kb "$@"
  [[ "$output" == *"$what"*"which kbuild reads"* ]] || { echo "$*: $output"; return 1; }
}

# Everything that is no result: names and content.
inputs() {
  find . -path ./cache -prune -o -path ./build -prune -o -path ./git -prune -o -type f -print0 | sort -z | xargs -0 sha256sum
}

@test "no result takes the place of an input of the project, whatever verb writes it" {
  openssl genpkey -algorithm ed25519 -out key.pem 2>/dev/null
  openssl pkey -in key.pem -pubout -out signer.pem
  mkdir keys files other && cp signer.pem keys && echo a >files/a && echo b >b.txt && echo c >c.txt && ln -s versions.yaml link
  printf 'output: build\n' >kbuild.yaml
  echo '{}' >recipes/ignored.yaml
  echo x >made.bin
  kb one
  kb provenance one -o statement.json >/dev/null
  touch versions.lock
  inputs >"$BATS_TEST_TMPDIR/before"
  export ITS_FILE=$PROJECT/b.txt ITS_FILES=$PROJECT/b.txt,c.txt ITS_DIRECTORY=files KBUILD_SIGNING_KEY=key.pem KBUILD_TRUSTED_KEYS=keys
  unset KBUILD_SETTINGS
  local write
  for write in "one --trace" "report -o" "provenance one --output" "sign made.bin -o" "pack other" "merge build -o" \
    "se reference image -o" "se reference image --header" "measure snp --ovmf o -o"; do
    # shellcheck disable=SC2086 # words
    {
      refused versions.yaml $write versions.yaml
      refused versions.yaml $write ./other/../versions.yaml
      refused versions.yaml $write "$PROJECT/link"
      refused versions.lock $write versions.lock
      refused "file with settings" $write kbuild.yaml
      refused "part of the recipes" $write recipes/one/recipe.yaml
      refused "part of the recipes" $write recipes/one/new
      refused "part of the recipes" $write recipes/ignored.yaml
      refused "trusted keys" $write keys/signer.pem
      refused "trusted keys" $write keys/new.pem
      refused KBUILD_SIGNING_KEY $write key.pem
      refused ITS_FILE $write b.txt
      refused ITS_FILES $write c.txt
      refused ITS_DIRECTORY $write files/a
      refused "part of the cache" $write cache/lock
    }
  done
  refused versions.yaml payload image made.tar -o oci-archive:versions.yaml
  refused "part of the recipes" payload image made.tar -o oci:recipes/one
  refused versions.yaml se seal -i k -k h --no-verify -o versions.yaml
  refused versions.yaml se seal -i k -k h --no-verify -o new.img --seal-record versions.yaml
  inputs | diff "$BATS_TEST_TMPDIR/before" -
}

@test "no settings and no lock come to be where there are none" {
  export HOME=$PROJECT
  mkdir -p .config/kbuild
  unset XDG_CONFIG_HOME
  kb one
  unset KBUILD_SETTINGS
  for name in kbuild.yaml .config/kbuild/kbuild.yaml versions.lock; do
    [ ! -e "$name" ]
    run -2 kb report -o "$name"
    [ ! -e "$name" ]
  done
}

@test "results and logs go to no directory that a build reads" {
  mkdir keys
  export KBUILD_TRUSTED_KEYS=$PROJECT/keys
  refused "part of the recipes" -o recipes one
  refused "part of the recipes" -o recipes/one one
  refused "part of the recipes" one --output "$PROJECT/recipes/one/build"
  refused "trusted keys" -o keys one
  mkdir build && ln -s ../recipes/one build/logs
  refused "part of the recipes" one
  rm -r build
  unset KBUILD_TRUSTED_KEYS
  # Recipes may be around the results: nothing of those is read.
  cd recipes
  kb --versions ../versions.yaml --recipes . one
  [ -e build/kata-static-one.tar.xz ]
  kb --versions ../versions.yaml --recipes . one --trace build/trace.json
  kb --versions ../versions.yaml --recipes . one --trace build/trace.json
}

@test "a file does not get the name of the directory of results" {
  kb one
  mv build elsewhere
  run -2 kb one --trace build
  [[ "$output" == *"directory of this name"* ]]
  run -2 kb report -o build
  [[ "$output" == *"directory of this name"* ]]
  [ ! -e build ]
  kb one
}

@test "-o - is standard output for every document, and an error for everything else" {
  openssl genpkey -algorithm ed25519 -out key.pem 2>/dev/null
  openssl pkey -in key.pem -pubout -out signer.pem
  kb one 2>/dev/null
  kb provenance one -o there.json >/dev/null
  kb provenance one -o - >printed.json 2>/dev/null
  cmp there.json printed.json
  kb report -o - >page.html
  head -n 1 page.html | grep -qi '<!doctype html'
  kb sign --release 1 build/kata-static-one.tar.xz --signing-key key.pem -o - >bundle
  kb check build/kata-static-one.tar.xz --trusted-keys signer.pem --signature bundle
  [ "$(wc -l <bundle)" = 1 ]
  local words
  for words in "one --trace -" "pack recipes -" "merge build -o -" "-o - one" "se open image --host-key k -o -" \
    "se reference image --header -" "doctor --collect -" "payload image a.tar -o oci-archive:-" \
    "payload image a.tar -o oci:-" "unpack a.tar -" "se seal -i k -k h --no-verify -o -"; do
    # shellcheck disable=SC2086 # words
    run -2 kb $words
    [[ "$output" == *"cannot be written to standard output"*"./-"* ]] || { echo "$words: $output"; false; }
  done
  [ ! -e - ]
}
