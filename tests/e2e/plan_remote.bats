#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kbuild plan --remote: what is left to do for any machine, and the project that machines get.
# shellcheck disable=SC2016,SC2030,SC2031 # scripts of recipes; each test has its own environment

bats_require_minimum_version 1.5.0

load project
load shared_cache
load machines

setup() {
  setup_shared_cache
}

teardown() {
  end_machines
}

@test "what the registry has is left out when its consumers are there, and is an input otherwise" {
  greeting
  start_registry
  plan top
  [ "$(jq -r 'select(.node) | .state' plan | sort | uniq -c | tr -s ' ')" = " 4 to make" ]
  [ "$(field top:x86_64 '.needs | sort | join(" ")')" = "low:x86_64 middle:x86_64" ]
  source=$(jq -r 'select(.kind == "source") | .node' plan)
  [ "$(field "$source" '.network, .build_on == []' | xargs)" = "true true" ]
  [ "$(field low:x86_64 '.network, .build_on[0]' | xargs)" = "false $(uname -m)" ]
  PUSH_TO_REGISTRY=yes kb low
  plan top
  # The source is needed by nobody any more; low is an input.
  [ "$(jq -r 'select(.node) | "\(.node) \(.state)"' plan)" = "low:x86_64 found
middle:x86_64 to make
top:x86_64 to make" ]
  [ "$(field low:x86_64 '.command, .needs == []' | xargs)" = "null true" ]
  [ "$(field middle:x86_64 '.command | join(" ")')" = "kbuild run middle:x86_64" ]
  # The key is known where all inputs are, and is that of a build.
  [ "$(field middle:x86_64 .key)" = "$(kb explain middle | grep -v '^#' | sha256sum | cut -d' ' -f1)" ]
  PUSH_TO_REGISTRY=yes kb top
  plan top
  [ "$(wc -l <plan)" -eq 1 ]
  run kb plan --remote top
  [ "$status" -eq 0 ]
  [ -z "$output" ]
}

@test "a plan that machines run takes nothing for found that the registry has lost" {
  noisy base
  noisy app 'needs: [base]'
  kb lock app
  start_registry
  PUSH_TO_REGISTRY=yes kb base
  plan --push app
  [ "$(field base:x86_64 .state)" = found ]
  layer=$(manifest cached-artefacts/base "kbuild-$(field base:x86_64 .key)" | jq -r '.layers[0].digest' | cut -d: -f2)
  rm -r "registry/docker/registry/v2/blobs/sha256/${layer:0:2}/$layer" "registry/docker/registry/v2/repositories/kata/cached-artefacts/base/_layers/sha256/$layer"
  rm -rf cache
  plan --push app
  [ "$(nodes_to_make | xargs)" = "base:x86_64 app:x86_64" ]
  kb plan --remote --format=make app | grep -q '^app/x86_64: base/x86_64'
  make_all --plan="oci:$(push_project app)"
  # So is a target that has nothing above it.
  layer=$(manifest cached-artefacts/app "$(curl -sf "http://127.0.0.1:$PORT/v2/kata/cached-artefacts/app/tags/list" | jq -r '.tags[] | select(startswith("kbuild-"))')" | jq -r '.layers[0].digest' | cut -d: -f2)
  rm -r "registry/docker/registry/v2/blobs/sha256/${layer:0:2}/$layer" "registry/docker/registry/v2/repositories/kata/cached-artefacts/app/_layers/sha256/$layer"
  plan --push app
  [ "$(nodes_to_make | xargs)" = "app:x86_64" ]
  # Whichever file of an entry is lost: what the plan has to make is there when it is made, on a machine that has nothing.
  rm -r registry/docker cache
  make_all --plan="oci:$(push_project app)"
  cp -r registry/docker before
  tag=kbuild-$(curl -sf "http://127.0.0.1:$PORT/v2/kata/cached-artefacts/app/tags/list" | jq -r '.tags[] | select(startswith("kbuild-"))' | cut -d- -f2)
  layers=$(manifest cached-artefacts/app "$tag" | jq -r '.layers[].digest' | cut -d: -f2)
  [ "$(wc -l <<<"$layers")" -gt 2 ]
  for layer in $layers; do
    rm -rf "registry/docker/registry/v2/blobs/sha256/${layer:0:2}/$layer" "registry/docker/registry/v2/repositories/kata/cached-artefacts/app/_layers/sha256/$layer" machine-*
    make_all --plan="oci:$(push_project app)"
    plan --push app
    [ -z "$(nodes_to_make)" ]
    rm -r registry/docker
    cp -r before registry/docker
  done
}

@test "a login is for the registry that the machine names, and a machine without one says what it lacks" {
  command -v htpasswd >/dev/null || skip "htpasswd is not installed"
  htpasswd -Bbc passwords tester TESTPASSWORD 2>/dev/null
  start_registry "auth: {htpasswd: {realm: test, path: $PROJECT/passwords}}"
  export ARTEFACT_REGISTRY_USERNAME=tester ARTEFACT_REGISTRY_PASSWORD=TESTPASSWORD
  noisy base
  project=$(push_project base)
  on one run base:x86_64 --plan="oci:$project"
  on two run base:x86_64 --plan="oci:$project" 2>&1 | grep 'base:x86_64: found'
  unset ARTEFACT_REGISTRY ARTEFACT_REPOSITORY
  run on three run base:x86_64 --plan="oci:$project"
  [ "$status" -eq 2 ]
  [[ "$output" == *"ARTEFACT_REGISTRY_USERNAME is set, and ARTEFACT_REGISTRY, which it belongs to, is not"* ]]
  ARTEFACT_REGISTRY=127.0.0.1:1 run on three run base:x86_64 --plan="oci:$project"
  [ "$status" -ne 0 ]
  unset ARTEFACT_REGISTRY_USERNAME ARTEFACT_REGISTRY_PASSWORD
  run on four run base:x86_64 --plan="oci:$project"
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"getting the project"*"the registry denies access to it, or does not have it"*"log in"* ]]
}

@test "what only this machine has counts as to make" {
  greeting
  kb top
  start_registry
  plan top
  [ "$(jq -r 'select(.node) | .state' plan | sort -u)" = "to make" ]
  [ "$(nodes_to_make | wc -l)" -eq 4 ]
  # Its records tell the cost, and so the longest path.
  [ "$(field low:x86_64 '.resources.ms > 0 and .path_ms > .resources.ms')" = true ]
  # The plan fetched nothing and made nothing.
  rm -rf registry/docker
  forget
  plan top
  [ "$(jq -r 'select(.node) | .resources' plan | sort -u)" = null ]
  [ -z "$(ls cache/trees 2>/dev/null)" ]
}

@test "several architectures are one plan, and each target has those that it supports" {
  greeting
  sed -i 's/^architectures.*/architectures: [x86_64]/' recipes/top/recipe.yaml
  start_registry
  plan --arch=x86_64,s390x top middle
  [ "$(jq -r 'select(.kind == "artifact") | .node' plan | sort | xargs)" = \
    "low:s390x low:x86_64 middle:s390x middle:x86_64 top:x86_64" ]
  [ "$(jq -r 'select(.kind == "source") | .node' plan | wc -l)" -eq 1 ]
  plan --arch=all middle
  [ "$(jq -r 'select(.kind == "artifact") | .arch' plan | sort -u | xargs)" = "aarch64 ppc64le s390x x86_64" ]
  [ "$(jq -r 'select(.node) | .node' plan | sort | uniq -d)" = "" ]
  run kb plan --remote --arch=s390x top
  [ "$status" -eq 1 ]
  [[ "$output" == *"top"*"s390x"* ]]
  run kb plan --remote --arch=vax top
  [ "$status" -eq 2 ]
  [[ "$output" == *"--arch"*vax* ]]
  run kb plan --remote --arch=, top
  [ "$status" -eq 2 ]
}

@test "what the lock does not resolve is said, and no project is pushed with it" {
  greeting
  rm versions.lock
  start_registry
  run kb plan --remote top
  [ "$status" -eq 0 ]
  [[ "$output" == *"to resolve source"* ]]
  [[ "$output" == *"versions.lock does not resolve source:greet:"*"; \`kbuild lock\` does"* ]]
  run kb plan --remote --push top
  [ "$status" -eq 1 ]
  [[ "$output" == *"does not resolve source:greet:"*"no other machine could make it"*"kbuild lock"* ]]
  [ ! -e versions.lock ]
}

@test "without a registry, and with one that is dead, there is no plan" {
  greeting
  run kb plan --remote top
  [ "$status" -eq 1 ]
  [[ "$output" == *"needs a registry, and none is named"*"ARTEFACT_REGISTRY"* ]]
  # One of builders alone has no place for results.
  BUILDER_REGISTRY=127.0.0.1:1/builders run kb plan --remote top
  [ "$status" -eq 1 ]
  [[ "$output" == *"needs a registry, and none is named"*"ARTEFACT_REGISTRY"* ]]
  BUILDER_REGISTRY=127.0.0.1:1/builders run kb run top:x86_64
  [ "$status" -eq 1 ]
  [[ "$output" == *"BUILDER_REGISTRY has builders only: other machines could not get top:x86_64"* ]]
  export ARTEFACT_REGISTRY=127.0.0.1:1
  run kb plan --remote --json top
  [ "$status" -eq 75 ]
  [[ "$output" != *'"plan"'* ]]
  [[ "$output" == *"hint: try again when the registry answers"* ]]
  [[ "$output" != *"--remote=require"* ]]
  run kb plan --grain=node top
  [ "$status" -eq 2 ]
  [[ "$output" == *"--grain works with --remote only"* ]]
}

@test "entries that no trusted key signed do not count" {
  greeting
  start_registry
  make_keys
  PUSH_TO_REGISTRY=yes kb low
  export KBUILD_TRUSTED_KEYS=$PROJECT/builder.pub.pem
  plan top
  [ "$(nodes_to_make | wc -l)" -eq 4 ]
  [ "$(jq -r 'select(.plan) | .trusted_keys | length' plan)" -eq 1 ]
  forget
  KBUILD_SIGNING_KEY=$PROJECT/TEST-builder.pem PUSH_TO_REGISTRY=yes kb --remote=require low
  plan top
  [ "$(field low:x86_64 .state)" = found ]
  export KBUILD_TRUSTED_KEYS=$PROJECT/stranger.pub.pem
  plan top
  [ "$(nodes_to_make | wc -l)" -eq 4 ]
}

@test "from an empty folder, a home and a cache of its own: the same keys and the same bytes" {
  greeting
  cp versions.lock before
  kb top
  cp build/kata-static-{low,middle,top}.tar.xz .
  key=$(kb explain top | grep -v '^#' | sha256sum | cut -d' ' -f1)
  forget
  cp before versions.lock
  start_registry
  project=$(push_project top)
  [[ "$project" == "127.0.0.1:$PORT/kata/projects@sha256:"* ]]
  make_all --plan="oci:$project"
  run on last run top:x86_64 --plan="oci:$project"
  [ "$status" -eq 0 ]
  [[ "$output" == *"top:x86_64: found, key ${key:0:12}"* ]]
  # Nothing is left behind in the worker's folder.
  [ -z "$(ls -A machine-all1/here)" ]
  kb --remote=require top
  for name in low middle top; do
    cmp "kata-static-$name.tar.xz" "build/kata-static-$name.tar.xz"
  done
  run ! ran top
}

@test "a folder that is a source goes along, without what its repository ignores" {
  greeting
  start_registry
  git clone -q git/greet mine
  echo 'int changed;' >>mine/greet.c
  echo '*.secret' >mine/.gitignore
  echo TEST-NOT-FOR-OTHERS >mine/my.secret
  kb --source greet=mine top
  cp build/kata-static-*.tar.xz .
  forget
  project=$(push_project --source greet=mine top)
  source=$(jq -r 'select(.kind == "source") | .node' plan)
  [ "$(field "$source" .state)" = project ]
  [ "$(field "$source" .command)" = null ]
  mv mine elsewhere
  make_all --plan="oci:$project"
  mv elsewhere mine
  kb --remote=require --source greet=mine top
  for name in low middle top; do
    cmp "kata-static-$name.tar.xz" "build/kata-static-$name.tar.xz"
  done
  run ! ran top
  content_of build/kata-static-low.tar.xz opt/low | grep -q 'int changed'
  find registry -name data -exec sh -c 'zstd -dcf "$1" 2>/dev/null || cat "$1"' _ {} \; >contents
  grep -qa 'int changed' contents
  run ! grep -qa TEST-NOT-FOR-OTHERS contents
}

@test "the checkout that versions.yaml is in goes along" {
  greeting
  start_registry
  git clone -q git/greet mine
  sed -i 's/ref: "{version}"/&, checkout: [greet.c, Makefile]/' recipes/low/recipe.yaml
  mv versions.yaml versions.lock mine/
  mv recipes mine/recipes
  cd mine
  kb top
  cp build/kata-static-top.tar.xz ..
  chmod -R u+w ../cache
  rm -rf ../cache build
  kb plan --remote --push --json top 2>../messages >../plan
  cd ..
  project=$(sed -n 's/^kbuild: the project is //p' messages)
  make_all --plan="oci:$project"
  cd mine
  kb --remote=require top
  cmp ../kata-static-top.tar.xz build/kata-static-top.tar.xz
  [ "$(jq -r 'select(.node) | .node' ../plan | tail -n 1)" = top:x86_64 ]
  run kb plan --remote top
  [ -z "$(grep -v '^kbuild: ' <<<"$output")" ]
}

@test "files, lists and directories of variables reach the machines with their names, secrets do not" {
  start_registry
  make_recipe var '
variables:
  TEST_FILE: {type: file}
  TEST_LIST: {type: file, list: yes}
  TEST_DIR: {type: directory, pattern: "*.crt"}
  TEST_TEXT: {}
  TEST_FLAG: {type: yes-no, default: "no"}
  TEST_CERT: {type: file}
  TEST_KEY: {type: secret}
sign: {key: TEST_KEY, certificate: TEST_CERT, files: "*.ko"}' '
mkdir -p /out/var/opt
cd /inputs
find . -type f | sort | while read -r f; do echo "$f"; cat "$f"; done >/out/var/opt/all
echo "$TEST_TEXT $TEST_FLAG" >>/out/var/opt/all
echo TEST >/out/var/opt/a.ko'
  make_recipe other 'needs: [var]'
  openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=TEST" -keyout TEST-key.pem -out TEST-cert.crt 2>/dev/null
  chmod 600 TEST-key.pem
  mkdir dir
  for name in file.txt one.txt two.txt dir/a.crt dir/b.crt dir/unseen; do
    echo "content of $name" >"$name"
  done
  export TEST_FILE=file.txt TEST_LIST=two.txt,one.txt TEST_DIR=dir TEST_TEXT='a text' TEST_FLAG=yes \
    TEST_CERT=TEST-cert.crt TEST_KEY=TEST-key.pem
  kb other
  cp build/kata-static-var.tar.xz .
  forget
  project=$(push_project other)
  [ "$(field var:x86_64 '.secrets | join(" ")')" = TEST_KEY ]
  [ "$(field other:x86_64 '.secrets | join(" ")')" = "" ]
  unset TEST_FILE TEST_LIST TEST_DIR TEST_TEXT TEST_FLAG TEST_CERT TEST_KEY
  # Without the secret it says so; with it the tarball is that of one machine.
  run on one run var:x86_64 --plan="oci:$project"
  [ "$status" -eq 2 ]
  [[ "$output" == *"var:x86_64 needs the secret TEST_KEY, and this machine was not given it"* ]]
  TEST_KEY=$PROJECT/TEST-key.pem on one run var:x86_64 --plan="oci:$project"
  on two run other:x86_64 --plan="oci:$project"
  export TEST_FILE=file.txt TEST_LIST=two.txt,one.txt TEST_DIR=dir TEST_TEXT='a text' TEST_FLAG=yes \
    TEST_CERT=TEST-cert.crt TEST_KEY=TEST-key.pem
  kb --remote=require other
  cmp kata-static-var.tar.xz build/kata-static-var.tar.xz
  # No blob of the registry has the key, its path, or files that the variables do not name.
  secret=$(sed -n 2p TEST-key.pem)
  find registry -name data -exec sh -c 'zstd -dcf "$1" 2>/dev/null || cat "$1"' _ {} \; >contents
  grep -qaF 'content of dir/a.crt' contents
  run ! grep -qaF -e "$secret" -e TEST-key.pem -e 'content of dir/unseen' contents
}

@test "the lock in the project is complete, and nobody may add to it" {
  greeting
  start_registry
  project=$(push_project top)
  on one run "$(nodes_to_make | head -n 1)" --plan="oci:$project"
  find machine-one/cache -name versions.lock -exec cmp {} versions.lock \; -print | grep -q .
  # A machine that has it all needs no registry for the project.
  run on two run "$(nodes_to_make | head -n 1)" --plan="oci:${project/@sha256:????/@sha256:0000}"
  [ "$status" -eq 75 ]
  # As of an input: what follows the run knows that no pause helps.
  grep -q '^kbuild: error: .*is in no cache: the registry does not have it' <<<"$output"
  run on two run top:x86_64 --plan=oci:"127.0.0.1:$PORT/kata/projects:latest"
  [ "$status" -eq 2 ]
  [[ "$output" == *"names no digest"* ]]
  # An entry of the cache is no project.
  tag=$(curl -sf "http://127.0.0.1:$PORT/v2/kata/cached-sources/greet/tags/list" | jq -r '.tags[]' | grep ^kbuild-)
  run on two run top:x86_64 --plan="oci:127.0.0.1:$PORT/kata/cached-sources/greet@sha256:$(digest_of_tag cached-sources/greet "$tag")"
  [ "$status" -eq 2 ]
  [[ "$output" == *"it is no project of kbuild"* ]]
}

@test "a plan in the log of a job holds no command of the runner, and is the same plan" {
  start_registry
  make_recipe one 'variables: {GREET: {type: text, default: "##[error]PWN"}}'
  export GREET='##[error]b'
  local format
  kb plan --remote --json one >plain
  grep -qF '##[' plain # so that there is something to find
  for format in json slurm github gitlab make; do
    kb plan --remote --format="$format" one >plain 2>/dev/null
    GITHUB_ACTIONS=true kb plan --remote --format="$format" one 2>/dev/null | cat >read
    [ -s read ]
    run ! grep -F '##[' read
    [ "$format" != json ] || diff <(jq -cS . plain) <(jq -cS . read)
    GITHUB_ACTIONS=true kb plan --remote --format="$format" one >file 2>/dev/null
    cmp plain file
  done
}
