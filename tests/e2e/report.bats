#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Where the time went: what a run keeps, kbuild report, --trace, the summary, and expected times in plan.

bats_require_minimum_version 1.5.0
load project

setup() {
  make_project
}

# low, side -> high
make_three() {
  make_recipe low "variables: {FLAVOUR: {type: text, default: plain}}" \
    'sleep 0.2; mkdir -p /out/low/opt; echo "$FLAVOUR" >/out/low/opt/low'
  make_recipe side
  make_recipe high "needs: [low, side]" 'mkdir -p /out/high/opt; cat /deps/low/opt/low >/out/high/opt/high'
}

@test "a run keeps what each node did, when, and why, and a run that finds everything leaves that" {
  make_three
  kb high
  jq -e '.format == "kbuild run 1" and .outcome == "done" and .targets == ["high"] and .jobs >= 1' build/run.json
  jq -e '.planned_ms <= .made_ms and .made_ms <= .ms and .began > 1e9' build/run.json
  jq -e '[.nodes[].node] | sort == ["high:'"$(uname -m)"'", "low:'"$(uname -m)"'", "side:'"$(uname -m)"'"]' build/run.json
  jq -e 'all(.nodes[]; .state == "made" and .why == "first" and .begin_ms <= .end_ms and .peak_kib > 0 and .slot >= 0)' build/run.json
  jq -e '.nodes[] | select(.label == "low") | [.phases[].name] == ["preparing", "building", "packing"]' build/run.json
  jq -e '.chain == (["low", "high"] | map(. + ":'"$(uname -m)"'"))' build/run.json
  [ "$(stat -c %a build/run.json)" = 644 ]
  cp build/run.json first
  kb high
  cmp build/run.json first
  FLAVOUR=rich kb high
  jq -e '.nodes[] | select(.label == "low") | .why == "changed" and .before[0].size > 0
    and .change == ["- variable FLAVOUR \"plain\"", "+ variable FLAVOUR \"rich\""]' build/run.json
  jq -e '.nodes[] | select(.label == "side") | .state == "cached" and (has("begin_ms") | not)' build/run.json
  USE_CACHE=no kb side
  jq -e '.nodes[0].why == "asked"' build/run.json
  # Nothing depends on it.
  rm build/run.json
  run -0 kb high
  [[ "$output" != *started* ]]
  jq -e 'all(.nodes[]; .state == "cached")' build/run.json
  rm -rf cache/sha256/*
  kb side
  jq -e '.nodes[0].why == "lost"' build/run.json
}

@test "a run that fails or is interrupted is kept, too" {
  make_three
  make_recipe low "" 'echo no; exit 5'
  make_recipe side "needs: [low]" # on a busy machine it would be made first
  run -3 kb high
  jq -e '.outcome == "failed" and (.error | contains("low"))' build/run.json
  jq -e '[.nodes[] | select(.label == "low" or .label == "high") | .state] | sort == ["failed", "skipped"]' build/run.json
  kb report
  grep -q 'class="failure"' build/report.html
  grep -q 'This run has no result' build/report.html
  make_recipe low "" 'sleep 60'
  kb_exec high >/dev/null 2>&1 3>&- &
  pid=$!
  for _ in $(seq 100); do [ -e build/logs/low.log ] && break; sleep 0.1; done
  sleep 0.3
  kill -INT "$pid"
  status=0
  wait "$pid" || status=$?
  [ "$status" -eq 130 ]
  jq -e '.outcome == "interrupted" and any(.nodes[]; .state == "interrupted")' build/run.json
  jq -e 'all(.nodes[]; (.state == "interrupted") == (has("begin_ms") and (has("cpu_ms") | not)))' build/run.json
  kb report
  grep -q 'was interrupted' build/report.html
  grep -q 'and what the interrupted ones used' build/report.html
  grep -q 'processors not known, since it was interrupted' build/report.html
  run ! grep -q 'takes no less than that' build/report.html
}

@test "the record is replaced in one step, never through a link, and holds no secret" {
  make_recipe one 'variables: {TEST_CERT: {type: file}, TEST_KEY: {type: secret}}
sign: {key: TEST_KEY, certificate: TEST_CERT, files: "*.ko"}' 'mkdir -p /out/one/opt; echo TEST >/out/one/opt/a.ko'
  openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=TEST" -keyout TEST-key.pem -out TEST-cert.crt 2>/dev/null
  chmod 600 TEST-key.pem
  export TEST_CERT=TEST-cert.crt TEST_KEY=TEST-key.pem
  echo mine >other
  mkdir build
  ln -s ../other build/run.json
  run -1 kb report
  [[ "$output" == *"build/run.json"* ]]
  kb one
  [ "$(cat other)" = mine ]
  [ ! -L build/run.json ]
  run ! grep -qF -e "$(sed -n 2p TEST-key.pem)" -e TEST-key.pem build/run.json
  # It could not be written: the build is a success all the same.
  rm build/run.json
  mkdir build/run.json
  USE_CACHE=no run -0 kb one
  [[ "$output" == *"warning"*"build/run.json"*"kbuild report"* ]]
}

@test "kbuild report writes a page without script or network" {
  make_three
  kb high
  FLAVOUR=rich kb high
  run -0 kb report
  [ "$output" = build/report.html ]
  for text in '<del>- variable FLAVOUR &quot;plain&quot;</del>' '<ins>+ variable FLAVOUR &quot;rich&quot;</ins>' \
    'href="logs/low.log"' 'id="chain"' 'kata-static-high.tar.xz' "(making it took "; do
    grep -qF -- "$text" build/report.html || { echo "no $text"; return 1; }
  done
  run ! grep -qiE '<script|src=|url\(|@import|https?:' build/report.html
  kb report low -o low.html
  grep -q '<h1>low</h1>' low.html
  run ! grep -q 'kata-static-high' low.html
  run ! grep -q 'href="logs/' low.html
  kb report -o - | head -n 1 | grep -q '^<!doctype html>'
  # Without the cache it says less, and works.
  "$KBUILD" --cache nowhere report -o - | grep -q 'id="chain"'
  [ ! -e nowhere ]
}

# $1: a label; $2: what jq says of the reasons of this node
because() {
  run -0 jq -c --arg name "$1" ".nodes[] | select(.label == \$name) | .because | $2" build/run.json
}

@test "a run keeps which lines changed, and the page shows them" {
  make_three
  printf 'one\ntwo\nthree\n' >recipes/low/note
  printf '[a]\nb = 1\n' >recipes/low/low.conf
  kb high
  jq -e 'all(.nodes[]; has("because") | not)' build/run.json
  sed -i 's/^sleep 0.2/sleep 0.1/' recipes/low/build.sh
  sed -i '2d' recipes/low/note
  printf 'c = <script>alert(1)</script>\n' >>recipes/low/low.conf
  said=$(FLAVOUR=rich kb why low --json | jq -c 'select(.label == "low") | .because')
  FLAVOUR=rich kb high
  because low .
  [ "$output" = "$said" ]
  because low '[.[] | [.what, .name, .change, .lines]]'
  [ "$output" = '[["file","recipes/low/build.sh","changed",[{"change":"changed","from":2,"to":2,"was_from":2,"was_to":2,"before":["sleep 0.2; mkdir -p /out/low/opt; echo \"$FLAVOUR\" >/out/low/opt/low"],"now":["sleep 0.1; mkdir -p /out/low/opt; echo \"$FLAVOUR\" >/out/low/opt/low"]}]],["file","recipes/low/low.conf","changed",[{"change":"added","from":3,"to":3,"now":["c = <script>alert(1)</script>"]}]],["file","recipes/low/note","changed",[{"change":"removed","from":1,"to":1,"was_from":2,"was_to":2,"before":["two"]}]],["variable","FLAVOUR","changed",null]]' ]
  because low '.[3] | [.before, .now, .text]'
  [ "$output" = '["\"plain\"","\"rich\"","the variable FLAVOUR changed from \"plain\" to \"rich\""]' ]
  because high '[.[] | [.what, .change, .node, .text]]'
  [ "$output" = '[["input","changed","low:'"$(uname -m)"'","its input low changed"]]' ]
  # A file has changed since, the record of the run has not.
  echo more >>recipes/low/note
  kb report
  for text in '<span class="mono">recipes/low/build.sh</span><pre><del>- 2: sleep 0.2; mkdir' '<ins>+ 2: sleep 0.1; mkdir' \
    '<ins>+ 3: c = &lt;script&gt;alert(1)&lt;/script&gt;</ins>' '<del>- 2: two</del>' \
    '<li>the variable FLAVOUR changed from &quot;plain&quot; to &quot;rich&quot;</li>'; do
    grep -qF -- "$text" build/report.html || { echo "no $text"; return 1; }
  done
  grep -qE '<li>its input <a href="#n[0-9]+">low</a> changed</li>' build/report.html
  run ! grep -qi '<script' build/report.html
}

@test "values of versions.yaml and keys of recipe.yaml have their lines on the page, also of a source of another version" {
  make_repositories
  serve_repositories
  sed -i "s/127.0.0.1:[0-9]*/127.0.0.1:$GIT_PORT/" versions.yaml
  printf '  tool:\n    version: "1.10"\n' >>versions.yaml
  make_recipe greet "sources: {greet: {version: externals.greet, git: '{url}', ref: '{version}'}}
environment: {TOOL: '{externals.tool.version}', WORD: old}" \
    'mkdir -p /out/greet/opt; cp /src/greet/greet.c /out/greet/opt/; echo "$TOOL $WORD" >/out/greet/opt/word'
  kb greet
  echo '// 2' >>git/greet/greet.c
  git_here -C git/greet commit -qam "Second"
  git_here -C git/greet tag v2
  sed -i 's/version: v1/version: v2/; s/1.10/1.11/' versions.yaml
  sed -i 's/WORD: old/WORD: new/' recipes/greet/recipe.yaml
  kb greet
  kill "$GIT_PID"
  jq -e '.nodes[] | select(.label == "source greet") | .why == "changed"' build/run.json
  because "source greet" '[.[] | [.what, .path, .lines[0].from, .lines[0].before[0], .lines[0].now[0]]]'
  [ "$output" = '[["versions","externals.greet.version",4,"v1","v2"],["fact",null,null,null,null]]' ]
  because greet '[.[] | [.what, .path // .node, .lines[0].before[0], .lines[0].now[0]]] | .[2][1] |= split(":")[0:2]'
  [ "$output" = '[["versions","externals.tool.version","1.10","1.11"],["recipe","environment.WORD","old","new"],["input",["source","greet"],null,null]]' ]
  kb report
  for text in '<span class="mono">versions.yaml</span> line 4 (<span class="mono">externals.greet.version</span>)<pre><del>- v1</del>' \
    '<ins>+ v2</ins>' '<del>- 1.10</del>' '(<span class="mono">environment.WORD</span>)<pre><del>- old</del>'; do
    grep -qF -- "$text" build/report.html || { echo "no $text"; return 1; }
  done
  grep -qE '<li>its input <a href="#n[0-9]+">source greet</a> changed</li>' build/report.html
}

@test "what a run keeps of changed files is bounded, and holds no secret, no private file and nothing of a binary" {
  make_recipe one 'variables: {TEST_CERT: {type: file}, TEST_KEY: {type: secret}}
sign: {key: TEST_KEY, certificate: TEST_CERT, files: "*.ko"}' 'mkdir -p /out/one/opt; echo TEST >/out/one/opt/a.ko'
  for n in 1 2; do
    openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=TEST $n" -keyout TEST-key-$n.pem -out TEST-cert-$n.crt 2>/dev/null
    chmod 600 TEST-key-$n.pem
  done
  seq 1 1000 >recipes/one/long
  printf 'private \377 1\n' >recipes/one/binary
  printf 'zero \0 1\n' >recipes/one/zero
  printf 'a\n' >recipes/one/wide
  printf 'a\n' >recipes/one/control
  TEST_CERT=TEST-cert-1.crt TEST_KEY=TEST-key-1.pem kb one
  seq 1 1000 | sed 's/0$/zero/' >recipes/one/long
  printf 'private \377 2\n' >recipes/one/binary
  printf 'zero \0 2\n' >recipes/one/zero
  head -c 50000 /dev/zero | tr '\0' w >recipes/one/wide
  printf 'b\033[2J\342\200\256\n' >recipes/one/control
  TEST_CERT=TEST-cert-2.crt TEST_KEY=TEST-key-2.pem kb one
  because one '[.[] | .text]'
  [[ "$output" == *'recipes/one/binary changed"'*'recipes/one/control line 1 changed: '*'recipes/one/long lines 10, 20 and 30 changed, and 97 more places"'* ]]
  [[ "$output" == *'recipes/one/wide line 1 changed"'*'recipes/one/zero changed"'* ]]
  [[ "$output" == *'the file TEST-cert-1.crt of the variable TEST_CERT was removed"'* ]]
  because one '[.[] | select(.name == "recipes/one/long") | [(.lines | length), .lines_left_out]]'
  [ "$output" = '[[6,94]]' ]
  [ "$(stat -c %s build/run.json)" -lt 20000 ]
  kb report
  # A line of each file of the variables, but for those that say what it is; and no byte that a terminal obeys.
  for page in build/run.json build/report.html; do
    for file in TEST-key-1.pem TEST-key-2.pem TEST-cert-1.crt TEST-cert-2.crt; do
      run ! grep -qF -e "$(sed -n 2p "$file")" "$page"
    done
    run ! grep -qE 'private|zero .? ?[12]' "$page"
    run ! grep -qP '\x1b|\xe2\x80\xae' "$page"
  done
  grep -qF 'and 94 more places' build/report.html
  grep -qF 'b\x1b[2J\u202e' build/report.html
}

@test "kbuild report says what it lacks, and what to do" {
  make_three
  run -1 kb report
  [[ "$output" == *"there is no record of a run in build"*"kbuild TARGET writes one"* ]]
  kb high
  run -2 kb report hihg
  [[ "$output" == *"had no target hihg: it was of high"*"did you mean high?"* ]]
  echo '{"format": "kbuild run 99"}' >build/run.json
  run -1 kb report
  [[ "$output" == *"build/run.json is not the record of a run: it has another format"*"build again"* ]]
  run -1 kb -o elsewhere report
  [[ "$output" == *"no record of a run in elsewhere"*"there is one in build: \`kbuild -o build report\` shows it"* ]]
  # As after `make first-proof`.
  mkdir -p first/proof first/other
  mv build/run.json first/proof/
  run -1 kb -o first report
  [[ "$output" == *"no record of a run in first"*"there is one in first/proof: \`kbuild -o first/proof report\` shows it"* ]]
  run -1 kb -o first/other/ report
  [[ "$output" == *"no record of a run in first/other/"*"there is one in first/proof: "* ]]
  for n in 1 2 3 4; do mkdir "first/$n" && cp first/proof/run.json "first/$n"; done
  run -1 kb -o first report
  [[ "$output" == *"there is one in first/1, first/2, first/3 and 2 more directories: \`kbuild -o first/1 report\`"* ]]
  # -o after the verb is the page.
  run -2 kb report -o first/proof
  [[ "$output" == *"report: --output first/proof is a directory; after this verb it names a file"*"kbuild -o first/proof report"* ]]
  run -2 kb provenance high -o first
  [[ "$output" == *"provenance: --output first is a directory"*"kbuild -o first provenance"* ]]
}

@test "--trace writes trace events, and a file that cannot be written is found before the work" {
  make_three
  kb high --trace run.trace
  python3 "$REPOSITORY/tests/support/check_trace.py" run.trace low side high
  kb high --trace run.trace
  python3 "$REPOSITORY/tests/support/check_trace.py" run.trace
  FLAVOUR=rich run -1 kb high --trace no/where
  [[ "$output" == *"--trace"*"no/where"* && "$output" != *started* ]]
  # What the run writes itself is not lost.
  for file in build/kata-static-high.tar.xz ./build/low-version build/run.json build/../build/targets; do
    sha256sum "$file" >sum
    run -1 kb high --trace "$file"
    [[ "$output" == *"--trace $file is build/"*"which the run writes, too"* ]]
    sha256sum -c sum
  done
  run -1 kb report -o build/run.json
  [[ "$output" == *"build/run.json is the record that the report is made from"* ]]
  kb report
  make_recipe low "" 'exit 5'
  run -3 kb high --trace run.trace
  python3 "$REPOSITORY/tests/support/check_trace.py" run.trace low
  run -2 kb high --until=building --trace run.trace
  [[ "$output" == *"leave out --until"* ]]
}

@test "the summary says where the time went, and plan what to expect" {
  make_three
  run -0 kb plan high
  [[ "$output" == *"3 to make"*"not known"* ]]
  kb --json plan high 2>/dev/null | jq -se 'all(.[]; .resources == null)'
  run -0 kb high
  [[ "$output" =~ "the longest chain took "[0-9.]+" s of "[0-9.]+" s: low "[0-9.]+" s, high "[0-9.]+" s" ]]
  FLAVOUR=rich kb high --json | tail -n 1 | jq -e '.event == "summary" and [.chain[].label] == ["low", "high"]
    and all(.chain[]; .ms >= 0 and .node != null)'
  FLAVOUR=other run -0 kb plan high
  [[ "$output" =~ "2 to make: about "[0-9.]+" s" ]]
  [[ "$output" =~ "artifact  low:"[^$'\n']*"about "[0-9.]+" s" ]]
  [[ ! "$output" =~ "artifact  side:"[^$'\n']*"about" ]]
  FLAVOUR=other kb --json plan high 2>/dev/null | jq -se 'all(.[]; .resources.ms > 0 and .resources.cpu_ms > 0)'
  run -0 kb plan high
  [[ "$output" != *"to make"* ]]
}

@test "the page in a browser: light, dark, narrow, on paper; a hostile value is text" {
  chromium=$(command -v chromium || command -v chromium-headless-shell || command -v google-chrome) ||
    skip "no chromium: tools/install-dependencies readers installs it"
  make_three
  kb high
  evil='</style></pre><x-evil onload=1><img src=x onerror="document.title=1">'
  echo "# $evil" >>recipes/low/build.sh
  FLAVOUR=$evil kb high
  kb report
  python3 "$REPOSITORY/tests/support/report_browser.py" "$chromium" "$PWD/build/report.html" "$PWD" \
    "+ variable FLAVOUR \"${evil//\"/\\\"}\"" "+ 3: # $evil"
}

@test "a page of 200 nodes in a browser" {
  chromium=$(command -v chromium || command -v chromium-headless-shell || command -v google-chrome) ||
    skip "no chromium: tools/install-dependencies readers installs it"
  mkdir build
  python3 - >build/run.json <<'Y'
import json, random
random.seed(1)
nodes, ends = [], []
for i in range(200):
    needs = sorted({random.randrange(max(0, i - 30), i) for _ in range(random.randrange(4))}) if i else []
    begin = max([ends[k] for k in needs], default=100)
    ends.append(begin + random.randrange(100, 90000))
    nodes.append(dict(node=f"n{i}", kind="artifact", label=f"kernel-{i}", recipe=f"kernel-{i}", arch="s390x",
                      state="made", key="", needs=[f"n{k}" for k in needs], begin_ms=begin, end_ms=ends[i],
                      cpu_ms=ends[i] - begin, peak_kib=random.randrange(4000000), why="first",
                      phases=[dict(name="building", begin_ms=begin)]))
print(json.dumps(dict(format="kbuild run 1", kbuild="1", verb="build", targets=["kernel-199"], outcome="done", began=1,
                      planned_ms=100, made_ms=max(ends), ms=max(ends) + 10, jobs=8, chain=["n199"], nodes=nodes)))
Y
  "$KBUILD" report
  python3 "$REPOSITORY/tests/support/report_browser.py" "$chromium" "$PWD/build/report.html" "$PWD" --quick kernel-199
}
