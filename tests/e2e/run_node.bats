#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kbuild run: exactly one node, anywhere, as often as an engine likes; and the log of it.
# shellcheck disable=SC2016,SC2030,SC2031 # scripts of recipes; each test has its own environment

bats_require_minimum_version 1.5.0

load project
load shared_cache
load machines

setup() {
  setup_shared_cache
  start_registry
}

teardown() {
  end_machines
}

# base <- app, without sources
two_targets() {
  noisy base '' "${1:-mkdir -p /out/base/opt; echo base >/out/base/opt/base}"
  noisy app 'needs: [base]' 'mkdir -p /out/app/opt; cat /deps/base/opt/base >/out/app/opt/app'
}

# Where steps ran: a log in a machine's output says so.
steps() { # machine
  grep -ls STEP-RAN "machine-$1"/build/logs/*.log | xargs -rn1 basename | sort | xargs
}

@test "one node is made, from inputs that others made, and nothing else" {
  greeting
  plan top
  source=$(jq -r 'select(.kind == "source") | .node' plan)
  here one run "$source" --plan=plan
  [ "$(steps one)" = "" ]
  here two run low:x86_64 --plan=plan
  [ "$(steps two)" = low.log ]
  here three run middle:x86_64 --plan=plan
  [ "$(steps three)" = middle.log ]
  run here four run top:x86_64 --plan=plan
  [ "$status" -eq 0 ]
  [ "$(steps four)" = top.log ]
  # It placed no tarball, and changed no file of the project.
  [ "$(find machine-four/build -type f -printf '%f')" = top.log ]
  # Found elsewhere, it takes no step and fetches no content.
  for node in "$source" low:x86_64 middle:x86_64 top:x86_64; do
    run here five run "$node" --plan=plan
    [ "$status" -eq 0 ]
    [[ "$output" == *"$node: found, key "* ]]
  done
  [ "$(steps five)" = "" ]
  [ -z "$(ls machine-five/cache/trees 2>/dev/null)" ]
  run here five run none:x86_64 --plan=plan
  [ "$status" -eq 2 ]
  [[ "$output" == *"the plan has no node none:x86_64"* ]]
}

@test "an input that nobody made is named, and is worth another try" {
  two_targets
  plan app
  run here one run app:x86_64 --plan=plan
  [ "$status" -eq 75 ]
  [[ "$output" == *"app:x86_64 cannot be made yet: its input base:x86_64 is in no cache"* ]]
  [[ "$output" == *"hint: kbuild run base:x86_64 makes that input"* ]]
  [ "$(steps one)" = "" ]
  here two run base:x86_64 --plan=plan
  here one run app:x86_64 --plan=plan
}

@test "killed and run again, or run twice at once, it is harmless" {
  two_targets 'mkdir -p /out/base/opt; sleep 1.5; echo base >/out/base/opt/base'
  plan base
  HOME=$PROJECT/machine-one "$KBUILD" --cache "$PROJECT/machine-one/cache" -o "$PROJECT/machine-one/build" \
    run base:x86_64 --plan=plan 3>&- &
  pid=$!
  for _ in $(seq 100); do
    grep -qs STEP-RAN machine-one/build/logs/base.log && break
    sleep 0.1
  done
  kill -9 "$pid"
  wait "$pid" || true
  run manifest cached-artefacts/base "$(jq -r 'select(.node) | "kbuild-" + .key' plan)"
  [ "$status" -ne 0 ]
  here one run base:x86_64 --plan=plan 3>&- &
  first=$!
  here two run base:x86_64 --plan=plan 3>&- &
  second=$!
  wait "$first"
  wait "$second"
  kb --remote=require base
  run ! ran base
  [ "$(content_of build/kata-static-base.tar.xz opt/base)" = base ]
}

@test "a killed run leaves nothing behind, in its place for temporary files and in its cache" {
  two_targets 'mkdir -p /out/base/opt; sleep 1.5; echo base >/out/base/opt/base'
  project=$(push_project base)
  mkdir -p machine-one/here temporary
  export TMPDIR=$PROJECT/temporary
  (cd machine-one/here && HOME=$PROJECT/machine-one exec "$KBUILD" --cache "$PROJECT/machine-one/cache" run base:x86_64 --plan="oci:$project") 3>&- &
  pid=$!
  for _ in $(seq 100); do
    grep -rqs --include="*.log" STEP-RAN temporary machine-one/cache/tmp && break
    sleep 0.1
  done
  kill -9 "$pid"
  wait "$pid" || true
  [ -z "$(ls temporary)" ]
  on one run base:x86_64 --plan="oci:$project"
  [ -z "$(ls temporary)" ]
  [ -z "$(find machine-one/cache/tmp -mindepth 1 ! -name '*.lock')" ]
}

@test "a machine that is not as planned is told what differs, and makes nothing" {
  two_targets
  make_recipe var 'variables: {TEST_TEXT: {}}'
  plan base
  cp -r recipes recipes.before
  refused() { # what it names
    run here other run base:x86_64 --plan=plan
    [ "$status" -eq 2 ]
    [[ "$output" == *"the plan does not match this machine: $1 is "*" here, and "*" in the plan"* ]]
    [ "$(steps other)" = "" ]
  }
  echo '# more' >>recipes/app/build.sh
  refused recipes
  rm -r recipes
  mv recipes.before recipes
  echo '# more' >>versions.yaml
  refused versions.yaml
  sed -i '$d' versions.yaml
  echo "archive https://example.org/x sha256=$(printf %064d 0)" >versions.lock
  refused versions.lock
  rm versions.lock
  TEST_TEXT=other refused TEST_TEXT
  sed -i.before 's/liblzma [0-9.]*/liblzma 1.0/' plan
  refused codec
  mv plan.before plan
  here one run base:x86_64 --plan=plan
  # The registry is part of the plan, too.
  export ARTEFACT_REPOSITORY=another
  refused ARTEFACT_REPOSITORY
  unset ARTEFACT_REGISTRY ARTEFACT_REPOSITORY
  run here two run base:x86_64 --plan=plan
  [ "$status" -eq 0 ]
  [[ "$output" == *found* ]]
  # Later versions, damage, and no plan at all.
  for change in 's/"plan":1/"plan":2/' '$s/.$//' 's/"grain":"node"/"grain":5/' '1d'; do
    sed "$change" plan >damaged
    run here one run base:x86_64 --plan=damaged
    [ "$status" -eq 2 ]
    [[ "$output" == *damaged* ]]
  done
  # Its result would go nowhere.
  for artefacts in '' '"artefacts":"nowhere"' '"artefacts":"/kata"' '"artefacts":"127.0.0.1:1/"'; do
    sed "1s|\"registry\":{[^}]*}|\"registry\":{$artefacts}|" plan >damaged
    run here two run base:x86_64 --plan=damaged
    [ "$status" -eq 2 ]
    [[ "$output" == *"the plan names no registry"* ]]
  done
  run here one run base:x86_64 --plan=plan --source x=debian
  [ "$status" -eq 2 ]
  [[ "$output" == *"run does not accept --source with --plan"* ]]
}

@test "a key that is not the plan's is an error, and nothing is made" {
  two_targets 'mkdir -p /out/base/opt; date +%N >/out/base/opt/base'
  plan app
  sed -E '/"node":"base:x86_64"/s/"key":"[0-9a-f]{8}/"key":"01234567/' plan >other
  run here one run base:x86_64 --plan=other
  [ "$status" -eq 2 ]
  key=$(field base:x86_64 .key)
  [[ "$output" == *"the key of base:x86_64 is $key here, and 01234567${key:8} in the plan"* ]]
  [ "$(steps one)" = "" ]
  # The key of app depends on the bytes of base, and this machine has those that it made itself.
  here one run base:x86_64 --plan=plan
  (unset ARTEFACT_REGISTRY ARTEFACT_REPOSITORY && here two --builder=host base)
  plan app
  run here two run app:x86_64 --plan=plan
  echo "$output"
  [ "$status" -eq 2 ]
  [[ "$output" == *"the key of app:x86_64 is "*" here, and $(field app:x86_64 .key) in the plan"* ]]
  [[ "$output" == *"and has other bytes here: plan again"* ]]
  [ "$(steps two)" = base.log ]
  # With an input that has another key, too.
  jq -c 'if .node == "app:x86_64" then .key = "0" * 64 elif .node == "base:x86_64" then .key = "1" * 64 else . end' plan >other
  run here one run app:x86_64 --plan=other
  [ "$status" -eq 2 ]
  [[ "$output" == *"hint: its input base:x86_64 has the key $key here, and 1111"*" in the plan"* ]]
  here one run app:x86_64 --plan=plan
}

@test "a plan gets neither this machine's login nor its folders" {
  two_targets
  plan base
  export ARTEFACT_REGISTRY_USERNAME=user ARTEFACT_REGISTRY_PASSWORD=TESTPASSWORD
  registry=$ARTEFACT_REGISTRY
  unset ARTEFACT_REGISTRY ARTEFACT_REPOSITORY
  run here one run base:x86_64 --plan=plan
  [ "$status" -eq 2 ]
  [[ "$output" == *"ARTEFACT_REGISTRY_USERNAME is set, and ARTEFACT_REGISTRY, which it belongs to, is not"* ]]
  ARTEFACT_REGISTRY=$registry here one run base:x86_64 --plan=plan
  unset ARTEFACT_REGISTRY_USERNAME ARTEFACT_REGISTRY_PASSWORD
  sed '1s|"source":{}|"source":{"greet":"/etc"}|' plan >folder
  run here two run base:x86_64 --plan=folder
  [ "$status" -eq 2 ]
  [[ "$output" == *'"source" chooses neither upstream nor debian'* ]]
}

@test "recipes from a registry get nothing of this machine that it does not name: files and variables" {
  mkdir -p recipes/common
  printf '%s\n' 'cat /configuration/.tool/config >&2 || true' 'echo "TOKEN is ${TEST_TOKEN:-not there}" >&2' 'echo nothing' >recipes/common/list.sh
  make_recipe one 'shared: [common]
sources:
  things: {list: shared/common/list.sh, configuration: {files: ["~/.tool/config"], environment: [TEST_TOKEN]}}'
  kb lock one
  project=$(push_project one)
  list=$(jq -r 'select(.kind == "source") | .node' plan)
  mkdir -p machine-one/.tool
  echo TEST-SECRET >machine-one/.tool/config
  export TEST_TOKEN=TEST-TOKEN
  run on one run "$list" --plan="oci:$project"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"its script does not get ~/.tool/config of this machine: KBUILD_CONFIGURATION does not name it"* ]]
  [[ "$output" == *"its script does not get TEST_TOKEN of this machine"* ]]
  run on one log "$list" --remote --plan="oci:$project"
  [[ "$output" == *"TOKEN is not there"* ]]
  [[ "$output" != *TEST-SECRET* ]]
  # What the machine names it gets.
  rm -r registry/docker machine-one/cache
  project=$(push_project one)
  KBUILD_CONFIGURATION="~/.tool/config TEST_TOKEN" on one run "$list" --plan="oci:$project"
  run on one log "$list" --remote --plan="oci:$project"
  [[ "$output" == *TEST-SECRET*"TOKEN is TEST-TOKEN"* ]]
}

# Pushes a directory as the project of a plan, whatever is in it; prints its reference.
push_directory() { # DIRECTORY TREE
  local size digest part location
  tar -C "$1" --sort=name --owner=0 --group=0 -cf - . | zstd -q >layer
  printf '{}' >config
  for part in layer config; do
    digest=sha256:$(sha256sum <$part | cut -d' ' -f1)
    location=$(curl -sf -X POST -D - -o none "http://127.0.0.1:$PORT/v2/kata/projects/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
    curl -sf -X PUT -H 'Content-Type: application/octet-stream' --data-binary @$part "$location&digest=$digest"
  done
  size=$(stat -c %s layer)
  jq -jcn --arg layer "sha256:$(sha256sum <layer | cut -d' ' -f1)" --argjson size "$size" --arg config "$digest" --arg tree "$2" '{schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json", artifactType: "application/vnd.kbuild.project.v1",
    config: {mediaType: "application/vnd.oci.empty.v1+json", digest: $config, size: 2},
    layers: [{mediaType: "application/vnd.kbuild.tree.v1.tar+zstd", digest: $layer, size: $size, annotations: {"kbuild.name": "project", "kbuild.tree": $tree}}]}' >manifest
  digest=sha256:$(sha256sum <manifest | cut -d' ' -f1)
  curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary @manifest "http://127.0.0.1:$PORT/v2/kata/projects/manifests/$digest"
  echo "127.0.0.1:$PORT/kata/projects@$digest"
}

@test "a project whose files are links to those of the machine is refused" {
  make_recipe var 'variables: {TEST_FILE: {type: file}}' 'mkdir -p /out/var/opt; cat /inputs/TEST_FILE/*'
  export TEST_FILE=$PROJECT/file
  echo public >file
  echo TEST-OF-THE-MACHINE >private
  make_recipe base
  project=$(push_project var base)
  unset TEST_FILE
  on one run base:x86_64 --plan="oci:$project"
  plan=$(find machine-one/cache/trees -name plan)
  cp -r "$(dirname "$plan")" good
  chmod -R u+w good
  # Whoever makes a project can say what the file's digest is.
  sed -i "s/$(sha256sum <file | cut -d' ' -f1)/$(sha256sum <private | cut -d' ' -f1)/" good/plan
  for file in variables/TEST_FILE/0/file versions.yaml versions.lock plan recipes/var/recipe.yaml recipes/var recipes; do
    rm -rf bad
    cp -r good bad
    rm -r "bad/$file"
    ln -s "$PROJECT/private" "bad/$file"
    # The first try says what the tree's digest is.
    run on other run var:x86_64 --plan="oci:$(push_directory bad "$(printf %064d 0)")"
    tree=$(sed -n 's/.*is the tree \([0-9a-f]*\) instead of.*/\1/p' <<<"$output")
    run on other run var:x86_64 --plan="oci:$(push_directory bad "$tree")"
    echo "$output"
    [ "$status" -eq 2 ]
    [[ "$output" == *"error: $file of the project is a link that leads out of it, or to nothing"* ]]
  done
  # The planner is told, too.
  mv recipes/base elsewhere
  ln -s ../elsewhere recipes/base
  run kb plan --remote --push base
  echo "$output"
  [ "$status" -eq 2 ]
  [[ "$output" == *"recipes/base of the project is a link that leads out of it, or to nothing"* ]]
}

@test "an origin that does not answer is worth another try" {
  greeting
  plan low
  kill "$GIT_PID"
  GIT_PID=
  run here one run "$(jq -r 'select(.kind == "source") | .node' plan)" --plan=plan
  [ "$status" -eq 75 ]
  [[ "$output" == *"Connection refused"* ]]
}

@test "a step that fails: its log for everybody, and no failure in a cache" {
  two_targets 'echo THE-REASON; [ -e /inputs/TEST_FILE/ok ] || exit 7; mkdir -p /out/base/opt; echo base >/out/base/opt/base'
  noisy flaky '' 'echo ATTEMPT; exit 9'
  plan flaky
  run here one run flaky:x86_64 --plan=plan
  [ "$status" -eq 3 ]
  [[ "$output" == *"status 9"* ]]
  run here two log --remote flaky:x86_64 --plan=plan
  [ "$status" -eq 0 ]
  [[ "$output" == *"the log of flaky:x86_64, key "*": failed by "*ATTEMPT* ]]
  run kb log --remote flaky
  [ "$status" -eq 0 ]
  [[ "$output" == *ATTEMPT* ]]
  # Nobody takes it for a result, and the next run tries again: here on a machine that lacks nothing.
  run kb plan --remote flaky
  [[ "$output" == "to make"*flaky:x86_64* ]]
  run here one run flaky:x86_64 --plan=plan
  [ "$status" -eq 3 ]
  [ "$(curl -sf "http://127.0.0.1:$PORT/v2/kata/cached-artefacts/flaky/tags/list" | jq -r '.tags[]' | grep -vc ^log-)" -eq 0 ]
  run kb log --remote app:x86_64
  [ "$status" -eq 1 ]
  [[ "$output" == *"the key of app:x86_64 is not known yet"* ]]
}

@test "the log of a failure with a project in the registry: what is said of it can be done" {
  noisy bad '' 'echo THE-REASON; exit 9'
  project=$(push_project bad)
  run on one run bad:x86_64 --plan="oci:$project"
  echo "$output"
  [ "$status" -eq 3 ]
  [[ "$output" == *"---- the last lines of the log of bad"*THE-REASON* ]]
  # Neither the file, which goes with the run, nor a shell, for which the recipes are missing.
  [[ "$output" != *"last lines of /"* ]]
  [[ "$output" != *"kbuild shell"* ]]
  hint=$(sed -n 's/^kbuild: hint: \(.*\) shows all that it said$/\1/p' <<<"$output")
  [ "$hint" = "kbuild log bad:x86_64 --remote --plan=oci:$project" ]
  read -ra words <<<"${hint#kbuild }"
  on two "${words[@]}" | grep THE-REASON
}

@test "with the grain of artifacts the log of an input that failed is found by both names" {
  mkdir -p recipes/common
  printf '%s\n' 'echo THE-REASON >&2; exit 4' >recipes/common/list.sh
  make_recipe one 'shared: [common]
sources:
  things: {list: shared/common/list.sh}'
  kb lock one
  project=$(push_project --grain=artifact one)
  [ "$(jq -r 'select(.node) | .node' plan)" = one:x86_64 ]
  run on one run one:x86_64 --plan="oci:$project"
  echo "$output"
  [ "$status" -eq 3 ]
  inner=$(kb plan --remote --json one | jq -r 'select(.kind == "source") | .node')
  [[ "$output" == *"hint: kbuild log $inner --remote --plan=oci:$project shows all that it said"* ]]
  for node in one:x86_64 "$inner"; do
    run on two log "$node" --remote --plan="oci:$project"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" == *"the log of $inner, key "*": failed by "*THE-REASON* ]]
  done
  # It is no job, and another name is none either.
  run on two run "$inner" --plan="oci:$project"
  [ "$status" -eq 2 ]
  run on two log source:other:000000000000 --remote --plan="oci:$project"
  [ "$status" -eq 2 ]
  [[ "$output" == *"the plan has no node source:other:000000000000"* ]]
}

@test "a full disk is a fault of the machine, and not of the step" {
  [ "$(id -u)" -eq 0 ] || skip "mounting needs root"
  # The step itself removes what it could not finish, as a compiler does.
  noisy large '' 'mkdir -p /out/large/opt; head -c 50000000 /dev/zero >/out/large/opt/large; head -c 5000000 /dev/zero >more || { rm more; exit 1; }'
  plan large
  mkdir -p machine-one/cache
  mount -t tmpfs -o size=50m tmpfs machine-one/cache
  run here one run large:x86_64 --plan=plan
  umount machine-one/cache
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"error: large: its script ended with exit status 1, and the file system of "*" is full: No space left on device"* ]]
  [[ "$output" == *"hint: the disk is full: free some space"* ]]
  run here two log --remote large:x86_64 --plan=plan
  [[ "$output" == *": failed by "*"No space left on device"* ]]
  here two run large:x86_64 --plan=plan
}

@test "what failed once may succeed on another machine" {
  noisy once '' '[ "$(ulimit -n)" -gt 200 ]; mkdir -p /out/once/opt; echo x >/out/once/opt/once'
  plan once
  run env HOME="$PROJECT/machine-one" bash -c 'ulimit -n 180; exec "$@"' _ "$KBUILD" --cache "$PROJECT/machine-one/cache" \
    -o "$PROJECT/machine-one/build" run once:x86_64 --plan=plan
  [ "$status" -eq 3 ]
  run here two log --remote once:x86_64 --plan=plan
  [[ "$output" == *": failed by "* ]]
  here one run once:x86_64 --plan=plan
  run here two log --remote once:x86_64 --plan=plan
  [[ "$output" == *": made by "* ]]
}

@test "a registry that is away is worth another try, and is found again when it is back" {
  two_targets 'mkdir -p /out/base/opt; touch "/out/base/opt/started"; sleep 3; echo base >/out/base/opt/base'
  plan app
  # Away while the step runs, and back when it is over.
  here one run base:x86_64 --plan=plan >out 2>&1 3>&- &
  pid=$!
  for _ in $(seq 100); do
    grep -qs STEP-RAN machine-one/build/logs/base.log && break
    sleep 0.1
  done
  kill "$REGISTRY_PID"
  wait "$REGISTRY_PID" || true
  sleep 1
  env -u REGISTRY_AUTH_FILE docker-registry serve "$PROJECT/registry.yml" >/dev/null 2>&1 3>&- &
  REGISTRY_PID=$!
  wait "$pid"
  run kb plan --remote app
  [[ "$output" == *"found"*base:x86_64* ]]
  # Away for longer: the result stays in the cache, and the next try only pushes it.
  here two run app:x86_64 --plan=plan
  stop_registry
  run here three run app:x86_64 --plan=plan
  [ "$status" -eq 75 ]
  [[ "$output" == *"hint: try again when the registry answers"* ]]
  [ "$(steps three)" = "" ]
}

@test "a result that could not be pushed is pushed by the next try" {
  two_targets 'mkdir -p /out/base/opt; sleep 2; echo base >/out/base/opt/base'
  plan base
  here one run base:x86_64 --plan=plan >out 2>&1 3>&- &
  pid=$!
  for _ in $(seq 100); do
    grep -qs STEP-RAN machine-one/build/logs/base.log && break
    sleep 0.1
  done
  kill "$REGISTRY_PID"
  wait "$REGISTRY_PID" || true
  status=0
  wait "$pid" || status=$?
  cat out
  [ "$status" -eq 75 ]
  env -u REGISTRY_AUTH_FILE docker-registry serve "$PROJECT/registry.yml" >/dev/null 2>&1 3>&- &
  REGISTRY_PID=$!
  for _ in $(seq 100); do
    curl -s -o /dev/null "http://127.0.0.1:$PORT/v2/" && break
    sleep 0.1
  done
  rm machine-one/build/logs/base.log
  run here one run base:x86_64 --plan=plan
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(steps one)" = "" ]
  run kb plan --remote base
  [ -z "$output" ]
}

@test "an input that was evicted is worth another try, once it is made again" {
  two_targets
  plan app
  here one run base:x86_64 --plan=plan
  # The tag is gone.
  cp -r registry before
  rm -r registry/docker/registry/v2/repositories/kata/cached-artefacts/base/_manifests/tags/kbuild-*
  run here two run app:x86_64 --plan=plan
  [ "$status" -eq 75 ]
  [[ "$output" == *"base:x86_64"* ]]
  # The content is gone, and the entry is there.
  rm -r registry
  cp -r before registry
  layer=$(manifest cached-artefacts/base "kbuild-$(field base:x86_64 .key)" | jq -r '.layers[0].digest' | cut -d: -f2)
  rm -r "registry/docker/registry/v2/blobs/sha256/${layer:0:2}/$layer"
  rm -rf "registry/docker/registry/v2/repositories/kata/cached-artefacts/base/_layers/sha256/$layer"
  run here three run app:x86_64 --plan=plan
  echo "$output"
  [ "$status" -eq 75 ]
  [ "$(steps three)" = "" ]
  # What is left of the entry does not count: it is made again, and then app is.
  here four run base:x86_64 --plan=plan
  [ "$(steps four)" = base.log ]
  here three run app:x86_64 --plan=plan
}

# The registry loses the first layer of a node's entry, and keeps the entry.
lose_content() { # target
  local layer
  layer=$(manifest "cached-artefacts/$1" "kbuild-$(field "$1:x86_64" .key)" | jq -r '.layers[0].digest' | cut -d: -f2)
  rm -r "registry/docker/registry/v2/blobs/sha256/${layer:0:2}/$layer"
  rm -rf "registry/docker/registry/v2/repositories/kata/cached-artefacts/$1/_layers/sha256/$layer"
}

@test "what the registry lost and this machine's cache has is pushed again, not called found" {
  two_targets
  plan app
  here one run base:x86_64 --plan=plan
  lose_content base
  here one run base:x86_64 --plan=plan
  here two run app:x86_64 --plan=plan
  # Results of others are not signed: this machine makes its own.
  make_keys
  export KBUILD_SIGNING_KEY=$PROJECT/TEST-builder.pem KBUILD_TRUSTED_KEYS=$PROJECT/builder.pub.pem
  rm -r registry/docker machine-*
  plan app
  here one run base:x86_64 --plan=plan
  here two run app:x86_64 --plan=plan
  rm -r registry/docker
  here two run base:x86_64 --plan=plan
  [ "$(steps two)" = "app.log base.log" ]
  here three run app:x86_64 --plan=plan
  # The same where the entry is there, and its content is not.
  lose_content base
  here three run base:x86_64 --plan=plan
  [ "$(steps three)" = "app.log base.log" ]
  here four run app:x86_64 --plan=plan
}

@test "with trusted keys a machine without one of them makes nothing" {
  two_targets
  make_keys
  export KBUILD_TRUSTED_KEYS=$PROJECT/builder.pub.pem
  plan app
  unset KBUILD_TRUSTED_KEYS
  run here one run base:x86_64 --plan=plan
  [ "$status" -eq 2 ]
  [[ "$output" == *"takes signed results only, and this machine has no KBUILD_SIGNING_KEY"* ]]
  KBUILD_SIGNING_KEY=$PROJECT/TEST-stranger.pem run here one run base:x86_64 --plan=plan
  [ "$status" -eq 2 ]
  [[ "$output" == *"the signing key is "* ]]
  # Whoever signs takes only what the planner would take, and not what anybody pushed.
  KBUILD_SIGNING_KEY=$PROJECT/TEST-builder.pem run here one run base:x86_64 --plan=plan
  echo "$output"
  [ "$status" -eq 2 ]
  [[ "$output" == *"takes signed results only, and this machine has no KBUILD_TRUSTED_KEYS"* ]]
  mkdir more
  cp builder.pub.pem stranger.pub.pem more
  for trusted in stranger.pub.pem more; do
    KBUILD_SIGNING_KEY=$PROJECT/TEST-builder.pem KBUILD_TRUSTED_KEYS=$PROJECT/$trusted run here one run base:x86_64 --plan=plan
    echo "$output"
    [ "$status" -eq 2 ]
    [[ "$output" == *"does not match this machine: a key of KBUILD_TRUSTED_KEYS is "* ]]
  done
  [ "$(steps one)" = "" ]
  # A stranger's entry is no input.
  KBUILD_SIGNING_KEY=$PROJECT/TEST-stranger.pem PUSH_TO_REGISTRY=yes kb --remote=require base
  export KBUILD_SIGNING_KEY=$PROJECT/TEST-builder.pem KBUILD_TRUSTED_KEYS=$PROJECT/builder.pub.pem
  run here two run app:x86_64 --plan=plan
  [ "$status" -eq 75 ]
  [[ "$output" == *"base:x86_64"*"no key of KBUILD_TRUSTED_KEYS signed"* ]]
  here two run base:x86_64 --plan=plan
  here three run app:x86_64 --plan=plan
  run kb plan --remote app
  [ -z "$(grep -v ^kbuild: <<<"$output")" ]
}

# The types of what refers to the entry of a target.
referred() { # target
  referrers "cached-artefacts/$1" "$(digest_of_tag "cached-artefacts/$1" "latest-main-$(uname -m)")"
}

@test "a machine that signs does not sign what it made of what a stranger pushed" {
  two_targets
  make_keys
  plan app
  KBUILD_SIGNING_KEY=$PROJECT/TEST-stranger.pem here evil run base:x86_64 --plan=plan
  referred base | grep -q vnd.kbuild.signature
  export KBUILD_SIGNING_KEY=$PROJECT/TEST-builder.pem
  # As a job, and as a build that pushes.
  run here one run app:x86_64 --plan=plan
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"app is pushed, and not signed: base came from a registry"*KBUILD_TRUSTED_KEYS* ]]
  run ! grep -q vnd.kbuild.signature <<<"$(referred app)"
  noisy other 'needs: [base]' 'mkdir -p /out/other/opt; cat /deps/base/opt/base >/out/other/opt/other'
  for _ in 1 2; do
    PUSH_TO_REGISTRY=yes kb --remote=require other 2>&1 | tee -a messages
    run ! grep -q vnd.kbuild.signature <<<"$(referred other)"
  done
  [ "$(grep -c "other is pushed, and not signed: base came from a registry" messages)" -eq 1 ]
  # Made of what its own key signed, whoever pulled that: signed.
  rm -r registry/docker machine-*
  forget
  plan app
  here one run base:x86_64 --plan=plan
  (unset KBUILD_SIGNING_KEY && kb --remote=require base && here two --builder=host base)
  run here two run app:x86_64 --plan=plan
  echo "$output"
  [[ "$output" != *"not signed"* ]]
  referred app | grep -q vnd.kbuild.signature
  [ "$(steps two)" = app.log ]
  PUSH_TO_REGISTRY=yes kb --remote=require other
  referred other | grep -q vnd.kbuild.signature
}

@test "a directory without files is that of a variable, too" {
  make_recipe var 'variables: {TEST_DIR: {type: directory}}' 'mkdir -p /out/var/opt; ls /inputs/TEST_DIR >/out/var/opt/var || true'
  mkdir empty
  # Named as seen from one place, and used from another.
  project=$(TEST_DIR=empty push_project var)
  on one run var:x86_64 --plan="oci:$project"
  manifest cached-artefacts/var "kbuild-$(field var:x86_64 .key)" | jq -e .layers
  cd empty
  HOME=$PROJECT "$KBUILD" --versions ../versions.yaml --recipes ../recipes --cache "$PROJECT/c" -o "$PROJECT/b" run var:x86_64 --plan=../plan
}

@test "a tool of the machine that is another one is another key, and nothing is made" {
  make_recipe tooled '' 'mkdir -p /out/tooled/opt; factor 6 >/out/tooled/opt/tooled'
  sed -i 's/tools: \[bash\]/tools: [bash, factor]/' recipes/tooled/recipe.yaml
  plan tooled
  printf '#!/bin/sh\necho two\n' >factor
  chmod +x factor
  mkdir -p machine-one
  HOME=$PROJECT/machine-one run bwrap --dev-bind / / --bind factor "$(command -v factor)" "$KBUILD" --cache "$PROJECT/machine-one/cache" \
    -o "$PROJECT/machine-one/build" run tooled:x86_64 --plan=plan
  echo "$output"
  [ "$status" -eq 2 ]
  [[ "$output" == *"the key of tooled:x86_64 is "*"hint: "*"with --builder=host, a tool of this machine is another one"* ]]
  [ "$(steps one)" = "" ]
}

@test "an edited plan that this project cannot follow does not match" {
  make_recipe var 'variables: {TEST_FILE: {type: file}, TEST_DIR: {type: directory}}'
  mkdir dir
  echo a | tee dir/a >file
  TEST_FILE=$PROJECT/file TEST_DIR=$PROJECT/dir plan var
  cp plan good
  mkfifo pipe
  for change in '.builder = "image"' '.prebuilt = "/etc"' '.prebuilt = "https://127.0.0.1:1/"' '.registry.builders = "127.0.0.1:1"' \
    '.registry.artefacts = "127.0.0.1:1/../x"' '.variables.TEST_FILE.files = []' '.variables.TEST_DIR.type = "file"' \
    '.variables.TEST_DIR = {type: "directory", text: "/etc", files: []}' '.variables.TEST_FILE.files[0].path = "/dev/zero"' \
    ".variables.TEST_FILE.files[0].path = \"$PROJECT/pipe\""; do
    jq -c "if .plan then $change else . end" good >plan
    run here one run var:x86_64 --plan=plan
    echo "$change: $output"
    [ "$status" -eq 2 ]
    [ "$(steps one)" = "" ]
  done
  # A fault of this machine is none of the plan's.
  KBUILD_TRUSTED_KEYS=$PROJECT/none.pem run here one run var:x86_64 --plan=good
  [ "$status" -eq 1 ]
  jq -c 'if .plan then .kbuild = "9.9.9" else . end' good >plan
  here one run var:x86_64 --plan=plan
}

@test "a node that two machines make at once: what is pushed first stays, and counts" {
  two_targets 'sleep 2; mkdir -p /out/base/opt; head -c 6 /dev/urandom | od -x >/out/base/opt/base'
  plan app
  tag=kbuild-$(field base:x86_64 .key)
  here one run base:x86_64 --plan=plan >out1 2>&1 3>&- &
  one=$!
  sleep 1
  here two run base:x86_64 --plan=plan >out2 2>&1 3>&- &
  two=$!
  wait "$one"
  before=$(digest_of_tag cached-artefacts/base "$tag")
  [ -n "$before" ]
  here three run app:x86_64 --plan=plan
  wait "$two"
  cat out1 out2
  [ "$(digest_of_tag cached-artefacts/base "$tag")" = "$before" ]
  grep -q "warning: base: .* made it meanwhile, and with other bytes: its step is not reproducible" out2
  run ! grep -q "made it meanwhile" out1
  # The second machine has the other one's now, and what was made of it is found.
  run here two run app:x86_64 --plan=plan
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"app:x86_64: found"* ]]
  run kb plan --remote app
  [ "$output" = "" ] || [[ "$output" == "kbuild: "* ]]
  # A build that has to make it again replaces it.
  PUSH_TO_REGISTRY=yes USE_CACHE=no kb --remote=require base
  [ "$(digest_of_tag cached-artefacts/base "$tag")" != "$before" ]
}

@test "the grain artifact makes sources and builders along, and a job is an artifact" {
  greeting
  plan --grain=artifact top
  [ "$(jq -r 'select(.node) | .node' plan | xargs)" = "low:x86_64 middle:x86_64 top:x86_64" ]
  [ "$(field low:x86_64 '.needs == [] and .network')" = true ]
  run here one run middle:x86_64 --plan=plan
  [ "$status" -eq 75 ]
  here one run low:x86_64 --plan=plan
  [ "$(steps one)" = low.log ]
  here two run middle:x86_64 --plan=plan
  [ "$(steps two)" = middle.log ]
  run here two run middle:x86_64 --plan=plan --grain=node
  [ "$status" -eq 2 ]
  run here three --builder=host run low:x86_64 --grain=artifact
  [ "$status" -eq 0 ]
  [[ "$output" == *"low:x86_64: found"* ]]
}

@test "without a plan a node is found by its id, sources too" {
  greeting
  source=$(jq -r 'select(.kind == "source") | .node' <(kb plan --json top))
  here one --builder=host run "$source"
  here two run low:x86_64 --builder=host
  [ "$(steps two)" = low.log ]
  run here two run source:greet:000000000000 --builder=host
  [ "$status" -eq 2 ]
  [[ "$output" == *"there is no node source:greet:000000000000 in this project"* ]]
  make_recipe broken 'nothing: 1'
  run here two run broken:x86_64 --builder=host
  [ "$status" -eq 1 ]
  [[ "$output" == *"recipes/broken/recipe.yaml:5:1: unknown key 'nothing'"* ]]
  PUSH_TO_REGISTRY=no run here two run low:x86_64 --builder=host
  [ "$status" -eq 1 ]
  [[ "$output" == *"PUSH_TO_REGISTRY=no: other machines could not get the result"* ]]
}

@test "without a plan a log is found by the options of its run" {
  greeting
  mkdir mine
  echo "my hello" >mine/greet.c
  here one run low:x86_64 --builder=host --source greet="$PROJECT/mine"
  run here two log low:x86_64 --remote --builder=host
  [ "$status" -eq 1 ]
  [[ "$output" == *"hint: options and variables are part of the key: give those of the run, or its --plan"* ]]
  here two log low:x86_64 --remote --builder=host --source greet="$PROJECT/mine" | grep STEP-RAN
  # The plan says what the options would.
  plan low
  run here two log low:x86_64 --remote --plan=plan --builder=host
  [ "$status" -eq 2 ]
  [[ "$output" == *"log does not accept --builder with --plan"* ]]
}

@test "an ordinary user makes a node, too" {
  [ "$(id -u)" -eq 0 ] || skip "already an ordinary user"
  two_targets
  project=$(push_project app)
  for ((p = 1, d = 1; d; p++)); do # bats keeps its folders to itself
    folder=$(echo "$PROJECT" | cut -d / -f "1-$((p + 1))")
    chmod a+x "$folder"
    [ "$folder" != "$PROJECT" ] || d=0
  done
  mkdir -m 0777 theirs
  cp "$KBUILD" theirs/kbuild
  as_user() {
    (cd theirs && TMPDIR=/tmp setpriv --reuid=65534 --regid=65534 --clear-groups env HOME="$PROJECT/theirs" \
      "$PROJECT/theirs/kbuild" --cache "$PROJECT/theirs/cache" "$@")
  }
  as_user run base:x86_64 --plan="oci:$project"
  as_user run app:x86_64 --plan="oci:$project"
  kb --remote=require app
  run ! ran app
}
