#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kbuild new: a recipe to begin with, which builds.

bats_require_minimum_version 1.5.0
load project

setup() {
  make_project
}

teardown() {
  rm -rf "$PROJECT"
}

@test "a new recipe is listed and builds at once, and its variable works" {
  run --separate-stderr kb new mine
  [ "$status" -eq 0 ]
  [ "${lines[0]}" = "$PROJECT/recipes/mine/build.sh" ]
  [ "${lines[1]}" = "$PROJECT/recipes/mine/recipe.yaml" ]
  [[ "$stderr" == *'`kbuild mine` builds it'* ]]
  kb list | grep -q '^mine .*mine, in one line'
  kb mine
  [ "$(content_of build/kata-static-mine.tar.xz opt/kata/share/mine/greeting.txt)" = "hello, mine for $(uname -m)" ]
  GREETING=servus kb mine
  [[ "$(content_of build/kata-static-mine.tar.xz opt/kata/share/mine/greeting.txt)" == servus,* ]]
  kb verify mine
  [ "$(stat -c %a recipes/mine recipes/mine/recipe.yaml recipes/mine/build.sh | xargs)" = "755 644 755" ]
  [ "$(ls -A recipes)" = mine ]
}

@test "every key that the template leaves out can be put in" {
  kb new mine
  make_recipe kernel
  mkdir recipes/my-common
  sed -i 's/^# \(needs\|shared\|outputs\)/\1/; s/^  # \(cross\)/  \1/' recipes/mine/recipe.yaml
  echo 'install -D /deps/kernel/opt/kernel /out/mine-extra/opt/kernel' >>recipes/mine/build.sh
  kb mine
  [ "$(content_of build/kata-static-mine-extra.tar.xz opt/kernel)" = kernel ]
  sed -i -E '/^# (sources|  )/s/^# //' recipes/mine/recipe.yaml
  run kb plan mine
  [[ "$output" == *"externals.busybox"* ]]
}

@test "the script and the recipe pass the checkers" {
  command -v shellcheck >/dev/null || skip "needs shellcheck"
  kb new mine
  shellcheck recipes/mine/build.sh
}

@test "a copy leaves its result under the new name" {
  make_recipe one "outputs: [one, one-extra]" 'mkdir -p /out/one/opt /out/one-extra/opt
cp /recipe/data /out/one/opt/; echo extra >/out/one-extra/opt/extra'
  echo data >recipes/one/data
  printf '/out/one\0' >recipes/one/binary
  mkdir recipes/one/empty
  kb new two --like one
  cmp recipes/one/binary recipes/two/binary
  [ -d recipes/two/empty ]
  grep -q '^outputs: \[two, two-extra\]' recipes/two/recipe.yaml
  grep -q '^# A copy of one' recipes/two/recipe.yaml
  kb one two
  [ "$(content_of build/kata-static-two.tar.xz opt/data)" = data ]
  [ "$(content_of build/kata-static-two-extra.tar.xz opt/extra)" = extra ]
}

@test "copies of the shipped recipes can be read" {
  cp -R "$REPOSITORY/recipes" "$BATS_TEST_TMPDIR/shipped"
  for name in kernel kernel-confidential rootfs-initrd rootfs-image boot-image-se snp qemu agent; do
    "$KBUILD" new "copy-of-$name" --like "$name" --recipes "$BATS_TEST_TMPDIR/shipped"
  done
  "$KBUILD" list --recipes "$BATS_TEST_TMPDIR/shipped" >listed
  [ "$(grep -c ^copy-of- listed)" -eq 8 ]
}

@test "nothing is overwritten, and a name must be usable" {
  kb new mine
  echo changed >recipes/mine/build.sh
  run kb new mine
  [ "$status" -eq 1 ]
  [[ "$output" == *"there is a target mine already: $PROJECT/recipes/mine/recipe.yaml"* ]]
  [ "$(cat recipes/mine/build.sh)" = changed ]
  mkdir recipes/folder
  run kb new folder
  [ "$status" -eq 1 ]
  [[ "$output" == *"recipes/folder exists"*"nothing was overwritten"* ]]
  ln -s /nowhere recipes/dangling
  run kb new dangling
  [[ "$output" == *"recipes/dangling exists"* ]]
  make_recipe one "outputs: [first]"
  run kb new first
  [[ "$output" == *"first is an output of the target one already"* ]]
  for name in plan cache; do
    run kb new $name
    [ "$status" -eq 2 ]
    [[ "$output" == *"'$name' is a verb"* ]]
  done
  for name in ../x Upper a/b .x ''; do
    run kb new "$name"
    [ "$status" -eq 2 ]
  done
  run kb new three --like minee
  [ "$status" -eq 1 ]
  [[ "$output" == *"unknown target 'minee'"*"did you mean mine"* ]]
  [ ! -e recipes/three ]
  [ -z "$(find recipes -name '.*')" ]
}

@test "a directory of one's own is made" {
  run --separate-stderr kb new mine --recipes own/recipes
  [ "$status" -eq 0 ]
  [[ "$stderr" == *'`kbuild --recipes own/recipes mine` builds it'* ]]
  [ -e own/recipes/mine/recipe.yaml ]
  kb mine --recipes own/recipes
  [ -e build/kata-static-mine.tar.xz ]
}

@test "a name that something else has beside recipes or results is refused before anything is written" {
  make_recipe one
  kb one
  kb report >/dev/null
  local name
  # All that a build and a report leave, but for what has the name of a target.
  for name in ignored.yaml $(cd build && ls | grep -v -e '^kata-static-one' -e '^one-'); do
    run -2 kb new "$name"
    [[ "$output" == *"'$name' cannot be the name of a target: it is that of "* ]] || { echo "$output"; false; }
    [ "$(ls -A recipes)" = one ]
  done
  run -2 kb new ignored.yaml --like one
  [ "$(ls -A recipes)" = one ]
  kb one
}
