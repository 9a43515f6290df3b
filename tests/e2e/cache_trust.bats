#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a cache is not believed: a record that somebody else wrote proves nothing of a file that was handed over, and a
# cache that git brings is none.

bats_require_minimum_version 1.5.0

load project

setup() {
  make_project
  make_recipe one "" 'mkdir -p /out/one/opt; echo honest >/out/one/opt/one'
  make_recipe two "needs: [one]" 'mkdir -p /out/two/opt; cat /deps/one/opt/one >/out/two/opt/two'
}

# A record of the cache that names another tarball as the result of `one`, as who can write the cache can make it:
# $1: the cache.
forge() {
  mkdir -p evil/one/opt
  echo BACKDOOR >evil/one/opt/one
  rm -f evil.tar.xz
  "$KBUILD" pack evil/one evil.tar.xz
  python3 - "$1" <<'E'
import glob, hashlib, json, os, sys
cache = sys.argv[1]
evil = open("evil.tar.xz", "rb").read()
digest = hashlib.sha256(evil).hexdigest()
folder = f"{cache}/sha256/{digest[:2]}"
os.makedirs(folder, exist_ok=True)
with open(f"{folder}/{digest[2:]}", "wb") as f:
    f.write(evil)
os.chmod(f"{folder}/{digest[2:]}", 0o444)
forged = 0
for path in glob.glob(f"{cache}/actions/*/*"):
    record = json.load(open(path))
    for output in record["outputs"]:
        if output["name"] == "kata-static-one.tar.xz":
            output.update(digest=digest, size=len(evil))
            forged += 1
    del record["sha256"]
    record["sha256"] = hashlib.sha256(json.dumps(record, separators=(",", ":"), sort_keys=True).encode()).hexdigest()
    json.dump(record, open(path, "w"), indent=2, sort_keys=True)
sys.exit(forged == 0)
E
  rm -rf build
}

# The producer's file is what the forged record names.
handed_over() {
  mkdir -p handed
  cp evil.tar.xz handed/kata-static-one.tar.xz
}

@test "a forged record does not make a file one that was built here" {
  kb one
  forge cache
  handed_over
  # It is believed by a build, as any record of one's own cache is.
  run kb one
  [[ "$output" == *"one: cached"* ]]
  [ "$(tar -xOf build/kata-static-one.tar.xz ./opt/one)" = BACKDOOR ]
  run kb check handed/kata-static-one.tar.xz --unsigned --reproduce one
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *$'\n'"bad          reproduction  this file is not what one gives here"* ]]
  [ "$(tar -xOf build/kata-static-one.tar.xz ./opt/one)" = honest ]
  run kb verify --against handed/kata-static-one.tar.xz one
  [ "$status" -eq 1 ]
  [[ "$output" == *"differs from the result of one here"* ]]
  # Nothing of it stays, and the cache was not changed.
  [ -z "$(ls cache/tmp)" ]
  run kb one
  [[ "$output" == *"one: cached"* ]]
}

@test "a forged record of what a target is made of does not count" {
  kb two
  forge cache
  kb two
  [ "$(tar -xOf build/kata-static-two.tar.xz ./opt/two)" = BACKDOOR ]
  mkdir handed
  cp build/kata-static-two.tar.xz handed
  run kb check handed/kata-static-two.tar.xz --unsigned --reproduce two
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"this file is not what two gives here"* && "$output" != *"good         reproduction"* ]]
  run kb verify --against handed/kata-static-two.tar.xz two
  [ "$status" -eq 1 ]
}

@test "with --trust-cache the cache counts, and the report says that it does" {
  kb two
  mkdir handed
  cp build/kata-static-two.tar.xz handed
  run kb check handed/kata-static-two.tar.xz --unsigned --reproduce two
  [ "$status" -eq 0 ]
  [[ "$output" == *"good         reproduction  two, built here, is the same, byte by byte"* ]]
  run kb check handed/kata-static-two.tar.xz --unsigned --reproduce two --trust-cache
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *$'\n'"not checked  reproduction  found in the cache (--trust-cache), and not made here: "*one*two* ]]
  [[ "$output" == *$'\n'"stated       reproduction  what two gives here is the same, byte by byte"* ]]
  [[ "$output" != *"good         reproduction"* ]]
  # The target alone is made, and not what it is made of.
  USE_CACHE=yes run kb verify --against handed/kata-static-two.tar.xz --trust-cache two
  [ "$status" -eq 0 ]
  [[ "$output" == *"found in the cache, and not made by this run: two, one"* ]]
  run kb verify --against handed/kata-static-two.tar.xz two
  [ "$status" -eq 0 ]
  [[ "$output" != *"not made by this run"* ]]
  for words in "check handed/kata-static-two.tar.xz --unsigned --reproduce two" "verify --against handed/kata-static-two.tar.xz two"; do
    # shellcheck disable=SC2086 # words
    run kb $words --remote auto
    [ "$status" -eq 2 ]
    [[ "$output" == *"--remote is used only with --trust-cache"* ]]
  done
  run kb check handed/kata-static-two.tar.xz --unsigned --trust-cache
  [ "$status" -eq 2 ]
}

@test "verify says what it did not make again" {
  kb two
  run kb verify two
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"the first build of two is the one that the cache has"* ]]
  [[ "$output" == *"found in the cache, and not made by this run: one"* ]]
  chmod -R u+w cache
  rm -rf cache build
  run kb verify two
  [ "$status" -eq 0 ]
  [[ "$output" != *"in the cache"*  && "$output" != *"that the cache has"* ]]
}

# A checkout of a project whose author committed a cache in the directory $1.
checkout() {
  mkdir author
  cp -a recipes versions.yaml author
  (
    cd author
    "$KBUILD" --builder=host --cache "$PWD/$1" one
    cp ../evil* . 2>/dev/null || true
    forge "$1"
    rm -rf evil evil.tar.xz build
    git_here init -q .
    git_here add -Af
    git_here commit -qm all
  )
  git_here clone -q author theirs
  cd theirs
  mkdir "$PROJECT/home"
  export HOME=$PROJECT/home
}

refused() { # what of the message, the command
  local what=$1
  shift
  run "$@"
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"comes with a git repository, which has $what in it"* && "$output" == *"hint: name another directory with --cache"* ]]
}

@test "a cache that came with a checkout is refused, wherever it is named" {
  checkout c
  refused c/sha256 "$KBUILD" --builder=host --cache c one
  KBUILD_CACHE=c refused c/sha256 "$KBUILD" --builder=host why one
  echo 'cache: c' >kbuild.yaml
  KBUILD_SETTINGS=kbuild.yaml refused c/sha256 "$KBUILD" --builder=host one
  ln -s c link
  refused c/sha256 "$KBUILD" --builder=host --cache link one
  for verb in "why one" "check versions.yaml --unsigned --reproduce one" "verify one" "plan one" "fetch one"; do
    # shellcheck disable=SC2086 # words
    refused c/sha256 "$KBUILD" $verb --builder=host --cache c
  done
  [ ! -e build/kata-static-one.tar.xz ]
  # What was untracked is as it came, until it is removed.
  "$KBUILD" --builder=host --cache new one
  [ "$(tar -xOf build/kata-static-one.tar.xz ./opt/one)" = honest ]
}

@test "a project's own cache that came with it is refused, also as a submodule and in a work tree of git" {
  checkout cache
  refused cache/sha256 "$KBUILD" --builder=host one
  [ ! -e build ]
  git_here worktree add -q ../another
  cd ../another
  refused cache/sha256 "$KBUILD" --builder=host one
  cd ..
  git_here init -q outer
  git_here -C outer submodule -q add "$PWD/author" inner
  cd outer/inner
  refused cache/sha256 "$KBUILD" --builder=host one
  # The cache as a submodule itself, and as a part of one.
  cd ../..
  git_here init -q cacherepo
  cp -a author/cache/. cacherepo
  git_here -C cacherepo add -Af
  git_here -C cacherepo commit -qm all
  git_here -C outer submodule -q add "$PWD/cacherepo" c
  refused sha256 "$KBUILD" --builder=host --versions author/versions.yaml --recipes author/recipes --cache outer/c one
  rm outer/c/.git
  git_here -C outer commit -qm submodules
  cd outer
  mkdir d
  mv c d/actions
  git_here update-index --add --cacheinfo 160000,"$(git_here -C ../cacherepo rev-parse HEAD)",d/actions
  for folder in sha256 trees verified locks tmp; do mkdir "d/$folder"; done
  refused d/actions "$KBUILD" --builder=host --versions ../author/versions.yaml --recipes ../author/recipes --cache d one
}

@test "a cache in a work tree that git does not bring is used, and looked at again when the index changed" {
  git_here init -q .
  mkdir -p cache
  echo "what this is" >cache/README.md
  git_here add -f cache/README.md recipes versions.yaml
  git_here commit -qm all
  kb one
  run kb one
  [ "$status" -eq 0 ]
  [[ "$output" == *"one: cached"* ]]
  # The index is not read again: libgit2 is not even loaded.
  if command -v strace >/dev/null; then
    strace -f -o trace "$KBUILD" --builder=host --cache "$PROJECT/cache" one >/dev/null 2>&1
    run ! grep -q libgit2 trace
  fi
  git_here add -f cache/actions
  refused cache/actions kb one
  git_here rm -rq --cached cache/actions
  kb one
  # One that cannot be read says nothing.
  printf x >.git/index
  run kb one
  [ "$status" -eq 1 ]
  [[ "$output" == *"whether git brings the cache "*" cannot be found out from "*"/.git/index"* ]]
}

@test "a memo in a cache that came with a checkout is not believed" {
  checkout cache
  # The author has the memo of a clean index: that of his own machine.
  git_here rm -rq --cached cache
  "$KBUILD" --builder=host --cache cache list >/dev/null
  "$KBUILD" --builder=host --cache cache one >/dev/null
  ls cache/memo/*/* >/dev/null
  git_here add -Af
  git_here commit -qm "with memos"
  cd ..
  git_here clone -q theirs again
  cd again
  refused cache/sha256 "$KBUILD" --builder=host one
}
