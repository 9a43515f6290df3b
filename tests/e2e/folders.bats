#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The cache and the output directory: whose they are, what links in them do, and where logs stay.

load project

setup() {
  make_project
  unset SUDO_UID
}

need_root() {
  [ "$(id -u)" -eq 0 ] || skip "needs root, to make what another user made"
}

refused() { # words... : kbuild one ends with 1 and says them
  run kb one
  [ "$status" -eq 1 ]
  for word in "$@"; do [[ "$output" == *"$word"* ]]; done
}

@test "a link in place of a folder of the cache is refused, and nothing behind it changes" {
  make_recipe one
  mkdir victim && touch victim/kept
  for name in tmp sha256 actions git locks lock; do
    mkdir -p cache
    ln -s ../victim cache/$name
    refused "cache/$name" link remove
    run kb cache gc --max-size=0
    [ "$status" -eq 1 ]
    [ "$(ls victim)" = kept ]
    rm -r cache
  done
  kb one
}

@test "a cache that another user made, or that others may write, is refused" {
  make_recipe one
  kb one
  chmod 777 cache
  refused "may be written by others" "chmod -R go-w"
  chmod 755 cache
  kb one
  need_root
  chown 1234 cache
  refused "belongs to user 1234"
  SUDO_UID=1234 kb one
  chown 0 cache
  ln -s cache other && chown -h 1234 other
  run "$KBUILD" --builder=host --cache other one
  [ "$status" -eq 1 ]
  [[ "$output" == *"is a link that user 1234 made"* ]]
  chown -h 0 other
  "$KBUILD" --builder=host --cache other one
}

@test "a cache folder as a checkout brings it is closed and used, whatever the umask was" {
  make_recipe one
  mkdir cache
  echo text >cache/README.md
  touch cache/.gitignore
  chmod 775 cache
  kb one
  [ "$(stat -c %a cache)" = 755 ]
  [ -e cache/README.md ]
  # What else is in it could have been put there.
  rm -r cache
  mkdir cache
  touch cache/README.md cache/lock
  chmod 775 cache
  refused "may be written by others" "chmod -R go-w"
  [ "$(stat -c %a cache)" = 775 ]
}

@test "with any umask nothing in the cache can be written by others, and the next run takes it" {
  make_repositories
  serve_repositories
  make_recipe one "sources: {greet: {version: externals.greet, git: '{url}', ref: '{version}'}}"
  printf 'externals:\n  greet: {url: "git://127.0.0.1:%s/greet", version: v1}\n' "$GIT_PORT" >versions.yaml
  (umask 000 && kb one)
  [ -d cache/git ]
  run find cache ! -type l -perm /022
  [ -z "$output" ] || { echo "$output"; return 1; }
  rm -rf build
  (umask 002 && kb one)
  kill "$GIT_PID"
}

@test "a directory that has a tmp of its own is no cache, and nothing in it changes" {
  make_recipe one
  for name in tmp locks damaged trees git; do
    mkdir -p "home/$name/work"
    touch "home/$name/work.lock" "home/$name/work/file" home/notes
    find home | sort >before
    for words in one "cache gc --max-size=0" "cache verify" "cache info"; do
      # shellcheck disable=SC2086
      run "$KBUILD" --builder=host --cache home $words
      [ "$status" -eq 1 ]
      [[ "$output" == *"home is no cache of kbuild: its directory $name is not one that kbuild made"* ]]
    done
    find home | sort | cmp - before
    rm -r home
  done
  # Other things may lie there, and a cache that lacks a directory is one.
  mkdir -p home/work/tmp home/tmp
  touch home/work/tmp/file
  "$KBUILD" --builder=host --cache home one
  rm -r home/verified home/locks
  "$KBUILD" --builder=host --cache home one
  rm home/lock
  "$KBUILD" --builder=host --cache home one
  [ -e home/work/tmp/file ]
}

@test "a record that another user planted is not believed, and results are no names of that user's files" {
  need_root
  make_recipe one
  kb one
  find cache/actions -type f -exec chown 1234 {} +
  run kb one
  [ "$status" -eq 0 ]
  [[ "$output" == *"another user"* && "$output" == *"one: started"* ]]
  find cache/sha256 -type f -exec chown 1234 {} +
  rm -r build
  SUDO_UID=1234 kb one
  [ "$(stat -c %u build/kata-static-one.tar.xz)" -eq 0 ]
}

@test "an output directory of another user is refused; one's own link to another place is followed" {
  make_recipe one
  mkdir big && ln -s big build
  kb one
  [ -e big/kata-static-one.tar.xz ]
  [ -e big/logs/one.log ]
  need_root
  chown 1234 big
  refused "belongs to user 1234"
  chown 0 big
  chown -h 1234 build
  refused "is a link that user 1234 made"
}

@test "an output directory that nothing can be written to is said before anything is built" {
  make_recipe one
  kb one
  echo >file
  run kb -o file/build one
  [ "$status" -eq 1 ]
  [[ "$output" == *"file"* && "$output" != *"cached"* ]]
}

@test "logs are never written or read through a link, and a fifo does not hang" {
  make_recipe one "" 'echo said; mkdir -p /out/one/opt; date +%N >/out/one/opt/one'
  mkdir -p build/logs victim
  echo precious >victim/file
  ln -s ../../victim/file build/logs/one.log
  kb one
  [ "$(cat victim/file)" = precious ]
  [ ! -L build/logs/one.log ]
  grep -q said build/logs/one.log
  rm build/logs/one.log
  mkfifo build/logs/one.log
  USE_CACHE=no timeout 20 "$KBUILD" --builder=host --cache cache one
  grep -q said build/logs/one.log
  rm -r build/logs
  ln -s ../victim build/logs
  USE_CACHE=no refused "build/logs: it is a link"
  [ "$(ls victim)" = file ]
  # reading: of a target that has no log in the cache
  rm build/logs
  mkdir build/logs
  ln -s ../../victim/file build/logs/other.log
  run kb log other
  [ "$status" -eq 1 ]
  [[ "$output" == *"is a link"* && "$output" != *precious* ]]
  mkfifo build/logs/pipe.log
  run timeout 20 "$KBUILD" --cache cache log pipe
  [ "$status" -eq 1 ]
}

@test "the log of the build that made a result stays, whatever runs after it" {
  make_recipe one "" 'echo first words; mkdir -p /out/one/opt; echo 1 >/out/one/opt/one'
  kb one
  cp recipes/one/build.sh first.sh
  rm -r build
  kb one
  run kb log one
  [ "$status" -eq 0 ]
  [[ "$output" == *"first words"* && "$output" == *"made the result in the cache, on 2"* ]]
  sed -i 's/first/second/' recipes/one/build.sh
  kb one
  run kb log one
  [[ "$output" == *"second words"* ]]
  echo 'echo third words; false' >>recipes/one/build.sh
  run kb one
  [ "$status" -ne 0 ]
  run kb log one
  [ "$status" -eq 0 ]
  [[ "$output" == *"third words"* ]]
  cp first.sh recipes/one/build.sh
  kb one
  run kb log one
  [[ "$output" == *"first words"* ]]
  # gone with the record
  kb cache gc --max-size=0
  [ -z "$(find cache/logs -type f)" ]
}

@test "results of another architecture are not replaced without a word, and {arch} gives each a place" {
  make_recipe one
  kb --arch=x86_64 one
  run kb --arch=s390x one
  [ "$status" -eq 0 ]
  [[ "$output" == *"one of s390x replaces that of x86_64"* && "$output" == *"{arch}"* ]]
  run kb --arch=s390x one
  [[ "$output" != *"replaces"* ]]
  kb -o 'out/{arch}' --arch=x86_64 one
  kb -o 'out/{arch}' --arch=s390x one
  grep -q '^s390x-' out/s390x/one-version
  grep -q '^x86_64-' out/x86_64/one-version
  make_recipe only
  sed -i 's/^architectures.*/architectures: [s390x]/' recipes/only/recipe.yaml
  [ "$(uname -m)" != s390x ] || skip "the other way round here"
  run kb -o 'out/{arch}' only
  [ "$status" -eq 1 ]
  [[ "$output" == *"only is for s390x"* && "$output" == *"--arch=s390x"* ]]
}

@test "what others could have left for --continue is not resumed" {
  mkdir -p recipes/two victim
  cat >recipes/two/recipe.yaml <<'Y'
description: phases
builder: {packages: [bash], tools: [bash]}
phases: {setup: setup.sh, build: build.sh}
Y
  echo 'echo x >/out/two/f' >recipes/two/setup.sh
  echo 'echo y >/out/two/g' >recipes/two/build.sh
  resumed() { # words... : no verb resumes, and each says them
    local words
    for words in "--continue" "--until=build --continue"; do
      # shellcheck disable=SC2086 # words
      run kb two $words
      [ "$status" -eq 1 ] || return 1
      [[ "$output" == *"$1"* ]] || { echo "$output"; return 1; }
    done
    [ -z "$(ls victim)" ]
    [ ! -e build/kata-static-two.tar.xz ]
  }
  kb two --until=setup
  chmod 777 build/two
  resumed "may be written by others"
  chmod 700 build/two
  for name in builddir destdir; do
    mv build/two/$name kept
    ln -s ../../victim build/two/$name
    resumed "build/two/$name is not a real directory"
    rm build/two/$name
    mv kept build/two/$name
  done
  need_root
  for name in . builddir destdir; do
    chown 1234 build/two/$name
    resumed "belongs to user 1234"
    chown 0 build/two/$name
  done
  kb two --continue
}

@test "folders that a run did not finish making are made again" {
  mkdir -p recipes/two
  cat >recipes/two/recipe.yaml <<'Y'
description: phases
builder: {packages: [bash], tools: [bash]}
phases: {setup: setup.sh}
Y
  echo 'echo x >/out/two/f' >recipes/two/setup.sh
  kb two --until=setup
  for name in destdir builddir; do
    sed -i '/"content"/d' build/two/builddir.json
    rm -r build/two/$name
    kb two --until=setup
    [ -e build/two/destdir/two/f ]
  done
}

@test "results do not go into the cache" {
  make_recipe one
  for folder in cache cache/sha256 ./cache/../cache/new; do
    run kb one -o "$folder"
    [ "$status" -eq 1 ]
    [[ "$output" == *"is in the cache"* ]]
  done
  [ ! -e cache/targets ]
  kb cache gc --max-size=0
}

@test "a result that could not be placed is pending, and a merge says so" {
  make_recipe one
  make_recipe two
  make_recipe wide
  mkdir -p build/two-version/in-the-way
  run kb one two wide
  [ "$status" -eq 1 ]
  [[ "$output" == *"two-version"* ]]
  grep -q '^pending .* two ' build/targets
  run kb merge build
  [ "$status" -eq 1 ]
  [[ "$output" == *"two"* ]]
  rm -r build/two-version
  kb one two wide
  kb merge build
}

@test "after make install the cache is the user's own, also root's" {
  make_recipe one
  mkdir -p prefix/bin prefix/share/kbuild home
  cp "$KBUILD" prefix/bin/
  mv recipes versions.yaml prefix/share/kbuild/
  cd home
  HOME=$PWD XDG_CACHE_HOME='' ../prefix/bin/kbuild --builder=host one
  [ -d .cache/kbuild/sha256 ]
  [ ! -e ../prefix/share/kbuild/cache ]
  HOME=$PWD XDG_CACHE_HOME=$PWD/xdg ../prefix/bin/kbuild --builder=host one
  [ -d xdg/kbuild/sha256 ]
}
