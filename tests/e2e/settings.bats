#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kbuild.yaml, the project's and one's own: which value counts, where it comes from, what is refused; recipes of
# several directories; projects of others.
# shellcheck disable=SC2016,SC2030,SC2031,SC2103,SC2153,SC2154 # scripts of recipes; each test has its own environment

bats_require_minimum_version 1.5.0

load project
load shared_cache
load machines

setup() {
  setup_shared_cache
  unset KBUILD_SETTINGS KBUILD_CACHE KBUILD_SOURCES KBUILD_SOURCE KBUILD_PREBUILT CROSS_BUILD
  export XDG_CONFIG_HOME=$PROJECT/config
  mkdir -p "$XDG_CONFIG_HOME/kbuild"
  OWN=$XDG_CONFIG_HOME/kbuild/kbuild.yaml
}

teardown() {
  end_machines
}

# The value of a setting, and its origin.
value() { # key, words...
  local key=$1
  shift
  "$KBUILD" settings --json "$@" | jq -r --arg key "$key" 'select(.setting == $key) |
    "\(.value | if type == "array" then join(" ") else . end) \(.origin) \(.name // .file // "")\(if .line then ":\(.line)" else "" end)"'
}

only_root() {
  [ "$(id -u)" -eq 0 ] || skip "only root can give files to others"
}

@test "without any file every value is a default, wherever kbuild runs" {
  run -0 "$KBUILD" settings
  [[ "$output" == *"# project's file   none"*"$OWN (not there)"*"sources "*"upstream "*default* ]]
  [ "$(value cache)" = "$PROJECT/cache default " ]
  [ "$(value recipes)" = "$PROJECT/recipes default " ]
  [ "$(value registry)" = "127.0.0.1:1 environment ARTEFACT_REGISTRY" ] || [ "$(value registry)" = "null default " ]
  cd /
  run -0 env -i "$KBUILD" settings --json
  [ "$(jq -r 'select(.setting) | .origin' <<<"$output" | sort -u)" = default ]
}

@test "an option goes before the environment, that before the project's file, that before one's own" {
  printf 'jobs: 2\ncache: mine\nsources: debian\noutput: out\n' >"$OWN"
  [ "$(value sources)" = "debian file $OWN:3" ]
  printf '# ours\nsources: upstream\ncache: ours\njobs: 3\n' >kbuild.yaml
  [ "$(value sources)" = "upstream file $PROJECT/kbuild.yaml:2" ]
  [ "$(value cache)" = "$PROJECT/ours file $PROJECT/kbuild.yaml:3" ]
  [ "$(value output)" = "$XDG_CONFIG_HOME/kbuild/out file $OWN:4" ]
  [ "$(KBUILD_SOURCES=debian value sources)" = "debian environment KBUILD_SOURCES" ]
  [ "$(KBUILD_SOURCES=debian value sources --sources=upstream)" = "upstream option --sources" ]
  [ "$(value jobs -j5)" = "5 option --jobs" ]
  [ "$(CROSS_BUILD=true ARCH=s390x value arch)" = "s390x environment ARCH" ]
  # As people see it: the place as they would open it.
  run -0 "$KBUILD" settings
  [[ "$output" == *"sources "*" kbuild.yaml:2"*"jobs "*" kbuild.yaml:4"* ]]
  mkdir -p deep/er
  cd deep/er
  [ "$(value jobs)" = "3 file $PROJECT/kbuild.yaml:4" ]
  # The files can be left out, or another one named.
  [ "$(value jobs --settings none)" = "$(nproc) default " ]
  [ "$(KBUILD_SETTINGS=none value jobs)" = "$(nproc) default " ]
  echo 'jobs: 7' >other
  [ "$(KBUILD_SETTINGS=none value jobs --settings other)" = "7 file $PWD/other:1" ]
  [ "$(value output --settings other)" = "$XDG_CONFIG_HOME/kbuild/out file $OWN:4" ]
}

@test "sources are chosen one by one" {
  make_recipe of_sources 'sources: {linux: {version: externals.greet, git: "{url}", ref: "{version}"}, qemu: {version: externals.greet, git: "{url}", ref: "{version}"}, kata: {version: externals.greet, git: "{url}", ref: "{version}"}, ovmf: {version: externals.greet, git: "{url}", ref: "{version}"}}'
  mkdir -p here/kata away/linux away/kata
  printf 'source:\n  linux: %s\n  kata: %s\n  qemu: debian\n' "$PROJECT/away/linux" "$PROJECT/away/kata" >"$OWN"
  printf 'source: {kata: here/kata}\n' >kbuild.yaml
  run -0 env KBUILD_SOURCE=linux=upstream "$KBUILD" settings --source qemu=upstream
  [[ "$output" == *"source qemu "*" upstream "*"--source"* ]]
  [[ "$output" == *"source linux "*" upstream "*"environment KBUILD_SOURCE"* ]]
  [[ "$output" == *"source kata "*" $PROJECT/here/kata "*"kbuild.yaml:1"* ]]
  [ "$(grep -c '^source ' <<<"$output")" -eq 3 ]
}

@test "a build does what the files say" {
  make_recipe one
  printf 'builder: host\noutput: results\n' >"$OWN"
  printf 'cache: ../%s\n' "$(basename "$PROJECT").cache" >kbuild.yaml
  mkdir sub
  cd sub
  "$KBUILD" one
  [ -e "$XDG_CONFIG_HOME/kbuild/results/kata-static-one.tar.xz" ]
  [ -d "$PROJECT.cache/actions" ]
  rm -rf "$PROJECT.cache"
  # A folder of one's own; one that is gone is an error only for targets that use it.
  cd ..
  rm kbuild.yaml
  mkdir -p mine/greet
  echo hello >mine/greet/text
  make_recipe two 'sources: {greet: {version: externals.greet, git: "{url}", ref: "{version}"}}' \
    'mkdir -p /out/two/opt; cp /src/greet/text /out/two/opt/two'
  printf 'builder: host\nsource: {greet: %s, nowhere: /nowhere}\n' "$PROJECT/mine/greet" >"$OWN"
  "$KBUILD" two
  [ "$(content_of build/kata-static-two.tar.xz opt/two)" = hello ]
  mv mine gone
  "$KBUILD" one
  run -2 "$KBUILD" two
  [[ "$output" == *"kbuild.yaml:2: greet=$PROJECT/mine/greet: No such file or directory"* ]]
  # Those of a project's file have to be sources of the project.
  printf 'source: {nowhere: upstream}\n' >kbuild.yaml
  run -2 "$KBUILD" two
  [[ "$output" == *"kbuild.yaml:1: no recipe here has a source 'nowhere'"* ]]
}

@test "what a project's file cannot say is refused, and shown all the same" {
  echo 'builder: host' >kbuild.yaml
  run -1 "$KBUILD" plan t
  [[ "$output" == *"kbuild.yaml:1:10: builder: a project cannot say 'host'"*"$OWN"* ]]
  printf 'source: {kata: ..}\njobs: 3\n' >kbuild.yaml
  run -1 --separate-stderr "$KBUILD" settings
  [[ "$output" == *"jobs "*" 3 "*" kbuild.yaml:2"* ]]
  [[ "$stderr" == *"kbuild.yaml:1:16: kata: '..' is outside of the project, $PROJECT"*"--source kata=DIR"* ]]
  printf 'jobs: 3\npasword: hunter2\ntoken: hunter2\n' >kbuild.yaml
  run -1 "$KBUILD" settings
  [[ "$output" == *"'pasword'"* ]]
  [[ "$output" != *hunter2* ]]
  # What uses no setting works on; completion, too.
  "$KBUILD" version
  "$KBUILD" help list
  "$KBUILD" --settings none list
}

@test "a project cannot say who gets the login of the environment" {
  make_recipe one
  printf 'registry: 127.0.0.1:1\nrepository: x\n' >kbuild.yaml
  [ "$(value registry)" = "127.0.0.1:1 file $PROJECT/kbuild.yaml:1" ]
  export ARTEFACT_REGISTRY_USERNAME=me ARTEFACT_REGISTRY_PASSWORD=TEST-secret
  for verb in "plan one" "--offline plan one" settings; do
    # shellcheck disable=SC2086
    run -1 "$KBUILD" $verb
    [[ "$output" == *"kbuild.yaml:1: registry: a project cannot say who gets the login"*"set ARTEFACT_REGISTRY beside them"* ]]
    [[ "$output" != *TEST-secret* ]]
  done
  ARTEFACT_REGISTRY=127.0.0.1:1 "$KBUILD" settings
  cp kbuild.yaml "$OWN"
  rm kbuild.yaml
  "$KBUILD" settings
  # A login where none belongs is not shown.
  run env ARTEFACT_REGISTRY=me:hunter2@127.0.0.1:1 KBUILD_PREBUILT=a=me:hunter2@x/y,b "$KBUILD" settings
  [[ "$output" == *"registry "*"***@127.0.0.1:1"*"environment ARTEFACT_REGISTRY"* ]]
  # Whatever a password is made of.
  for password in secret=word secret,word secret@word 's,e=c@r,et=word'; do
    ARTEFACT_REGISTRY="user:$password@127.0.0.1:1" BUILDER_REGISTRY="user:$password@127.0.0.1:1/b" \
      KBUILD_PREBUILT="a=r/x:1,one=user:$password@127.0.0.1:1/x" run "$KBUILD" settings
    for part in user s,e secret word; do
      [[ "$(grep -v '^# your own' <<<"$output")" != *"$part"* ]] || { echo "$output"; return 1; }
    done
    [[ "$output" == *"prebuilt "*"a=***@127.0.0.1:1/x"* ]]
  done
  [[ "$output" != *hunter2* ]]
}

@test "a registry from a file is used, with the keys that one's own file trusts" {
  start_registry
  make_keys
  noisy one
  printf 'registry: %s\nrepository: %s\n' "$ARTEFACT_REGISTRY" "$ARTEFACT_REPOSITORY" >kbuild.yaml
  unset ARTEFACT_REGISTRY ARTEFACT_REPOSITORY
  PUSH_TO_REGISTRY=yes KBUILD_SIGNING_KEY=TEST-builder.pem kb one
  forget
  kb one
  run ! ran one
  # The project's keys would take it; one's own come first, and do not.
  cp builder.pub.pem project.pem
  cp stranger.pub.pem "$XDG_CONFIG_HOME/kbuild/keys.pem"
  echo 'trusted-keys: project.pem' >>kbuild.yaml
  forget
  kb one
  run ! ran one
  echo 'trusted-keys: keys.pem' >"$OWN"
  [ "$(value trusted-keys)" = "$XDG_CONFIG_HOME/kbuild/keys.pem file $OWN:1" ]
  forget
  kb one
  ran one
  # Set and empty is an undefined secret of a CI job, and never "none", whatever files say.
  run -1 env KBUILD_TRUSTED_KEYS= "$KBUILD" --builder=host one
  [[ "$output" == *"KBUILD_TRUSTED_KEYS is set and empty"* ]]
}

@test "files that others can write are refused, and so are projects above" {
  only_root
  make_recipe one
  mkdir -p sub
  echo 'jobs: 2' >kbuild.yaml
  chmod o+w kbuild.yaml
  run -1 "$KBUILD" plan one
  [[ "$output" == *"$PROJECT/kbuild.yaml can be written by everybody"*"--settings none"* ]]
  kb --settings none plan one
  kb --settings kbuild.yaml plan one
  chmod o-w kbuild.yaml
  chown 65534 kbuild.yaml
  run -1 "$KBUILD" plan one
  [[ "$output" == *"$PROJECT/kbuild.yaml belongs to user 65534"* ]]
  rm kbuild.yaml
  # Where one stands one has looked; not so at what lies above.
  for change in "chown 65534 ." "chmod 1777 ." "chown 65534 recipes" "chown 65534 versions.yaml"; do
    chown -R 0 "$PROJECT"
    chmod 755 "$PROJECT"
    $change
    kb plan one
    cd sub
    run -1 "$KBUILD" --builder=host plan one
    [[ "$output" == *"the project in $PROJECT, above the current directory: $PROJECT"*"--recipes $PROJECT/recipes"* ]]
    run -1 "$KBUILD" settings
    [[ "$output" == *"above the current directory"* ]]
    run -1 "$KBUILD" --builder=host --recipes default --versions ../versions.yaml plan one
    "$KBUILD" --builder=host --cache "$PROJECT/cache" --versions ../versions.yaml --recipes ../recipes plan one
    "$KBUILD" help plan
    cd ..
  done
  echo 'jobs: 2' >kbuild.yaml
  chown -R 0 "$PROJECT"
  chmod 1777 "$PROJECT"
  cd sub
  run -1 "$KBUILD" --versions ../versions.yaml --recipes ../recipes plan one
  [[ "$output" == *"the settings in $PROJECT/kbuild.yaml, above the current directory: $PROJECT can be written by everybody"* ]]
}

@test "whatever a project of others, or its file, names is looked at: recipes to the last file" {
  only_root
  make_recipe one
  mkdir -p sub ours/two mine/src keys
  cp recipes/one/* ours/two && sed -i 's/one/two/g' ours/two/*
  touch versions.lock mine/src/file keys/a.pem
  cp versions.yaml mine/v.yaml
  echo 'recipes: [default, ours]' >kbuild.yaml
  cd sub
  "$KBUILD" list | grep -q ^two
  cd ..
  # Above: each file of the recipes, and the lock.
  for change in "chown 65534 recipes/one" "chmod o+w recipes/one" "chmod o+w recipes/one/build.sh" \
    "chown 65534 recipes/one/recipe.yaml" "chmod o+w versions.lock" "chown -h 65534 recipes/link"; do
    ln -sfn one recipes/link
    $change
    kb plan one >/dev/null # where one stands one has looked
    cd sub
    run -1 "$KBUILD" --builder=host list
    [[ "$output" == *"the project in $PROJECT, above the current directory: $PROJECT"* ]] || { echo "$change: $output"; false; }
    cd ..
    chown -Rh 0 "$PROJECT"
    chmod -R o-w "$PROJECT"
    rm recipes/link
  done
  # What the file names, wherever one stands: as the file itself.
  while IFS='|' read -r change file; do
    echo "$file" >kbuild.yaml
    for place in . sub; do
      $change
      cd "$place"
      run -1 "$KBUILD" --builder=host list
      [[ "$output" == *kbuild.yaml:1:*" $PROJECT/"*"--settings none"* ]] || { echo "$change, $file: $output"; false; }
      [[ "$output" == *"belongs to user 65534"* || "$output" == *"can be written by everybody"* ]]
      "$KBUILD" --settings "$PROJECT/kbuild.yaml" settings >/dev/null || [ "${file%%:*}" != recipes ] # named: not refused for that
      cd "$PROJECT"
      chown -Rh 0 "$PROJECT"
      chmod -R o-w "$PROJECT"
    done
  done <<'X'
chown 65534 ours|recipes: [default, ours]
chmod 777 ours|recipes: [default, ours]
chmod 777 ours/two|recipes: [default, ours]
chown 65534 ours/two/build.sh|recipes: [default, ours]
chown 65534 mine/src|source: {greet: mine/src}
chmod 777 mine/src|source: {greet: mine/src}
chmod 777 mine|source: {greet: mine/src}
chown 65534 mine|versions: mine/v.yaml
chmod 666 mine/v.yaml|versions: mine/v.yaml
chmod 666 keys/a.pem|trusted-keys: keys/a.pem
chmod 777 keys|trusted-keys: keys
X
}

# ---- recipes of several directories ----

@test "a later directory of recipes replaces recipes of an earlier one, and it is said" {
  make_recipe one
  make_recipe two 'needs: [one]' 'mkdir -p /out/two/opt; cat /deps/one/opt/one >/out/two/opt/two'
  mkdir -p recipes/common own
  echo 'mkdir -p /out/three/opt; echo shared >/out/three/opt/three' >recipes/common/build.sh
  cp -R recipes/one own/one
  sed -i 's/echo one/echo mine/' own/one/build.sh
  sed -i 's/test one/my one/' own/one/recipe.yaml
  mkdir own/three
  printf 'description: my three\nbuilder: {packages: [bash], tools: [bash]}\nshared: [common]\nrun: shared/common/build.sh\n' \
    >own/three/recipe.yaml
  both=(--recipes recipes --recipes own)
  run -0 "$KBUILD" list "${both[@]}"
  [[ "$output" == *"one "*"my one [own/one replaces recipes/one]"*"three "*"[own/three]"*"two "* && "$output" != *"recipes/two]"* ]]
  "$KBUILD" list --json "${both[@]}" | jq -se 'map({(.target): [.recipe, .replaces]}) | add ==
    {one: ["own/one", "recipes/one"], two: ["recipes/two", null], three: ["own/three", null]}'
  run -0 kb "${both[@]}" two three
  [ "$(grep -c 'recipes: own/one replaces recipes/one' <<<"$output")" -ge 1 ]
  [ "$(content_of build/kata-static-two.tar.xz opt/two)" = mine ]
  [ "$(content_of build/kata-static-three.tar.xz opt/three)" = shared ]
  # The order decides.
  kb --recipes own --recipes default two
  [ "$(content_of build/kata-static-two.tar.xz opt/two)" = one ]
  # A file says the same, and "default" are those that there are without it.
  echo 'recipes: [default, own]' >kbuild.yaml
  kb two
  [ "$(content_of build/kata-static-two.tar.xz opt/two)" = mine ]
  # Keys do not depend on where a directory lies.
  keys=$(kb --json plan two three 2>/dev/null | jq -r '.node + .key')
  [ -n "$keys" ]
  mv own elsewhere
  rm kbuild.yaml
  [ "$(kb --json plan two three --recipes default --recipes "$PROJECT/elsewhere/" 2>/dev/null | jq -r '.node + .key')" = "$keys" ]
  cp -R recipes merged
  rm -r merged/one
  cp -R elsewhere/* merged
  [ "$(kb --json plan two three --recipes merged | jq -r '.node + .key')" = "$keys" ]
  mkdir -p broken/two
  run -1 kb --recipes default --recipes broken plan two
  [[ "$output" == *"broken/two has no recipe.yaml, and would hide the recipe"*"kbuild new two --like two"* ]]
}

@test "a copy of a recipe replaces the one it was made from" {
  make_recipe one
  run -1 kb new one --recipes default --recipes own
  [[ "$output" == *"there is a target one already: $PROJECT/recipes/one"*"replace it by a copy: --like one"* ]]
  kb new one --like one --recipes default --recipes own
  [ -e own/one/recipe.yaml ]
  run -1 kb new one --like one --recipes default --recipes own
  [[ "$output" == *"there is a target one already: own/one"* ]]
  run -0 kb --recipes default --recipes own one
  [[ "$output" == *"recipes: own/one replaces $PROJECT/recipes/one"* ]]
}

# ---- several machines ----

@test "a plan's project holds the recipes of all directories" {
  start_registry
  noisy base
  noisy app 'needs: [base]' 'mkdir -p /out/app/opt; cat /deps/base/opt/base >/out/app/opt/app'
  mkdir own
  cp -R recipes/base own/base
  sed -i 's/echo base/echo mine/' own/base/build.sh
  printf 'recipes: [default, own]\n' >kbuild.yaml
  project=$(push_project app)
  [ -n "$project" ]
  for node in base app; do on "$node" run "$node:$(uname -m)" --plan="oci:$project"; done
  # With the plan as a file, the same directories are needed.
  here file run "app:$(uname -m)" --plan=plan
  run -2 here file run "app:$(uname -m)" --plan=plan --recipes recipes
  [[ "$output" == *"the plan does not match this machine: recipes is "* ]]
  kb --remote=require app
  [ "$(content_of build/kata-static-app.tar.xz opt/app)" = mine ]
}

@test "the own file of a machine that makes a node does not change what the node is" {
  start_registry
  noisy base
  make_recipe other
  mkdir -p stray/base
  plan base
  key=$(field "base:$(uname -m)" .key)
  printf 'sources: debian\nsource: {greet: upstream}\nprebuilt: [base]\nbuilder: image\narch: s390x\nregistry: 127.0.0.1:1\n%s\n' \
    "recipes: [$PROJECT/stray]" >"$OWN"
  # Of the plan: the key is the plan's, and so is the registry.
  here one run "base:$(uname -m)" --plan=plan
  run -0 env -u ARTEFACT_REGISTRY -u ARTEFACT_REPOSITORY HOME="$PROJECT/machine-two" \
    "$KBUILD" --cache machine-two/cache -o machine-two/build run "base:$(uname -m)" --plan=plan
  [[ "$output" == *"base:$(uname -m): found, key ${key:0:12}"* ]]
  # Without one: the options are those at hand, the project's file among them.
  run -0 here three --builder=host run "base:$(uname -m)"
  [[ "$output" == *"base:$(uname -m): found, key ${key:0:12}"* ]]
  # A build does what one's own file says.
  run "$KBUILD" plan base
  [[ "$output" == *"stray"* ]]
}

# Each line: a variable or none, and a line of kbuild.yaml or none. One build that would be refused.
@test "settings refuse what a build refuses, with the same words and status" {
  local variable file said settings_said
  make_recipe one
  mkdir keys # without a key
  export XDG_CONFIG_HOME=$PROJECT/none
  unset KBUILD_SETTINGS
  while IFS='|' read -r variable file; do
    rm -f kbuild.yaml
    [ -z "$file" ] || echo "$file" >kbuild.yaml
    run env ${variable:+"$variable"} "$KBUILD" --builder=host --cache cache one
    [ "$status" -gt 0 ] && [ "$status" -lt 3 ] || { echo "$variable $file: a build has $status"; false; }
    said="$status $(grep '^kbuild: ' <<<"$output")"
    rm -rf cache
    run env ${variable:+"$variable"} "$KBUILD" settings --builder=host --cache cache
    [ ! -e cache ] # nothing is made
    settings_said="$status $(grep '^kbuild: ' <<<"$output")"
    [[ "$output" == *"sources  "*"trusted-keys "* ]] # all values come first
    [[ "$output" != *sekret* ]]
    [ "$settings_said" = "$said" ] || { diff <(echo "$said") <(echo "$settings_said"); echo "$variable $file"; false; }
  done <<'X'
ARTEFACT_REGISTRY=u:sekret@127.0.0.1:1|
ARTEFACT_REGISTRY=https://u:sekret@127.0.0.1:1|
BUILDER_REGISTRY=u:sekret@127.0.0.1:1/x|
BUILDER_REGISTRY=127.0.0.1:1/x:tag|
ARTEFACT_REPOSITORY=UPPER|registry: localhost
KBUILD_PREBUILT=one=u:sekret@127.0.0.1:1/x|
KBUILD_PREBUILT=one=UPPER|
KBUILD_PREBUILT=nosuch|
KBUILD_SOURCE=kata=https://u:sekret@host/x|
KBUILD_SOURCE=nosuch=upstream|
KBUILD_TRUSTED_KEYS=keys|
KBUILD_TRUSTED_KEYS=|
KBUILD_SIGNING_KEY=|registry: localhost
PUSH_TO_REGISTRY=yes|
PUSH_TO_REGISTRY=perhaps|registry: localhost
USE_CACHE=perhaps|
|source: {nosuch: upstream}
|prebuilt: [nosuch]
|output: recipes
|recipes: [keys, default, nosuch]
X
  rm -f kbuild.yaml
  run -0 "$KBUILD" settings
  run -1 "$KBUILD" settings --versions nosuch.yaml
  [[ "$output" == *"sources  "*"error: "*nosuch.yaml* ]]
}

@test "no value shows a login, whatever setting it is put into by mistake" {
  make_recipe one
  local variable login value
  for variable in KBUILD_SOURCES KBUILD_SOURCE KBUILD_PREBUILT KBUILD_CACHE ARTEFACT_REGISTRY ARTEFACT_REPOSITORY \
    BUILDER_REGISTRY TARGET_BRANCH KBUILD_TRUSTED_KEYS; do
    for login in u:sekret@h/x https://u:sekret@h/x https://sekret@h/x https://u:se@sekret@h/x ssh://u:sek/sekret@h/x \
      http:/u:sekret@h/x; do
      for value in "$login" "kata=$login" "one=$login"; do
        run env "$variable=$value" "$KBUILD" settings
        [[ "$output" != *sekret* ]] || { echo "$variable=$value: $output"; false; }
        run env "$variable=$value" "$KBUILD" settings --json
        [[ "$output" != *sekret* ]] || { echo "$variable=$value: $output"; false; }
      done
    done
  done
  local option
  for option in --source --prebuilt --cache --output --versions --recipes --arch --jobs; do
    for value in https://u:sekret@h/x kata=https://u:sekret@h/x; do
      run "$KBUILD" settings "$option" "$value"
      [[ "$output" != *sekret* ]] || { echo "$option $value: $output"; false; }
    done
  done
  # What has an @ and is no login stays.
  mkdir me@home
  run "$KBUILD" settings --cache "$PROJECT/me@home/cache" --output ./a:b@c
  [[ "$output" == *"$PROJECT/me@home/cache "* && "$output" == *" ./a:b@c "* ]]
}
