# SPDX-License-Identifier: Apache-2.0
# For tests of kbuild spread on a real Slurm on loopback (slurm.bash): two workers with caches of their own, and only a registry between them. The
# tests' folders, so each project, are hidden from the workers. Steps are short sleeps. After `load project`, `load shared_cache` and `load slurm`.

# Between the workers and kbuild there is a program that writes down what begins and ends where: $CLUSTER/runs has lines
# "START ID WORKER SECONDS PID" and "END ID WORKER SECONDS PID STATUS found|made", $CLUSTER/runs.ID.said is what it said on standard error. It adds the
# words of $CLUSTER/runs.options to each command, and runs $CLUSTER/runs.after after it. A worker adds $CLUSTER/workers/N/environment to its jobs.
setup_file() {
  mkdir -p "$BATS_FILE_TMPDIR/bin" "$BATS_RUN_TMPDIR/test"
  cat >"$BATS_FILE_TMPDIR/bin/kbuild" <<X
#!/bin/bash
runs=$BATS_FILE_TMPDIR/slurm/runs said=\$(mktemp -t runs.XXXXXX)
echo "START \$2 \$SLURMD_NODENAME \$EPOCHREALTIME \$\$" >>"\$runs"
status=0
"$KBUILD" "\$@" \$(cat "\$runs.options" 2>/dev/null) 2>"\$said" || status=\$?
cat "\$said" >&2
grep -q ': found, key' "\$said" && how=found || how=made
echo "END \$2 \$SLURMD_NODENAME \$EPOCHREALTIME \$\$ \$status \$how" >>"\$runs"
mv "\$said" "\$runs.\$2.said"
[ ! -e "\$runs.after" ] || . "\$runs.after"
exit \$status
X
  # A job pauses after a try that failed: shorter, if a test says so.
  cat >"$BATS_FILE_TMPDIR/bin/sleep" <<X
#!/bin/sh
[ ! -e "$BATS_FILE_TMPDIR/slurm/runs.hurry" ] || set -- 0.2
PATH=\${PATH#*:} exec sleep "\$@"
X
  chmod +x "$BATS_FILE_TMPDIR/bin/"*
  KBUILD=$BATS_FILE_TMPDIR/bin/kbuild slurm_start 2 "$BATS_RUN_TMPDIR/test"
  [ -n "${SLURM_MISSING:-}" ] || worker_environment
}

worker_environment() {
  cat >>"$CLUSTER/task-prolog" <<X
mkdir -p $CLUSTER/machine/tmp
echo "export TMPDIR=$CLUSTER/machine/tmp"
cat $CLUSTER/machine/environment 2>/dev/null || true
X
}

teardown_file() {
  [ ! -s "$CLUSTER/registry.pid" ] || REGISTRY_PID=$(cat "$CLUSTER/registry.pid")
  slurm_stop
}

# Stops the cluster's registry, and starts it again at the same port.
stop_shared_registry() {
  kill "$REGISTRY_PID"
  while curl -s -o /dev/null "http://127.0.0.1:$PORT/v2/"; do sleep 0.05; done
}
start_shared_registry() {
  env -u REGISTRY_AUTH_FILE docker-registry serve "$CLUSTER/registry.yml" >"$CLUSTER/registry.log" 2>&1 3>&- &
  REGISTRY_PID=$!
  echo "$REGISTRY_PID" >"$CLUSTER/registry.pid"
}

setup() {
  slurm_needed
  setup_shared_cache
  use_registry
  rm -rf "$CLUSTER"/runs.* "$CLUSTER"/workers/*/tmp
  : >"$CLUSTER/runs"
}

# Each test has a part of the registry for itself.
use_registry() {
  export ARTEFACT_REGISTRY=127.0.0.1:$PORT ARTEFACT_REPOSITORY=kata$BATS_TEST_NUMBER
}

teardown() {
  [ -z "${SLURM_MISSING:-}" ] || return 0
  [ -z "${GIT_PID:-}" ] || kill "$GIT_PID" 2>/dev/null || true
  scancel --me
  slurm_wait_idle 20
  rm -f "$CLUSTER"/workers/*/environment
  use_workers 0 1
}

# Only these get jobs from now on.
use_workers() {
  local i state
  for i in 0 1; do
    state=DRAIN
    [[ " $* " != *" $i "* ]] || state=RESUME
    # To resume what is not drained is an error.
    scontrol update NodeName="worker$i" State="$state" Reason=test 2>/dev/null || [ "$state" = RESUME ]
  done
}

spread() {
  kb spread --with=slurm "$@"
}

# A recipe whose step sleeps, and says when it began and ended; its file has what its inputs have. The test's number is in it, so that no
# worker has it of an earlier test.
step() { # NAME SECONDS [FURTHER_LINES]
  make_recipe "$1" "${3:-}" "
echo \"START $1 \$ARCH of test $BATS_TEST_NUMBER\"
sleep $2
mkdir -p /out/$1/opt
{ echo $1 \$ARCH; cat /deps/*/opt/* /src/*/greet.c 2>/dev/null || true; } >/out/$1/opt/$1
echo \"END $1\""
}

# The shape of boot-image-se for s390x and the group snp for x86_64: 12 nodes, 3 of them sources.
release() {
  local of='version: externals.greet, git: "{url}", ref: "{version}"'
  make_repositories
  serve_repositories
  sed -i "s/127.0.0.1:[0-9]*/127.0.0.1:$GIT_PORT/" versions.yaml
  printf '  shout:\n    url: "git://127.0.0.1:%s/shout"\n    version: main\n' "$GIT_PORT" >>versions.yaml
  step kernel 2.5 "sources: {linux: {$of}}"
  step agent 0.5 "sources: {kata: {$of, submodules: no}}"
  step initrd 0.3 "needs: [kernel, agent]"
  step image 0.3 "needs: [kernel, initrd]
architectures: [s390x]"
  step qemu 0.5 "sources: {qemu: {version: externals.shout, git: \"{url}\", ref: \"{version}\"}}"
  step ovmf 0.3
  sed -i '/^architectures: \[x86_64, s390x/d' recipes/image/recipe.yaml
  mkdir -p recipes/snp
  printf 'description: all of it\naction: group\nmembers: {x86_64: [kernel, initrd, qemu, ovmf]}\n' >recipes/snp/recipe.yaml
}

# The ids of the nodes whose making began, one a line, as often as it did.
begun() {
  awk '$1 == "START" { print $2 }' "$CLUSTER/runs" | sort
}

# The files of an output directory but logs, with their digests.
results() {
  (cd "$1" && find . -name logs -prune -o -name targets -prune -o -name run.json -prune -o -type f -print0 | sort -z | xargs -0 sha256sum)
}

# The nodes whose making failed with a status.
failed_with() { # STATUS
  awk -v s="$1" '$1 == "END" && $6 == s { print $2 }' "$CLUSTER/runs" | sort
}

# Each node once, and each made.
all_made_once() { # NUMBER_OF_NODES
  [ "$(begun | wc -l)" -eq "$1" ]
  [ "$(begun | uniq | wc -l)" -eq "$1" ]
  [ "$(grep -c '^END .* 0 made$' "$CLUSTER/runs")" -eq "$1" ]
}

# Nothing is begun, and Slurm gets no job.
nothing_to_do() { # WORDS
  local jobs
  jobs=$(slurm_jobs | wc -l)
  : >"$CLUSTER/runs"
  spread "$@"
  [ ! -s "$CLUSTER/runs" ]
  [ "$(slurm_jobs | wc -l)" -eq "$jobs" ]
}

# Waits until a file has a text.
wait_for() { # TEXT FILE
  local end=$((SECONDS + 60))
  until grep -qsF -- "$1" "$2"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.05
  done
}

# Waits until a step's log on a worker says the text; prints the worker's number.
wait_for_step() { # TEXT
  local end=$((SECONDS + 30)) log
  until log=$(grep -rlsF --include="*.log" "$1" "$CLUSTER"/workers/*/cache/tmp/ | head -n 1) && [ -n "$log" ]; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.05
  done
  log=${log#"$CLUSTER/workers/"}
  echo "${log%%/*}"
}
