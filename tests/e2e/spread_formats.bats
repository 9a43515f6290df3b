#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Plans for make, GitHub, GitLab and Slurm: a graph with two branches is built from each by what
# runs it, and its tarballs are those of a build on one machine.
bats_require_minimum_version 1.5.0
load project
load shared_cache

setup() {
  setup_shared_cache
  make_repositories
  serve_repositories
  sed -i "s|:1/greet|:$GIT_PORT/greet|" versions.yaml
  start_registry
  noisy kernel 'sources: {greet: {version: externals.greet, git: "{url}", ref: "{version}"}}'
  noisy tools
  noisy initrd 'needs: [kernel]' 'mkdir -p /out/initrd/opt; cat /deps/kernel/opt/kernel /deps/kernel/opt/kernel >/out/initrd/opt/initrd'
  noisy image 'needs: [initrd, tools]' 'mkdir -p /out/image/opt; cat /deps/initrd/opt/initrd /deps/tools/opt/tools >/out/image/opt/image'
  kb lock image
  # What the jobs call; each with a cache of its own, so that nodes meet in the registry only.
  mkdir bin
  cat >bin/kbuild <<X
#!/bin/sh
export HOME=$PROJECT
[ "\$1" = plan ] || echo "\$2" >>$PROJECT/jobs
exec "$KBUILD" --cache "\${WORKER:-$PROJECT/worker}" "\$@"
X
  chmod +x bin/kbuild
  PATH=$PROJECT/bin:$PATH
}

teardown() {
  stop_registry
  [ -z "${GIT_PID:-}" ] || kill "$GIT_PID" || true
}

# Everything is in the registry, as one machine makes it without one.
same_as_one_machine() {
  run -0 kb plan --remote image
  [ -z "$output" ]
  env -u ARTEFACT_REGISTRY "$KBUILD" --builder=host --cache alone -o alone-build image -q
  "$KBUILD" --builder=host --cache from-registry -o pulled --remote=require image kernel initrd tools -q
  for name in kernel initrd image tools; do
    [ -f "alone-build/kata-static-$name.tar.xz" ] || env -u ARTEFACT_REGISTRY \
      "$KBUILD" --builder=host --cache alone -o alone-build "$name" -q
    cmp "alone-build/kata-static-$name.tar.xz" "pulled/kata-static-$name.tar.xz"
  done
  ! grep -rqs STEP-RAN pulled/logs || false
}

each_once() { # of how many jobs
  [ "$(sort jobs | uniq -d)" = "" ]
  [ "$(wc -l <"jobs")" -eq "$1" ]
}

@test "make builds the graph, each node once; RUN stands before each command; then nothing is left" {
  kb plan --remote --format=make image >plan.mk
  # Two machines: by turns.
  cat >submit <<'X'
#!/bin/sh
case $3 in kernel:* | image:*) WORKER=$PWD/one ;; *) WORKER=$PWD/two ;; esac
export WORKER
exec "$@"
X
  chmod +x submit
  make -f plan.mk -j2 RUN=./submit
  each_once 5
  [ -d one ]
  [ -d two ]
  same_as_one_machine
  kb plan --remote --format=make image >plan.mk
  run -0 make -f plan.mk
  [[ $output == *"Nothing to be done"* ]]
  each_once 5
}

@test "make with a pushed project needs no checkout" {
  kb plan --remote --format=make --push --grain=artifact image >plan.mk
  mkdir elsewhere
  make -C elsewhere -f ../plan.mk -j2
  each_once 4
  same_as_one_machine
}

@test "make tries three times while the status is 75, and not after another" {
  kb plan --remote --format=make tools >plan.mk
  cat >bin/kbuild <<'X'
#!/bin/sh
echo run >>tries
exit "$(cat status)"
X
  printf '#!/bin/sh\necho "$1" >>pauses\n' >bin/sleep
  chmod +x bin/sleep
  echo 75 >status
  run -2 make -f plan.mk
  [[ $output == *"Error 75"* ]]
  [ "$(wc -l <tries)" -eq 3 ]
  [ "$(paste -sd' ' pauses)" = "10 30" ]
  echo 3 >status
  run -2 make -f plan.mk
  [[ $output == *"Error 3"* ]]
  [ "$(wc -l <tries)" -eq 4 ]
}

# ---- Slurm ----

@test "slurm: dependencies, names and scripts reach sbatch; one that fails takes the others back" {
  # An sbatch that runs the script at once, which is right for jobs in the order of their needs.
  cat >bin/sbatch <<'X'
#!/bin/bash
n=$(($(cat count 2>/dev/null || echo 0) + 1))
echo $n >count
printf '%s\n' "$*" >>sbatch.log
[ "$n" != "${FAIL_AT:-}" ] || exit 1
sh >"$n.log" 2>&1 || exit 1
echo "$n;cluster"
X
  printf '#!/bin/sh\necho "$@" >>cancelled\n' >bin/scancel
  chmod +x bin/sbatch bin/scancel
  kb plan --remote --format=slurm --push image >submit.sh
  shellcheck -s sh submit.sh
  FAIL_AT=3 run -1 sh submit.sh
  [ "$(cat cancelled)" = "1 2" ]
  rm count sbatch.log jobs
  run -0 sh submit.sh --partition=fast
  [[ $output == *"5 jobs submitted: 1 2 3 4 5" ]]
  each_once 5
  [ "$(grep -c -- '--requeue .*--kill-on-invalid-dep=yes .*--partition=fast$' sbatch.log)" -eq 5 ]
  cat sbatch.log
  grep -q -- '--job-name=kernel:x86_64 .*--constraint=x86_64 .*--dependency=afterok:1,singleton' sbatch.log
  grep -q -- '--job-name=source:greet:.* --constraint=network .*--dependency=singleton' sbatch.log
  same_as_one_machine
}

@test "slurm: the script takes its jobs back when a signal ends it, the one in flight too" {
  # The second answer is late. What sbatch got it keeps, whatever happens to its terminal.
  cat >bin/sbatch <<'X'
#!/bin/sh
cat >/dev/null
n=$(($(cat count 2>/dev/null || echo 0) + 1))
echo $n >count
[ $n != 2 ] || sleep 1
echo "$n;cluster"
X
  printf '#!/bin/sh\necho "$@" >>cancelled\n' >bin/scancel
  chmod +x bin/sbatch bin/scancel
  kb plan --remote --format=slurm --push image >submit.sh
  shellcheck -s sh submit.sh
  for signal in HUP:129 INT:130 TERM:143; do
    for whom in "" -; do # the script alone, or all of its terminal
      rm -f count cancelled
      env --default-signal=HUP,INT,TERM setsid sh submit.sh 3>&- &
      pid=$!
      for _ in $(seq 100); do
        [ "$(cat count 2>/dev/null)" != 2 ] || break
        sleep 0.05
      done
      kill -s "${signal%:*}" -- "$whom$pid"
      status=0
      wait "$pid" || status=$?
      echo "$signal $whom: $status, $(cat cancelled)"
      [ "$status" -eq "${signal#*:}" ]
      [ "$(cat count)" -eq 2 ]
      [ "$(cat cancelled)" = "1 2" ]
    done
  done
}

# ---- GitHub ----

@test "github: the workflow refers to outputs that the plan prints, within GitHub's limits" {
  kb plan --remote --format=github --push --grain=artifact image >outputs
  python3 - "$REPOSITORY/examples/github/spread.yml" outputs <<'X'
import json, re, sys
try:
    import yaml
except ImportError:
    yaml = None
text = open(sys.argv[1]).read()
assert len(text.splitlines()) <= 40 and text.isascii()
(name, value), = (line.rstrip("\n").split("=", 1) for line in open(sys.argv[2]))
assert name == "levels", name
levels = json.loads(value)
assert len(levels) == 3, levels
assert set(re.findall(r"matrix\.(\w+)", text)) <= {"node", "name", "command", "tries", "build_on", "trusted"}
nodes = []
for level, matrix in enumerate(levels):
    assert list(matrix) == ["include"] and 0 < len(matrix["include"]) <= 256
    for job in matrix["include"]:
        assert job["command"].startswith("kbuild run %s --plan=oci:" % job["node"]), job
        assert job["command"] in job["tries"]
        nodes.append((level, job["node"]))
assert nodes == [(0, "kernel:x86_64"), (0, "tools:x86_64"), (1, "initrd:x86_64"), (2, "image:x86_64")], nodes
if yaml:
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read", "packages": "write"}
    jobs = workflow["jobs"]
    names = ["level%d" % i for i in range(8)]
    assert list(jobs) == ["plan"] + names
    assert jobs["plan"]["outputs"] == {"levels": "${{ steps.plan.outputs.levels }}"}
    for i, name in enumerate(names):
        matrix = "fromJSON(needs.plan.outputs.levels)[%d]" % i
        assert jobs[name]["needs"] == ["plan"] + names[max(i - 1, 0):i], jobs[name]
        assert jobs[name]["if"] == matrix
        assert jobs[name]["strategy"] == {"fail-fast": False, "matrix": "${{ %s }}" % matrix}
        assert jobs[name]["name"] == "${{ matrix.name }}"
        assert jobs[name]["runs-on"] == jobs["plan"]["runs-on"]
        assert jobs[name]["steps"] == jobs["level0"]["steps"]
X
}

# A repository as the workflow expects it, whose `make kbuild` takes the program that is tested.
make_checkout() {
  mkdir -p .github/workflows tools
  cp "$REPOSITORY/examples/github/spread.yml" .github/workflows/
  printf '#!/bin/sh\n[ "$*" = "build run" ]\n' >tools/install-dependencies
  printf 'kbuild:\n\tcp bin/kbuild kbuild\n' >Makefile
  chmod +x tools/install-dependencies
  printf '%s\n' cache git registry 'registry.*' >.gitignore
  git_here init -q .
  git_here add .
  git_here commit -q -m "Project"
}

@test "github: act runs the workflow, unchanged" {
  command -v act >/dev/null || skip "act is not installed"
  make_checkout
  # The cache of act holds copies of the checkout, so it must not be in it.
  XDG_CACHE_HOME=$BATS_TEST_TMPDIR/act PATH=${PATH#"$PROJECT/bin:"} act workflow_dispatch -W .github/workflows/spread.yml -P ubuntu-24.04=-self-hosted \
    --var ARTEFACT_REGISTRY="$ARTEFACT_REGISTRY" --var ARTEFACT_REPOSITORY=kata \
    --var KBUILD_PLAN="image --builder=host" --no-cache-server >act.log 2>&1 || {
    cat act.log
    false
  }
  each_once 4
  same_as_one_machine
}

# ---- GitLab ----

@test "gitlab: a child pipeline of YAML whose needs are its jobs" {
  kb plan --remote --format=gitlab --push image >nodes.yml
  python3 - nodes.yml <<'X'
import json, re, sys
jobs = {}
for line in open(sys.argv[1]):
    if line.startswith('"'):
        name, value = re.fullmatch(r'("[^"]+"): (\{.*\})\n', line).groups()
        jobs[json.loads(name)] = json.loads(value)
assert len(jobs) == 5, jobs
seen = set()
for name, job in jobs.items():
    assert set(job) == {"stage", "script", "needs", "tags", "resource_group", "retry"}, job
    assert set(job["needs"]) <= seen and len(job["needs"]) <= 50, job
    assert re.fullmatch(r"[A-Za-z0-9_/${}. -]{1,255}", job["resource_group"])
    assert job["stage"] == "kbuild" and 0 <= job["retry"]["max"] <= 2
    seen.add(name)
assert set(jobs["image:x86_64"]["needs"]) == {"initrd:x86_64", "tools:x86_64"}
assert jobs["kernel:x86_64"]["tags"] == ["x86_64"]
X
  python3 -c 'import yaml' 2>/dev/null || return 0
  python3 - nodes.yml "$REPOSITORY/examples/gitlab/spread.yml" <<'X'
import sys, yaml
child, parent = (yaml.safe_load(open(f)) for f in sys.argv[1:])
assert child["stages"] == ["kbuild"] and len(child) == 6
assert parent["spread"]["trigger"]["include"] == [{"artifact": "nodes.yml", "job": "plan"}]
assert parent["plan"]["artifacts"]["paths"] == ["nodes.yml"]
X
}

@test "gitlab: gitlab-ci-local runs the pipelines, unchanged" {
  command -v gitlab-ci-local >/dev/null || skip "gitlab-ci-local is not installed"
  command -v rsync >/dev/null || skip "rsync is not installed"
  cp "$REPOSITORY/examples/gitlab/spread.yml" .gitlab-ci.yml
  printf '%s\n' cache git registry 'registry.*' .gitlab-ci-local >.gitignore
  git_here init -q .
  git_here add .
  git_here commit -q -m "Project"
  git remote add origin git@gitlab.com:test/test.git
  gitlab-ci-local --variable KBUILD_PLAN="image --builder=host" --variable ARTEFACT_REGISTRY="$ARTEFACT_REGISTRY" \
    --variable ARTEFACT_REPOSITORY=kata >gcl.log 2>&1 || {
    cat gcl.log
    false
  }
  each_once 5
  same_as_one_machine
}

# What the message of a plan for several architectures says to do.
@test "lock and update take several architectures at once" {
  rm versions.lock
  run kb plan --remote --push --format=make --arch=x86_64,s390x image
  [ "$status" -eq 1 ]
  [[ $output == *'run `kbuild lock` with the same targets and options'* ]]
  kb lock --arch=x86_64,s390x image
  kb plan --remote --push --format=make --arch=x86_64,s390x image >plan.mk
  grep -q "kbuild run image:s390x" plan.mk
  kb update --arch=all image
}

@test "a lock that does not name everything makes no jobs" {
  rm versions.lock
  run -1 kb plan --remote --format=make image
  [[ $output == *"no other machine could make it"*"kbuild lock"* ]]
}
