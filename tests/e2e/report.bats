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
  kb report
  grep -q 'was interrupted' build/report.html
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
  [[ "$output" == *"no record of a run in elsewhere"* ]]
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
  FLAVOUR=$evil kb high
  kb report
  python3 "$REPOSITORY/tests/support/report_browser.py" "$chromium" "$PWD/build/report.html" "$PWD" \
    "+ variable FLAVOUR \"${evil//\"/\\\"}\""
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
  python3 "$REPOSITORY/tests/support/report_browser.py" "$chromium" "$PWD/build/report.html" "$PWD" kernel-199 quick
}
