#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What is pinned, where, and what is not: nothing that could not be used, nothing by who only looks.

load project
load servers

setup_file() {
  export SITE="$BATS_FILE_TMPDIR/site"
  mkdir -p "$SITE/tree/demo-1.0/sub"
  echo hello >"$SITE/tree/demo-1.0/sub/file"
  start_server PORT http_server.py "$SITE"
  export PORT
}

teardown_file() {
  stop_servers
}

setup() {
  PROJECT=$(mktemp -d "$BATS_TEST_TMPDIR/project.XXXXXX")
  export HOME="$PROJECT/home" GIT_CONFIG_NOSYSTEM=1
  unset XDG_STATE_HOME
  mkdir -p "$PROJECT/recipes" "$HOME"
  cd "$PROJECT" || return 1
}

# A target "demo" whose source is this url below the server; further keys of the source.
archive_source() {
  printf 'externals:\n  demo:\n    url: "%s"\n    version: v1\n' "${1/#\//http://127.0.0.1:$PORT/}" >versions.yaml
  make_recipe demo "sources:
  demo: {version: externals.demo, archive: \"{url}\"${2:-}}"
}

git_source() { # URL [VERSION]
  printf 'externals:\n  demo:\n    url: "%s"\n    version: "%s"\n' "$1" "${2:-main}" >versions.yaml
  make_recipe demo 'sources:
  demo: {version: externals.demo, git: "{url}", ref: "{version}"}'
}

good_archive() { # NAME
  tar -C "$SITE/tree" -czf "$SITE/$1" demo-1.0
}

# kbuild's own user is root in the tests, for whom every folder can be written.
as_user() {
  if [ "$(id -u)" -eq 0 ]; then setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; else "$@"; fi
}

says() { # WORD...: $output has all of them
  local word
  for word in "$@"; do [[ "$output" == *"$word"* ]] || { echo "$output"; echo "does not say: $word"; return 1; }; done
}

# What is an archive, and cannot be unpacked for what is in it.
odd_archive() { # KIND FILE
  python3 - "$1" "$2" <<'X'
import gzip, io, sys, tarfile
def member(name, **more):
    info = tarfile.TarInfo(name)
    for key, value in more.items():
        setattr(info, key, value)
    return info
if sys.argv[1] == "bomb":  # 600 MiB in less than 3
    with gzip.open(sys.argv[2], "wb", 1) as out:
        info = member("demo/zeros", size=600 << 20)
        out.write(info.tobuf())
        for _ in range(600):
            out.write(bytes(1 << 20))
else:
    info = {"link": member("demo/a", type=tarfile.LNKTYPE, linkname="demo/none"), "name": member("demo/" + "a" * 300)}[sys.argv[1]]
    with tarfile.open(sys.argv[2], "w:gz") as out:
        out.addfile(info)
X
}

no_pin() {
  [ ! -e versions.lock ] || [ "$(grep -vc '^#' versions.lock)" -eq 0 ]
}

@test "an answer that is no archive is neither pinned nor kept, and the server is asked again" {
  local kind
  for kind in page json empty holes bomb link name; do
    case $kind in
      page) echo '<html>please log in</html>' >"$SITE/x.tar.gz" ;;
      json) echo '{"error": 1}' >"$SITE/x.tar.gz" ;;
      empty) : >"$SITE/x.tar.gz" ;;
      holes) tar -czf "$SITE/x.tar.gz" -T /dev/null ;;
      *) odd_archive $kind "$SITE/x.tar.gz" ;;
    esac
    archive_source /plain/x.tar.gz
    run kb fetch demo
    [ "$status" -eq 1 ]
    says "x.tar.gz" "the download was discarded"
    no_pin
    [ -z "$(find cache/sha256 cache/tmp -type f)" ]
    good_archive x.tar.gz
    kb fetch demo
    grep -q '^archive .*x.tar.gz sha256=' versions.lock
    rm -rf cache versions.lock
  done
}

@test "a digest of a sums file that turns out wrong is not kept; one that was pinned names its line" {
  good_archive y.tar.gz
  (cd "$SITE" && echo "$(printf 0%.0s $(seq 64))  y.tar.gz" >sums)
  archive_source /plain/y.tar.gz ", sums: \"http://127.0.0.1:$PORT/plain/sums\""
  run kb fetch demo
  [ "$status" -eq 1 ]
  says "y.tar.gz has the SHA-256"
  no_pin
  (cd "$SITE" && sha256sum y.tar.gz >sums)
  kb fetch demo
  sed -i 's/sha256=......../sha256=00000000/' versions.lock
  rm -rf cache
  run kb fetch demo
  [ "$status" -eq 1 ]
  says "line $(grep -n '^archive' versions.lock | cut -d: -f1) of" versions.lock
}

@test "an archive that was pinned and cannot be unpacked names the line that pins it" {
  echo rubbish >"$SITE/z.tar.gz"
  archive_source /plain/z.tar.gz
  printf '# mine\n\narchive http://127.0.0.1:%s/plain/z.tar.gz sha256=%s\r\n' "$PORT" \
    "$(sha256sum "$SITE/z.tar.gz" | cut -c1-64)" >versions.lock
  run kb fetch demo
  [ "$status" -eq 1 ]
  says "line 3 of" versions.lock
}

@test "a git tree that cannot be written is not pinned" {
  git_here init -q up
  local blob tree commit
  blob=$(echo x | git -C up hash-object -w --stdin)
  tree=$(printf '100644 blob %s\ta\n100644 blob %s\ta\n' "$blob" "$blob" | git -C up mktree)
  commit=$(git_here -C up commit-tree -m x "$tree")
  git -C up tag v1 "$commit"
  git_source "$PROJECT/up" v1
  run kb fetch demo
  [ "$status" -eq 1 ]
  says "File exists"
  no_pin
}

@test "an answer that is not the file, or a file that is none, is said to be that" {
  archive_source /status/302
  run kb fetch demo
  [ "$status" -eq 1 ]
  says "status 302"
  no_pin
  [ -z "$(find cache/tmp -type f)" ]
  local path
  mkfifo pipe
  for path in "$PROJECT" /dev/zero "$PROJECT/pipe"; do
    archive_source "file://$path"
    run timeout 20 "$KBUILD" --builder=host --cache "$PROJECT/cache" fetch demo
    [ "$status" -eq 1 ]
    says "is not a regular file"
    [[ "$output" != *proxy* ]]
  done
}

@test "a url of which nobody can tell where its login ends is refused, and kept nowhere" {
  local url
  for url in "http:/me:TESTsecret@127.0.0.1:$PORT/plain/x.tar.gz" "me:TESTsecret@127.0.0.1:$PORT/plain/x.tar.gz" \
    "http://me:TESTsecret/7@127.0.0.1:$PORT/plain/x.tar.gz" "http:///me:TESTsecret@127.0.0.1:$PORT/x"; do
    good_archive x.tar.gz
    for kind in archive git; do
      "${kind}_source" "$url"
      run kb fetch demo
      [ "$status" -eq 1 ]
      says "none that kbuild reads" "%2F"
      [[ "$output" != *TESTsecret* ]]
      run kb plan demo
      [[ "$output" != *TESTsecret* ]]
      no_pin
      refute grep -rq TESTsecret cache
    done
  done
}

@test "a sha256 in versions.yaml that says nothing is an error" {
  good_archive w.tar.gz
  archive_source /plain/w.tar.gz
  echo "    sha256:" >>versions.yaml
  run kb fetch demo
  [ "$status" -eq 1 ]
  says "sha256 must be a text"
  no_pin
}

@test "a digest of versions.yaml that is wrong can be corrected there" {
  good_archive w.tar.gz
  archive_source /plain/w.tar.gz
  cp versions.yaml right.yaml
  echo "    sha256: \"$(printf 1%.0s $(seq 64))\"" >>versions.yaml
  run kb fetch demo
  [ "$status" -eq 1 ]
  no_pin
  echo "    sha256: \"$(sha256sum "$SITE/w.tar.gz" | cut -c1-64)\"" | cat right.yaml - >versions.yaml
  kb fetch demo
}

@test "plan and explain write no lock, also where the cache could answer" {
  git_here init -q -b main up
  echo hello >up/file
  git_here -C up add .
  git_here -C up commit -qm one
  git_source "$PROJECT/up"
  kb plan demo
  [ ! -e versions.lock ]
  kb fetch demo
  rm versions.lock
  kb plan demo
  kb explain demo
  [ ! -e versions.lock ]
}

@test "where versions.yaml cannot be written, the user's own lock is used, on top of the one beside it" {
  good_archive v.tar.gz
  archive_source /plain/v.tar.gz
  chmod 755 . recipes "$BATS_TEST_TMPDIR" "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR"/* 2>/dev/null || true
  mkdir -p "$PROJECT/state" "$PROJECT/mine"
  chown 65534:65534 "$PROJECT/state" "$PROJECT/mine" 2>/dev/null || skip "chown is not possible"
  chmod -w . recipes
  as_user test -r "$KBUILD" || skip "an ordinary user cannot read this checkout"
  export XDG_STATE_HOME="$PROJECT/state"
  run as_user "$KBUILD" --builder=host --cache "$PROJECT/mine/cache" -o "$PROJECT/mine/build" fetch demo
  [ "$status" -eq 0 ]
  says "cannot be written" "$PROJECT/state/kbuild/locks/"
  grep -q '^archive .*v.tar.gz' state/kbuild/locks/versions-*.lock
  run as_user "$KBUILD" --builder=host --cache "$PROJECT/mine/cache" -o "$PROJECT/mine/build" --locked fetch demo
  [ "$status" -eq 0 ]
  [[ "$output" != *"cannot be written"* ]]
  # what is beside it counts as well
  rm -rf state/kbuild mine/cache
  echo "archive http://127.0.0.1:$PORT/plain/v.tar.gz sha256=$(printf 2%.0s $(seq 64))" >versions.lock
  run as_user "$KBUILD" --builder=host --cache "$PROJECT/mine/cache" -o "$PROJECT/mine/build" --locked fetch demo
  [ "$status" -eq 1 ]
  says "$(printf 2%.0s $(seq 64))"
}

@test "a lock that is a link stays one, and lines that end in CR LF are read" {
  good_archive u.tar.gz
  good_archive t.tar.gz
  archive_source /plain/u.tar.gz
  mkdir elsewhere
  ln -s elsewhere/real.lock versions.lock
  kb fetch demo
  [ -L versions.lock ]
  grep -q u.tar.gz elsewhere/real.lock
  sed -i '1s/^/\xef\xbb\xbf/; s/$/\r/' elsewhere/real.lock # and what Windows puts in front
  kb --locked fetch demo
  archive_source /plain/t.tar.gz
  kb fetch demo
  [ -L versions.lock ]
  [ "$(grep -c '^archive' elsewhere/real.lock)" -eq 2 ]
  refute grep -q $'\r' elsewhere/real.lock
}

@test "two kbuilds at once lose no line of the lock" {
  local n pids=()
  for n in 1 2 3 4 5 6; do
    good_archive "p$n.tar.gz"
    archive_source "/plain/p$n.tar.gz"
    sed "s/externals.demo/externals.demo$n/" recipes/demo/recipe.yaml >recipe.new
    mkdir -p "recipes/demo$n"
    cp recipes/demo/build.sh "recipes/demo$n/"
    mv recipe.new "recipes/demo$n/recipe.yaml"
  done
  echo externals: >versions.yaml
  for n in 1 2 3 4 5 6; do
    printf '  demo%s: {url: "http://127.0.0.1:%s/plain/p%s.tar.gz", version: v1}\n' $n "$PORT" $n >>versions.yaml
  done
  for n in 1 2 3 4 5 6; do
    kb_exec -q fetch "demo$n" 3>&- &
    pids+=($!)
  done
  for n in "${pids[@]}"; do wait "$n"; done
  [ "$(grep -c '^archive' versions.lock)" -eq 6 ]
}

@test "local changes of a source that is a folder are said" {
  git_here init -q -b main up
  echo hello >up/file
  git_here -C up add .
  git_here -C up commit -qm one
  git_source "$PROJECT/up"
  run kb fetch demo
  [ "$status" -eq 0 ]
  [[ "$output" != *warning* ]]
  echo changed >>up/file
  run kb fetch demo
  says "warning" "$PROJECT/up" "not committed"
  git_here -C up commit -qam two
  run kb fetch demo
  says "warning" "the branch main of $PROJECT/up is at $(git -C up rev-parse main | cut -c1-12)" versions.lock
  [[ "$output" != *"not committed"* ]]
  # a tag that was moved there
  git_here -C up tag v1
  git_source "$PROJECT/up" v1
  kb fetch demo
  git_here -C up commit -q --allow-empty -m three
  git_here -C up tag -f v1
  run kb fetch demo
  says "warning" "the tag v1 of $PROJECT/up is at $(git -C up rev-parse main | cut -c1-12)" versions.lock
}

@test "a version without the v of its tag is found, and a url of the series before is corrected" {
  git_here init -q -b main up
  echo hello >up/file
  git_here -C up add .
  git_here -C up commit -qm one
  git_here -C up tag v5.0.0
  git_source "$PROJECT/up" 5.0.0
  kb fetch demo
  grep -q "^git $PROJECT/up 5.0.0 commit=$(git -C up rev-parse v5.0.0)" versions.lock
  rm versions.lock
  kb --offline fetch demo
  printf 'assets: {kernel: {url: "file://%s/v4.x/", version: v5.4.60}}\n' "$PROJECT" >versions.yaml
  mkdir -p v5.x
  good_archive k.tar.gz
  cp "$SITE/k.tar.gz" v5.x/linux-5.4.60.tar.gz
  make_recipe demo 'sources:
  linux: {version: assets.kernel, archive: "{url}linux-{number}.tar.gz", replace: {"/v4.x/": "/v{series}.x/"}}'
  kb fetch demo
  grep -q "v5.x/linux-5.4.60.tar.gz" versions.lock
  sed -i 's/v4.x/v5.x/' versions.yaml
  kb --locked fetch demo
}

@test "folders without an entry of their own have a fixed time" {
  mkdir -p tree/top/a/b
  echo one >tree/top/a/b/file
  touch -d @1500000000 tree/top/a/b/file
  tar -C tree -czf "$SITE/f.tar.gz" top/a/b/file
  archive_source /plain/f.tar.gz
  make_recipe demo 'sources:
  demo: {version: externals.demo, archive: "{url}"}' 'mkdir -p /out/demo
find /src/demo -printf "%P %T@\n" | sort >/out/demo/times'
  kb demo
  [ "$(content_of build/kata-static-demo.tar.xz times | cut -d' ' -f2 | sort -u)" = 1500000000.0000000000 ]
}

@test "files for one architecture are in no other's key, and its step does not see them" {
  echo 'externals: {}' >versions.yaml
  make_recipe demo 'shared: [common]
only:
  x86_64: [only-x86, shared/common/configs/x86]
  s390x: [only-s390, shared/common/configs/s390]' 'mkdir -p /out/demo
(cd /recipe && find . | sort; cd /shared/common && find . | sort) >/out/demo/seen'
  mkdir -p recipes/common/configs/{x86,s390,all}
  touch recipes/demo/only-{x86,s390} recipes/common/configs/{x86,s390,all}/options
  kb explain demo --arch=x86_64 >before
  kb explain demo --arch=s390x >before.s390x
  echo changed | tee recipes/demo/only-s390 >recipes/common/configs/s390/options
  kb explain demo --arch=x86_64 | diff before -
  refute diff -q before.s390x <(kb explain demo --arch=s390x)
  kb demo
  local other=s390
  [ "$(uname -m)" = x86_64 ] || other=x86
  content_of build/kata-static-demo.tar.xz seen >what-it-saw
  grep -q configs/all/options what-it-saw
  refute grep -q "$other" what-it-saw
  sed -i 's/only-x86,/only-x87,/' recipes/demo/recipe.yaml
  run kb plan demo
  [ "$status" -eq 1 ]
  says "recipe.yaml:" only-x87 "did you mean"
}

@test "list shows every recipe but the broken ones, which it names, and fails" {
  echo 'externals: {}' >versions.yaml
  make_recipe good
  make_recipe other
  make_recipe broken 'nonsense: 1'
  make_recipe broken-too 'nonsense: 1'
  run kb list
  [ "$status" -eq 1 ]
  says "test good" "test other" "broken/recipe.yaml:" "broken-too/recipe.yaml:"
}
