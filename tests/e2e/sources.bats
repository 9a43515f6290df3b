#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A real small program from a real git repository with a submodule, over git's own protocol.

load project

setup() {
  PROJECT=$(mktemp -d "$BATS_TEST_TMPDIR/project.XXXXXX")
  make_repositories
  serve_repositories
  mkdir -p "$PROJECT/recipes"
  cd "$PROJECT" || return 1
  printf 'externals:\n  greet:\n    url: "git://127.0.0.1:%s/greet"\n    version: v1\n' "$GIT_PORT" >versions.yaml
  make_recipe greet 'sources:
  greet: {version: externals.greet, git: "{url}", ref: "{version}"}' 'mkdir -p /out/greet/opt
make -C /src/greet OUT=/out/greet/opt greet'
  sed -i 's/tools: \[bash\]/tools: [bash, make, gcc]/' recipes/greet/recipe.yaml
}

teardown() {
  kill "$GIT_PID" 2>/dev/null || true
}

@test "a program with a submodule is fetched, built and runs" {
  kb greet
  content_of build/kata-static-greet.tar.xz opt/greet >greet
  chmod +x greet
  [ "$(./greet)" = 'hello!' ]
  grep -q "^git .* v1 commit=$(git -C git/greet rev-parse 'v1^{commit}') tree=$(git -C git/greet rev-parse 'v1^{tree}')" versions.lock
}

@test "after fetch it builds offline, with the server gone" {
  kb fetch greet
  kill "$GIT_PID"
  run kb --offline greet
  [ "$status" -eq 0 ]
}

@test "offline without a fetch says what is missing" {
  run kb --offline greet
  [ "$status" -eq 1 ]
  [[ "$output" == *offline* ]]
}

@test "a tag that moved is refused" {
  kb greet
  git_here -C git/greet commit -q --allow-empty -m "Another"
  echo "int x;" >>git/greet/greet.c
  git_here -C git/greet commit -q -a -m "Changed"
  git_here -C git/greet tag -f -a -m moved v1 >/dev/null
  rm -rf cache
  run kb greet
  [ "$status" -eq 1 ]
  [[ "$output" == *versions.lock* ]]
}

@test "--locked refuses what the lock does not name" {
  run kb --locked greet
  [ "$status" -eq 1 ]
  [[ "$output" == *"lock"* ]]
  kb greet
  run kb --locked greet
  [ "$status" -eq 0 ]
}

@test "an upstream that cannot be reached names the other way" {
  kill "$GIT_PID"
  wait "$GIT_PID" 2>/dev/null || true
  run kb greet
  [ "$status" -eq 1 ]
  [[ "$output" == *"--sources=debian"* ]]
}

@test "a damaged source tree is noticed and fetched again" {
  kb greet
  file=$(find cache/trees -name greet.c | head -n 1)
  chmod u+w "$file"
  echo garbage >"$file"
  echo "# again" >>recipes/greet/build.sh
  run kb greet
  [ "$status" -eq 0 ]
  [[ "$output" == *damaged* ]]
}

@test "a submodule of a folder that is out of reach has the hint of the network, not of the folder" {
  git_here init -q "$PROJECT/git/far"
  printf '[submodule "sub"]\n\tpath = sub\n\turl = http://127.0.0.1:1/sub\n' >"$PROJECT/git/far/.gitmodules"
  git_here -C "$PROJECT/git/far" add .
  git_here -C "$PROJECT/git/far" update-index --add --cacheinfo "160000,$(printf 1%.0s $(seq 40)),sub"
  git_here -C "$PROJECT/git/far" commit -q -m far
  printf 'externals:\n  greet:\n    url: "%s"\n    version: main\n' "$PROJECT/git/far" >versions.yaml
  make_recipe far 'sources:
  far: {version: externals.greet, git: "{url}", ref: "{version}"}'
  run kb fetch far
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"check the network"* ]]
}
