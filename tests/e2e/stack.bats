#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Groups of targets, what a release has to hold, and stacks that are booted whole.

load project

setup() {
  make_project
}

# A recipe that stands for others. $1 name, $2 further lines.
make_group() {
  mkdir -p "$PROJECT/recipes/$1"
  printf 'description: test %s\naction: group\n%s\n' "$1" "$2" >"$PROJECT/recipes/$1/recipe.yaml"
}

# ---- groups ----

@test "building a group builds its members, each as if asked for by name" {
  make_recipe one "release: no"
  make_recipe two "needs: [three]"
  make_recipe three
  make_recipe four "release: no"
  make_group pair "members: [one, {any: [none, two]}, {optional: nothing}]"
  kb pair
  [ -s build/kata-static-one.tar.xz ]
  [ -s build/kata-static-two.tar.xz ]
  [ -s build/kata-static-three.tar.xz ]
  [ ! -e build/kata-static-four.tar.xz ]
  [ ! -e build/kata-static-pair.tar.xz ]
  run kb pair
  [[ "$output" == *"one: cached"* ]]
  [[ "$output" != *started* ]]
}

@test "members can differ by architecture, and a group is for the architectures that it names" {
  make_recipe one
  make_recipe two
  make_group some "members: {x86_64: [one], s390x: [one, two]}"
  kb --arch=s390x --json plan some | jq -r .node | sort >nodes
  printf 'one:s390x\ntwo:s390x\n' | cmp - nodes
  [ "$(kb --arch=x86_64 --json plan some | jq -r .node)" = one:x86_64 ]
  run kb --arch=aarch64 some
  [ "$status" -eq 1 ]
  [[ "$output" == *"some cannot be built for aarch64"*"x86_64, s390x"* ]]
  run kb list
  [[ "$output" == *"some "*"x86_64 s390x "*"test some"* ]]
  [ "$(kb --json list | jq -c 'select(.target == "some").members')" = '{"x86_64":["one"],"s390x":["one","two"]}' ]
}

@test "a member without a recipe or for another architecture is an error before anything is made" {
  make_recipe one
  make_group some "members: [one, oen]"
  run kb some
  [ "$status" -eq 1 ]
  [[ "$output" == *"recipes/some/recipe.yaml:3:16: unknown target 'oen'"*"did you mean one"* ]]
  make_recipe two
  sed -i 's/^architectures:.*/architectures: [s390x]/' recipes/two/recipe.yaml
  make_group some "members: [one, two]"
  run kb --arch=x86_64 some
  [ "$status" -eq 1 ]
  [[ "$output" == *"some stands for two, which cannot be built for x86_64"* ]]
  [ ! -e build ]
}

@test "a group is no input of anything, and has no step" {
  make_recipe one
  make_group some "members: [one]"
  make_recipe two "needs: [some]"
  run kb two
  [ "$status" -eq 1 ]
  [[ "$output" == *"some is a group of targets, and cannot go into anything"* ]]
  make_group more "members: [some]"
  run kb more
  [ "$status" -eq 1 ]
  run kb shell some
  [ "$status" -eq 1 ]
  [[ "$output" == *"some is a group of targets, and makes nothing itself"* ]]
  run kb provenance some
  [ "$status" -eq 1 ]
}

@test "explain and verify go through the members" {
  make_recipe one
  make_recipe two "" 'mkdir -p /out/two/opt; date +%N >/out/two/opt/two'
  make_group some "members: [one, two]"
  run kb explain some
  [ "$status" -eq 0 ]
  [[ "$output" == *"# some stands for one:"*"# some stands for two:"* ]]
  run kb verify some
  [ "$status" -eq 1 ]
  [[ "$output" == *"kata-static-one.tar.xz is the same"*"kata-static-two.tar.xz differs"* ]]
  run kb verify some --against build/kata-static-one.tar.xz
  [ "$status" -eq 1 ]
  [[ "$output" == *"one target only"* ]]
}
