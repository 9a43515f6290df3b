#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Sources that are lists: a script over a tree prints what to fetch. Files come from a server on loopback,
# trees from its git; steps run with the host's tools.

load project
load servers

setup_file() {
  SERVED=$(mktemp -d "$BATS_FILE_TMPDIR/served.XXXXXX")
  export SERVED
  start_server PORT http_server.py "$SERVED"
  export PORT
}

teardown() {
  [ -z "${REGISTRY_PID:-}" ] || kill "$REGISTRY_PID" 2>/dev/null || true
}

teardown_file() {
  stop_servers
}

setup() {
  make_project
  SITE=http://127.0.0.1:$PORT
  rm -rf "${SERVED:?}"/*
  git_here init -q "$SERVED/lib"
  echo lib >"$SERVED/lib/lib.c"
  git_here -C "$SERVED/lib" add .
  git_here -C "$SERVED/lib" commit -q -m lib
  COMMIT=$(git -C "$SERVED/lib" rev-parse HEAD)
  git_here init -q "$SERVED/tree"
  : >"$SERVED/tree/names"
  for name in a b c; do
    echo "content of $name" >"$SERVED/$name"
    echo "$name $(sum_of "$name")" >>"$SERVED/tree/names"
  done
  git_here -C "$SERVED/tree" add .
  git_here -C "$SERVED/tree" commit -q -m tree
  printf 'externals:\n  tree:\n    url: "%s/git/tree"\n    version: main\n' "$SITE" >versions.yaml
  mkdir -p recipes/common
  # The list of a tree: a line for each of its names, and a commit.
  cat >recipes/common/list.sh <<X
set -eu
while read -r name sum; do
  echo "archive $SITE/plain/\$name sha256=\$sum purl=pkg:generic/\$name@1 files/\$name"
done </src/tree/names
echo "git $SITE/git/lib commit=$COMMIT lib"
X
  list_recipe one
}

# A recipe with the list of the tree, whose script leaves what it sees there.
list_recipe() { # name [further keys of the list]
  make_recipe "$1" "shared: [common]
sources:
  tree: {version: externals.tree, git: \"{url}\", ref: \"{version}\"}
  things: {list: shared/common/list.sh, of: tree${2:+, $2}}" "mkdir -p /out/$1
cd /src/things && find . -type f ! -name out | LC_ALL=C sort | xargs sha256sum >/out/$1/seen
find . -printf '%P %T@\n' | LC_ALL=C sort >/out/$1/times"
}

# kbuild with another cache, as on another machine.
elsewhere() { # cache, words...
  "$KBUILD" --builder=host --cache "$PROJECT/$1" "${@:2}"
}

sum_of() { # name of a served file
  sha256sum "$SERVED/$1" | cut -d ' ' -f 1
}

# How often the server was asked for a path since $MARK (a number of lines).
asked() { # pattern
  curl -s "$SITE/log" | tail -n "+$((${MARK:-0} + 1))" | grep -c "$1" || true
}
mark() {
  MARK=$(curl -s "$SITE/log" | wc -l)
}

# The script prints just this.
list_prints() {
  printf 'cat <<"END"\n%s\nEND\n' "$1" >recipes/common/list.sh
}

refused_with() { # text... : the run fails, says each of them, and leaves no file
  run kb one
  echo "$output"
  [ "$status" -ne 0 ]
  for text in "$@"; do
    [[ "$output" == *"$text"* ]]
  done
}

@test "files and trees of a list are at /src, and each is named in versions.lock, provenance and SBOM where it belongs" {
  mark
  kb one
  content_of build/kata-static-one.tar.xz seen >seen
  [ "$(awk '{ print $2 }' seen | tr '\n' ' ')" = "./files/a ./files/b ./files/c ./lib/lib.c " ]
  grep -q "^$(sum_of b)  ./files/b" seen
  # Everything has a time that does not depend on when it came.
  refute grep -v -e '^files.* 315532800' -e '^lib' -e '^ ' <(content_of build/kata-static-one.tar.xz times)
  [ "$(asked '^/plain/')" = 3 ]
  refute grep -q plain versions.lock # each has its digest
  kb provenance one
  grep -q "\"pkg:generic/b@1\"" build/one-spdx.json
  grep -q "$SITE/plain/b" build/one-provenance.json
  grep -q "git+$SITE/git/lib@$COMMIT" build/one-provenance.json
}

@test "a second recipe, and a next release, download only what is new" {
  kb one
  echo more >"$SERVED/d"
  echo "d $(sum_of d)" >>"$SERVED/tree/names"
  git_here -C "$SERVED/tree" commit -q -a -m more
  list_recipe two 'arguments: [x]' # another list, so a run of its own
  rm versions.lock
  mark
  kb two
  [ "$(asked '^/plain/')" = 1 ]
  [ "$(asked '^/plain/d ')" = 1 ]
  # The files are the blobs themselves.
  [ "$(stat -c %h "cache/sha256/$(sum_of a | cut -c 1-2)/$(sum_of a | cut -c 3-)")" -ge 3 ]
  list_recipe three 'arguments: [x]' # the same list: the same source
  run kb plan three
  [[ "$output" == *"cached     source    source:things"* ]]
}

@test "the lines come from the source, and a change of the script runs it again without a download" {
  kb one
  mark
  echo '# another comment' >>recipes/common/list.sh
  run kb one
  [[ "$output" == *"source things: done"* ]]
  [ "$(asked '^/plain/')" = 0 ]
  kb explain one | grep -q '^input source:things tree '
}

@test "after fetch it builds offline; without one the error names what is missing" {
  kb fetch one
  mark
  kb --offline one
  [ "$(asked .)" = 0 ]
  for i in $(seq 10 24); do echo "archive $SITE/plain/n$i sha256=$(printf '%064d' "$i") n$i"; done >lines
  list_prints "$(cat lines)
git $SITE/git/other commit=$(printf '1%.0s' $(seq 40)) other"
  run kb --offline one
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"16 of its 16 files and trees are not in the cache, and --offline forbids downloading them: n10, n11, n12, n13, n14, n15, n16, n17, n18, n19, and 6 more"* ]]
  [ "$(asked .)" = 0 ]
}

@test "a wrong digest: both are said, the file is not kept, the others are" {
  echo changed >"$SERVED/b"
  refused_with "$SITE/plain/b has the SHA-256 $(sum_of b), but $(grep '^b' "$SERVED/tree/names" | cut -d ' ' -f 2) is expected" "files/b"
  [ ! -e "cache/sha256/$(sum_of b | cut -c 1-2)/$(sum_of b | cut -c 3-)" ]
  [ -e "cache/sha256/$(sum_of a | cut -c 1-2)/$(sum_of a | cut -c 3-)" ]
  [ -z "$(find cache/tmp -name data)" ]
}

@test "files that are gone are named, all of them, with what to do" {
  rm "$SERVED/a" "$SERVED/c"
  list_prints "archive $SITE/status/404 sha256=$(sum_of b) x/gone-1.tgz
archive $SITE/status/410 sha256=$(printf '%064d' 1) x/gone-2.tgz
archive $SITE/plain/b sha256=$(sum_of b) b"
  refused_with "2 files could not be downloaded: x/gone-1.tgz, x/gone-2.tgz" "the server answers with status 4" "withdrawn"
}

@test "mirrors are tried first, and need no trust; ! leaves the canonical address alone" {
  echo wrong >"$SERVED/wrong"
  list_prints "archive http://127.0.0.1:1/a $SITE/plain/a sha256=$(sum_of a) a
archive $SITE/plain/b $SITE/status/404 $SITE/plain/wrong sha256=$(sum_of b) b
archive !http://127.0.0.1:1/c $SITE/plain/c sha256=$(sum_of c) c"
  mark
  kb one
  [ "$(asked '^/plain/wrong ')" = 1 ]
  [ "$(asked '^/plain/b ')" = 1 ]
  kb provenance one
  grep -q '"http://127.0.0.1:1/a"' build/one-provenance.json # the canonical one, wherever it came from
  # A mirror that cannot be reached is said once.
  list_prints "archive $SITE/plain/a http://127.0.0.1:1/a sha256=$(sum_of a) x/a
archive $SITE/plain/b http://127.0.0.1:1/b sha256=$(sum_of b) x/b"
  rm -rf cache
  run kb one
  [ "$status" -eq 0 ]
  [ "$(grep -c 'this run asks the next mirrors instead' <<<"$output")" -eq 1 ]
  list_prints "archive !$SITE/plain/a $SITE/status/404 sha256=$(printf '%064d' 7) a"
  mark
  refused_with "status 404"
  list_prints "archive !$SITE/plain/a sha256=$(printf '%064d' 7) a
archive $SITE/plain/b sha256=$(sum_of b) b"
  refused_with "1 of its 2 files and trees are not in the cache, and the settings of this machine allow no server for them: a"
  [ "$(asked '^/plain/a ')" = 0 ]
}

@test "files without a digest are pinned in versions.lock, and compared with it from then on" {
  list_prints "file $SITE/plain/a a
file $SITE/plain/b b"
  run kb --locked fetch one
  [ "$status" -eq 1 ] # the source is not locked either
  run kb one
  [[ "$output" == *"warning: source things: no SHA-256 is known for 2 of its files"* ]]
  grep -q "^file $SITE/plain/a sha256=$(sum_of a)$" versions.lock
  kb --locked one
  # The lock is what counts: another cache takes the same bytes or stops.
  old=$(sum_of a)
  echo newer >"$SERVED/a"
  rm -rf cache
  refused_with "$SITE/plain/a has the SHA-256 $(sum_of a), but $old is expected" "versions.lock pins it"
  sed -i '/plain\/a/d' versions.lock
  refute kb --locked one
  run kb --locked one
  [[ "$output" == *"the file $SITE/plain/a is not in "*"versions.lock, and --locked allows nothing else"* ]]
  kb one
  # A record that pins something else than the lock is not used.
  sed -i "s/^\(file .*plain\/a sha256=\).*/\1$old/" versions.lock
  refused_with "but $old is expected"
  content_of build/kata-static-one.tar.xz seen | grep -q "^$(sum_of a)  ./a"
}

@test "a file has one name, one pin, and in one run one content" {
  # Two names of what is known by one address: the second run would give both the same bytes.
  list_prints "file $SITE/plain/a a
file $SITE/plain/b b
file $SITE/plain/a again"
  refused_with "lines 1 and 3 are both the file $SITE/plain/a"
  list_prints "file pkg:generic/x $SITE/plain/a a
file pkg:generic/x $SITE/plain/b b"
  refused_with "lines 1 and 2 are both the file pkg:generic/x"
  list_prints "archive pkg:generic/x $SITE/plain/a sha256=$(sum_of a) a
archive pkg:generic/x $SITE/plain/b sha256=$(sum_of b) b"
  refused_with "lines 1 and 2 are both the file pkg:generic/x"
  # A purl's version is no login; and it has a type and a name.
  list_prints "file pkg:generic/x@1.0 $SITE/plain/a a
file pkg:generic/y@1.0 $SITE/plain/b b"
  kb one
  kb one
  grep -q "^file pkg:generic/x@1.0 sha256=$(sum_of a)$" versions.lock
  grep -q "^file pkg:generic/y@1.0 sha256=$(sum_of b)$" versions.lock
  rm -rf build versions.lock
  list_prints "file pkg:x@1.0 $SITE/plain/a a"
  refused_with "a purl is pkg:TYPE/NAME"
  list_prints "file $SITE/plain/a,https://u:TEST-sekrit@h/y a"
  refused_with "the address holds another one"
  [[ "$output" != *sekrit* ]]
  refute test -e build/kata-static-one.tar.xz
  # Two lists, whose server gives each other bytes.
  list_prints "file $SITE/fresh/a a"
  list_recipe two
  mkdir recipes/other
  cp recipes/common/list.sh recipes/other/list.sh
  echo '# another' >>recipes/other/list.sh
  sed -i 's/common/other/g' recipes/two/recipe.yaml
  run kb -j2 one two
  echo "$output"
  [ "$status" -eq 3 ]
  [[ "$output" == *"the files that were downloaded for it are not those that another list"*"versions.lock while this one ran"* ]]
  [ "$(grep -c '/fresh/a ' versions.lock)" = 1 ]
}

@test "a login in an address is in no message, log, lock or record" {
  local site=http://TEST-user:TEST-sekrit@127.0.0.1:$PORT
  list_prints "file $site/plain/a a"
  run kb one
  echo "$output"
  [ "$status" -eq 0 ]
  rm -rf cache
  kb --locked one # the pin is found
  list_prints "file $site/plain/b b"
  run kb --locked one
  echo "$output"
  [[ "$output" == *"--locked allows nothing else"* && "$output" != *sekrit* ]]
  echo "echo 'ask $site/status/404 x'" >recipes/common/list.sh
  refused_with "and names no file"
  [[ "$output" != *sekrit* ]]
  test -s build/logs/source-things.log
  run kb --locked one
  echo "$output"
  [[ "$output" == *"its script asks for "* && "$output" != *sekrit* ]]
  refute grep -rl --exclude-dir=git sekrit build versions.lock
  [ -n "$(ls cache/actions)" ]
  refute grep -rl sekrit cache/actions
}

@test "what a list pins comes from the cache into a versions.lock that lacks it; kbuild lock says what is unknown" {
  list_prints "file $SITE/plain/a a"
  run kb lock one
  [[ "$output" == *"source things was not fetched yet"* ]]
  kb one
  sed -i /^file/d versions.lock
  kb one
  grep -q "^file $SITE/plain/a" versions.lock
  sed -i /^file/d versions.lock
  kb plan one >/dev/null
  refute grep -q ^file versions.lock
  run kb lock one
  [[ "$output" == *"names all of it"* ]]
  grep -q "^file $SITE/plain/a" versions.lock
}

@test "bad scripts and bad lines are refused, shown safely, and nothing is fetched" {
  local sum
  sum=$(sum_of a)
  mark
  echo 'echo oops >&2; exit 7' >recipes/common/list.sh
  refused_with "source things: its script shared/common/list.sh ended with exit status 7" "kbuild log"
  grep -q oops build/logs/source-things.log
  echo true >recipes/common/list.sh
  refused_with "its script shared/common/list.sh prints: no line"
  echo 'printf "archive \033[31mred\n"' >recipes/common/list.sh
  refused_with 'line 1: ' '\x1b[31mred'
  refute grep -q $'\x1b' <<<"$output"
  list_prints "archive $SITE/plain/a sha256=$sum ../../a"
  refused_with "line 1: the name is not a relative path"
  list_prints "archive $SITE/plain/a sha256=$sum a
archive $SITE/plain/b sha256=$sum a"
  refused_with "lines 1 and 2 both have the name a"
  list_prints "archive $SITE/plain/a sha256=${sum%?} a"
  refused_with "sha256= is followed by 64 lower-case hex digits"
  list_prints "file --config=/etc/passwd a"
  refused_with "an address begins with https:// or http://"
  list_prints "file file://$SERVED/a a"
  refused_with "the first address of a line is http or https"
  list_prints "file $SITE/plain/a file://$SERVED/a a"
  refused_with "has to lie below a directory that the user's own configuration names"
  echo "yes 'file http://127.0.0.1:1/x x'" >recipes/common/list.sh
  refused_with "its script prints more than 32 MiB"
  [ "$(asked '^/plain/')" = 0 ]
  list_prints "file $SITE/to-file a"
  refused_with "to-file"
  [ -z "$(find cache/trees -name a)" ]
}

@test "the script sees its source and its own folder, and no network; what is missing there is an error" {
  mkdir -p recipes/other
  cat >recipes/common/list.sh <<'X'
set -eu
[ "$PWD" = /src/tree ]
[ -f names ]
[ "$HOME" = /build ]
[ "$2" = "$1 x" ]
[ ! -e /recipe ]
[ ! -e /shared/other ]
[ -z "${SECRET_TOKEN:-}${TOOL_PROXY:-}" ]
! touch names 2>/dev/null || false
! touch /shared/common/x 2>/dev/null || false
touch /build/x
! (exec 3<>/dev/tcp/127.0.0.1/$3) 2>/dev/null || false
echo nothing
X
  list_recipe one "arguments: [\"{arch}\", \"{arch} x\", \"$PORT\"]"
  sed -i 's/shared: .common./shared: [common, other]/' recipes/one/recipe.yaml
  SECRET_TOKEN=x TOOL_PROXY=y kb one
  [ -z "$(content_of build/kata-static-one.tar.xz seen | grep -v ' -$')" ]
  printf 'echo nothing; ls /recipe >&2; ls /shared/common >&2' >recipes/one/own.sh
  sed -i 's,list: shared/common/list.sh,list: own.sh,' recipes/one/recipe.yaml
  kb one
  grep -q recipe.yaml build/logs/source-things.log
  sed -i 's/of: tree/of: tre/' recipes/one/recipe.yaml
  refused_with "the source 'things' is of 'tre', which is not another source of this recipe"
}

@test "mirrors come from the user's configuration, which is in no key: files, variables, file:" {
  mkdir -p home/.tool mirror
  cp "$SERVED/a" mirror/a
  cat >recipes/common/list.sh <<X
set -eu
mirror=\${TOOL_PROXY:-}
[ ! -f /configuration/.tool/config ] || mirror=\$(cat /configuration/.tool/config)
[ ! -f /configuration/TOOL_HOME/config ] || mirror=\$(cat /configuration/TOOL_HOME/config)
echo "archive $SITE/plain/a \${mirror:+\$mirror/a} sha256=$(sum_of a) a" | tr -s ' '
X
  list_recipe one 'configuration: {files: ["~/.tool/config", "$TOOL_HOME/config"], environment: [TOOL_PROXY]}'
  key() { HOME=$PWD/home kb explain one | sed -n 's/^# key \([0-9a-f]*\).*/\1/p'; }
  mark
  TOOL_PROXY=file://$PWD/mirror HOME=$PWD/home kb one
  [ "$(asked '^/plain/')" = 0 ]
  first=$(key)
  echo "$SITE/redirect/plain" >home/.tool/config
  rm -rf cache
  HOME=$PWD/home kb one
  [ "$(asked '^/redirect/plain/a ')" = 1 ]
  [ "$(key)" = "$first" ]
  mkdir home/elsewhere
  echo "file://$PWD/mirror" >home/elsewhere/config
  rm -rf cache
  mark
  TOOL_HOME=$PWD/home/elsewhere HOME=$PWD/home kb one
  [ "$(asked '^/plain/')" = 0 ]
  [ "$(key)" = "$first" ]
  # A folder of the variable's own is none that it names as an address.
  rm -rf cache home/.tool
  echo 'echo "file http://127.0.0.1:1/x file://$TOOL_PROXY/a a"' >recipes/common/list.sh
  TOOL_PROXY=$PWD/mirror refused_with "has to lie below a directory"
}

@test "a script may ask for small files first; answers are remembered for --offline, and rounds have an end" {
  echo "$SITE/plain" >"$SERVED/config.json"
  cat >recipes/common/list.sh <<X
if [ ! -f /answers/config.json ]; then echo "ask $SITE/plain/config.json config.json"; echo "ask $SITE/status/404 sub/none"; exit; fi
[ ! -e /answers/sub/none ] || exit 1
echo "ask $SITE/plain/config.json config.json"
echo "archive http://127.0.0.1:1/a \$(cat /answers/config.json)/a sha256=$(sum_of a) a"
X
  mark
  kb one
  [ "$(asked '^/plain/config.json ')" = 1 ]
  echo '#' >>recipes/common/list.sh
  mark
  run kb --offline one
  [ "$status" -eq 1 ] # it is not known whether sub/none is there
  sed -i 's/; echo "ask [^;]*sub.none"//' recipes/common/list.sh
  kb --offline one
  [ "$(asked .)" = 0 ]
  echo "echo 'ask $SITE/status/404 x'" >recipes/common/list.sh
  refused_with "asks for $SITE/status/404 and names no file to download, but the server has no such file"
  echo "echo ask $SITE/plain/a \$(ls /answers | wc -l)" >recipes/common/list.sh
  refused_with "still asks for new files after 3 rounds of answers"
  # Names are compared with those of the rounds before, as those of one round are.
  for names in "x x/y" "x/y x"; do
    cat >recipes/common/list.sh <<X
set -- $names
if [ -e "/answers/\$1" ]; then echo "ask $SITE/plain/b \$2"; else echo "ask $SITE/plain/a \$1"; fi
X
    refused_with "source things: its script asks for a file of the name x, which is a directory in the name of another that it asks for: x/y"
  done
  head -c 1100000 /dev/zero >"$SERVED/large"
  echo "echo 'ask $SITE/plain/large x'" >recipes/common/list.sh
  refused_with "larger than the limit of 1048576 bytes"
}

@test "what a script names after it asked is pinned: an answer changes addresses, and nothing else" {
  answer() { # address, name, SHA-256
    printf '%s %s %s\n' "$@" >"$SERVED/answer"
  }
  cat >recipes/common/list.sh <<X
if [ ! -f /answers/answer ]; then echo "ask $SITE/plain/answer answer"; exit; fi
read -r address name sum </answers/answer
echo "archive \$address/\$name sha256=\$sum thing"
X
  answer "$SITE/plain" a "$(sum_of a)"
  kb one
  [ "$(grep -c "^archive list:things/[0-9a-f]\{64\} sha256=[0-9a-f]\{64\}$" versions.lock)" = 1 ]
  cp versions.lock first.lock
  # Another machine with this lock: the answer may name another address,
  answer "$SITE/redirect/plain" a "$(sum_of a)"
  elsewhere second --locked one
  cmp versions.lock first.lock
  # but no other file, not even one that has its digest.
  answer "$SITE/plain" b "$(sum_of b)"
  for option in --locked --jobs=1; do
    run elsewhere third "$option" one
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"source things: its script, which asks servers, lists other files than when $PWD/versions.lock was written"* ]]
    [[ "$output" == *"of $PWD/versions.lock pins it"* ]]
  done
  cmp versions.lock first.lock
  # Without the line nobody is asked, nor is taken what the cache has of such a list.
  sed -i '/list:things/d' versions.lock
  mark
  for cache in cache fourth; do
    run elsewhere "$cache" --locked one
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"its script asks for $SITE/plain/answer, but $PWD/versions.lock has no line for the result, and --locked allows nothing else"* ]]
  done
  [ "$(asked '^/plain/')" = 0 ]
  # The cache has it still, so the same line comes back.
  kb one
  cmp versions.lock first.lock
}

@test "a list that asks for nothing, and one of a folder of the user's own, have no line of their own" {
  kb one
  refute grep list: versions.lock
  elsewhere second --locked one
  cat >recipes/common/list.sh <<X
if [ ! -f /answers/answer ]; then echo "ask $SITE/plain/a answer"; exit; fi
echo "archive $SITE/plain/a sha256=$(sum_of a) thing"
X
  cp -r "$SERVED/tree" mine
  kb --source tree=mine one
  refute grep list: versions.lock
}

@test "killed in the middle, it resumes with what is missing" {
  for i in $(seq 40); do echo "$i" >"$SERVED/k$i" && echo "archive $SITE/slow/k$i sha256=$(sum_of "k$i") k$i"; done >lines
  list_prints "$(cat lines)"
  mark
  kb_exec one >/dev/null 2>&1 3>&- &
  pid=$!
  until [ "$(asked '^/slow/')" -ge 20 ]; do sleep 0.05; done
  kill -9 "$pid"
  wait "$pid" || true
  kept=$(find cache/sha256 -type f | wc -l)
  [ "$kept" -gt 0 ]
  mark
  kb one
  [ "$(asked '^/slow/')" -lt 40 ]
  [ -z "$(find cache/tmp -name data)" ]
  [ "$(content_of build/kata-static-one.tar.xz seen | wc -l)" = 40 ]
}

@test "two kbuilds that need the same files download each once" {
  for i in $(seq 20); do echo "$i" >"$SERVED/k$i" && echo "archive $SITE/slow/k$i sha256=$(sum_of "k$i") k$i"; done >lines
  list_prints "$(cat lines)"
  list_recipe two 'arguments: [x]'
  mark
  kb one two # two lists at the same time, in one run
  [ "$(asked '^/slow/')" = 20 ]
}

@test "a damaged file is noticed and comes again; verify builds on the same list" {
  kb one
  file=$(find cache/trees -path '*files/a')
  chmod u+w "$file"
  echo garbage >"$file"
  echo "# again" >>recipes/one/build.sh
  run kb one
  [ "$status" -eq 0 ]
  [[ "$output" == *damaged* ]]
  content_of build/kata-static-one.tar.xz seen | grep -q "^$(sum_of a)  ./files/a"
  kb verify one
}

@test "a source that depends on a variable" {
  make_recipe one "shared: [common]
variables: {MODE: {default: plain}}
sources:
  tree: {version: externals.tree, git: \"{url}\", ref: \"{version}\"}
  things: {list: shared/common/list.sh, of: tree, when: {variable: MODE, is: full}}" 'mkdir -p /out/one; ls /src >/out/one/seen'
  kb one
  [ "$(content_of build/kata-static-one.tar.xz seen | tr '\n' ' ')" = "tree " ]
  MODE=full kb one
  [ "$(content_of build/kata-static-one.tar.xz seen | tr '\n' ' ')" = "things tree " ]
}

@test "a shared cache gives the tree of a list, unless versions.lock pins something else" {
  load shared_cache
  list_prints "file $SITE/plain/a a
archive $SITE/plain/b sha256=$(sum_of b) b"
  start_registry
  export PUSH_TO_REGISTRY=yes
  kb one
  chmod -R u+w cache
  rm -rf cache versions.lock
  echo '# again' >>recipes/one/build.sh # so that its inputs are needed
  mark
  kb one
  [ "$(asked '^/plain/')" = 0 ]
  grep -q "^file $SITE/plain/a sha256=$(sum_of a)$" versions.lock
  chmod -R u+w cache
  rm -rf cache
  sed -i "s/^\(file .*plain\/a sha256=\).*/\1$(sum_of b)/" versions.lock
  echo '# once more' >>recipes/one/build.sh
  refused_with "but $(sum_of b) is expected"
  stop_registry
}

@test "the changed line of a list's script is named, before and after" {
  kb one
  sed -i '2i # second' recipes/common/list.sh
  run kb why one
  [ "${lines[1]}" = 'source things is made again because recipes/common/list.sh line 2 is new: `# second`' ]
  kb one
  jq -e '.nodes[] | select(.label == "source things") | .why == "changed" and .because[0].lines[0].now == ["# second"]' build/run.json
}
