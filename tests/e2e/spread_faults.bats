#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kbuild spread on a real Slurm on loopback (spread.bash): steps, registries, workers and engines that fail.

bats_require_minimum_version 1.5.0

load project
load shared_cache
load slurm
load spread

@test "a failed step: its dependants are cancelled, its log is shown, nothing is cached; with -k the rest is made" {
  step bad 0 "" && echo '[ "$JOBS" = 3 ] || { echo "no luck today"; exit 3; }' >>recipes/bad/build.sh
  step above 0 "needs: [bad]"
  step top 0 "needs: [above, good]"
  step good 2
  step later 0 "needs: [good]"
  run spread top later
  echo "$output"
  [ "$status" -eq 3 ]
  [[ "$output" == *"kbuild: error: bad:x86_64 failed on worker"*" with status 3: "*"exit status 3"* ]]
  [[ "$output" == *"the last lines of the log of bad:x86_64"*"no luck today"* ]]
  [[ "$output" == *"skipped: "*"above"* ]]
  # The hint works as it is written, from any folder of any machine: it needs no options of the run.
  hint=$(sed -n 's/^kbuild: hint: kbuild \(log .*\) shows .*/\1/p' <<<"$output")
  # shellcheck disable=SC2086 # words of a command
  (cd / && KBUILD_CACHE=$PROJECT/third "$KBUILD" $hint) | grep "no luck today"
  [ -z "$(squeue -h)" ]
  diff <(begun) <(printf '%s\n' bad:x86_64 good:x86_64)
  # What was made is placed, as after a failure on one machine; the rest is pending.
  [ "$(cd build && echo *.tar.xz)" = kata-static-good.tar.xz ]
  grep -q '^pending kata-static-top.tar.xz top x86_64$' build/targets
  # Again: what failed is not remembered. With -k all that can be made is.
  : >"$CLUSTER/runs"
  run spread -k top later
  echo "$output"
  [ "$status" -eq 3 ]
  diff <(begun) <(printf '%s\n' bad:x86_64 later:x86_64)
  diff <(failed_with 3) <(echo bad:x86_64)
  [[ "$output" == *"skipped: above, top"* ]]
  [ "$(cd build && echo *.tar.xz)" = "kata-static-good.tar.xz kata-static-later.tar.xz" ]
  content_of build/kata-static-later.tar.xz opt/later | grep -qx 'good x86_64'
  grep -q '^pending kata-static-top.tar.xz top x86_64$' build/targets
  [[ "$output" == *"build/kata-static-later.tar.xz"* ]]
  # The cause is gone.
  : >"$CLUSTER/runs"
  echo --jobs=3 >"$CLUSTER/runs.options"
  spread top later
  all_made_once 3
  diff <(begun) <(printf '%s\n' above:x86_64 bad:x86_64 top:x86_64)
  content_of build/kata-static-top.tar.xz opt/top | grep -qx 'bad x86_64'
}

@test "a registry that is away for ten seconds and again at the end, a Slurm that does not answer for five: all is made, once" {
  step one 1
  step two 0 "needs: [one]"
  # When all is made, it is away again.
  cat >"$CLUSTER/runs.after" <<X
[ "\$2" != two:x86_64 ] || until [ -e "\$runs.away" ]; do sleep 0.05; done
X
  spread two >out 2>&1 3>&- &
  pid=$!
  wait_for_step "START one"
  stop_shared_registry
  # Slurm's controller sleeps for longer than squeue waits.
  kill -STOP "$(cat "$CLUSTER/slurmctld.pid")"
  sleep 5
  kill -CONT "$(cat "$CLUSTER/slurmctld.pid")"
  sleep 5
  start_shared_registry
  wait_for "END two:x86_64" "$CLUSTER/runs"
  stop_shared_registry
  touch "$CLUSTER/runs.away"
  wait_for "planning again" out || { cat out "$CLUSTER"/runs*; false; }
  start_shared_registry
  wait "$pid" || { cat out "$CLUSTER"/runs*; false; }
  cat out "$CLUSTER/runs"
  # The step ran once: the second try found it in the worker's cache, and pushed it.
  [ "$(grep -c '^END one:x86_64 .* 75 made$' "$CLUSTER/runs")" -ge 1 ]
  [ "$(grep -c '^END one:x86_64 .* 0 found$' "$CLUSTER/runs")" -eq 1 ]
  grep -q "the shared cache cannot be used: .*planning again" out
  content_of build/kata-static-two.tar.xz opt/two | grep -qx 'one x86_64'
}

@test "submissions that the controller did not answer: each job is there once, and that is said once" {
  local before
  step one 0
  step two 0 "needs: [one]"
  step three 0 "needs: [two]"
  before=$(slurm_jobs | wc -l)
  mkdir away
  # The second is taken, and that is not said; the third finds nobody.
  cat >away/sbatch <<X
#!/bin/sh
echo >>$PROJECT/calls
case \$(wc -l <$PROJECT/calls) in
  2) $(command -v sbatch) "\$@" >/dev/null; echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2; exit 1 ;;
  3) echo "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)" >&2; exit 1 ;;
esac
exec $(command -v sbatch) "\$@"
X
  chmod +x away/sbatch
  PATH=$PROJECT/away:$PATH run spread three
  echo "$output"
  [ "$status" -eq 0 ]
  all_made_once 3
  [ "$(slurm_jobs | wc -l)" -eq $((before + 3)) ]
  [ "$(grep -c "Socket timed out.*asking again" <<<"$output")" -eq 1 ]
  [ "$(wc -l <calls)" -eq 4 ]
}

# As a cleaner of the registry, and of the caches: after each command that made it, or after the first.
lose() { # NAME once|always
  cat >"$CLUSTER/runs.after" <<X
if [ "\$2" = $1:x86_64 ] && [ "\$status" = 0 ] && [ ! -e "\$runs.lost" ]; then
  [ $2 = always ] || touch "\$runs.lost"
  rm -r "$CLUSTER/registry/docker/registry/v2/repositories/$ARTEFACT_REPOSITORY/cached-artefacts/$1"
  chmod -R u+w "$CLUSTER/machine/cache"
  rm -rf "$CLUSTER/machine/cache"
fi
X
  rm -f "$CLUSTER/runs.lost"
  touch "$CLUSTER/runs.hurry"
}

@test "an entry that is evicted while a job waits for it is made again, at most in three rounds" {
  step one 0
  step two 0 "needs: [one]"
  lose one once
  run spread two
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"kbuild: warning: two:x86_64 could not be made on worker"*"its input one:x86_64 is in no cache"*"planning again"* ]]
  [ "$(begun | grep -c one:x86_64)" -eq 2 ]
  # No further try on that machine: it is planned again at once.
  [ "$(grep -c '^END two:x86_64 .* 75 made$' "$CLUSTER/runs")" -eq 1 ]
  [ "$(grep -c '^END two:x86_64 .* 0 made$' "$CLUSTER/runs")" -eq 1 ]
  # A registry that keeps nothing.
  : >"$CLUSTER/runs"
  echo "# other" >>recipes/one/build.sh
  echo "# other" >>recipes/two/build.sh
  lose two always
  run spread two
  echo "$output"
  [ "$status" -eq 75 ]
  [[ "$output" == *"kbuild: error: the registry still lacks results after 3 rounds"* ]]
  [ "$(begun | grep -c two:x86_64)" -eq 3 ]
  [ "$(begun | grep -c one:x86_64)" -eq 1 ]
}

# The registry loses the content of an entry, and keeps the entry; nobody else has it.
lose_content() { # NAME
  local repository=$CLUSTER/registry/docker/registry/v2/repositories/$ARTEFACT_REPOSITORY/cached-artefacts/$1 layer
  for layer in "$repository"/_layers/sha256/*; do
    layer=${layer##*/}
    if zstd -qdc 2>/dev/null <"$CLUSTER/registry/docker/registry/v2/blobs/sha256/${layer:0:2}/$layer/data" | tar t >/dev/null 2>&1 ||
      xz -qt "$CLUSTER/registry/docker/registry/v2/blobs/sha256/${layer:0:2}/$layer/data" 2>/dev/null; then
      rm -r "$CLUSTER/registry/docker/registry/v2/blobs/sha256/${layer:0:2}/$layer" "$repository/_layers/sha256/$layer"
    fi
  done
  forget
  chmod -R u+w "$CLUSTER"/workers/*/cache
  rm -rf "$CLUSTER"/workers/*/cache
}

@test "an entry without its content is made again: an input, and a target" {
  step one 0
  step two 0 "needs: [one]"
  touch "$CLUSTER/runs.hurry"
  spread one
  lose_content one
  : >"$CLUSTER/runs"
  run spread two
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"one:x86_64: the registry has its entry, but not all of its content"* ]]
  [ "$(begun | grep -c one:x86_64)" -eq 1 ]
  lose_content two
  : >"$CLUSTER/runs"
  run spread two
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(begun | xargs)" = two:x86_64 ]
  content_of build/kata-static-two.tar.xz opt/two | grep -qx 'one x86_64'
}

@test "a worker with other recipes or another variable refuses, and says what differs" {
  make_recipe one "variables: {FLAVOUR: {default: sweet}}"
  kb plan --remote --json one >plan
  # In a checkout that was changed.
  echo "# changed" >>recipes/one/build.sh
  PUSH_TO_REGISTRY=yes run kb run one:x86_64 --plan=plan
  echo "$output"
  [ "$status" -eq 2 ]
  [[ "$output" == *"the plan does not match this machine: recipes is "*" here, and "*" in the plan"* ]]
  echo "export FLAVOUR=sour" | tee "$CLUSTER"/workers/{0,1}/environment
  FLAVOUR=sweet run spread one
  echo "$output"
  [ "$status" -eq 2 ]
  [[ "$output" == *"kbuild: error: one:x86_64 failed on worker"*" with status 2: the plan does not match this machine: FLAVOUR is another text here, and sweet in the plan"* ]]
  # Each machine once: another one might have been like the planner's.
  [ "$(failed_with 2 | xargs)" = "one:x86_64 one:x86_64" ]
  diff <(awk '$1 == "END" { print $3 }' "$CLUSTER/runs" | sort) <(printf '%s\n' worker0 worker1)
  rm "$CLUSTER"/workers/*/environment
  FLAVOUR=sweet spread one
  [ "$(failed_with 0)" = one:x86_64 ]
}

@test "a machine without kbuild fails a few jobs, and gets no more; others make them" {
  local i names=()
  for i in 1 2 3 4 5; do
    step "k$i" 0.7
    names+=("k$i")
  done
  step above 0 "needs: [k1]"
  echo "export PATH=/usr/bin:/bin" >"$CLUSTER/workers/0/environment"
  run spread above "${names[@]}"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"kbuild: warning: k"*":x86_64 failed on worker0 with status 127: "*"kbuild: not found; trying again, on another machine"* ]]
  [ "$(grep -c "worker0 gets no more jobs: k.:x86_64 and k.:x86_64 failed there in a row" <<<"$output")" -eq 1 ]
  all_made_once 6
  # No machine has it.
  echo "export PATH=/usr/bin:/bin" >"$CLUSTER/workers/1/environment"
  step one 0
  run spread one
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"kbuild: error: one:x86_64 failed on worker"*" with status 127: "*"kbuild: not found"* ]]
}

@test "with -k a lost input is made again beside a step that failed, which does not run again" {
  step bad 0 "" && echo 'exit 3' >>recipes/bad/build.sh
  step one 0.5
  step two 0 "needs: [one]"
  lose one once
  run spread -k bad two
  echo "$output"
  [ "$status" -eq 3 ]
  [ "$(begun | grep -c bad:x86_64)" -eq 1 ]
  [ "$(begun | grep -c one:x86_64)" -eq 2 ]
  [[ "$output" == *"its input one:x86_64 is in no cache"*"planning again"* ]]
  [[ "$output" == *"kbuild: error: bad:x86_64 failed on worker"*" with status 3"* ]]
  [ "$(cd build && echo *.tar.xz)" = "kata-static-one.tar.xz kata-static-two.tar.xz" ]
}

@test "a checkout that is changed while jobs run is neither made nor placed, and that is said" {
  step one 1
  spread one >out 2>&1 3>&- &
  pid=$!
  wait_for_step "START one"
  cp recipes/one/build.sh before
  echo "# other" >>recipes/one/build.sh
  status=0
  wait "$pid" || status=$?
  cat out
  [ "$status" -eq 1 ]
  grep -q "^kbuild: error: recipes changed here since the jobs were planned" out
  [ -z "$(find build -name '*.tar.xz')" ]
  all_made_once 1
  cp before recipes/one/build.sh
  nothing_to_do one
  [ "$(cd build && echo *.tar.xz)" = kata-static-one.tar.xz ]
}

@test "with jobs of artifacts the log of an input that failed is shown, and its hint works" {
  mkdir -p recipes/common
  echo 'echo "the list fails" >&2; exit 4' >recipes/common/list.sh
  make_recipe one 'shared: [common]
sources: {things: {list: shared/common/list.sh}}'
  run spread --grain=artifact one
  echo "$output"
  [ "$status" -eq 3 ]
  [[ "$output" == *"the last lines of the log of source:things:"*"the list fails"* ]]
  hint=$(sed -n 's/^kbuild: hint: kbuild \(log .*\) shows .*/\1/p' <<<"$output")
  # shellcheck disable=SC2086 # words of a command
  (cd / && KBUILD_CACHE=$PROJECT/third "$KBUILD" $hint) | grep "the list fails"
}

@test "a worker that the planner does not trust refuses, and nothing of it is taken" {
  make_keys
  cp TEST-*.pem "$CLUSTER/"
  chmod 600 "$CLUSTER"/TEST-*.pem
  export KBUILD_TRUSTED_KEYS=$PROJECT/builder.pub.pem
  cp builder.pub.pem "$CLUSTER/"
  step one 0
  run spread one
  echo "$output"
  [ "$status" -eq 2 ]
  [[ "$output" == *"error: one:x86_64 failed on worker"*" with status 2: the plan takes signed results only, and this machine has no KBUILD_SIGNING_KEY"* ]]
  echo "export KBUILD_SIGNING_KEY=$CLUSTER/TEST-stranger.pem" | tee "$CLUSTER"/workers/{0,1}/environment
  run spread one
  echo "$output"
  [ "$status" -eq 2 ]
  [[ "$output" == *"error: one:x86_64 failed on worker"*" with status 2: the plan does not match this machine: the signing key is "* ]]
  [ "$(failed_with 2 | wc -l)" -eq 4 ]
  [ -z "$(find build -name '*.tar.xz')" ]
  # One is trusted.
  printf 'export %s\n' "KBUILD_SIGNING_KEY=$CLUSTER/TEST-builder.pem" "KBUILD_TRUSTED_KEYS=$CLUSTER/builder.pub.pem" \
    >"$CLUSTER/workers/0/environment"
  spread one
  [ "$(grep '^END one:x86_64 .* 0 made$' "$CLUSTER/runs" | awk '{ print $3 }')" = worker0 ]
  nothing_to_do one
}

@test "without Slurm, without its controller, or without a registry the message says so" {
  step one 0
  PATH=/nonexistent run "$KBUILD" --builder=host --cache "$PROJECT/cache" spread --with=slurm one
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *sbatch*"docs/spread.md"* ]]
  sed 's/^SlurmctldPort=.*/SlurmctldPort=1/' "$SLURM_CONF" >slurm.conf
  SLURM_CONF=$PROJECT/slurm.conf run spread one
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"submitting one:x86_64 to Slurm"*"ontact"* ]]
  # Results that could not be placed are not made.
  : >file
  run spread one -o file
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"opening the output directory file: file is a file, not a directory"* ]]
  [ ! -s "$CLUSTER/runs" ]
  # Nor is there a run to report.
  rm -rf build
  ARTEFACT_REGISTRY=127.0.0.1:1 run spread one
  echo "$output"
  [ "$status" -eq 75 ]
  [[ "$output" == *"the shared cache cannot be used"*"hint: try again when the registry answers"* ]]
  [[ "$output" != *"kbuild report"* ]]
  ARTEFACT_REGISTRY='' run spread one
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"a plan for several machines needs a registry, and none is named"* ]]
}
