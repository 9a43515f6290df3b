#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kbuild why, and what kbuild explain says first: what is made again, and for which reason.

bats_require_minimum_version 1.5.0
load project

setup() {
  make_project
  make_recipe low "$(printf 'variables: {FLAVOUR: {type: text, default: plain}}\nenvironment:\n  A: one\n  B: two')" \
    'mkdir -p /out/low/opt
cat /recipe/note >/out/low/opt/low
echo "$FLAVOUR $B" >>/out/low/opt/low'
  printf 'one\ntwo\nthree\n' >recipes/low/note
  make_recipe high "needs: [low]"
}

teardown() {
  rm -rf "$PROJECT"
}

# $1: a line of the answer; the others: words after why
why() {
  local line=$1
  shift
  run kb why "$@"
  [ "$status" -eq 0 ]
  grep -qxF -- "$line" <<<"$output" || {
    printf 'no line: %s\n%s\n' "$line" "$output"
    return 1
  }
}

@test "what was never built is said to be so, what is cached too" {
  why "low is made: it was never built here" high
  why "high is made: it was never built here" high
  [[ "$output" != *"made again"* ]]
  kb high
  run kb why high
  [ "$output" = "high and low are cached" ]
  run kb why low
  [ "$output" = "low is cached" ]
}

@test "the line of a changed file is named, and the chain from what is asked for to it" {
  kb high
  sed -i s/two/zwei/ recipes/low/note
  run kb why high
  [ "${lines[0]}" = "high is made again because its input low is" ]
  [ "${lines[1]}" = "low is made again because recipes/low/note line 2 changed: \`two\` -> \`zwei\`" ]
  [[ "${lines[2]}" == *"taken from the cache after all if the input comes out with the same bytes"* ]]
  printf 'four\nfive\n' >>recipes/low/note
  why "low is made again because recipes/low/note line 2 changed and lines 4 to 5 are new" low
  sed -i '1d;s/zwei/two/;/f/d' recipes/low/note
  why 'low is made again because recipes/low/note line 1 is gone: `one`' low
  printf 'one\n' >recipes/low/note
  why "low is made again because recipes/low/note lines 2 to 3 are gone" low
  rm recipes/low/note
  why "low is made again because recipes/low/note was removed" low
}

@test "keys of recipe.yaml, variables, new files and modes are reasons" {
  kb high
  sed -i 's/B: two/B: three/' recipes/low/recipe.yaml
  why 'low is made again because recipes/low/recipe.yaml line 8 (environment.B) changed: `two` -> `three`' low
  sed -i 's/B: three/C: two/' recipes/low/recipe.yaml
  why 'low is made again because recipes/low/recipe.yaml line 8 (environment.C) is new: `two`' low
  sed -i '/C: two/d' recipes/low/recipe.yaml
  why 'low is made again because environment.B is gone from recipes/low/recipe.yaml line 7: `two`' low
  echo '  B: two' >>recipes/low/recipe.yaml
  FLAVOUR=rich why 'low is made again because the variable FLAVOUR changed from "plain" to "rich"' low
  chmod +x recipes/low/note
  why "low is made again because recipes/low/note is executable now" low
  sed -i s/two/zwei/ recipes/low/note
  why 'low is made again because recipes/low/note is executable now, and line 2 changed: `two` -> `zwei`' low
  sed -i s/zwei/two/ recipes/low/note
  chmod -x recipes/low/note
  echo >recipes/low/extra
  why "low is made again because recipes/low/extra was added" low
  rm recipes/low/extra
  sed -i 's/^description:.*/description: another text, which decides nothing/' recipes/low/recipe.yaml
  run kb why high
  [ "$output" = "high and low are cached" ]
}

@test "an input that was made again meanwhile is cached, and its cause is still named" {
  kb high
  FLAVOUR=rich kb low
  export FLAVOUR=rich
  why "high is made again because its input low changed" high
  why 'low is cached, and is another one than then because the variable FLAVOUR changed from "plain" to "rich"' high
  run kb why low
  [ "$output" = "low is cached" ]
  kb high
  run kb why high
  [ "$output" = "high and low are cached" ]
}

@test "the last build is the last result, cached or not" {
  kb low
  FLAVOUR=rich kb low
  kb low # cached
  FLAVOUR=other run kb why low
  [[ "$output" == 'low is made again because the variable FLAVOUR changed from "plain" to "other"' ]]
}

@test "a result that is gone, and USE_CACHE=no" {
  kb low
  digest=$(cut -d ' ' -f 1 build/low-sha256sum)
  USE_CACHE=no why "low is made again because USE_CACHE=no says so" low
  rm -f "cache/sha256/${digest:0:2}/${digest:2}"
  why "low is made again because its result is no longer in the cache" low
}

@test "texts are kept as long as their build, and a file too large or not text is named without lines" {
  printf 'a\377b\n' >recipes/low/binary
  printf 'a\0b\n' >recipes/low/zero
  head -c 70000 /dev/zero | tr '\0' x >recipes/low/large
  kb low
  printf 'a\377c\n' >recipes/low/binary
  echo y >>recipes/low/large
  why "low is made again because recipes/low/binary changed and recipes/low/large changed" low
  # Those of other files are there all the same.
  sed -i s/two/zwei/ recipes/low/note
  printf 'b\0b\n' >recipes/low/zero
  why 'low is made again because recipes/low/binary changed, recipes/low/large changed, recipes/low/note line 2 changed: `two` -> `zwei` and recipes/low/zero changed' low
  sed -i s/zwei/two/ recipes/low/note
  printf 'a\0b\n' >recipes/low/zero
  kb cache verify
  why "low is made again because recipes/low/binary changed and recipes/low/large changed" low
  kb cache gc --max-size=0
  why "low is made: it was never built here" low
}

@test "a source that moved names the commits" {
  make_repositories
  serve_repositories
  sed -i "s/127.0.0.1:[0-9]*/127.0.0.1:$GIT_PORT/" versions.yaml
  make_recipe greet "sources: {greet: {version: externals.greet, git: '{url}', ref: '{version}'}}" 'mkdir -p /out/greet/opt; cp /src/greet/greet.c /out/greet/opt/'
  run kb why greet
  [[ "$output" == *"source greet is fetched: it was never fetched here"* ]]
  kb greet
  old=$(git -C git/greet rev-parse v1^{commit})
  # Later than the first, also in the same second.
  GIT_COMMITTER_DATE="@$(($(date +%s) + 60)) +0000" git_here -C git/greet commit -q --allow-empty -m "Second"
  git_here -C git/greet tag v2
  new=$(git -C git/greet rev-parse v2^{commit})
  sed -i 's/version: v1/version: v2/' versions.yaml
  run kb why greet
  [[ "$output" == *"greet is made again because its input source greet is fetched again"* ]]
  [[ "$output" == *'source greet is fetched again because versions.yaml line 4 (externals.greet.version) changed: `v1` -> `v2` and versions.lock has no line for it yet'* ]]
  kb fetch greet
  # The tree is the same, and its time another one.
  why "greet is made again because the newest time in its sources changed" greet
  why "source greet is cached, and is another one than then because versions.yaml line 4 (externals.greet.version) changed: \`v1\` -> \`v2\` and its commit changed from ${old:0:12} to ${new:0:12}" greet
  kill "$GIT_PID"
}

@test "a value of versions.yaml is named with its line, and without a login" {
  make_recipe tool 'environment: {VERSION: "{externals.tool.version}", ADDRESS: "{externals.tool.url}"}' \
    'mkdir -p /out/tool/opt; echo "$VERSION $ADDRESS" >/out/tool/opt/tool'
  printf '  tool:\n    url: https://somebody:secret-word@localhost/a\n    version: "1.10"\n' >>versions.yaml
  kb tool
  sed -i 's/"1.10"/"1.11"/' versions.yaml
  why 'tool is made again because versions.yaml line 7 (externals.tool.version) changed: `1.10` -> `1.11`' tool
  sed -i 's/1.11/1.10/; s,localhost/a,localhost/b,' versions.yaml
  why 'tool is made again because versions.yaml line 6 (externals.tool.url) changed: `https://localhost/a` -> `https://localhost/b`' tool
  # Another login is another value, of which nothing is shown.
  sed -i 's,localhost/b,localhost/a,; s/secret-word/other-word/' versions.yaml
  why 'tool is made again because the constant ADDRESS, which versions.yaml fills in, changed' tool
  kb tool
  run ! grep -rqE "secret-word|other-word" build cache
}

@test "the answers as JSON" {
  kb high
  sed -i s/two/zwei/ recipes/low/note
  kb why high --json >answers
  run jq -c 'select(.label == "low") | [.state, .kind, .arch != "", .because[0].what, .because[0].name, .because[0].lines]' answers
  [ "$output" = '["again","artifact",true,"file","recipes/low/note",[{"change":"changed","from":2,"to":2,"was_from":2,"was_to":2,"before":["two"],"now":["zwei"]}]]' ]
  run jq -c 'select(.label == "high") | [.state, .key, .expected, .because[0].what, .because[0].name, .because[0].node, .text]' answers
  [ "$output" = '["again","",true,"input","low","low:'"$(uname -m)"'","high is made again because its input low is"]' ]
}

@test "explain shows first what changed, and only then the key" {
  run kb explain low
  [ "${lines[0]}" = "# low is made: it was never built here" ]
  kb low
  run kb explain low
  [ "${lines[0]}" = "# low is cached" ]
  [ "${lines[1]}" = "# nothing changed since the last build" ]
  FLAVOUR=rich run kb explain low
  [[ "${lines[0]}" == "# low is made again because the variable FLAVOUR changed"* ]]
  [ "${lines[1]}" = "# changed since the last build:" ]
  [ "${lines[2]}" = '- variable FLAVOUR "plain"' ]
  [ "${lines[3]}" = '+ variable FLAVOUR "rich"' ]
  [ "${lines[4]}" = "#" ]
  [ "${lines[5]}" = "kbuild key 1" ]
}

@test "a name that could control a terminal is shown with escapes" {
  kb low
  echo >"$(printf 'recipes/low/a\033[2Jb')"
  run kb why low
  [ "$output" = 'low is made again because recipes/low/a\x1b[2Jb was added' ]
}
