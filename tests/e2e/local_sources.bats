#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Somebody's own files in the place of a source: --source, KBUILD_SOURCE, `checkout`; and which
# recipes are chosen where a source cannot be had.
# shellcheck disable=SC2016,SC2030,SC2031 # scripts of recipes; each test has its own PROJECT

load project.bash

setup() {
  unset KBUILD_SOURCE KBUILD_SOURCES
  export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
  make_project
  cat >versions.yaml <<'Y'
externals:
  demo: {url: "file:///nonexistent/demo", version: v1}
Y
  git_here init -q mine
  mkdir -p mine/src/agent mine/src/runtime mine/bin
  echo one >mine/src/agent/main
  echo two >mine/src/runtime/main
  echo 'echo run' >mine/bin/run
  chmod +x mine/bin/run
  ln -s ../bin/run mine/src/link
  echo '*.o' >mine/.gitignore
  git_here -C mine add .
  GIT_COMMITTER_DATE='2024-05-06T07:08:09Z' git_here -C mine commit -qm one
  demo
}

# A recipe that leaves what it finds at /src/demo. $1 name, $2 further lines of the source
demo() {
  make_recipe "${1:-demo}" "sources: {demo: {version: externals.demo, git: \"{url}\", ref: \"{version}\"${2:-}}}" '
mkdir -p "/out/$TARGET_NAME/opt"
cp -a /src/demo "/out/$TARGET_NAME/opt/tree"
find /src/demo -printf "%P %y %m %l %T@\n" | sort >"/out/$TARGET_NAME/opt/list"
echo "$SOURCE_DATE_EPOCH" >"/out/$TARGET_NAME/opt/epoch"'
  sed -i "2i TARGET_NAME=${1:-demo}" "recipes/${1:-demo}/build.sh"
}

listing() {
  content_of "build/kata-static-${1:-demo}.tar.xz" opt/list
}

@test "a work tree is a source as it is: changed and untracked files count, ignored ones do not" {
  kb --source demo=mine demo
  listing >clean
  grep -qx 'bin/run f 755  1714979289.0000000000' clean
  grep -qx 'src/link l 777 ../bin/run 1714979289.0000000000' clean
  grep -qx 'src d 755  1714979289.0000000000' clean
  ! grep -q '\.git ' clean || false
  [ "$(content_of build/kata-static-demo.tar.xz opt/epoch)" = 1714979289 ]
  echo changed >>mine/src/agent/main
  echo new >mine/src/new
  touch mine/x.o
  mkfifo mine/pipe.o
  rm mine/src/runtime/main
  run kb --source demo=mine demo
  [ "$status" -eq 0 ]
  [[ "$output" == *"source demo is $PROJECT/mine, commit $(git -C mine rev-parse HEAD | cut -c1-12) with changes, tree "* ]]
  [[ "$output" == *"made: "*"source demo"* ]]
  listing >dirty
  grep -q '^src/new f 644 ' dirty
  ! grep -q 'x.o\|pipe.o\|src/runtime' dirty || false
  [ "$(content_of build/kata-static-demo.tar.xz opt/tree/src/agent/main | tail -1)" = changed ]
  grep -q "source demo is $PROJECT/mine, commit .* with changes" build/logs/demo.log build/logs/source-demo.log
}

@test "the same files elsewhere are the same source, and a clean work tree is its commit" {
  kb --source demo=mine demo
  git_here clone -q mine other
  touch -d '2001-02-03' other/src/agent/main
  run kb --source demo=other demo
  [[ "$output" == *"0 made, 2 cached"* ]]
  # upstream's commit has the same tree and the same time: only the source is new
  sed -i "s,file:///nonexistent/demo,$PROJECT/mine," versions.yaml
  git_here -C mine tag v1
  run kb demo
  [ "$status" -eq 0 ]
  [[ "$output" == *"made: source demo"* ]]
  [[ "$output" == *"cached: demo"* ]]
  echo more >>other/src/agent/main
  run kb --source demo=other demo
  [[ "$output" == *"2 made"* ]]
  chmod -x other/bin/run
  run kb --source demo=other demo
  [[ "$output" == *"2 made"* ]]
}

@test "a folder without git is taken whole, with a time that does not depend on it" {
  mkdir -p plain/empty plain/inner/.git
  echo x >plain/file
  echo y >plain/file.o
  kb --source demo=plain demo
  listing >list
  grep -qx 'empty d 755  315532800.0000000000' list
  grep -q '^file.o f 644' list
  ! grep -q '\.git' list || false
  mkfifo plain/pipe
  run kb --source demo=plain demo
  [ "$status" -eq 1 ]
  [[ "$output" == *"$PROJECT/plain/pipe is a fifo"*"move it away"* ]]
}

@test "submodules and repositories inside come along, if they are checked out and the recipe wants them" {
  git_here init -q lib
  echo lib >lib/file
  echo 'ignored' >lib/.gitignore
  git_here -C lib add .
  git_here -C lib commit -qm lib
  git_here -C mine submodule -q add ../lib lib
  git_here -C mine commit -qm sub
  echo inner >mine/lib/new
  touch mine/lib/ignored
  kb --source demo=mine demo
  listing >list
  grep -q '^lib/new f' list
  ! grep -q 'ignored \|\.git ' list || false
  demo bare ', submodules: no'
  kb --source demo=mine bare
  listing bare >list
  grep -q '^lib d' list
  ! grep -q '^lib/' list || false
  git_here clone -q mine without
  run kb --source demo=without demo
  [[ "$output" == *"warning"*"the submodule lib of $PROJECT/without is not checked out"* ]]
}

@test "a folder in a work tree is a source of its own" {
  echo '*' >mine/src/runtime/.gitignore
  touch mine/src/runtime/no
  kb --source demo=mine/src demo
  listing >list
  grep -q '^agent/main f' list
  grep -q '^runtime/main f' list
  ! grep -q 'runtime/no\|^bin' list || false
  echo '/out/' >>mine/.gitignore
  mkdir mine/out
  touch mine/out/a.o
  kb --source demo=mine/out demo # ignored as a whole: git has nothing to say there
  listing | grep -q '^a.o f'
}

@test "links are kept and never followed, hostile names lead nowhere" {
  echo secret >outside
  ln -s "$PROJECT/outside" mine/absolute
  rm -r mine/src/agent
  ln -s "$PROJECT" mine/src/agent # git still tracks src/agent/main
  kb --source demo=mine demo
  listing >list
  grep -q "^absolute l 777 $PROJECT/outside " list
  grep -q "^src/agent l 777 $PROJECT " list
  ! grep -q '^src/agent/' list || false
  git_here init -q elsewhere
  git_here -C mine/.git config core.worktree "$PROJECT/elsewhere"
  mkdir nested
  git_here init -q nested
  git_here -C nested commit -q --allow-empty -m x
  git_here clone -q mine/.git nested/inner
  git_here -C nested/inner config core.worktree /etc
  run kb --source demo=nested demo
  [ "$status" -eq 1 ]
  [[ "$output" == *"nested/inner has its files elsewhere: /etc"* ]]
}

@test "what changes while it is copied is no other source than the key says" {
  dd if=/dev/zero of=mine/big bs=1M count=64 status=none
  ( for i in $(seq 400); do echo "$i" >mine/src/agent/main; sleep 0.01; done ) 3>&- &
  writer=$!
  run kb --source demo=mine demo
  kill "$writer" || true
  if [ "$status" -ne 0 ]; then
    [[ "$output" == *"changed"*"nothing writes there"* ]]
  fi
  run kb --source demo=mine demo
  [ "$status" -eq 0 ]
  [ "$(content_of build/kata-static-demo.tar.xz opt/tree/src/agent/main)" = "$(cat mine/src/agent/main)" ]
}

@test "plan, explain, json and provenance say it; no path is published" {
  run kb --source demo=mine plan demo
  [[ "$output" == *"source:demo:"*" $PROJECT/mine, commit "* ]]
  run kb --source demo=mine explain demo
  [[ "$output" == *"# input source:demo:"*" is $PROJECT/mine, commit "* ]]
  echo x >>mine/bin/run
  kb --source demo=mine demo --json 2>/dev/null | grep '"event":"summary"' >summary
  jq -e --arg p "$PROJECT/mine" '.notes[] | select(contains($p) and contains("with changes"))' summary
  kb --source demo=mine plan demo --json 2>/dev/null | jq -se 'any(.[].local; . != null and contains("with changes"))'
  kb --source demo=mine provenance demo
  ! grep -rq "$PROJECT" build/demo-provenance.json build/demo-spdx.json || false
  jq -e --arg c "$(git -C mine rev-parse HEAD)" '.predicate.buildDefinition.resolvedDependencies[] |
    select(.name == "demo: local files of commit " + $c + ", changed") | .digest.kbuildTree' build/demo-provenance.json
}

@test "names that nobody has, folders that are none, and contradictions are refused" {
  demo other
  sed -i 's/sources: {demo:/sources: {second:/' recipes/other/recipe.yaml
  run kb --source dmo=mine demo
  [ "$status" -eq 2 ]
  [[ "$output" == *"no recipe here has a source 'dmo'"*"did you mean demo?"* ]]
  run kb --source second=mine demo
  [ "$status" -eq 2 ]
  [[ "$output" == *"demo has no source 'second'"*"there are: demo"* ]]
  KBUILD_SOURCE="second=$PROJECT/mine demo=$PROJECT/mine" kb demo # a setting for many targets
  KBUILD_SOURCE="nobody=mine" run kb demo
  [ "$status" -eq 2 ]
  [[ "$output" == *"no recipe here has a source 'nobody'"* ]]
  for wrong in demo demo= =mine demo=nowhere demo=versions.yaml; do
    run kb --source "$wrong" demo
    [ "$status" -eq 2 ]
  done
  run kb --source demo=mine --source demo=upstream demo
  [ "$status" -eq 2 ]
  [[ "$output" == *"named twice"* ]]
  run kb --source demo=mine --locked demo
  [ "$status" -eq 2 ]
  [[ "$output" == *"--locked takes only what versions.lock names"* ]]
  git_here init -q --bare bare.git
  run kb --source demo=bare.git demo
  [ "$status" -eq 1 ]
  [[ "$output" == *"bare git repository"*"git worktree add"* ]]
  git_here init -q --object-format=sha256 other-format
  touch other-format/file
  run kb --source demo=other-format demo
  [ "$status" -eq 1 ]
  [[ "$output" == *"reading the git repository of $PROJECT/other-format"*"a copy of the files without .git is taken whole"* ]]
}

@test "what cannot be read is never left out silently" {
  local as=()
  git_here init -q tree
  echo 1 >tree/a
  echo 'ignored/' >tree/.gitignore
  mkdir -p tree/new/closed tree/ignored/closed
  echo 2 >tree/new/closed/b
  if [ "$(id -u)" = 0 ]; then
    as=(setpriv --reuid=65534 --regid=65534 --clear-groups env HOME="$PROJECT")
    chown -R 65534:65534 .
    local above=$PROJECT
    while [ "$above" != / ]; do above=$(dirname "$above"); chmod o+x "$above"; done
  fi
  chmod 000 tree/new/closed tree/ignored/closed
  run "${as[@]}" "$KBUILD" --builder=host --cache cache plan --source demo=tree demo
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"reading $PROJECT/tree/new/closed: Permission denied"* ]]
  chmod 755 tree/new/closed
  "${as[@]}" "$KBUILD" --builder=host --cache cache plan --source demo=tree demo # what is ignored may be closed
  chmod 755 tree/ignored/closed
  # A work tree whose repository is gone: what it ignored is not known.
  mkdir lost
  echo 1 >lost/a
  echo "gitdir: $PROJECT/nowhere" >lost/.git
  run "${as[@]}" "$KBUILD" --builder=host --cache cache plan --source demo=lost demo
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"the repository that $PROJECT/lost/.git names is not there"*"git worktree repair"* ]]
}

@test "folders that kbuild writes to are no sources" {
  kb --source demo=mine demo
  for folder in build cache; do
    run kb --source demo=$folder demo
    [ "$status" -eq 1 ]
    [[ "$output" == *"$PROJECT/$folder is the "*", where kbuild writes"* ]]
  done
}

@test "KBUILD_SOURCE is read, and an option counts more" {
  mkdir plain
  touch plain/only
  KBUILD_SOURCE="demo=$PROJECT/plain" kb demo
  listing | grep -q '^only f'
  KBUILD_SOURCE="demo=$PROJECT/plain" kb --source demo=mine demo
  listing | grep -q '^bin/run f'
}

@test "a folder of KBUILD_SOURCE that does not exist stops only what is made of it" {
  demo other
  sed -i 's/sources: {demo:/sources: {second:/; s/src.demo/src\/second/g' recipes/other/{recipe.yaml,build.sh}
  mkdir tarballs
  export KBUILD_SOURCE="demo=$PROJECT/nowhere second=$PROJECT/mine" cache=$PROJECT/cache
  kb --source demo=mine demo # the option counts
  cp build/kata-static-demo.tar.xz tarballs
  kb other
  kb list
  "$KBUILD" --cache "$cache" cache gc
  "$KBUILD" --cache "$cache" cache info
  kb log demo
  kb versions get externals.demo.url
  "$KBUILD" doctor build || [ $? = 1 ]
  "$KBUILD" merge tarballs
  "$KBUILD" --version
  "$KBUILD" version
  "$KBUILD" help list
  for verb in build plan explain fetch lock; do
    run kb $verb demo
    echo "$output"
    [ "$status" -eq 2 ]
    [[ "$output" == *"source demo: KBUILD_SOURCE: demo=$PROJECT/nowhere: No such file or directory"* ]]
  done
  # What a verb without sources cannot read does not stop it, either.
  KBUILD_SOURCES=nonsense "$KBUILD" --cache "$cache" cache info
  KBUILD_SOURCES=nonsense run kb list
  [ "$status" -eq 1 ]
}

@test "patches of the recipe are applied to a folder, too" {
  cat >recipes/demo/fix.patch <<'P'
--- a/src/agent/main
+++ b/src/agent/main
@@ -1 +1,2 @@
 one
+patched
P
  sed -i 's/ref: "{version}"/&, patches: [fix.patch]/' recipes/demo/recipe.yaml
  kb --source demo=mine demo
  [ "$(content_of build/kata-static-demo.tar.xz opt/tree/src/agent/main | tail -1)" = patched ]
  [ "$(cat mine/src/agent/main)" = one ]
}

@test "a checkout that versions.yaml lies in is the source, said once; what kbuild writes there is not" {
  sed -i 's/ref: "{version}"/&, checkout: [src\/agent, src\/runtime]/' recipes/demo/recipe.yaml
  demo other ', checkout: [src/agent, src/runtime]'
  cp versions.yaml mine/versions.yaml
  git_here -C mine add .
  git_here -C mine commit -qm versions
  cd mine
  PROJECT=$PWD
  run kb --recipes ../recipes --versions versions.yaml demo other
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(grep -c 'kbuild: source demo is the checkout that versions.yaml is in' <<<"$output")" -eq 2 ] # first, and in the summary
  [[ "$output" != *"with changes"* ]]
  echo 'archive file:///x sha256='"$(printf %064d 0)" >versions.lock
  run kb --recipes ../recipes --versions versions.yaml demo other
  [[ "$output" == *"0 made"* ]]
  run kb --recipes ../recipes --versions versions.yaml --source demo=upstream demo
  [ "$status" -eq 1 ]
  [[ "$output" == *nonexistent* ]]
  run kb --recipes ../recipes --versions versions.yaml --locked demo
  [ "$status" -eq 1 ]
  [[ "$output" == *"source demo is not the checkout $PROJECT: --locked takes only"* ]]
}

@test "any and optional take what has its sources, and say so" {
  make_recipe stand-in
  make_recipe extra "sources: {lacking: {version: externals.demo, git: \"{url}\", ref: \"{version}\"}}"
  make_recipe upper "needs: [demo]"
  make_recipe whole "needs: [{any: [upper, stand-in]}, {optional: extra}]" \
    'mkdir -p /out/whole/opt; ls /deps >/out/whole/opt/deps'
  run kb --sources=debian whole
  [ "$status" -eq 0 ]
  [ "$(grep -c 'whole takes stand-in instead of upper: no distribution package has its source demo (--source demo=upstream, or --source demo=DIR)' <<<"$output")" -eq 2 ]
  [[ "$output" == *"whole is made without extra: no distribution package has its source lacking"* ]]
  [ "$(content_of build/kata-static-whole.tar.xz opt/deps)" = stand-in ]
  run kb --sources=debian plan whole
  [[ "$output" == *"whole takes stand-in instead of upper"* ]]
  [[ "$output" != *"artifact  upper"* ]]
  run kb --sources=debian list
  [[ "$output" == *"upper "*"[no source demo]"* ]]
  [[ "$output" != *"whole "*"[no source"* ]]
  run kb list
  [[ "$output" != *"[no source"* ]]
  run kb --sources=debian --source demo=mine whole
  [ "$status" -eq 0 ]
  [[ "$output" != *"instead of"* ]]
  [ "$(content_of build/kata-static-whole.tar.xz opt/deps)" = upper ]
  run kb --sources=debian demo
  [ "$status" -eq 1 ]
  [[ "$output" == *"--source demo=upstream"* ]]
  run kb --sources=debian upper
  [ "$status" -eq 1 ]
  [[ "$output" == *"--source demo=upstream"* ]]
}

@test "one source from upstream among the distribution's, and its companions follow it" {
  sed -i "s,file:///nonexistent/demo,$PROJECT/mine," versions.yaml
  git_here -C mine tag v1
  make_recipe demo "sources:
  demo: {version: externals.demo, git: \"{url}\", ref: \"{version}\", debian: {source: hello}}
  beside: {version: externals.demo, git: \"{url}\", ref: \"{version}\", when: upstream}
  packaged: {debian: {source: hello}, when: debian}" 'mkdir -p /out/demo/opt; ls /src >/out/demo/opt/src'
  kb --sources=debian --source demo=upstream demo
  [ "$(content_of build/kata-static-demo.tar.xz opt/src | tr '\n' ' ')" = "beside demo " ]
  kb --sources=debian --source demo=mine demo
  [ "$(content_of build/kata-static-demo.tar.xz opt/src | tr '\n' ' ')" = "beside demo " ]
}

@test "a folder stands for a list, too: its script does not run" {
  make_recipe listing "sources: {parts: {list: list.sh}}" 'mkdir -p /out/listing/opt; ls /src/parts >/out/listing/opt/parts'
  echo 'exit 1' >recipes/listing/list.sh
  mkdir parts
  touch parts/one
  kb --source parts=parts listing
  [ "$(content_of build/kata-static-listing.tar.xz opt/parts)" = one ]
}

@test "merge expects what a build with the same switches makes" {
  make_recipe here
  mkdir -p recipes/everything
  printf 'description: all\naction: group\nmembers: [here, {optional: demo}]\n' >recipes/everything/recipe.yaml
  kb --sources=debian everything
  "$KBUILD" --cache cache merge build --target=everything --sources=debian --output=one.tar.xz
  KBUILD_SOURCES=debian "$KBUILD" --cache cache merge build --target=everything --output=two.tar.xz
  cmp one.tar.xz two.tar.xz
  run "$KBUILD" --cache cache merge build --target=everything --output=three.tar.xz
  [ "$status" -eq 1 ]
  [[ "$output" == *demo* ]]
  run "$KBUILD" --cache cache merge build --source demo=mine --output=three.tar.xz
  [ "$status" -eq 2 ]
}

@test "the files are not pushed to a shared cache, what is made of them is; verify makes it again" {
  load shared_cache
  start_registry
  echo changed >>mine/src/agent/main
  PUSH_TO_REGISTRY=yes kb --source demo=mine demo
  curl -sf "http://127.0.0.1:$PORT/v2/_catalog" >catalog
  stop_registry
  unset ARTEFACT_REGISTRY
  grep -q demo catalog
  ! grep -q source catalog || false
  run kb --source demo=mine verify demo
  echo "$output"
  [ "$status" -eq 0 ]
}

@test "a kernel's patches follow its version in versions.yaml, also for a folder" {
  printf 'assets: {demo: {url: x, version: v6.7}}\n' >>versions.yaml
  mkdir -p recipes/demo/patches/6
  printf -- '--- a/src/agent/main\n+++ b/src/agent/main\n@@ -1 +1,2 @@\n one\n+six\n' >recipes/demo/patches/6/a.patch
  sed -i 's,version: externals.demo,version: assets.demo,; s,ref: "{version}",&\, patches: ["patches/{series}/*.patch"],' \
    recipes/demo/recipe.yaml
  kb --source demo=mine demo
  [ "$(content_of build/kata-static-demo.tar.xz opt/tree/src/agent/main | tail -1)" = six ]
}

# What `plan` says of the folder $1: "clean" or "changed".
state_of() {
  kb --source demo="$1" plan demo >plan.log 2>&1 || { cat plan.log; return 1; }
  grep -q "source:demo:.*$PROJECT/$1, commit " plan.log
  if grep -q 'with changes' plan.log; then echo changed; else echo clean; fi
}

@test "whether there are changes is what differs from the commit, not what git was told to overlook" {
  local git="git_here -C mine"
  [ "$(state_of mine)" = clean ]
  for flag in assume-unchanged skip-worktree; do
    $git update-index --$flag src/agent/main
    [ "$(state_of mine)" = clean ]
    echo other >mine/src/agent/main
    [ -z "$($git status --porcelain)" ]
    [ "$(state_of mine)" = changed ]
    echo one >mine/src/agent/main
    $git update-index --no-$flag src/agent/main
  done
  $git config core.fileMode false
  chmod +x mine/src/agent/main
  [ -z "$($git status --porcelain)" ]
  [ "$(state_of mine)" = changed ]
  chmod -x mine/src/agent/main
  # The commit has other line ends than the work tree.
  echo 'src/agent/main text eol=crlf' >mine/.git/info/attributes
  rm mine/src/agent/main
  $git checkout -q src/agent/main
  [ -z "$($git status --porcelain)" ]
  [ "$(state_of mine)" = changed ]
  rm mine/.git/info/attributes
  echo one >mine/src/agent/main
  # A file for a link, with the link's target in it (core.symlinks=false); one that is gone; a new one
  rm mine/src/link
  printf ../bin/run >mine/src/link
  $git config core.symlinks false
  [ "$(state_of mine)" = changed ]
  rm mine/src/link
  [ "$(state_of mine)" = changed ]
  ln -s ../bin/run mine/src/link
  $git config core.symlinks true
  touch mine/new
  [ "$(state_of mine)" = changed ]
  [ "$(state_of mine/src)" = clean ]
  rm mine/new
  # What only the index has is not built.
  echo staged >mine/src/agent/main
  $git add .
  echo one >mine/src/agent/main
  [ "$(state_of mine)" = clean ]
  $git rm -qf --cached src/agent/main
  [ "$(state_of mine)" = clean ]
}

@test "a submodule that is not checked out, or at another commit, is a change" {
  git_here init -q lib
  echo lib >lib/file
  git_here -C lib add .
  git_here -C lib commit -qm lib
  git_here -C mine submodule -q add ../lib lib
  git_here -C mine commit -qm sub
  [ "$(state_of mine)" = clean ]
  echo more >>mine/lib/file
  [ "$(state_of mine)" = changed ]
  git_here -C mine/lib commit -qam more
  [ "$(state_of mine)" = changed ]
  git_here -C mine submodule -q update
  [ "$(state_of mine)" = clean ]
  git_here clone -q mine without
  [ "$(state_of without)" = changed ]
  rmdir without/lib
  [ "$(state_of without)" = changed ]
  # Upstream's export leaves this one out, too.
  git_here -C without config -f .gitmodules submodule.lib.update none
  git_here -C without commit -qam none
  mkdir without/lib
  [ "$(state_of without)" = clean ]
  ! grep -q 'not checked out' plan.log || false
  # A recipe without submodules has an empty folder there, in every case.
  demo demo ', submodules: no'
  [ "$(state_of mine)" = clean ]
  git_here clone -q mine again
  [ "$(state_of again)" = clean ]
}

# The files that were taken of mine are those that git names.
same_as_git() {
  kb --source demo=mine demo
  listing | grep -v '^[^ ]* d ' | sed 's/ [fl] [0-9]* .*//' | sort >taken
  { git_here -C mine ls-files; git_here -C mine ls-files --others --exclude-standard; } | sort | diff taken -
}

@test "git says what it ignores: a negation in another file counts, and odd patterns" {
  mkdir -p mine/a/b
  printf '%s\n' '!x.o' '!b/y.o' >mine/a/.gitignore
  printf '%s\n' '*.o' '!kept' 'd**/x.z' $'blank \t' >mine/.gitignore
  git_here -C mine add .
  git_here -C mine commit -qm rules
  echo /kept >mine/.git/info/exclude
  mkdir -p mine/d/e
  touch mine/a/{x.o,w.o} mine/a/b/y.o mine/kept mine/blank mine/d/{x.z,e/x.z}
  same_as_git
  for file in a/x.o a/b/y.o kept; do grep -qx "$file" taken; done
  ! grep -q 'w.o' taken || false
  [ "$(state_of mine)" = changed ]
  touch mine/more.o
  for pattern in '**/' '//' '/' '**' 'a/**/' '['; do
    printf '%s\n' "$pattern" >mine/.gitignore
    same_as_git
  done
  # Where there is no git, libgit2 answers, and that is said.
  mkdir programs
  local folder
  for folder in ${PATH//:/ }; do find "$folder" -maxdepth 1 ! -name git -exec ln -sf -t programs {} + 2>/dev/null || true; done
  rm -f programs/git
  git_here -C mine checkout -q .gitignore
  PATH=$PROJECT/programs run kb --source demo=mine plan demo
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"warning"*"git is not installed: libgit2 decides what $PROJECT/mine ignores"* ]]
}

@test "asking git runs nothing that the repository's configuration names, and writes nothing" {
  printf '#!/bin/sh\necho "$0 $*" >>%s/ran\nexit 1\n' "$PROJECT" >evil
  chmod +x evil
  mkdir hooks
  cp evil hooks/post-index-change
  echo '*.tmp' >mine/a.gitignore
  mkdir mine/a
  echo '*.tmp' >mine/a/.gitignore
  git_here -C mine add .
  git_here -C mine commit -qm rules
  # A partial clone whose rules have to be fetched: from a server that a program reaches.
  git_here -C mine update-index --skip-worktree a/.gitignore
  blob=$(git -C mine rev-parse HEAD:a/.gitignore)
  rm -f mine/a/.gitignore mine/a.gitignore "mine/.git/objects/${blob:0:2}/${blob:2}"
  touch mine/a/new
  local url
  for url in ssh://nobody@localhost/x "ext::$PROJECT/evil %S"; do
    cat >mine/.git/config <<C
[core]
	repositoryformatversion = 0
	bare = false
	fsmonitor = $PROJECT/evil
	sshCommand = $PROJECT/evil
	hooksPath = $PROJECT/hooks
	pager = $PROJECT/evil
	untrackedCache = true
[pager]
	ls-files = $PROJECT/evil
[alias]
	ls-files = !$PROJECT/evil
[protocol]
	allow = always
[protocol "ext"]
	allow = always
[remote "origin"]
	url = $url
	promisor = true
	partialclonefilter = blob:none
[filter "x"]
	clean = $PROJECT/evil
	process = $PROJECT/evil
[credential]
	helper = $PROJECT/evil
[include]
	path = $PROJECT/more.config
C
    printf '[core]\n\tfsmonitor = %s/evil\n' "$PROJECT" >more.config
    echo '* filter=x' >mine/.git/info/attributes
    find mine -printf '%p %T@ %s\n' | sort >before
    kb --source demo=mine plan demo || true
    [ ! -e ran ]
    find mine -printf '%p %T@ %s\n' | sort | diff before -
    git -C mine ls-files --others --exclude-standard || true # the traps work
    [ -e ran ]
    rm ran
    git -C mine -c core.fsmonitor= ls-files --others --exclude-standard || true
    [ -e ran ]
    rm ran
  done
  # Nor do variables of the user move the question elsewhere.
  git_here init -q fresh
  touch fresh/file
  GIT_DIR=$PROJECT/mine/.git GIT_WORK_TREE=/ GIT_INDEX_FILE=/nonexistent kb --source demo=fresh demo
  listing | grep -q '^file f'
}

@test "a damaged repository is no folder without git" {
  echo 'secret.key' >mine/.gitignore
  echo secret >mine/secret.key
  refuse() {
    run kb --source demo="$1" plan demo
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"$2"*"a copy of the files without .git is taken whole"* ]]
  }
  local no="/.git is no usable git repository: what is ignored in"
  cp -r mine kept
  rm mine/.git/HEAD
  refuse mine "$PROJECT/mine$no"
  refuse mine/src "$PROJECT/mine$no"
  rm -rf mine/.git # its objects may only be read: an ordinary user cannot copy over them
  cp -r kept/.git mine/.git
  rm -rf mine/.git/refs mine/.git/packed-refs
  refuse mine "$PROJECT/mine$no"
  rm -rf mine/.git
  mkdir mine/.git
  refuse mine "$PROJECT/mine$no"
  rmdir mine/.git
  ln -s nowhere mine/.git
  refuse mine "$PROJECT/mine$no"
  rm mine/.git
  echo rubbish >mine/.git
  refuse mine "reading the git repository of $PROJECT/mine"
  rm mine/.git
  cp -r kept/.git mine/.git
  echo rubbish >mine/.git/refs/heads/main
  run kb --source demo=mine plan demo
  [ "$status" -eq 1 ]
  [[ "$output" == *"reading the commit that is checked out in $PROJECT/mine"* ]]
  rm -r mine/.git
  echo rubbish >mine/.git
  # Inside another repository, whose rules are not meant for it.
  git_here init -q outer
  mv mine outer/mine
  rm outer/mine/.git
  cp -r kept/.git outer/mine/.git
  rm outer/mine/.git/HEAD
  refuse outer/mine "$PROJECT/outer/mine$no"
  refuse outer/mine/src "$PROJECT/outer/mine$no"
  refuse outer "$PROJECT/outer/mine$no"
  mv outer/mine/.git saved
  kb --source demo=outer/mine demo
  ! listing | grep -q secret || false
}

@test "a .git inside that is no repository is named; an index that libgit2 cannot read, too" {
  mkdir -p mine/gar/.git mine/ignored/.git
  touch mine/gar/file mine/ignored/x.o # nothing of the second one is taken
  run kb --source demo=mine plan demo
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"$PROJECT/mine/gar/.git is no usable git repository"*"move it away"* ]]
  rmdir mine/gar/.git
  echo "gitdir: /nowhere" >mine/src/.git
  run kb --source demo=mine plan demo
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"the repository that $PROJECT/mine/src/.git names is not there"*"move it away"* ]]
  rm mine/src/.git
  # Files that the repository around it tracks, of a folder that became a repository later
  git_here init -q mine/src/agent
  [ "$(state_of mine)" = changed ] # for gar/file
  rm -r mine/gar mine/src/agent/.git
  [ "$(state_of mine)" = clean ]
  git_here -C mine update-index --split-index
  run kb --source demo=mine plan demo
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"git update-index --no-split-index"* ]]
}

@test "provenance names the commit of this run, though the files come from the cache" {
  local dates=(env GIT_AUTHOR_DATE=2024-05-06T07:08:09Z GIT_COMMITTER_DATE=2024-05-06T07:08:09Z)
  says() {
    kb --source demo="$1" demo >said 2>&1
    kb --source demo="$1" provenance demo
    jq -r '.predicate.buildDefinition.resolvedDependencies[].name' build/demo-provenance.json | grep -Fx "demo: local files$2"
    grep -q "$3" build/demo-spdx.json
  }
  echo changed >mine/src/agent/main
  says mine " of commit $(git -C mine rev-parse HEAD), changed" "$(git -C mine rev-parse HEAD)-dirty"
  "${dates[@]}" git -c user.name=Test -c user.email=test@localhost -C mine commit -qam two
  says mine " of commit $(git -C mine rev-parse HEAD)" "$(git -C mine rev-parse HEAD)"
  ! grep -q '2 made' said || false
  ! grep -q 'dirty' build/demo-spdx.json || false
  "${dates[@]}" git -c user.name=Test -c user.email=test@localhost -C mine commit -q --amend -m three
  says mine " of commit $(git -C mine rev-parse HEAD)" "$(git -C mine rev-parse HEAD)"
  grep -q '2 cached' said
}
