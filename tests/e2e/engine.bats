#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The engine as users meet it: targets, cache, failures, interrupts.

load project

setup() {
  make_project
}

@test "a target is built into build/ with upstream's names and side files" {
  make_recipe one
  run kb one
  [ "$status" -eq 0 ]
  [ "$(content_of build/kata-static-one.tar.xz opt/one)" = one ]
  (cd build && sha256sum -c one-sha256sum)
  [ -s build/one-version ]
  [ -s build/one-builder-image-version ]
  xz -t build/kata-static-one.tar.xz
}

@test "a second run does nothing, and a changed script is built again" {
  make_recipe one
  kb one
  before=$(stat -c %i build/kata-static-one.tar.xz)
  run kb one
  [ "$status" -eq 0 ]
  [[ "$output" == *"one: cached"* ]]
  [[ "$output" != *started* ]]
  [ "$(stat -c %i build/kata-static-one.tar.xz)" = "$before" ]
  make_recipe one "" 'mkdir -p /out/one/opt; echo changed >/out/one/opt/one'
  run kb one
  [[ "$output" == *"one: started"* ]]
  [ "$(content_of build/kata-static-one.tar.xz opt/one)" = changed ]
  run kb explain one
  [[ "$output" == *"nothing changed since the last build"* ]]
}

@test "a second run loads none of the large libraries, and a memo that does not hold is not believed" {
  [ -r /etc/ld.so.cache ] || skip "the loader has no cache here"
  make_recipe one
  kb one
  LD_DEBUG=files LD_DEBUG_OUTPUT=$PWD/loaded kb one
  grep -q 'file=libc.so' loaded.*
  run grep -hE 'file=lib(archive|crypto|curl|git2|xml2)' loaded.*
  [ "$status" -eq 1 ]
  memo=$(grep -lr libarchive cache/memo)
  codec=$(tail -n 1 "$memo")
  [[ "$codec" == "liblzma "*" + libarchive "* ]]
  # What it says of another file, or of none, does not count: the key stays the same.
  for wrong in 's| [0-9]* \(.*\)$| 1 \1|' '1s|.*|/nowhere/libarchive.so|' '2,$d'; do
    sed -i "$wrong" "$memo"
    sed -i '$s|.*|liblzma 0.0 + wrong|' "$memo"
    run kb one
    [[ "$output" == *"one: cached"* ]]
    [ "$(tail -n 1 "$memo")" = "$codec" ]
  done
  # The same when the library is replaced between the plan and the first node: nothing is made under such a key.
  sed -i '$s|.*|liblzma 0.0 + wrong|' "$memo"
  run kb one
  [ "$status" -eq 1 ]
  [[ "$output" == *"the keys were made for liblzma 0.0 + wrong, but what is loaded is $codec"*"run kbuild again"* ]]
  run kb one
  [[ "$output" == *"one: cached"* ]]
}

@test "a dependency that is made again with the same bytes stops the rebuild there" {
  make_recipe low
  make_recipe high "needs: [low]" 'mkdir -p /out/high/opt; cat /deps/low/opt/low >/out/high/opt/high; echo ran >&2'
  kb high
  [ "$(content_of build/kata-static-high.tar.xz opt/high)" = low ]
  make_recipe low "" 'mkdir -p /out/low/opt; echo low >/out/low/opt/low # another way'
  run kb high
  [ "$status" -eq 0 ]
  [[ "$output" == *"low: started"* ]]
  [[ "$output" != *"high: started"* ]]
}

@test "a key is the same whatever else is built along" {
  # Both have a source and a builder of the same name, and what is in them differs.
  for name in one two; do
    mkdir -p "tree-$name"
    echo "$name" >"tree-$name/text"
    make_recipe $name "sources: {tree: {version: $name, git: '{url}', ref: '{branch}'}}" \
      "mkdir -p /out/$name/opt; cat /src/tree/text >/out/$name/opt/$name"
    git_here init -q "git-$name"
    cp "tree-$name/text" "git-$name/"
    git_here -C "git-$name" add .
    git_here -C "git-$name" commit -q -m "$name"
    echo "$name: {url: \"file://$PROJECT/git-$name\", branch: main}"
  done >versions.yaml
  kb one two
  for name in two one; do
    rm -rf build
    run kb $name
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" == *" 0 made"* && "$output" != *started* ]]
    [ "$(content_of build/kata-static-$name.tar.xz opt/$name)" = $name ]
    kb provenance $name -o $name.json
    ! grep -qE 'source:tree:[0-9a-f]{12}' $name.json || false
  done
  [ "$(kb plan one two | grep -c 'source:tree:')" -eq 2 ]
  # Nor is an id another.
  [ "$(kb --json plan one two | jq -r .node | sort)" = "$(kb --json plan two one | jq -r .node | sort)" ]
  [ "$(kb --json plan one two | jq -r .node | sort)" = "$({ kb --json plan one; kb --json plan two; } | jq -r .node | sort -u)" ]
}

@test "recipes that share what they need are planned in no time, whatever the alternatives" {
  for side in a b c; do make_recipe "${side}0"; done
  for i in {1..40}; do
    for side in a b c; do
      make_recipe "$side$i" "needs: [a$((i - 1)), b$((i - 1)), {optional: c$((i - 1))}]"
    done
  done
  timeout 20 "$KBUILD" --builder=host --cache "$PROJECT/cache" plan a40 >planned
  grep -q 'a0:' planned
}

@test "explain names what changed" {
  make_recipe one "variables: {FLAVOUR: {type: text, default: plain}}"
  kb one
  FLAVOUR=rich run kb explain one
  [[ "$output" == *'- variable FLAVOUR "plain"'* ]]
  [[ "$output" == *'+ variable FLAVOUR "rich"'* ]]
}

@test "explain says what making it took, which is in no key" {
  make_recipe one "" 'i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done; mkdir -p /out/one/opt; echo >/out/one/opt/one'
  run kb explain one
  [[ "$output" != *"making it took"* ]]
  kb one
  key=$(kb explain one | grep '^# key')
  kb explain one | grep -qE '^# making it took [0-9.]+ s, of processors [0-9.]+ s, largest process [0-9]+ MB$'
  python3 - <<'X'
import glob, json
costs = [json.load(open(f)).get("cost") for f in glob.glob("cache/actions/*/*")]
assert any(c and c["cpu_ms"] > 20 and c["peak_kib"] > 1000 for c in costs), costs
X
  USE_CACHE=no kb one
  [ "$(kb explain one | grep '^# key')" = "$key" ]
}

@test "a declared variable reaches the step, an undeclared one does not" {
  make_recipe one "variables: {FLAVOUR: {type: text}}" 'mkdir -p /out/one/opt; env | sort >/out/one/opt/env'
  FLAVOUR=rich SECRET=hunter2 kb one
  env=$(content_of build/kata-static-one.tar.xz opt/env)
  [[ "$env" == *FLAVOUR=rich* ]]
  [[ "$env" != *hunter2* ]]
  [[ "$env" == *SOURCE_DATE_EPOCH=* ]]
  [[ "$env" == *TZ=UTC* ]]
}

@test "a failing step ends with status 3, its last lines, and the way to look further" {
  make_recipe bad "" 'echo the reason >&2; exit 7'
  run kb bad
  [ "$status" -eq 3 ]
  [[ "$output" == *"the reason"* ]]
  [[ "$output" == *"exit status 7"* ]]
  [[ "$output" == *"kbuild shell bad"* ]]
  [ ! -e build/kata-static-bad.tar.xz ]
  run kb log bad
  [ "$status" -eq 0 ]
  [[ "$output" == *"the reason"* ]]
}

@test "a script that leaves nothing is an error" {
  make_recipe empty "" 'true'
  run kb empty
  [ "$status" -eq 3 ]
  [[ "$output" == *"left nothing in /out/empty"* ]]
}

@test "with -k what does not depend on a failure is still made" {
  make_recipe bad "" 'exit 1'
  make_recipe above "needs: [bad]"
  make_recipe good "" 'sleep 1; mkdir -p /out/good/opt; echo good >/out/good/opt/good'
  run kb -k above good
  [ "$status" -eq 3 ]
  [ -e build/kata-static-good.tar.xz ]
  [ ! -e build/kata-static-above.tar.xz ]
}

@test "wrong words have the status and the hint they should" {
  make_recipe kernel-confidential
  run kb kernel-confidental
  [ "$status" -eq 2 ]
  [[ "$output" == *"did you mean kernel-confidential"* ]]
  run kb --no-such-option kernel-confidential
  [ "$status" -eq 2 ]
  run kb -j 0 kernel-confidential
  [ "$status" -eq 2 ]
  run kb --arch=vax kernel-confidential
  [ "$status" -eq 2 ]
  [[ "$output" == *"known architectures"* ]]
  run kb
  [ "$status" -eq 2 ]
  run kb cache
  [ "$status" -eq 2 ]
  run kb --sources=nowhere kernel-confidential
  [ "$status" -eq 2 ]
}

@test "mistakes in a recipe are named with file, line and column" {
  make_recipe one "nedes: [two]"
  run kb one
  [ "$status" -eq 1 ]
  [[ "$output" == *"recipe.yaml:5:1"* ]]
  [[ "$output" == *"needs"* ]]
  make_recipe one "needs: [two]"
  run kb one
  [ "$status" -eq 1 ]
  [[ "$output" == *"two"* ]]
  make_recipe a "needs: [b]"
  make_recipe b "needs: [a]"
  run kb a
  [ "$status" -eq 1 ]
  [[ "$output" == *"a:"*" -> b:"*" -> a:"* ]]
}

@test "an architecture that a target cannot be built for is an error that lists the others" {
  make_recipe one
  sed -i 's/^architectures:.*/architectures: [s390x, aarch64]/' recipes/one/recipe.yaml
  run kb --arch=ppc64le one
  [ "$status" -eq 1 ]
  [[ "$output" == *"s390x, aarch64"* ]]
}

@test "a trace that cannot be written is an error, and the results are there" {
  make_recipe slow '' 'echo begun; sleep 3; mkdir -p /out/slow/opt; echo slow >/out/slow/opt/slow'
  mkdir gone
  kb_exec slow --trace gone/trace >log 2>&1 3>&- &
  pid=$!
  until grep -qs begun build/logs/slow.log; do sleep 0.05; done
  rmdir gone
  status=0
  wait "$pid" || status=$?
  cat log
  [ "$status" -eq 1 ]
  grep -q '^kbuild: 1 made' log
  grep -q '^kbuild: error: the trace is lost: .*gone/trace: No such file or directory' log
  [ -f build/kata-static-slow.tar.xz ]
}

@test "plan and json say what happens" {
  make_recipe low
  make_recipe high "needs: [low]"
  run kb plan high
  [ "$status" -eq 0 ]
  [[ "$output" == *"to make"*"artifact"*"low:"* ]]
  kb --json high 2>/dev/null >events
  python3 - <<'X'
import json
events = [json.loads(line) for line in open("events")]
done = [e["label"] for e in events if e["event"] == "done"]
assert done == ["low", "high"], done
X
  run kb plan high
  [[ "$output" != *"to make"* && "$output" == *"kbuild: nothing to do: all of it is cached" ]]
  # What is not there any more is not called cached.
  digest=$(cut -d ' ' -f 1 build/high-sha256sum)
  rm -f "cache/sha256/${digest:0:2}/${digest:2}"
  run kb plan high
  grep -q '^lost  *artifact  *high:' <<<"$output"
  grep -q '^cached  *artifact  *low:' <<<"$output"
  kb explain high | grep -q '^# key .*, not in the cache$'
}

@test "companions are built along, unreleased needs stay out of build/" {
  make_recipe along
  make_recipe helper "release: no"
  make_recipe main "$(printf 'needs: [helper]\nwith: [along]')"
  kb main
  [ -e build/kata-static-along.tar.xz ]
  [ -e build/kata-static-main.tar.xz ]
  [ ! -e build/kata-static-helper.tar.xz ]
  kb helper
  [ -e build/kata-static-helper.tar.xz ]
}

@test "USE_CACHE=no makes it again" {
  make_recipe one
  kb one
  USE_CACHE=no run kb one
  [ "$status" -eq 0 ]
  [[ "$output" == *"one: started"* ]]
}

@test "an interrupt ends all steps with status 130 and leaves nothing half-made" {
  make_recipe slow "" 'echo started; sleep 60; mkdir -p /out/slow/opt; echo x >/out/slow/opt/x'
  kb_exec slow 3>&- 2>said &
  pid=$!
  for _ in $(seq 100); do grep -qs started build/logs/slow.log && break; sleep 0.1; done
  kill -INT $pid
  status=0
  wait $pid || status=$?
  [ "$status" -eq 130 ]
  grep -q '^kbuild: interrupted: slow ' said
  ! grep -q failed said || false
  [ ! -e build/kata-static-slow.tar.xz ]
  ! pgrep -f "$PROJECT/cache" >/dev/null || false
  run kb cache verify
  [ "$status" -eq 0 ]
}

@test "killed at random moments, the cache is valid the next build works" {
  make_recipe low "" 'mkdir -p /out/low/opt; head -c 3000000 /dev/zero >/out/low/opt/zero; sleep 0.1; echo low >/out/low/opt/low'
  make_recipe high "needs: [low]"
  for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    echo "# $i" >>recipes/low/build.sh
    kb_exec high >/dev/null 2>&1 3>&- &
    pid=$!
    sleep "0.$((RANDOM % 6))$((RANDOM % 10))"
    kill -9 $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
    run kb cache verify
    [ "$status" -eq 0 ]
  done
  kb high
  [ "$(content_of build/kata-static-high.tar.xz opt/high)" = high ]
}

@test "who waits for another kbuild says so, and leaves that one's log alone" {
  make_recipe slow "" 'echo "words of the first"; sleep 6; mkdir -p /out/slow; echo x >/out/slow/x'
  kb slow >first 2>&1 &
  first=$!
  for _ in $(seq 100); do
    grep -q 'words of the first' build/logs/slow.log 2>/dev/null && break
    sleep 0.1
  done
  inode=$(stat -c %i build/logs/slow.log)
  kb_exec slow >second 2>&1 3>&- & # and one that is stopped while it waits
  second=$!
  for _ in $(seq 100); do
    grep -q 'waiting for another' second && break
    sleep 0.1
  done
  kill -TERM "$second"
  wait "$second" || [ $? -eq 130 ]
  [ "$(stat -c %i build/logs/slow.log)" = "$inode" ]
  run kb slow
  wait "$first"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"slow: waiting for another kbuild, which makes it"* ]]
  [ "$(stat -c %i build/logs/slow.log)" = "$inode" ]
  grep -qx 'words of the first' build/logs/slow.log
}

@test "two kbuilds at once share the work" {
  make_recipe one "" 'echo x; sleep 2; mkdir -p /out/one/opt; date +%s%N >/out/one/opt/one'
  kb_exec -o b1 one 3>&- &
  first=$!
  kb_exec -o b2 one 3>&- &
  second=$!
  wait $first
  wait $second
  cmp b1/kata-static-one.tar.xz b2/kata-static-one.tar.xz
}

@test "a damaged blob is noticed and made again" {
  make_recipe low
  make_recipe high "needs: [low]" 'mkdir -p /out/high/opt; cat /deps/low/opt/low >/out/high/opt/high'
  kb high
  digest=$(cut -d ' ' -f 1 build/low-sha256sum)
  blob=cache/sha256/${digest:0:2}/${digest:2}
  chmod u+w "$blob"
  printf 'X' | dd of="$blob" bs=1 seek=40 conv=notrunc status=none
  echo "# again" >>recipes/high/build.sh
  run kb high
  [ "$status" -eq 0 ]
  (cd build && sha256sum -c low-sha256sum high-sha256sum)
}

@test "a cache that cannot be written is one clear error" {
  make_recipe one
  if [ "$(id -u)" -eq 0 ]; then
    # Root may write anywhere; a file in the way does the same.
    touch cache
  else
    mkdir cache
    chmod 0555 cache
  fi
  run kb one
  [ "$status" -eq 1 ]
  [[ "$output" == *cache* ]]
  [ ! -e build/kata-static-one.tar.xz ]
}

@test "a full disk is one clear error and nothing half-written" {
  [ "$(id -u)" -eq 0 ] || skip "mounting needs root"
  make_recipe one "" 'mkdir -p /out/one/opt; head -c 30000000 /dev/urandom >/out/one/opt/big'
  mkdir small
  mount -t tmpfs -o size=8m tmpfs small
  run "$KBUILD" --builder=host --cache "$PROJECT/small/cache" one
  umount small
  [ "$status" -ne 0 ]
  [[ "$output" == *"No space left"* ]]
  [ ! -e build/kata-static-one.tar.xz ]
}

@test "a step is told how many jobs there are, and another number rebuilds nothing" {
  make_recipe jobs "" 'mkdir -p /out/jobs/opt; echo "$JOBS" >/out/jobs/opt/jobs'
  kb -j 3 jobs
  [ "$(content_of build/kata-static-jobs.tar.xz opt/jobs)" -eq 3 ]
  run kb -j 5 jobs
  [[ "$output" == *"jobs: cached"* ]]
  [ "$(content_of build/kata-static-jobs.tar.xz opt/jobs)" -eq 3 ]
}

@test "a constant is filled in from versions.yaml, and a new value there builds again" {
  make_recipe one "environment: {WHERE: '{externals.greet.url}', WHAT: '{{a}} {arch}'}" \
    'mkdir -p /out/one/opt; echo "$WHERE $WHAT" >/out/one/opt/one'
  kb --arch=x86_64 one
  [ "$(content_of build/kata-static-one.tar.xz opt/one)" = "$(sed -n 's/ *url: "\(.*\)"/\1/p' versions.yaml) {a} x86_64" ]
  sed -i 's/url: .*/url: elsewhere/' versions.yaml
  kb --arch=x86_64 one
  [ "$(content_of build/kata-static-one.tar.xz opt/one)" = "elsewhere {a} x86_64" ]
  sed -i 's/version: v1/version: v2/' versions.yaml
  run kb --arch=x86_64 one
  [[ "$output" == *"one: cached"* ]]
  sed -i 's/url: .*//' versions.yaml
  run kb --arch=x86_64 one
  [ "$status" -eq 1 ]
  [[ "$output" == *"recipes/one/recipe.yaml: environment: filling in 'WHERE={externals.greet.url}'"*"there is no 'externals.greet.url' here"* ]]
}

@test "the makes inside steps share one jobserver" {
  make_recipe jobs "" 'mkdir -p /out/jobs/opt /build/x
printf "all: a b c d e f\na b c d e f:\n\t@echo start >>/build/x/log; sleep 0.3; echo end >>/build/x/log\n" >/build/Makefile
make -C /build all
awk "/start/{n++; if (n>m) m=n} /end/{n--} END{print m}" /build/x/log >/out/jobs/opt/most'
  sed -i 's/tools: \[bash\]/tools: [bash, make, awk]/' recipes/jobs/recipe.yaml
  kb -j 3 jobs
  [ "$(content_of build/kata-static-jobs.tar.xz opt/most)" -eq 3 ]
}

@test "an ordinary user can build, too" {
  [ "$(id -u)" -eq 0 ] || skip "already an ordinary user"
  id nobody >/dev/null
  make_recipe one
  chmod -R a+rX "$PROJECT"
  for ((p = 1, d = 1; d; p++)); do # bats keeps its folders to itself
    folder=$(echo "$PROJECT" | cut -d / -f "1-$((p + 1))")
    chmod a+x "$folder"
    [ "$folder" != "$PROJECT" ] || d=0
  done
  mkdir -m 0777 theirs
  cp "$KBUILD" theirs/kbuild
  run setpriv --reuid=65534 --regid=65534 --clear-groups env HOME="$PROJECT/theirs" \
    "$PROJECT/theirs/kbuild" --builder=host --cache "$PROJECT/theirs/cache" -o "$PROJECT/theirs/build" one
  [ "$status" -eq 0 ]
  [ "$(content_of theirs/build/kata-static-one.tar.xz opt/one)" = one ]
}
