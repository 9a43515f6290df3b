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
