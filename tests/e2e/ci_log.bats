#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# In the log of a CI's job: groups, annotations, the summary of the job, and nothing that a build
# says which the runner takes for a command (docs/ci.md).
bats_require_minimum_version 1.5.0
load project

setup() {
  make_project
  make_recipe ok
  # What a hostile step says to the runner of GitHub, in all the ways that it takes.
  cat >says <<'S'
echo "::error::from-the-step"
echo "  ::warning file=a,line=1::from-the-step"
echo "::set-output name=a::from-the-step"
echo "::add-mask::kbuild"
printf "\302\240::notice::from-the-step\n"
printf "\342\200\215::error::from-the-step\n"
printf "x\r::error::from-the-step\n"
echo "a ##[error]from-the-step ##[group]b"
echo "::stop-commands::x"
echo "::endgroup::"
echo "::group::from-the-step"
printf "\033[0Ksection_start:1:evil\r\033[0Kfrom-the-step\n"
printf "::error::from-the-step, without a newline"
S
}

# The environment of a job. What the runner reads goes to one pipe.
github() {
  GITHUB_ACTIONS=true GITHUB_WORKSPACE=$PROJECT GITHUB_STEP_SUMMARY=$PROJECT/summary.md "$@" 2>&1 | cat
}

# The commands that GitHub's runner takes from a log, one a line: "name|properties|data". As it reads
# them (ActionCommand.cs): blanks before are trimmed, ##[name] may be anywhere.
cat_commands() {
  python3 -c '
import re, sys
names = {"error", "warning", "notice", "debug", "group", "endgroup", "add-mask", "set-output", "set-env",
         "add-path", "save-state", "stop-commands", "add-matcher", "remove-matcher", "echo"}
bare = str.maketrans("", "", "\u200b\u200c\u200d\u00ad\ufeff")
for line in re.split(r"\r\n|\r|\n", sys.stdin.buffer.read().decode("utf-8", "replace")):
    line = line.translate(bare).strip()
    m = re.match(r"::([^ ]*?)(?: (.*?))?::(.*)", line)
    old = re.search(r"##\[([^ \]]*)(?: ([^\]]*))?\](.*)", line)
    m = m if m and m[1].lower() in names else old if old and old[1].lower() in names else None
    if m:
        print("|".join(x or "" for x in m.groups()))'
}

# Every group ends before the next one begins, and all end.
balanced() { # commands
  awk -F'|' '$1 == "group" { if (open) exit 1; open = 1; n++ } $1 == "endgroup" { if (!open) exit 1; open = 0 }
    END { if (open || !n) exit 1 }' "$1"
}

@test "a reader of commands finds those of a hostile step" { # so that the tests below can fail
  bash says | cat_commands >found
  [ "$(cut -d'|' -f1 found | sort | uniq -c | awk '{print $2 $1}' | paste -sd' ')" = \
    "add-mask1 endgroup1 error5 group1 notice1 set-output1 stop-commands1 warning1" ]
}

@test "github: nodes are a group; the summary stands after it" {
  github kb ok >log
  cat log
  cat_commands <log >commands
  [ "$(cat commands)" = "$(printf 'group||kbuild ok\nendgroup||')" ]
  [ "$(sed -n 1p log)" = "::group::kbuild ok" ]
  sed -n '/^::endgroup::/,$p' log | grep -q '^kbuild: 1 made, in '
  sed '/^::endgroup::/,$d' log | grep -q '^kbuild: ok x86_64: done in '
}

@test "github: a failed step is annotated, once, and its log cannot speak to the runner" {
  make_recipe bad 'needs: [ok]' "$(printf 'seq 40\n%s\nexit 3' "$(cat says)")"
  github kb bad >log
  cat log
  cat_commands <log >commands
  cat commands
  balanced commands
  [ "$(grep -vc group commands)" -eq 1 ]
  grep -qF "error|title=kbuild|bad: its script ended with exit status 3%0A" commands
  run ! grep -q from-the-step commands
  # All of it is there: the whole log in a group, the last lines outside.
  grep -qF "group||all of build/logs/bad.log" commands
  [ "$(grep -c '^3$' log)" -eq 1 ]
  [ "$(grep -c '^40$' log)" -eq 2 ]
  [ "$(grep -cF ':\x3aerror::from-the-step' log)" -ge 4 ]
  grep -q '^kbuild: error: bad: its script' log
  # The log itself is as the step wrote it, and in a file it is kbuild's own result.
  kb log bad | grep -q '^::add-mask::kbuild'
  GITHUB_ACTIONS=true kb log bad >file
  grep -q '^::add-mask::kbuild' file
  github kb log bad >shown
  [ -z "$(cat_commands <shown)" ]
  grep -qF ':\x3aadd-mask::kbuild' shown
}

@test "github: with -k each failure is annotated, and groups stay balanced" {
  make_recipe one '' "$(cat says); exit 1"
  make_recipe two '' "seq 50; $(cat says); exit 1"
  make_recipe long '' 'sleep 1; mkdir -p /out/long; echo >/out/long/a'
  github kb -k one two ok long >log
  cat_commands <log >commands
  cat commands
  balanced commands
  [ "$(grep -c '^error|' commands)" -eq 2 ]
  run ! grep -q from-the-step commands
  [ "$(grep -c '^| failed |' summary.md)" -eq 2 ]
  [ "$(grep -c '^| made |' summary.md)" -eq 2 ]
}

@test "github: names and messages of recipes are no commands, and errors have their place" {
  printf 'description: "x ##[error]y"\narchitectures: [x86_64]\nneedz: [ok]\nbuilder: {packages: [bash], tools: [bash]}\nrun: build.sh\n' >recipes/ok/recipe.yaml
  run -1 env GITHUB_ACTIONS=true GITHUB_WORKSPACE="$PROJECT" "$KBUILD" --builder=host --cache cache ok
  printf '%s\n' "$output" | cat_commands >commands
  cat commands
  [ "$(wc -l <commands)" -eq 1 ]
  grep -q '^error|title=kbuild,file=recipes/ok/recipe.yaml,line=3,col=1|.*recipe.yaml:3:1: ' commands
  [[ $output == *"kbuild: error: "*"recipe.yaml:3:1: "* ]]
  # From another directory it is the same file of the repository.
  mkdir sub
  (cd sub && github kb --recipes ../recipes --versions ../versions.yaml ok) | cat_commands >again
  grep -q 'file=recipes/ok/recipe.yaml,line=3,col=1|' again
  sed -i /needz/d recipes/ok/recipe.yaml
  github kb list | cat_commands >listed
  [ ! -s listed ]
  github kb --json list >json
  run ! grep -qF '##[' json
  [[ "$(jq -r .description json)" == *"##[error]y" ]]
}

@test "github: warnings are annotated" {
  github env GITHUB_STEP_SUMMARY="$PROJECT" "$KBUILD" --builder=host --cache cache ok >log
  cat_commands <log >commands
  cat commands
  balanced commands
  grep -q '^warning|title=kbuild|the summary of the job (GITHUB_STEP_SUMMARY) lacks this run: ' commands
  grep -q '^kbuild: warning: the summary of the job' log
}

@test "github: a summary that does not fit on the disk leaves no part of it" {
  unshare -m true 2>/dev/null || skip "needs root, to make a small disk"
  mkdir small
  # shellcheck disable=SC2016
  github unshare -m bash -euc 'mount -t tmpfs -o size=4k tmpfs small
    { printf "before\n"; head -c 3900 /dev/zero | tr "\0" x; printf "\n"; } >small/summary.md
    status=0
    GITHUB_STEP_SUMMARY=$PWD/small/summary.md "$1" --builder=host --cache cache ok || status=$?
    cat small/summary.md >after
    exit $status' bash "$KBUILD" >log
  grep -q 'lacks this run: writing .*No space left on device' log
  [ "$(wc -l <after)" -eq 2 ]
  [ "$(wc -c <after)" -eq 3908 ]
}

@test "github: groups are balanced after an interrupt" {
  make_recipe slow '' 'echo begun; sleep 60'
  mkfifo pipe
  cat pipe >log &
  reader=$!
  (export GITHUB_ACTIONS=true GITHUB_STEP_SUMMARY=$PROJECT/summary.md; kb_exec -j2 ok slow >pipe 2>&1 3>&-) &
  pid=$!
  for _ in $(seq 300); do
    grep -qs begun build/logs/slow.log && grep -q 'ok x86_64: done' log && break
    sleep 0.1
  done
  kill -INT "$pid"
  status=0
  wait "$pid" || status=$?
  wait "$reader"
  [ "$status" -eq 130 ]
  cat log
  cat_commands <log >commands
  balanced commands
  run ! grep -q '^error|' commands
  grep -q '^| interrupted | <code>slow</code>' summary.md
  grep -q ': interrupted after ' summary.md
}

@test "a signal that ends kbuild at once ends the group before" {
  make_recipe slow '' 'echo begun; sleep 60'
  ulimit -c 0
  for runner in GITHUB_ACTIONS GITLAB_CI; do
    rm -rf build
    (export $runner=true; kb_exec slow >log 2>&1 3>&-) &
    pid=$!
    until grep -qs begun build/logs/slow.log; do sleep 0.05; done
    kill -QUIT "$pid"
    status=0
    wait "$pid" || status=$?
    cat log
    [ "$status" -eq 131 ]
    [ "$(grep -cE '^::group::|section_start:' log)" -eq 1 ]
    [ "$(tail -n 1 log | grep -cE '^::endgroup::$|section_end:[0-9]+:kbuild_')" -eq 1 ]
  done
}

@test "github: the summary of the job is appended once a run, and not by verbs that make nothing" {
  echo "what was there" >summary.md
  github kb list >/dev/null
  github kb plan ok >/dev/null
  github kb nonsense >/dev/null
  [ "$(cat summary.md)" = "what was there" ]
  github kb ok >/dev/null
  [ "$(head -n 1 summary.md)" = "what was there" ]
  [ "$(grep -c '^### kbuild <code>ok</code>: done in ' summary.md)" -eq 1 ]
  grep -q '^| made | <code>ok</code> | [0-9.]* s | ' summary.md
  grep -q "^| <code>build/kata-static-ok.tar.xz</code> | x86_64 | $(stat -c %s build/kata-static-ok.tar.xz) | <code>$(sha256sum build/kata-static-ok.tar.xz | cut -d' ' -f1)</code> |" summary.md
  github kb log ok >/dev/null
  github kb why ok >/dev/null
  github kb merge build -o merged.tar.xz >/dev/null
  [ "$(grep -c '^### kbuild' summary.md)" -eq 1 ]
  github kb -q ok >/dev/null
  [ "$(grep -c '^### kbuild' summary.md)" -eq 2 ]
  grep -q '^0 made, 1 cached' summary.md
  # Without the runner it is nobody's.
  GITHUB_STEP_SUMMARY=$PROJECT/summary.md kb ok
  GITHUB_STEP_SUMMARY=$PROJECT/summary.md GITHUB_ACTIONS=true KBUILD_CI_LOG=no kb ok 2>log
  run ! grep -q '^::' log
  [ "$(grep -c '^### kbuild' summary.md)" -eq 2 ]
}

@test "gitlab: sections are balanced, and nothing of a step is one" {
  make_recipe bad '' "$(printf 'seq 40\n%s\nexit 3' "$(cat says)")"
  GITLAB_CI=true GITHUB_STEP_SUMMARY=$PROJECT/summary.md kb ok bad 2>&1 | cat >log
  cat -v log
  python3 - <<'X'
import re
text = open("log", "rb").read()
found = re.findall(rb"section_(start|end):(\d+):([a-zA-Z0-9_.-]+)(?:\[[^\]]*\])?\r\x1b\[0K", text)
assert len(found) >= 4 and len(found) % 2 == 0, found
starts = found[0::2]
for (what, then, name), (ends, later, same) in zip(found[0::2], found[1::2]):
    assert (what, ends, name) == (b"start", b"end", same) and int(then) <= int(later), found
assert len({name for _, _, name in starts}) == len(starts), found
assert b"evil" not in b"".join(name for _, _, name in starts)
X
  run ! grep -qE '^::(group::kbuild|error title)' log
  [ ! -e summary.md ]
  GITLAB_CI=true kb log bad | cat >shown
  run ! grep -q "$(printf '\033')" shown
}

@test "a terminal, an unset variable, and a wrong one" {
  kb ok 2>log
  run ! grep -qE '^::|section_' log
  GITHUB_ACTIONS=1 GITLAB_CI=yes kb ok 2>log
  run ! grep -qE '^::|section_' log
  run -1 env KBUILD_CI_LOG=off "$KBUILD" --cache cache list
  [[ $output == *"KBUILD_CI_LOG has the value 'off'"*"it can be github, gitlab or no"* ]]
  # By name, where the runner's variables do not arrive (docker run without -e).
  KBUILD_CI_LOG=github kb ok 2>&1 | cat >log
  grep -q '^::group::kbuild ok' log
  GITHUB_ACTIONS=true GITHUB_STEP_SUMMARY=$PROJECT/summary.md script -qec "$KBUILD --builder=host --cache cache ok" /dev/null >log </dev/null
  run ! grep -q '^::' log
  [ ! -e summary.md ]
}

# ---- events ----

@test "the first event has the schema, the last one is what happened" {
  make_recipe bad 'needs: [ok]' 'exit 3'
  make_recipe top 'needs: [bad]'
  run -3 --separate-stderr kb --json top
  printf '%s\n' "$output" >events
  python3 - <<'X'
import json
events = [json.loads(line) for line in open("events")]
first, last = events[0], events[-1]
assert first == {"event": "run", "schema": 1, "kbuild": first["kbuild"], "targets": ["top"]}, first
assert (last["event"], last["schema"], last["outcome"]) == ("summary", 1, "failed"), last
assert last["error"].startswith("bad: its script ended with exit status 3") and last["hint"], last
of = {k: [n["label"] for n in last[k]] for k in ("made", "pulled", "cached", "failed", "interrupted", "skipped")}
assert of == {"made": ["ok"], "pulled": [], "cached": [], "failed": ["bad"], "interrupted": [], "skipped": ["top"]}, of
assert last["results"] == [] and sum(e["event"] == "summary" for e in events) == 1
ended = {e["label"]: e["event"] for e in events if e["event"] in ("done", "failed", "cached")}
assert ended == {"ok": "done", "bad": "failed"}, ended
X
  kb --json ok >events
  [ "$(jq -r 'select(.event == "summary") | .outcome, (.cached | length), .error' events | paste -sd' ')" = "done 1 null" ]
  # In a job of a CI the events are the same; standard error has the annotation.
  GITHUB_ACTIONS=true kb --json top >events 2>log || true
  [ "$(jq -r 'select(.event == "summary") | .outcome' events)" = failed ]
  [ "$(cat_commands <log | grep -c '^error|')" -eq 1 ]
  run ! grep -q '^::group' log
}

@test "kbuild run sums up its one node, made and then found" {
  make_recipe top 'needs: [ok]'
  kb ok -q
  GITHUB_ACTIONS=true GITHUB_STEP_SUMMARY=$PROJECT/summary.md kb --json run top:x86_64 >events
  [ "$(jq -r '.event' events | sed -n '1p;$p' | paste -sd' ')" = "run summary" ]
  [ "$(tail -n 1 events | jq -c '[.outcome, (.made | map(.node)), (.cached | map(.node)), .results]')" = '["done",["top:x86_64"],["ok:x86_64"],[]]' ]
  grep -q '^| made | <code>top</code> |' summary.md
  kb --json run top:x86_64 >events
  [ "$(tail -n 1 events | jq -c '[.outcome, (.made | map(.node))]')" = '["done",[]]' ]
  tail -n 1 events | jq -e '.cached | map(.node) | index("top:x86_64") != null'
  make_recipe bad '' 'exit 3'
  run -3 --separate-stderr kb --json run bad:x86_64
  [ "$(tail -n 1 <<<"$output" | jq -c '[.event, .outcome, (.failed | map(.node))]')" = '["summary","failed",["bad:x86_64"]]' ]
}

@test "an interrupted run says so in its last event" {
  make_recipe slow '' 'echo begun; sleep 60'
  kb_exec --json slow >events 2>log 3>&- &
  pid=$!
  for _ in $(seq 300); do
    grep -qs begun build/logs/slow.log && break
    sleep 0.1
  done
  kill -TERM "$pid"
  status=0
  wait "$pid" || status=$?
  [ "$status" -eq 130 ]
  [ "$(tail -n 1 events | jq -r '.event, .outcome, .interrupted[0].label' | paste -sd' ')" = "summary interrupted slow" ]
}

@test "documents on standard output hold no command, and JSON stays what it is" {
  make_recipe one 'variables: {GREET: {type: text, default: "##[error]PWN"}}'
  local words
  kb one >/dev/null 2>&1
  for words in "provenance one -o -" "provenance one --spdx -o -" "plan --json one"; do
    # shellcheck disable=SC2086 # words
    {
      kb $words 2>/dev/null >plain
      GITHUB_ACTIONS=true kb $words 2>/dev/null | cat >read
    }
    [ -s read ]
    ! grep -qF '##[' read || { echo "$words: $(grep -F '##[' read)"; false; }
    diff <(jq -cS 'del(.. | .invocationId?)' plain) <(jq -cS 'del(.. | .invocationId?)' read)
  done
  kb provenance one -o - 2>/dev/null >plain
  grep -qF '##[error]PWN' plain # so that there was something to find
  GITHUB_ACTIONS=true kb provenance one -o - 2>/dev/null >file # not read by the runner
  cmp plain file
  for words in "explain one" "why one" "report -o -" "list"; do
    # shellcheck disable=SC2086 # words
    GITHUB_ACTIONS=true GREET='##[error]b' kb $words 2>&1 | cat >read
    [ -s read ]
    ! grep -qF '##[' read || { echo "$words: $(grep -F '##[' read)"; false; }
  done
}
