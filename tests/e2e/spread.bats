#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kbuild spread on a real Slurm on loopback (spread.bash): what is made where, and how often.

bats_require_minimum_version 1.5.0

load project
load shared_cache
load slurm
load spread

@test "a worker dies with its steps: all is made, bit for bit as on one machine, and only what ran there twice" {
  release
  spread image snp --arch=x86_64,s390x >out 2>&1 3>&- &
  pid=$!
  victim=$(wait_for_step "START kernel s390x")
  slurm_kill_worker "$victim"
  scontrol update NodeName="worker$victim" State=DOWN Reason=killed
  wait "$pid" || { cat out "$CLUSTER/runs"; false; }
  slurm_revive_worker "$victim"
  cat out "$CLUSTER/runs"
  # What had begun and had not ended.
  awk -v w="worker$victim" '$3 == w && $1 == "START" { s[$2]++ } $3 == w && $1 == "END" { s[$2]-- } END { for (i in s) if (s[i]) print i }' \
    "$CLUSTER/runs" | sort >victims
  grep -qx kernel:s390x victims
  [ "$(begun | uniq | wc -l)" -eq 12 ]
  diff <(begun | uniq -d) victims
  [ "$(begun | wc -l)" -eq $((12 + $(wc -l <victims))) ]
  # A victim may have pushed its result, but not the one whose step was running.
  run ! grep -v ' 0 made$' <(grep ^END "$CLUSTER/runs" | grep -vwFf victims)
  grep -q "^END kernel:s390x .* 0 made$" "$CLUSTER/runs"
  [ "$(awk '{ print $3 }' "$CLUSTER/runs" | sort -u | wc -l)" -eq 2 ]
  # One machine.
  unset ARTEFACT_REGISTRY ARTEFACT_REPOSITORY
  "$KBUILD" --builder=host --cache "$PROJECT/other" image --arch=s390x -o one/s390x
  "$KBUILD" --builder=host --cache "$PROJECT/other" snp --arch=x86_64 -o one/x86_64
  diff <(results build) <(results one)
  # The report has the machines.
  jq -e '.verb == "spread" and .outcome == "done" and any(.nodes[]; .where == "worker1" and .state == "made")' build/run.json
  kb report
  grep -q '<dt>machine</dt><dd class="mono">worker1</dd>' build/report.html
  # And what each took there; so has the next plan.
  jq -e '[.nodes[] | select(.state == "made" and .kind == "artifact")] | length == 9 and all(.cpu_ms > 0 and .peak_kib > 0)' build/run.json
  echo '# other' >>recipes/kernel/build.sh
  kb plan --remote --json image --arch=s390x | jq -e 'select(.node == "kernel:s390x") | .resources.ms >= 2500 and .resources.cpu_ms > 0'
  sed -i '$d' recipes/kernel/build.sh
  [ "$(find one -name '*.tar.xz' | wc -l)" -eq 9 ]
  # Again, and from another machine.
  use_registry
  nothing_to_do image snp --arch=x86_64,s390x
  forget
  nothing_to_do image snp --arch=x86_64,s390x
  diff <(results build) <(results one)
  # A recipe is changed: what is above it is made, and no more.
  : >"$CLUSTER/runs"
  echo 'echo more >>/out/initrd/opt/initrd' >>recipes/initrd/build.sh
  spread image snp --arch=x86_64,s390x
  all_made_once 3
  diff <(begun) <(printf '%s\n' image:s390x initrd:s390x initrd:x86_64)
  content_of build/s390x/kata-static-image.tar.xz opt/image | grep -qx more
  content_of build/s390x/kata-static-initrd.tar.xz opt/initrd | grep -qx more
}

@test "Ctrl-C cancels the jobs, and leaves nothing half-written" {
  step one 20
  step other 20
  step two 0 "needs: [one]"
  kb_exec spread --with=slurm two other >out 2>&1 3>&- &
  pid=$!
  wait_for_step "START one"
  wait_for_step "START other"
  kill -INT "$pid"
  status=0
  wait "$pid" || status=$?
  cat out
  [ "$status" -eq 130 ]
  [ -z "$(squeue -h)" ]
  [ "$(find build -type f)" = build/run.json ]
  jq -e '.verb == "spread" and .outcome == "interrupted"' build/run.json
  grep -q "interrupted; its jobs are cancelled" out
  # Nor does a step of them still run, and no file of them is left.
  [ -z "$(ls "$CLUSTER"/workers/*/tmp | grep '^tmp\.')" ]
  run ! pgrep -f "$BATS_FILE_TMPDIR/bin/kbuild run"
}

@test "Ctrl-C in the middle of a submission, with filters for squeue and scancel in the environment, leaves no job" {
  step one 20
  step two 0 "needs: [one]"
  mkdir slow
  printf '#!/bin/sh\n%s "$@" || exit\ntouch "%s"\nsleep 1\n' "$(command -v sbatch)" "$PROJECT/submitted" >slow/sbatch
  chmod +x slow/sbatch
  # All processes of a terminal get the signal.
  SQUEUE_PARTITION=none SCANCEL_NAME=none PATH=$PROJECT/slow:$PATH timeout 60 python3 - submitted "$KBUILD" \
    --builder=host --cache "$PROJECT/cache" spread --with=slurm two <<'X'
import os, signal, subprocess, sys, time
child = subprocess.Popen(sys.argv[2:], start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
while not os.path.exists(sys.argv[1]):
    time.sleep(0.02)
os.killpg(child.pid, signal.SIGINT)
sys.exit(child.wait() != 130)
X
  [ -z "$(squeue -h)" ]
}

@test "the terminal is closed while a submission hangs: it does not wait for sbatch, and leaves no job" {
  step one 20
  step two 0 "needs: [one]"
  mkdir stuck
  # Slurm has the job, and its number reaches nobody.
  printf '#!/bin/sh\n%s "$@" >/dev/null || exit\ntouch "%s"\nexec sleep 100000\n' "$(command -v sbatch)" "$PROJECT/submitted" >stuck/sbatch
  chmod +x stuck/sbatch
  PATH=$PROJECT/stuck:$PATH kb_exec spread --with=slurm two >out 2>&1 3>&- &
  pid=$!
  while [ ! -e submitted ]; do sleep 0.05; done
  [ -n "$(squeue -h)" ]
  kill -HUP "$pid"
  status=0
  wait "$pid" || status=$?
  cat out
  [ "$status" -eq 130 ]
  [ -z "$(squeue -h)" ]
  # Who asked that it outlives the terminal has it so.
  rm -f submitted
  sed -i 's/exec sleep 100000/sleep 1/; s/ >.dev.null//' stuck/sbatch
  PATH=$PROJECT/stuck:$PATH nohup "$KBUILD" --builder=host --cache "$PROJECT/cache" spread --with=slurm two >out 2>&1 3>&- &
  pid=$!
  while [ ! -e submitted ]; do sleep 0.05; done
  kill -HUP "$pid"
  wait "$pid" || { cat out; false; }
}

@test "JSON events, and a live view on a terminal" {
  step one 1
  step two 1 "needs: [one]"
  spread --json two >events
  jq -e -s 'map(select(.event == "started" and .node == "one:x86_64" and (.where // "" | test("^worker[01]$")))) | length == 1' events
  jq -e -s 'map(select(.event == "done" and .node == "two:x86_64" and (.shared | not))) | length == 1' events
  jq -e -s '.[-1].event == "summary" and (.[-1].results | length == 2)' events
  # What the jobs made has a summary of its own.
  jq -e -s 'map(select(.event == "summary")) | length == 2 and (.[0].made | length == 2) and .[0].results == []' events
  echo "# live" >>recipes/one/build.sh
  echo "# live" >>recipes/two/build.sh
  timeout 60 python3 "$REPOSITORY/tests/support/terminal.py" "" "$KBUILD" --builder=host --cache "$PROJECT/cache" spread --with=slurm two >live
  cat -v live
  grep -q "0 running, 0 cached, 0 made, 2 to go" live
  grep -q "  one  .*on worker[01]" live
  grep -q "1 running, 0 cached, 1 made, 0 to go" live
  grep -q "^status 0" live
}

@test "two at once make each node once; in a pipe the view is plain lines" {
  step one 1.5
  step two 0.5 "needs: [one]"
  kb_other() { "$KBUILD" --builder=host --cache "$PROJECT/other" -o "$PROJECT/out" "$@"; }
  kb_other spread --with=slurm two >out1 2>&1 3>&- &
  pid=$!
  spread two >out2 2>&1 || { cat out2; false; }
  wait "$pid" || { cat out1; false; }
  cat out1 out2 "$CLUSTER/runs"
  for out in out1 out2; do
    grep -q "^kbuild: one: started (on worker[01]" "$out"
    grep -qE "^kbuild: one x86_64: (done|from the shared cache) in" "$out"
    run ! grep -q $'\033' "$out"
  done
  [ "$(grep '^END .* 0 made$' "$CLUSTER/runs" | awk '{ print $2 }' | sort)" = "$(printf '%s\n' one:x86_64 two:x86_64)" ]
  # And counts as made once.
  for node in one two; do
    [ "$(cat out1 out2 | grep -c "^kbuild: $node x86_64: done in")" -eq 1 ]
  done
  # Nor at one time.
  awk '$1 == "START" { if (n[$2]++) exit 1 } $1 == "END" { n[$2]-- }' "$CLUSTER/runs"
  diff <(results build) <(results out)
}

# All that is in the registry, unpacked.
all_blobs() {
  local blob
  find "$CLUSTER/registry" -type f | while read -r blob; do
    cat "$blob"
    zstd -dcq "$blob" 2>/dev/null || gzip -dcq "$blob" 2>/dev/null || xz -dcq "$blob" 2>/dev/null || true
  done
}

@test "a node with a secret runs on a trusted machine only, and the secret is in no registry" {
  local feature='x86_64,s390x,network'
  make_recipe modules "
variables: {TEST_KEY: {type: secret}, TEST_CERT: {type: file}}
sign: {key: TEST_KEY, certificate: TEST_CERT, files: '*.ko'}" 'mkdir -p /out/modules/kernel; echo "TEST module $RANDOM" >/out/modules/kernel/one.ko'
  make_recipe plain
  openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=TEST one" -keyout TEST-one.pem -out TEST-one.crt 2>/dev/null
  chmod 600 TEST-one.pem
  export TEST_KEY=$PROJECT/TEST-one.pem TEST_CERT=$PROJECT/TEST-one.crt
  # No machine is trusted.
  for i in 0 1; do scontrol update NodeName="worker$i" AvailableFeatures="$feature" ActiveFeatures="$feature"; done
  run spread modules
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"submitting modules:x86_64 to Slurm"*"hint: it needs a machine with these features"*": x86_64&trusted"* ]]
  [ -z "$(squeue -h)" ]
  # One is, and has it.
  scontrol update NodeName=worker1 AvailableFeatures="$feature,trusted" ActiveFeatures="$feature,trusted"
  cp TEST-one.pem "$CLUSTER/workers/1/TEST-one.pem"
  echo "export TEST_KEY=$CLUSTER/machine/TEST-one.pem" >"$CLUSTER/workers/1/environment"
  spread modules plain
  [ "$(grep '^END modules:x86_64' "$CLUSTER/runs" | awk '{ print $3, $6 }')" = "worker1 0" ]
  id=$(slurm_jobs | awk -F'|' '$6 == "modules:x86_64" { id = $1 } END { print id }')
  scontrol show job "$id" | grep -q 'Features=x86_64&trusted'
  content_of build/kata-static-modules.tar.xz kernel/one.ko | tail -c 28 | grep -qx '~Module signature appended~'
  # The certificate is there, so that this finds what is there.
  all_blobs >all
  grep -aqF "$(sed -n 3p TEST-one.crt)" all
  run ! grep -aqF "$(sed -n 3p TEST-one.pem)" all
  for i in 0 1; do scontrol update NodeName="worker$i" AvailableFeatures="$feature,trusted" ActiveFeatures="$feature,trusted"; done
}

@test "a local folder that is a source reaches the workers; artifacts as grain; a directory an architecture" {
  local of='version: externals.greet, git: "{url}", ref: "{version}"'
  step one 0 "sources: {greet: {$of}}"
  step two 0 "needs: [one]"
  mkdir mine
  echo "my own" >mine/greet.c
  run spread --source greet="$PROJECT/mine" --arch=x86_64,s390x -o out two
  echo "$output"
  [ "$status" -eq 2 ]
  [[ "$output" == *"-o DIR/{arch}"* ]]
  spread --source greet="$PROJECT/mine" --arch=x86_64,s390x -o 'out/{arch}' --grain=artifact two
  all_made_once 4
  diff <(begun) <(printf '%s\n' one:s390x one:x86_64 two:s390x two:x86_64)
  content_of out/s390x/kata-static-two.tar.xz opt/two | grep -qx 'my own'
  content_of out/x86_64/kata-static-two.tar.xz opt/two | grep -qx 'two x86_64'
  # The folder is changed.
  : >"$CLUSTER/runs"
  echo "my new" >mine/greet.c
  spread --source greet="$PROJECT/mine" one
  content_of build/kata-static-one.tar.xz opt/one | grep -qx 'my new'
  [ "$(begun)" = one:x86_64 ]
  # A source that is fetched, with the artifact that needs it.
  make_repositories
  serve_repositories
  sed -i "s/127.0.0.1:[0-9]*/127.0.0.1:$GIT_PORT/" versions.yaml
  : >"$CLUSTER/runs"
  spread --grain=artifact one
  [ "$(begun)" = one:x86_64 ]
  content_of build/kata-static-one.tar.xz opt/one | grep -q hello
}
